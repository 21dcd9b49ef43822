# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the bounds hold when somebody who stood, or walked, suddenly moves:

    python -m training.studies.sudden_motion --model models/body20_25hz --data ../shared/data \\
        --json docs/benchmarks/sudden_motion.json \\
        --markdown docs/bounds.md --markdown docs/planners.md --markdown README.md

Synthetic people (`aux_motion_core.testing.sudden`) through the predictor with its defaults: how many predictions around
the onset a joint leaves, and how often the robot is too fast beside somebody who moves suddenly towards it
(`training.studies.sudden_approach`). With `--data` the onsets in recordings that no
training saw, too. `--markdown` puts table or sentence between the markers that a file has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.bounds.calibration import as_text
from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference import artefact
from aux_motion_core.inference.interface import Backend
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.predictor import Predictor
from aux_motion_core.safety.robot import load_robot
from aux_motion_core.skeleton import JOINTS
from aux_motion_core.testing.sudden import STEADY, SUDDEN, Motion
from aux_motion_core.types import MotionPrediction
from training.commands import guard
from training.data import load_split
from training.data.files import try_to_write
from training.fitting.evidence import TIERS
from training.fitting.onset import onsets
from training.studies.sudden_approach import Approaches, approaches
from training.studies.sudden_people import ONSET_NS, Setting, seen
from training.studies.sudden_text import fill, text

LEVELS = (0.95, 0.99)
HORIZONS_S = (0.2, 0.4)


@dataclass(frozen=True)
class Row:
    """What one prediction held. S steps, J joints.

    Attributes:
        outside: (S, J) bool, the joint was outside its radius.
        body_outside: whether any joint at any step was outside the whole-body bound; None where there is none.
        calibrated: whether the radius is of the model's table; else it is the reach set.
        beyond_m: how far the worst joint was outside its radius, negative where none was.
    """

    outside: np.ndarray
    body_outside: bool | None
    calibrated: bool
    beyond_m: float


def judge(prediction: MotionPrediction, truth: np.ndarray) -> Row:
    """Compare a prediction with what then happened, (S, J, 3) metres at its steps."""
    error = np.linalg.norm(prediction.mean - truth, axis=-1)
    body = prediction.body_radius
    return Row(
        outside=error > prediction.radius,
        body_outside=None if body is None else bool((error > body).any()),
        calibrated=prediction.radius_basis == "conformal",
        beyond_m=float((error - prediction.radius).max()),
    )


def play(backend: Backend, motion: Motion, config: PredictorConfig, setting: Setting) -> Iterator[Row]:
    """Judge every prediction around the onset."""
    steps_s = backend.dt_s * np.arange(1, backend.future_steps + 1)
    for seed in range(setting.seeds):
        predictor = Predictor(backend, config, "cell")
        for frame in seen(motion, setting, seed, setting.after_s):
            predictor.add(frame)
            batch = predictor.predict(frame.stamp_ns)
            t = (frame.stamp_ns - ONSET_NS) * 1e-9
            if t >= -setting.before_s - 1e-6:
                yield judge(batch.people[0], motion(t + steps_s))


def summarise(rows: list[Row], dt_s: float) -> dict[str, Any]:
    """Shares of the predictions of one motion at one level."""
    at = {f"{h:g}": round(h / dt_s) - 1 for h in HORIZONS_S}
    outside = np.stack([r.outside for r in rows])  # (N, S, J)
    body = [r.body_outside for r in rows if r.body_outside is not None]
    worst = {h: int(outside[:, k].mean(0).argmax()) for h, k in at.items()}
    return {
        "predictions": len(rows),
        "calibrated": _r(np.mean([r.calibrated for r in rows])),
        "joints_outside": {h: _r(outside[:, k].mean()) for h, k in at.items()},
        "some_joint_outside": {h: _r(outside[:, k].any(1).mean()) for h, k in at.items()},
        "worst_joint": {h: [JOINTS[j], _r(outside[:, at[h], j].mean())] for h, j in worst.items()},
        "body_outside": _r(np.mean(body)) if body else None,
        "body_predictions": len(body),
        "farthest_beyond_m": _r(max(r.beyond_m for r in rows)),
    }


