# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Capsules hold the body, the bound and the motion in between."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.occupancy_helpers import DT_S, NS, REACH_MPS, STEPS, batch, build, person, walking

from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.safety.anthropometry import SEGMENT_INDEX, SEGMENT_JOINTS, SEGMENTS, body, body_scale
from aux_motion_core.safety.capsules import maybe_nearest, nearest, nearest_pairs, voxels
from aux_motion_core.safety.occupancy import (
    BoundKind,
    OccupancyBuilder,
    OccupancyConfig,
    occupancy_fields,
    occupancy_from_message,
    unseen_distance,
)
from aux_motion_core.skeleton import INDEX, N_JOINTS
from aux_motion_core.testing import synthetic
from aux_motion_core.types import Reason, TrackState
from aux_motion_core.wire.messages import MessageError


def outside(points: np.ndarray, ends: np.ndarray, radius: np.ndarray) -> float:
    """By how much the worst of points (N, 3) is outside of the union of capsules (K, 2, 3), (K,); metres."""
    distance = nearest(np.repeat(points[:, None], 2, 1), ends.astype(float))[0] - radius
    return float(distance.min(1).max())


# Containment


@pytest.mark.parametrize("interval_s", [0.04, 0.2])
def test_real_motion_between_the_steps_is_inside(data_dir, interval_s: float) -> None:
    """True positions at 120 Hz lie within bound and motion, body thickness left out, when the steps are exact."""
    from training.data import load_split

    cut = 5  # 120 Hz to 24 Hz: no interpolation of the truth
    dt_s = cut / 120.0
    exact = 0.0005
    builder = OccupancyBuilder(OccupancyConfig(occupancy_interval_s=interval_s), REACH_MPS)
    seen = 0
    for clip in load_split(data_dir, "new_subject"):
        x = clip.positions.astype(float)
        for start in range(0, len(x) - cut * STEPS, cut * STEPS):
            poses = x[start : start + cut * STEPS + 1 : cut]
            one = person(poses, body_radius=np.full((STEPS, N_JOINTS), exact), body_coverage=0.95)
            occupancy = builder.build(dataclasses.replace(batch(one), dt_s=dt_s))
            flesh = body().radii(poses[None], np.ones(1))[0]
            per = cut * (STEPS // occupancy.intervals)
            for k in range(occupancy.intervals):
                true = x[start + k * per : start + (k + 1) * per + 1][:, SEGMENT_JOINTS]  # (n, 19, 2, 3)
                off = np.linalg.norm(true - occupancy.ends[0, k], axis=-1).max((0, 2))
                assert (off <= occupancy.radius[0, k] - flesh + 1e-6).all(), (clip.name, start, k)
                seen += 1
    assert seen > 300


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), interval_s=st.sampled_from([0.04, 0.12, 0.2, 1.0]))
def test_a_joint_anywhere_in_its_ball_is_inside(seed: int, interval_s: float) -> None:
    rng = np.random.default_rng(seed)
    poses = walking(rng.uniform(0, 10))
    radius = rng.uniform(0.0, 0.4, (STEPS, N_JOINTS))
    occupancy = build(person(poses, radius=radius, radius_basis="conformal"), occupancy_interval_s=interval_s)
    way = rng.normal(size=(STEPS, N_JOINTS, 3))
    way *= (radius / np.linalg.norm(way, axis=-1))[..., None]
    true = poses[1:] + way
    steps = round(occupancy.interval_s / DT_S)
    for step in rng.integers(0, occupancy.intervals * steps, 5):
        k = step // steps
        points = true[step][SEGMENT_JOINTS].mean(1)  # the middles of the bones
        distance = nearest(np.repeat(points[:, None], 2, 1), occupancy.ends[0, k].astype(float))[0]
        assert (np.diag(distance) <= occupancy.radius[0, k] + 1e-6).all()


def test_the_larger_end_rules() -> None:
    radius = np.full((STEPS, N_JOINTS), 0.05)
    radius[:, INDEX["left_wrist"]] = 0.5
    poses = np.repeat(walking()[:1], STEPS + 1, 0)
    one = build(person(poses, body_radius=radius, body_coverage=0.9), max_acceleration_mps2=0.0)
    flesh = body().radii(poses[None], np.ones(1))[0]
    more = one.radius[0, 0] - flesh
    np.testing.assert_allclose(more[[SEGMENT_INDEX["left_forearm"], SEGMENT_INDEX["left_hand"]]], 0.5, atol=1e-6)
    np.testing.assert_allclose(more[SEGMENT_INDEX["left_upper_arm"]], 0.05, atol=1e-6)


