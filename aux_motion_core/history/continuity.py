# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""One body, one history: switched ids, doubled ids, swapped sides and joints that jump.

Works on the frames that enter the predictor, live and from bags alike, on all people of a frame at once.

- An id is what the tracker says *now*; a history belongs to a body. When the tracker gives a body another id, the
  history goes with the body, within a gate of position and pose. Without a clear match the history starts anew.
- An id that is on a body elsewhere, faster than people are, was given to another person. The one before is not gone
  but unseen, and goes on under the id with a `~`.
- Two ids on one body become one person; bodies too close to be two, but not surely one, are flagged. A person who was
  seen apart from others and is then on another's body is unseen, not gone.
- A skeleton whose left and right are exchanged is exchanged back, for as long as a person could not have turned; when
  it stays so, the tracker is believed and the history starts anew.
- A joint that moves faster than people can is masked until it was seen there a few times in a row. Meanwhile its
  bound holds both places (`widened`), until it was seen as often in one of them: nothing that may be real is ever
  filtered away.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.bodies import (
    CALM_M,
    MIN_COMMON,
    NS,
    Bodies,
    Taken,
    mean_distance,
)
from aux_motion_core.history.doubles import merge, resolve_aliases
from aux_motion_core.history.limits import JOINT_LIMITS_MPS
from aux_motion_core.history.outliers import Outliers, dispute, held_outliers, mask
from aux_motion_core.history.relink import relink
from aux_motion_core.skeleton import MIRROR, N_JOINTS

#: Metres a second beside `CALM_M`.
_CALM_MPS = 3.0
#: Sides are exchanged: mean joint distance at least (no less than what is calm), and how much smaller it becomes by
#: exchanging back.
_SWAP_M, _SWAP_SHARE = 0.1, 0.5
#: People turn round in half a second; a skeleton that still has its sides exchanged after this is believed.
_SWAP_BELIEVED_NS = NS
#: Frames farther apart say nothing about exchanged sides.
_SWAP_GAP_NS = NS // 4
_SLOWEST_MPS = float(JOINT_LIMITS_MPS.min())
_PAIRED = np.flatnonzero(MIRROR != np.arange(N_JOINTS))


