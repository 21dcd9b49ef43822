# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Playing a bag over DDS: every message, at the pace of its stamps, stamped with the present."""

import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from aux_motion.commands import processes
from aux_motion.commands.listener import Listener
from aux_motion_core.bags import reader
from aux_motion_core.bags.definitions import build_message, typestore
from aux_motion_core.bags.reader import BagReader
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.testing import synthetic
from aux_motion_core.wire.messages import frame_fields, frame_from_message

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")

from aux_motion_msgs.msg import SkeletonArray  # noqa: E402

from aux_motion.commands.timeline import Timeline  # noqa: E402


@pytest.fixture
def bag(tmp_path):
    path = tmp_path / "walk.mcap"
    with BagWriter(path) as writer:
        for frame in synthetic.frames(1, 1.0):
            writer.write("/skeletons", frame, frame.stamp_ns)
    return path


def played(bag, log, *arguments):
    """Frames that a subscriber hears while the bag is played by another process."""
    with Listener() as recorder:
        with processes.Process("aux_motion.cli", ["play", str(bag), *arguments], log) as play:
            processes.wait(lambda: play.popen.poll() is not None, [play], 40.0, "end of the bag")
            play.check()
    store = typestore()
    return [frame_from_message(store.deserialize_cdr(raw, reader.SKELETONS)) for _, raw in recorder.skeletons]


def test_all_messages_are_heard_with_the_present_time_and_the_recorded_pace(bag, tmp_path):
    started_ns = time.time_ns()
    frames = played(bag, tmp_path / "player.log", "--rate", "2")
    recorded = synthetic.frames(1, 1.0)
    assert len(frames) == len(recorded)
    stamps = np.array([f.stamp_ns for f in frames])
    assert started_ns < stamps[0] and stamps[-1] < time.time_ns()
    expected = np.array([f.stamp_ns - recorded[0].stamp_ns for f in recorded]) / 2
    np.testing.assert_allclose(stamps - stamps[0], expected, atol=2)
    np.testing.assert_allclose(frames[7].positions, recorded[7].positions, atol=1e-6)


@pytest.fixture
def markers(tmp_path):
    """A bag of a tracker that sends markers, whose stamps are inside the elements, beside another topic."""
    from builtin_interfaces.msg import Time
    from rclpy.serialization import serialize_message
    from std_msgs.msg import String
    from visualization_msgs.msg import Marker, MarkerArray

    store = typestore()
    path = tmp_path / "markers.mcap"
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        bodies = writer.add_connection("/bodies", "visualization_msgs/msg/MarkerArray", typestore=store)
        words = writer.add_connection("/words", "std_msgs/msg/String", typestore=store)
        for k in range(10):
            ns = 5_000_000_000 + k * 100_000_000
            found = [Marker(id=100), Marker(id=101)]
            for marker in found:
                marker.header.stamp = Time(sec=ns // 10**9, nanosec=ns % 10**9)
            writer.write(bodies, ns + 50_000_000, serialize_message(MarkerArray(markers=found)))
            writer.write(words, ns + 50_000_000, serialize_message(String(data=str(k))))
    next((tmp_path / "bag").glob("*.mcap")).replace(path)
    return path


def test_a_trackers_own_messages_are_played_with_the_present_time(markers, tmp_path):
    from support.node_harness import NodeProcess, Probe, private_domain
    from visualization_msgs.msg import MarkerArray

    heard = []
    probe = Probe(domain := private_domain())
    try:
        probe.node.create_subscription(MarkerArray, "/bodies", lambda m: heard.append((time.time_ns(), m)), 100)
        play = [sys.executable, "-m", "aux_motion.cli", "play", str(markers), "--topic", "bodies", "--rate", "2"]
        play = NodeProcess(domain, tmp_path / "player.log", play)
        probe.until(lambda: not play.alive(), "end of the bag")
    finally:
        probe.close()
    assert play.wait() == 0 and "played 10 messages" in play.output()
    stamps = [m.markers[0].header.stamp for _, m in heard]
    stamps = np.array([s.sec * 10**9 + s.nanosec for s in stamps])
    assert all(m.markers[1].header.stamp == m.markers[0].header.stamp for _, m in heard)
    np.testing.assert_allclose(np.diff(stamps), 50_000_000, atol=2)
    arrivals = np.array([t for t, _ in heard])
    late_ms = (arrivals - stamps) * 1e-6
    assert late_ms.min() > 20.0 and np.median(late_ms) < 150.0  # 50 ms in the bag, at twice the speed


def test_a_part_is_played_in_a_loop_by_the_clock_of_the_bag(bag, tmp_path):
    from rosgraph_msgs.msg import Clock
    from support.node_harness import NodeProcess, Probe, private_domain, stamp_ns

    clocks, stamps = [], []
    probe = Probe(domain := private_domain())
    try:
        probe.node.create_subscription(Clock, "/clock", lambda m: clocks.append(stamp_ns(m.clock)), 100)
        hear = lambda m: stamps.append(stamp_ns(m.header.stamp))  # noqa: E731
        probe.node.create_subscription(SkeletonArray, "people", hear, 100)  # reliable: every one is compared
        options = ["--to", "people", "--start", "0.5", "--clock", "100", "--loop", "--rate", "2"]
        play = [sys.executable, "-m", "aux_motion.cli", "play", str(bag), *options]
        play = NodeProcess(domain, tmp_path / "player.log", play)
        probe.until(lambda: len(stamps) >= 40, "the third round", 60.0)
        assert play.stop() == 0
    finally:
        probe.close()
    recorded = [f.stamp_ns for f in synthetic.frames(1, 1.0)][15:]
    assert stamps[:15] == recorded  # as they were recorded, from half a second on
    assert (np.diff(stamps) > 0).all() and stamps[15] - stamps[14] < 100_000_000  # rounds follow each other
    assert (np.diff(clocks) >= 0).all() and len(clocks) > 20
    assert clocks[0] >= recorded[0] - 100_000_000 and abs(clocks[-1] - stamps[-1]) < 1_000_000_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--start", "9"], "nothing is left after --start 9"),
        (["--topic", "words"], "no topic 'words'"),
        (["--tracker", "zed"], "zed_msgs"),
        (["--tracker", "sonar"], "unknown tracker 'sonar'"),
        (["--to", "two//slashes"], "'two//slashes' is no name of a topic (topic name must not contain repeated '/')"),
    ],
)
def test_what_cannot_be_played_is_named(bag, arguments, says, capsys):
    from aux_motion import cli

    with pytest.raises(SystemExit) as end:
        cli.guard(lambda: cli.app(args=["play", str(bag), *arguments], prog_name="aux-motion"), "aux-motion")
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert says in said and len(said.splitlines()) == 1


