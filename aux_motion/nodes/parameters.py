"""The node's parameters: one pydantic model, declared with description, range and read-only flag."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from aux_motion.nodes.planner_outputs import OutputParameters
from aux_motion.nodes.realtime import cpus
from aux_motion_core.config import PredictorConfig
from aux_motion_core.trackers import ALIASES, NAMES

if TYPE_CHECKING:
    from rclpy.node import Node

DEFAULT_MODEL = "body20_25hz"
#: For fields that cannot change after the start of the node.
READ_ONLY = {"read_only": True}
#: For fields that the next configure transition applies.
AT_CONFIGURE = {"at_configure": True}


class ParameterError(ValueError):
    """Parameters that cannot be used, in one line: which, expected, came."""


class NodeParameters(OutputParameters, PredictorConfig):
    """Parameters of `aux_motion_predictor`. What has no mark of its own applies at once when it is set."""

    fixed_frame: str = Field(
        min_length=1,
        description="Required. Frame of the predictions: not accelerating, z up (for instance map, world).",
        json_schema_extra=READ_ONLY,
    )
    tracker: str = Field(
        "aux_motion",
        min_length=1,
        description="What sends the skeletons: aux_motion (SkeletonArray), zed, azure_kinect, yolo, ros4hri, hiros, "
        "pose_array, openpose or mediapipe. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    tracker_joints: list[str] = Field(
        [""],
        description="Joints of a tracker whose messages do not name them: one joint list such as coco17, or every "
        "joint in wire order ('-': read over). Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    input_topic: str = Field(
        "",
        description="Topic of the input; empty: the tracker's usual one, for SkeletonArray it is skeletons.",
        json_schema_extra=READ_ONLY,
    )
    input_topics: list[str] = Field(
        [""],
        description="Topics of several inputs; they win over input_topic. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    input_trackers: list[str] = Field(
        [""],
        description="Trackers of input_topics, one for all or one each; empty: tracker. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    input_frames: list[str] = Field(
        [""],
        description="Frames of the inputs' positions, one for all or one each, where the messages name a wrong one or "
        "none; empty, or - for one of them: the messages'. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    merge_inputs: bool = Field(
        True,
        description="One body that several inputs see is one person; false: a person per input. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    model_dir: str = Field(
        "",
        description="Folder of the model artefact (model.onnx, model.json); empty: the one that is shipped. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    backend: str = Field(
        "onnx",
        min_length=1,
        description="What predicts: onnx (the model on the CPU), tensorrt, tensorrt_rtx, auto (TensorRT where it "
        "works, else onnx), or a baseline such as damped_pose or zero_velocity. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    engine_dir: str = Field(
        "",
        description="Folder of the TensorRT engine (aux-motion compile); empty: the cache that auto builds into. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    gpu_deadline_s: float = Field(
        0.02,
        ge=0.001,
        le=1.0,
        description="How long a prediction waits for the GPU before the CPU answers. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    threads: int = Field(
        1,
        ge=1,
        le=64,
        description="Threads of the CPU backend; onnx shares the people between them. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    cpu_affinity: str = Field(
        "",
        description="CPUs that the node may run on, such as 2,3 or 0-1; empty: all. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    realtime_priority: int = Field(
        0,
        ge=0,
        le=99,
        description="SCHED_FIFO priority of the node's threads where the system permits it; 0: none. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    lock_memory: bool = Field(
        False,
        description="Keep the node's memory from being paged out (mlockall) where permitted. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    trace_file: str = Field(
        "",
        description="Write what happened when to this file, in Chrome's trace event format; empty: not. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    autostart: bool = Field(
        False,
        description="Configure and activate at the start, without a lifecycle manager.",
        json_schema_extra=READ_ONLY,
    )
    heartbeat_hz: float = Field(
        10.0,
        ge=1.0,
        le=50.0,
        description="At least so many predictions a second are published, also without input (steady clock). "
        "The publisher's deadline is two periods. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    static_transform_frame: str = Field(
        "",
        description="Frame that static_transform brings to fixed_frame (a fixed camera); empty: not used.",
        json_schema_extra=READ_ONLY,
    )
    static_transform: list[float] = Field(
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        min_length=7,
        max_length=7,
        description="Pose of static_transform_frame in fixed_frame: x, y, z in m, quaternion x, y, z, w.",
        json_schema_extra=READ_ONLY,
    )
    static_transforms: list[str] = Field(
        [""],
        description="More fixed cameras without TF, each as 'frame x y z qx qy qz qw'. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    tf_timeout_s: float = Field(
        0.05,
        ge=0.0,
        le=1.0,
        description="How long a frame waits for the transform at its stamp, seconds; other frames go on meanwhile.",
    )
    markers_max_rate_hz: float = Field(
        15.0,
        ge=0.1,
        le=120.0,
        description="Most MarkerArrays a second; none are made when nobody subscribes.",
    )

    @field_validator("fixed_frame")
    @classmethod
    def _frame_has_a_name(cls, value: str) -> str:
        if not value.strip("/ "):
            raise ValueError("expected the name of a frame")
        return value

    @field_validator("cpu_affinity")
    @classmethod
    def _cpus_are_numbers(cls, value: str) -> str:
        if value:
            cpus(value)
        return value

    def given(self, name: str) -> list[str]:
        """The values of a list of texts; [""] is how ROS writes an empty one."""
        return [value for value in getattr(self, name) if value]

    @model_validator(mode="after")
    def _inputs_fit(self) -> NodeParameters:
        count = max(len(self.given("input_topics")), 1)
        for name in ("input_trackers", "input_frames"):
            if len(self.given(name)) not in (0, 1, count):
                raise ValueError(
                    f"{name} has {len(self.given(name))} values: expected none, one, or {count} as input_topics"
                )
        for name in (self.tracker, *self.given("input_trackers")):
            if name not in (*NAMES, *ALIASES):
                raise ValueError(f"unknown tracker {name!r}: expected one of {', '.join(NAMES)}")
        return self

    @model_validator(mode="after")
    def _transform_is_a_rotation(self) -> NodeParameters:
        norm = math.hypot(*self.static_transform[3:])
        if not (math.isfinite(norm) and abs(norm - 1.0) < 1e-3):
            raise ValueError(f"static_transform: the quaternion (last four numbers) has length {norm:.4g}, expected 1")
        return self


def default_model_dir() -> Path:
    """The shipped artefact: of this checkout, else of the installed package (the folder need not exist)."""
    checkout = Path(__file__).resolve().parents[2] / "models" / DEFAULT_MODEL
    if checkout.is_dir():
        return checkout
    try:
        from ament_index_python.packages import get_package_share_directory

        return Path(get_package_share_directory("aux_motion")) / "models" / DEFAULT_MODEL
    except (ImportError, LookupError, OSError):  # no ROS, not in its index, or the index is not set up
        return Path(sys.prefix) / "share" / "aux_motion" / "models" / DEFAULT_MODEL


def validate(values: dict[str, Any]) -> NodeParameters:
    """Check values against the model.

    Args:
        values: by parameter name.

    Raises:
        ParameterError: what is wrong, all of it in one line.
    """
    try:
        return NodeParameters.model_validate({k: v for k, v in values.items() if not (k == "fixed_frame" and v == "")})
    except ValidationError as error:
        parts = []
        for problem in error.errors():
            name = ".".join(str(p) for p in problem["loc"])
            if name == "fixed_frame" and problem["type"] == "missing":
                parts.append("parameter fixed_frame is required: set it to a frame that does not accelerate, z up")
            elif not name:
                parts.append(f"parameters: {problem['msg'].removeprefix('Value error, ')}")
            else:
                said = problem["msg"].removeprefix("Value error, ")
                parts.append(f"parameter {name}: {said}, came {problem['input']!r}")
        raise ParameterError("; ".join(parts)) from None


def _bounds(metadata: list[Any]) -> tuple[Any, Any]:
    low = high = None
    for item in metadata:
        low = getattr(item, "ge", getattr(item, "gt", low))
        high = getattr(item, "le", getattr(item, "lt", high))
    return low, high


def flag(name: str, key: str, model: type[BaseModel] = NodeParameters) -> bool:
    """Whether parameter `name` carries the mark "read_only" or "at_configure"."""
    extra = model.model_fields[name].json_schema_extra
    return bool(isinstance(extra, dict) and extra.get(key))


def declare(node: Node, model: type[BaseModel] = NodeParameters) -> None:
    """Declare every field of `model` as a parameter of `node`.

    Raises:
        ParameterError: an override has the wrong type or is out of range.
    """
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
    from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException

    for name, info in model.model_fields.items():
        kind = get_origin(info.annotation) or info.annotation
        default = "" if info.is_required() else info.get_default(call_default_factory=True)
        default = kind(default) if kind in (float, int) else default
        descriptor = ParameterDescriptor(
            name=name,
            description=info.description or "",
            read_only=flag(name, "read_only", model),
            # YAML reads a bare on or off as true or false
            dynamic_typing=flag(name, "on_off", model),
        )
        low, high = _bounds(info.metadata)
        if kind is float and (low is not None or high is not None):
            top = sys.float_info.max
            descriptor.floating_point_range = [
                FloatingPointRange(
                    from_value=float(-top if low is None else low),
                    to_value=float(top if high is None else high),
                )
            ]
        elif kind is int and (low is not None or high is not None):
            descriptor.integer_range = [
                IntegerRange(
                    from_value=-(2**63) if low is None else int(low),
                    to_value=2**63 - 1 if high is None else int(high),
                )
            ]
        try:
            node.declare_parameter(name, default, descriptor)
        except InvalidParameterTypeException as error:
            hint = {
                float: " (a whole number is written 1.0)",
                str: " (a number as text is written '\"1\"')",
                list: " (a list of whole numbers is written [1.0, 2.0])",
            }.get(kind, "")
            hint = " (a list of one is written [a])" if get_args(info.annotation) == (str,) else hint
            raise ParameterError(f"parameter {name}: {str(error).rstrip('.')}{hint}") from None
        except InvalidParameterValueException as error:
            span = f"from {low} to {high}" if low is not None or high is not None else "another value"
            raise ParameterError(f"parameter {name}: expected {span}; {str(error).rstrip('.')}") from None


def read(node: Node, model: type[BaseModel] = NodeParameters) -> dict[str, Any]:
    """Values of all declared parameters of `model`, as plain Python."""
    values = {name: node.get_parameter(name).value for name in model.model_fields}
    return {name: list(value) if hasattr(value, "tolist") else value for name, value in values.items()}
