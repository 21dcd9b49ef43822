# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Loaders of data sets on files in their real layout, and on the real CMU data; what is wrong with a file is named."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.history.normalise import REST_POSE
from aux_motion_core.skeleton import INDEX, JOINTS, JointStatus
from aux_motion_core.trackers.joint_maps import SOURCES
from aux_motion_core.types import SkeletonFrame
from training.data import load_clips
from training.data.amass import load_body_model, smpl_kinematics
from training.data.bvh import load_bvh, plain_name
from training.data.cmu import load_skeleton
from training.data.h36m import ACTIONS, SUBJECTS, load_h36m_positions
from training.data.registry import DATASETS, dataset
from training.data.sources import Options
from training.data.threedpw import load_3dpw_positions, read_arrays

#: y up, facing +z (so left is +x), standing: as trackers and suits have a person at rest
Y_UP = np.stack([REST_POSE[:, 1], REST_POSE[:, 2], REST_POSE[:, 0]], -1)


def load_all(name: str, folder: Path, **options) -> dict:
    """Clips by name."""
    d = dataset(name)
    return {c.name: c for s in d.find(folder, Options(**options)) for c in d.load(s)}


def stands(clip) -> bool:
    """Upright, facing +x, metres."""
    p = np.where(clip.mask[..., None], clip.positions, np.nan).mean(0)
    left = p[INDEX["left_hip"]] - p[INDEX["right_hip"]]
    return bool(
        0.3 < p[INDEX["neck"], 2] - p[INDEX["pelvis"], 2] < 0.8
        and 0.6 < p[INDEX["pelvis"], 2] - p[INDEX["left_ankle"], 2] < 1.1
        and left[1] > 0.1 > abs(left[0])
        and p[INDEX["left_foot"], 0] > p[INDEX["left_ankle"], 0]
    )


# CMU


def test_cmu_sets_give_what_the_splits_give(data_dir):
    names = ["train/walking/walking_2", "test/washwindow/washwindow_1", "02_05"]
    want = {c.name: c for c in load_clips(data_dir, names)}
    for name, key in (("cmu", names[:2]), ("cmu_asfamc", names[2:])):
        d = dataset(name)
        sources = {s.name: s for s in d.find(data_dir, Options())}
        assert len(sources) == {"cmu": 96, "cmu_asfamc": 24}[name]
        for k in key:
            (clip,) = d.load(sources[k])
            assert np.array_equal(clip.positions, want[k].positions) and clip.rate_hz == want[k].rate_hz
            assert (clip.group, clip.action, clip.licence) == (want[k].group, want[k].action, want[k].licence)


def test_cmu_without_its_test_files_is_half_extracted(tmp_path, data_dir):
    (tmp_path / "cmu_mocap" / "train" / "walking").mkdir(parents=True)
    (tmp_path / "cmu_mocap" / "train" / "walking" / "walking_1.txt").write_text("0")
    (tmp_path / "skeletons.json").write_text((data_dir / "skeletons.json").read_text())
    with pytest.raises(ValueError, match="no text files in test; expected cmu_mocap"):
        load_all("cmu", tmp_path)
    with pytest.raises(ValueError, match=r"walking_1\.txt, line 1: expected 117 columns, got 1"):
        load_all("cmu", tmp_path, partial=True)


def test_amc_without_its_skeleton(tmp_path):
    (tmp_path / "07_01.amc").write_text("")
    with pytest.raises(FileNotFoundError, match=r"07\.asf: the skeleton of 07_01\.amc is missing"):
        load_all("cmu_asfamc", tmp_path)


# Human3.6M


def h36m_rows(frames: int = 30) -> np.ndarray:
    """Somebody standing upright in a frame with z up, facing +x, the left elbow bent by a right angle."""
    rows = np.zeros((frames, 99))
    rows[:, :3] = [0.0, 0.0, 1000.0]
    # positions are row vectors times the matrix: x (left) -> y, y (up) -> z, z (forward) -> x
    rows[:, 3:6] = Rotation.from_matrix([[0, 1, 0], [0, 0, 1], [1, 0, 0]]).as_rotvec()
    rows[:, 3 + 3 * 18 : 6 + 3 * 18] = [0.0, 0.0, np.pi / 2]
    return rows


def write_h36m(folder: Path, data_dir: Path, subjects=SUBJECTS, actions=ACTIONS) -> Path:
    text = "\n".join(",".join(f"{x:.7f}" for x in r) for r in h36m_rows()) + "\n"
    for s in subjects:
        (folder / s).mkdir(parents=True)
        for a in actions:
            for n in (1, 2):
                (folder / s / f"{a}_{n}.txt").write_text(text)
    (folder / "skeletons.json").write_text((data_dir / "skeletons.json").read_text())
    return folder


