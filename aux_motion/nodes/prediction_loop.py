# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""From a message to a published prediction: what the predictor node does while it is active.

Messages become frames, `aux_motion_core.predictor` does the work, batches become messages. Work that must not delay a
prediction is done between frames or in the background.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import rclpy
from aux_motion_msgs.msg import PredictionArray, SelfCheck
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode
from visualization_msgs.msg import MarkerArray

from aux_motion.nodes import realtime
from aux_motion.nodes.conversion import PredictionWriter
from aux_motion.nodes.diagnostics import Diagnostics
from aux_motion.nodes.errors import one_line
from aux_motion.nodes.inputs import Source, Sources
from aux_motion.nodes.markers import marker_parts
from aux_motion.nodes.parameters import NodeParameters
from aux_motion.nodes.planner_outputs import PlannerOutputs
from aux_motion.nodes.qos import output_qos
from aux_motion.nodes.trace import Trace
from aux_motion_core.constants import NS
from aux_motion_core.predictor import Predictor
from aux_motion_core.space.frames import Ready
from aux_motion_core.types import PredictionBatch, ViewReason, ViewReport
from aux_motion_core.validity import judge

#: While the newest input is younger than this, more input is expected soon.
_BUSY_NS = NS // 5


#: So long the rest of a frame's work waits for those who were just sent the prediction, where they share this core: the
#: kernel wakes them here, behind whoever is running.
_GIVE_WAY_S = 1e-4
#: A clock that goes back by less is only corrected, seconds.
_BACK_S = 0.1


def arrival_ns(info: dict[str, int]) -> int:
    """When the middleware received a message (system clock); the present where it does not say."""
    now_ns = time.time_ns()
    received_ns = info.get("received_timestamp", 0)
    return received_ns if now_ns - NS < received_ns <= now_ns else now_ns


