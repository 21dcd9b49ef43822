# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Movements of work that athletic recordings lack: reaching, bending, crouching, as minimum-jerk rotations.

Hands that reach follow a minimum-jerk profile (Flash and Hogan, J. Neurosci. 5(7), 1985). They are laid over recorded
windows (batch, steps, joints, 3) in metres, in the frame of the present: x forward, y left, z up.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from aux_motion_core.skeleton import INDEX

_SIDES = ("left", "right")
ARMS = tuple(
    (INDEX[f"{s}_shoulder"], INDEX[f"{s}_elbow"], [INDEX[f"{s}_{j}"] for j in ("wrist", "hand")]) for s in _SIDES
)
_LEGS = tuple((INDEX[f"{s}_hip"], INDEX[f"{s}_knee"], INDEX[f"{s}_ankle"]) for s in _SIDES)
_UPPER = [
    INDEX[n]
    for n in ("spine", "neck", "head", *(f"{s}_{j}" for s in _SIDES for j in ("shoulder", "elbow", "wrist", "hand")))
]
_ABOVE_KNEES = [INDEX["pelvis"], INDEX["left_hip"], INDEX["right_hip"], *_UPPER]


def minimum_jerk(rng: np.random.Generator, time: np.ndarray, n: int) -> np.ndarray:
    """(n, steps) from 0 to 1, or back, within 0.4 to 1.4 s, beginning before or after the present."""
    begin = rng.uniform(-1.0, 0.8, (n, 1))
    s = np.clip((time - begin) / rng.uniform(0.4, 1.4, (n, 1)), 0.0, 1.0)
    rise = s**3 * (10.0 - 15.0 * s + 6.0 * s * s)
    return np.where(rng.random((n, 1)) < 0.5, rise, 1.0 - rise)


def _turn(points: np.ndarray, centre: np.ndarray, axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points (n, steps, k, 3) about `centre` (n, steps, 1, 3), unit `axis` (n, 3), by `angle` (n, steps)."""
    matrix = Rotation.from_rotvec((axis[:, None] * angle[..., None]).reshape(-1, 3)).as_matrix()
    matrix = matrix.reshape(*angle.shape, 3, 3)
    return centre + np.einsum("ntij,ntkj->ntki", matrix, points - centre)


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def reach(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """An arm turns about its shoulder by up to 100 degrees and its elbow bends or stretches meanwhile."""
    w = w.copy()
    n = len(w)
    for shoulder, elbow, hand in ARMS:
        moves = (rng.random((n, 1)) < 0.6) * minimum_jerk(rng, time, n)
        angle = moves * rng.uniform(0.2, 1.75, (n, 1))
        w[:, :, [elbow, *hand]] = _turn(
            w[:, :, [elbow, *hand]], w[:, :, [shoulder]], _unit(rng.normal(size=(n, 3))), angle
        )
        bend = moves * rng.uniform(-1.0, 1.0, (n, 1))
        upper, lower = w[:, 0, elbow] - w[:, 0, shoulder], w[:, 0, hand[0]] - w[:, 0, elbow]
        hinge = _unit(np.cross(upper, lower) + 1e-6)
        w[:, :, hand] = _turn(w[:, :, hand], w[:, :, [elbow]], hinge, bend)
    return w


def bend(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The upper body bows or twists about the hips by up to 80 degrees."""
    n = len(w)
    axis = rng.normal(0.0, [0.2, 0.2, 0.4], (n, 3)) + np.array([0.0, 1.0, 0.0])
    angle = minimum_jerk(rng, time, n) * rng.uniform(0.1, 1.4, (n, 1))
    w = w.copy()
    w[:, :, _UPPER] = _turn(w[:, :, _UPPER], w[:, :, [0]], _unit(axis), angle)
    return w


def crouch(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The hips sink by up to 40 % of a leg, the knees give way forward, the feet stay."""
    n = len(w)
    w, before = w.copy(), w
    leg = np.linalg.norm(w[:, 0, _LEGS[0][0]] - w[:, 0, _LEGS[0][2]], axis=-1)[:, None]
    depth = minimum_jerk(rng, time, n) * rng.uniform(0.05, 0.4, (n, 1)) * leg
    shift = np.stack([-0.3 * depth, np.zeros_like(depth), -depth], -1)[:, :, None]
    w[:, :, _ABOVE_KNEES] += shift
    for hip, knee, ankle in _LEGS:
        thigh = np.linalg.norm(before[:, :, knee] - before[:, :, hip], axis=-1)
        shank = np.linalg.norm(before[:, :, knee] - before[:, :, ankle], axis=-1)
        line = w[:, :, ankle] - w[:, :, hip]
        far = np.maximum(np.linalg.norm(line, axis=-1), 1e-3)
        along = (thigh**2 - shank**2 + far**2) / (2.0 * far)
        off = np.sqrt(np.maximum(thigh**2 - along**2, 0.0))
        down = line / far[..., None]
        front = np.array([1.0, 0.0, 0.0]) - down * down[..., :1]
        w[:, :, knee] = w[:, :, hip] + along[..., None] * down + off[..., None] * _unit(front)
    return w


def work(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Windows of people at work: each reaches, half of them bow, a quarter crouch."""
    w = reach(rng, w, time)
    for share, movement in ((0.5, bend), (0.25, crouch)):
        who = np.flatnonzero(rng.random(len(w)) < share)
        if len(who):
            w[who] = movement(rng, w[who], time)
    return w
