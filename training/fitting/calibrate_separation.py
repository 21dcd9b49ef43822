# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Calibrate the separation bound: the distance to a robot that a prediction promises (`occupancy_bound: separation`).

    python -m training.fitting.calibrate_separation --model models/body20_25hz --data ../shared/data --json \
        build/sep.json

Robots (arms and balls) are put beside people at the time of a prediction, without regard to what they do next. The
score of a prediction and a robot is the smallest factor by which the spheres about the predicted joints must be scaled
so that the distance to them, least until a step, is not more than the true one. Scores are of networks that did not
see the recording (see training.calibrate); what is found is judged on a person who is not in the table.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.bounds.calibration import WINDOW_S
from aux_motion_core.bounds.radii import equivalent_scale
from aux_motion_core.bounds.seal import sealed
from aux_motion_core.bounds.separation_bound import FILE, SeparationBound
from aux_motion_core.evaluation.closed_loop import Arm, LoopSetting
from aux_motion_core.history.normalise import denormalise, normalise
from aux_motion_core.inference import artefact
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.safety.anthropometry import SEGMENT_JOINTS, body
from aux_motion_core.safety.capsules import nearest
from training.commands import guard
from training.data import load_split
from training.data.files import try_to_write
from training.data.windows import cut
from training.fitting.calibrate import networks
from training.fitting.conformal import _quantiles
from training.fitting.scores import CONDITIONS, corrupt, predictable

