# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""ros_openpose, OpenPTrack, jsk_perception and motion capture: their messages, with each one's traps."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore
from support import tracker_messages as make

from aux_motion_core import trackers
from aux_motion_core.bags.definitions import typestore
from aux_motion_core.bags.inputs import read_frames
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.trackers import AdapterError
from aux_motion_core.trackers.joint_maps import map_joints
from aux_motion_core.wire.messages import MessageError

NS = make.NS
OBSERVED, MISSING, GUESSED = JointStatus.OBSERVED, JointStatus.MISSING, JointStatus.TRACKER_PREDICTED


def only(frames):
    (frame,) = frames
    return frame


def same_as(frame, row, joints, positions):
    """The frame's row is that of this joint list."""
    expected, status = map_joints(joints, np.asarray(positions, np.float32).astype(np.float64))
    np.testing.assert_array_equal(frame.status[row], status)
    np.testing.assert_allclose(frame.positions[row], expected, atol=1e-5)


def offset(joints, at=0.0, phase=0.0):
    return make.person(joints, at, phase) + (0.0, 0.0, 0.01)


# ros_openpose


def test_ros_openpose_parts_without_score_are_missing_wherever_their_pixel_lies():
    adapter = trackers.make("ros_openpose")
    joints = offset("openpose25")
    missed = (4, 7, 9)
    frame = only(adapter.frames(make.ros_openpose([joints, joints + (1.5, 0, 0)], 5 * NS + 7, missed=missed)))
    assert (frame.stamp_ns, frame.frame_id, len(frame.person_ids)) == (5 * NS + 7, "camera", 2)
    there = joints.copy()
    there[list(missed)] = np.nan
    same_as(frame, 0, "openpose25", there)
    assert frame.status[0, INDEX["right_wrist"]] == MISSING
    again = only(adapter.frames(make.ros_openpose([joints + (1.52, 0, 0), joints + (0.02, 0, 0)], 5 * NS + 30_000_000)))
    assert again.person_ids == frame.person_ids[::-1]  # they keep their numbers, in whatever order they come


def test_ros_openpose_knows_its_models_by_their_number_of_parts():
    same_as(
        only(trackers.make("ros_openpose").frames(make.ros_openpose([offset("openpose18")]))),
        0, "openpose18", offset("openpose18"),
    )  # fmt: skip
    with pytest.raises(MessageError, match="21 body parts: expected 25 .*tracker_joints"):
        trackers.make("ros_openpose").frames(make.ros_openpose([offset("openpose25")[:21]]))
    given = trackers.make("ros_openpose", joints=("kinect2_25",))
    same_as(only(given.frames(make.ros_openpose([offset("kinect2_25")]))), 0, "kinect2_25", offset("kinect2_25"))


def test_ros_openpose_without_depth_is_refused_and_nobody_is_nobody():
    adapter = trackers.make("ros_openpose")
    with pytest.raises(MessageError, match="without a depth camera"):
        adapter.frames(make.ros_openpose([offset("openpose25")], frame="no_depth"))
    assert only(adapter.frames(make.ros_openpose([]))).person_ids == ()
    found = only(adapter.frames(make.ros_openpose([offset("openpose25")], missed=tuple(range(25)))))
    assert not found.person_ids and found.unplaced == ("?0",)  # somebody without a place is not nobody


def test_ros_openpose_by_the_name_that_its_ports_to_ros_2_give_the_field():
    message = make.ros_openpose([offset("openpose25")])
    ported = SimpleNamespace(header=message.header, persons=[SimpleNamespace(body_parts=message.persons[0].bodyParts)])
    same_as(only(trackers.make("ros_openpose").frames(ported)), 0, "openpose25", offset("openpose25"))


# OpenPTrack


def test_openptrack_joints_and_ids():
    joints = offset("openptrack15")
    frame = only(trackers.make("openptrack").frames(make.openptrack({4: joints, 9: joints + (2, 0, 0)}, 3 * NS)))
    assert (frame.person_ids, frame.frame_id, frame.stamp_ns) == (("4", "9"), "world", 3 * NS)
    same_as(frame, 0, "openptrack15", joints)
    assert frame.status[0, INDEX["left_wrist"]] == OBSERVED


