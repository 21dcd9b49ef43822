# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What keeps the hot path even, and what the node says and writes about it."""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from dataclasses import replace

import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

import numpy as np  # noqa: E402
from support.node_harness import NodeProcess, Probe, private_domain, stamp_ns  # noqa: E402

from aux_motion.nodes import parameters, realtime, trace  # noqa: E402
from aux_motion.nodes.conversion import PredictionWriter, prediction_message  # noqa: E402
from aux_motion_core.config import PredictorConfig  # noqa: E402
from aux_motion_core.inference.factory import make_backend  # noqa: E402
from aux_motion_core.predictor import Predictor  # noqa: E402
from aux_motion_core.testing import synthetic  # noqa: E402


@pytest.fixture
def run(watched_node):
    """Start a node; it answers to the probe."""

    def start(**values: object):
        node, probe = watched_node(**values)
        probe.connect()
        return node, probe

    return start


# Beside the hot path


def test_of_background_jobs_with_one_name_only_the_newest_is_done():
    done, wait, trouble = [], threading.Event(), []
    background = realtime.Background(lambda name, error: trouble.append((name, str(error))))
    background.submit("first", wait.wait)
    for k in range(5):
        background.submit("markers", lambda k=k: done.append(k))
    background.submit("wrong", lambda: 1 / 0)
    background.submit("last", lambda: done.append("last"))
    wait.set()
    end = time.monotonic() + 10.0
    while "last" not in done and time.monotonic() < end:
        time.sleep(0.001)
    background.close()
    assert done == [4, "last"] and trouble == [("wrong", "division by zero")]
    assert not background.thread.is_alive()


def test_a_background_job_holds_on_while_the_hot_path_is_busy(monkeypatch):
    monkeypatch.setattr(realtime, "_PATIENCE_S", 60.0)
    background, reached = realtime.Background(lambda *said: None), []

    def job():
        reached.append(1)
        background.busy()
        yield
        reached.append(2)

    background.submit("job", job)
    end = time.monotonic() + 10.0
    while not reached and time.monotonic() < end:
        time.sleep(0.001)
    time.sleep(0.05)
    assert reached == [1]
    background.drop()  # as deactivate does: it may go on, and is waited for
    assert reached == [1, 2]
    background.close()


def test_garbage_is_collected_between_frames_only():
    class Loop:
        pass

    def make(n: int) -> None:
        for _ in range(n):
            loop = Loop()
            loop.itself = loop

    def alive() -> int:
        return sum(type(o) is Loop for o in gc.get_objects())

    collector = realtime.Collector()
    interval_s = sys.getswitchinterval()
    collector.start()
    try:
        assert not gc.isenabled() and gc.get_freeze_count() > 0
        make(5000)
        assert alive() == 5000, "nothing is collected in the middle of a frame"
        assert collector.between_frames() and alive() == 0
        assert not collector.between_frames(), "nothing was made meanwhile"
    finally:
        collector.stop()
    assert gc.isenabled() and gc.get_freeze_count() == 0 and sys.getswitchinterval() == interval_s


def test_what_is_written_in_place_is_the_message_that_a_new_one_would_be():
    backend = make_backend("damped_pose")
    predictor, writer = Predictor(backend, PredictorConfig(), "map"), PredictionWriter()
    shapes = set()
    for k, frame in enumerate(synthetic.frames(4, 2.0, 30.0)):
        if k % 3 == 0:  # the number of people changes
            part = {n: getattr(frame, n)[:2] for n in ("person_ids", "positions", "status", "confidence")}
            frame = frame.__class__(frame.stamp_ns, frame.frame_id, **part)
        predictor.add(frame)
        # people get stale, and their arrays come and go
        batch = predictor.predict(frame.stamp_ns + (600_000_000 if k % 5 == 0 else 0))
        if k % 4 == 0:
            bare = [replace(p, radius=None, scale=np.full(p.mean.shape, 0.1 * k)) for p in batch.people]
            batch = replace(batch, people=tuple(bare))
        written = writer.fill(batch)
        assert repr(written) == repr(prediction_message(batch))
        shapes.update((len(written.people), len(p.radius), len(p.scale)) for p in written.people)
    assert len(shapes) >= 3


# Settings of the kernel


@pytest.mark.parametrize("text", ["x", "1-", "3-1", "-1", "1,,2", "5000"])
def test_cpus_that_are_none_are_refused_in_one_line(text):
    with pytest.raises(parameters.ParameterError, match="cpu_affinity .*: expected numbers of CPUs, such as 2,3"):
        parameters.validate({"fixed_frame": "map", "cpu_affinity": text})


