# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""ros_openpose: `ros_openpose/Frame`.

Facts (ravijo/ros_openpose): body parts are in OpenPose's order, BODY_25 by default; a part that OpenPose did not find
has score 0 and pixel 0, 0, and yet a point: what the depth image says at that pixel. Where the depth is 0 the point is
not written at all and holds whatever was in that memory, mostly the point of the part before. The message is stamped
when it is published, not when the picture was taken. Started without depth (frame `no_depth`) no point means anything.
ROS 2 takes no field `bodyParts`: ports call it `body_parts`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.fields import getter
from aux_motion_core.trackers.base import Adapter, Numbers, joint_count, points
from aux_motion_core.trackers.joint_maps import SOURCES
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import MessageError, stamp_to_ns

#: OpenPose's body models by their number of parts.
_BY_COUNT = {25: "openpose25", 18: "openpose18", 17: "coco17"}


class RosOpenPose(Adapter):
    """People of ros_openpose. A joint list is needed only for another body model than BODY_25, COCO-18 and COCO-17."""

    name = "ros_openpose"
    msgtype = "ros_openpose/msg/Frame"
    topic = "frame"
    install = "build a ROS 2 port of https://github.com/ravijo/ros_openpose and source it"
    takes_joints = True

    def __init__(self, joints: tuple[str, ...] = (), frame_id: str = "") -> None:
        super().__init__(joints, frame_id)
        self._numbers = Numbers()

    def reset(self) -> None:
        """Forget where people were."""
        self._numbers.reset()

    def frames(self, message: Any) -> list[SkeletonFrame]:
        """One frame; without persons one that says that nobody is seen.

        Raises:
            MessageError: started without depth, or another number of body parts than the joint list has.
        """
        stamp_ns, frame_id = stamp_to_ns(message.header.stamp), str(message.header.frame_id)
        if frame_id.lstrip("/") == "no_depth":
            raise MessageError(
                "frame no_depth: ros_openpose was started without a depth camera and its points mean nothing; start it "
                "with config_realsense.launch, config_zed2.launch or config_azurekinect.launch"
            )
        parts = [_body_parts(person) for person in message.persons]
        seen = [row for row, p in enumerate(parts) if len(p)]
        unplaced = [f"?{row}" for row in range(len(parts)) if row not in seen]
        if not seen:
            return [self._nobody(stamp_ns, frame_id, unplaced)]
        joints = self._list({len(parts[row]) for row in seen})
        flat = [part for row in seen for part in parts[row]]
        positions = points(flat, "point.").reshape(len(seen), -1, 3)
        read = getter(flat[0], "score", "pixel.x", "pixel.y")
        told = np.array([read(part) for part in flat], np.float64).reshape(len(seen), -1, 3)
        found = (told[..., 0] > 0.0) & told[..., 1:].any(-1)
        positions = self._clean(np.where(found[..., None], positions, np.nan))
        there = np.isfinite(positions).all(-1).any(-1)
        unplaced += [f"?{seen[i]}" for i in np.flatnonzero(~there)]
        if not there.any():
            return [self._nobody(stamp_ns, frame_id, unplaced)]
        placed = positions[there]
        joined = self._numbers.join(stamp_ns, placed)
        ids = self._numbers.assign(stamp_ns, joined)
        sure = np.clip(told[there][..., 0], 0.0, 1.0) if joined is placed else None
        return [self._frame(stamp_ns, frame_id, ids, joined, sure, joints, unplaced=unplaced)]

    def _list(self, counts: set[int]) -> str | tuple[str, ...]:
        """The joint list of that number of body parts."""
        count = next(iter(counts))
        if len(counts) == 1 and (joints := self.joints or _BY_COUNT.get(count)) and joint_count(joints) == count:
            return joints
        known = ", ".join(f"{n} ({SOURCES[name][0]}, ... of {name})" for n, name in _BY_COUNT.items())
        raise MessageError(
            f"persons with {', '.join(map(str, sorted(counts)))} body parts: expected "
            f"{joint_count(self.joints) if self.joints else known}; name the joints of this model in tracker_joints"
        )


def _body_parts(person: Any) -> Any:
    """Body parts of a person, as ROS 1 or as ROS 2 names the field."""
    return person.bodyParts if hasattr(person, "bodyParts") else person.body_parts
