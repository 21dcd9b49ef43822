# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Joints that move faster than people can: masked, with a bound that holds both places."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.bodies import (
    APART_M,
    DOUBTFUL_M,
    MEMORY_NS,
    MIN_COMMON,
    NOISE_M,
    NS,
    Bodies,
    Taken,
)
from aux_motion_core.history.limits import JOINT_LIMITS_MPS, LIMB_SPAN_M, SPEED_LIMITS_MPS
from aux_motion_core.skeleton import INDEX, MISSING

_PELVIS = INDEX["pelvis"]
#: Parts of one body that are both seen are not farther apart along the floor than this, metres.
_PART_M = 0.8


class Outliers(NamedTuple):
    """Joints of a person that were masked, and not seen often enough since to know where they are.

    Attributes:
        joints: (20,) bool.
        place: (20, 3) metres: where the tracker said they are.
        place_ns: (20,) when it said so.
        before: (20, 3) metres: where they were believed last.
        before_ns: (20,) and when.
    """

    joints: np.ndarray
    place: np.ndarray
    place_ns: np.ndarray
    before: np.ndarray
    before_ns: np.ndarray


def held_outliers(bodies: Bodies, person_id: str) -> Outliers | None:
    """The joints of that person whose bound must hold two places; None when there are none."""
    slot = bodies.slots.get(person_id)
    if slot is None or not bodies.doubt[slot].any():
        return None
    # of a body that goes on being seen without the joint it says nothing more after a while
    joints = (bodies.doubt[slot] > 0) & (bodies.newest_ns[slot] - bodies.pending_ns[slot] < MEMORY_NS)
    if not joints.any():
        return None
    return Outliers(joints, bodies.pending[slot], bodies.pending_ns[slot], bodies.place[slot], bodies.seen_ns[slot])


def mask(
    bodies: Bodies,
    stamp_ns: int,
    slots: np.ndarray,
    taken: Taken,
    dist: np.ndarray,
    common: np.ndarray,
    ahead: np.ndarray,
    config: PredictorConfig,
) -> None:
    limits = np.minimum(JOINT_LIMITS_MPS, config.max_speed_mps)
    since = np.abs(stamp_ns - bodies.seen_ns[slots]) * 1e-9
    far = dist > limits * since + NOISE_M
    far &= common
    seen = taken.status != MISSING
    away = _away(bodies, stamp_ns, slots, taken.positions, seen, common)
    if not far.any() and not bodies.doubt[slots].any() and not away.any():
        return
    n = far.sum(1)
    elsewhere = (n >= MIN_COMMON) & (2 * n >= seen.sum(1))  # the body is: what happens to be near is no better
    far |= (elsewhere | away)[:, None] & seen
    far &= seen
    late, now = far & ~ahead[:, None], far & ahead[:, None]  # an old frame proves nothing
    for row in np.flatnonzero(late.any(1) & (stamp_ns == bodies.newest_ns[slots])):  # two sights of one moment
        joints = late[row] & (dist[row] > DOUBTFUL_M)
        dispute(bodies, slots[row], stamp_ns, joints, taken.positions[row], config)
    gap = np.linalg.norm(taken.positions - bodies.pending[slots], axis=-1)
    again = (bodies.pending_n[slots] > 0) & (gap <= limits * (stamp_ns - bodies.pending_ns[slots]) * 1e-9 + NOISE_M)
    times = np.where(again, bodies.pending_n[slots] + 1, 1)
    believed = now & (times >= config.believe_after_frames)
    whole = believed.any(1) & (2 * believed.sum(1) >= seen.sum(1))  # the body is elsewhere, all of it
    believed |= now & whole[:, None]
    masked = now & ~believed
    back = seen & ahead[:, None] & ~far  # where it was; not seen at all: it goes on waiting
    doubt = bodies.doubt[slots] - (back & (bodies.doubt[slots] > 0))
    bodies.doubt[slots] = np.where(masked, config.believe_after_frames, np.where(believed, 0, doubt))
    bodies.pending_n[slots] = np.where(masked, times, np.where(believed | back, 0, bodies.pending_n[slots]))
    bodies.pending[slots] = np.where(masked[..., None], taken.positions, bodies.pending[slots])
    bodies.pending_ns[slots] = np.where(masked, stamp_ns, bodies.pending_ns[slots])
    taken.status[masked | late] = MISSING
    taken.counters.update(outlier_masked=int((masked | late).sum()), outlier_believed=int(believed.sum()))
    for row in np.flatnonzero(believed.any(1)):
        if not whole[row]:
            taken.forgotten[taken.ids[row]] = believed[row]
            continue
        moved = (taken.positions[row] - bodies.place[slots[row]])[believed[row]].mean(0)
        if (away[row] or np.abs(moved).max() > APART_M) and len(bodies.slots) < config.max_people:
            slots[row] = leave(bodies, taken, taken.ids[row])
        else:
            taken.restarted.append(taken.ids[row])


