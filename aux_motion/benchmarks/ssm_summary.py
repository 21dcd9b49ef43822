# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the closed-loop replay of `aux-motion ssm --demo` showed, in figures and words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aux_motion.benchmarks.ssm_recordings import TIERS
from aux_motion_core.evaluation.closed_loop import LoopOutcome
from aux_motion_core.safety.occupancy import BoundKind

#: monitor -> what it does
MONITORS = {
    "unmonitored": "full speed always: what would happen without a monitor",
    "no_prediction": "present body, S_h with the speed of the fastest joint as it is now (ISO/TS 15066, v_h monitored)",
    "fixed_speed": "present body, S_h with 1.6 m/s (ISO/TS 15066, v_h not monitored)",
    "constant_velocity": "swept body, every joint going on at its velocity, believed as it is",
    "reach_set": "swept occupancy, everything within 2.0 m/s of the last pose (no prediction)",
    "simultaneous": "swept occupancy of the model, all joints at all times until 0.5 s within their bounds together",
    "marginal": "swept occupancy of the model, the bound of each joint and time on its own",
    "separation": "swept occupancy of the model, the bound calibrated on the distance to a robot (0.99)",
    "approach": "present body, S_h by the speed of each part of a body towards the robot (human_speed_from: approach)",
    "separation_approach": "as separation, and beside who stands the rule of approach instead of the fixed speed",
}
#: Monitors that use the model, by their bound.
PREDICTIONS = ("simultaneous", "marginal", "separation")
#: Monitors that are compared with the fixed speed.
COMPARED = (*PREDICTIONS, "approach", "separation_approach")


@dataclass
class Run:
    """One monitor beside one clip, at one place of the robot."""

    tier: str
    clip: str
    monitor: str
    outcome: LoopOutcome


def _figures(runs: list[Run]) -> dict[str, float]:
    outcomes = [r.outcome for r in runs]
    seconds = sum(o.seconds for o in outcomes)
    return {
        "seconds": round(seconds, 2),
        "time_lost_percent": round(max(0.0, 100.0 * (1.0 - sum(o.progress_s for o in outcomes) / seconds)), 2),
        "violations": int(sum(o.violations for o in outcomes)),
        "violated_s": round(sum(o.violated_s for o in outcomes), 3),
        "deepest_m": round(max(o.deepest_m for o in outcomes), 3),
        "contact_while_moving_s": round(sum(o.contact_s for o in outcomes), 3),
        "moving_s": round(sum(o.moving_s for o in outcomes), 2),
    }


def _gain(runs: list[Run], monitor: str, rounds: int = 2000) -> dict[str, float]:
    """By how many percent a monitor loses less time than the fixed speed, with a bootstrap over clips."""
    clips = sorted({r.clip for r in runs})
    lost = np.array(
        [
            [
                sum(r.outcome.seconds - r.outcome.progress_s for r in runs if r.clip == c and r.monitor == m)
                for m in ("fixed_speed", monitor)
            ]
            for c in clips
        ]
    )
    rng = np.random.default_rng(0)
    drawn = lost[rng.integers(len(clips), size=(rounds, len(clips)))].sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        each = 100.0 * (1.0 - drawn[:, 1] / drawn[:, 0])
    low, high = np.nanpercentile(each, [2.5, 97.5])
    fixed, prediction = lost.sum(0)
    gain = 100.0 * (1.0 - prediction / fixed) if fixed > 0 else float("nan")
    return {"less_time_lost_percent": round(gain, 1), "low": round(float(low), 1), "high": round(float(high), 1)}


def summarise(runs: list[Run], model: str, bounds: np.ndarray, setting: dict[str, float]) -> dict[str, Any]:
    """Everything that the table and the picture show.

    Args:
        runs: all of them.
        model: name and version.
        bounds: (monitors of `PREDICTIONS`, kinds of bound) how many bounds of each kind were used.
        setting: rates, delays and errors that all monitors share.
    """
    tiers = {}
    for tier in dict.fromkeys(r.tier for r in runs):
        mine = [r for r in runs if r.tier == tier]
        tiers[tier] = {
            "what": TIERS[tier][1],
            "clips": len({r.clip for r in mine}),
            "runs": len(mine) // len(MONITORS),
            "monitors": {m: _figures([r for r in mine if r.monitor == m]) for m in MONITORS},
            "against_fixed_speed": {m: _gain(mine, m) for m in COMPARED},
        }
    kinds = bounds / np.maximum(bounds.sum(1, keepdims=True), 1)
    return {
        "model": model,
        "monitors": MONITORS,
        "setting": setting,
        "kinds_of_bound": {
            m: {k.name.lower(): round(float(row[k]), 4) for k in BoundKind} for m, row in zip(PREDICTIONS, kinds)
        },
        "overall": {
            "monitors": {m: _figures([r for r in runs if r.monitor == m]) for m in MONITORS},
            "against_fixed_speed": {m: _gain(runs, m) for m in COMPARED},
        },
        "tiers": tiers,
        "violation": "the robot moves, and somebody, as they move until it could stand, comes nearer to where it is "
        "than its way of reaction and stop (S_r + S_s)",
    }


def text(summary: dict[str, Any]) -> str:
    """The summary as a table."""
    lines = [f"{summary['model']}; kinds of bound: " + _kinds(summary), ""]
    parts = [("overall", summary["overall"])] if len(summary["tiers"]) > 1 else []
    for name, part in [*summary["tiers"].items(), *parts]:
        seconds = part["monitors"]["unmonitored"]["seconds"]
        what = part.get("what", "all of them together")
        lines.append(f"{name}: {what} ({seconds:.0f} s)")
        lines.append(
            f"  {'monitor':<20} {'time lost':>9} {'violations':>10} {'violated':>9} {'deepest':>8} {'contact':>8}"
        )
        for monitor, f in part["monitors"].items():
            lines.append(
                f"  {monitor:<20}{f['time_lost_percent']:>9.1f} %{f['violations']:>11d}{f['violated_s']:>9.2f} s"
                f"{f['deepest_m']:>9.2f} m{f['contact_while_moving_s']:>9.2f} s"
            )
        for monitor, gain in part["against_fixed_speed"].items():
            lines.append("  " + gain_text(gain, monitor))
        lines.append("")
    lines.append("violation: " + summary["violation"])
    lines += [f"{name}: {what}" for name, what in summary["monitors"].items()]
    return "\n".join(lines)


def gain_text(gain: dict[str, float], subject: str) -> str:
    """How a monitor compares with the fixed speed, in words."""
    value = gain["less_time_lost_percent"]
    return (
        f"{subject} loses {abs(value):.0f} % {'less' if value >= 0 else 'more'} time than the fixed speed "
        f"(less by {gain['low']:.0f} to {gain['high']:.0f} %, bootstrap over clips)"
    )


def _kinds(summary: dict[str, Any]) -> str:
    parts = []
    for monitor, shares in summary["kinds_of_bound"].items():
        named = ", ".join(f"{100 * v:.0f} % {k}" for k, v in shares.items() if v >= 0.005)
        parts.append(f"{monitor} has {named}")
    return "; ".join(parts)
