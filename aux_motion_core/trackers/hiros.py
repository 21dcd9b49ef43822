# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Hi-ROS: `skeleton_msgs/SkeletonGroup`.

Facts (HiROS-unipd/skeleton_msgs): markers are sparse, each with an id and a name; `max_markers` is the full count. The
group's header has the time of publication and the frame of the positions; each skeleton its `src_time`, when it was
seen, and `src_frame`, the camera's.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from aux_motion_core.fields import getter
from aux_motion_core.trackers.base import Adapter, joint_count
from aux_motion_core.trackers.joint_maps import VOCABULARY, joint_name
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError, stamp_to_ns

_COLUMN = {joint: i for i, joint in enumerate(VOCABULARY)}


class HiRos(Adapter):
    """Skeletons of Hi-ROS. A joint list is needed only where the markers have ids but no names."""

    name = "hiros"
    msgtype = "skeleton_msgs/msg/SkeletonGroup"
    topic = "skeletons"
    install = "build https://github.com/HiROS-unipd/skeleton_msgs (branch ros2-humble) and source it"
    default_joints, takes_joints = "openpose25", True

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "") -> None:
        super().__init__(joints, frame_id)
        self._by_id = bool(joints)
        self._columns: dict[str, int] = {}

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame per time of sight and coordinate frame."""
        header_ns, frame_id = stamp_to_ns(message.header.stamp), str(message.header.frame_id)
        groups: dict[tuple[int, str], list[Any]] = {}
        unplaced: list[str] = []
        for skeleton in message.skeletons:
            if not skeleton.markers:
                self.counters["hiros_skeleton_without_markers"] += 1
                unplaced.append(str(skeleton.id))
                continue
            key = stamp_to_ns(skeleton.src_time) or header_ns, frame_id or str(skeleton.src_frame)
            groups.setdefault(key, []).append(skeleton)
        if not groups:
            return [self._nobody(header_ns, frame_id, unplaced)]
        found = [self._people(stamp_ns, frame, people) for (stamp_ns, frame), people in groups.items()]
        return [dataclasses.replace(found[0], unplaced=tuple(unplaced)), *found[1:]] if unplaced else found

    def _people(self, stamp_ns: int, frame_id: str, people: list[Any]) -> SkeletonFrame:
        by_id = self._by_id or not any(m.name for m in people[0].markers)
        joints = self.joints if by_id else VOCABULARY
        count = joint_count(joints or ())
        place = [f"center.pose.position.{axis}" for axis in "xyz"]
        read = getter(people[0].markers[0], "id" if by_id else "name", *place, "confidence")
        rows = []
        for row, skeleton in enumerate(people):
            for name, x, y, z, confidence in map(read, skeleton.markers):
                column = name if by_id else self._column(name)
                if 0 <= column < count:
                    rows.append((row, column, x, y, z, confidence))
                elif by_id:
                    raise MessageError(
                        f"marker id {name}: expected 0 to {count - 1} of the joint list; set tracker_joints to the "
                        "list of this tracker"
                    )
                else:
                    self.counters["hiros_unknown_joint"] += 1
        values = np.array(rows, np.float64).reshape(-1, 6)
        person, column = values[:, 0].astype(np.int64), values[:, 1].astype(np.int64)
        positions = np.full((len(people), count, 3), np.nan)
        confidence = np.zeros((len(people), count))
        positions[person, column] = values[:, 2:5]
        sure = values[:, 5]
        told = np.isfinite(sure) & (sure > 0.0)
        confidence[person, column] = sure if told.any() else 1.0  # a tracker that never tells it
        positions[~positions.any(-1)] = np.nan
        return self._frame(stamp_ns, frame_id, [str(s.id) for s in people], positions, confidence, joints)

    def _column(self, name: str) -> int:
        column = self._columns.get(name)
        if column is None:
            joint = joint_name(name)
            column = self._columns[name] = -1 if joint is None else _COLUMN[joint]
        return column
