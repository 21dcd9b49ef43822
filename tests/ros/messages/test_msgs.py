# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The built messages against the core's enumerations and against their sources."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from aux_motion_core.safety.occupancy import BoundKind
from aux_motion_core.safety.separation import Formulation, SpeedReason
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.types import Reason, TrackState

messages = pytest.importorskip("aux_motion_msgs.msg", reason="the messages are not built: make msgs")


@pytest.mark.parametrize(
    ("enumeration", "message", "prefix"),
    [
        (JointStatus, "SkeletonArray", ""),
        (TrackState, "PersonPrediction", ""),
        (Reason, "PersonPrediction", "REASON_"),
        (BoundKind, "PersonOccupancy", "KIND_"),
        (Formulation, "SeparationStatus", ""),
        (SpeedReason, "SeparationStatus", ""),
    ],
)
def test_enumerations_have_the_wire_values(enumeration, message: str, prefix: str) -> None:
    members = {member.name: int(member) for member in enumeration if int(member) or not prefix}
    kind = getattr(messages, message)
    assert {name: getattr(kind, prefix + name) for name in members} == members


def test_reasons_are_all_on_the_wire(root: Path) -> None:
    text = (root / "ros2_ws/src/aux_motion_msgs/msg/PersonPrediction.msg").read_text()
    names = {line.split()[1].split("=")[0] for line in text.splitlines() if line.startswith("uint32 REASON_")}
    assert names == {f"REASON_{reason.name}" for reason in Reason if reason}


@pytest.mark.parametrize(
    "name",
    [
        "SkeletonArray",
        "PersonPrediction",
        "PredictionArray",
        "SelfCheck",
        "PersonOccupancy",
        "OccupancyArray",
        "SeparationStatus",
    ],
)
def test_built_fields_are_those_of_the_source(root: Path, name: str) -> None:
    text = (root / "ros2_ws/src/aux_motion_msgs/msg" / f"{name}.msg").read_text()
    lines = [line.split("#")[0].split() for line in text.splitlines()]
    fields = [words[1] for words in lines if len(words) == 2 and "=" not in words[1]]
    built = list(getattr(messages, name).get_fields_and_field_types())
    assert built == fields, f"built by another source: run make msgs ({sys.prefix})"
