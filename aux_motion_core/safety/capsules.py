"""Geometry of capsules: distances between them, chains of spheres, voxels."""

from __future__ import annotations

import numpy as np

#: Squared length below which a capsule is a sphere, m^2.
_POINT_M2 = 1e-12


def nearest(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance of the axes of two sets of capsules, each with each.

    Source: Ericson, Real-Time Collision Detection, 5.1.9.

    Args:
        a: (N, 2, 3) ends, metres.
        b: (M, 2, 3) ends, metres.

    Returns:
        (N, M) metres; and the places of the nearest points on the axes, (N, M) each, 0 to 1 from the first end.
    """
    d1, d2 = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]
    aa, ee = (d1 * d1).sum(-1)[:, None], (d2 * d2).sum(-1)[None]
    r = a[:, None, 0] - b[None, :, 0]
    c, f = np.einsum("nc,nmc->nm", d1, r), np.einsum("mc,nmc->nm", d2, r)
    mixed = d1 @ d2.T
    denominator = aa * ee - mixed * mixed
    long_a, long_b = np.maximum(aa, _POINT_M2), np.maximum(ee, _POINT_M2)
    parallel = denominator <= 1e-9 * aa * ee + _POINT_M2**2
    s = np.where(parallel, 0.0, (mixed * f - c * ee) / np.where(parallel, 1.0, denominator))
    s = np.clip(s, 0.0, 1.0)
    t = np.clip(np.where(ee > _POINT_M2, (mixed * s + f) / long_b, 0.0), 0.0, 1.0)
    s = np.where(aa > _POINT_M2, np.clip((mixed * t - c) / long_a, 0.0, 1.0), 0.0)
    between = r + s[..., None] * d1[:, None] - t[..., None] * d2[None]
    return np.sqrt(np.einsum("nmc,nmc->nm", between, between)), s, t


def spheres(ends: np.ndarray, radius: np.ndarray, slack_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Chains of spheres that hold the capsules and reach beyond them by at most `slack_m`.

    Args:
        ends: (N, 2, 3) metres.
        radius: (N,) metres.
        slack_m: how much larger than the capsule a sphere may be.

    Returns:
        Centres (K, 3) and radii (K,).
    """
    wide = radius + slack_m
    # spheres of that radius so far apart leave the capsule inside of them
    apart = 2.0 * np.sqrt(np.maximum(wide**2 - radius**2, 1e-12))
    length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=-1)
    count = np.maximum(np.ceil(length / apart).astype(np.int64), 1) + 1
    count[length <= 1e-9] = 1
    of = np.repeat(np.arange(len(ends)), count)
    place = (np.arange(len(of)) - np.repeat(np.cumsum(count) - count, count)) / np.maximum(count - 1, 1)[of]
    centre = ends[of, 0] + place[:, None] * (ends[of, 1] - ends[of, 0])
    return centre, wide[of]


def voxels(
    ends: np.ndarray, radius: np.ndarray, resolution_m: float, floor_m: float, top_m: float, most: int = 400_000
) -> tuple[np.ndarray, float]:
    """Centres of the voxels of a grid that capsules touch, between two heights.

    The grid's lines are at multiples of the resolution, so that voxels of later calls are the same ones.

    Args:
        ends: (N, 2, 3) metres.
        radius: (N,) metres.
        resolution_m: edge of a voxel.
        floor_m: what lies below is left out.
        top_m: what lies above is left out.
        most: cells of the grid; where it would have more, its resolution is doubled until it has not.

    Returns:
        (K, 3) float32 metres, and the resolution.
    """
    if not len(ends):
        return np.zeros((0, 3), np.float32), resolution_m
    centre, wide = spheres(ends, radius, 0.25 * resolution_m)
    low, high = (centre - wide[:, None]).min(0), (centre + wide[:, None]).max(0)
    low[2], high[2] = max(low[2], floor_m), min(high[2], top_m)
    if high[2] <= low[2]:
        return np.zeros((0, 3), np.float32), resolution_m
    while True:
        origin = np.floor(low / resolution_m).astype(np.int64)
        shape = np.ceil(high / resolution_m).astype(np.int64) - origin + 1
        if shape.prod() <= most:
            break
        resolution_m *= 2.0
    # A vertical line meets a sphere in one interval. The intervals' starts and ends are counted, columns summed up.
    nx, ny, nz = (int(n) for n in shape)
    starts, stops = [], []
    at = centre / resolution_m - origin
    r = wide / resolution_m
    half = np.ceil(r + 1.0).astype(np.int64)
    for size in np.unique(half):  # spheres of one size have the same columns about them
        mine = np.flatnonzero(half == size)
        offset = np.arange(-size, size + 1)
        base = np.floor(at[mine, :2]).astype(np.int64)
        x, y = base[:, 0, None] + offset, base[:, 1, None] + offset
        # the nearest place of the voxel's square to the centre: what only touches counts
        dx = np.clip(at[mine, 0, None], x, x + 1) - at[mine, 0, None]
        dy = np.clip(at[mine, 1, None], y, y + 1) - at[mine, 1, None]
        rest = (r[mine] ** 2)[:, None, None] - (dx**2)[:, :, None] - (dy**2)[:, None, :]
        inside = (rest > 0.0) & ((x >= 0) & (x < nx))[:, :, None] & ((y >= 0) & (y < ny))[:, None, :]
        i, j, k = np.nonzero(inside)
        reach = np.sqrt(rest[i, j, k])
        z = at[mine[i], 2]
        first = np.clip(np.floor(z - reach), 0, nz).astype(np.int64)
        last = np.clip(np.floor(z + reach) + 1, 0, nz).astype(np.int64)
        column = (x[i, j] * ny + y[i, k]) * (nz + 1)
        starts.append(column + first)
        stops.append(column + last)
    total = nx * ny * (nz + 1)
    count = np.bincount(np.concatenate(starts), minlength=total)
    count -= np.bincount(np.concatenate(stops), minlength=total)
    # each column's counts add up to nothing, so one sum over all of them does
    cell = np.flatnonzero(np.cumsum(count) > 0)
    column, z = np.divmod(cell, nz + 1)
    x, y = np.divmod(column, ny)
    cells = np.stack([x, y, z], 1) + (origin + 0.5)
    return (cells * resolution_m).astype(np.float32), resolution_m