def _away(
    bodies: Bodies, stamp_ns: int, slots: np.ndarray, positions: np.ndarray, seen: np.ndarray, common: np.ndarray
) -> np.ndarray:
    """(rows,) bool: bodies with few joints in common with before, all of which are farther than any part of it."""
    out = np.zeros(len(slots), bool)
    for row in np.flatnonzero((common.sum(1) < MIN_COMMON) & (bodies.newest_ns[slots] > 0)):
        slot = slots[row]
        passed_s = abs(stamp_ns - bodies.newest_ns[slot]) * 1e-9
        known = bodies.seen_ns[slot] > bodies.newest_ns[slot] - MEMORY_NS
        if passed_s * NS >= MEMORY_NS or not known.any() or not seen[row].any():
            continue
        gap = positions[row, seen[row], None, :2] - bodies.place[slot, known, :2]
        out[row] = np.linalg.norm(gap, axis=-1).min() > _PART_M + SPEED_LIMITS_MPS["trunk"] * passed_s
    return out


def dispute(
    bodies: Bodies, slot: int, stamp_ns: int, joints: np.ndarray, places: np.ndarray, config: PredictorConfig
) -> None:
    """Two skeletons of one body disagree about these joints: the bound holds both places."""
    # of several places of one moment the farthest: its sphere is the largest
    held = (bodies.doubt[slot] > 0) & (bodies.pending_ns[slot] == stamp_ns)
    away = np.linalg.norm(np.stack([places, bodies.pending[slot]]) - bodies.place[slot], axis=-1)
    joints = joints & (~held | (away[0] > away[1]))
    bodies.pending[slot, joints] = places[joints]
    bodies.pending_ns[slot, joints] = stamp_ns
    bodies.doubt[slot, joints] = config.believe_after_frames


def leave(bodies: Bodies, taken: Taken, person_id: str) -> int:
    """The id is on another body now; its previous owner is unseen and goes on under another. The id's new slot."""
    other = person_id + "~"
    while other in bodies.slots or other in bodies.known:
        other += "~"
    slot = bodies.slots.pop(person_id)
    bodies.slots[other] = slot
    bodies.doubt[slot] = bodies.pending_n[slot] = 0
    bodies.former.pop(person_id, None)
    taken.moves[other] = taken.moves.pop(person_id, person_id)
    taken.counters["id_reused"] += 1
    return bodies.open(person_id)


def widened(
    mean: np.ndarray,
    pose: np.ndarray,
    origin_ns: int,
    steps_s: np.ndarray,
    reach_speed_mps: float,
    outliers: Outliers,
    radius: np.ndarray | None = None,
) -> np.ndarray:
    """Bound of a person some of whose joints were masked as outliers.

    A masked joint's sphere holds both what was believed last and where the tracker said that it is, growing with the
    fastest motion of such a joint, but not beyond what limbs span around the body. All other joints get the reach
    bound around the present pose, where they have no radius of their own.

    Args:
        mean: (steps, 20, 3) metres: centres of the spheres.
        pose: (20, 3) metres: the present pose.
        origin_ns: stamp that the steps count from.
        steps_s: (steps,) seconds.
        reach_speed_mps: growth of the reach bound.
        outliers: what was masked.
        radius: (steps, 20) metres where the joints have one.

    Returns:
        (steps, 20) metres.
    """
    times_s = steps_s[:, None]
    reach = reach_speed_mps * times_s
    if radius is None:
        radius = np.linalg.norm(mean - pose, axis=-1) + reach
    j = np.flatnonzero(outliers.joints)
    to_place = np.linalg.norm(mean[:, j] - outliers.place[j], axis=-1)
    to_before = np.linalg.norm(mean[:, j] - outliers.before[j], axis=-1)
    place_s = np.abs((origin_ns - outliers.place_ns[j]) * 1e-9 + times_s)
    before_s = np.abs((origin_ns - outliers.before_ns[j]) * 1e-9 + times_s)
    limits = JOINT_LIMITS_MPS[j]
    free = np.maximum(to_place + limits * place_s, to_before + reach_speed_mps * before_s)
    on_body = np.linalg.norm(mean[:, j] - mean[:, [_PELVIS]], axis=-1) + LIMB_SPAN_M + reach
    both_places = np.maximum(to_place, to_before) + reach_speed_mps * np.maximum(place_s, before_s)
    out = radius.copy()
    out[:, j] = np.maximum(out[:, j], np.minimum(free, np.maximum(on_body, both_places)))
    return out
