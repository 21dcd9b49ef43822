# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The offline evaluation predicts what the live node predicts: the sample over DDS, with the recorded stamps."""

from importlib import import_module

import numpy as np
import pytest

from aux_motion.commands import processes
from aux_motion.commands.listener import Listener
from aux_motion_core.bags import reader
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.skeleton import BONES
from aux_motion_core.testing import synthetic

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")

from rclpy.serialization import deserialize_message  # noqa: E402
from visualization_msgs.msg import Marker  # noqa: E402

from aux_motion.commands.evaluate import evaluate_bag  # noqa: E402
from aux_motion.commands.offline import Here, Job  # noqa: E402
from aux_motion_core.evaluation.replay import PREDICTED  # noqa: E402
from aux_motion_core.wire.messages import batch_from_message  # noqa: E402


def message_class(name):
    package, _, kind = name.split("/")
    return getattr(import_module(f"{package}.msg"), kind)


def test_ros_reads_every_message_of_the_annotated_bag(tmp_path):
    with BagWriter(tmp_path / "walk.mcap") as writer:
        for frame in synthetic.frames(2, 3.0):
            writer.write("/skeletons", frame, frame.stamp_ns)
    values = {"backend": "damped_pose"}
    evaluate_bag(Job(bag=tmp_path / "walk.mcap", out=tmp_path, values=values, progress=False))
    found = {}
    with reader.BagReader(tmp_path / "annotated.mcap") as bag:
        for item in bag.messages(bag.topics, raw=True):
            message = deserialize_message(bytes(item.message), message_class(item.msgtype))
            found.setdefault(item.topic, []).append(message)
    assert len(found["/skeletons"]) == 90 and 25 <= len(found["/markers"]) <= 35
    clear, lines, label, *_ = found["/markers"][20].markers
    assert clear.action == Marker.DELETEALL and lines.type == Marker.LINE_LIST and label.text == "person_0 tracking"
    assert len(lines.points) == len(lines.colors) == 3 * 2 * len(BONES) and lines.header.frame_id == "map"
    assert found["/diagnostics"][2].status[0].message == "TRACKING"
    seen = [m for array in found["/evaluation/seen_later"] for m in array.markers if m.ns == "seen_later"]
    assert len(seen) > 20 and all(len(m.points) == 2 * len(BONES) for m in seen)


def by_observation(batches):
    """(person, stamp) -> what was first predicted from it."""
    found = {}
    for batch in batches:
        for person in batch.people:
            if person.state in PREDICTED:
                found.setdefault((person.person_id, person.stamp_ns), person)
    return found


def test_the_evaluation_and_the_live_node_predict_the_same(root, tmp_path, ros_domain_id):
    from support.node_harness import NodeProcess

    (sample,) = (root / "samples").glob("*.mcap")
    (_, first) = next(reader.read_skeletons(sample))
    node = NodeProcess(
        ros_domain_id, tmp_path / "node.log", fixed_frame=first.frame_id, use_sim_time=True, autostart=True
    )
    try:
        with Listener() as recorder:
            processes.wait(
                lambda: bool(recorder.predictions), [], processes.STARTUP_TIMEOUT_S, "heartbeat of the predictor"
            )
            arguments = ["play", str(sample), "--clock", "100", "--wait-for", "2"]
            with processes.Process("aux_motion.cli", arguments, tmp_path / "player.log") as player:
                processes.wait(lambda: player.popen.poll() is not None, [player], 120.0, "end of the bag")
                player.check()
    finally:
        node.stop()
    heard = by_observation(batch_from_message(m) for _, m in recorder.predictions)
    source = Here(Job(bag=sample, out=tmp_path))
    try:
        offline = by_observation(item.batch for item in source)
    finally:
        source.close()
    both = heard.keys() & offline.keys()
    assert len(both) > 0.5 * len(offline) > 100, f"{len(heard)} heard, {len(offline)} offline"
    assert heard.keys() <= offline.keys()
    for key in both:
        np.testing.assert_allclose(heard[key].mean, offline[key].mean, rtol=0, atol=1e-5)
        np.testing.assert_allclose(heard[key].recovered, offline[key].recovered, rtol=0, atol=1e-5)
