# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The path from frames to predictions: states, reasons, and input that is not as it should be."""

from __future__ import annotations

import numpy as np
import pytest
from support.core_helpers import MODEL, motion

from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.normalise import Heading, denormalise_scale, find_heading
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.types import Reason, SkeletonFrame, TrackState

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
COCO = [
    "head",
    *(f"{s}_{j}" for s in ("left", "right") for j in "shoulder elbow wrist hip knee ankle".split()),
]


def frame(t: float, people=("a",), missing=(), positions=None, frame_id="map") -> SkeletonFrame:
    """All people in the pose of `motion` at t seconds, a metre apart."""
    n = len(people)
    x = motion([t])[0] + np.arange(n)[:, None, None] * np.array([0.0, 1.0, 0.0]) if positions is None else positions
    status = np.full((n, 20), JointStatus.OBSERVED, np.uint8)
    status[:, list(missing)] = JointStatus.MISSING
    return SkeletonFrame(T0 + round(t * NS), frame_id, tuple(people), x, status, np.ones((n, 20), np.float32))


def make(name="damped_pose", **config) -> Predictor:
    return Predictor(make_backend(name, MODEL), PredictorConfig(**{"reach_observed_factor": 0.0, **config}), "map")


def feed(predictor: Predictor, until: float = 0.6, rate: float = 30.0, **kwargs) -> None:
    for k in range(round(until * rate) + 1):
        predictor.add(frame(k / rate, **kwargs))


def now(t: float) -> int:
    return T0 + round(t * NS)


def only(predictor: Predictor, t: float):
    (person,) = predictor.predict(now(t)).people
    assert np.isfinite(person.mean).all() and np.isfinite(person.recovered).all()
    return person


def test_without_a_calibration_table_a_tracked_person_carries_the_reach_set_around_the_mean():
    backend = make_backend("onnx", MODEL)
    backend.calibration = None
    p = Predictor(backend, PredictorConfig(reach_observed_factor=0.0), "map")
    feed(p)
    person = only(p, 0.61)
    assert person.state is TrackState.TRACKING
    assert person.reasons == Reason.UNCALIBRATED
    assert person.radius_basis == "reach:2.0mps" and np.isnan(person.radius_coverage)
    away = np.linalg.norm(person.mean - person.recovered, axis=-1)
    assert np.allclose(person.radius, away + 2.0 * 0.04 * np.arange(1, 26)[:, None])
    assert person.body_radius is None and "training.calibrate" in p.uncalibrated_because
    assert person.stamp_ns == person.last_observed_ns == now(0.6)
    assert person.age_s == pytest.approx(0.01, abs=1e-6)
    assert person.valid_until_ns == now(1.6)
    assert person.mean.shape == (25, 20, 3)
    assert np.allclose(person.recovered, motion([0.6])[0], atol=1e-5)
    truth = motion(0.6 + 0.04 * np.arange(1, 26))
    assert np.linalg.norm(person.mean - truth, axis=-1)[4].mean() < 0.15


def test_a_new_person_is_only_bounded():
    p = make()
    p.add(frame(0.0))
    p.add(frame(0.05))
    person = only(p, 0.05)
    assert person.state is TrackState.WARMING_UP and Reason.SHORT_HISTORY in person.reasons
    assert person.radius_basis == "reach:2.0mps"
    assert np.allclose(person.radius[:, 0], 2.0 * 0.04 * np.arange(1, 26))
    assert np.allclose(person.mean, person.recovered)


def test_silence_makes_a_person_stale_then_absent_with_a_growing_bound_then_forgotten():
    p = make(absent_hold_s=3.0)
    feed(p)
    stale, absent, later = only(p, 1.0), only(p, 2.0), only(p, 4.0)
    assert (stale.state, absent.state) == (TrackState.STALE, TrackState.ABSENT)
    assert Reason.INPUT_OLD in stale.reasons
    assert stale.stamp_ns == now(1.0) and stale.last_observed_ns == now(0.6)
    assert stale.radius[0, 0] == pytest.approx(2.0 * 0.44)
    assert later.radius[0, 0] - absent.radius[0, 0] == pytest.approx(4.0)
    assert p.predict(now(4.7)).people == ()


def test_an_empty_frame_says_nobody_and_forgets_nobody():
    p = make()
    assert p.predict(now(0.0)).people == ()
    feed(p)
    p.add(SkeletonFrame(now(0.65), "map", (), np.zeros((0, 20, 3)), np.zeros((0, 20), np.uint8), np.zeros((0, 20))))
    assert only(p, 0.66).state is TrackState.TRACKING


