"""The parameters of `aux_motion_ssm`: one pydantic model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import yaml
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


def check_parameter_files(arguments: Sequence[str], node: str = "aux_motion_ssm") -> None:
    """See that each parameter file of a command line can be read and says something to the node.

    rcl takes a file without a section of the node for no parameters at all, so a mistyped name would mean defaults.

    Args:
        arguments: command line with ROS arguments.
        node: name of the node.

    Raises:
        SsmError: a file is missing, no YAML, or has nothing for the node.
    """
    for flag, name in zip(arguments, arguments[1:]):
        if flag != "--params-file":
            continue
        try:
            content = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SsmError(
                f"parameter file {name} cannot be read: {getattr(error, 'strerror', None) or error}"
            ) from None
        except yaml.YAMLError as error:
            raise SsmError(f"parameter file {name} is no YAML: {' '.join(str(error).split())}") from None
        sections = content if isinstance(content, dict) else {}
        ours = [v for k, v in sections.items() if str(k).strip("/").split("/")[-1] in ("**", "*", node)]
        if not any(isinstance(v, dict) and v.get("ros__parameters") for v in ours):
            raise SsmError(
                f"parameter file {name} has no section {node} (or /**) with ros__parameters: a monitor does not start "
                "with defaults where parameters were meant"
            )


for _field in SsmParameters.model_fields.values():  # those of the core too
    _field.json_schema_extra = READ_ONLY
