# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The swept volume holds every voxel that a capsule touches, and few others."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aux_motion_core.safety.capsules import voxels

#: Places along an axis at which a voxel's distance is taken.
_PLACES = np.linspace(0.0, 1.0, 65)


def gaps(low: np.ndarray, high: np.ndarray, ends: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """From boxes (N, 3) by their corners to the nearest capsule, (N,) metres; not above 0 where they touch.

    It is too large by at most half of the way between two places on an axis.
    """
    gap = np.full(len(low), np.inf)
    for (a, b), r in zip(ends, radius, strict=True):
        for place in a + _PLACES[:, None] * (b - a):
            away = np.clip(place, low, high) - place
            gap = np.minimum(gap, np.sqrt(np.einsum("nc,nc->n", away, away)) - r)
    return gap


@settings(max_examples=30, deadline=None)
@example(seed=1280, capsules=1, thick=0.02, size_m=0.07, tall=0.3)  # all of it is above the top
@given(
    seed=st.integers(0, 10_000),
    capsules=st.integers(1, 12),
    thick=st.sampled_from([0.02, 0.2, 0.5]),
    size_m=st.sampled_from([0.07, 0.1, 0.25]),
    tall=st.sampled_from([0.3, 4.0]),
)
def test_no_voxel_that_a_capsule_touches_is_left_out(
    seed: int, capsules: int, thick: float, size_m: float, tall: float
) -> None:
    rng = np.random.default_rng(seed)
    middle = rng.uniform(-0.4, 0.4, (capsules, 1, 3)) * (1.0, 1.0, tall)  # many lie inside others, all together
    ends = middle + rng.uniform(-0.3, 0.3, (capsules, 2, 3))
    radius = thick * rng.uniform(0.5, 1.0, capsules)
    ends[0, 1] = ends[0, 0]
    floor, top = -0.7 * tall, 0.6 * tall
    found, used = voxels(ends, radius, size_m, floor, top)
    assert used == size_m
    low, high = (ends.min(1) - radius[:, None]).min(0) - size_m, (ends.max(1) + radius[:, None]).max(0) + size_m
    low[2], high[2] = max(low[2], floor), min(high[2], top)
    first, last = np.floor(low / size_m).astype(int), np.ceil(high / size_m).astype(int)
    last[2] += 1  # the layer that begins at the top or above it is one of the grid's
    index = np.stack(np.meshgrid(*map(np.arange, first, last), indexing="ij"), -1).reshape(-1, 3)
    corner = index * size_m
    gap = gaps(corner, corner + size_m, ends, radius)
    # what of a voxel is between the two heights
    lower, upper = corner.copy(), corner + size_m
    lower[:, 2], upper[:, 2] = np.maximum(lower[:, 2], floor), np.minimum(upper[:, 2], top)
    touched = (upper[:, 2] > lower[:, 2]) & (gaps(lower, np.maximum(lower, upper), ends, radius) < -1e-4)
    step = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1).max() / (len(_PLACES) - 1)
    there = {tuple(c) for c in np.floor(found / size_m).astype(int)}
    assert len(there) == len(found)
    assert {tuple(c) for c in index[touched]} <= there
    assert there <= {tuple(c) for c in index[gap < 0.25 * size_m + step / 2 + 1e-4]}
