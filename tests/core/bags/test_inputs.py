# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bags of any tracker: the topic found, the transforms used, what is wrong named."""

from __future__ import annotations

import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from support import tracker_messages as make

from aux_motion_core import trackers
from aux_motion_core.bags.definitions import typestore
from aux_motion_core.bags.files import BagError
from aux_motion_core.bags.inputs import Recorded, Report, read_frames
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.run import evaluate
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX
from aux_motion_core.space.frames import Frames
from aux_motion_core.trackers import AdapterError
from aux_motion_core.wire.clock import StampClock

NS = make.NS
TF = "tf2_msgs/msg/TFMessage"
ZED, MARKERS, POSES = "zed_msgs/msg/ObjectsStamped", "visualization_msgs/msg/MarkerArray", "geometry_msgs/msg/PoseArray"


def write(path: Path, items, storage=StoragePlugin.MCAP, definitions: bool = True) -> Path:
    """A bag of (topic, type, log time, message); version 8 sqlite bags are Humble's, which hold no definitions."""
    with Writer(path, version=9 if definitions else 8, storage_plugin=storage) as bag:
        connections = {}
        for topic, kind, ns, message in sorted(items, key=lambda item: item[2]):
            if topic not in connections:
                connections[topic] = bag.add_connection(topic, kind, typestore=typestore())
            bag.write(connections[topic], ns, typestore().serialize_cdr(message, kind))
    return path


def zed_items(seconds: float = 1.0):
    for k in range(round(seconds * 15)):
        ns = NS + k * NS // 15
        yield "/zed/skeletons", ZED, ns + 60_000_000, make.zed({5: make.person("zed38", k / 15)}, ns, frame="camera")


