# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bags of ROS 1: their messages and transforms are those that ROS 2 would have sent."""

import bz2

import numpy as np
import pytest
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore
from support import tracker_messages

from aux_motion_core.bags import reader
from aux_motion_core.bags.files import BagError
from aux_motion_core.bags.find import find_bags
from aux_motion_core.bags.inputs import read_frames
from aux_motion_core.bags.reader import BagReader
from aux_motion_core.constants import NS
from aux_motion_core.testing import synthetic

T0 = 1_600_000_000 * NS


def write(path, count=30, compression=None):
    """A ROS 1 bag with people of the Azure Kinect's driver at 30 Hz, and transforms of an old `tf`."""
    store = get_typestore(Stores.ROS1_NOETIC)
    kind = "visualization_msgs/msg/MarkerArray"
    types = store.types
    writer = Writer(path)
    if compression is not None:
        writer.set_compression(compression)
    with writer as bag:
        people = bag.add_connection("/body_tracking_data", kind, typestore=store)
        words = bag.add_connection("/chatter", "std_msgs/msg/String", typestore=store)
        for i in range(count):
            ns = T0 + i * NS // 30
            joints = tracker_messages.person("k4a32", i / 30)
            markers = []
            for joint, at in enumerate(joints):
                point = types["geometry_msgs/msg/Point"](*map(float, at))
                pose = types["geometry_msgs/msg/Pose"](point, types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0))
                zero = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
                time = types["builtin_interfaces/msg/Time"](*divmod(ns, NS))
                header = types["std_msgs/msg/Header"](seq=i, stamp=time, frame_id="depth_camera_link")
                fields = {f: None for f in types["visualization_msgs/msg/Marker"].__dataclass_fields__}
                fields.update(header=header, ns="", id=300 + joint, type=2, action=0, pose=pose, scale=zero)
                fields.update(color=types["std_msgs/msg/ColorRGBA"](0.0, 0.0, 0.0, 0.0), frame_locked=False)
                fields.update(lifetime=types["builtin_interfaces/msg/Duration"](0, 0), points=[], colors=[])
                fields.update(text="", mesh_resource="", mesh_use_embedded_materials=False)
                fields.pop("__msgtype__", None)
                markers.append(types["visualization_msgs/msg/Marker"](**fields))
            bag.write(people, ns + 1000, store.serialize_ros1(types[kind](markers), kind))
            bag.write(words, ns, store.serialize_ros1(types["std_msgs/msg/String"]("x"), "std_msgs/msg/String"))
    return path


@pytest.mark.parametrize("compression", [None, Writer.CompressionFormat.LZ4, Writer.CompressionFormat.BZ2])
def test_people_of_a_ros_1_bag_are_read(tmp_path, compression):
    path = write(tmp_path / "old.bag", compression=compression)
    got = list(read_frames(path, tracker="azure_kinect"))
    assert [log for log, _ in got] == [T0 + i * NS // 30 + 1000 for i in range(30)]
    for i, (_, frame) in enumerate(got):
        assert frame.stamp_ns == T0 + i * NS // 30 and frame.person_ids == ("3",)
        assert frame.frame_id == "depth_camera_link"
        head = synthetic.walker(np.array([i / 30]), 0.0)[0][0]
        assert np.abs(frame.positions[0, 0] - head).max() < 0.1  # the pelvis
    with BagReader(path) as bag:
        assert {(t.name, t.count) for t in bag.topics} == {("/body_tracking_data", 30), ("/chatter", 30)}
        assert bag.start_ns == T0
        later = list(bag.messages([t for t in bag.topics if t.name == "/chatter"], start_ns=T0 + NS // 2))
        assert [m.message.data for m in later] == ["x"] * 15


def test_a_ros_1_bag_without_index_says_how_to_get_it(tmp_path):
    path = write(tmp_path / "killed.bag")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BagError, match="rosbag reindex") as caught:
        list(read_frames(path, tracker="azure_kinect"))
    assert "\n" not in str(caught.value)


def test_a_chunk_that_unpacks_to_gigabytes_is_refused(tmp_path):
    path = write(tmp_path / "bomb.bag", count=1, compression=Writer.CompressionFormat.BZ2)
    data = path.read_bytes()
    at = data.index(b"compression=bz2") + len(b"compression=bz2")
    at = data.index(b"BZh", at)
    size = int.from_bytes(data[at - 4 : at], "little")
    bomb = b"".join(bz2.compress(bytes(50 << 20)) for _ in range(2))
    path.write_bytes(data[: at - 4] + len(bomb).to_bytes(4, "little") + bomb + data[at + size :])
    with pytest.raises(BagError, match="unpacks to more than"):
        list(reader.read_skeletons(path))


def test_a_folder_of_ros_1_bags_is_so_many_recordings(tmp_path):
    paths = [write(tmp_path / name, count=2) for name in ("a.bag", "b.bag")]
    assert find_bags([tmp_path]) == paths
