# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Transforms of a bag are played and recorded, the static ones for those who come late too, with moved stamps."""

import os
import signal
import sys
import time

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from support import foreign_messages  # noqa: E402
from support.node_harness import NodeProcess, private_domain  # noqa: E402

from aux_motion_core.bags import reader
from aux_motion_core.bags.definitions import build_message, typestore
from aux_motion_core.testing import synthetic  # noqa: E402
from aux_motion_core.wire.messages import frame_fields, ns_to_stamp  # noqa: E402

TF = "tf2_msgs/msg/TFMessage"
CLI = [sys.executable, "-m", "aux_motion.cli"]


def transform(stamp_ns, parent, child, x):
    header = {"stamp": ns_to_stamp(stamp_ns), "frame_id": parent}
    at = {"translation": {"x": x, "y": 0.0, "z": 0.0}, "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}}
    return build_message(TF, {"transforms": [{"header": header, "child_frame_id": child, "transform": at}]})


@pytest.fixture
def bag(tmp_path):
    """Two seconds of a person, a moving camera, and a mount that was said once, long before."""
    store = typestore()
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        names = (("/skeletons", reader.SKELETONS), ("/tf", TF), ("/tf_static", TF))
        people, moving, static = (writer.add_connection(n, t, typestore=store) for n, t in names)
        frames = synthetic.frames(1, 2.0, start_ns=100_000_000_000, frame_id="camera")
        mount = transform(1_000_000_000, "arm", "camera", 0.5)
        writer.write(static, frames[0].stamp_ns, store.serialize_cdr(mount, TF))
        for k, frame in enumerate(frames):
            message = build_message(reader.SKELETONS, frame_fields(frame))
            arm = transform(frame.stamp_ns, "map", "arm", 0.1 * k)
            writer.write(moving, frame.stamp_ns, store.serialize_cdr(arm, TF))
            writer.write(people, frame.stamp_ns + 20_000_000, store.serialize_cdr(message, reader.SKELETONS))
    return tmp_path / "bag"


@pytest.mark.timeout(400)
def test_transforms_are_played_and_recorded(bag, tmp_path, monkeypatch):
    for name, value in foreign_messages.built("tf2_msgs").items():
        monkeypatch.setenv(name, os.pathsep.join([value, *filter(None, [os.environ.get(name)])]))
    domain, out = private_domain(), tmp_path / "again.mcap"
    recorder = NodeProcess(domain, tmp_path / "record.log", [*CLI, "record", "--out", str(out)])
    player = None
    try:
        player = NodeProcess(domain, tmp_path / "play.log", [*CLI, "play", str(bag), "--rate", "2"])
        assert player.wait(60.0) == 0, player.output()
        time.sleep(0.5)
        assert recorder.stop(signal.SIGINT) == 0, recorder.output()
    finally:
        for process in filter(None, (player, recorder)):
            process.stop(signal.SIGKILL)
    with reader.BagReader(out) as bag:
        topics = {t.name: t for t in bag.topics}
        found = {n: [m.message for m in bag.messages(topics[n])] for n in ("/skeletons", "/tf", "/tf_static")}
    with AnyReader([out]) as bag:  # ros2 bag play says the static ones to late comers too
        (qos,) = next(c for c in bag.connections if c.topic == "/tf_static").ext.offered_qos_profiles
        assert (qos.durability.name, qos.reliability.name) == ("TRANSIENT_LOCAL", "RELIABLE")
    (mount,) = found["/tf_static"]
    assert mount.transforms[0].child_frame_id == "camera"
    assert len(found["/skeletons"]) == 60 and len(found["/tf"]) > 50
    times = {n: np.array([stamp(m) for m in messages]) for n, messages in found.items() if n != "/tf_static"}
    assert set(times["/tf"]) <= set(times["/skeletons"])  # moved alike: a transform still fits its frame
    assert abs(times["/skeletons"][-1] - time.time()) < 60.0


def stamp(message):
    """Seconds of the first header's time."""
    header = message.header if hasattr(message, "header") else message.transforms[0].header
    return header.stamp.sec + 1e-9 * header.stamp.nanosec
