# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Switched, doubled and reused ids, exchanged sides, joints that jump; on real recordings too."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.core_helpers import MODEL, motion

from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.continuity import Continuity
from aux_motion_core.history.limits import JOINT_LIMITS_MPS
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, MIRROR, JointStatus
from aux_motion_core.types import Reason, SkeletonFrame, TrackState

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
HAND = INDEX["right_hand"]
PREDICTED = (TrackState.TRACKING, TrackState.DEGRADED)
BACKEND = make_backend("damped_pose", MODEL)


def make(**config) -> Predictor:
    return Predictor(BACKEND, PredictorConfig(**{"reach_observed_factor": 0.0, **config}), "map")


def at(t: float) -> int:
    return T0 + round(t * NS)


def body(t: float, place=(0.0, 0.0), seed: int = 0) -> np.ndarray:
    """(20, 3): a walking person, moved by `place`."""
    return motion([t], seed)[0] + np.array([*place, 0.0])


def frame(t: float, people: dict[str, np.ndarray], status: np.ndarray | None = None) -> SkeletonFrame:
    n = len(people)
    x = np.stack(list(people.values())) if n else np.zeros((0, 20, 3))
    status = np.full((n, 20), JointStatus.OBSERVED, np.uint8) if status is None else status
    return SkeletonFrame(at(t), "map", tuple(people), x, status, np.ones((n, 20), np.float32))


def people_at(predictor: Predictor, t: float) -> dict:
    people = {p.person_id: p for p in predictor.predict(at(t)).people}
    for p in people.values():
        assert np.isfinite(p.mean).all() and (p.radius is None or (np.isfinite(p.radius) & (p.radius >= 0.0)).all())
    return people


def holds(person, joint: int, place: np.ndarray) -> bool:
    """Whether the joint's sphere holds a place, at every step."""
    return bool((np.linalg.norm(person.mean[:, joint] - place, axis=-1) <= person.radius[:, joint] + 1e-6).all())


# Switched ids


@pytest.mark.parametrize("rate", [10.0, 30.0, 120.0])
def test_switched_ids_leave_every_body_its_history(rate):
    plain, switched = make(), make()
    for k in range(round(1.2 * rate)):
        t = k / rate
        a, b = body(t), body(t, (0.0, 1.0), 1)
        plain.add(frame(t, {"1": a, "2": b}))
        switched.add(frame(t, {"1": a, "2": b} if t < 0.6 else {"1": b, "2": a}))
        for p in (plain, switched):
            last = people_at(p, t)
            assert len(last) == 2
            if p is plain:
                expected = last
        if t >= 0.6:
            assert np.array_equal(last["2"].mean, expected["1"].mean)
            assert np.array_equal(last["1"].mean, expected["2"].mean)
            assert all(Reason.ID_RELINKED in x.reasons for x in last.values())
    assert plain.counters["id_relinked"] == 0 and switched.counters["id_relinked"] == 2


@given(
    orders=st.lists(st.permutations(["1", "2", "3"]), min_size=6, max_size=6),
    rate=st.sampled_from([10.0, 25.0, 60.0]),
    missing=st.integers(0, 2**31),
)
@settings(max_examples=25, deadline=None)
def test_however_ids_are_permuted_predictions_stay_with_the_bodies(orders, rate, missing):
    plain, switched = make(), make()
    rng = np.random.default_rng(missing)
    for k in range(round(1.5 * rate)):
        t = k / rate
        bodies = [body(t, (0.0, 1.5 * i), i) for i in range(3)]
        names = ["1", "2", "3"] if t < 0.3 else orders[min(int((t - 0.3) / 0.2), 5)]
        status = np.where(rng.random((3, 20)) < 0.15, JointStatus.MISSING, JointStatus.OBSERVED).astype(np.uint8)
        plain.add(frame(t, dict(zip("123", bodies, strict=True)), status))
        switched.add(frame(t, dict(zip(names, bodies, strict=True)), status))
    expected, got = people_at(plain, t), people_at(switched, t)
    assert set(got) == {"1", "2", "3"}
    for name, own in zip(names, "123", strict=True):
        assert np.array_equal(got[name].mean, expected[own].mean)


