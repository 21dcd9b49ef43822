# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Fits the table of factors: conformal quantiles of scores, by cell, for each joint and for the whole body."""

from __future__ import annotations

import numpy as np

from aux_motion_core.bounds.calibration import (
    CELLS,
    CLASS_NAMES,
    JOINT_CLASS,
    MIN_CLIPS,
    MIN_WINDOWS,
    SPEEDS,
    Calibration,
    Domain,
    Group,
    body_cells,
    joint_cells,
    key,
    rank,
)
from aux_motion_core.bounds.radii import cells, floor_unit
from aux_motion_core.history.limits import JOINT_LIMITS_MPS
from training.fitting.scores import Scores

LEVELS = (0.9, 0.95, 0.99)
#: The marginal level whose radii shape the simultaneous bound.
BODY_BASE = 0.95
#: One of the radius itself covered whole bodies before a Kinect v1 in 0.92 at 0.95, 0.05 m added: docs/decisions.md.
BODY_FLOOR = "metres"
#: Share of the windows whose people are still, at most.
STILL_SHARE = 0.3
_FOLDS = 4


def scored(s: Scores) -> np.ndarray:
    """(M, S, J) what is compared: error over scale, or the error; NaN where the truth was not seen."""
    return s.error_m if s.scale_m is None else s.error_m / s.scale_m


def copies(window: np.ndarray) -> np.ndarray:
    """(m,) weights: copies of a window share a weight of 1."""
    _, at, n = np.unique(window, return_inverse=True, return_counts=True)
    return 1.0 / n[at]


def _quantiles(
    scores: np.ndarray, window: np.ndarray, levels: tuple[float, ...], grow: float = 1.0
) -> tuple[list[np.ndarray | None], int]:
    """Conformal quantile of each column of (m, S) at each level, None where out of reach; and pieces of evidence.

    `grow`: how much more evidence the quantile is to be of, where this is a part of it.
    """
    seen = ~np.isnan(scores)
    some = seen.any(1)
    scores, window, seen = scores[some], window[some], seen[some]
    if not len(scores):
        return [None] * len(levels), 0
    each = copies(window)
    n = round(grow * len(np.unique(window)))
    filled = scores if seen.all() else np.where(seen, scores, np.inf)
    order = np.argsort(filled, axis=0)
    ordered = np.take_along_axis(filled, order, 0)
    share = each[order] if seen.all() else np.take_along_axis(each[:, None] * seen, order, 0)
    share = np.cumsum(share, axis=0)
    out = []
    for level in levels:
        k = rank(n, level)
        if k is None:
            out.append(None)
            continue
        at = np.argmax(share >= share[-1] * (k / n) * (1.0 - 1e-9), axis=0)
        out.append(np.take_along_axis(ordered, at[None], 0)[0])
    return out, n


def _chain(name: str) -> list[str]:
    """A cell and the coarser ones that it merges into, in turn."""
    parts = name.split("/")
    if len(parts) == 2:
        return [name, f"{parts[0]}/any", "any/any"]
    return [name, f"{parts[0]}/{parts[1]}/any", f"{parts[0]}/any/any", "any/any/any"]


def _members(name: str, names: list[str]) -> list[int]:
    return [i for i, cell in enumerate(names) if all(a in ("any", b) for a, b in zip(name.split("/"), cell.split("/")))]


def _groups(names: list[str], measure, by_speed: bool) -> list[Group]:
    """Groups of cells: each cell with enough evidence is its own, the others use a coarser one.

    Args:
        names: all cells.
        measure: name of a group -> (windows, clips, factors by level).
        by_speed: whether there are classes of speed.
    """
    done: dict[str, tuple[int, int, dict]] = {}
    serves: dict[str, list[str]] = {}
    for cell in names:
        chain = _chain(cell)[0 if by_speed else 1 :]
        for name in chain:
            if name not in done:
                done[name] = measure(name)
            windows, clips, _ = done[name]
            if (windows >= MIN_WINDOWS and clips >= MIN_CLIPS) or name == chain[-1]:
                serves.setdefault(name, []).append(cell)
                break
    return [Group(name=n, serves=c, windows=done[n][0], clips=done[n][1], factor=done[n][2]) for n, c in serves.items()]


def fit_joints(s: Scores, edge: float | None, levels: tuple[float, ...], grow: float = 1.0) -> list[Group]:
    """Marginal factors of all cells; `grow` as in `_quantiles`."""
    names, score = joint_cells(), scored(s)
    row, speed = cells(s.known(), *_edges(edge))
    cell = row * len(SPEEDS) + speed[:, None]

    def measure(name: str) -> tuple[int, int, dict]:
        inside = np.isin(cell, _members(name, names))
        windows, clips, columns = [], [], []
        for c in range(len(CLASS_NAMES)):
            rows, joints = np.nonzero(inside & (JOINT_CLASS == c))
            found, n = _quantiles(score[rows, :, joints], s.window[rows], levels, grow)
            windows.append(n)
            clips.append(len(np.unique(s.clip[rows])))
            columns.append(found)
        have = [n for n in windows if n]
        factor = {}
        for i, level in enumerate(levels):
            enough = bool(have) and rank(min(have), level) is not None
            table = [[None] * score.shape[1] if col[i] is None else col[i] for col in columns]
            factor[key(level)] = [_row(r) for r in zip(*table, strict=True)] if enough else None
        return min(have, default=0), min((k for k, n in zip(clips, windows) if n), default=0), factor

    return _groups(names, measure, _edges(edge)[0] is not None)