LEVELS = (0.9, 0.95, 0.99)
#: What is missing from the histories, in turn; `noise_10mm` is complete with that jitter on each joint and frame.
HISTORIES = (
    "complete",
    "missing_20pct",
    "missing_50pct",
    "coco17",
    "limb_lost",
    "occluded",
    "input_5_to_8hz",
    "noise_10mm",
)
#: Robots of each window: arms and balls.
_ARMS, _BALLS = 3, 3
_NOISE_M = 0.01
_STRIDE_S = 0.44
#: A robot that already touches, or is farther than this, says nothing.
_FAR_M = 2.0
HORIZONS_S = (0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
_A, _B = SEGMENT_JOINTS.T


def robots(rng: np.random.Generator, pose: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Capsules (L, 2, 3), (L,) of robots beside a person, drawn from the present pose (20, 3) alone."""
    out = []
    arm = Arm(LoopSetting())
    floor = pose[:, 2].min()
    for _ in range(_ARMS):
        bearing, distance = rng.uniform(-np.pi, np.pi), rng.uniform(0.5, 1.8)
        yaw = rng.uniform(-np.pi, np.pi)
        base = pose.mean(0) + distance * np.array([np.cos(bearing), np.sin(bearing), 0.0])
        base[2] = floor
        turn = np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
        out.append((arm.ends(np.asarray(rng.uniform(0.0, arm.leg_s))) @ turn.T + base, arm.radius))
    for _ in range(_BALLS):
        way = rng.normal(size=3)
        place = pose[rng.integers(len(pose))] + rng.uniform(0.3, 1.5) * way / np.linalg.norm(way)
        out.append((np.stack([place, place])[None], np.array([0.1])))
    return out


def gaps(poses: np.ndarray, seen: np.ndarray, flesh: np.ndarray, robot: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(S, 19) distance of each body segment's surface from a robot's, inf for segments with an unknown end."""
    bones = poses[:, SEGMENT_JOINTS].reshape(-1, 2, 3)
    axis, _, _ = nearest(bones, robot[0])
    out = (axis - robot[1]).min(1).reshape(len(poses), -1) - flesh
    return np.where(seen[:, _A] & seen[:, _B], out, np.inf)


def score(predicted: np.ndarray, true: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Smallest factor at which the spheres hold the true distance, until each step.

    Args:
        predicted: (S, G) distance to the predicted body, no bound about it.
        true: (S, G) distance to the body as it was.
        width: (S, G) radius at factor 1.

    Returns:
        (S,) not negative: at step k, min over segments and steps up to k of (predicted - least true distance) / width.
    """
    least = np.minimum.accumulate(true.min(1))
    # until step k, over pairs of (step s <= k): (predicted_s - least_k) / width_s
    steps = len(least)
    need = (predicted[None] - least[:, None, None]) / width[None]  # (k, s, G)
    need = np.where(np.arange(steps)[None, :, None] <= np.arange(steps)[:, None, None], need, np.inf)
    return np.maximum(need.min((1, 2)), 0.0)


class Collected:
    """Scores of clips: (M, S) factors, of each the window, clip and history; (M, S) radius of the median joint."""

    def __init__(self, dt_s: float, typical_m: np.ndarray | None) -> None:
        self.dt_s, self.typical_m = dt_s, typical_m
        self.scores: list[np.ndarray] = []
        self.window: list[int] = []
        self.clip: list[int] = []
        self.condition: list[int] = []
        self.width: list[np.ndarray] = []


def predictions(clips: list, infer_of, history: int, future: int, dt_s: float):
    """Yields (clip, window, condition, mean, size, truth, known, present pose) of every window under one condition."""
    first = 0
    for k, clip in enumerate(tqdm(clips, unit=" clips", disable=None)):
        w = cut(clip, history, future, dt_s, _STRIDE_S)
        if w is None:
            continue
        slots = first + (np.arange(len(w.past)) * round(_STRIDE_S / dt_s) * dt_s + 1e-6) // WINDOW_S
        first = int(slots[-1]) + 1
        infer = infer_of(clip)
        for c, name in enumerate(HISTORIES):
            rng = np.random.default_rng([k, c])
            seen = CONDITIONS["complete" if name == "noise_10mm" else name](rng, w.past_mask.shape)
            past, mask, _ = corrupt(w, seen, dt_s)
            if name == "noise_10mm":
                past = past + rng.normal(0.0, _NOISE_M, past.shape)
            good = np.flatnonzero(predictable(mask, dt_s))
            good = good[(good + c) % len(HISTORIES) == 0]  # every window with one of the histories
            if not len(good):
                continue
            values, heading = normalise(past[good], mask[good])
            future_, _, scale = infer(values, mask[good])
            if scale is None:
                raise ValueError("the model has no scale: expected an artefact with the output `scale`")
            mean, size = denormalise(future_, heading), equivalent_scale(np.asarray(scale, np.float64))
            for i, row in enumerate(good):
                yield k, int(slots[row]), c, mean[i], size[i], w.future[row], w.future_mask[row], w.past[row, -1]


def collect(clips: list, infer_of, history: int, future: int, dt_s: float, typical_m: np.ndarray | None = None):
    """Scores of every window and robot.

    Args:
        clips: recordings.
        infer_of: clip -> `infer` of a network that did not see it.
        history: steps.
        future: steps.
        dt_s: seconds from step to step.
        typical_m: (S,) typical scale; None: of these predictions.

    Returns:
        `Collected`, with the typical scale that was used.
    """
    rows = list(predictions(clips, infer_of, history, future, dt_s))
    if not rows:
        raise ValueError("no recording is longer than a window: give longer ones")
    if typical_m is None:
        typical_m = np.median([size for _, _, _, _, size, _, _, _ in rows], axis=(0, 2))
    out = Collected(dt_s, typical_m)
    thickness = body()
    for n, (clip, window, condition, mean, size, truth, known, now) in enumerate(
        tqdm(rows, unit=" windows", disable=None)
    ):
        rng = np.random.default_rng([7, n])
        flesh = thickness.radii(mean[None], np.ones(1))[0]
        joint = size + typical_m[:, None]
        width = np.maximum(joint[:, _A], joint[:, _B])
        everything = np.ones(known.shape, bool)
        for robot in robots(rng, now):
            here = gaps(now[None], everything[:1], flesh, robot).min()
            if not 0.0 < here < _FAR_M:
                continue
            predicted, true = gaps(mean, everything, flesh, robot), gaps(truth, known, flesh, robot)
            out.scores.append(score(predicted, true, width).astype(np.float32))
            out.window.append(window)
            out.clip.append(clip)
            out.condition.append(condition)
            out.width.append(np.median(joint, axis=1).astype(np.float32))
    return out


def fit(c: Collected, kind: str, sha256: str) -> SeparationBound:
    """The table of scores.

    Who looks until step k needs the quantile of k at every earlier step too. So the factor of a step is the largest
    one of its own and all later quantiles: whatever the time, the level holds.
    """
    scores, window = np.array(c.scores), np.array(c.window)
    found, n = _quantiles(scores, window, LEVELS)
    factor = {}
    for level, row in zip(LEVELS, found):
        if row is not None and np.isfinite(row).all():
            factor[f"{level:g}"] = tuple(round(float(x), 4) for x in np.maximum.accumulate(row[::-1])[::-1])
    return SeparationBound(
        kind=kind,
        windows=n,
        clips=len(set(c.clip)),
        conditions=HISTORIES,
        typical_scale_m=tuple(round(float(x), 5) for x in c.typical_m),
        factor=factor,
        onnx_sha256=sha256,
    )


def judge(c: Collected, table: SeparationBound, rounds: int = 2000) -> dict:
    """Coverage of the table on scores that are not of it: mean over clips, 95 % bootstrap interval over clips."""
    scores, clip, condition = np.array(c.scores), np.array(c.clip), np.array(c.condition)
    width = np.array(c.width)
    rng = np.random.default_rng(0)
    out = {}
    for level in table.factor:
        row = table.rows(float(level))
        inside = scores <= row + 1e-9
        at = {}
        for h in HORIZONS_S:
            k = round(h / c.dt_s) - 1
            each = np.array([inside[clip == x, k].mean() for x in np.unique(clip)])
            drawn = each[rng.integers(len(each), size=(rounds, len(each)))].mean(1)
            low, high = np.percentile(drawn, [2.5, 97.5])
            at[f"{h:g}"] = {
                "overall": round(float(each.mean()), 4),
                "low": round(float(low), 4),
                "high": round(float(high), 4),
                "median_radius_m": round(float(np.median(row[k] * width[:, k])), 4),
            }
        k = round(0.5 / c.dt_s) - 1
        by = {HISTORIES[x]: round(float(inside[condition == x, k].mean()), 4) for x in np.unique(condition)}
        out[level] = {"until_s": at, "until_0.5s_by_history": by}
    return {"clips": len(np.unique(clip)), "pairs": len(scores), "coverage": out}


def main(
    model: Annotated[Path, typer.Option(help="Folder of the artefact; gets separation.json.")] = Path(
        "models/body20_25hz"
    ),
    data: Annotated[Path, typer.Option(help="Folder with the data archives.")] = Path("../shared/data"),
    json_out: Annotated[Path | None, typer.Option("--json", help="Report of coverage.")] = None,
) -> None:
    """Calibrate the separation bound of an artefact and judge it on a person who is not in the table."""
    with guard("training.fitting.calibrate_separation"):
        if json_out is not None:
            try_to_write(json_out.parent)
        loaded = artefact.load(model)
        backend = OnnxBackend(loaded)
        backend.open()
        clips, infer_of, kind = networks(model, data, backend)
        shape = (loaded.history_steps, loaded.future_steps, loaded.dt_s)
        table = fit(collect(clips, infer_of, *shape), kind, loaded.onnx_sha256)
        (model / FILE).write_text(json.dumps(sealed(table.model_dump(mode="json")), indent=1) + "\n", encoding="utf-8")
        report = {
            "command": f"python -m training.fitting.calibrate_separation --model {model} --data {data}",
            "model": f"{loaded.name} {loaded.version}",
            "table": json.loads(table.model_dump_json()),
        }
        typical = np.array(table.typical_scale_m)
        report["new_subject"] = judge(
            collect(load_split(data, "new_subject"), lambda clip: backend.infer, *shape, typical_m=typical), table
        )
        if json_out is not None:
            json_out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    typer.echo(f"written: {model / FILE} ({table.kind}, {table.windows} windows of {table.clips} clips)")
    for level, found in report["new_subject"]["coverage"].items():
        for until, v in found["until_s"].items():
            typer.echo(
                f"{level} until {until} s: {v['overall']:.3f} ({v['low']:.3f} to {v['high']:.3f}), "
                f"median radius {v['median_radius_m']:.3f} m"
            )


if __name__ == "__main__":
    typer.run(main)
