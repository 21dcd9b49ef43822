# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Who is known, who is believed, and who may be there though nobody sees them."""

from __future__ import annotations

import numpy as np
import pytest
from support.core_helpers import MODEL

from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, MIRROR, JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.types import SkeletonFrame, TrackState, ViewReason

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
STANDING = synthetic.walker(np.array([0.0]))[0] - np.array([2.0, 0.0, 0.0])
RNG = np.random.default_rng(0)


def now(t: float) -> int:
    return T0 + round(t * NS)


def frame(t: float, people: dict[str, np.ndarray], covariance: np.ndarray | None = None) -> SkeletonFrame:
    n = len(people)
    x = np.stack(list(people.values())) if n else np.zeros((0, 20, 3))
    status = np.full((n, 20), JointStatus.OBSERVED, np.uint8)
    return SkeletonFrame(now(t), "map", tuple(people), x, status, np.ones((n, 20), np.float32), covariance)


def at(x: float, y: float = 0.0) -> np.ndarray:
    return STANDING + np.array([x, y, 0.0]) + RNG.normal(scale=0.003, size=(20, 3))


def make(name: str = "damped_pose", **config) -> Predictor:
    return Predictor(make_backend(name, MODEL), PredictorConfig(reach_observed_factor=0.0, **config), "map")


def feed(p: Predictor, until: float = 1.0, **kwargs) -> float:
    for k in range(round(30 * until)):
        p.add(frame(k / 30, {"1": at(1.2)}, **kwargs))
    return (round(30 * until) - 1) / 30


def reasons(p: Predictor, t: float) -> ViewReason:
    p.predict(now(t))
    return p.view_reasons(now(t))[0]


# Newcomers


def test_a_newcomer_makes_the_view_incomplete_until_it_was_seen_often_enough():
    p = make(confirm_frames=3)
    said = []
    for k in range(5):
        p.add(frame(k / 30, {"1": at(1.2)}))
        said.append(reasons(p, k / 30))
    assert said == [ViewReason.PERSON_UNCONFIRMED] * 2 + [ViewReason.NONE] * 3


def test_newcomers_who_are_seen_once_never_become_lost_people():
    p = make(confirm_frames=3, stale_after_s=0.3)
    longest = 0
    for k in range(300):
        people = {"1": at(1.2)}
        if k % 10 == 0:  # three a second
            people[f"ghost{k}"] = at(*RNG.uniform(-5.0, 5.0, 2))
        p.add(frame(k / 30, people))
        batch = p.predict(now(k / 30))
        longest = max(longest, len(batch.people))
        assert all(q.state is TrackState.WARMING_UP for q in batch.people if q.person_id != "1")
    assert longest <= 3 and p.counters["people_unconfirmed"] >= 28
    for k in range(300, 320):
        p.add(frame(k / 30, {"1": at(1.2)}))
    assert [q.person_id for q in p.predict(now(319 / 30)).people] == ["1"]
    assert reasons(p, 319 / 30) == ViewReason.NONE


# Lost people


def test_who_is_lost_keeps_the_view_incomplete_for_the_hold():
    p = make(lost_after_s=0.6, absent_hold_s=1.4)
    last = feed(p)
    assert reasons(p, last) == ViewReason.NONE
    assert reasons(p, last + 0.7) == ViewReason.PERSON_LOST and reasons(p, last + 1.9) == ViewReason.PERSON_LOST
    assert reasons(p, last + 2.1) == ViewReason.NONE


@pytest.mark.parametrize(("gap_s", "away_m"), [(0.1, 0.2), (0.3, 0.3), (0.5, 0.4), (0.8, 0.6)])
def test_who_comes_beside_a_lost_person_does_not_make_that_one_gone(gap_s, away_m):
    p = make()
    last = feed(p)
    for k in range(90):
        p.add(frame(last + gap_s + k / 30, {"2": at(1.2 + away_m) * [1.0, 1.0, 1.04]}))
    t = last + gap_s + 89 / 30
    people = {q.person_id: q for q in p.predict(now(t)).people}
    assert set(people) == {"1", "2"} and people["1"].state is TrackState.ABSENT
    assert np.linalg.norm(people["1"].recovered - (STANDING + [1.2, 0.0, 0.0]), axis=-1).max() < 0.05
    assert reasons(p, t) == ViewReason.PERSON_LOST


