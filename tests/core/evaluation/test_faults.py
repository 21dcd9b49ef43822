# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Seeded faults: each does what it says, on real recordings, and nothing else; wrong ones are named in one line."""

import re
from dataclasses import replace

import numpy as np
import pytest

from aux_motion_core.bags import reader
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.fault_base import FaultError
from aux_motion_core.evaluation.fault_poses import LIMBS
from aux_motion_core.evaluation.faults import KINDS, Faults, help_text
from aux_motion_core.inference import baselines
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, JOINTS, MIRROR, JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.wire.messages import frame_fields

EVERY = (
    "freeze=0.1,coco17,limb=left_arm:0.5,joints=head:0.2,drop=0.1,bias_mm=20,scale_pct=5,noise_mm=10,outliers=0.01,nan=0.02,"
    "swap_sides=0.05,swap_ids=0.02,twins=0.1,people=0.1,gap=0.1,frames=0.1,rate_hz=15,offset_ms=30,drift_ppm=100,"
    "stamp_noise_ms=2,delay_ms=50,jitter_ms=80,stamps"
)


@pytest.fixture(scope="module")
def one(root):
    """The sample recording: a person in front of a camera."""
    return list(reader.read_skeletons(root / "samples" / "sports2d_demo.mcap"))


@pytest.fixture(scope="module")
def two():
    """Two people for twenty seconds at 30 Hz; each message arrives 5 ms after its stamp."""
    return [(f.stamp_ns + 5_000_000, f) for f in synthetic.frames(2, 20.0)]


def run(text, stream, seed=1):
    return list(Faults.parse(text, seed).trace(stream))


def seen(item):
    return (item.frame.status != JointStatus.MISSING) & np.isfinite(item.frame.positions).all(-1)


def was_seen(item):
    return (item.source.status != JointStatus.MISSING)[list(item.rows)]


def moved_m(item):
    """(P, 20) metres from the clean joints."""
    return np.linalg.norm(item.frame.positions - item.source.positions[list(item.rows)], axis=-1)


