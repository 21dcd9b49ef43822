# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Azure Kinect and Orbbec Femto: `visualization_msgs/MarkerArray` on `body_tracking_data`.

Facts (Azure_Kinect_ROS_Driver, usage.md): one marker per joint, `id = body * 100 + joint`, the 32 joints of the body
tracking SDK. The array has no header: stamp and frame are each marker's. Confidence is not published, so joints that
the SDK guessed look like those that it saw. Nobody is an array without markers.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.fields import getter
from aux_motion_core.trackers.base import Adapter
from aux_motion_core.trackers.marker_bytes import MarkerBytes
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError

_ADD = 0  # also MODIFY; the others delete
_JOINTS = 32


class AzureKinect(Adapter):
    """Bodies of an Azure Kinect or an Orbbec Femto."""

    name = "azure_kinect"
    msgtype = "visualization_msgs/msg/MarkerArray"
    topic = "body_tracking_data"
    install = "apt install ros-$ROS_DISTRO-visualization-msgs"
    takes_bytes = True

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "") -> None:
        super().__init__(joints, frame_id)
        self._bytes = MarkerBytes()

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame per stamp and coordinate frame; none for an empty array, which has neither."""
        markers = message.markers
        if markers and any(map(getter(markers[0], "action"), markers)):
            markers = [m for m in markers if m.action == _ADD]
        if not markers:
            self.counters["azure_kinect_nobody"] += 1
            return []
        place = getter(markers[0], "id", "pose.position.x", "pose.position.y", "pose.position.z")
        keys = list(map(getter(markers[0], "header.stamp.sec", "header.stamp.nanosec", "header.frame_id"), markers))
        groups = {key: markers for key in keys[:1]}
        if keys.count(keys[0]) < len(keys):
            groups = {key: [m for k, m in zip(keys, markers, strict=True) if k == key] for key in dict.fromkeys(keys)}
        frames = []
        for (sec, nanosec, frame_id), members in groups.items():
            values = np.fromiter(chain.from_iterable(map(place, members)), np.float64, 4 * len(members)).reshape(-1, 4)
            frames.append(self._bodies(int(sec) * NS + int(nanosec), str(frame_id), values))
        return frames

    def frames_of_bytes(self, data: bytes) -> list[SkeletonFrame] | None:
        """As `frames`, of a serialised message; None where it must be made a message first.

        Raises:
            MessageError: as `frames`.
        """
        found = self._bytes.read(data)
        if found is None:
            return None
        return [self._bodies(found.sec * NS + found.nanosec, found.frame_id, found.values)]

    def _bodies(self, stamp_ns: int, frame_id: str, values: np.ndarray) -> SkeletonFrame:
        """A frame of (n, 4) marker id, x, y, z."""
        number = values[:, 0].astype(np.int64)
        body, joint = np.divmod(number, 100)
        wrong = (joint >= _JOINTS) | (number < 0)
        if wrong.any():
            if wrong.all():
                raise MessageError(
                    f"marker id {number[0]} is no joint: expected id = body * 100 + joint with 32 joints, as "
                    "body_tracking_data of the Azure Kinect driver has it; is this the topic of its bodies?"
                )
            self.counters["azure_kinect_unknown_joint"] += int(wrong.sum())
            values, body, joint = values[~wrong], body[~wrong], joint[~wrong]
        bodies, row = np.unique(body, return_inverse=True)
        positions = np.full((len(bodies), _JOINTS, 3), np.nan)
        positions[row.reshape(-1), joint] = values[:, 1:]
        positions[~positions.any(-1)] = np.nan
        return self._frame(stamp_ns, frame_id, map(str, bodies.tolist()), positions, joints="k4a32")
