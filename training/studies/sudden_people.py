# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Frames of a tracker that sees a synthetic person around a sudden beginning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.testing.sudden import Motion
from aux_motion_core.types import SkeletonFrame

#: Time of the onset, on the clock of the stamps.
ONSET_NS = 1_000 * NS


@dataclass(frozen=True)
class Setting:
    """What is the same for all motions.

    Attributes:
        tracker_hz: rate of the frames.
        noise_m: one sigma of a joint's position, per axis.
        lead_s: what is seen before the onset.
        before_s, after_s: predictions made so long before and after it are judged.
        seeds: each motion is seen so many times, with other noise.
    """

    tracker_hz: float = 30.0
    noise_m: float = 0.003
    lead_s: float = 2.0
    before_s: float = 0.4
    after_s: float = 0.6
    seeds: int = 2


def seen(motion: Motion, setting: Setting, seed: int, until_s: float) -> Iterator[SkeletonFrame]:
    """Frames of a tracker that sees all of it, with noise; the onset is at `ONSET_NS`."""
    first, last = round(-setting.lead_s * setting.tracker_hz), round(until_s * setting.tracker_hz)
    times = np.arange(first, last + 1) / setting.tracker_hz
    poses = motion(times)
    poses = poses + np.random.default_rng(seed).normal(0.0, setting.noise_m, poses.shape)
    status = np.full((1, N_JOINTS), JointStatus.OBSERVED, np.uint8)
    sure = np.ones((1, N_JOINTS), np.float32)
    for t, pose in zip(times, poses):
        yield SkeletonFrame(ONSET_NS + round(t * NS), "cell", ("1",), pose[None], status, sure)
