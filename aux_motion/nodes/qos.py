# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Quality of service of the inputs and the outputs of both nodes."""

from __future__ import annotations

from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

#: Messages that may queue while one prediction is made; all of them are used. Two seconds at 120 Hz.
INPUT_DEPTH = 256


def input_qos(
    reliability: ReliabilityPolicy = ReliabilityPolicy.BEST_EFFORT,
    durability: DurabilityPolicy = DurabilityPolicy.VOLATILE,
) -> QoSProfile:
    """QoS of an input. The defaults, those of sensor data, match every publisher.

    The queue is deep enough to lose nothing while a prediction is made.

    Args:
        reliability: of the publishers, once they are known.
        durability: of the publishers, once they are known.
    """
    return QoSProfile(
        depth=INPUT_DEPTH, history=HistoryPolicy.KEEP_LAST, reliability=reliability, durability=durability
    )


def output_qos(heartbeat_hz: float) -> QoSProfile:
    """QoS of an output: reliable, keep last 1, deadline of two heartbeats, liveliness lease of four.

    Liveliness is asserted by publishing, so a node that hangs loses it too, not only one that has died.

    Args:
        heartbeat_hz: lowest rate at which the output is published.
    """
    period_s = 1.0 / heartbeat_hz
    return QoSProfile(
        depth=1,
        history=HistoryPolicy.KEEP_LAST,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.VOLATILE,
        deadline=Duration(seconds=2 * period_s),
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        liveliness_lease_duration=Duration(seconds=4 * period_s),
    )


def describe(qos: QoSProfile) -> str:
    """Reliability and durability of a QoS profile in words."""
    reliable = "reliable" if qos.reliability == ReliabilityPolicy.RELIABLE else "best effort"
    return f"{reliable}, {'transient local' if qos.durability == DurabilityPolicy.TRANSIENT_LOCAL else 'volatile'}"
