# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Whether published bounds held, and how large they were."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.evaluation.bootstrap import Segments
from aux_motion_core.evaluation.early import Early
from aux_motion_core.evaluation.errors import SPEED_CLASSES, horizon_key
from aux_motion_core.evaluation.histogram import Histograms
from aux_motion_core.evaluation.outcomes import Outcomes
from aux_motion_core.skeleton import JOINTS, N_JOINTS

#: Approach speed of ISO 13855 beyond 0.5 m, from which the comparator's ball grows around the last observation; m/s.
ISO_SPEED_MPS = 1.6
#: Upper ends of the classes of joints missing from the newest observation, as shares of all joints.
MISSING_CLASSES: tuple[tuple[str, float], ...] = (("to_10", 0.1), ("to_30", 0.3), ("to_50", 0.5), ("more", 1.1))
_GROUPS = {
    "trunk": ("pelvis", "spine", "neck", "head", "shoulder", "hip"),
    "elbow": ("elbow",),
    "hand": ("wrist", "hand"),
    "knee": ("knee",),
    "foot": ("ankle", "foot"),
}
_GROUP = np.array([next(i for i, g in enumerate(_GROUPS.values()) if j.split("_")[-1] in g) for j in JOINTS])
_SPEED_ENDS = np.array([end for _, end in SPEED_CLASSES[:-1]])
_MISSING_ENDS = np.array([end for _, end in MISSING_CLASSES[:-1]])


class _Kind:
    """One basis and level."""

    def __init__(self, horizons: int, dt_s: float, level: float, body_level: float) -> None:
        self.level, self.body_level = level, body_level
        self.joints = np.zeros((2, horizons, N_JOINTS))  # inside, all
        self.missing = np.zeros((2, len(MISSING_CLASSES), horizons))
        self.speeds = np.zeros((2, len(SPEED_CLASSES), horizons))
        self.body = np.zeros((2, horizons))
        self.whole = np.zeros(2)
        self.interval = np.zeros((2, horizons))  # sum of interval scores, and how many
        self.radius = Histograms((horizons,))
        self.volume = Histograms((horizons,), low=1e-5, high=1e5)  # over that of the ISO ball
        self.segments = Segments(horizons, 2)
        self.early = Early(dt_s)

    def merge(self, other: _Kind) -> None:
        for name in ("joints", "missing", "speeds", "body", "whole", "interval"):
            getattr(self, name).__iadd__(getattr(other, name))
        for name in ("radius", "volume", "segments", "early"):
            getattr(self, name).merge(getattr(other, name))


