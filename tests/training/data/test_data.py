# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Loaders: golden positions, human speeds, axes, malformed files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from aux_motion_core.skeleton import BONES, INDEX, JOINTS
from training.data import Clip, load_clips, load_split, unpack
from training.data.clip import make_clip, z_up
from training.data.cmu import (
    JOINT_MAP,
    LOST_BONES,
    RATE_HZ,
    UNIT_M,
    asf_kinematics,
    load_amc,
    load_asf,
    load_expmap_text,
    load_skeleton,
    load_table,
    root_as_recorded,
    text_kinematics,
    with_lost_bones,
)
from training.data.kinect import load_assembly_arms, load_laban_csv
from training.data.kth import held
from training.data.rotation import from_rotation_vectors, from_xyz_degrees, to_rotation_vectors

FEET = [INDEX[j] for j in ("left_ankle", "left_foot", "right_ankle", "right_foot")]


@pytest.fixture(scope="module")
def folder(data_dir: Path) -> Path:
    """The unpacked archives."""
    return unpack(data_dir)


def heading(clip: Clip, pair: str = "shoulder") -> np.ndarray:
    """Mean direction (2,) that the body faces: right joint to left, turned by -90 degrees."""
    across = clip.positions[:, INDEX[f"left_{pair}"]] - clip.positions[:, INDEX[f"right_{pair}"]]
    forward = np.stack([across[:, 1], -across[:, 0]], -1).mean(0)
    return forward / np.linalg.norm(forward)


def speed(clip: Clip) -> float:
    """Mean speed of the pelvis over the ground in m/s."""
    return float(np.linalg.norm(clip.positions[-1, 0, :2] - clip.positions[0, 0, :2]) / clip.duration_s)


def test_rotations_agree_with_their_definition():
    x, y, z = from_xyz_degrees(np.diag([90.0, 90.0, 90.0]))
    assert np.allclose(x @ [0, 1, 0], [0, 0, 1]) and np.allclose(y @ [0, 0, 1], [1, 0, 0])
    assert np.allclose(z @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(from_xyz_degrees([90.0, 0.0, 90.0]), z @ x)
    rng = np.random.default_rng(0)
    v = np.concatenate([rng.normal(size=(50, 3)), np.zeros((1, 3)), [[1e-9, 0, 0], [0, np.pi, 0]]])
    r = from_rotation_vectors(v)
    assert np.allclose(r @ np.swapaxes(r, -1, -2), np.eye(3), atol=1e-12)
    assert np.allclose((r @ v[..., None])[..., 0], v, atol=1e-12)
    assert np.allclose(from_rotation_vectors([0.0, 0.0, np.pi / 2]), z)


def test_z_up_keeps_handedness():
    x, y, z = z_up(np.eye(3))
    assert np.allclose(np.cross(x, y), z) and np.allclose(y, [0, 0, 1])


def test_golden_positions(folder):
    skeleton = load_skeleton(folder / "skeletons.json")
    frames = json.loads((folder / "golden_cmu_positions.json").read_text())["frames"]
    assert len(frames) == 4
    for frame in frames:
        rows = load_table(folder / "cmu_mocap" / frame["file"], 117)[[frame["row"]]]
        rows[:, :6] = 0.0
        got = text_kinematics(rows, skeleton)[0] * 70.0
        assert np.abs(got - frame["positions_benchmark_mm"]).max() < 0.001, frame["file"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("train/walking/walking_1", 1.18), ("train/walking/walking_2", 0.88), ("02_01", 1.18)],
)
def test_walking_speed_is_human(data_dir, name, expected):
    assert speed(load_clips(data_dir, [name])[0]) == pytest.approx(expected, abs=0.02)


def test_rest_pose_in_row_0_is_dropped(folder):
    path = folder / "cmu_mocap" / "train" / "walking" / "walking_1.txt"
    clip = load_expmap_text(path, load_skeleton(folder / "skeletons.json"), "w", "g", "walking")
    rows = load_table(path, 117)
    assert len(clip.positions) == len(rows) - 1
    assert np.allclose(clip.positions[0, 0], z_up(rows[1, :3]) * UNIT_M, atol=1e-5)


