# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The lifecycle node `aux_motion_predictor`: skeletons in, predictions, markers and diagnostics out.

This module is the lifecycle: what is made, given back and refused when. `prediction_loop` is what happens in between.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import rclpy
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from aux_motion.nodes import declaration, realtime, spinning
from aux_motion.nodes.autostart import Autostart
from aux_motion.nodes.declaration import ParameterError
from aux_motion.nodes.diagnostics import Diagnostics
from aux_motion.nodes.errors import one_line
from aux_motion.nodes.executor import InputExecutor
from aux_motion.nodes.given import unknown_names, without_section
from aux_motion.nodes.learned import Learned
from aux_motion.nodes.parameters import NodeParameters, default_model_dir, validate
from aux_motion.nodes.planner_outputs import PlannerOutputs
from aux_motion.nodes.prediction_loop import PredictionLoop
from aux_motion.nodes.reporting import Reporting
from aux_motion_core import solvers
from aux_motion_core.inference.artefact import Artefact
from aux_motion_core.inference.factory import MODEL_BACKENDS, make_backend
from aux_motion_core.inference.interface import Backend
from aux_motion_core.predictor import Predictor

if TYPE_CHECKING:
    from aux_motion_core.inference.build import Windows

NODE_NAME = "aux_motion_predictor"


def _sample_windows(artefact: Artefact) -> Windows | None:
    """Real windows for an engine that `auto` builds; bags are read for nothing else here."""
    from aux_motion_core.evaluation.windows import sample_windows

    return sample_windows(artefact)


