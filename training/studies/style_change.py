# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How fast coverage comes back when the kind of motion changes, with and without adaptation:

    python -m training.studies.style_change --data ../shared/data --json docs/benchmarks/adaptation.json

One person's stream of real recordings, one style after another: the new subject's kinds of motion, a new motion, and
people in front of a Kinect, which nothing was made on. Between recordings the person is unseen for so long that no
prediction reaches across. Frames go through the predictor itself; the out-of-distribution gate is off, so that what is
measured is adaptation alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.bounds import coverage
from aux_motion_core.bounds.calibration import Calibration, as_text
from aux_motion_core.config import PredictorConfig
from aux_motion_core.constants import NS
from aux_motion_core.history.resample import resample
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.types import SkeletonFrame
from training.commands import guard
from training.data import load_split
from training.data.files import try_to_write

#: Longer than a prediction, shorter than a person is remembered.
_GAP_S = 1.2
#: A style is kept for so long; coverage is looked at in these seconds after the change.
STYLE_S = 14.0
AFTER_S = ((0.0, 2.0), (2.0, 4.0), (4.0, 6.0), (6.0, 8.0), (8.0, 10.0), (10.0, 14.0))
WITHIN = 0.05
#: Never used for the model, the table or the gain of the adaptation; the gain was chosen on `--tiers validation`.
TIERS = ("new_subject", "new_motion", "real_tracker")


def styles_of(clips: list, dt_s: float, style_s: float = STYLE_S) -> dict[str, list[np.ndarray]]:
    """Recordings of each style on the grid, (frames, 20, 4) positions and whether seen, until it is long enough.

    A style is a motion class of a recording group; where one holds much more, it is several. Styles too short are left
    out: repeating them would say nothing new.
    """
    pieces: dict[str, list[np.ndarray]] = {}
    for clip in clips:
        steps = int((clip.stamps_s[-1] - clip.stamps_s[0]) / dt_s) + 1
        x, m = resample(clip.stamps_s, clip.positions, clip.mask, clip.stamps_s[-1], dt_s, steps, 0.12)
        pieces.setdefault(f"{clip.group}/{clip.action}", []).append(np.concatenate([x, m[..., None]], -1))
    styles: dict[str, list[np.ndarray]] = {}
    for name, parts in pieces.items():
        k, room = 0, style_s
        for part in parts:
            styles.setdefault(f"{name}/{k}", []).append(part)
            room -= len(part) * dt_s
            if room <= 0.0:
                k, room = k + 1, style_s
    return {n: p for n, p in styles.items() if sum(map(len, p)) * dt_s >= style_s}


def order(styles: dict[str, list], changes: int, seed: int) -> list[str]:
    """Names of `changes` + 1 styles, each of another kind than the one before."""
    rng = np.random.default_rng(seed)
    kinds = sorted({n.rsplit("/", 1)[0].split("/")[0] for n in styles})
    out: list[str] = []
    while len(out) <= changes:
        others = [n for n in styles if not out or n.split("/")[0] != out[-1].split("/")[0] or len(kinds) == 1]
        fresh = [n for n in others if n not in out] or others
        fresh = [n for n in fresh if not out or n != out[-1]]
        # kinds alike, not as many as their recordings
        kind = rng.choice(sorted({n.split("/")[0] for n in fresh}))
        out.append(str(rng.choice(sorted(n for n in fresh if n.split("/")[0] == kind))))
    return out


def run(
    predictor: Predictor, styles: dict[str, list[np.ndarray]], names: list[str], dt_s: float, style_s: float
) -> list:
    """Of each prediction: change, seconds since, (H, 20) inside, whole body inside, median radius at 0.4 s."""
    horizons = [round(h / dt_s) - 1 for h in (0.2, 0.4, 0.6, 0.8, 1.0)]
    rows, t = [], 0.0
    for change, name in enumerate(tqdm(names, desc="changes", leave=False, disable=None)):
        start, left = t, style_s
        for part in styles[name]:
            for k in range(min(len(part), int(left / dt_s))):
                x, seen = part[k, :, :3], part[k, :, 3] > 0.0
                stamp = round(t * NS) + NS
                t += dt_s
                status = np.where(seen, JointStatus.OBSERVED, JointStatus.MISSING).astype(np.uint8)[None]
                frame = SkeletonFrame(stamp, "map", ("a",), x[None], status, np.ones((1, len(x)), np.float32))
                predictor.add(frame)
                # the next recording may be too far away to be surely the same body: then a lost person is there, too
                people = [p for p in predictor.predict(stamp).people if p.person_id == "a"]
                ahead = [k + 1 + h for h in horizons]
                if not people or people[0].radius_basis != "conformal" or ahead[-1] >= len(part):
                    continue
                truth = part[ahead]
                error = np.linalg.norm(people[0].mean[horizons] - truth[..., :3], axis=-1)
                error = np.where(truth[..., 3] > 0.0, error, np.nan)
                hit = coverage.inside(error, people[0].radius[horizons])
                body = np.nan
                if people[0].body_radius is not None:
                    body = float(coverage.body_inside(error, people[0].body_radius[horizons]))
                rows.append((change, t - start, hit, body, float(np.median(people[0].radius[horizons[1]]))))
            left -= len(part) * dt_s
            t += _GAP_S
            if left <= 0.0:
                break
    return rows