def test_text_and_asf_amc_of_one_trial_agree(data_dir):
    """All joints, the root's rotation included: without `root_as_recorded` they are 13 mm apart."""
    text, amc = load_clips(data_dir, ["train/walking/walking_1", "02_01"])
    assert len(text.positions) == len(amc.positions) and text.rate_hz == amc.rate_hz == RATE_HZ
    assert np.linalg.norm(text.positions - amc.positions, axis=-1).max() < 0.0001
    # and not only because both stand still
    assert np.linalg.norm(text.positions[10:] - amc.positions[:-10], axis=-1).mean() > 0.05


@pytest.mark.parametrize("heading_deg", [0.0, 45.0, 89.0, -89.0, -30.0])
@pytest.mark.parametrize("turn_deg", [0.0, 180.0, -170.0])
def test_root_is_turned_as_recorded(heading_deg, turn_deg):
    """Angles of a recording, composed as the text has them, come back as the recording means them."""
    rng = np.random.default_rng(0)
    x, z = rng.uniform(-30, 30, (2, 50)) + turn_deg  # a person turned by half: x and z flip
    y = np.full(50, heading_deg)
    zero = np.zeros(50)
    about = [from_xyz_degrees(np.stack(a, -1)) for a in ((x, zero, zero), (zero, y, zero), (zero, zero, z))]
    text = to_rotation_vectors(np.swapaxes(about[2] @ about[0] @ about[1], -1, -2))
    meant = np.swapaxes(about[2] @ about[1] @ about[0], -1, -2)
    assert np.allclose(from_rotation_vectors(root_as_recorded(text)), meant, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "directing_traffic/directing_traffic_1",
        "soccer/soccer_2",
        *(f"walking_extra/walking_{i}" for i in range(22, 27)),
    ],
)
def test_people_who_turn_stand_on_their_feet(data_dir, name):
    """The lower foot's toes hold still (they slip at 0.25 to 1.7 m/s where the root is turned as in the text)."""
    p = load_clips(data_dir, [f"train/{name}"])[0].positions
    toes = p[:, [INDEX["left_foot"], INDEX["right_foot"]]]
    speeds = np.linalg.norm(np.diff(toes[..., :2], axis=0), axis=-1) * RATE_HZ
    lower = toes[1:, :, 2].argmin(1)
    assert np.median(speeds[np.arange(len(lower)), lower]) < 0.12


def test_bodies_of_text_and_asf_amc_agree_exactly(folder):
    """With the root's rotation taken out, all joints of 02_01 are the same: parser, bones and map."""
    skeleton = with_lost_bones(load_skeleton(folder / "skeletons.json"))
    rows = load_table(folder / "cmu_mocap" / "train" / "walking" / "walking_1.txt", 117)[1:]
    bones = load_asf(folder / "subjects" / "02" / "02.asf")
    channels = load_amc(folder / "subjects" / "02" / "02_01.amc", bones)
    rows[:, 3:6] = 0.0
    channels["root"][:, 3:] = 0.0
    text, ends = text_kinematics(rows, skeleton), asf_kinematics(bones, channels)
    for joint in JOINTS:
        ours, theirs = JOINT_MAP[joint]
        apart = np.abs(text[:, skeleton.joints.index(ours)] - ends[theirs]).max() * UNIT_M
        assert apart < 0.0005, f"{joint}: {apart * 1000:.2f} mm"


def test_lost_bones_are_those_of_the_recorded_skeleton(folder):
    bones = load_asf(folder / "subjects" / "02" / "02.asf")
    for joint, bone in (("Neck", "thorax"), ("LeftFingerBase", "lwrist"), ("RightFingerBase", "rwrist")):
        assert np.allclose(LOST_BONES[joint], bones[bone].offset, atol=1e-3)
    skeleton = load_skeleton(folder / "skeletons.json")
    whole = with_lost_bones(skeleton)
    for joint, bone in (
        ("LeftUpLeg", "lhipjoint"),
        ("Spine1", "upperback"),
        ("RightForeArm", "rhumerus"),
        ("Neck", "thorax"),
    ):
        assert np.allclose(whole.offsets[whole.joints.index(joint)], bones[bone].offset, atol=1e-3), joint
    # the benchmark's own skeleton lacks them
    assert np.allclose(skeleton.offsets[skeleton.joints.index("Neck")], 0.0)


