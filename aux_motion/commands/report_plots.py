# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The report's pictures as SVG (needs matplotlib, extra `plots`)."""

from __future__ import annotations

import os
from io import StringIO
from typing import Any

import numpy as np

os.environ["MPLBACKEND"] = "svg"  # the environment may name one that is not here, as Jupyter does
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from aux_motion_core.evaluation.stream import Timeline
from aux_motion_core.evaluation.worst import WorstMoment
from aux_motion_core.history.normalise import REST_POSE
from aux_motion_core.skeleton import BONES, INDEX, JOINTS
from aux_motion_core.types import TrackState

_INK, _MUTED, _GRID = "#1f2430", "#6b7280", "#e4e6eb"
_SEEN, _PREDICTED = "#b4bac6", "#e76f51"
_COLOURS = {
    "model": "#e76f51",
    "mix": "#7b2cbf",
    "learnt": "#2a9d8f",
    "zero_velocity": "#264653",
    "constant_velocity": "#2a9d8f",
    "damped_velocity": "#8ab17d",
    "kalman_constant_acceleration": "#b08900",
    "damped_pose": "#457b9d",
}
_STATES = {
    TrackState.WARMING_UP: "#cbd2dc",
    TrackState.TRACKING: "#2a9d8f",
    TrackState.DEGRADED: "#e9c46a",
    TrackState.STALE: "#e76f51",
    TrackState.ABSENT: "#9b2226",
}
_BONES = np.array(BONES)
#: From one standing figure to the next, metres.
_FIGURE_WIDE = 1.8
#: Height of a worst moment's cell, with its two lines, where its width is 1.
_CELL_HIGH = 1.3
_THEN: dict[str, Any] = {"colors": _SEEN, "linewidths": 5.5, "zorder": 1}
_NOW: dict[str, Any] = {"colors": _INK, "linewidths": 1.4, "zorder": 2}
_AHEAD: dict[str, Any] = {"colors": _PREDICTED, "linewidths": 2.2, "zorder": 3}
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "font.family": "sans-serif",
    "svg.fonttype": "none",
    "svg.hashsalt": "aux_motion",
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def _svg(figure: Figure, whole: bool = False) -> str:
    """The figure, cut to what is drawn, or the whole of it."""
    text = StringIO()
    # "tight" would draw everything once more before it asks
    box = None if whole else figure.get_tightbbox().padded(0.08)
    figure.savefig(text, format="svg", bbox_inches=box, metadata={"Date": None})
    return text.getvalue()


def load() -> None:
    """Load what matplotlib loads with the first picture."""
    with rc_context(_STYLE):
        figure, axis = _subplots(figsize=(1.0, 1.0))
        axis.plot([0.0, 1.0], label="a")
        axis.legend()
        _svg(figure)


def _subplots(rows: int = 1, columns: int = 1, *, figsize: tuple[float, float], **options: Any) -> tuple[Figure, Any]:
    """As pyplot's, which takes long to load."""
    figure = Figure(figsize=figsize)
    return figure, figure.subplots(rows, columns, **options)


def _plain(figsize: tuple[float, float]) -> tuple[Figure, Axes]:
    """One area without axes, both directions alike: several of them would cost more than what is drawn."""
    figure = Figure(figsize=figsize)
    axis = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axis.axis("off")
    axis.set_aspect("equal")
    return figure, axis


def _colour(source: str) -> str:
    return _COLOURS.get(source, _MUTED)


def _words(name: str) -> str:
    return name.replace("_", " ")


