# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Wire messages to core types and back; what is wrong with a message is said in one line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aux_motion_core.skeleton import INDEX, JOINTS, N_JOINTS, JointStatus
from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, SkeletonFrame, TrackState
from aux_motion_core.wire.messages import (
    MessageError,
    batch_from_message,
    frame_fields,
    frame_from_message,
    prediction_fields,
)
from tests.support.core_helpers import as_object


def message(people=1, names=("neck", "left_hip"), **changes):
    joints = len(names)
    fields = {
        "header": {"stamp": {"sec": 3, "nanosec": 40}, "frame_id": "map"},
        "joint_names": list(names),
        "person_ids": [f"p{i}" for i in range(people)],
        "positions": np.arange(people * joints * 3, dtype=np.float32),
        "confidence": np.ones(people * joints, np.float32),
        "joint_status": np.ones(people * joints, np.uint8),
        "covariance": np.empty(0, np.float32),
    }
    return as_object({**fields, **changes})


def test_joints_are_placed_by_name_and_the_rest_is_missing():
    frame = frame_from_message(message(people=2))
    assert frame.stamp_ns == 3_000_000_040 and frame.person_ids == ("p0", "p1")
    np.testing.assert_array_equal(frame.positions[1, INDEX["neck"]], [6, 7, 8])
    np.testing.assert_array_equal(frame.positions[1, INDEX["left_hip"]], [9, 10, 11])
    seen = frame.status != JointStatus.MISSING
    assert seen.sum() == 4 and seen[:, [INDEX["neck"], INDEX["left_hip"]]].all()
    assert np.isnan(frame.positions[~seen]).all() and (frame.confidence[~seen] == 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_joint_with_one_unusable_coordinate_is_missing(value):
    positions = np.arange(6, dtype=np.float32)
    positions[1] = value
    frame = frame_from_message(message(positions=positions))
    assert frame.status[0, INDEX["neck"]] == JointStatus.MISSING
    assert frame.confidence[0, INDEX["neck"]] == 0
    assert frame.status[0, INDEX["left_hip"]] == JointStatus.OBSERVED


def test_confidence_0_or_nan_means_missing_and_empty_optional_fields_mean_observed():
    frame = frame_from_message(message(confidence=np.array([0.0, np.nan], np.float32)))
    assert (frame.status == JointStatus.MISSING).all()
    empty = np.empty(0, np.float32)
    frame = frame_from_message(message(confidence=empty, joint_status=np.empty(0, np.uint8)))
    assert frame.status[0, INDEX["neck"]] == JointStatus.OBSERVED and frame.confidence[0, INDEX["neck"]] == 1


def test_status_and_covariance_travel():
    covariance = np.arange(12, dtype=np.float32)
    frame = frame_from_message(message(joint_status=np.array([2, 3], np.uint8), covariance=covariance))
    assert frame.status[0, INDEX["neck"]] == JointStatus.DERIVED
    assert frame.status[0, INDEX["left_hip"]] == JointStatus.TRACKER_PREDICTED
    np.testing.assert_array_equal(frame.covariance[0, INDEX["left_hip"]], covariance[6:])


def test_an_empty_scene_is_a_frame_with_nobody():
    nothing = message(people=0)
    assert frame_from_message(nothing).positions.shape == (0, N_JOINTS, 3)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"names": ("neck", "LeftToeBase")}, ["LeftToeBase", "body20"]),
        ({"names": ("neck", "neck")}, ["neck", "once"]),
        ({"names": ()}, ["joint_names", "empty"]),
        ({"positions": np.zeros(5, np.float32)}, ["positions", "5", "6"]),
        ({"confidence": np.zeros(3, np.float32)}, ["confidence", "3", "2"]),
        ({"covariance": np.zeros(3, np.float32)}, ["covariance", "3", "12"]),
        ({"joint_status": np.array([1, 9], np.uint8)}, ["joint_status", "9"]),
    ],
)
def test_a_bad_message_is_named_in_one_line(changes, words):
    with pytest.raises(MessageError) as caught:
        frame_from_message(message(**changes))
    line = str(caught.value)
    assert "\n" not in line and all(word in line for word in words)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 4), st.integers(0, 2**32 - 1), st.booleans())