def test_bodies_are_human(data_dir):
    """Bone lengths are constant and human, feet touch a floor near z = 0, toes lead ankles."""
    clips = [
        c for s in ("train", "validation", "new_subject", "new_motion", "seen_group") for c in load_split(data_dir, s)
    ]
    for clip in clips:
        p = clip.positions
        assert clip.mask.all() and np.isfinite(p).all(), clip.name
        lengths = np.stack([np.linalg.norm(p[:, j] - p[:, i], axis=-1) for i, j in BONES], -1)
        rigid = [
            k for k, (i, j) in enumerate(BONES) if JOINTS[i] not in ("spine", "neck") or JOINTS[j].endswith("shoulder")
        ]  # spine to neck and neck to head bend
        assert np.ptp(lengths[:, rigid], axis=0).max() < 0.001, clip.name
        body = dict(zip(BONES, lengths.mean(0), strict=True))
        assert 0.35 < body[INDEX["left_hip"], INDEX["left_knee"]] < 0.5, clip.name
        assert 0.22 < body[INDEX["left_shoulder"], INDEX["left_elbow"]] < 0.35, clip.name
        assert 0.15 < body[INDEX["left_elbow"], INDEX["left_wrist"]] < 0.3, clip.name
        if clip.action != "climb":
            assert abs(np.median(p[:, FEET, 2].min(1))) < 0.11, clip.name
        across = p[:, INDEX["left_shoulder"]] - p[:, INDEX["right_shoulder"]]
        forward = np.stack([across[:, 1], -across[:, 0]], -1)
        toes = p[:, INDEX["left_foot"], :2] - p[:, INDEX["left_ankle"], :2]
        assert (forward * toes).sum(-1).mean() > 0, clip.name
    assert len(clips) == 75 + 10 + 10 + 1 + 23


def test_kinect_people_face_the_camera(data_dir):
    """Hips of every clip face the camera's side, at up to 80 degrees to it; swapped sides would face away."""
    clips = load_split(data_dir, "real_tracker")
    assert len(clips) == 1350 and len({c.name for c in clips}) == 1350 and len({c.group for c in clips}) == 5
    assert sum(c.duration_s for c in clips) / 60 == pytest.approx(57.9, abs=0.1)
    toes_agree, torso, legs = [], [], []
    for clip in clips:
        p = clip.positions
        root = p[:, 0].mean(0)  # the camera is the origin and looks along +x
        assert 1.8 < root[0] < 3.0 and abs(root[1]) < 0.8, clip.name
        facing = heading(clip, "hip")
        assert facing[0] < 0, clip.name
        torso.append(p[:, INDEX["head"], 2].mean() - p[:, 0, 2].mean())
        legs.append(p[:, 0, 2].mean() - p[:, FEET, 2].mean())
        feet, ankles = p[:, FEET[1::2], :2].mean((0, 1)), p[:, FEET[::2], :2].mean((0, 1))
        toes_agree.append((feet - ankles) @ facing > 0)
    assert min(torso) > 0.3 and min(legs) > 0.6  # upright in every clip
    assert 0.55 < np.median(torso) < 0.7 and 0.85 < np.median(legs) < 1.05
    assert np.mean(toes_agree) > 0.95  # this tracker's feet are poor: not all


def test_handover_people_face_each_other(data_dir):
    giver, taker = load_split(data_dir, "handover")
    to_taker = (taker.positions[:, 0] - giver.positions[:, 0]).mean(0)[:2]
    to_taker /= np.linalg.norm(to_taker)
    assert heading(giver) @ to_taker > 0.8 and heading(taker) @ to_taker < -0.8
    for clip in (giver, taker):
        assert clip.rate_hz == 120.0 and len(clip.positions) == 801 and clip.mask[:, :7].mean() > 0.95
        assert not clip.mask[:, FEET].any() and not clip.positions[~clip.mask].any()
        assert 0.8 < clip.positions[:, 0, 2].mean() < 1.1
        bone = {
            (side, a): np.linalg.norm(
                clip.positions[:, INDEX[f"{side}_{a}"]] - clip.positions[:, INDEX[f"{side}_{b}"]], axis=-1
            )
            for side in ("left", "right")
            for a, b in (("shoulder", "elbow"), ("elbow", "wrist"))
        }
        upper = np.stack([bone["left", "shoulder"], bone["right", "shoulder"]])
        assert np.ptp(upper) < 0.002 and 0.2 < upper.mean() < 0.33  # rigid, left as right: these are the joints
        # hands are tracked on their own: the forearm of the arm that hands over varies by 5 cm
        assert all(0.2 < bone[side, "elbow"].min() < bone[side, "elbow"].max() < 0.3 for side in ("left", "right"))
    # the giver's right hand goes out to the taker, and comes back
    hands = np.linalg.norm(giver.positions[:, INDEX["right_wrist"]] - taker.positions[:, INDEX["right_wrist"]], axis=-1)
    assert hands.min() < 0.45 < 0.7 < hands[0]


