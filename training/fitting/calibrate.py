# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Calibrates an artefact's radii, on the project's data or on bags of a user's tracker.

`training.calibrate` is the command.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from aux_motion_core.bounds import novelty
from aux_motion_core.bounds.calibration import (
    MOTION_CAPTURE,
    Calibration,
    Domain,
    as_text,
)
from aux_motion_core.bounds.seal import sealed
from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference import artefact
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.skeleton import JOINTS
from training.data import load_split
from training.data.bag_clips import bag_clips, find_bags, joints_seen
from training.data.corrupt import CorruptionConfig, tracker_noise
from training.fitting.conformal import copies, fit
from training.fitting.judge import judge, left_out
from training.fitting.scores import BODIES, CALIBRATED_ON, CONDITIONS, NOISES, Scores, collect

FALSE_ALARM_RATE = 0.01
#: Between windows: each piece of evidence holds one or two.
_STRIDE_S = 0.88


def histories_of(
    histories: list, s: Scores, conditions: list[str], dt_s: float, rate: float = FALSE_ALARM_RATE
) -> object:
    """What input looks like that the calibration is good for (`ood.fit`): all conditions, and a tracker's noise."""
    values, mask = (np.concatenate([h[i] for h in histories]) for i in (0, 1))
    complete = s.condition == conditions.index("complete")
    rng = np.random.default_rng(7)
    bodies = [i for i, n in enumerate(conditions) if n in ("complete", *BODIES)]
    pick = np.flatnonzero(np.isin(s.condition, bodies))[::3]
    noisy = tracker_noise(rng, values[pick], CorruptionConfig(measured_share=0.5)).astype(np.float32)
    values, mask = np.concatenate([values, noisy]), np.concatenate([mask, mask[pick]])
    window = np.concatenate([s.window, s.window[pick]])
    usual = np.concatenate([complete, np.zeros(len(pick), bool)])
    return novelty.fit(values, mask, usual, dt_s, copies(window), len(np.unique(window)), rate)


def networks(model_dir: Path, data: Path, backend: OnnxBackend):
    """Clips to calibrate on, who predicts each, and the kind of scores that makes.

    Without the fold networks only the validation clips are left, predicted by the one model.
    """
    try:
        # torch is optional: calibration on bags and by the validation clips does without
        from training.fitting.out_of_fold import fold_of, folds
        from training.infer import torch_infer

        each = list(folds(model_dir=model_dir, data=data))
    except (ImportError, ValueError) as error:
        print(f"no out-of-fold networks ({error}): calibrated on the validation clips alone")
        return load_split(data, "validation"), lambda clip: backend.infer, "split_conformal"
    infer = {fold.index: torch_infer(fold.model) for fold in each}
    clips = [c for fold in each for c in fold.clips] + load_split(data, "validation")
    return clips, lambda clip: infer[fold_of(clip)], "group_cross_conformal"


def calibrate_on_bags(
    model_dir: Path,
    folder: Path,
    tracker: str | None = None,
    topic: str | None = None,
    fixed_frame: str = "",
    transforms: tuple[str, ...] = (),
    progress: bool = True,
) -> tuple[Calibration, dict]:
    """The table of an artefact on the user's own tracker: split conformal, truth is what the tracker sees later.

    Raises:
        ArtefactError, OSError or ValueError on wrong input.
    """
    loaded = artefact.load(model_dir, calibrated=False)
    backend = OnnxBackend(loaded)
    shape = (loaded.history_steps, loaded.future_steps, loaded.dt_s)
    bags = find_bags(folder)
    clips = [
        c
        for bag in tqdm(bags, desc="bags", disable=not progress)
        for c in bag_clips(bag, tracker, topic, fixed_frame, transforms)
    ]
    histories: list = []
    bar = tqdm(clips, desc="calibration", disable=not progress)
    gap_s = PredictorConfig().max_gap_s
    scores, conditions = collect(
        bar, lambda clip: backend.infer, *shape, CALIBRATED_ON, histories=histories, max_gap_s=gap_s
    )
    windows = len(np.unique(scores.window))
    familiar = None
    if windows >= 1.0 / FALSE_ALARM_RATE:
        familiar = histories_of(histories, scores, conditions, loaded.dt_s)
    domain = Domain(
        tracker=tracker or "own",
        sources=[b.name for b in bags],
        actions=["own"],
        groups=len(bags),
        conditions=conditions,
        size=(1.0, 1.0),
    )

    def make(part: Scores) -> Calibration:
        return fit(part, "split_conformal", domain, familiar, loaded.onnx_sha256)

    table = make(scores)
    groups = np.array([c.group for c in clips])
    if len(np.unique(groups)) < 2:  # one recording: people and stays are left out instead
        groups = np.array([c.name for c in clips])
    names = [c.name for c in clips]
    report = {
        "schema_version": 1,
        "model": {"name": loaded.name, "version": loaded.version, "onnx_sha256": loaded.onnx_sha256},
        "judged_on": "each recording by a table made without it; truth is what the tracker itself saw later",
        "coverage": left_out(scores, groups, conditions, names, make, loaded.dt_s),
        "joints_seen": {n: round(float(x), 3) for n, x in zip(JOINTS, joints_seen(clips), strict=True)},
        "calibration": table.summary(),
    }
    return table, report


