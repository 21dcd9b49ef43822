"""From the joint lists of trackers to `body20`.

Every mapping is a table: for each joint of `body20` a list of alternatives in order of preference, each the
mean of one or more source joints; the first alternative whose sources are all there is taken. An alternative
of one joint that means the same is OBSERVED, everything else is DERIVED. A joint with no alternative stays
MISSING, as a spine of a tracker that has none: it is not made up from its neighbours.

Orders are those of the trackers' own documentation; aliases such as "azure_kinect" name the same list.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from aux_motion_core.skeleton import INDEX, N_JOINTS, JointStatus


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


@lru_cache(maxsize=32)
def mapping(name: str) -> Mapping:
    """The mapping of a joint list.

    Args:
        name: key of `SOURCES` or of `ALIASES`.

    Raises:
        MappingError: no such list; names those there are.
    """
    key = ALIASES.get(name, name)
    if key not in SOURCES:
        raise MappingError(f"unknown joint list {name!r}: expected one of {', '.join(sorted(SOURCES))}")
    joints = SOURCES[key]
    column = {joint: i for i, joint in enumerate(joints)}
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
    weights.setflags(write=False)
    status.setflags(write=False)
    return Mapping(key, joints, weights, status)


def map_joints(
    name: str, positions: np.ndarray, valid: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
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
            f"positions of shape {positions.shape} do not fit joint list {table.name}: "
            f"expected (..., {count}, 3)"
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
