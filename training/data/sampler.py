# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Draws training windows from clips: time warps, mirroring, body size, standing people.

The training motion is athletic; the use is people who stand and reach. So part of the windows is played slowly,
comes to a stop or starts, and part stands: legs and pelvis frozen while the upper body moves on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from aux_motion_core.history.normalise import into_frame, normalise
from aux_motion_core.skeleton import INDEX, MIRROR, N_JOINTS
from training.data.primitives import ARMS, work
from training.data.tracker_noise import redefine
from training.data.work_motions import at_work

_LOWER = np.array([INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("hip", "knee", "ankle", "foot")])


@dataclass
class SamplerConfig:
    """Shares of the kinds of windows and ranges of the augmentations."""

    slow_share: float = 0.15
    stop_share: float = 0.08
    start_share: float = 0.07
    standing_share: float = 0.3
    work_share: float = 0.5  # of those who stand (a fifth of it of others): reach, bend, crouch
    mixed_share: float = 0.3  # of each arm: it moves as in another clip
    speed_low: float = 0.8
    speed_high: float = 1.2
    size_low: float = 0.85
    size_high: float = 1.15
    definition_share: float = 0.7
    definition_sigma_m: float = 0.025
    reversed_share: float = 0.25  # played backwards: people also step back
    drift_share: float = 0.15  # carried along at a constant speed: the root's motion is not told by the pose
    drift_sigma_mps: float = 0.4
    cut_speed_mps: float = 20.0  # a faster joint is a fault of the recording: no window crosses it
    balance: float = 0.5  # a motion class weighs as its duration to this power
    class_weight: dict[str, float] = field(default_factory=dict)  # a motion class weighs this much more or less
    quiet_share: float = 0.0  # of all: they stay as they are, or move very slowly, but for what work has them do
    work_motions_share: float = 0.0  # of those at work: movements of `training.data.work_motions`, not of rotations
    redefined_share: float = 0.0  # head, spine, hands and feet as other trackers define them