def summarise(rows: list, level: float) -> dict:
    """Coverage by time since the change, over changes; the first style is no change."""
    change = np.array([r[0] for r in rows])
    since = np.array([r[1] for r in rows])
    hit = np.stack([r[2] for r in rows])
    body, radius = np.array([r[3] for r in rows]), np.array([r[4] for r in rows])
    out: dict = {"seconds": {}}
    for low, high in AFTER_S:
        here = (since >= low) & (since < high) & (change > 0)
        means = coverage.clip_means(hit[here], change[here])
        a, b = coverage.interval(means)
        out["seconds"][f"{low:g}-{high:g}"] = {
            "coverage": round(float(means.mean()), 4),
            "low": round(a, 4),
            "high": round(b, 4),
            "changes": len(means),
            "changes_within_5_points": round(float(np.mean(means >= level - WITHIN)), 4),
            "worst_change": round(float(means.min()), 4),
            "whole_body": round(float(np.nanmean(body[here])), 4),
            "median_radius_0.4s_m": round(float(np.median(radius[here])), 4),
        }
    last = out["seconds"][f"{AFTER_S[-1][0]:g}-{AFTER_S[-1][1]:g}"]
    out["back_within_5_points_in_10s"] = bool(last["coverage"] >= level - WITHIN)
    return out


def narrowed(table: Calibration, by: float) -> Calibration:
    """The table with all marginal factors times `by`, as if it had been made on much calmer motion."""
    groups = [
        g.model_copy(
            update={
                "factor": {
                    level: None if rows is None else [[None if x is None else by * x for x in row] for row in rows]
                    for level, rows in g.factor.items()
                }
            }
        )
        for g in table.joints
    ]
    return table.model_copy(update={"joints": groups})


def measure(
    model: Path, data: Path, tiers: tuple[str, ...], changes: int, level: float, seed: int = 0, narrow: float = 1.0
) -> dict:
    """Both modes on the same stream; `narrow` makes the table's radii smaller.

    Raises:
        ValueError: the artefact has no calibrated level, or there are too few styles.
    """
    backend = make_backend("onnx", model)
    if narrow != 1.0 and backend.calibration is not None:
        backend.calibration = narrowed(backend.calibration, narrow)
    clips = [c for tier in tiers for c in load_split(data, tier)]
    styles = styles_of(clips, backend.dt_s)
    if len(styles) < 2:
        raise ValueError(f"{', '.join(tiers)}: expected two styles of {STYLE_S:g} s or more, got {len(styles)}")
    names = order(styles, changes, seed)
    found = {}
    for mode in ("off", "on"):
        config = PredictorConfig(coverage_level=level, adaptation=mode, tracker_error_m=0.0)
        predictor = Predictor(backend, config, "map")
        if predictor.bounds is None:
            raise ValueError(predictor.uncalibrated_because)
        predictor.watch_distribution = False
        found[mode] = summarise(run(predictor, styles, names, backend.dt_s, STYLE_S), level)
    return {
        "schema_version": 1,
        "model": {"name": backend.name, "version": backend.version},
        "level": level,
        "table_times": narrow,
        "tiers": list(tiers),
        "changes": changes,
        "styles": len(styles),
        "adaptation": found,
    }


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    tiers: Annotated[list[str] | None, typer.Option(help="splits that the stream is made of")] = None,
    changes: Annotated[int, typer.Option(help="of style", min=1)] = 32,
    level: Annotated[float, typer.Option(help="nominal coverage")] = 0.95,
    narrow: Annotated[float, typer.Option(help="the table's radii times this, as of a table that does not fit")] = 1.0,
    json_path: Annotated[Path | None, typer.Option("--json", help="report")] = None,
) -> None:
    """Measure how coverage comes back after changes of motion style."""
    with guard("training.studies.style_change"):
        if json_path:
            try_to_write(json_path.parent)
        report = measure(model, data, tuple(tiers or TIERS), changes, level, narrow=narrow)
        if json_path:
            json_path.write_text(as_text(report) + "\n")
    for mode, found in report["adaptation"].items():
        for seconds, v in found["seconds"].items():
            print(
                f"adaptation {mode:3} {seconds:>5} s after: {v['coverage']:.3f} [{v['low']:.3f}, {v['high']:.3f}] of "
                f"{v['changes']} changes, {100 * v['changes_within_5_points']:.0f} % within 5 points, "
                f"whole body {v['whole_body']:.3f}, radius at 0.4 s {v['median_radius_0.4s_m']:.3f} m"
            )


if __name__ == "__main__":
    typer.run(main)
