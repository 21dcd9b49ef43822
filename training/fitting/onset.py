# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How far a table's radii hold for who stood and now moves (`aux_motion_core.bounds.onset`), on people not in it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from aux_motion_core.bounds import coverage
from aux_motion_core.bounds.calibration import Calibration, key
from aux_motion_core.bounds.onset import DEFINITION, MOVED_AFTER_S, moved, stood
from aux_motion_core.bounds.radii import Bounds, equivalent_scale, known, reach_cap
from aux_motion_core.history.normalise import denormalise, normalise
from training.data.windows import Windows, cut
from training.fitting.scores import Infer

HORIZONS_S = (0.2, 0.4, 1.0)


def windows(
    clips: Iterable, history: int, future: int, dt_s: float, stride_s: float
) -> tuple[Windows, np.ndarray] | None:
    """The group's windows of clips, and the clip of each (N,); None where there are none."""
    ahead = round(MOVED_AFTER_S / dt_s) - 1
    parts, clip = [], []
    for k, one in enumerate(clips):
        w = cut(one, history, future, dt_s, stride_s)
        if w is None:
            continue
        both = w.past_mask[:, -1] & w.future_mask[:, ahead]
        rows = stood(w.past, w.past_mask, dt_s) & moved(w.past[:, -1], w.future[:, ahead], both)
        if rows.any():
            parts.append([x[rows] for x in (w.past, w.past_mask, w.future, w.future_mask)])
            clip.append(np.full(int(rows.sum()), k))
    return (Windows(*(np.concatenate(x) for x in zip(*parts))), np.concatenate(clip)) if parts else None


def onsets(
    clips: Iterable, infer: Infer, table: Calibration, history: int, future: int, dt_s: float, stride_s: float = 0.08
) -> dict:
    """Coverage of the group's windows, complete input, by level and horizon. Means over clips, with intervals.

    Args:
        clips: that are not in the table.
        infer: of the backend.
        table: whose radii, capped as published.
        history, future, dt_s: of the backend's windows.
        stride_s: between windows; an onset is short.
    """
    out: dict = {"definition": DEFINITION, "windows": 0, "clips": 0, "levels": {}}
    group = windows(clips, history, future, dt_s, stride_s)
    if group is None:
        return out
    w, clip = group
    out |= {"windows": len(w.past), "clips": len(np.unique(clip))}
    values, heading = normalise(w.past, w.past_mask)
    answers = [infer(values[i : i + 256], w.past_mask[i : i + 256]) for i in range(0, len(values), 256)]
    mean = denormalise(np.concatenate([a[0] for a in answers]), heading)
    size = None if answers[0][2] is None else equivalent_scale(np.concatenate([a[2] for a in answers]))
    error = np.where(w.future_mask, np.linalg.norm(mean - w.future, axis=-1), np.nan)
    what = known(w.past, w.past_mask, dt_s)
    cap = reach_cap(mean, what, dt_s * np.arange(1, future + 1))
    at = {f"{h:g}": round(h / dt_s) - 1 for h in HORIZONS_S if round(h / dt_s) <= future}
    for level in table.levels:
        bounds = Bounds(table, level)
        if not bounds.calibrated:
            continue
        free, body = bounds.radii(what, size)
        hit = coverage.inside(error, np.minimum(free, cap))
        found = {
            "joints": {h: coverage.share(hit[:, [k]], clip, level) for h, k in at.items()},
            "median_radius_m": {h: round(float(np.median(np.minimum(free, cap)[:, k])), 4) for h, k in at.items()},
        }
        if body is not None:
            whole = coverage.body_inside(error, np.minimum(np.maximum(body, free), cap))[:, None]
            found["whole_body"] = coverage.share(whole, clip, level)
        out["levels"][key(level)] = found
    return out
