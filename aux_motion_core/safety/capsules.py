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


#: Voxels along each side of the squares of columns that are looked at as one first.
_BLOCK = 4
#: Spheres grow by this, in voxels: what single precision may lose.
_ROUNDING = np.float32(2e-5)
#: A word with all bits set, and how many bits of a byte are.
_FULL, _BITS_SET = np.uint64(0xFFFFFFFFFFFFFFFF), np.array([bin(n).count("1") for n in range(256)], np.uint8)


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
    nx, ny, nz = (-(-int(shape[0]) // _BLOCK) * _BLOCK, -(-int(shape[1]) // _BLOCK) * _BLOCK, int(shape[2]))
    at, r = (centre / resolution_m - origin).astype(np.float32), (wide / resolution_m).astype(np.float32) + _ROUNDING
    columns = _filled_columns(at, r, nx, ny, nz).view(np.uint8)  # of each column, bits in height
    filled = np.unpackbits(columns.reshape(-1), bitorder="little").view(bool)
    x, y, z = (
        ((np.arange(n) + (o + 0.5)) * resolution_m).astype(np.float32)
        for n, o in zip((nx, ny, 8 * columns.shape[1]), origin, strict=True)
    )
    count = _BITS_SET.take(columns.T).sum(0, dtype=np.int64)
    out = np.empty((count.sum(), 3), np.float32)
    # one coordinate after the other: a copy of rows takes five times as long
    out[:, 0] = x.repeat(ny).repeat(count)
    out[:, 1] = np.tile(y, nx).repeat(count)
    out[:, 2] = np.tile(z, len(columns))[filled]
    return out, resolution_m


def _filled_columns(centre: np.ndarray, radius: np.ndarray, nx: int, ny: int, nz: int) -> np.ndarray:
    """Which voxels spheres touch. A vertical line of voxels meets a sphere in one interval: bits of a word.

    Most spheres lie inside others, all together. So blocks of columns come first: what a sphere fills in all of a
    block's columns, and what it fills in any. Only where that is more than all spheres fill in all columns, the columns
    are looked at one by one.

    Args:
        centre: (K, 3) float32 voxels; no sphere reaches below 0 sideways, or beyond the grid.
        radius: (K,) float32 voxels.
        nx, ny: of the grid, multiples of `_BLOCK`.
        nz: of the grid; what lies beyond in height is left out.

    Returns:
        (nx * ny, words of 64 cells) uint64.
    """
    spheres, by = len(radius), ny // _BLOCK
    squared, away_x, away_y = np.square(radius), _away(centre[:, 0], nx), _away(centre[:, 1], ny)
    rest = (squared - away_x.min(0))[:, None] - away_y.min(0)  # (x, y, K): what the way sideways leaves of the radius
    pair = np.flatnonzero(rest > np.float32(0.0))
    block = pair // spheres
    of, x = pair - block * spheres, block // by
    at_x, at_y = x * spheres + of, (block - x * by) * spheres + of
    either = np.empty((2, len(pair)), np.float32)
    rest.take(pair, out=either[0], mode="clip")
    np.subtract((squared - away_x.max(0)).take(at_x), away_y.max(0).take(at_y), out=either[1])
    height = centre[:, 2].take(of)
    bits = _filled(either, height, nz)
    blocks = np.zeros((len(bits), nx // _BLOCK * by), np.uint64)
    _join(blocks, block, bits[:, 1])
    more = np.flatnonzero((bits[:, 0] & ~blocks.take(block, axis=1)).any(0))
    grid = blocks.repeat(_BLOCK * _BLOCK, axis=0).reshape(-1, _BLOCK, _BLOCK, blocks.shape[1])
    if len(more):
        far_x, far_y = (a.reshape(_BLOCK, -1).take(i[more], axis=1) for a, i in ((away_x, at_x), (away_y, at_y)))
        rest = (squared.take(of[more]) - far_x)[:, None] - far_y
        _join(grid, block[more], _filled(rest, height[more], nz))
    columns = grid.reshape(-1, _BLOCK, _BLOCK, nx // _BLOCK, by).transpose(3, 1, 4, 2, 0)
    return np.ascontiguousarray(columns).reshape(nx * ny, -1)


def _away(at: np.ndarray, n: int) -> np.ndarray:
    """Squared distances of places (K,) from the nearest place of each of `n` voxels in a row: (block, n / block, K)."""
    edge = np.arange(n, dtype=np.float32).reshape(-1, _BLOCK).T[..., None]
    away = np.minimum(np.maximum(at, edge), edge + np.float32(1.0))
    away -= at
    return np.square(away, out=away)


def _filled(rest: np.ndarray, height: np.ndarray, nz: int) -> np.ndarray:
    """Voxels of columns that spheres fill, as bits.

    Args:
        rest: (..., S) float32 squared voxels: of the radius less the way sideways; nothing is filled where it is not
            above 0. Written over.
        height: (S,) float32 voxels, of the centres.
        nz: what lies beyond, or below 0, is left out.

    Returns:
        (words of 64 cells, ..., S) uint64.
    """
    zero = np.float32(0.0)
    meets = rest > zero
    reach = np.sqrt(np.maximum(rest, zero, out=rest), out=rest)
    ends = np.empty((2, *rest.shape), np.float32)  # where each column enters the sphere, and leaves it
    np.subtract(height, reach, out=ends[0])
    reach += height
    np.floor(reach, out=ends[1])
    ends[1] += meets  # of a column that does not meet the sphere it is where it enters: no bits
    # by way of 32 bits: faster
    places = np.clip(ends, zero, np.float32(nz), out=ends).astype(np.int32).astype(np.int64)
    bits = np.empty((-(-nz // 64), *rest.shape), np.uint64)
    for k, word in enumerate(bits):
        mine = places if len(bits) == 1 else np.clip(places - 64 * k, 0, 64)
        enter, leave = np.left_shift(_FULL, mine.view(np.uint64))  # by 64: 0
        np.bitwise_xor(enter, leave, out=word)
    return bits


def _join(grid: np.ndarray, block: np.ndarray, bits: np.ndarray) -> None:
    """Bits (..., S) of the blocks (S,), which are in order, into the grid (..., blocks)."""
    start = np.flatnonzero(np.concatenate([[True], block[1:] != block[:-1]]))
    grid[..., block[start]] |= np.bitwise_or.reduceat(bits, start, axis=-1)
