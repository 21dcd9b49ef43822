# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""OpenPose in 3D: BODY_25 by default, COCO-18 or COCO-17 by the joint list.

OpenPose has no ROS message. `frames` takes a `geometry_msgs/PoseArray` with the joints in OpenPose's order, as bridges
publish it; `frame` takes its arrays of x, y, z, score. A joint that was not found is 0, 0, 0 with score 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aux_motion_core.trackers.base import joint_count
from aux_motion_core.trackers.joint_maps import mapping
from aux_motion_core.trackers.pose_array import PoseArray
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError


class OpenPose(PoseArray):
    """People of OpenPose."""

    name = "openpose"
    topic = "openpose/poses"
    default_joints = "openpose25"

    def frame(
        self, stamp_ns: int, frame_id: str, keypoints: np.ndarray, ids: Sequence[str] | None = None
    ) -> SkeletonFrame:
        """A frame from OpenPose's own arrays.

        Args:
            stamp_ns: time of capture, nanoseconds.
            frame_id: frame of the positions.
            keypoints: (people, joints, 4) x, y, z in metres, score (`poseKeypoints3D`).
            ids: of the people; None: given by nearness.

        Raises:
            MessageError: another shape.
        """
        count = joint_count(self.joints or ())
        keypoints = np.asarray(keypoints, np.float64)
        if keypoints.ndim != 3 or keypoints.shape[1:] != (count, 4):
            raise MessageError(
                f"key points of shape {keypoints.shape}: expected (people, {count}, 4), x, y, z and score of "
                f"{mapping(self.joints).name}"
            )
        positions = keypoints[..., :3].copy()
        positions[(keypoints[..., 3] <= 0.0) | ~positions.any(-1)] = np.nan
        positions = self._clean(positions)
        there = np.isfinite(positions).all(-1).any(-1)
        unplaced = [f"?{row}" for row in np.flatnonzero(~there)] if ids is None else []
        if unplaced:  # with ids they stay among the people, without joints
            positions, keypoints = positions[there], keypoints[there]
        if not len(positions):
            return self._nobody(stamp_ns, frame_id, unplaced)
        ids = self._numbers.assign(stamp_ns, positions) if ids is None else ids
        return self._frame(stamp_ns, frame_id, ids, positions, keypoints[..., 3], unplaced=unplaced)
