# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""CMU motion capture: the exponential-map text of the papers' split, and ASF/AMC as recorded."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from aux_motion_core.skeleton import JOINTS
from training.data.clip import Clip, make_clip, z_up
from training.data.files import read_text
from training.data.rotation import from_rotation_vectors, from_xyz_degrees, to_rotation_vectors

RATE_HZ = 120.0
#: metres in a CMU unit: inches / 0.45
UNIT_M = 0.0254 / 0.45
SOURCE = "CMU Graphics Lab Motion Capture Database, mocap.cs.cmu.edu, funded by NSF EIA-0196217"
LICENCE = "free for research and products; the data itself may not be resold"

#: body20 joint -> (joint of the 38-joint text skeleton, ASF bone whose far end it is; root: where it starts)
JOINT_MAP: dict[str, tuple[str, str]] = {
    "pelvis": ("Hips", "root"),
    "spine": ("Spine", "lowerback"),
    "neck": ("Neck", "thorax"),
    "head": ("Head", "upperneck"),
    **{
        f"{side}_{part}": (side.title() + text, side[0] + bone)
        for side in ("left", "right")
        for part, text, bone in (
            ("shoulder", "Arm", "clavicle"),
            ("elbow", "ForeArm", "humerus"),
            ("wrist", "Hand", "radius"),
            ("hand", "FingerBase", "wrist"),
            ("hip", "UpLeg", "hipjoint"),
            ("knee", "Leg", "femur"),
            ("ankle", "Foot", "tibia"),
            ("foot", "ToeBase", "foot"),
        )
    },
}

#: The text skeleton, on which all text files are, is subject 02's ASF skeleton less two bones: the thorax,
#: so that neck and shoulders sit 117 mm too low, and the wrist bone, so that hands sit 95 mm too far up.
#: Their rotations are in the files. Joint of the text skeleton -> the offset to add, in CMU units.
LOST_BONES: dict[str, tuple[float, float, float]] = {
    "Neck": (0.0015, 2.0681, 0.0080),
    "LeftShoulder": (0.0015, 2.0681, 0.0080),
    "RightShoulder": (0.0015, 2.0681, 0.0080),
    "LeftFingerBase": (1.6778, 0.0, 0.0),
    "LThumb": (1.6778, 0.0, 0.0),
    "RightFingerBase": (-1.6822, 0.0, 0.0),
    "RThumb": (-1.6822, 0.0, 0.0),
}

#: what the trials of subjects 01 and 02 show
TRIALS = {
    "01": {f"01_{i:02d}": "jump_turn" if i == 1 else "climb" for i in range(1, 15)},
    "02": {
        "02_01": "walk",
        "02_02": "walk",
        "02_03": "run",
        "02_04": "jump",
        "02_05": "punch",
        "02_06": "bend_lift",
        "02_07": "swordplay",
        "02_08": "swordplay",
        "02_09": "swordplay",
        "02_10": "wash_self",
    },
}


@dataclass(frozen=True)
class TextSkeleton:
    """The 38-joint skeleton of the text files: `offsets` (38, 3) in CMU units, `parents`, `joints`."""

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray


@lru_cache(maxsize=4)
def load_skeleton(path: Path, key: str = "cmu38") -> TextSkeleton:
    """Read one skeleton of skeletons.json; its offsets are in the file's own unit.

    Raises:
        ValueError: damaged, or no such skeleton in it; names the file.
    """
    text = read_text(path)
    try:
        s = json.loads(text)[key]
        found = TextSkeleton(tuple(s["joints"]), tuple(s["parents"]), np.array(s["offsets"], dtype=np.float64))
    except (KeyError, TypeError, ValueError) as e:
        raise ValueError(f"{path}: expected skeletons.json with {key} ({e!r}): get it again") from None
    if not len(found.joints) == len(found.parents) == len(found.offsets) or found.offsets.shape[1:] != (3,):
        raise ValueError(f"{path}: {key}: expected a parent and an offset of 3 for each of {len(found.joints)} joints")
    return found


