# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Irregular samples of one person onto the model's time grid, with a mask. Stamps rule; nothing is extrapolated."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from aux_motion_core.arrays import every

#: A grid time this close to a sample takes it as it is (stamps carry microsecond rounding).
_SNAP_S = 1e-4


def resample(
    stamps_s: np.ndarray,
    positions: np.ndarray,
    mask: np.ndarray,
    end_s: float,
    dt_s: float,
    steps: int,
    max_gap_s: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Linear interpolation between each joint's own observed samples.

    Args:
        stamps_s: (n,) strictly increasing seconds.
        positions: (n, J, 3) metres; any value where not observed.
        mask: (n, J) bool.
        end_s: time of the last grid step.
        dt_s: grid spacing.
        steps: grid length.
        max_gap_s: two samples of a joint farther apart than this leave the grid between them missing.

    Returns:
        (steps, J, 3) float64, zero where missing, and (steps, J) bool.
    """
    n, joints = mask.shape
    if n == 0:
        return np.zeros((steps, joints, 3)), np.zeros((steps, joints), bool)
    out, ok = resample_all(stamps_s[None] - end_s, positions[None], mask[None], dt_s, steps, max_gap_s)
    return out[0], ok[0]


def resample_all(
    stamps_s: np.ndarray, positions: np.ndarray, mask: np.ndarray, dt_s: float, steps: int, max_gap_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """`resample` for all people at once, each with the grid's end at 0.

    Args:
        stamps_s: (N, n) seconds, each row increasing; rows with fewer samples begin with -inf.
        positions: (N, n, J, 3) metres; any value where not observed.
        mask: (N, n, J) bool, False before a row's first sample.
        dt_s: grid spacing.
        steps: grid length.
        max_gap_s: see `resample`.

    Returns:
        (N, steps, J, 3) float64, zero where missing, and (N, steps, J) bool.
    """
    people, n, joints = mask.shape
    if every(mask):
        values, ok = resample_whole(stamps_s, positions, dt_s, steps, max_gap_s)
        return values, np.repeat(ok[..., None], joints, 2)
    grid, person, k, first = _around(stamps_s, dt_s, steps)
    some = np.maximum(k, 0)
    # newest observed sample at or before each sample, and oldest at or after it, per joint
    row = np.arange(n, dtype=np.int32)[:, None]
    before = np.maximum.accumulate(np.where(mask, row, np.int32(-1)), axis=1)
    after = np.minimum.accumulate(np.where(mask, row, np.int32(n))[:, ::-1], axis=1)[:, ::-1]
    b = np.where((k >= 0)[..., None], before[person, some], -1)
    a = np.where((first < n)[..., None], after[person, np.minimum(first, n - 1)], n)
    ok = (b >= 0) & (a < n)
    b, a = np.where(ok, b, n - 1), np.where(ok, a, n - 1)
    who = person[..., None]
    f = _between(stamps_s[who, b], stamps_s[who, a], grid[:, None], max_gap_s, ok)
    flat = positions.reshape(-1, 3)
    base = who * (n * joints) + np.arange(joints)
    out = _mixed(flat.take(b * joints + base, 0), flat.take(a * joints + base, 0), f[..., None])
    out *= ok[..., None]
    return out, ok


def resample_whole(
    stamps_s: np.ndarray, positions: np.ndarray, dt_s: float, steps: int, max_gap_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """`resample_all` where every joint is observed in every sample; rows with fewer samples begin with any places.

    Returns:
        (N, steps, J, 3) float64, zero where missing, and (N, steps) bool.
    """
    people, n, joints, _ = positions.shape
    grid, person, k, first = _around(stamps_s, dt_s, steps)
    ok = (k >= 0) & (first < n)
    b, a = np.where(ok, k, n - 1), np.where(ok, first, n - 1)  # the newest sample is always there
    f = _between(stamps_s[person, b], stamps_s[person, a], grid, max_gap_s, ok)
    flat = positions.reshape(people * n, -1)
    row = n * person
    out = _mixed(flat.take(b + row, 0), flat.take(a + row, 0), f[..., None]).reshape(people, steps, joints, 3)
    if not every(ok):
        out *= ok[..., None, None]
    return out, ok


def _around(stamps_s: np.ndarray, dt_s: float, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The grid (steps,), row numbers (N, 1), and of each grid time (N, steps) the sample around it.

    The last one at or before it (-1: none), and the first one at or after it (as many as samples: none).
    """
    grid, grid_snapped = _grid(dt_s, steps)
    people = len(stamps_s)
    if people == 1:
        k = stamps_s[0].searchsorted(grid_snapped, side="right")[None] - 1
    else:
        k = (stamps_s[:, None] <= grid_snapped[:, None]).sum(-1) - 1
    person = np.arange(people)[:, None]
    exact = (k >= 0) & (np.abs(stamps_s[person, np.maximum(k, 0)] - grid) <= _SNAP_S)
    return grid, person, k, k + 1 - exact


@lru_cache(maxsize=8)
def _grid(dt_s: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(steps,) seconds of the grid, and until when a sample counts as being there."""
    grid = dt_s * np.arange(1 - steps, 1)
    return grid, grid + _SNAP_S


def _between(t0: np.ndarray, t1: np.ndarray, grid: np.ndarray, max_gap_s: float, ok: np.ndarray) -> np.ndarray:
    """How far each grid time is from the sample before it to the one after, 0 to 1; too long a gap is not `ok`."""
    gap = t1 - t0
    ok &= gap <= max_gap_s + _SNAP_S
    f = (grid - t0) / np.where(gap > 0.0, gap, 1.0)
    return np.minimum(np.maximum(f, 0.0), 1.0)


def _mixed(p0: np.ndarray, p1: np.ndarray, f: np.ndarray) -> np.ndarray:
    p1 -= p0
    p1 *= f
    p1 += p0
    return p1