def test_people_of_before_a_step_back_of_the_clock_may_still_be_there():
    p = make(lost_after_s=0.6, absent_hold_s=1.4)
    last = feed(p)
    p.predict(now(last))
    assert reasons(p, last - 20.0) & ViewReason.PERSON_LOST
    assert p.view_reasons(now(last - 20.0))[1] == 1
    assert reasons(p, last - 17.9) == ViewReason.NONE


@pytest.mark.parametrize("seen", [1, 2])
def test_who_starts_anew_is_no_newcomer_when_lost_at_once(seen):
    p = make()
    last = feed(p)
    swapped = 30 + seen  # the sides are believed to be exchanged after a second, and the history starts anew
    for k in range(1, swapped + 90):
        p.add(frame(last + k / 30, {"1": at(1.2)[MIRROR]} if k <= swapped else {}))
        p.predict(now(last + k / 30))
    t = last + (swapped + 89) / 30
    assert p.counters["left_right_swap_believed"] == 1
    assert [q.person_id for q in p.predict(now(t)).people] == ["1"] and reasons(p, t) == ViewReason.PERSON_LOST


def test_believed_people_stay_so_when_newcomers_are_to_be_seen_more_often():
    p = make(confirm_frames=3)
    last = feed(p, 0.2)
    p.configure(p.config.model_copy(update={"confirm_frames": 30}))
    for k in range(1, 60):
        p.add(frame(last + k / 30, {}))
    assert reasons(p, last + 59 / 30) == ViewReason.PERSON_LOST


def test_the_last_place_that_a_newcomer_takes_does_not_make_the_one_before_gone():
    p = make(max_people=4)
    others = {"2": (4.0, 4.0), "3": (-4.0, -4.0)}
    for k in range(60):
        people = {i: at(*xy) for i, xy in others.items()}
        people["1"] = at(1.2) if k < 30 else at(-4.0, 4.0)  # unseen, and somebody else has the id
        if k >= 32:
            people["4"] = at(4.0, -4.0)
        p.add(frame(k / 30, people))
        p.predict(now(k / 30))
    assert p.counters["people_over_limit"] == p.counters["people_displaced"] == 0
    assert reasons(p, 59 / 30) == ViewReason.PEOPLE_OVER_LIMIT


@pytest.mark.parametrize(
    ("gap_s", "away_m", "lost"),
    [
        (0.1, 1.2, True), (0.2, 2.3, True), (0.4, 3.5, True), (3.0, 8.0, True),
        (0.1, 0.6, False), (0.2, 0.8, False), (0.4, 0.5, False), (3.0, 3.0, False),
    ],
)  # fmt: skip
def test_who_was_unseen_is_not_gone_where_the_id_comes_back_out_of_reach(gap_s, away_m, lost):
    p = make()
    last = feed(p)
    for k in range(90):
        p.add(frame(last + gap_s + k / 30, {"1": at(1.2 + away_m)}))
    t = last + gap_s + 89 / 30
    assert {q.person_id for q in p.predict(now(t)).people} == ({"1", "1~"} if lost else {"1"})
    assert reasons(p, t) == (ViewReason.PERSON_LOST if lost else ViewReason.NONE)


@pytest.mark.parametrize(("away_m", "lost"), [(0.1, False), (4.0, True)])
def test_an_id_that_is_elsewhere_when_its_stamps_go_back_leaves_a_lost_person(away_m, lost):
    p = make(lost_after_s=0.6, absent_hold_s=1.4)
    last = feed(p, 3.0)
    for k in range(30):
        t = last - 1.5 + k / 30
        p.add(frame(t, {"1": at(1.2 + away_m)}))
        assert bool(reasons(p, t) & ViewReason.PERSON_LOST) is lost


def test_who_was_lost_is_not_waited_for_longer_where_the_clock_goes_back():
    p = make(lost_after_s=0.6, absent_hold_s=1.4)
    last = feed(p)
    p.predict(now(last))
    assert reasons(p, last - 20.0) & ViewReason.PERSON_LOST
    assert reasons(p, last - 3600.0) & ViewReason.PERSON_LOST
    assert reasons(p, last - 3597.9) == ViewReason.NONE


# Region


@pytest.mark.parametrize("frames", [1, 60])
def test_an_id_that_is_outside_of_the_region_at_once_does_not_make_its_person_gone(frames):
    p = make(region_of_interest="-5 -5 5 5")
    last = feed(p)
    for k in range(1, 90):
        p.add(frame(last + k / 30, {"1": at(9.0)} if k <= frames else {}))
        p.predict(now(last + k / 30))
    t = last + 89 / 30
    (person,) = p.predict(now(t)).people
    assert person.state is TrackState.ABSENT and reasons(p, t) == ViewReason.PERSON_LOST
    assert np.linalg.norm(person.recovered - (STANDING + [1.2, 0.0, 0.0]), axis=-1).max() < 0.05


