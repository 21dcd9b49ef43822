"""The lifecycle node `aux_motion_predictor`: skeletons in, predictions, markers and diagnostics out.

Thin: messages become frames, `aux_motion_core.predictor` does the work, batches become messages.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import rclpy
from aux_motion_msgs.msg import PredictionArray, SelfCheck
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from visualization_msgs.msg import MarkerArray

from aux_motion.nodes import parameters as node_parameters
from aux_motion.nodes import realtime, spinning
from aux_motion.nodes.conversion import PredictionWriter, self_check_message
from aux_motion.nodes.diagnostics import Diagnostics
from aux_motion.nodes.executor import InputExecutor
from aux_motion.nodes.inputs import INPUT_DEPTH, Source, Sources, input_qos
from aux_motion.nodes.markers import marker_parts
from aux_motion.nodes.parameters import NodeParameters, ParameterError
from aux_motion.nodes.planner_outputs import Outputs
from aux_motion.nodes.trace import Trace
from aux_motion_core.inference import MODEL_BACKENDS, make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.space.frames import Ready
from aux_motion_core.types import PredictionBatch

NODE_NAME = "aux_motion_predictor"
_NS = 1_000_000_000
#: Messages that came this recently go on coming.
_BUSY_NS = _NS // 5
__all__ = ["INPUT_DEPTH", "NODE_NAME", "PredictorNode", "input_qos", "main", "output_qos", "spin"]


def output_qos(heartbeat_hz: float) -> QoSProfile:
    """QoS of the predictions: reliable, keep last 1, deadline of two heartbeats, liveliness lease of four.

    Liveliness is asserted by publishing, so a node that hangs loses it, not only one that dies.
    """
    period_s = 1.0 / heartbeat_hz
    return QoSProfile(
        depth=1,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
        deadline=Duration(seconds=2 * period_s),
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        liveliness_lease_duration=Duration(seconds=4 * period_s),
    )


class PredictorNode(LifecycleNode):
    """See the module."""

    def __init__(self, overrides: dict[str, Any] | None = None) -> None:
        """Declare parameters and start the diagnostics; everything else waits for configure.

        Args:
            overrides: parameter values that win over files and arguments.

        Raises:
            ParameterError: a parameter has the wrong type or is out of range.
        """
        given = [Parameter(name, value=value) for name, value in (overrides or {}).items()]
        super().__init__(NODE_NAME, parameter_overrides=given)
        self._diagnostics = Diagnostics(self.get_fully_qualified_name().lstrip("/"))
        self.parameters: NodeParameters | None = None
        self._predictor: Predictor | None = None
        self._sources: Sources | None = None
        self._outputs: Outputs | None = None
        self._made: list[Any] = []  # publishers of configure
        self._active = False
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._heartbeat: Any = None
        self._trace: Trace | None = None
        self._writer = PredictionWriter()
        self._collector = realtime.Collector()
        self._background = realtime.Background(self._on_background_error)
        node_parameters.declare(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._newest_ns: int | None = None
        self._newest_at_ns = 0
        self._next_markers_at = 0.0
        self._chores_due = False
        self._diagnostics_publisher = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._diagnostics_timer = self.create_timer(1.0, self._once_a_second, clock=self._steady)
        self._jump = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1.0), on_clock_change=True),
            post_callback=self._on_clock_jump,
        )

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load the model, warm it up, make publishers and the subscription."""
        self._diagnostics.failure, backend = "", None
        try:
            parameters = node_parameters.validate(node_parameters.read(self))
            folder = parameters.model_dir or str(node_parameters.default_model_dir())
            backend = make_backend(
                parameters.backend,
                folder,
                threads=parameters.threads,
                engine_dir=parameters.engine_dir,
                deadline_s=parameters.gpu_deadline_s,
            )
            predictor = Predictor(backend, parameters, parameters.fixed_frame.lstrip("/"))
            predictor.warm_up()
            self._trace = Trace(parameters.trace_file) if parameters.trace_file else None
            self._outputs = Outputs(self, parameters, self._background)
            self._sources = sources = Sources(self, parameters, self._on_message, self._on_waited)
            self._predictions = self._publisher(PredictionArray, "predictions", output_qos(parameters.heartbeat_hz))
            self._markers = self._publisher(MarkerArray, "markers", 1)
            self._self_check = self._publisher(SelfCheck, "self_check", 1)
        except Exception as error:  # whatever is wrong with a model or an option: one line, never a traceback
            if backend is not None:
                backend.close()
            self._release()
            return self._refuse(error)
        self.parameters = parameters
        self._diagnostics.clock = sources.all[0].clock
        self._predictor = predictor
        self._diagnostics.about = {
            "model": backend.name,
            "model_version": backend.version,
            "model_dir": folder if parameters.backend in MODEL_BACKENDS else "",
            "fixed_frame": predictor.fixed_frame,
            "input_topic": sources.topics,
        }
        self._diagnostics.backend = backend
        self._heartbeat = self.create_timer(1.0 / parameters.heartbeat_hz, self._on_heartbeat, clock=self._steady)
        self._heartbeat.cancel()  # until activate
        self._diagnostics.lifecycle = "inactive"
        self.get_logger().info(
            f"configured: {backend.name} {backend.version} on {backend.about['backend']}, predictions in frame "
            f"{predictor.fixed_frame!r} from {self._diagnostics.about['input_topic']}"
        )
        if "fallback" in backend.about:
            self.get_logger().warning(f"the CPU predicts: {backend.about['fallback']}")
        if predictor.uncalibrated_because:
            self.get_logger().warning(predictor.uncalibrated_because)
        return super().on_configure(state)

    def _publisher(self, kind: Any, topic: str, qos: Any) -> Any:
        self._made.append(self.create_lifecycle_publisher(kind, topic, qos))
        return self._made[-1]

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to take input in and to predict, with no memory of people from before."""
        try:
            self._predictor.backend.open()
            self._predictor.warm_up()
        except Exception as error:  # the model's file went away meanwhile
            return self._refuse(error, "activate")
        self._diagnostics.failure = ""
        self._reset()
        result = super().on_activate(state)
        self._active = True
        self._heartbeat.reset()
        self._diagnostics.lifecycle = "active"
        self._ask_the_kernel()
        self._collector.start()  # last: what lives now lives on, and later collections skip it
        return result

    def _ask_the_kernel(self) -> None:
        p, asked = self.parameters, {}
        if p.cpu_affinity or p.realtime_priority or p.lock_memory:
            asked = realtime.apply(p.cpu_affinity, p.realtime_priority, p.lock_memory, self._background.thread)
        for name, answer in asked.items():
            log = self.get_logger().warning if answer.startswith("refused") else self.get_logger().info
            log(f"{name} {answer}")
        if self._trace is not None:
            asked["trace_file"] = str(self._trace.file)
        self._diagnostics.realtime = asked

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop predicting; input is dropped, the model and a GPU are given back until the next activate."""
        self._active = False
        self._heartbeat.cancel()
        self._collector.stop()
        self._background.drop()
        self._outputs.clear(self._predictor.fixed_frame, self._now_ns())
        self._predictor.backend.close()
        self._diagnostics.lifecycle = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back the model and everything that configure made."""
        self._release()
        self._diagnostics.lifecycle = "unconfigured"
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give back everything; nothing is published after this."""
        if self._active:
            self._active = False
            self._background.drop()
            self._outputs.clear(self._predictor.fixed_frame, self._now_ns())
        self._release()
        self._diagnostics.lifecycle = "finalized"
        return super().on_shutdown(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an error in a transition: back to unconfigured."""
        self._release()
        self._diagnostics.lifecycle = "unconfigured"
        return super().on_error(state)

    @property
    def failure(self) -> str:
        """Why the last configure failed; empty when it did not."""
        return self._diagnostics.failure

    def inputs(self) -> list[Any]:
        """The subscriptions that predictions are made from."""
        return [] if self._sources is None else [s.subscription for s in self._sources.all]

    def start(self) -> bool:
        """Configure and activate, as `autostart` asks; False when that failed."""
        if self.trigger_configure() != TransitionCallbackReturn.SUCCESS:
            return False
        return self.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def _refuse(self, error: Exception, transition: str = "configure") -> TransitionCallbackReturn:
        line = " ".join(str(error).split()) or type(error).__name__
        self._diagnostics.failure = f"{transition} failed: {line}"
        self.get_logger().error(self._diagnostics.failure)
        return TransitionCallbackReturn.FAILURE

    def destroy_node(self) -> None:
        """Give back everything."""
        self._release()
        self._background.close()
        super().destroy_node()

    def _release(self) -> None:
        self._active = False
        self._collector.stop()
        self._background.drop()
        if self._trace is not None:
            self._trace.close()
            self._trace = None
        if self._diagnostics.realtime:
            realtime.release()
            self._diagnostics.realtime = {}
        if self._heartbeat is not None:
            self.destroy_timer(self._heartbeat)
            self._heartbeat = None
        if self._sources is not None:
            self._sources.close()
            self._sources = None
        if self._outputs is not None:
            self._outputs.close()
            self._outputs = None
        while self._made:
            self.destroy_lifecycle_publisher(self._made.pop())
        if self._predictor is not None:
            self._predictor.backend.close()
        self._predictor = self._diagnostics.backend = self._diagnostics.fit = None

    # Parameters

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        ours = {p.name: p.value for p in changed if p.name in NodeParameters.model_fields}
        if not ours:
            return SetParametersResult(successful=True)
        late = [name for name in ours if node_parameters.flag(name, "at_configure")]
        if late and self._predictor is not None:
            reason = f"{', '.join(late)} applies at configure: deactivate and clean up the node first"
            return SetParametersResult(successful=False, reason=reason)
        try:
            parameters = node_parameters.validate({**node_parameters.read(self), **ours})
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._predictor is not None:
            self.parameters = parameters
            self._predictor.configure(parameters)
            self._sources.configure(parameters)
        return SetParametersResult(successful=True)

    # Data

    def _on_message(self, source: Source, message: Any, info: Any) -> None:
        """Every message that waits enters its track; then one prediction is made."""
        if not self._active:
            return
        self._background.busy()
        try:
            self._take(source, message, info)
        finally:
            self._background.idle()
        self._between_frames()

    def _take(self, source: Source, message: Any, info: Any) -> None:
        arrived_ns = self._arrival_ns(info)
        if self._trace is not None:
            self._trace.add("wait", self._trace.at(arrived_ns), time.perf_counter())
        usable = self._add(source, message, arrived_ns)
        for other, waiting, about in self._sources.waiting():
            arrived_ns = self._arrival_ns(about)
            self._diagnostics.superseded += usable
            usable = self._add(other, waiting, arrived_ns) or usable
        if usable:
            self._predict(arrived_ns)

    def _on_waited(self) -> None:
        """Frames that waited for their transform, or that come by TF alone."""
        if not self._active:
            return
        self._background.busy()
        try:
            ready = self._sources.drain()
            usable = bool(ready) and self._enter(ready)
            if usable:
                self._predict(ready[-1].received_ns)
        finally:
            self._background.idle()
        if usable:
            self._between_frames()

    def _between_frames(self) -> None:
        """What need not be done while a person waits for a prediction."""
        start = time.perf_counter()
        self._predictor.settle()
        settled = time.perf_counter()
        self._sources.between_frames()
        collected = self._collector.between_frames()
        trace = self._trace
        if trace is not None:
            trace.add("settle", start, settled)
            if collected:
                trace.add("collect garbage", settled, time.perf_counter())
            if trace.full():
                self._background.submit("trace", trace.flush)
        if self._chores_due:
            self._chores()

    @staticmethod
    def _arrival_ns(info: dict[str, int]) -> int:
        """When the middleware received the message (system clock), or now where it does not say."""
        now_ns = time.time_ns()
        received_ns = info.get("received_timestamp", 0)
        return received_ns if now_ns - _NS < received_ns <= now_ns else now_ns

    def _add(self, source: Source, message: Any, arrived_ns: int) -> bool:
        """Put one message into the tracks; False when it could not be used (yet), which is counted and named."""
        diagnostics = self._diagnostics
        diagnostics.arrived()
        start = time.perf_counter()
        try:
            # the time of receipt on the clock of the predictions
            received_ns = self.get_clock().now().nanoseconds - (time.time_ns() - arrived_ns)
            ready = self._sources.accept(source, message, arrived_ns, received_ns)
        except Exception as error:  # a sender's mistake must never stop the node
            self._note_bad(error)
            return False
        usable = self._enter(ready)
        converted = time.perf_counter()
        diagnostics.stages["convert"].add(converted - start)
        if self._trace is not None:
            stamp_ns = ready[-1].frame.stamp_ns if usable and ready[-1].frame else 0
            self._trace.add("convert", start, converted, stamp_ns=stamp_ns)
        return usable

    def _enter(self, ready: list[Ready]) -> bool:
        """Put frames into the tracks; whether any could be used."""
        usable = False
        for item in ready:
            if item.frame is None:
                self._diagnostics.frame_errors.note(str(item.error))
                self.get_logger().error(self._diagnostics.frame_errors.last, throttle_duration_sec=5.0)
                continue
            try:
                self._predictor.add(item.frame)
            except Exception as error:
                self._note_bad(error)
                continue
            usable = True
            self._sources.all[item.source].heard_ns = time.monotonic_ns()
            self._note_stamp(item.frame.stamp_ns)
        return usable

    def _note_bad(self, error: Exception) -> None:
        self._diagnostics.bad_messages.note(f"bad message: {' '.join(str(error).split()) or type(error).__name__}")
        self.get_logger().warning(self._diagnostics.bad_messages.last, throttle_duration_sec=5.0)

    def _note_stamp(self, stamp_ns: int) -> None:
        back_ns = int(self.parameters.reset_jump_s * _NS)
        if self._newest_ns is None or stamp_ns > self._newest_ns or stamp_ns < self._newest_ns - back_ns:
            self._newest_ns = self._diagnostics.newest_stamp_ns = stamp_ns
        self._newest_at_ns = time.monotonic_ns()

    def _now_ns(self) -> int:
        """The time of a prediction: the node's clock, but never before the newest input.

        A paused simulation clock would keep people TRACKING for ever. So silence counts on the steady clock,
        up to between STALE and ABSENT: the input is said to be old, but nobody is forgotten meanwhile.
        """
        now_ns = self.get_clock().now().nanoseconds
        if self._newest_ns is None:
            return now_ns
        most_ns = int((self.parameters.stale_after_s + self.parameters.lost_after_s) / 2 * _NS)
        silence_ns = time.monotonic_ns() - self._newest_at_ns
        return max(now_ns, self._newest_ns + min(silence_ns, most_ns))

    def _predict(self, arrived_ns: int | None = None) -> None:
        """Predict and publish; `arrived_ns` (system clock) of the input that asks for it, or a heartbeat."""
        diagnostics = self._diagnostics
        start = time.perf_counter()
        try:
            batch = self._predictor.predict(self._now_ns())
            inferred = time.perf_counter()
            message = self._writer.fill(batch)
            written = time.perf_counter()
            if arrived_ns is not None:
                message.processing_time_s = max(0.0, (time.time_ns() - arrived_ns) / _NS)
            self._predictions.publish(message)
        except Exception as error:  # say it and go on: the next input may do, and consumers see the silence
            if not rclpy.ok():
                raise
            diagnostics.prediction_errors.note(f"prediction failed: {' '.join(str(error).split())}")
            self.get_logger().error(diagnostics.prediction_errors.last, throttle_duration_sec=5.0)
            return
        done = time.perf_counter()
        self._heartbeat.reset()
        diagnostics.predicted(batch)
        if arrived_ns is None:
            diagnostics.heartbeats += 1
        else:
            stages = diagnostics.stages
            for name, seconds in self._predictor.stage_s.items():
                stages[name].add(seconds)
            stages["inference"].add(inferred - start)
            stages["message"].add(written - inferred)
            stages["publish"].add(done - written)
            stages["end_to_end"].add(max(0, time.time_ns() - arrived_ns) / _NS)
        if self._trace is not None:
            self._trace_prediction(start, inferred, written, done, len(batch.people))
        self._publish_outputs(batch)
        if done >= self._next_markers_at and self._markers.get_subscription_count():
            self._next_markers_at = done + 1.0 / self.parameters.markers_max_rate_hz
            self._background.submit("markers", lambda: self._publish_markers(batch))

    def _publish_outputs(self, batch: PredictionBatch) -> None:
        """A planner must not take a silent tracker, an unknown frame or a missing place for "nobody is there"."""
        if self._predictor.overlooked_until_ns is not None:
            if self._outputs.names:
                counters = self._predictor.counters
                self.get_logger().error(
                    f"{', '.join(self._outputs.names)} silent: somebody who was seen is not among the people "
                    f"(people_over_limit {counters['people_over_limit']} of max_people {self.parameters.max_people}, "
                    f"people_displaced {counters['people_displaced']}, stamp_too_old {counters['stamp_too_old']})",
                    throttle_duration_sec=5.0,
                )
            return
        heard = self._sources.heard(self.parameters.lost_after_s)
        if batch.people or (all(heard) and self._diagnostics.input_is_well(self.parameters.lost_after_s)):
            self._outputs.publish(batch, seeing=any(heard))

    def _trace_prediction(self, start: float, inferred: float, written: float, done: float, people: int) -> None:
        trace = self._trace
        trace.add("predict", start, inferred, people=people)
        at = inferred - sum(self._predictor.stage_s.values())
        for name, seconds in self._predictor.stage_s.items():  # in the order in which they ran
            trace.add(name, at, at + seconds)
            at += seconds
        trace.add("message", inferred, written)
        trace.add("publish", written, done)

    def _publish_markers(self, batch: PredictionBatch) -> Iterator[None]:
        """In the background, with breaks between people."""
        start = time.perf_counter()
        parts = marker_parts(batch)
        markers = []
        for part in parts:
            markers += part
            yield
        if self._active:
            self._markers.publish(MarkerArray(markers=markers))
            self._diagnostics.marker_arrays += 1
        if self._trace is not None:
            self._trace.add("markers", start, time.perf_counter())

    def _on_background_error(self, job: str, error: Exception) -> None:
        if rclpy.ok():
            line = f"{job}: {' '.join(str(error).split()) or type(error).__name__}"
            self.get_logger().error(line, throttle_duration_sec=5.0)

    def _on_heartbeat(self) -> None:
        if self._active:
            self._predict()
            self._between_frames()

    def _on_clock_jump(self, jump: Any) -> None:
        """The node's clock went back (a bag starts again) or changed its kind: tracks are of another time."""
        if self._predictor is not None:
            self.get_logger().info("the clock jumped back: all tracks start again")
            self._reset()

    def _reset(self) -> None:
        self._predictor.reset()
        self._sources.reset()
        self._newest_ns = self._diagnostics.newest_stamp_ns = None
        self._diagnostics.resets += 1

    def _once_a_second(self) -> None:
        """While messages come, chores wait until a prediction was published, so that they delay none."""
        if self._active and time.monotonic_ns() - self._newest_at_ns < _BUSY_NS:
            self._chores_due = True
        else:
            self._chores()

    def _chores(self) -> None:
        self._chores_due = False
        start = time.perf_counter()
        trace = self._trace
        if trace is not None:
            self._background.submit("trace", trace.flush)
            if trace.trouble:
                self._diagnostics.realtime["trace_file"] = f"{trace.file} ended early: {trace.trouble}"
        if self._predictor is not None:
            self._sources.check()
            self._diagnostics.counters = Counter(self._predictor.counters) + self._sources.counters()
            self._diagnostics.source_trouble = self._sources.trouble()
            self._diagnostics.source_values = self._sources.values()
            fit = self._diagnostics.fit = self._predictor.fit(self.get_clock().now().nanoseconds)
            self._diagnostics.bounds = self._predictor.about_bounds()
            if fit is not None and self._active and self._self_check.get_subscription_count():
                self._background.submit("self_check", lambda: self._self_check.publish(self_check_message(fit)))
        if self._diagnostics_publisher.get_subscription_count():
            self._background.submit("diagnostics", self._report)
        if trace is not None:
            trace.add("chores", start, time.perf_counter())

    def _report(self) -> None:
        """In the background."""
        start = time.perf_counter()
        self._diagnostics_publisher.publish(self._diagnostics.report(self.get_clock().now().nanoseconds))
        if self._trace is not None:
            self._trace.add("diagnostics", start, time.perf_counter())


def spin(arguments: list[str] | None = None, overrides: dict[str, Any] | None = None, needs_start: bool = False) -> int:
    """Run the node until SIGINT or SIGTERM.

    Args:
        arguments: command line with ROS arguments; None: the process' own.
        overrides: parameter values that win over files and arguments.
        needs_start: give up when `autostart` cannot configure or activate, instead of waiting for a manager.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not start.
    """

    def run(node: PredictorNode) -> int | None:
        if node.get_parameter("autostart").value:
            if not node.start() and needs_start and rclpy.ok():  # else a signal came
                return 1
        else:
            node.get_logger().info("unconfigured: waits for a lifecycle manager (or set the parameter autostart)")
        return spinning.spin(InputExecutor(node, node.inputs))

    return spinning.until_signal(NODE_NAME, arguments, lambda: PredictorNode(overrides), run)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the executable `aux_motion_predictor`."""
    sys.exit(spin(arguments))


if __name__ == "__main__":
    main()
