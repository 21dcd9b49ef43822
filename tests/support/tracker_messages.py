# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Trackers' messages as rosbags has them, built field by field, and people to put into them."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.bags.definitions import typestore
from aux_motion_core.constants import NS
from aux_motion_core.skeleton import INDEX, JOINTS
from aux_motion_core.testing import synthetic
from aux_motion_core.trackers.joint_maps import SOURCES, VOCABULARY
from aux_motion_core.trackers.ros4hri import LINKS


def blank(msgtype: str) -> Any:
    """A message with every field at its zero, as ROS makes it."""
    store = typestore()
    values = {}
    for name, (node, detail) in store.fielddefs[msgtype][1]:
        kind = int(node)
        if kind == 1:  # base
            values[name] = {"string": "", "bool": False}.get(detail[0], 0)
        elif kind == 2:  # message
            values[name] = blank(detail)
        elif kind == 3:  # array
            (inner, what), size = detail
            if int(inner) == 1:
                values[name] = np.zeros(size, np.bool_ if what[0] == "bool" else np.dtype(what[0]))
            else:
                values[name] = [blank(what) for _ in range(size)]
        else:
            inner, what = detail[0]
            numbers = int(inner) == 1 and what[0] != "string"
            values[name] = np.zeros(0, np.dtype(what[0])) if numbers else []
    return store.types[msgtype](**values)


def stamp(message: Any, ns: int) -> None:
    """Set a `builtin_interfaces/Time`."""
    message.sec, message.nanosec = divmod(ns, NS)


def person(joints: str, time_s: float = 0.0, phase: float = 0.0) -> np.ndarray:
    """(Js, 3) of a walking person in the joints of a list; what `body20` lacks is near what it has."""
    body = synthetic.walker(np.array([time_s]), phase)[0]
    out = np.zeros((len(SOURCES[joints]), 3))
    rng = np.random.default_rng(7)
    near = {"spine_1": "pelvis", "spine_3": "neck", "spine_chest": "neck", "upper_neck": "neck", "head_top": "head"}
    for i, name in enumerate(SOURCES[joints]):
        side = name.split("_")[0] + "_" if name.startswith(("left_", "right_")) else ""
        rest = name.removeprefix(side)
        part = {
            "clavicle": "shoulder", "hand_tip": "hand", "thumb": "hand", "index": "hand", "middle": "hand",
            "pinky": "hand", "toe": "foot", "small_toe": "foot", "heel": "ankle",
        }.get(rest, rest)  # fmt: skip
        joint = side + part if side + part in INDEX else near.get(rest, "head")
        out[i] = body[INDEX[joint]] + (0.0 if name in INDEX else rng.normal(scale=0.02, size=3))
    return out


def zed(people: dict[int, np.ndarray], ns: int = NS, fmt: int = 2, frame: str = "zed_left_camera_frame", **fields: Any):
    """A `zed_msgs/ObjectsStamped`: body id -> (18 | 34 | 38, 3)."""
    message = blank("zed_msgs/msg/ObjectsStamped")
    stamp(message.header.stamp, ns)
    message.header.frame_id = frame
    for number, joints in people.items():
        body = blank("zed_msgs/msg/Object")
        body.label, body.label_id, body.confidence = f"Body_{number}", number, np.float32(80.0)
        body.tracking_available = body.skeleton_available = True
        body.tracking_state, body.body_format = 1, fmt
        for slot, at in enumerate(joints):
            body.skeleton_3d.keypoints[slot].kp = np.asarray(at, np.float32)
        for name, value in fields.items():
            setattr(body, name, value)
        message.objects.append(body)
    return message


def azure_kinect(people: dict[int, np.ndarray], ns: int = NS, frame: str = "depth_camera_link") -> Any:
    """A `visualization_msgs/MarkerArray` of the Azure Kinect driver: body id -> (32, 3)."""
    message = blank("visualization_msgs/msg/MarkerArray")
    for body, joints in people.items():
        for joint, at in enumerate(joints):
            marker = blank("visualization_msgs/msg/Marker")
            stamp(marker.header.stamp, ns)
            marker.header.frame_id, marker.id, marker.type = frame, body * 100 + joint, 2
            marker.pose.position.x, marker.pose.position.y, marker.pose.position.z = map(float, at)
            message.markers.append(marker)
    return message


