# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Pictures of predictions (needs matplotlib, extra `plots`; never on the node's path)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ["MPLBACKEND"] = "agg"  # the environment may name one that is not here, as Jupyter does
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from aux_motion_core.evaluation.judge import Verdict
from aux_motion_core.skeleton import BONES, INDEX, derive_joints
from aux_motion_core.types import SkeletonFrame

_INK, _MUTED, _GRID = "#1f2430", "#8a8f9c", "#e4e6eb"
_SOON, _LATER, _SEEN = "#2a9d8f", "#e76f51", "#b9bec9"
_SOURCES = ("#e76f51", "#264653", "#2a9d8f", "#e9c46a", "#8d6cab", "#7f8fa6", "#c97b84")
_BONES = np.array(BONES)


@dataclass(frozen=True)
class PersonHistory:
    """One person over time, N frames, S predicted steps.

    Attributes:
        person_id: whose.
        time_s: (N,) from the start.
        positions: (N, 20, 3) metres, NaN where missing.
        predicted: (N, S, 20, 3) metres, NaN where nothing was predicted from that frame.
        dt_s: seconds from step to step.
    """

    person_id: str
    time_s: np.ndarray
    positions: np.ndarray
    predicted: np.ndarray
    dt_s: float


def _side(history: PersonHistory) -> np.ndarray:
    """(3,) horizontal unit vector along which the person moves most."""
    flat = np.nanmean(history.positions[..., :2], axis=1)
    ok = np.isfinite(flat).all(axis=-1)
    step = flat[ok] - flat[ok].mean(axis=0)
    spread = step.T @ step
    values, vectors = np.linalg.eigh(spread)
    along = vectors[:, -1]
    if values[-1] < 0.05**2 * len(step):  # hardly moves: seen from the front, across the shoulders or hips
        right = [INDEX["right_shoulder"], INDEX["right_hip"]]
        left = [INDEX["left_shoulder"], INDEX["left_hip"]]
        across = (history.positions[:, right, :2] - history.positions[:, left, :2]).reshape(-1, 2)
        mean = np.nanmean(across, axis=0) if np.isfinite(across).any() else along
        along = mean / np.linalg.norm(mean) if np.linalg.norm(mean) > 1e-6 else along
    else:
        along = along if along @ (flat[ok][-1] - flat[ok][0]) >= 0 else -along
    return np.array([along[0], along[1], 0.0])


def _skeleton(axes: plt.Axes, pose: np.ndarray, side: np.ndarray, **style: object) -> None:
    flat = np.stack([pose @ side, pose[:, 2]], axis=-1)
    bones = flat[_BONES]
    if not np.isfinite(pose[INDEX["spine"]]).all():  # few trackers have one
        bones = np.concatenate([bones, flat[None, [INDEX["pelvis"], INDEX["neck"]]]])
    bones = bones[np.isfinite(bones).all(axis=(1, 2))]
    axes.add_collection(LineCollection(bones, capstyle="round", **style))


def _truth(history: PersonHistory, time_s: float) -> np.ndarray | None:
    """(20, 3) pose seen at a time, None where the frames are too far apart."""
    after = int(np.searchsorted(history.time_s, time_s))
    if after == 0 or after >= len(history.time_s):
        return None
    before, span = after - 1, history.time_s[after] - history.time_s[after - 1]
    if span > 0.25:
        return None
    weight = (time_s - history.time_s[before]) / span
    return (1 - weight) * history.positions[before] + weight * history.positions[after]


def _moments(history: PersonHistory, count: int) -> list[int]:
    """Frames with a completely observed prediction: from each part of the time, the one with most motion."""
    ahead_s = history.predicted.shape[1] * history.dt_s
    ok = np.isfinite(history.predicted[:, 0, 0, 0]) & (history.time_s + ahead_s < history.time_s[-1])
    seen = np.isfinite(history.positions).all(axis=-1).sum(axis=1)
    whole = seen >= 0.8 * np.median(seen)
    for frame in np.flatnonzero(ok):
        later = _truth(history, history.time_s[frame] + ahead_s)
        whole[frame] &= later is not None and np.isfinite(later).all(axis=-1).sum() >= 0.8 * np.median(seen)
    candidates = np.flatnonzero(ok & whole) if (ok & whole).any() else np.flatnonzero(ok)
    chosen = []
    for part in np.array_split(candidates, count):
        if len(part):
            change = history.predicted[part, -1] - history.predicted[part, 0]
            order = np.argsort(np.linalg.norm(change, axis=-1).mean(axis=-1))
            chosen.append(int(part[order[int(0.8 * (len(part) - 1))]]))
    return chosen


