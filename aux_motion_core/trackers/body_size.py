# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Whether a skeleton has a size that bodies have: what is outside is no person in metres, and which unit it may be in.

Source of the limits: ANSUR II (Gordon et al., NATICK/TR-15/007, 2014): acromion to radiale, radiale to stylion,
trochanterion to lateral epicondyle and epicondyle to malleolus, from the 1st percentile of women to the 99th of men;
breadths between the shoulders and hips and the trunk likewise. A body's scale is the median of its bones' lengths over
the middle of that range, so single joints that are wrong do not decide. The ends leave room beyond the survey: small
children below (0.4 is 0.7 m tall), trackers' landmarks and errors of depth above.
"""

from __future__ import annotations

import numpy as np

from aux_motion_core.arrays import lengths
from aux_motion_core.skeleton import INDEX, N_JOINTS

#: Length of a bone in the middle of ANSUR II's range, metres, by its two joints; left and right are alike.
_LIMBS_M = {
    ("shoulder", "elbow"): 0.324,
    ("elbow", "wrist"): 0.259,
    ("hip", "knee"): 0.403,
    ("knee", "ankle"): 0.412,
}
_TRUNK_M = {
    ("left_shoulder", "right_shoulder"): 0.36,
    ("left_hip", "right_hip"): 0.22,
    ("left_shoulder", "left_hip"): 0.49,
    ("right_shoulder", "right_hip"): 0.49,
    ("pelvis", "neck"): 0.52,
}
_BONES_M = {
    **{(f"{s}_{a}", f"{s}_{b}"): m for (a, b), m in _LIMBS_M.items() for s in ("left", "right")},
    **_TRUNK_M,
}
_FROM = np.array([INDEX[a] for a, _ in _BONES_M])
_TO = np.array([INDEX[b] for _, b in _BONES_M])
_LENGTH_M = np.array(list(_BONES_M.values()))
#: (bones, 20): from places of joints to the way from one end to the other.
_BONES = np.eye(N_JOINTS)[_FROM] - np.eye(N_JOINTS)[_TO]

#: Scales that bodies have, both ends.
SCALES = (0.4, 1.6)
#: Farther apart no two joints of a body are: a tall man's reach above his head (2.5 m), with a margin; metres.
LARGEST_M = 3.0
#: So many joints within this are no part of a body that a tracker could tell apart: metres.
SMALLEST_M, _SMALLEST_JOINTS = 0.1, 5
#: No joint is this far away; metres.
_FARTHEST_M = 1e4
#: So many bones tell a scale.
_MIN_BONES = 3
#: Height of a body of scale 1, metres.
_HEIGHT_M = 1.71
_UNITS = {
    1000.0: "millimetres",
    100.0: "centimetres",
    39.37: "inches",
    10.0: "decimetres",
    3.281: "feet",
    0.001: "kilometres",
}


def implausible(positions: np.ndarray, seen: np.ndarray, whole: bool | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Which skeletons no body has the size of.

    Args:
        positions: (people, 20, 3) metres; any value where not seen.
        seen: (people, 20) bool.
        whole: all joints are seen, and none is too far away; None: look.

    Returns:
        (people,) bool, and (people,) height that the body would have, metres; NaN where that is not known.
    """
    if whole is None:
        whole = bool(seen.all()) and np.abs(positions).max(initial=0.0) < _FARTHEST_M
    if whole:
        return _implausible_whole(positions)
    x = np.where(seen[..., None], positions, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        bone = np.sqrt(((x[:, _FROM] - x[:, _TO]) ** 2).sum(-1)) / _LENGTH_M
        known = np.isfinite(bone)
        count = known.sum(1)
        # the median of what is known, without a warning where nothing is
        order = np.sort(np.where(known, bone, np.inf), axis=1)
        rows = np.arange(len(x))
        low, high = np.maximum(count - 1, 0) // 2, count // 2
        middle = 0.5 * (order[rows, low] + order[rows, np.minimum(high, order.shape[1] - 1)])
        scale = np.where(count >= _MIN_BONES, middle, np.nan)
        wrong = (scale < SCALES[0]) | (scale > SCALES[1])
        near = seen & (np.abs(np.nan_to_num(positions)) < _FARTHEST_M).all(-1)
        top = np.where(near[..., None], positions, -np.inf).max(1)
        bottom = np.where(near[..., None], positions, np.inf).min(1)
        extent = np.sqrt(((top - bottom) ** 2).sum(-1))
        joints = near.sum(1)
        # a single joint that is far off is for the history to mask: most of the body must be
        wide = near.any(1) & (extent > LARGEST_M)
        if wide.any():
            wide[wide] = [_spread(positions[i][near[i]]) for i in np.flatnonzero(wide)]
        small = (joints >= _SMALLEST_JOINTS) & (extent < SMALLEST_M)
    return wrong | wide | small, scale * _HEIGHT_M


def _implausible_whole(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `implausible`, of people all of whose joints are seen."""
    order = lengths(_BONES @ positions) / _LENGTH_M
    order.sort(1)
    bones = len(_LENGTH_M)
    scale = 0.5 * (order[:, (bones - 1) // 2] + order[:, bones // 2])
    extent = lengths(positions.max(1) - positions.min(1))
    wrong: np.ndarray = (scale < SCALES[0]) | (scale > SCALES[1]) | (extent < SMALLEST_M)
    if extent.max(initial=0.0) > LARGEST_M:
        wrong |= [bool(e > LARGEST_M) and _spread(p) for e, p in zip(extent, positions, strict=True)]
    return wrong, scale * _HEIGHT_M


def _spread(points: np.ndarray) -> bool:
    """Whether fewer than three quarters of the joints are within one body of their middle."""
    near = np.linalg.norm(points - np.median(points, axis=0), axis=-1) < 0.5 * LARGEST_M
    return bool(near.mean() < 0.75)


def remark(height_m: float) -> str:
    """What is wrong with such a body, in one line that names the likely unit.

    Args:
        height_m: that the body would have; NaN: not known.
    """
    if not np.isfinite(height_m):
        return "joints of one body are metres apart or all in one place: check the tracker and the unit (metres)"
    scale = height_m / _HEIGHT_M
    unit = next((u for f, u in _UNITS.items() if 0.6 < scale / f < 1.6), "")
    guess = f"are positions in {unit}?" if unit else "check the unit of the positions and the depth's scale;"
    return f"bodies are {_length(height_m)} tall: {guess} expected metres"


def _length(metres: float) -> str:
    """A length as people say it."""
    unit, factor = next(((u, f) for u, f in (("km", 1e-3), ("m", 1.0), ("cm", 1e2)) if metres * f >= 1.0), ("mm", 1e3))
    return f"{metres * factor:.2g} {unit}" if metres * factor < 100 else f"{metres * factor:.0f} {unit}"