def test_h36m(tmp_path, data_dir):
    write_h36m(tmp_path / "h36m", data_dir)
    sources = dataset("h36m").find(tmp_path / "h36m", Options())
    assert len(sources) == 7 * 15 * 2
    (clip,) = dataset("h36m").load(next(s for s in sources if s.name == "S9/sittingdown_2"))
    assert (clip.name, clip.group, clip.action, clip.rate_hz) == ("h36m/S9/sittingdown_2", "h36m_S9", "sittingdown", 50)
    assert "academic" in clip.licence and clip.mask.all()
    p = clip.positions[3]
    thigh = np.linalg.norm(p[INDEX["left_hip"]] - p[INDEX["left_knee"]])
    assert p[INDEX["pelvis"]] == pytest.approx([0, 0, 1.0]) and thigh == pytest.approx(0.4429, abs=1e-4)
    assert p[INDEX["left_hip"]] == pytest.approx([0.0, 0.1329, 1.0], abs=1e-4)
    assert p[INDEX["left_foot"], 0] == pytest.approx(0.1628, abs=1e-4)
    # the bent elbow: forearm across the upper arm
    upper = p[INDEX["left_elbow"]] - p[INDEX["left_shoulder"]]
    fore = p[INDEX["left_wrist"]] - p[INDEX["left_elbow"]]
    assert abs(upper @ fore) < 1e-5 and np.linalg.norm(fore) == pytest.approx(0.2517, abs=1e-4)


def test_h36m_positions_agree_with_the_golden_composition(tmp_path, data_dir):
    """The chain of one hand, multiplied out by hand as skeletons.json says; the papers' root is zero."""
    rng = np.random.default_rng(0)
    rows = rng.normal(0.0, 0.5, (4, 99))
    path = tmp_path / "x.txt"
    np.savetxt(path, rows, delimiter=",")
    s = json.loads((data_dir / "skeletons.json").read_text())["h36m32"]
    free, fixed = (load_h36m_positions(path, data_dir / "skeletons.json", keep) for keep in (True, False))
    assert free.shape == (4, 32, 3)
    for got, root in ((free[2], rows[2, :6]), (fixed[2], np.zeros(6))):
        e = np.concatenate([root[3:], rows[2, 6:]]).reshape(32, 3)
        chain = [31]
        while s["parents"][chain[-1]] >= 0:
            chain.append(s["parents"][chain[-1]])
        place, turn = root[:3], np.eye(3)
        for j in reversed(chain):
            place = place + np.array(s["offsets"][j]) @ turn
            turn = Rotation.from_rotvec(e[j]).as_matrix() @ turn
        assert np.allclose(got[31], place)


def test_h36m_that_is_half_there(tmp_path, data_dir):
    folder = write_h36m(tmp_path, data_dir, SUBJECTS[:2], ACTIONS[:2])
    with pytest.raises(ValueError, match=r"202 of 210 files are missing \(S1/eating_1, .* and 198 more\).*--partial"):
        dataset("h36m").find(folder, Options())
    assert len(dataset("h36m").find(folder, Options(partial=True))) == 8
    (folder / "skeletons.json").unlink()
    with pytest.raises(FileNotFoundError, match="--skeletons"):
        dataset("h36m").find(folder, Options(partial=True))


@pytest.mark.parametrize(("cell", "says"), [("nan", "NaN or Inf"), ("1,2", "99 columns, got 100"), ("abc", "numbers")])
def test_h36m_names_file_and_line(tmp_path, data_dir, cell, says):
    rows = [["0.0"] * 99 for _ in range(5)]
    rows[3][7] = cell
    path = tmp_path / "walking_1.txt"
    path.write_text("\n".join(map(",".join, rows)))
    with pytest.raises(ValueError, match=rf"walking_1\.txt, line 4: .*{says}"):
        load_h36m_positions(path, data_dir / "skeletons.json")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{}", "expected skeletons.json with h36m32"),
        (b"[]", "expected skeletons.json with h36m32"),
        (b"", "expected skeletons.json with h36m32"),
        (b"\xff\xfe", "expected text, got byte 0xff at 0"),
        (b'{"h36m32": {"joints": ["a"], "parents": [-1], "offsets": []}}', "a parent and an offset of 3 for each of 1"),
    ],
)
def test_skeletons_that_are_damaged_are_named(tmp_path, content, says):
    (tmp_path / "skeletons.json").write_bytes(content)
    for load in (load_h36m_positions, lambda _, path: load_skeleton(path, "h36m32")):
        with pytest.raises(ValueError, match=rf"skeletons\.json: .*{says}"):
            load(tmp_path / "walking_1.txt", tmp_path / "skeletons.json")


