# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Numpy views of prediction messages, with a plain object in place of a message."""

from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np
import pytest

from aux_motion_core.types import Reason, TrackState
from aux_motion_core.wire.views import OutsidePredictionError, PredictionView

STEPS, JOINTS = 25, 20
DT_S = float(np.float32(0.04))  # as it comes off the wire
STAMP_NS = 1_700_000_000_123_456_789


def time(ns: int) -> SimpleNamespace:
    return SimpleNamespace(sec=ns // 10**9, nanosec=ns % 10**9)


@pytest.fixture
def message():
    """One person whose joints move along x with 1 m/s; joint j is at height j."""
    offsets = 0.04 * np.arange(1, STEPS + 1)
    mean = np.zeros((STEPS, JOINTS, 3), np.float32)
    mean[..., 0] = offsets[:, None]
    mean[..., 2] = np.arange(JOINTS)
    recovered = np.zeros((JOINTS, 3), np.float32)
    recovered[:, 2] = np.arange(JOINTS)
    person = SimpleNamespace(
        id="7",
        state=1,
        reasons=2048,
        stamp=time(STAMP_NS),
        last_observed=time(STAMP_NS),
        age_s=0.01,
        valid_until=time(STAMP_NS + 10**9),
        mean=array.array("f", mean.tobytes()),
        scale=array.array("f"),
        radius=array.array("f", np.repeat(offsets, JOINTS).astype(np.float32).tobytes()),
        radius_basis="reach:1.0mps",
        body_radius=array.array("f", np.repeat(2 * offsets, JOINTS).astype(np.float32).tobytes()),
        joint_status=array.array("B", [1] * JOINTS),
        recovered=array.array("f", recovered.tobytes()),
    )
    return SimpleNamespace(
        header=SimpleNamespace(stamp=time(STAMP_NS + 10**7), frame_id="map"),
        model_name="m",
        model_version="1",
        joint_names=[f"joint_{j}" for j in range(JOINTS)],
        steps=STEPS,
        dt_s=DT_S,
        people=[person],
    )


def test_arrays_have_their_shapes_and_share_the_message_memory(message):
    view = PredictionView(message)
    person = view["7"]
    assert (view.steps, view.dt_ns, view.frame_id, len(view)) == (STEPS, 40_000_000, "map", 1)
    assert person.state is TrackState.TRACKING and person.reasons is Reason.UNCALIBRATED
    assert person.mean.shape == (STEPS, JOINTS, 3)
    assert person.recovered.shape == (JOINTS, 3)
    assert person.radius.shape == (STEPS, JOINTS)
    np.testing.assert_allclose(person.body_radius, 2 * person.radius)
    del message.people[0].body_radius  # a recording of an older version
    assert person.body_radius is None
    assert person.joint_status.shape == (JOINTS,)
    assert person.scale is None
    message.people[0].mean[2] = 42.0
    assert person.mean[0, 0, 2] == 42.0, "a view, not a copy"


@pytest.mark.parametrize("offset_s", [0.0, 0.01, 0.04, 0.05, 0.4, 0.999, 1.0])
def test_a_pose_at_a_time_is_linear_between_the_present_and_the_steps(message, offset_s):
    pose = PredictionView(message)["7"].at(STAMP_NS + round(offset_s * 1e9))
    assert pose.shape == (JOINTS, 3)
    np.testing.assert_allclose(pose[:, 0], offset_s, atol=1e-6)
    np.testing.assert_allclose(pose[:, 2], np.arange(JOINTS), atol=1e-6)


def test_the_radius_at_a_time_is_the_larger_one_around_it(message):
    person = PredictionView(message)["7"]
    np.testing.assert_allclose(person.radius_at(STAMP_NS), 0.04, rtol=1e-6)
    np.testing.assert_allclose(person.radius_at(STAMP_NS + 40_000_000), 0.04, rtol=1e-6)
    np.testing.assert_allclose(person.radius_at(STAMP_NS + 50_000_000), 0.08, rtol=1e-6)
    np.testing.assert_allclose(person.radius_at(STAMP_NS + 10**9), 1.0, rtol=1e-6)
    message.people[0].radius = array.array("f")
    assert person.radius_at(STAMP_NS) is None


@pytest.mark.parametrize(
    ("offset_ns", "line"),
    [(-1, "before the stamp"), (1_000_000_001, "prediction ends"), (600_000_000, "after valid_until")],
)
def test_no_pose_outside_of_the_prediction(message, offset_ns, line):
    if line == "after valid_until":
        message.people[0].valid_until = time(STAMP_NS + 500_000_000)
    person = PredictionView(message)["7"]
    assert not person.covers(STAMP_NS + offset_ns)
    for query in (person.at, person.radius_at):
        with pytest.raises(OutsidePredictionError, match=line):
            query(STAMP_NS + offset_ns)


def test_a_damaged_message_is_named(message):
    message.people[0].mean = message.people[0].mean[:-1]
    with pytest.raises(ValueError, match="expected 25 x 20 x 3 values, came 1499"):
        _ = PredictionView(message)["7"].mean


def test_nobody_is_an_empty_view(message):
    message.people = []
    assert list(PredictionView(message)) == []


def test_an_empty_message_is_not_nobody_unless_its_view_is_complete_and_fresh(message):
    message.people = []
    assert len(PredictionView(message)) == 0
    assert not PredictionView(message).nobody(STAMP_NS, 1e9), "a message of an older version"
    message.view, message.view_reasons, message.unplaced_people = 2, 0, 0
    message.oldest_input = time(STAMP_NS)
    assert PredictionView(message).nobody(STAMP_NS + 10**8, 0.3)
    assert not PredictionView(message).nobody(STAMP_NS + 10**9, 0.3), "old input under a new stamp"
    message.unplaced_people = 1
    assert not PredictionView(message).nobody(STAMP_NS + 10**8, 0.3)
    message.view, message.unplaced_people = 1, 0
    assert not PredictionView(message).nobody(STAMP_NS + 10**8, 0.3)
