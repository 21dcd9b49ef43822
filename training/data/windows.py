# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Evaluation windows: a clip cut at true time by the core's one resampler."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aux_motion_core.history.normalise import denormalise, normalise
from aux_motion_core.history.resample import resample


@dataclass
class Windows:
    """Windows of one clip in the global frame.

    Attributes:
        past: (N, history, joints, 3) metres; `past_mask` (N, history, joints) says which are observed.
        future: (N, steps, joints, 3) metres with `future_mask`.
    """

    past: np.ndarray
    past_mask: np.ndarray
    future: np.ndarray
    future_mask: np.ndarray


def cut(
    clip, history: int, future: int, dt_s: float, stride_s: float = 0.2, max_gap_s: float = 0.12, least: int = 10
) -> Windows | None:
    """Cut windows every `stride_s`; None when the clip is shorter than one window.

    The first windows have `least` steps of history in the clip, or `history` where that is less: what would be before
    the clip is not observed, so that all networks are judged on the same predictions however far back they look.
    """
    t = np.asarray(clip.stamps_s, dtype=np.float64)
    before = max(0, history - least)
    first, last = t[0] + (history - before - 1) * dt_s, t[-1] - future * dt_s
    if last < first - 1e-9:
        return None
    steps = int(np.floor((t[-1] - t[0]) / dt_s + 1e-6)) + 1
    stride = max(1, round(stride_s / dt_s))
    grid_end = t[0] + (steps - 1) * dt_s
    x, m = resample(t, clip.positions, clip.mask, grid_end, dt_s, steps, max_gap_s)
    x, m = (np.concatenate([np.zeros((before, *v.shape[1:]), v.dtype), v]) for v in (x, m))
    starts = np.arange(0, steps + before - history - future + 1, stride)
    i = starts[:, None] + np.arange(history + future)
    w, wm = x[i], m[i]
    some = wm[:, history - 1].any(-1)
    w, wm = w[some], wm[some]
    if not len(w):
        return None
    return Windows(w[:, :history], wm[:, :history], w[:, history:], wm[:, history:])


def predict(infer, past: np.ndarray, mask: np.ndarray, chunk: int = 256) -> np.ndarray:
    """Future positions (N, steps, joints, 3) in the global frame, by the path of the node.

    Args:
        infer: a backend's `infer(values, mask)`.
        past: (N, history, joints, 3) metres, global frame.
        mask: (N, history, joints) bool.
    """
    out = []
    for k in range(0, len(past), chunk):
        values, pose = normalise(past[k : k + chunk], mask[k : k + chunk])
        out.append(denormalise(infer(values, mask[k : k + chunk])[0], pose))
    return np.concatenate(out)


def mean_error(predicted: np.ndarray, w: Windows, steps: list[int]) -> np.ndarray:
    """Mean distance in metres over windows and observed joints at each 0-based step, (len(steps),)."""
    error = np.linalg.norm(predicted[:, steps] - w.future[:, steps], axis=-1)
    m = w.future_mask[:, steps]
    n = m.sum((0, 2))
    return np.where(n > 0, (error * m).sum((0, 2)) / np.maximum(n, 1), np.nan)