@pytest.mark.parametrize("visibility", [1, 2])
def test_openptrack_tracks_that_no_camera_saw_are_guessed(visibility):
    message = make.openptrack({4: offset("openptrack15")}, visibility=visibility)
    frame = only(trackers.make("openptrack").frames(message))
    assert set(frame.status[0][frame.status[0] != MISSING]) == {GUESSED}


def test_openptrack_with_another_number_of_joints_is_refused():
    with pytest.raises(MessageError, match="track 4 has 14 joints: expected 15"):
        trackers.make("openptrack").frames(make.openptrack({4: offset("openptrack15")[:14]}))
    frame = only(trackers.make("openptrack").frames(make.openptrack({4: np.empty((0, 3))})))
    assert frame.unplaced == ("4",) and not frame.person_ids


# jsk_perception


def test_jsk_joints_are_the_ends_of_bones():
    joints = offset("openpose18")
    joints[4] = np.nan  # a hole in the depth image: its bone is not there
    frame = only(trackers.make("jsk").frames(make.jsk([joints], 2 * NS)))
    assert (frame.stamp_ns, frame.frame_id, frame.person_ids) == (2 * NS, "camera_optical", ("u0",))
    expected, status = map_joints("openpose18", joints)
    seen = status != MISSING
    np.testing.assert_array_equal(frame.status[0] != MISSING, seen)
    np.testing.assert_allclose(frame.positions[0][seen], expected[seen], atol=1e-6)
    assert frame.status[0, INDEX["right_wrist"]] == MISSING


def test_jsk_ids_are_used_where_there_are_some():
    people = [offset("openpose18"), np.full((18, 3), np.nan)]
    frame = only(trackers.make("jsk").frames(make.jsk(people, human_ids=(12, 30))))
    assert frame.person_ids == ("12",) and frame.unplaced == ("30",)
    with pytest.raises(MessageError, match="1 human_ids for 2 skeletons"):
        trackers.make("jsk").frames(make.jsk(people, human_ids=(12,)))


def test_jsk_bones_without_two_names_are_refused_and_unknown_joints_counted():
    message = make.jsk([offset("openpose18")])
    message.skeletons[0].bone_names[0] = "Neck-Nose"
    with pytest.raises(MessageError, match="'Neck-Nose': expected two joints"):
        trackers.make("jsk").frames(message)
    message.skeletons[0].bone_names.pop()
    with pytest.raises(MessageError, match="19 bones and 18 bone_names"):
        trackers.make("jsk").frames(message)
    message = make.jsk([offset("openpose18")])
    message.skeletons[0].bone_names[0] = "Neck->Tail"
    adapter = trackers.make("jsk")
    adapter.frames(message)
    assert adapter.counters["jsk_unknown_joint"] == 1


# Motion capture

PLUG_IN = {
    "LSHO": "left_shoulder", "RSHO": "right_shoulder", "LELB": "left_elbow", "RELB": "right_elbow",
    "LWRA": "left_wrist", "LWRB": "left_wrist", "RWRA": "right_wrist", "LASI": "left_hip",
    "RASI": "right_hip", "LKNE": "left_knee",
    "RKNE": "right_knee", "LANK": "left_ankle", "RANK": "right_ankle",
}  # fmt: skip
MAP = tuple(f"{marker}={joint}" for marker, joint in PLUG_IN.items())


def worn(prefix="", shift=(0.0, 0.0, 0.0)):
    body = synthetic.walker(np.array([0.3]), 0.0)[0] + np.asarray(shift)
    places = {f"{prefix}{m}": body[INDEX[j]] for m, j in PLUG_IN.items()}
    places[f"{prefix}LWRA"] = places[f"{prefix}LWRA"] + (0.03, 0, 0)
    places[f"{prefix}LWRB"] = places[f"{prefix}LWRB"] - (0.03, 0, 0)
    return body, places


