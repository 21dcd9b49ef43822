# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Our own `aux_motion_msgs/SkeletonArray`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from aux_motion_core.skeleton import JointStatus
from aux_motion_core.trackers.base import Adapter
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import frame_from_message


class AuxMotion(Adapter):
    """See `messages.frame_from_message`."""

    name = "aux_motion"
    msgtype = "aux_motion_msgs/msg/SkeletonArray"
    topic = "skeletons"
    install = "build ros2_ws (colcon build), or run tools/build_messages.py where ROS comes from wheels"

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame per message."""
        frame = frame_from_message(message)
        positions = self._clean(frame.positions)
        if positions is not frame.positions:
            missing = ~np.isfinite(positions).all(-1)
            status = np.where(missing, np.uint8(JointStatus.MISSING), frame.status)
            sure = np.where(missing, np.float32(0.0), frame.confidence)
            frame = dataclasses.replace(frame, positions=positions, status=status, confidence=sure)
        return [dataclasses.replace(frame, frame_id=self.frame_id) if self.frame_id else frame]
