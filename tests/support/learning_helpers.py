# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Streams of people for tests of what is learnt on line."""

from __future__ import annotations

import numpy as np

from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.judge import Judge
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.types import SkeletonFrame
from support.core_helpers import MODEL, motion

NS = 1_000_000_000
T0 = 1_700_000_000 * NS


def make(learning: str = "on", name: str = "damped_pose", **config) -> Predictor:
    return Predictor(make_backend(name, MODEL), PredictorConfig(learning=learning, **config), "map")


def frame(t: float, people: dict[str, np.ndarray], seen: np.ndarray | None = None) -> SkeletonFrame:
    x = np.stack(list(people.values()))
    status = np.full(x.shape[:2], JointStatus.OBSERVED, np.uint8)
    if seen is not None:
        status[:, ~seen] = JointStatus.MISSING
    return SkeletonFrame(T0 + round(t * NS), "map", tuple(people), x, status, status.astype(np.float32))


def waving(t: float, place: float = 0.0, hz: float = 0.6) -> np.ndarray:
    """Both arms go up and down, the body sways a little."""
    x = motion([0.0])[0] + np.array([0.03 * np.sin(2.0 * np.pi * hz * t), place, 0.0])
    up = 0.25 * (1.0 - np.cos(2.0 * np.pi * hz * t))
    for side in ("left", "right"):
        for joint, part in (("elbow", 0.5), ("wrist", 1.0), ("hand", 1.1)):
            x[INDEX[f"{side}_{joint}"], 2] += part * up
    return x


def run(predictor: Predictor, people_of, seconds: float, start: float = 0.0, rate: float = 25.0, seen=None) -> Judge:
    """Feeds a stream; returns errors of the published and of the model's own prediction."""
    judge = Judge(("learnt", "model"))
    for k in range(round(seconds * rate)):
        t = start + k / rate
        f = frame(t, people_of(t), seen)
        predictor.add(f)
        batch = predictor.predict(f.stamp_ns)
        judge.observe(f)
        for person in batch.people:
            judge.predict({"learnt": person, "model": person.as_shipped()}, batch.dt_s)
    return judge


def ratio(judge: Judge, horizon: str = "0.4") -> float:
    mm = judge.verdict().mpjpe_mm[horizon]
    return mm["learnt"] / mm["model"]
