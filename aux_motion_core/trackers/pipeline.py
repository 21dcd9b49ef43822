# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The only way in: tracker messages to frames in the fixed frame, for the node, bags and training alike.

message -> adapter -> stamp clock -> latency -> sieve -> transform at the corrected stamp -> fusion of several inputs

The order matters: a camera that moves is looked up where it was when the picture was taken, so the latency is taken
off before the transform is looked up, and nowhere else.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aux_motion_core import trackers
from aux_motion_core.constants import NS
from aux_motion_core.space.frames import FrameQueue, Frames, Ready
from aux_motion_core.space.tf import TfBuffer
from aux_motion_core.trackers.alike import Alike
from aux_motion_core.trackers.base import Adapter, AdapterError
from aux_motion_core.trackers.fusion import Fusion
from aux_motion_core.trackers.health import InputHealth, Stamps
from aux_motion_core.trackers.settings import InputConfig
from aux_motion_core.trackers.sieve import Sieve
from aux_motion_core.trackers.tilt import Tilt
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.clock import LAST_STAMP_NS, StampClock, StampError


@dataclass(kw_only=True)
class Input:
    """One input and its health.

    Attributes:
        index: its place in the list of inputs.
        adapter: of its tracker.
        clock: watches its stamps.
        frame_id: of its newest positions, as the tracker names it.
        sieve: takes out what cannot be.
        health: what it is good for now.
        tilt: whether its people stand upright.
        newest: its newest frame that `Pipeline.between_frames` has not looked at yet.
    """

    index: int
    adapter: Adapter
    clock: StampClock
    frame_id: str = ""
    sieve: Sieve = field(default_factory=Sieve)
    health: InputHealth = field(default_factory=InputHealth)
    steps: Stamps = field(default_factory=Stamps)
    tilt: Tilt = field(default_factory=Tilt)
    newest: SkeletonFrame | None = None

    def trouble(self) -> str:
        """What is wrong with its messages, in one line; empty: nothing is."""
        return self.adapter.trouble() or self.sieve.trouble() or self.tilt.trouble(self.frame_id)

    def configure(self, config: InputConfig) -> None:
        """Use these limits from now on."""
        self.sieve.min_confidence, self.sieve.frozen_after_s = config.min_confidence, config.frozen_after_s
        self.adapter.still_is_frozen = config.frozen_after_s > 0.0


def adapters(config: InputConfig) -> list[tuple[str, Adapter]]:
    """Topic and adapter of each input that the parameters name.

    Raises:
        AdapterError: an unknown tracker, or a joint list that does not fit.
    """
    topics = config.given("input_topics")
    count = max(len(topics), 1)
    names = _for_each(config.given("input_trackers") or [config.tracker], count)
    frames = _for_each(config.given("input_frames") or [""], count)
    made = make_adapters(names, frames, config.given("tracker_joints"))
    return [(topics[i] if topics else config.input_topic or a.topic, a) for i, a in enumerate(made)]


def make_adapters(names: Sequence[str], frames: Sequence[str], joints: Sequence[str] = ()) -> list[Adapter]:
    """One adapter for each input.

    Args:
        names: tracker of each.
        frames: frame of the positions of each; empty or "-": the messages'.
        joints: joint list, for those trackers whose messages do not name their joints.

    Raises:
        AdapterError: an unknown tracker, or a joint list that none of them takes.
    """
    made = []
    for name, frame_id in zip(names, frames, strict=True):
        options = {"joints": tuple(joints)} if joints and trackers.adapter_class(name).takes_joints else {}
        made.append(trackers.make(name, frame_id="" if frame_id == "-" else frame_id, **options))
    if joints and not any(adapter.takes_joints for adapter in made):
        raise AdapterError(
            f"tracker_joints is set, but the messages of {', '.join(sorted(set(names)))} name their joints: "
            "leave it empty"
        )
    return made


def _for_each(values: list[str], count: int) -> list[str]:
    return values * count if len(values) == 1 else values