@pytest.mark.parametrize(
    ("storage", "definitions"),
    [(StoragePlugin.MCAP, True), (StoragePlugin.SQLITE3, True), (StoragePlugin.SQLITE3, False)],
)
def test_zed_is_found_by_its_type_with_and_without_definitions(tmp_path, storage, definitions) -> None:
    bag = write(tmp_path / "bag", zed_items(), storage, definitions)
    frames = list(read_frames(bag))
    assert [t for t, _ in frames] == [NS + k * NS // 15 + 60_000_000 for k in range(15)]
    assert all(f.person_ids == ("5",) and f.frame_id == "camera" for _, f in frames)
    assert [f.stamp_ns for _, f in frames] == [NS + k * NS // 15 for k in range(15)]


def test_all_the_way_to_a_prediction(tmp_path) -> None:
    bag = write(tmp_path / "bag", zed_items(2.0))
    predictor = Predictor(make_backend("damped_pose", ""), PredictorConfig(), "map")
    frames = Frames("map", "camera", (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    found = evaluate(read_frames(bag, frames=frames), predictor)
    assert found.stream.frames == 30 and found.stream.people == {"5"} and found.stream.predictions > 20
    assert all(errors["damped_pose"] < 1000.0 for errors in found.summary()["mpjpe_mm"].values())


def test_a_real_recording_as_poses(tmp_path, data_dir) -> None:
    """5 s of somebody who waves before a Kinect v2, recorded by its SDK."""
    with tarfile.open(data_dir / "tracker_samples.tar.xz") as archive:
        text = archive.extractfile("tracker_samples/laban_kinect2/Ges01_wavehand.csv").read().decode()
    rows = np.array([[float(v) for v in line.split(",") if v.strip()] for line in text.splitlines() if line.strip()])
    stamps = NS + ((rows[:, 0] - rows[0, 0]) * 100).astype(np.int64)
    joints = rows[:, 1:101].reshape(-1, 25, 4)[..., :3]
    each = zip(stamps.tolist(), joints, strict=True)
    items = [("/joints", POSES, ns, make.poses(at, ns, "kinect")) for ns, at in each]
    bag = write(tmp_path / "bag", items)
    frames = Frames("map", "kinect", (0.0, 0.0, 1.0, 0.5, 0.5, 0.5, 0.5))  # y up, z forward
    predictor = Predictor(make_backend("damped_pose", ""), PredictorConfig(), "map")
    stream = read_frames(bag, tracker="pose_array", joints=("kinect2_25",), frames=frames)
    found = evaluate(stream, predictor)
    assert found.stream.frames == len(rows) == 154 and found.stream.people == {"0"} and found.stream.predictions > 140
    assert found.summary()["mpjpe_mm"]["0.4"]["damped_pose"] < 120.0
    assert not predictor.counters.get("not_z_up")


def test_types_that_many_use_must_be_asked_for(tmp_path) -> None:
    items = [("/bodies", MARKERS, NS, make.azure_kinect({1: make.person("k4a32")})),
             ("/poses", POSES, NS, make.poses(make.person("coco17")))]  # fmt: skip
    bag = write(tmp_path / "bag", items)
    with pytest.raises(BagError, match="/bodies with --tracker azure_kinect, /poses with --tracker pose_array or") as e:
        list(read_frames(bag))
    assert "\n" not in str(e.value)
    ((_, frame),) = read_frames(bag, tracker="azure_kinect")
    assert frame.person_ids == ("1",)
    ((_, frame),) = read_frames(bag, tracker="pose_array", joints=("coco17",), frame_id="given")
    assert frame.frame_id == "given"
    with pytest.raises(AdapterError, match="no joint list"):
        list(read_frames(bag, tracker="pose_array"))
    with pytest.raises(BagError, match="has no topic of type zed_msgs"):
        list(read_frames(bag, tracker="zed"))
    with pytest.raises(AdapterError, match="unknown tracker"):
        list(read_frames(bag, tracker="kinect9"))


def test_messages_that_cannot_be_used_are_told_one_by_one(tmp_path) -> None:
    good, bad = make.poses(make.person("coco17"), NS), make.poses(np.ones((16, 3)), 2 * NS)
    bag = write(tmp_path / "bag", [("/p", POSES, NS, good), ("/p", POSES, 2 * NS, bad), ("/p", POSES, 3 * NS, good)])
    told: list[ValueError] = []
    frames = list(read_frames(bag, tracker="pose_array", joints=("coco17",), on_bad=told.append))
    assert len(frames) == 2 and len(told) == 1 and "multiple of 17" in str(told[0])
    with pytest.raises(BagError, match="message 1 of /p: the message has 16 poses"):
        list(read_frames(bag, tracker="pose_array", joints=("coco17",)))


def moving_camera(late_ns: int, seconds: float = 1.0):
    """A camera on a robot that drives along x at 1 m/s; its pose is logged so much after the skeletons."""
    # logged last, but latched
    yield "/tf_static", TF, 5 * NS, make.transforms([("robot", "camera", (0.0, 0.0, 1.5), 0)])
    for k in range(-2, round(seconds * 30) + 1):
        ns = NS + k * NS // 30
        yield "/tf", TF, ns + late_ns, make.transforms([("map", "robot", (k / 30.0, 0.0, 0.0), ns)])
        if k >= 0:
            there = make.person("coco17") - (k / 30.0, 0.0, 1.5)  # who stands still
            yield "/poses", POSES, ns, make.poses(there, ns, "camera")


def test_the_bags_own_transforms_bring_a_moving_camera_to_the_fixed_frame(tmp_path) -> None:
    bag = write(tmp_path / "bag", moving_camera(20_000_000))
    options = {"tracker": "pose_array", "joints": ("coco17",)}
    frames = list(read_frames(bag, frames=Frames("map"), **options))
    assert len(frames) == 31
    for k, (log_ns, frame) in enumerate(frames):
        assert frame.frame_id == "map" and log_ns == NS + k * NS // 30 + 20_000_000, "when its transform came"
        np.testing.assert_allclose(frame.positions[0, INDEX["left_wrist"]], make.person("coco17")[9], atol=1e-9)
    told: list[ValueError] = []
    late = write(tmp_path / "late", moving_camera(200_000_000))
    frames = list(read_frames(late, frames=Frames("map"), on_bad=told.append, **options))
    assert not frames and len(told) == 31 and "no transform from 'camera'" in str(told[0])
    frames = list(read_frames(late, frames=Frames("map"), tf_timeout_s=0.5, **options))
    assert len(frames) == 31
    assert all(f.frame_id == "camera" for _, f in read_frames(bag, **options)), "without frames: as it came"


def test_a_transform_that_becomes_none_while_recording_is_told(tmp_path) -> None:
    def items():
        yield from moving_camera(20_000_000)
        broken = (np.nan, 0.0, 1.5, 0.0, 0.0, 0.0, 1.0)
        yield "/tf_static", TF, 6 * NS, make.transforms([("robot", "camera", broken, 0), ("robot", "imu", broken, 0)])

    bag, report = write(tmp_path / "bag", items()), Report()
    values = {"fixed_frame": "map", "tracker_joints": ["coco17"]}
    assert len(list(Recorded(bag, values, tracker="pose_array").frames(report=report))) == 31
    (line,) = report.inputs
    assert "'robot' to 'camera' is not a number (nan 0 1.5 0 0 0 1); the one before it is used" in line


def ros4hri_items(tf: bool = True):
    for k in range(30):
        ns = NS + k * NS // 30
        yield "/humans/bodies/tracked", "hri_msgs/msg/IdsList", ns, make.ids(["q1"], ns)
        if tf:
            pose = (2.0 + k / 30, 0.0, 0.9)
            yield "/tf", TF, ns + 1_000_000, make.transforms([("camera", "body_q1", pose, ns)])
            links = [("body_q1", f"{n}_q1", (0.0, 0.1, 0.5), ns) for n in ("head", "l_wrist", "r_wrist", "l_knee")]
            yield "/tf", TF, ns + 2_000_000, make.transforms(links)


def test_ros4hri_from_a_bag(tmp_path) -> None:
    frames = list(read_frames(write(tmp_path / "bag", ros4hri_items())))
    assert len(frames) == 30 and all(f.person_ids == ("q1",) and f.frame_id == "camera" for _, f in frames)
    np.testing.assert_allclose([f.positions[0, INDEX["pelvis"], 0] for _, f in frames], 2.0 + np.arange(30) / 30)
    with pytest.raises(BagError, match="has no /tf: tracker ros4hri sends its joints by TF, so record"):
        list(read_frames(write(tmp_path / "without", ros4hri_items(tf=False))))


def test_counters_are_there_after_reading(tmp_path) -> None:
    adapter = trackers.make("azure_kinect")
    bag = write(tmp_path / "bag", [("/b", MARKERS, NS + k, make.azure_kinect({})) for k in range(3)])
    assert list(read_frames(bag, adapter=adapter)) == []
    assert adapter.counters["azure_kinect_nobody"] == 3


def test_counters_hold_what_adapter_and_transforms_counted(tmp_path) -> None:
    items = [("/zed", ZED, NS + k * NS // 15, make.zed({5: make.person("zed38")}, NS + k * NS // 15)) for k in range(9)]
    counters: Counter[str] = Counter()
    told: list[ValueError] = []
    bag = write(tmp_path / "bag", [*items, ("/tf", TF, NS, make.transforms([("map", "robot", (0.0, 0.0, 0.0), NS)]))])
    list(read_frames(bag, frames=Frames("map"), on_bad=told.append, counters=counters))
    assert counters["zed_coasting"] == 8 and counters["tf_timeout"] == len(told) == 9


def test_messages_that_cannot_be_decoded_are_named_as_such(tmp_path) -> None:
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        connection = bag.add_connection("/zed", ZED, typestore=typestore())
        bag.write(connection, NS, b"\0\1\0\0no message")
    with pytest.raises(BagError, match="no message of /zed .* can be read: .*1 messages cannot be decoded"):
        list(read_frames(tmp_path / "bag"))


def test_a_bags_own_frame_is_that_of_its_people(tmp_path) -> None:
    nobody, there = np.empty((0, 3)), make.person("coco17")
    said = [("", nobody), ("cam", nobody), ("", there), ("map", there), ("other", there)]
    items = [("/p", POSES, NS + k, make.poses(p, NS + k, frame)) for k, (frame, p) in enumerate(said)]

    def own_frame(name: str, count: int) -> str:
        bag = write(tmp_path / name, items[:count])
        return Recorded(bag, {}, tracker="pose_array", joints=("coco17",)).config.fixed_frame

    assert own_frame("five", 5) == "map" and own_frame("two", 2) == "cam"
    with pytest.raises(BagError, match="names the frame of its positions"):
        own_frame("one", 1)


@pytest.mark.parametrize(
    ("scale", "still", "said"), [(1.0, True, "stuck"), (1000.0, False, "millimetres"), (1, False, "")]
)
def test_a_recording_whose_bodies_cannot_be_used_is_said_to_be_so(tmp_path, scale, still, said) -> None:
    times = [k / 30 for k in range(60)]
    items = [
        (
            "/p",
            POSES,
            NS + round(t * NS),
            make.poses(make.person("coco17", 0.0 if still else t) * scale, NS + round(t * NS), "map"),
        )
        for t in times
    ]
    recorded = Recorded(write(tmp_path / "bag", items), {}, tracker="pose_array", joints=("coco17",))
    report = Report()
    for _ in recorded.frames(lambda error: None, report):
        pass
    assert [said in line for line in report.inputs] == [True] * bool(said), report.inputs


def test_time_of_receipt_is_chosen_before_the_transform_is_looked_up(tmp_path) -> None:
    items = [("/tf", TF, NS + k * NS // 30, make.transforms([("map", "cam", (0.0, 0.0, 1.0), NS + k * NS // 30)]))
             for k in range(30)]  # fmt: skip
    items += [("/p", POSES, NS + k * NS // 30 + 1, make.poses(make.person("coco17"), 0, "cam")) for k in range(5, 25)]
    options = {"tracker": "pose_array", "joints": ("coco17",), "on_bad": lambda error: None}
    bag = write(tmp_path / "bag", items)
    assert not list(read_frames(bag, frames=Frames("map"), **options)), "no transform at 0 s"
    frames = list(read_frames(bag, frames=Frames("map"), clock=StampClock("receive"), **options))
    assert [f.stamp_ns for _, f in frames] == [NS + k * NS // 30 + 1 for k in range(5, 25)]


@pytest.mark.parametrize("sec", [-5, 2**31 - 10])
def test_stamps_that_are_no_time_are_refused_as_the_node_does(tmp_path, sec: int) -> None:
    items = [("/p", POSES, NS + k, make.poses(make.person("coco17"), (sec if k else 1) * NS)) for k in range(3)]
    told: list[ValueError] = []
    bag = write(tmp_path / "bag", items)
    frames = list(read_frames(bag, tracker="pose_array", joints=("coco17",), on_bad=told.append))
    assert len(frames) == 1 and len(told) == 2 and f"stamp {sec} s: expected seconds since 1970" in str(told[0])