def _draw_moments(figure: plt.Figure, grid: object, history: PersonHistory, count: int) -> None:
    side = _side(history)
    frames = _moments(history, count)
    cells = grid.subgridspec(1, max(len(frames), 1), wspace=0.03)
    steps = history.predicted.shape[1]
    soon, later = (min(round(s / history.dt_s) - 1, steps - 1) for s in (0.4, steps * history.dt_s))
    heights = history.predicted[np.isfinite(history.predicted[:, 0, 0, 0]), 0, :, 2]
    height_m = np.median(np.ptp(heights, axis=1))
    for column, frame in enumerate(frames):
        axes = figure.add_subplot(cells[0, column])
        present, predicted = history.positions[frame], history.predicted[frame]
        seen = _truth(history, history.time_s[frame] + steps * history.dt_s)
        if seen is not None:
            _skeleton(axes, seen, side, colors=_SEEN, linewidths=6.5, zorder=1)
        for share in np.linspace(0.15, 0.85, 5):  # in between, fading
            step = round(share * (steps - 1))
            _skeleton(axes, predicted[step], side, colors=_LATER, linewidths=0.8, alpha=0.22, zorder=2)
        _skeleton(axes, predicted[soon], side, colors=_SOON, linewidths=1.9, zorder=3)
        _skeleton(axes, predicted[later], side, colors=_LATER, linewidths=2.2, zorder=4)
        _skeleton(axes, present, side, colors=_INK, linewidths=2.2, zorder=5)
        shown = [present, predicted[later], *([seen] if seen is not None else [])]
        places = [np.nanmean(p, axis=0) for p in shown if np.isfinite(p).any()]
        x, z = np.array([p @ side for p in places]), np.array([p[2] for p in places])
        half_z = 0.62 * height_m + 0.5 * float(np.ptp(z))
        half_x = max(0.62 * height_m, 0.35 * height_m + 0.5 * float(np.ptp(x)))
        middle_x, middle_z = (x.min() + x.max()) / 2, (z.min() + z.max()) / 2
        axes.set(xlim=(middle_x - half_x, middle_x + half_x), ylim=(middle_z - half_z, middle_z + half_z))
        axes.set_aspect("equal")
        name = f"{history.person_id}, " if column == 0 else ""
        axes.set_title(f"{name}t = {history.time_s[frame]:.1f} s", fontsize=10, color=_MUTED)
        axes.axis("off")


def _legend(figure: plt.Figure, horizon_s: float, y: float) -> None:
    handles = [
        Line2D([], [], color=_INK, lw=2.2, label="now, as tracked"),
        Line2D([], [], color=_SOON, lw=2, label="predicted for 0.4 s later"),
        Line2D([], [], color=_LATER, lw=2.2, label=f"predicted for {horizon_s:.1f} s later"),
        Line2D([], [], color=_SEEN, lw=6.5, label=f"seen {horizon_s:.1f} s later"),
    ]
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.045, y), ncols=4, frameon=False)


def _draw_track(axes: plt.Axes, history: PersonHistory) -> None:
    """The liveliest joint's place along the way, and fans of what was predicted for it."""
    side = _side(history)
    along = history.positions @ side
    names = ["left_hand", "right_hand", "left_wrist", "right_wrist", "left_ankle", "right_ankle", "pelvis"]
    seen = {n: np.isfinite(along[:, INDEX[n]]).mean() for n in names}
    most = max(seen.values())
    joint = max((n for n in names if seen[n] > 0.8 * most), key=lambda n: np.nanstd(along[:, INDEX[n]]))
    column = INDEX[joint]
    offsets = history.dt_s * np.arange(1, history.predicted.shape[1] + 1)
    last = -1.0
    for frame in np.flatnonzero(np.isfinite(history.predicted[:, 0, 0, 0])):
        if history.time_s[frame] - last < 0.2:
            continue
        last = history.time_s[frame]
        place = history.predicted[frame, :, column] @ side
        line = np.stack([history.time_s[frame] + offsets, place], axis=-1)
        pieces = np.stack([line[:-1], line[1:]], axis=1)
        fade = np.linspace(0.85, 0.15, len(pieces))
        axes.add_collection(LineCollection(pieces, colors=_LATER, alpha=fade, linewidths=1.3, zorder=2))
    axes.plot(history.time_s, along[:, column], color=_INK, lw=2, zorder=3)
    axes.set(xlabel="time, s", ylabel="metres", xlim=(history.time_s[0], history.time_s[-1]))
    name = f"{history.person_id}, {joint.replace('_', ' ')}"
    axes.set_title(f"{name}: as tracked, and as predicted for the next second", loc="left", fontsize=11)


