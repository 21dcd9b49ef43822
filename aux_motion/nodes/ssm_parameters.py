# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The parameters of `aux_motion_ssm`: one pydantic model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aux_motion.nodes.declaration import READ_ONLY
from aux_motion_core.safety.separation import SeparationConfig


class SsmError(ValueError):
    """The monitor cannot start, in one line: expected, came, what to do."""


class SsmParameters(SeparationConfig):
    """Parameters of `aux_motion_ssm`; all of them are fixed at the start."""

    robot: str = Field(
        "", description="Required. Robot description (YAML): capsules and stopping data.", json_schema_extra=READ_ONLY
    )
    robot_source: Literal["auto", "static", "tf", "poses"] = Field(
        "auto",
        description="Where the capsules' frames are: tf (tf2), poses (PoseArray on robot_poses, one pose a frame in "
        "the order of the description), static; auto: tf where the description names frames, else static.",
        json_schema_extra=READ_ONLY,
    )
    rate_hz: float = Field(
        25.0,
        ge=1.0,
        le=200.0,
        description="Lowest rate of decisions, also without input, Hz.",
        json_schema_extra=READ_ONLY,
    )
    expected_publishers: int = Field(
        1,
        ge=1,
        le=16,
        description="How many predictors publish occupancy. Where there are more or fewer the robot stands: they would "
        "contradict each other. With several, all people of all of them count.",
        json_schema_extra=READ_ONLY,
    )
    autostart: bool = Field(
        True,
        description="Configure and activate at the start; false: wait for a lifecycle manager.",
        json_schema_extra=READ_ONLY,
    )


for _field in SsmParameters.model_fields.values():  # those of the core too
    _field.json_schema_extra = READ_ONLY