class BoundCoverage:
    """Coverage and size of the radii of the first source, each kind of bound apart.

    Coverage is the share of observed joints that were within the radius around their predicted mean. Of a body: the
    share of people whose observed joints were all within the simultaneous bound (the marginal one where there is none).
    `whole_second_body_coverage` is the share of predictions whose bound held at every step of the grid, 25 of 0.04 s.
    `early` counts the misses of the first 0.2 s apart.
    `interval_score_mm` is radius plus (distance beyond it) / (1 - level), the interval score of Winkler (1972) for a
    bound with one end: smaller is better. `volume_ratio` is the ball's volume over that of a ball that grows with
    `ISO_SPEED_MPS`.

    Args:
        horizons_s: (H,).
        dt_s: of the predictions' steps.
        levels: of the model's table.
    """

    def __init__(self, horizons_s: np.ndarray, dt_s: float, levels: tuple[float, ...] = ()) -> None:
        self.horizons_s, self._dt_s, self._levels = np.asarray(horizons_s, float), dt_s, tuple(levels)
        self._at_levels = np.zeros((2, len(self._levels), len(self.horizons_s)))
        self._level_segments = Segments(len(self._levels), len(self.horizons_s))
        self.kinds: dict[str, _Kind] = {}
        self._z = np.zeros((2, len(self.horizons_s)))  # squared errors over variances, and how many
        self._within = np.zeros((3, len(self.horizons_s)))  # axes within 1 and 2 sigma, and all

    def update(self, outcomes: Outcomes, labels: list[str]) -> None:
        """Take outcomes.

        Args:
            outcomes: with bounds or without.
            labels: name of each basis index.
        """
        predicted = outcomes.predicted
        for basis in np.unique(predicted.basis[predicted.basis >= 0]):
            for judged in (True, False):
                rows = np.flatnonzero((predicted.basis == basis) & (predicted.judged == judged))
                if len(rows):
                    self._add(outcomes, rows, labels[int(basis)] + ("" if judged else ", pose held"))
        self._scales(outcomes)
        self._tables(outcomes)

    def _tables(self, outcomes: Outcomes) -> None:
        """The table itself at each of its levels, for people who are tracked."""
        at = outcomes.predicted.at_levels
        rows = np.flatnonzero(outcomes.predicted.judged & np.isfinite(at[:, :1]).any((1, 2, 3)))
        if not len(rows):
            return
        outcomes = outcomes.rows(rows)
        radius = outcomes.at_horizons(outcomes.predicted.at_levels, axis=2)  # (N, L, H, J)
        error = outcomes.error_m[:, :1]
        usable = np.isfinite(error) & np.isfinite(radius)
        inside = (usable & (error <= radius)).sum(3)
        usable = usable.sum(3)
        self._at_levels += np.stack([inside.sum(0), usable.sum(0)])
        self._level_segments.add(outcomes.predicted.person, outcomes.predicted.stamp_ns, inside, usable)

    def levels(self) -> dict[str, Any]:
        """Coverage of the model's table at each of its levels, by horizon; empty when it has none."""
        low, high = self._level_segments.interval()
        return {
            f"{level:g}": {
                horizon_key(s): {
                    "coverage": _share(*self._at_levels[:, k, i]),
                    "low": _number(low[k, i]),
                    "high": _number(high[k, i]),
                }
                for i, s in enumerate(self.horizons_s)
                if self._at_levels[1, k, i]
            }
            for k, level in enumerate(self._levels)
            if self._at_levels[1, k].any()
        }

    def _add(self, outcomes: Outcomes, rows: np.ndarray, label: str) -> None:
        outcomes = outcomes.rows(rows)
        p, error, h = outcomes.predicted, outcomes.error_m[:, 0], len(self.horizons_s)
        radius = outcomes.at_horizons(p.radius)
        usable = np.isfinite(error) & np.isfinite(radius)
        kind = self.kinds.get(label)
        if kind is None:
            kind = self.kinds[label] = _Kind(h, self._dt_s, float(p.level[0]), float(p.body_level[0]))
        inside = usable & (error <= radius)
        kind.joints += np.stack([inside.sum(0), usable.sum(0)])
        share_missing = 1.0 - p.asked.mean(1)
        speed = np.searchsorted(_SPEED_ENDS, p.speed_mps)
        for table, group in (
            (kind.missing, np.searchsorted(_MISSING_ENDS, share_missing, side="left")),
            (kind.speeds, speed),
        ):
            np.add.at(table[0], group, inside.sum(2))
            np.add.at(table[1], group, usable.sum(2))
        some = usable.any(2)
        body = outcomes.at_horizons(p.body_radius)
        body = np.where(np.isfinite(body), body, radius)
        held = (~usable | (error <= body)).all(2)
        kind.body += np.stack([(held & some).sum(0), some.sum(0)])
        kind.whole += self._whole(outcomes)
        kind.early.update(outcomes)
        kind.segments.add(
            p.person, p.stamp_ns,
            np.stack([inside.sum(2), held & some], -1), np.stack([usable.sum(2), some], -1),
        )  # fmt: skip
        cell = np.broadcast_to(np.arange(h)[:, None], radius.shape)
        kind.radius.add(radius, cell)
        kind.volume.add((radius / (ISO_SPEED_MPS * self.horizons_s)[:, None]) ** 3, cell)
        if np.isfinite(kind.level) and kind.level < 1.0:
            score = radius + np.maximum(error - radius, 0.0) / (1.0 - kind.level)
            kind.interval += np.stack([np.where(usable, score, 0.0).sum((0, 2)), usable.sum((0, 2))])

    @staticmethod
    def _whole(outcomes: Outcomes) -> tuple[int, int]:
        """People whose bound held at every step of the grid, and people of whom something was seen at every step."""
        p, error = outcomes.predicted, outcomes.step_error_m
        steps = error.shape[1]
        radius, body = p.radius[:, :steps], p.body_radius[:, :steps]
        body = np.where(np.isfinite(body), body, radius)
        usable = np.isfinite(error) & np.isfinite(radius)
        whole = usable.any(2).all(1)
        held = (~usable | (error <= body)).all((1, 2))
        return int((held & whole).sum()), int(whole.sum())

    def _scales(self, outcomes: Outcomes) -> None:
        rows = np.flatnonzero(outcomes.predicted.judged & np.isfinite(outcomes.predicted.scale[:, 0, 0, 0]))
        if not len(rows):
            return
        outcomes = outcomes.rows(rows)
        scale = outcomes.at_horizons(outcomes.predicted.scale)
        mean = outcomes.at_horizons(outcomes.predicted.future[:, 0])
        z = np.abs(mean - outcomes.truth) / np.maximum(scale, 1e-6)
        good = np.broadcast_to(outcomes.seen[..., None], z.shape)
        n = good.sum((0, 2, 3))
        self._z += np.stack([np.where(good, np.minimum(z, 1e3) ** 2, 0.0).sum((0, 2, 3)), n])
        self._within += np.stack([(good & (z <= 1.0)).sum((0, 2, 3)), (good & (z <= 2.0)).sum((0, 2, 3)), n])

    def merge(self, other: BoundCoverage) -> None:
        """Add another recording's."""
        for label, kind in other.kinds.items():
            if label in self.kinds:
                self.kinds[label].merge(kind)
            else:
                self.kinds[label] = kind
        self._z += other._z
        self._within += other._within
        if self._levels == other._levels:
            self._at_levels += other._at_levels
            self._level_segments.merge(other._level_segments)

    def summary(self) -> dict[str, Any]:
        """By kind of bound and horizon."""
        found: dict[str, Any] = {}
        for label, kind in sorted(self.kinds.items()):
            low, high = kind.segments.interval()
            median, p95, volume = kind.radius.quantile(0.5), kind.radius.quantile(0.95), kind.volume.quantile(0.5)
            by_horizon = {}
            for i, s in enumerate(self.horizons_s):
                inside, total = kind.joints[:, i]
                if not total.sum():
                    continue
                groups = {
                    name: _share(inside[_GROUP == g].sum(), total[_GROUP == g].sum()) for g, name in enumerate(_GROUPS)
                }
                by_horizon[horizon_key(s)] = {
                    "joints_judged": int(total.sum()),
                    "coverage": _share(inside.sum(), total.sum()),
                    "low": _number(low[i, 0]),
                    "high": _number(high[i, 0]),
                    "body_coverage": _share(*kind.body[:, i]),
                    "body_low": _number(low[i, 1]),
                    "body_high": _number(high[i, 1]),
                    "joint_groups": groups,
                    "joints": {j: _share(inside[c], total[c]) for c, j in enumerate(JOINTS) if total[c]},
                    "missing_joints": _shares(kind.missing[:, :, i], [n for n, _ in MISSING_CLASSES]),
                    "speeds": _shares(kind.speeds[:, :, i], [n for n, _ in SPEED_CLASSES]),
                    "radius_mm": {
                        "median": _number(1000 * median[i], 2),
                        "p95": _number(1000 * p95[i], 2),
                    },
                    "volume_ratio_median": _number(volume[i], 5),
                    "interval_score_mm": _number(1000 * kind.interval[0, i] / kind.interval[1, i], 2)
                    if kind.interval[1, i]
                    else None,
                }
            found[label] = {
                "nominal": _number(kind.level),
                "body_nominal": _number(kind.body_level),
                "whole_second_body_coverage": _share(*kind.whole),
                "early": kind.early.summary(),
                "horizons": by_horizon,
            }
        return found

    def scales(self) -> dict[str, Any]:
        """Whether one sigma is one sigma, by horizon; empty when predictions carry none."""
        return {
            horizon_key(s): {
                "rms_error_over_sigma": _number(np.sqrt(self._z[0, i] / self._z[1, i])),
                "within_1_sigma": _share(self._within[0, i], self._within[2, i]),
                "within_2_sigma": _share(self._within[1, i], self._within[2, i]),
            }
            for i, s in enumerate(self.horizons_s)
            if self._z[1, i]
        }


def _number(value: float, digits: int = 4) -> float | None:
    return None if not np.isfinite(value) else round(float(value), digits)


def _share(part: float, total: float) -> float | None:
    return _number(part / total) if total else None


def _shares(table: np.ndarray, names: list[str]) -> dict[str, float | None]:
    return {name: _share(table[0, g], table[1, g]) for g, name in enumerate(names) if table[1, g]}