def test_the_motion_in_an_interval_is_half_of_its_way() -> None:
    poses = walking()[:1] + np.array([1.5, 0.0, 0.0]) * DT_S * np.arange(STEPS + 1)[:, None, None]
    one = build(person(poses, radius=np.zeros((STEPS, N_JOINTS)), radius_basis="conformal"), max_acceleration_mps2=0.0)
    flesh = body().radii(poses[None], np.ones(1))[0]
    np.testing.assert_allclose(one.radius[0] - flesh, 1.5 * DT_S / 2, atol=1e-5)


# What is not known


def test_the_whole_body_bound_goes_before_the_marginal_one() -> None:
    poses = walking()
    marginal = {
        "radius": np.full((STEPS, N_JOINTS), 0.1),
        "radius_basis": "conformal",
        "radius_coverage": 0.95,
    }
    both = build(person(poses, **marginal, body_radius=np.full((STEPS, N_JOINTS), 0.2), body_coverage=0.9))
    one = build(person(poses, **marginal))
    alone = build(person(poses, **marginal, body_radius=np.full((STEPS, N_JOINTS), 0.2)), occupancy_bound="marginal")
    np.testing.assert_array_equal(alone.radius, one.radius)
    assert (both.kind == BoundKind.SIMULTANEOUS).all() and np.allclose(both.coverage, 0.9)
    assert (one.kind == BoundKind.MARGINAL).all() and np.allclose(one.coverage, 0.95)
    np.testing.assert_allclose(both.radius - one.radius, 0.1, atol=1e-6)


def test_beyond_the_intervals_it_grows_as_fast_as_the_fastest_reach_set() -> None:
    radius = np.full((STEPS, N_JOINTS), 0.5)
    quick = person(walking(), radius=radius, radius_basis="reach:5.5mps")
    assert build(person(walking())).reach_speed_mps == REACH_MPS
    assert build(person(walking()), quick).reach_speed_mps == 5.5
    slow = person(walking(), radius=radius, radius_basis="reach:1.0mps")
    assert build(slow).reach_speed_mps == REACH_MPS and (build(slow).kind == BoundKind.REACH).all()


def test_without_a_bound_it_is_the_reach_set_about_the_last_pose() -> None:
    poses = walking()
    one = build(person(poses))
    assert (one.kind == BoundKind.REACH).all() and np.isnan(one.coverage).all()
    flesh = body().radii(poses[:1][None], np.ones(1))[0]
    expected = REACH_MPS * DT_S * np.arange(1, STEPS + 1)[:, None] + flesh + 100.0 * DT_S**2 / 8
    np.testing.assert_allclose(one.radius[0], expected, atol=0.002)
    np.testing.assert_allclose(one.ends[0], np.repeat(poses[:1], STEPS, 0)[:, SEGMENT_JOINTS], atol=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1])
def test_a_radius_that_is_none_becomes_the_reach_set_of_that_joint(value: float) -> None:
    radius = np.full((STEPS, N_JOINTS), 0.1)
    radius[10, INDEX["right_hand"]] = value
    one = build(person(walking(), body_radius=radius, body_coverage=0.95))
    assert np.isfinite(one.radius).all() and np.isfinite(one.ends).all()
    hand = SEGMENT_INDEX["right_hand"]
    reach = np.argwhere(one.kind[0] == BoundKind.REACH)
    assert {tuple(r) for r in reach} == {(10, hand), (11, hand)}
    assert np.isnan(one.coverage[0, 10, hand]) and one.radius[0, 10, hand] > REACH_MPS * 11 * DT_S


def test_a_mean_that_is_none_becomes_the_reach_set() -> None:
    poses = walking()
    poses[5, INDEX["head"], 1] = np.nan
    one = build(person(poses, body_radius=np.full((STEPS, N_JOINTS), 0.1), body_coverage=0.95))
    assert np.isfinite(one.radius).all() and np.isfinite(one.ends).all()
    assert (one.kind[0, 4:6, SEGMENT_INDEX["head"]] == BoundKind.REACH).all()


def test_somebody_of_whom_nothing_is_known_looks_like_nothing() -> None:
    one = build(person(np.full((STEPS + 1, N_JOINTS, 3), np.nan)), person(walking(), person_id="2"))
    assert (one.kind[0] == BoundKind.NONE).all() and np.isnan(one.radius[0]).all()
    assert (one.kind[1] == BoundKind.REACH).all() and np.isfinite(one.radius[1]).all()


