"""Several trackers, one list of people: ids that do not meet, and one id for a body that two cameras see.

Two cameras' calibrations differ by centimetres. Were their sights of a joint put into one history in turns, the
difference would look like motion of metres a second. So each joint of a body is taken from one camera, as long as that
one sees it, and from another only after `HOLD_S`.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.types import SkeletonFrame

_NS = 1_000_000_000
#: So long a joint stays with the camera that saw it last, seconds: longer than the gaps between two frames.
HOLD_S = 0.15
#: Mean distance of the joints in common that is one body: metres, and metres a second between the two sights.
GATE_M, GATE_MPS = 0.25, 1.5
#: Two ids that were one body are two again when they are this far apart, metres, for so many frames.
APART_M, APART_FRAMES = 0.6, 3
_MIN_COMMON = 4
#: A second body that fits nearly as well: nobody knows.
_CLEARLY = 0.6
_FORGET_NS = 5 * _NS
_SIGHT = (JointStatus.OBSERVED, JointStatus.DERIVED)
_Key = tuple[int, str]  # source and its id


@dataclass
class _Body:
    id: str
    place: np.ndarray = field(default_factory=lambda: np.full((N_JOINTS, 3), np.nan))
    seen_ns: np.ndarray = field(default_factory=lambda: np.full(N_JOINTS, -(2**62), np.int64))
    source: np.ndarray = field(default_factory=lambda: np.full(N_JOINTS, -1))
    last_ns: dict[int, int] = field(default_factory=dict)  # by source
    apart: int = 0


class Fusion:
    """Gives the people of several sources ids of their own, and one id to one body.

    Args:
        names: one per source; an id is "<name>/<the tracker's id>" of the source that saw the body first.
        merge: False: only make the ids distinct.

    Attributes:
        counters: fusion_linked, fusion_parted, fusion_joints_left_out.
    """

    def __init__(self, names: Sequence[str], merge: bool = True) -> None:
        self._names, self._merge = list(names), merge
        self.counters: Counter[str] = Counter()
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._bodies: dict[_Key, _Body] = {}

    def take(self, source: int, frame: SkeletonFrame) -> SkeletonFrame:
        """A source's frame with common ids; joints that another source is in charge of are MISSING.

        Args:
            source: index of the source.
            frame: in the fixed frame; not changed.
        """
        if not self._merge:
            ids = tuple(f"{self._names[source]}/{i}" for i in frame.person_ids)
            return dataclasses.replace(frame, person_ids=ids)
        stamp_ns = frame.stamp_ns
        for key in [k for k, b in self._bodies.items() if stamp_ns - max(b.last_ns.values()) > _FORGET_NS]:
            del self._bodies[key]
        seen = (frame.status != JointStatus.MISSING) & np.isfinite(frame.positions).all(-1)
        keys = [(source, i) for i in frame.person_ids]
        self._part(stamp_ns, source, keys, frame, seen)
        self._link(stamp_ns, source, keys, frame, seen)
        status = frame.status.copy()
        kept = []
        for row, key in enumerate(keys):
            body = self._bodies.get(key)
            if body is None:
                taken = {b.id for b in self._bodies.values()}
                name = f"{self._names[source]}/{key[1]}"
                while name in taken:  # of a body that this source had under that id before
                    name += "'"
                body = self._bodies[key] = _Body(name)
            body.last_ns[source] = max(stamp_ns, body.last_ns.get(source, 0))
            ours = (body.source == source) | (stamp_ns - body.seen_ns > int(HOLD_S * _NS))
            use = seen[row] & ours
            self.counters["fusion_joints_left_out"] += int((seen[row] & ~ours).sum())
            newer = use & (stamp_ns >= body.seen_ns)
            # what a tracker guessed does not keep others from telling what they see
            sight = newer & np.isin(status[row], _SIGHT)
            body.place[newer] = frame.positions[row][newer]
            body.seen_ns[sight] = stamp_ns
            body.source[sight] = source
            status[row][~use] = JointStatus.MISSING
            if use.any():
                kept.append(row)
        return SkeletonFrame(
            stamp_ns,
            frame.frame_id,
            tuple(self._bodies[keys[row]].id for row in kept),
            frame.positions[kept],
            status[kept],
            frame.confidence[kept],
            None if frame.covariance is None else frame.covariance[kept],
        )

    def _distance(self, stamp_ns: int, body: _Body, positions: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
        """Mean distance of the joints in common to where others see the body, and how long ago, seconds."""
        age_ns = np.abs(stamp_ns - body.seen_ns)
        common = seen & (age_ns < _NS // 2)
        if common.sum() < _MIN_COMMON:
            return np.inf, 0.0
        return (
            float(np.linalg.norm(positions[common] - body.place[common], axis=-1).mean()),
            float(np.median(age_ns[common])) * 1e-9,
        )

    def _part(self, stamp_ns: int, source: int, keys: list[_Key], frame: SkeletonFrame, seen: np.ndarray) -> None:
        """Bodies of several sources that went apart are two again; the other source's keeps the id."""
        for row, key in enumerate(keys):
            body = self._bodies.get(key)
            if body is None or len(body.last_ns) < 2:
                continue
            others = seen[row] & (body.source != source)
            distance, age_s = self._distance(stamp_ns, body, frame.positions[row], others)
            if not np.isfinite(distance):
                continue
            body.apart = body.apart + 1 if distance > APART_M + GATE_MPS * age_s else 0
            if body.apart >= APART_FRAMES:
                del self._bodies[key]
                body.last_ns.pop(source, None)
                body.source[body.source == source] = -1
                body.apart = 0
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
                distance, age_s = self._distance(stamp_ns, body, frame.positions[row], seen[row])
                if distance <= GATE_M + GATE_MPS * age_s:
                    cost[i, j] = distance
        for i, j in zip(*linear_sum_assignment(cost), strict=True):
            rivals = np.concatenate([np.delete(cost[i], j), np.delete(cost[:, j], i)])
            if cost[i, j] < 1e6 and cost[i, j] <= _CLEARLY * min(rivals, default=1e6):
                self._bodies[keys[new[i]]] = free[j]
                self.counters["fusion_linked"] += 1
