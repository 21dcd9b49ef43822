# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Outputs for planners, each on its own topic, switched on by a parameter; see docs/planners.md.

The `OccupancyArray` is published with each prediction. The other messages are made in the background, at a limited
rate, and only while somebody subscribes.
"""

from __future__ import annotations

import importlib
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from aux_motion_msgs.msg import OccupancyArray
from geometry_msgs.msg import PoseArray
from visualization_msgs.msg import MarkerArray

from aux_motion.nodes.collision_objects import CollisionObjects, memory_of
from aux_motion.nodes.joint_frames import transforms
from aux_motion.nodes.occupancy_markers import capsule_markers
from aux_motion.nodes.parameters import NodeParameters, default_model_dir
from aux_motion.nodes.planner_messages import (
    CloudWriter,
    occupancy_message,
    people_message,
    poses_message,
    swept_points,
)
from aux_motion.nodes.qos import output_qos
from aux_motion.nodes.realtime import Background
from aux_motion_core.bounds.separation_bound import SeparationBound, load_separation_bound
from aux_motion_core.inference import artefact
from aux_motion_core.safety.anthropometry import LARGEST_SCALE, body_scale
from aux_motion_core.safety.occupancy import Occupancy, OccupancyBuilder
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.types import PredictionBatch, View, ViewReason

#: Packages of messages that may be missing, by the name under which a ROS distribution installs them.
_PACKAGES = {"moveit_msgs": "moveit-msgs", "people_msgs": "people", "sensor_msgs": "sensor-msgs"}
#: Outputs that nobody reads as free space: what they tell of is there, whoever else may be.
_TELLS_WHO_IS_THERE = ("tf",)


class MissingPackageError(ValueError):
    """The messages of an output are not installed; one line with the remedy."""


def _messages(package: str, parameter: str) -> Any:
    try:
        return importlib.import_module(f"{package}.msg")
    except ImportError as error:
        name = _PACKAGES.get(package, package.replace("_", "-"))
        raise MissingPackageError(
            f"parameter {parameter} needs the package {package}, which is not here ({error}): install it "
            f"(apt install ros-$ROS_DISTRO-{name}) or set {parameter} to false"
        ) from None


def _separation(parameters: NodeParameters) -> SeparationBound:
    """The table of separation bounds beside the model that the node uses."""
    folder = Path(parameters.model_dir or default_model_dir())
    return load_separation_bound(folder, artefact.load(folder).onnx_sha256)


class PlannerOutputs:
    """The outputs that a node's parameters switch on.

    Args:
        node: lifecycle node; its publishers publish while it is active.
        parameters: of the node.
        background: runs what must not delay a prediction; None: everything is done at once.

    Raises:
        MissingPackageError: messages of an output are not installed.
        ValueError: the TF frames would have the names of those that the tracker publishes.
        SeparationBoundError: the separation bound is asked for and not calibrated.
    """

    def __init__(self, node: Any, parameters: NodeParameters, background: Background | None = None) -> None:
        self._node, self._parameters, self._background = node, parameters, background
        self._publishers: list[Any] = []
        self._jobs: list[tuple[str, Any, float, Callable[[PredictionBatch], Iterator[Any]]]] = []
        self._next: dict[str, float] = {}
        table = _separation(parameters) if parameters.occupancy_bound == "separation" else None
        self._builder = OccupancyBuilder(parameters, parameters.reach_speed_mps, table, parameters.tracker_error_m)
        coarse = parameters.model_copy(update={"occupancy_interval_s": parameters.coarse_interval_s})
        self._coarse = OccupancyBuilder(coarse, parameters.reach_speed_mps, table, parameters.tracker_error_m)
        self._coarser = 1  # factor by which voxels of the swept volume are larger than asked
        self._occupancy: Any = None
        self._objects: CollisionObjects | None = None
        #: A stray node of the same name must not pass for this one.
        self._producer = f"{node.get_fully_qualified_name()}#{secrets.token_hex(4)}"
        self._closed = False
        self._odd: dict[str, str] = {}
        p = parameters
        if p.publish_swept_volume:
            _messages("sensor_msgs", "publish_swept_volume")
        moveit = _messages("moveit_msgs", "publish_collision_objects") if p.publish_collision_objects else None
        people = _messages("people_msgs", "publish_people") if p.publish_people else None
        self._tf = _messages("tf2_msgs", "publish_tf") if p.publish_tf else None
        if p.publish_tf and not p.tf_prefix and "ros4hri" in (p.tracker, *p.given("input_trackers")):
            raise ValueError("publish_tf: the tracker ros4hri publishes frames of the same names; set tf_prefix")
        try:
            self._open(moveit, people)
        except BaseException:
            self.close()
            raise

    def _open(self, moveit: Any, people: Any) -> None:
        p = self._parameters
        if p.publish_occupancy:
            self._occupancy = self._publisher(OccupancyArray, "occupancy", output_qos(p.heartbeat_hz))
        rate = p.planner_outputs_max_rate_hz
        if p.publish_occupancy_markers:
            publisher = self._publisher(MarkerArray, "occupancy_markers", 1)
            self._jobs.append(("occupancy_markers", publisher, rate, self._make_markers))
        if p.publish_swept_volume:
            from sensor_msgs.msg import PointCloud2

            self._cloud = CloudWriter()
            publisher = self._publisher(PointCloud2, "swept_volume", 1)
            self._jobs.append(("swept_volume", publisher, rate, self._make_cloud))
        if p.publish_human_poses:
            publisher = self._publisher(PoseArray, "poses", 1)
            self._jobs.append(("poses", publisher, rate, self._make_poses))
        if people is not None:
            self._people = people
            publisher = self._publisher(people.People, "people", 1)
            self._jobs.append(("people", publisher, rate, self._make_people))
        if self._tf is not None:
            self._jobs.append(("tf", self._publisher(self._tf.TFMessage, "/tf", 100), rate, self._make_frames))
        if moveit is not None:
            name = self._node.get_fully_qualified_name()
            self._objects = CollisionObjects(moveit, memory_of(name), name)
            # an object a person, all of them in a burst
            publisher = self._publisher(moveit.CollisionObject, "collision_object", 4 * p.max_people)
            self._jobs.append(("collision_object", publisher, min(rate, 10.0), self._make_objects))
        for job in self._jobs:
            self._next[job[0]] = 0.0

    @property
    def names(self) -> list[str]:
        """Topics that are switched on."""
        return (["occupancy"] if self._occupancy is not None else []) + [job[0] for job in self._jobs]

    def _publisher(self, kind: Any, topic: str, qos: Any) -> Any:
        publisher = self._node.create_lifecycle_publisher(kind, topic, qos)
        self._publishers.append(publisher)
        return publisher

    def publish(self, batch: PredictionBatch) -> None:
        """Publish what is switched on, subscribed to and due. Never raises: what fails is logged.

        `occupancy` says itself how complete the view is. The others have no field for it: where the view is not
        complete they are silent, and what they said last grows old (docs/planners.md says how a consumer notices); but
        for TF, whose frames only say who is there.

        Args:
            batch: the predictions that were just published.
        """
        try:
            self._publish(batch)
        except Exception as error:  # a planner's output must not end the predictions
            self._node.get_logger().error(f"planner outputs: {error}", throttle_duration_sec=5.0)

    def _publish(self, batch: PredictionBatch) -> None:
        if self._occupancy is not None and self._occupancy.get_subscription_count():
            occupancy = self._builder.build(batch)
            self._occupancy.publish(occupancy_message(replace(occupancy, producer=self._producer)))
            self._note_sizes(occupancy)
        lost_only = batch.view.reasons == ViewReason.PERSON_LOST and not batch.view.unplaced_people
        complete = batch.view.view is View.COMPLETE or lost_only  # who is lost is in the message, and grows
        silent = not complete or self._no_body(batch)
        now = time.perf_counter()
        for name, publisher, rate_hz, make in self._jobs:
            if silent and name not in _TELLS_WHO_IS_THERE:
                continue
            if now < self._next[name] or not publisher.get_subscription_count():
                continue
            self._next[name] = now + 1.0 / rate_hz
            if self._background is None:
                for _ in self._run(publisher, make, batch):
                    pass
            else:
                self._background.submit(name, lambda p=publisher, m=make: self._run(p, m, batch))

    def _no_body(self, batch: PredictionBatch) -> bool:
        """Whether somebody has a size that no body has, or no place at all: where that person is, nobody knows."""
        if not batch.people or not self._jobs:
            return False
        pose = np.stack([np.asarray(p.recovered, float) for p in batch.people])
        seen = np.stack([p.joint_status for p in batch.people]) != JointStatus.MISSING
        scale = body_scale(pose, seen)
        giant = scale > LARGEST_SCALE
        nowhere = ~np.isfinite(pose).all(-1).any(-1)
        if nowhere.any():
            self._node.get_logger().error(
                f"person {batch.people[int(np.argmax(nowhere))].person_id!r} has no place; "
                f"{', '.join(job[0] for job in self._jobs)} silent",
                throttle_duration_sec=5.0,
            )
            return True
        if giant.any():
            person = batch.people[int(np.argmax(giant))].person_id
            self._node.get_logger().error(
                f"person {person!r}: limbs {scale.max():.0f} times those of people, check the unit; "
                f"{', '.join(job[0] for job in self._jobs)} silent",
                throttle_duration_sec=5.0,
            )
        return bool(giant.any())

    def _run(self, publisher: Any, make: Callable[[PredictionBatch], Iterator[Any]], batch: PredictionBatch) -> Any:
        for message in make(batch):
            if self._closed:
                return
            if message is not None:
                publisher.publish(message)
            yield

    def _note_sizes(self, occupancy: Occupancy) -> None:
        """Warn once about each person with limbs of another length than in the table."""
        if (occupancy.body_scale == 1.0).all():
            return
        for person_id, scale in zip(occupancy.person_ids, occupancy.body_scale.tolist()):
            what = "longer" if scale > 1.0 else "shorter" if scale < 1.0 else ""
            if what and self._odd.get(person_id) != what:
                if len(self._odd) > 1000:
                    self._odd.clear()
                self._odd[person_id] = what
                thickness = "is scaled with them" if scale > 1.0 else "stays that of the table"
                self._node.get_logger().warning(
                    f"person {person_id!r}: limbs are {abs(scale - 1.0):.0%} {what} than those of "
                    f"{occupancy.anthropometry}; the body's thickness {thickness}"
                )

    def _make_markers(self, batch: PredictionBatch) -> Iterator[Any]:
        markers: list[Any] = []
        for part in capsule_markers(self._builder.build(batch)):
            markers += part
            yield None
        yield MarkerArray(markers=markers)

    def _make_cloud(self, batch: PredictionBatch) -> Iterator[Any]:
        occupancy, most = self._coarse.build(batch), self._parameters.swept_volume_max_points
        while True:
            parts: list[np.ndarray] = []
            total = 0
            resolution_m = self._coarser * self._parameters.swept_volume_resolution_m
            for points in swept_points(occupancy, resolution_m):
                parts.append(points)
                total += len(points)
                if total > most:
                    break
                yield None
            if total <= most:
                break
            self._coarser *= 2
        if self._coarser > 1 and 10 * total < most:  # as fine would be eight times as many
            self._coarser //= 2
        yield self._cloud.fill(parts, batch.frame_id, batch.stamp_ns)

    def _make_poses(self, batch: PredictionBatch) -> Iterator[Any]:
        yield poses_message(batch, self._parameters.human_poses_ahead_s)

    def _make_frames(self, batch: PredictionBatch) -> Iterator[Any]:
        found = transforms(batch, self._parameters.tf_prefix, self._parameters.tf_ahead_s)
        yield self._tf.TFMessage(transforms=found) if found else None

    def _make_people(self, batch: PredictionBatch) -> Iterator[Any]:
        yield people_message(batch, self._people.People, self._people.Person)

    def _make_objects(self, batch: PredictionBatch) -> Iterator[Any]:
        yield from self._objects.update(self._coarse.build(batch))
        if self._objects.trouble:
            self._node.get_logger().warning(self._objects.trouble, throttle_duration_sec=60.0)

    def close(self) -> None:
        """Take the publishers down."""
        self._closed = True
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers, self._jobs, self._occupancy = [], [], None
