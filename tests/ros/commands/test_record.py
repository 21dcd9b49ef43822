# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recording over DDS: everything that was published is in the file, also of a recorder that is killed."""

import itertools
import resource
import signal
import sys
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from aux_motion_msgs.msg import PredictionArray, SkeletonArray  # noqa: E402
from builtin_interfaces.msg import Time  # noqa: E402
from rclpy.qos import QoSProfile, qos_profile_sensor_data  # noqa: E402
from rosbags.highlevel import AnyReader  # noqa: E402
from support.node_harness import NodeProcess  # noqa: E402

from aux_motion_core.bags import reader  # noqa: E402

RECORD = [sys.executable, "-m", "aux_motion.cli", "record"]


def recorder(probe, tmp_path, name, *arguments, **options):
    command = [*RECORD, "--out", str(tmp_path / f"{name}.mcap"), *arguments]
    process = NodeProcess(probe.domain, tmp_path / f"{name}.log", command, **options)
    probe.watched.append(process)
    return process


def publish(probe, count, rate_hz=100.0):
    """Skeletons (best effort and reliable subscribers hear them) and predictions, numbered by their stamps."""
    for number in itertools.islice(probe.numbers, count):
        probe.send(number + 1, ids=("1", "2"))
        message = PredictionArray()
        message.header.stamp = Time(sec=0, nanosec=number + 1)
        probe.out.publish(message)
        probe.spin_for(1.0 / rate_hz)


def stamps(path, msgtype, topic, lines):
    found = reader.read_messages(path, msgtype, topic, on_damage=lines.append)
    return [(m.log_time_ns, m.message.header.stamp.nanosec) for m in found]


def test_all_is_recorded_and_a_kill_or_a_full_disk_costs_only_the_end(probe, tmp_path):
    probe.numbers = itertools.count()
    probe.out = probe.node.create_publisher(PredictionArray, "predictions", QoSProfile(depth=10))
    begin_ns = time.time_ns()
    ended = recorder(probe, tmp_path, "ended")
    killed = recorder(probe, tmp_path, "killed", "skeletons")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # the child inherits it
    try:
        full = recorder(probe, tmp_path, "full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    # this process hears its own predictions too
    probe.until(lambda: probe.skeletons.get_subscription_count() >= 3, "three recorders of the skeletons")
    probe.until(lambda: probe.out.get_subscription_count() >= 3, "two recorders of the predictions, and the probe")
    rng = np.random.default_rng(0)
    probe.spin_for(0.3)
    publish(probe, 80)
    # somebody publishes skeletons best effort from now on: the recorder goes down to that
    best_effort = probe.node.create_publisher(SkeletonArray, "skeletons", qos_profile_sensor_data)
    probe.until(lambda: best_effort.get_subscription_count() >= 2, "recorders that hear best effort")
    probe.skeletons = best_effort
    publish(probe, 150)
    killed.stop(signal.SIGKILL)
    killed_ns = time.time_ns()
    probe.watched.remove(killed)

    probe.watched.remove(full)
    end = time.monotonic() + 20.0
    while full.alive() and time.monotonic() < end:  # it ends once its disk takes nothing more
        random = rng.normal(size=(2, 20, 3)).astype(np.float32).reshape(-1).tolist()
        probe.send(next(probe.numbers) + 1, ids=("1", "2"), positions=random)
        probe.spin_for(0.005)
    assert full.wait() == 2
    probe.watched.remove(ended)
    assert ended.stop(signal.SIGHUP) == 0, ended.output()  # as SIGINT and SIGTERM
    end_ns = time.time_ns()

    lines = []
    heard = stamps(tmp_path / "ended.mcap", reader.SKELETONS, "/skeletons", lines)
    numbers = [number for _, number in heard]
    assert len(set(numbers)) == len(numbers) > 200
    assert max(np.diff(numbers)) <= 20  # none lost but while the subscription was made anew
    assert begin_ns < heard[0][0] and heard[-1][0] < end_ns and not lines  # times of reception
    numbers = [number for _, number in stamps(tmp_path / "ended.mcap", reader.PREDICTIONS, "/predictions", lines)]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)) and len(numbers) == 230
    with AnyReader([tmp_path / "ended.mcap"]) as bag:
        assert {c.topic for c in bag.connections} == {"/skeletons", "/predictions"}
    last = ended.output().splitlines()[-1]
    assert last.startswith("recorded ") and "/predictions" in last and "/skeletons" in last

    heard = stamps(tmp_path / "killed.mcap", reader.SKELETONS, "/skeletons", lines)
    assert killed_ns - heard[-1][0] < 1_000_000_000 and len(heard) > 100
    assert len(lines) == 1 and "killed" in lines[0]
    with reader.BagReader(tmp_path / "killed.mcap") as bag:
        assert [t.name for t in bag.topics] == ["/skeletons"]  # only what was asked for

    kept = sum(1 for _ in reader.read_messages(tmp_path / "full.mcap", reader.SKELETONS, on_damage=lines.append))
    assert kept > 50
    last = full.output().splitlines()[-1]
    assert last.startswith("aux-motion: error: the disk is full: recording stopped")
    assert "Traceback" not in full.output()


def test_nothing_to_record_is_said_and_leaves_no_file(probe, tmp_path):
    process = recorder(probe, tmp_path, "none", "--seconds", "0.5", "no_such_topic")
    assert process.wait() == 2
    assert "nothing recorded" in process.output() and "no_such_topic" in process.output()
    assert not (tmp_path / "none.mcap").exists()


@pytest.mark.parametrize("name", ["a b", "/two//slashes", "7up"])
def test_what_is_no_topic_is_named_before_a_file_is_made(tmp_path, name):
    from aux_motion.commands import record

    with pytest.raises(ValueError, match="is no name of a topic .*: give names such as /skeletons"):
        record.record(tmp_path / "none.mcap", [name])
    assert not list(tmp_path.iterdir())
