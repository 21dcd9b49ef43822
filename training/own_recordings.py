# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A user's own recordings, cut in time, as batches to train further on; joints may be missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from aux_motion_core.history.normalise import Heading, find_heading, into_frame
from aux_motion_core.history.resample import resample
from aux_motion_core.skeleton import MIRROR
from training.data import Clip
from training.data.corrupt import CorruptionConfig, corrupt_masked, corrupt_noised
from training.losses import distance
from training.model import AuxMotionModel, ModelConfig

#: Where the held-out part and the part that chooses begin, as shares of each recording.
TUNE_FROM, HELD_OUT_FROM = 0.6, 0.75
#: As `training.data.windows.cut`: a longer gap in a joint's samples is left missing.
_MAX_GAP_S = 0.12
_HEADING_SIGMA_RAD = 0.35


def part_of(clip: Clip, from_share: float, to_share: float, gap_s: float = 0.0) -> Clip:
    """The frames of a clip from one share of its duration to another, less `gap_s` at the end."""
    t = clip.stamps_s - clip.stamps_s[0]
    end = to_share * clip.duration_s
    rows = (t >= from_share * clip.duration_s) & ((t < end - gap_s) | (to_share >= 1.0))
    return replace(clip, stamps_s=clip.stamps_s[rows], positions=clip.positions[rows], mask=clip.mask[rows])


def split(clips: list[Clip], config: ModelConfig) -> dict[str, list[Clip]]:
    """Parts of the clips to "train" on, to "choose" the mix by, and "held_out"; a history's time lies between them.

    A clip whose last quarter holds no window is held out, chosen by, or trained on as a whole; one that holds no window
    at all is left out.
    """
    gap_s, window_s = config.history_steps * config.dt_s, (config.history_steps + config.future_steps) * config.dt_s
    out: dict[str, list[Clip]] = {"train": [], "choose": [], "held_out": []}
    medium, short = 0, 0
    for clip in clips:
        if clip.duration_s < window_s:
            continue
        if (1.0 - HELD_OUT_FROM) * clip.duration_s < window_s:
            out[("train", "choose", "train", "held_out")[short % 4]].append(clip)
            short += 1
            continue
        out["held_out"].append(part_of(clip, HELD_OUT_FROM, 1.0))
        if (HELD_OUT_FROM - TUNE_FROM) * clip.duration_s > window_s + gap_s:
            out["train"].append(part_of(clip, 0.0, TUNE_FROM, gap_s))
            out["choose"].append(part_of(clip, TUNE_FROM, HELD_OUT_FROM, gap_s))
        else:
            out[("train", "choose", "train")[medium % 3]].append(part_of(clip, 0.0, HELD_OUT_FROM, gap_s))
            medium += 1
    return out


class OwnWindows:
    """Draws training windows from recordings with missing joints.

    Args:
        clips: any rate, any mask.
        config: of the model.

    Raises:
        ValueError: no clip is long enough.
    """

    def __init__(self, clips: list[Clip], config: ModelConfig) -> None:
        h, f, dt = config.history_steps, config.future_steps, config.dt_s
        self.steps = h + f
        values, masks, starts, self.names = [], [], [], []
        total = 0
        for clip in clips:
            n = int(np.floor(clip.duration_s / dt + 1e-6)) + 1 if len(clip.stamps_s) > 1 else 0
            if n < self.steps:
                continue
            end_s = clip.stamps_s[0] + (n - 1) * dt
            x, m = resample(clip.stamps_s, clip.positions, clip.mask, end_s, dt, n, _MAX_GAP_S)
            at = np.arange(n - self.steps + 1)
            at = at[m[at + h - 1].any(-1) & m[np.minimum(at + self.steps - 1, n - 1)].any(-1)]
            starts.append(total + at)
            self.names += [clip.name] * len(at)
            values.append(x)
            masks.append(m)
            total += n
        self.starts = np.concatenate(starts) if starts else np.zeros(0, int)
        if not len(self.starts):
            raise ValueError(
                f"no recording has {self.steps * dt:.1f} s of one person to train on: record at least "
                f"{self.steps * dt / TUNE_FROM + 1:.0f} s, better some minutes"
            )
        self.values, self.masks, self.history = np.concatenate(values), np.concatenate(masks), h

    def draw(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Windows (n, history + future, joints, 3) in their own frame, their masks, and the clips they are from."""
        pick = rng.integers(len(self.starts), size=n)
        rows = self.starts[pick][:, None] + np.arange(self.steps)
        w, m = self.values[rows], self.masks[rows]
        w = into_frame(w, find_heading(w[:, : self.history], m[:, : self.history]))
        flip = rng.random(n) < 0.5
        w = np.where(flip[:, None, None, None], w[:, :, MIRROR] * np.array([1.0, -1.0, 1.0]), w)
        m = np.where(flip[:, None, None], m[:, :, MIRROR], m)
        w = w * rng.uniform(0.9, 1.1, n)[:, None, None, None]
        return np.where(m[..., None], w, 0.0), m, [self.names[k] for k in pick]


def make_batch(rng: np.random.Generator, windows: np.ndarray, mask: np.ndarray, history: int) -> dict[str, np.ndarray]:
    """A batch whose thirds are clean, masked and noised, as `training.batches.make_batch`, of windows with gaps.

    Args:
        windows: (B, history + future, joints, 3), B a multiple of three.
        mask: (B, history + future, joints) bool, what is known.

    Returns:
        `past`, `observed`, `clean` as there; `known` (B, history + future, joints).
    """
    parts = []
    for k, (w, m) in enumerate(zip(np.split(windows[:, :history], 3), np.split(mask[:, :history], 3))):
        if k:
            w, seen = (corrupt_masked, corrupt_noised)[k - 1](rng, w, CorruptionConfig())
            seen = seen & m
            seen = np.where(seen.any((1, 2), keepdims=True), seen, m)
        else:
            seen = m
        parts.append((w, seen))
    past, observed = (np.concatenate(x) for x in zip(*parts))
    heading = find_heading(past, observed)
    turn = rng.normal(0.0, _HEADING_SIGMA_RAD, len(past)) * (rng.random(len(past)) < 0.5)
    heading = Heading(heading.origin, heading.yaw + turn)
    return {
        "past": (into_frame(past, heading) * observed[..., None]).astype(np.float32),
        "observed": observed.astype(np.float32),
        "clean": into_frame(windows, heading).astype(np.float32),
        "known": mask.astype(np.float32),
    }


def own_loss(model: AuxMotionModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """The three tasks' losses together, in metres, on what is known; (B,) a sample each."""
    h = model.config.history_steps
    out = model.forward_all(batch["past"], batch["observed"])
    clean, known, observed = batch["clean"], batch["known"], batch["observed"]
    mean = lambda d, m: (d * m).sum((-1, -2)) / m.sum((-1, -2)).clamp(min=1.0)  # noqa: E731
    # the last layer's future as it is exported
    futures = [*out["future"][:-1], model.take_back(out)]
    loss = torch.stack([mean(distance(f, clean[:, h:]), known[:, h:]) for f in futures]).mean(0)
    third = len(clean) // 3
    gaps = known[:, :h] * (1.0 - observed)
    recover = mean(distance(out["recovered"], clean[:, :h]), gaps)
    denoise = mean(distance(out["denoised"], clean[:, :h]), known[:, :h])
    part = torch.arange(len(clean), device=clean.device) // third
    return loss + recover * (part == 1) + denoise * (part == 2)
