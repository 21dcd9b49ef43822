# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A robot beside somebody who suddenly moves towards it: which monitor is then too fast, and for how long.

The robot stands in one pose and its monitor decides how fast it might move. A violation, as in docs/planners.md:
until it could stand, the true body comes nearer than its way of reaction and stop.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from aux_motion_core.bounds.separation_bound import load_separation_bound
from aux_motion_core.config import PredictorConfig
from aux_motion_core.constants import NS
from aux_motion_core.inference import artefact
from aux_motion_core.inference.interface import Backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.safety.anthropometry import SEGMENT_JOINTS
from aux_motion_core.safety.occupancy import OccupancyBuilder, OccupancyConfig
from aux_motion_core.safety.robot import Robot
from aux_motion_core.safety.separation import Monitor, SeparationConfig, distances
from aux_motion_core.testing.sudden import SUDDEN, TOWARDS_MINUS_X, WALKS_BEFORE, Motion
from aux_motion_core.types import View, ViewReport
from training.studies.sudden_people import ONSET_NS, Setting, seen

_TRUTH_S = 0.02
#: name -> bound of the occupancy, and how the monitor decides. It rises at once, so that only the bound holds it back.
_AT_ONCE: dict[str, Any] = {"resume_after_s": 0.0, "rise_per_s": 100.0}
MONITORS: dict[str, tuple[str, SeparationConfig]] = {
    "fixed": ("simultaneous", SeparationConfig(formulation="present_body", **_AT_ONCE)),
    "separation": ("separation", SeparationConfig(**_AT_ONCE)),
    "separation_alone": ("separation", SeparationConfig(faster_than_fixed=True, **_AT_ONCE)),
    "simultaneous": ("simultaneous", SeparationConfig(**_AT_ONCE)),
    "approach": (
        "simultaneous",
        SeparationConfig(formulation="present_body", human_speed_from="approach", **_AT_ONCE),
    ),
    "separation_approach": ("separation", SeparationConfig(human_speed_from="approach", **_AT_ONCE)),
}


@dataclass(frozen=True)
class Approaches:
    """Where people are when they begin.

    Attributes:
        distances_m: of the pelvis in front of the robot's tool, at the onset.
        latency_s: from capture to decision.
        flesh_m: true thickness about the bones, small on purpose.
        before_s, after_s: decisions so long before and after the onset are judged.
    """

    distances_m: tuple[float, ...] = (0.9, 1.2, 1.5, 1.8, 2.2, 2.6)
    latency_s: float = 0.04
    flesh_m: float = 0.05
    before_s: float = 0.5
    after_s: float = 0.7


@dataclass
class Tally:
    """One monitor in one approach: decisions that were too fast, and by how much at worst; full speed before it."""

    wrong: int = 0
    worst_m: float = 0.0
    full_before: bool = False


def placed(name: str, motion: Motion, tool_x_m: float, distance_m: float) -> Motion:
    """The motion turned towards -x, beginning that far in front of the tool."""
    yaw = TOWARDS_MINUS_X.get(name, np.pi)
    turn = np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    return lambda t: motion(t) @ turn.T + np.array([tool_x_m + distance_m, 0.0, 0.0])


class Truth:
    """Distance of the true body from the robot, looked at every 0.02 s."""

    def __init__(self, motion: Motion, robot: Robot, flesh_m: float, from_s: float, until_s: float) -> None:
        self._first = int(np.floor(from_s / _TRUTH_S))
        times = _TRUTH_S * np.arange(self._first, int(np.ceil(until_s / _TRUTH_S)) + 1)
        ends = motion(times)[:, SEGMENT_JOINTS][:, None]  # (n, 1, G, 2, 3)
        radius = np.full(ends.shape[:3], flesh_m)
        self._metres = distances(ends, radius, *robot.capsules()).metres[:, 0]

    def least(self, from_s: float, until_s: float) -> float:
        """Least distance between two times, metres."""
        a, b = int(np.floor(from_s / _TRUTH_S)) - self._first, int(np.ceil(until_s / _TRUTH_S)) - self._first
        return float(self._metres[max(a, 0) : b + 1].min())


