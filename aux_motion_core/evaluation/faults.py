# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Seeded faults of trackers and networks, laid over a clean stream of skeletons.

    faults = Faults.parse("drop=0.3,limb=left_arm,noise_mm=40,delay_ms=120,swap_ids=0.01,rate_hz=10", seed=1)
    for log_time_ns, frame in faults.apply(bags.read_skeletons(bag)):
        ...

Every draw depends only on the seed, the name of the fault, the person and the stamp. So a fault does the same whatever
other faults there are, wherever the stream begins, offline and in the live node (`aux-motion fault-inject`).
"""

from __future__ import annotations

import difflib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from aux_motion_core.evaluation.fault_base import MS, Fault, FaultError, Faulty
from aux_motion_core.evaluation.fault_poses import (
    LIMBS,
    Bias,
    Drop,
    Freeze,
    Joints,
    JointSet,
    Limb,
    Nan,
    Noise,
    OutlierFault,
    Scale,
    SwapSides,
)
from aux_motion_core.evaluation.fault_streams import (
    Delay,
    Drift,
    FramesFault,
    Gap,
    JitterFault,
    Offset,
    PeopleFault,
    Rate,
    StampNoise,
    StampsFault,
    SwapIds,
    Twins,
)
from aux_motion_core.skeleton import INDEX, JOINTS
from aux_motion_core.trackers.joint_maps import ALIASES, SOURCES
from aux_motion_core.types import SkeletonFrame

#: All faults, in the order in which they act: sensor, pose, identity, messages, clock, network.
KINDS: dict[str, type[Fault]] = {
    kind.name: kind
    for kind in (
        Freeze, JointSet, Limb, Joints, Drop, Bias, Scale, Noise, OutlierFault, Nan, SwapSides, SwapIds, Twins,
        PeopleFault, Gap, FramesFault, Rate, Offset, Drift, StampNoise, Delay, JitterFault, StampsFault,
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
        if kind is StampsFault:
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
        if isinstance(self.value, float) and kind is not StampsFault:
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
        if kind is StampsFault:
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
        return round(sum(late) * MS)

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
        if item is not None and self._publication:
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
