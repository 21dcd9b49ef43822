# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""From the joint lists of trackers to `body20`.

Every mapping is a table: for each joint of `body20` a list of alternatives in order of preference, each the
mean of one or more source joints; the first alternative whose sources are all there is taken. An alternative
of one joint that means the same is OBSERVED, everything else is DERIVED. A joint with no alternative stays
MISSING, as a spine of a tracker that has none: it is not made up from its neighbours.

Orders are those of the trackers' own documentation; aliases such as "azure_kinect" name the same list.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aux_motion_core.skeleton import INDEX, JOINTS, N_JOINTS, JointStatus


class MappingError(ValueError):
    """A joint list that cannot be mapped, in one line: expected, came, what to do."""


#: Source joints of each list, in wire order.
SOURCES: dict[str, tuple[str, ...]] = {
    "mediapipe33": (
        "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
        "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder",
        "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky",
        "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel", "left_toe",
        "right_toe",
    ),
    "coco17": (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
        "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee",
        "right_knee", "left_ankle", "right_ankle",
    ),
    "openpose25": (
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee",
        "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear", "left_toe", "left_small_toe",
        "left_heel", "right_toe", "right_small_toe", "right_heel",
    ),
    "openpose18": (
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
    ),
    # OpenPTrack (SkeletonJoints of skeleton_base.h).
    "openptrack15": (
        "head", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow",
        "left_wrist", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "spine_chest",
    ),
    "h36m17": (
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "spine",
        "neck", "nose", "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder",
        "right_elbow", "right_wrist",
    ),
    # Kinect v1 (SDK 1.x, 20 joints) in the order of the recordings of ADM_SignLangRecog.
    "kinect1_20": (
        "head", "neck", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist",
        "right_wrist", "left_hand", "right_hand", "spine", "pelvis", "left_hip", "right_hip", "left_knee",
        "right_knee", "left_ankle", "right_ankle", "left_foot", "right_foot",
    ),
    # Kinect v1 in the order of its SDK (NUI_SKELETON_POSITION_INDEX).
    "kinect1_sdk": (
        "pelvis", "spine", "neck", "head", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
        "right_shoulder", "right_elbow", "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle",
        "left_foot", "right_hip", "right_knee", "right_ankle", "right_foot",
    ),
    # Kinect v2 (JointType): SpineShoulder is between the shoulders, as neck of body20 is.
    "kinect2_25": (
        "pelvis", "spine", "upper_neck", "head", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
        "right_shoulder", "right_elbow", "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle",
        "left_foot", "right_hip", "right_knee", "right_ankle", "right_foot", "neck", "left_hand_tip",
        "left_thumb", "right_hand_tip", "right_thumb",
    ),
    # Azure Kinect body tracking. Its neck is the top of the chest, spine_navel the lower of two spine joints.
    "k4a32": (
        "pelvis", "spine", "spine_chest", "neck", "left_clavicle", "left_shoulder", "left_elbow",
        "left_wrist", "left_hand", "left_hand_tip", "left_thumb", "right_clavicle", "right_shoulder",
        "right_elbow", "right_wrist", "right_hand", "right_hand_tip", "right_thumb", "left_hip", "left_knee",
        "left_ankle", "left_foot", "right_hip", "right_knee", "right_ankle", "right_foot", "head", "nose",
        "left_eye", "left_ear", "right_eye", "right_ear",
    ),
    "zed34": (
        "pelvis", "spine", "spine_chest", "neck", "left_clavicle", "left_shoulder", "left_elbow",
        "left_wrist", "left_hand", "left_hand_tip", "left_thumb", "right_clavicle", "right_shoulder",
        "right_elbow", "right_wrist", "right_hand", "right_hand_tip", "right_thumb", "left_hip", "left_knee",
        "left_ankle", "left_foot", "right_hip", "right_knee", "right_ankle", "right_foot", "head", "nose",
        "left_eye", "left_ear", "right_eye", "right_ear", "left_heel", "right_heel",
    ),
    "zed38": (
        "pelvis", "spine_1", "spine", "spine_3", "neck", "nose", "left_eye", "right_eye", "left_ear",
        "right_ear", "left_clavicle", "right_clavicle", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee",
        "left_ankle", "right_ankle", "left_toe", "right_toe", "left_small_toe", "right_small_toe",
        "left_heel", "right_heel", "left_thumb", "right_thumb", "left_index", "right_index", "left_middle",
        "right_middle", "left_pinky", "right_pinky",
    ),
}  # fmt: skip
ALIASES = {
    "mediapipe": "mediapipe33",
    "blazepose": "mediapipe33",
    "coco": "coco17",
    "yolo": "coco17",
    "openpose": "openpose25",
    "body25": "openpose25",
    "h36m": "h36m17",
    "kinect1": "kinect1_20",
    "kinect2": "kinect2_25",
    "azure_kinect": "k4a32",
}

