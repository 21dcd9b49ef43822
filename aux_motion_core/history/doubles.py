# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Two ids on one body become one person."""

from __future__ import annotations

import numpy as np

from aux_motion_core.history.bodies import (
    APART_M,
    DOUBTFUL_M,
    MEMORY_NS,
    MIN_COMMON,
    ONE_BODY_M,
    PLACE_GATE,
    SURELY_M,
    Bodies,
    Taken,
    gate,
    mean_distance,
    row_of,
)
from aux_motion_core.skeleton import MISSING

#: Two cameras' frames of one body are no farther apart, seconds.
_TURNS_S = 0.15
#: Mean distance of two skeletons' joints beyond which they are two people, metres.
BESIDE_M = 0.3


def resolve_aliases(bodies: Bodies, taken: Taken, stamp_ns: int) -> None:
    bodies.aliases = {
        i: (owner, when_ns)
        for i, (owner, when_ns) in bodies.aliases.items()
        if abs(stamp_ns - when_ns) < MEMORY_NS and owner in bodies.slots and i not in bodies.slots
    }
    for row, person_id in enumerate(list(taken.ids)):
        owner, _ = bodies.aliases.get(person_id, (None, 0))
        if owner is None or owner in taken.ids:
            continue
        # another camera's frame: the body under its second id
        dist, common = bodies.distances(stamp_ns, np.array([bodies.slots[owner]]), row_of(taken, row))
        age_s = abs(stamp_ns - bodies.newest_ns[bodies.slots[owner]]) * 1e-9
        within_m = gate(PLACE_GATE, age_s) if age_s <= _TURNS_S else SURELY_M  # after a while it may be somebody else
        if common.sum() >= MIN_COMMON and mean_distance(dist, common)[0] < within_m:
            taken.ids[row] = owner
            taken.duplicated.add(owner)
            taken.counters["duplicate_body_merged"] += 1
            bodies.aliases[person_id] = (owner, stamp_ns)
        else:
            del bodies.aliases[person_id]


def merge(bodies: Bodies, taken: Taken, stamp_ns: int) -> frozenset[str]:
    """Make one row of the rows on one body; the ids that are near another are returned."""
    seen = taken.status != MISSING
    # no two skeletons are on one body when no two of their trunks are near each other
    n = np.maximum(seen.sum(1), 1)
    centre = np.einsum("ijk,ij->ik", taken.positions, seen) / n[:, None]
    close = np.abs(centre[:, None] - centre).max(-1) < APART_M
    if np.count_nonzero(close) == len(close):  # each to itself
        return frozenset()
    first, second = np.nonzero(np.triu(close, 1))
    both = seen[first] & seen[second]
    dist = np.linalg.norm(taken.positions[first] - taken.positions[second], axis=-1)
    mean, count = mean_distance(dist, both), both.sum(1)
    # bodies side by side are two; who was seen so is no double of the other
    beside = (mean <= BESIDE_M) | (count < MIN_COMMON)
    near = frozenset(taken.ids[row] for row in {*first[beside].tolist(), *second[beside].tolist()})
    left: list[int] = []
    for a, b, distance, common in zip(first.tolist(), second.tolist(), mean, count, strict=True):
        if common < MIN_COMMON or a in left or b in left:
            continue
        names = (taken.ids[a], taken.ids[b])
        aliased = any(bodies.aliases.get(names[k], ("", 0))[0] == names[1 - k] for k in (0, 1))
        if distance < (DOUBTFUL_M if aliased else ONE_BODY_M):
            # the body's own id first, then the one whose history fits, then the one with more joints
            order = sorted(
                (a, b), key=lambda r: (taken.ids[r] in bodies.aliases, fit(bodies, stamp_ns, taken, r), -n[r])
            )
            keep, drop = order
            here, there = taken.status[[keep, drop]] != MISSING  # one may have been filled
            apart = np.linalg.norm(taken.positions[keep] - taken.positions[drop], axis=-1) > DOUBTFUL_M
            differ, fill = here & there & apart, there & ~here
            taken.positions[keep] = np.where(fill[:, None], taken.positions[drop], taken.positions[keep])
            taken.status[keep] = np.where(fill, taken.status[drop], taken.status[keep])
            left.append(drop)
            if differ.any():
                taken.disputed.append((taken.ids[keep], differ, taken.positions[drop].copy()))
            renamed = {taken.ids[drop]: taken.ids[keep]}  # where a third skeleton was on the one that goes
            taken.disputed = [(renamed.get(i, i), joints, places) for i, joints, places in taken.disputed]
            gone = taken.ids[drop]
            if gone in bodies.slots and not bodies.apart[bodies.slots[gone]]:  # it never was another body
                bodies.close(gone)
                taken.merged.append(gone)
            if gone not in bodies.slots:  # else it is another's, who is not seen now
                bodies.aliases[gone] = (taken.ids[keep], stamp_ns)
            taken.duplicated.add(taken.ids[keep])
            taken.counters["duplicate_body_merged"] += 1
        elif distance < DOUBTFUL_M:
            taken.duplicated.update(names)
            taken.counters["duplicate_body_flagged"] += 1
    if left:
        rows = [r for r in range(len(taken.ids)) if r not in left]
        taken.ids = [taken.ids[r] for r in rows]
        taken.positions, taken.status = taken.positions[rows], taken.status[rows]
    return near


def fit(bodies: Bodies, stamp_ns: int, taken: Taken, row: int) -> float:
    """Mean distance of a row to its own history, infinite without one."""
    slot = bodies.slots.get(taken.ids[row])
    if slot is None:
        return np.inf
    dist, common = bodies.distances(stamp_ns, np.array([slot]), row_of(taken, row))
    return float(mean_distance(dist, common)[0]) if common.any() else np.inf
