# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Validate an artefact on data it never saw:

    python -m training.validate --model models/body20_25hz --data ../shared/data --json build/validate.json

Every figure is a mean over clips (a clip's windows are averaged first), in the global frame, on observed joints,
with bootstrap intervals over clips.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.resample import resample
from aux_motion_core.inference import artefact, baselines
from aux_motion_core.inference.onnx import OnnxBackend
from training.data import load_split
from training.data.corrupt import COCO17, LIMBS, random_joint_frames
from training.data.files import try_to_write
from training.data.windows import Windows, cut, mean_error, predict
from training.tiers import measure as measure_use
from training.tiers import text as use_text

HORIZONS_S = (0.04, 0.2, 0.4, 0.6, 0.8, 1.0)
MISSING_SHARE = 0.4
#: name -> what is missing from the history of the new subject
ROBUSTNESS = {
    "missing_40pct": "40 % of the joint-frames of a 25 Hz stream missing at random, through the node's resampling",
    "masked_40pct": "the same, but left missing: the network alone, without the resampling",
    "coco17": "only the joints of a COCO-17 tracker; judged on these",
    **{name: f"the whole {name.replace('_', ' ')} unseen; judged on the others" for name in LIMBS},
}
#: tier -> (stride between windows in seconds, what it is)
TIERS = {
    "new_subject": (0.2, "all trials of CMU subject 02, who is not in the training data"),
    "new_motion": (0.2, "washwindow: a motion that no training clip shows"),
    "handover": (0.1, "KTH handover: two people standing and handing over, upper bodies, optical capture"),
    "real_tracker": (
        0.4,
        "Kinect v1 gestures of five standing people; each judged against the tracker's own joints",
    ),
    "seen_group": (0.2, "the papers' test files: recorded with people of the training data, so OPTIMISTIC"),
}


@dataclass
class Judged:
    """One clip's mean errors in mm: {predictor: (horizons,)}, and of the model under `ROBUSTNESS`."""

    name: str
    action: str
    group: str
    windows: int
    error_mm: dict[str, np.ndarray]
    robust_mm: dict[str, dict[str, np.ndarray]]


def through_resampling(w: Windows, mask: np.ndarray, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Windows of which only `mask` was received, as the node cuts them: short gaps interpolated, others left."""
    steps = w.past.shape[1]
    stamps_s = dt_s * np.arange(1 - steps, 1)
    gap_s = PredictorConfig().max_gap_s
    cuts = [resample(stamps_s, x, m, 0.0, dt_s, steps, gap_s) for x, m in zip(w.past, mask)]
    return np.stack([x for x, _ in cuts]), np.stack([m for _, m in cuts])


def robustness(w: Windows, backend, clean: np.ndarray, steps: list[int], seed: int) -> dict:
    """{condition: {"mm", "clean_mm" on the joints judged, "hidden_mm" on those never seen}}, each (horizons,).

    Args:
        clean: (N, future, joints, 3) the model's prediction from everything.
    """
    gone = random_joint_frames(np.random.default_rng(seed), w.past_mask.shape, np.full(len(w.past), MISSING_SHARE))
    everything = np.ones(w.past_mask.shape[2], bool)
    cases = {
        "missing_40pct": (*through_resampling(w, w.past_mask & ~gone, backend.dt_s), everything),
        "masked_40pct": (w.past, w.past_mask & ~gone, everything),
        "coco17": (w.past, w.past_mask & COCO17, COCO17),
        **{name: (w.past, w.past_mask & ~limb, ~limb) for name, limb in LIMBS.items()},
    }
    out = {}
    for name, (past, mask, judged) in cases.items():
        future = predict(backend.infer, past, mask)
        on = lambda joints: replace(w, future_mask=w.future_mask & joints)  # noqa: E731
        out[name] = {
            "mm": 1000 * mean_error(future, on(judged), steps),
            "clean_mm": 1000 * mean_error(clean, on(judged), steps),
            **({} if judged.all() else {"hidden_mm": 1000 * mean_error(future, on(~judged), steps)}),
        }
    return out


def judge(clip, predictors: dict, backend, stride_s: float, seed: int | None) -> Judged | None:
    """Errors of all predictors on one clip; with a seed also those under `ROBUSTNESS`."""
    w: Windows | None = cut(clip, backend.history_steps, backend.future_steps, backend.dt_s, stride_s)
    if w is None:
        return None
    steps = [round(h / backend.dt_s) - 1 for h in HORIZONS_S]
    newest = lambda b, x: x[:, -b.history_steps :]  # noqa: E731
    futures = {n: predict(b.infer, newest(b, w.past), newest(b, w.past_mask)) for n, b in predictors.items()}
    error = {n: 1000 * mean_error(f, w, steps) for n, f in futures.items()}
    robust = {} if seed is None else robustness(w, backend, futures["model"], steps, seed)
    return Judged(clip.name, clip.action, clip.group, len(w.past), error, robust)


def interval(values: np.ndarray, rng: np.random.Generator, rounds: int = 2000) -> list[float]:
    """95 % percentile bootstrap interval of the mean over clips, values (clips,)."""
    means = values[rng.integers(len(values), size=(rounds, len(values)))].mean(1)
    return [float(x) for x in np.percentile(means, [2.5, 97.5])]


def summarise(rows: list[Judged], names: list[str]) -> dict:
    """Means over clips, the best baseline and the model's gain on it with its interval."""
    out: dict = {
        "clips": len(rows),
        "windows": sum(r.windows for r in rows),
        "mpjpe_mm": {},
        "gain_percent": {},
    }
    baseline_names = [n for n in names if n != "model"]
    for i, h in enumerate(HORIZONS_S):
        e = {n: np.array([r.error_mm[n][i] for r in rows]) for n in names}
        ok = np.all([np.isfinite(v) for v in e.values()], axis=0)
        e = {n: v[ok] for n, v in e.items()}
        mean = {n: round(float(v.mean()), 2) for n, v in e.items()}
        best = min(baseline_names, key=lambda n: mean[n])
        rng = np.random.default_rng(0)
        pick = rng.integers(ok.sum(), size=(2000, ok.sum()))
        gain = 100 * (1 - e["model"][pick].mean(1) / e[best][pick].mean(1))
        low, high = (round(float(x), 1) for x in np.percentile(gain, [2.5, 97.5]))
        out["mpjpe_mm"][f"{h}"] = {
            **mean,
            "model_interval": [round(x, 2) for x in interval(e["model"], np.random.default_rng(0))],
        }
        out["gain_percent"][f"{h}"] = {
            "best_baseline": best,
            "gain": round(100 * (1 - mean["model"] / mean[best]), 1),
            "low": low,
            "high": high,
        }
    return out


def summarise_robustness(rows: list[Judged]) -> dict:
    """Means over clips of each condition, and by how many percent the error is larger than from everything."""
    out = {}
    for name, what in ROBUSTNESS.items():
        mean = {key: np.nanmean([r.robust_mm[name][key] for r in rows], axis=0) for key in rows[0].robust_mm[name]}
        mean["loss_percent"] = 100 * (mean["mm"] / mean["clean_mm"] - 1)
        out[name] = {
            "what": what,
            **{key: {f"{h}": round(float(x), 2) for h, x in zip(HORIZONS_S, v)} for key, v in mean.items()},
        }
    return out


def validate(model_dir: Path, data: Path) -> dict:
    """All tiers; see the module's docstring. Raises `ArtefactError`, OSError or ValueError on wrong input."""
    loaded = artefact.load(model_dir)
    backend = OnnxBackend(loaded)
    predictors = {"model": backend, **{n: baselines.make(n) for n in baselines.BASELINES}}
    names = list(predictors)
    tiers: dict = {}
    new_rows: list[Judged] = []
    for tier, (stride_s, what) in TIERS.items():
        clips = load_split(data, tier)
        rows = []
        for k, clip in enumerate(tqdm(clips, desc=tier, leave=False, disable=None)):
            row = judge(clip, predictors, backend, stride_s, k if tier == "new_subject" else None)
            if row is not None:
                rows.append(row)
        classes = {a: summarise([r for r in rows if r.action == a], names) for a in sorted({r.action for r in rows})}
        tiers[tier] = {
            "what": what,
            "too_short": len(clips) - len(rows),
            **summarise(rows, names),
            "classes": classes,
        }
        if tier == "real_tracker":
            groups = sorted({r.group for r in rows})
            tiers[tier]["people"] = {g: summarise([r for r in rows if r.group == g], names) for g in groups}
        if tier == "new_subject":
            new_rows = rows
    use = {t: {**v.pop("model"), **v} for t, v in measure_use({"model": backend}, data).items()}
    bounds = None
    if loaded.calibration is not None:
        from training.fitting.evidence import evidence, summary

        bounds = summary(evidence(model_dir, data, progress=False))
    new = tiers["new_subject"]
    robust = summarise_robustness(new_rows)
    worst = [
        {
            "tier": t,
            "class": a,
            "horizon_s": h,
            "gain_percent": g["gain"],
            "best_baseline": g["best_baseline"],
        }
        for t, v in tiers.items()
        for a, s in v["classes"].items()
        for h, g in s["gain_percent"].items()
        if h in ("0.4", "1.0") and g["gain"] < -5.0
    ]
    return {
        "schema_version": 1,
        "model": {"name": loaded.name, "version": loaded.version, "onnx_sha256": loaded.onnx_sha256},
        "frame": "global",
        "mean_over": "clips",
        "mpjpe_mm": new["mpjpe_mm"],
        "gain_percent": new["gain_percent"],
        "missing_40pct": robust["missing_40pct"]["mm"],
        "missing_40pct_unit": "mm",
        "missing_40pct_loss_percent": robust["missing_40pct"]["loss_percent"],
        "robustness": robust,
        "worse_than_baseline_by_5_percent": worst,
        "clips": [
            {"clip": r.name, "class": r.action, "model_mm": [round(float(x), 2) for x in r.error_mm["model"]]}
            for r in new_rows
        ],
        "tiers": tiers,
        "use": use,
        "bounds": bounds,
    }


def table(report: dict) -> str:
    """The report as text: one line per tier and class."""
    lines = [f"{'tier / class':34} {'clips':>5}  {'model mm':>15}  {'best baseline mm':>17}  {'gain %':>13}"]
    lines.append(f"{'':34} {'':5}  {'0.4 s':>7} {'1.0 s':>7}  {'0.4 s':>8} {'1.0 s':>8}  {'0.4 s':>6} {'1.0 s':>6}")
    for tier, v in report["tiers"].items():
        for name, s in [(tier, v), *((f"  {a}", c) for a, c in v["classes"].items())]:
            m, g = s["mpjpe_mm"], s["gain_percent"]
            best = {h: m[h][g[h]["best_baseline"]] for h in ("0.4", "1.0")}
            lines.append(
                f"{name:34} {s['clips']:5d}  {m['0.4']['model']:7.1f} {m['1.0']['model']:7.1f}  "
                f"{best['0.4']:8.1f} {best['1.0']:8.1f}  {g['0.4']['gain']:6.1f} {g['1.0']['gain']:6.1f}"
            )
    lines.append(use_text({t: {"model": v} for t, v in report["use"].items()}))
    lines.append("new subject, part of the input missing: error larger by, in percent")
    for name, r in report["robustness"].items():
        loss = "  ".join(f"{x:5.1f} at {h} s" for h, x in r["loss_percent"].items())
        lines.append(f"  {name:14} {loss}")
    return "\n".join(lines)


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path | None, typer.Option("--json", help="default: beside the artefact")] = None,
) -> None:
    """Judge an artefact against all baselines on held-out people and motions."""
    path = json_path or model / "validation.json"
    try:
        if json_path:
            try_to_write(path.parent)
        report = validate(model, data)
        print(table(report))
        path.write_text(json.dumps(report, indent=1) + "\n")
    except (artefact.ArtefactError, OSError, ValueError) as e:
        raise SystemExit(f"training.validate: {e}") from None
    print(f"written: {path}")


if __name__ == "__main__":
    typer.run(main)
