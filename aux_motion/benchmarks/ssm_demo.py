"""`aux-motion ssm --demo`: a robot arm beside recorded people, slowed down by one monitor after the other."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from aux_motion.nodes.parameters import default_model_dir
from aux_motion_core.bags import reader
from aux_motion_core.bounds.separation_bound import load_separation_bound
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.closed_loop import (
    FRAME,
    Motion,
    Outcome,
    Setting,
    fastest_joint,
    motion,
    observe,
    occupancies,
    placements,
    run_loop,
    without_bound,
)
from aux_motion_core.inference import artefact
from aux_motion_core.predictor import Predictor, make_backend
from aux_motion_core.safety.anthropometry import body
from aux_motion_core.safety.occupancy import BoundKind, Occupancy, OccupancyBuilder, OccupancyConfig
from aux_motion_core.safety.separation import SeparationConfig
from aux_motion_core.types import PredictionBatch, SkeletonFrame, TrackState

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
}
#: Monitors that use the model, by their bound.
PREDICTIONS = ("simultaneous", "marginal", "separation")
#: Uncertainty of the measured position, Z_d, and in the bounds of predictions: four sigma of the replay's noise.
_Z_D_M = 0.02
_GAP_S = 0.3
_SHORTEST_S = 2.0
#: tier -> (places of each clip, what it is)
TIERS = {
    "sample": (8, "the sample's two people, a tracker's own work"),
    "new_subject": (4, "all trials of CMU subject 02, who is not in the training data"),
    "handover": (8, "KTH handover: two people, upper bodies"),
    "real_tracker": (2, "Kinect v1 gestures, every 27th clip"),
}
_GESTURES_EVERY = 27


def sample_motions(folder: Path) -> list[Motion]:
    """The people of the sample bag, in pieces without gaps.

    Raises:
        ValueError: no sample there.
    """
    bag = folder / "sports2d_demo.mcap"
    if not bag.is_file():
        raise ValueError(f"{bag} does not exist: run this from the checkout, or name recordings with --data")
    frames = [frame for _, frame in reader.read_skeletons(bag)]
    ids = sorted({i for frame in frames for i in frame.person_ids})
    out = []
    for person in ids:
        mine = [(f, f.person_ids.index(person)) for f in frames if person in f.person_ids]
        stamps = np.array([f.stamp_ns * 1e-9 for f, _ in mine])
        cut = np.flatnonzero(np.diff(stamps) > _GAP_S) + 1
        for k, rows in enumerate(np.split(np.arange(len(mine)), cut)):
            if len(rows) < 2 or stamps[rows[-1]] - stamps[rows[0]] < _SHORTEST_S:
                continue
            x = np.stack([mine[i][0].positions[mine[i][1]] for i in rows])[:, None]
            mask = np.stack([mine[i][0].status[mine[i][1]] for i in rows])[:, None] > 0
            mask &= np.isfinite(x).all(-1)
            out.append(motion(f"sports2d_demo/{person}/{k}", "sample", stamps[rows], x, mask, noise=False))
    return out


def held_out_motions(data: Path) -> list[Motion]:
    """Recordings that no training saw.

    Raises:
        ValueError: no such data, or this is not the checkout.
    """
    if not data.is_dir():
        raise ValueError(f"--data {data} does not exist: expected the folder with the recordings' archives")
    root = Path(__file__).resolve().parents[2]
    if (root / "training").is_dir() and str(root) not in sys.path:
        sys.path.append(str(root))  # the console script does not start in the checkout
    try:
        from training.data import load_split  # of the checkout, not installed
    except ImportError as error:
        raise ValueError(f"--data needs the checkout's training package ({error}): run from the checkout") from None
    out = []
    for clip in load_split(data, "new_subject"):
        out.append(motion(clip.name, "new_subject", clip.stamps_s, clip.positions[:, None], clip.mask[:, None]))
    pair = load_split(data, "handover")
    if len(pair) == 2 and len(pair[0].positions) == len(pair[1].positions):
        x, mask = (np.stack([getattr(c, n) for c in pair], 1) for n in ("positions", "mask"))
        out.append(motion(pair[0].name.rsplit("/", 1)[0], "handover", pair[0].stamps_s, x, mask))
    for clip in load_split(data, "real_tracker")[::_GESTURES_EVERY]:
        if clip.duration_s >= _SHORTEST_S:
            x, mask = clip.positions[:, None], clip.mask[:, None]
            out.append(motion(clip.name, "real_tracker", clip.stamps_s, x, mask, noise=False))
    return out


@dataclass
class _Run:
    tier: str
    clip: str
    monitor: str
    outcome: Outcome


class _Knowledge:
    """What each monitor knows of a clip, made once for all places.

    Args:
        model: model folder.
        setting: rates and delays.
    """

    def __init__(self, model: Path, setting: Setting) -> None:
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
        return {
            "no_prediction": (model, present, fastest_joint(frames)),
            "fixed_speed": (model, present, None),
            "constant_velocity": (straight, swept, None),
            "reach_set": (still, swept, None),
            "simultaneous": (model, swept, None),
            "marginal": (marginal, swept, None),
            "separation": (separation, swept, None),
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


def _runs(motions: list[Motion], knowledge: _Knowledge, thickness: Any) -> Iterator[_Run]:
    for k, clip in enumerate(motions):
        known = knowledge.of(clip, seed=k)
        for rotation, translation in placements(clip, TIERS[clip.tier][0], seed=k):
            for name in MONITORS:
                occupancy, config, speed = known.get(name, (None, None, None))
                place = (rotation, translation)
                outcome = run_loop(clip, thickness, occupancy, config, knowledge.setting, *place, speed)
                yield _Run(clip.tier, clip.name, name, outcome)


def run(out: Path, data: Path | None = None, model: Path | None = None, progress: bool = True) -> dict[str, Any]:
    """Replay, judge and write summary.json, table.txt and ssm.png.

    Args:
        out: folder to write to.
        data: recordings held out of training, beside the sample; None: the sample alone.
        model: model folder; None: the shipped one.
        progress: show a bar.

    Returns:
        What summary.json holds.

    Raises:
        ValueError: one line on what is missing.
    """
    from aux_motion.benchmarks import ssm_plot  # matplotlib is missing: say it before the work, not after it

    folder = model or default_model_dir()
    setting = Setting()
    knowledge = _Knowledge(folder, setting)
    motions = sample_motions(Path(__file__).resolve().parents[2] / "samples")
    if data is not None:
        motions += held_out_motions(data)
    thickness = body()
    total = sum(TIERS[m.tier][0] for m in motions) * len(MONITORS)
    runs = list(tqdm(_runs(motions, knowledge, thickness), total=total, unit=" runs", disable=not progress or None))
    options = "" if data is None else f" --data {data}"
    command = f"aux-motion ssm --demo{options} --out {out}" + ("" if model is None else f" --model {model}")
    summary = {"command": command, **summarise(runs, knowledge, setting)}
    out.mkdir(parents=True, exist_ok=True)
    (out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    (out / "table.txt").write_text(text(summary) + "\n", encoding="utf-8")
    ssm_plot.picture(summary, _example(runs), out / "ssm.png")
    return summary


def _figures(runs: list[_Run]) -> dict[str, float]:
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


def _gain(runs: list[_Run], monitor: str, rounds: int = 2000) -> dict[str, float]:
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


def summarise(runs: list[_Run], knowledge: _Knowledge, setting: Setting) -> dict[str, Any]:
    """Everything that the table and the picture show."""
    tiers = {}
    for tier in dict.fromkeys(r.tier for r in runs):
        mine = [r for r in runs if r.tier == tier]
        tiers[tier] = {
            "what": TIERS[tier][1],
            "clips": len({r.clip for r in mine}),
            "runs": len(mine) // len(MONITORS),
            "monitors": {m: _figures([r for r in mine if r.monitor == m]) for m in MONITORS},
            "against_fixed_speed": {m: _gain(mine, m) for m in PREDICTIONS},
        }
    kinds = knowledge.kinds / np.maximum(knowledge.kinds.sum(1, keepdims=True), 1)
    model = knowledge.model.backend
    return {
        "model": f"{model.name} {model.version}",
        "monitors": MONITORS,
        "setting": {k: getattr(setting, k) for k in setting.__dataclass_fields__} | {"z_d_m": _Z_D_M},
        "kinds_of_bound": {
            m: {k.name.lower(): round(float(row[k]), 4) for k in BoundKind} for m, row in zip(PREDICTIONS, kinds)
        },
        "overall": {
            "monitors": {m: _figures([r for r in runs if r.monitor == m]) for m in MONITORS},
            "against_fixed_speed": {m: _gain(runs, m) for m in PREDICTIONS},
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
            f"  {'monitor':<18} {'time lost':>9} {'violations':>10} {'violated':>9} {'deepest':>8} {'contact':>8}"
        )
        for monitor, f in part["monitors"].items():
            lines.append(
                f"  {monitor:<18}{f['time_lost_percent']:>9.1f} %{f['violations']:>11d}{f['violated_s']:>9.2f} s"
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


def _example(runs: list[_Run]) -> tuple[str, dict[str, Outcome]]:
    """The run in which the separation bound and the fixed speed differ most, as (name, outcome of each monitor)."""
    n = len(MONITORS)
    groups = [runs[i : i + n] for i in range(0, len(runs), n)]

    def difference(group: list[_Run]) -> float:
        by = {r.monitor: r.outcome for r in group}
        return by["separation"].progress_s - by["fixed_speed"].progress_s

    best = max(groups, key=difference)
    return best[0].clip, {r.monitor: r.outcome for r in best}