@pytest.mark.parametrize("gap_s", [0.04, 0.2, 0.3])
def test_a_body_that_comes_back_under_another_id_keeps_its_history(gap_s):
    p = make()
    for k in range(20):
        p.add(frame(k / 25, {"1": body(k / 25)}))
    t = 0.76 + gap_s
    p.add(frame(t, {"7": body(t)}))
    people = people_at(p, t)
    assert set(people) == {"7"} and people["7"].state in PREDICTED
    assert Reason.ID_RELINKED in people["7"].reasons
    for k in range(30):
        p.add(frame(t + k / 25, {"7": body(t + k / 25)}))
    assert Reason.ID_RELINKED not in people_at(p, t + 29 / 25)["7"].reasons, "said for a second"


def elsewhere(t):
    return {"7": body(t, (0.0, 1.2))}


def crouching(t):
    return {"7": body(t) * np.array([1.0, 1.0, 0.35])}


def two_of_them(t):
    return {"7": body(t, (0.0, 0.11)), "8": body(t, (0.0, -0.11))}


@pytest.mark.parametrize("what", [elsewhere, crouching, two_of_them])
def test_without_a_clear_match_the_history_starts_anew_and_the_lost_one_is_not_gone(what):
    p = make(confirm_frames=1)
    for k in range(20):
        p.add(frame(k / 25, {"1": body(k / 25)}))
    p.add(frame(0.85, what(0.85)))
    people = people_at(p, 1.2)
    assert set(people) == {"1", *what(0.0)}
    assert p.counters["id_relinked"] == 0
    assert people["1"].state is TrackState.STALE and people["1"].radius is not None
    assert all(Reason.SHORT_HISTORY in people[i].reasons for i in what(0.0))


def test_another_pose_at_the_place_is_another_body():
    p, x = make(), body(0.0)
    for k in range(20):
        p.add(frame(k / 25, {"1": x}))
    centre = x.mean(0)
    other = (x - centre) * np.array([-1.0, -1.0, 0.4]) + centre  # faces the other way, and crouches
    p.add(frame(1.36, {"7": other}))
    assert set(people_at(p, 1.36)) == {"1", "7"}
    assert p.counters["id_relinked"] == 0
    q = make()
    for k in range(20):
        q.add(frame(k / 25, {"1": x}))
    q.add(frame(1.36, {"7": x}))
    assert set(people_at(q, 1.36)) == {"7"}, "in its own pose it is the same"


def test_too_late_or_not_wanted_is_not_relinked():
    for config, late in (({}, 1.1), ({"relink_within_s": 0.0}, 0.1)):
        p = make(**config)
        for k in range(20):
            p.add(frame(k / 25, {"1": body(0.0)}))
        p.add(frame(0.76 + late, {"7": body(0.0)}))
        assert set(people_at(p, 0.76 + late)) == {"1", "7"}
        assert p.counters["id_relinked"] == 0


def test_two_people_who_cross_closely_keep_their_ids():
    p = make()
    for k in range(61):
        t = k / 30
        p.add(frame(t, {"1": body(0.0, (1.2 * (t - 1.0), 0.0)), "2": body(0.0, (1.2 * (1.0 - t), 0.35))}))
    people = people_at(p, 2.0)
    assert p.counters["id_relinked"] == p.counters["outlier_masked"] == p.counters["id_reused"] == 0
    assert people["1"].mean[-1, 0, 0] > people["1"].recovered[0, 0] + 0.5
    assert people["2"].mean[-1, 0, 0] < people["2"].recovered[0, 0] - 0.5


# Reused ids


