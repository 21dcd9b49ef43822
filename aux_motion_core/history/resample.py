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
    grid = dt_s * np.arange(1 - steps, 1)
    # newest observed sample at or before each sample, and oldest at or after it, per joint
    row = np.arange(n)[:, None]
    before = np.maximum.accumulate(np.where(mask, row, -1), axis=1)
    after = np.minimum.accumulate(np.where(mask, row, n)[:, ::-1], axis=1)[:, ::-1]
    # last sample at or before each grid time, and the first at or after it
    k = (stamps_s[:, None] <= (grid + _SNAP_S)[:, None]).sum(-1) - 1
    person = np.arange(people)[:, None]
    some = np.maximum(k, 0)
    exact = (k >= 0) & (np.abs(stamps_s[person, some] - grid) <= _SNAP_S)
    first = np.where(exact, k, k + 1)
    b = np.where((k >= 0)[..., None], before[person, some], -1)
    a = np.where((first < n)[..., None], after[person, np.minimum(first, n - 1)], n)
    ok = (b >= 0) & (a < n)
    b, a = np.where(ok, b, n - 1), np.where(ok, a, n - 1)  # the newest sample is always there
    who = person[..., None]
    t0, t1 = stamps_s[who, b], stamps_s[who, a]
    gap = t1 - t0
    ok &= gap <= max_gap_s + _SNAP_S
    f = (grid[:, None] - t0) / np.where(gap > 0.0, gap, 1.0)
    f = np.minimum(np.maximum(f, 0.0), 1.0)[..., None]
    j = np.arange(joints)
    p0 = positions[who, b, j]
    out = positions[who, a, j]
    out -= p0
    out *= f
    out += p0
    return np.where(ok[..., None], out, 0.0), ok