@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf, 1e30])
def test_joints_that_are_no_numbers_count_as_missing(junk):
    p, other = make("onnx"), make("onnx")
    joint = INDEX["left_wrist"]
    for k in range(20):
        f = frame(k / 30)
        f.positions[0, joint] = junk
        p.add(f)
        other.add(frame(k / 30, missing=[joint]))
    person = only(p, 0.64)
    assert p.counters["non_finite_or_absurd_joints"] == 20
    assert person.joint_status[joint] == JointStatus.MISSING
    assert Reason.IMPUTED in person.reasons
    assert np.array_equal(person.mean, only(other, 0.64).mean)


def test_a_person_with_two_joints_is_degraded():
    p = make("onnx")
    keep = {INDEX["left_wrist"], INDEX["head"]}
    feed(p, missing=[j for j in range(20) if j not in keep])
    person = only(p, 0.6)
    assert person.state is TrackState.DEGRADED
    assert Reason.FEW_JOINTS in person.reasons and Reason.IMPUTED in person.reasons


def test_a_person_without_any_joint_is_not_invented():
    p = make()
    feed(p, missing=range(20))
    assert p.predict(now(0.6)).people == ()
    assert p.counters["person_without_joints"] == 19


def test_joints_that_a_coco_tracker_lacks_are_derived_or_imputed():
    p = make("onnx")
    keep = {INDEX[n] for n in COCO}
    feed(p, missing=[j for j in range(20) if j not in keep])
    person = only(p, 0.6)
    assert person.state is TrackState.TRACKING and Reason.IMPUTED in person.reasons
    assert person.joint_status[INDEX["pelvis"]] == JointStatus.DERIVED
    assert person.joint_status[INDEX["neck"]] == JointStatus.DERIVED
    assert person.joint_status[INDEX["spine"]] == JointStatus.MISSING


def test_sixty_people_are_all_predicted():
    p = make("onnx")
    names = [f"p{k}" for k in range(60)]
    feed(p, people=names)
    people = p.predict(now(0.6)).people
    assert [x.person_id for x in people] == names
    assert all(x.state is TrackState.TRACKING and np.isfinite(x.mean).all() for x in people)
    alone = make("onnx")
    feed(alone)
    assert np.abs(people[0].mean - only(alone, 0.6).mean).max() < 1e-4


def test_more_people_than_allowed_are_counted_and_those_known_are_kept():
    p = make(max_people=2)
    feed(p, people=["a", "b"])
    shift = np.array([2.0, 0.0, 1.0])[:, None, None] * np.array([0.0, 1.0, 0.0])
    p.add(frame(0.65, people=["c", "a", "b"], positions=motion([0.65])[0] + shift))
    assert {x.person_id for x in p.predict(now(0.65)).people} == {"a", "b"}
    assert p.counters["people_over_limit"] == 1


def test_a_new_person_takes_the_place_of_one_who_is_lost():
    p = make(max_people=1)
    feed(p)
    p.add(frame(3.0, people=["b"]))
    assert [x.person_id for x in p.predict(now(3.0)).people] == ["b"]


def test_who_was_seen_and_has_no_place_is_overlooked_for_as_long_as_a_lost_person_is_kept():
    keep_s = 3.0
    p = make(max_people=1, absent_hold_s=keep_s - 1.0)
    feed(p)
    p.predict(now(0.6))
    assert p.overlooked_until_ns is None
    p.add(frame(0.65, people=["a", "b"], positions=motion([0.65, 0.65]) + np.array([[[0.0]], [[2.0]]])))
    assert p.overlooked_until_ns == now(0.65 + keep_s)
    p.add(frame(3.0))
    p.predict(now(3.0))
    assert p.overlooked_until_ns is not None
    p.predict(now(0.7 + keep_s))
    assert p.overlooked_until_ns is None
    p.add(frame(5.5, people=["c"]))  # takes the place of a, who was seen last at 3.0
    p.predict(now(5.5))
    assert p.overlooked_until_ns == now(3.0 + keep_s) and p.counters["people_displaced"] == 1
    p.reset()
    assert p.overlooked_until_ns is None


def test_somebody_with_stamps_of_another_clock_is_overlooked_not_gone():
    p = make()
    feed(p)
    assert not p.predict(now(100.0)).people
    assert p.overlooked_until_ns is not None and p.counters["stamp_too_old"] == 1
    p.predict(now(102.0))
    assert p.overlooked_until_ns is None


def test_stamps_out_of_order_give_the_same_prediction():
    p, shuffled = make("onnx"), make("onnx")
    order = np.arange(20)
    order[4:18] = order[4:18].reshape(7, 2)[:, ::-1].ravel()
    for k in range(20):
        p.add(frame(k / 30))
        shuffled.add(frame(order[k] / 30))
    assert np.allclose(only(p, 0.64).mean, only(shuffled, 0.64).mean, atol=1e-6)
    assert shuffled.counters["stamp_reordered"] == 7


