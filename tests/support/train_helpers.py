# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Clips and settings made for the tests of what trains."""

from __future__ import annotations

import numpy as np

from aux_motion_core.history.normalise import REST_POSE
from training.config import TrainConfig
from training.data import Clip
from training.model import ModelConfig


def clip(seed: int, seconds: float = 4.0) -> Clip:
    """Somebody who walks along and swings the limbs, 60 Hz."""
    rng = np.random.default_rng(seed)
    t = np.arange(0.0, seconds, 1 / 60)[:, None, None]
    x = REST_POSE + 0.1 * rng.normal(size=(1, 20, 3)) * np.sin(2 * np.pi * t * rng.uniform(0.5, 1.5))
    x = x + np.concatenate([t, 0.2 * t, np.full_like(t, 0.95)], -1)
    return Clip(
        name=f"made/{seed}",
        group=f"made/{seed}",
        action="walk",
        rate_hz=60.0,
        stamps_s=t[:, 0, 0],
        positions=x.astype(np.float32),
        mask=np.ones(x.shape[:2], bool),
        licence="",
        source="",
    )


CLIPS = [clip(k) for k in range(4)]


def tiny(**changes: object) -> TrainConfig:
    """A run of six steps, saved after three. Its rest pose is given: else a run begins with 4096 windows for one."""
    model = ModelConfig(width=16, heads=2, layers=2, dropout=0.1, rest_pose=REST_POSE.tolist())
    return TrainConfig(name="tiny", steps=6, batch=12, validate_every=3, warmup_steps=2, model=model, **changes)
