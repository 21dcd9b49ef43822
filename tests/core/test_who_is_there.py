# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Somebody who is there is inside of a published person's bound, or the view is not complete: tracker faults in turn.

P and Q are two people. What a tracker or two say of them is played; `there` is where they really are.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from aux_motion_core.config import PredictorConfig
from aux_motion_core.constants import NS
from aux_motion_core.inference import baselines
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, JOINTS, MISSING, JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.trackers.fusion import Fusion
from aux_motion_core.trackers.pose_array import PoseArray
from aux_motion_core.types import SkeletonFrame, ViewReason
from aux_motion_core.wire.messages import ns_to_stamp

T0 = 1_700_000_000 * NS
STANDING = synthetic.walker(np.array([0.0]))[0] - [2.0, 0.0, 0.0]
LEGS = [i for j, i in INDEX.items() if any(part in j for part in ("hip", "knee", "ankle", "foot", "pelvis"))]
ARMS = [i for i in range(20) if i not in LEGS]
#: Nobody is promised to be told within this, seconds: `stale_after_s` and frames that confirm a newcomer.
SOON_S = 0.5


class Room:
    """One or two cameras, and a predictor that hears them."""

    def __init__(self, dt: float = 1 / 30, **config) -> None:
        self.fusion = Fusion(["0", "1"])
        self.predictor = Predictor(baselines.make("damped_pose"), PredictorConfig(**config), "map")
        self.dt, self.t, self.forgotten_s = dt, 0.0, 0.0
        self.rng = np.random.default_rng(0)

    def at(self, x: float, y: float = 0.0, height: float = 1.0) -> np.ndarray:
        return STANDING * [1.0, 1.0, height] + [x, y, 0.0] + self.rng.normal(scale=0.003, size=(20, 3))

    def frame(self, t: float, people: dict, seen: dict | None = None) -> SkeletonFrame:
        status = np.full((len(people), 20), JointStatus.OBSERVED, np.uint8)
        for row, name in enumerate(people):
            if seen and name in seen:
                status[row] = MISSING
                status[row, seen[name]] = JointStatus.OBSERVED
        x = np.stack(list(people.values())) if people else np.empty((0, 20, 3))
        return SkeletonFrame(T0 + round(t * NS), "map", tuple(people), x, status, np.ones(status.shape, np.float32))

    def step(self, *cameras: dict | None, there=(), seen=({}, {})) -> None:
        """A frame of each camera (None: it sends none), then the promise is checked for who is there."""
        for source, people in enumerate(cameras):
            if people is None:
                continue
            t = self.t + source * self.dt / 2
            one = self.frame(t, people, seen[source])
            self.predictor.add(self.fusion.take(source, one) if len(cameras) > 1 else one)
            self.check(t, there)
        self.t += self.dt

    def check(self, t: float, there) -> None:
        now_ns = T0 + round(t * NS)
        people = self.predictor.predict(now_ns).people
        complete = self.predictor.view_reasons(now_ns)[0] is ViewReason.NONE
        pelvis = INDEX["pelvis"]
        middle = STANDING[pelvis, :2]
        held = all(
            any(np.hypot(*(p.recovered[pelvis, :2] - middle - xy)) <= p.radius[0].max() + 0.15 for p in people)
            for xy in there
        )
        self.forgotten_s = 0.0 if held or not complete else self.forgotten_s + self.dt
        assert self.forgotten_s <= SOON_S, (t, [(p.person_id, p.state.name) for p in people])


P = (1.2, 0.0)


# Two cameras


@pytest.mark.parametrize("new_is_q", [False, True])
def test_two_ids_of_one_camera_on_one_body_become_two_people(new_is_q):
    room, q = Room(), (1.2, 4.0)
    for _ in range(30):
        room.step({"a": room.at(*P)}, {"1": room.at(*P)}, there=[P])
    room.step({"a": room.at(*P)}, {}, there=[P])
    for _ in range(30):
        room.step({"a": room.at(*P)}, {"2": room.at(*P)}, there=[P])
    of_p, of_q = ("1", "2") if new_is_q else ("2", "1")
    for _ in range(90):
        room.step({"a": room.at(*P)}, {of_q: room.at(*q, 1.04), of_p: room.at(*P)}, there=[P, q])


