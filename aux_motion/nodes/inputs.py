# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The node's inputs: one tracker per topic, its QoS matched, its frames on their way to the fixed frame.

No call here waits: a frame whose transform is not there yet stays in a queue, and a timer looks after it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

from aux_motion.nodes.parameters import NodeParameters
from aux_motion.nodes.qos import INPUT_DEPTH, describe, input_qos
from aux_motion.nodes.transform_listener import (
    FrameError,
    Frames,
    TfListener,
    static_transforms,
    tf_message_type,
)
from aux_motion_core import trackers
from aux_motion_core.space.frames import Ready
from aux_motion_core.space.tf import TfBuffer
from aux_motion_core.trackers import Adapter, AdapterError
from aux_motion_core.trackers.pipeline import Input, Pipeline, adapters
from aux_motion_core.types import InputEvidence, SkeletonFrame
from aux_motion_core.wire.clock import StampClock

#: Topics that the node always publishes, or may.
_OUTPUTS = ("predictions", "markers", "self_check", "occupancy", "occupancy_markers")
#: How often frames that wait for their transform are looked at, seconds.
_POLL_S = 0.005
#: So long after TF was first listened to, frames wait for its first messages, seconds.
_TF_START_S = 2.0


def message_class(kind: type[Adapter]) -> tuple[str, Any]:
    """Type and class of a tracker's messages; under an earlier name where only that package is installed.

    Raises:
        AdapterError: no package is installed; says which to install.
    """
    for msgtype in kind.types():
        if (found := _imported(msgtype)) is not None:
            return msgtype, found
    raise AdapterError(f"tracker {kind.name} sends {kind.msgtype}, which is not installed: {kind.install}")


