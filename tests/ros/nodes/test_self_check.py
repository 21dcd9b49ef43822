# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The self-check, the mix and trouble with stamps, over DDS."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

from aux_motion_msgs.msg import SelfCheck  # noqa: E402
from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
from support.node_harness import Probe, wave  # noqa: E402

from aux_motion_core.types import TrackState  # noqa: E402
from aux_motion_core.wire.messages import self_check_from_message  # noqa: E402


@pytest.fixture
def start(watched_node):
    """Start a node with these parameters; returns the probe."""
    return lambda **parameters: watched_node(fixed_frame="world", **parameters)[1]


def test_the_report_and_the_weights_of_the_mix_are_published(start):
    """Constant velocity is always wrong here, and the mix (`mix:=on`) leaves it."""
    probe = start(backend="constant_velocity", mix="on", self_check_s=5.0)
    reports: list[SelfCheck] = []
    probe.node.create_subscription(SelfCheck, "self_check", reports.append, 10)
    probe.connect()

    def left() -> SelfCheck | None:
        known = [m for m in reports if m.person_ids and m.outcomes[-1] > 30.0]
        return next((m for m in known if m.weights[4 * len(m.members)] < 0.3), None)

    message = wave(probe, left, "weights that left what is always wrong")
    report = self_check_from_message(message)
    assert (report.frame_id, report.model_name, report.window_s) == ("world", "constant_velocity", 5.0)
    assert np.allclose(report.horizons_s, [0.2, 0.4, 0.6, 0.8, 1.0])
    person = report.people["1"]
    assert report.members[0] == "constant_velocity" and np.allclose(person.weights.sum(-1), 1.0, atol=1e-5)
    assert np.isfinite(person.error_m).all() and np.isfinite(person.jitter_m).all()
    wave(probe, lambda: "self_check_error_mm" in probe.values("prediction"), "the figures in the diagnostics")
    values = probe.values("prediction")
    assert len(values["self_check_error_mm"].split()) == len(values["self_check_horizons_s"].split()) == 5
    assert reports[-1].header.stamp.sec - reports[0].header.stamp.sec >= len(reports) - 2, "about one a second"


def test_a_model_that_does_not_fit_warns_in_the_diagnostics(start):
    probe = start(backend="constant_velocity", self_check_s=5.0)
    probe.connect()

    def warned() -> bool:
        return "the model does not fit" in getattr(probe.diagnostics.get("prediction"), "message", "")

    wave(probe, warned, "the warning")
    status = probe.diagnostics["prediction"]
    assert status.level == DiagnosticStatus.WARN and "mix" in status.message
    assert probe.values("prediction")["self_check"] == "does_not_fit"


def tell(probe: Probe, stamp_of, condition) -> None:
    """Send people with these stamps until the condition holds."""

    def step() -> bool:
        probe.send(stamp_of(time.time_ns()))
        probe.spin_for(0.03)
        return condition()

    probe.until(step, "the diagnostics to tell it")


@pytest.mark.parametrize(
    ("stamp_of", "counter", "words"),
    [
        (lambda t: 0, "stamp_zero", "stamps are zero"),
        (lambda t: t - 1_600_000_000 * 10**9, "stamp_other_clock", "behind this node's clock"),
        (lambda t: t + 2 * 10**9, "stamp_future", "in the future"),
    ],
)
def test_stamps_that_cannot_be_right_are_named(start, stamp_of, counter, words):
    probe = start(backend="damped_pose")
    probe.connect()
    tell(probe, stamp_of, lambda: words in getattr(probe.diagnostics.get("input"), "message", ""))
    status = probe.diagnostics["input"]
    assert status.level == DiagnosticStatus.WARN and "stamp_source" in status.message
    assert int(probe.values("input")[counter]) > 0


def test_time_of_receipt_is_the_fallback_that_one_chooses(start):
    probe = start(backend="damped_pose", stamp_source="receive")
    probe.connect()
    predicted = (TrackState.TRACKING, TrackState.DEGRADED)
    tell(
        probe,
        lambda t: 0,
        lambda: (
            int(probe.values("input").get("stamp_zero", 0)) > 0
            and any(p.state in predicted for m in probe.predictions[-5:] for p in m.people)
        ),
    )
    assert probe.values("input")["stamp_source"] == "receive"
    assert "stamps" not in probe.diagnostics["input"].message