def _draw_errors(axes: plt.Axes, verdict: Verdict) -> None:
    keys = list(verdict.mpjpe_mm)
    horizons = [0.0, *(float(k) for k in keys)]
    for number, source in enumerate(verdict.mpjpe_mm[keys[0]] if keys else ()):
        values = [verdict.mpjpe_mm[k][source] for k in keys]
        main = number == 0
        axes.plot(
            horizons[1:], values, color=_SOURCES[number % len(_SOURCES)], marker="o", lw=3 if main else 1.5,
            markersize=6 if main else 3.5, label=source.replace("_", " "), zorder=5 if main else 3,
        )  # fmt: skip
    axes.set(xlabel="horizon, s", ylabel="mean joint error, mm")
    rows = verdict.mpjpe_mm.values()
    worst = max((v for row in rows for v in row.values()), default=1.0)
    usual = max((v for row in rows for k, v in row.items() if k in ("model", "zero_velocity")), default=worst)
    axes.set_ylim(0, 1.08 * min(worst, 1.5 * usual))  # a baseline that runs away does not flatten the rest
    axes.set_title("error against what was seen later", loc="left", fontsize=11)
    axes.legend(loc="upper left", framealpha=0.85, edgecolor="none", fontsize=9)


def prediction_picture(path: Path, people: Sequence[PersonHistory], verdict: Verdict, title: str) -> None:
    """Write a picture: people's skeletons at five moments each, one joint over time, errors over the horizon.

    Args:
        path: `.png`.
        people: at least one; a row of skeletons for each, the joint of the best seen one.
        verdict: errors to show.
        title: heading.
    """
    colours = {"axes.edgecolor": _MUTED, "axes.labelcolor": _INK, "text.color": _INK}
    with plt.rc_context({"font.size": 10, **colours}):
        rows = len(people)
        height = 4.9 + 3.0 * rows
        figure = plt.figure(figsize=(14, height), dpi=120, facecolor="white")
        grid = figure.add_gridspec(
            rows + 1, 2, height_ratios=(*([1.0] * rows), 1.25), width_ratios=(1.75, 1), hspace=0.16, wspace=0.14,
            left=0.055, right=0.985, top=1 - 1.1 / height, bottom=0.6 / height,
        )  # fmt: skip
        figure.suptitle(title, x=0.055, y=1 - 0.12 / height, ha="left", fontsize=15, fontweight="bold")
        _legend(figure, people[0].predicted.shape[1] * people[0].dt_s, 1 - 0.42 / height)
        for row, history in enumerate(people):
            _draw_moments(figure, grid[row, :], history, 5)
        track, errors = figure.add_subplot(grid[rows, 0]), figure.add_subplot(grid[rows, 1])
        _draw_track(track, max(people, key=lambda h: np.isfinite(h.positions).mean()))
        _draw_errors(errors, verdict)
        for axes in (track, errors):
            axes.grid(color=_GRID, lw=0.8)
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(colors=_MUTED)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)


def main_people(
    frames: Sequence[SkeletonFrame], predictions: dict[tuple[str, int], np.ndarray], dt_s: float, most: int = 2
) -> list[PersonHistory]:
    """The histories of the people with most predictions.

    Args:
        frames: in order.
        predictions: (person id, stamp_ns) -> (S, 20, 3) metres.
        dt_s: seconds from step to step.
        most: largest number of people; and nobody with less than a quarter of the first one's predictions.
    """
    count = Counter(person_id for person_id, _ in predictions)
    ranked = sorted(count, key=lambda i: (-count[i], i))[:most]
    people = []
    for person_id in [i for i in ranked if count[i] >= 0.25 * count[ranked[0]]]:
        steps = next(iter(predictions.values())).shape[0]
        rows = [(f, f.person_ids.index(person_id)) for f in frames if person_id in f.person_ids]
        rows.sort(key=lambda item: item[0].stamp_ns)
        stamps = np.array([f.stamp_ns for f, _ in rows])
        positions, status = derive_joints(
            np.stack([f.positions[i] for f, i in rows]), np.stack([f.status[i] for f, i in rows])
        )
        positions = np.where(status[..., None] > 0, positions, np.nan)
        nothing = np.full((steps, positions.shape[1], 3), np.nan)
        predicted = np.stack([predictions.get((person_id, int(s)), nothing) for s in stamps])
        time_s = (stamps - frames[0].stamp_ns) * 1e-9
        people.append(PersonHistory(person_id, time_s, positions, predicted, dt_s))
    return people
