"""What planners take, each on a topic of its own that a parameter switches on; see docs/planners.md.

The `OccupancyArray` is published with each prediction. The others are made from it in the background, so often a second
at most, and only while somebody subscribes.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from aux_motion_core.bounds.separation_bound import SeparationBound, load_separation_bound
from aux_motion_core.inference import artefact
from aux_motion_core.safety.capsules import voxels
from aux_motion_core.safety.occupancy import BoundKind, Occupancy, OccupancyBuilder, OccupancyConfig, occupancy_fields
from aux_motion_core.skeleton import INDEX
from aux_motion_core.types import PredictionBatch, TrackState
from aux_motion_core.wire.messages import ns_to_stamp

if TYPE_CHECKING:
    from aux_motion.nodes.realtime import Background

_AT_CONFIGURE = {"at_configure": True}
_PELVIS = INDEX["pelvis"]
#: Nobody flies: the swept volume ends so far below the lowest joint and above the highest one, metres; but not below
#: where somebody who stands up from the lowest joint reaches with a hand.
_BELOW_M, _ABOVE_M, _STANDS_M = 0.3, 1.0, 2.5
#: Horizon of the velocity of people that Nav2's social layers take, seconds.
_VELOCITY_S = 0.4
#: How sure a position is for those layers.
_RELIABILITY = {TrackState.TRACKING: 1.0, TrackState.DEGRADED: 0.5, TrackState.WARMING_UP: 0.5}
_PACKAGES = {"moveit_msgs": "moveit-msgs", "people_msgs": "people", "sensor_msgs": "sensor-msgs"}


class OutputParameters(OccupancyConfig):
    """Parameters of the outputs for planners. All of them apply at configure."""

    publish_occupancy: bool = Field(
        False,
        description="Publish occupancy (aux_motion_msgs/OccupancyArray): capsules of every person and interval. "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    publish_occupancy_markers: bool = Field(
        False,
        description="Publish occupancy_markers (MarkerArray): the capsules for RViz. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    publish_swept_volume: bool = Field(
        False,
        description="Publish swept_volume (sensor_msgs/PointCloud2): filled voxels of all capsules, for Nav2's "
        "obstacle layers and MoveIt's octomap. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    swept_volume_resolution_m: float = Field(
        0.05, ge=0.01, le=0.5, description="Edge of a voxel. Applied at configure.", json_schema_extra=_AT_CONFIGURE
    )
    publish_human_poses: bool = Field(
        False,
        description="Publish poses (geometry_msgs/PoseArray): joint positions as ssm_safety reads them. "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    human_poses_ahead_s: float = Field(
        0.0,
        ge=0.0,
        le=2.0,
        description="Predicted joints up to this time are in poses too; 0: the present ones only. "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    publish_collision_objects: bool = Field(
        False,
        description="Publish collision_object (moveit_msgs/CollisionObject): the capsules of each person as an object "
        "of MoveIt's planning scene. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    coarse_interval_s: float = Field(
        0.2,
        ge=0.04,
        le=2.0,
        description="Interval of a capsule of the swept volume and the collision objects. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    publish_people: bool = Field(
        False,
        description="Publish people (people_msgs/People) for Nav2's social layers. Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )
    planner_outputs_max_rate_hz: float = Field(
        10.0,
        ge=0.1,
        le=60.0,
        description="Most messages a second of each output but occupancy (collision objects: 10 at most). "
        "Applied at configure.",
        json_schema_extra=_AT_CONFIGURE,
    )


class MissingPackageError(ValueError):
    """An output was asked for whose messages are not installed, in one line with the remedy."""


def _messages(package: str, parameter: str) -> Any:
    try:
        return importlib.import_module(f"{package}.msg")
    except ImportError as error:
        name = _PACKAGES.get(package, package.replace("_", "-"))
        raise MissingPackageError(
            f"parameter {parameter} needs the package {package}, which is not here ({error}): install it "
            f"(apt install ros-$ROS_DISTRO-{name}) or set {parameter} to false"
        ) from None


def _separation(parameters: Any) -> SeparationBound:
    """The table of separation bounds beside the model that the node uses."""
    from aux_motion.nodes.parameters import default_model_dir

    folder = Path(parameters.model_dir or default_model_dir())
    return load_separation_bound(folder, artefact.load(folder).onnx_sha256)


def _fill(message: Any, fields: dict[str, Any]) -> Any:
    from aux_motion.nodes.conversion import _fill as fill

    return fill(message, fields)


def occupancy_message(occupancy: Occupancy) -> Any:
    """An occupancy as an `aux_motion_msgs/OccupancyArray`."""
    from aux_motion_msgs.msg import OccupancyArray, PersonOccupancy

    fields = occupancy_fields(occupancy)
    message = OccupancyArray()
    _fill(message.header, fields.pop("header"))
    message.people = [_fill(PersonOccupancy(), person) for person in fields.pop("people")]
    return _fill(message, fields)


def _header(frame_id: str, stamp_ns: int) -> Any:
    from builtin_interfaces.msg import Time
    from std_msgs.msg import Header

    return Header(frame_id=frame_id, stamp=Time(**ns_to_stamp(stamp_ns)))


def swept_points(occupancy: Occupancy, resolution_m: float) -> Iterator[np.ndarray]:
    """Voxels of one person after the other that some capsule of any interval touches.

    Args:
        occupancy: of everybody.
        resolution_m: edge of a voxel; coarser for somebody whose volume is very large.

    Yields:
        (K, 3) float32 centres in metres.
    """
    for i in range(len(occupancy.person_ids)):
        ends = occupancy.ends[i].reshape(-1, 2, 3).astype(np.float64)
        radius = occupancy.radius[i].reshape(-1).astype(np.float64)
        usable = np.isfinite(ends).all((1, 2)) & np.isfinite(radius)
        if not usable.all():
            ends, radius = ends[usable], radius[usable]
        if not len(ends):
            continue
        low, high = ends[..., 2].min(), ends[..., 2].max()
        yield voxels(ends, radius, resolution_m, low - _BELOW_M, max(high + _ABOVE_M, low + _STANDS_M))[0]


def cloud_message(points: np.ndarray, frame_id: str, stamp_ns: int) -> Any:
    """Points (K, 3) as a `sensor_msgs/PointCloud2` with x, y, z."""
    import array

    from sensor_msgs.msg import PointCloud2, PointField

    fields = [PointField(name=n, offset=4 * k, datatype=PointField.FLOAT32, count=1) for k, n in enumerate("xyz")]
    message = PointCloud2(
        header=_header(frame_id, stamp_ns),
        height=1,
        width=len(points),
        fields=fields,
        is_bigendian=False,
        point_step=12,
        row_step=12 * len(points),
        is_dense=True,
    )
    message.data = array.array("B", np.ascontiguousarray(points, "<f4").tobytes())
    return message


def poses_message(batch: PredictionBatch, ahead_s: float) -> Any:
    """Joint positions of everybody as a `geometry_msgs/PoseArray`.

    Args:
        batch: predictions.
        ahead_s: predicted joints up to this time after the batch's stamp are among them.
    """
    from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion

    upright = Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
    places: list[np.ndarray] = []
    for person in batch.people:
        places.append(person.recovered)
        if ahead_s > 0.0:
            late_s = (batch.stamp_ns - person.stamp_ns) * 1e-9 + ahead_s
            steps = min(int(np.ceil(late_s / batch.dt_s - 1e-9)), batch.steps)
            places.append(np.asarray(person.mean[: max(steps, 0)]).reshape(-1, 3))
    rows = np.concatenate(places).astype(float).tolist() if places else []
    poses = [Pose(position=Point(x=x, y=y, z=z), orientation=upright) for x, y, z in rows if x == x]
    return PoseArray(header=_header(batch.frame_id, batch.stamp_ns), poses=poses)


def people_message(batch: PredictionBatch, kind: Any, person_kind: Any) -> Any:
    """Pelvis, predicted velocity and reliability of everybody as a `people_msgs/People`."""
    from geometry_msgs.msg import Point

    step = min(max(round(_VELOCITY_S / batch.dt_s), 1), batch.steps)
    people = []
    for p in batch.people:
        here, later = p.recovered[_PELVIS], p.mean[step - 1][_PELVIS]
        velocity = (np.asarray(later, float) - here) / (step * batch.dt_s)
        people.append(
            person_kind(
                name=p.person_id,
                position=Point(**dict(zip("xyz", map(float, here)))),
                velocity=Point(**dict(zip("xyz", map(float, velocity)))),
                reliability=_RELIABILITY.get(p.state, 0.0),
                tagnames=["state"],
                tags=[p.state.name.lower()],
            )
        )
    return kind(header=_header(batch.frame_id, batch.stamp_ns), people=people)


def upright_rotations(ends: np.ndarray) -> np.ndarray:
    """Quaternions x, y, z, w (N, 4) that turn the z axis to the direction of each axis of `ends` (N, 2, 3)."""
    d = ends[:, 1] - ends[:, 0]
    length = np.linalg.norm(d, axis=1, keepdims=True)
    d = np.where(length > 1e-9, d / np.maximum(length, 1e-9), (0.0, 0.0, 1.0))
    q = np.stack([-d[:, 1], d[:, 0], np.zeros(len(d)), 1.0 + d[:, 2]], 1)
    down = q[:, 3] < 1e-6
    q[down] = (1.0, 0.0, 0.0, 0.0)
    return q / np.linalg.norm(q, axis=1, keepdims=True)


class CollisionObjects:
    """People as objects of MoveIt's planning scene: each capsule a cylinder and two spheres.

    Args:
        messages: the module `moveit_msgs.msg`.
    """

    def __init__(self, messages: Any) -> None:
        self._kind = messages.CollisionObject
        self._shown: set[str] = set()

    def update(self, occupancy: Occupancy) -> Iterator[Any]:
        """Messages that bring a planning scene up to date: an ADD a person (it replaces), a REMOVE for who is gone."""
        ids = {f"aux_motion/{i}": k for k, i in enumerate(occupancy.person_ids)}
        for gone in sorted(self._shown - set(ids)):
            yield self._removal(gone, occupancy.frame_id, occupancy.stamp_ns)
        self._shown = set(ids)
        for name, k in ids.items():
            yield self._person(name, k, occupancy)

    def clear(self, frame_id: str, stamp_ns: int) -> Iterator[Any]:
        """Messages that remove everybody."""
        for name in sorted(self._shown):
            yield self._removal(name, frame_id, stamp_ns)
        self._shown = set()

    def _removal(self, name: str, frame_id: str, stamp_ns: int) -> Any:
        message = self._kind(header=_header(frame_id, stamp_ns), id=name)
        message.operation = self._kind.REMOVE
        return message

    def _person(self, name: str, k: int, occupancy: Occupancy) -> Any:
        from geometry_msgs.msg import Point, Pose, Quaternion
        from shape_msgs.msg import SolidPrimitive

        ends = occupancy.ends[k].reshape(-1, 2, 3).astype(np.float64)
        radius = occupancy.radius[k].reshape(-1).astype(np.float64)
        usable = np.isfinite(ends).all((1, 2)) & np.isfinite(radius)
        ends, radius = ends[usable], radius[usable]
        length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
        rows = zip(
            ends.tolist(), ends.mean(1).tolist(), radius.tolist(), length.tolist(), upright_rotations(ends).tolist()
        )
        upright = Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
        shapes, poses = [], []
        for (a, b), middle, r, along, q in rows:
            if along > 1e-6:
                shapes.append(SolidPrimitive(type=SolidPrimitive.CYLINDER, dimensions=[along, r]))
                turned = Quaternion(x=q[0], y=q[1], z=q[2], w=q[3])
                poses.append(Pose(position=Point(x=middle[0], y=middle[1], z=middle[2]), orientation=turned))
            for x, y, z in (a, b):
                shapes.append(SolidPrimitive(type=SolidPrimitive.SPHERE, dimensions=[r]))
                poses.append(Pose(position=Point(x=x, y=y, z=z), orientation=upright))
        message = self._kind(header=_header(occupancy.frame_id, occupancy.stamp_ns), id=name)
        message.pose.orientation.w = 1.0
        message.primitives, message.primitive_poses = shapes, poses
        message.operation = self._kind.ADD
        return message


#: Colours of the kinds of bound.
_COLOURS = {
    BoundKind.NONE: (0.8, 0.1, 0.1),
    BoundKind.REACH: (0.95, 0.6, 0.1),
    BoundKind.MARGINAL: (0.2, 0.6, 0.9),
    BoundKind.SIMULTANEOUS: (0.2, 0.75, 0.35),
    BoundKind.SEPARATION: (0.15, 0.65, 0.65),
}


def capsule_markers(occupancy: Occupancy) -> Iterator[list[Any]]:
    """Markers of one person after the other: capsules of the first, the middle and the last interval.

    Yields:
        A DELETEALL, then each person's markers; green is simultaneous, teal separation, blue marginal, orange
        the reach set.
    """
    from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
    from std_msgs.msg import ColorRGBA
    from visualization_msgs.msg import Marker

    header = _header(occupancy.frame_id, occupancy.stamp_ns)
    yield [Marker(header=header, action=Marker.DELETEALL)]
    steps = sorted({0, (occupancy.intervals - 1) // 2, occupancy.intervals - 1})
    upright = Quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
    number = 0
    for i in range(len(occupancy.person_ids)):
        markers = []
        for alpha, k in zip((0.5, 0.25, 0.12), steps):
            ends, radius = occupancy.ends[i, k].astype(float), occupancy.radius[i, k].astype(float)
            turn = upright_rotations(ends)
            length = np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1)
            for g in range(len(radius)):
                if not (np.isfinite(radius[g]) and np.isfinite(ends[g]).all()):
                    continue
                r, gr, b = _COLOURS[BoundKind(int(occupancy.kind[i, k, g]))]
                colour = ColorRGBA(r=r, g=gr, b=b, a=alpha)
                d = 2.0 * radius[g]
                q = Quaternion(**dict(zip("xyzw", turn[g].tolist())))
                parts = [
                    (Marker.CYLINDER, ends[g].mean(0), q, length[g]),
                    (Marker.SPHERE, ends[g, 0], upright, d),
                    (Marker.SPHERE, ends[g, 1], upright, d),
                ]
                for kind, place, orientation, along in parts:
                    if along < 1e-6:
                        continue
                    number += 1
                    marker = Marker(header=header, ns="occupancy", id=number, type=kind, action=Marker.ADD)
                    marker.pose = Pose(position=Point(**dict(zip("xyz", place.tolist()))), orientation=orientation)
                    marker.scale, marker.color = Vector3(x=d, y=d, z=float(along)), colour
                    marker.lifetime.sec = 1
                    markers.append(marker)
        yield markers


class Outputs:
    """The outputs that a node's parameters switch on.

    Args:
        node: lifecycle node; its publishers publish while it is active.
        parameters: an `OutputParameters` with `reach_speed_mps` and `heartbeat_hz` (`NodeParameters`).
        background: runs what must not delay a prediction; None: everything is done at once.

    Raises:
        MissingPackageError: messages of an output are not installed.
        SeparationBoundError: the separation bound is asked for and not calibrated.
    """

    def __init__(self, node: Any, parameters: Any, background: Background | None = None) -> None:
        self._node, self._parameters, self._background = node, parameters, background
        self._publishers: list[Any] = []
        self._jobs: list[tuple[str, Any, float, Callable[[PredictionBatch], Iterator[Any]]]] = []
        self._next: dict[str, float] = {}
        table = _separation(parameters) if parameters.occupancy_bound == "separation" else None
        self._builder = OccupancyBuilder(parameters, parameters.reach_speed_mps, table, parameters.tracker_error_m)
        coarse = parameters.model_copy(update={"occupancy_interval_s": parameters.coarse_interval_s})
        self._coarse = OccupancyBuilder(coarse, parameters.reach_speed_mps, table, parameters.tracker_error_m)
        self._occupancy: Any = None
        self._objects: CollisionObjects | None = None
        self._closed = False
        self._odd: dict[str, str] = {}
        p = parameters
        if p.publish_swept_volume:
            _messages("sensor_msgs", "publish_swept_volume")
        moveit = _messages("moveit_msgs", "publish_collision_objects") if p.publish_collision_objects else None
        people = _messages("people_msgs", "publish_people") if p.publish_people else None
        try:
            self._open(moveit, people)
        except BaseException:
            self.close()
            raise

    def _open(self, moveit: Any, people: Any) -> None:
        p = self._parameters
        if p.publish_occupancy:
            from aux_motion_msgs.msg import OccupancyArray

            from aux_motion.nodes.predictor_node import output_qos

            self._occupancy = self._publisher(OccupancyArray, "occupancy", output_qos(p.heartbeat_hz))
        rate = p.planner_outputs_max_rate_hz
        if p.publish_occupancy_markers:
            from visualization_msgs.msg import MarkerArray

            publisher = self._publisher(MarkerArray, "occupancy_markers", 1)
            self._jobs.append(("occupancy_markers", publisher, rate, self._make_markers))
        if p.publish_swept_volume:
            from sensor_msgs.msg import PointCloud2

            publisher = self._publisher(PointCloud2, "swept_volume", 1)
            self._jobs.append(("swept_volume", publisher, rate, self._make_cloud))
        if p.publish_human_poses:
            from geometry_msgs.msg import PoseArray

            publisher = self._publisher(PoseArray, "poses", 1)
            self._jobs.append(("poses", publisher, rate, self._make_poses))
        if people is not None:
            self._people = people
            publisher = self._publisher(people.People, "people", 1)
            self._jobs.append(("people", publisher, rate, self._make_people))
        if moveit is not None:
            self._objects = CollisionObjects(moveit)
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

    def publish(self, batch: PredictionBatch, seeing: bool = True) -> None:
        """Publish what is switched on, subscribed to and due. Never raises: what fails is logged.

        Args:
            batch: the predictions that were just published.
            seeing: whether the tracker is heard. Where it is not, nobody sees who else comes: `occupancy`, which has a
                deadline, is silent; the others, which have none, go on growing.
        """
        try:
            self._publish(batch, seeing)
        except Exception as error:  # a planner's output must not end the predictions
            self._node.get_logger().error(f"planner outputs: {error}", throttle_duration_sec=5.0)

    def _publish(self, batch: PredictionBatch, seeing: bool) -> None:
        if seeing and self._occupancy is not None and self._occupancy.get_subscription_count():
            occupancy = self._builder.build(batch)
            self._occupancy.publish(occupancy_message(occupancy))
            self._note_sizes(occupancy)
        now = time.perf_counter()
        for name, publisher, rate_hz, make in self._jobs:
            if now < self._next[name] or not publisher.get_subscription_count():
                continue
            self._next[name] = now + 1.0 / rate_hz
            if self._background is None:
                for _ in self._run(publisher, make, batch):
                    pass
            else:
                self._background.submit(name, lambda p=publisher, m=make: self._run(p, m, batch))

    def _run(self, publisher: Any, make: Callable[[PredictionBatch], Iterator[Any]], batch: PredictionBatch) -> Any:
        for message in make(batch):
            if self._closed:
                return
            if message is not None:
                publisher.publish(message)
            yield

    def _note_sizes(self, occupancy: Occupancy) -> None:
        """Say once of each person whose limbs are not those of the people of the table."""
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
        from visualization_msgs.msg import MarkerArray

        markers: list[Any] = []
        for part in capsule_markers(self._builder.build(batch)):
            markers += part
            yield None
        yield MarkerArray(markers=markers)

    def _make_cloud(self, batch: PredictionBatch) -> Iterator[Any]:
        parts = [np.zeros((0, 3), np.float32)]
        for points in swept_points(self._coarse.build(batch), self._parameters.swept_volume_resolution_m):
            parts.append(points)
            yield None
        yield cloud_message(np.concatenate(parts), batch.frame_id, batch.stamp_ns)

    def _make_poses(self, batch: PredictionBatch) -> Iterator[Any]:
        yield poses_message(batch, self._parameters.human_poses_ahead_s)

    def _make_people(self, batch: PredictionBatch) -> Iterator[Any]:
        yield people_message(batch, self._people.People, self._people.Person)

    def _make_objects(self, batch: PredictionBatch) -> Iterator[Any]:
        yield from self._objects.update(self._coarse.build(batch))

    def clear(self, frame_id: str, stamp_ns: int) -> None:
        """Nothing is predicted from now on: take the people out of MoveIt's planning scene."""
        for name, publisher, _, _ in self._jobs:
            if name == "collision_object" and self._objects is not None:
                for message in self._objects.clear(frame_id, stamp_ns):
                    publisher.publish(message)

    def close(self) -> None:
        """Take the publishers down."""
        self._closed = True
        for publisher in self._publishers:
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers, self._jobs, self._occupancy = [], [], None