def yolo(
    people: list[tuple[str, np.ndarray]], ns: int = NS, frame: str = "base_link", camera: str = "camera_optical"
) -> Any:
    """A `yolo_msgs/DetectionArray`: (track id, (17, 3)), rows of NaN are left out as yolo_ros does."""
    message = blank("yolo_msgs/msg/DetectionArray")
    stamp(message.header.stamp, ns)
    message.header.frame_id = camera
    for track, joints in people:
        detection = blank("yolo_msgs/msg/Detection")
        detection.class_name, detection.score, detection.id = "person", 0.9, track
        detection.keypoints3d.frame_id = frame
        for joint, at in enumerate(joints):
            if np.isfinite(at).all():
                point = blank("yolo_msgs/msg/KeyPoint3D")
                point.id, point.score = joint + 1, 0.8
                point.point.x, point.point.y, point.point.z = map(float, at)
                detection.keypoints3d.data.append(point)
        message.detections.append(detection)
    return message


def hiros(people: dict[int, dict[str, np.ndarray]], ns: int = NS, src_ns: int = 0, frame: str = "map") -> Any:
    """A `skeleton_msgs/SkeletonGroup`: skeleton id -> marker name -> place."""
    message = blank("skeleton_msgs/msg/SkeletonGroup")
    stamp(message.header.stamp, ns)
    message.header.frame_id = frame
    for number, markers in people.items():
        skeleton = blank("skeleton_msgs/msg/Skeleton")
        skeleton.id, skeleton.src_frame, skeleton.max_markers = number, "camera_3", 25
        stamp(skeleton.src_time, src_ns)
        for index, (name, at) in enumerate(markers.items()):
            marker = blank("skeleton_msgs/msg/Marker")
            marker.id, marker.name, marker.confidence = index, name, 0.7
            place = marker.center.pose.position
            place.x, place.y, place.z = map(float, at)
            skeleton.markers.append(marker)
        message.skeletons.append(skeleton)
    return message


def poses(joints: np.ndarray, ns: int = NS, frame: str = "map") -> Any:
    """A `geometry_msgs/PoseArray` of (n, 3)."""
    message = blank("geometry_msgs/msg/PoseArray")
    stamp(message.header.stamp, ns)
    message.header.frame_id = frame
    for at in joints:
        pose = blank("geometry_msgs/msg/Pose")
        pose.position.x, pose.position.y, pose.position.z = map(float, at)
        message.poses.append(pose)
    return message


def ids(names: list[str], ns: int = NS) -> Any:
    """A `hri_msgs/IdsList`."""
    message = blank("hri_msgs/msg/IdsList")
    stamp(message.header.stamp, ns)
    message.ids = list(names)
    return message


def transforms(items: list[tuple[str, str, tuple[float, ...], int]]) -> Any:
    """A `tf2_msgs/TFMessage` of (parent, child, pose of 3 or 7 numbers, stamp)."""
    message = blank("tf2_msgs/msg/TFMessage")
    for parent, child, pose, ns in items:
        item = blank("geometry_msgs/msg/TransformStamped")
        item.header.frame_id, item.child_frame_id = parent, child
        stamp(item.header.stamp, ns)
        t, r = item.transform.translation, item.transform.rotation
        t.x, t.y, t.z = map(float, pose[:3])
        r.x, r.y, r.z, r.w = map(float, pose[3:] or (0.0, 0.0, 0.0, 1.0))
        message.transforms.append(item)
    return message


__all__ = ["JOINTS", "LINKS", "VOCABULARY"]


def ros_openpose(people: list[np.ndarray], ns: int = NS, frame: str = "camera", missed: tuple[int, ...] = ()) -> Any:
    """A `ros_openpose/Frame` of (25, 3) each; parts in `missed` were not found and hold what lies at pixel 0, 0."""
    message = blank("ros_openpose/msg/Frame")
    stamp(message.header.stamp, ns)
    message.header.frame_id = frame
    for joints in people:
        person = blank("ros_openpose/msg/Person")
        for part, at in enumerate(joints):
            body_part = blank("ros_openpose/msg/BodyPart")
            if part in missed:
                at = (-1.9, -1.4, 3.57)
            else:
                body_part.score, body_part.pixel.x, body_part.pixel.y = 0.8, 320.0, 240.0
            body_part.point.x, body_part.point.y, body_part.point.z = map(float, at)
            person.bodyParts.append(body_part)
        message.persons.append(person)
    return message