def test_the_reach_set_of_somebody_lost_counts_from_the_last_sight() -> None:
    now = 5 * NS
    lost = person(
        np.repeat(walking()[:1], STEPS + 1, 0), state=TrackState.STALE, last_observed_ns=now - 2 * NS, age_s=2.0
    )
    seen = dataclasses.replace(lost, last_observed_ns=now)
    np.testing.assert_allclose(build(lost).radius - build(seen).radius, 2.0 * REACH_MPS, atol=1e-5)


def test_beyond_the_intervals_a_runner_goes_on_running() -> None:
    runs = np.repeat(walking()[:1], STEPS + 1, 0) + np.array([6.0 * DT_S, 0, 0]) * np.arange(STEPS + 1)[:, None, None]
    bound = {"body_radius": np.full((STEPS, N_JOINTS), 0.1), "body_coverage": 0.95}
    assert build(person(runs, **bound)).reach_speed_mps == pytest.approx(6.0)
    assert build(person(np.repeat(runs[:1], STEPS + 1, 0), **bound)).reach_speed_mps == REACH_MPS


def test_the_present_body_is_where_the_tracker_says_too() -> None:
    """An id that is suddenly on a body elsewhere is not believed at once; both places count until it is."""
    predictor = Predictor(make_backend("damped_pose", ""), PredictorConfig(), "map")
    frames = list(synthetic.frames(1, 1.0))
    for frame in frames[:-1]:
        predictor.add(frame)
    there = frames[-1].positions + np.array([0.0, 3.0, 0.0])
    predictor.add(dataclasses.replace(frames[-1], positions=there))
    occupancy = OccupancyBuilder(OccupancyConfig()).build(predictor.predict(frames[-1].stamp_ns))
    assert all(Reason.OUTLIER_MASKED in r for r in occupancy.reasons)
    assert outside(there[0], occupancy.body_ends[0], occupancy.body_radius[0]) < 0.0
    assert outside(there[0], occupancy.ends[0, 0], occupancy.radius[0, 0]) < 0.0


def test_a_skeleton_in_another_unit_has_no_bound() -> None:
    bound = {"body_radius": np.full((STEPS, N_JOINTS), 0.1), "body_coverage": 0.95}
    both = build(person(1000.0 * walking(), **bound), person(walking(), person_id="2", **bound))
    assert (both.kind[0] == BoundKind.NONE).all() and np.isnan(both.coverage[0]).all()
    assert (both.kind[1] == BoundKind.SIMULTANEOUS).all() and np.isfinite(both.coverage[1]).all()


def test_unseen_joints_may_be_as_far_as_bones_allow() -> None:
    pose = walking()[:1]
    seen = np.ones((1, N_JOINTS), bool)
    assert not unseen_distance(pose, seen).any()
    seen[0, [INDEX["left_elbow"], INDEX["left_wrist"], INDEX["left_hand"]]] = False
    far = unseen_distance(pose, seen)[0]

    def bone(a: str, b: str) -> float:
        return float(np.linalg.norm(pose[0, INDEX[a]] - pose[0, INDEX[b]]))

    upper, fore = bone("left_shoulder", "left_elbow"), bone("left_elbow", "left_wrist")
    np.testing.assert_allclose(far[INDEX["left_elbow"]], 2 * upper)
    np.testing.assert_allclose(far[INDEX["left_wrist"]], 2 * (upper + fore))
    assert far[INDEX["right_wrist"]] == 0.0
    seen[0, INDEX["left_hand"]] = True  # the hand was seen: the wrist is near it
    assert unseen_distance(pose, seen)[0, INDEX["left_wrist"]] < 2 * bone("left_wrist", "left_hand") + 1e-9
    assert np.isfinite(unseen_distance(pose, np.zeros_like(seen))).all()


def test_a_lost_person_grows_until_it_is_forgotten() -> None:
    config = PredictorConfig(absent_hold_s=3.0, reach_observed_factor=0.0)
    predictor = Predictor(make_backend("damped_pose", ""), config, "map")
    for frame in synthetic.frames(1, 1.0):
        predictor.add(frame)
    last = frame.stamp_ns
    builder = OccupancyBuilder(OccupancyConfig(), config.reach_speed_mps)
    sizes = []
    for ago_s in (0.5, 1.5, 2.5, 3.5):
        occupancy = builder.build(predictor.predict(last + round(ago_s * 1e9)))
        assert occupancy.person_ids and (occupancy.kind == BoundKind.REACH).all()
        sizes.append(float(occupancy.radius[0, 0].min()))
    np.testing.assert_allclose(np.diff(sizes), config.reach_speed_mps, atol=0.01)
    keep_s = config.lost_after_s + config.absent_hold_s
    assert not builder.build(predictor.predict(last + round((keep_s + 0.1) * 1e9))).person_ids


