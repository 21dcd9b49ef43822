# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""BVH files, read by pybvh; joints are found by their usual names, unit and vertical axis by the body."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from aux_motion_core.skeleton import INDEX, N_JOINTS
from training.data.clip import Clip, make_clip
from training.data.cmu import UNIT_M, load_table
from training.data.sources import RATES_HZ, Options, Source, body_length, existing, some

SOURCE = "BVH files of the user"
LICENCE = "as of the user's files"
LAYOUT = "*.bvh, in folders or not; a folder's name is the group"
#: metres in a unit: millimetre, centimetre, inch, CMU unit, metre
UNITS_M = (0.001, 0.01, 0.0254, UNIT_M, 1.0)
#: Upper arm, thigh, shin and back of an adult together; narrow enough that one unit fits.
_ADULT_M = (1.25, 1.95)

#: body20 joint -> names that it has, in order of preference, lower case, without namespace and separators; `>` is the
#: end site. A name that an earlier joint took is not taken again.
NAMES: dict[str, tuple[str, ...]] = {
    "pelvis": ("hips", "pelvis", "hip", "root"),
    "spine": ("spine", "spine1", "abdomen", "chest", "torso"),
    "neck": ("neck", "neck1"),
    "head": ("head",),
    **{
        f"{side}_{joint}": tuple(side + n for n in names)
        for side in ("left", "right")
        for joint, names in (
            ("shoulder", ("arm", "uparm", "upperarm", "humerus", "shoulder", "shldr")),
            ("elbow", ("forearm", "lowarm", "lowerarm", "elbow", "radius")),
            ("wrist", ("wrist", "hand")),
            ("hand", ("fingerbase", "handmiddle1", "handindex1", "middle1", "index1", "hand", "hand>", "wrist>")),
            ("hip", ("upleg", "thigh", "upperleg", "femur", "hip")),
            ("knee", ("leg", "lowleg", "lowerleg", "shin", "calf", "knee", "tibia")),
            ("ankle", ("ankle", "foot")),
            ("foot", ("toebase", "toe", "toes", "ball", "foot", "foot>", "ankle>")),
        )
    },
}
_NEEDED = ("pelvis", "neck", *(f"{s}_{j}" for s in ("left", "right") for j in "shoulder elbow hip knee ankle".split()))


def plain_name(name: str) -> str:
    """`mixamorig:LeftArm`, `L_Arm`, `arm.L` -> `leftarm`; other names in lower case without separators."""
    name = name.split(":")[-1]
    for side in ("left", "right"):
        s = side[0].upper()
        for pattern in (
            rf"^(?i:{side})",
            rf"^[{s}{side[0]}][_.\- ]",
            rf"^[{s}{side[0]}](?=[A-Z])",
            rf"[_.\- ](?i:{s}|{side})$",
        ):
            rest, found = re.subn(pattern, "", name)
            if found:
                return side + re.sub(r"[^a-z0-9]", "", rest.lower())
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find(folder: Path, options: Options) -> list[Source]:
    """All BVH files."""
    root = existing(folder, LAYOUT)
    files = [p for p in root.rglob("*") if p.suffix.lower() == ".bvh"]
    other = [p for p in files if p.suffix != ".bvh"]
    if other:
        raise ValueError(f"{other[0]}: expected the ending .bvh in lower case: rename it")
    return some([Source(p.relative_to(root).with_suffix("").as_posix(), p) for p in files], folder, LAYOUT)


def _check_numbers(path: Path) -> None:
    """The motion's numbers, so that what is wrong is said with its line."""
    lines = path.read_text(errors="replace").splitlines()
    start = next((i for i, line in enumerate(lines, 1) if line.split()[:2] == ["Frame", "Time:"]), None)
    channels = [line.split() for line in lines if line.split()[:1] == ["CHANNELS"]]
    if start is None or not channels or not all(len(c) > 1 and c[1].isdigit() for c in channels):
        raise ValueError(f"{path}: expected a BVH file with CHANNELS and Frame Time")
    load_table(path, sum(int(c[1]) for c in channels), None, start)


def load_bvh(path: Path) -> tuple[np.ndarray, float]:
    """body20 positions of a BVH file.

    Returns:
        (frames, 20, 3) metres, z up, NaN where the skeleton has no such joint; the rate in Hz.

    Raises:
        ValueError: malformed, joints that every body has are not found, or no unit gives an adult's size.
    """
    try:
        import pybvh
    except ImportError:
        raise ValueError(f"{path}: BVH files need pybvh: pip install 'aux_motion[training]'") from None
    _check_numbers(path)
    try:
        motion = pybvh.read_bvh_file(path, warn_on_world_up_disagreement=False)
    except Exception as e:  # whatever a malformed file makes of the reader
        raise ValueError(f"{path}: expected a BVH file ({e})") from None
    if not RATES_HZ[0] <= motion.fps <= RATES_HZ[1]:
        raise ValueError(
            f"{path}: expected a Frame Time for {RATES_HZ[0]:g} to {RATES_HZ[1]:g} Hz, got one for {motion.fps:g} Hz"
        )
    nodes = motion.node_positions()
    index = {plain_name(n): motion.node_index[n] for n in reversed(motion.joint_names)}
    index.update({f"{plain_name(n)}>": tip for n, tip in motion.joint_tips.items() if tip is not None})
    at: dict[str, int] = {}
    for joint, names in NAMES.items():
        found = next((index[n] for n in names if n in index and index[n] not in at.values()), None)
        if found is not None:
            at[joint] = found
    lacking = [j for j in _NEEDED if j not in at]
    if lacking:
        raise ValueError(
            f"{path}: no joint named like {', '.join(lacking)}; it has: {', '.join(motion.joint_names)}: rename them "
            "to the usual names (training.data.bvh.NAMES)"
        )
    positions = np.full((len(nodes), N_JOINTS, 3), np.nan)
    for joint, node in at.items():
        positions[:, INDEX[joint]] = nodes[:, node]
    # the vertical axis is that on which people have the neck above the ankles, most of the time
    ankles = positions[:, [INDEX["left_ankle"], INDEX["right_ankle"]]].mean(1)
    rise = np.median(positions[:, INDEX["neck"]] - ankles, 0)
    axis = int(np.abs(rise).argmax())
    positions = np.roll(positions, 2 - axis, axis=-1)  # right-handed stays right-handed
    if rise[axis] < 0:
        positions = positions * np.array([1.0, -1.0, -1.0])
    length = body_length(positions)
    unit = [u for u in UNITS_M if _ADULT_M[0] < u * length < _ADULT_M[1]]
    if not unit:
        raise ValueError(
            f"{path}: no unit (mm, cm, inch, CMU, m) makes it an adult: upper arm, thigh, shin and back together are "
            f"{length:.4g} long: scale the file"
        )
    return positions * unit[0], motion.fps


def load(source: Source) -> list[Clip]:
    """One file as a clip."""
    positions, rate = load_bvh(source.path)
    parts = source.name.split("/")
    action = re.sub(r"[_\-\d]+$", "", parts[-1]).lower() or "motion"
    return [make_clip(f"bvh/{source.name}", "/".join(parts[:-1]) or "bvh", action, rate, positions, LICENCE, SOURCE)]