class PredictionLoop:
    """Inputs, predictor and outputs of a configured node. It does nothing until `start`.

    Args:
        node: has the subscriptions, publishers and timers; its clock is the time of the predictions.
        parameters: of the node.
        predictor: warmed up.
        outputs: for planners.
        diagnostics: counts what happens here.
        background: runs what must not delay a prediction.
        collector: of garbage, between frames.
        chores: called between frames.

    Attributes:
        active: whether input is taken and predictions are made.
        predictor: makes the predictions.
        sources: the inputs.
        self_check: publisher of the self-check's reports.
        trace: where what happened when is written; None: nowhere.

    Raises:
        AdapterError, FrameError, OSError: an input or the trace file cannot be used.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: NodeParameters,
        predictor: Predictor,
        outputs: PlannerOutputs,
        diagnostics: Diagnostics,
        background: realtime.Background,
        collector: realtime.Collector,
        chores: Callable[[], None],
    ) -> None:
        self._node, self._parameters, self.predictor, self._outputs = node, parameters, predictor, outputs
        self._diagnostics, self._background, self._collector, self._chores = diagnostics, background, collector, chores
        self.active = False
        self.trace: Trace | None = None
        self._publishers: list[Any] = []
        self._heartbeat: Any = None
        self._writer = PredictionWriter()
        self._newest_ns: int | None = None
        self._newest_at_ns = 0
        self._predicted_at: tuple[int, int] | None = None  # time of the last prediction, and on the steady clock
        self._offsets: deque[tuple[int, int, int]] = deque()  # by the second: begin, least and most time less steady
        self._reset_ns: int | None = time.monotonic_ns()  # who was there before is not known until the hold has passed
        self._next_markers_at = 0.0
        self.sources: Sources | None = None
        try:
            self.trace = Trace(parameters.trace_file) if parameters.trace_file else None
            self.sources = Sources(node, parameters, self._on_message, self._on_waited)
            self._predictions = self._publisher(PredictionArray, "predictions", output_qos(parameters.heartbeat_hz))
            self._markers = self._publisher(MarkerArray, "markers", 1)
            self.self_check = self._publisher(SelfCheck, "self_check", 1)
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._heartbeat = node.create_timer(1.0 / parameters.heartbeat_hz, self._on_heartbeat, clock=steady)
            self._heartbeat.cancel()  # until start
        except BaseException:
            self.close()
            raise

    def _publisher(self, kind: Any, topic: str, qos: Any) -> Any:
        self._publishers.append(self._node.create_lifecycle_publisher(kind, topic, qos))
        return self._publishers[-1]

    def configure(self, parameters: NodeParameters) -> None:
        """Use other values from now on, of the parameters that apply at once."""
        self._parameters = parameters
        self.predictor.configure(parameters)
        self.sources.configure(parameters)

    def start(self, first: bool = False) -> None:
        """Take input and predict; the node's publishers are active.

        Args:
            first: of this node's life, of which `assume_empty_at_start` speaks.
        """
        if first and self._parameters.assume_empty_at_start:
            self._reset_ns = None
        self.active = True
        self._heartbeat.reset()

    def stop(self) -> None:
        """Drop input from now on, and publish nothing."""
        self.active = False
        if self._heartbeat is not None:
            self._heartbeat.cancel()

    def reset(self) -> None:
        """Forget all people and what the input was."""
        self.predictor.reset()
        self.sources.reset()
        self._newest_ns = self._diagnostics.newest_stamp_ns = self._predicted_at = None
        self._reset_ns = time.monotonic_ns()
        self._diagnostics.resets += 1

    def close(self) -> None:
        """Give back what was made here."""
        self.active = False
        if self.trace is not None:
            self.trace.close()
            self.trace = None
        if self._heartbeat is not None:
            self._node.destroy_timer(self._heartbeat)
            self._heartbeat = None
        if self.sources is not None:
            self.sources.close()
            self.sources = None
        while self._publishers:
            self._node.destroy_lifecycle_publisher(self._publishers.pop())

    @property
    def busy(self) -> bool:
        """Whether input came so recently that more is expected soon."""
        return self.active and time.monotonic_ns() - self._newest_at_ns < _BUSY_NS

    def now_ns(self) -> int:
        """The time of a prediction: the node's clock, but never before the newest input.

        Under a paused simulation clock people would stay TRACKING for ever. So silence counts on the steady clock, up
        to a time between STALE and ABSENT: the input is said to be old, but nobody is forgotten meanwhile.
        """
        now_ns = self._node.get_clock().now().nanoseconds
        if self._newest_ns is None:
            return now_ns
        most_ns = int((self._parameters.stale_after_s + self._parameters.lost_after_s) / 2 * NS)
        silence_ns = time.monotonic_ns() - self._newest_at_ns
        return max(now_ns, self._newest_ns + min(silence_ns, most_ns))

    def _watch_clock(self, now_ns: int) -> None:
        """Time that goes forward at once (the clock was set, or the computer slept) ages people whom nobody looked for.

        They are forgotten by it, so who was there before is not known.
        """
        here_ns, before = time.monotonic_ns(), self._predicted_at
        self._predicted_at = None if self._newest_ns is None else (now_ns, here_ns)
        if before is None:
            self._offsets.clear()
            return
        p = self._parameters
        if self._node.get_clock().ros_time_is_active:  # simulated, it may be slow, fast or paused, and people with it
            step_ns, back_ns = (now_ns - before[0]) - (here_ns - before[1]), 0
        else:  # also in small steps, as long as anybody is kept
            step_ns, back_ns = self._drift(now_ns - here_ns, here_ns)
        # who went out of sight meanwhile would be younger by it
        went_back = -back_ns > int(max(p.stale_after_s, _BACK_S) * NS)
        if step_ns > int(p.reset_jump_s * NS) or went_back:
            self._reset_ns = here_ns
            self._offsets.clear()
            way, step_ns = ("back", -back_ns) if went_back else ("forward", step_ns)
            self._node.get_logger().warning(
                f"the time went {way} by {step_ns / NS:.1f} s (the clock of this computer or of the tracker "
                f"was set): the view is incomplete for {p.hold_s:g} s; keep the clocks synchronised",
                throttle_duration_sec=5.0,
            )

    def _drift(self, offset_ns: int, here_ns: int) -> tuple[int, int]:
        """How far the time went forward (at least 0) and back (at most 0) against the steady clock within the hold."""
        parts = self._offsets
        while parts and here_ns - parts[0][0] > int(self._parameters.hold_s * NS) + NS:
            parts.popleft()
        if parts and here_ns - parts[-1][0] < NS:
            begin_ns, least_ns, most_ns = parts[-1]
            parts[-1] = (begin_ns, min(least_ns, offset_ns), max(most_ns, offset_ns))
        else:
            parts.append((here_ns, offset_ns, offset_ns))
        return offset_ns - min(p[1] for p in parts), offset_ns - max(p[2] for p in parts)

    # Input

    def _on_message(self, source: Source, message: Any, info: Any) -> None:
        """Put every message that waits into its track, then make one prediction."""
        if not self.active:
            return
        self._background.busy()
        try:
            self._take(source, message, info)
        finally:
            self._background.idle()
        self._between_frames()

    def _take(self, source: Source, message: Any, info: Any) -> None:
        arrived_ns = arrival_ns(info)
        if self.trace is not None:
            self.trace.add("wait", self.trace.at(arrived_ns), time.perf_counter())
        usable = self._add(source, message, arrived_ns)
        for other, waiting, about in self.sources.waiting():
            arrived_ns = arrival_ns(about)
            self._diagnostics.superseded += usable
            usable = self._add(other, waiting, arrived_ns) or usable
        if usable:
            self._predict(arrived_ns)

    def _on_waited(self) -> None:
        """Take frames that waited for their transform, or that come by TF alone."""
        if not self.active:
            return
        self._background.busy()
        try:
            ready = self.sources.drain()
            usable = bool(ready) and self._enter(ready)
            if usable:
                self._predict(ready[-1].received_ns)
        finally:
            self._background.idle()
        if usable:
            self._between_frames()

    def _add(self, source: Source, message: Any, arrived_ns: int) -> bool:
        """Put one message into the tracks; False when it could not be used (yet), which is counted and named."""
        self._diagnostics.arrived()
        start = time.perf_counter()
        try:
            # the time of receipt on the clock of the predictions
            received_ns = self._node.get_clock().now().nanoseconds - (time.time_ns() - arrived_ns)
            ready = self.sources.accept(source, message, arrived_ns, received_ns)
        except Exception as error:  # a sender's mistake must never stop the node
            source.health.rejected(time.monotonic_ns(), self._parameters.hold_s)
            self._note_bad(error)
            return False
        usable = self._enter(ready)
        converted = time.perf_counter()
        self._diagnostics.stages["convert"].add(converted - start)
        if self.trace is not None:
            stamp_ns = ready[-1].frame.stamp_ns if usable and ready[-1].frame else 0
            self.trace.add("convert", start, converted, stamp_ns=stamp_ns)
        return usable

    def _enter(self, ready: list[Ready]) -> bool:
        """Put frames into the tracks; whether any could be used."""
        usable = False
        for item in ready:
            source = self.sources.all[item.source]
            if item.frame is None:  # the next frame of that tracker shows who was in this one
                source.health.rejected(time.monotonic_ns(), self._parameters.lost_after_s)
                self._diagnostics.frame_errors.note(str(item.error))
                self._error(self._diagnostics.frame_errors.last)
                continue
            try:
                self.predictor.add(item.frame)
            except Exception as error:
                source.health.rejected(time.monotonic_ns(), self._parameters.hold_s)
                self._note_bad(error)
                continue
            usable = True
            source.health.used(item.frame.stamp_ns, time.monotonic_ns())
            self._note_stamp(item.frame.stamp_ns)
        return usable

    def _error(self, line: str) -> None:
        self._node.get_logger().error(line, throttle_duration_sec=5.0)

    def _note_bad(self, error: Exception) -> None:
        self._diagnostics.bad_messages.note(f"bad message: {one_line(error)}")
        self._node.get_logger().warning(self._diagnostics.bad_messages.last, throttle_duration_sec=5.0)

    def _note_stamp(self, stamp_ns: int) -> None:
        back_ns = int(self._parameters.reset_jump_s * NS)
        if self._newest_ns is None or stamp_ns > self._newest_ns or stamp_ns < self._newest_ns - back_ns:
            self._newest_ns = self._diagnostics.newest_stamp_ns = stamp_ns
        self._newest_at_ns = time.monotonic_ns()

    # Output

    def _on_heartbeat(self) -> None:
        if self.active:
            self._predict()
            self._between_frames()

    def _predict(self, arrived_ns: int | None = None) -> None:
        """Predict and publish.

        Args:
            arrived_ns: when the input arrived that asks for it (system clock); None: a heartbeat asks for it.
        """
        diagnostics = self._diagnostics
        start = time.perf_counter()
        try:
            now_ns = self.now_ns()
            self._watch_clock(now_ns)
            batch = self.predictor.predict(now_ns)
            batch = replace(batch, view=self._view(now_ns))
            inferred = time.perf_counter()
            message = self._writer.fill(batch)
            written = time.perf_counter()
            if arrived_ns is not None:
                message.processing_time_s = max(0.0, (time.time_ns() - arrived_ns) / NS)
            self._predictions.publish(message)
        except Exception as error:  # say it and go on: the next input may do, and consumers see the silence
            if not rclpy.ok():
                raise
            diagnostics.prediction_errors.note(f"prediction failed: {' '.join(str(error).split())}")
            self._error(diagnostics.prediction_errors.last)
            return
        done = time.perf_counter()
        self._heartbeat.reset()
        diagnostics.predicted(batch)
        if arrived_ns is None:
            diagnostics.heartbeats += 1
        else:
            diagnostics.timed(self.predictor.stage_s, start, inferred, written, done)
            diagnostics.stages["end_to_end"].add(max(0, time.time_ns() - arrived_ns) / NS)
        if self.trace is not None:
            self.trace.add_prediction(self.predictor.stage_s, start, inferred, written, done, len(batch.people))
        self._publish_outputs(batch)
        if done >= self._next_markers_at and self._markers.get_subscription_count():
            self._next_markers_at = done + 1.0 / self._parameters.markers_max_rate_hz
            self._background.submit("markers", lambda: self._publish_markers(batch))

    def _publish_outputs(self, batch: PredictionBatch) -> None:
        """Messages for planners; what hides somebody is said where one of them is switched on."""
        if self._outputs.names and batch.view.reasons & ViewReason.PEOPLE_OVER_LIMIT:
            counters = self.predictor.counters
            self._error(
                f"{', '.join(self._outputs.names)} incomplete: somebody who was seen is not among the people "
                f"(people_over_limit {counters['people_over_limit']} of max_people {self._parameters.max_people}, "
                f"people_displaced {counters['people_displaced']}, stamp_too_old {counters['stamp_too_old']})"
            )
        self._outputs.publish(batch.as_shipped())

    def _view(self, now_ns: int) -> ViewReport:
        """How complete the view is that the prediction was made from."""
        reasons, unplaced = self.predictor.view_reasons(now_ns)
        if self._reset_ns is not None:
            if time.monotonic_ns() - self._reset_ns <= self._parameters.hold_s * NS:
                reasons |= ViewReason.RESET
            else:
                self._reset_ns = None
        # the time is never before the newest input: stamps that are ahead show on the node's own clock alone
        ahead_ns = 0 if self._newest_ns is None else self._newest_ns - self._node.get_clock().now().nanoseconds
        if ahead_ns > self._parameters.stale_after_s * NS:
            reasons |= ViewReason.INPUT_STAMPS
        return judge(self.sources.evidence(now_ns), reasons, unplaced)

    def _publish_markers(self, batch: PredictionBatch) -> Iterator[None]:
        """In the background, with breaks between people."""
        start = time.perf_counter()
        markers = []
        for part in marker_parts(batch):
            markers += part
            yield
        if self.active:
            self._markers.publish(MarkerArray(markers=markers))
            self._diagnostics.marker_arrays += 1
        if self.trace is not None:
            self.trace.add("markers", start, time.perf_counter())

    def _between_frames(self) -> None:
        """Do the work that must not delay a prediction."""
        time.sleep(_GIVE_WAY_S)
        start = time.perf_counter()
        try:
            self.predictor.settle()
        except Exception as error:  # it is about predictions that were published already
            self._diagnostics.prediction_errors.note(f"self-check failed: {' '.join(str(error).split())}")
            self._error(self._diagnostics.prediction_errors.last)
        settled = time.perf_counter()
        self.sources.between_frames()
        collected = self._collector.between_frames()
        trace = self.trace
        if trace is not None:
            trace.add("settle", start, settled)
            if collected:
                trace.add("collect garbage", settled, time.perf_counter())
            if trace.full():
                self._background.submit("trace", trace.flush)
        self._chores()
