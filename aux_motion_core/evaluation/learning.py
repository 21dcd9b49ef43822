# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The learning curve of a recording: errors and coverage minute by minute, with and without what was learnt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aux_motion_core.evaluation.comparisons import Grid
from aux_motion_core.evaluation.outcomes import Outcomes
from aux_motion_core.selfcheck import grid_steps

#: Errors this close together tell the same: intervals are over blocks, seconds.
BLOCK_S = 5.0
MINUTE_S = 60.0
#: A minute with less of somebody's motion is not shown, seconds.
LEAST_S = 20.0
_ROUNDS = 1000


def horizons_of(grid: Grid) -> np.ndarray:
    """(H,) seconds at which predictions on a grid are judged."""
    return grid.dt_s * (grid_steps(grid.dt_s, grid.future_steps) + 1)


@dataclass
class Curve:
    """Collects outcomes in blocks of `BLOCK_S` of the recording.

    Args:
        sources: K names, the first is what was published.
        horizons_s: (H,) seconds.
    """

    sources: tuple[str, ...]
    horizons_s: np.ndarray
    blocks: dict[int, np.ndarray] = field(default_factory=dict)
    inside: dict[int, np.ndarray] = field(default_factory=dict)

    def update(self, outcomes: Outcomes, names: dict[int, str] | None = None) -> None:
        """Take outcomes of predictions that were judged; `names` are not used."""
        p = outcomes.predicted
        keep = np.flatnonzero(p.judged)
        if not len(keep):
            return
        o = outcomes.rows(keep)
        n = o.seen.sum(-1)  # (N, H)
        error = np.nansum(np.where(o.seen[:, None], o.error_m, 0.0), -1) / np.maximum(n, 1)[:, None]  # (N, K, H)
        radius = o.at_horizons(o.predicted.radius)
        bounded = o.seen & np.isfinite(radius) & np.isfinite(o.predicted.level)[:, None, None]
        with np.errstate(invalid="ignore"):
            hit = bounded & (o.error_m[:, 0] <= radius)
        block = np.floor(o.predicted.at_s / BLOCK_S).astype(int)
        for b in np.unique(block):
            at = block == b
            told = (n[at] > 0).astype(float)
            new = np.concatenate([told.sum(0)[None], np.einsum("nkh,nh->kh", error[at], told)])
            self.blocks[b] = self.blocks.get(b, 0.0) + new
            new = np.stack([hit[at].sum((0, 2)), bounded[at].sum((0, 2))])
            self.inside[b] = self.inside.get(b, 0.0) + new

    def minutes(self) -> list[dict[str, Any]]:
        """Each minute as plain values: mean errors in mm with 95 % bootstrap intervals over blocks, and coverage."""
        out = []
        for minute in sorted({int(b * BLOCK_S // MINUTE_S) for b in self.blocks}):
            blocks = [b for b in self.blocks if int(b * BLOCK_S // MINUTE_S) == minute]
            sums = np.stack([self.blocks[b] for b in blocks])  # (B, 1 + K, H)
            if sums[:, 0].any(1).sum() * BLOCK_S < LEAST_S:
                continue
            inside = np.sum([self.inside[b] for b in blocks], 0)
            row: dict[str, Any] = {"minute": minute, "predictions": int(sums[:, 0].sum(0).max())}
            row["errors_mm"] = _means(sums, self.sources, self.horizons_s, minute)
            held = inside[0] / np.maximum(inside[1], 1.0)
            row["coverage"] = [round(float(x), 4) if n else None for x, n in zip(held, inside[1], strict=True)]
            out.append(row)
        return out

    def split(self, at_s: float) -> tuple[Curve, Curve]:
        """What came before and after that second of the recording; the block at the edge is in neither."""
        edge = at_s / BLOCK_S
        parts = []
        for keep in (lambda b: b + 1 <= edge, lambda b: b >= edge):
            part = Curve(self.sources, self.horizons_s)
            part.blocks = {b: v for b, v in self.blocks.items() if keep(b)}
            part.inside = {b: v for b, v in self.inside.items() if keep(b)}
            parts.append(part)
        return parts[0], parts[1]

    @staticmethod
    def together(curves: list[Curve]) -> dict[str, dict[str, list[float]]]:
        """Of all these: horizon -> source -> mean, low and high in mm, with 95 % bootstrap intervals over blocks."""
        sums = [v for c in curves for v in c.blocks.values()]
        return _means(np.stack(sums), curves[0].sources, curves[0].horizons_s, 0) if sums else {}

    def change(self, minutes: list[dict[str, Any]] | None = None) -> list[dict[str, float]]:
        """Of each minute, horizon -> percent by which the published error differs from the model's: below 0 is less."""
        rows = self.minutes() if minutes is None else minutes
        first, model = self.sources[0], self.sources[1]
        return [
            {h: round(100.0 * (v[first][0] / max(v[model][0], 1e-6) - 1.0), 2) for h, v in row["errors_mm"].items()}
            for row in rows
        ]

    def summary(self) -> dict[str, Any]:
        """What a report shows."""
        rows = self.minutes()
        changes = self.change(rows)
        worst = [max(c.values()) for c in changes if c]
        return {
            "sources": list(self.sources),
            "minutes": rows,
            "change_percent": changes,
            "worst_minute_percent": max(worst) if worst else None,
        }


def _means(
    sums: np.ndarray, sources: tuple[str, ...], horizons_s: np.ndarray, seed: int
) -> dict[str, dict[str, list[float]]]:
    """Horizon -> source -> mean, low and high in mm, of blocks (B, 1 + K, H): counts, and sums of errors."""
    rng = np.random.default_rng(seed)
    rounds = sums[rng.integers(len(sums), size=(_ROUNDS, len(sums)))].sum(1)
    out: dict[str, dict[str, list[float]]] = {}
    for h, horizon_s in enumerate(horizons_s):
        total = sums[..., h].sum(0)
        if total[0] < 1.0:
            continue
        some = rounds[:, 0, h] > 0
        row = out[f"{horizon_s:g}" if horizon_s != 1.0 else "1.0"] = {}
        for k, source in enumerate(sources):
            drawn = 1e3 * rounds[some, 1 + k, h] / rounds[some, 0, h]
            low, high = np.percentile(drawn, [2.5, 97.5])
            row[source] = [round(float(x), 2) for x in (1e3 * total[1 + k] / total[0], low, high)]
    return out


def table(summary: dict[str, Any], horizons: tuple[str, ...] = ("0.4", "1.0")) -> str:
    """The curve as text: a line a minute, millimetres."""
    first, model, *others = summary["sources"]
    lines = [
        f"{'minute':>6}" + "".join(f"  {f'{n} {h} s':>16}" for h in horizons for n in (model, first, "best other"))
    ]
    for row in summary["minutes"]:
        cells = []
        for h in horizons:
            v = row["errors_mm"].get(h)
            if v is None:
                cells += [""] * 3
                continue
            rest = min((v[o][0] for o in others if o in v), default=None)
            cells += [f"{v[model][0]:.1f}", f"{v[first][0]:.1f}", "" if rest is None else f"{rest:.1f}"]
        lines.append(f"{row['minute']:6d}" + "".join(f"  {c:>16}" for c in cells))
    if summary["worst_minute_percent"] is not None:
        lines.append(f"the worst minute and horizon: {summary['worst_minute_percent']:+.1f} % against {model}")
    return "\n".join(lines)
