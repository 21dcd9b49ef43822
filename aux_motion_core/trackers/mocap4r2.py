# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Motion capture: `mocap4r2_msgs/Markers` and `RigidBodies`, as drivers of OptiTrack, Vicon and others send them.

Facts (MOCAP4ROS2-Project): a marker has a name, an index or both (`id_type`); a rigid body has a name, which the
OptiTrack driver makes of its number in Motive. Which of them is where on a person the system does not know: a joint map
says it, one `marker=joint` each. Positions are in metres in the system's frame.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np

from aux_motion_core.trackers.base import Adapter
from aux_motion_core.trackers.joint_maps import MappingError, joint_name
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError, stamp_to_ns

#: Of whom a marker is that names nobody.
_ONE = "1"
_USE_INDEX = 1
#: "subject:marker", as Vicon and others name them.
_SUBJECT = re.compile(r"^(.+)[:/](.+?)$")
_EXAMPLE = "such as 'LSHO=left_shoulder', or 'LSHO=left_shoulder@anna' where several people wear markers"


class _Mocap(Adapter):
    """What both messages share.

    Args:
        joints: the joint map, `marker=joint` or `marker=joint@person` each. Several markers of one joint are averaged.
            A marker named `subject:marker` is also found by what is behind the colon, and is the subject's.
    """

    takes_joints = True
    #: What the map's names are names of.
    things = "markers"

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "") -> None:
        self._map: dict[str, tuple[str, str]] = {}
        super().__init__(joints, frame_id)
        self._column = {joint: i for i, joint in enumerate(self.joints or ())}
        self._matched = False

    def _joints(self, given: tuple[str, ...]) -> tuple[str, ...]:
        if not given:
            raise MappingError(f"tracker_joints: expected a joint map with one entry a marker, {_EXAMPLE}")
        for entry in given:
            marker, equals, where = entry.partition("=")
            joint, _, person = where.partition("@")
            marker, person = marker.strip(), person.strip()
            found = joint_name(joint.strip())
            if not equals or not marker or found is None:
                raise MappingError(f"tracker_joints: {entry!r} is no entry of a joint map: expected one {_EXAMPLE}")
            if marker in self._map:
                raise MappingError(f"tracker_joints: {marker} has several joints: name each of the {self.things} once")
            self._map[marker] = found, person
        return tuple(dict.fromkeys(joint for joint, _ in self._map.values()))

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame of those whose markers are seen; one without people where none of them is.

        Raises:
            MessageError: no name of the joint map was ever in a message.
        """
        stamp_ns, frame_id = stamp_to_ns(message.header.stamp), str(message.header.frame_id)
        found: dict[str, dict[int, list[tuple[float, float, float]]]] = {}
        other: list[str] = []
        for name, at in self._things(message):
            entry = self._entry(name)
            if entry is None:
                other.append(name)
                continue
            joint, person = entry
            place = float(at.x), float(at.y), float(at.z)
            row = found.setdefault(person, {})
            if np.isfinite(place).all() and any(place):  # hidden ones are NaN, or never filled in
                row.setdefault(self._column[joint], []).append(place)
        self._matched |= bool(found)
        if other and not self._matched:
            raise MessageError(
                f"none of the {self.things} {', '.join(other[:5])} is in the joint map (tracker_joints: "
                f"{', '.join(list(self._map)[:5])}): use the names that come"
            )
        self.counters["mocap_not_in_map"] += len(other)
        placed = {person: row for person, row in found.items() if row}
        unplaced = [person for person in found if person not in placed]
        if not placed:
            return [self._nobody(stamp_ns, frame_id, unplaced)]
        positions = np.full((len(placed), len(self._column), 3), np.nan)
        for i, row in enumerate(placed.values()):
            for column, places in row.items():
                positions[i, column] = np.mean(places, axis=0)
        return [self._frame(stamp_ns, frame_id, list(placed), positions, unplaced=unplaced)]

    def _entry(self, name: str) -> tuple[str, str] | None:
        """Joint and person of a name; None: it is not in the map."""
        if name in self._map:
            joint, person = self._map[name]
            return joint, person or _ONE
        parts = _SUBJECT.match(name)
        if parts is not None and parts[2] in self._map:
            joint, person = self._map[parts[2]]
            return joint, person or parts[1]
        return None

    @abstractmethod
    def _things(self, message: Any) -> Iterator[tuple[str, Any]]:
        """Name and place of everything in a message."""


class Mocap4r2Markers(_Mocap):
    """People who wear markers; see `mocap4r2`."""

    name = "mocap4r2_markers"
    msgtype = "mocap4r2_msgs/msg/Markers"
    earlier = ("mocap_msgs/msg/Markers",)
    topic = "mocap4r2/markers"  # the drivers' `markers` is the name of an output of the node
    install = "build https://github.com/MOCAP4ROS2-Project/mocap4r2_msgs and source it"

    def _things(self, message: Any) -> Iterator[tuple[str, Any]]:
        for marker in message.markers:
            by_index = marker.id_type == _USE_INDEX or not marker.marker_name
            yield str(marker.marker_index) if by_index else str(marker.marker_name), marker.translation


class Mocap4r2Bodies(_Mocap):
    """People who wear rigid bodies; see `mocap4r2`."""

    name = "mocap4r2_bodies"
    msgtype = "mocap4r2_msgs/msg/RigidBodies"
    earlier = ("mocap_msgs/msg/RigidBodies",)
    topic = "mocap4r2/rigid_bodies"
    install = Mocap4r2Markers.install
    things = "rigid bodies"

    def _things(self, message: Any) -> Iterator[tuple[str, Any]]:
        for body in message.rigidbodies:
            yield str(body.rigid_body_name), body.pose.position
