"""Seeded faults of trackers and networks, laid over a clean stream of skeletons.

    faults = Faults.parse("drop=0.3,limb=left_arm,noise_mm=40,delay_ms=120,swap_ids=0.01,rate_hz=10", seed=1)
    for log_time_ns, frame in faults.apply(bags.read_skeletons(bag)):
        ...

Every draw depends only on the seed, the name of the fault, the person and the stamp. So a fault does the same whatever
other faults there are, wherever the stream begins, offline and in the live node (`aux-motion fault-inject`).
"""

from __future__ import annotations

import difflib
import hashlib
import heapq
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from aux_motion_core.skeleton import INDEX, JOINTS, MIRROR, JointStatus, derive_joints
from aux_motion_core.trackers.joint_maps import ALIASES, SOURCES, mapping
from aux_motion_core.types import SkeletonFrame

_MS = 1_000_000
_NS = 1_000_000_000
#: Stamps that jump back by more than this begin anew (a recording that is played again).
_RESTART_NS = _NS

LIMBS: dict[str, tuple[str, ...]] = {
    **{
        f"{side}_arm": tuple(f"{side}_{j}" for j in ("shoulder", "elbow", "wrist", "hand"))
        for side in ("left", "right")
    },
    **{f"{side}_forearm": tuple(f"{side}_{j}" for j in ("wrist", "hand")) for side in ("left", "right")},
    **{f"{side}_leg": tuple(f"{side}_{j}" for j in ("hip", "knee", "ankle", "foot")) for side in ("left", "right")},
    **{f"{side}_side": tuple(j for j in JOINTS if j.startswith(f"{side}_")) for side in ("left", "right")},
    "legs": tuple(j for j in JOINTS if j.endswith(("hip", "knee", "ankle", "foot"))),
    "arms": tuple(j for j in JOINTS if j.endswith(("shoulder", "elbow", "wrist", "hand"))),
    "trunk": ("pelvis", "spine", "neck"),
    "head": ("head",),
    "upper_body": ("spine", "neck", "head", *(j for j in JOINTS if j.endswith(("shoulder", "elbow", "wrist", "hand")))),
    "lower_body": ("pelvis", *(j for j in JOINTS if j.endswith(("hip", "knee", "ankle", "foot")))),
}


class FaultError(ValueError):
    """A fault that cannot be made, in one line: expected, came, what to do."""


@dataclass(frozen=True)
class Faulty:
    """A frame after the faults.

    Attributes:
        log_time_ns: when it arrives, nanoseconds.
        frame: as the predictor gets it.
        source: the clean frame.
        rows: of each person in `frame`, the row in `source`: who it truly is.
    """

    log_time_ns: int
    frame: SkeletonFrame
    source: SkeletonFrame
    rows: tuple[int, ...]