def test_cpus_are_read():
    assert realtime.cpus("0-2,5") == {0, 1, 2, 5} and realtime.cpus(" 1, 3") == {1, 3}


def test_what_the_kernel_refuses_is_said_with_the_remedy(monkeypatch):
    import resource

    def forbidden(*arguments: object) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    monkeypatch.setattr(realtime, "_capable", lambda bit: False)
    monkeypatch.setattr(resource, "getrlimit", lambda what: (65536, 65536))
    said = realtime.apply("4000", 10, True)
    realtime.release()
    assert said["cpu_affinity"].startswith("refused: ") and "asked for 4000" in said["cpu_affinity"]
    assert said["realtime_priority"].startswith("refused: operation not permitted") and "rtprio" in str(said)
    assert said["lock_memory"].startswith("refused: at most 64 KiB") and "memlock unlimited" in said["lock_memory"]


def test_a_thread_that_ends_meanwhile_is_no_refusal(monkeypatch):
    gone, there = 2**22 - 7, sorted(os.sched_getaffinity(0))
    monkeypatch.setattr(realtime, "_threads", lambda without: [gone, threading.get_native_id()])
    monkeypatch.setattr(os, "sched_setscheduler", lambda thread, *rest: os.sched_getscheduler(thread))
    said = realtime.apply(str(there[0]), 5, False)
    assert said == {"cpu_affinity": f"got {there[0]}", "realtime_priority": "got SCHED_FIFO 5"}
    realtime.release()
    assert sorted(os.sched_getaffinity(0)) == there


def test_the_diagnostics_say_what_the_kernel_gave_and_the_kernel_agrees(run):
    cpu = max(os.sched_getaffinity(0))
    node, probe = run(
        fixed_frame="world",
        backend="damped_pose",
        cpu_affinity=f"'{cpu}'",  # text, not a number
        realtime_priority=3,
        lock_memory=True,
    )
    values = probe.until(lambda: probe.values("prediction"), "diagnostics")
    assert values["cpu_affinity"] == f"got {cpu}" and os.sched_getaffinity(node.pid) == {cpu}
    fifo = os.sched_getscheduler(node.pid) == os.SCHED_FIFO
    assert values["realtime_priority"].startswith("got SCHED_FIFO 3" if fifo else "refused: ")
    with open(f"/proc/{node.pid}/status") as status:
        locked = any(line.startswith("VmLck:") and int(line.split()[1]) > 1000 for line in status)
    assert values["lock_memory"].startswith("got" if locked else "refused: ")
    before = len(probe.predictions)
    probe.walk(time.time_ns())
    probe.until(lambda: any(m.people for m in probe.predictions[before:]), "predictions under these settings")
    assert probe.transition("deactivate") and probe.transition("cleanup")
    assert os.sched_getscheduler(node.pid) == os.SCHED_OTHER and len(os.sched_getaffinity(node.pid)) > 0


# Traces