def test_a_binary_file_is_named(tmp_path, data_dir):
    path = tmp_path / "walking_1.txt"
    path.write_bytes(b"1,2\n\x80\x81")
    with pytest.raises(ValueError, match=r"walking_1\.txt: expected text, got byte 0x80 at 4"):
        load_h36m_positions(path, data_dir / "skeletons.json")


# 3DPW


def smpl_positions(joints: int = 24, frames: int = 20) -> np.ndarray:
    """(frames, joints, 3): the standing person as SMPL, y up."""
    from training.data.threedpw import smpl_order

    p = np.zeros((frames, joints, 3))
    p[:, smpl_order(joints)] = Y_UP + [0.0, 0.95, 0.0]
    return p


def sequence(**changes) -> dict:
    people = [smpl_positions().reshape(20, 72), smpl_positions().reshape(20, 72) + 1.0]
    return {
        "sequence": "downtown_walking_00",
        "jointPositions": people,
        "genders": ["m", "f"],
        "campose_valid": [np.ones(20, bool)] * 2,
        "cam_intrinsics": np.eye(3),
        **changes,
    }


def write_3dpw(folder: Path, content, name: str = "downtown_walking_00", split: str = "train") -> Path:
    path = folder / "sequenceFiles" / split / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    # as Python 2 and its numpy wrote them
    path.write_bytes(pickle.dumps(content, protocol=2).replace(b"numpy._core", b"numpy.core"))
    return path


def test_3dpw(tmp_path):
    for split in ("train", "validation", "test"):
        path = write_3dpw(tmp_path, sequence(), split=split)
    assert b"numpy.core.multiarray" in path.read_bytes()
    clips = load_all("3dpw", tmp_path)
    assert len(clips) == 6
    clip = clips["3dpw/test/downtown_walking_00/1"]
    assert (clip.group, clip.action, clip.rate_hz) == ("3dpw_downtown_walking_00", "downtown_walking", 30.0)
    assert stands(clip) and clip.mask.all() and "non-commercial" in clip.licence
    both = load_3dpw_positions(path)
    assert both[0].shape == (20, 24, 3) and np.allclose(both[1] - both[0], 1.0)


