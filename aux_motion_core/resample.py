"""Irregular samples of one person onto the model's time grid, with a mask. Stamps rule; nothing is extrapolated."""

from __future__ import annotations

import numpy as np

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
    grid = end_s + dt_s * np.arange(1 - steps, 1)
    # newest observed sample at or before each sample, and oldest at or after it, per joint
    row = np.arange(n)[:, None]
    before = np.maximum.accumulate(np.where(mask, row, -1), axis=0)
    after = np.minimum.accumulate(np.where(mask, row, n)[::-1], axis=0)[::-1]
    k = np.searchsorted(stamps_s, grid + _SNAP_S, side="right") - 1  # last sample at or before the grid time
    b = np.where((k >= 0)[:, None], before[np.maximum(k, 0)], -1)
    exact = (k >= 0) & (np.abs(stamps_s[np.maximum(k, 0)] - grid) <= _SNAP_S)
    first = np.where(exact, k, k + 1)  # first sample at or after the grid time
    a = np.where((first < n)[:, None], after[np.minimum(first, n - 1)], n)
    ok = (b >= 0) & (a < n)
    b, a = np.where(ok, b, 0), np.where(ok, a, 0)
    t0, t1 = stamps_s[b], stamps_s[a]
    ok &= t1 - t0 <= max_gap_s + _SNAP_S
    f = np.clip((grid[:, None] - t0) / np.where(t1 > t0, t1 - t0, 1.0), 0.0, 1.0)[..., None]
    j = np.arange(joints)
    p0, p1 = positions[b, j], positions[a, j]
    out = np.where(ok[..., None], p0 + f * (p1 - p0), 0.0)
    return out, ok
