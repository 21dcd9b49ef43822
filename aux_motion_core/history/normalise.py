# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Translation and heading are taken out before the model sees a window, and put back exactly afterwards.

Origin: the last observed pelvis. Heading: from left-to-right pairs of joints, last seen together, on the ground.
Both come from observed values only, for all people at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aux_motion_core.arrays import every
from aux_motion_core.skeleton import INDEX, N_JOINTS

#: Left and right joint of each pair that tells the heading, and how far it is trusted.
_PAIRS = (
    ("left_hip", "right_hip", 1.0),
    ("left_shoulder", "right_shoulder", 0.5),
    ("left_knee", "right_knee", 0.02),
    ("left_elbow", "right_elbow", 0.02),
    ("left_ankle", "right_ankle", 0.004),
    ("left_wrist", "right_wrist", 0.004),
)
_LEFT = np.array([INDEX[a] for a, _, _ in _PAIRS])
_RIGHT = np.array([INDEX[b] for _, b, _ in _PAIRS])
_WEIGHT = np.array([w for _, _, w in _PAIRS])
#: (20,) the weighted sum of the pairs as one product.
_SIDES = np.zeros(N_JOINTS)
_SIDES[_LEFT], _SIDES[_RIGHT] = _WEIGHT, -_WEIGHT
_PELVIS = INDEX["pelvis"]

#: A standing adult in the normalised frame (joints, 3), metres: places what was never seen.
REST_POSE = np.zeros((N_JOINTS, 3))
for _name, _x, _y, _z in (
    ("spine", 0.0, 0.0, 0.12), ("neck", 0.0, 0.0, 0.48), ("head", 0.02, 0.0, 0.62), ("shoulder", 0.0, 0.18, 0.42),
    ("elbow", 0.0, 0.24, 0.15), ("wrist", 0.04, 0.26, -0.08), ("hand", 0.06, 0.26, -0.14), ("hip", 0.0, 0.09, -0.05),
    ("knee", 0.02, 0.1, -0.45), ("ankle", -0.02, 0.1, -0.85), ("foot", 0.1, 0.11, -0.9),
):  # fmt: skip
    for _side, _sign in (("", 0.0), ("left_", 1.0), ("right_", -1.0)):
        if _side + _name in INDEX:
            REST_POSE[INDEX[_side + _name]] = (_x, _sign * _y, _z)

_REST_HEIGHTS = REST_POSE * np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Heading:
    """The rigid motion that normalisation took out.

    Attributes:
        origin: (N, 3) metres, float64.
        yaw: (N,) radians about +z.
    """

    origin: np.ndarray
    yaw: np.ndarray

    @cached_property
    def turn(self) -> np.ndarray:
        """(N, 3, 3) rotations by the yaws, for row vectors on their left."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        turn = np.zeros((len(cos), 3, 3))
        turn[:, 0, 0] = turn[:, 1, 1] = cos
        turn[:, 0, 1], turn[:, 1, 0], turn[:, 2, 2] = sin, -sin, 1.0
        return turn


@dataclass(frozen=True)
class LastSeen:
    """Each joint's last observation in a window.

    Attributes:
        positions: (N, J, 3), zero where never seen.
        seen: (N, J) bool: observed at all.
        index: (N, J) of the step.
        now: all joints are seen in the newest step.
        whole: all joints are seen in all steps.
    """

    positions: np.ndarray
    seen: np.ndarray
    index: np.ndarray
    now: bool
    whole: bool


def last_seen(windows: np.ndarray, mask: np.ndarray, whole: bool | None = None) -> LastSeen:
    """Each joint's last observation.

    Args:
        windows: (N, T, J, 3).
        mask: (N, T, J) bool.
        whole: nothing is missing; None: look.
    """
    newest = mask[:, -1]
    if whole or every(newest):  # nothing to look for
        index = np.full(newest.shape, mask.shape[1] - 1)
        return LastSeen(windows[:, -1], newest, index, True, every(mask) if whole is None else whole)
    positions, seen, index = last_observed(windows, mask)
    return LastSeen(positions, seen, index, False, False)


def last_observed(windows: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each joint's last observed position.

    Args:
        windows: (N, T, J, 3).
        mask: (N, T, J) bool.

    Returns:
        Positions (N, J, 3), zero where never seen; seen (N, J); index of the step (N, J).
    """
    steps = mask.shape[1]
    seen: np.ndarray = np.any(mask, axis=1)
    index = steps - 1 - np.argmax(mask[:, ::-1], axis=1)
    last = windows[np.arange(len(mask))[:, None], index, np.arange(mask.shape[2])]
    return np.where(seen[..., None], last, 0.0), seen, index


