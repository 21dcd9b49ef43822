# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""One bag, two inputs, a moving camera, latency: predict, evaluate and the live node give the same numbers."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from rosbags.rosbag2 import StoragePlugin, Writer
from support import tracker_messages as make
from typer.testing import CliRunner

from aux_motion.cli import app
from aux_motion.commands.offline import Here, Job
from aux_motion_core.bags import reader
from aux_motion_core.bags.definitions import SKELETONS, build_message, typestore
from aux_motion_core.evaluation.replay import PREDICTED
from aux_motion_core.testing import synthetic
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.messages import frame_fields

NS = 1_000_000_000
TF = "tf2_msgs/msg/TFMessage"
LATENCY_NS = NS // 10
PARAMETERS = {
    "fixed_frame": "map",
    "input_topics": ["/left", "/right"],
    "input_frames": ["moving", "-"],
    "stamp_latency_s": 0.1,
    "backend": "zero_velocity",
}


def recorded(start_ns: int, seconds: float = 3.0):
    """(topic, type, log time, message), in order: one person; /left is on a camera that turns and names no frame."""
    items = []
    frames = synthetic.frames(1, seconds)
    first_ns = frames[0].stamp_ns
    empty = SkeletonFrame(0, "", (), np.empty((0, 20, 3)), np.empty((0, 20), np.uint8), np.empty((0, 20)))
    for k in range(90):  # nobody yet: the node listens to TF from the first frame on that needs it
        ns = start_ns - 3 * NS + k * NS // 30
        items.append(("/tf", TF, ns, make.transforms([("map", "moving", (0.0, 0.0, 0.0), ns)])))
        if k > 5:
            fields = frame_fields(replace(empty, stamp_ns=ns))
            items.append(("/left", SKELETONS, ns, build_message(SKELETONS, fields)))
    for frame in frames:
        captured_ns = start_ns + frame.stamp_ns - first_ns
        seen_at_ns = captured_ns + LATENCY_NS
        angle = 0.8 * (captured_ns - start_ns) / NS
        c, s = np.cos(angle), np.sin(angle)
        turned = np.asarray(frame.positions) @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        pose = (0.0, 0.0, 0.0, 0.0, 0.0, np.sin(angle / 2), np.cos(angle / 2))
        tf = make.transforms([("map", "moving", pose, captured_ns)])
        left = SkeletonFrame(seen_at_ns, "", ("7",), turned, frame.status, frame.confidence)
        hidden = np.array(frame.status)
        hidden[:, :8] = 0
        right = SkeletonFrame(seen_at_ns + NS // 60, "map", ("3",), frame.positions, hidden, frame.confidence)
        items.append(("/tf", TF, captured_ns, tf))
        items.append(("/left", SKELETONS, seen_at_ns, build_message(SKELETONS, frame_fields(left))))
        items.append(("/right", SKELETONS, seen_at_ns + NS // 60, build_message(SKELETONS, frame_fields(right))))
    return sorted(items, key=lambda item: item[2])


def write(path, items):
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        topics = {}
        for topic, kind, ns, message in items:
            if topic not in topics:
                topics[topic] = bag.add_connection(topic, kind, typestore=typestore())
            bag.write(topics[topic], ns, typestore().serialize_cdr(message, kind))
    return path


@pytest.fixture
def parameter_file(tmp_path):
    def make_file(**more):
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump({"/**": {"ros__parameters": {**PARAMETERS, **more}}}))
        return path

    return make_file


def command(*arguments) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def test_predict_and_evaluate_print_the_same_errors(tmp_path, parameter_file):
    bag, params = write(tmp_path / "bag", recorded(10 * NS)), parameter_file()
    predicted = command("predict", bag, "--params", params, "--json", tmp_path / "predict.json")
    evaluated = command("evaluate", bag, "--out", tmp_path / "out", "--params", params)
    rows = [line for line in predicted.splitlines() if line.startswith(("error in mm", "zero_velocity", "samples"))]
    assert len(rows) == 3 and all(row in evaluated.splitlines() for row in rows)
    report = json.loads((tmp_path / "predict.json").read_text())
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert report["mpjpe_mm"] == summary["mpjpe_mm"] and report["samples"] == summary["samples"]
    assert min(report["samples"].values()) > 20 and not report["rejected"]
    assert report["people"] == ["0/7"] and report["counters"]["fusion_linked"] == 1


def test_what_is_not_given_does_not_override_the_parameter_file(tmp_path, parameter_file):
    bag, params = write(tmp_path / "bag", recorded(10 * NS, 2.0)), parameter_file(threads=2)
    command("evaluate", bag, "--out", tmp_path / "file", "--params", params)
    command("evaluate", bag, "--out", tmp_path / "line", "--params", params, "--backend", "damped_pose")
    names = {n: json.loads((tmp_path / n / "summary.json").read_text()) for n in ("file", "line")}
    assert names["file"]["model"]["name"] == "zero_velocity" and names["line"]["model"]["name"] == "damped_pose"
    assert [s["parameters"]["threads"] for s in names.values()] == [2, 2]


def test_latency_is_taken_off_before_the_camera_is_looked_up(tmp_path):
    """Both inputs show the same body; where the transform is looked up too late, they do not."""
    bag = write(tmp_path / "bag", recorded(10 * NS))
    apart = {}
    for latency_s in (0.0, 0.1):
        values = {**PARAMETERS, "stamp_latency_s": latency_s, "merge_inputs": False}
        heads = {}
        for item in Here(Job(bag=bag, values=values)):
            for row, person in enumerate(item.frame.person_ids):
                heads.setdefault(person, []).append(item.frame.positions[row, 10])
        left, right = (np.array(heads[i]) for i in ("0/7", "1/3"))
        steps = min(len(left), len(right)) - 5
        apart[latency_s] = float(np.linalg.norm(left[:steps] - right[:steps], axis=-1).max())
    assert apart[0.1] < 0.01 < 0.05 < apart[0.0]


def by_observation(batches):
    """(person, stamp) -> what was first predicted from it."""
    found = {}
    for batch in batches:
        for person in batch.people:
            if person.state in PREDICTED:
                found.setdefault((person.person_id, person.stamp_ns), person)
    return found


@pytest.mark.timeout(400)
def test_the_live_node_predicts_the_same(tmp_path, ros_domain_id, monkeypatch):
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")
    from support import foreign_messages
    from support.node_harness import NodeProcess

    from aux_motion.commands import processes
    from aux_motion.commands.listener import Listener
    from aux_motion_core.wire.messages import batch_from_message

    for name, value in foreign_messages.built("tf2_msgs").items():
        monkeypatch.setenv(name, os.pathsep.join([value, *filter(None, [os.environ.get(name)])]))
    publish = str(Path(make.__file__).with_name("bag_publisher.py"))
    node = NodeProcess(ros_domain_id, tmp_path / "node.log", autostart=True, **PARAMETERS)
    publisher = None
    try:
        with Listener() as recorder:
            processes.wait(
                lambda: bool(recorder.predictions), [], processes.STARTUP_TIMEOUT_S, "heartbeat of the predictor"
            )
            bag = write(tmp_path / "bag", recorded(time.time_ns() + 9 * NS))
            publisher = NodeProcess(ros_domain_id, tmp_path / "publisher.log", [sys.executable, publish, str(bag)])
            assert publisher.wait(60.0) == 0, publisher.output()
    finally:
        node.stop()
        if publisher is not None:
            publisher.stop()
    heard = by_observation(batch_from_message(message) for _, message in recorder.predictions)
    found = by_observation(item.batch for item in Here(Job(bag=bag, values=PARAMETERS)))
    both = sorted(heard.keys() & found.keys())
    assert len(both) > 0.8 * len(found) > 50, (len(both), len(found), node.output()[-2000:])
    for name in ("recovered", "mean"):
        apart = [float(np.abs(getattr(heard[k], name) - getattr(found[k], name)).max()) for k in both]
        assert np.quantile(apart, 0.9) < 1e-4, f"{name}: the node places and fuses as the bag's reader does"


def test_a_bag_is_read_with_the_frames_that_the_file_names(tmp_path, parameter_file):
    """`input_frames`, for a tracker that names none."""
    frames = synthetic.frames(1, 2.0)
    items = [
        ("/one", SKELETONS, f.stamp_ns, build_message(SKELETONS, {**frame_fields(f), "header": header(f)}))
        for f in frames
    ]
    bag = write(tmp_path / "bag", items)
    params = parameter_file(input_topics=["/one"], input_frames=["map"], stamp_latency_s=0.0)
    out = tmp_path / "out.mcap"
    command("predict", bag, "--params", params, "--out", out)
    assert {f.frame_id for _, f in reader.read_skeletons(out)} == {"map"}


def header(frame):
    return {**frame_fields(frame)["header"], "frame_id": ""}
