# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recordings from before a tracker's message package was renamed."""

import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from support import tracker_messages as make

from aux_motion_core.bags.definitions import typestore
from aux_motion_core.bags.files import BagError
from aux_motion_core.bags.inputs import read_frames
from aux_motion_core.constants import NS


def renamed(path, kind, old, messages, topic, definitions):
    """A bag folder of messages as the older package sent them; without definitions as ROS 2 Humble's sqlite3."""
    today = kind.partition("/")[0]
    text = typestore().generate_msgdef(kind, ros_version=2)[0].replace(f"{today}/", f"{old}/")
    name = kind.replace(today, old)
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, name))
    storage = StoragePlugin.MCAP if definitions else StoragePlugin.SQLITE3
    with Writer(path, version=9 if definitions else 8, storage_plugin=storage) as bag:
        connection = bag.add_connection(topic, name, typestore=store)
        for ns, message in messages:
            bag.write(connection, ns, bytes(typestore().serialize_cdr(message, kind)))
    if not definitions:
        import sqlite3

        db = sqlite3.connect(next(path.glob("*.db3")))
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'message_definitions'").fetchone():
            db.execute("DELETE FROM message_definitions")
        db.commit()
        db.close()
    return path


def zed(ns):
    return make.zed({3: make.person("zed38", ns / NS)}, ns)


def yolo(ns):
    return make.yolo([("7", make.person("coco17", ns / NS))], ns, frame="map")


def markers(ns):
    message = make.blank("mocap4r2_msgs/msg/Markers")
    make.stamp(message.header.stamp, ns)
    for name, x in (("LSHO", 0.2), ("RSHO", -0.2)):
        marker = make.blank("mocap4r2_msgs/msg/Marker")
        marker.marker_name, marker.translation.x, marker.translation.z = name, x, 1.5
        message.markers.append(marker)
    return message


CASES = {
    "zed": ("zed_msgs/msg/ObjectsStamped", "zed_interfaces", zed, {}, "3"),
    "yolo": ("yolo_msgs/msg/DetectionArray", "yolov8_msgs", yolo, {}, "7"),
    "mocap": (
        "mocap4r2_msgs/msg/Markers",
        "mocap_msgs",
        markers,
        {"tracker": "mocap4r2_markers", "joints": ("LSHO=left_shoulder", "RSHO=right_shoulder")},
        "1",
    ),
}


@pytest.mark.parametrize("definitions", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_messages_of_the_older_package_are_taken_by_their_fields(tmp_path, case, definitions):
    kind, old, maker, options, person = CASES[case]
    stamps = [NS + i * NS // 10 for i in range(5)]
    path = renamed(tmp_path / "old", kind, old, [(ns, maker(ns)) for ns in stamps], "/people", definitions)
    frames = [frame for _, frame in read_frames(path, **options)]
    assert [f.stamp_ns for f in frames] == stamps
    assert all(f.person_ids == (person,) for f in frames)


def test_a_fork_of_the_package_is_taken_where_its_tracker_is_named(tmp_path):
    path = renamed(tmp_path / "fork", "zed_msgs/msg/ObjectsStamped", "our_zed_msgs", [(NS, zed(NS))], "/people", True)
    assert [f.person_ids for _, f in read_frames(path, tracker="zed")] == [("3",)]
    with pytest.raises(BagError, match="our_zed_msgs"):  # without it nobody can tell
        list(read_frames(path))


def test_a_message_with_other_fields_under_the_older_name_is_refused_in_one_line(tmp_path):
    kind = "zed_msgs/msg/ObjectsStamped"
    path = renamed(tmp_path / "old", kind, "zed_interfaces", [(NS, zed(NS))], "/people", True)
    file = next(path.glob("*.mcap"))
    file.write_bytes(file.read_bytes().replace(b"skeleton_3d", b"skeletal_3d"))
    errors = []
    assert not list(read_frames(path, on_bad=errors.append, on_damage=lambda line: None))
    assert errors and "skeleton_3d" in str(errors[0]) and "\n" not in str(errors[0])