def test_who_leaves_while_another_comes_with_the_same_id_is_unseen_not_gone():
    p, far = make(), (0.0, 5.0)
    for k in range(30):
        p.add(frame(k / 30, {"1": body(k / 30)}))
    before = people_at(p, 29 / 30)["1"].recovered
    for k in range(30, 32):
        p.add(frame(k / 30, {"1": body(k / 30, far)}))
        person = people_at(p, k / 30)["1"]
        assert Reason.OUTLIER_MASKED in person.reasons and person.radius_basis.startswith("reach")
        for j in range(20):
            assert holds(person, j, body(k / 30, far)[j]) and holds(person, j, before[j])
    for k in range(32, 60):
        p.add(frame(k / 30, {"1": body(k / 30, far)}))
        people = people_at(p, k / 30)
        assert set(people) == {"1", "1~"}
        assert np.allclose(people["1"].recovered, body(k / 30, far))
    assert people["1"].state in PREDICTED
    left = people["1~"]
    assert left.state is TrackState.STALE and np.allclose(left.recovered, before)
    assert left.radius[0, 0] >= 2.0 * (30 / 30 + 0.04) - 1e-6
    assert p.counters["id_reused"] == 1
    p.predict(at(20.0))
    assert people_at(p, 20.0) == {}


def test_a_body_that_was_shown_elsewhere_for_a_while_has_its_history_back():
    p = make()
    for k in range(50):
        far = 20 <= k < 30
        p.add(frame(k / 30, {"1": body(k / 30, (0.0, 6.0) if far else (0.0, 0.0))}))
    people = people_at(p, 49 / 30)
    assert people["1"].state in PREDICTED and Reason.SHORT_HISTORY not in people["1"].reasons
    assert np.allclose(people["1"].recovered, body(49 / 30))
    assert set(people) == {"1", "1~"} and people["1~"].recovered[0, 1] > 4.0  # what was there may be somebody


# Two ids on one body


def test_two_ids_on_one_body_are_one_person():
    p = make()
    rng = np.random.default_rng(0)
    for k in range(40):
        t = k / 30
        people = {"1": body(t), "2": body(t) + rng.normal(0.0, 0.03, (20, 3))}
        p.add(frame(t, people if k >= 10 else {"1": people["1"]}))
        last = people_at(p, t)
        assert set(last) == {"1"}
    assert Reason.DUPLICATE_ID in last["1"].reasons and last["1"].state is TrackState.DEGRADED
    assert p.counters["duplicate_body_merged"] == 30
    for k in range(40, 100):  # another person after all, who steps away
        t = k / 30
        p.add(frame(t, {"1": body(t), "2": body(t, (0.0, 0.03 * (k - 40)))}))
    people = people_at(p, t)
    assert set(people) == {"1", "2"} and people["2"].state in PREDICTED
    assert not any(Reason.DUPLICATE_ID in x.reasons for x in people.values())


def test_bodies_too_close_to_be_two_but_not_surely_one_are_flagged():
    p = make()
    for k in range(20):
        p.add(frame(k / 30, {"1": body(k / 30), "2": body(k / 30, (0.0, 0.16))}))
    people = people_at(p, 19 / 30)
    assert len(people) == 2
    assert all(Reason.DUPLICATE_ID in x.reasons and x.state is TrackState.DEGRADED for x in people.values())


def test_a_person_whose_skeleton_slides_onto_anothers_body_is_unseen_not_gone():
    p = make()
    for k in range(60):
        away = max(0.0, 1.0 - k / 30)
        p.add(frame(k / 30, {"1": body(0.0), "2": body(0.0, (0.0, away))}))
    people = people_at(p, 59 / 30)
    assert set(people) == {"1", "2"}
    assert people["2"].state in (TrackState.STALE, TrackState.ABSENT) and people["2"].radius is not None


def test_a_joint_that_two_skeletons_of_a_body_put_elsewhere_has_a_bound_that_holds_both():
    for same_message in (True, False):
        p = make()
        for k in range(20):
            t = k / 30
            other = body(t)
            other[HAND] += (0.0, 0.0, 0.8)
            p.add(frame(t, {"1": body(t), "2": other} if same_message else {"1": body(t)}))
            if not same_message:
                p.add(frame(t, {"1": other}))  # another camera, the same stamp
            person = people_at(p, t)["1"]
            assert Reason.OUTLIER_MASKED in person.reasons
            assert holds(person, HAND, other[HAND]) and holds(person, HAND, body(t)[HAND])