def error_over_horizon(summary: dict[str, Any]) -> str:
    """Mean error of every source over the horizon, with the intervals of the first one and of the best other."""
    keys = list(summary["errors_mm"])
    horizons = [float(k) for k in keys]
    sources = summary["sources"]
    with rc_context(_STYLE):
        figure, axes = _subplots(figsize=(8.2, 4.4))
        mean = {s: [summary["errors_mm"][k][s]["mean"] for k in keys] for s in sources}
        for number, source in enumerate(sources):
            first = number == 0
            axes.plot(
                horizons, mean[source], color=_colour(source), marker="o", lw=3 if first else 1.6,
                ms=6 if first else 4, zorder=5 if first else 3, label=_words(source),
            )  # fmt: skip
            low = [summary["errors_mm"][k][source]["low"] for k in keys]
            high = [summary["errors_mm"][k][source]["high"] for k in keys]
            if first and None not in low:
                axes.fill_between(horizons, low, high, color=_colour(source), alpha=0.16, lw=0, zorder=1)
            elif None not in low:
                below = np.subtract(mean[source], low)
                above = np.subtract(high, mean[source])
                shifted = np.array(horizons) + 0.006 * (number - len(sources) / 2)
                axes.errorbar(
                    shifted, mean[source], yerr=[below, above], fmt="none", ecolor=_colour(source), alpha=0.45, lw=1
                )
        usual = max(v for s in sources if s in (sources[0], "zero_velocity") for v in mean[s])
        worst = max(v for row in mean.values() for v in row)
        top = min(1.08 * worst, 1.7 * usual)  # one that runs away does not flatten the rest
        axes.set_ylim(0, top)
        axes.set_xlim(0, 1.03 * horizons[-1])
        out = [s for s in sources if max(mean[s]) > top]
        axes.set_xlabel("seconds ahead")
        axes.set_ylabel("mean joint error, mm")
        axes.grid(color=_GRID, lw=0.8)
        title = f"{', '.join(map(_words, out))}: up to {max(max(mean[s]) for s in out):.0f} mm" if out else ""
        axes.legend(
            loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9,
            title=title and f"off the top:\n{title}", title_fontsize=8,
        )  # fmt: skip
        return _svg(figure)


def joint_map(summary: dict[str, Any], keys: list[str]) -> str:
    """Mean error of each joint, drawn on a standing figure seen from the front, one for each horizon."""
    flat = REST_POSE[:, 1:].copy()
    # arms and feet away from the trunk, so that numbers do not cover each other
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, y, z in (("elbow", 0.42, 0.22), ("wrist", 0.6, 0.02), ("hand", 0.7, -0.12), ("shoulder", 0.21, 0.42)):
            flat[INDEX[f"{side}_{name}"]] = (sign * y, z)
        for name, y, z in (("hip", 0.13, -0.06), ("knee", 0.19, -0.46), ("ankle", 0.22, -0.82), ("foot", 0.34, -0.95)):
            flat[INDEX[f"{side}_{name}"]] = (sign * y, z)
    flat[INDEX["neck"]], flat[INDEX["head"]] = (0.0, 0.46), (0.0, 0.66)
    flat[INDEX["pelvis"]] = (0.0, 0.03)
    first = summary["sources"][0]
    with rc_context(_STYLE):
        figure, axis = _plain(figsize=(3.2 * len(keys), 4.0))
        for column, key in enumerate(keys):
            joints = summary["joints_mm"].get(key, {})
            value = np.array([joints[j][first]["mean"] if j in joints else np.nan for j in JOINTS], float)
            shown = flat + (_FIGURE_WIDE * column, 0.0)
            axis.add_collection(LineCollection(shown[_BONES], colors=_GRID, lw=5, capstyle="round", zorder=1))
            has = np.isfinite(value)
            low, high = (0.0, float(np.nanmax(value))) if has.any() else (0.0, 1.0)
            axis.scatter(*shown[~has].T, s=60, facecolor="white", edgecolor=_SEEN, zorder=2)
            axis.scatter(
                *shown[has].T, s=520, c=value[has], cmap="YlOrRd", vmin=low, vmax=high, edgecolor="white", lw=1,
                zorder=3,
            )  # fmt: skip
            for (x, z), v in zip(shown[has], value[has], strict=True):
                dark = v > 0.62 * high
                axis.text(
                    x, z, f"{v:.0f}", ha="center", va="center", fontsize=7.5, zorder=4,
                    color="white" if dark else _INK,
                )  # fmt: skip
            axis.text(_FIGURE_WIDE * column, 0.84, f"{key} s ahead, mm", fontsize=10, color=_MUTED, ha="center")
        axis.set(xlim=(-0.85, _FIGURE_WIDE * (len(keys) - 1) + 0.85), ylim=(-1.08, 0.9))
        return _svg(figure, whole=True)


