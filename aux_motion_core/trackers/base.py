# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What all adapters share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from aux_motion_core.arrays import every, some
from aux_motion_core.constants import NS
from aux_motion_core.fields import getter
from aux_motion_core.skeleton import MISSING, N_JOINTS, TRACKER_PREDICTED
from aux_motion_core.solvers import assignment
from aux_motion_core.space.tf import TfBuffer
from aux_motion_core.trackers.joint_maps import MappingError, joint_list, map_people, mapping
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError

#: So many places that stand for "not found" are remembered of a tracker.
_PLACES = 4
#: Farther from all other joints of the body than any two neighbours are: metres.
_OFF_BODY_M = 0.7
#: Factors by which places become numbers: no simple fractions.
_MIX_Y, _MIX_Z = 0.7548776662466927, 0.5698402909980532


class AdapterError(ValueError):
    """A tracker that cannot be used, in one line: expected, came, what to do."""


class Adapter(ABC):
    """A tracker's messages as frames. Keeps what it must from one message to the next, so: one per topic.

    Args:
        joints: joint list, for trackers whose messages do not name their joints (`mappings.joint_list`).
        frame_id: frame of the positions where the message names a wrong one or none; empty: the message's.

    Attributes:
        counters: what was dropped or marked, by name.
    """

    name: ClassVar[str] = ""
    #: Type of the tracker's messages.
    msgtype: ClassVar[str] = ""
    #: The same message under earlier names of its package; taken by its fields.
    earlier: ClassVar[tuple[str, ...]] = ()
    #: Its usual topic.
    topic: ClassVar[str] = ""
    #: How to get the message package.
    install: ClassVar[str] = ""
    #: The joints travel by TF: the adapter is fed with it and polled.
    needs_tf: ClassVar[bool] = False
    #: The joint list that is taken when none is given; None: one must be given.
    default_joints: ClassVar[str | None] = None
    #: Whether `frames_of_bytes` knows what to do: live messages are then taken as bytes.
    takes_bytes: ClassVar[bool] = False
    #: Whether a joint list is taken: the messages do not name their joints, or not always.
    takes_joints: ClassVar[bool] = False
    #: A body that does not move at all is not seen any more; False where a simulator sends (set by who feeds it).
    still_is_frozen: bool = True
    #: Transforms, where there are any (set by who feeds it).
    tf: TfBuffer | None = None

    def __init__(self, joints: Sequence[str] = (), frame_id: str = "") -> None:
        self.frame_id = frame_id.lstrip("/")
        self.counters: Counter[str] = Counter()
        self._holes_at: deque[np.ndarray] = deque(maxlen=_PLACES)
        try:
            self.joints = self._joints(tuple(joints))
        except MappingError as error:
            raise AdapterError(f"tracker {self.name}: {error}") from None

    @classmethod
    def types(cls) -> tuple[str, ...]:
        """Types of messages that are understood; the first is today's."""
        return cls.msgtype, *cls.earlier

    @classmethod
    def takes(cls, msgtype: str) -> bool:
        """Whether messages of a type are tried where this tracker was named: a fork's have the name in its package."""
        return msgtype in cls.types() or msgtype.rpartition("/")[2] == cls.msgtype.rpartition("/")[2]

    def _joints(self, given: tuple[str, ...]) -> str | tuple[str, ...] | None:
        if given and not self.takes_joints:
            raise MappingError("the messages name their joints: no joint list is taken")
        return joint_list(given) if given else self.default_joints

    @abstractmethod
    def frames(self, message: Any) -> list[SkeletonFrame]:
        """What a message holds: nothing, one frame, or one per coordinate frame and stamp.

        An empty list is "not told"; a frame without people is "nobody seen".

        Raises:
            MessageError: the message is not as this tracker sends it.
        """

    def frames_of_bytes(self, data: bytes) -> list[SkeletonFrame] | None:
        """As `frames`, of a serialised message, where that is quicker; None: make it a message first."""
        return None

    def poll(self) -> list[SkeletonFrame]:
        """Frames that the transforms tell of since the last call; only where `needs_tf`."""
        return []

    def trouble(self) -> str:
        """What the user should know about this tracker's messages now, in one line; empty: nothing."""
        return ""

    def reset(self) -> None:  # noqa: B027 - most keep nothing
        """Forget earlier messages (the clock jumped back); the counters go on."""

    # For subclasses

    def _frame(
        self,
        stamp_ns: int,
        frame_id: str,
        ids: Iterable[str],
        positions: np.ndarray,
        confidence: np.ndarray | None = None,
        joints: str | tuple[str, ...] | None = None,
        guessed: np.ndarray | None = None,
        unplaced: Iterable[str] = (),
    ) -> SkeletonFrame:
        """A frame of people in the tracker's own joints.

        Args:
            positions: (people, Js, 3) metres, NaN where missing.
            confidence: (people, Js) in 0..1, or None.
            joints: what `mapping` takes; None: the adapter's own.
            guessed: (people,) bool, whom the tracker did not see but carried on.
            unplaced: further people whom the message reports, without a place.
        """
        positions = self._clean(positions)
        out, status, sure = map_people(joints or self.joints or (), positions, confidence)
        if guessed is not None and guessed.any():
            status[guessed[:, None] & (status != MISSING)] = TRACKER_PREDICTED
        return SkeletonFrame(
            stamp_ns, self.frame_id or frame_id, tuple(ids), out, status, sure, unplaced=tuple(unplaced)
        )

    def _nobody(self, stamp_ns: int, frame_id: str, unplaced: Iterable[str] = ()) -> SkeletonFrame:
        return SkeletonFrame(
            stamp_ns,
            self.frame_id or frame_id,
            (),
            np.empty((0, N_JOINTS, 3)),
            np.empty((0, N_JOINTS), np.uint8),
            np.empty((0, N_JOINTS), np.float32),
            unplaced=tuple(unplaced),
        )

    def _clean(self, positions: np.ndarray) -> np.ndarray:
        """(people, Js, 3) metres, NaN where several joints are on exactly one place, or one is on the camera's origin.

        Trackers fill joints that they did not find with one place: the origin, or where a transform takes it. Three in
        one place are no body, nor are two away from their body; the place is remembered for single ones. Two joints on
        their body may be seen in one pixel.
        """
        if not positions.size:
            return positions
        holes: Any = None
        if not every(positions) or self._holes_at:
            holes = ~positions.any(-1)
            for place in self._holes_at:
                holes = holes | np.all(positions == place, axis=-1)
        # equal places have equal sums; others hardly ever (left and right of a body share many an x)
        with np.errstate(over="ignore", invalid="ignore"):  # whatever is said of one joint
            sums = positions[..., 0] + _MIX_Y * positions[..., 1]  # no product of matrices, which may round rows unlike
            sums += _MIX_Z * positions[..., 2]
            flat = sums.reshape(-1) if holes is None else sums[~holes]
            flat.sort()
            if some(flat[1:] == flat[:-1]):
                holes = np.zeros(sums.shape, bool) if holes is None else holes
                holes |= self._shared(positions, holes)
        if holes is None or not some(holes):
            return positions
        self.counters["joints_on_one_place"] += int(holes.sum())
        return np.where(holes[..., None], np.nan, positions)

    def _shared(self, positions: np.ndarray, holes: np.ndarray) -> np.ndarray:
        flat = np.where(holes[..., None], np.nan, positions).reshape(-1, 3)
        good = np.flatnonzero(np.isfinite(flat).all(-1))
        places, back, counts = np.unique(flat[good], axis=0, return_inverse=True, return_counts=True)
        out = np.zeros(len(flat), bool)
        for number in np.flatnonzero(counts > 1):
            where = good[back.reshape(-1) == number]
            if counts[number] == 2:
                person = where // positions.shape[1]
                others = np.setdiff1d(good[np.isin(good // positions.shape[1], person)], where)
                near = np.linalg.norm(flat[others] - places[number], axis=-1)
                if not len(others) or near.min() <= _OFF_BODY_M:
                    continue
            out[where] = True
            self._holes_at.append(places[number])
        result: np.ndarray = out.reshape(holes.shape)
        return result


def points(values: Sequence[Any], path: str = "") -> np.ndarray:
    """(n, 3) of messages with x, y, z at `path`, such as "position.".

    Exactly 0, 0, 0 is a place that was never filled in: NaN.
    """
    if not len(values):
        return np.empty((0, 3))
    read = getter(values[0], *(f"{path}{axis}" for axis in "xyz"))
    out = np.fromiter(chain.from_iterable(map(read, values)), np.float64, 3 * len(values)).reshape(-1, 3)
    out[~out.any(-1)] = np.nan
    return out


def joint_count(joints: str | tuple[str, ...]) -> int:
    """How many joints a list has."""
    return len(mapping(joints).joints)


def split(what: str, count: int, joints: str | tuple[str, ...]) -> int:
    """How many people `count` values are.

    Raises:
        MessageError: they are no multiple of the joint list.
    """
    each = joint_count(joints)
    people, rest = divmod(count, each)
    if rest:
        raise MessageError(
            f"the message has {count} {what}: expected a multiple of {each}, the joints of {mapping(joints).name}; "
            "check the joint list (tracker_joints)"
        )
    return people


class Numbers:
    """Gives people numbers where their tracker gives none: who is near stays who they were.

    Args:
        prefix: of the ids.
        within_s: who was not seen for longer is somebody new.
    """

    #: Mean joint distance that is still the same person: metres, and metres a second since last seen.
    GATE_M, GATE_MPS = 0.4, 2.5
    #: Unseen for longer, somebody else may come: only who is within `GATE_M` of where they would be is the same.
    SURE_S = 0.12
    #: People go on as they went for so long, seconds.
    CARRY_S = 0.5
    #: Nearer than this are no two people: mean distance of joints, metres.
    PART_M = 0.25
    #: A mean of joints that is faster along an axis is noise, metres a second.
    NOISE_MPS = 5.0

    def __init__(self, prefix: str = "", within_s: float = 1.0) -> None:
        self._prefix, self._within_ns = prefix, int(within_s * NS)
        self._count = 0
        self.reset()

    def reset(self) -> None:
        """Forget where people were; numbers are not given twice."""
        self._known: dict[str, tuple[int, np.ndarray]] = {}
        self._velocity_mps: dict[str, np.ndarray] = {}

    def join(self, stamp_ns: int, positions: np.ndarray) -> np.ndarray:
        """People without those parts of one body that a detector took for two people, joined again.

        Two rows are one body when they have no joint in common and each lies where that part of one person was, and of
        nobody else.

        Args:
            stamp_ns: of the message.
            positions: (people, J, 3) metres, NaN where missing.

        Returns:
            (fewer people, J, 3).
        """
        if len(self._known) > 1:
            self._known = {i: k for i, k in self._known.items() if abs(stamp_ns - k[0]) <= self._within_ns}
        known = self._whole()
        if len(positions) < 2 or not known:
            return positions
        with np.errstate(over="ignore", invalid="ignore"):
            distance = np.linalg.norm(positions[:, None] - np.stack(known), axis=-1)
        there, seen = np.isfinite(distance), np.isfinite(positions).all(-1)
        mean = np.where(there, distance, 0.0).sum(-1) / np.maximum(there.sum(-1), 1)
        fits = (there.sum(-1) >= 0.5 * seen.sum(-1)[:, None]) & (mean < self.GATE_M)
        owner = np.where(fits.sum(1) == 1, fits.argmax(1), -1)
        out, gone = positions, []
        for person in range(len(known)):
            rows = np.flatnonzero(owner == person)
            if len(rows) != 2 or (seen[rows[0]] & seen[rows[1]]).any() or seen[rows].sum(1).min() < 2:
                continue
            out = positions.copy() if out is positions else out
            out[rows[0]] = np.where(seen[rows[0]][:, None], positions[rows[0]], positions[rows[1]])
            gone.append(rows[1])
        return np.delete(out, gone, axis=0) if gone else positions

    def _whole(self) -> list[np.ndarray]:
        """Places of known people; who is a part of somebody seen later, in the same place, is forgotten."""
        kept: list[tuple[int, np.ndarray]] = []
        for name, (seen_ns, place) in sorted(
            self._known.items(), key=lambda k: (-int(np.isfinite(k[1][1]).all(-1).sum()), -k[1][0])
        ):
            with np.errstate(over="ignore", invalid="ignore"):
                apart = [(at_ns, np.linalg.norm(place - whole, axis=-1)) for at_ns, whole in kept]
            if any(at_ns > seen_ns and np.isfinite(a).any() and np.nanmean(a) < self.PART_M for at_ns, a in apart):
                del self._known[name]
            else:
                kept.append((seen_ns, place))
        return [place for _, place in kept]

    def assign(self, stamp_ns: int, positions: np.ndarray, taken: Iterable[str] = ()) -> list[str]:
        """Ids of people.

        Args:
            stamp_ns: of the message.
            positions: (people, J, 3) metres, NaN where missing.
            taken: ids that are in use already.

        Returns:
            One id per person, each once.
        """
        self._known = {i: k for i, k in self._known.items() if abs(stamp_ns - k[0]) <= self._within_ns}
        ids: list[Any] = [None] * len(positions)
        if self._known and len(positions):
            names = list(self._known)
            age_s = np.abs([stamp_ns - self._known[i][0] for i in names]) * 1e-9  # messages may overtake each other
            went = np.stack([self._velocity_mps.get(i, np.zeros(3)) for i in names])
            places = np.stack([self._known[i][1] for i in names])
            places = places + (went * np.minimum(age_s, self.CARRY_S)[:, None])[:, None]
            with np.errstate(over="ignore", invalid="ignore"):  # whatever is said of one joint
                distance = np.linalg.norm(positions[:, None] - places, axis=-1)
            there = np.isfinite(distance)
            common = there.sum(-1)
            mean = np.where(there, distance, 0.0).sum(-1) / np.maximum(common, 1)
            gate = self.GATE_M + self.GATE_MPS * np.where(age_s <= self.SURE_S, age_s, 0.0)
            cost = np.where((common > 0) & (mean < gate), mean, 1e6)
            for i, j in zip(*assignment(cost), strict=True):
                if cost[i, j] < 1e6:
                    ids[i] = names[j]
        used = {*taken, *(i for i in ids if i is not None)}
        for i, person_id in enumerate(ids):
            while person_id is None or (person_id in used and ids[i] is None):
                person_id = f"{self._prefix}{self._count}"
                self._count += 1
                if person_id in used:
                    person_id = None
            ids[i] = person_id
            used.add(person_id)
            place = positions[i]
            if person_id in self._known:  # a joint that is hidden now keeps its place
                self._went(person_id, stamp_ns, place)
                place = np.where(np.isfinite(place), place, self._known[person_id][1])
            if stamp_ns >= self._known.get(person_id, (stamp_ns,))[0]:
                self._known[person_id] = (stamp_ns, place)
        self._velocity_mps = {i: v for i, v in self._velocity_mps.items() if i in self._known}
        return ids

    def _went(self, person_id: str, stamp_ns: int, place: np.ndarray) -> None:
        """Keep in mind how that person moves."""
        seen_ns, before = self._known[person_id]
        passed_s = (stamp_ns - seen_ns) * 1e-9
        with np.errstate(over="ignore", invalid="ignore"):
            moved = place - before
        there = np.isfinite(moved).all(-1)
        if not 0.0 < passed_s <= self.CARRY_S or not there.any():
            return
        velocity = moved[there].mean(0) / passed_s
        if np.abs(velocity).max() < self.NOISE_MPS:
            self._velocity_mps[person_id] = 0.5 * (self._velocity_mps.get(person_id, velocity) + velocity)