def test_two_cameras_with_ids_of_their_own_for_one_body_are_one_person():
    p = make()
    for k in range(60):
        t = k / 60
        p.add(frame(t, {"left_1" if k % 2 else "right_4": body(t) + 0.02 * (k % 2)}))
    people = people_at(p, 59 / 60)
    assert len(people) == 1 and next(iter(people.values())).state in PREDICTED
    assert p.counters["id_relinked"] <= 2


# Left and right


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_exchanged_sides_are_exchanged_back(rate):
    plain, swapped = make(), make()
    for k in range(round(1.5 * rate)):
        t = k / rate
        plain.add(frame(t, {"1": body(t)}))
        swapped.add(frame(t, {"1": body(t)[MIRROR] if 0.6 <= t < 1.2 or t > 1.3 else body(t)}))
        assert np.allclose(people_at(plain, t)["1"].mean, people_at(swapped, t)["1"].mean)
    assert swapped.counters["left_right_swap_undone"] >= 0.6 * rate
    assert plain.counters["left_right_swap_undone"] == 0


def test_exchanged_sides_that_stay_are_believed_and_the_history_starts_anew():
    p = make()
    for k in range(90):
        t = k / 30
        p.add(frame(t, {"1": body(t) if t < 0.6 else body(t)[MIRROR]}))
        person = people_at(p, t)["1"]
        nearest = np.linalg.norm(person.recovered - body(t), axis=-1).min(-1)
        assert nearest < 0.02  # the same space, whatever the sides are called
    assert p.counters["left_right_swap_believed"] == 1
    assert np.allclose(person.recovered, body(t)[MIRROR], atol=1e-6) and person.state in PREDICTED


@pytest.mark.parametrize("rate", [5.0, 10.0, 30.0])
@pytest.mark.parametrize("turn_s", [0.5, 1.0])
def test_a_real_turn_is_believed(rate, turn_s):
    p = make()
    for k in range(round(3 * rate)):
        t = k / rate
        yaw = np.pi * np.clip((t - 1.0) / turn_s, 0.0, 2.0)
        c, s = np.cos(yaw), np.sin(yaw)
        x = body(0.0) - body(0.0)[0]
        x = x @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T
        p.add(frame(t, {"1": x}))
        assert np.allclose(people_at(p, t)["1"].recovered, x, atol=1e-6)
    assert not any(name.startswith(("left_right", "outlier", "id_")) for name in p.counters)


# Joints that jump


@given(
    joint=st.integers(0, 19),
    away_m=st.floats(1.5, 20.0),
    direction=st.integers(0, 2**31),
    rate=st.sampled_from([25.0, 30.0, 60.0, 120.0]),
    frames=st.integers(1, 5),
)
@settings(max_examples=40, deadline=None)
def test_an_impossible_joint_is_masked_its_bound_holds_both_places_and_it_is_believed_in_the_end(
    joint, away_m, direction, rate, frames
):
    p, patience = make(believe_after_frames=frames), frames
    jump = np.random.default_rng(direction).normal(size=3)
    jump *= away_m / np.linalg.norm(jump)
    for k in range(20):
        p.add(frame(k / rate, {"1": body(k / rate)}))
    before = body(19 / rate)[joint]
    for k in range(20, 20 + patience):
        x = body(k / rate)
        x[joint] += jump
        p.add(frame(k / rate, {"1": x}))
        person = people_at(p, k / rate)["1"]
        if person.joint_status[joint] == JointStatus.MISSING:
            assert Reason.OUTLIER_MASKED in person.reasons and person.radius_basis.startswith("reach")
            assert np.linalg.norm(person.recovered[joint] - x[joint]) > 0.5, "it does not enter the prediction"
            assert holds(person, joint, x[joint]) and holds(person, joint, before)
    assert person.joint_status[joint] == JointStatus.OBSERVED, "seen there often enough"
    assert np.allclose(person.recovered[joint], x[joint], atol=1e-6)
    for k in range(20 + patience, 20 + 2 * patience):  # where it could have got to meanwhile, the doubt stays a little
        x = body(k / rate)
        x[joint] += jump
        p.add(frame(k / rate, {"1": x}))
    assert Reason.OUTLIER_MASKED not in people_at(p, k / rate)["1"].reasons


