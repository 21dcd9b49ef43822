# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bodies that came under another id get their own history."""

from __future__ import annotations

import numpy as np

from aux_motion_core.history.bodies import (
    CARRY_S,
    CLEARLY,
    MEMORY_NS,
    MIN_COMMON,
    NS,
    PLACE_GATE,
    POSE_GATE,
    SURELY_M,
    Bodies,
    Taken,
    gate,
)
from aux_motion_core.skeleton import MISSING
from aux_motion_core.solvers import assignment


def relink(
    bodies: Bodies,
    stamp_ns: int,
    slots: np.ndarray,
    taken: Taken,
    own: np.ndarray,
    settled: np.ndarray,
    within_ns: int,
) -> bool:
    """Give bodies that came under another id their own history; `slots` changes in place."""
    owners = {slot: i for i, slot in bodies.slots.items()}
    age_ns = stamp_ns - bodies.newest_ns
    taken_slots = set(slots[settled].tolist())
    lost = np.array([s for s in owners if s not in taken_slots and 0 < age_ns[s] <= within_ns], dtype=np.int64)
    rows = np.flatnonzero(~settled)
    if not len(lost):
        return False
    # (rows, lost): mean distance to where each lost body would be now, and of the poses with the place taken out
    age = age_ns[lost] * 1e-9
    carried = (
        bodies.place[lost] + (bodies.velocity[lost] * (CARRY_S * (1.0 - np.exp(-age / CARRY_S)))[:, None])[:, None]
    )
    known = (bodies.seen_ns[lost] > 0) & (stamp_ns - bodies.seen_ns[lost] < within_ns + MEMORY_NS)
    common = (taken.status[rows] != MISSING)[:, None] & known
    delta = np.where(common[..., None], taken.positions[rows][:, None] - carried, 0.0)
    n = np.maximum(common.sum(-1), 1)
    place = np.linalg.norm(delta, axis=-1).sum(-1) / n
    shift = delta.sum(-2) / n[..., None]
    pose = (np.linalg.norm(delta - shift[:, :, None], axis=-1) * common).sum(-1) / n
    fits = (common.sum(-1) >= MIN_COMMON) & (place <= gate(PLACE_GATE, age)) & (pose <= gate(POSE_GATE, age))
    itself = slots[rows][:, None] == lost
    # a body that its own id explains as well keeps it
    fits &= itself | (place < CLEARLY * np.where(np.isfinite(own[rows]), own[rows], np.inf)[:, None])
    cost = np.where(fits, place, 1e3)
    chosen = assignment(cost)
    moves: dict[int, int] = {}
    for i, j in zip(*chosen, strict=True):
        if not fits[i, j] or itself[i, j]:
            continue
        others = np.concatenate([np.delete(cost[i], j), np.delete(cost[:, j], i)])
        # two bodies or two histories that fit alike: nobody knows, so the history starts anew
        rivals = others[others < 1e3]
        if len(rivals) and cost[i, j] > CLEARLY * rivals.min():
            taken.counters["relink_ambiguous"] += 1
            continue
        moves[int(rows[i])] = int(lost[j])
        if place[i, j] > SURELY_M:
            taken.doubtful.add(taken.ids[int(rows[i])])
    if moves:
        hand_over(bodies, stamp_ns, taken, moves, slots)
    return bool(moves)


def hand_over(bodies: Bodies, stamp_ns: int, taken: Taken, moves: dict[int, int], slots: np.ndarray) -> None:
    """The bodies of these slots go by their rows' ids from now on; who had such an id gets one that is free."""
    was = {slot: i for i, slot in bodies.slots.items()}
    owner = {taken.ids[row]: slot for row, slot in moves.items()}
    for new_id, slot in owner.items():
        former = bodies.former.pop(was[slot], None)
        if former is not None and former[0] == new_id and stamp_ns - former[1] < NS and was[slot] not in owner:
            bodies.aliases[was[slot]] = (new_id, stamp_ns)  # both ids live: one body that two cameras see
        bodies.former[new_id] = (was[slot], stamp_ns)
    without = [bodies.slots.pop(i) for i in owner]
    free = [was[slot] for slot in owner.values() if was[slot] not in owner]
    for person_id in free:
        del bodies.slots[person_id]
    for slot in without:
        if slot in owner.values():
            continue
        if bodies.newest_ns[slot]:
            owner[free.pop()] = slot
        else:
            bodies.free.append(slot)
    bodies.slots.update(owner)
    taken.moves.update({new_id: was[slot] for new_id, slot in owner.items()})
    for row, person_id in enumerate(taken.ids):
        slots[row] = bodies.slots.get(person_id, -1)
        if slots[row] < 0:  # another has its history
            slots[row] = bodies.open(person_id)
    taken.counters["id_relinked"] += len(moves)