def test_a_frame_survives_the_wire(people, seed, with_covariance):
    rng = np.random.default_rng(seed)
    status = rng.integers(0, 4, (people, N_JOINTS)).astype(np.uint8)
    frame = SkeletonFrame(
        stamp_ns=int(rng.integers(0, 2**60)),
        frame_id="camera",
        person_ids=tuple(f"id {i}" for i in range(people)),
        positions=rng.normal(size=(people, N_JOINTS, 3)),
        status=status,
        confidence=rng.uniform(0.1, 1.0, (people, N_JOINTS)).astype(np.float32),
        covariance=rng.normal(size=(people, N_JOINTS, 6)).astype(np.float32) if with_covariance else None,
    )
    back = frame_from_message(as_object(frame_fields(frame)))
    assert (back.stamp_ns, back.frame_id, back.person_ids) == (frame.stamp_ns, "camera", frame.person_ids)
    np.testing.assert_array_equal(back.status, status)
    seen = status != JointStatus.MISSING
    np.testing.assert_allclose(back.positions[seen], frame.positions[seen], rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(back.confidence[seen], frame.confidence[seen])
    if with_covariance and people:
        np.testing.assert_array_equal(back.covariance[seen], frame.covariance[seen])


def test_masked_values_never_reach_the_wire():
    status = np.ones((1, N_JOINTS), np.uint8)
    status[0, 4] = JointStatus.MISSING
    positions = np.zeros((1, N_JOINTS, 3))
    positions[0, 4] = 1e6
    confidence = np.ones((1, N_JOINTS), np.float32)
    fields = frame_fields(SkeletonFrame(0, "map", ("a",), positions, status, confidence))
    assert np.isnan(fields["positions"].reshape(N_JOINTS, 3)[4]).all()
    assert fields["confidence"][4] == 0


def batch(steps=5):
    rng = np.random.default_rng(1)

    def person(name, state, radius, scale):
        return MotionPrediction(
            person_id=name,
            state=state,
            reasons=Reason.IMPUTED | Reason.UNCALIBRATED,
            stamp_ns=1_700_000_000_123_456_789,
            last_observed_ns=1_700_000_000_023_456_789,
            age_s=0.25,
            valid_until_ns=1_700_000_001_000_000_000,
            mean=rng.normal(size=(steps, N_JOINTS, 3)),
            recovered=rng.normal(size=(N_JOINTS, 3)),
            joint_status=np.arange(N_JOINTS).astype(np.uint8) % 4,
            radius_basis="reach:2.0mps" if radius else "none",
            radius_coverage=float("nan"),
            radius=rng.uniform(size=(steps, N_JOINTS)) if radius else None,
            scale=rng.uniform(size=(steps, N_JOINTS, 3)) if scale else None,
            body_radius=rng.uniform(size=(steps, N_JOINTS)) if scale else None,
            body_coverage=0.95 if scale else float("nan"),
        )

    people = (person("a", TrackState.TRACKING, False, True), person("b", TrackState.ABSENT, True, False))
    return PredictionBatch(1_700_000_000_200_000_000, "map", "body20_25hz", "1.0", 0.04, steps, JOINTS, people, 0.002)


def test_a_batch_survives_the_wire():
    sent = batch()
    got = batch_from_message(as_object(prediction_fields(sent)))
    assert (got.stamp_ns, got.frame_id, got.model_name, got.steps) == (sent.stamp_ns, "map", "body20_25hz", 5)
    assert got.joint_names == JOINTS and got.dt_s == 0.04
    for a, b in zip(sent.people, got.people, strict=True):
        assert (a.person_id, a.state, a.reasons, a.stamp_ns) == (b.person_id, b.state, b.reasons, b.stamp_ns)
        assert (a.valid_until_ns, a.radius_basis) == (b.valid_until_ns, b.radius_basis)
        np.testing.assert_allclose(b.mean, a.mean, rtol=1e-6)
        np.testing.assert_allclose(b.recovered, a.recovered, rtol=1e-6)
        np.testing.assert_array_equal(b.joint_status, a.joint_status)
        np.testing.assert_allclose(b.body_coverage, a.body_coverage, rtol=1e-6)
        for x, y in ((a.radius, b.radius), (a.scale, b.scale), (a.body_radius, b.body_radius)):
            assert (x is None) == (y is None)
            if x is not None:
                np.testing.assert_allclose(y, x, rtol=1e-6)


def test_a_damaged_prediction_is_refused():
    fields = prediction_fields(batch())
    fields["people"][0]["mean"] = fields["people"][0]["mean"][:-1]
    with pytest.raises(MessageError, match="mean"):
        batch_from_message(as_object(fields))


def test_a_batch_recorded_before_there_were_body_bounds_is_read():
    message = as_object(prediction_fields(batch()))
    for person in message.people:
        del person.body_radius, person.body_coverage
    for person in batch_from_message(message).people:
        assert person.body_radius is None and np.isnan(person.body_coverage)
