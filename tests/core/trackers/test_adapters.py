# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Trackers' messages as frames: built field by field, with each one's traps."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support import tracker_messages as make

from aux_motion_core import trackers
from aux_motion_core.bags.definitions import typestore
from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.space.tf import TfBuffer
from aux_motion_core.trackers import AdapterError
from aux_motion_core.trackers.base import Numbers
from aux_motion_core.trackers.joint_maps import SOURCES, map_joints
from aux_motion_core.types import Reason, TrackState
from aux_motion_core.wire.messages import MessageError

NS = make.NS
OBSERVED, DERIVED, MISSING, GUESSED = (
    JointStatus.OBSERVED,
    JointStatus.DERIVED,
    JointStatus.MISSING,
    JointStatus.TRACKER_PREDICTED,
)


def only(frames):
    """The one frame."""
    assert len(frames) == 1
    return frames[0]


def names(frame, row: int = 0) -> set[str]:
    """Joints of a person that are there."""
    return {j for j, i in INDEX.items() if frame.status[row, i] != MISSING}


# Registry


def test_every_tracker_says_its_type_topic_and_package() -> None:
    for name in trackers.NAMES:
        kind = trackers.adapter_class(name)
        assert kind.name == name and kind.msgtype.count("/") == 2 and kind.topic and kind.install
    assert trackers.adapter_class("femto") is trackers.adapter_class("azure_kinect")
    assert trackers.for_type("zed_msgs/msg/ObjectsStamped") == ["zed"]
    assert set(trackers.for_type("geometry_msgs/msg/PoseArray")) == {"pose_array", "openpose", "mediapipe"}


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("kinect9", {}, "unknown tracker 'kinect9': expected one of aux_motion, zed"),
        ("zed", {"joints": ("coco17",)}, "no joint list is taken"),
        ("pose_array", {}, "no joint list: name one of"),
        ("pose_array", {"joints": ("left_elbo", "left_wrist")}, "did you mean 'left_elbow'"),
        ("pose_array", {"joints": ("left_wrist", "LWrist")}, "left_wrist repeat"),
        ("pose_array", {"joints": ("-", "-")}, "of use"),
        ("zed", {"colour": 1}, "colour"),
    ],
)
def test_bad_options_are_named(name: str, options: dict, says: str) -> None:
    with pytest.raises(AdapterError, match=says) as caught:
        trackers.make(name, **options)
    assert "\n" not in str(caught.value)