class Evil:
    """Would write a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_3dpw_runs_nothing_that_a_pickle_names(tmp_path, protocol):
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"jointPositions": [Evil(tmp_path / "made")]}, protocol=protocol))
    with pytest.raises(ValueError, match=r"x\.pkl: cannot be read \(it wants .*open, and only numpy arrays"):
        read_arrays(path)
    assert not (tmp_path / "made").exists()


def test_3dpw_bad_files(tmp_path):
    bad = sequence()
    bad["jointPositions"][1][7, 3] = np.nan
    with pytest.raises(ValueError, match=r"a\.pkl, person 1, frame 7: expected finite"):
        load_3dpw_positions(write_3dpw(tmp_path, bad, "a"))
    with pytest.raises(ValueError, match=r"b\.pkl, person 0: expected jointPositions of \(frames, 72\).*\(20, 66\)"):
        load_3dpw_positions(write_3dpw(tmp_path, sequence(jointPositions=[np.zeros((20, 66))]), "b"))
    with pytest.raises(ValueError, match=r"c\.pkl: expected jointPositions.*keys: \['poses'\]"):
        load_3dpw_positions(write_3dpw(tmp_path, {"poses": 1}, "c"))
    for people in ([np.zeros((0, 72))], [[[1.0, 2.0], [3.0]]], ["x"]):
        path = tmp_path / "e.pkl"
        path.write_bytes(pickle.dumps({"jointPositions": people}, protocol=4))
        with pytest.raises(ValueError, match=r"e\.pkl, person 0: expected jointPositions of \(frames, 72\)"):
            load_3dpw_positions(path)
    with pytest.raises(ValueError, match=r"e\.pkl: expected jointPositions.*keys: \['1', 'a'\]"):
        load_3dpw_positions(write_3dpw(tmp_path, {1: 2, "a": 3}, "e"))
    cut = write_3dpw(tmp_path, sequence(), "d")
    cut.write_bytes(cut.read_bytes()[:-500])
    with pytest.raises(ValueError, match=r"d\.pkl: cannot be read"):
        load_3dpw_positions(cut)
    with pytest.raises(ValueError, match="no sequences in validation, test"):
        load_all("3dpw", tmp_path)


# AMASS

_HAND = [20, 22, 23, 20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35]
SMPLH_PARENTS = [
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, *_HAND,
    *(21 if p == 20 else p + 15 for p in _HAND),
]  # fmt: skip


def write_body_model(path: Path, scale: float = 1.0) -> Path:
    """A body of one vertex a joint, in the layout of SMPL-H; the first shape makes it taller."""
    path.parent.mkdir(parents=True, exist_ok=True)
    joints = smpl_positions(52, 1)[0] * scale
    shapes = np.zeros((52, 3, 16))
    shapes[:, :, 0] = 0.1 * joints
    tree = np.stack([np.array(SMPLH_PARENTS, np.int64).astype(np.uint32), np.arange(52, dtype=np.uint32)])
    np.savez(path, J_regressor=np.eye(52), v_template=joints, shapedirs=shapes, kintree_table=tree, f=np.zeros((2, 3)))
    return path


def write_amass(path: Path, frames: int = 40, **changes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    poses = np.zeros((frames, 156))
    poses[:, :3] = Rotation.from_matrix([[0, 0, 1], [1, 0, 0], [0, 1, 0]]).as_rotvec()  # y up -> z up
    content = {
        "poses": poses, "trans": np.zeros((frames, 3)), "betas": np.zeros(16), "gender": np.array("female"),
        "mocap_framerate": np.array(120.0), "dmpls": np.zeros((frames, 8)), **changes,
    }  # fmt: skip
    np.savez(path, **content)
    return path


def test_amass(tmp_path):
    write_amass(tmp_path / "amass" / "CMU" / "07" / "07_01_poses.npz")
    np.savez(tmp_path / "amass" / "CMU" / "07" / "shape.npz", betas=np.zeros(16))
    for gender, scale in (("male", 1.1), ("female", 1.0), ("neutral", 1.05)):
        write_body_model(tmp_path / "smplh" / gender / "model.npz", scale)
    clips = load_all("amass", tmp_path / "amass", body_model=tmp_path / "smplh")
    assert list(clips) == ["amass/CMU/07/07_01_poses"]
    clip = clips["amass/CMU/07/07_01_poses"]
    assert (clip.group, clip.rate_hz, len(clip.positions)) == ("CMU/07", 120.0, 40) and stands(clip)
    size = {}
    for gender, stored in (("male", "male"), ("female", b"female"), ("neutral", np.array({"any": "object"}))):
        write_amass(tmp_path / "amass" / "CMU" / "07" / "07_01_poses.npz", gender=np.array(stored))
        p = next(iter(load_all("amass", tmp_path / "amass", body_model=tmp_path / "smplh").values())).positions[0]
        size[gender] = np.linalg.norm(p[INDEX["left_hip"]] - p[INDEX["left_knee"]])
    assert size["male"] / size["female"] == pytest.approx(1.1, rel=1e-5)
    assert size["neutral"] / size["female"] == pytest.approx(1.05, rel=1e-5)


def test_body_model_kinematics(tmp_path):
    """A raised arm, turned about its shoulder alone, and a shape that makes the body larger by a tenth."""
    model = load_body_model(write_body_model(tmp_path / "model.npz"))
    poses = np.zeros((1, 156))
    still = smpl_kinematics(model, poses, np.array([[1.0, 2.0, 3.0]]), np.zeros(16))[0]
    assert np.allclose(still, smpl_positions(52, 1)[0] + [1.0, 2.0, 3.0])
    poses[0, 3 * 16 : 3 * 17] = [0.0, 0.0, np.pi / 2]
    bent = smpl_kinematics(model, poses, np.array([[1.0, 2.0, 3.0]]), np.zeros(16))[0]
    turn = Rotation.from_rotvec([0.0, 0.0, np.pi / 2])
    arm = [18, 20, 25, 33]
    assert np.allclose(bent[arm] - bent[16], turn.apply(still[arm] - still[16]))
    others = [k for k in range(52) if k not in (18, 20) and not 22 <= k < 37]
    assert np.allclose(bent[others], still[others])
    large = smpl_kinematics(model, np.zeros((1, 156)), np.zeros((1, 3)), np.array([1.0]))[0]
    assert np.allclose(large, 1.1 * smpl_positions(52, 1)[0])


def test_amass_without_a_body_model_says_what_to_download(tmp_path):
    write_amass(tmp_path / "a_poses.npz")
    with pytest.raises(ValueError, match=r"AMASS holds no joint positions.*mano\.is\.tue\.mpg\.de.*--body-model"):
        load_all("amass", tmp_path)
    with pytest.raises(FileNotFoundError, match="no body model"):
        load_all("amass", tmp_path, body_model=tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(ValueError, match=r"other\.npz: expected a body model as npz.*J_regressor"):
        load_all("amass", tmp_path, body_model=tmp_path / "other.npz")


#: what becomes of a file whose download broke off, and of what is no npz at all
NPZ_DAMAGE = [
    lambda b: b"", lambda b: b[:4], lambda b: b[: len(b) // 2], lambda b: b[:-30], lambda b: b"hello",
    lambda b: b[:300] + b"U" * 600 + b[900:], lambda b: b"\x93NUMPY" + b[6:],
]  # fmt: skip


@pytest.mark.parametrize("damage", NPZ_DAMAGE)
def test_npz_files_that_are_damaged_are_named(tmp_path, damage):
    rng = np.random.default_rng(0)
    model = write_body_model(tmp_path / "model.npz")
    path = write_amass(tmp_path / "amass" / "a_poses.npz", poses=rng.normal(size=(40, 156)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"a_poses\.npz: cannot be read as npz"):
        load_all("amass", path.parent, body_model=model)
    write_amass(path)
    model.write_bytes(damage(model.read_bytes()))
    with pytest.raises(ValueError, match=r"model\.npz: .*cannot be read as npz.*smplh\.tar\.xz"):
        load_all("amass", path.parent, body_model=model)
    own = tmp_path / "own" / "x.npz"
    own.parent.mkdir()
    np.savez(own, positions=rng.normal(size=(30, 20, 3)), stamps_s=np.linspace(0, 1, 30))
    own.write_bytes(damage(own.read_bytes()))
    with pytest.raises(ValueError, match=r"x\.npz: cannot be read as npz"):
        load_all("folder", own.parent)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"frames": 0}, "expected frames at 1 to 1000 Hz"),
        ({"betas": np.array(1.0)}, r"betas \(shapes,\)"),
        ({"betas": np.zeros((1, 16))}, r"betas \(shapes,\)"),
        ({"mocap_framerate": np.array(np.nan)}, "at nan Hz"),
        ({"mocap_framerate": np.array(0.0)}, "at 0 Hz"),
        ({"mocap_framerate": np.full(3, 120.0)}, "expected poses, trans, betas and mocap_framerate"),
        ({"poses": np.array([None])}, "expected poses, trans, betas and mocap_framerate"),
    ],
)
def test_amass_arrays_that_do_not_fit_are_named(tmp_path, changes, says):
    path = write_amass(tmp_path / "d" / "a_poses.npz", **changes)
    with pytest.raises(ValueError, match=rf"a_poses\.npz: .*{says}"):
        load_all("amass", path.parent, body_model=write_body_model(tmp_path / "model.npz"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shapedirs": np.zeros(2)}, "expected v_template"),
        ({"kintree_table": np.zeros(7)}, "kintree_table"),
        ({"kintree_table": np.stack([np.full(52, 51), np.arange(52)])}, "parents before their children"),
        ({"J_regressor": np.zeros(52)}, "expected 52 joints"),
    ],
)
def test_body_models_that_do_not_fit_are_named(tmp_path, changes, says):
    with np.load(write_body_model(tmp_path / "model.npz")) as f:
        content = {**f, **changes}
    np.savez(tmp_path / "model.npz", **content)
    with pytest.raises(ValueError, match=rf"model\.npz: .*{says}"):
        load_body_model(tmp_path / "model.npz")


def test_amass_bad_files(tmp_path):
    model = write_body_model(tmp_path / "model.npz")
    path = write_amass(tmp_path / "d" / "a_poses.npz", poses=np.zeros((40, 165)))
    with pytest.raises(ValueError, match=r"a_poses\.npz: expected poses \(frames, 156\).*got \(40, 165\)"):
        load_all("amass", path.parent, body_model=model)
    poses = np.zeros((40, 156))
    poses[9, 4] = np.inf
    write_amass(path, poses=poses)
    with pytest.raises(ValueError, match=r"a_poses\.npz, frame 9: expected finite"):
        load_all("amass", path.parent, body_model=model)
    np.savez(path, poses=poses)
    with pytest.raises(ValueError, match=r"a_poses\.npz: expected poses, trans, betas"):
        load_all("amass", path.parent, body_model=model)


# BVH

MIXAMO = {
    "Hips": ("", "pelvis"), "Spine": ("Hips", "spine"), "Neck": ("Spine", "neck"), "Head": ("Neck", "head"),
    **{f"{s}{n}": (p.format(s=s), f"{s.lower()}_{j}") for s in ("Left", "Right") for n, p, j in (
        ("Arm", "Neck", "shoulder"), ("ForeArm", "{s}Arm", "elbow"), ("Hand", "{s}ForeArm", "wrist"),
        ("UpLeg", "Hips", "hip"), ("Leg", "{s}UpLeg", "knee"), ("Foot", "{s}Leg", "ankle"),
        ("ToeBase", "{s}Foot", "foot"))},
}  # fmt: skip


def bvh_text(pose: np.ndarray, unit: float, rename=lambda n: n, frames: int = 12, dt: float = 1 / 30) -> str:
    """A BVH file of that pose (20, 3), all rotations zero but for the left elbow's 90 degrees about x."""
    lines, order = ["HIERARCHY"], []

    def block(name: str, depth: int) -> None:
        parent, joint = MIXAMO[name]
        origin = pose[INDEX[MIXAMO[parent][1]]] if parent else pose[INDEX[joint]]
        offset = (pose[INDEX[joint]] - origin) * unit
        pad = "  " * depth
        lines.append(f"{pad}{'JOINT' if parent else 'ROOT'} {rename(name)}")
        lines.append(f"{pad}{{\n{pad}  OFFSET {offset[0]:.6f} {offset[1]:.6f} {offset[2]:.6f}")
        place = "" if parent else "Xposition Yposition Zposition "
        lines.append(f"{pad}  CHANNELS {3 if parent else 6} {place}Zrotation Xrotation Yrotation")
        order.append(name)
        children = [n for n, (p, _) in MIXAMO.items() if p == name]
        for child in children:
            block(child, depth + 1)
        if not children:
            lines.append(f"{pad}  End Site\n{pad}  {{\n{pad}    OFFSET 0.0 0.0 {0.08 * unit:.6f}\n{pad}  }}")
        lines.append(f"{pad}}}")

    block("Hips", 0)
    row = np.zeros(3 + 3 * len(order))
    row[:3] = pose[INDEX["pelvis"]] * unit
    row[3 + 3 * order.index("LeftForeArm") + 1] = 90.0
    text = " ".join(f"{x:.6f}" for x in row)
    return "\n".join([*lines, "MOTION", f"Frames: {frames}", f"Frame Time: {dt:.6f}", *[text] * frames]) + "\n"