# The body


def test_larger_and_smaller_people_than_the_table() -> None:
    pose = walking()[:1]
    middle = pose.mean(1, keepdims=True)
    seen = np.ones((1, N_JOINTS), bool)
    assert body_scale(pose, seen) == 1.0
    giant, child = middle + 1.45 * (pose - middle), middle + 0.6 * (pose - middle)
    assert 1.1 < body_scale(giant, seen)[0] < 1.5
    assert 0.5 < body_scale(child, seen)[0] < 0.9
    assert body_scale(giant, np.zeros_like(seen)) == 1.0  # no limb was measured
    radius = {"radius": np.zeros((STEPS, N_JOINTS)), "radius_basis": "conformal"}
    usual, large, small = (build(person(np.repeat(p, STEPS + 1, 0), **radius)) for p in (pose, giant, child))
    assert large.body_scale[0] > 1.1 and small.body_scale[0] < 0.9
    thigh = SEGMENT_INDEX["left_thigh"]
    assert large.radius[0, 0, thigh] > 1.1 * usual.radius[0, 0, thigh] - 0.02
    np.testing.assert_allclose(small.radius[0, 0, thigh], usual.radius[0, 0, thigh], atol=1e-5)


def test_hands_and_head_reach_to_their_ends() -> None:
    poses = walking()[:1][None]
    one = body(clothing_m=0.0)
    radii = one.radii(poses, np.ones(1))[0]
    for part, length in (("hand", 0.218), ("foot", 0.75 * 0.302)):
        start, end = SEGMENT_JOINTS[SEGMENT_INDEX[f"left_{part}"]]
        bone = np.linalg.norm(poses[0, 0, end] - poses[0, 0, start])
        assert bone + radii[SEGMENT_INDEX[f"left_{part}"]] >= length - 1e-9
    tool = body(clothing_m=0.0, carried_object_m=0.4).radii(poses, np.ones(1))[0] - radii
    hands = [SEGMENT_INDEX["left_hand"], SEGMENT_INDEX["right_hand"]]
    np.testing.assert_allclose(tool[hands], 0.4)
    assert not np.delete(tool, hands).any()
    assert (body("ansur2_p99").radius_m >= body("ansur2_p50").radius_m).all()
    with pytest.raises(ValueError, match="anthropometry is 'x': expected one of ansur2_p50"):
        body("x")
    assert len(SEGMENTS) == len(set(SEGMENTS)) == N_JOINTS - 1


# Intervals and the wire


def test_intervals_that_do_not_fit_end_before_the_horizon() -> None:
    one = build(person(walking()), occupancy_interval_s=0.4)
    assert one.intervals == 2 and one.interval_s == pytest.approx(0.4)
    assert build(person(walking()), occupancy_interval_s=1.0).intervals == 1
    assert build().intervals == STEPS and build().ends.shape == (0, STEPS, len(SEGMENTS), 2, 3)


def as_message(fields: dict) -> SimpleNamespace:
    """Nested dicts as an object with attributes."""
    made = {
        k: as_message(v) if isinstance(v, dict) else [as_message(x) for x in v] if k == "people" else v
        for k, v in fields.items()
    }
    return SimpleNamespace(**made)


def test_over_the_wire_and_back() -> None:
    radius = np.full((STEPS, N_JOINTS), 0.1)
    radius[3, 3] = np.nan
    sent = build(person(walking(), body_radius=radius, body_coverage=0.95), person(walking(3.0), person_id="2"))
    got = occupancy_from_message(as_message(occupancy_fields(sent)))
    for field in dataclasses.fields(sent):
        np.testing.assert_array_equal(getattr(got, field.name), getattr(sent, field.name), field.name)
    assert occupancy_from_message(as_message(occupancy_fields(build()))).person_ids == ()


def test_a_damaged_message_is_named() -> None:
    message = as_message(occupancy_fields(build(person(walking()))))
    message.people[0].radius = message.people[0].radius[:-1]
    with pytest.raises(MessageError, match="field radius has 474 values: expected 25 x 19 = 475"):
        occupancy_from_message(message)
    message = as_message(occupancy_fields(build(person(walking()))))
    message.people[0].state = 99
    with pytest.raises(MessageError, match="state 99 is unknown"):
        occupancy_from_message(message)