def test_choosing_no_tracker_imports_no_trackers_package(root) -> None:
    code = (
        "import sys; from aux_motion_core import trackers as adapters\n"
        "[adapters.adapter_class(n) for n in adapters.NAMES]\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0].endswith('_msgs')), 'rosbags' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[0] == "[] False", done.stderr


# ZED


@pytest.mark.parametrize(("fmt", "joints"), [(0, "openpose18"), (1, "zed34"), (2, "zed38")])
def test_zed_formats_are_cut_to_their_slots(fmt: int, joints: str) -> None:
    there = make.person(joints)
    frame = only(trackers.make("zed").frames(make.zed({7: there}, 5 * NS + 3, fmt)))
    assert (frame.stamp_ns, frame.frame_id, frame.person_ids) == (5 * NS + 3, "zed_left_camera_frame", ("7",))
    expected, status = map_joints(joints, there)
    np.testing.assert_allclose(frame.positions[0], expected, atol=1e-6)
    np.testing.assert_array_equal(frame.status[0], status)
    assert frame.confidence[0, INDEX["left_wrist"]] == pytest.approx(0.8)


def test_zed_eyes_and_ears_of_body_18_are_in_zeds_own_order() -> None:
    there = np.full((18, 3), np.nan)
    there[16] = 1.0, 2.0, 3.0  # RIGHT_EAR
    there[17] = 3.0, 2.0, 1.0  # LEFT_EAR
    there[[8, 11]] = 0.5
    assert SOURCES["openpose18"][14:] == ("right_eye", "left_eye", "right_ear", "left_ear")
    frame = only(trackers.make("zed").frames(make.zed({1: there}, fmt=0)))
    np.testing.assert_allclose(frame.positions[0, INDEX["head"]], 2.0)


def test_zed_label_id_is_the_persons_id_and_not_a_class() -> None:
    message = make.zed({3: make.person("zed38"), 12: make.person("zed38", phase=2.0)})
    message.objects[0].label = message.objects[1].label = "Person"
    assert only(trackers.make("zed").frames(message)).person_ids == ("3", "12")


def test_zed_nan_and_unwritten_slots_are_missing() -> None:
    there = make.person("zed38")
    there[SOURCES["zed38"].index("left_elbow")] = np.nan
    message = make.zed({1: there})
    message.objects[0].skeleton_3d.keypoints[SOURCES["zed38"].index("right_knee")].kp = np.zeros(3, np.float32)
    frame = only(trackers.make("zed").frames(message))
    assert names(frame) == set(INDEX) - {"left_elbow", "right_knee"}
    assert frame.confidence[0, INDEX["left_elbow"]] == 0.0


def test_zed_searching_is_the_trackers_guess() -> None:
    message = make.zed({1: make.person("zed38"), 2: make.person("zed38", phase=2.0)})
    message.objects[1].tracking_state = 2
    frame = only(trackers.make("zed").frames(message))
    assert set(frame.status[0]) == {OBSERVED, DERIVED} and set(frame.status[1]) == {GUESSED}


def test_zed_objects_that_are_no_body_are_left_out() -> None:
    message = make.zed({1: make.person("zed38"), 2: make.person("zed38")})
    message.objects[0].skeleton_available = False  # a box
    message.objects[1].tracking_state = 0
    adapter = trackers.make("zed")
    frame = only(adapter.frames(message))
    assert frame.person_ids == () and frame.positions.shape == (0, 20, 3)
    assert adapter.counters == {"zed_object_without_skeleton": 1, "zed_body_off": 1}
    message.objects[1].body_format = 9
    message.objects[1].tracking_state = 1
    with pytest.raises(MessageError, match="body_format 9 is unknown: expected 0"):
        adapter.frames(message)


def coasting(step, noise_m: float = 0.0, flag: bool = True) -> list[set[int]]:
    """Status values of 6 messages at 15 Hz of one body that state OK all the time."""
    rng = np.random.default_rng(0)
    adapter = trackers.make("zed", flag_coasting=flag)
    out = []
    for k in range(6):
        there = make.person("zed38") + step(k) + rng.normal(scale=noise_m, size=(38, 3)) * (noise_m > 0)
        out.append(set(only(adapter.frames(make.zed({4: there}, NS + k * NS // 15))).status[0]))
    return out


def test_zed_body_that_stands_frozen_while_its_state_says_ok_is_marked() -> None:
    assert [s == {GUESSED} for s in coasting(lambda k: 0.0)] == [False] + 5 * [True]
    assert not any(GUESSED in s for s in coasting(lambda k: 0.0, flag=False))


def test_zed_body_that_is_carried_on_evenly_is_marked_and_a_measured_one_is_not() -> None:
    assert [s == {GUESSED} for s in coasting(lambda k: np.array([0.05 * k, 0.01 * k, 0.0]))] == [False] + 5 * [True]
    away = np.linspace(-1.0, 1.0, 38)[:, None] * np.array([0.03, 0.0, 0.01])  # each joint with a speed of its own
    assert [s == {GUESSED} for s in coasting(lambda k: away * k)] == 2 * [False] + 4 * [True]
    moving = [trackers.make("zed"), Rotation.from_euler("xyz", (2.0, 5.0, -1.0), degrees=True).as_matrix()]
    there = make.person("zed38")
    for k in range(4):  # the camera turns and moves, the body is carried on
        frame = only(moving[0].frames(make.zed({1: there}, NS + k * NS // 15)))
        assert (set(frame.status[0]) == {GUESSED}) == (k > 0)
        there = there @ moving[1].T + (0.1, 0.0, 0.02 * k * k)
    assert not any(GUESSED in s for s in coasting(lambda k: np.array([0.05 * k, 0.0, 0.0]), noise_m=0.002))
    assert not any(GUESSED in s for s in coasting(lambda k: 0.0, noise_m=0.001))
    walking = trackers.make("zed")
    for k in range(12):  # without any noise, but moving as people do
        frame = only(walking.frames(make.zed({1: make.person("zed38", k / 15)}, NS + k * NS // 15)))
        assert GUESSED not in frame.status


@pytest.mark.parametrize("with_confidence", [False, True])
def test_zed_from_its_bytes_is_as_from_its_message(with_confidence: bool) -> None:
    usual, quick = trackers.make("zed"), trackers.make("zed")
    kind = "zed_msgs/msg/ObjectsStamped"
    for k, (fmt, joints) in enumerate(((2, "zed38"), (1, "zed34"), (0, "openpose18"), (2, "zed38"))):
        people = {7: make.person(joints, k / 15), 1234: make.person(joints, k / 15, 2.0)}
        message = make.zed(people, NS + k * NS // 15, fmt, frame="camera"[: 3 + k])
        message.objects[1].tracking_state = 2
        message.objects[0].sublabel = "x" * k
        data = bytes(typestore().serialize_cdr(message, kind))
        if with_confidence:  # of the one body that is left, as newer messages append it
            message.objects = message.objects[:1]
            data = bytes(typestore().serialize_cdr(message, kind))
            data += np.full(70, 40.0, np.float32).tobytes()
        (a,), (b,) = usual.frames(message), quick.frames_of_bytes(data)
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.status, b.status)
        assert (a.stamp_ns, a.frame_id, a.person_ids) == (b.stamp_ns, b.frame_id, b.person_ids)
        wrist = b.confidence[0, INDEX["left_wrist"]]
        assert wrist == pytest.approx(0.4 if with_confidence else 0.8)
        for cut in (0, 10, 30, 500, len(data) - 8):
            assert quick.frames_of_bytes(data[:cut]) is None
    nobody = bytes(typestore().serialize_cdr(make.zed({}), kind))
    assert only(quick.frames_of_bytes(nobody)).person_ids == ()


def test_zed_bodies_without_tracking_get_numbers() -> None:
    a, b = make.person("zed38"), make.person("zed38", phase=2.0)
    adapter = trackers.make("zed")
    message = make.zed({-1: a, 5: b})
    message.objects[1].label_id = -1
    first = only(adapter.frames(message)).person_ids
    second = make.zed({0: b + 0.02, 1: a + 0.02}, NS + NS // 15, tracking_available=False, tracking_state=0)
    assert only(adapter.frames(second)).person_ids == (first[1], first[0])
    assert len(set(first)) == 2 and adapter.counters["zed_body_without_id"] == 4


def test_zed_confidence_of_each_key_point_is_used_where_messages_have_it() -> None:
    message = make.zed({1: make.person("zed38")})
    body = message.objects[0]
    told = np.full(70, 55.0, np.float32)
    told[SOURCES["zed38"].index("left_wrist")] = 20.0
    message.objects[0] = SimpleNamespace(**{k: getattr(body, k) for k in body.__dataclass_fields__ if k[0] != "_"})
    message.objects[0].skeleton_keypoint_confidence = told
    frame = only(trackers.make("zed").frames(message))
    assert frame.confidence[0, INDEX["left_wrist"]] == pytest.approx(0.2)
    assert frame.confidence[0, INDEX["left_elbow"]] == pytest.approx(0.55)


# Azure Kinect and Orbbec Femto


def test_azure_kinect_id_is_body_times_100_plus_joint() -> None:
    people = {2: make.person("k4a32"), 11: make.person("k4a32", phase=2.0)}
    message = make.azure_kinect(people, 7 * NS + 9)
    np.random.default_rng(0).shuffle(message.markers)
    frame = only(trackers.make("azure_kinect").frames(message))
    assert (frame.stamp_ns, frame.frame_id, frame.person_ids) == (7 * NS + 9, "depth_camera_link", ("2", "11"))
    for row, body in enumerate((2, 11)):
        np.testing.assert_allclose(frame.positions[row], map_joints("k4a32", people[body])[0])


def test_azure_kinect_stamp_and_frame_are_each_markers() -> None:
    message = make.azure_kinect({1: make.person("k4a32")}, NS)
    message.markers += make.azure_kinect({2: make.person("k4a32")}, 2 * NS, "other_link").markers
    frames = trackers.make("azure_kinect").frames(message)
    assert [(f.stamp_ns, f.frame_id, f.person_ids) for f in frames] == [
        (NS, "depth_camera_link", ("1",)),
        (2 * NS, "other_link", ("2",)),
    ]


def test_azure_kinect_empty_array_and_deleted_markers_tell_nobody_and_no_time() -> None:
    adapter = trackers.make("azure_kinect")
    message = make.azure_kinect({1: make.person("k4a32")})
    for marker in message.markers:
        marker.action = 2
    assert adapter.frames(message) == adapter.frames(make.azure_kinect({})) == []
    assert adapter.counters["azure_kinect_nobody"] == 2


def test_azure_kinect_joints_that_are_not_there_are_missing_and_other_markers_are_named() -> None:
    adapter = trackers.make("azure_kinect")
    message = make.azure_kinect({1: make.person("k4a32")})
    wrist = SOURCES["k4a32"].index("left_wrist")
    message.markers[wrist].pose.position.x = float("nan")
    del message.markers[SOURCES["k4a32"].index("right_wrist")]
    message.markers[0].id = 177
    frame = only(adapter.frames(message))
    assert {"left_wrist", "right_wrist"}.isdisjoint(names(frame))
    assert adapter.counters["azure_kinect_unknown_joint"] == 1
    assert frame.status[0, INDEX["pelvis"]] == DERIVED
    for marker in message.markers:
        marker.id = 50
    with pytest.raises(MessageError, match="marker id 50 is no joint: expected id = body"):
        adapter.frames(message)


# yolo_ros


def test_yolo_ids_are_one_based_and_sparse() -> None:
    there = make.person("coco17")
    there[[0, 1, 2, 9]] = np.nan  # face and left wrist were not seen
    message = make.yolo([("5", there)])
    assert len(message.detections[0].keypoints3d.data) == 13
    frame = only(trackers.make("yolo").frames(message))
    np.testing.assert_allclose(frame.positions[0, INDEX["right_wrist"]], there[10])
    np.testing.assert_allclose(frame.positions[0, INDEX["left_shoulder"]], there[5])
    assert "left_wrist" not in names(frame) and frame.person_ids == ("5",)
    assert frame.status[0, INDEX["pelvis"]] == DERIVED
    assert frame.confidence[0, INDEX["left_hip"]] == pytest.approx(0.8)
    message.detections[0].keypoints3d.data[0].id = 18
    with pytest.raises(MessageError, match="key point id 18: expected 1 to 17"):
        trackers.make("yolo").frames(message)


def test_yolo_frame_is_that_of_the_key_points_and_several_are_apart() -> None:
    message = make.yolo([("1", make.person("coco17")), ("2", make.person("coco17"))], frame="base_link", camera="cam")
    message.detections[1].keypoints3d.frame_id = "map"
    frames = trackers.make("yolo").frames(message)
    assert [(f.frame_id, f.person_ids) for f in frames] == [("base_link", ("1",)), ("map", ("2",))]
    message.detections[1].keypoints3d.frame_id = ""
    with pytest.raises(MessageError, match="keypoints3d.frame_id is empty"):
        trackers.make("yolo").frames(message)


def test_yolo_joint_on_the_cameras_origin_is_missing_in_the_cameras_frame() -> None:
    there = make.person("coco17")
    there[9] = 0.0
    adapter = trackers.make("yolo")
    frame = only(adapter.frames(make.yolo([("1", there)], frame="camera_optical")))
    assert "left_wrist" not in names(frame) and "right_wrist" in names(frame)
    assert adapter.counters["yolo_joint_without_depth"] == 1


def test_yolo_joints_on_the_cameras_origin_are_missing_also_where_tf_moved_it() -> None:
    camera = np.array([0.4, -0.2, 1.7])  # in base_link
    adapter = trackers.make("yolo")
    there = make.person("coco17") + (2.0, 0.0, 0.0)
    there[[9, 13]] = camera  # two holes are in one place
    frame = only(adapter.frames(make.yolo([("1", there)])))
    assert {"left_wrist", "left_knee"}.isdisjoint(names(frame))
    there = make.person("coco17") + (2.0, 0.0, 0.0)
    there[10] = camera  # one hole, in the place that is known by now
    assert "right_wrist" not in names(only(adapter.frames(make.yolo([("1", there)]))))
    with_tf = trackers.make("yolo")
    assert "right_wrist" in names(only(with_tf.frames(make.yolo([("1", there)])))), "nothing tells it yet"
    with_tf.tf = TfBuffer()
    with_tf.tf.add(make.transforms([("base_link", "camera_optical", tuple(camera), 0)]), static=True)
    assert "right_wrist" not in names(only(with_tf.frames(make.yolo([("1", there)]))))


def test_yolo_joints_in_one_pixel_are_joints_and_no_holes() -> None:
    adapter = trackers.make("yolo")
    there = make.person("coco17") + (2.0, 0.0, 0.0)
    there[10] = there[12]  # the right wrist before the right hip
    assert {"right_wrist", "right_hip"} <= names(only(adapter.frames(make.yolo([("1", there)]))))
    behind = make.person("coco17") + (3.5, 0.0, 0.0)
    behind[9] = there[9]  # one pixel of two people
    frame = only(adapter.frames(make.yolo([("1", there), ("2", behind)])))
    assert "left_wrist" in names(frame)
    assert adapter.counters["yolo_joint_without_depth"] == 1, "the wrist that is far from its body"
    for at in (there[12], there[9]):  # nothing was learnt: other joints may be there
        later = make.person("coco17") + (2.0, 0.0, 0.0)
        later[10] = at
        assert "right_wrist" in names(only(adapter.frames(make.yolo([("1", later)]))))


def test_yolo_frame_of_the_key_points_may_be_given_where_it_is_not_named() -> None:
    message = make.yolo([("1", make.person("coco17"))], frame="")
    assert only(trackers.make("yolo", frame_id="base_link").frames(message)).frame_id == "base_link"


def test_yolo_empty_array_is_not_nobody() -> None:
    adapter = trackers.make("yolo")
    assert adapter.trouble() == ""
    for _ in range(40):
        assert adapter.frames(make.yolo([])) == []
    assert adapter.counters["yolo_empty_array"] == 40 and "TF" in adapter.trouble()
    adapter.frames(make.yolo([("1", make.person("coco17"))]))
    assert adapter.trouble() == ""


def test_yolo_people_without_an_id_keep_the_number_that_they_get() -> None:
    adapter = trackers.make("yolo")
    a, b = make.person("coco17"), make.person("coco17", phase=3.0)
    first = only(adapter.frames(make.yolo([("", a), ("", b), ("9", b + 3.0)], NS)))
    second = only(adapter.frames(make.yolo([("9", b + 3.0), ("", b + 0.02), ("", a + 0.02)], NS + NS // 30)))
    assert len(set(first.person_ids)) == 3
    assert second.person_ids == ("9", first.person_ids[1], first.person_ids[0])


def test_yolo_detections_of_other_things_are_left_out() -> None:
    message = make.yolo([("1", make.person("coco17")), ("2", make.person("coco17"))])
    message.detections[0].class_name = "dog"
    assert only(trackers.make("yolo").frames(message)).person_ids == ("2",)


# ROS4HRI


def body(number: str, ns: int, x: float = 0.0, links: bool = True, root: bool = True):
    """Transforms of a body that looks along the camera's z, which is forward."""
    items = []
    if root:
        # body: x forward (to the camera), z up, in optical axes (x right, y down, z forward)
        items.append(("camera_optical", f"body_{number}", (x, 0.2, 3.0, 0.5, 0.5, -0.5, 0.5), ns))
    if links:
        items += [
            (f"body_{number}", f"waist_{number}", (0.0, 0.0, 0.0), ns),
            (f"waist_{number}", f"torso_{number}", (0.0, 0.0, 0.5), ns),
            (f"torso_{number}", f"head_{number}", (0.0, 0.0, 0.25), ns),
            (f"torso_{number}", f"l_y_shoulder_{number}", (0.0, 0.2, 0.0), ns),
            (f"l_y_shoulder_{number}", f"l_shoulder_{number}", (0.0, 0.0, 0.0), ns),
            (f"l_shoulder_{number}", f"l_elbow_{number}", (0.0, 0.0, -0.3), ns),
            (f"torso_{number}", f"r_shoulder_{number}", (0.0, -0.2, 0.0), ns),
            (f"waist_{number}", f"l_hip_{number}", (0.0, 0.1, 0.0), ns),
            (f"waist_{number}", f"r_hip_{number}", (0.0, -0.1, 0.0), ns),
            (f"l_hip_{number}", f"l_knee_{number}", (0.0, 0.0, -0.45), ns),
        ]
    return make.transforms(items)


def test_ros4hri_joins_ids_and_transforms() -> None:
    adapter = trackers.make("ros4hri")
    assert adapter.needs_tf
    adapter.tf.add(body("ab3", NS))
    assert adapter.poll() == [], "nobody is listed"
    frame = only(adapter.frames(make.ids(["ab3"])))
    assert (frame.stamp_ns, frame.frame_id, frame.person_ids) == (NS, "camera_optical", ("ab3",))
    seen = {"pelvis", "head", "left_shoulder", "left_elbow", "right_shoulder", "left_hip", "right_hip", "left_knee"}
    assert names(frame) == {*seen, "neck"}
    at = frame.positions[0]
    np.testing.assert_allclose(at[INDEX["pelvis"]], (0.0, 0.2, 3.0))
    np.testing.assert_allclose(at[INDEX["head"]], (0.0, 0.2 - 0.75, 3.0), atol=1e-9)  # up is -y
    np.testing.assert_allclose(at[INDEX["left_shoulder"]], (0.2, -0.3, 3.0), atol=1e-9)  # who looks at the camera
    assert frame.status[0, INDEX["neck"]] == DERIVED


def test_ros4hri_tells_a_pose_once_and_waits_for_the_links() -> None:
    adapter = trackers.make("ros4hri")
    adapter.tf.add(body("a", NS))
    assert len(adapter.frames(make.ids(["a"]))) == 1
    assert adapter.frames(make.ids(["a"])) == adapter.poll() == [], "the same transforms again"
    later = NS + NS // 30
    adapter.tf.add(body("a", later, x=0.1, links=False))
    assert adapter.poll() == [], "the body came before its links"
    adapter.tf.add(body("a", later, x=0.1, root=False))
    frame = only(adapter.poll())
    assert frame.stamp_ns == later and len(names(frame)) == 9


def test_ros4hri_a_link_that_is_not_sent_any_more_is_missing_and_holds_nobody_up() -> None:
    adapter = trackers.make("ros4hri")
    adapter.frames(make.ids(["a"]))
    adapter.tf.add(body("a", NS))
    adapter.poll()
    for k in range(1, 15):
        message = body("a", NS + k * NS // 30)
        message.transforms = [t for t in message.transforms if t.child_frame_id != "l_knee_a"]
        adapter.tf.add(message)
        frames = adapter.poll()
    assert frames and "left_knee" not in names(frames[-1]) and "left_hip" in names(frames[-1])


def test_ros4hri_last_transforms_of_somebody_who_left_are_no_observation() -> None:
    adapter = trackers.make("ros4hri")
    adapter.tf.add(body("a", NS))
    adapter.frames(make.ids(["a"]))
    gone = only(adapter.frames(make.ids([], 2 * NS)))
    assert gone.person_ids == () and gone.stamp_ns == 2 * NS
    assert adapter.poll() == []
    adapter.frames(make.ids(["b"]))
    assert adapter.counters["ros4hri_body_without_tf"] and "body_b on /tf" in adapter.trouble()


# Hi-ROS


def test_hiros_markers_go_by_name_and_the_time_of_sight_is_the_stamp() -> None:
    there = dict(zip(("LShoulder", "RShoulder", "l_wrist", "MidHip", "tail"), np.eye(5, 3) + 1.0, strict=True))
    adapter = trackers.make("hiros")
    frame = only(adapter.frames(make.hiros({4: there}, ns=9 * NS, src_ns=8 * NS)))
    assert (frame.stamp_ns, frame.frame_id, frame.person_ids) == (8 * NS, "map", ("4",))
    assert names(frame) == {"left_shoulder", "right_shoulder", "left_wrist", "pelvis", "neck"}
    np.testing.assert_allclose(frame.positions[0, INDEX["right_shoulder"]], there["RShoulder"])
    assert frame.confidence[0, INDEX["pelvis"]] == pytest.approx(0.7)
    assert adapter.counters["hiros_unknown_joint"] == 1
    assert only(adapter.frames(make.hiros({4: there}, ns=9 * NS))).stamp_ns == 9 * NS, "no src_time"
    assert only(adapter.frames(make.hiros({4: there}, frame=""))).frame_id == "camera_3"


def test_hiros_markers_without_names_go_by_id_in_a_joint_list() -> None:
    there = make.person("coco17")
    message = make.hiros({1: dict(enumerate(there))})  # type: ignore[arg-type]
    for marker in message.skeletons[0].markers:
        marker.name = ""
        marker.confidence = 0.0  # never told
    frame = only(trackers.make("hiros", joints=("coco17",)).frames(message))
    np.testing.assert_allclose(frame.positions[0, INDEX["left_wrist"]], there[9])
    message.skeletons[0].markers[3].id = 30
    with pytest.raises(MessageError, match="marker id 30: expected 0 to 16 of the joint list; set tracker_joints"):
        trackers.make("hiros", joints=("coco17",)).frames(message)


def test_hiros_nobody_and_skeletons_without_markers() -> None:
    adapter = trackers.make("hiros")
    assert only(adapter.frames(make.hiros({}))).person_ids == ()
    assert only(adapter.frames(make.hiros({1: {}}))).person_ids == ()


# PoseArray, OpenPose, MediaPipe


def test_pose_array_by_the_name_of_a_list_and_by_joints() -> None:
    a, b = make.person("coco17"), make.person("coco17", phase=2.0)
    adapter = trackers.make("pose_array", joints=("coco17",))
    frame = only(adapter.frames(make.poses(np.concatenate([a, b]), 3 * NS)))
    assert (frame.stamp_ns, frame.frame_id, frame.person_ids) == (3 * NS, "map", ("0", "1"))
    np.testing.assert_allclose(frame.positions[1, INDEX["left_wrist"]], b[9])
    own = trackers.make("pose_array", joints=("LeftHip", "-", "right_hip"))
    frame = only(own.frames(make.poses(np.array([[1.0, 1.0, 1.0], [9.0, 9.0, 9.0], [3.0, 1.0, 1.0]]))))
    assert names(frame) == {"left_hip", "right_hip", "pelvis"}
    np.testing.assert_allclose(frame.positions[0, INDEX["pelvis"]], (2.0, 1.0, 1.0))


def test_pose_array_missing_joints_empty_arrays_and_wrong_lengths() -> None:
    adapter = trackers.make("pose_array", joints=("coco17",))
    there = make.person("coco17")
    there[9], there[10] = np.nan, 0.0
    assert {"left_wrist", "right_wrist"}.isdisjoint(names(only(adapter.frames(make.poses(there)))))
    assert only(adapter.frames(make.poses(np.empty((0, 3))))).person_ids == ()
    assert only(adapter.frames(make.poses(np.full((17, 3), np.nan)))).person_ids == ()
    with pytest.raises(MessageError, match="18 poses: expected a multiple of 17, the joints of coco17.*tracker_joints"):
        adapter.frames(make.poses(np.ones((18, 3))))


def test_people_without_ids_keep_their_number_when_their_order_changes() -> None:
    adapter = trackers.make("pose_array", joints=("coco17",))
    people = [make.person("coco17", phase=p) for p in (0.0, 2.0, 4.0)]
    first = only(adapter.frames(make.poses(np.concatenate(people), NS)))
    moved = [p + 0.03 for p in (people[2], people[0])]
    second = only(adapter.frames(make.poses(np.concatenate(moved), NS + NS // 25)))
    assert first.person_ids == ("0", "1", "2") and second.person_ids == ("2", "0")
    third = only(adapter.frames(make.poses(np.concatenate([people[1] + 9.0]), NS + 2 * NS // 25)))
    assert third.person_ids == ("3",), "somebody new is nobody who was there"


def test_people_without_ids_keep_their_number_when_messages_overtake_each_other() -> None:
    adapter = trackers.make("pose_array", joints=("coco17",))
    people = np.concatenate([make.person("coco17"), make.person("coco17") + 3.0])
    for ns in (NS, NS + NS // 15, NS + NS // 30, NS + NS // 10):
        assert only(adapter.frames(make.poses(people, ns))).person_ids == ("0", "1")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
def test_absurd_places_are_no_warnings(value: float) -> None:
    there = make.person("coco17") + (2.0, 0.0, 0.0)
    there[3], there[9] = value, there[10]
    poses, yolo = trackers.make("pose_array", joints=("coco17",)), trackers.make("yolo")
    for ns in (NS, NS + NS // 30):
        only(poses.frames(make.poses(there, ns)))
        only(yolo.frames(make.yolo([("", there)], ns)))


def test_numbers_take_no_id_that_is_in_use() -> None:
    numbers = Numbers()
    there = np.zeros((2, 4, 3)) + np.arange(2)[:, None, None] * 5.0
    assert numbers.assign(NS, there, taken=("0", "2")) == ["1", "3"]


@pytest.mark.parametrize("joints", ["openpose25", "openpose18", "coco17"])
def test_openpose_lists(joints: str) -> None:
    there = make.person(joints)
    wrist = SOURCES[joints].index("right_wrist")
    there[wrist] = 0.0  # as OpenPose writes what it did not find
    frame = only(trackers.make("openpose", joints=(joints,)).frames(make.poses(there)))
    assert "right_wrist" not in names(frame)
    expected = map_joints(joints, there)[0][INDEX["left_knee"]]
    np.testing.assert_allclose(frame.positions[0, INDEX["left_knee"]], expected)
    scored = np.concatenate([there, np.full((len(there), 1), 0.6)], axis=1)[None]
    scored[0, SOURCES[joints].index("left_wrist"), 3] = 0.0
    frame = trackers.make("openpose", joints=(joints,)).frame(NS, "map", scored)
    assert {"left_wrist", "right_wrist"}.isdisjoint(names(frame))
    assert frame.confidence[0, INDEX["left_knee"]] == pytest.approx(0.6)
    with pytest.raises(MessageError, match=r"expected \(people"):
        trackers.make("openpose", joints=(joints,)).frame(NS, "map", scored[..., :3])


def test_openpose_body_25_is_the_default() -> None:
    frame = only(trackers.make("openpose").frames(make.poses(make.person("openpose25"))))
    assert frame.status[0, INDEX["pelvis"]] == OBSERVED


def test_mediapipe_without_a_root_is_refused() -> None:
    adapter = trackers.make("mediapipe")
    there = make.person("mediapipe33")
    frame = only(adapter.frames(make.poses(there)))
    np.testing.assert_allclose(frame.positions[0, INDEX["left_wrist"]], there[15])
    centred = there - there[[23, 24]].mean(0)
    with pytest.raises(MessageError, match="world landmarks do not tell where the person is"):
        adapter.frames(make.poses(centred))
    landmarks = [SimpleNamespace(x=x, y=y, z=z, visibility=0.9) for x, y, z in centred]
    landmarks[15].visibility = 0.1
    with pytest.raises(MessageError, match="aux-motion track"):
        adapter.frame(NS, "camera", [landmarks], roots=None)
    with pytest.raises(MessageError, match="expected 33 landmarks and one root"):
        adapter.frame(NS, "camera", [landmarks[:32]], roots=np.zeros((1, 3)))
    turn = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    frame = adapter.frame(NS, "camera", [landmarks], np.array([[4.0, 0.0, 1.0]]), rotation=turn)
    np.testing.assert_allclose(frame.positions[0, INDEX["pelvis"]], (4.0, 0.0, 1.0), atol=1e-9)
    np.testing.assert_allclose(frame.positions[0, INDEX["right_wrist"]], turn @ centred[16] + (4.0, 0.0, 1.0))
    assert "left_wrist" not in names(frame)


# All


def test_a_given_frame_wins_over_the_messages() -> None:
    made = {
        "zed": make.zed({1: make.person("zed38")}),
        "azure_kinect": make.azure_kinect({1: make.person("k4a32")}),
        "yolo": make.yolo([("1", make.person("coco17"))]),
        "hiros": make.hiros({1: {"LWrist": np.ones(3)}}),
    }
    for name, message in made.items():
        assert only(trackers.make(name, frame_id="/levelled").frames(message)).frame_id == "levelled"
    with_joints = trackers.make("pose_array", joints=("coco17",), frame_id="levelled")
    assert only(with_joints.frames(make.poses(make.person("coco17")))).frame_id == "levelled"


@pytest.mark.parametrize("name", sorted(set(trackers.NAMES) - {"ros4hri"}))
def test_another_trackers_message_is_an_error_and_no_frame(name: str) -> None:
    options = {"joints": ("coco17",)} if name == "pose_array" else {}
    other = make.poses(np.ones((3, 3))) if name not in ("pose_array", "openpose", "mediapipe") else make.ids(["1"])
    with pytest.raises((AttributeError, ValueError)):
        trackers.make(name, **options).frames(other)


# Into the predictor


def follow(name: str, message_at, seconds: float, rate_hz: float = 30.0, **options):
    """A predictor after so many messages, and the last stamp; `message_at(k, time_s, stamp_ns)`."""
    adapter = trackers.make(name, **options)
    predictor = Predictor(make_backend("damped_pose", ""), PredictorConfig(), "camera")
    for k in range(round(seconds * rate_hz)):
        ns = NS + round(k * NS / rate_hz)
        for frame in adapter.frames(message_at(k, k / rate_hz, ns)):
            predictor.add(frame)
    return predictor, ns


def test_a_body_that_zed_only_carries_on_becomes_stale_and_its_bound_grows() -> None:
    def message(k: int, time_s: float, ns: int):
        sent = make.zed({4: make.person("zed38", min(time_s, 1.0))}, ns, frame="camera")
        sent.objects[0].tracking_state = 1 if time_s < 1.0 else 2
        return sent

    predictor, ns = follow("zed", message, 1.5)
    (person,) = predictor.predict(ns).people
    assert person.state == TrackState.STALE and person.last_observed_ns < 2 * NS
    assert predictor.counters["person_only_guessed"] == 15
    (later,) = predictor.predict(ns + NS).people
    assert later.state == TrackState.ABSENT and (later.radius[0] > person.radius[0] + 1.9).all()


def test_ids_that_the_tracker_swaps_are_linked_to_their_bodies() -> None:
    def message(k: int, time_s: float, ns: int):
        a, b = make.person("k4a32", time_s), make.person("k4a32", time_s, 2.0)
        return make.azure_kinect({1: a, 2: b} if k < 30 else {1: b, 2: a}, ns, "camera")

    predictor, ns = follow("azure_kinect", message, 1.5)
    people = predictor.predict(ns).people
    assert len(people) == 2 and predictor.counters["id_relinked"] == 2
    assert all(Reason.ID_RELINKED in p.reasons and p.state <= TrackState.DEGRADED for p in people)


def test_people_without_any_joint_are_counted_and_harm_nobody() -> None:
    def message(k: int, time_s: float, ns: int):
        nobody = np.full((38, 3), np.nan)
        return make.zed({1: make.person("zed38", time_s), 2: nobody}, ns, frame="camera")

    predictor, ns = follow("zed", message, 1.0)
    (person,) = predictor.predict(ns).people
    assert person.person_id == "1" and predictor.counters["person_without_joints"] == 30
    assert np.isfinite(person.mean).all()