def with_lost_bones(skeleton: TextSkeleton) -> TextSkeleton:
    """The text skeleton with its lost bones: the body as it was recorded, not as the benchmark has it."""
    extra = np.array([LOST_BONES.get(j, (0.0, 0.0, 0.0)) for j in skeleton.joints])
    return TextSkeleton(skeleton.joints, skeleton.parents, skeleton.offsets + extra)


def load_table(path: Path, columns: int, delimiter: str | None = ",", header: int = 0) -> np.ndarray:
    """(rows, columns) float64 of a text table.

    Raises:
        ValueError: a line has another number of columns, no number, or NaN or Inf; names file and line.
    """
    lines = read_text(path).splitlines()
    if delimiter:
        lines = [line.strip().removesuffix(delimiter) for line in lines]  # some writers end each line with one
    rows = [(i + 1, line.split(delimiter)) for i, line in enumerate(lines) if i >= header and line.strip()]
    if not rows:
        raise ValueError(f"{path}: expected rows of {columns} numbers, the file holds none")
    for number, cells in rows:
        if len(cells) != columns:
            raise ValueError(f"{path}, line {number}: expected {columns} columns, got {len(cells)}")
    try:
        table = np.array([c for _, cells in rows for c in cells]).astype(np.float64).reshape(-1, columns)
    except ValueError:
        table = np.stack([_numbers(path, n, cells) for n, cells in rows])
    bad = ~np.isfinite(table).all(1)
    if bad.any():
        line = rows[int(bad.argmax())][0]
        raise ValueError(f"{path}, line {line}: expected finite numbers, got NaN or Inf")
    return table


def _numbers(path: Path, number: int, cells: list[str]) -> np.ndarray:
    try:
        return np.array([float(c) for c in cells])
    except ValueError as e:
        raise ValueError(f"{path}, line {number}: expected numbers ({e})") from None


def text_kinematics(rows: np.ndarray, skeleton: TextSkeleton) -> np.ndarray:
    """Forward kinematics of text rows.

    Args:
        rows: (frames, 117): root translation, then an exponential map for each joint.

    Returns:
        (frames, 38, 3) in CMU units, y up.
    """
    n, j = len(rows), len(skeleton.parents)
    local = from_rotation_vectors(rows[:, 3:].reshape(n, j, 3))
    turn, place = np.empty((n, j, 3, 3)), np.empty((n, j, 3))
    for k, parent in enumerate(skeleton.parents):
        if parent < 0:
            turn[:, k], place[:, k] = local[:, k], rows[:, :3]
        else:
            turn[:, k] = local[:, k] @ turn[:, parent]
            place[:, k] = place[:, parent] + skeleton.offsets[k] @ turn[:, parent]
    return place


def root_as_recorded(root: np.ndarray) -> np.ndarray:
    """The root's rotation as the recording has it, from that of a text file.

    The text files compose the recording's three root angles as Rz Rx Ry, while ASF/AMC means Rz Ry Rx: trial 02_01,
    here in both forms, shows it to 0.01 mm. The two differ little for a person who walks along the axis and invert
    the lean of one who comes back. The angles are read back and composed as they were meant. Two triples of angles
    give each text rotation; the one with the heading within 90 degrees is taken, as recordings nearly always have it.

    Args:
        root: (frames, 3) exponential maps of the text.

    Returns:
        (frames, 3) exponential maps.
    """
    m = np.swapaxes(from_rotation_vectors(root), -1, -2)  # the text's rotations turn row vectors
    x = np.arcsin(np.clip(m[:, 2, 1], -1.0, 1.0))
    z = np.arctan2(-m[:, 0, 1], m[:, 1, 1])
    y = np.arctan2(-m[:, 2, 0], m[:, 2, 2])
    other = np.abs(y) > np.pi / 2
    angles = np.stack([np.where(other, np.pi - x, x), np.where(other, y + np.pi, y), np.where(other, z + np.pi, z)], -1)
    return to_rotation_vectors(np.swapaxes(from_xyz_degrees(np.rad2deg(angles)), -1, -2))