@pytest.mark.parametrize("unit", [1000.0, 100.0, 1 / 0.0254, 0.45 / 0.0254, 1.0])
@pytest.mark.parametrize("up", ["y", "z"])
def test_bvh(tmp_path, unit, up):
    """In any unit and with either axis up it is the same person."""
    pytest.importorskip("pybvh")
    pose = (Y_UP if up == "y" else REST_POSE) + ([0, 0.95, 0] if up == "y" else [0, 0, 0.95])
    (tmp_path / "p1").mkdir()
    (tmp_path / "p1" / "walk_02.bvh").write_text(bvh_text(pose, unit, lambda n: f"mixamorig:{n}"))
    (clip,) = load_all("bvh", tmp_path).values()
    assert (clip.name, clip.group, clip.action) == ("bvh/p1/walk_02", "p1", "walk")
    assert clip.rate_hz == pytest.approx(30.0) and stands(clip)
    same = [INDEX[j] for j in JOINTS if not j.startswith("left_w") and not j.endswith("hand")]
    assert np.abs(clip.positions[5, same] - REST_POSE[same] - [0, 0, 0.95]).max() < 2e-4
    # the forearm, turned about x in the file: the person's left (y up) or forward (z up)
    want = Rotation.from_rotvec([0, np.pi / 2, 0] if up == "y" else [np.pi / 2, 0, 0]).apply(
        REST_POSE[INDEX["left_wrist"]] - REST_POSE[INDEX["left_elbow"]]
    )
    assert np.abs(clip.positions[5, INDEX["left_wrist"]] - clip.positions[5, INDEX["left_elbow"]] - want).max() < 2e-4


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("mixamorig:LeftArm", "leftarm"), ("L_Hip", "lefthip"), ("thigh.R", "rightthigh"), ("lShldr", "leftshldr"),
        ("RightUpLeg", "rightupleg"), ("upperarm_l", "leftupperarm"), ("LowerBack", "lowerback"), ("Root", "root"),
        ("rCollar", "rightcollar"), ("LHipJoint", "lefthipjoint"), ("right_knee", "rightknee"),
    ],
)  # fmt: skip
def test_bvh_names(name, plain):
    assert plain_name(name) == plain


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Frames: 12", "Frames: 13", "13 frames"),
        ("Frame Time", "Frame", "expected a BVH file with CHANNELS and Frame Time"),
        ("LeftUpLeg", "Tail", "no joint named like left_hip; it has: Hips, Spine, "),
        ("OFFSET", "OFSET", "expected a BVH file"),
        ("Frame Time: 0.033333", "Frame Time: inf", "expected a Frame Time for 1 to 1000 Hz, got one for 0 Hz"),
        ("Frame Time: 0.033333", "Frame Time: 1e-12", "expected a Frame Time for 1 to 1000 Hz"),
        ("CHANNELS 3 Z", "CHANNELS 6 Xposition Yposition Zposition Z", "columns, got"),
    ],
)
def test_bvh_bad_files(tmp_path, old, new, says):
    pytest.importorskip("pybvh")
    path = tmp_path / "x.bvh"
    path.write_text(bvh_text(Y_UP, 100.0).replace(old, new))
    with pytest.raises(ValueError, match=rf"x\.bvh.*{says}"):
        load_bvh(path)


