# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion calibrate-cameras`: the line that it prints makes one person of what two cameras see."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support import tracker_messages as make
from typer.testing import CliRunner

from aux_motion.cli import app
from aux_motion.commands import calibrate_cameras
from aux_motion.commands.offline import Job, Reading
from aux_motion.commands.parameter_file import file_parameters
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.constants import NS
from aux_motion_core.space.registration import RegistrationError

T0 = 1_750_000_000 * NS
TURN = Rotation.from_euler("zyx", [130.0, -8.0, 25.0], degrees=True).as_matrix()
MOVE = np.array([2.5, -1.0, 0.8])
OFFSET_S = 0.05


def recording(path, seconds=12.0, offset_s=OFFSET_S, still=False, frames=("cam_a", "cam_b")):
    """Somebody who walks unevenly, seen by a ZED at 30 Hz and, in its own frame and on its own clock, by yolo_ros."""
    rng = np.random.default_rng(1)

    def person(joints, t):
        t = 0.0 if still else t
        places = make.person(joints, t + 0.3 * np.sin(1.1 * t))
        return places + (0.4 * np.sin(0.7 * t), 0.0, 0.0) + rng.normal(scale=0.01, size=places.shape)

    items = []
    for t in np.arange(0.0, seconds, 1 / 30):
        message = make.zed({3: person("zed38", t)}, T0 + round(t * NS), frame=frames[0])
        items.append((t, "/a/skeletons", "zed_msgs/msg/ObjectsStamped", message))
    for t in np.arange(0.011, seconds, 1 / 15):
        seen = (person("coco17", t) - MOVE) @ TURN
        message = make.yolo([("8", seen)], T0 + round((t + offset_s) * NS), frame=frames[1])
        items.append((t, "/b/detections", "yolo_msgs/msg/DetectionArray", message))
    with BagWriter(path) as bag:
        for t, topic, kind, message in sorted(items, key=lambda i: i[0]):
            bag.write_message(topic, kind, message, T0 + round((t + 0.06) * NS))
    return path


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return recording(tmp_path_factory.mktemp("cameras") / "walk.mcap")


def ids(bag, line):
    """Ids of the people whom the node's path makes of both topics, and what is said of the inputs."""
    values = {
        "fixed_frame": "cam_a",
        "input_topics": ["/a/skeletons", "/b/detections"],
        "input_trackers": ["zed", "yolo"],
        "static_transforms": [line],
    }
    reading = Reading(Job(bag=bag, values=values))
    found = {i for _, frame in reading.frames() for i in frame.person_ids}
    return found, reading.report.inputs


def test_the_line_that_is_printed_makes_one_person_of_both_sights(bag, tmp_path):
    out = tmp_path / "answer.json"
    said = CliRunner().invoke(app, ["calibrate-cameras", str(bag), "--json", str(out)])
    assert said.exit_code == 0, said.output
    (answer,) = json.loads(out.read_text())
    assert answer["clock_offset_s"] == pytest.approx(OFFSET_S, abs=0.012) and answer["residual_m"] < 0.06
    np.testing.assert_allclose(answer["translation_m"], MOVE, atol=0.03)
    assert Rotation.from_matrix(np.array(answer["rotation"]) @ TURN.T).magnitude() < np.radians(1.0)
    pasted = re.search(r"static_transforms: \[\"(.+)\"\]", said.output)
    assert pasted and pasted[1] == answer["static_transform"]
    assert "mm" in said.output and "clock offset" in said.output
    assert ids(bag, pasted[1]) == ({"0/3"}, [])


def test_a_wrong_transform_is_named_because_the_bodies_move_alike(bag):
    answer = calibrate_cameras.calibrate(bag)[0].line.split()
    answer[1] = str(float(answer[1]) + 0.9)
    found, (line,) = ids(bag, " ".join(answer))
    assert found == {"0/3", "1/8"}
    assert (
        "person 3 of /a/skeletons and 8 of /b/detections move alike, 0.9 m apart" in line
        and "calibrate-cameras" in line
    )


def test_the_reference_may_be_anywhere_in_the_fixed_frame(bag, tmp_path):
    params = tmp_path / "cell.yaml"
    params.write_text(
        "/**:\n  ros__parameters:\n    fixed_frame: map\n    static_transforms: ['cam_a 1.0 2.0 0.0 0.0 0.0 0.0 1.0']\n"
    )
    parameters = file_parameters(params)
    (camera,) = calibrate_cameras.calibrate(bag, topics=["/a/skeletons", "/b/detections"], parameters=parameters)
    said = CliRunner().invoke(app, ["calibrate-cameras", str(bag), "--params", str(params)])
    assert calibrate_cameras.text([camera]) in said.output
    assert camera.fixed_frame == "map" and camera.frame_id == "cam_b"
    np.testing.assert_allclose(camera.found.translation, MOVE + (1.0, 2.0, 0.0), atol=0.03)
    assert '["cam_a 1.0 2.0 0.0 0.0 0.0 0.0 1.0", "cam_b ' in calibrate_cameras.text([camera])  # both are needed
    (other_way,) = calibrate_cameras.calibrate(bag, topics=["/b/detections", "/a/skeletons"])
    assert other_way.fixed_frame == "cam_b" and other_way.found.offset_s == pytest.approx(-OFFSET_S, abs=0.012)
    np.testing.assert_allclose(other_way.found.translation, -MOVE @ TURN, atol=0.03)


@pytest.mark.parametrize(
    ("make_bag", "options", "says"),
    [
        (lambda p: recording(p, still=True), {}, "walk to and fro"),
        (lambda p: recording(p, seconds=2.0), {}, "expected at least"),
        (lambda p: recording(p, frames=("cam", "cam")), {}, "both name frame cam"),
        (lambda p: recording(p, seconds=1.0), {"topics": ["/a/skeletons"]}, "expected two or more"),
        (lambda p: recording(p, seconds=1.0), {"fixed_frame": "map"}, "cannot be brought|saw nobody"),
    ],
)
def test_a_walk_that_does_not_determine_it_is_refused_in_one_line(tmp_path, make_bag, options, says):
    path = make_bag(tmp_path / "bad.mcap")
    with pytest.raises(ValueError, match=says) as caught:
        calibrate_cameras.calibrate(path, **options)
    assert "\n" not in str(caught.value)


def test_a_bag_with_one_tracker_says_what_is_missing(tmp_path):
    path = tmp_path / "one.mcap"
    with BagWriter(path) as bag:
        bag.write_message("/a", "zed_msgs/msg/ObjectsStamped", make.zed({}, T0), T0)
    with pytest.raises(ValueError, match="expected topics of two or more trackers, got 1"):
        calibrate_cameras.calibrate(path)
    assert issubclass(RegistrationError, ValueError) and "rclpy" not in vars(sys.modules[calibrate_cameras.__name__])