def find_heading(windows: np.ndarray, mask: np.ndarray, last: LastSeen | None = None) -> Heading:
    """Origin and yaw of each person, see the module's docstring; finite also when nothing was observed.

    Args:
        windows: (N, T, J, 3) metres.
        mask: (N, T, J) bool.
        last: of `last_seen`, where it is known.
    """
    last = last_seen(windows, mask) if last is None else last
    places, seen = last.positions, last.seen
    origin = places[:, _PELVIS]
    if not last.now and not seen[:, _PELVIS].all():
        lifted = places - _REST_HEIGHTS  # heights only: the heading is not known yet
        centre = np.where(seen[..., None], lifted, 0.0).sum(1) / np.maximum(seen.sum(1, keepdims=True), 1)
        origin = np.where(seen[:, _PELVIS, None], origin, centre)

    if last.now:
        left = _SIDES @ places[..., :2]
    else:
        both = mask[:, :, _LEFT] & mask[:, :, _RIGHT]
        has = both.any(1)
        together = mask.shape[1] - 1 - both[:, ::-1].argmax(1)
        person = np.arange(len(mask))[:, None]
        pair = windows[person, together, _LEFT, :2] - windows[person, together, _RIGHT, :2]
        pair, weight = np.where(has[..., None], pair, 0.0), np.where(has, _WEIGHT, 0.0)
        left = (weight[:, None] @ pair)[:, 0]
    paired = (left * left).sum(-1) > 1e-8
    # the left axis is +y when facing +x
    yaw = np.arctan2(-left[:, 0], left[:, 1])
    if not every(paired):
        # without a pair: the way from the origin to the joint that is farthest from it on the ground
        away = np.where(seen[..., None], places[..., :2] - origin[:, None, :2], 0.0)
        far = away[np.arange(len(mask)), np.argmax((away**2).sum(-1), 1)]
        yaw = np.where(paired, yaw, np.arctan2(far[:, 1], far[:, 0]))
    return Heading(origin, yaw)


def into_frame(positions: np.ndarray, heading: Heading) -> np.ndarray:
    """(N, ..., 3) from the fixed frame into the normalised frame, float64."""
    flat = positions.reshape(len(positions), -1, 3) - heading.origin[:, None]
    return (flat @ heading.turn.transpose(0, 2, 1)).reshape(positions.shape)


def normalise(windows: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, Heading]:
    """Take translation and heading out.

    Args:
        windows: (N, T, J, 3) metres, z up; any value where not observed.
        mask: (N, T, J) bool.

    Returns:
        Values (N, T, J, 3) float32, zero where not observed, and what was taken out.
    """
    windows = np.where(mask[..., None], windows, 0.0).astype(np.float64, copy=False)
    heading = find_heading(windows, mask)
    return normalised(windows, mask, heading), heading


def normalised(windows: np.ndarray, mask: np.ndarray, heading: Heading, whole: bool = False) -> np.ndarray:
    """Positions (N, T, J, 3) in the normalised frame, float32, zero where not observed; `whole`: nothing is missing."""
    n, steps, joints, _ = windows.shape
    out = np.empty((n, steps * joints, 3), np.float32)
    np.matmul(
        windows.reshape(n, -1, 3) - heading.origin[:, None],
        heading.turn.transpose(0, 2, 1),
        out=out,
        casting="same_kind",
    )
    out = out.reshape(windows.shape)
    if not whole:
        out *= mask[..., None]
    return out


def denormalise(positions: np.ndarray, heading: Heading) -> np.ndarray:
    """The exact inverse of `normalise` for (N, ..., 3) positions, float64."""
    flat = positions.reshape(len(positions), -1, 3).astype(np.float64, copy=False) @ heading.turn
    flat += heading.origin[:, None]
    return flat.reshape(positions.shape)


def denormalise_scale(scale: np.ndarray, heading: Heading) -> np.ndarray:
    """Standard deviations per axis of the normalised frame (N, ..., 3) as those along the fixed frame's axes, float32.

    The square roots of the diagonal of the rotated covariance; what is lost is the correlation of x and y.
    """
    share = np.square(heading.turn)  # of each axis' variance in each other's
    with np.errstate(invalid="ignore"):  # whatever a model says
        variance = np.square(scale.reshape(len(scale), -1, 3), dtype=np.float64) @ share
    return np.sqrt(variance, dtype=np.float32, casting="same_kind").reshape(scale.shape)
