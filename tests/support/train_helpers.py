# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Clips made for the tests of what trains."""

from __future__ import annotations

import numpy as np

from aux_motion_core.history.normalise import REST_POSE
from training.data import Clip


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