def _row(values) -> list[float | None]:
    return [None if x is None or not np.isfinite(x) else float(f"{x:.4g}") for x in values]


def usual_radius(radius: np.ndarray) -> np.ndarray:
    """(steps, joint classes) median of radii (M, S, J) in the floor's unit; 0 for a joint that has none."""
    radius = radius / floor_unit(radius, BODY_FLOOR)
    out = np.zeros((radius.shape[1], len(CLASS_NAMES)))
    for c in range(len(CLASS_NAMES)):
        part = radius[..., JOINT_CLASS == c]
        if np.isfinite(part).all():
            out[:, c] = np.median(part, axis=(0, 2))
    return out


def body_scores(s: Scores, radius: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """(M, S): the largest, over joints and over the steps up to each, of error over marginal radius and floor."""
    widened = radius + floor[:, JOINT_CLASS] * floor_unit(radius, BODY_FLOOR)
    ratio = np.where(np.isnan(s.error_m), 0.0, s.error_m / widened)
    return np.maximum.accumulate(ratio.max(2), axis=1)


def radii_of(s: Scores, joints: list[Group], edge: float | None, level: float) -> np.ndarray:
    """(M, S, J) uncapped marginal radii of groups."""
    of = {cell: g for g in joints for cell in g.serves}
    table = np.array(
        [[[np.inf if x is None else x for x in r] for r in of[n].factor[key(level)]] for n in joint_cells()]
    )
    table = table[..., JOINT_CLASS].reshape(len(CELLS), len(SPEEDS), -1, len(JOINT_CLASS))
    row, speed = cells(s.known(), *_edges(edge))
    factor = np.swapaxes(table[row, speed[:, None], :, np.arange(len(JOINT_CLASS))], 1, 2).astype(np.float32)
    return factor if s.scale_m is None else factor * s.scale_m


def fit_bodies(s: Scores, edge: float | None, levels: tuple[float, ...], base: float) -> list[Group]:
    """Simultaneous factors. The marginal radii that a window is compared with are made without its clip's fold."""
    fold = s.clip % _FOLDS
    ratio = np.full(s.error_m.shape[:2], np.nan)
    total = len(np.unique(s.window))
    for f in np.unique(fold):
        here = fold == f
        rest = s if here.all() else s.take(~here)
        without = fit_joints(rest, edge, (base,), total / len(np.unique(rest.window)))
        if any(g.factor[key(base)] is None for g in without):
            ratio[here] = np.inf
        else:
            floor_m = usual_radius(radii_of(rest, without, edge, base))
            held_out = s.take(here)
            ratio[here] = body_scores(held_out, radii_of(held_out, without, edge, base), floor_m)
    names = body_cells()
    _, speed = cells(s.known(), *_edges(edge))
    cell = s.share * len(SPEEDS) + speed

    def measure(name: str) -> tuple[int, int, dict]:
        rows = np.flatnonzero(np.isin(cell, _members(name, names)))
        found, n = _quantiles(ratio[rows], s.window[rows], levels)
        factor = {
            key(level): None if q is None or not np.isfinite(q).all() else [_row([x]) for x in q]
            for level, q in zip(levels, found)
        }
        return n, len(np.unique(s.clip[rows])), factor

    return _groups(names, measure, _edges(edge)[0] is not None)


def _edges(edge) -> tuple[float | None, float | None]:
    """Edges of speed and of stillness, of both or of the first alone."""
    return edge if isinstance(edge, tuple) else (edge, None)


def still_edge(s: Scores) -> float | None:
    """The drift below which people are still: a quantile of windows, where it has the evidence of a group."""
    if s.drift_mps is None:
        return None
    first = np.unique(s.window, return_index=True)[1]
    enough = STILL_SHARE * len(first) >= 1.1 * MIN_WINDOWS
    return round(float(np.nanquantile(s.drift_mps[first], STILL_SHARE)), 3) if enough else None


def speed_edge(s: Scores) -> float | None:
    """The median speed of windows, where both sides have the evidence of a group."""
    first = np.unique(s.window, return_index=True)[1]
    return round(float(np.nanmedian(s.speed_mps[first])), 2) if len(first) >= 2 * MIN_WINDOWS else None


def fit(
    s: Scores,
    kind: str,
    domain: Domain,
    familiar,
    onnx_sha256: str,
    levels: tuple[float, ...] = LEVELS,
) -> Calibration:
    """The table of all scores."""
    edge = speed_edge(s)
    edge = (edge, still_edge(s) if edge is not None else None)
    base = BODY_BASE if BODY_BASE in levels else levels[0]
    joints = fit_joints(s, edge, levels)
    floor_m = np.zeros((s.error_m.shape[1], len(CLASS_NAMES)))
    if all(g.factor[key(base)] is not None for g in joints):
        floor_m = usual_radius(radii_of(s, joints, edge, base))
    return Calibration(
        schema_version=1,
        kind=kind,
        score="error_m" if s.scale_m is None else "error_over_scale",
        levels=list(levels),
        steps=s.error_m.shape[1],
        windows=len(np.unique(s.window)),
        clips=len(np.unique(s.clip)),
        speed_edge_mps=edge[0],
        still_edge_mps=edge[1],
        body_floor=BODY_FLOOR,
        joint_classes=list(CLASS_NAMES),
        joints=joints,
        body_base=base,
        bodies=fit_bodies(s, edge, levels, base),
        body_floor_m=[_row(r) for r in floor_m],
        top_speed_mps=[float(x) for x in JOINT_LIMITS_MPS],
        domain=domain,
        familiar=familiar,
        onnx_sha256=onnx_sha256,
    )