def _r(x: float) -> float:
    return round(float(x), 4)


def measure(
    model: Path,
    robot: Path,
    setting: Setting,
    where: Approaches,
    motions: tuple[str, ...] = (),
    data: Path | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """All of it.

    Args:
        model: folder of a calibrated artefact with a separation bound.
        robot: description of the robot.
        setting: of the tracker and of what is judged.
        where: of the approaches.
        motions: names, sudden or steady; none: all.
        data: folder with the data archives, for the onsets in recordings; None: these are left out.
        progress: show a bar.

    Raises:
        ValueError: a motion is not known, or the artefact or the robot cannot be used.
    """
    every = {**SUDDEN, **STEADY}
    unknown = [m for m in motions if m not in every]
    if unknown:
        raise ValueError(f"no motion is called {', '.join(unknown)}: there are {', '.join(every)}")
    chosen = {n: m for n, m in every.items() if n in motions or not motions}
    loaded = artefact.load(model)
    backend = OnnxBackend(loaded)
    onset: dict[str, dict[str, Any]] = {}
    for name, motion in tqdm(chosen.items(), desc="onset", disable=not progress, leave=False):
        onset[name] = {}
        for level in LEVELS:
            rows = list(play(backend, motion, PredictorConfig(coverage_level=level), setting))
            onset[name][f"{level:g}"] = summarise(rows, backend.dt_s)
    sudden = [n for n in chosen if n in SUDDEN]
    return {
        "schema_version": 1,
        "command": "python -m training.studies.sudden_motion",
        "model": {"name": loaded.name, "version": loaded.version, "onnx_sha256": loaded.onnx_sha256},
        "setting": {**asdict(setting), "tracker_error_m": PredictorConfig().tracker_error_m},
        "onset": onset,
        "recordings": {} if data is None else recorded(loaded, backend, data),
        "approaches": approaches(model, backend, load_robot(robot), sudden, setting, where, progress) if sudden else {},
    }


def recorded(loaded: artefact.Artefact, backend: Backend, data: Path) -> dict[str, Any]:
    """Onsets in recordings that no training saw, by tier; radii without `tracker_error_m`.

    Raises:
        ValueError: the artefact has no table.
    """
    if loaded.calibration is None:
        raise ValueError(f"{loaded.name} has no calibration table: run python -m training.calibrate")
    shape = (loaded.history_steps, loaded.future_steps, loaded.dt_s)
    clips = {tier: load_split(data, tier)[::every] for tier, (_, every, _, _) in TIERS.items()}
    return {tier: onsets(c, backend.infer, loaded.calibration, *shape) for tier, c in clips.items()}


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    robot: Annotated[Path, typer.Option(help="description of the robot")] = Path("config/robot_example.yaml"),
    seeds: Annotated[int, typer.Option(help="each motion so many times, with other noise", min=1)] = 2,
    motions: Annotated[list[str] | None, typer.Option("--motion", help="one of the motions; default: all")] = None,
    distances: Annotated[list[float] | None, typer.Option("--distance", help="of an approach, metres")] = None,
    data: Annotated[Path | None, typer.Option(help="folder with the data archives; default: no recordings")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="report")] = None,
    markdown: Annotated[list[Path] | None, typer.Option(help="file with markers to fill")] = None,
) -> None:
    """Measure what the bounds hold at a sudden beginning."""
    with guard("training.studies.sudden_motion"):
        if json_path:
            try_to_write(json_path.parent)
        where = Approaches(tuple(distances)) if distances else Approaches()
        report = measure(model, robot, Setting(seeds=seeds), where, tuple(motions or ()), data)
        if json_path:
            json_path.write_text(as_text(report) + "\n")
        for path in markdown or []:
            fill(path, report)
    print(text(report))


if __name__ == "__main__":
    typer.run(main)
