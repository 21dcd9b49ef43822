# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Each input on its own: what it is good for, who is reported without a place, and what no body is."""

from __future__ import annotations

import numpy as np
import pytest
from support import tracker_messages as make

from aux_motion_core import trackers
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.trackers.body_size import implausible, remark
from aux_motion_core.trackers.health import InputHealth
from aux_motion_core.trackers.pipeline import Pipeline
from aux_motion_core.trackers.settings import InputConfig
from aux_motion_core.trackers.sieve import Sieve
from aux_motion_core.types import SkeletonFrame, ViewReason

NS = make.NS
T0 = 1_700_000_000 * NS
HOLD_S, STALE_S = 3.0, 0.3


def frame(t: float, people: dict[str, np.ndarray] | None = None, **changes) -> SkeletonFrame:
    people = {"1": synthetic.walker(np.array([t]))[0]} if people is None else people
    n = len(people)
    x = np.stack(list(people.values())) if n else np.zeros((0, 20, 3))
    values = {
        "stamp_ns": T0 + round(t * NS),
        "frame_id": "map",
        "person_ids": tuple(people),
        "positions": x,
        "status": np.where(np.isfinite(x).all(-1), JointStatus.OBSERVED, JointStatus.MISSING).astype(np.uint8),
        "confidence": np.ones((n, 20), np.float32),
    }
    return SkeletonFrame(**{**values, **changes})


class Live:
    """A pipeline of one input in the fixed frame, fed as the node feeds it."""

    def __init__(self, **config) -> None:
        config = InputConfig(fixed_frame="map", **config)
        self.pipeline = Pipeline.of(config, [trackers.make("aux_motion")], None)
        self.one = self.pipeline.inputs[0]

    def send(self, t: float, people=None, **changes) -> list[SkeletonFrame]:
        """Frames that come out for one that goes in at t seconds."""
        here = round(t * NS) + NS
        self.pipeline.push(self.one, [frame(t, people, **changes)], T0, T0 + round(t * NS), here)
        out = [r.frame for r in self.pipeline.drain(here, 0.05)]
        for one in out:
            self.one.health.used(one.stamp_ns, here)
        return out

    def at(self, t: float, confirm_frames: int = 3):
        here = round(t * NS) + NS
        return self.one.health.evidence(T0 + round(t * NS), here, STALE_S, HOLD_S, confirm_frames)


def guessed(n: int = 1) -> np.ndarray:
    return np.full((n, 20), JointStatus.TRACKER_PREDICTED, np.uint8)


def walk(live: Live, until: float = 1.0) -> float:
    for k in range(round(until * 30)):
        live.send(k / 30)
    return (round(until * 30) - 1) / 30


def test_an_input_is_well_while_its_stamps_advance_and_are_recent():
    live = Live()
    assert live.at(0.0).reasons == ViewReason.INPUT_SILENT and live.at(0.0).newest_ns == 0
    t = walk(live)
    assert live.at(t).reasons == ViewReason.NONE and live.at(t).newest_ns == T0 + round(t * NS)
    assert live.at(t + STALE_S + 0.01).reasons == ViewReason.INPUT_SILENT


@pytest.mark.parametrize("late_s", [5.0, -5.0])
def test_empty_messages_with_stamps_of_another_time_are_no_evidence(late_s):
    live = Live()
    for k in range(30):
        t = k / 30
        live.send(t, {}, stamp_ns=T0 + round((t - late_s) * NS))
    assert live.at(29 / 30).reasons == ViewReason.INPUT_STAMPS


def test_a_stamp_that_stands_still_is_no_news():
    live = Live()
    t = walk(live)
    for k in range(1, 31):
        live.send(t + k / 30, {}, stamp_ns=T0 + round(t * NS))
    assert live.at(t + 1.0).reasons == ViewReason.INPUT_SILENT


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        (lambda x: {"people": {"2": x * np.nan}}, ViewReason.NONE),
        (lambda x: {"people": {"2": x}, "status": guessed()}, ViewReason.NONE),
        (lambda x: {"people": {"2": x + 2e4}}, ViewReason.NONE),
        (lambda x: {"people": {"2": x}, "confidence": np.full((1, 20), 0.01, np.float32)}, ViewReason.NONE),
        (lambda x: {"people": {"2": x * 0.1}}, ViewReason.PERSON_IMPLAUSIBLE),
        (lambda x: {"people": {"2": x * 0.001}}, ViewReason.PERSON_IMPLAUSIBLE),
        (lambda x: {"people": {"2": x * 1000.0}}, ViewReason.PERSON_IMPLAUSIBLE),
    ],
)
def test_who_is_reported_without_a_place_counts_for_as_long_and_the_hold(what, reason):
    live = Live()
    t = walk(live)
    for k in range(1, 31):
        x = synthetic.walker(np.array([k / 30]))[0]
        live.send(t + k / 30, **what(x))
    last = t + 1.0
    assert live.at(last).unplaced == 1 and live.at(last).reasons == reason
    for k in range(1, 121):
        live.send(last + k / 30, {})
        unplaced = live.at(last + k / 30).unplaced
        assert unplaced == (1 if k / 30 < HOLD_S - 0.01 else unplaced)
    assert live.at(last + 4.0).unplaced == 0 and live.at(last + 4.0).reasons == ViewReason.NONE


