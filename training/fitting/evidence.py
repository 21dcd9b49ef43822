# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How far the bounds of a calibrated artefact can be believed, on people, motions and a tracker that it never saw:

    python -m training.fitting.evidence --model models/body20_25hz --data ../shared/data \\
        --json docs/benchmarks/bounds.json --image docs/images/reliability.png --markdown docs/bounds.md

Coverage against nominal by horizon, joint, missing input, group and clip; the whole body's; sharpness, Winkler score;
and what the out-of-distribution score says of motions and corruptions that no part of the artefact was made with.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.bounds import coverage
from aux_motion_core.bounds.calibration import Calibration, as_text, key
from aux_motion_core.bounds.novelty import Unfamiliar
from aux_motion_core.bounds.radii import known
from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.normalise import normalise
from aux_motion_core.inference import artefact
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.skeleton import INDEX, MIRROR
from training.commands import guard
from training.data import load_split
from training.data.files import try_to_write
from training.data.windows import cut
from training.fitting.evidence_text import fill
from training.fitting.judge import judge
from training.fitting.onset import onsets
from training.fitting.scores import BODIES, CONDITIONS, MISSING, NOISES, collect

#: tier -> (stride between windows, every how many clips, conditions, what it is)
TIERS = {
    "new_subject": (0.2, 1, tuple(CONDITIONS), "a person who is in no split used"),
    "new_motion": (0.2, 1, MISSING, "washwindow: a motion that no training clip shows; one clip"),
    "handover": (0.1, 1, MISSING, "two people standing and handing over; upper bodies; another laboratory"),
    "real_tracker": (0.4, 15, ("complete",), "Kinect v1, five people gesturing; truth is the tracker's own"),
}
#: Errors of a tracker that are added to radii made on motion capture.
TRACKER_ERRORS_M = (0.0, 0.02, 0.05, 0.1)
RELIABILITY = ("complete", "missing_20pct", "missing_50pct", "coco17", "limb_lost", "input_5_to_8hz")


def _lying(x: np.ndarray) -> np.ndarray:
    return np.stack([x[..., 2], x[..., 1], -x[..., 0]], -1)


def _tilted(degrees: float) -> Callable[[np.ndarray], np.ndarray]:
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), 0.0, np.sin(a)], [0.0, 1.0, 0.0], [-np.sin(a), 0.0, np.cos(a)]])
    return lambda x: x @ turn.T


def _mixed_up(x: np.ndarray) -> np.ndarray:
    order = np.arange(x.shape[-2])
    arm, leg = (
        [INDEX[f"left_{n}"] for n in names] for names in (("elbow", "wrist", "hand"), ("knee", "ankle", "foot"))
    )
    order[arm], order[leg] = leg, arm
    return x[..., order, :]


def _folded(x: np.ndarray) -> np.ndarray:
    """The upper body turned about the pelvis by 150 degrees: no such pose is in the recordings."""
    legs = np.zeros(x.shape[-2], bool)
    legs[[INDEX[f"{s}_{j}"] for s in ("left", "right") for j in ("hip", "knee", "ankle", "foot")]] = True
    root = x[..., :1, :]
    return np.where(legs[:, None], x, _tilted(150.0)(x - root) + root)


#: name -> windows (N, T, J, 3) metres, z up, that nothing was trained or calibrated on
CORRUPTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "size_0.6": lambda x: 0.6 * x,
    "size_1.5": lambda x: 1.5 * x,
    "lying": _lying,
    "tilted_40_degrees": _tilted(40.0),
    "folded_over": _folded,
    "arm_and_leg_exchanged": _mixed_up,
    "sides_exchanged": lambda x: x[..., MIRROR, :],
    "shaking_100mm": lambda x: x + np.random.default_rng(3).normal(0.0, 0.1, x.shape),
    "one_hand_1m_away": lambda x: x + np.eye(x.shape[-2])[INDEX["right_hand"]][:, None] * np.array([0.0, 1.0, 0.0]),
    "four_times_as_fast": lambda x: x[:, -1:] + 4.0 * (x - x[:, -1:]),
}