def test_two_messages_with_one_stamp_are_merged():
    p = make()
    feed(p, until=0.5)
    left = [INDEX["left_wrist"], INDEX["left_hand"]]
    p.add(frame(0.52, missing=left))
    p.add(frame(0.52))
    person = only(p, 0.52)
    assert p.counters["stamp_merged"] == 1
    assert (person.joint_status == JointStatus.OBSERVED).all()
    before = person.mean
    p.add(frame(0.52, positions=motion([0.52])[:1] + 5.0))  # what was seen first is kept
    assert np.array_equal(only(p, 0.52).mean, before)


def test_a_jump_back_in_time_starts_the_track_anew():
    p = make()
    feed(p, until=5.0)
    p.add(frame(0.0))
    person = only(p, 0.0)
    assert p.counters["stamp_reset"] == 1
    assert person.state is TrackState.WARMING_UP and Reason.STAMP_JUMP in person.reasons
    feed(p, until=0.6)
    assert only(p, 0.6).state is TrackState.TRACKING


def test_a_late_delivery_moves_the_held_pose_with_its_bound():
    """What arrives late, and newer than what was predicted, is what the bound counts from."""
    p = make()
    feed(p)
    p.predict(now(0.6))
    p.add(frame(0.9))
    person = only(p, 1.5)  # 0.6 s old when it is first looked at
    assert person.state is TrackState.STALE and person.last_observed_ns == now(0.9)
    away = np.linalg.norm(person.recovered - motion([0.9])[0], axis=-1)
    assert away.max() < 1e-4
    assert person.radius[0, 0] == pytest.approx(2.0 * (0.6 + 0.04))


@pytest.mark.parametrize(("ahead_s", "counter"), [(30.0, "stamp_in_the_future"), (-30.0, "stamp_too_old")])
def test_a_tracker_whose_clock_is_not_ours_is_counted(ahead_s, counter):
    p = make()
    for k in range(20):
        p.add(frame(ahead_s + k / 30))
        p.predict(now(k / 30))
    assert p.predict(now(0.7)).people == ()
    assert p.counters[counter] == 20


def test_stamps_a_little_ahead_are_not_forgotten():
    p = make()
    feed(p)
    assert only(p, -0.3).last_observed_ns == now(0.6)
    assert p.predict(now(-0.5)).people == ()


def test_the_bound_of_a_hidden_joint_counts_from_its_own_last_sight():
    p = make(reach_speed_mps=2.0)
    hand, foot = INDEX["left_hand"], INDEX["left_foot"]
    for k in range(31):
        f = frame(k / 30, missing=[hand] if k > 15 else [])
        f.status[0, foot] = JointStatus.TRACKER_PREDICTED  # a guess is no sight
        p.add(f)
    person = only(p, 1.5)
    assert person.radius[0, 0] == pytest.approx(2.0 * (0.5 + 0.04))
    assert person.radius[0, hand] == pytest.approx(2.0 * (0.5 + 0.5 + 0.04))
    assert person.radius[0, foot] == pytest.approx(1.5 + 2.0 * (0.5 + 0.04))  # as far as limbs are long


@pytest.mark.parametrize(("rate", "jitter"), [(5, 0.0), (5, 0.01), (6, 0.005), (8, 0.01), (10, 0.015), (120, 0.001)])
def test_slow_and_fast_trackers_are_tracked(rate, jitter):
    p = make("onnx")
    rng = np.random.default_rng(0)
    states = []
    for k in range(4 * rate):
        t = k / rate + float(np.clip(rng.normal(0.0, jitter), -2 * jitter, 2 * jitter))
        p.add(frame(t))
        if t > 1.0:
            states.append(only(p, t + 0.05).state)
    assert set(states) == {TrackState.TRACKING}


def test_history_longer_than_the_window_is_not_waited_for():
    p = make(min_history_s=1.0)
    feed(p)
    assert only(p, 0.6).state is TrackState.TRACKING


def test_two_skeletons_of_one_id_are_said():
    p = make()
    feed(p)
    f = frame(0.62, people=["a", "a"], positions=np.repeat(motion([0.62]), 2, axis=0))
    f.status[0, 3:] = JointStatus.MISSING
    p.add(f)
    person = only(p, 0.62)
    assert p.counters["duplicate_person_id"] == 1
    assert person.state is TrackState.DEGRADED and Reason.DUPLICATE_ID in person.reasons
    assert (person.joint_status != JointStatus.MISSING).all()  # the fuller one was taken


def test_z_pointing_down_is_never_predicted_surely():
    p = make("onnx")
    for k in range(40):
        p.add(frame(k / 30, positions=motion([k / 30]) * np.array([1.0, -1.0, -1.0])))
    person = only(p, 1.3)
    assert Reason.NOT_Z_UP in person.reasons and person.state is TrackState.DEGRADED
    assert person.radius is not None and person.radius_basis.startswith("reach")
    assert p.counters["not_z_up"] == 40


