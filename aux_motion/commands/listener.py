# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Keeps the input and the output of the node with their times of arrival, for the demo."""

from __future__ import annotations

import time
from typing import Any

import rclpy
from aux_motion_msgs.msg import PredictionArray, SkeletonArray
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

from aux_motion.nodes.spinning import SpinThread


class Listener:
    """Subscribes to skeletons and predictions and keeps them with their times of arrival; use as a context manager.

    Attributes:
        skeletons: (arrival_ns, serialised SkeletonArray) in order of arrival.
        predictions: (arrival_ns, PredictionArray) in order of arrival.
    """

    def __init__(self) -> None:
        self.skeletons: list[tuple[int, bytes]] = []
        self.predictions: list[tuple[int, PredictionArray]] = []
        rclpy.init(args=[])
        self._node = rclpy.create_node("aux_motion_recorder")
        last = HistoryPolicy.KEEP_LAST
        sensor = QoSProfile(depth=100, history=last, reliability=ReliabilityPolicy.BEST_EFFORT)
        reliable = QoSProfile(depth=100, history=last, reliability=ReliabilityPolicy.RELIABLE)
        self._node.create_subscription(SkeletonArray, "skeletons", self._on_skeletons, sensor, raw=True)
        self._node.create_subscription(PredictionArray, "predictions", self._on_predictions, reliable)
        self._thread = SpinThread(self._node, "listener")

    def _on_skeletons(self, raw: bytes) -> None:
        self.skeletons.append((time.time_ns(), raw))

    def _on_predictions(self, message: PredictionArray) -> None:
        self.predictions.append((time.time_ns(), message))

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._thread.close()
        rclpy.try_shutdown()
