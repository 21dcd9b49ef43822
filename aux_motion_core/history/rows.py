# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The rows of a frame: which people and joints of it can be used, and what is told of them."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from aux_motion_core.arrays import every, some
from aux_motion_core.skeleton import INDEX, MISSING, N_JOINTS, TRACKER_PREDICTED, derive_joints, sighted
from aux_motion_core.types import SkeletonFrame

_HEAD = [INDEX["head"], INDEX["neck"]]
_FEET = [INDEX[n] for n in ("left_ankle", "right_ankle", "left_foot", "right_foot")]
_ENDS = np.zeros((N_JOINTS, 2))
_ENDS[_HEAD, 0] = _ENDS[_FEET, 1] = 1.0
_MEANS = _ENDS / _ENDS.sum(0)
#: Joints that follow from others where they are missing.
_MIDDLE = [INDEX["pelvis"], INDEX["neck"]]
#: Head this far below the feet is upside down, metres.
_UPSIDE_DOWN_M = 0.2
#: No joint is this far away; metres.
_FARTHEST_M = 1e4


class Rows(NamedTuple):
    """The rows of a frame that can be used, each id once.

    Attributes:
        ids: R of them.
        positions: (R, 20, 3) metres, finite.
        status: (R, 20) `JointStatus`; a joint that cannot be used is MISSING.
        repeated: ids that the frame has more than once.
    """

    ids: list[str]
    positions: np.ndarray
    status: np.ndarray
    repeated: frozenset[str]


def believable_rows(frame: SkeletonFrame, counters: Counter[str]) -> Rows:
    """Repair or leave out what a frame has that cannot be; all of it is counted.

    A person who is reported but has no row here has no place: `person_without_joints`, `person_only_guessed`.

    Args:
        frame: of at least one person.
        counters: added to.
    """
    positions = np.array(frame.positions, np.float64)
    status = np.array(frame.status, np.uint8)
    ids = list(frame.person_ids)
    near = np.abs(positions) < _FARTHEST_M  # False for NaN and Inf too
    guessed = some(status == TRACKER_PREDICTED)
    if every(near) and every(status) and not guessed and len(set(ids)) == len(ids):
        return Rows(ids, positions, status, frozenset())  # nothing is wrong or missing
    usable: np.ndarray = np.all(near, axis=-1)
    if not usable.all():
        count(counters, "non_finite_or_absurd_joints", int(((status != MISSING) & ~usable).sum()))
        status *= usable
        positions = np.where(usable[..., None], positions, 0.0)
    # a body that the tracker only carries on is not seen: it grows old as if nothing had come
    only_guessed = np.zeros(len(status), bool)
    if guessed:
        only_guessed = ~sighted(status).any(1) & (status != MISSING).any(1)
        count(counters, "person_only_guessed", int(only_guessed.sum()))
    if not status[:, _MIDDLE].all():
        positions, status = derive_joints(positions, status)
    good = status.any(1) & ~only_guessed
    if good.all() and len(set(ids)) == len(ids):
        return Rows(ids, positions, status, frozenset())

    joints = (status != MISSING).sum(1)
    chosen: dict[str, int] = {}
    repeated: set[str] = set()
    for i, person_id in enumerate(ids):
        if person_id in chosen:
            counters["duplicate_person_id"] += 1
            repeated.add(person_id)
        if person_id not in chosen or joints[i] > joints[chosen[person_id]]:
            chosen[person_id] = i
    count(counters, "person_without_joints", sum(1 for i in chosen.values() if joints[i] == 0))
    rows = {person_id: i for person_id, i in chosen.items() if good[i]}
    index = list(rows.values())
    return Rows(list(rows), positions[index], status[index], frozenset(repeated))


def in_region(places: np.ndarray, corners: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Which places (..., 2) are inside a polygon (even-odd rule)."""
    x, y = places[..., 0], places[..., 1]
    inside = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:
            inside ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def sigma_m(covariance: np.ndarray) -> np.ndarray:
    """(..., 20) one sigma in the worst direction, metres, of covariances (..., 20, 6); 0 where none is stated.

    The trace is never less than the largest eigenvalue.
    """
    with np.errstate(invalid="ignore"):
        trace = covariance[..., 0] + covariance[..., 3] + covariance[..., 5]
        result: np.ndarray = np.sqrt(np.where(trace > 0.0, np.minimum(trace, 1e6), 0.0))
    return result


def count(counters: Counter[str], name: str, n: int) -> None:
    """Add to a counter, which is not made for nothing."""
    if n:
        counters[name] += n


def stands(positions: np.ndarray, status: np.ndarray) -> list[int]:
    """Of each person (N, 20, 3), (N, 20): 1 with the head up, -1 upside down, 0 where that is not known."""
    if every(status):
        heights = positions[..., 2] @ _MEANS
        return np.where(heights[:, 0] < heights[:, 1] - _UPSIDE_DOWN_M, -1, 1).tolist()
    seen = status != MISSING
    heights, counts = (positions[..., 2] * seen) @ _ENDS, seen @ _ENDS
    heights /= np.maximum(counts, 1.0)
    up = np.where(heights[:, 0] < heights[:, 1] - _UPSIDE_DOWN_M, -1, 1)
    out: list[int] = (up * (counts > 0.0).all(1)).tolist()
    return out