def test_held_values_are_occlusions():
    p = np.random.default_rng(0).normal(size=(20, 2, 3))
    p[5:9, 0] = p[4, 0]
    p[12:14, 1] = p[11, 1]  # two in a row are no occlusion
    expected = np.zeros((20, 2), bool)
    expected[5:9, 0] = True
    assert np.array_equal(held(p), expected)


def test_other_trackers(folder):
    laban = sorted((folder / "tracker_samples" / "laban_kinect2").glob("*.csv"))
    clips = [load_laban_csv(f, f"laban/{f.stem}") for f in laban]
    assert len(clips) == 7 and sum(c.duration_s for c in clips) == pytest.approx(48, abs=2)
    for clip in clips:
        assert 15 < clip.rate_hz < 35 and clip.mask.mean() > 0.9 and heading(clip)[0] < 0, clip.name
        assert (clip.positions[:, INDEX["head"], 2] - clip.positions[:, 0, 2]).mean() > 0.4, clip.name
    arms = load_assembly_arms(folder / "Task1" / "Human1" / "trial1.txt", "assembly/1_1")
    assert sorted(np.flatnonzero(arms.mask.any(0))) == [4, 5, 6, 8, 9, 10]
    assert heading(arms)[0] < 0 and np.median(arms.positions[:, INDEX["left_wrist"], 0]) > 0.3


def _text(tmp_path: Path, cell: str, row: int = 2) -> Path:
    rows = [["0.0"] * 117 for _ in range(4)]
    rows[row][5] = cell
    path = tmp_path / "bad.txt"
    path.write_text("\n".join(",".join(r) for r in rows) + "\n")
    return path


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ("nan", "NaN"),
        ("inf", "NaN or Inf"),
        ("x", "numbers"),
        ("1,2", "117 columns, got 118"),
        ("", "numbers"),
    ],
)
def test_malformed_text_names_file_and_line(tmp_path, cell, says):
    with pytest.raises(ValueError, match=rf"bad\.txt, line 3: .*{says}"):
        load_table(_text(tmp_path, cell), 117)