def test_a_bound_goes_on_holding_both_places_while_a_joint_flickers():
    p = make()
    other = np.array([0.0, 0.0, 2.5])
    for k in range(90):
        x = body(k / 30)
        if k >= 20 and k % 2:
            x[HAND] += other
        p.add(frame(k / 30, {"1": x}))
        person = people_at(p, k / 30)["1"]
        if k >= 21:
            assert Reason.OUTLIER_MASKED in person.reasons
            assert holds(person, HAND, body(k / 30)[HAND] + other) and holds(person, HAND, body(k / 30)[HAND])
    for k in range(90, 94):
        p.add(frame(k / 30, {"1": body(k / 30)}))
    assert Reason.OUTLIER_MASKED not in people_at(p, 93 / 30)["1"].reasons


def test_who_was_last_seen_impossibly_far_away_may_be_there_until_forgotten():
    p, far = make(), (0.0, 8.0)
    for k in range(22):
        p.add(frame(k / 30, {"1": body(k / 30, far if k >= 20 else (0.0, 0.0))}))
    for t in (1.0, 3.0, 9.0):
        person = people_at(p, t)["1"]
        assert all(holds(person, j, body(21 / 30, far)[j]) and holds(person, j, body(19 / 30)[j]) for j in range(20))


def test_masked_joints_of_the_others_keep_no_bound_that_is_not_reach():
    p = make()
    for k in range(21):
        x = body(k / 30)
        if k == 20:
            x[HAND] += 3.0
        p.add(frame(k / 30, {"1": x, "2": body(k / 30, (0.0, 2.0))}))
    people = people_at(p, 20 / 30)
    assert (people["1"].radius > 0.0).all() and np.isnan(people["1"].radius_coverage)
    assert Reason.OUTLIER_MASKED not in people["2"].reasons


def bad_stream(seed: int, rate: float, n: int):
    """Frames of up to n people with jumps, gaps, other ids, doubled bodies, exchanged sides and missing joints."""
    rng, t = np.random.default_rng(seed), 0.0
    names = [str(i) for i in range(n)]
    places = np.stack([np.zeros(n), rng.uniform(0.0, 2.0) * np.arange(n)], 1)
    for _ in range(40):
        t += rng.choice([1.0, 1.0, 1.0, 0.0, 4.0]) / rate  # also twice the same stamp
        if rng.random() < 0.1:
            names = list(map(str, rng.permutation(9)[:n] if rng.random() < 0.3 else rng.permutation(names)))
        if rng.random() < 0.05:
            places[rng.integers(n)] = rng.normal(0.0, 4.0, 2)
        x = np.stack([body(t, place, i) for i, place in enumerate(places)])
        jump = rng.random((n, 20)) < 0.02
        x[jump] += rng.normal(0.0, 3.0, (int(jump.sum()), 3))
        if n > 1 and rng.random() < 0.1:
            x[1] = x[0] + rng.normal(0.0, 0.04, (20, 3))
        for i in np.flatnonzero(rng.random(n) < 0.05):
            x[i] = x[i, MIRROR]
        status = np.where(rng.random((n, 20)) < 0.1, JointStatus.MISSING, JointStatus.OBSERVED).astype(np.uint8)
        seen = np.flatnonzero(rng.random(n) > 0.1)
        yield t, [names[i] for i in seen], x[seen], status[seen]


def hidden(people, place: np.ndarray, near_m: float) -> bool:
    """Whether a place is neither where somebody's joint is shown nor within a bound."""
    return all(
        np.linalg.norm(q.recovered - place, axis=-1).min() > near_m
        and (q.radius is None or (np.linalg.norm(q.mean[0] - place, axis=-1) > q.radius[0] + near_m).all())
        for q in people
    )