class Continuity:
    """Remembers where each body's joints were believed last."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self.bodies = Bodies()

    def outliers(self, person_id: str) -> Outliers | None:
        """The joints of that person whose bound must hold two places; None when there are none."""
        return held_outliers(self.bodies, person_id)

    def rename(self, person_id: str, other: str) -> None:
        """That person's body goes by another id from now on.

        Args:
            person_id: until now.
            other: that nobody has; empty: the body is forgotten.
        """
        slot = self.bodies.slots.get(person_id)
        if slot is None:
            return
        if not other or other in self.bodies.slots:
            self.bodies.close(person_id)
            return
        self.bodies.former.pop(person_id, None)
        self.bodies.slots[other] = self.bodies.slots.pop(person_id)

    def take(
        self,
        stamp_ns: int,
        ids: list[str],
        positions: np.ndarray,
        status: np.ndarray,
        people: Collection[str],
        config: PredictorConfig,
    ) -> Taken:
        """Tell whose each row is and what of it may be believed.

        Args:
            stamp_ns: of the frame.
            ids: of its rows, each once.
            positions: (rows, 20, 3) metres, finite.
            status: (rows, 20) `JointStatus`; changed in place.
            people: ids that are known.
            config: limits and gates.
        """
        for gone in [i for i in self.bodies.slots if i not in people]:
            self.bodies.close(gone)
        taken = Taken(ids, positions, status)
        self.bodies.known = people
        if self.bodies.aliases:
            resolve_aliases(self.bodies, taken, stamp_ns)
        near = merge(self.bodies, taken, stamp_ns) if len(taken.ids) > 1 else frozenset()
        each = [s if (s := self.bodies.slots.get(i, -1)) >= 0 else self.bodies.open(i) for i in taken.ids]
        if not near and not taken.disputed and each:
            most_mps = min(_SLOWEST_MPS, config.max_speed_mps)
            if self.bodies.go_on(stamp_ns, each, taken, most_mps):
                return taken
        slots = np.array(each, np.intp)
        self.bodies.apart[slots] |= [i not in near for i in taken.ids] if near else True
        newest_ns = self.bodies.newest_ns[slots]
        if newest_ns.max(initial=0) > stamp_ns + int(config.reset_jump_s * NS):
            for slot in slots[stamp_ns < newest_ns - int(config.reset_jump_s * NS)]:
                self.bodies.clear(slot)  # the track starts anew too
            newest_ns = self.bodies.newest_ns[slots]

        dist, common = self.bodies.distances(stamp_ns, slots, taken)
        mean = mean_distance(dist, common)
        dt = (stamp_ns - newest_ns) * 1e-9
        ahead = dt > 0.0
        if (mean <= CALM_M).all() and ahead.all() and not self.bodies.swapped_ns[slots].any():
            self._keep(stamp_ns, slots, taken, dist, common, ahead, dt, config)  # all go on as they were
            return taken
        count = common.sum(1)
        if ((mean > _SWAP_M) & ahead & (count >= MIN_COMMON)).any() or self.bodies.swapped_ns[slots].any():
            if exchange_back(self.bodies, stamp_ns, slots, taken, mean):
                dist, common = self.bodies.distances(stamp_ns, slots, taken)
                mean = mean_distance(dist, common)
        calm = (count > 0) & (mean <= CALM_M + _CALM_MPS * dt)
        if config.relink_within_s > 0.0 and not (calm | ~ahead).all():
            if relink(self.bodies, stamp_ns, slots, taken, mean, calm | ~ahead, int(config.relink_within_s * NS)):
                dist, common = self.bodies.distances(stamp_ns, slots, taken)
                dt = (stamp_ns - self.bodies.newest_ns[slots]) * 1e-9
                ahead = dt > 0.0
        self._keep(stamp_ns, slots, taken, dist, common, ahead, dt, config)
        return taken

    def _keep(
        self,
        stamp_ns: int,
        slots: np.ndarray,
        taken: Taken,
        dist: np.ndarray,
        common: np.ndarray,
        ahead: np.ndarray,
        dt: np.ndarray,
        config: PredictorConfig,
    ) -> None:
        """Mask the joints that jumped, and remember the others."""
        mask(self.bodies, stamp_ns, slots, taken, dist, common, ahead, config)
        for person_id, joints, places in taken.disputed:
            dispute(self.bodies, self.bodies.slots[person_id], stamp_ns, joints, places, config)
        self.bodies.remember(stamp_ns, slots, taken, ahead, dt)


def exchange_back(bodies: Bodies, stamp_ns: int, slots: np.ndarray, taken: Taken, mean: np.ndarray) -> bool:
    changed = False
    for row, slot in enumerate(slots):
        recent = 0 < stamp_ns - bodies.newest_ns[slot] <= _SWAP_GAP_NS
        if not recent or mean[row] <= _SWAP_M:
            bodies.swapped_ns[slot] = 0  # the sides are as they were
            continue
        mirrored = Taken([], taken.positions[row : row + 1, MIRROR], taken.status[row : row + 1, MIRROR])
        dist, common = bodies.distances(stamp_ns, slots[row : row + 1], mirrored)
        paired = common[0, _PAIRED]
        if (
            paired.sum() < MIN_COMMON
            or mean_distance(dist, common)[0] > _SWAP_SHARE * mean[row]
            # bodies that only arms are known of: crossed arms are no exchanged sides
            or dist[0, _PAIRED][paired].max() > mean[row] + CALM_M
        ):
            bodies.swapped_ns[slot] = 0
            continue
        if not bodies.swapped_ns[slot]:
            bodies.swapped_ns[slot] = stamp_ns
        if stamp_ns - bodies.swapped_ns[slot] >= _SWAP_BELIEVED_NS:
            bodies.clear(slot)
            taken.restarted.append(taken.ids[row])
            taken.counters["left_right_swap_believed"] += 1
        else:
            taken.positions[row], taken.status[row] = mirrored.positions[0], mirrored.status[0]
            taken.counters["left_right_swap_undone"] += 1
        changed = True
    return changed