def load_expmap_text(path: Path, skeleton: TextSkeleton, name: str, group: str, action: str) -> Clip:
    """One text file as a clip; its row 0 is a rest pose and is dropped.

    `skeleton` is the benchmark's; the bones that it lost are put back, and the root is turned as recorded.
    """
    rows = load_table(path, 3 + 3 * len(skeleton.joints))[1:]
    if not len(rows):
        raise ValueError(f"{path}: expected motion after the rest pose in line 1, got none")
    rows[:, 3:6] = root_as_recorded(rows[:, 3:6])
    keep = [skeleton.joints.index(JOINT_MAP[j][0]) for j in JOINTS]
    positions = z_up(text_kinematics(rows, with_lost_bones(skeleton))[:, keep]) * UNIT_M
    return make_clip(name, group, action, RATE_HZ, positions, LICENCE, SOURCE)


@dataclass(frozen=True)
class AsfBone:
    """A bone: `offset` (3,) from start to end in CMU units at rest, `axis` (3, 3), rotating channels 0..2."""

    offset: np.ndarray
    axis: np.ndarray
    dof: tuple[int, ...]
    parent: str


def load_asf(path: Path) -> dict[str, AsfBone]:
    """Bones of an ASF skeleton, parents before children, the root (no offset) first."""
    text = re.sub(r"#.*", "", read_text(path))
    sections = {}
    for part in re.split(r"^:", text, flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        sections[title.split()[0]] = (title, body)
    missing = [s for s in ("units", "root", "bonedata", "hierarchy") if s not in sections]
    if missing:
        raise ValueError(f"{path}: expected an ASF skeleton, section :{missing[0]} is missing")
    units = dict(line.split()[:2] for line in sections["units"][1].splitlines() if line.split()[1:])
    root = {w[0]: w[1:] for w in map(str.split, sections["root"][1].splitlines()) if w}
    try:
        length = float(units.get("length", "nan"))
    except ValueError:
        length = np.nan
    if units.get("angle") != "deg" or not abs(length - 0.45) < 1e-9:
        raise ValueError(f"{path}: expected length 0.45 and angle deg, got {units}")
    if root.get("order") != "TX TY TZ RX RY RZ".split() or root.get("axis") != ["XYZ"]:
        raise ValueError(f"{path}: expected root order TX TY TZ RX RY RZ and axis XYZ, got {root}")
    fields = {}
    for block in re.findall(r"begin(.*?)end\b", sections["bonedata"][1], flags=re.DOTALL):
        words = {w[0]: w[1:] for w in map(str.split, block.splitlines()) if w}
        try:
            offset = np.array(words["direction"], dtype=float) * float(words["length"][0])
            axis, order = np.array(words["axis"][:3], dtype=float), words["axis"][3]
            dof = tuple({"rx": 0, "ry": 1, "rz": 2}[d] for d in words.get("dof", []))
            name = words["name"][0]
        except (KeyError, IndexError, ValueError) as e:
            raise ValueError(f"{path}: bone {words.get('name', ['?'])[0]} is malformed ({e})") from None
        if order != "XYZ":
            raise ValueError(f"{path}: bone {name}: expected axis order XYZ, got {order}")
        fields[name] = (offset, from_xyz_degrees(axis), dof)
    bones = {"root": AsfBone(np.zeros(3), np.eye(3), (0, 1, 2), "")}
    for words in map(str.split, sections["hierarchy"][1].splitlines()):
        if not words or words[0] in ("begin", "end"):
            continue
        for child in words[1:]:
            if words[0] not in bones or child not in fields:
                raise ValueError(f"{path}: hierarchy line '{' '.join(words)}' names an unknown bone")
            bones[child] = AsfBone(*fields[child], parent=words[0])
    return bones


def load_amc(path: Path, bones: dict[str, AsfBone]) -> dict[str, np.ndarray]:
    """Channels of an AMC file: bone -> (frames, channels) in degrees, root first its translation.

    The first frame may have any number: recordings are published cut. The others count up from it.
    """
    lines = read_text(path).splitlines()
    at = next((i for i, line in enumerate(lines) if line.strip().isdecimal()), None)
    if at is None or ":DEGREES" not in (line.strip() for line in lines[:at]):
        raise ValueError(f"{path}: expected :DEGREES and then the numbered frames of an AMC file")
    number = int(lines[at])
    body = lines[at:]
    while body and not body[-1].strip():
        body.pop()
    per_frame = next((i for i, line in enumerate(body[1:], 1) if len(line.split()) == 1), len(body))
    first = [line.split() for line in body[1:per_frame]]
    names = [w[0] for w in first]
    want = {n: len(b.dof) + (3 if n == "root" else 0) for n, b in bones.items() if b.dof}
    if sorted(names) != sorted(want):
        odd = sorted(set(names) ^ set(want))
        raise ValueError(f"{path}, line {at + 1}: the first frame and the skeleton differ in bones {odd}")
    counts = [want[n] for n in names]
    cells: list[str] = []
    for i in range(0, len(body), per_frame):
        frame = body[i : i + per_frame]
        want_frame = number + i // per_frame
        if frame[0].strip() != str(want_frame):
            raise ValueError(f"{path}, line {at + i + 1}: expected frame {want_frame}, got '{frame[0]}'")
        if len(frame) != per_frame:
            raise ValueError(f"{path}, line {at + len(body)}: the last frame is cut off")
        for k, (line, name, count) in enumerate(zip(frame[1:], names, counts, strict=True)):
            words = line.split()
            if not words or words[0] != name or len(words) != count + 1:
                at_line = at + i + k + 2
                raise ValueError(f"{path}, line {at_line}: expected {name} and {count} numbers, got '{line}'")
            cells += words[1:]
    try:
        table = np.array(cells).astype(np.float64).reshape(-1, sum(counts))
    except ValueError:
        for i, line in enumerate(body):
            if i % per_frame:
                _numbers(path, at + i + 1, line.split()[1:])
        raise
    bad = ~np.isfinite(table)
    if bad.any():
        frame, column = np.argwhere(bad)[0]
        k = int(np.searchsorted(np.cumsum(counts), column, side="right"))
        line = at + frame * per_frame + k + 2
        raise ValueError(f"{path}, line {line}: expected finite numbers, got NaN or Inf")
    return dict(zip(names, np.split(table, np.cumsum(counts)[:-1], axis=1), strict=True))


def asf_kinematics(bones: dict[str, AsfBone], channels: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Far ends of all bones, (frames, 3) each, in CMU units, y up; `root` is the root itself."""
    n = len(channels["root"])
    turn: dict[str, np.ndarray] = {}
    end: dict[str, np.ndarray] = {}
    for name, bone in bones.items():
        angles = np.zeros((n, 3))
        if bone.dof:
            angles[:, list(bone.dof)] = channels[name][:, -len(bone.dof) :]
        local = bone.axis @ from_xyz_degrees(angles) @ bone.axis.T
        if not bone.parent:
            turn[name], end[name] = local, channels[name][:, :3]
        else:
            turn[name] = turn[bone.parent] @ local
            end[name] = end[bone.parent] + turn[name] @ bone.offset
    return end


def load_asf_amc(asf: Path, amc: Path, name: str, group: str, action: str) -> Clip:
    """One ASF/AMC trial as a clip."""
    bones = load_asf(asf)
    end = asf_kinematics(bones, load_amc(amc, bones))
    positions = z_up(np.stack([end[JOINT_MAP[j][1]] for j in JOINTS], 1)) * UNIT_M
    return make_clip(name, group, action, RATE_HZ, positions, LICENCE, SOURCE)