class PredictorNode(LifecycleNode):
    """See the module.

    Args:
        overrides: parameter values that win over files and arguments.

    Raises:
        ParameterError: a parameter has the wrong type or is out of range.
    """

    def __init__(self, overrides: dict[str, Any] | None = None) -> None:
        """Declare parameters and start the diagnostics; everything else waits for configure."""
        given = [Parameter(name, value=value) for name, value in (overrides or {}).items()]
        super().__init__(NODE_NAME, parameter_overrides=given)
        self._diagnostics = Diagnostics(self.get_fully_qualified_name().lstrip("/"))
        self.parameters: NodeParameters | None = None
        self._predictor: Predictor | None = None
        self._outputs: PlannerOutputs | None = None
        self._loop: PredictionLoop | None = None
        self._was_active = False
        self._learned: Learned | None = None
        self._collector = realtime.Collector()
        self._background = realtime.Background(self._on_background_error)
        #: How often parameters were set.
        self.changes = 0
        declaration.declare(self, NodeParameters)
        line, mistyped = unknown_names(self, NodeParameters)
        if line:
            self.get_logger().warning(line)
            self.remark(line if mistyped else "")
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._reporting = Reporting(self, self._diagnostics, self._background)
        self._jump = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1.0), on_clock_change=True),
            post_callback=self._on_clock_jump,
        )

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Read the parameters, load the model, warm it up, make publishers and the subscriptions."""
        self._diagnostics.failure, backend = "", None
        try:
            parameters = validate(declaration.read(self, NodeParameters))
            folder = parameters.model_dir or str(default_model_dir())
            backend = make_backend(
                parameters.backend,
                folder,
                threads=parameters.threads,
                cores=len(realtime.cpus(parameters.cpu_affinity)) if parameters.cpu_affinity else None,
                engine_dir=parameters.engine_dir,
                deadline_s=parameters.gpu_deadline_s,
                windows=_sample_windows,
                beside=True,
            )
            predictor = Predictor(backend, parameters, parameters.fixed_frame.lstrip("/"))
            solvers.load()
            self._outputs = PlannerOutputs(self, parameters, self._background)
            self._learned = self._reporting.learned = Learned(self, parameters, predictor, self._background)
            self._loop = PredictionLoop(
                self,
                parameters,
                predictor,
                self._outputs,
                self._diagnostics,
                self._background,
                self._collector,
                self._reporting.between_frames,
            )
            predictor.warm_up()  # the model was loaded meanwhile
        except Exception as error:  # whatever is wrong with a model or an option: one line, never a traceback
            if backend is not None:
                backend.close()
            self._release()
            return self._refuse(error)
        self.parameters = parameters
        self._predictor = predictor
        self._reporting.loop = self._loop
        self._describe(backend, folder)
        return super().on_configure(state)

    def _describe(self, backend: Backend, folder: str) -> None:
        """Say what was configured, in the diagnostics and in the log."""
        diagnostics, sources = self._diagnostics, self._loop.sources
        diagnostics.clock = sources.all[0].clock
        diagnostics.about = {
            "model": backend.name,
            "model_version": backend.version,
            "model_dir": folder if self.parameters.backend in MODEL_BACKENDS else "",
            "fixed_frame": self._predictor.fixed_frame,
            "input_topic": sources.topics,
        }
        diagnostics.backend = backend
        diagnostics.lifecycle = "inactive"
        self.get_logger().info(
            f"configured: {backend.name} {backend.version} on {backend.about['backend']}, predictions in frame "
            f"{self._predictor.fixed_frame!r} from {sources.topics}"
        )
        if "threads" in backend.about:
            self.get_logger().info(f"threads: {backend.about['threads']}")
        if "fallback" in backend.about:
            self.get_logger().warning(f"the CPU predicts: {backend.about['fallback']}")
        if self._predictor.uncalibrated_because:
            self.get_logger().warning(self._predictor.uncalibrated_because)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start to take input in and to predict, with no memory of people from before."""
        try:
            self._predictor.backend.open()
            self._predictor.warm_up()
        except Exception as error:  # the model's file went away meanwhile
            return self._refuse(error, "activate")
        self._diagnostics.failure = ""
        self._loop.reset()
        result = super().on_activate(state)
        self._loop.start(first=not self._was_active)
        self._was_active = True
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
        if self._loop.trace is not None:
            asked["trace_file"] = str(self._loop.trace.file)
        self._diagnostics.realtime = asked

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop predicting; input is dropped, the model and a GPU are given back until the next activate."""
        self._loop.stop()
        self._collector.stop()
        self._background.drop()
        self._learned.stop()
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
        if self._loop is not None and self._loop.active:
            self._loop.stop()
            self._background.drop()
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

    @property
    def lifecycle(self) -> str:
        """Name of the node's state."""
        return self._diagnostics.lifecycle

    def remark(self, line: str) -> None:
        """Something about how the node was started that the diagnostics are to say; an empty line says nothing."""
        self._diagnostics.remarks += [line] if line else []

    def inputs(self) -> list[Any]:
        """The subscriptions that predictions are made from."""
        return [] if self._loop is None else [s.subscription for s in self._loop.sources.all]

    def start(self) -> bool:
        """Configure (where it is not) and activate, as `autostart` asks; False when that failed."""
        if self.lifecycle == "unconfigured" and self.trigger_configure() != TransitionCallbackReturn.SUCCESS:
            return False
        return self.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def _refuse(self, error: Exception, transition: str = "configure") -> TransitionCallbackReturn:
        self._diagnostics.failure = f"{transition} failed: {one_line(error)}"
        self.get_logger().error(self._diagnostics.failure)
        return TransitionCallbackReturn.FAILURE

    def destroy_node(self) -> None:
        """Give back everything."""
        self._release()
        self._background.close()
        super().destroy_node()

    def _release(self) -> None:
        if self._loop is not None:
            self._loop.stop()
        self._collector.stop()
        self._background.drop()
        if self._diagnostics.realtime:
            realtime.release()
            self._diagnostics.realtime = {}
        if self._loop is not None:
            self._loop.close()
            self._loop = self._reporting.loop = None
        if self._learned is not None:
            self._learned.stop()
            self._learned.close()
            self._learned = self._reporting.learned = None
        if self._outputs is not None:
            self._outputs.close()
            self._outputs = None
        if self._predictor is not None:
            self._predictor.backend.close()
        self._predictor = self._diagnostics.backend = self._diagnostics.fit = None

    # Parameters

    def _on_set_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        ours = {p.name: p.value for p in changed if p.name in NodeParameters.model_fields}
        if not ours:
            return SetParametersResult(successful=True)
        late = [name for name in ours if declaration.flag(name, "at_configure", NodeParameters)]
        if late and self._loop is not None:
            reason = f"{', '.join(late)} applies at configure: deactivate and clean up the node first"
            return SetParametersResult(successful=False, reason=reason)
        values = {**declaration.read(self, NodeParameters), **ours}
        if self._loop is None and not values["fixed_frame"]:
            values["fixed_frame"] = "unknown"  # configure asks for it
        try:
            parameters = validate(values)
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        if self._loop is not None:
            self.parameters = parameters
            self._loop.configure(parameters)
        self.changes += 1
        return SetParametersResult(successful=True)

    # Events

    def _on_background_error(self, job: str, error: Exception) -> None:
        if rclpy.ok():
            self.get_logger().error(f"{job}: {one_line(error)}", throttle_duration_sec=5.0)

    def _on_clock_jump(self, jump: Any) -> None:
        """The node's clock went back (a bag starts again) or changed its kind: tracks are of another time."""
        if self._loop is not None:
            self.get_logger().info("the clock jumped back: all tracks start again")
            self._loop.reset()


def spin(arguments: list[str] | None = None, overrides: dict[str, Any] | None = None, needs_start: bool = False) -> int:
    """Run the node until SIGINT or SIGTERM.

    Args:
        arguments: command line with ROS arguments; None: the process' own.
        overrides: parameter values that win over files and arguments.
        needs_start: give up when `autostart` cannot configure or activate, instead of waiting for a manager.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not start.
    """
    given = sys.argv if arguments is None else arguments

    def run(node: PredictorNode) -> int | None:
        for line in without_section(given, node):
            node.get_logger().error(line)
            node.remark(line)
        if node.get_parameter("autostart").value:
            if not Autostart(node).begin() and needs_start and rclpy.ok():  # else a signal came
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