def test_who_gets_a_place_again_waits_for_no_hold():
    live = Live()
    t = walk(live)
    live.send(t + 1 / 30, {"1": np.full((20, 3), np.nan)})
    assert live.at(t + 1 / 30).unplaced == 1
    live.send(t + 2 / 30)
    assert live.at(t + 2 / 30).unplaced == 0


def test_two_people_under_one_id_hide_one_of_them_but_one_body_told_twice_does_not():
    x = synthetic.walker(np.array([0.0]))[0]
    for away, hidden in ((3.0, 1), (0.02, 0)):
        both = np.stack([x, x + np.array([away, 0.0, 0.0])])
        status = np.full((2, 20), JointStatus.OBSERVED, np.uint8)
        sent = frame(0.0, {"1": x}, person_ids=("1", "1"), positions=both, status=status, confidence=np.ones((2, 20)))
        assert len(Sieve().take(sent).unplaced) == hidden


def test_one_wild_body_counts_no_longer_than_its_own_stale_time_and_is_nobody():
    live = Live()
    t = walk(live)
    x = np.full((20, 3), np.nan)
    x[[0, 3, 10]] = [[0.0, 0.0, 1.0], [6.0, 0.0, 1.6], [-3.0, 4.0, 0.1]]
    (out,) = live.send(t + 1 / 30, {"1": synthetic.walker(np.array([0.0]))[0], "ghost": x})
    assert out.person_ids == ("1",) and live.at(t + 1 / 30).reasons == ViewReason.PERSON_IMPLAUSIBLE
    for k in range(2, 15):
        live.send(t + k / 30)
    assert live.at(t + 14 / 30).reasons == ViewReason.NONE


def test_a_rejected_message_is_no_matter_of_what_others_show():
    live = Live()
    t = walk(live)
    live.one.health.rejected(round(t * NS) + NS, HOLD_S)
    live.send(t + 1 / 30)
    assert live.at(t + 1 / 30).reasons == ViewReason.INPUT_REJECTED
    for k in range(2, 100):
        live.send(t + k / 30)
    assert live.at(t + 99 / 30).reasons == ViewReason.NONE


# Frozen trackers


def test_bodies_that_stay_the_same_to_the_bit_are_not_seen_any_more():
    live = Live(frozen_after_s=0.5)
    t = walk(live)
    x = synthetic.walker(np.array([t]))[0]
    for k in range(1, 31):
        (out,) = live.send(t + k / 30, {"1": x})
        frozen = (out.status == JointStatus.TRACKER_PREDICTED).all()
        assert frozen == (k / 30 >= 0.5 - 1e-6), k
    assert ViewReason.INPUT_FROZEN in live.at(t + 1.0).reasons and live.at(t + 1.0).unplaced == 1
    assert "frozen_after_s" in live.one.trouble()


@pytest.mark.parametrize("shown", ["1 2", "1 2 3 4", "1 - 2 -", "1 1 1 2", "1 other", "1 both", "none 1 2"])
def test_bodies_that_repeat_a_few_poses_in_turn_are_not_seen_any_more(shown):
    """As where buffers are used in turn; "-" is a frame of nobody, "other" of somebody else, "none" without joints."""
    live = Live(frozen_after_s=0.5)
    t = walk(live)
    poses = synthetic.walker(t + np.arange(4) / 30)
    turn = shown.split()
    for k in range(1, 46):
        what = turn[(k - 1) % len(turn)]
        people = {}
        if what.isdigit():
            people["1"] = poses[int(what) - 1]
        elif what == "none":
            people["1"] = np.full((20, 3), np.nan)
        if what in ("other", "both"):
            people["2"] = synthetic.walker(np.array([t + k / 30]))[0] + [2.0, 0.0, 0.0]
        if what == "both":
            people["1"] = poses[0]
        (out,) = live.send(t + k / 30, people)
        if "1" in people and what != "none":
            guessed = out.status[out.person_ids.index("1")] == JointStatus.TRACKER_PREDICTED
            assert guessed.all() if k / 30 >= 0.5 + len(turn) / 30 else not guessed.any() or k / 30 >= 0.5 - 1e-6, k
        if "2" in people:
            assert (out.status[out.person_ids.index("2")] == JointStatus.OBSERVED).all(), k
    assert ViewReason.INPUT_FROZEN in live.at(t + 1.5).reasons


