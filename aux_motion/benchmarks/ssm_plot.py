# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The picture of `aux-motion ssm --demo` (needs matplotlib, extra `plots`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

os.environ["MPLBACKEND"] = "agg"  # the environment may name one that is not here, as Jupyter does
import matplotlib.pyplot as plt
import numpy as np

from aux_motion.benchmarks.ssm_summary import gain_text
from aux_motion_core.evaluation.closed_loop import LoopOutcome

_INK, _MUTED, _GRID = "#1f2430", "#8a8f9c", "#e4e6eb"
_COLOURS = {
    "unmonitored": "#c9ccd4",
    "no_prediction": "#8d6cab",
    "fixed_speed": "#264653",
    "constant_velocity": "#e9c46a",
    "reach_set": "#7f8fa6",
    "simultaneous": "#c5d9d5",
    "marginal": "#8fc7bd",
    "separation": "#2a9d8f",
    "approach": "#4f7f9b",
    "separation_approach": "#1b6f65",
}


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_MUTED)
    axes.tick_params(colors=_MUTED, labelcolor=_INK)
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)


def _bars(axes: Any, part: dict[str, Any]) -> None:
    names = [n for n in part["monitors"] if n != "unmonitored"]
    lost = [part["monitors"][n]["time_lost_percent"] for n in names]
    axes.bar(range(len(names)), lost, color=[_COLOURS[n] for n in names], width=0.65)
    for k, (name, value) in enumerate(zip(names, lost)):
        count = part["monitors"][name]["violations"]
        label = f"{value:.0f} %\n{count}"
        colour = "#b3261e" if count else _INK
        axes.text(k, value + 1.0, label, ha="center", va="bottom", fontsize=9, color=colour)
    axes.set_xticks(range(len(names)), [n.replace("_", "\n") for n in names], fontsize=8)
    axes.set_ylim(0, max([*lost, 10.0]) * 1.25)
    axes.set_ylabel("time lost (%); below it: violations")
    _plain(axes)


def picture(summary: dict[str, Any], example: tuple[str, dict[str, LoopOutcome]], path: Path) -> None:
    """Time lost by each monitor, and one run over time.

    Args:
        summary: of `ssm_demo.run`.
        example: name of a run and the outcomes of its monitors.
        path: PNG to write.
    """
    name, outcomes = example
    figure, (left, top, bottom) = plt.subplots(
        1, 3, figsize=(17, 5.0), width_ratios=(1.5, 1, 1), constrained_layout=True
    )
    part = summary["overall"]
    gain = gain_text(part["against_fixed_speed"]["separation"], "the separation bound")
    _bars(left, part)
    left.set_title(
        f"All runs, {part['monitors']['unmonitored']['seconds']:.0f} s beside people who do not give way:\n"
        + gain.replace(" (", "\n("),
        fontsize=10,
        color=_INK,
        loc="left",
    )
    for monitor in ("fixed_speed", "constant_velocity", "separation"):
        t, fraction = outcomes[monitor].trace[:, 0], outcomes[monitor].trace[:, 1]
        top.plot(t, fraction, color=_COLOURS[monitor], lw=2, label=monitor.replace("_", " "))
    top.set_ylim(-0.03, 1.1)
    top.set_xlabel("seconds")
    top.set_ylabel("speed fraction of the robot")
    top.set_title(f"{name}: how fast the robot is", fontsize=10, color=_INK, loc="left")
    top.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)
    _plain(top)
    for monitor in ("fixed_speed", "separation"):
        t, gap, needed = outcomes[monitor].trace[:, [0, 2, 3]].T
        bottom.plot(t, gap, color=_COLOURS[monitor], lw=2, label=f"true distance, {monitor.replace('_', ' ')}")
        bottom.fill_between(t, 0.0, needed, color=_COLOURS[monitor], alpha=0.25, lw=0)
    bottom.axhline(0.0, color=_MUTED, lw=1)
    shown = np.concatenate([outcomes[m].trace[:, 2] for m in ("fixed_speed", "separation")])
    bottom.set_ylim(min(0.0, float(np.nanmin(shown))) - 0.05, min(float(np.nanmax(shown)), 3.0) + 0.1)
    bottom.set_xlabel("seconds")
    bottom.set_ylabel("metres")
    bottom.set_title("the distance, and what reaction and stop need (filled)", fontsize=10, color=_INK, loc="left")
    bottom.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3)
    _plain(bottom)
    figure.savefig(path, dpi=110)
    plt.close(figure)
