# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How far predictions were from what was seen: by horizon, joint, person and speed."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.evaluation.bootstrap import Segments
from aux_motion_core.evaluation.histogram import Histograms
from aux_motion_core.evaluation.outcomes import Outcomes
from aux_motion_core.skeleton import JOINTS, N_JOINTS

#: Upper ends of the classes of speed, mean of the joints, m/s.
SPEED_CLASSES: tuple[tuple[str, float], ...] = (("still", 0.15), ("slow", 0.6), ("fast", np.inf))
#: People with figures of their own; the others share one.
MAX_PEOPLE = 32
_SPEED_ENDS = np.array([end for _, end in SPEED_CLASSES[:-1]])


def mean_of_seen(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is not NaN; NaN where nothing is left: a `nanmean` that does not warn."""
    seen = ~np.isnan(values)
    total: np.ndarray = np.where(seen, values, values.dtype.type(0.0)).sum(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        np.true_divide(total, seen.sum(-1, keepdims=True), out=total, casting="unsafe")
    return total[..., 0]


def horizon_key(horizon_s: float) -> str:
    """As summaries name a horizon: "0.4", "1.0"."""
    return f"{horizon_s:.1f}" if abs(horizon_s - round(horizon_s, 1)) < 1e-9 else f"{horizon_s:g}"


def millimetres(values: np.ndarray) -> list[float | None]:
    """Metres as numbers for JSON, None for NaN."""
    return [None if not np.isfinite(v) else round(1000.0 * float(v), 3) for v in np.ravel(values)]


class _Table:
    """Mean, median and p95 of a grid of histograms, in millimetres."""

    def __init__(self, histograms: Histograms) -> None:
        self.count = histograms.count
        self._parts = (histograms.mean, histograms.quantile(0.5), histograms.quantile(0.95))

    def __getitem__(self, index: tuple[int, ...]) -> dict[str, Any]:
        return dict(zip(("mean", "median", "p95"), millimetres(np.array([p[index] for p in self._parts])), strict=True))


class Errors:
    """Errors on joints that were observed, of all sources on the same joints.

    A sample is a person at a time; its error is the mean over the joints that were seen. Joints' own figures are over
    all samples in which that joint was seen.

    Args:
        sources: K names, the first is what is published.
        horizons_s: (H,).
    """

    def __init__(self, sources: tuple[str, ...], horizons_s: np.ndarray) -> None:
        self.sources, self.horizons_s = sources, np.asarray(horizons_s, float)
        k, h = len(sources), len(self.horizons_s)
        self._all = Histograms((k, h))
        self._joints = Histograms((k, h, N_JOINTS))
        self._speeds = Histograms((len(SPEED_CLASSES), k, h))
        self._people: dict[str, Histograms] = {}
        self.segments = Segments(h, k)

    def update(self, outcomes: Outcomes, names: dict[int, str]) -> None:
        """Take outcomes.

        Args:
            outcomes: of the same sources and horizons.
            names: index of a person -> id.
        """
        rows = outcomes.predicted.judged
        if not rows.any():
            return
        error, person = outcomes.error_m[rows], outcomes.predicted.person[rows]
        sample = mean_of_seen(error)  # (N, K, H)
        n, k, h = sample.shape
        cell = np.broadcast_to(np.arange(k * h), (n, k * h)).reshape(n, k, h)
        self._all.add(sample, cell)
        self._joints.add(error, np.broadcast_to(np.arange(k * h * N_JOINTS).reshape(k, h, N_JOINTS), error.shape))
        speed = np.searchsorted(_SPEED_ENDS, outcomes.predicted.speed_mps[rows])
        self._speeds.add(sample, cell + (speed * k * h)[:, None, None])
        for index in np.unique(person):
            own = person == index
            self._person(names[int(index)]).add(sample[own], cell[own])
        self.segments.add(person, outcomes.predicted.stamp_ns[rows], np.moveaxis(sample, 1, 2))

    def _person(self, name: str) -> Histograms:
        if name not in self._people and len(self._people) >= MAX_PEOPLE:
            name = "others"
        return self._people.setdefault(name, Histograms((len(self.sources), len(self.horizons_s))))

    def merge(self, other: Errors) -> None:
        """Add another recording's errors."""
        self._all.merge(other._all)
        self._joints.merge(other._joints)
        self._speeds.merge(other._speeds)
        for name, histograms in other._people.items():
            self._person(name).merge(histograms)
        self.segments.merge(other.segments)

    def samples(self) -> np.ndarray:
        """(H,) how many people at a time were judged."""
        return self._all.count[0]

    def mpjpe_m(self) -> np.ndarray:
        """(K, H) mean error, NaN where nothing was judged."""
        return self._all.mean

    def summary(self) -> dict[str, Any]:
        """Tables by horizon, joint, person and class of speed, in millimetres, of the horizons that have samples."""
        samples = self.samples()
        keys = {i: horizon_key(s) for i, s in enumerate(self.horizons_s) if samples[i]}
        low, high = self.segments.interval()
        ratio = self.segments.ratio(0)  # of the first source to each, (H, K) with its interval
        errors: dict[str, Any] = {}
        every, joint_table, speeds = _Table(self._all), _Table(self._joints), _Table(self._speeds)
        for i, key in keys.items():
            errors[key] = {}
            for j, source in enumerate(self.sources):
                errors[key][source] = {
                    **every[j, i],
                    **dict(zip(("low", "high"), millimetres(np.array([low[i, j], high[i, j]])), strict=True)),
                }
                if j:
                    errors[key][source]["first_is"] = [
                        None if not np.isfinite(r[i, j]) else round(float(r[i, j]), 4) for r in ratio
                    ]
        counts = joint_table.count
        return {
            "samples": {k: int(samples[i]) for i, k in keys.items()},
            "errors_mm": errors,
            "segments": self.segments.count,
            "segment_s": self.segments.length_s,
            "joints_mm": {
                key: {
                    joint: {
                        "samples": int(counts[0, i, c]),
                        **{s: joint_table[j, i, c] for j, s in enumerate(self.sources)},
                    }
                    for c, joint in enumerate(JOINTS)
                    if counts[0, i, c]
                }
                for i, key in keys.items()
            },
            "speeds_mm": self._groups({n: (speeds, (g,)) for g, (n, _) in enumerate(SPEED_CLASSES)}, keys),
            "people_mm": self._groups({n: (_Table(h), ()) for n, h in self._people.items()}, keys),
        }

    def _groups(self, groups: dict[str, tuple[_Table, tuple[int, ...]]], keys: dict[int, str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, (cells, at) in groups.items():
            count = cells.count[at]
            if count.any():
                found[name] = {
                    key: {
                        "samples": int(count[0, i]),
                        **{s: cells[at + (j, i)] for j, s in enumerate(self.sources)},
                    }
                    for i, key in keys.items()
                    if count[0, i]
                }
        return found