class WindowSampler:
    """Windows (batch, history + future, joints, 3) in a canonical frame, from clips of any rate.

    Args:
        clips: with `name`, `positions` (frames, joints, 3), `rate_hz`, `action` and `mask` (frames, joints): joints
            that a clip never shows are NaN in its windows, stretches where another is missing are left out.
        history: observed steps.
        future: predicted steps.
        dt_s: seconds from step to step.
    """

    def __init__(self, clips: list, history: int, future: int, dt_s: float, config: SamplerConfig) -> None:
        self.config, self.history = config, history
        self.time = (np.arange(history + future) - history + 1) * dt_s
        span = self.time[-1] - self.time[0]
        clips = [part for c in clips for part in split_at_faults(c, config.cut_speed_mps)]
        clips = [c for c in clips if (len(c.positions) - 1) / c.rate_hz > 1.02 * span]
        if not clips:
            raise ValueError(f"no training clip is longer than {span:.2f} s: give longer recordings")
        self.positions = np.concatenate([c.positions for c in clips]).astype(np.float32)
        frames = np.array([len(c.positions) for c in clips])
        self.start = np.concatenate([[0], np.cumsum(frames)[:-1]])
        self.rate = np.array([c.rate_hz for c in clips])
        self.length_s = (frames - 1) / self.rate
        actions = [c.action for c in clips]
        total = {a: sum(s for s, b in zip(self.length_s, actions) if a == b) for a in set(actions)}
        weight = np.array([s * total[a] ** (config.balance - 1.0) for s, a in zip(self.length_s, actions)])
        weight = weight * np.array([config.class_weight.get(a, 1.0) for a in actions])
        self.weight = weight / weight.sum()
        self.names = np.array([c.name for c in clips])

    def choose(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Index of the clip of each window (n,); `draw` begins so: the same `rng` tells where it draws from."""
        return rng.choice(len(self.weight), n, p=self.weight)

    def _warp(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Source seconds relative to the present for each grid time, (n, steps)."""
        c = self.config
        kind = rng.random(n)
        speed = rng.uniform(c.speed_low, c.speed_high, n)
        slow = kind < c.slow_share
        speed = np.where(slow, np.exp(rng.uniform(np.log(0.04), np.log(0.8), n)), speed)
        rate = np.repeat(speed[:, None], len(self.time), 1)
        centre = rng.uniform(-0.3, 0.9, n)[:, None]
        edge = 1.0 / (1.0 + np.exp(-(self.time - centre) / rng.uniform(0.04, 0.15, n)[:, None]))
        stop = (kind >= c.slow_share) & (kind < c.slow_share + c.stop_share)
        start = (kind >= c.slow_share + c.stop_share) & (kind < c.slow_share + c.stop_share + c.start_share)
        rate = np.where(stop[:, None], rate * (1.0 - edge), np.where(start[:, None], rate * edge, rate))
        dt = self.time[1] - self.time[0]
        source = np.concatenate([np.zeros((n, 1)), np.cumsum(0.5 * dt * (rate[:, 1:] + rate[:, :-1]), 1)], 1)
        return source - source[:, self.history - 1 : self.history]

    def draw(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """(n, history + future, joints, 3) float32: present root at the origin, facing +x; NaN: the clip lacks it."""
        c = self.config
        clip = self.choose(rng, n)
        source = self._warp(rng, n)
        reach = source[:, -1] - source[:, 0]
        source *= np.minimum(1.0, 0.99 * self.length_s[clip] / np.maximum(reach, 1e-9))[:, None]
        low, high = -source[:, 0], self.length_s[clip] - source[:, -1]
        at = (low + rng.random(n) * (high - low))[:, None] + source
        backwards = rng.random(n) < c.reversed_share
        at = np.where(backwards[:, None], self.length_s[clip][:, None] - at, at)
        at = np.clip(at, 0.0, self.length_s[clip][:, None]) * self.rate[clip][:, None]
        i = np.minimum(at.astype(np.int64), (self.length_s * self.rate).round().astype(np.int64)[clip, None] - 1)
        f = (at - i).astype(np.float32)[..., None, None]
        i = i + self.start[clip][:, None]
        w = self.positions[i] * (1.0 - f) + self.positions[i + 1] * f

        present = slice(self.history - 1, self.history)
        w = into_frame(w, normalise(w[:, present], np.isfinite(w[:, present, :, 0]))[1])
        # arms of one motion on the trunk of another: what a limb does is not told by the rest of the body
        for shoulder, elbow, hand in ARMS:
            arm = [elbow, *hand]
            other = rng.permutation(n)
            swap = rng.random(n) < c.mixed_share
            offset = w[other][:, :, arm] - w[other][:, :, [shoulder]]
            swap = np.flatnonzero(swap & np.isfinite(offset).all((1, 2, 3)))
            w[np.ix_(swap, np.arange(w.shape[1]), arm)] = (w[:, :, [shoulder]] + offset)[swap]
        stand = rng.random(n) < c.standing_share
        fixed = w - w[:, :, :1] + w[:, present, :1]
        fixed[:, :, _LOWER] = w[:, present][:, :, _LOWER]
        w = np.where(stand[:, None, None, None], fixed, w)
        works = c.work_share * np.where(stand, 1.0, 0.2)
        if c.quiet_share:
            quiet = rng.random(n) < c.quiet_share
            # of what the window shows of motion they keep none, or little
            kept = rng.uniform(0.0, 0.08, (n, 1, 1, 1)) * (rng.random((n, 1, 1, 1)) < 0.6)
            w = np.where(quiet[:, None, None, None], w[:, present] + kept * (w - w[:, present]), w)
            works = np.where(quiet, 0.35, works)
        working = np.flatnonzero(rng.random(n) < works)
        placed = np.zeros(len(working), bool)
        if c.work_motions_share:
            placed = rng.random(len(working)) < c.work_motions_share
        for who, movements in ((working[~placed], work), (working[placed], at_work)):
            if len(who):
                w[who] = movements(rng, w[who], self.time)

        flip = rng.random(n) < 0.5
        mirrored = w[:, :, MIRROR] * np.array([1.0, -1.0, 1.0], np.float32)
        w = np.where(flip[:, None, None, None], mirrored, w)
        drift = rng.normal(0.0, c.drift_sigma_mps, (n, 1, 1, 2)) * (rng.random((n, 1, 1, 1)) < c.drift_share)
        w[..., :2] += drift * self.time[:, None, None]
        w = w * rng.uniform(c.size_low, c.size_high, n)[:, None, None, None]
        if c.redefined_share:
            other = np.flatnonzero(rng.random(n) < c.redefined_share)
            w[other] = redefine(rng, w[other])
        # another tracker's joint definitions: it is also judged by them
        shift = rng.normal(0.0, c.definition_sigma_m, (n, 1, N_JOINTS, 3))
        w = w + shift * (rng.random(n) < c.definition_share)[:, None, None, None]
        return w.astype(np.float32)


@dataclass
class _Part:
    name: str
    positions: np.ndarray
    rate_hz: float
    action: str


def split_at_faults(clip, speed_mps: float) -> list[_Part]:
    """The stretches of a clip where no joint that it shows is missing and none moves faster than `speed_mps`."""
    shown = clip.mask.any(0)
    step = np.linalg.norm(np.diff(clip.positions[:, shown], axis=0), axis=-1)
    fault = step.max(1) * clip.rate_hz > speed_mps if shown.any() else np.zeros(len(clip.positions) - 1, bool)
    whole = clip.mask[:, shown].all(1) & shown.any()
    positions = np.where(shown[:, None], clip.positions, np.nan)
    cuts = np.flatnonzero(fault | ~whole[1:] | ~whole[:-1]) + 1
    return [_Part(clip.name, p, clip.rate_hz, clip.action) for p in np.split(positions, cuts) if len(p) > 1]