def openptrack(people: dict[int, np.ndarray], ns: int = NS, frame: str = "world", visibility: int = 0) -> Any:
    """An `opt_msgs/SkeletonTrackArray`: track id -> (15, 3)."""
    message = blank("opt_msgs/msg/SkeletonTrackArray")
    stamp(message.header.stamp, ns)
    message.header.frame_id = frame
    for number, joints in people.items():
        track = blank("opt_msgs/msg/SkeletonTrack")
        track.id, track.visibility = number, visibility
        for index, at in enumerate(joints):
            joint = blank("opt_msgs/msg/Track3D")
            joint.id, joint.confidence = index, 1.0
            joint.x, joint.y, joint.z = map(float, at)
            track.joints.append(joint)
        message.tracks.append(track)
    return message


_JSK_JOINTS = (
    "Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist", "RHip", "RKnee", "RAnkle", "LHip",
    "LKnee", "LAnkle", "REye", "LEye", "REar", "LEar",
)  # fmt: skip
_JSK_BONES = (
    (2, 1), (1, 16), (1, 15), (6, 18), (3, 17), (2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10),
    (10, 11), (2, 12), (12, 13), (13, 14), (15, 17), (16, 18),
)  # fmt: skip


def jsk(people: list[np.ndarray], ns: int = NS, frame: str = "camera_optical", human_ids: tuple[int, ...] = ()) -> Any:
    """A `jsk_recognition_msgs/HumanSkeletonArray` of (18, 3) each; bones of a joint that is NaN are left out."""
    message = blank("jsk_recognition_msgs/msg/HumanSkeletonArray")
    stamp(message.header.stamp, ns)
    message.header.frame_id = frame
    for number in human_ids:
        one = blank("std_msgs/msg/Int32")
        one.data = number
        message.human_ids.append(one)
    for joints in people:
        skeleton = blank("jsk_recognition_msgs/msg/HumanSkeleton")
        for first, second in _JSK_BONES:
            if not np.isfinite(joints[[first - 1, second - 1]]).all():
                continue
            bone = blank("jsk_recognition_msgs/msg/Segment")
            for end, at in ((bone.start_point, joints[first - 1]), (bone.end_point, joints[second - 1])):
                end.x, end.y, end.z = map(float, at)
            skeleton.bones.append(bone)
            skeleton.bone_names.append(f"{_JSK_JOINTS[first - 1]}->{_JSK_JOINTS[second - 1]}")
        message.skeletons.append(skeleton)
    return message


def _of_mocap(kind: str, ns: int, frame: str) -> Any:
    message = blank(f"mocap4r2_msgs/msg/{kind}")
    stamp(message.header.stamp, ns)
    message.header.frame_id = frame
    return message


def mocap_markers(named: dict[str, np.ndarray], ns: int = NS, frame: str = "mocap") -> Any:
    """A `mocap4r2_msgs/Markers`: name, or index in digits -> place."""
    message = _of_mocap("Markers", ns, frame)
    for name, at in named.items():
        marker = blank("mocap4r2_msgs/msg/Marker")
        if name.isdigit():
            marker.id_type, marker.marker_index = 1, int(name)
        else:
            marker.marker_name = name
        marker.translation.x, marker.translation.y, marker.translation.z = map(float, at)
        message.markers.append(marker)
    return message


def mocap_bodies(named: dict[str, np.ndarray], ns: int = NS, frame: str = "mocap") -> Any:
    """A `mocap4r2_msgs/RigidBodies`: name -> place."""
    message = _of_mocap("RigidBodies", ns, frame)
    for name, at in named.items():
        body = blank("mocap4r2_msgs/msg/RigidBody")
        body.rigid_body_name = name
        body.pose.position.x, body.pose.position.y, body.pose.position.z = map(float, at)
        message.rigidbodies.append(body)
    return message