def calibrate(model_dir: Path, data: Path, progress: bool = True) -> tuple[Calibration, dict]:
    """The table of an artefact, and what it does on the person who is in no split that was used.

    Raises:
        ArtefactError, OSError or ValueError on wrong input.
    """
    loaded = artefact.load(model_dir, calibrated=False)
    backend = OnnxBackend(loaded)
    shape = (loaded.history_steps, loaded.future_steps, loaded.dt_s)
    clips, infer_of, kind = networks(model_dir, data, backend)
    histories: list = []
    bar = tqdm(clips, desc="calibration", disable=not progress)
    scores, conditions = collect(
        bar, infer_of, *shape, CALIBRATED_ON, stride_s=_STRIDE_S, bodies=BODIES, histories=histories
    )
    familiar = histories_of(histories, scores, conditions, loaded.dt_s)
    domain = Domain(
        tracker=MOTION_CAPTURE,
        sources=sorted({c.source for c in clips}),
        actions=sorted({c.action for c in clips}),
        groups=len({c.group for c in clips}),
        conditions=conditions,
        size=(0.87, 1.13),
    )
    table = fit(scores, kind, domain, familiar, loaded.onnx_sha256)
    test = load_split(data, "new_subject")
    bar = tqdm(test, desc="new subject", disable=not progress)
    found, names = collect(
        bar, lambda clip: backend.infer, *shape, tuple(CONDITIONS), stride_s=0.2, bodies=(*BODIES, *NOISES)
    )
    report = {
        "schema_version": 1,
        "model": {"name": loaded.name, "version": loaded.version, "onnx_sha256": loaded.onnx_sha256},
        "judged_on": "new_subject: all trials of CMU subject 02, who is in no split used for the model or the table",
        "mean_over": "clips, with 95 % bootstrap intervals over clips; 0 to 50 % of the joint-frames missing",
        "coverage": judge(found, names, [c.name for c in test], table, loaded.dt_s),
        "calibration": table.summary(),
    }
    return table, report


def write(model_dir: Path, table: Calibration) -> None:
    """Put the table into model.json, whole or not at all."""
    path = model_dir / "model.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["calibration"] = table.model_dump(mode="json")
    part = path.with_suffix(".part")
    part.write_text(as_text(sealed(content)) + "\n", encoding="utf-8")
    os.replace(part, path)
    artefact.load(model_dir)


def text(report: dict) -> str:
    """The report as lines."""
    c = report["calibration"]
    lines = [
        f"{c['kind']} of {c['score']}: {c['windows']} windows of 1.4 s that do not overlap, {c['clips']} clips, "
        f"tracker: {c['domain']['tracker']}"
    ]
    for level, v in report["coverage"].items():
        if not v.get("calibrated", True):
            lines.append(f"{level}: not calibrated: {v['why']}")
            continue
        line = f"{level}: each joint {_interval(v)}"
        if "body" in v:
            line += f"; whole body over the horizon {_interval(v['body'])}"
        volume = v.get("median_volume_of_1.6mps_reach", {})
        shown = [f"1/{1 / max(volume[h], 1e-9):.1f} at {h} s" for h in ("0.4", "1") if h in volume]
        lines.append(line + (f"; median volume of the 1.6 m/s reach set {', '.join(shown)}" if shown else ""))
        if "group" in v:
            off = [f"{n} {_interval(g)}" for n, g in v["group"].items() if g["nominal_inside"] is False]
            judged = sum(g["clips"] > 0 for g in v["group"].values())
            lines.append(f"  groups whose interval misses the nominal: {'; '.join(off) or 'none'} (of {judged})")
    if not report["coverage"]:
        lines.append("nothing to judge it on: one recording, or too little of it for any level")
    return "\n".join(lines)


def _interval(v: dict) -> str:
    if v["overall"] is None:
        return "not seen"
    return f"{v['overall']:.3f} [{v['low']:.3f}, {v['high']:.3f}]"
