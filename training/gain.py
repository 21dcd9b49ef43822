# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What training further has gained: errors by recording, their means, and the table that tells it."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.constants import HORIZONS_S
from training.data import Clip
from training.data.windows import Windows, cut, mean_error, predict
from training.model import ModelConfig


def windows_of(clips: list[Clip], config: ModelConfig) -> dict[str, Windows]:
    """Evaluation windows by clip, of those that are long enough."""
    cuts = {c.name: cut(c, config.history_steps, config.future_steps, config.dt_s) for c in clips if len(c.stamps_s)}
    return {n: w for n, w in cuts.items() if w is not None}


def errors_mm(infer, windows: dict[str, Windows], dt_s: float) -> dict[str, list[float]]:
    """Clip -> mean error at `HORIZONS_S` in mm, by the path of the node."""
    steps = [round(h / dt_s) - 1 for h in HORIZONS_S]
    return {n: (1000 * mean_error(predict(infer, w.past, w.past_mask), w, steps)).tolist() for n, w in windows.items()}


def mean_over_clips(errors: dict[str, list[float]]) -> np.ndarray:
    """(horizons,) mm; a horizon at which a clip has no observed joint is averaged over the others, NaN without any."""
    e = np.array(list(errors.values()))
    count = np.isfinite(e).sum(0)
    return np.where(count > 0, np.nansum(e, 0) / np.maximum(count, 1), np.nan)


def plain(values) -> list[float | None]:
    """Rounded for JSON, which has no NaN."""
    return [round(float(v), 2) if np.isfinite(v) else None for v in values]


def gains(before: dict[str, list[float]], after: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Horizon -> gain in percent, with the 95 % bootstrap interval over clips; no interval of one clip."""
    b, a = np.array(list(before.values())), np.array(list(after.values()))
    rng, out = np.random.default_rng(0), {}
    for k, horizon in enumerate(HORIZONS_S):
        both = np.flatnonzero(np.isfinite(b[:, k]) & np.isfinite(a[:, k]))
        if not len(both):
            continue
        draws = both[rng.integers(len(both), size=(2000, len(both)))]
        spread = 100.0 * (1.0 - a[draws, k].sum(1) / b[draws, k].sum(1))
        low, high = np.percentile(spread, [2.5, 97.5]) if len(both) > 1 else (np.nan, np.nan)
        gain = 100.0 * (1.0 - a[both, k].sum() / b[both, k].sum())
        out[str(horizon)] = {n: round(float(x), 2) for n, x in (("gain", gain), ("low", low), ("high", high))
                             if np.isfinite(x)}  # fmt: skip
    return out


def table(report: dict[str, Any]) -> str:
    """The report's errors as text, a part of the data after the other."""
    lines = []
    for title, rows in report["errors_mm"].items():
        width = max(len(title), *(len(n) for n in rows))
        lines.append("  ".join([title.ljust(width), *(f"{h:5.1f} s" for h in HORIZONS_S)]))
        lines += [
            "  ".join([n.ljust(width), *("      -" if v is None else f"{v:7.1f}" for v in row)])
            for n, row in rows.items()
        ]
        lines.append("")
    lines.append("after against before, on the held-out parts, with the 95 % interval over recordings:")
    for horizon, g in report["gain_percent"].items():
        interval = f" ({g['low']:+.1f} to {g['high']:+.1f})" if "low" in g else " (one recording: no interval)"
        lines.append(f"  {horizon} s: {g['gain']:+.1f} %{interval}")
    return "\n".join(lines)