def short_by_m(robot: Robot, fraction: float, truth: Truth, at_s: float) -> float:
    """By how much the true distance falls below the robot's way of reaction and stop; 0 where it does not."""
    if fraction <= 0.0:
        return 0.0
    stop_s, stop_m = robot.stop(np.array([fraction]))
    needed = fraction * robot.max_speed_mps * robot.reaction_time_s + float(stop_m[0])
    near = truth.least(at_s, at_s + robot.reaction_time_s + float(stop_s[0]))
    return max(needed - near, 0.0)


def one(
    predictor: Predictor,
    builders: dict[str, OccupancyBuilder],
    motion: Motion,
    robot: Robot,
    setting: Setting,
    where: Approaches,
    seed: int,
) -> dict[str, Tally]:
    """All monitors in one approach."""
    longest_s = where.latency_s + robot.reaction_time_s + float(robot.stop(np.array([1.0]))[0][0])
    truth = Truth(motion, robot, where.flesh_m, -where.before_s, where.after_s + longest_s)
    monitors = {name: Monitor(robot, config) for name, (_, config) in MONITORS.items()}
    tallies = {name: Tally() for name in MONITORS}
    predictor.reset()
    for frame in seen(motion, setting, seed, where.after_s):
        predictor.add(frame)
        captured_s = (frame.stamp_ns - ONSET_NS) / NS
        now_s = captured_s + where.latency_s
        now_ns = frame.stamp_ns + round(where.latency_s * NS)
        batch = replace(predictor.predict(now_ns), view=ViewReport(View.COMPLETE, oldest_input_ns=frame.stamp_ns))
        if captured_s < -where.before_s - 1e-6:
            continue
        known = {bound: builder.build(batch) for bound, builder in builders.items()}
        for name, (bound, _) in MONITORS.items():
            fraction = monitors[name].decide(now_ns, known[bound], robot.capsules()).allowed_speed_fraction
            short = short_by_m(robot, fraction, truth, now_s)
            tally = tallies[name]
            tally.wrong += short > 0.0
            tally.worst_m = max(tally.worst_m, short)
            tally.full_before |= fraction >= 0.99 and now_s < 0.0
    return tallies


def approaches(
    model: Path,
    backend: Backend,
    robot: Robot,
    motions: list[str],
    setting: Setting,
    where: Approaches,
    progress: bool = True,
) -> dict[str, Any]:
    """Every motion from every distance: violations of each monitor."""
    config = PredictorConfig()
    table = load_separation_bound(model, artefact.load(model).onnx_sha256)
    builders = {
        "simultaneous": OccupancyBuilder(OccupancyConfig(), config.reach_speed_mps),
        "separation": OccupancyBuilder(
            OccupancyConfig(occupancy_bound="separation"), config.reach_speed_mps, table, config.tracker_error_m
        ),
    }
    predictor = Predictor(backend, config, "cell")
    tool_x_m = float(robot.capsules()[0][..., 0].max())
    found: dict[str, dict[str, list[Tally]]] = {name: {} for name in MONITORS}
    for motion in tqdm(motions, desc="approaches", disable=not progress, leave=False):
        for k, distance_m in enumerate(where.distances_m):
            here = placed(motion, SUDDEN[motion], tool_x_m, distance_m)
            for name, tally in one(predictor, builders, here, robot, setting, where, seed=k).items():
                found[name].setdefault(motion, []).append(tally)
    return {
        "setting": asdict(where),
        "monitors": {
            name: {
                **_together([t for ts in of.values() for t in ts], setting.tracker_hz),
                "full_speed_beside_who_stands_from_m": _nearest_full(of, where.distances_m),
                "motions": {m: _together(ts, setting.tracker_hz) for m, ts in of.items()},
            }
            for name, of in found.items()
        },
    }


def _together(tallies: list[Tally], rate_hz: float) -> dict[str, Any]:
    return {
        "approaches": len(tallies),
        "violated": sum(t.wrong > 0 for t in tallies),
        "violated_s": round(sum(t.wrong for t in tallies) / rate_hz, 3),
        "worst_m": round(max(t.worst_m for t in tallies), 4),
    }


def _nearest_full(of: dict[str, list[Tally]], distances_m: tuple[float, ...]) -> float | None:
    """The least of the distances at which full speed was allowed beside somebody who stood, before the onset."""
    full = [d for m, ts in of.items() if m not in WALKS_BEFORE for d, t in zip(distances_m, ts) if t.full_before]
    return min(full) if full else None