def test_upside_down_is_said_after_half_a_second_and_not_forgotten_with_the_feet():
    p, flip = make(), np.array([1.0, -1.0, -1.0])
    feet = [INDEX[f"{s}_{j}"] for s in ("left", "right") for j in ("ankle", "foot")]
    for k in range(20):
        p.add(frame(k / 30, positions=motion([k / 30]) * flip, missing=feet if k % 3 else ()))
        said = Reason.NOT_Z_UP in only(p, k / 30).reasons
        assert said == (k / 30 >= 0.5)
    for k in range(20, 23):  # nobody turns over within a frame: believed the third time
        p.add(frame(k / 30))
    people = {x.person_id: x for x in p.predict(now(22 / 30)).people}
    assert Reason.NOT_Z_UP not in people["a"].reasons
    assert set(people) == {"a", "a~"}  # who was two metres below is unseen now


def test_a_frame_of_another_coordinate_frame_is_refused():
    with pytest.raises(ValueError, match="expected positions in 'map', got 'camera'"):
        make().add(frame(0.0, frame_id="camera"))


def test_a_gap_in_the_window_is_said():
    p = make()
    for k in [*range(0, 10), *range(18, 20)]:
        p.add(frame(k / 30))
    person = only(p, 19 / 30)
    assert person.state is TrackState.DEGRADED and Reason.INPUT_GAP in person.reasons


def test_ten_hz_input_is_tracked():
    p = make("onnx")
    feed(p, rate=10.0)
    assert only(p, 0.6).state is TrackState.TRACKING


def test_output_that_is_no_number_becomes_the_bound():
    p = make("zero_velocity")
    p.backend.infer = lambda v, m: (np.full((len(v), 25, 20, 3), np.nan, np.float32), np.array(v), None)
    feed(p)
    person = only(p, 0.6)
    assert Reason.NON_FINITE_OUTPUT in person.reasons and person.radius is not None
    assert p.counters["non_finite_output"] == 1


def test_predictions_are_made_once_for_each_observation():
    p = make("onnx")
    calls = []
    infer = p.backend.infer
    p.backend.infer = lambda v, m: (calls.append(len(v)), infer(v, m))[1]
    feed(p, people=["a", "b"])
    for _ in range(3):
        p.predict(now(0.62))
    assert calls == [2]


def test_a_long_stream_keeps_its_memory():
    p = make("zero_velocity")
    for k in range(3000):
        p.add(frame(k / 120))
    track = p.people.known["a"].track
    assert 160 <= len(track) <= 320
    assert np.all(np.diff(track.stamps_ns) > 0)
    assert only(p, 25.0).state is TrackState.TRACKING


def test_configuration_that_contradicts_itself_is_refused():
    with pytest.raises(ValueError, match="lost_after_s"):
        PredictorConfig(stale_after_s=2.0, lost_after_s=1.0)


def test_unknown_backend_names_the_choices():
    with pytest.raises(ValueError, match="choose onnx, .*tensorrt, .*zero_velocity"):
        make_backend("magic")


def test_the_scale_comes_along_the_fixed_frames_axes_and_only_with_a_prediction():
    heading = find_heading(motion([0.0])[None], np.ones((1, 1, 20), bool))
    p = make("onnx")
    infer = p.backend.infer

    def along_the_heading(values, mask):
        future, recovered, _ = infer(values, mask)
        return future, recovered, np.broadcast_to(np.float32([0.3, 0.1, 0.2]), future.shape)

    p.backend.infer = along_the_heading
    p.add(frame(0.0))
    assert only(p, 0.01).scale is None  # warming up: the mean is no prediction
    feed(p, positions=motion([0.0]))
    person = only(p, 0.61)
    c, s = np.cos(heading.yaw[0]) ** 2, np.sin(heading.yaw[0]) ** 2
    expected = np.sqrt([c * 0.09 + s * 0.01, s * 0.09 + c * 0.01, 0.04])
    assert person.scale.shape == (25, 20, 3) and np.allclose(person.scale, expected, atol=1e-4)
    turned = denormalise_scale(np.float32([[0.3, 0.1, 0.2]]), Heading(np.zeros((1, 3)), np.array([np.pi / 2])))
    assert np.allclose(turned, [[0.1, 0.3, 0.2]], atol=1e-6)


def test_a_scale_that_is_no_number_is_left_out_and_the_mean_stays():
    p = make("onnx")
    infer = p.backend.infer
    p.backend.infer = lambda v, m: (*infer(v, m)[:2], np.full((len(v), 25, 20, 3), np.nan, np.float32))
    feed(p)
    person = only(p, 0.61)
    assert person.scale is None and person.state is TrackState.TRACKING