# What may stand for a joint that the list itself does not name, in order of preference. A face alone gives no
# crown or skull centre, but the middle of the ears lies inside the skull, where `head` is.
_ALTERNATIVES: dict[str, tuple[tuple[str, ...], ...]] = {
    "pelvis": (("left_hip", "right_hip"),),
    "neck": (("left_shoulder", "right_shoulder"),),
    "head": (("left_ear", "right_ear"), ("head_top", "nose"), ("left_eye", "right_eye"), ("nose",)),
    **{
        f"{side}_hand": (
            (f"{side}_index", f"{side}_pinky"),
            (f"{side}_index",),
            (f"{side}_pinky",),
            (f"{side}_hand_tip",),
        )
        for side in ("left", "right")
    },
    **{
        f"{side}_foot": ((f"{side}_toe", f"{side}_small_toe"), (f"{side}_toe",), (f"{side}_small_toe",))
        for side in ("left", "right")
    },
}


@dataclass(frozen=True)
class Mapping:
    """A joint list and how it becomes `body20`.

    Attributes:
        name: key of `SOURCES`.
        joints: source joints in wire order, Js of them.
        weights: (alternatives, 20, Js) rows that sum to 1, or to 0 where there is no such alternative.
        status: (alternatives, 20) `JointStatus` of each alternative, MISSING where there is none.
    """

    name: str
    joints: tuple[str, ...]
    weights: np.ndarray
    status: np.ndarray
    #: (alternatives, 20, 2) the one or two source columns of each alternative; Js, which is never there, where none is.
    pairs: np.ndarray


#: Names of joints that mean nothing here: their values are read over.
NO_JOINT = "-"


@lru_cache(maxsize=32)
def mapping(name: str | tuple[str, ...]) -> Mapping:
    """The mapping of a joint list.

    Args:
        name: key of `SOURCES` or of `ALIASES`, or the joints of a list of one's own, in wire order (`joint_list`).

    Raises:
        MappingError: no such list; names those there are.
    """
    if isinstance(name, tuple):
        key, joints = f"of {len(name)} joints", name
    else:
        key = ALIASES.get(name, name)
        if key not in SOURCES:
            raise MappingError(f"unknown joint list {name!r}: expected one of {', '.join(sorted(SOURCES))}")
        joints = SOURCES[key]
    column = {joint: i for i, joint in enumerate(joints) if joint != NO_JOINT}
    rows: dict[int, list[tuple[tuple[str, ...], JointStatus]]] = {j: [] for j in range(N_JOINTS)}
    for joint, target in INDEX.items():
        if joint in column:
            rows[target].append(((joint,), JointStatus.OBSERVED))
        for sources in _ALTERNATIVES.get(joint, ()):
            if all(s in column for s in sources):
                rows[target].append((sources, JointStatus.DERIVED))
    depth = max(len(r) for r in rows.values())
    weights = np.zeros((depth, N_JOINTS, len(joints)))
    status = np.full((depth, N_JOINTS), JointStatus.MISSING, np.uint8)
    for target, alternatives in rows.items():
        for level, (sources, kind) in enumerate(alternatives):
            weights[level, target, [column[s] for s in sources]] = 1.0 / len(sources)
            status[level, target] = kind
    pairs = np.full((depth, N_JOINTS, 2), len(joints), np.intp)
    for target, alternatives in rows.items():
        for level, (sources, _) in enumerate(alternatives):
            pairs[level, target] = column[sources[0]], column[sources[-1]]
    for array in (weights, status, pairs):
        array.setflags(write=False)
    return Mapping(key, joints, weights, status, pairs)


