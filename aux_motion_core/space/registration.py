# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Where one camera is to another, and how far apart their clocks are, from a person whom both see.

The clock offset is the one at which the joints of both trackers fit best (`rigid.fit_rigid`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from aux_motion_core.space.rigid import fit_rigid

_RATE_HZ = 25.0
#: Samples of one joint farther apart are not interpolated, seconds.
_GAP_S = 0.25
_MIN_PAIRS, _MIN_SECONDS = 500, 5.0
#: The way of the body must spread at least this much in its two widest directions, metres (standard deviation).
_MIN_SPREAD_M = 0.3
#: Parts of the recording that are fitted on their own, and how far their answers may be apart.
_PARTS, _PART_M, _PART_DEG = 4, 0.15, 5.0
#: With the clocks this much off, the fit must be worse by this factor, or the walk does not tell the offset.
_OFF_S, _WORSE = 0.1, 1.05
#: Another clock offset that fits so much worse at most fits as well: somebody who walks evenly repeats every step.
_AS_WELL = 1.1
#: Of those the smaller one is likelier: an offset of a second counts as if it fitted so much worse.
_LARGE_PER_S = 0.02
#: A larger residual is no common person, metres.
_MAX_RESIDUAL_M = 0.25


class RegistrationError(ValueError):
    """The recording does not determine the transform, in one line: expected, came, what to do."""


@dataclass(frozen=True)
class PersonStream:
    """One person as one tracker saw them.

    Attributes:
        times_s: (n,) seconds, ascending, on the tracker's clock.
        positions: (n, joints, 3) metres in the tracker's frame.
        seen: (n, joints) bool.
    """

    times_s: np.ndarray
    positions: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True)
class Registration:
    """How the second tracker relates to the first: `x_first = rotation @ x_second + translation`.

    Attributes:
        rotation: (3, 3).
        translation: (3,) metres.
        offset_s: the second clock minus the first; take it off the second tracker's stamps.
        residual_m: root mean square distance of paired joints after the fit.
        spread_m: largest distance between the answers of parts of the recording, at the body.
        pairs: paired joints that were used.
        seconds: length of the common time.
        other_offset_s: another clock offset that fits as well; None: there is none.
    """

    rotation: np.ndarray
    translation: np.ndarray
    offset_s: float
    residual_m: float
    spread_m: float
    pairs: int
    seconds: float
    other_offset_s: float | None = None