@given(seed=st.integers(0, 2**31), rate=st.sampled_from([5.0, 15.0, 30.0, 120.0]), n=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_nothing_that_a_frame_shows_is_outside_of_what_is_published(seed, rate, n):
    """Each joint of a frame is where a person is shown or in a bound, whatever the tracker does.

    But for 0.2 m, by which two skeletons on one body may differ.
    """
    p = make()
    for t, names, x, status in bad_stream(seed, rate, n):
        p.add(frame(t, dict(zip(names, x, strict=True)), status))
        people = people_at(p, t)
        for row, joint in np.argwhere(status != JointStatus.MISSING):
            assert not hidden(people.values(), x[row, joint], 0.2 + 1e-6), (t, names, row, joint)


# Real recordings


def masked(clip, rate: float, faster: float = 1.0) -> tuple[int, int, float]:
    """Joint-frames, those masked, and the largest share of a joint's limit that the motion reaches."""
    t = (clip.stamps_s - clip.stamps_s[0]) / faster
    rows = np.unique(np.searchsorted(t, np.arange(0.0, t[-1], 1.0 / rate)).clip(max=len(t) - 1))
    continuity, config, n, lost = Continuity(), PredictorConfig(), 0, 0
    for i in rows:
        status = clip.mask[i : i + 1].astype(np.uint8)
        n += int(status.sum())
        x = clip.positions[i : i + 1].astype(np.float64)
        taken = continuity.take(at(t[i]), ["1"], x, status, {"1"}, config)
        lost += taken.counters["outlier_masked"] + taken.counters["left_right_swap_undone"] + len(taken.restarted)
    step = np.linalg.norm(np.diff(clip.positions[rows], axis=0), axis=-1) / np.diff(t[rows])[:, None]
    return n, lost, float((step / JOINT_LIMITS_MPS).max())


@pytest.mark.parametrize("rate", [120.0, 30.0, 10.0])
def test_no_joint_of_a_true_motion_is_masked(data_dir, rate):
    """Punches, jumps, runs, kicks and swordplay, also at double speed: what hurts is never filtered away."""
    pytest.importorskip("training.data")
    from training.data import load_split
    from training.data.splits import load_clips

    clips = [*load_split(data_dir, "new_subject"), *load_clips(data_dir, ["test/soccer/soccer_1"])]
    total, fastest = 0, 0.0
    for clip in clips:
        for faster in (1.0, 2.0) if clip.name != "test/soccer/soccer_1" else (1.0, 1.5):
            n, lost, share = masked(clip, rate, faster)
            assert lost == 0, (clip.name, rate, faster)
            total, fastest = total + n, max(fastest, share)
    assert total > 20_000
    assert fastest > (0.7 if rate >= 30.0 else 0.3)  # close to what people reach


@pytest.mark.parametrize("rate", [120.0, 30.0, 10.0])
def test_a_fall_is_never_masked(rate):
    """A body that topples like a pole: the head hits the ground with 7 m/s."""
    p, x0, angle, speed = make(), motion([0.0])[0], 0.02, 0.0
    x0 = x0 - x0.min(0) * np.array([0.0, 0.0, 1.0])
    foot = x0[INDEX["left_ankle"]] * np.array([1.0, 1.0, 0.0])
    height = float(x0[:, 2].max())
    t = fastest = 0.0
    while angle < np.pi / 2:
        c, s = np.cos(angle), np.sin(angle)
        x = (x0 - foot) @ np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]]).T + foot
        p.add(frame(t, {"1": x}))
        person = people_at(p, t)["1"]
        assert np.allclose(person.recovered, x, atol=1e-6) and (person.joint_status == JointStatus.OBSERVED).all()
        for _ in range(round(1200 / rate)):
            speed += 1.5 * 9.81 / height * np.sin(angle) / 1200
            angle += speed / 1200
        fastest = max(fastest, speed * height)
        t += 1 / rate
    assert fastest > 6.0
    assert not any(name.startswith(("left_right", "outlier", "id_")) for name in p.counters)


