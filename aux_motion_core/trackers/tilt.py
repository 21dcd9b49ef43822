# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Whether the frame is level, told by the people in it.

Who stands with straight legs and a straight back stands upright, or would fall: the feet are below the body. So the
axes of such bodies, taken together, are the vertical, whatever a camera's mount is said to be.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.skeleton import INDEX, sighted

_NEEDED = [INDEX[n] for n in ("neck", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")]
#: A knee's bend, and the back's against the legs, that is still straight, degrees.
_STRAIGHT_DEG = 20.0
#: Ankles farther apart along the ground: striding; as a share of the leg.
_STRIDE = 0.4
#: A body is taken every so often, and so many are kept (a minute of one person).
_EVERY_NS, _KEPT = NS // 5, 300
#: So many tell it: five seconds of one person.
_ENOUGH = 25
#: More is no posture, degrees: on level motion capture (CMU) the clips with straight standing give 3.1 to 5.2.
TILT_DEG = 10.0


def straight_axes(positions: np.ndarray, status: np.ndarray) -> np.ndarray:
    """Feet-to-neck directions of bodies that stand straight.

    Args:
        positions: (people, 20, 3) metres.
        status: (people, 20) `JointStatus`.

    Returns:
        (straight people, 3) of length 1.
    """
    seen = sighted(status)[:, _NEEDED].all(1)
    if not seen.any():
        return np.empty((0, 3))
    neck, *rest = np.moveaxis(positions[seen][:, _NEEDED], 1, 0)
    hips, knees, ankles = (np.stack(rest[i : i + 2]) for i in (0, 2, 4))  # (2, people, 3)
    foot, pelvis = ankles.mean(0), hips.mean(0)
    body = neck - foot
    height = np.linalg.norm(body, axis=-1)

    def bend(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        cos = (a * b).sum(-1) / np.maximum(np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1), 1e-9)
        return np.degrees(np.arccos(np.clip(cos, -1.0, 1.0)))

    apart = ankles[0] - ankles[1]
    axis = body / np.maximum(height, 1e-9)[:, None]
    across = apart - (apart * axis).sum(-1, keepdims=True) * axis
    straight = (
        (bend(hips - knees, knees - ankles) < _STRAIGHT_DEG).all(0)
        & (bend(neck - pelvis, pelvis - foot) < _STRAIGHT_DEG)
        & (np.linalg.norm(across, axis=-1) < _STRIDE * np.linalg.norm(pelvis - foot, axis=-1))
        & (height > 0.8)
    )
    return axis[straight]


class Tilt:
    """Collects the axes of people who stand straight."""

    def __init__(self) -> None:
        self._axes: deque[np.ndarray] = deque(maxlen=_KEPT)
        self._next_ns: int | None = None

    def observe(self, stamp_ns: int, positions: np.ndarray, status: np.ndarray) -> None:
        """Take a frame in, a few times a second; positions (people, 20, 3) in the fixed frame."""
        if self._next_ns is not None and self._next_ns - NS < stamp_ns < self._next_ns:
            return
        self._next_ns = stamp_ns + _EVERY_NS
        self._axes.extend(straight_axes(positions, status))

    @property
    def degrees(self) -> float | None:
        """Angle between the people's axis and z; None before enough stood straight."""
        if len(self._axes) < _ENOUGH:
            return None
        axis = np.median(np.array(self._axes), axis=0)
        return float(np.degrees(np.arccos(np.clip(axis[2] / np.linalg.norm(axis), -1.0, 1.0))))

    def trouble(self, frame_id: str) -> str:
        """One line when the frame is not level; empty: it is, or nobody knows."""
        degrees = self.degrees
        if degrees is None or degrees <= TILT_DEG:
            return ""
        return (
            f"people who stand straight lean by {degrees:.0f} degrees: the transform of {frame_id!r} to the fixed "
            "frame lacks the camera's tilt, or the fixed frame's z does not point up"
        )