def test_text_without_motion(tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n")
    with pytest.raises(ValueError, match=r"empty\.txt: expected rows"):
        load_table(empty, 117)


ASF = """:version 1.10
:name T
:units
  mass 1.0
  length 0.45
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name arm
     direction 1 0 0
     length 2.0
     axis 0 0 90 XYZ
    dof rx rz
  end
:hierarchy
  begin
    root arm
  end
"""
AMC = ":FULLY-SPECIFIED\n:DEGREES\n1\nroot 1 2 3 0 0 0\narm 0 0\n2\nroot 1 2 3 0 0 0\narm 5 90\n"


def test_asf_amc(tmp_path):
    (tmp_path / "t.asf").write_text(ASF)
    (tmp_path / "t.amc").write_text(AMC)
    bones = load_asf(tmp_path / "t.asf")
    end = asf_kinematics(bones, load_amc(tmp_path / "t.amc", bones))
    # the bone's z is the root's, so rz turns it from +x to +y; its x is the root's y
    assert np.allclose(end["arm"][0], [3, 2, 3]) and np.allclose(end["root"], [1, 2, 3])
    assert np.allclose(
        end["arm"][1] - [1, 2, 3], 2 * from_xyz_degrees([0, 0, 90]) @ from_xyz_degrees([0, 5, 0]) @ [1, 0, 0]
    )


@pytest.mark.parametrize("first", [0, 2, 345])
def test_a_recording_that_was_cut_starts_at_any_frame(tmp_path, first):
    (tmp_path / "t.asf").write_text(ASF)
    cut_amc = AMC.replace("\n2\nroot", f"\n{first + 1}\nroot").replace("\n1\nroot", f"\n{first}\nroot", 1)
    (tmp_path / "t.amc").write_text(cut_amc)
    (tmp_path / "whole.amc").write_text(AMC)
    bones = load_asf(tmp_path / "t.asf")
    got, want = load_amc(tmp_path / "t.amc", bones), load_amc(tmp_path / "whole.amc", bones)
    assert all(np.array_equal(got[n], want[n]) for n in want)
    (tmp_path / "t.amc").write_text(cut_amc.replace(f"\n{first + 1}\nroot", f"\n{first + 9}\nroot"))
    with pytest.raises(ValueError, match=rf"line 6: expected frame {first + 1}, got '{first + 9}'"):
        load_amc(tmp_path / "t.amc", bones)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("arm 5 90", "arm 5", "line 8: expected arm and 2 numbers"),
        ("arm 5 90", "arm 5 nan", "line 8: expected finite"),
        ("arm 5 90", "arm 5 x", "line 8: expected numbers"),
        ("arm 5 90\n", "", "last frame is cut off"),
        ("\n2\n", "\n3\n", "line 6: expected frame 2"),
        (":DEGREES", ":RADIANS", "expected :DEGREES"),
        ("arm 0 0", "leg 0 0", "differ in bones"),
    ],
)
def test_malformed_amc_names_file_and_line(tmp_path, old, new, says):
    assert old in AMC
    (tmp_path / "t.asf").write_text(ASF)
    (tmp_path / "t.amc").write_text(AMC.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"t\.amc.*{says}"):
        load_amc(tmp_path / "t.amc", load_asf(tmp_path / "t.asf"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("length 0.45", "length 1.0"),
        (":hierarchy", ":other"),
        ("root arm", "root leg"),
        ("length 2.0", "length two"),
    ],
)
def test_malformed_asf(tmp_path, old, new):
    (tmp_path / "t.asf").write_text(ASF.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"t\.asf: "):
        load_asf(tmp_path / "t.asf")


def test_clip_refuses_what_it_cannot_be():
    good = np.zeros((3, 20, 3))
    with pytest.raises(ValueError, match="expected positions"):
        make_clip("c", "g", "a", 30.0, good[:, :19], "l", "s")
    with pytest.raises(ValueError, match="ascending"):
        make_clip("c", "g", "a", 30.0, good, "l", "s", stamps_s=np.array([0.0, 2.0, 1.0]))
    good[1, 4] = np.nan
    clip = make_clip("c", "g", "a", 30.0, good, "l", "s")
    assert not clip.mask[1, 4] and clip.mask.sum() == 59 and np.isfinite(clip.positions).all()


def test_missing_or_damaged_archives(tmp_path, monkeypatch, data_dir):
    monkeypatch.setenv("AUX_MOTION_CACHE", str(tmp_path / "cache"))
    with pytest.raises(FileNotFoundError, match="expected a folder"):
        unpack(tmp_path / "nothing")
    some = tmp_path / "some"
    some.mkdir()
    with pytest.raises(FileNotFoundError, match=r"missing cmu_mocap_benchmark\.tar\.xz"):
        unpack(some)
    for f in data_dir.iterdir():
        if f.is_file():
            shutil.copyfile(f, some / f.name)
    whole = (some / "cmu_mocap_benchmark.tar.xz").read_bytes()
    (some / "cmu_mocap_benchmark.tar.xz").write_bytes(whole[:100_000])
    with pytest.raises(ValueError, match=r"cmu_mocap_benchmark\.tar\.xz: cannot be unpacked"):
        unpack(some)
    assert list((tmp_path / "cache").iterdir()) == []  # nothing half unpacked stays


def test_cache_is_used_and_a_damaged_entry_is_parsed_again(folder, data_dir, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("AUX_MOTION_CACHE", str(cache))
    monkeypatch.setattr("training.data.splits.unpack", lambda _: folder)
    first = load_clips(data_dir, ["02_01"])[0]
    entry = next(cache.rglob("02_01.npy"))
    np.save(entry, first.positions + 1.0)
    assert np.allclose(load_clips(data_dir, ["02_01"])[0].positions, first.positions + 1.0)
    entry.write_bytes(b"damaged")
    assert np.array_equal(load_clips(data_dir, ["02_01"])[0].positions, first.positions)