class Pipeline:
    """All inputs together, on their way to the fixed frame.

    Args:
        inputs: in the order of their indices.
        frames: brings frames to the fixed frame; None: they stay as the tracker sends them.
        stamp_latency_s: taken off every stamp.
        merge: one body that several inputs see is one person.
    """

    def __init__(
        self, inputs: Sequence[Input], frames: Frames | None, stamp_latency_s: float = 0.0, merge: bool = True
    ) -> None:
        self.inputs = list(inputs)
        self.frames, self.stamp_latency_s = frames, stamp_latency_s
        self._queue = FrameQueue(frames) if frames is not None else None
        self._unplaced: list[Ready] = []  # without `frames`: what `drain` gives
        self.alike = Alike([getattr(i, "topic", "") or f"{i.adapter.name} {i.index}" for i in self.inputs])
        self.fusion = Fusion([str(i.index) for i in self.inputs], merge) if len(self.inputs) > 1 else None

    @classmethod
    def of(cls, config: InputConfig, made: Sequence[Adapter], frames: Frames | None) -> Pipeline:
        """As the parameters ask.

        Args:
            config: of the inputs.
            made: adapter of each input.
            frames: see the class.
        """
        inputs = [Input(index=i, adapter=a, clock=StampClock(config.stamp_source)) for i, a in enumerate(made)]
        for one in inputs:
            one.configure(config)
        return cls(inputs, frames, config.stamp_latency_s, config.merge_inputs)

    def feed(self, tf: TfBuffer) -> None:
        """Give the transforms to the adapters whose joints travel by TF."""
        for one in self.inputs:
            one.adapter.tf = tf

    @property
    def waiting(self) -> int:
        """How many frames wait for their transform."""
        return len(self._queue) if self._queue is not None else len(self._unplaced)

    def push(self, one: Input, frames: Sequence[SkeletonFrame], arrived_ns: int, received_ns: int, now_ns: int) -> None:
        """Take an input's frames in; `drain` gives back what can go on.

        Args:
            one: the input.
            frames: as its adapter made them.
            arrived_ns: goes with them.
            received_ns: time of receipt on the clock of the predictions.
            now_ns: on the clock that waiting is measured by (steady live, the log's in a bag).

        Raises:
            StampError: a stamp that is none; the frames before it are in.
        """
        latency_ns = round(self.stamp_latency_s * NS)
        for frame in frames:
            frame = one.clock.take(frame, received_ns)
            if not 0 <= frame.stamp_ns <= LAST_STAMP_NS:
                raise StampError(frame.stamp_ns)
            if latency_ns:  # a simulated clock begins at 0, and no message carries a stamp before that
                frame = dataclasses.replace(frame, stamp_ns=max(frame.stamp_ns - latency_ns, 0))
            if not one.steps.believed(frame.stamp_ns, received_ns):
                one.sieve.counters["stamp_wild"] += 1
                one.health.wild(now_ns)
                continue
            frame = one.sieve.take(frame)
            one.health.reported(frame, now_ns)
            one.frame_id = frame.frame_id
            if self._queue is None:
                self._unplaced.append(Ready(one.index, arrived_ns, frame))
            else:
                self._queue.push(one.index, frame, arrived_ns, now_ns)

    def drain(self, now_ns: int, timeout_s: float) -> list[Ready]:
        """Frames that can go on, in order per input, in the fixed frame and with ids common to all inputs.

        Args:
            now_ns: on the clock of `push`.
            timeout_s: how long a frame waits for a transform that is not there yet.
        """
        if self._queue is not None:
            out = self._queue.drain(now_ns, int(timeout_s * NS))
        else:
            out, self._unplaced = self._unplaced, []
        for ready in out:
            if ready.frame is not None and ready.frame.person_ids:
                self.inputs[ready.source].newest = ready.frame
        if self.fusion is None:
            return out
        return [
            r if r.frame is None else dataclasses.replace(r, frame=self.fusion.take(r.source, r.frame)) for r in out
        ]

    def between_frames(self) -> None:
        """What need not be done while a person waits for a prediction."""
        for one in self.inputs:
            frame, one.newest = one.newest, None
            if frame is not None:
                one.tilt.observe(frame.stamp_ns, frame.positions, frame.status)
                if self.fusion is not None:
                    self.alike.observe(one.index, frame)

    def reset(self) -> None:
        """Forget earlier messages, and what waits (the clock jumped back); the counters go on."""
        if self._queue is not None:
            self._queue.clear()
        self._unplaced.clear()
        if self.frames is not None and self.frames.tf is not None:
            self.frames.tf.clear()
        if self.fusion is not None:
            self.fusion.reset()
        self.alike.reset()
        for one in self.inputs:
            one.adapter.reset()
            one.clock.reset()
            one.sieve.reset()
            one.health.reset()
            one.steps.reset()
            one.tilt, one.newest = Tilt(), None

    def counters(self) -> Counter[str]:
        """What was dropped, marked or waited for; without the stamps' troubles, see `stamps`."""
        total: Counter[str] = Counter(self._queue.counters if self._queue is not None else {})
        tf = self.frames.tf if self.frames is not None else None
        tf = tf or next((i.adapter.tf for i in self.inputs if i.adapter.tf is not None), None)
        more: list[Any] = [*(i.adapter for i in self.inputs), *(i.sieve for i in self.inputs), self.fusion, tf]
        for told in more:
            total.update(told.counters if told is not None else {})
        return total

    def stamps(self) -> Counter[str]:
        """Frames by what was wrong with their stamps, of all inputs."""
        return sum((i.clock.counters for i in self.inputs), Counter())