def test_nobody_listening_is_an_error(bag, monkeypatch):
    from aux_motion.commands import play

    monkeypatch.setattr(play, "DISCOVERY_TIMEOUT_S", 0.3)
    with pytest.raises(ValueError, match="0 of 1 subscribers on nobody_listens"):
        play.play(bag, to="nobody_listens")


@pytest.mark.parametrize("down", [True, False])
def test_a_shutdown_while_it_publishes_is_the_end(bag, monkeypatch, down):
    import rclpy

    from aux_motion.commands import play

    def ended(player, clock, loop):
        if down:  # as SIGTERM does
            rclpy.try_shutdown()
            next(iter(player.publishers.values())).publish(SkeletonArray())
        raise RuntimeError("another")

    monkeypatch.setattr(play._Player, "rounds", ended)
    if down:
        assert play.play(bag, to="nobody_listens", wait_for=0) == 0
    else:
        with pytest.raises(RuntimeError, match="another"):
            play.play(bag, to="nobody_listens", wait_for=0)


@pytest.mark.timeout(60)
def test_it_does_not_speak_beside_a_tracker(bag, ros_domain_id):
    from support.node_harness import Probe

    from aux_motion.commands import play

    probe = Probe(ros_domain_id)  # it publishes skeletons
    try:
        probe.node.create_subscription(SkeletonArray, "skeletons", lambda message: None, 1)
        with pytest.raises(ValueError, match="skeletons has 1 other publishers in ROS domain"):
            play.play(bag)
    finally:
        probe.close()


@pytest.mark.parametrize("jump_ns", [3600 * 10**9, -3600 * 10**9])
def test_a_clock_that_was_set_neither_stops_nor_hurries_it(tmp_path, jump_ns):
    path = tmp_path / "set.mcap"
    with BagWriter(path) as writer:
        for k, frame in enumerate(synthetic.frames(1, 1.0)):
            moved = frame if k < 15 else replace(frame, stamp_ns=frame.stamp_ns + jump_ns)
            writer.write("/skeletons", moved, frame.stamp_ns)
    started = time.monotonic()
    frames = played(path, tmp_path / "player.log")
    assert len(frames) == 30 and time.monotonic() - started > 0.9
    steps = np.diff([f.stamp_ns for f in frames]) * 1e-9
    np.testing.assert_allclose(steps, 1 / 30, atol=1e-3)


def test_messages_that_are_none_and_stamps_that_fit_nowhere_go_out_at_the_pace_of_the_log(tmp_path):
    store, frames = typestore(), synthetic.frames(1, 0.5)
    messages = [build_message(reader.SKELETONS, frame_fields(f)) for f in frames]
    raws = [bytes(store.serialize_cdr(message, reader.SKELETONS)) for message in messages]
    raws[0] = b"\0\1\0\0" + b"\x7f" * 12  # a time in 2037
    raws[4] = b""
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/skeletons", reader.SKELETONS, typestore=store)
        for frame, raw in zip(frames, raws, strict=True):
            writer.write(connection, frame.stamp_ns, raw)
    with BagReader(tmp_path / "bag") as bag:
        timeline = Timeline(bag, bag.select(reader.SKELETONS), [])
        items = list(timeline)
        passed = [frame.stamp_ns - frames[0].stamp_ns for frame in frames]
        assert [i.passed_ns for i in items] == passed
        stamps = timeline.stamps[items[0].topic.key]
        assert stamps.moved(raws[0], lambda ns: ns + 10**18) == raws[0]
