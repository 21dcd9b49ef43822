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

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from aux_motion_core.config import PredictorConfig
from aux_motion_core.skeleton import INDEX, JOINTS, MIRROR, N_JOINTS, JointStatus

_NS = 1_000_000_000

#: Fastest motion of people, metres a second, by group of joints.
#: trunk: Bolt's 44.7 km/h between 60 and 80 m in Berlin 2009, the fastest that was measured; Coh et al., "Kinematics
#: of Usain Bolt's maximal sprint velocity", Kinesiology 50 (2018), have 12.14 m/s. hand: single maximal punches of
#: 9.26 m/s, standard deviation 2.09, at contact (Piorkowski, Lees, Barton, "Single maximal versus combination punch
#: kinematics", Sports Biomechanics 10 (2011)) and three standard deviations. foot: stands still for half of a
#: sprinter's step and so swings at twice the trunk's speed, which is above kicks (13 m/s in the CMU recordings). elbow
#: and knee: halfway between the trunk and the end of the limb.
SPEED_LIMITS_MPS = {"trunk": 12.4, "elbow": 14.2, "hand": 16.0, "knee": 18.6, "foot": 24.8}
_GROUP_OF = {"elbow": "elbow", "wrist": "hand", "hand": "hand", "knee": "knee", "ankle": "foot", "foot": "foot"}
#: (20,) of each joint.
JOINT_LIMITS_MPS = np.array([SPEED_LIMITS_MPS[_GROUP_OF.get(j.split("_")[-1], "trunk")] for j in JOINTS])

#: Noise of a tracker between two frames, not motion; metres.
NOISE_M = 0.08
#: What is older says nothing about where a joint can be now.
_MEMORY_NS = _NS
#: A body whose joints moved less than this on average goes on as it was: metres, and metres a second beside it.
_CALM_M, _CALM_MPS = 0.1, 3.0
#: Gate of a re-linked body: mean distance of its joints to where the lost one was carried on to, and of its pose with
#: the place taken out. Metres, metres a second, and at most metres. Of the validation clips' bodies that come back
#: after 0.03 to 0.7 s, 95 % are within 0.03 to 0.55 m and 0.03 to 0.32 m. Wider gates would hide a lost person behind
#: another who comes near.
_PLACE_GATE = (0.15, 0.6, 0.7)
_POSE_GATE = (0.1, 0.35, 0.4)
#: A match must be so much better than any other.
_CLEARLY = 0.6
#: Joints in common that tell bodies apart.
_MIN_COMMON = 5
#: Mean distance of two skeletons' joints: closer is one body; closer than the second cannot be told to be two, and a
#: second id that is known to be of one body stays with it. Trunks are about 0.25 m deep.
_ONE_BODY_M, _DOUBTFUL_M = 0.12, 0.2
#: Bodies whose centres are farther apart than this, along an axis, are two.
_APART_M = 0.6
#: Sides are exchanged: mean joint distance at least, and how much smaller it becomes by exchanging back.
_SWAP_M, _SWAP_SHARE = 0.1, 0.5
#: People turn round in half a second; a skeleton that still has its sides exchanged after this is believed.
_SWAP_BELIEVED_NS = _NS
#: Frames farther apart say nothing about exchanged sides.
_SWAP_GAP_NS = _NS // 4
#: Two poses of one limb are no farther apart than this: twice the length of an arm; metres.
LIMB_SPAN_M = 1.5
_CARRY_S = 0.3
_PAIRED = np.flatnonzero(MIRROR != np.arange(N_JOINTS))
_PELVIS = INDEX["pelvis"]


@dataclass
class Taken:
    """What became of a frame.

    Attributes:
        ids: of the rows that are left.
        positions: (rows, 20, 3) metres.
        status: (rows, 20) `JointStatus`, outliers MISSING.
        moves: new id -> id under which that body's history was kept until now.
        merged: ids whose history is dropped: another id has the body.
        restarted: ids whose history is of another place or side: it starts anew with this frame.
        forgotten: id -> (20,) joints that were believed after a jump: where they were before is no part of a motion.
        duplicated: ids that share a body with another, or may.
        disputed: id, (20,) joints and (20, 3) metres: where a second skeleton of that body has them.
        counters: what was repaired.
    """

    ids: list[str]
    positions: np.ndarray
    status: np.ndarray
    moves: dict[str, str] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    forgotten: dict[str, np.ndarray] = field(default_factory=dict)
    duplicated: set[str] = field(default_factory=set)
    disputed: list[tuple[str, np.ndarray, np.ndarray]] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Outliers:
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


