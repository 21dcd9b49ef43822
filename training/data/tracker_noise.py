# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Noise as trackers make it, drawn from what `training.fitting.tracker_noise` measured of them.

A sway of the whole skeleton, feet included, larger in depth than across; noise of each joint, partly its parent's; both
correlated in time. The trackers measured stood 2.1 to 2.5 m away: depth noise grows with the square of the distance and
the rest in proportion (Khoshelham and Elberink, Sensors 12(2), 2012), so scales are carried to distances from 1 to 6 m.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from aux_motion_core.skeleton import JOINTS, N_JOINTS, PARENTS

MEASURED = Path(__file__).with_name("tracker_noise.json")
AXES = ("depth", "across", "up")
DISTANCE_M = (1.0, 6.0)
#: Noise of more than this is a fault of another kind.
LARGEST_M = 0.08


def covariance(tau_s: float, keep: float, white: float, steps: int, dt_s: float = 0.04) -> np.ndarray:
    """(steps, steps) of unit variance, of what a tracker's filter leaves of noise.

    A share `white` of white noise, the rest an Ornstein-Uhlenbeck process of `tau_s` seconds, both through
    y[k] = keep y[k - 1] + (1 - keep) x[k].
    """
    before = 40
    t = np.arange(steps + before) * dt_s
    c = (1.0 - white) * np.exp(-np.abs(t[:, None] - t) / tau_s) + white * np.eye(len(t))
    k = np.subtract.outer(np.arange(len(t)), np.arange(len(t)))
    filtering = np.where(k >= 0, (1.0 - keep) * np.power(keep, np.maximum(k, 0)), 0.0) if keep else np.eye(len(t))
    c = (filtering @ c @ filtering.T)[before:, before:]
    return c / c[-1, -1]


def _factor(c: np.ndarray) -> np.ndarray:
    """What makes noise of covariance `c` (steps, steps) of white noise, with the scale as it was measured: that of 25
    steps without their mean."""
    n = min(len(c), 25)
    centre = np.eye(n) - 1.0 / n
    seen = np.trace(centre @ c[:n, :n] @ centre) / n
    return np.linalg.cholesky(c / seen + 1e-6 * np.eye(len(c)))


@lru_cache(maxsize=8)
def processes(steps: int, path: Path = MEASURED) -> dict[str, np.ndarray]:
    """What is drawn from, one row a tracker.

    Returns:
        `sway` and `own`: factors (trackers, axes, steps, steps) of their covariances; `sway_scale` and `own_scale`
        (trackers, axes, 2): median in metres and sigma of the logarithm; `joint` (joints,) over the lower body's;
        `parent` correlation with the parent joint's noise; `jump` share of joint-frames; `distance_m` (trackers,).
    """
    found = json.loads(path.read_text())["trackers"].values()
    part = lambda t, name, key: [t[name][a][key] for a in AXES]  # noqa: E731
    out = {}
    for name in ("sway", "own"):
        like = lambda a: _factor(covariance(a["tau_s"], a["keep"], a["white"], steps))  # noqa: E731
        factor = [[like(a) for a in t[name].values()] for t in found]
        scale = [np.stack([part(t, name, "median_m"), part(t, name, "log_sigma")], -1) for t in found]
        out |= {name: np.array(factor), f"{name}_scale": np.array(scale)}
    # the least over trackers: where an arm moves a little, some of its ratio is motion
    joint = [[t["joint_over_lower_body"].get(j, np.nan) for j in JOINTS] for t in found]
    return out | {
        "joint": np.nanmin(np.array(joint), 0),
        "parent": np.mean([t["correlation_with_parent"] for t in found]),
        "jump": np.mean([t["jump_share"] for t in found]),
        "distance_m": np.array([t["distance_m"] for t in found]),
    }


def draw(rng: np.random.Generator, n: int, steps: int, tracker: int | None = None) -> np.ndarray:
    """Noise (n, steps, joints, 3) in metres, x and y along a horizontal camera axis of any direction.

    Of any of the trackers, or of the one with this number alone.
    """
    p = processes(steps)
    tracker = rng.integers(len(p["distance_m"]), size=n) if tracker is None else np.full(n, tracker)
    far = rng.uniform(*DISTANCE_M, n) / p["distance_m"][tracker]
    grows = np.stack([far**2, far, far], -1)  # (n, axes)
    z = rng.normal(size=(n, 1))  # windows that sway much are noisy in their joints, too
    scale = {}
    for name in ("sway", "own"):
        median, sigma = np.moveaxis(p[f"{name}_scale"][tracker], -1, 0)
        both = 0.9 * z + np.sqrt(1.0 - 0.9**2) * rng.normal(size=(n, 3))
        scale[name] = np.minimum(median * np.exp(sigma * both) * grows, LARGEST_M)
    sway = np.einsum("nakt,nta->nka", p["sway"][tracker], rng.normal(size=(n, steps, 3))) * scale["sway"][:, None]
    own = rng.normal(size=(n, steps, N_JOINTS, 3))
    own = np.matmul(p["own"][tracker], own.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    share = p["parent"]
    for j, parent in enumerate(PARENTS):  # parents come first
        if parent >= 0:
            own[:, :, j] = share * own[:, :, parent] + np.sqrt(1.0 - share**2) * own[:, :, j]
    noise = sway[:, :, None] + own * scale["own"][:, None, None] * p["joint"][:, None]
    angle = rng.uniform(0.0, 2.0 * np.pi, (n, 1, 1))
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = noise[..., 0], noise[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y, noise[..., 2]], -1)


#: Joints whose place on the body is a matter of definition, and that no other bone hangs on.
DEFINED = tuple(
    JOINTS.index(n) for n in ("spine", "neck", "head", "left_hand", "right_hand", "left_foot", "right_foot")
)


@lru_cache(maxsize=1)
def _definitions(path: Path = MEASURED) -> np.ndarray:
    found = json.loads(path.read_text())["definitions"]
    return np.array([found[JOINTS[j]] for j in DEFINED])


def redefine(rng: np.random.Generator, windows: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Windows (n, steps, joints, 3) with head, neck, spine, hands and feet farther along their bone, or less far, as
    much as trackers and suits differ.

    A joint whose parent is missing, NaN or not in `mask` (n, steps, joints), stays.
    """
    w = windows.copy()
    seen = np.isfinite(windows).all(-1) if mask is None else mask
    factor = np.exp(rng.normal(size=(len(w), len(DEFINED))) * _definitions())
    for k, j in enumerate(DEFINED):
        parent = windows[:, :, PARENTS[j]]
        moved = parent + (windows[:, :, j] - parent) * factor[:, None, None, k]
        w[:, :, j] = np.where(seen[:, :, PARENTS[j], None], moved, windows[:, :, j])
    return w