#: Tags of the YARP logs of robotology/assistive-rehab.
TAGS = {
    "shoulderCenter": "neck",
    "hipCenter": "pelvis",
    **{
        f"{part}{side}": f"{side.lower()}_{joint}"
        for side in ("Left", "Right")
        for part, joint in (("shoulder", "shoulder"), ("elbow", "elbow"), ("hand", "wrist"), ("hip", "hip"))
    },
    "head": "head",
    **{f"{p}{s}": f"{s.lower()}_{p}" for s in ("Left", "Right") for p in ("knee", "ankle", "foot")},
}
_JOINT = re.compile(r"\(position \(([^)]+)\)\) \(status \w+\) \(tag (\w+)\)")


def yarp(text: str):
    """(seconds, (20, 3) metres z up, (20,) status) of every line; zeros are what the tracker sent."""
    for line in text.splitlines():
        x, status = np.zeros((20, 3)), np.zeros(20, np.uint8)
        for numbers, tag in _JOINT.findall(line):
            if tag in TAGS:
                right, down, ahead = (float(v.replace("nan.0", "nan")) for v in numbers.split())
                x[INDEX[TAGS[tag]]] = ahead, -right, -down
                status[INDEX[TAGS[tag]]] = JointStatus.OBSERVED
        yield float(line.split()[1]), x, status


@pytest.mark.parametrize("name", ["skeleton", "abduction_left"])
@pytest.mark.parametrize("backend", ["onnx", "damped_pose"])
def test_a_messy_tracker_gives_finite_predictions_that_hide_nothing(data_dir, name, backend):
    """27 % of the joints of `skeleton` are zeros, as if observed, and joints jump at 13 m/s."""
    pytest.importorskip("training.data")
    from training.data.archives import unpack

    log = unpack(data_dir) / "tracker_samples" / "assistive_rehab" / f"{name}.log"
    p = Predictor(make_backend(backend, MODEL), PredictorConfig(), "map")
    zeros = frames = 0
    rows = list(yarp(log.read_text()))[:200]
    for t, x, status in rows:
        t -= rows[0][0]
        zeros += int(((x == 0.0).all(-1) & (status > 0)).sum())
        p.add(frame(t, {"1": x}, status[None]))
        people = list(people_at(p, t).values())
        assert not any(hidden(people, place, 1e-4) for place in x[(status > 0) & np.isfinite(x).all(-1)])
        frames += 1
    assert frames > 100
    if name == "skeleton":
        assert zeros > 300


# What lasts


def test_memory_does_not_grow_with_ids():
    p = make(lost_after_s=0.4, absent_hold_s=0.5)
    bodies = p.people.continuity.bodies
    for k in range(1200):
        t = k / 30
        p.add(frame(t, {f"a{k // 5}": body(t), f"b{k // 3}": body(t), f"c{k // 7}": body(t, (0.0, 3.0 + k % 2 * 4.0))}))
        if k % 10 == 0:
            p.predict(at(t))
    assert len(p.people.known) < 60
    assert len(bodies.slots) < 60 and len(bodies.aliases) < 60 and len(bodies.former) < 60
    assert len(bodies.newest_ns) <= 128


def test_stamps_that_jump_ahead_back_or_stand_still_raise_nothing():
    p = make()
    for k, t in enumerate([0.0, 0.03, 0.06, 900.0, 900.03, 0.1, 0.1, 0.1, -50.0, 0.13, 1e6, 0.16]):
        p.add(frame(t, {"1": body(0.0, (0.0, 0.5 * (k % 2))), "2": body(0.0, (2.0, 0.5 * (k % 3)))}))
        people_at(p, t)
    for k in range(30):
        p.add(frame(2.0 + k / 30, {"1": body(0.0), "2": body(0.0, (2.0, 0.0))}))
    people = people_at(p, 2.0 + 29 / 30)
    assert people["1"].state in PREDICTED and people["2"].state in PREDICTED
