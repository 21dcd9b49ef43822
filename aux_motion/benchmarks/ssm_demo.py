# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion ssm --demo`: a robot arm beside recorded people, slowed down by one monitor after the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from aux_motion.benchmarks.ssm_recordings import TIERS, given_motions, sample_motions
from aux_motion.benchmarks.ssm_summary import MONITORS, PREDICTIONS, Run, summarise, text
from aux_motion.nodes.parameters import default_model_dir
from aux_motion_core.bounds.separation_bound import load_separation_bound
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.closed_loop import (
    FRAME,
    LoopOutcome,
    LoopSetting,
    Motion,
    fastest_joint,
    observe,
    occupancies,
    placements,
    run_loop,
    without_bound,
)
from aux_motion_core.inference import artefact
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.safety.anthropometry import body
from aux_motion_core.safety.occupancy import BoundKind, Occupancy, OccupancyBuilder, OccupancyConfig
from aux_motion_core.safety.separation import SeparationConfig
from aux_motion_core.types import PredictionBatch, SkeletonFrame, TrackState

#: Uncertainty of the measured position, Z_d, and in the bounds of predictions: four sigma of the replay's noise.
_Z_D_M = 0.02


class _Knowledge:
    """What each monitor knows of a clip, made once for all places.

    Args:
        model: model folder.
        setting: rates and delays.
    """

    def __init__(self, model: Path, setting: LoopSetting) -> None:
        # a monitor looks less far than half a second; what the tracker is wrong by is the same for all monitors
        config = PredictorConfig(body_horizon_s=0.5, tracker_error_m=_Z_D_M)
        self.setting = setting
        self.builder = OccupancyBuilder(OccupancyConfig(), config.reach_speed_mps)
        self.model = Predictor(make_backend("onnx", str(model)), config, FRAME)
        self.still = Predictor(make_backend("zero_velocity", ""), config, FRAME)
        self.straight = Predictor(make_backend("constant_velocity", ""), config, FRAME)
        self.marginal = OccupancyBuilder(OccupancyConfig(occupancy_bound="marginal"), config.reach_speed_mps)
        table = load_separation_bound(model, artefact.load(model).onnx_sha256)
        separation = OccupancyConfig(occupancy_bound="separation")
        self.separation = OccupancyBuilder(separation, config.reach_speed_mps, table, _Z_D_M)
        self.kinds = np.zeros((len(PREDICTIONS), len(BoundKind)), int)

    def of(self, clip: Motion, seed: int) -> dict[str, tuple[list[Occupancy], SeparationConfig, np.ndarray | None]]:
        """Occupancies, configuration and measured speed of each monitor."""
        frames = observe(clip, self.setting, seed)
        latency_s = self.setting.latency_s
        model, marginal, separation = self._model(frames)
        still = occupancies(frames, self.still, self.builder, latency_s)
        straight = occupancies(frames, self.straight, self.builder, latency_s, without_bound)
        present = SeparationConfig(formulation="present_body", human_speed_mps=1.6, person_error_m=_Z_D_M)
        swept = SeparationConfig(formulation="swept_occupancy")
        coming = {"human_speed_from": "approach"}
        return {
            "no_prediction": (model, present, fastest_joint(frames)),
            "fixed_speed": (model, present, None),
            "constant_velocity": (straight, swept, None),
            "reach_set": (still, swept, None),
            "simultaneous": (model, swept, None),
            "marginal": (marginal, swept, None),
            "separation": (separation, swept, None),
            "approach": (model, present.model_copy(update=coming), None),
            "separation_approach": (separation, swept.model_copy(update=coming), None),
        }

    def _model(self, frames: list[SkeletonFrame]) -> list[list[Occupancy]]:
        """The model's predictions with each kind of bound; they are made once."""
        batches: list[PredictionBatch] = []
        occupancies(frames, self.model, self.builder, self.setting.latency_s, lambda b: batches.append(b) or b)
        out = []
        for k, builder in enumerate((self.builder, self.marginal, self.separation)):
            out.append([builder.build(batch) for batch in batches])
            for occupancy in out[-1]:
                tracked = [s in (TrackState.TRACKING, TrackState.DEGRADED) for s in occupancy.states]
                self.kinds[k] += np.bincount(occupancy.kind[tracked].reshape(-1), minlength=len(BoundKind))
        return out


def _runs(motions: list[Motion], knowledge: _Knowledge, thickness: Any) -> Iterator[Run]:
    for k, clip in enumerate(motions):
        known = knowledge.of(clip, seed=k)
        for rotation, translation in placements(clip, TIERS[clip.tier][0], seed=k):
            for name in MONITORS:
                occupancy, config, speed = known.get(name, (None, None, None))
                place = (rotation, translation)
                outcome = run_loop(clip, thickness, occupancy, config, knowledge.setting, *place, speed)
                yield Run(clip.tier, clip.name, name, outcome)


def run(out: Path, data: Path | None = None, model: Path | None = None, progress: bool = True) -> dict[str, Any]:
    """Replay, judge and write summary.json, table.txt and ssm.png.

    Args:
        out: folder to write to.
        data: folder of recordings (`ssm_recordings.given_motions`), beside the sample; None: the sample alone.
        model: model folder; None: the shipped one.
        progress: show a bar.

    Returns:
        What summary.json holds.

    Raises:
        ValueError: one line on what is missing.
    """
    from aux_motion.benchmarks import ssm_plot  # needs matplotlib: where it is missing, say so before the work

    folder = model or default_model_dir()
    setting = LoopSetting()
    knowledge = _Knowledge(folder, setting)
    motions = sample_motions(Path(__file__).resolve().parents[2] / "samples")
    if data is not None:
        motions += given_motions(data)
    thickness = body()
    total = sum(TIERS[m.tier][0] for m in motions) * len(MONITORS)
    runs = list(tqdm(_runs(motions, knowledge, thickness), total=total, unit=" runs", disable=not progress or None))
    options = "" if data is None else f" --data {data}"
    command = f"aux-motion ssm --demo{options} --out {out}" + ("" if model is None else f" --model {model}")
    used = knowledge.model.backend
    shared = asdict(setting) | {"z_d_m": _Z_D_M}
    summary = {"command": command, **summarise(runs, f"{used.name} {used.version}", knowledge.kinds, shared)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    (out / "table.txt").write_text(text(summary) + "\n", encoding="utf-8")
    ssm_plot.picture(summary, _example(runs), out / "ssm.png")
    return summary


def _example(runs: list[Run]) -> tuple[str, dict[str, LoopOutcome]]:
    """The run in which the separation bound and the fixed speed differ most, as (name, outcome of each monitor)."""
    n = len(MONITORS)
    groups = [runs[i : i + n] for i in range(0, len(runs), n)]

    def difference(group: list[Run]) -> float:
        by = {r.monitor: r.outcome for r in group}
        return by["separation"].progress_s - by["fixed_speed"].progress_s

    best = max(groups, key=difference)
    return best[0].clip, {r.monitor: r.outcome for r in best}
