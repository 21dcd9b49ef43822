# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Time of what planners take: capsules, their message, the separation monitor, the swept volume."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from aux_motion.nodes.planner_messages import CloudWriter, occupancy_message, swept_points
from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.safety.occupancy import OccupancyBuilder, OccupancyConfig
from aux_motion_core.safety.robot import Link, Robot, Stop
from aux_motion_core.safety.separation import Monitor
from aux_motion_core.testing import synthetic
from aux_motion_core.types import PredictionBatch, View, ViewReport

#: occupancy: capsules of every interval; occ_message: as the node publishes them; separation: one decision of the
#: monitor for a robot of six capsules; swept: 5 cm voxels and their cloud.
STAGES = ("occupancy", "occ_message", "separation", "swept")
_WARM_UP = 10


def _batch(people: int) -> PredictionBatch:
    predictor = Predictor(make_backend("damped_pose", ""), PredictorConfig(max_people=max(people, 1)), "map")
    for frame in synthetic.frames(people, 1.0, frame_id="map"):
        predictor.add(frame)
    batch = predictor.predict(frame.stamp_ns)
    # without a complete view the monitor decides nothing
    batch = replace(batch, view=ViewReport(View.COMPLETE, oldest_input_ns=batch.stamp_ns))
    bound = 0.05 + 0.01 * np.arange(batch.steps)[:, None] + np.zeros(len(batch.joint_names))
    return replace(batch, people=tuple(replace(p, body_radius=bound, body_coverage=0.95) for p in batch.people))


def _robot() -> Robot:
    links = tuple(
        Link(name=f"link_{k}", ends_m=((0.15 * k, 0.0, 0.5), (0.15 * (k + 1), 0.0, 0.6)), radius_m=0.08)
        for k in range(6)
    )
    stop = Stop(speed_fraction=1.0, time_s=0.35, distance_m=0.19)
    return Robot(max_speed_mps=1.0, reaction_time_s=0.1, stopping=(stop,), links=links)


def measure(people: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each of `STAGES`, `rounds` of them (fewer of the swept volume).

    Args:
        people: who walk, with a whole-body bound.
        rounds: measured rounds.
    """
    batch = _batch(people)
    builder, coarse = (OccupancyBuilder(OccupancyConfig(occupancy_interval_s=s)) for s in (0.04, 0.2))
    monitor, cloud = Monitor(_robot()), CloudWriter()
    capsules = monitor.robot.capsules()
    spent: dict[str, list[float]] = {s: [] for s in STAGES}
    for k in range(rounds + _WARM_UP):
        start = time.perf_counter()
        occupancy = builder.build(batch)
        built = time.perf_counter()
        occupancy_message(occupancy)
        written = time.perf_counter()
        monitor.decide(occupancy.stamp_ns + 1000 * k, occupancy, capsules)
        decided = time.perf_counter()
        if k % 10 == 0:
            points = list(swept_points(coarse.build(batch), 0.05))
            cloud.fill(points, "map", occupancy.stamp_ns)
            if k >= _WARM_UP:
                spent["swept"].append(time.perf_counter() - decided)
        if k >= _WARM_UP:
            spent["occupancy"].append(built - start)
            spent["occ_message"].append(written - built)
            spent["separation"].append(decided - written)
    return spent
