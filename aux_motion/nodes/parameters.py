# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The parameters of `aux_motion_predictor`: one pydantic model with defaults, descriptions and ranges."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from aux_motion.nodes.declaration import AT_CONFIGURE, READ_ONLY, ParameterError
from aux_motion.nodes.planner_parameters import PlannerOutputParameters
from aux_motion.nodes.realtime import cpus
from aux_motion_core.config import PredictorConfig
from aux_motion_core.trackers.settings import InputConfig

DEFAULT_MODEL = "body20_25hz"


class NodeParameters(PlannerOutputParameters, InputConfig, PredictorConfig):
    """Parameters of `aux_motion_predictor`. Fields without a mark apply at once when they are set."""

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
        ge=0,
        le=64,
        description="Threads of the CPU backend; onnx shares the people between them. 0: automatic, as many as are "
        "measured to be worth it at configure, a core left to the tracker where cpu_affinity is empty; the "
        "diagnostics say what was taken. Applied at configure.",
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
    learned_file: str = Field(
        "",
        description="Where what is learnt on line is kept (.npz): read at configure, written every minute and at "
        "deactivate; one of another model, tracker, joint list or rate is not used. Empty: it is forgotten at the end. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    trace_file: str = Field(
        "",
        description="Write the times of all stages to this file, in Chrome's trace event format; empty: no file. "
        "Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    autostart: bool = Field(
        True,
        description="Configure and activate at the start, and try again where that fails; false: a lifecycle manager "
        "does it.",
        json_schema_extra=READ_ONLY,
    )
    heartbeat_hz: float = Field(
        10.0,
        ge=1.0,
        le=50.0,
        description="Lowest rate of predictions, also without input (steady clock). "
        "The publisher's deadline is two periods. Applied at configure.",
        json_schema_extra=AT_CONFIGURE,
    )
    markers_max_rate_hz: float = Field(
        15.0,
        ge=0.1,
        le=120.0,
        description="Most MarkerArrays a second; none are made when nobody subscribes.",
    )

    @field_validator("cpu_affinity")
    @classmethod
    def _cpus_are_numbers(cls, value: str) -> str:
        if value:
            cpus(value)
        return value


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