@pytest.mark.parametrize("back", [False, True])
def test_so_they_do_where_it_is_the_leading_camera(back):
    room, q = Room(), (1.2, 3.0)
    for k in range(60):
        room.step({"a" if k < 30 else "b": room.at(*P)}, {"1": room.at(*P)}, there=[P])
    of_p, of_q = ("a", "b") if back else ("b", "a")
    for _ in range(90):
        room.step({of_p: room.at(*P), of_q: room.at(*q, 1.04)}, {"1": room.at(*P)}, there=[P, q])


@pytest.mark.parametrize(("every", "away"), [(6, 0.5), (6, 0.4)])
def test_somebody_beside_is_not_the_one_whom_a_slow_camera_sees(every, away):
    room, q = Room(), (1.2, away)
    for k in range(150):
        slow = {"a": room.at(*P)} if k % every == 0 else None
        fast = {"1": room.at(*q, 1.04)} if k >= 35 else {}
        room.step(slow, fast, there=[P, q] if k >= 35 else [P])


@pytest.mark.parametrize(("gap_s", "away"), [(0.2, 0.5), (0.4, 0.8)])
def test_who_is_new_to_one_camera_is_not_who_is_hidden_from_the_other(gap_s, away):
    room, q = Room(), (1.2, away)
    for _ in range(30):
        room.step({"a": room.at(*P)}, {}, there=[P])
    for _ in range(round(gap_s * 30)):
        room.step({}, {}, there=[P])
    for _ in range(90):
        room.step({}, {"1": room.at(*q, 1.04)}, there=[P, q])


def test_who_stands_before_the_one_behind_under_that_ones_id_is_somebody():
    room, q = Room(), (1.2, 0.5)
    for k in range(150):
        room.step({"a": room.at(*P)}, {"1": room.at(*P) if k < 30 else room.at(*q, 1.04)}, there=[P] + [q] * (k >= 30))


def test_an_id_that_was_not_used_for_long_is_linked_anew():
    room, q = Room(), (1.2, 0.55)
    for _ in range(30):
        room.step({"a": room.at(*P)}, {"1": room.at(*P)}, there=[P])
    for _ in range(60):
        room.step({"a": room.at(*P)}, {}, there=[P])
    for _ in range(90):
        room.step({"a": room.at(*P)}, {"1": room.at(*q, 1.04)}, there=[P, q])


def test_cameras_that_see_other_halves_are_parted_too():
    room, q, halves = Room(), (1.2, 3.0), ({"a": ARMS}, {"1": LEGS})
    for _ in range(30):
        room.step({"a": room.at(*P)}, {"1": room.at(*P)}, there=[P])
    for _ in range(30):
        room.step({"a": room.at(*P)}, {"1": room.at(*P)}, there=[P], seen=halves)
    for _ in range(90):
        room.step({"a": room.at(*P)}, {"1": room.at(*q, 1.04)}, there=[P, q], seen=halves)


def test_an_id_that_comes_back_on_whom_another_camera_just_saw_leaves_its_person():
    room, other = Room(1 / 60), (1.2, 0.8)
    for k in range(240):
        first = {"0/a": room.at(*other)} if k % 2 else None
        b = {"1/b": room.at(*(P if k < 120 else other))} if k < 120 or k > 138 else {}
        if first is not None:
            room.step(first, there=[P, other])
        else:
            room.step(b, there=[P, other])


# One camera


def test_a_lost_one_is_not_the_one_who_comes_back_beside_under_a_known_id():
    room, x = Room(lost_after_s=0.6, absent_hold_s=1.4), (1.2, 2.0)
    for k in range(90):
        hidden = {} if k >= 75 else {"L": room.at(*P)}
        room.step(hidden | ({"X": room.at(*x)} if k < 30 else {}), there=[P])
    for k in range(40):  # until what was known of X is forgotten, not what of L
        room.step({"X": room.at(1.2, 0.45 + 0.04 * max(k - 5, 0))}, there=[P])


def test_nor_a_newcomer_under_the_id_of_somebody_who_has_another_now():
    room, x, new = Room(), (1.2, 1.5), (1.2, 0.4)
    for _ in range(30):
        room.step({"L": room.at(*P), "X": room.at(*x)}, there=[P, x])
    for _ in range(15):
        room.step({"X": room.at(*x)}, there=[P, x])
    for _ in range(90):
        room.step({"X": room.at(*new, 1.04), "Y": room.at(*x)}, there=[P, x, new])


