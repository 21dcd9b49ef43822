# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Several cameras: ids that do not meet, one body one person."""

from __future__ import annotations

import numpy as np

from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.trackers.fusion import Fusion
from aux_motion_core.types import Reason, SkeletonFrame

NS = 1_000_000_000
OFFSET_M = np.array([0.06, -0.05, 0.02])  # between two cameras' calibrations


def frame(people: dict[str, np.ndarray], stamp_ns: int, hidden=()) -> SkeletonFrame:
    """People by the tracker's id, joints `hidden` missing."""
    status = np.full((len(people), 20), JointStatus.OBSERVED, np.uint8)
    status[:, list(hidden)] = JointStatus.MISSING
    positions = np.stack(list(people.values())) if people else np.empty((0, 20, 3))
    return SkeletonFrame(
        stamp_ns, "map", tuple(people), positions, status, np.ones((len(people), 20), np.float32), None
    )


def at(time_s: float, phase: float = 0.0) -> np.ndarray:
    return synthetic.walker(np.array([time_s]), phase)[0]


def run(fusion: Fusion, seconds: float = 2.0, hidden_of_first=lambda k: ()):
    """Two cameras at 30 Hz in turns, one body; yields (k, source, frame out)."""
    for k in range(round(seconds * 30)):
        for source, (name, offset, shift) in enumerate((("7", 0.0, 0), ("31", OFFSET_M, NS // 60))):
            stamp_ns = NS + k * NS // 30 + shift
            there = at((stamp_ns - NS) / NS) + offset
            hidden = () if source else hidden_of_first(k)
            yield k, source, fusion.take(source, frame({name: there}, stamp_ns, hidden))


def test_without_merging_ids_are_made_distinct() -> None:
    fusion = Fusion(["0", "1"], merge=False)
    assert fusion.take(0, frame({"7": at(0)}, NS)).person_ids == ("0/7",)
    assert fusion.take(1, frame({"7": at(0)}, NS)).person_ids == ("1/7",)


def test_one_body_that_two_cameras_see_is_one_person_without_jitter() -> None:
    fusion = Fusion(["0", "1"])
    predictor = Predictor(make_backend("constant_velocity", ""), PredictorConfig(), "map")
    worst = 0.0
    for k, _, out in run(fusion):
        assert out.person_ids in (("0/7",), ()), "the second camera adds nothing as long as the first sees all"
        predictor.add(out)
        batch = predictor.predict(out.stamp_ns)
        (person,) = batch.people
        if k > 20:
            speed = np.linalg.norm(person.mean[1] - person.mean[0], axis=-1).max() / batch.dt_s
            worst = max(worst, speed)
            assert not person.reasons & (Reason.DUPLICATE_ID | Reason.ID_RELINKED | Reason.OUTLIER_MASKED)
    assert worst < 6.0, f"{worst} m/s: the cameras' offset of 8 cm came out as motion"
    assert fusion.counters["fusion_linked"] == 1


def test_what_the_first_camera_does_not_see_comes_from_the_second() -> None:
    fusion = Fusion(["0", "1"])
    arm = tuple(range(9, 12))
    first = [(k, o) for k, source, o in run(fusion, hidden_of_first=lambda k: arm if k > 20 else ()) if not source]
    assert all((out.status[0] == JointStatus.OBSERVED).all() for k, out in first if k <= 20)
    for _, out in first[30:]:
        assert out.person_ids == ("0/7",) and (out.status[0, list(arm)] == JointStatus.DERIVED).all()
        there = at((out.stamp_ns - NS) / NS)[list(arm)] + OFFSET_M
        off = np.linalg.norm(out.positions[0, list(arm)] - there, axis=-1).max()
        assert off < 0.02, f"{off} m: carried on over 17 ms"
    assert fusion.counters["fusion_joints_filled"] > 80


def test_the_camera_that_sees_much_more_leads() -> None:
    fusion = Fusion(["0", "1"])
    for k, source, out in run(fusion, hidden_of_first=lambda k: range(12) if k > 20 else ()):
        if k > 27:
            assert out.person_ids == (("0/7",) if source else ())
    assert fusion.counters["fusion_led_by_another"] == 1


def test_two_bodies_stay_two_and_a_camera_that_loses_one_hands_over() -> None:
    fusion = Fusion(["0", "1"])
    ids: set[str] = set()
    for k in range(60):
        stamp_ns = NS + k * NS // 30
        first = {"7": at(k / 30), "8": at(k / 30, 2.0)}
        if k > 30:
            del first["7"]
        out = fusion.take(0, frame(first, stamp_ns))
        ids |= set(out.person_ids)
        others = {"1": at(k / 30, 2.0) + OFFSET_M, "2": at(k / 30) + OFFSET_M}
        second = fusion.take(1, frame(others, stamp_ns + NS // 60))
        ids |= set(second.person_ids)
    assert ids == {"0/7", "0/8"}
    assert second.person_ids == ("0/7",), "the second camera goes on with who the first lost"


def test_bodies_that_part_are_two_again() -> None:
    fusion = Fusion(["0", "1"])
    still = at(0.0)
    for k in range(60):
        stamp_ns = NS + k * NS // 30
        fusion.take(0, frame({"7": still}, stamp_ns))
        walked = still + (0.05 * k, 0.0, 0.0)  # somebody else, who stood in the same place at first
        out = fusion.take(1, frame({"3": walked}, stamp_ns + 1))
    assert out.person_ids == ("1/3",) and fusion.counters["fusion_parted"] == 1
    assert fusion.take(0, frame({"7": still}, stamp_ns + 2)).person_ids == ("0/7",)


def test_nobody_is_nobody_and_a_trackers_guess_does_not_keep_another_camera_out() -> None:
    fusion = Fusion(["0", "1"])
    assert fusion.take(0, frame({}, NS)).person_ids == ()
    for k in range(12):
        stamp_ns = NS + k * NS // 30
        guessed = frame({"7": at(0)}, stamp_ns)
        if k > 3:
            guessed.status[:] = JointStatus.TRACKER_PREDICTED
        fusion.take(0, guessed)
        out = fusion.take(1, frame({"3": at(0)}, stamp_ns + NS // 60))
    assert out.person_ids == ("0/7",) and (out.status[0] == JointStatus.OBSERVED).all()
