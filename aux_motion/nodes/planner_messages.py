# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The messages that planners take, made from a batch of predictions or from an occupancy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from aux_motion_msgs.msg import OccupancyArray, PersonOccupancy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion
from std_msgs.msg import Header

from aux_motion.nodes.conversion import fill
from aux_motion_core.safety.capsules import voxels
from aux_motion_core.safety.occupancy import Occupancy, occupancy_fields
from aux_motion_core.skeleton import INDEX
from aux_motion_core.types import PredictionBatch, TrackState
from aux_motion_core.wire.messages import ns_to_stamp

_PELVIS = INDEX["pelvis"]
#: Nobody flies: the swept volume ends `_BELOW_M` below the lowest joint and `_ABOVE_M` above the highest one, but not
#: below the height that somebody who stands up from the lowest joint reaches with a hand; metres.
_BELOW_M, _ABOVE_M, _STANDS_M = 0.3, 1.0, 2.5
#: Horizon of the velocity of people that Nav2's social layers take, seconds.
_VELOCITY_S = 0.4
#: Reliability of a person's position for those layers.
_RELIABILITY = {TrackState.TRACKING: 1.0, TrackState.DEGRADED: 0.5, TrackState.WARMING_UP: 0.5}


def occupancy_message(occupancy: Occupancy) -> OccupancyArray:
    """An occupancy as an `aux_motion_msgs/OccupancyArray`."""
    fields = occupancy_fields(occupancy)
    message = OccupancyArray()
    fill(message.header, fields.pop("header"))
    message.people = [fill(PersonOccupancy(), person) for person in fields.pop("people")]
    return fill(message, fields)


def header(frame_id: str, stamp_ns: int) -> Header:
    """The header of a message."""
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


class CloudWriter:
    """Points as a `sensor_msgs/PointCloud2` with x, y, z, always in the same message.

    New memory for a large cloud takes longer than to fill it. Publish a message before the next one is filled.
    """

    def __init__(self) -> None:
        from sensor_msgs.msg import PointCloud2, PointField

        fields = [PointField(name=n, offset=4 * k, datatype=PointField.FLOAT32, count=1) for k, n in enumerate("xyz")]
        self._message = PointCloud2(height=1, fields=fields, is_bigendian=False, point_step=12, is_dense=True)

    def fill(self, parts: Sequence[np.ndarray], frame_id: str, stamp_ns: int) -> Any:
        """The message of these points, (K, 3) of each part, one after the other."""
        message, count = self._message, sum(map(len, parts))
        message.header, message.width, message.row_step = header(frame_id, stamp_ns), count, 12 * count
        data = message.data
        del data[12 * count :]
        data.frombytes(bytes(12 * count - len(data)))
        if count:
            np.concatenate(parts, out=np.frombuffer(data, "<f4").reshape(count, 3))
        return message


def poses_message(batch: PredictionBatch, ahead_s: float) -> PoseArray:
    """Joint positions of everybody as a `geometry_msgs/PoseArray`.

    Args:
        batch: predictions.
        ahead_s: predicted joints up to this time after the batch's stamp are among them.
    """
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
    return PoseArray(header=header(batch.frame_id, batch.stamp_ns), poses=poses)


def people_message(batch: PredictionBatch, kind: Any, person_kind: Any) -> Any:
    """Pelvis, predicted velocity and reliability of everybody as a `people_msgs/People`."""
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
    return kind(header=header(batch.frame_id, batch.stamp_ns), people=people)


def upright_rotations(ends: np.ndarray) -> np.ndarray:
    """Quaternions x, y, z, w (N, 4) that turn the z axis to the direction of each axis of `ends` (N, 2, 3)."""
    d = ends[:, 1] - ends[:, 0]
    length = np.linalg.norm(d, axis=1, keepdims=True)
    d = np.where(length > 1e-9, d / np.maximum(length, 1e-9), (0.0, 0.0, 1.0))
    q = np.stack([-d[:, 1], d[:, 0], np.zeros(len(d)), 1.0 + d[:, 2]], 1)
    down = q[:, 3] < 1e-6
    q[down] = (1.0, 0.0, 0.0, 0.0)
    return q / np.linalg.norm(q, axis=1, keepdims=True)