def test_bvh_names_the_line_and_the_size(tmp_path):
    pytest.importorskip("pybvh")
    path = tmp_path / "x.bvh"
    lines = bvh_text(Y_UP, 100.0).splitlines()
    for cell, says in (("nan", "finite"), ("", "57 columns, got 56")):
        path.write_text("\n".join([*lines[:-2], lines[-2].replace("90.000000", cell), lines[-1]]))
        with pytest.raises(ValueError, match=rf"x\.bvh, line {len(lines) - 1}: .*{says}"):
            load_bvh(path)
    path.rename(tmp_path / "x.BVH")
    with pytest.raises(ValueError, match=r"x\.BVH: expected the ending .bvh in lower case: rename it"):
        load_all("bvh", tmp_path)
    (tmp_path / "x.BVH").unlink()
    path.write_text(bvh_text(Y_UP, 7.0))
    with pytest.raises(ValueError, match=r"x\.bvh: no unit .* makes it an adult"):
        load_bvh(path)


# one's own


def frame(stamp_s: float, people: dict[str, np.ndarray], status: np.ndarray | None = None) -> SkeletonFrame:
    p = np.stack(list(people.values()))
    s = np.where(np.isfinite(p).all(-1), JointStatus.OBSERVED, JointStatus.MISSING).astype(np.uint8)
    if status is not None:
        s[:, status] = JointStatus.TRACKER_PREDICTED
    return SkeletonFrame(round(stamp_s * 1e9), "map", tuple(people), p, s, (s > 0).astype(np.float32))


