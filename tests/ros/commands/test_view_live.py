# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion view --live`: a real node and a real monitor over DDS, heard by the page's source."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from support.node_harness import NodeProcess, private_domain  # noqa: E402

from aux_motion.commands.view.live import Live, decision_from_message, seen_frame  # noqa: E402
from aux_motion.commands.view.robots import placed  # noqa: E402
from aux_motion.nodes.ssm_node import separation_message  # noqa: E402
from aux_motion_core.bags.writer import BagWriter  # noqa: E402
from aux_motion_core.safety.separation import Formulation, Separation, SpeedReason  # noqa: E402
from aux_motion_core.testing import synthetic  # noqa: E402
from aux_motion_core.types import TrackState  # noqa: E402
from aux_motion_core.wire.messages import MessageError  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
ROBOT = ROOT / "config" / "robot_example.yaml"


def wait(condition, what, patience_s=60.0):
    end = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


@pytest.fixture
def cell(tmp_path, monkeypatch):
    """A walking person who is played in a loop, the node, the monitor, and what hears them."""
    domain = private_domain()
    monkeypatch.setenv("ROS_DOMAIN_ID", str(domain))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    with BagWriter(tmp_path / "walk.mcap") as out:
        for frame in synthetic.frames(1, 20.0):
            out.write("/skeletons", replace(frame, frame_id="world"), frame.stamp_ns)
    node = {"fixed_frame": "world", "backend": "damped_pose", "autostart": True, "publish_occupancy": True}
    node |= {"lost_after_s": 0.6, "absent_hold_s": 1.0}
    program = [sys.executable, "-m", "aux_motion.cli"]
    live = Live(placed(ROBOT))
    processes = [
        NodeProcess(domain, tmp_path / "node.log", None, **node),
        NodeProcess(domain, tmp_path / "ssm.log", [*program, "ssm", "--robot", str(ROBOT)]),
    ]
    play = [*program, "play", str(tmp_path / "walk.mcap"), "--to", "skeletons", "--loop"]
    processes.append(NodeProcess(domain, tmp_path / "play.log", play))
    yield live, processes
    live.close()
    for process in processes:
        process.stop(signal.SIGKILL)


def test_what_is_published_is_shown_and_judged(cell):
    live, processes = cell
    assert "No message on predictions yet" in live.trouble

    def judged():
        moment = live.moments.at(live.moments.last_s - 1.6) if len(live.moments) > 80 else None
        if moment is None or not moment.batch.people:
            return None
        person = moment.batch.people[0]
        outcome = live.moments.outcome(person.person_id, person.stamp_ns)
        return (moment, outcome) if outcome is not None and np.isfinite(outcome.error_m).all() else None

    moment, outcome = wait(judged, "no outcome")
    person = moment.batch.people[0]
    assert not live.trouble
    assert person.state == TrackState.TRACKING
    # a walker who turns: a baseline is off by some centimetres after 0.4 s, and by more later
    assert 0.005 < outcome.error_m[0, 1] < outcome.error_m[0, -1] < 1.0
    assert outcome.poses[0, 1] == pytest.approx(person.mean[9], abs=1e-3)
    ends, radius = moment.robot
    assert len(radius) == 4 and radius[0] == pytest.approx(0.1)
    assert wait(lambda: live.moments.at(1e9).separation, "no decision").reason_text

    def near():  # the monitor waits until nobody can be there who was before the node began
        found = live.moments.at(1e9).separation
        return found if found is not None and found.robot_link else None

    decision = wait(near, "the monitor never measures")
    assert decision.robot_link in ("base", "upper_arm", "forearm", "tool")
    assert decision.formulation == Formulation.SWEPT_OCCUPANCY
    published = wait(lambda: live.occupancy(live.moments.beside(1e9, -5), "published"), "no occupancy")
    assert published.person_ids == ("person_0",)
    assert live.occupancy(moment, "marginal").person_ids == ("person_0",)
    curves = wait(lambda: len((c := live.moments.curves("person_0", 1, 0.0, 1e9)).at_s) > 30 and c, "no curves")
    assert np.isfinite(curves.error_mm["published"]).all() and (np.diff(curves.at_s) > 0.0).all()

    processes[0].stop(signal.SIGKILL)
    wait(lambda: "the node is gone" in live.trouble, "the silence is not told")


def test_a_decision_travels_whole():
    decision = Separation(
        Formulation.PRESENT_BODY, SpeedReason.SLOWED, "limited", 0.5, 1.25, 0.75, 0.5, "a", "left_hand", "tool",
        (1.0, 2.0, 3.0), (0.5, 0.25, 0.125), 0.5, 0.25, 0.125, 0.0, 0.0625, 0.0, 0.25, 0.5, 1.0, 0.0, 0.0625, 0.5,
    )  # fmt: skip
    assert decision_from_message(separation_message(decision, "world", 5)) == decision
    wrong = separation_message(decision, "world", 5)
    wrong.reason = 99
    with pytest.raises(MessageError, match="99"):
        decision_from_message(wrong)


def test_only_the_newest_observations_are_truth(cell):
    live, _ = cell
    moment = wait(lambda: live.moments.at(1e9) if len(live.moments) > 40 else None, "nothing came")
    batch = moment.batch
    old = replace(batch.people[0], person_id="old", last_observed_ns=batch.people[0].last_observed_ns - 10**9)
    frame = seen_frame(replace(batch, people=(batch.people[0], old)))
    assert frame.person_ids == ("person_0",) and frame.stamp_ns == batch.people[0].last_observed_ns
    assert frame.positions.shape == (1, 20, 3) and os.environ["ROS_DOMAIN_ID"] in live.title
