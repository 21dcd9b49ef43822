# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Radii of predictions: calibrated where the table says so, else what physics allows.

Everything is for all people at once. Marginal radii hold each joint at each step on its own with the nominal coverage;
body radii hold all joints at all steps together. See docs/bounds.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from aux_motion_core.arrays import every, lengths, some, square_lengths
from aux_motion_core.bounds.calibration import (
    AGES,
    CELLS,
    JOINT_CLASS,
    RECENT_S,
    SHARE_EDGES,
    SHARES,
    SPEEDS,
    Calibration,
    Group,
    body_cells,
    joint_cells,
    key,
)
from aux_motion_core.history.limits import JOINT_LIMITS_MPS, LIMB_SPAN_M, SPEED_LIMITS_MPS
from aux_motion_core.history.normalise import LastSeen, last_seen
from aux_motion_core.skeleton import N_JOINTS

#: Steps of the history that tell a person's speed.
_SPEED_STEPS = 6
_NOW, _STILL = AGES.index("now"), SPEEDS.index("still")
_SHARE_EDGES = np.asarray(SHARE_EDGES)
_TRUNK_MPS = SPEED_LIMITS_MPS["trunk"]


@dataclass(frozen=True)
class Known:
    """What is known of each person when a prediction is made. N people, J joints.

    Attributes:
        last: (N, J, 3) each joint's last observed position, in the frame of the windows.
        seen: (N, J) bool: observed within the window.
        age_s: (N, J) seconds from a joint's last observation to the end of the window; inf where not seen.
        age: (N, J) index into `AGES`.
        share: (N,) index into `SHARES`.
        speed_mps: (N,) mean speed of the joints over the last steps; NaN where nothing tells it.
        drift_mps: (N,) the same from means over several steps, which a tracker's jitter leaves small.
        fastest_mps: (N,) of the joint that moved the fastest; 0 where nothing tells it.
        now: all joints of everybody are seen in the newest step.
    """

    last: np.ndarray
    seen: np.ndarray
    age_s: np.ndarray
    age: np.ndarray
    share: np.ndarray
    speed_mps: np.ndarray
    fastest_mps: np.ndarray
    drift_mps: np.ndarray | None = None
    now: bool = False


def known(
    windows: np.ndarray,
    mask: np.ndarray,
    dt_s: float,
    hidden_s: np.ndarray | None = None,
    times: np.ndarray | None = None,
    last: LastSeen | None = None,
) -> Known:
    """Look at the histories.

    Args:
        windows: (N, T, J, 3) metres, any value where not observed.
        mask: (N, T, J) bool.
        dt_s: seconds from step to step.
        hidden_s: (N, J) seconds since each joint was truly seen: what a tracker guessed is in `mask`, but is no sight.
        times: (N, J) how often each joint was observed within the window: interpolated steps are in `mask`, too.
        last: of `last_seen`, where it is known.
    """
    steps = mask.shape[1]
    last = last_seen(windows, mask) if last is None else last
    seen = last.seen
    times = mask.sum(1) if times is None else np.minimum(times, steps)
    if last.now:
        lacking = 1.0 - times.sum(1) / (steps * times.shape[1])
    else:
        lacking = 1.0 - (times * seen).sum(1) / np.maximum(steps * seen.sum(1), 1)
    share = _SHARE_EDGES.searchsorted(lacking, side="right")
    now = last.now and (hidden_s is None or not some(hidden_s))
    if now:
        age_s, age = np.zeros(seen.shape), np.zeros(seen.shape, np.intp)
    else:
        age_s = np.where(seen, (steps - 1 - last.index) * dt_s, np.inf)
        if hidden_s is not None:
            age_s = np.maximum(age_s, np.where(hidden_s < steps * dt_s, hidden_s, np.inf))
            seen = np.isfinite(age_s)
        age = np.where(age_s <= 1e-9, 0, np.where(age_s <= RECENT_S + 1e-9, 1, np.where(seen, 2, 3)))
    part = windows[:, -_SPEED_STEPS:]
    if last.whole:
        mean, each, drift = _speeds_of_all(part, dt_s)
    else:
        mean, each, drift = _speeds(part, mask[:, -_SPEED_STEPS:], dt_s)
    return Known(last.positions, seen, age_s, age, share, mean, each.max(1), drift, now)


@lru_cache(maxsize=8)
def _differences(steps: int, dt_s: float) -> np.ndarray:
    """(steps, steps): from places to velocities between them, and in the last row to the drift; see `_speeds`."""
    half = steps // 2
    out = np.zeros((steps, steps))
    out[:-1] = (np.eye(steps, k=1) - np.eye(steps))[:-1] / dt_s
    over_s = 0.5 * steps * dt_s
    out[-1, :half], out[-1, half:] = -1.0 / (max(half, 1) * over_s), 1.0 / ((steps - half) * over_s)
    return out


