# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""jsk_perception: `jsk_recognition_msgs/HumanSkeletonArray` of people_pose_estimation_2d with depth.

Facts (jsk-ros-pkg/jsk_recognition): a skeleton is a list of bones, each a segment from one joint to another, and their
names such as `Neck->RShoulder`; a joint whose depth is a hole is in no bone. `human_ids` stays empty. The stamp is the
picture's, the frame the camera's (optical axes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.fields import getter
from aux_motion_core.trackers.base import Adapter, Numbers
from aux_motion_core.trackers.joint_maps import VOCABULARY, joint_name
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError, stamp_to_ns

_COLUMN = {joint: i for i, joint in enumerate(VOCABULARY)}
_ARROW = "->"


class Jsk(Adapter):
    """People of jsk_perception."""

    name = "jsk"
    msgtype = "jsk_recognition_msgs/msg/HumanSkeletonArray"
    topic = "people_pose_estimation_2d/skeleton"
    install = (
        "build a ROS 2 port of jsk_recognition_msgs of https://github.com/jsk-ros-pkg/jsk_recognition and source it"
    )

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "") -> None:
        super().__init__(joints, frame_id)
        self._numbers = Numbers("u")
        self._columns: dict[str, tuple[int, int]] = {}

    def reset(self) -> None:
        """Forget where people were."""
        self._numbers.reset()

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame; without skeletons one that says that nobody is seen.

        Raises:
            MessageError: bones without names, or names that are not two joints.
        """
        stamp_ns, frame_id = stamp_to_ns(message.header.stamp), str(message.header.frame_id)
        skeletons = list(message.skeletons)
        named = [str(i.data) for i in message.human_ids]
        if named and len(named) != len(skeletons):
            raise MessageError(f"{len(named)} human_ids for {len(skeletons)} skeletons: expected one each, or none")
        positions = np.full((len(skeletons), len(VOCABULARY), 3), np.nan)
        for row, skeleton in enumerate(skeletons):
            self._fill(positions[row], skeleton)
        positions[~positions.any(-1)] = np.nan  # a place that was never filled in
        there = np.isfinite(positions).all(-1).any(-1)
        unplaced = [named[i] if named else f"?{i}" for i in np.flatnonzero(~there)]
        if not there.any():
            return [self._nobody(stamp_ns, frame_id, unplaced)]
        found = positions[there]
        ids = [named[i] for i in np.flatnonzero(there)] if named else self._numbers.assign(stamp_ns, found)
        return [self._frame(stamp_ns, frame_id, ids, found, joints=VOCABULARY, unplaced=unplaced)]

    def _fill(self, positions: np.ndarray, skeleton: Any) -> None:
        """Places of a skeleton's joints, (joints, 3), from the ends of its bones."""
        if len(skeleton.bones) != len(skeleton.bone_names):
            raise MessageError(
                f"a skeleton with {len(skeleton.bones)} bones and {len(skeleton.bone_names)} bone_names: expected one "
                "each"
            )
        if not len(skeleton.bones):
            return
        ends = [f"{end}_point.{axis}" for end in ("start", "end") for axis in "xyz"]
        read = getter(skeleton.bones[0], *ends)
        for name, bone in zip(skeleton.bone_names, skeleton.bones, strict=True):
            at = np.array(read(bone), np.float64).reshape(2, 3)
            for column, place in zip(self._ends(str(name)), at, strict=True):
                if column >= 0:
                    positions[column] = place
                else:
                    self.counters["jsk_unknown_joint"] += 1

    def _ends(self, name: str) -> tuple[int, int]:
        """Columns of the two joints of a bone; -1 where one is unknown."""
        if name not in self._columns:
            parts = name.split(_ARROW)
            if len(parts) != 2:
                raise MessageError(f"bone {name!r}: expected two joints such as 'Neck->RShoulder'")
            joints = [joint_name(part) for part in parts]
            first, second = (-1 if joint is None else _COLUMN[joint] for joint in joints)
            self._columns[name] = first, second
        return self._columns[name]