def map_people(
    name: str | tuple[str, ...], positions: np.ndarray, confidence: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions and confidence of people as `body20`: `map_joints` and `map_confidence` in one, for live input.

    Args:
        name: joint list as `mapping` takes it.
        positions: (people, Js, 3); a joint with a NaN or infinite coordinate is not there.
        confidence: (people, Js) in 0..1, a joint with none (0, NaN) is not there; None: 1 for all that are there.

    Returns:
        positions (people, 20, 3), NaN where missing; status (people, 20) uint8 `JointStatus`; confidence (people, 20)
        float32, that of the least confident source.

    Raises:
        MappingError: unknown list, or shapes that do not fit it.
    """
    table = mapping(name)
    people, count = len(positions), len(table.joints)
    if positions.shape != (people, count, 3):
        raise MappingError(
            f"positions of shape {positions.shape} do not fit joint list {table.name}: expected (people, {count}, 3)"
        )
    padded = np.full((people, count + 1, 3), np.nan)
    padded[:, :count] = positions
    sure = np.zeros((people, count + 1))
    if confidence is None:
        sure[:, :count] = 1.0
    else:
        sure[:, :count] = confidence
    finite = np.isfinite(padded).all(-1)
    with np.errstate(invalid="ignore"):
        sure *= finite & (sure > 0.0)  # NaN times False is NaN
    np.copyto(sure, 0.0, where=np.isnan(sure))
    first, second = table.pairs[..., 0], table.pairs[..., 1]
    least = np.minimum(sure[:, first], sure[:, second])  # (people, alternatives, 20)
    level = (least > 0.0).argmax(1)
    who, joint = np.arange(people)[:, None], np.arange(N_JOINTS)
    chosen = least[who, level, joint]
    there = chosen > 0.0
    a, b = first[level, joint], second[level, joint]
    out = 0.5 * (padded[who, a] + padded[who, b])
    out[~there] = np.nan
    status = table.status[level, joint] * there
    return out, status.astype(np.uint8, copy=False), np.minimum(chosen, 1.0).astype(np.float32)


# Names of joints as trackers and people write them.

#: Every joint that a list names.
VOCABULARY: tuple[str, ...] = tuple(dict.fromkeys((*JOINTS, *(j for joints in SOURCES.values() for j in joints))))
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_SAME = {
    "hips": "pelvis",
    "hip": "pelvis",  # without a side
    "mid_hip": "pelvis",
    "hip_center": "pelvis",
    "root": "pelvis",
    "waist": "pelvis",
    "spine_base": "pelvis",
    "spine_navel": "spine",
    "spine_naval": "spine",
    "navel_spine": "spine",
    "naval_spine": "spine",
    "spine_mid": "spine",
    "torso": "spine",
    "chest": "spine_chest",
    "chest_spine": "spine_chest",
    "thorax": "neck",
    "spine_shoulder": "neck",
    "shoulder_center": "neck",
    "big_toe": "toe",
    "foot_index": "toe",
    "toe_base": "toe",
    "handtip": "hand_tip",
    "collar": "clavicle",
    "hip_joint": "hip",
    "upper_arm": "shoulder",
    "lower_arm": "elbow",
    "forearm": "elbow",
    "thigh": "hip",
    "shank": "knee",
}
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")


@lru_cache(maxsize=1024)
def joint_name(name: str) -> str | None:
    """The name in `VOCABULARY` of a joint as a tracker writes it, such as `LShoulder`, `Clavicle_left`, `MidHip`.

    Returns:
        None when it means no joint that is known here.
    """
    words = [w.lower() for w in _WORDS.findall(name)]
    sides = [_SIDES[w] for w in words if w in _SIDES]
    rest = "_".join(w for w in words if w not in _SIDES)
    if len(sides) > 1 or not rest:
        return None
    if rest in VOCABULARY and not sides:
        return rest
    side = f"{sides[0]}_" if sides else ""
    for candidate in (side + rest, side + _SAME.get(rest, rest)):
        if candidate in VOCABULARY:
            return candidate
    return None


def joint_list(names: tuple[str, ...]) -> str | tuple[str, ...]:
    """A joint list given by a person: one name of a list, or every joint in wire order.

    Args:
        names: for instance ("coco17",) or ("pelvis", "left_hip", "-", ...); "-" is a value that is read over.

    Returns:
        What `mapping` takes.

    Raises:
        MappingError: nothing given, unknown or repeated names.
    """
    if len(names) == 1 and names[0] in {*SOURCES, *ALIASES}:
        return ALIASES.get(names[0], names[0])
    if not names:
        raise MappingError(
            f"no joint list: name one of {', '.join(sorted(SOURCES))}, or every joint in the order of the message"
        )
    found = []
    for name in names:
        joint = NO_JOINT if name == NO_JOINT else joint_name(name)
        if joint is None:
            near = difflib.get_close_matches(name.lower(), (*VOCABULARY, *SOURCES), 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise MappingError(f"unknown joint {name!r}: {hint}'-' stands for a joint to read over")
        found.append(joint)
    repeated = [j for j, n in Counter(found).items() if n > 1 and j != NO_JOINT]
    if repeated:
        raise MappingError(f"joints {', '.join(repeated[:5])} repeat in the joint list: give each once, or '-'")
    if not set(found) & {*JOINTS, *(s for rows in _ALTERNATIVES.values() for row in rows for s in row)}:
        raise MappingError(f"none of the joints {', '.join(names[:5])} is of use: expected joints such as left_wrist")
    return tuple(found)


def map_joints(name: str, positions: np.ndarray, valid: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Positions of a tracker's joints as `body20`.

    Args:
        name: joint list, key of `SOURCES` or `ALIASES`.
        positions: (..., Js, 3) in any unit and frame; a joint with a NaN or infinite coordinate is not there.
        valid: (..., Js) bool, which joints are there; None: all that are finite.

    Returns:
        positions (..., 20, 3), NaN where missing, and status (..., 20) uint8 `JointStatus`.

    Raises:
        MappingError: unknown list, or shapes that do not fit it.
    """
    table = mapping(name)
    positions = np.asarray(positions, dtype=np.float64)
    count = len(table.joints)
    if positions.ndim < 2 or positions.shape[-2:] != (count, 3):
        raise MappingError(
            f"positions of shape {positions.shape} do not fit joint list {table.name}: expected (..., {count}, 3)"
        )
    present = np.isfinite(positions).all(axis=-1)
    if valid is not None:
        valid = np.asarray(valid, dtype=bool)
        if valid.shape != present.shape:
            raise MappingError(f"valid has shape {valid.shape}: expected {present.shape}, as positions")
        present = present & valid
    clean = np.where(present[..., None], positions, 0.0)
    out = np.full((*positions.shape[:-2], N_JOINTS, 3), np.nan)
    status = np.zeros(out.shape[:-1], np.uint8)
    absent = (~present).astype(np.float64)
    for weights, kind in zip(table.weights, table.status, strict=True):
        usable = (absent @ weights.T == 0.0) & (kind != JointStatus.MISSING)
        take = usable & (status == JointStatus.MISSING)
        out = np.where(take[..., None], weights @ clean, out)
        status = np.where(take, kind, status)
    return out, status.astype(np.uint8)


def map_confidence(name: str, confidence: np.ndarray) -> np.ndarray:
    """Confidence of `body20` joints: the least confident source of the preferred alternative.

    Args:
        name: joint list, key of `SOURCES` or `ALIASES`.
        confidence: (..., Js) in 0..1, 0 where a joint is not there.

    Returns:
        (..., 20), 0 where no alternative is there.

    Raises:
        MappingError: unknown list, or a shape that does not fit it.
    """
    table = mapping(name)
    confidence = np.nan_to_num(np.asarray(confidence, dtype=np.float64))
    if confidence.ndim < 1 or confidence.shape[-1] != len(table.joints):
        raise MappingError(
            f"confidence of shape {confidence.shape} does not fit joint list {table.name}: "
            f"expected (..., {len(table.joints)})"
        )
    out = np.zeros((*confidence.shape[:-1], N_JOINTS))
    for weights, kind in zip(table.weights, table.status, strict=True):
        used = weights > 0.0
        least = np.where(used, confidence[..., None, :], np.inf).min(axis=-1)
        least = np.where(kind != JointStatus.MISSING, least, 0.0)
        out = np.where(out > 0.0, out, least)
    return out