def write_bag(path: Path, poses, rate_hz: float = 20.0, guessed=None) -> Path:
    """`poses(t)` -> {person: (20, 3)} for each time of 3 s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with BagWriter(path) as bag:
        for k in range(60):
            t = 100.0 + k / rate_hz
            bag.write("/skeletons", frame(t, poses(k / rate_hz), guessed), round(t * 1e9))
    return path


def test_own_bags(tmp_path):
    up = REST_POSE + [0, 0, 0.95]

    def poses(t):
        anna = up.copy()
        anna[INDEX["left_hand"]] = np.nan
        people = {"anna": anna + [t, 0, 0]}
        if not 0.9 < t < 2.2:  # away for longer than a second, then back
            people["bob"] = up + [0, t, 0]
        return people

    write_bag(tmp_path / "monday" / "reach_01.mcap", poses, guessed=[INDEX["head"]])
    clips = load_all("folder", tmp_path)
    assert sorted(clips) == [
        "own/monday/reach_01/anna", "own/monday/reach_01/bob#0", "own/monday/reach_01/bob#1",
    ]  # fmt: skip
    anna = clips["own/monday/reach_01/anna"]
    assert (anna.group, anna.action, len(anna.stamps_s)) == ("own/monday/reach_01", "reach", 60)
    assert anna.rate_hz == pytest.approx(20.0) and anna.duration_s == pytest.approx(2.95)
    hidden = [INDEX["left_hand"], INDEX["head"]]
    assert not anna.mask[:, hidden].any() and np.delete(anna.mask, hidden, 1).all()
    assert np.allclose(anna.positions[20, 0], [1.0, 0, 0.95]) and not anna.positions[:, hidden].any()


def test_the_sample_bag(root):
    """A camera tracker's recording: no spine, guessed joints masked, one stretch of each person."""
    clips = load_all("folder", root / "samples")
    assert sorted(clips) == ["own/sports2d_demo/person_1", "own/sports2d_demo/person_2"]
    for clip in clips.values():
        assert clip.rate_hz == pytest.approx(30.0, abs=0.1) and clip.duration_s > 4.0
        assert not clip.mask[:, INDEX["spine"]].any() and clip.mask[:, INDEX["neck"]].mean() > 0.9
    assert clips["own/sports2d_demo/person_2"].mask[:, INDEX["left_wrist"]].mean() > 0.9
    assert clips["own/sports2d_demo/person_2"].mask[:, INDEX["right_wrist"]].mean() < 0.5, "hidden behind her"


