# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The robot beside the people of a recording: its capsules at a time, and what a monitor decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from aux_motion.nodes.parameters import NodeParameters, default_model_dir
from aux_motion_core.bounds.separation_bound import load_separation_bound
from aux_motion_core.inference import artefact
from aux_motion_core.safety.occupancy import OccupancyBuilder
from aux_motion_core.safety.robot import Robot, RobotError, load_robot
from aux_motion_core.safety.separation import Monitor, Separation, SeparationConfig
from aux_motion_core.space.tf import TfBuffer, TfError, matrix
from aux_motion_core.types import PredictionBatch, View, ViewReport


def placed(path: Path, at: str = "") -> Robot:
    """A robot from its description.

    Args:
        path: YAML file.
        at: "x y z yaw_deg": where links without a frame stand; empty: where the description says.

    Raises:
        RobotError: one line on what is wrong.
    """
    robot = load_robot(path)
    if not at:
        return robot
    try:
        x, y, z, yaw_deg = (float(part) for part in at.replace(",", " ").split())
        if not np.isfinite((x, y, z, yaw_deg)).all():
            raise ValueError
    except ValueError:
        raise RobotError(f"--robot-at {at!r}: expected four numbers, x y z in metres, yaw in degrees") from None
    cos, sin = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    links = []
    for link in robot.links:
        if not link.frame:
            ends = np.array(link.ends_m) @ turn.T + (x, y, z)
            link = link.model_copy(update={"ends_m": tuple(tuple(end) for end in ends.tolist())})
        links.append(link)
    return robot.model_copy(update={"links": tuple(links)})


def occupancy_builder(parameters: NodeParameters) -> OccupancyBuilder:
    """What makes capsules as the node does with these parameters."""
    table = None
    if parameters.occupancy_bound == "separation":
        folder = Path(parameters.model_dir or default_model_dir())
        table = load_separation_bound(folder, artefact.load(folder).onnx_sha256)
    return OccupancyBuilder(parameters, parameters.reach_speed_mps, table, parameters.tracker_error_m)


class RobotBeside:
    """A robot beside recorded people, slowed down by a monitor.

    Args:
        robot: its description.
        builder: of the occupancy.
    """

    def __init__(self, robot: Robot, builder: OccupancyBuilder) -> None:
        self.robot, self._builder = robot, builder
        self._config = SeparationConfig()
        self.monitor = Monitor(robot, self._config)

    def restart(self) -> None:
        """Forget what was before: the recording goes on somewhere else."""
        self.monitor = Monitor(self.robot, self._config)

    def decide(
        self, now_ns: int, batch: PredictionBatch, tf: TfBuffer | None
    ) -> tuple[Separation, tuple[np.ndarray, np.ndarray] | None, str]:
        """The decision at a time, the robot's capsules, and why there are none.

        Args:
            now_ns: the time.
            batch: newest prediction.
            tf: the recording's transforms, where it has some.
        """
        capsules, trouble = None, ""
        try:
            capsules = self.robot.capsules(self._poses(now_ns, batch.frame_id, tf))
        except TfError as error:
            trouble = f"the robot's place is not known: {' '.join(str(error).split())}"
        # nobody judges how complete a recorded view is: decided as if all that was there had been recorded
        seen_ns = max((p.last_observed_ns for p in batch.people), default=now_ns)
        view = ViewReport(View.COMPLETE, oldest_input_ns=max(seen_ns, batch.stamp_ns))
        occupancy = self._builder.build(replace(batch, view=view))
        return self.monitor.decide(now_ns, occupancy, capsules), capsules, trouble

    def _poses(self, now_ns: int, fixed: str, tf: TfBuffer | None) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        found = {}
        for frame in self.robot.frames:
            if tf is None:
                raise TfError(f"the recording has no /tf that brings {frame!r} to {fixed!r}", False)
            newest_ns = tf.latest_ns(fixed, frame)
            found[frame] = matrix(tf.lookup(fixed, frame, now_ns if newest_ns is None else min(newest_ns, now_ns)))
        return found
