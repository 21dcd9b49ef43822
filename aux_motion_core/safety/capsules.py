# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

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
    r = a[:, None, 0] - b[None, :, 0]
    return _nearest(d1[:, None], d2[None], r, (d1 * d1).sum(-1)[:, None], (d2 * d2).sum(-1)[None], d1 @ d2.T)


def nearest_pairs(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `nearest`, of pairs: a, b (N, 2, 3), results (N,)."""
    d1, d2 = a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]
    squares = (np.einsum("nc,nc->n", x, y) for x, y in ((d1, d1), (d2, d2), (d1, d2)))
    return _nearest(d1, d2, a[:, 0] - b[:, 0], *squares)


def _nearest(
    d1: np.ndarray, d2: np.ndarray, r: np.ndarray, aa: np.ndarray, ee: np.ndarray, mixed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`nearest` by the axes' directions d1, d2, what is between their first ends, and products of the directions."""
    c, f = np.einsum("...c,...c->...", d1, r), np.einsum("...c,...c->...", d2, r)
    denominator = aa * ee - mixed * mixed
    long_a, long_b = np.maximum(aa, _POINT_M2), np.maximum(ee, _POINT_M2)
    parallel = denominator <= 1e-9 * aa * ee + _POINT_M2**2
    s = np.where(parallel, 0.0, (mixed * f - c * ee) / np.where(parallel, 1.0, denominator))
    s = np.clip(s, 0.0, 1.0)
    t = np.clip(np.where(ee > _POINT_M2, (mixed * s + f) / long_b, 0.0), 0.0, 1.0)
    s = np.where(aa > _POINT_M2, np.clip((mixed * t - c) / long_a, 0.0, 1.0), 0.0)
    between = r + s[..., None] * d1 - t[..., None] * d2
    return np.sqrt(np.einsum("...c,...c->...", between, between)), s, t


def maybe_nearest(
    a: np.ndarray, a_radius: np.ndarray, b: np.ndarray, b_radius: np.ndarray, group: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of capsules that may have the least distance of their group, by the spheres around them and their middles.

    Args:
        a: (N, 2, 3) ends, a_radius: (N,) metres; each `group` in a row belong together.
        b: (M, 2, 3) ends, b_radius: (M,) metres; each of them is in every group.
        group: a divisor of N.

    Returns:
        (K,) indices into a and into b; of what is not finite no pair is left out.
    """
    middle_a, middle_b = a.sum(1), b.sum(1)  # twice the middles
    half_a, half_b = (0.5 * np.sqrt(np.einsum("nc,nc->n", d, d)) for d in (a[:, 1] - a[:, 0], b[:, 1] - b[:, 0]))
    apart2 = (
        np.einsum("nc,nc->n", middle_a, middle_a)[:, None]
        + np.einsum("mc,mc->m", middle_b, middle_b)
        - 2.0 * (middle_a @ middle_b.T)
    )
    most = 0.5 * np.sqrt(np.maximum(apart2, 0.0)) - a_radius[:, None] - b_radius
    least = (most - half_a[:, None] - half_b).reshape(-1, group * len(b))
    most = most.reshape(least.shape).min(1, keepdims=True)
    pair = np.flatnonzero(~(least > most + _MARGIN_M))
    return pair // len(b), pair % len(b)


#: What rounding may do to the bounds of `maybe_nearest`, metres.
_MARGIN_M = 1e-4


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


def without_inner(centre: np.ndarray, radius: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The spheres (K, 3), (K,) without those that lie inside a larger one: together they are the same."""
    near = (centre - centre.mean(0)).astype(np.float32)
    size, wide = np.einsum("kc,kc->k", near, near), radius.astype(np.float32)
    apart2 = near @ (-2.0 * near.T)
    apart2 += size[:, None] + np.float32(_ROUNDING_M2)
    apart2 += size
    more = wide[:, None] - wide  # of the row over the column
    more *= np.abs(more)
    outer = ~(apart2 < more).any(0)
    return centre[outer], radius[outer]


#: What single precision may take off a squared distance within a body's reach, m^2.
_ROUNDING_M2 = 1e-5
#: Widths of the squares of columns about spheres are rounded up to this: few sizes, each worked on at once.
_WIDTHS = 4
#: Spheres grow by this, in voxels: what single precision may lose.
_ROUNDING = np.float32(2e-5)


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
    centre, wide = without_inner(*spheres(ends, radius, 0.25 * resolution_m))
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
    nx, ny, nz = (int(shape[0]) + _WIDTHS, int(shape[1]) + _WIDTHS, int(shape[2]))
    at, r = (centre / resolution_m - origin).astype(np.float32), (wide / resolution_m).astype(np.float32) + _ROUNDING
    filled = _filled_columns(at, r, nx, ny, nz)  # (columns, height)
    x, y, z = (((np.arange(n) + (o + 0.5)) * resolution_m).astype(np.float32) for n, o in zip((nx, ny, nz), origin))
    found = np.flatnonzero(filled)
    column = found // filled.shape[1]
    out = np.empty((len(found), 3), np.float32)
    # one coordinate after the other: a copy of pairs takes five times as long
    out[:, 0] = x.repeat(ny).take(column, mode="clip")
    out[:, 1] = np.tile(y, nx).take(column, mode="clip")
    out[:, 2] = z.take(found & (filled.shape[1] - 1), mode="clip")
    return out, resolution_m


def _padded(nz: int) -> int:
    """Cells in height: the bits of one word, or of two, four, and so on."""
    return int(64 << (-(-nz // 64) - 1).bit_length())


def _filled_columns(centre: np.ndarray, radius: np.ndarray, nx: int, ny: int, nz: int) -> np.ndarray:
    """Which voxels spheres touch. A vertical line of voxels meets a sphere in one interval: bits of a word.

    Args:
        centre: (K, 3) float32 voxels; no sphere reaches below 0 sideways.
        radius: (K,) float32 voxels.
        nx, ny: of the grid, `_WIDTHS` more than spheres reach.
        nz: of the grid; what lies beyond in height is left out.

    Returns:
        (nx * ny, `_padded(nz)`) bool.
    """
    words = _padded(nz) // 64
    grid = np.zeros((words, nx, ny), np.uint64)
    start = np.maximum(np.floor(centre[:, :2] - radius[:, None]), np.float32(0.0))
    width = _WIDTHS * np.ceil((2.0 * radius + 2.0) / _WIDTHS).astype(np.int64)
    zero, one, top = np.float32(0.0), np.float32(1.0), np.float32(nz)
    for size in np.unique(width).tolist():  # spheres of one size have the same columns about them
        mine = np.flatnonzero(width == size)
        first = np.minimum(start[mine], np.array([nx - size, ny - size], np.float32))
        at = centre[mine, :2, None]
        edge = first[..., None] + np.arange(size, dtype=np.float32)  # (mine, 2, size)
        # the nearest place of the voxel's square to the centre
        away = np.square(np.minimum(np.maximum(at, edge), edge + one) - at)
        rest = (np.square(radius[mine])[:, None] - away[:, 0])[:, :, None] - away[:, None, 1]
        meets = rest > zero
        reach = np.sqrt(np.maximum(rest, zero, out=rest), out=rest)
        z = centre[mine, 2][:, None, None]
        enter = z - reach
        enter = np.clip(enter, zero, top, out=enter).astype(np.int32).astype(np.int64)  # by way of 32 bits: faster
        reach += z
        leave = np.floor(reach, out=reach)
        leave += meets  # of a column that does not meet the sphere it is where it enters: no bits
        leave = np.clip(leave, zero, top, out=leave).astype(np.int32).astype(np.int64)
        places = first.astype(int).tolist()
        for k in range(words):
            low, high = (e if words == 1 else np.clip(e - 64 * k, 0, 64) for e in (enter, leave))
            filled = np.left_shift(_FULL, low.view(np.uint64))
            filled ^= np.left_shift(_FULL, high.view(np.uint64))  # by 64: 0
            for bits, (x, y) in zip(filled, places, strict=True):
                square = grid[k, x : x + size, y : y + size]
                np.bitwise_or(square, bits, out=square)
    grid = np.ascontiguousarray(grid.reshape(words, -1).T)
    return np.unpackbits(grid.view(np.uint8).reshape(nx * ny, -1), axis=1, bitorder="little").view(bool)


#: A word with all bits set.
_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
