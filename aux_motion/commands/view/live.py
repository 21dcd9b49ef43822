# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What ROS topics say now: predictions, occupancy and the monitor's decisions, and what came of each a second later."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from typing import Any

import numpy as np

from aux_motion.commands.view.page import ViewError
from aux_motion_core.constants import NS
from aux_motion_core.evaluation.judge import HORIZONS_S
from aux_motion_core.evaluation.moments import Moments, ReplayMoment, published
from aux_motion_core.evaluation.outcomes import Court
from aux_motion_core.safety.occupancy import Occupancy, OccupancyBuilder, OccupancyConfig, occupancy_from_message
from aux_motion_core.safety.robot import Robot
from aux_motion_core.safety.separation import Formulation, Separation, SpeedReason
from aux_motion_core.skeleton import N_JOINTS
from aux_motion_core.types import PredictionBatch, SkeletonFrame, TrackState
from aux_motion_core.wire.messages import MessageError, batch_from_message

#: How far back the timeline goes.
REMEMBERED_S = 30.0
#: Silence after which the page says that no message comes.
_SILENT_S = 1.0
#: How long a decision of the monitor is shown.
_DECIDED_S = 0.5
_TEXTS = ("reason_text", "person_id", "person_segment", "robot_link")
_PLACES = ("point_on_person_m", "point_on_robot_m")
BOUNDS = {
    "of each joint alone": "marginal",
    "of the whole body at once": "simultaneous",
    "as published on occupancy": "published",
    "none": "",
}


def decision_from_message(message: Any) -> Separation:
    """A `SeparationStatus` as a `Separation`.

    Raises:
        MessageError: a formulation or a reason that is unknown.
    """
    try:
        fields: dict[str, Any] = {
            "formulation": Formulation(int(message.formulation)),
            "reason": SpeedReason(int(message.reason)),
        }
    except ValueError as error:
        raise MessageError(f"separation: {error}") from None
    for name in Separation.__dataclass_fields__:
        if name in _TEXTS:
            fields[name] = str(getattr(message, name))
        elif name in _PLACES:
            fields[name] = tuple(float(v) for v in getattr(message, name))
        elif name not in fields:
            fields[name] = float(getattr(message, name))
    return Separation(**fields)


def seen_frame(batch: PredictionBatch) -> SkeletonFrame:
    """What the predictions say was seen, newest observations only: truth for those that were made before.

    Joints that were not observed keep their status, so that they are no truth.
    """
    newest_ns = max((p.last_observed_ns for p in batch.people), default=batch.stamp_ns)
    people = [p for p in batch.people if p.last_observed_ns == newest_ns]
    shape = (len(people), N_JOINTS)
    return SkeletonFrame(
        newest_ns,
        batch.frame_id,
        tuple(p.person_id for p in people),
        np.array([p.recovered for p in people], float).reshape(*shape, 3),
        np.array([p.joint_status for p in people], np.uint8).reshape(shape),
        np.ones(shape, np.float32),
    )