class Continuity:
    """Remembers where each body's joints were believed last."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._slots: dict[str, int] = {}
        self._aliases: dict[str, tuple[str, int]] = {}  # id -> id of the person who has that body, and when it had
        self._former: dict[str, tuple[str, int]] = {}  # id -> the id before it, and when it was re-linked
        self._free: list[int] = []
        self._grow(8)

    def _grow(self, size: int) -> None:
        fresh = {
            "_place": np.zeros((size, N_JOINTS, 3)),  # believed last
            "_seen_ns": np.zeros((size, N_JOINTS), np.int64),  # 0: never
            "_pending": np.zeros((size, N_JOINTS, 3)),  # said last, not believed
            "_pending_ns": np.zeros((size, N_JOINTS), np.int64),
            "_pending_n": np.zeros((size, N_JOINTS), np.int64),  # so often in a row
            "_doubt": np.zeros((size, N_JOINTS), np.int64),  # wanted sights where it was, until that is sure again
            "_velocity": np.zeros((size, 3)),
            "_apart": np.zeros(size, bool),  # it was seen away from all others
            "_newest_ns": np.zeros(size, np.int64),
            "_swapped_ns": np.zeros(size, np.int64),  # since when its sides are exchanged, 0: they are not
        }
        old = len(self._slots)  # all places are taken
        for name, array in fresh.items():
            if old:
                array[:old] = getattr(self, name)[:old]
            setattr(self, name, array)
        self._free.extend(range(size - 1, old - 1, -1))

    def _open(self, person_id: str) -> int:
        if not self._free:
            self._grow(2 * len(self._newest_ns))
        slot = self._free.pop()
        self._slots[person_id] = slot
        self._clear(slot)
        return slot

    def _clear(self, slot: int) -> None:
        for name in ("_seen_ns", "_pending_n", "_doubt", "_newest_ns", "_swapped_ns", "_velocity", "_apart"):
            getattr(self, name)[slot] = 0

    def _close(self, person_id: str) -> None:
        self._free.append(self._slots.pop(person_id))
        self._former.pop(person_id, None)

    def outliers(self, person_id: str) -> Outliers | None:
        """The joints of that person whose bound must hold two places; None when there are none."""
        slot = self._slots.get(person_id)
        if slot is None or not self._doubt[slot].any():
            return None
        # of a body that goes on being seen without the joint it says nothing more after a while
        joints = (self._doubt[slot] > 0) & (self._newest_ns[slot] - self._pending_ns[slot] < _MEMORY_NS)
        if not joints.any():
            return None
        return Outliers(joints, self._pending[slot], self._pending_ns[slot], self._place[slot], self._seen_ns[slot])

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
        for gone in [i for i in self._slots if i not in people]:
            self._close(gone)
        taken = Taken(ids, positions, status)
        if self._aliases:
            self._resolve_aliases(taken, stamp_ns)
        near = self._merge(taken, stamp_ns) if len(taken.ids) > 1 else frozenset()
        slots = np.array([self._slots.get(i, -1) for i in taken.ids])
        for row in np.flatnonzero(slots < 0):
            slots[row] = self._open(taken.ids[row])
        self._apart[slots] |= [i not in near for i in taken.ids] if near else True
        back = stamp_ns < self._newest_ns[slots] - int(config.reset_jump_s * _NS)
        for slot in slots[back]:
            self._clear(slot)  # the track starts anew too

        dist, common = self._distances(stamp_ns, slots, taken)
        mean = _mean(dist, common)
        dt = (stamp_ns - self._newest_ns[slots]) * 1e-9
        ahead = dt > 0.0
        count = common.sum(1)
        if ((mean > _SWAP_M) & ahead & (count >= _MIN_COMMON)).any() or self._swapped_ns[slots].any():
            if self._exchange_back(stamp_ns, slots, taken, mean):
                dist, common = self._distances(stamp_ns, slots, taken)
                mean = _mean(dist, common)
        calm = (count > 0) & (mean <= _CALM_M + _CALM_MPS * dt)
        if config.relink_within_s > 0.0 and not (calm | ~ahead).all():
            if self._relink(stamp_ns, slots, taken, mean, calm | ~ahead, int(config.relink_within_s * _NS)):
                dist, common = self._distances(stamp_ns, slots, taken)
                dt = (stamp_ns - self._newest_ns[slots]) * 1e-9
                ahead = dt > 0.0
        self._mask(stamp_ns, slots, taken, dist, common, ahead, config)
        for person_id, joints, places in taken.disputed:
            self._dispute(self._slots[person_id], stamp_ns, joints, places, config)
        self._remember(stamp_ns, slots, taken, ahead, dt)
        return taken

    def _distances(self, stamp_ns: int, slots: np.ndarray, taken: Taken) -> tuple[np.ndarray, np.ndarray]:
        """How far each joint is from where it was believed last (rows, 20), and which have such a place."""
        since = self._seen_ns[slots]
        common = (taken.status != JointStatus.MISSING) & (since > 0) & (np.abs(stamp_ns - since) < _MEMORY_NS)
        delta = taken.positions - self._place[slots]
        return np.sqrt(np.einsum("ijk,ijk->ij", delta, delta)), common

    # Two ids on one body

    def _resolve_aliases(self, taken: Taken, stamp_ns: int) -> None:
        self._aliases = {
            i: (owner, when_ns)
            for i, (owner, when_ns) in self._aliases.items()
            if abs(stamp_ns - when_ns) < _MEMORY_NS and owner in self._slots and i not in self._slots
        }
        for row, person_id in enumerate(list(taken.ids)):
            owner, _ = self._aliases.get(person_id, (None, 0))
            if owner is None or owner in taken.ids:
                continue
            # another camera's frame: the body under its second id
            dist, common = self._distances(stamp_ns, np.array([self._slots[owner]]), _row(taken, row))
            age_s = abs(stamp_ns - self._newest_ns[self._slots[owner]]) * 1e-9
            if common.sum() >= _MIN_COMMON and _mean(dist, common)[0] < _gate(_PLACE_GATE, age_s):
                taken.ids[row] = owner
                taken.duplicated.add(owner)
                taken.counters["duplicate_body_merged"] += 1
                self._aliases[person_id] = (owner, stamp_ns)
            else:
                del self._aliases[person_id]

    def _merge(self, taken: Taken, stamp_ns: int) -> frozenset[str]:
        """Make one row of the rows on one body; the ids that are near another are returned."""
        seen = taken.status != JointStatus.MISSING
        # no two skeletons are on one body when no two of their trunks are near each other
        n = np.maximum(seen.sum(1), 1)
        centre = np.einsum("ijk,ij->ik", taken.positions, seen) / n[:, None]
        first, second = np.nonzero(np.triu(np.abs(centre[:, None] - centre).max(-1) < _APART_M, 1))
        if not len(first):
            return frozenset()
        near = frozenset(taken.ids[row] for row in {*first.tolist(), *second.tolist()})
        both = seen[first] & seen[second]
        dist = np.linalg.norm(taken.positions[first] - taken.positions[second], axis=-1)
        mean, count = _mean(dist, both), both.sum(1)
        left: list[int] = []
        for a, b, distance, common in zip(first.tolist(), second.tolist(), mean, count, strict=True):
            if common < _MIN_COMMON or a in left or b in left:
                continue
            names = (taken.ids[a], taken.ids[b])
            aliased = any(self._aliases.get(names[k], ("", 0))[0] == names[1 - k] for k in (0, 1))
            if distance < (_DOUBTFUL_M if aliased else _ONE_BODY_M):
                # the body's own id first, then the one whose history fits, then the one with more joints
                order = sorted(
                    (a, b), key=lambda r: (taken.ids[r] in self._aliases, self._fit(stamp_ns, taken, r), -n[r])
                )
                keep, drop = order
                here, there = taken.status[[keep, drop]] != JointStatus.MISSING  # one may have been filled
                apart = np.linalg.norm(taken.positions[keep] - taken.positions[drop], axis=-1) > _DOUBTFUL_M
                differ, fill = here & there & apart, there & ~here
                taken.positions[keep] = np.where(fill[:, None], taken.positions[drop], taken.positions[keep])
                taken.status[keep] = np.where(fill, taken.status[drop], taken.status[keep])
                left.append(drop)
                if differ.any():
                    taken.disputed.append((taken.ids[keep], differ, taken.positions[drop].copy()))
                renamed = {taken.ids[drop]: taken.ids[keep]}  # where a third skeleton was on the one that goes
                taken.disputed = [(renamed.get(i, i), joints, places) for i, joints, places in taken.disputed]
                gone = taken.ids[drop]
                if gone in self._slots and not self._apart[self._slots[gone]]:  # it never was another body
                    self._close(gone)
                    taken.merged.append(gone)
                if gone not in self._slots:  # else it is another's, who is not seen now
                    self._aliases[gone] = (taken.ids[keep], stamp_ns)
                taken.duplicated.add(taken.ids[keep])
                taken.counters["duplicate_body_merged"] += 1
            elif distance < _DOUBTFUL_M:
                taken.duplicated.update(names)
                taken.counters["duplicate_body_flagged"] += 1
        if left:
            rows = [r for r in range(len(taken.ids)) if r not in left]
            taken.ids = [taken.ids[r] for r in rows]
            taken.positions, taken.status = taken.positions[rows], taken.status[rows]
        return near

    def _fit(self, stamp_ns: int, taken: Taken, row: int) -> float:
        """Mean distance of a row to its own history, infinite without one."""
        slot = self._slots.get(taken.ids[row])
        if slot is None:
            return np.inf
        dist, common = self._distances(stamp_ns, np.array([slot]), _row(taken, row))
        return float(_mean(dist, common)[0]) if common.any() else np.inf

    # Left and right

    def _exchange_back(self, stamp_ns: int, slots: np.ndarray, taken: Taken, mean: np.ndarray) -> bool:
        changed = False
        for row, slot in enumerate(slots):
            recent = 0 < stamp_ns - self._newest_ns[slot] <= _SWAP_GAP_NS
            if not recent or mean[row] <= _SWAP_M:
                self._swapped_ns[slot] = 0  # the sides are as they were
                continue
            mirrored = Taken([], taken.positions[row : row + 1, MIRROR], taken.status[row : row + 1, MIRROR])
            dist, common = self._distances(stamp_ns, slots[row : row + 1], mirrored)
            paired = common[0, _PAIRED]
            if (
                paired.sum() < _MIN_COMMON
                or _mean(dist, common)[0] > _SWAP_SHARE * mean[row]
                # bodies that only arms are known of: crossed arms are no exchanged sides
                or dist[0, _PAIRED][paired].max() > mean[row] + _CALM_M
            ):
                self._swapped_ns[slot] = 0
                continue
            if not self._swapped_ns[slot]:
                self._swapped_ns[slot] = stamp_ns
            if stamp_ns - self._swapped_ns[slot] >= _SWAP_BELIEVED_NS:
                self._clear(slot)
                taken.restarted.append(taken.ids[row])
                taken.counters["left_right_swap_believed"] += 1
            else:
                taken.positions[row], taken.status[row] = mirrored.positions[0], mirrored.status[0]
                taken.counters["left_right_swap_undone"] += 1
            changed = True
        return changed

    # Switched ids

    def _relink(
        self,
        stamp_ns: int,
        slots: np.ndarray,
        taken: Taken,
        own: np.ndarray,
        settled: np.ndarray,
        within_ns: int,
    ) -> bool:
        """Give bodies that came under another id their own history; `slots` changes in place."""
        owners = {slot: i for i, slot in self._slots.items()}
        age_ns = stamp_ns - self._newest_ns
        taken_slots = set(slots[settled].tolist())
        lost = np.array([s for s in owners if s not in taken_slots and 0 < age_ns[s] <= within_ns], dtype=np.int64)
        rows = np.flatnonzero(~settled)
        if not len(lost):
            return False
        # (rows, lost): mean distance to where each lost body would be now, and of the poses with the place taken out
        age = age_ns[lost] * 1e-9
        carried = (
            self._place[lost] + (self._velocity[lost] * (_CARRY_S * (1.0 - np.exp(-age / _CARRY_S)))[:, None])[:, None]
        )
        known = (self._seen_ns[lost] > 0) & (stamp_ns - self._seen_ns[lost] < within_ns + _MEMORY_NS)
        common = (taken.status[rows] != JointStatus.MISSING)[:, None] & known
        delta = np.where(common[..., None], taken.positions[rows][:, None] - carried, 0.0)
        n = np.maximum(common.sum(-1), 1)
        place = np.linalg.norm(delta, axis=-1).sum(-1) / n
        shift = delta.sum(-2) / n[..., None]
        pose = (np.linalg.norm(delta - shift[:, :, None], axis=-1) * common).sum(-1) / n
        fits = (common.sum(-1) >= _MIN_COMMON) & (place <= _gate(_PLACE_GATE, age)) & (pose <= _gate(_POSE_GATE, age))
        itself = slots[rows][:, None] == lost
        # a body that its own id explains as well keeps it
        fits &= itself | (place < _CLEARLY * np.where(np.isfinite(own[rows]), own[rows], np.inf)[:, None])
        cost = np.where(fits, place, 1e3)
        chosen = linear_sum_assignment(cost)
        moves: dict[int, int] = {}
        for i, j in zip(*chosen, strict=True):
            if not fits[i, j] or itself[i, j]:
                continue
            others = np.concatenate([np.delete(cost[i], j), np.delete(cost[:, j], i)])
            # two bodies or two histories that fit alike: nobody knows, so the history starts anew
            rivals = others[others < 1e3]
            if len(rivals) and cost[i, j] > _CLEARLY * rivals.min():
                taken.counters["relink_ambiguous"] += 1
                continue
            moves[int(rows[i])] = int(lost[j])
        if moves:
            self._hand_over(stamp_ns, taken, moves, slots)
        return bool(moves)

    def _hand_over(self, stamp_ns: int, taken: Taken, moves: dict[int, int], slots: np.ndarray) -> None:
        """The bodies of these slots go by their rows' ids from now on; who had such an id gets one that is free."""
        was = {slot: i for i, slot in self._slots.items()}
        owner = {taken.ids[row]: slot for row, slot in moves.items()}
        for new_id, slot in owner.items():
            former = self._former.pop(was[slot], None)
            if former is not None and former[0] == new_id and stamp_ns - former[1] < _NS and was[slot] not in owner:
                self._aliases[was[slot]] = (new_id, stamp_ns)  # both ids live: one body that two cameras see
            self._former[new_id] = (was[slot], stamp_ns)
        without = [self._slots.pop(i) for i in owner]
        free = [was[slot] for slot in owner.values() if was[slot] not in owner]
        for person_id in free:
            del self._slots[person_id]
        for slot in without:
            if slot in owner.values():
                continue
            if self._newest_ns[slot]:
                owner[free.pop()] = slot
            else:
                self._free.append(slot)
        self._slots.update(owner)
        taken.moves.update({new_id: was[slot] for new_id, slot in owner.items()})
        for row, person_id in enumerate(taken.ids):
            slots[row] = self._slots.get(person_id, -1)
            if slots[row] < 0:  # another has its history
                slots[row] = self._open(person_id)
        taken.counters["id_relinked"] += len(moves)

    # Joints that jump

    def _mask(
        self,
        stamp_ns: int,
        slots: np.ndarray,
        taken: Taken,
        dist: np.ndarray,
        common: np.ndarray,
        ahead: np.ndarray,
        config: PredictorConfig,
    ) -> None:
        limits = np.minimum(JOINT_LIMITS_MPS, config.max_speed_mps)
        since = np.abs(stamp_ns - self._seen_ns[slots]) * 1e-9
        far = common & (dist > limits * since + NOISE_M)
        seen = taken.status != JointStatus.MISSING
        n = far.sum(1)
        elsewhere = (n >= _MIN_COMMON) & (2 * n >= seen.sum(1))  # the body is: what happens to be near is no better
        far |= elsewhere[:, None] & seen
        if not far.any() and not self._doubt[slots].any():
            return
        far &= seen
        late, now = far & ~ahead[:, None], far & ahead[:, None]  # an old frame proves nothing
        for row in np.flatnonzero(late.any(1) & (stamp_ns == self._newest_ns[slots])):  # two sights of one moment
            joints = late[row] & (dist[row] > _DOUBTFUL_M)
            self._dispute(slots[row], stamp_ns, joints, taken.positions[row], config)
        gap = np.linalg.norm(taken.positions - self._pending[slots], axis=-1)
        again = (self._pending_n[slots] > 0) & (gap <= limits * (stamp_ns - self._pending_ns[slots]) * 1e-9 + NOISE_M)
        times = np.where(again, self._pending_n[slots] + 1, 1)
        believed = now & (times >= config.believe_after_frames)
        whole = believed.any(1) & (2 * believed.sum(1) >= seen.sum(1))  # the body is elsewhere, all of it
        believed |= now & whole[:, None]
        masked = now & ~believed
        back = seen & ahead[:, None] & ~far  # where it was; not seen at all: it goes on waiting
        doubt = self._doubt[slots] - (back & (self._doubt[slots] > 0))
        self._doubt[slots] = np.where(masked, config.believe_after_frames, np.where(believed, 0, doubt))
        self._pending_n[slots] = np.where(masked, times, np.where(believed | back, 0, self._pending_n[slots]))
        self._pending[slots] = np.where(masked[..., None], taken.positions, self._pending[slots])
        self._pending_ns[slots] = np.where(masked, stamp_ns, self._pending_ns[slots])
        taken.status[masked | late] = JointStatus.MISSING
        taken.counters.update(outlier_masked=int((masked | late).sum()), outlier_believed=int(believed.sum()))
        for row in np.flatnonzero(believed.any(1)):
            if not whole[row]:
                taken.forgotten[taken.ids[row]] = believed[row]
                continue
            moved = (taken.positions[row] - self._place[slots[row]])[believed[row]].mean(0)
            if np.abs(moved).max() > _APART_M and len(self._slots) < config.max_people:
                slots[row] = self._leave(taken, taken.ids[row])
            else:
                taken.restarted.append(taken.ids[row])

    def _dispute(
        self, slot: int, stamp_ns: int, joints: np.ndarray, places: np.ndarray, config: PredictorConfig
    ) -> None:
        """Two skeletons of one body disagree about these joints: the bound holds both places."""
        # of several places of one moment the farthest: its sphere is the largest
        held = (self._doubt[slot] > 0) & (self._pending_ns[slot] == stamp_ns)
        away = np.linalg.norm(np.stack([places, self._pending[slot]]) - self._place[slot], axis=-1)
        joints = joints & (~held | (away[0] > away[1]))
        self._pending[slot, joints] = places[joints]
        self._pending_ns[slot, joints] = stamp_ns
        self._doubt[slot, joints] = config.believe_after_frames

    def _leave(self, taken: Taken, person_id: str) -> int:
        """The id is on another body now; who had it is unseen and goes on under another. The id's new slot."""
        other = next(i for n in range(1, len(self._slots) + 2) if (i := person_id + n * "~") not in self._slots)
        slot = self._slots.pop(person_id)
        self._slots[other] = slot
        self._doubt[slot] = self._pending_n[slot] = 0
        self._former.pop(person_id, None)
        taken.moves[other] = taken.moves.pop(person_id, person_id)
        taken.counters["id_reused"] += 1
        return self._open(person_id)

    def _remember(self, stamp_ns: int, slots: np.ndarray, taken: Taken, ahead: np.ndarray, dt: np.ndarray) -> None:
        was = self._seen_ns[slots]
        fills = (stamp_ns == self._newest_ns[slots])[:, None] & (was < stamp_ns)  # a second sight of one moment
        seen = (taken.status != JointStatus.MISSING) & (ahead[:, None] | fills)
        both = seen & (was == self._newest_ns[slots][:, None]) & (was > 0)
        n = both.sum(1)
        step = np.einsum("ijk,ij->ik", taken.positions - self._place[slots], both) / np.maximum(n, 1)[:, None]
        speed = step / np.maximum(dt, 1e-3)[:, None]
        fresh = (n > 0)[:, None] & (np.abs(speed).max(1) < SPEED_LIMITS_MPS["trunk"])[:, None]
        self._velocity[slots] = np.where(fresh, 0.5 * (self._velocity[slots] + speed), self._velocity[slots])
        self._place[slots] = np.where(seen[..., None], taken.positions, self._place[slots])
        self._seen_ns[slots] = np.where(seen, stamp_ns, was)
        moved = ahead & seen.any(1)
        self._newest_ns[slots[moved]] = stamp_ns


def _row(taken: Taken, row: int) -> Taken:
    return Taken([], taken.positions[row : row + 1], taken.status[row : row + 1])


def _mean(dist: np.ndarray, common: np.ndarray) -> np.ndarray:
    """(rows,) mean over common joints, infinite where there are none."""
    n = common.sum(1)
    return np.where(n > 0, np.where(common, dist, 0.0).sum(1) / np.maximum(n, 1), np.inf)


def _gate(gate: tuple[float, float, float], age_s: np.ndarray) -> np.ndarray:
    return np.minimum(gate[0] + gate[1] * age_s, gate[2])


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
