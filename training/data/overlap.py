# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Finds recordings that two clips share, however they were cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aux_motion_core.history.normalise import into_frame, normalise
from aux_motion_core.skeleton import N_JOINTS
from training.data.clip import Clip

#: root positions closer than this on each axis are one and the same sample
ROOT_GRID_M = 1e-5
#: so many shared rows are no chance
SHARED_ROWS = 5
#: windows of this length, at this rate, whose joints differ less on average are one and the same motion
WINDOW_S, WINDOW_RATE_HZ, SAME_MOTION_M = 1.0, 10.0, 0.015


@dataclass(frozen=True)
class Overlap:
    """What two clips share: root rows, and the least mean joint distance between two of their windows."""

    first: str
    second: str
    root_rows: int
    distance_m: float


def shared_root_rows(first: list[Clip], second: list[Clip]) -> list[Overlap]:
    """Pairs of clips with `SHARED_ROWS` or more root positions in common; a standstill counts once.

    The compared positions are rounded: text and ASF/AMC give the same root to 1e-6 m.
    """
    rows = [_root_rows(c) for c in first]
    out = []
    for other in second:
        theirs = _root_rows(other)
        for clip, ours in zip(first, rows, strict=True):
            n = len(ours & theirs)
            if n >= SHARED_ROWS:
                out.append(Overlap(clip.name, other.name, n, np.nan))
    return out


def _root_rows(clip: Clip) -> set[bytes]:
    root = clip.positions[clip.mask[:, 0], 0].astype(np.float64)
    return {r.tobytes() for r in np.unique(np.round(root / ROOT_GRID_M).astype(np.int64), axis=0)}


def windows(clip: Clip, stride: int, joints: np.ndarray) -> np.ndarray:
    """(n, steps * joints * 3) windows every `stride` frames, in their first pose's frame, unseen joints 0.

    Args:
        joints: (20,) bool, the joints that count.
    """
    offsets = np.round(np.arange(0.0, WINDOW_S + 1e-9, 1.0 / WINDOW_RATE_HZ) * clip.rate_hz).astype(int)
    starts = np.arange(0, len(clip.positions) - offsets[-1], stride)
    if not len(starts):
        return np.zeros((0, len(offsets) * N_JOINTS * 3), np.float32)
    i = starts[:, None] + offsets
    mask = clip.mask[i] & joints
    heading = normalise(clip.positions[i[:, :1]], mask[:, :1])[1]
    return (into_frame(clip.positions[i], heading) * mask[..., None]).astype(np.float32).reshape(len(i), -1)


def near_identical(first: list[Clip], second: list[Clip], limit_m: float = SAME_MOTION_M) -> list[Overlap]:
    """Pairs of clips with a window in common, moved or turned as it may be.

    Every second frame of `first` starts a window, every half second of `second`. Compared is the root mean
    square over steps and the joints that the second clip has, which is not below the mean distance.
    """
    out = []
    for joints in np.unique([c.mask.any(0) for c in second], axis=0) if second else []:
        alike = [c for c in second if np.array_equal(c.mask.any(0), joints)]
        theirs = [windows(c, max(1, round(c.rate_hz / 2)), joints) for c in alike]
        owner = np.repeat(np.arange(len(alike)), [len(t) for t in theirs])
        if not len(owner):
            continue
        b = np.concatenate(theirs)
        points = b.shape[1] // (3 * N_JOINTS) * joints.sum()
        for clip in first:
            distance = np.sqrt(_least_squares(windows(clip, 2, joints), b) / points)
            for j, other in enumerate(alike):
                mine = distance[owner == j]
                if len(mine) and mine.min() <= limit_m:
                    out.append(Overlap(clip.name, other.name, 0, float(mine.min())))
    return out


def _least_squares(a: np.ndarray, b: np.ndarray, chunk: int = 2048) -> np.ndarray:
    """(len(b),) least squared distance of each row of `b` to the rows of `a`."""
    best = np.full(len(b), np.inf, np.float32)
    b2 = np.einsum("nd,nd->n", b, b)
    for k in range(0, len(a), chunk):
        part = a[k : k + chunk]
        d2 = np.einsum("nd,nd->n", part, part)[:, None] + b2 - 2.0 * (part @ b.T)
        best = np.minimum(best, d2.min(0))
    return np.maximum(best, 0.0)