def _imported(msgtype: str) -> Any | None:
    package, _, name = msgtype.split("/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        return None


@dataclass(kw_only=True)
class Source(Input):
    """An input of the node.

    Attributes:
        topic: resolved name.
        msgtype: type that is subscribed to.
        kind: message class.
        qos: in use.
        subscription: of rclpy.
        mismatch: why nothing may come of it, in one line; empty: nothing is wrong.
    """

    topic: str
    msgtype: str
    kind: Any
    qos: QoSProfile
    subscription: Any = None
    mismatch: str = ""


class Sources:
    """All inputs of a node.

    Args:
        node: has the subscriptions.
        parameters: of the node.
        on_message: called with source, message and info for each message.
        on_waited: called when frames may have got their transform: then ask `drain`.

    Raises:
        AdapterError: a tracker that cannot be used.
        FrameError: a static transform that is none.
    """

    def __init__(
        self,
        node: Any,
        parameters: NodeParameters,
        on_message: Callable[[Source, Any, Any], None],
        on_waited: Callable[[], None],
    ) -> None:
        self._node, self._parameters, self._on_message = node, parameters, on_message
        planned = [(topic, adapter, message_class(type(adapter))) for topic, adapter in adapters(parameters)]
        self._refuse_own_outputs([topic for topic, _, _ in planned])
        tf, no_tf = None, ""
        try:
            tf_message_type()
            tf = TfBuffer()
        except ImportError as error:
            no_tf = str(error)
        self.frames = Frames(
            parameters.fixed_frame,
            parameters.static_transform_frame,
            parameters.static_transform,
            more=static_transforms(parameters.given("static_transforms")),
            tf=tf,
            no_tf=no_tf,
        )
        self._listener: TfListener | None = None
        self._listening_since = float("-inf")
        for _, adapter, _ in planned:
            if adapter.needs_tf and tf is None:
                raise AdapterError(f"tracker {adapter.name} sends its joints by TF, which is not available ({no_tf})")
        self._polled = [adapter.needs_tf for _, adapter, _ in planned]
        self.all = [
            Source(
                index=index,
                adapter=adapter,
                clock=StampClock(parameters.stamp_source),
                topic=node.resolve_topic_name(topic),
                msgtype=msgtype,
                kind=kind,
                qos=input_qos(),
            )
            for index, (topic, adapter, (msgtype, kind)) in enumerate(planned)
        ]
        for source in self.all:
            source.configure(parameters)
        self._pipeline = Pipeline(self.all, self.frames, parameters.stamp_latency_s, parameters.merge_inputs)
        if tf is not None:
            self._pipeline.feed(tf)
        self._timer = node.create_timer(_POLL_S, on_waited, clock=Clock(clock_type=ClockType.STEADY_TIME))
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _refuse_own_outputs(self, topics: list[str]) -> None:
        """A topic has one type: the tracker's messages cannot come on one that this node publishes."""
        own = {self._node.resolve_topic_name(name): name for name in _OUTPUTS}
        for topic in map(self._node.resolve_topic_name, topics):
            if topic in own:
                raise AdapterError(
                    f"input topic {topic} is an output of this node: let the tracker send on another one (remap its "
                    f"{own[topic]}), or start this node in a namespace"
                )

    def _open(self) -> None:
        for source in self.all:
            self._subscribe(source)
        if any(self._polled):
            self._listen()
        else:
            self._timer.cancel()  # until something waits
        self.check()

    def configure(self, parameters: NodeParameters) -> None:
        """Use other values from now on (`tf_timeout_s`, `stamp_latency_s`, `min_confidence`)."""
        for source in self.all:
            source.configure(parameters)
        self._parameters, self._pipeline.stamp_latency_s = parameters, parameters.stamp_latency_s

    @property
    def topics(self) -> str:
        """The topics, for people."""
        return ", ".join(s.topic for s in self.all)

    # Messages

    def accept(self, source: Source, message: Any, arrived_ns: int, received_ns: int) -> list[Ready]:
        """Take a message in.

        Args:
            source: it came by.
            message: of the tracker; bytes where its adapter takes them.
            arrived_ns: goes with its frames.
            received_ns: time of receipt on the clock of the predictions.

        Returns:
            All frames that can go on now, of whatever message.

        Raises:
            ValueError: the message cannot be used.
        """
        frames = None
        if source.adapter.takes_bytes:
            frames = source.adapter.frames_of_bytes(message)
            message = deserialize_message(message, source.kind) if frames is None else None
        self._push(source, source.adapter.frames(message) if frames is None else frames, arrived_ns, received_ns)
        return self.drain()

    def _push(self, source: Source, frames: list[SkeletonFrame], arrived_ns: int, received_ns: int) -> None:
        self._pipeline.push(source, frames, arrived_ns, received_ns, time.monotonic_ns())
        if self._listener is None and self.frames.tf is not None and self.frames.needs_tf(source.frame_id):
            self._listen()

    def drain(self) -> list[Ready]:
        """Frames that can go on now, in order per source, in the fixed frame and with common ids."""
        out: list[Ready] = []
        if self._listener is not None:
            self._listener.poll()
            for source in self.all:
                if self._polled[source.index]:
                    now_ns = time.time_ns()
                    try:
                        received_ns = self._node.get_clock().now().nanoseconds
                        self._push(source, source.adapter.poll(), now_ns, received_ns)
                    except ValueError as error:  # a stamp that is none
                        out.append(Ready(source.index, now_ns, None, FrameError(str(error))))
        if not self._pipeline.waiting:
            return out
        timeout_s = self._parameters.tf_timeout_s
        if time.monotonic() - self._listening_since < _TF_START_S:
            timeout_s = max(timeout_s, _TF_START_S)
        out += self._pipeline.drain(time.monotonic_ns(), timeout_s)
        if not any(self._polled):
            if not self._pipeline.waiting:
                self._timer.cancel()
            elif self._timer.is_canceled():
                self._timer.reset()
        return out

    def waiting(self) -> Iterator[tuple[Source, Any, Any]]:
        """Messages that came meanwhile, as (source, message, info)."""
        for source in self.all:
            subscription = source.subscription
            for _ in range(INPUT_DEPTH):
                with subscription.handle:
                    taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
                if taken is None:
                    break
                yield source, *taken

    def evidence(self, now_ns: int) -> list[InputEvidence]:
        """Of each source, what it is good for now; see `InputHealth.evidence`.

        Args:
            now_ns: the present, on the clock of the stamps.
        """
        p, here_ns = self._parameters, time.monotonic_ns()
        return [s.health.evidence(now_ns, here_ns, p.stale_after_s, p.hold_s, p.confirm_frames) for s in self.all]

    def between_frames(self) -> None:
        """What need not be done while a person waits for a prediction."""
        self._pipeline.between_frames()

    def reset(self) -> None:
        """Forget what was, and what waits: the clock jumped back, or the node was activated."""
        self._pipeline.reset()

    # TF and QoS

    def _listen(self) -> None:
        self._listener = TfListener(self._node, self.frames.tf)
        self._listening_since = time.monotonic()

    def _subscribe(self, source: Source) -> None:
        before = source.subscription
        source.subscription = self._node.create_subscription(
            source.kind, source.topic, partial(self._on_message, source), source.qos, raw=source.adapter.takes_bytes
        )
        if before is not None:
            self._node.destroy_subscription(before)

    def check(self) -> None:
        """Look at the publishers: match their QoS, note what cannot match. Call it about once a second."""
        if self._listener is not None:
            self._listener.check()
        for source in self.all:
            infos = self._node.get_publishers_info_by_topic(source.topic)
            self._follow(source, {i.topic_type for i in infos})
            right = [i for i in infos if i.topic_type in ("", source.msgtype)]
            source.mismatch = self._mismatch(source, infos, right)
            if not right:
                continue
            # an endpoint that tells no policy may have any: ask for the least
            reliable = all(i.qos_profile.reliability == ReliabilityPolicy.RELIABLE for i in right)
            latched = all(i.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for i in right)
            wanted = input_qos(
                ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
                DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
            )
            if (wanted.reliability, wanted.durability) != (source.qos.reliability, source.qos.durability):
                source.qos = wanted
                self._subscribe(source)
                self._node.get_logger().info(f"{source.topic}: subscribed as {describe(wanted)}, as it is published")

    def _follow(self, source: Source, published: set[str]) -> None:
        """Subscribe to the type under which the tracker's package sends, where that is an earlier or newer one."""
        if not published or source.msgtype in published:
            return
        adapter = source.adapter
        for msgtype in (*adapter.types(), *sorted(filter(adapter.takes, published))):
            if msgtype in published and (kind := _imported(msgtype)) is not None:
                source.msgtype, source.kind = msgtype, kind
                self._node.destroy_subscription(source.subscription)  # DDS: one type for each topic of a process
                source.subscription = None
                self._subscribe(source)
                self._node.get_logger().info(f"{source.topic}: subscribed to {msgtype}, as it is published")
                return

    @staticmethod
    def _mismatch(source: Source, infos: list[Any], right: list[Any]) -> str:
        if right or not infos:
            return ""
        other = sorted({i.topic_type for i in infos})
        names = [name for kind in other for name in trackers.for_type(kind)]
        hint = f"set tracker to {' or '.join(names)}" if names else "check input_topic and tracker"
        if absent := [t for t in other if t in source.adapter.types()]:
            hint = f"source the workspace of {', '.join(t.partition('/')[0] for t in absent)}"
        return (
            f"no publisher on {source.topic} matches: expected {source.msgtype} (tracker "
            f"{source.adapter.name}), it carries {', '.join(other)}; {hint}"
        )

    # Diagnostics

    def trouble(self) -> str:
        """What is wrong with the inputs, in one line; empty: nothing is."""
        for source in self.all:
            line = source.mismatch or source.trouble()
            if line:
                return line if len(self.all) == 1 or source.topic in line else f"{source.topic}: {line}"
        for source in self.all:
            if names := source.health.unplaced:
                shown = ", ".join(names[:5])
                return f"{source.topic}: reported without a place that can be used: {shown}; nobody is taken for gone"
        if line := self._pipeline.alike.trouble():
            return line
        clocks = (f"{s.topic}: {line}" for s in self.all[1:] if (line := s.clock.trouble()))
        return next(clocks, "") or next(filter(None, (self.frames.remark(s.frame_id) for s in self.all)), "")

    def counters(self) -> Counter[str]:
        """What was dropped, marked or waited for; the first source's stamps count by themselves."""
        total = self._pipeline.counters()
        for source in self.all[1:]:
            total.update(source.clock.counters)
        return total

    def values(self) -> dict[str, object]:
        """About the inputs, for the diagnostics."""
        tilts = [s.tilt.degrees for s in self.all]
        return {
            "tilt_deg": ", ".join("unknown" if t is None else f"{t:.1f}" for t in tilts),
            "tracker": ", ".join(s.adapter.name for s in self.all),
            "input_qos": ", ".join(describe(s.qos) for s in self.all),
            "waiting_for_tf": self._pipeline.waiting,
            "reported_without_place": ", ".join(n for s in self.all for n in s.health.unplaced),
        }

    def close(self) -> None:
        """Give everything back."""
        self._node.destroy_timer(self._timer)
        for source in self.all:
            self._node.destroy_subscription(source.subscription)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
