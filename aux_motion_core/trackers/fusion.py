# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Several trackers, one list of people: ids that do not meet, and one id for a body that two cameras see.

Two cameras' calibrations differ by centimetres. Were their sights put into one history in turns, the difference would
look like motion of metres a second, and every second frame would lack what one camera does not see. So a body has a
leading camera, whose frames make its history; what that one does not see comes from the others, carried on over the
milliseconds between their frames. Another camera leads when the first loses the body, or sees much less of it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.skeleton import DERIVED, MISSING, OBSERVED
from aux_motion_core.solvers import assignment
from aux_motion_core.types import SkeletonFrame

#: So long a camera leads after its last frame, and so old is what another one saw and still counts, seconds.
HOLD_S = 0.15
#: A camera that sees so many joints more for so many frames leads from then on.
MORE_JOINTS, MORE_FRAMES = 5, 5
#: Mean distance of the joints in common that is one body: metres, and metres a second between the two sights.
GATE_M, GATE_MPS = 0.25, 1.5
#: Two ids that were one body are two again when they are this far apart, metres, for so many frames.
APART_M, APART_FRAMES = 0.4, 3
_MIN_COMMON = 4
#: Middles of what two cameras see of one body, of which they see other parts, are no farther apart; metres.
_PARTS_M = 0.4
#: A second body that fits nearly as well: nobody knows.
_CLEARLY = 0.6
_FORGET_NS = 5 * NS
_Key = tuple[int, str]  # source and its id


@dataclass
class _Sight:
    """A body as one source saw it last, and before: stamp, (20, 3) places, (20,) which were really seen."""

    stamp_ns: int
    place: np.ndarray
    seen: np.ndarray
    before: tuple[int, np.ndarray, np.ndarray] | None = None

    def at(self, stamp_ns: int) -> np.ndarray:
        """(20, 3) carried on to a time."""
        if self.before is None or self.stamp_ns <= self.before[0]:
            return self.place
        step_ns = self.stamp_ns - self.before[0]
        if step_ns > int(HOLD_S * NS):
            return self.place
        both = self.seen & self.before[2]
        moved = np.where(both[:, None], self.place - self.before[1], 0.0)
        return self.place + moved * ((stamp_ns - self.stamp_ns) / step_ns)


@dataclass
class _Body:
    id: str
    lead: int
    sights: dict[int, _Sight] = field(default_factory=dict)  # by source
    better: int = 0  # frames in a row in which another saw much more
    apart: dict[_Key, int] = field(default_factory=dict)  # frames in a row in which an id was elsewhere