def unfamiliar(clips_of: dict[str, list], table: Calibration, history: int, future: int, dt_s: float) -> dict:
    """Share of windows called out of distribution: of each tier, and of the new subject's windows corrupted.

    `auroc` is how often a corrupted window scores above a clean one of the new subject.
    """
    score = Unfamiliar(table.familiar, dt_s)

    def of(windows: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return score(normalise(windows, mask)[0], mask)

    tiers, base = {}, None
    for tier, clips in clips_of.items():
        cuts = [cut(c, history, future, dt_s, 0.4) for c in clips]
        found = [of(w.past, w.past_mask) for w in cuts if w is not None]
        shares = np.array([np.mean(f > 1.0) for f in found])
        low, high = coverage.interval(shares)
        tiers[tier] = {"share": _r(shares.mean()), "low": _r(low), "high": _r(high), "clips": len(shares)}
        if tier == "new_subject":
            base = [w for w in cuts if w is not None]
    past, mask = np.concatenate([w.past for w in base]), np.concatenate([w.past_mask for w in base])
    clean = of(past, mask)
    corrupted = {}
    for name, change in CORRUPTIONS.items():
        found = of(change(past), mask)
        above = np.searchsorted(np.sort(clean), found, side="left").mean() / len(clean)
        corrupted[name] = {"share": _r(np.mean(found > 1.0)), "auroc": _r(above)}
    return {"false_alarm_rate_calibrated": table.familiar.false_alarm_rate, "tiers": tiers, "corruptions": corrupted}


def reach_set(clips_of: dict[str, list], history: int, future: int, dt_s: float) -> dict:
    """How often the uncalibrated bound holds: growing with a fixed speed, and with what was seen of the person.

    Args:
        clips_of: by tier.
    """
    steps_s = dt_s * np.arange(1, future + 1)
    c = PredictorConfig()
    out: dict = {"reach_speed_mps": c.reach_speed_mps, "reach_observed_factor": c.reach_observed_factor, "tiers": {}}
    for tier, clips in clips_of.items():
        rows: dict[str, list] = {"fixed": [], "observed": [], "clip": []}
        for k, clip in enumerate(clips):
            w = cut(clip, history, future, dt_s, 0.28)
            if w is None:
                continue
            both = w.future_mask & w.past_mask[:, -1:]
            error = np.where(both, np.linalg.norm(w.future - w.past[:, -1:], axis=-1), np.nan)
            seen = known(w.past, w.past_mask, dt_s).fastest_mps
            fast = np.maximum(c.reach_speed_mps, c.reach_observed_factor * seen)
            for name, speed in (("fixed", np.full(len(seen), c.reach_speed_mps)), ("observed", fast)):
                radius = np.broadcast_to(speed[:, None, None] * steps_s[:, None], error.shape)
                rows[name].append((error, radius))
            rows["clip"].append(np.full(len(error), k))
        clip = np.concatenate(rows["clip"])
        found = {}
        for name in ("fixed", "observed"):
            error, radius = (np.concatenate([r[i] for r in rows[name]]) for i in (0, 1))
            found[name] = {
                "each_joint": _r(coverage.clip_means(coverage.inside(error, radius), clip).mean()),
                "whole_body": _r(coverage.clip_means(coverage.body_inside(error, radius)[:, None], clip).mean()),
            }
        out["tiers"][tier] = found
    return out


def _r(x: float) -> float:
    return round(float(x), 4)


def evidence(model_dir: Path, data: Path, progress: bool = True) -> dict:
    """All of it; see the module's docstring.

    Raises:
        ArtefactError, OSError or ValueError on wrong input; ValueError where the artefact has no table.
    """
    loaded = artefact.load(model_dir)
    table = loaded.calibration
    if table is None:
        raise ValueError(f"{model_dir} has no calibration table: run python -m training.calibrate --model {model_dir}")
    backend = OnnxBackend(loaded)
    shape = (loaded.history_steps, loaded.future_steps, loaded.dt_s)
    tiers, clips_of = {}, {}
    for tier, (stride_s, every, conditions, what) in TIERS.items():
        clips_of[tier] = load_split(data, tier)[::every]
        names = [c.name for c in clips_of[tier]]
        bar = tqdm(clips_of[tier], desc=tier, disable=not progress, leave=False)
        more = (*BODIES, *NOISES) if tier == "new_subject" else ()
        scores, conditions = collect(
            bar, lambda clip: backend.infer, *shape, conditions, stride_s=stride_s, bodies=more
        )
        errors = TRACKER_ERRORS_M if tier == "real_tracker" else (0.0,)
        found = {f"{e:g}": judge(scores, conditions, names, table, loaded.dt_s, e) for e in errors}
        tiers[tier] = {"what": what, "clips": len(np.unique(scores.clip)), "coverage": found["0"]}
        if len(errors) > 1:
            tiers[tier]["overall_with_tracker_error_m"] = {
                e: {
                    level: {k: v[k] for k in ("overall", "low", "high", "nominal_inside")}
                    | {"whole_body": (v.get("body") or {}).get("overall")}
                    for level, v in f.items()
                    if v["calibrated"]
                }
                for e, f in found.items()
            }
    return {
        "schema_version": 1,
        "model": {"name": loaded.name, "version": loaded.version, "onnx_sha256": loaded.onnx_sha256},
        "mean_over": "clips, with 95 % bootstrap intervals over clips; 0 to 50 % of the joint-frames missing",
        "calibration": table.summary(),
        "tiers": tiers,
        "onset": {t: onsets(c, backend.infer, table, *shape) for t, c in clips_of.items()},
        "reach_set": reach_set(clips_of, *shape),
        "out_of_distribution": unfamiliar(clips_of, table, *shape) if table.familiar else None,
    }


def summary(report: dict) -> dict:
    """The main figures of `evidence`."""
    tiers = {}
    for tier, v in report["tiers"].items():
        tiers[tier] = {
            level: {k: c[k] for k in ("overall", "low", "high", "nominal_inside")}
            | {"whole_body": (c.get("body") or {}).get("overall"), "winkler_m": c["winkler_m"]}
            | {"median_volume_of_1.6mps_reach": c["median_volume_of_1.6mps_reach"]}
            for level, c in v["coverage"].items()
            if c["calibrated"]
        }
    return {"tiers": tiers} | {k: report[k] for k in ("onset", "reach_set", "out_of_distribution")}


def picture(report: dict, path: Path) -> None:
    """Reliability: coverage against nominal with intervals, by condition, horizon and for the whole body."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    found = {float(k): v for k, v in report["tiers"]["new_subject"]["coverage"].items() if v["calibrated"]}
    levels = sorted(found)
    lines = {
        "input": {n.replace("_", " "): [found[v]["condition"][n] for v in levels] for n in RELIABILITY},
        "seconds ahead": {
            f"{h} s": [v for v in (found[x]["horizon_s"][h] for x in levels)] for h in found[levels[0]]["horizon_s"]
        },
        "whole body, all steps": {
            n.replace("_", " "): [found[v]["body"]["condition"][n] for v in levels]
            for n in RELIABILITY
            if all("body" in found[v] for v in levels)
        },
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=True)
    for axis, (title, rows) in zip(axes, lines.items()):
        axis.plot([0, 1], [0, 1], color="0.6", linewidth=1)
        for k, (name, values) in enumerate(rows.items()):
            x = np.array(levels) + 0.0012 * (k - len(rows) / 2)
            y = np.array([v["overall"] for v in values])
            low, high = (np.array([v[b] for v in values]) for b in ("low", "high"))
            error = np.maximum([y - low, high - y], 0.0)
            axis.errorbar(x, y, yerr=error, marker="o", markersize=3, linewidth=1, capsize=2, label=name)
        axis.set_xlim(min(levels) - 0.02, 1.0)
        axis.set_ylim(0.7, 1.005)
        axis.set_xlabel("nominal coverage")
        axis.set_title(title)
        axis.legend(fontsize=7, loc="lower right")
    axes[0].set_ylabel("coverage on the new subject")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def text(report: dict) -> str:
    """The report as lines."""
    lines = []
    for tier, v in report["tiers"].items():
        for level, c in v["coverage"].items():
            if not c["calibrated"]:
                lines.append(f"{tier:13} {level}: not calibrated: {c['why']}")
                continue
            body = f"  whole body {c['body']['overall']:.3f}" if "body" in c else ""
            volume = c["median_volume_of_1.6mps_reach"]
            lines.append(
                f"{tier:13} {level}: {c['overall']:.3f} [{c['low']:.3f}, {c['high']:.3f}]{body}"
                f"  volume 1/{1 / max(volume['0.4'], 1e-9):.1f} at 0.4 s, 1/{1 / max(volume['1'], 1e-9):.1f} at 1.0 s"
            )
    more = report["tiers"].get("real_tracker", {}).get("overall_with_tracker_error_m", {})
    for e, f in more.items():
        if key(0.95) in f:
            found = f["0.95"]
            body = "" if found["whole_body"] is None else f", whole body {found['whole_body']:.3f}"
            lines.append(f"real_tracker, tracker_error_m {e}: {found['overall']:.3f} at 0.95{body}")
    for tier, v in report["onset"].items():
        shares = [
            f"{level}: each joint {f['joints']['0.2']['overall']:.3f} at 0.2 s, {f['joints']['0.4']['overall']:.3f} at "
            f"0.4 s" + (f", whole body {f['whole_body']['overall']:.3f}" if "whole_body" in f else "")
            for level, f in v["levels"].items()
        ]
        told = "; ".join(shares) or "nobody"
        lines.append(f"who stood and now moves, {tier} ({v['windows']} windows of {v['clips']} clips): {told}")
    for tier, v in report["reach_set"]["tiers"].items():
        shown = ", ".join(
            f"{n} speed: each joint {x['each_joint']:.3f}, whole body {x['whole_body']:.3f}" for n, x in v.items()
        )
        lines.append(f"reach set, {tier}: {shown}")
    odd = report["out_of_distribution"]
    if odd:
        lines.append(
            "called out of distribution: " + ", ".join(f"{t} {v['share']:.3f}" for t, v in odd["tiers"].items())
        )
        lines.append("  corrupted: " + ", ".join(f"{t} {v['share']:.2f}" for t, v in odd["corruptions"].items()))
    return "\n".join(lines)


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path | None, typer.Option("--json", help="report")] = None,
    image: Annotated[Path | None, typer.Option(help="reliability picture, .png")] = None,
    markdown: Annotated[Path | None, typer.Option(help="page with markers to fill")] = None,
) -> None:
    """Judge a calibrated artefact's bounds on what it never saw."""
    with guard("training.fitting.evidence"):
        for path in (p for p in (json_path, image) if p):
            try_to_write(path.parent)
        report = evidence(model, data)
        if json_path:
            json_path.write_text(as_text(report) + "\n")
        if image:
            picture(report, image)
        if markdown:
            fill(markdown, report)
    print(text(report))


if __name__ == "__main__":
    typer.run(main)
