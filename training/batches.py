# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Batches of the training loop: a function of seed and step alone."""

from __future__ import annotations

import numpy as np

from aux_motion_core.history.normalise import Heading, into_frame, normalise
from training.config import ALL_PARTS, PARTS, TrainConfig
from training.data.corrupt import corrupt_masked, corrupt_noised
from training.data.sampler import WindowSampler


def chunk_rng(config: TrainConfig, step: int, chunk: int) -> np.random.Generator:
    """The random numbers of one chunk of one step's batch."""
    return np.random.default_rng([config.seed, step, chunk] if chunk else [config.seed, step])


def make_chunk(sampler: WindowSampler, config: TrainConfig, step: int, chunk: int, n: int) -> dict[str, np.ndarray]:
    """`n` samples of each part; see `make_batch`. The leading axis is (parts, n)."""
    rng = chunk_rng(config, step, chunk)
    h, names = config.model.history_steps, PARTS.get(config.arm, ALL_PARTS)
    windows = sampler.draw(rng, len(names) * n)
    known = np.isfinite(windows).all(-1)
    windows = np.where(known[..., None], windows, 0.0)
    past, observed = [], []
    for name, part in zip(names, np.split(windows[:, :h], len(names))):
        if name == "masked":
            part, seen = corrupt_masked(rng, part, config.corruption)
        elif name == "noised":
            part, seen = corrupt_noised(rng, part, config.corruption)
        else:
            seen = np.ones(part.shape[:3], bool)
        past.append(part)
        observed.append(seen)
    past, observed = np.concatenate(past), np.concatenate(observed) & known[:, :h]
    if config.corruption.short_history_share:
        short = rng.random(len(past)) < config.corruption.short_history_share
        begin = np.where(short, rng.integers(1, max(2, h - 4), len(past)), 0)
        observed &= np.arange(h)[None, :, None] >= begin[:, None, None]
    nothing = ~observed.any((1, 2))  # what the corruption left is what the clip lacks, or is older
    observed[nothing, -1] = known[nothing, h - 1]
    past = np.where(observed[..., None], past, 0.0)
    heading = normalise(past, observed)[1]
    # a heading that is a little off must not matter
    turn = rng.normal(0.0, config.heading_sigma_rad, len(past)) * (rng.random(len(past)) < 0.5)
    heading = Heading(heading.origin, heading.yaw + turn)
    batch = {
        "past": (into_frame(past, heading) * observed[..., None]).astype(np.float32),
        "observed": observed.astype(np.float32),
        "clean": into_frame(windows, heading).astype(np.float32),
        "known": known.astype(np.float32),
    }
    return {k: v.reshape(len(names), n, *v.shape[1:]) for k, v in batch.items()}


def make_batch(
    sampler: WindowSampler, config: TrainConfig, step: int, rank: int = 0, processes: int = 1
) -> dict[str, np.ndarray]:
    """One process's share of the batch of one step.

    A function of seed and step alone, so that a resumed run draws the same; and with the same `chunks` any number of
    processes together draw what one draws.

    Returns:
        `past` (B, history, joints, 3) as the model sees it, `observed` (B, history, joints), `clean` (B, history +
        future, joints, 3), all in the frame normalised from what is observed, and `known` (B, history + future,
        joints), what the clips show at all. The first third of the batch is clean (prediction), the second masked, the
        last noised; arms of the study lack some (`PARTS`).
    """
    chunks = config.chunks or processes
    n = config.batch // 3 // chunks
    mine = [make_chunk(sampler, config, step, k, n) for k in range(rank, chunks, processes)]
    joined = {k: np.concatenate([c[k] for c in mine], 1) for k in mine[0]}
    return {k: v.reshape(-1, *v.shape[2:]) for k, v in joined.items()}
