# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What trackers send, as `SkeletonFrame`s: one module per tracker, the same for rclpy and rosbags messages.

`make("zed")` gives an adapter; `frames(message)` what it holds. An adapter reads attributes only, so that no tracker's
message package is imported here. Facts and launch flags of each tracker: docs/trackers.md.
"""

from __future__ import annotations

from typing import Any

from aux_motion_core.trackers.aux_motion import AuxMotion
from aux_motion_core.trackers.azure_kinect import AzureKinect
from aux_motion_core.trackers.base import Adapter, AdapterError
from aux_motion_core.trackers.hiros import HiRos
from aux_motion_core.trackers.jsk import Jsk
from aux_motion_core.trackers.mediapipe import MediaPipe
from aux_motion_core.trackers.mocap4r2 import Mocap4r2Bodies, Mocap4r2Markers
from aux_motion_core.trackers.openpose import OpenPose
from aux_motion_core.trackers.openptrack import OpenPTrack
from aux_motion_core.trackers.pose_array import PoseArray
from aux_motion_core.trackers.ros4hri import Ros4Hri
from aux_motion_core.trackers.ros_openpose import RosOpenPose
from aux_motion_core.trackers.yolo import Yolo
from aux_motion_core.trackers.zed import Zed

__all__ = ["NAMES", "Adapter", "AdapterError", "adapter_class", "for_type", "make"]

#: Tracker -> its adapter.
NAMES: dict[str, type[Adapter]] = {
    "aux_motion": AuxMotion,
    "zed": Zed,
    "azure_kinect": AzureKinect,
    "yolo": Yolo,
    "ros4hri": Ros4Hri,
    "hiros": HiRos,
    "pose_array": PoseArray,
    "openpose": OpenPose,
    "mediapipe": MediaPipe,
    "ros_openpose": RosOpenPose,
    "openptrack": OpenPTrack,
    "jsk": Jsk,
    "mocap4r2_markers": Mocap4r2Markers,
    "mocap4r2_bodies": Mocap4r2Bodies,
}
ALIASES: dict[str, str] = {
    "orbbec": "azure_kinect",
    "femto": "azure_kinect",
    "k4a": "azure_kinect",
    "optitrack": "mocap4r2_bodies",
}


def adapter_class(name: str) -> type[Adapter]:
    """The adapter of a tracker.

    Raises:
        AdapterError: no such tracker; names those there are.
    """
    key = ALIASES.get(name, name)
    if key not in NAMES:
        raise AdapterError(f"unknown tracker {name!r}: expected one of {', '.join(NAMES)}")
    return NAMES[key]


def make(name: str, **options: Any) -> Adapter:
    """An adapter.

    Args:
        name: one of `NAMES` or `ALIASES`.
        options: `joints`, the joint list of trackers whose messages do not name their joints; `frame_id`, the frame of
            the positions where the message names a wrong one or none; others as the adapter's class says.

    Raises:
        AdapterError: no such tracker, or an option that it does not take.
    """
    kind = adapter_class(name)
    try:
        return kind(**options)
    except TypeError as error:
        raise AdapterError(f"tracker {name}: {error}") from None


def for_type(msgtype: str) -> list[str]:
    """Trackers that send messages of that type, such as `visualization_msgs/msg/MarkerArray`, or once did."""
    return [name for name in NAMES if msgtype in adapter_class(name).types()]