@pytest.mark.parametrize(
    ("field", "value"), [("interval_s", 0.0), ("interval_s", np.nan), ("reach_speed_mps", -1.0), ("intervals", 0)]
)
def test_a_message_that_would_say_less_than_it_must_is_named(field: str, value: float) -> None:
    message = as_message(occupancy_fields(build(person(walking()))))
    setattr(message, field, value)
    if field == "intervals":
        for name in ("ends", "radius", "kind", "coverage"):
            setattr(message.people[0], name, getattr(message.people[0], name)[:0])
    with pytest.raises(MessageError, match=f"{field} (is|are) .*, expected"):
        occupancy_from_message(message)


# Geometry


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_distances_are_those_of_many_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(4, 2, 3)), rng.normal(size=(3, 2, 3))
    a[0, 1] = a[0, 0]  # a sphere
    b[0] = a[1] + rng.normal(size=3)  # parallel
    b[1, 1] = b[1, 0]
    distance, s, t = nearest(a, b)
    w = np.linspace(0, 1, 101)[:, None]
    for i in range(len(a)):
        for j in range(len(b)):
            p, q = a[i, 0] + w * (a[i, 1] - a[i, 0]), b[j, 0] + w * (b[j, 1] - b[j, 0])
            sampled = np.linalg.norm(p[:, None] - q, axis=-1).min()
            assert distance[i, j] <= sampled + 1e-9 and distance[i, j] >= sampled - 0.1
            at = a[i, 0] + s[i, j] * (a[i, 1] - a[i, 0]) - b[j, 0] - t[i, j] * (b[j, 1] - b[j, 0])
            assert np.linalg.norm(at) == pytest.approx(distance[i, j], abs=1e-9)


def test_voxels_hold_the_capsules_and_little_more() -> None:
    rng = np.random.default_rng(1)
    ends, radius = rng.uniform(-1, 1, (40, 2, 3)) + (0, 0, 1.5), rng.uniform(0.05, 0.4, 40)
    size = 0.1
    cells, used = voxels(ends, radius, size, 0.0, 3.0)
    assert used == size and len(np.unique(cells, axis=0)) == len(cells)
    which = rng.integers(40, size=5000)
    way = rng.normal(size=(5000, 3))
    way *= (radius[which] * rng.random(5000) ** (1 / 3) / np.linalg.norm(way, axis=1))[:, None]
    points = ends[which, 0] + rng.random((5000, 1)) * (ends[which, 1] - ends[which, 0]) + way
    points = points[(points[:, 2] > 0.0) & (points[:, 2] < 3.0)]
    keys = {tuple(c) for c in np.floor(cells / size).astype(int)}
    assert {tuple(c) for c in np.floor(points / size).astype(int)} <= keys
    assert outside(cells.astype(float), ends, radius) < size * (np.sqrt(3) / 2 + 0.26)
    assert voxels(ends, radius, 0.01, 0.0, 3.0, most=100_000)[1] > 0.01
    assert not len(voxels(np.zeros((0, 2, 3)), np.zeros(0), 0.1, 0.0, 1.0)[0])
    assert not len(voxels(ends, radius, 0.1, 90.0, 91.0)[0])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_no_pair_that_is_nearest_is_left_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(24, 2, 3)), rng.normal(size=(5, 2, 3))
    a_radius, b_radius = rng.uniform(0.05, 0.8, 24), rng.uniform(0.05, 0.3, 5)
    least = (nearest(a, b)[0] - a_radius[:, None] - b_radius).reshape(4, 30)
    of, to = maybe_nearest(a, a_radius, b, b_radius, 6)
    found = np.full((4, 30), np.inf)
    distance, s, t = nearest_pairs(a[of], b[to])
    found.reshape(-1)[of * 5 + to] = distance - a_radius[of] - b_radius[to]
    np.testing.assert_allclose(found.min(1), least.min(1), atol=1e-12)
    assert (found.argmin(1) == least.argmin(1)).all()
    far = a + np.arange(24)[:, None, None]  # side by side, along a diagonal
    assert len(maybe_nearest(far, a_radius, b, b_radius, 6)[0]) < 100
    whole = nearest(a, b)
    np.testing.assert_allclose((s, t), (whole[1][of, to], whole[2][of, to]), atol=1e-9)


def test_what_is_not_finite_is_never_left_out() -> None:
    a = np.zeros((2, 2, 3))
    a[1, 0, 0] = np.nan
    of, _ = maybe_nearest(a, np.ones(2), np.ones((3, 2, 3)), np.ones(3), 2)
    assert (of == 1).sum() == 3, "a distance that is no number stops the robot"