def test_who_is_shown_outside_of_the_region_for_one_frame_goes_on():
    p = make(region_of_interest="-5 -5 5 5")
    last = feed(p)
    p.add(frame(last + 1 / 30, {"1": at(9.0)}))
    for k in range(2, 5):
        p.add(frame(last + k / 30, {"1": at(1.2)}))
    (person,) = p.predict(now(last + 4 / 30)).people
    assert person.person_id == "1" and person.state is TrackState.TRACKING
    assert reasons(p, last + 4 / 30) == ViewReason.NONE


def test_a_late_frame_of_before_somebody_came_in_does_not_put_them_out():
    p = make(region_of_interest="-5 -5 5 5")
    last = feed(p)
    p.add(frame(last - 0.5, {"1": at(5.2)}))
    p.predict(now(last))
    assert [q.person_id for q in p.predict(now(last + 0.1)).people] == ["1"]


@pytest.mark.parametrize("region", ["-1 -2 3 2", "-1, -2, 3, -2, 3, 2, -1, 2"])
def test_who_is_wholly_outside_of_the_region_is_left_out_and_who_is_partly_inside_is_not(region):
    p = make(region_of_interest=region)
    for k in range(30):
        p.add(frame(k / 30, {"in": at(1.0), "out": at(6.0), "edge": at(3.05, 1.0)}))
    assert {q.person_id for q in p.predict(now(29 / 30)).people} == {"in", "edge"}
    assert p.counters["outside_region"] == 30
    for k in range(30, 40):
        p.add(frame(k / 30, {"in": at(1.0), "edge": at(3.05 + 0.15 * (k - 29), 1.0)}))
    assert {q.person_id for q in p.predict(now(39 / 30)).people} == {"in"} and reasons(p, 39 / 30) == ViewReason.NONE


@pytest.mark.parametrize("text", ["1 2 3", "1 2", "a b c d", "0 0 0 5", "0 0 nan 1", "0 0 1 1 2 2"])
def test_a_region_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="region_of_interest"):
        PredictorConfig(region_of_interest=text)


# Stated uncertainty


@pytest.mark.parametrize("name", ["damped_pose", "onnx"])
def test_a_stated_covariance_widens_the_radius_of_its_joint_and_what_follows_from_it(name):
    one = np.zeros((1, 20, 6), np.float32)
    one[..., [0, 3, 5]] = 1e-6
    wide = one.copy()
    hand, hip = INDEX["left_hand"], INDEX["right_hip"]
    wide[0, hand, 0] = 25.0
    wide[0, hip, [0, 3, 5]] = 0.04
    got = []
    for covariance in (None, one, wide):
        global RNG
        RNG = np.random.default_rng(1)
        p = make(name)
        last = feed(p, covariance=covariance)
        (person,) = p.predict(now(last)).people
        assert person.state is TrackState.TRACKING
        got.append(person)
    assert np.array_equal(got[0].radius, got[1].radius), "a tracker that is sure changes nothing"
    more = got[2].radius - got[0].radius
    assert (more[:, hand] > 2.8 * 5.0 - 0.1).all() and (np.diff(got[2].radius[:, hand]) > 0.0).all()
    assert got[2].radius[-1, hand] < 3.0 * 2.8 * 5.0, "no farther than it gets from wherever it is"
    assert (more[:, hip] > 0.5).all()
    assert np.allclose(more[:, INDEX["head"]], 0.0)
    if got[0].body_radius is not None:
        assert (got[2].body_radius >= got[2].radius.max(1, keepdims=True) - 1e-6).all()


def test_a_joint_that_is_filled_in_is_as_unsure_as_what_it_follows_from():
    covariance = np.zeros((1, 20, 6), np.float32)
    covariance[0, INDEX["left_elbow"], 0] = 1.0
    p = make()
    for k in range(30):
        sent = frame(k / 30, {"1": at(1.2)}, covariance)
        sent.status[0, INDEX["left_wrist"]] = JointStatus.MISSING
        p.add(sent)
    (person,) = p.predict(now(29 / 30)).people
    assert person.radius[0, INDEX["left_wrist"]] > 2.5