def _speeds_of_all(part: np.ndarray, dt_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_speeds`, where nothing is missing."""
    n, steps, joints, _ = part.shape
    if steps < 2:
        return np.full(n, np.nan), np.zeros((n, joints)), np.full(n, np.nan)
    speed = lengths((_differences(steps, dt_s) @ part.reshape(n, steps, -1)).reshape(part.shape))
    each = speed[:, :-1].sum(1) / (steps - 1)
    return each.sum(1) / joints, each, speed[:, -1].sum(1) / joints


def _speeds(part: np.ndarray, there: np.ndarray, dt_s: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the newest steps: mean speed (N,), each joint's (N, J), drift (N,); see `Known`."""
    step = part[:, 1:] - part[:, :-1]
    # a tracker's jitter is no drift: means of the older and of the newer half of these steps
    half = part.shape[1] // 2
    both = there[:, 1:] & there[:, :-1]
    step = np.where(both[..., None], step, 0.0)
    speed = lengths(step) / dt_s
    pairs, sums = both.sum(1), speed.sum(1)
    n = pairs.sum(1)
    mean = np.where(n > 0, sums.sum(1) / np.maximum(n, 1), np.nan)
    each = np.where(pairs > 0, sums / np.maximum(pairs, 1), 0.0)
    older, newer = there[:, :half].sum(1), there[:, half:].sum(1)
    both = (older > 0) & (newer > 0)
    weighed = part * there[..., None]
    moved = weighed[:, half:].sum(1) / np.maximum(newer, 1)[..., None]
    moved -= weighed[:, :half].sum(1) / np.maximum(older, 1)[..., None]
    way = lengths(moved) / (0.5 * part.shape[1] * dt_s)
    n = both.sum(1)
    return mean, each, np.where(n > 0, (way * both).sum(1) / np.maximum(n, 1), np.nan)


def equivalent_scale(scale: np.ndarray) -> np.ndarray:
    """(..., 3) one sigma per axis as one number (...): the root mean square."""
    mean = square_lengths(scale)
    mean *= 1.0 / 3.0
    return np.sqrt(mean, out=mean)


class Bounds:
    """Calibrated radii of one model at one level.

    Args:
        table: of the artefact.
        level: nominal coverage.
        body_steps: body radii hold together up to this step, later ones up to their own; None: all of them together.

    Attributes:
        calibrated: the table has this level, for all cells.
        reason: why not, in one line; empty where it is.
    """

    def __init__(self, table: Calibration, level: float, body_steps: int | None = None) -> None:
        self.table, self.level = table, level
        self._edges = table.speed_edge_mps, table.still_edge_mps
        self._found_for: tuple[bytes, ...] = ()
        self._found: Any = None
        self.reason = ""
        self.calibrated = False
        self.body_calibrated = False
        if not any(abs(level - x) < 1e-9 for x in table.levels):
            known_levels = ", ".join(key(x) for x in table.levels)
            self.reason = f"coverage_level {level:g} was not calibrated: choose one of {known_levels}, or calibrate it"
            return
        self.top_mps = np.maximum(np.asarray(table.top_speed_mps), 0.0)
        cells = _factors(table.joints, joint_cells(), key(level))
        if cells is None:
            self.reason = f"coverage_level {level:g}: the table's evidence is too thin for it; choose a lower one"
            return
        self.calibrated = True
        #: (ages x shares, speeds, steps, joints)
        self._joint = cells[..., JOINT_CLASS].reshape(len(CELLS), len(SPEEDS), table.steps, N_JOINTS)
        base = _factors(table.joints, joint_cells(), key(table.body_base))
        body = _factors(table.bodies, body_cells(), key(level))
        if base is not None and body is not None:
            self.body_calibrated = True
            self._base = base[..., JOINT_CLASS].reshape(self._joint.shape)
            upto = np.arange(table.steps)
            upto = np.maximum(upto, table.steps - 1 if body_steps is None else min(max(body_steps, 1), table.steps) - 1)
            self._body = body.reshape(len(SHARES), len(SPEEDS), table.steps)[..., upto]
            self._floor = np.asarray(table.body_floor_m)[:, JOINT_CLASS]

    def cells(self, what: Known) -> tuple[np.ndarray, np.ndarray]:
        """Row of `CELLS` of each joint (N, J), and speed class of each person (N,)."""
        return cells(what, *self._edges)

    def radii(self, what: Known, size: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Radii before any cap.

        Args:
            what: known of N people.
            size: (N, S, J) metres, `equivalent_scale` of the model's; not used by a table of plain errors.

        Returns:
            Marginal radii (N, S, J), and body radii or None where these are not calibrated. Metres; inf where there is
            no factor, NaN where the scale is.
        """
        joint, base, floor, factor = self._picked(what)
        plain = self.table.score == "error_m"
        radius = joint.copy() if plain else joint * size
        if base is None or floor is None or factor is None:
            return radius, None
        body = base if plain else base * size
        if self.table.body_floor == "metres":
            return radius, body * factor + floor
        body = body + floor * floor_unit(body, self.table.body_floor)
        return radius, body * factor

    def _picked(self, what: Known) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """The cells of these people: factors of joints (N, S, J), of a body's joints, its floor and its factor.

        Picked anew only where somebody is in other cells than in the call before.
        """
        speed = speed_class(what, *self._edges)
        found_for = speed.tobytes(), what.share.tobytes(), what.age.tobytes()
        if found_for == self._found_for:
            return self._found
        row = row_of_cells(what)
        pick = (row, speed[:, None], slice(None), np.arange(N_JOINTS))  # advanced around a slice: (N, J, S)

        def of(cells: np.ndarray) -> np.ndarray:
            return np.ascontiguousarray(np.swapaxes(cells[pick], 1, 2))

        base = floor = factor = None
        if self.body_calibrated:
            base, factor = of(self._base), self._body[what.share, speed][..., None]
            floor = self._floor
            if self.table.body_floor == "metres":  # the sum's factor is infinite already where this one is
                floor = np.multiply(floor, factor, out=np.zeros_like(base), where=np.isfinite(factor))
        self._found_for, self._found = found_for, (of(self._joint), base, floor, factor)
        return self._found


def floor_unit(radius: np.ndarray, kind: str) -> np.ndarray | float:
    """What a body's floor is a multiple of, see `Calibration.body_floor`: (N, S, 1), or 1.

    Args:
        radius: (N, S, J) marginal radii of the base level.
        kind: `metres` or `of_radius`.
    """
    return 1.0 if kind == "metres" else np.median(radius, axis=2, keepdims=True)


def cells(
    what: Known, speed_edge_mps: float | None, still_edge_mps: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Row of `CELLS` of each joint (N, J), and speed class of each person (N,)."""
    return row_of_cells(what), speed_class(what, speed_edge_mps, still_edge_mps)


def row_of_cells(what: Known) -> np.ndarray:
    """Row of `CELLS` of each joint (N, J)."""
    return np.where(what.age == _NOW, what.share[:, None], len(SHARES) - 1 + what.age)


def speed_class(what: Known, speed_edge_mps: float | None, still_edge_mps: float | None) -> np.ndarray:
    """Speed class of each person (N,)."""
    if speed_edge_mps is None:
        speed = np.zeros(len(what.speed_mps), np.intp)
    else:  # a speed that nothing tells counts as fast
        speed = (~(what.speed_mps <= speed_edge_mps)).astype(np.intp)
    if still_edge_mps is not None and what.drift_mps is not None:
        speed[what.drift_mps <= still_edge_mps] = _STILL
    return speed


def _factors(groups: list[Group], names: list[str], level: str) -> np.ndarray | None:
    """(cells, steps, width), inf where a factor is null; None where some cell lacks the level."""
    of = {cell: g for g in groups for cell in g.serves}
    if any(of[name].factor.get(level) is None for name in names):
        return None
    rows = [of[n].factor[level] or [] for n in names]
    return np.array([[[np.inf if x is None else x for x in r] for r in of_cell] for of_cell in rows])


def reach_cap(mean: np.ndarray, what: Known, steps_s: np.ndarray, top_mps: np.ndarray = JOINT_LIMITS_MPS) -> np.ndarray:
    """Radius around `mean` that holds all that a joint can reach from where it was last seen.

    The reach ball sits on the last observation, the radius on the mean: so the distance between the two is added.

    Args:
        mean: (N, S, J, 3) metres, in the frame of `what`.
        what: known of the people.
        steps_s: (S,) seconds.
        top_mps: (J,) fastest motion of each joint.

    Returns:
        (N, S, J) metres; a joint that was not seen in the window is somewhere on the body.
    """
    cap = lengths(mean - what.last[:, None])
    if what.now:
        cap += top_mps * steps_s[:, None]
        return cap
    cap += top_mps * (steps_s[:, None] + np.where(what.seen, what.age_s, 0.0)[:, None])
    if not every(what.seen):  # on the body, wherever its trunk can get
        n = np.maximum(what.seen.sum(1), 1)[:, None]
        body = (what.last * what.seen[..., None]).sum(1) / n
        free = lengths(mean - body[:, None, None]) + LIMB_SPAN_M + _TRUNK_MPS * steps_s[:, None]
        cap = np.where(what.seen[:, None], cap, free)
    return cap


def reach_radius(
    mean: np.ndarray, pose: np.ndarray, steps_s: np.ndarray, speed_mps: np.ndarray, hidden_s: np.ndarray
) -> np.ndarray:
    """The uncalibrated bound around `mean`: what is reached from the newest pose with a given speed.

    Args:
        mean: (N, S, J, 3) metres.
        pose: (N, J, 3) metres, the newest known pose.
        steps_s: (S,) seconds.
        speed_mps: (N,) growth.
        hidden_s: (N, J) seconds since a joint was seen, counted up to where limbs are long.

    Returns:
        (N, S, J) metres.
    """
    away = lengths(mean - pose[:, None])
    hidden = np.minimum(speed_mps[:, None] * hidden_s, LIMB_SPAN_M)
    return away + speed_mps[:, None, None] * steps_s[:, None] + hidden[:, None]