@pytest.mark.parametrize("rate", [10, 30])
def test_who_was_seen_beside_somebody_is_no_double_after_one_frame_on_that_body(rate):
    room, q = Room(1 / rate), (1.2, 0.5)
    for _ in range(2 * rate):
        room.step({"1": room.at(*P), "2": room.at(*q)}, there=[P, q])
    room.step({"1": room.at(*P), "2": room.at(1.2, 0.03)}, there=[P, q])
    for _ in range(2 * rate):
        room.step({"1": room.at(*P)}, there=[P, q])


@pytest.mark.parametrize(("gap_s", "away"), [(0.2, 0.8), (0.3, 1.0), (0.5, 1.5), (0.8, 2.0)])
def test_a_newcomer_does_not_get_the_number_of_who_is_hidden(gap_s, away):
    """Of a tracker without ids, whose people get numbers here."""
    room, adapter, q = Room(), PoseArray(joints=tuple(JOINTS)), (1.2, away)

    def step(people, there):
        stamp = SimpleNamespace(**ns_to_stamp(T0 + round(room.t * NS)))
        places = [SimpleNamespace(x=x, y=y, z=z) for one in people for x, y, z in one]
        header = SimpleNamespace(stamp=stamp, frame_id="map")
        message = SimpleNamespace(header=header, poses=[SimpleNamespace(position=place) for place in places])
        for one in adapter.frames(message):
            room.predictor.add(one)
        room.check(room.t, there)
        room.t += room.dt

    for _ in range(30):
        step([room.at(*P)], [P])
    for _ in range(round(gap_s * 30) - 1):
        step([], [P])
    for _ in range(60):
        step([room.at(*q, 1.05)], [P, q])


def test_a_second_reuse_of_an_id_does_not_overwrite_who_was_left_before():
    room = Room()
    for _ in range(30):
        room.step({"1": room.at(*P)}, there=[P])
    room.t += 0.2
    for _ in range(10):
        room.step({"1": room.at(1.2, 2.5)}, there=[P])
    for _ in range(6):
        room.step({"1": room.at(1.2, 6.0)}, there=[P])
    for _ in range(60):
        room.step({"1": room.at(1.2, 6.0), "2": room.at(1.2, 2.5)}, there=[P])


@pytest.mark.parametrize("rate", [2, 3])
def test_a_slow_tracker_confirms_people_too(rate):
    room = Room(1 / rate)
    for _ in range(6 * rate):
        room.step({"1": room.at(*P)}, there=[P])
    for _ in range(2 * rate):
        room.step({}, there=[P])


def test_who_is_hardly_seen_again_and_again_is_somebody():
    room = Room()
    for k in range(90):
        room.step({"1": room.at(*P)} if k % 10 == 0 else {}, there=[P] if k > 20 else [])
    for _ in range(60):
        room.step({}, there=[P])


@pytest.mark.parametrize(("gap", "away"), [(15, 0.42), (27, 0.65)])
def test_a_second_id_of_one_body_may_be_somebody_elses_after_a_while(gap, away):
    room, q = Room(), (1.2, away)
    for name in [*"1" * 30, *"2121"]:
        room.step({name: room.at(*P)}, there=[P])
    for _ in range(gap):
        room.step({}, there=[P])
    for _ in range(60):
        room.step({"2": room.at(*q, 1.04)}, there=[P, q])


@pytest.mark.parametrize(("before", "after"), [(ARMS, LEGS), (ARMS[:9], [*ARMS[:2], *LEGS[:7]])])
@pytest.mark.parametrize("gap", [0, 3, 6])
def test_an_id_may_be_elsewhere_also_where_other_joints_are_seen(before, after, gap):
    room, q = Room(), (1.2, 5.0)
    for _ in range(30):
        room.step({"1": room.at(*P)}, there=[P], seen=({"1": before}, {}))
    for _ in range(gap):
        room.step({}, there=[P])
    for k in range(90):
        room.step({"1": room.at(*q)}, there=[P], seen=({"1": after if k < 60 else list(range(20))}, {}))


def test_who_is_inside_of_the_region_is_not_gone_because_a_hand_reaches_out():
    room, x, hand = Room(region_of_interest="-5 -5 5 5"), (4.75, 0.0), [INDEX["right_wrist"], INDEX["right_hand"]]

    def reaching():
        pose = room.at(*x)
        pose[hand, 0] = [5.05, 5.15]
        return {"1": pose}

    for _ in range(60):
        room.step(reaching(), there=[x])
    room.step(reaching(), there=[x], seen=({"1": hand}, {}))
    for _ in range(60):
        room.step({}, there=[x])