def test_the_trace_is_what_chrome_reads_and_holds_every_stage(run, tmp_path):
    file = tmp_path / "trace.json"
    node, probe = run(fixed_frame="world", backend="damped_pose", trace_file=str(file))
    probe.walk(time.time_ns(), frames=30)
    values = probe.until(lambda: probe.values("prediction"), "diagnostics")
    assert values["trace_file"] == str(file)
    for stage in ("convert", "resample", "backend", "learning", "describe", "message", "publish", "end_to_end"):
        probe.until(lambda s=stage: f"{s}_ms_p99" in probe.values("prediction"), f"times of {stage}")
    assert node.stop() == 0
    events = json.loads(file.read_text())
    spans = [e for e in events if e["ph"] == "X"]
    assert {e["name"] for e in spans} >= {
        *("wait", "convert", "predict", "resample", "backend", "learning", "describe"),
        *("message", "publish", "diagnostics"),
    }
    assert all(e["pid"] == node.pid and e["dur"] >= 0 and abs(e["ts"] / 1e6 - time.time()) < 300 for e in spans)
    whole = max((e for e in spans if e["name"] == "predict"), key=lambda e: e["args"]["people"])
    inside = [e for e in spans if e["name"] in ("resample", "backend", "learning", "describe")]
    inside = [e for e in inside if whole["ts"] - 200 <= e["ts"] <= whole["ts"] + whole["dur"]]
    assert {e["name"] for e in inside} == {"resample", "backend", "learning", "describe"}
    assert all(e["ts"] + e["dur"] <= whole["ts"] + whole["dur"] + 200 for e in inside)
    named = {e["args"]["name"]: e["tid"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert {"MainThread", "background"} <= set(named)
    assert {e["tid"] for e in spans if e["name"] == "diagnostics"} == {named["background"]}
    assert {e["tid"] for e in spans if e["name"] == "backend"} == {named["MainThread"]}


def test_a_trace_can_be_read_without_its_end_and_stops_when_it_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(trace, "MOST_EVENTS", 3)
    kept = trace.Trace(tmp_path / "t.json")
    for k in range(5):
        kept.add("backend", k, k + 0.5, people=k)
    kept.flush()
    cut_off = (tmp_path / "t.json").read_text()
    assert len(json.loads(cut_off + "]")) == 3 + 2  # and the names of process and thread
    assert kept.dropped == 2
    kept.close()
    kept.close()
    assert len(json.loads((tmp_path / "t.json").read_text())) == 5


def test_a_full_disk_ends_the_trace_and_nothing_else(tmp_path):
    with pytest.raises(ValueError, match="cannot be written .no space left on device.: name a file"):
        trace.Trace("/dev/full")
    kept = trace.Trace(tmp_path / "t.json")
    kept._out.close()
    kept._out = open("/dev/full", "w")
    kept.add("backend", 0.0, 0.5)
    kept.flush()
    assert kept.trouble == "no space left on device"
    kept.add("backend", 0.5, 1.0)
    kept.flush()
    kept.close()
    kept.close()


def test_a_trace_that_cannot_be_written_fails_configure_in_one_line(run, tmp_path):
    domain = private_domain()
    values = {"fixed_frame": "world", "backend": "damped_pose", "autostart": True}
    node = NodeProcess(domain, tmp_path / "n.log", trace_file=str(tmp_path / "none" / "t.json"), **values)
    probe = Probe(domain)
    try:
        probe.until(lambda: "cannot be written (no such file or directory)" in node.output(), "the line")
        assert "Traceback" not in node.output() and node.alive()
    finally:
        probe.close()
        assert node.stop() == 0


# Too much input


def test_when_input_outruns_inference_the_newest_wins_and_nothing_is_lost(run):
    node, probe = run(fixed_frame="world", backend="onnx")
    ids = tuple(map(str, range(16)))  # takes several times as long as messages are apart
    probe.until(lambda: "subscribed as reliable" in node.output(), "the subscription that fits the publisher")

    def heard() -> int:
        probe.send(0, ids=())
        return int(probe.values("input").get("messages", 0))

    already = heard()
    probe.until(lambda: heard() > already, "messages by that subscription")
    probe.spin_for(1.2)  # what was sent until now is counted
    before = {part: dict(probe.values(part)) for part in ("input", "prediction")}
    probe.predictions.clear()
    sent, start_ns, period_s = 240, time.time_ns(), 0.006
    due = time.monotonic()
    for k in range(sent):
        last_ns = time.time_ns()
        probe.send(last_ns, ids, x=0.002 * k)
        due += period_s
        while time.monotonic() < due:
            probe.executor.spin_once(timeout_sec=max(0.0, due - time.monotonic()))
    end_ns = time.time_ns()

    def newest(message) -> int:
        return max((stamp_ns(p.last_observed) for p in message.people), default=0)

    probe.until(lambda: probe.predictions and newest(probe.predictions[-1]) == last_ns, "the newest message")

    def grown(part: str, name: str) -> int:
        return int(probe.values(part).get(name, 0)) - int(before[part].get(name, 0))

    probe.until(lambda: grown("input", "messages") >= sent, "diagnostics after the last message")
    frames = grown("input", "frames")  # the first two after the pause may be wild stamps: the third makes it a jump
    assert sent - 2 <= frames <= sent, "every observation entered the tracks"
    skipped = grown("prediction", "superseded_inferences")
    predicted = grown("prediction", "predictions") - grown("prediction", "heartbeats")
    assert skipped > 0 and frames <= predicted + skipped <= sent
    seen = [newest(m) for m in probe.predictions if newest(m) >= start_ns]
    assert seen == sorted(seen)
    # what waits is never predicted one after the other: after the last message at most what was under way, and it
    late = {newest(m) for m in probe.predictions if stamp_ns(m.header.stamp) > end_ns}
    assert len(late) <= 2
    assert np.isfinite([p.mean for p in probe.predictions[-1].people]).all()