class Fusion:
    """Gives the people of several sources ids of their own, and one id to one body.

    Args:
        names: one per source; an id is "<name>/<the tracker's id>" of the source that saw the body first.
        merge: False: only make the ids distinct.

    Attributes:
        counters: fusion_linked, fusion_parted, fusion_led_by_another, fusion_joints_filled.
    """

    def __init__(self, names: Sequence[str], merge: bool = True) -> None:
        self._names, self._merge = list(names), merge
        self.counters: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._bodies: dict[_Key, _Body] = {}
        self._used: dict[_Key, int] = {}  # when each of them was in a frame last

    def take(self, source: int, frame: SkeletonFrame) -> SkeletonFrame:
        """A source's frame with common ids: the bodies that it leads, with what it does not see of them filled in.

        Args:
            source: index of the source.
            frame: in the fixed frame; not changed.
        """
        if not self._merge:
            ids = tuple(f"{self._names[source]}/{i}" for i in frame.person_ids)
            return dataclasses.replace(frame, person_ids=ids)
        stamp_ns = frame.stamp_ns
        newest = {k: max((s.stamp_ns for s in b.sights.values()), default=0) for k, b in self._bodies.items()}
        for key in [k for k, seen_ns in newest.items() if abs(stamp_ns - seen_ns) > _FORGET_NS]:
            del self._bodies[key]
        self._used = {k: used_ns for k, used_ns in self._used.items() if k in self._bodies}
        seen = (frame.status != MISSING) & np.isfinite(frame.positions).all(-1)
        keys = [(source, i) for i in frame.person_ids]
        self._part(stamp_ns, source, keys, frame, seen)
        self._link(stamp_ns, source, keys, frame, seen)
        self._one_each(source, keys, frame, seen)
        self._free(source, keys)
        self._used.update(dict.fromkeys(keys, stamp_ns))
        positions, status, confidence = frame.positions.copy(), frame.status.copy(), frame.confidence.copy()
        covariance = None if frame.covariance is None else frame.covariance.copy()
        kept = []
        for row, key in enumerate(keys):
            body = self._bodies.get(key) or self._open(key)
            # what a tracker guessed does not keep others from telling what they see
            sight = seen[row] & ((status[row] == OBSERVED) | (status[row] == DERIVED))
            last = body.sights.get(source)
            if last is not None and stamp_ns < last.stamp_ns - NS:
                last = None  # the clock was set back
            if last is None or stamp_ns > last.stamp_ns:
                before = None if last is None else (last.stamp_ns, last.place, last.seen)
                body.sights[source] = _Sight(stamp_ns, frame.positions[row], sight, before)
            if not self._leads(body, source, stamp_ns, int(sight.sum())):
                continue
            kept.append(row)
            told_of = sight.copy()
            for other, told in body.sights.items():
                fill = told.seen & ~told_of
                if other == source or not fill.any() or abs(stamp_ns - told.stamp_ns) > int(HOLD_S * NS):
                    continue
                positions[row][fill] = told.at(stamp_ns)[fill]
                status[row][fill], confidence[row][fill] = DERIVED, 1.0
                if covariance is not None:
                    covariance[row][fill] = np.nan
                told_of |= fill
                self.counters["fusion_joints_filled"] += int(fill.sum())
        return SkeletonFrame(
            stamp_ns,
            frame.frame_id,
            tuple(self._bodies[keys[row]].id for row in kept),
            positions[kept],
            status[kept],
            confidence[kept],
            None if covariance is None else covariance[kept],
            frame.unplaced,
            frame.view_reasons,
        )

    def _free(self, source: int, keys: list[_Key]) -> None:
        """Ids that this source had before for a body that has a new one are free for somebody else."""
        for key in keys:
            body = self._bodies.get(key)
            if body is None or key in self._used:
                continue
            for old in [k for k, b in self._bodies.items() if b is body and k[0] == source and k not in keys]:
                del self._bodies[old]
                body.apart.pop(old, None)

    def _one_each(self, source: int, keys: list[_Key], frame: SkeletonFrame, seen: np.ndarray) -> None:
        """Two ids of one frame are two bodies: the one that is farther from where the body was gets one of its own."""
        rows: dict[int, int] = {}
        for row, key in enumerate(keys):
            body = self._bodies.get(key)
            if body is None:
                continue
            other = rows.setdefault(id(body), row)
            if keys[other] == key:
                continue
            sight = max(body.sights.values(), key=lambda s: s.stamp_ns, default=None)
            away = [np.inf, np.inf]
            for i, r in enumerate((other, row)):
                if sight is not None and (common := seen[r] & sight.seen).any():
                    away[i] = np.linalg.norm(frame.positions[r][common] - sight.place[common], axis=-1).mean()
            leaves = row if away[1] >= away[0] else other
            rows[id(body)] = other if leaves == row else row
            del self._bodies[keys[leaves]]
            self.counters["fusion_parted"] += 1

    def _open(self, key: _Key) -> _Body:
        taken = {b.id for b in self._bodies.values()}
        name = f"{self._names[key[0]]}/{key[1]}"
        while name in taken:  # of a body that this source had under that id before
            name += "'"
        body = self._bodies[key] = _Body(name, key[0])
        return body

    def _leads(self, body: _Body, source: int, stamp_ns: int, joints: int) -> bool:
        """Whether the source leads the body, from now on or still."""
        if body.lead == source:
            return True
        lead = body.sights.get(body.lead)
        lost = lead is None or stamp_ns - lead.stamp_ns > int(HOLD_S * NS)
        if lead is not None and not lost:
            body.better = body.better + 1 if joints >= int(lead.seen.sum()) + MORE_JOINTS else 0
        if not (lost or body.better >= MORE_FRAMES):
            return False
        body.lead, body.better = source, 0
        self.counters["fusion_led_by_another"] += 1
        return True

    def _distance(
        self, stamp_ns: int, body: _Body, source: int, positions: np.ndarray, seen: np.ndarray, part: bool = False
    ) -> tuple[float, float]:
        """Mean distance of the joints in common to where another source saw the body last, and how long ago, s.

        With few in common it is not known (inf); to `part`, what their middles are farther apart than those of a body.
        """
        others = [s for i, s in body.sights.items() if i != source]
        sight = max(others, key=lambda s: s.stamp_ns, default=None)
        if sight is None or abs(stamp_ns - sight.stamp_ns) > NS // 2:
            return np.inf, 0.0
        common = seen & sight.seen
        if common.sum() < _MIN_COMMON:
            if not part or not seen.any() or not sight.seen.any():
                return np.inf, 0.0
            middles = positions[seen, :2].mean(0) - sight.place[sight.seen, :2].mean(0)
            return max(float(np.linalg.norm(middles)) - _PARTS_M, 0.0), abs(stamp_ns - sight.stamp_ns) * 1e-9
        distance = np.linalg.norm(positions[common] - sight.place[common], axis=-1).mean()
        return float(distance), abs(stamp_ns - sight.stamp_ns) * 1e-9

    def _part(self, stamp_ns: int, source: int, keys: list[_Key], frame: SkeletonFrame, seen: np.ndarray) -> None:
        """Bodies of several sources that went apart are two again; who does not lead gets another id."""
        for row, key in enumerate(keys):
            body = self._bodies.get(key)
            if body is None or body.lead == source:
                continue
            distance, age_s = self._distance(stamp_ns, body, source, frame.positions[row], seen[row], part=True)
            if not np.isfinite(distance):
                continue
            back = abs(stamp_ns - self._used.get(key, stamp_ns)) > int(HOLD_S * NS)
            if back and distance > GATE_M + GATE_MPS * age_s:  # ids are used again: who comes back is linked anew
                del self._bodies[key]
                body.apart.pop(key, None)
                body.sights.pop(source, None)
                continue
            body.apart[key] = body.apart.get(key, 0) + 1 if distance > APART_M + GATE_MPS * age_s else 0
            if body.apart[key] >= APART_FRAMES:
                del self._bodies[key]
                del body.apart[key]
                body.sights.pop(source, None)
                body.better = 0
                self.counters["fusion_parted"] += 1

    def _link(self, stamp_ns: int, source: int, keys: list[_Key], frame: SkeletonFrame, seen: np.ndarray) -> None:
        """New ids of this source that are bodies which others see."""
        new = [row for row, key in enumerate(keys) if key not in self._bodies]
        held = {id(self._bodies[k]) for k in keys if k in self._bodies}
        free = list({id(b): b for k, b in self._bodies.items() if k[0] != source and id(b) not in held}.values())
        if not new or not free:
            return
        cost = np.full((len(new), len(free)), 1e6)
        for i, row in enumerate(new):
            for j, body in enumerate(free):
                distance, age_s = self._distance(stamp_ns, body, source, frame.positions[row], seen[row])
                # who was not seen for longer may be another: the predictor compares them
                if age_s <= HOLD_S and distance <= GATE_M + GATE_MPS * age_s:
                    cost[i, j] = distance
        for i, j in zip(*assignment(cost), strict=True):
            rivals = np.concatenate([np.delete(cost[i], j), np.delete(cost[:, j], i)])
            if cost[i, j] < 1e6 and cost[i, j] <= _CLEARLY * min(rivals, default=1e6):
                self._bodies[keys[new[i]]] = free[j]
                self.counters["fusion_linked"] += 1