def same(a, b):
    assert (a.stamp_ns, a.frame_id, a.person_ids) == (b.stamp_ns, b.frame_id, b.person_ids)
    for name in ("positions", "status", "confidence"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_drop_hides_the_share_of_joints_and_moves_none(one):
    items = run("drop=0.3", one)
    before, after = (np.concatenate([f(i) for i in items]) for f in (was_seen, seen))
    assert not (after & ~before).any()
    assert 0.27 < 1.0 - after.sum() / before.sum() < 0.33
    moved = np.concatenate([moved_m(i) for i in items])
    assert not moved[after].any()
    hidden = np.concatenate([i.frame.confidence for i in items])[before & ~after]
    assert not hidden.any() and np.isnan(np.concatenate([i.frame.positions for i in items])[before & ~after]).all()


def test_limbs_and_joints_are_hidden_always_or_for_a_share_of_the_seconds(two):
    part = np.isin(JOINTS, LIMBS["left_arm"])
    for item in run("limb=left_arm", two):
        np.testing.assert_array_equal(seen(item), np.broadcast_to(~part, (2, 20)))
    for item in run("joints=left_wrist+head", two):
        assert set(np.flatnonzero(~seen(item)[0])) == {INDEX["left_wrist"], INDEX["head"]}
    hidden = np.array([~seen(i)[0, INDEX["left_wrist"]] for i in run("limb=left_arm:0.5", two)])
    assert 0.2 < hidden.mean() < 0.8
    assert np.abs(np.diff(hidden.astype(int))).sum() <= 21  # changes at seconds only


def test_a_joint_list_leaves_what_that_tracker_gives(one):
    for item in run("coco17", one):
        absent = {"spine", "left_hand", "right_hand", "left_foot", "right_foot"}
        assert not seen(item)[:, [INDEX[j] for j in absent]].any()
        derived = item.frame.status[:, [INDEX["pelvis"], INDEX["neck"], INDEX["head"]]]
        assert (np.isin(derived, (JointStatus.DERIVED, JointStatus.MISSING))).all()
        hips = item.frame.positions[:, [INDEX["left_hip"], INDEX["right_hip"]]].mean(1)
        np.testing.assert_allclose(item.frame.positions[:, INDEX["pelvis"]], hips)


def test_noise_bias_and_scale(two):
    noise = np.concatenate([i.frame.positions - i.source.positions for i in run("noise_mm=40", two)])
    assert 0.039 < noise.std() < 0.041 and abs(noise.mean()) < 0.001
    assert abs(np.corrcoef(noise[:-2, 0, 0], noise[2:, 0, 0])[0, 1]) < 0.15  # each frame anew
    bias = np.concatenate([i.frame.positions - i.source.positions for i in run("bias_mm=30", two)])
    np.testing.assert_allclose(np.linalg.norm(bias, axis=-1), 0.030, atol=1e-9)
    np.testing.assert_allclose(bias, np.broadcast_to(bias[:1], bias.shape), atol=1e-9)
    item = run("scale_pct=10", two)[0]
    clean, large = item.source.positions[0], item.frame.positions[0]
    np.testing.assert_allclose(np.ptp(large, axis=0), 1.1 * np.ptp(clean, axis=0))


def test_outliers_and_nan_hit_single_joints(two):
    moved = np.concatenate([moved_m(i) for i in run("outliers=0.02:800", two)])
    assert 0.015 < (moved > 1e-9).mean() < 0.025
    assert 0.4 <= moved[moved > 1e-9].min() and moved.max() <= 0.8 + 1e-9
    items = run("nan=0.05", two)
    broken = np.concatenate([np.isnan(i.frame.positions).any(-1) for i in items])
    assert 0.04 < broken.mean() < 0.06
    assert (np.concatenate([i.frame.status for i in items]) == JointStatus.OBSERVED).all()  # it says that it saw them


def test_swapped_sides_last_for_blocks(two):
    items = run("swap_sides=0.2:0.5", two)
    swapped = []
    for item in items:
        mirrored = [np.array_equal(item.frame.positions[p], item.source.positions[p][MIRROR]) for p in (0, 1)]
        plain = [np.array_equal(item.frame.positions[p], item.source.positions[p]) for p in (0, 1)]
        assert all(m or p for m, p in zip(mirrored, plain, strict=True))
        swapped.append(mirrored[0])
    assert 0.05 < np.mean(swapped) < 0.45
    assert np.abs(np.diff(np.array(swapped, int))).sum() <= 30


def test_swapped_ids_stay_swapped_and_somebody_alone_gets_new_ones(one, two):
    items = run("swap_ids=0.01", two)
    swapped = np.array([i.frame.person_ids != i.source.person_ids for i in items])
    changes = np.abs(np.diff(swapped.astype(int))).sum()
    assert 1 <= changes <= 15 and 0.0 < swapped.mean() < 1.0
    assert all(sorted(i.frame.person_ids) == sorted(i.source.person_ids) for i in items)
    alone = [replace(f, person_ids=f.person_ids[:1], positions=f.positions[:1], status=f.status[:1],
                     confidence=f.confidence[:1]) for _, f in two]  # fmt: skip
    names = list(dict.fromkeys(i.frame.person_ids[0] for i in run("swap_ids=0.01", [(f.stamp_ns, f) for f in alone])))
    assert names[:2] == ["person_0", "person_0_new1"]


def test_twins_and_undetected_people_keep_track_of_who_is_who(two):
    items = run("twins=0.3", two)
    doubled = [i for i in items if len(i.frame.person_ids) > 2]
    assert 0.1 < len(doubled) / len(items) < 0.9
    for item in doubled:
        extra = item.frame.person_ids[2:]
        assert [i.removesuffix("_twin") for i in extra] == [item.source.person_ids[r] for r in item.rows[2:]]
        np.testing.assert_allclose(moved_m(item)[2:], 0.03)
    items = run("people=0.3", two)
    count = np.array([len(i.frame.person_ids) for i in items])
    assert 0.15 < 1.0 - count.mean() / 2 < 0.45
    for item in items:
        assert item.frame.person_ids == tuple(item.source.person_ids[r] for r in item.rows)


def test_messages_are_lost_by_themselves_in_gaps_and_by_a_lower_rate(two):
    def steps(text):
        return np.diff([i.frame.stamp_ns for i in run(text, two)]) * 1e-9

    assert 0.15 < 1.0 - len(run("frames=0.2", two)) / len(two) < 0.25
    gaps = steps("gap=0.2:0.5")
    assert gaps.max() > 0.5 and np.isclose(gaps, 1 / 30, atol=1e-6).mean() > 0.9
    assert 0.05 < 1.0 - len(run("gap=0.2:0.5", two)) / len(two) < 0.4
    np.testing.assert_allclose(steps("rate_hz=10"), 0.1, atol=1e-6)
    np.testing.assert_allclose(steps("rate_hz=30"), 1 / 30, atol=1e-6)
    assert abs(np.mean(steps("rate_hz=12")) - 1 / 12) < 0.004
    assert len(run("rate_hz=100", two)) == len(two)


def test_a_frozen_tracker_repeats_poses_under_new_stamps(two):
    items = run("freeze=0.3:0.5", two)
    assert [i.frame.stamp_ns for i in items] == [f.stamp_ns for _, f in two]
    still = [np.array_equal(a.frame.positions, b.frame.positions) for a, b in zip(items, items[1:])]
    assert 0.1 < np.mean(still) < 0.5


def test_delays_and_clocks(two):
    for item in run("delay_ms=120", two):
        assert item.log_time_ns - item.source.stamp_ns == 125_000_000 and item.frame.stamp_ns == item.source.stamp_ns
    items = run("jitter_ms=100", two)
    late = np.array([i.log_time_ns - i.source.stamp_ns for i in items]) * 1e-6
    assert 5.0 <= late.min() and late.max() <= 105.0 and 50 < late.mean() < 60
    arrival = [i.log_time_ns for i in items]
    assert arrival == sorted(arrival) and [i.frame.stamp_ns for i in items] != sorted(i.frame.stamp_ns for i in items)
    for item in run("delay_ms=120,jitter_ms=50,stamps", two):
        assert item.frame.stamp_ns == item.log_time_ns - 5_000_000  # when the tracker published it
    assert all(i.frame.stamp_ns - i.source.stamp_ns == -250_000_000 for i in run("offset_ms=-250", two))
    last = run("drift_ppm=1000", two)[-1]
    assert last.frame.stamp_ns - last.source.stamp_ns == round(1e-3 * (two[-1][1].stamp_ns - two[0][1].stamp_ns))
    noise = np.array([i.frame.stamp_ns - i.source.stamp_ns for i in run("stamp_noise_ms=4", two)]) * 1e-6
    assert 3.6 < noise.std() < 4.4


def changes(items, stream):
    """What differs from the clean stream."""
    found = set()
    logs = {frame.stamp_ns: log_ns for log_ns, frame in stream}
    for item in items:
        rows, frame, source = list(item.rows), item.frame, item.source
        found |= {"late"} if item.log_time_ns != logs[source.stamp_ns] else set()
        found |= {"stamp"} if frame.stamp_ns != source.stamp_ns else set()
        found |= {"people"} if rows != list(range(len(source.person_ids))) else set()
        found |= {"ids"} if frame.person_ids != tuple(source.person_ids[r] for r in rows) else set()
        for name in ("positions", "status", "confidence"):
            if not np.array_equal(getattr(frame, name), getattr(source, name)[rows], equal_nan=name == "positions"):
                found.add(name)
        assert frame.frame_id == source.frame_id
        np.testing.assert_array_equal(frame.status == JointStatus.MISSING, np.asarray(frame.confidence) == 0.0)
    return found | ({"lost"} if len(items) < len(stream) else set())


HIDES = {"positions", "status", "confidence"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("freeze=0.4", HIDES | {"people"}),
        ("coco17", HIDES),
        ("limb=right_arm:0.5", HIDES),
        ("joints=left_knee+head", HIDES),
        ("drop=0.2", HIDES),
        ("bias_mm=20", {"positions"}),
        ("scale_pct=-5", {"positions"}),
        ("noise_mm=20", {"positions"}),
        ("outliers=0.05", {"positions"}),
        ("nan=0.05", {"positions"}),
        ("swap_sides=0.3", HIDES),
        ("swap_ids=0.05", {"ids"}),
        ("twins=0.3", {"positions", "people", "ids"}),
        ("people=0.3", {"people"}),
        ("gap=0.4", {"lost"}),
        ("frames=0.2", {"lost"}),
        ("rate_hz=12", {"lost"}),
        ("offset_ms=-40", {"stamp"}),
        ("drift_ppm=200", {"stamp"}),
        ("stamp_noise_ms=3", {"stamp"}),
        ("delay_ms=50", {"late"}),
        ("jitter_ms=50", {"late"}),
        ("delay_ms=50,stamps", {"late", "stamp"}),
    ],
)
def test_on_a_real_recording_a_fault_changes_what_it_is_about_and_nothing_else(one, text, expected):
    before = [(log_ns, frame.positions.copy(), frame.status.copy()) for log_ns, frame in one]
    assert changes(run(text, one), one) == expected
    for (_, frame), (_, positions, status) in zip(one, before, strict=True):  # nor the clean frames themselves
        np.testing.assert_array_equal(frame.positions, positions)
        np.testing.assert_array_equal(frame.status, status)


