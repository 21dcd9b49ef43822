# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the predictor learns on line: worked off in the background, kept in a file, served."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from rclpy.lifecycle import LifecycleNode

from aux_motion.nodes import realtime
from aux_motion.nodes.parameters import NodeParameters
from aux_motion_core.learning.files import LearnedFileError
from aux_motion_core.learning.learner import Learner
from aux_motion_core.predictor import Predictor

#: Time between two writes of the file, seconds.
EVERY_S = 60.0


class Learned:
    """File and services of a configured node's learner.

    Args:
        node: has the services `~/save_learned` and `~/reset_learned`.
        parameters: of the node.
        predictor: whose learner it is, when it has one.
        background: learns, and writes the file.

    Attributes:
        trouble: what was last wrong with the file, in one line; empty: nothing.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: NodeParameters,
        predictor: Predictor,
        background: realtime.Background,
    ) -> None:
        self._node, self._predictor, self._background = node, predictor, background
        self._file = parameters.learned_file
        trackers = parameters.given("input_trackers") or [parameters.tracker]
        self._about = {"tracker": " ".join(trackers), "joints": " ".join(parameters.given("tracker_joints"))}
        self._learner: Learner | None = None
        self._saved_at, self._saved_version = time.monotonic(), 0
        self.trouble = ""
        self._services: list[Any] = []
        self._serve()
        self.attach()

    def _serve(self) -> None:
        try:
            from std_srvs.srv import Trigger
        except ImportError:
            self._node.get_logger().info("no services ~/save_learned and ~/reset_learned: install std_srvs for them")
            return
        for name, answer in (("save_learned", self._on_save), ("reset_learned", self._on_reset)):
            self._services.append(self._node.create_service(Trigger, f"~/{name}", answer))

    def close(self) -> None:
        """Give back the services, and the learner's work to whoever calls it."""
        while self._services:
            self._node.destroy_service(self._services.pop())
        if self._learner is not None:
            self._learner.submit = None

    def attach(self) -> None:
        """Take a learner that has come since: what is in the file is what it begins with."""
        learner = self._predictor.learner
        if learner is None or learner is self._learner:
            return
        self._learner = learner
        learner.identity = replace(learner.identity, **self._about)
        learner.submit = self._submit
        if self._file:
            self._load(learner)

    def _submit(self, job: Any) -> None:
        self._background.submit("learning", job)

    def _load(self, learner: Learner) -> None:
        try:
            learner.load(self._file)
        except FileNotFoundError:
            self._node.get_logger().info(f"learned_file {self._file}: there is none yet")
        except LearnedFileError as error:
            self.trouble = str(error)
            self._node.get_logger().warning(self.trouble)
        else:
            minutes = learner.maps.learnt_s / 60.0
            self._node.get_logger().info(f"learned_file {self._file}: goes on from {minutes:.1f} person-minutes")
        self._saved_version = learner.version

    def once_a_second(self) -> None:
        """Write the file where it is time for that."""
        self.attach()
        if self._file and self._changed() and time.monotonic() - self._saved_at >= EVERY_S:
            self._saved_at = time.monotonic()
            self._background.submit("learned_file", self.save)

    def _changed(self) -> bool:
        return self._learner is not None and self._learner.version != self._saved_version

    def save(self) -> str:
        """Write the file; what went wrong, in one line, or nothing."""
        learner = self._learner
        if learner is None or not self._file:
            return "nothing to save: learning is off" if learner is None else "nothing to save: set learned_file"
        version = learner.version
        try:
            learner.save(self._file)
        except LearnedFileError as error:
            self.trouble = str(error)
            self._node.get_logger().error(self.trouble, throttle_duration_sec=60.0)
            return self.trouble
        self._saved_version, self.trouble = version, ""
        return ""

    def stop(self) -> None:
        """The node is deactivated: what was learnt since the last write is kept."""
        if self._learner is not None:
            for _ in self._learner.work():
                pass
        if self._file and self._changed():
            self.save()

    def _on_save(self, request: Any, response: Any) -> Any:
        trouble = self.save()
        response.success, response.message = not trouble, trouble or f"written: {self._file}"
        return response

    def _on_reset(self, request: Any, response: Any) -> Any:
        if self._learner is None:
            response.success, response.message = False, "nothing to reset: learning is off"
            return response
        self._learner.reset()
        trouble = self.save() if self._file else ""
        response.success = not trouble
        response.message = trouble or "what was learnt is forgotten"
        return response