class Live:
    """Moments of what is heard now.

    Args:
        robot: whose capsules are shown; None: none.

    Raises:
        ViewError: ROS or its messages are not installed.
    """

    live = True
    duration_s = REMEMBERED_S
    bookmarks = ()
    ended = False
    bounds = BOUNDS

    def __init__(self, robot: Robot | None = None) -> None:
        self.title = f"live, domain {os.environ.get('ROS_DOMAIN_ID', '0')}"
        self.moments = Moments(("published",), np.array(HORIZONS_S))
        self._court = Court(self.moments.horizons_s, 0.04)
        self._people: dict[str, int] = {}
        self._batches = 0
        self._first_ns: int | None = None
        self._newest_ns = 0
        self._heard_s: float | None = None
        self._bad = ""
        self._occupancies: OrderedDict[int, Occupancy] = OrderedDict()
        self._decision: tuple[float, Separation] | None = None
        self._builders = {
            kind: OccupancyBuilder(OccupancyConfig.model_validate({"occupancy_bound": kind}))
            for kind in ("marginal", "simultaneous")
        }
        self.robot: Any = None
        self._start(robot)

    def _start(self, robot: Robot | None) -> None:
        try:
            import rclpy
            from aux_motion_msgs.msg import OccupancyArray, PredictionArray, SeparationStatus
            from rclpy.executors import SingleThreadedExecutor
            from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
            from rclpy.signals import SignalHandlerOptions

            from aux_motion.nodes.spinning import in_thread
        except ImportError as error:
            raise ViewError(f"{error}: --live needs ROS 2 and aux_motion_msgs, sourced or from wheels") from None
        self._rclpy = rclpy
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C ends the page
        self._node = rclpy.create_node("aux_motion_view")
        self._described, self._poses = robot, None
        if robot is not None:
            from aux_motion.nodes.robot_poses import make_robot_poses

            self.robot = _Shown(robot)
            self._poses = make_robot_poses(robot, "auto", self._node)
        reliable = QoSProfile(depth=5, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)
        self._node.create_subscription(PredictionArray, "predictions", self._on_predictions, reliable)
        self._node.create_subscription(OccupancyArray, "occupancy", self._on_occupancy, reliable)
        self._node.create_subscription(SeparationStatus, "separation", self._on_separation, reliable)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=in_thread(self._executor.spin), name="live", daemon=True)
        self._thread.start()

    # Messages

    def _on_predictions(self, message: Any) -> None:
        self._heard_s = time.monotonic()
        try:
            batch = batch_from_message(message)
        except MessageError as error:
            self._bad = f"predictions: {error}"
            return
        self._bad = ""
        if self._first_ns is None or batch.stamp_ns < self._newest_ns - NS:  # a clock was set, a simulation began anew
            self.moments.clear()
            self._court = Court(self.moments.horizons_s, batch.dt_s)
            self._first_ns = batch.stamp_ns
        self._newest_ns = batch.stamp_ns
        at_s = (batch.stamp_ns - self._first_ns) / NS
        frame = seen_frame(batch)
        self.moments.put(ReplayMoment(at_s, frame, batch, self._newest_decision(), *self._capsules(batch)))
        self._judge(batch, frame, at_s)
        self.moments.trim(at_s - REMEMBERED_S)

    def _judge(self, batch: PredictionBatch, frame: SkeletonFrame, at_s: float) -> None:
        def index(person_id: str) -> int:
            return self._people.setdefault(person_id, len(self._people))

        def give(outcomes: list[Any]) -> None:
            names = {i: person_id for person_id, i in self._people.items()}
            for one in outcomes:
                self.moments.judge(one, names)

        give(self._court.observe(frame, [index(i) for i in frame.person_ids]))
        predicted = published(batch, [index(p.person_id) for p in batch.people], at_s)
        fresh = [
            p.stamp_ns == frame.stamp_ns and p.state in (TrackState.TRACKING, TrackState.DEGRADED) for p in batch.people
        ]
        self._court.take(predicted.rows(np.flatnonzero(fresh)))
        self._batches += 1
        if self._batches % 8 == 0:
            give(self._court.judge())

    def _on_occupancy(self, message: Any) -> None:
        try:
            occupancy = occupancy_from_message(message)
        except MessageError as error:
            self._bad = f"occupancy: {error}"
            return
        self._occupancies[occupancy.stamp_ns] = occupancy
        while len(self._occupancies) > 2000 or (
            self._occupancies and next(iter(self._occupancies)) < occupancy.stamp_ns - REMEMBERED_S * NS
        ):
            self._occupancies.popitem(last=False)

    def _on_separation(self, message: Any) -> None:
        try:
            self._decision = time.monotonic(), decision_from_message(message)
        except MessageError as error:
            self._bad = str(error)

    def _newest_decision(self) -> Separation | None:
        if self._decision is None or time.monotonic() - self._decision[0] > _DECIDED_S:
            return None
        return self._decision[1]

    def _capsules(self, batch: PredictionBatch) -> tuple[Any, str]:
        if self._poses is None:
            return None, ""
        try:
            poses, _ = self._poses.newest(batch.frame_id, batch.stamp_ns)
            return self._described.capsules(poses), ""
        except (LookupError, ValueError) as error:
            return None, f"the robot's place is not known: {' '.join(str(error).split())}"

    # For the page

    @property
    def trouble(self) -> str:
        """What is wrong with what is heard, in one line."""
        if self._heard_s is None:
            return "No message on predictions yet: is aux_motion_predictor active, and on this ROS_DOMAIN_ID?"
        silent_s = time.monotonic() - self._heard_s
        if silent_s > _SILENT_S:
            return f"No message on predictions for {silent_s:.0f} s: the node is gone. What is shown is old."
        return self._bad

    def look(self, at_s: float, playing: bool = False) -> None:
        """All that is remembered is there."""

    def occupancy(self, moment: ReplayMoment, kind: str) -> Occupancy | None:
        """Capsules of everybody at a moment; None where none were published with it."""
        if kind == "published":
            return self._occupancies.get(moment.batch.stamp_ns)
        return self._builders[kind].build(moment.batch)

    def close(self) -> None:
        """Stop listening."""
        self._executor.shutdown(timeout_sec=1.0)
        if self._poses is not None:
            self._poses.close()
        self._rclpy.try_shutdown()
        self._thread.join(timeout=2.0)


class _Shown:
    """The robot as the page asks for it."""

    def __init__(self, robot: Robot) -> None:
        self.robot = robot