def test_the_same_seed_gives_the_same_faults_and_another_one_others(two):
    first, again, other = run(EVERY, two), run(EVERY, two), run(EVERY, two, seed=2)
    assert len(first) == len(again)
    for a, b in zip(first, again, strict=True):
        same(a.frame, b.frame)
        assert a.log_time_ns == b.log_time_ns
    assert [i.log_time_ns for i in first] != [i.log_time_ns for i in other]


def test_a_fault_does_the_same_whatever_other_faults_there_are(two):
    alone = {i.source.stamp_ns: i for i in run("drop=0.3,noise_mm=20", two)}
    mixed = run("drop=0.3,noise_mm=20,swap_ids=0.05,frames=0.3,delay_ms=80", two)
    assert len(mixed) < len(two)
    for item in mixed:
        np.testing.assert_array_equal(item.frame.positions, alone[item.source.stamp_ns].frame.positions)
    part = {i.source.stamp_ns: i for i in run("drop=0.3,gap=0.2", two)}
    for item in run("drop=0.3,gap=0.2", two[100:]):  # and wherever the stream begins
        same(item.frame, part[item.source.stamp_ns].frame)


def test_scaled_faults_grow_from_nothing(two):
    faults = Faults.parse("drop=0.4,limb=left_arm,rate_hz=10,delay_ms=100,coco17,stamps", seed=3)
    assert str(faults.scaled(0.0)) == "none" and not faults.scaled(0.0).settings
    for (log_ns, frame), (other_ns, clean) in zip(faults.scaled(0.0).apply(two), two, strict=True):
        assert log_ns == other_ns and frame is clean
    half = str(faults.scaled(0.5))
    assert half == "joint_set=coco17,limb=left_arm:0.5,drop=0.2,rate_hz=20,delay_ms=50,stamps"
    assert Faults.parse(half, 3) == faults.scaled(0.5)
    assert str(faults.scaled(5.0)).startswith("joint_set=coco17,limb=left_arm,drop=1,rate_hz=2")
    shares = [np.mean([~seen(i) for i in Faults.parse("drop=0.4", 3).scaled(f).trace(two)]) for f in (0.25, 0.5, 1.0)]
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.4], atol=0.02)