def test_own_bags_bad_input(tmp_path):
    up = REST_POSE + [0, 0, 0.95]
    with pytest.raises(ValueError, match="holds nothing of the kind; expected bags"):
        load_all("folder", tmp_path)
    (tmp_path / "e.mcap").write_bytes(b"")
    with pytest.raises(ValueError, match=r"e\.mcap is empty"):
        load_all("folder", tmp_path)
    (tmp_path / "e.mcap").unlink()
    write_bag(tmp_path / "a.mcap", lambda t: {"x": up * 1000.0})
    with pytest.raises(ValueError, match=r"a\.mcap, own/a/x: expected metres"):
        load_all("folder", tmp_path)
    write_bag(tmp_path / "a.mcap", lambda t: {"x": up * [1, -1, -1]})
    with pytest.raises(ValueError, match=r"a\.mcap, own/a/x: expected z up; the neck is -0\.48 m"):
        load_all("folder", tmp_path)
    write_bag(tmp_path / "a.mcap", lambda t: {"x": up} if t < 0.2 else {"y": up} if t > 2.8 else {"z": up + np.nan})
    with pytest.raises(ValueError, match=r"a\.mcap: nobody is seen for 0\.4 s in it \(2 people\)"):
        load_all("folder", tmp_path)


def test_own_npz_of_another_tracker(tmp_path):
    names = SOURCES["coco17"]
    p = np.full((50, 17, 3), np.nan)
    for k, joint in enumerate(names):
        if joint in INDEX:
            p[:, k] = REST_POSE[INDEX[joint]] + [0, 0, 0.95]
    stamps = np.sort(np.random.default_rng(0).uniform(0, 2, 50))
    np.savez(tmp_path / "bend_3.npz", positions=p, stamps_s=stamps, joints="coco17", licence="mine", group="shift 2")
    (clip,) = load_all("folder", tmp_path).values()
    assert (clip.name, clip.action, clip.group, clip.licence) == ("own/bend_3", "bend", "shift 2", "mine")
    assert np.allclose(clip.stamps_s, stamps - stamps[0])
    seen = [INDEX[j] for j in names if j in INDEX]
    assert clip.mask[:, seen].all() and clip.mask[:, INDEX["pelvis"]].all() and not clip.mask[:, INDEX["spine"]].any()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"stamps_s": None}, "stamps_s is missing or holds Python objects; keys: .'positions'"),
        ({"positions": np.zeros((0, 20, 3)), "stamps_s": np.zeros(0)}, "shorter than 0.4 s"),
        ({"positions": np.full((30, 20, 3), "x")}, "expected numbers in positions"),
        ({"stamps_s": np.full(30, "x")}, "expected numbers in stamps_s"),
        ({"positions": np.full((30, 20, 3), np.nan)}, "no joint is ever seen"),
        ({"positions": np.zeros((9, 20, 2))}, r"expected positions \(frames, joints, 3\)"),
        ({"positions": np.zeros((30, 17, 3))}, "17: name the joint list in `joints`"),
        ({"joints": "coco18"}, "unknown joint list 'coco18'"),
        ({"stamps_s": np.r_[0.0:1.0:29j, 0.5]}, "frame 29: expected finite, ascending stamps_s"),
        ({"mask": np.ones((30, 3), bool)}, r"expected mask \(30, 20\), got \(30, 3\)"),
        ({"stamps_s": np.linspace(0, 0.1, 30)}, "shorter than 0.4 s"),
        ({"positions": np.repeat(REST_POSE[None] * 100, 30, 0)}, "expected metres"),
    ],
)
def test_own_npz_bad_input(tmp_path, changes, says):
    content = {"positions": np.repeat(REST_POSE[None], 30, 0), "stamps_s": np.linspace(0, 1, 30), **changes}
    np.savez(tmp_path / "x.npz", **{k: v for k, v in content.items() if v is not None})
    with pytest.raises(ValueError, match=rf"x\.npz.*{says}"):
        load_all("folder", tmp_path)


@pytest.mark.parametrize("name", list(DATASETS))
def test_a_folder_that_is_missing_or_empty_says_the_layout(tmp_path, name):
    for folder, error in ((tmp_path / "none", FileNotFoundError), (tmp_path, (ValueError, FileNotFoundError))):
        with pytest.raises(error, match="expected|no such file"):
            load_all(name, folder)


def test_an_unknown_data_set():
    with pytest.raises(ValueError, match="data set 'cmuu': expected one of cmu, cmu_asfamc, h36m"):
        dataset("cmuu")
