# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A tracker in a process of its own: publishes walking people as that tracker sends them, stamped now.

    python tracker_process.py zed --topic skeletons --seconds 20 [--camera] [--static x,y,z] ...

The messages are made by rosbags and published as bytes, so only their type support is needed. With `--tf-late-s` the
camera moves: its pose goes out on /tf, so much later than the skeletons that need it.
"""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from aux_motion_core.bags.definitions import typestore  # noqa: E402
from support import tracker_messages as make  # noqa: E402

FRAME = "camera"


def message_class(msgtype: str):
    """The rclpy class of a type."""
    package, _, name = msgtype.split("/")
    return getattr(import_module(f"{package}.msg"), name)


def as_bytes(message, msgtype: str) -> bytes:
    """CDR of a rosbags message."""
    return bytes(typestore().serialize_cdr(message, msgtype))


def people(tracker: str, time_s: float, ns: int, count: int = 1, shift=(0.0, 0.0, 0.0)):
    """A tracker's message of people who walk, in frame `camera`."""
    joints = {"zed": "zed38", "azure_kinect": "k4a32", "openpose": "openpose25", "mediapipe": "mediapipe33"}
    joints |= {"ros_openpose": "openpose25", "openptrack": "openptrack15", "jsk": "openpose18"}
    name = joints.get(tracker, "coco17")
    there = {i + 1: make.person(name, time_s, 2.0 * i) + np.asarray(shift) for i in range(count)}
    if tracker == "zed":
        return make.zed(there, ns, frame=FRAME)
    if tracker == "azure_kinect":
        return make.azure_kinect(there, ns, FRAME)
    if tracker == "yolo":
        return make.yolo([(str(i), p) for i, p in there.items()], ns, FRAME)
    if tracker == "hiros":
        names = make.SOURCES[name]
        return make.hiros({i: dict(zip(names, p, strict=True)) for i, p in there.items()}, ns, ns, FRAME)
    if tracker == "ros_openpose":
        return make.ros_openpose(list(there.values()), ns, FRAME)
    if tracker == "openptrack":
        return make.openptrack(there, ns, FRAME)
    if tracker == "jsk":
        return make.jsk(list(there.values()), ns, FRAME)
    if tracker.startswith("mocap4r2"):  # named as their joints are
        worn = make.mocap_markers if tracker == "mocap4r2_markers" else make.mocap_bodies
        names = make.SOURCES[name]
        return worn({f"{i}:{j}": at for i, p in there.items() for j, at in zip(names, p, strict=True)}, ns, FRAME)
    return make.poses(np.concatenate(list(there.values())) if there else np.empty((0, 3)), ns, FRAME)


def body_transforms(time_s: float, ns: int):
    """ROS4HRI's transforms of one body that walks along x of the camera."""
    body = make.person("coco17", time_s)
    pelvis = body[[11, 12]].mean(0)
    links = {"l_shoulder": 5, "r_shoulder": 6, "l_elbow": 7, "l_wrist": 9, "r_elbow": 8, "r_wrist": 10}
    links |= {"l_hip": 11, "r_hip": 12, "l_knee": 13, "r_knee": 14, "l_ankle": 15, "r_ankle": 16}
    below = [("body_x1", f"{link}_x1", tuple(body[i] - pelvis), ns) for link, i in links.items()]
    return make.transforms([(FRAME, "body_x1", tuple(pelvis), ns)]), make.transforms(below)


def main() -> None:
    """Publish until the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("tracker")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate-hz", type=float, default=30.0)
    parser.add_argument("--tf-late-s", type=float, default=-1.0)
    parser.add_argument("--earlier", action="store_true", help="under the earlier name of the message's package")
    given = parser.parse_args()
    import rclpy
    from rclpy.qos import DurabilityPolicy, QoSProfile

    from aux_motion_core.trackers import adapter_class

    rclpy.init()
    node = rclpy.create_node(f"tracker_{given.tracker}")
    msgtype = adapter_class(given.tracker).msgtype
    sent = adapter_class(given.tracker).earlier[0] if given.earlier else msgtype
    publisher = node.create_publisher(message_class(sent), given.topic, 10)
    tf_type = "tf2_msgs/msg/TFMessage"
    moving = given.tf_late_s >= 0.0
    tf = node.create_publisher(message_class(tf_type), "/tf", 100) if moving or given.tracker == "ros4hri" else None
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    if moving:
        static = node.create_publisher(message_class(tf_type), "/tf_static", latched)
        mount = make.transforms([("robot", FRAME, (0.0, 0.0, 1.0), 0)])
        static.publish(as_bytes(mount, tf_type))
    start = time.monotonic()
    due: list[tuple[float, bytes]] = []
    k = 0
    while (now := time.monotonic() - start) < given.seconds:
        ns = time.time_ns()
        if given.tracker == "ros4hri":
            publisher.publish(as_bytes(make.ids(["x1"], ns), msgtype))
            for message in body_transforms(now, ns):
                tf.publish(as_bytes(message, tf_type))
        else:
            # the robot moves along x and the people stay where they are: in its frame they move
            shift = (-0.1 * now, 0.0, -1.0) if moving else (0.0, 0.0, 0.0)
            publisher.publish(as_bytes(people(given.tracker, now, ns, shift=shift), msgtype))
        if moving:
            pose = make.transforms([("world", "robot", (0.1 * now, 0.0, 0.0), ns)])
            due.append((now + given.tf_late_s, as_bytes(pose, tf_type)))
        k += 1
        while (rest := start + k / given.rate_hz - time.monotonic()) > 0.0 or (due and due[0][0] < now):
            while due and due[0][0] <= time.monotonic() - start:
                tf.publish(due.pop(0)[1])
            time.sleep(min(max(rest, 0.0), 0.002))
            now = time.monotonic() - start
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
