# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How often the radii of a table hold on scores that are not in it."""

from __future__ import annotations

import numpy as np

from aux_motion_core.bounds import coverage
from aux_motion_core.bounds.calibration import (
    CLASS_NAMES,
    JOINT_CLASS,
    SPEEDS,
    Calibration,
    joint_cells,
    key,
)
from aux_motion_core.bounds.radii import Bounds, cells
from training.fitting.scores import MISSING, NOISES, Scores

HORIZONS_S = (0.04, 0.2, 0.4, 0.6, 0.8, 1.0)


def judge(
    s: Scores,
    conditions: list[str],
    clip_names: list[str],
    table: Calibration,
    dt_s: float,
    tracker_error_m: float = 0.0,
) -> dict:
    """How often the table's radii, capped as published, held on these scores; by level. Means over clips.

    Args:
        s: of clips that are not in the table.
        conditions: their names.
        clip_names: of the clips.
        table: whose radii.
        dt_s: seconds from step to step.
        tracker_error_m: added to the radii.
    """
    steps_s = dt_s * np.arange(1, table.steps + 1)
    at = [(h, round(h / dt_s) - 1) for h in HORIZONS_S if round(h / dt_s) <= table.steps]
    what = s.known()
    row, speed = cells(what, table.speed_edge_mps, table.still_edge_mps)
    cell = row * len(SPEEDS) + speed[:, None]
    zero_to_half = np.isin(s.condition, [i for i, n in enumerate(conditions) if n in MISSING])
    quiet = ~np.isin(s.condition, [i for i, n in enumerate(conditions) if n in NOISES])
    of = {c: g.name for g in table.joints for c in g.serves}
    names = joint_cells()
    out: dict = {}
    for level in table.levels:
        bounds = Bounds(table, level)
        if not bounds.calibrated:
            out[key(level)] = {"calibrated": False, "why": bounds.reason}
            continue
        free, body = bounds.radii(what, s.scale_m)
        free = free + tracker_error_m
        body = None if body is None else np.maximum(body + tracker_error_m, free)
        radius = np.minimum(free, s.cap_m)
        hit = coverage.inside(s.error_m, radius)

        def part(values: np.ndarray, rows: np.ndarray | slice = slice(None), level: float = level) -> dict:
            return coverage.share(values[rows], s.clip[rows], level)

        here = zero_to_half if zero_to_half.any() else np.ones(len(hit), bool)
        ratio = coverage.volume_ratio(radius, steps_s)
        winkler = coverage.winkler_m(s.error_m, radius, level)
        groups = {}
        for name in dict.fromkeys(of.values()):
            member = np.isin(cell, [i for i, c in enumerate(names) if of[c] == name])
            if not member.any():
                continue
            groups[name] = part(np.where(member[:, None, :], hit, np.nan), quiet)
        out[key(level)] = {
            **part(hit, here),
            "calibrated": True,
            "horizon_s": {f"{h:g}": part(hit[:, [k]], here) for h, k in at},
            "joint": {n: part(hit[..., JOINT_CLASS == c], here) for c, n in enumerate(CLASS_NAMES)},
            "condition": {n: part(hit, s.condition == i) for i, n in enumerate(conditions)},
            "group": groups,
            "clip": {
                clip_names[k]: round(float(np.nanmean(hit[here & (s.clip == k)])), 4) for k in np.unique(s.clip[here])
            },
            "uncapped": round(
                float(np.mean(coverage.clip_means(coverage.inside(s.error_m, free)[here], s.clip[here]))), 4
            ),
            "median_volume_of_1.6mps_reach": {f"{h:g}": round(float(np.median(ratio[here][:, k])), 4) for h, k in at},
            "median_radius_m": {f"{h:g}": round(float(np.median(radius[here][:, k])), 4) for h, k in at},
            "winkler_m": {
                f"{h:g}": round(float(np.mean(coverage.clip_means(winkler[here][:, k], s.clip[here]))), 4)
                for h, k in at
            },
        }
        if body is not None:
            whole = coverage.body_inside(s.error_m, np.minimum(body, s.cap_m))[:, None]
            out[key(level)]["body"] = {
                **part(whole, here),
                "condition": {n: part(whole, s.condition == i) for i, n in enumerate(conditions)},
                "median_radius_m": {
                    f"{h:g}": round(float(np.median(np.minimum(body, s.cap_m)[here][:, k])), 4) for h, k in at
                },
            }
    return out


def left_out(s: Scores, groups: np.ndarray, conditions: list[str], clip_names: list[str], make, dt_s: float) -> dict:
    """Coverage on each recording group by a table made without it, and over the clips of all of them.

    Args:
        groups: (clips,) group of each clip.
        make: scores -> table.
    """
    of: dict[str, dict] = {}
    clips: dict[str, dict[str, float]] = {}
    for name in np.unique(groups[np.unique(s.clip)]):
        here = groups[s.clip] == name
        if here.all():
            continue
        found = judge(s.take(here), conditions, clip_names, make(s.take(~here)), dt_s)
        for level, v in found.items():
            if v["calibrated"]:
                body = v.get("body") or {}
                of.setdefault(level, {})[str(name)] = {"each_joint": v["overall"], "body": body.get("overall")}
                clips.setdefault(level, {}).update(v["clip"])
    out = {}
    for level, values in clips.items():
        means = np.array(list(values.values()))
        low, high = coverage.interval(means)
        out[level] = {
            "overall": round(float(means.mean()), 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "nominal_inside": bool(low - 1e-9 <= float(level) <= high + 1e-9),
            "clips": len(means),
            "by_group": of[level],
        }
    return out