@pytest.mark.parametrize(("name", "most"), [("tracker_kinect2_rehab", 0), ("tracker_nuitrack_validation", 1)])
def test_real_trackers_do_not_repeat_themselves(name, most, data_dir):
    """66 000 frames: the rule holds nobody to be stuck who is not."""
    with np.load(data_dir / f"{name}.npz") as data:
        positions, starts = data["positions"], data["start"].tolist()
    status, sure = np.full((1, 20), JointStatus.OBSERVED, np.uint8), np.ones((1, 20), np.float32)
    repeated = 0
    for first, end in zip(starts, starts[1:]):
        sieve = Sieve(frozen_after_s=0.03)  # one frame that repeats another
        for k in range(first, end):
            at_s = (k - first) / 30
            one = frame(at_s, {"1": positions[k]}, positions=positions[k : k + 1], status=status, confidence=sure)
            sieve.take(one)
        repeated += sieve.counters["frozen_bodies"]
    assert repeated <= most


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_a_stuck_pose_is_told_where_joints_are_missing_in_turn(share):
    live, rng = Live(frozen_after_s=0.5), np.random.default_rng(0)
    t = walk(live)
    pose = synthetic.walker(np.array([t]))[0]
    for k in range(1, 46):
        (out,) = live.send(t + k / 30, {"1": np.where(rng.random((20, 1)) < share, np.nan, pose)})
    assert (out.status != JointStatus.OBSERVED).all() and ViewReason.INPUT_FROZEN in live.at(t + 1.5).reasons


def test_who_comes_back_in_new_poses_is_seen():
    live = Live(frozen_after_s=0.5)
    t = walk(live)
    for k in range(1, 200):
        people = {"1": synthetic.walker(np.array([t + k / 30]))[0]} if k // 20 % 2 else {}
        (out,) = live.send(t + k / 30, people)
        assert (out.status == JointStatus.OBSERVED).all(), k


@pytest.mark.parametrize("noise_m", [0.0, 1e-4])
def test_a_simulators_still_bodies_are_seen_when_it_is_off_and_a_trackers_always(noise_m):
    rng = np.random.default_rng(0)
    live = Live(frozen_after_s=0.0 if noise_m == 0.0 else 0.5)
    x = synthetic.walker(np.array([0.0]))[0]
    for k in range(60):
        (out,) = live.send(k / 30, {"1": x + rng.normal(scale=noise_m, size=x.shape) if noise_m else x})
        assert (out.status == JointStatus.OBSERVED).all()
    assert live.at(59 / 30).reasons == ViewReason.NONE


def test_a_zeds_noise_free_bodies_of_a_simulator_are_seen_when_it_is_off():
    x = make.person("zed38")
    for after_s, status in ((0.0, JointStatus.OBSERVED), (0.5, JointStatus.TRACKER_PREDICTED)):
        adapter = trackers.make("zed")
        pipeline = Pipeline.of(InputConfig(fixed_frame="map", frozen_after_s=after_s), [adapter], None)
        for k in range(30):
            ns = NS + k * NS // 30
            pipeline.push(pipeline.inputs[0], adapter.frames(make.zed({1: x}, ns)), ns, ns, ns)
            (ready,) = pipeline.drain(ns, 0.0)
        assert (ready.frame.status[0] == status).any() and not (ready.frame.status[0] == 4 - status).any()


# Wild stamps


@pytest.mark.parametrize("wild_ns", [-(T0), -10 * NS, 50 * NS])
def test_a_single_wild_stamp_costs_one_message(wild_ns):
    live = Live()
    for k in range(60):
        t = k / 30
        stamp_ns = T0 + round(t * NS) + (wild_ns if k and k % 5 == 0 else 0)
        out = live.send(t, stamp_ns=max(stamp_ns, 0))
        assert len(out) == (0 if k and k % 5 == 0 else 1)
    assert live.one.sieve.counters["stamp_wild"] == 11
    assert live.at(59 / 30).newest_ns == T0 + round(59 / 30 * NS)


