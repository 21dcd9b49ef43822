# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is told of the inputs: which trackers, on which topics, how their stamps are read, how they reach one frame."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from aux_motion_core.trackers import ALIASES, NAMES

#: For fields that cannot change after the start of the node.
#: For fields that the next configure transition applies.
_AT_CONFIGURE: dict[str, Any] = {"at_configure": True}


class InputConfig(BaseModel):
    """Parameters of the way from tracker messages to frames in the fixed frame (`trackers.pipeline`)."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    fixed_frame: str = Field(
        min_length=1,
        description="Required. Frame of the predictions: not accelerating, z up (for instance map, world). "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    tracker: str = Field(
        "aux_motion",
        min_length=1,
        description="What sends the skeletons: aux_motion (SkeletonArray), zed, azure_kinect, yolo, ros4hri, hiros, "
        "pose_array, openpose, mediapipe, ros_openpose, openptrack, jsk, mocap4r2_markers or mocap4r2_bodies. Applied "
        "at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    tracker_joints: list[str] = Field(
        [""],
        description="Joints of a tracker whose messages do not name them: one joint list such as coco17, or every "
        "joint in wire order ('-' skips one); of motion capture a joint map, marker=joint each. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    input_topic: str = Field(
        "",
        description="Topic of the input; empty: the tracker's usual one, for SkeletonArray it is skeletons. "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    input_topics: list[str] = Field(
        [""],
        description="Topics of several inputs; they win over input_topic. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    input_trackers: list[str] = Field(
        [""],
        description="Trackers of input_topics, one for all or one each; empty: tracker. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    input_frames: list[str] = Field(
        [""],
        description="Frames of the inputs' positions, one for all or one each, where the messages name a wrong one or "
        "none; empty, or - for one of them: the messages'. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    merge_inputs: bool = Field(
        True,
        description="One body that several inputs see is one person; false: a person per input. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    stamp_latency_s: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="Taken off every stamp: delay of a tracker that stamps at publication.",
    )
    stamp_source: Literal["header", "receive"] = Field(
        "header",
        description="Stamps of the input: header, or receive (time of receipt) for a tracker whose stamps cannot be "
        "used. Applied at configure.",
        json_schema_extra={"at_configure": True},
    )
    min_confidence: float = Field(
        0.05,
        ge=0.0,
        le=0.9,
        description="A joint that its tracker is less sure of is missing; 0: all count that have a confidence.",
    )
    frozen_after_s: float = Field(
        0.5,
        ge=0.0,
        le=10.0,
        description="A body that stays the same to the bit for this time, or repeats up to four poses, is not seen any "
        "more: its tracker is stuck. 0: never, for simulators, whose still bodies are truly still. "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    static_transform_frame: str = Field(
        "",
        description="Frame that static_transform brings to fixed_frame (a fixed camera); empty: not used. "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    static_transform: list[float] = Field(
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
        min_length=7,
        max_length=7,
        description="Pose of static_transform_frame in fixed_frame: x, y, z in m, quaternion x, y, z, w. "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    static_transforms: list[str] = Field(
        [""],
        description="More fixed cameras without TF, each as 'frame x y z qx qy qz qw'. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    tf_timeout_s: float = Field(
        0.05,
        ge=0.0,
        le=1.0,
        description="How long a frame waits for the transform at its stamp, seconds; other frames go on meanwhile.",
    )

    @field_validator("fixed_frame")
    @classmethod
    def _frame_has_a_name(cls, value: str) -> str:
        if not value.strip("/ "):
            raise ValueError("expected the name of a frame")
        return value

    def given(self, name: str) -> list[str]:
        """The values of a list of texts; [""] is how ROS writes an empty one."""
        return [value for value in getattr(self, name) if value]

    @model_validator(mode="after")
    def _inputs_fit(self) -> InputConfig:
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
    def _transform_is_a_rotation(self) -> InputConfig:
        norm = math.hypot(*self.static_transform[3:])
        if not (math.isfinite(norm) and abs(norm - 1.0) < 1e-3):
            raise ValueError(f"static_transform: the quaternion (last four numbers) has length {norm:.4g}, expected 1")
        return self
