# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Plays people who come and go to the node, and keeps its predictions' latencies and its diagnostics."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import rclpy
from aux_motion_msgs.msg import PredictionArray, SkeletonArray
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from rclpy.serialization import deserialize_message

from aux_motion.benchmarks.bench_client import FRAME
from aux_motion.nodes.conversion import skeleton_message
from aux_motion.nodes.spinning import SpinThread, in_thread
from aux_motion_core.constants import NS
from aux_motion_core.evaluation.replay import PREDICTED
from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.types import SkeletonFrame

#: Seconds that people stay and that their places stay empty, at least and at most.
_STAYS_S, _EMPTY_S = (4.0, 20.0), (0.5, 4.0)
#: Seconds between two exchanges of ids.
_SWAP_EVERY_S = 5.0


def crowd(people: int, rate_hz: float, seed: int = 0) -> Iterator[SkeletonFrame]:
    """Frames without end: people who walk, enter, leave, come back under another id, and exchange ids.

    Args:
        people: places; each is empty now and then.
        rate_hz: frames a second.
        seed: of who does what when.
    """
    rng = np.random.default_rng(seed)
    seconds = 60.0
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    paths = np.stack([synthetic.walker(times, phase=2.0 * np.pi * p / people) for p in range(people)], axis=1)
    ids = [f"person_{p}" for p in range(people)]
    there = np.ones(people, bool)
    until_s = rng.uniform(*_STAYS_S, people)
    born, swap_s, k = people, _SWAP_EVERY_S, 0
    while True:
        now_s = k / rate_hz
        for p in np.flatnonzero(until_s <= now_s):
            there[p] = not there[p]
            until_s[p] = now_s + rng.uniform(*(_STAYS_S if there[p] else _EMPTY_S))
            if there[p] and rng.random() < 0.7:  # else the same person comes back
                ids[p], born = f"person_{born}", born + 1
        if now_s >= swap_s:
            swap_s += _SWAP_EVERY_S
            present = np.flatnonzero(there)
            if len(present) > 1:
                a, b = rng.choice(present, 2, replace=False)
                ids[a], ids[b] = ids[b], ids[a]
        who = np.flatnonzero(there)
        yield SkeletonFrame(
            stamp_ns=0,
            frame_id=FRAME,
            person_ids=tuple(ids[p] for p in who),
            positions=paths[k % len(times)][who],
            status=np.full((len(who), N_JOINTS), JointStatus.OBSERVED, np.uint8),
            confidence=np.ones((len(who), N_JOINTS), np.float32),
        )
        k += 1


class Watch:
    """Plays the crowd, and keeps latencies and diagnostics as arrays of fixed size."""

    def __init__(self, people: int, rate_hz: float, seconds: float) -> None:
        self._frames, self._rate_hz, self._people = crowd(people, rate_hz), rate_hz, people
        size = round(rate_hz * (seconds + 60.0))
        self.sent_ns = np.zeros(size, np.int64)
        self.sent = 0
        self._answered: set[int] = set()  # stamps of the last seconds
        self.latency_s = np.full(size, np.nan, np.float32)
        self.answered_at_ns = np.zeros(size, np.int64)
        self.answers = 0
        self.diagnostics: list[tuple[float, dict[str, dict[str, str]], int]] = []
        self._node = node = rclpy.create_node("aux_motion_soak")
        self._publisher = node.create_publisher(SkeletonArray, "skeletons", qos_profile_sensor_data)
        reliable = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
        node.create_subscription(PredictionArray, "predictions", self._on_prediction, reliable, raw=True)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._stop = threading.Event()
        self._spinning = SpinThread(node, "watch")
        self._playing = threading.Thread(target=in_thread(self._publish), name="crowd", daemon=True)
        self._playing.start()

    def _publish(self) -> None:
        due = time.perf_counter()
        while not self._stop.is_set() and self.sent < len(self.sent_ns):
            message = skeleton_message(next(self._frames))
            due += 1.0 / self._rate_hz
            self._stop.wait(max(0.0, due - time.perf_counter()))
            stamp_ns = time.time_ns()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, NS)
            if message.person_ids:
                self.sent_ns[self.sent] = stamp_ns
                self.sent += 1
            try:
                self._publisher.publish(message)
            except Exception:  # a signal shut the context down
                if self._node.context.ok():
                    raise
                return

    def _on_prediction(self, raw: bytes) -> None:
        now_ns = time.time_ns()
        stamps = [p.stamp for p in deserialize_message(raw, PredictionArray).people if p.state in PREDICTED]
        newest_ns = max((s.sec * NS + s.nanosec for s in stamps), default=0)
        if newest_ns and newest_ns not in self._answered and self.answers < len(self.latency_s):
            if len(self._answered) > 1000:
                self._answered = {s for s in self._answered if s > newest_ns - 2 * NS}
            self._answered.add(newest_ns)
            self.latency_s[self.answers] = (now_ns - newest_ns) * 1e-9
            self.answered_at_ns[self.answers] = now_ns
            self.answers += 1

    def _on_diagnostics(self, array: Any) -> None:
        found = {s.name.split(": ")[-1]: {v.key: v.value for v in s.values} for s in array.status}
        level = max(int.from_bytes(s.level, "little") for s in array.status)
        self.diagnostics.append((time.monotonic(), found, level))

    def close(self) -> None:
        """End the threads."""
        self._stop.set()
        self._spinning.close()
        self._playing.join(timeout=2.0)
        self._node.destroy_node()
