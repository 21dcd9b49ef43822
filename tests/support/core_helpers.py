# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The shipped model and a motion for the tests of the core."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from aux_motion_core.history.normalise import REST_POSE

MODEL = Path(__file__).resolve().parents[2] / "models" / "body20_25hz"


def motion(t: np.ndarray, seed: int = 0) -> np.ndarray:
    """(len(t), 20, 3) metres: a person walks a curve and swings the limbs; smooth, z up."""
    rng = np.random.default_rng(seed)
    t = np.asarray(t, np.float64)[:, None, None]
    pose = REST_POSE + np.array([0.0, 0.0, 0.95])
    swing = 0.08 * rng.normal(size=(1, 20, 3)) * np.sin(2 * np.pi * (0.8 * t + rng.random((1, 20, 1))))
    yaw = 0.4 * t[:, 0, 0]
    turn = np.stack([np.cos(yaw), -np.sin(yaw), np.sin(yaw), np.cos(yaw)], -1).reshape(-1, 1, 2, 2)
    x = pose + swing
    flat = (turn @ x[..., :2, None])[..., 0]
    path = np.concatenate([0.9 * t + 3.0, 0.2 * np.sin(t) - 1.0], -1)
    return np.concatenate([flat + path, x[..., 2:]], -1)


def as_object(value):
    """Nested dicts as objects with attributes, as any message library gives them."""
    if isinstance(value, dict):
        return SimpleNamespace(**{k: as_object(v) for k, v in value.items()})
    if isinstance(value, list):
        return [as_object(v) for v in value]
    return value