def test_a_jump_that_lasts_is_a_jump():
    live = Live()
    walk(live)
    got = [len(live.send(1.0 + k / 30, stamp_ns=T0 + round((k / 30 - 20.0) * NS))) for k in range(6)]
    assert got == [0, 0, 1, 1, 1, 1]


def test_one_wild_stamp_says_nothing_of_the_input_many_do():
    live = Live()
    t = walk(live)
    live.send(t + 1 / 30, stamp_ns=T0 - 10 * NS)
    live.send(t + 2 / 30)
    assert live.at(t + 2 / 30).reasons == ViewReason.NONE
    for k in range(3, 13):
        live.send(t + k / 30, stamp_ns=T0 - 10 * NS if k % 3 == 0 else T0 + round((t + k / 30) * NS))
    assert live.at(t + 12 / 30).reasons == ViewReason.INPUT_STAMPS


# Sizes


def test_bodies_of_all_sizes_are_bodies_and_other_units_are_named():
    x = synthetic.walker(np.linspace(0.0, 3.0, 50))
    seen = np.ones(x.shape[:2], bool)
    for scale in (0.5, 0.82, 1.0, 1.17, 1.4):  # a child, ANSUR II's ends of stature over its mean, a tracker
        assert not implausible(x * scale, seen)[0].any(), scale
    for factor, unit in ((1000.0, "millimetres"), (100.0, "centimetres"), (3.281, "feet"), (0.001, "kilometres")):
        wrong, height_m = implausible(x * factor, seen)
        assert wrong.all() and unit in remark(float(height_m[0])), factor
    assert implausible(x * 0.1, seen)[0].all() and implausible(x * 0.0, seen)[0].all()


def test_a_joint_that_is_far_off_makes_no_body_impossible():
    x = synthetic.walker(np.array([0.0]))
    x[0, INDEX["left_wrist"]] += 8.0
    assert not implausible(x, np.ones((1, 20), bool))[0].any()
    few = np.zeros((1, 20), bool)
    few[0, :3] = True
    assert not implausible(x, few)[0].any(), "three neighbours tell no size"


# Trackers' own ways to say "somebody, and I do not know where"


def test_zed_bodies_without_a_skeleton_are_reported():
    x = make.person("zed38")
    for fields in ({"skeleton_available": False}, {"tracking_state": 0}):
        (out,) = trackers.make("zed").frames(make.zed({4: x}, **fields))
        assert out.person_ids == () and out.unplaced == ("4",)


def test_zeros_in_a_pose_array_are_somebody_without_a_place():
    adapter = trackers.make("pose_array", joints=("coco17",))
    x = make.person("coco17")
    (out,) = adapter.frames(make.poses(np.concatenate([x + 2.0, np.zeros_like(x)])))
    assert len(out.person_ids) == 1 and len(out.unplaced) == 1
    (out,) = adapter.frames(make.poses(np.zeros_like(x)))
    assert out.person_ids == () and len(out.unplaced) == 1
    assert adapter.frames(make.poses(np.zeros((0, 3))))[0].unplaced == ()


def test_hiros_skeletons_without_markers_are_reported():
    x = dict(zip(("left_hip", "right_hip"), make.person("coco17")[11:13], strict=True))
    (out,) = trackers.make("hiros").frames(make.hiros({1: x, 2: {}}))
    assert out.person_ids == ("1",) and out.unplaced == ("2",)
    (out,) = trackers.make("hiros").frames(make.hiros({2: {}}))
    assert out.unplaced == ("2",)


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (0.4, -1.2, 1.5)])
def test_joints_that_openpose_did_not_find_are_missing_wherever_they_are_put(place):
    adapter = trackers.make("openpose")
    rng = np.random.default_rng(0)
    worst, ids = 0.0, set()
    for k in range(60):
        x = make.person("openpose25", k / 30) + 2.0
        found = x.copy()
        gone = rng.permutation(25)[: 3 if k == 0 else rng.integers(0, 6)]
        found[gone] = place
        (out,) = adapter.frames(make.poses(found, NS + k * NS // 30))
        (truth,) = trackers.make("openpose").frames(make.poses(x, NS))
        there = out.status[0] != JointStatus.MISSING
        ids |= set(out.person_ids)
        worst = max(worst, np.linalg.norm(out.positions[0] - truth.positions[0], axis=-1)[there].max())
    assert len(ids) == 1 and worst < 0.3, "a joint that follows from others may follow from fewer"


def test_health_starts_with_nothing_heard_after_a_reset():
    health = InputHealth()
    health.used(5 * NS, NS)
    health.reset()
    assert health.evidence(5 * NS, NS, 1.0, 1.0).reasons == ViewReason.INPUT_SILENT