def _at(stream: PersonStream, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (m, joints, 3) at these times, linear between sights, and where there are such sights nearby."""
    joints = stream.positions.shape[1]
    out = np.zeros((len(times_s), joints, 3))
    seen = np.zeros((len(times_s), joints), bool)
    for j in range(joints):
        at = np.flatnonzero(stream.seen[:, j])
        if len(at) < 2:
            continue
        t = stream.times_s[at]
        right = np.clip(np.searchsorted(t, times_s), 1, len(at) - 1)
        inside = (times_s >= t[0]) & (times_s <= t[-1])
        seen[:, j] = inside & (t[right] - t[right - 1] <= _GAP_S)
        for axis in range(3):
            out[:, j, axis] = np.interp(times_s, t, stream.positions[at, j, axis])
    return out, seen


class _Pairs:
    """Paired joints of two streams on one grid of the first one's clock, for any clock offset."""

    def __init__(self, first: PersonStream, second: PersonStream, reach_s: float) -> None:
        begin = max(first.times_s[0], second.times_s[0] - reach_s)
        end = min(first.times_s[-1], second.times_s[-1] + reach_s)
        self.times_s = np.arange(begin, end, 1.0 / _RATE_HZ)
        self._second = second
        self._a, self._seen = _at(first, self.times_s)

    def at(self, offset_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Points of both (n, 3) at that clock offset, and the grid steps (n,) they are of."""
        b, seen = _at(self._second, self.times_s + offset_s)
        both = self._seen & seen
        return self._a[both], b[both], np.nonzero(both)[0]

    def cost(self, offset_s: float) -> float:
        """Median distance after the best fit at that clock offset, metres."""
        a, b, _ = self.at(offset_s)
        return float(np.median(fit_rigid(a, b, 3)[2])) if len(a) >= _MIN_PAIRS else np.inf


def register(first: PersonStream, second: PersonStream, max_offset_s: float = 1.0) -> Registration:
    """The transform from the second tracker's frame to the first one's, and the offset of their clocks.

    Args:
        first: the person as the first tracker saw them.
        second: the same person as the second one did, in its own frame.
        max_offset_s: clock offsets up to this are tried.

    Raises:
        RegistrationError: the recording is too short, the person stood still, or they are two people.
    """
    if min(len(first.times_s), len(second.times_s)) < 2:
        raise RegistrationError("one of the two trackers saw nobody: record somebody who walks where both see them")
    pairs = _Pairs(first, second, max_offset_s)
    offsets = np.arange(-max_offset_s, max_offset_s + 1e-9, 0.05)
    costs = np.array([pairs.cost(o) for o in offsets])
    if not np.isfinite(costs).any():
        raise RegistrationError(
            f"fewer than {_MIN_PAIRS} joints were seen by both trackers at one time: record at least "
            f"{_MIN_SECONDS:.0f} s of somebody who walks where both see them"
        )
    offset_s, other_s = _best(pairs, offsets, costs)
    a, b, steps = pairs.at(offset_s)
    rotation, translation, away = fit_rigid(a, b)
    seconds = len(np.unique(steps)) / _RATE_HZ
    residual_m = float(np.sqrt(np.mean(np.minimum(away, 3.0 * np.median(away)) ** 2)))
    _refuse(a, seconds, residual_m, offset_s, max_offset_s, pairs)
    spread_m = _spread(a, b, steps, rotation, translation)
    return Registration(rotation, translation, offset_s, residual_m, spread_m, len(a), seconds, other_s)


def _best(pairs: _Pairs, offsets: np.ndarray, costs: np.ndarray) -> tuple[float, float | None]:
    """The clock offset that fits best, and another one that fits as well, or None."""
    padded = np.concatenate([[np.inf], costs, [np.inf]])
    lowest = (costs <= padded[:-2]) & (costs <= padded[2:]) & (costs < 1.5 * costs.min())
    found: list[tuple[float, float]] = []
    for begin, cost in zip(offsets[lowest], costs[lowest], strict=True):
        bounds = (float(begin) - 0.05, float(begin) + 0.05)
        fine = minimize_scalar(pairs.cost, bounds=bounds, method="bounded", options={"xatol": 1e-3})
        found.append((float(fine.fun), float(fine.x)) if fine.fun <= cost else (float(cost), float(begin)))
    found.sort(key=lambda f: f[0] * (1.0 + _LARGE_PER_S * abs(f[1])))
    others = [offset for cost, offset in found[1:] if cost <= _AS_WELL * found[0][0]]
    return found[0][1], others[0] if others else None


def _refuse(
    a: np.ndarray, seconds: float, residual_m: float, offset_s: float, max_offset_s: float, pairs: _Pairs
) -> None:
    if seconds < _MIN_SECONDS:
        raise RegistrationError(
            f"both trackers saw the person together for {seconds:.1f} s: expected at least {_MIN_SECONDS:.0f} s"
        )
    if residual_m > _MAX_RESIDUAL_M:
        raise RegistrationError(
            f"joints of both trackers stay {1e3 * residual_m:.0f} mm apart after the best fit (expected below "
            f"{1e3 * _MAX_RESIDUAL_M:.0f}): they are different people, or the clocks differ by more than "
            f"{max_offset_s:g} s"
        )
    wide = np.sqrt(np.sort(np.linalg.eigvalsh(np.cov(a.T)))[::-1][1])
    if wide < _MIN_SPREAD_M:
        raise RegistrationError(
            f"the person stayed within {wide:.2f} m: walk to and fro and sideways over at least two metres, or the "
            "rotation is not determined"
        )
    if abs(offset_s) > max_offset_s - 0.05:
        raise RegistrationError(
            f"the clocks differ by {max_offset_s:g} s or more: synchronise them (chrony, PTP), or try a larger offset"
        )
    here = pairs.cost(offset_s)
    off = min(pairs.cost(offset_s - _OFF_S), pairs.cost(offset_s + _OFF_S))
    if off < _WORSE * here:
        raise RegistrationError("the person moved too slowly to tell how far apart the clocks are: walk faster, turn")


def _spread(a: np.ndarray, b: np.ndarray, steps: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> float:
    """Largest distance between the whole answer and those of parts of the recording, at the body; metres."""
    away = np.linalg.norm(a - b @ rotation.T - translation, axis=1)
    kept = away <= 5.0 * np.median(away)  # joints of another body, or exchanged ones, are no moved camera
    a, b, steps = a[kept], b[kept], steps[kept]
    worst_m, middle = 0.0, b.mean(0)
    for part in np.array_split(np.unique(steps), _PARTS):
        rows = (steps >= part[0]) & (steps <= part[-1])
        turned, moved, _ = fit_rigid(a[rows], b[rows])
        angle_deg = np.degrees(np.arccos(np.clip((np.trace(turned.T @ rotation) - 1.0) / 2.0, -1.0, 1.0)))
        away_m = float(np.linalg.norm(turned @ middle + moved - rotation @ middle - translation))
        if away_m > _PART_M or angle_deg > _PART_DEG:
            raise RegistrationError(
                f"parts of the recording disagree by {away_m:.2f} m and {angle_deg:.1f} degrees: a camera was moved, "
                "or the person was too far away; record again"
            )
        worst_m = max(worst_m, away_m)
    return worst_m