@pytest.mark.parametrize(
    ("tracker", "message"), [("mocap4r2_markers", make.mocap_markers), ("mocap4r2_bodies", make.mocap_bodies)]
)
def test_motion_capture_by_a_joint_map(tracker, message):
    adapter = trackers.make(tracker, joints=MAP)
    body, places = worn()
    places["on_the_robot"] = np.ones(3)
    places["RKNE"] = np.full(3, np.nan)  # hidden
    frame = only(adapter.frames(message(places, 4 * NS)))
    assert (frame.person_ids, frame.frame_id, frame.stamp_ns) == (("1",), "mocap", 4 * NS)
    for joint in set(PLUG_IN.values()) - {"right_knee"}:
        np.testing.assert_allclose(frame.positions[0, INDEX[joint]], body[INDEX[joint]], atol=1e-6)
        assert frame.status[0, INDEX[joint]] == OBSERVED
    assert frame.status[0, INDEX["right_knee"]] == MISSING and adapter.counters["mocap_not_in_map"] == 1
    gone = only(adapter.frames(message({"on_the_robot": np.ones(3)}, 5 * NS)))
    assert not gone.person_ids and not gone.unplaced


def test_several_people_by_their_subject_or_by_the_map():
    _, anna = worn("anna:")
    _, ben = worn("ben:", (2.0, 0.0, 0.0))
    frame = only(trackers.make("mocap4r2_markers", joints=MAP).frames(make.mocap_markers({**anna, **ben})))
    assert frame.person_ids == ("anna", "ben")
    assert frame.positions[1, INDEX["left_knee"], 0] - frame.positions[0, INDEX["left_knee"], 0] == pytest.approx(2.0)
    by_map = trackers.make("mocap4r2_bodies", joints=("3=left_wrist@anna", "7=left_wrist@ben"))
    frame = only(by_map.frames(make.mocap_bodies({"3": np.ones(3), "7": 2 * np.ones(3)})))
    assert frame.person_ids == ("anna", "ben")
    by_index = trackers.make("mocap4r2_markers", joints=("17=left_wrist",))
    assert only(by_index.frames(make.mocap_markers({"17": np.ones(3)}))).status[0, INDEX["left_wrist"]] == OBSERVED


@pytest.mark.parametrize(
    ("joints", "says"),
    [
        ((), "expected a joint map"),
        (("LSHO",), "'LSHO' is no entry of a joint map"),
        (("LSHO=tail",), "'LSHO=tail' is no entry"),
        (("LSHO=left_shoulder", "LSHO=left_elbow"), "LSHO has several joints"),
    ],
)
def test_maps_that_are_none_are_refused(joints, says):
    with pytest.raises(AdapterError, match=says):
        trackers.make("mocap4r2_markers", joints=joints)


def test_a_map_with_none_of_the_names_that_come_is_not_nobody():
    with pytest.raises(MessageError, match="none of the markers 5, 6 is in the joint map"):
        trackers.make("mocap4r2_markers", joints=MAP).frames(make.mocap_markers({"5": np.ones(3), "6": np.ones(3)}))


# As ROS 1 recorded them

RECORDED = {
    "ros_openpose": lambda ns: make.ros_openpose([offset("openpose25", ns / NS)], ns),
    "openptrack": lambda ns: make.openptrack({4: offset("openptrack15", ns / NS)}, ns),
    "jsk": lambda ns: make.jsk([offset("openpose18", ns / NS)], ns),
}


@pytest.mark.parametrize("tracker", RECORDED)
def test_from_a_bag_of_ros_1(tmp_path, tracker):
    kind = trackers.adapter_class(tracker).msgtype
    store = get_typestore(Stores.ROS1_NOETIC)
    today = typestore()
    needed = [k for k in today.fielddefs if k.startswith(kind.partition("/")[0] + "/")]
    store.register({k: today.fielddefs[k] for k in needed})
    stamps = [NS + i * NS // 30 for i in range(10)]
    with Writer(tmp_path / "old.bag") as bag:
        connection = bag.add_connection("/people", kind, typestore=store)
        for ns in stamps:
            cdr = today.serialize_cdr(RECORDED[tracker](ns), kind)
            bag.write(connection, ns, today.cdr_to_ros1(cdr, kind))
    frames = [frame for _, frame in read_frames(tmp_path / "old.bag")]  # found by its type
    assert [f.stamp_ns for f in frames] == stamps
    expected = only(trackers.make(tracker).frames(RECORDED[tracker](stamps[-1])))
    np.testing.assert_allclose(frames[-1].positions, expected.positions, atol=1e-6)
    assert len({f.person_ids for f in frames}) == 1