def _generator(*key: object) -> np.random.Generator:
    """Random numbers that belong to a key, from a counter-based generator: nothing is shared between keys."""
    digest = hashlib.blake2b("|".join(map(str, key)).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


class Fault(ABC):
    """One kind of fault. An instance holds its state on one stream.

    Args:
        value: its strength, or what it is about.
        extra: what stands behind the colon.
        seed: of all faults.
    """

    name: ClassVar[str]
    help: ClassVar[str]
    unit: ClassVar[str] = "share"
    low: ClassVar[float] = 0.0
    high: ClassVar[float] = 1.0
    #: name, default, least and greatest of a second number behind a colon
    second: ClassVar[tuple[str, float, float, float] | None] = None

    def __init__(self, value: float, extra: float, seed: int) -> None:
        self.value, self.extra, self.seed = value, extra, seed
        self._shift_ns: dict[tuple, int] = {}
        self._block: dict[tuple, tuple[int, bool]] = {}  # the newest block of each person, and whether it has the fault

    @abstractmethod
    def __call__(self, item: Faulty) -> Faulty | None:
        """The item with the fault, or None when it is lost."""

    @classmethod
    def scale(cls, value: float, fraction: float) -> float:
        """The value at a fraction of its strength."""
        return float(np.clip(value * fraction, cls.low, cls.high))

    def draw(self, *key: object) -> np.random.Generator:
        """Random numbers for a person, a stamp, a block of time."""
        return _generator(self.seed, self.name, *key)

    def each(self, item: Faulty) -> Iterator[tuple[int, np.random.Generator]]:
        """Row and random numbers of every person of a frame."""
        for row, person_id in enumerate(item.frame.person_ids):
            yield row, self.draw(person_id, item.source.stamp_ns)

    def in_block(self, stamp_ns: int, length_s: float, *key: object) -> bool:
        """Whether the block of time that a stamp lies in has the fault, at the share `value`."""
        length_ns = max(1, round(length_s * _NS))
        if key not in self._shift_ns:
            self._shift_ns[key] = int(self.draw("shift", *key).integers(length_ns))
        block = (stamp_ns + self._shift_ns[key]) // length_ns
        if self._block.get(key, (None,))[0] != block:
            self._block[key] = block, bool(self.draw("block", block, *key).random() < self.value)
        return self._block[key][1]


def _hide(item: Faulty, hidden: np.ndarray) -> Faulty:
    """The item without some joints.

    Args:
        item: P people.
        hidden: (P, 20) bool.
    """
    frame = item.frame
    covariance = frame.covariance
    return replace(
        item,
        frame=replace(
            frame,
            positions=np.where(hidden[..., None], np.nan, frame.positions),
            status=np.where(hidden, JointStatus.MISSING, frame.status).astype(np.uint8),
            confidence=np.where(hidden, 0.0, frame.confidence).astype(np.float32),
            covariance=None if covariance is None else np.where(hidden[..., None], np.nan, covariance),
        ),
    )


def _moved(item: Faulty, positions: np.ndarray) -> Faulty:
    return replace(item, frame=replace(item.frame, positions=positions))


def _people(item: Faulty, rows: list[int]) -> Faulty:
    """The item with these rows of its people only, or again."""
    frame = item.frame
    index = np.array(rows, dtype=np.intp)
    return replace(
        item,
        rows=tuple(item.rows[r] for r in rows),
        frame=replace(
            frame,
            person_ids=tuple(frame.person_ids[r] for r in rows),
            positions=frame.positions[index],
            status=frame.status[index],
            confidence=frame.confidence[index],
            covariance=None if frame.covariance is None else frame.covariance[index],
        ),
    )


class Freeze(Fault):
    name = "freeze"
    help = "share of the time in which the tracker repeats its last poses under new stamps"
    second = ("length_s", 0.5, 0.02, 60.0)

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        self._last: Faulty | None = None

    def __call__(self, item: Faulty) -> Faulty | None:
        last = self._last
        if last is not None and self.in_block(item.source.stamp_ns, self.extra):
            known = {person_id: row for row, person_id in enumerate(last.frame.person_ids)}
            rows = [known[p] for p in item.frame.person_ids if p in known]
            frozen = _people(last, rows).frame
            here = tuple(row for row, p in zip(item.rows, item.frame.person_ids, strict=True) if p in known)
            return replace(item, rows=here, frame=replace(frozen, stamp_ns=item.frame.stamp_ns))
        self._last = item
        return item


class JointSet(Fault):
    name = "joint_set"
    help = f"only the joints that a tracker's list gives: {', '.join(sorted(SOURCES))}"
    unit = "joint list"

    def __init__(self, value: str, extra: float, seed: int) -> None:
        super().__init__(0.0, extra, seed)
        status = mapping(value).status
        self._kind = np.where((status == JointStatus.OBSERVED).any(0), JointStatus.OBSERVED, JointStatus.DERIVED)
        self._absent = (status == JointStatus.MISSING).all(0)
        middles = [INDEX[j] for j in ("pelvis", "neck") if self._kind[INDEX[j]] == JointStatus.DERIVED]
        self._middles = np.isin(np.arange(len(JOINTS)), middles)

    def __call__(self, item: Faulty) -> Faulty | None:
        item = _hide(item, np.broadcast_to(self._absent | self._middles, item.frame.status.shape))
        seen = item.frame.status == JointStatus.OBSERVED
        status = np.where(seen, self._kind, item.frame.status).astype(np.uint8)
        positions, status = derive_joints(item.frame.positions, status)
        confidence = np.where(status != JointStatus.MISSING, np.where(self._middles, 1.0, item.frame.confidence), 0.0)
        frame = replace(item.frame, positions=positions, status=status, confidence=confidence.astype(np.float32))
        return replace(item, frame=frame)


class _Part(Fault):
    """Joints that are hidden together, for a share of the seconds."""

    names: tuple[str, ...] = ()

    def __init__(self, names: tuple[str, ...], extra: float, seed: int) -> None:
        super().__init__(extra, extra, seed)
        self.names = names
        self._hidden = np.isin(JOINTS, names)

    def __call__(self, item: Faulty) -> Faulty | None:
        who = [self.in_block(item.source.stamp_ns, 1.0, person_id, *self.names) for person_id in item.frame.person_ids]
        return _hide(item, np.array(who, bool).reshape(-1, 1) & self._hidden)


class Limb(_Part):
    name = "limb"
    help = f"a limb that is never seen, or for a share of the seconds (limb=left_arm:0.5): {', '.join(LIMBS)}"
    unit = "limb"
    second = ("share", 1.0, 0.0, 1.0)


class Joints(_Part):
    name = "joints"
    help = "joints of body20 that are never seen, or for a share of the seconds: joints=left_wrist+left_hand:0.5"
    unit = "joints"
    second = ("share", 1.0, 0.0, 1.0)


class Drop(Fault):
    name = "drop"
    help = "share of single joints that are missing, each frame anew"

    def __call__(self, item: Faulty) -> Faulty | None:
        hidden = np.zeros(item.frame.status.shape, bool)
        for row, rng in self.each(item):
            hidden[row] = rng.random(len(JOINTS)) < self.value
        return _hide(item, hidden)


class Bias(Fault):
    name = "bias_mm"
    help = "constant offset of every joint, in a direction of its own, as of a tracker with other joint centres"
    unit, high = "mm", 1000.0

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        direction = self.draw("direction").normal(size=(len(JOINTS), 3))
        self._offset = 1e-3 * value * direction / np.linalg.norm(direction, axis=-1, keepdims=True)

    def __call__(self, item: Faulty) -> Faulty | None:
        return _moved(item, item.frame.positions + self._offset)


class Scale(Fault):
    name = "scale_pct"
    help = "people are seen larger (or smaller) than they are by so many percent, about their middle, as by a bad depth"
    unit, low, high = "percent", -50.0, 100.0

    def __call__(self, item: Faulty) -> Faulty | None:
        frame = item.frame
        seen = (frame.status != JointStatus.MISSING) & np.isfinite(frame.positions).all(-1)
        positions = np.where(seen[..., None], frame.positions, 0.0)
        middle = positions.sum(1, keepdims=True) / np.maximum(seen.sum(1), 1)[:, None, None]
        return _moved(item, middle + (1.0 + 0.01 * self.value) * (frame.positions - middle))


class Noise(Fault):
    name = "noise_mm"
    help = "Gaussian noise, one sigma on each axis of each joint, each frame anew"
    unit, high = "mm", 1000.0

    def __call__(self, item: Faulty) -> Faulty | None:
        positions = np.array(item.frame.positions, np.float64)
        for row, rng in self.each(item):
            positions[row] += 1e-3 * self.value * rng.normal(size=(len(JOINTS), 3))
        return _moved(item, positions)


class Outliers(Fault):
    name = "outliers"
    help = "share of single joints that are thrown away by up to so many mm (outliers=0.02:500), each frame anew"
    second = ("mm", 500.0, 1.0, 20000.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        positions = np.array(item.frame.positions, np.float64)
        for row, rng in self.each(item):
            direction = rng.normal(size=(len(JOINTS), 3))
            far = 1e-3 * self.extra * rng.uniform(0.5, 1.0, (len(JOINTS), 1))
            thrown = rng.random((len(JOINTS), 1)) < self.value
            positions[row] += thrown * far * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
        return _moved(item, positions)


class Nan(Fault):
    name = "nan"
    help = "share of single joints that are said to be seen but are not a number"

    def __call__(self, item: Faulty) -> Faulty | None:
        positions = np.array(item.frame.positions, np.float64)
        for row, rng in self.each(item):
            positions[row, rng.random(len(JOINTS)) < self.value] = np.nan
        return _moved(item, positions)


class SwapSides(Fault):
    name = "swap_sides"
    help = "share of the time in which left and right of a person are taken for each other"
    second = ("length_s", 0.2, 0.02, 60.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        frame = item.frame
        order = np.tile(np.arange(len(JOINTS)), (len(frame.person_ids), 1))
        for row, person_id in enumerate(frame.person_ids):
            if self.in_block(item.source.stamp_ns, self.extra, person_id):
                order[row] = MIRROR
        who = np.arange(len(order))[:, None]
        covariance = None if frame.covariance is None else frame.covariance[who, order]
        return replace(
            item,
            frame=replace(
                frame,
                positions=frame.positions[who, order],
                status=frame.status[who, order],
                confidence=frame.confidence[who, order],
                covariance=covariance,
            ),
        )


class SwapIds(Fault):
    name = "swap_ids"
    help = "chance per message that two people exchange their ids for good (somebody alone gets a new id)"

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        self._given: dict[str, str] = {}
        self._last_ns = -_RESTART_NS
        self._new = 0

    def __call__(self, item: Faulty) -> Faulty | None:
        stamp_ns = item.source.stamp_ns
        if stamp_ns < self._last_ns - _RESTART_NS:
            self._given, self._new = {}, 0
        self._last_ns = stamp_ns
        people = item.frame.person_ids
        given = {p: self._given.get(p, p) for p in people}
        rng = self.draw(stamp_ns)
        if people and rng.random() < self.value:
            if len(people) > 1:
                a, b = (people[int(i)] for i in rng.choice(len(people), 2, replace=False))
                given[a], given[b] = given[b], given[a]
            else:
                self._new += 1
                given[people[0]] = f"{people[0]}_new{self._new}"
            self._given.update(given)
        return replace(item, frame=replace(item.frame, person_ids=tuple(given[p] for p in people)))


class Twins(Fault):
    name = "twins"
    help = "share of the time in which a person is reported twice, the second time under another id and 3 cm beside"
    second = ("length_s", 0.5, 0.02, 60.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        people = item.frame.person_ids
        true = [item.source.person_ids[row] for row in item.rows]
        doubled = [row for row, p in enumerate(true) if self.in_block(item.source.stamp_ns, self.extra, p)]
        if not doubled:
            return item
        item = _people(item, [*range(len(people)), *doubled])
        names = (*people, *(f"{people[row]}_twin" for row in doubled))
        positions = np.array(item.frame.positions, np.float64)
        positions[len(people) :, :, 0] += 0.03
        return replace(item, frame=replace(item.frame, person_ids=names, positions=positions))


class People(Fault):
    name = "people"
    help = "share of the time in which a person is not detected"
    second = ("length_s", 0.3, 0.02, 60.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        true = [item.source.person_ids[row] for row in item.rows]
        kept = [row for row, p in enumerate(true) if not self.in_block(item.source.stamp_ns, self.extra, p)]
        return item if len(kept) == len(true) else _people(item, kept)


class Gap(Fault):
    name = "gap"
    help = "share of the time without any message"
    second = ("length_s", 0.5, 0.02, 60.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        return None if self.in_block(item.source.stamp_ns, self.extra) else item


class Frames(Fault):
    name = "frames"
    help = "share of messages that are lost, each by itself"

    def __call__(self, item: Faulty) -> Faulty | None:
        return None if self.draw(item.source.stamp_ns).random() < self.value else item


class Rate(Fault):
    name = "rate_hz"
    help = "at most so many messages a second; others are left out"
    unit, low, high = "Hz", 0.1, 1000.0

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        self._due_ns: int | None = None

    @classmethod
    def scale(cls, value: float, fraction: float) -> float:
        return float(np.clip(value / fraction, cls.low, cls.high))

    def __call__(self, item: Faulty) -> Faulty | None:
        stamp_ns, period_ns = item.source.stamp_ns, round(_NS / self.value)
        due_ns = self._due_ns
        if due_ns is None or stamp_ns < due_ns - period_ns - _RESTART_NS or stamp_ns >= due_ns + period_ns:
            self._due_ns = stamp_ns + period_ns
            return item
        if stamp_ns < due_ns - period_ns // 100:  # a camera's jitter does not cost a frame
            return None
        self._due_ns = due_ns + period_ns
        return item


class _Clock(Fault):
    def moved(self, item: Faulty, stamp_ns: int) -> Faulty:
        return replace(item, frame=replace(item.frame, stamp_ns=int(stamp_ns)))


class Offset(_Clock):
    name = "offset_ms"
    help = "stamps of a clock that is ahead by so much (behind: negative)"
    unit, low, high = "ms", -1e9, 1e9

    def __call__(self, item: Faulty) -> Faulty | None:
        return self.moved(item, item.frame.stamp_ns + round(self.value * _MS))


class Drift(_Clock):
    name = "drift_ppm"
    help = "stamps of a clock that runs fast by so many millionths (slow: negative)"
    unit, low, high = "ppm", -1e5, 1e5

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        self._first_ns: int | None = None

    def __call__(self, item: Faulty) -> Faulty | None:
        stamp_ns = item.source.stamp_ns
        if self._first_ns is None or stamp_ns < self._first_ns:
            self._first_ns = stamp_ns
        return self.moved(item, item.frame.stamp_ns + round(1e-6 * self.value * (stamp_ns - self._first_ns)))


class StampNoise(_Clock):
    name = "stamp_noise_ms"
    help = "Gaussian noise of the stamps, one sigma"
    unit, high = "ms", 1000.0

    def __call__(self, item: Faulty) -> Faulty | None:
        noise_ms = self.value * self.draw(item.source.stamp_ns).normal()
        return self.moved(item, item.frame.stamp_ns + round(noise_ms * _MS))


class Delay(Fault):
    name = "delay_ms"
    help = "messages arrive so much later; their stamps stay"
    unit, high = "ms", 10000.0

    def __call__(self, item: Faulty) -> Faulty | None:
        return replace(item, log_time_ns=item.log_time_ns + round(self.value * _MS))


class Jitter(Fault):
    name = "jitter_ms"
    help = "messages arrive later by a random time up to so much, each by itself: they may overtake each other"
    unit, high = "ms", 10000.0

    def __call__(self, item: Faulty) -> Faulty | None:
        late_ms = self.value * self.draw(item.source.stamp_ns).random()
        return replace(item, log_time_ns=item.log_time_ns + round(late_ms * _MS))


class Stamps(_Clock):
    name = "stamps"
    help = (
        "messages are stamped when they are published, not when the picture was taken: later by delay_ms and jitter_ms"
    )
    unit = ""

    def __call__(self, item: Faulty) -> Faulty | None:
        return item  # the injector knows how late the message is


#: All faults, in the order in which they act: sensor, pose, identity, messages, clock, network.
KINDS: dict[str, type[Fault]] = {
    kind.name: kind
    for kind in (
        Freeze, JointSet, Limb, Joints, Drop, Bias, Scale, Noise, Outliers, Nan, SwapSides, SwapIds, Twins, People,
        Gap, Frames, Rate, Offset, Drift, StampNoise, Delay, Jitter, Stamps,
    )
}  # fmt: skip
_JOINT_SETS = (*SOURCES, *ALIASES)


def _number(text: str, name: str, what: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise FaultError(f"fault {name}: expected {what} from {low:g} to {high:g}, got {text!r}")
    return value


@dataclass(frozen=True)
class Setting:
    """One fault as it was asked for.

    Attributes:
        name: key of `KINDS`.
        value: its strength, a joint list, or joint names; 1.0 for those that are on or off.
        extra: the number behind the colon, or its default.
    """

    name: str
    value: float | str | tuple[str, ...]
    extra: float

    @classmethod
    def parse(cls, text: str) -> Setting:
        """From `name=value`, `name=value:number` or `name`.

        Raises:
            FaultError: no such fault, or a value that it does not take.
        """
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals and name in _JOINT_SETS:
            name, value = "joint_set", name
        kind = KINDS.get(name)
        if kind is None:
            near = difflib.get_close_matches(name, KINDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(KINDS)}"
            raise FaultError(f"unknown fault {name!r}: {hint}")
        if kind is Stamps:
            if equals:
                raise FaultError(f"fault stamps takes no value, got {value!r}")
            return cls(name, 1.0, 0.0)
        if not value:
            raise FaultError(f"fault {name} needs a value: {name}=<{kind.unit}> ({kind.help})")
        extra = kind.second[1] if kind.second else 0.0
        main, colon, rest = value.partition(":")
        if colon:
            if kind.second is None:
                raise FaultError(f"fault {name} takes one value, got {value!r}")
            extra = _number(rest, name, f"{kind.second[0]} behind the colon", *kind.second[2:])
        if kind is JointSet:
            if main not in _JOINT_SETS:
                raise FaultError(f"fault joint_set: expected one of {', '.join(_JOINT_SETS)}, got {main!r}")
            return cls(name, main, 0.0)
        if kind is Limb:
            if main not in LIMBS:
                raise FaultError(f"fault limb: expected one of {', '.join(LIMBS)}, got {main!r}")
            return cls(name, main, extra)
        if kind is Joints:
            names = tuple(part.strip() for part in main.split("+"))
            unknown = [n for n in names if n not in INDEX]
            if unknown:
                near = difflib.get_close_matches(unknown[0], JOINTS, 1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise FaultError(f"fault joints: expected names of body20 with +, got {unknown[0]!r}{hint}")
            return cls(name, names, extra)
        return cls(name, _number(main, name, f"a value in {kind.unit}", kind.low, kind.high), extra)

    def scaled(self, fraction: float) -> Setting | None:
        """At a fraction of its strength; None when nothing is left. What is on or off stays on."""
        kind = KINDS[self.name]
        if fraction == 0.0:
            return None
        if isinstance(self.value, float) and kind is not Stamps:
            return replace(self, value=kind.scale(self.value, fraction))
        if kind in (Limb, Joints):
            return replace(self, extra=min(1.0, self.extra * fraction))
        return self

    def start(self, seed: int) -> Fault:
        """The fault at work on a stream."""
        value = LIMBS[self.value] if self.name == "limb" else self.value  # type: ignore[index]
        return KINDS[self.name](value, self.extra, seed)  # type: ignore[arg-type]

    def __str__(self) -> str:
        kind = KINDS[self.name]
        if kind is Stamps:
            return self.name
        value = self.value if isinstance(self.value, str) else None
        value = value or ("+".join(self.value) if isinstance(self.value, tuple) else f"{self.value:g}")
        extra = f":{self.extra:g}" if kind.second and self.extra != kind.second[1] else ""
        return f"{self.name}={value}{extra}"


@dataclass(frozen=True)
class Faults:
    """Faults to lay over streams.

    Attributes:
        settings: in the order in which they act.
        seed: of all random numbers.
    """

    settings: tuple[Setting, ...] = ()
    seed: int = 0

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Faults:
        """From a line such as `drop=0.3,limb=left_arm,noise_mm=40,delay_ms=120,swap_ids=0.01,rate_hz=10`.

        Args:
            text: faults with commas; `coco17` and other joint lists stand for `joint_set=coco17`; `limb` and
                `joints` may come several times.
            seed: of all random numbers.

        Raises:
            FaultError: nothing given, an unknown fault, a value out of range, a fault given twice.
        """
        parts = [part for part in (p.strip() for p in text.split(",")) if part]
        if not parts:
            raise FaultError(f"no fault given: expected such as drop=0.3,noise_mm=40; there are {', '.join(KINDS)}")
        settings = [Setting.parse(part) for part in parts]
        for setting in settings:
            same = [s for s in settings if s.name == setting.name]
            if len(same) > 1 and (setting.name not in ("limb", "joints") or len(set(same)) < len(same)):
                raise FaultError(f"fault {setting.name} is given {len(same)} times: {', '.join(map(str, same))}")
        order = list(KINDS)
        return cls(tuple(sorted(settings, key=lambda s: order.index(s.name))), seed)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the faults."""
        return tuple(s.name for s in self.settings)

    @property
    def latest_ns(self) -> int:
        """How much later than without faults a message can arrive, nanoseconds."""
        late = (float(s.value) for s in self.settings if s.name in ("delay_ms", "jitter_ms"))  # type: ignore[arg-type]
        return round(sum(late) * _MS)

    def scaled(self, fraction: float) -> Faults:
        """The same faults at a fraction of their strength, for curves.

        Shares, millimetres and milliseconds are multiplied, `rate_hz` is divided, a limb is hidden for the fraction
        of the seconds; a joint list and `stamps` are there at every fraction but 0. What exceeds a range is cut to it.

        Args:
            fraction: 0 (no fault) and up; 1 is as given.

        Raises:
            FaultError: negative or not a number.
        """
        if not fraction >= 0.0:
            raise FaultError(f"cannot scale faults by {fraction}: expected 0 or more")
        settings = (s.scaled(fraction) for s in self.settings)
        return replace(self, settings=tuple(s for s in settings if s is not None))

    def singles(self) -> dict[str, Faults]:
        """Each fault by itself, by how it is written: for a curve of each."""
        return {str(setting): replace(self, settings=(setting,)) for setting in self.settings}

    def start(self) -> Injector:
        """The faults at work on one stream, message by message."""
        return Injector(self)

    def trace(self, frames: Iterable[tuple[int, SkeletonFrame]]) -> Iterator[Faulty]:
        """A stream with the faults, in order of arrival, with the clean frames beside.

        Args:
            frames: (log_time_ns, frame) in order of arrival.

        Yields:
            What arrives; held back are only messages that are late.
        """
        injector = self.start()
        late: list[tuple[int, int, Faulty]] = []
        for number, (log_time_ns, frame) in enumerate(frames):
            while late and late[0][0] <= log_time_ns:
                yield heapq.heappop(late)[2]
            item = injector.push(log_time_ns, frame)
            if item is not None:
                heapq.heappush(late, (item.log_time_ns, number, item))
        while late:
            yield heapq.heappop(late)[2]

    def apply(self, frames: Iterable[tuple[int, SkeletonFrame]]) -> Iterator[tuple[int, SkeletonFrame]]:
        """As `trace`, as (log_time_ns, frame) only."""
        for item in self.trace(frames):
            yield item.log_time_ns, item.frame

    def __str__(self) -> str:
        return ",".join(map(str, self.settings)) or "none"


class Injector:
    """Faults at work on one stream: they remember what went before."""

    def __init__(self, faults: Faults) -> None:
        self._faults = [setting.start(faults.seed) for setting in faults.settings]
        self._publication = "stamps" in faults.names

    def push(self, log_time_ns: int, frame: SkeletonFrame) -> Faulty | None:
        """A message with the faults, or None when it is lost.

        Args:
            log_time_ns: when it arrived, nanoseconds.
            frame: clean.

        Returns:
            `log_time_ns` of the result says when it is to arrive.
        """
        item: Faulty | None = Faulty(log_time_ns, frame, frame, tuple(range(len(frame.person_ids))))
        for fault in self._faults:
            item = fault(item)  # type: ignore[arg-type]
            if item is None:
                return None
        if self._publication:
            stamp_ns = item.frame.stamp_ns + item.log_time_ns - log_time_ns
            item = replace(item, frame=replace(item.frame, stamp_ns=stamp_ns))
        return item


def help_text() -> str:
    """A line for each fault: its name, what it takes, what it does."""
    lines = []
    for kind in KINDS.values():
        value = f"=<{kind.unit}>" if kind.unit else ""
        second = f"[:{kind.second[0]}]" if kind.second else ""
        lines.append(f"{kind.name + value + second:<28} {kind.help}")
    return "\n".join(lines)
