# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`geometry_msgs/PoseArray`: one pose per joint, a joint list tells which.

Several people follow each other in one array. The message has no ids and no confidence: ids are given by nearness, a
joint that is NaN or exactly 0, 0, 0 is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.trackers.base import Adapter, Numbers, points, split
from aux_motion_core.trackers.joint_maps import MappingError, joint_list
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import stamp_to_ns


class PoseArray(Adapter):
    """People in a PoseArray.

    Args:
        joints: required: the name of a joint list, or every joint in wire order.
    """

    name = "pose_array"
    msgtype = "geometry_msgs/msg/PoseArray"
    topic = "poses"
    install = "apt install ros-$ROS_DISTRO-geometry-msgs"
    takes_joints = True

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "") -> None:
        super().__init__(joints, frame_id)
        self._numbers = Numbers()

    def _joints(self, given: tuple[str, ...]) -> str | tuple[str, ...]:
        try:
            return joint_list(given or ((self.default_joints,) if self.default_joints else ()))
        except MappingError as error:
            raise MappingError(f"tracker_joints: {error}") from None

    def reset(self) -> None:
        """Forget where people were."""
        self._numbers.reset()

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame; without poses one that says that nobody is seen.

        Raises:
            MessageError: the number of poses is no multiple of the joint list.
        """
        stamp_ns, frame_id = stamp_to_ns(message.header.stamp), str(message.header.frame_id)
        people = split("poses", len(message.poses), self.joints or ())
        if not people:
            return [self._nobody(stamp_ns, frame_id)]
        positions = points(message.poses, "position.").reshape(people, -1, 3)
        self._check(positions)
        positions = self._clean(positions)
        there = ~(positions != positions).any(-1).all(-1)
        unplaced = [f"?{row}" for row in np.flatnonzero(~there)]  # somebody with no joint at all is not nobody
        positions = self._numbers.join(stamp_ns, positions[there])
        if not len(positions):
            return [self._nobody(stamp_ns, frame_id, unplaced)]
        ids = self._numbers.assign(stamp_ns, positions)
        return [self._frame(stamp_ns, frame_id, ids, positions, unplaced=unplaced)]

    def _check(self, positions: Any) -> None:
        """For subclasses: raise `MessageError` for positions that cannot be used."""