def _side(moment: WorstMoment) -> np.ndarray:
    """(3,) horizontal direction in which prediction and truth differ or the person moves most."""
    good = np.isfinite(moment.truth).all(1)
    moves = np.concatenate(
        [
            (moment.truth - moment.present)[good, :2],
            (moment.predicted - moment.present)[:, :2],
            (moment.predicted - moment.truth)[good, :2],
        ]
    )
    values, vectors = np.linalg.eigh(moves.T @ moves)
    along = vectors[:, -1] if values[-1] > 1e-9 else np.array([1.0, 0.0])
    return np.array([along[0], along[1], 0.0])


def _flat(pose: np.ndarray, side: np.ndarray) -> np.ndarray:
    """(J, 2) of a pose (J, 3), seen from that side."""
    return np.stack([pose @ side, pose[:, 2]], -1)


def _bones(flat: np.ndarray) -> np.ndarray:
    """(B, 2, 2) ends of the bones of which both are known."""
    bones = flat[_BONES]
    if not np.isfinite(flat[INDEX["spine"]]).all():  # few trackers have one
        bones = np.concatenate([bones, flat[None, [INDEX["pelvis"], INDEX["neck"]]]])
    return bones[np.isfinite(bones).all((1, 2))]


def worst_moments(moments: list[WorstMoment]) -> str:
    """The worst moments as small pictures, seen from the side on which prediction and truth differ most."""
    columns = 4
    rows = -(-len(moments) // columns)
    with rc_context(_STYLE):
        figure, axis = _plain(figsize=(2.8 * columns, 3.2 * rows + 0.2))
        for number, moment in enumerate(moments):
            side = _side(moment)
            poses = [_flat(pose, side) for pose in (moment.truth, moment.present, moment.predicted)]
            points = np.concatenate([pose[np.isfinite(pose).all(1)] for pose in poses])
            middle = (points.min(0) + points.max(0)) / 2
            half = max(np.ptp(points, axis=0).max() / 2 + 0.12, 1.0)
            at = np.array([number % columns, -_CELL_HIGH * (number // columns)])
            for pose, style in zip(poses, (_THEN, _NOW, _AHEAD), strict=True):
                bones = at + (_bones(pose) - middle) / (2.0 * half)
                axis.add_collection(LineCollection(bones, capstyle="round", **style))
            others = {k: v for k, v in moment.others_m.items() if np.isfinite(v)}
            still = others.get("zero_velocity")
            beside = f" (staying: {1e3 * still:.0f})" if still is not None else ""
            axis.text(
                *(at + (0.0, 0.54)), f"{moment.person_id}, {moment.at_s:.1f} s\n{1e3 * moment.error_m:.0f} mm{beside}",
                fontsize=9, color=_INK, ha="center", va="bottom",
            )  # fmt: skip
        axis.set(xlim=(-0.5, columns - 0.5), ylim=(-_CELL_HIGH * (rows - 1) - 0.65, 0.78))
        horizon_s = moments[0].horizon_s
        figure.legend(
            handles=[
                Line2D([], [], color=style["colors"], lw=style["linewidths"], label=label)
                for style, label in (
                    (_NOW, "when predicted"),
                    (_AHEAD, f"predicted for {horizon_s:.1f} s later"),
                    (_THEN, f"seen {horizon_s:.1f} s later"),
                )
            ],
            loc="lower center", ncols=3, frameon=False,
        )  # fmt: skip
        return _svg(figure, whole=True)


def timeline(summary: dict[str, Any], line: Timeline) -> str:
    """States of each person over time with gaps of the input, and the error at 0.4 s below."""
    people = list(line.people)
    stretches = summary["timeline"]["states"]
    end_s = max([summary["input"]["duration_s"], *(s["to_s"] for parts in stretches.values() for s in parts)] or [1.0])
    with rc_context(_STYLE):
        figure, (top, bottom) = _subplots(
            2, 1, figsize=(10.5, 1.6 + 0.34 * len(people) + 1.6), sharex=True,
            gridspec_kw={"height_ratios": (0.5 + 0.34 * len(people), 1.7), "hspace": 0.18},
        )  # fmt: skip
        for row, name in enumerate(people):
            for part in stretches[name]:
                top.barh(
                    row, part["to_s"] - part["from_s"], left=part["from_s"], height=0.62,
                    color=_STATES[TrackState[part["state"]]], lw=0,
                )  # fmt: skip
        for gap in summary["input"]["gaps"]["longest"]:
            for axis in (top, bottom):
                axis.axvspan(gap["at_s"], gap["at_s"] + gap["length_s"], color=_INK, alpha=0.12, lw=0)
        for jump in summary["input"]["stamps"]["jumped"]:
            top.axvline(jump["at_s"], color="#d00000", lw=1.2, ls="--")
        top.set_yticks(range(len(people)), people)
        top.set_ylim(len(people) - 0.4, -0.6)
        top.tick_params(axis="y", length=0)
        used = {part["state"] for parts in stretches.values() for part in parts}
        handles = [Patch(color=c, label=s.name.lower()) for s, c in _STATES.items() if s.name in used]
        if summary["input"]["gaps"]["count"]:
            handles.append(Patch(color=_INK, alpha=0.12, label="gap of the input"))
        top.legend(
            handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(handles), frameon=False, fontsize=9
        )
        at_s, error_m = line.error_m()
        # people come and go: no line over times without a prediction
        breaks = np.flatnonzero(np.diff(at_s) > 3.0 * line.bin_s) + 1
        at_s, error_m = np.insert(at_s, breaks, np.nan), np.insert(error_m, breaks, np.nan)
        bottom.plot(at_s, 1e3 * error_m, color=_PREDICTED, lw=1.3)
        key = list(summary["errors_mm"])[min(1, len(summary["errors_mm"]) - 1)] if summary["errors_mm"] else "0.4"
        bottom.set(xlim=(0, end_s), xlabel="seconds from the start", ylabel=f"error {key} s\nahead, mm")
        bottom.set_ylim(bottom=0)
        bottom.grid(color=_GRID, lw=0.8)
        return _svg(figure)


def bounds(summary: dict[str, Any]) -> str:
    """How often each kind of bound held, and how large it was, over the horizon."""
    with rc_context(_STYLE):
        figure, (left, right) = _subplots(1, 2, figsize=(10.5, 3.4), gridspec_kw={"wspace": 0.25})
        for number, (label, kind) in enumerate(summary["bounds"].items()):
            keys = [k for k, c in kind["horizons"].items() if c["coverage"] is not None]
            cells = [kind["horizons"][k] for k in keys]
            horizons = [float(k) for k in keys]
            colour = colormaps["tab10"](number)
            left.plot(horizons, [100 * c["coverage"] for c in cells], color=colour, marker="o", label=label)
            if cells and all(c["low"] is not None for c in cells):
                left.fill_between(
                    horizons,
                    [100 * c["low"] for c in cells],
                    [100 * c["high"] for c in cells],
                    color=colour,
                    alpha=0.15,
                    lw=0,
                )
            if kind["nominal"] is not None:
                left.axhline(100 * kind["nominal"], color=colour, ls="--", lw=1)
            right.plot(horizons, [c["radius_mm"]["median"] for c in cells], color=colour, marker="o", label=label)
        horizons = summary["horizons_s"]
        right.plot(horizons, [1600 * h for h in horizons], color=_MUTED, ls=":", label="1.6 m/s (ISO 13855)")
        left.set(xlabel="seconds ahead", ylabel="joints within the bound, %")
        left.set_ylim(top=101)
        right.set(xlabel="seconds ahead", ylabel="median radius, mm")
        calibrated = [k for k in summary["bounds"].values() if k["nominal"] is not None]
        medians = [c["radius_mm"]["median"] or 0.0 for k in calibrated for c in k["horizons"].values()]
        # the reach set of somebody fast would flatten what the others carry
        right.set_ylim(bottom=0, top=1.5 * max(*medians, 1600 * horizons[-1]) if medians else None)
        for axis in (left, right):
            axis.grid(color=_GRID, lw=0.8)
        right.legend(frameon=False, fontsize=8.5)
        return _svg(figure)


def fault_curves(summary: dict[str, Any], key: str) -> str:
    """Error over the strength of each fault at one horizon: what is published, the mix, and the strongest baselines."""
    curves = summary["faults"]["curves"]
    first = summary["sources"][0]
    shown = [s for s in (first, "mix", "damped_pose", "zero_velocity") if s in summary["sources"]]
    shown = list(dict.fromkeys(shown))
    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    with rc_context(_STYLE):
        figure, axes = _subplots(
            rows, columns, figsize=(2.75 * columns + 0.6, 2.4 * rows), squeeze=False, sharey=True,
            gridspec_kw={"hspace": 0.55, "wspace": 0.1},
        )  # fmt: skip
        for axis in axes.ravel()[len(curves) :]:
            axis.axis("off")
        for axis, (name, points) in zip(axes.ravel(), curves.items(), strict=False):
            points = [p for p in points if key in p["mpjpe_mm"]]
            x = [100 * p["fraction"] for p in points]
            for source in shown:
                axis.plot(
                    x, [p["mpjpe_mm"][key][source] for p in points], color=_colour(source), marker="o", ms=3,
                    lw=2.4 if source == first else 1.3, label=_words(source),
                )  # fmt: skip
            full = points[-1]["faults"] if points and name != "all" else "all of them"
            axis.set_title(full, fontsize=9)
            axis.set_xlabel("% of that", fontsize=8)
            axis.grid(color=_GRID, lw=0.8)
        axes[0, 0].set_ylim(bottom=0, top=axes[0, 0].get_ylim()[1])  # after all are drawn: they share it
        for row in axes:
            row[0].set_ylabel(f"error {key} s ahead, mm", fontsize=8.5)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.1, 1.0 + 0.16 / rows), ncols=4, frameon=False
        )
        return _svg(figure)


def learning_curve(summary: dict[str, Any], keys: list[str]) -> str:
    """Error of each minute with what was learnt, of the model alone and of the best baseline, with intervals."""
    found = summary["learning"]
    first, model, *others = found["sources"]
    with rc_context(_STYLE):
        figure, axes = _subplots(1, len(keys), figsize=(4.4 * len(keys), 2.9), squeeze=False)
        for axis, key in zip(axes[0], keys, strict=True):
            rows = [(m["minute"] + 1, m["errors_mm"][key]) for m in found["minutes"] if key in m["errors_mm"]]
            x = [minute for minute, _ in rows]
            sums = {o: sum(v[o][0] for _, v in rows) for o in others if all(o in v for _, v in rows)}
            best = [min(sums, key=lambda o: sums[o])] if sums else []
            for source in (model, first, *best):
                mean, low, high = (np.array([v[source][k] for _, v in rows]) for k in range(3))
                axis.plot(x, mean, color=_colour(source), marker="o", ms=3, label=_words(source))
                axis.fill_between(x, low, high, color=_colour(source), alpha=0.15, lw=0)
            axis.set_title(f"{key} s ahead", fontsize=9)
            axis.set_xlabel("minute")
            axis.set_ylim(bottom=0)
            axis.grid(color=_GRID, lw=0.8)
        axes[0, 0].set_ylabel("error, mm")
        axes[0, -1].legend(frameon=False, fontsize=8)
        return _svg(figure)