def test_all_faults_together_reach_the_predictor_and_the_wire(one):
    predictor = Predictor(baselines.make("damped_pose"), PredictorConfig(), one[0][1].frame_id)
    people = 0
    for log_ns, frame in Faults.parse(EVERY, 1).apply(one):
        frame_fields(frame)
        assert frame.positions.shape == (len(frame.person_ids), 20, 3)
        assert frame.status.dtype == np.uint8 and frame.confidence.dtype == np.float32
        predictor.add(frame)
        batch = predictor.predict(log_ns)
        people += len(batch.people)
        assert all(np.isfinite(p.mean).all() for p in batch.people)
    assert people > 50


def test_a_stream_may_be_empty_or_hold_nobody(two):
    nobody = replace(
        two[0][1], person_ids=(), positions=np.zeros((0, 20, 3)), status=np.zeros((0, 20), np.uint8),
        confidence=np.zeros((0, 20), np.float32),
    )  # fmt: skip
    assert run(EVERY, []) == []
    for text in EVERY.split(","):
        if not text.startswith(("gap", "frames")):
            (item,) = run(text, [(nobody.stamp_ns, nobody)])
            assert item.frame.person_ids == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no fault given"),
        (" , ", "no fault given"),
        ("dorp=0.3", "unknown fault 'dorp': did you mean drop?"),
        ("qwertyui=1", "unknown fault 'qwertyui': expected one of"),
        ("drop", "fault drop needs a value"),
        ("drop=", "fault drop needs a value"),
        ("drop=1.3", "expected a value in share from 0 to 1, got '1.3'"),
        ("drop=lots", "got 'lots'"),
        ("drop=nan", "got 'nan'"),
        ("noise_mm=-1", "from 0 to 1000"),
        ("rate_hz=0", "from 0.1 to 1000"),
        ("drop=0.1:3", "takes one value"),
        ("gap=0.1:0", "length_s behind the colon from 0.02 to 60"),
        ("limb=left_wing", "expected one of left_arm"),
        ("joints=left_wirst", "did you mean left_wrist?"),
        ("joint_set=kinect9", "fault joint_set: expected one of"),
        ("stamps=1", "takes no value"),
        ("drop=0.1,drop=0.2", "fault drop is given 2 times"),
        ("limb=head,limb=head", "fault limb is given 2 times"),
    ],
)
def test_wrong_faults_are_named_in_one_line(text, says):
    with pytest.raises(FaultError, match=re.escape(says)) as caught:
        Faults.parse(text)
    assert "\n" not in str(caught.value)


def test_every_fault_has_a_line_of_help_and_can_be_written_as_it_is_read():
    assert [line.split("=")[0].split(" ")[0] for line in help_text().splitlines()] == list(KINDS)
    faults = Faults.parse(EVERY, 7)
    assert set(faults.names) == set(KINDS)
    assert Faults.parse(str(faults), 7) == faults
    assert faults.latest_ns == 130_000_000
    with pytest.raises(FaultError, match="cannot scale"):
        faults.scaled(-1.0)
