# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is learnt on line, over DDS: a second run begins where the first ended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")
Trigger = pytest.importorskip("std_srvs.srv", reason="std_srvs is not installed").Trigger

from aux_motion_msgs.msg import SelfCheck  # noqa: E402
from support.node_harness import Probe, wave  # noqa: E402

from aux_motion_core.wire.messages import self_check_from_message  # noqa: E402


@pytest.fixture
def start(watched_node):
    """Start a node with these parameters; returns the process and the probe."""
    return lambda **parameters: watched_node(fixed_frame="world", backend="constant_velocity", **parameters)


def heard(probe: Probe) -> list[SelfCheck]:
    reports: list[SelfCheck] = []
    probe.node.create_subscription(SelfCheck, "self_check", reports.append, 10)
    return reports


def gains(reports: list[SelfCheck]) -> np.ndarray:
    """(H,) the newest gain; NaN before there is one."""
    if not reports:
        return np.full(5, np.nan)
    learning = self_check_from_message(reports[-1]).learning
    return np.full(5, np.nan) if learning is None else learning.gain()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_run_begins_where_the_first_ended(start, tmp_path: Path):
    path = tmp_path / "learned.npz"
    process, probe = start(learning="on", learned_file=str(path))
    reports = heard(probe)
    probe.connect()
    wave(probe, lambda: (gains(reports) > 0.3).all(), "a gain of a third at every horizon", 0.8, 90.0)
    first = self_check_from_message(reports[-1]).learning
    assert first.mode == "on" and first.learnt_s > 3.0
    wave(probe, lambda: probe.values("prediction").get("learning") == "on", "the figures in the diagnostics", 0.8, 90.0)
    assert len(probe.values("prediction")["learning_gain_percent"].split()) == 5
    assert process.stop() == 0
    assert path.stat().st_size < 2_000_000 and [f.name for f in tmp_path.glob("*.npz*")] == ["learned.npz"]

    probe.watched.clear()
    process, again = start(learning="on", learned_file=str(path))
    reports = heard(again)
    again.until(lambda: "goes on from" in process.output(), "the line that the file was read")
    again.predictions.clear()
    again.connect()

    def judged() -> bool:
        return bool(reports) and self_check_from_message(reports[-1]).learning.outcomes[-1] > 5.0

    wave(again, judged, "outcomes of the second run", 0.8, 90.0)
    learning = self_check_from_message(reports[-1]).learning
    assert learning.learnt_s >= 0.8 * first.learnt_s
    assert (learning.gain()[1:] > 0.1).all(), "it helps at once"

    answer = again.call(Trigger, "save_learned", Trigger.Request())
    assert answer.success and str(path) in answer.message
    before = len(reports)
    answer = again.call(Trigger, "reset_learned", Trigger.Request())
    assert answer.success

    def forgotten() -> bool:  # some report says so: a slow machine learns for seconds before this is asked
        return any(self_check_from_message(r).learning.learnt_s < 0.7 * first.learnt_s for r in reports[before:])

    wave(again, forgotten, "that it is forgotten", 0.8, 90.0)


@pytest.mark.timeout(180)
def test_a_damaged_file_is_one_line_and_learning_starts_from_nothing(start, tmp_path: Path):
    path = tmp_path / "learned.npz"
    path.write_bytes(b"PK\x03\x04 no more of it")
    process, probe = start(learned_file=str(path))
    probe.connect()
    assert process.output().count("cannot be read") == 1
    wave(
        probe,
        lambda: "cannot be read" in probe.values("prediction").get("learned_file_trouble", ""),
        "the trouble",
        0.8,
        90.0,
    )
    assert probe.values("prediction")["learning"] == "shadow"
    answer = probe.call(Trigger, "save_learned", Trigger.Request())
    assert answer.success, answer.message
