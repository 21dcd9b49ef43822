"""Calibrate the radii of an artefact, and show on another person how often they hold:

    python -m training.fitting.calibrate --model models/body20_25hz --data ../shared/data --json build/cal.json

The table goes into the artefact's model.json. It is made of scores (error over the model's scale) of recordings that
the predicting network did not see: by recording group, a network of the same recipe that was trained without it
(`training.fitting.out_of_fold`; cross-conformal prediction, Vovk, Annals of Mathematics and Artificial Intelligence
74, 2015).
Evidence is counted in clips and in windows that do not overlap; masked copies of a window share its weight.

    python -m training.fitting.calibrate --model models/body20_25hz --bags DIR --out build/my_model    # your own \
        tracker
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.bounds import coverage, novelty
from aux_motion_core.bounds.calibration import (
    CELLS,
    CLASS_NAMES,
    JOINT_CLASS,
    MIN_CLIPS,
    MIN_WINDOWS,
    MOTION_CAPTURE,
    SPEEDS,
    Calibration,
    Domain,
    Group,
    as_text,
    body_cells,
    joint_cells,
    key,
    rank,
)
from aux_motion_core.bounds.radii import Bounds, cells
from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.limits import JOINT_LIMITS_MPS
from aux_motion_core.inference import artefact
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.skeleton import JOINTS
from training.data import load_split
from training.data.bag_clips import bag_clips, find_bags, joints_seen
from training.data.corrupt import tracker_noise
from training.data.files import try_to_write
from training.fitting.scores import BODIES, CALIBRATED_ON, CONDITIONS, MISSING, NOISES, Scores, collect

LEVELS = (0.9, 0.95, 0.99)
#: The marginal level whose radii shape the simultaneous bound.
BODY_BASE = 0.95
FALSE_ALARM_RATE = 0.01
HORIZONS_S = (0.04, 0.2, 0.4, 0.6, 0.8, 1.0)
_FOLDS = 4


def scored(s: Scores) -> np.ndarray:
    """(M, S, J) what is compared: error over scale, or the error; NaN where the truth was not seen."""
    return s.error_m if s.scale_m is None else s.error_m / s.scale_m


def copies(window: np.ndarray) -> np.ndarray:
    """(m,) weights: copies of a window share a weight of 1."""
    _, at, n = np.unique(window, return_inverse=True, return_counts=True)
    return 1.0 / n[at]


def _quantiles(
    scores: np.ndarray, window: np.ndarray, levels: tuple[float, ...], grow: float = 1.0
) -> tuple[list[np.ndarray | None], int]:
    """Conformal quantile of each column of (m, S) at each level, None where out of reach; and pieces of evidence.

    `grow`: how much more evidence the quantile is to be of, where this is a part of it.
    """
    seen = ~np.isnan(scores)
    some = seen.any(1)
    scores, window, seen = scores[some], window[some], seen[some]
    if not len(scores):
        return [None] * len(levels), 0
    each = copies(window)
    n = round(grow * len(np.unique(window)))
    filled = scores if seen.all() else np.where(seen, scores, np.inf)
    order = np.argsort(filled, axis=0)
    ordered = np.take_along_axis(filled, order, 0)
    share = each[order] if seen.all() else np.take_along_axis(each[:, None] * seen, order, 0)
    share = np.cumsum(share, axis=0)
    out = []
    for level in levels:
        k = rank(n, level)
        if k is None:
            out.append(None)
            continue
        at = np.argmax(share >= share[-1] * (k / n) * (1.0 - 1e-9), axis=0)
        out.append(np.take_along_axis(ordered, at[None], 0)[0])
    return out, n


def _chain(name: str) -> list[str]:
    """A cell and the coarser ones that it merges into, in turn."""
    parts = name.split("/")
    if len(parts) == 2:
        return [name, f"{parts[0]}/any", "any/any"]
    return [name, f"{parts[0]}/{parts[1]}/any", f"{parts[0]}/any/any", "any/any/any"]


def _members(name: str, names: list[str]) -> list[int]:
    return [i for i, cell in enumerate(names) if all(a in ("any", b) for a, b in zip(name.split("/"), cell.split("/")))]


def _groups(names: list[str], measure, by_speed: bool) -> list[Group]:
    """Groups of cells: each cell with enough evidence is its own, the others use a coarser one.

    Args:
        names: all cells.
        measure: name of a group -> (windows, clips, factors by level).
        by_speed: whether there are classes of speed.
    """
    done: dict[str, tuple[int, int, dict]] = {}
    serves: dict[str, list[str]] = {}
    for cell in names:
        chain = _chain(cell)[0 if by_speed else 1 :]
        for name in chain:
            if name not in done:
                done[name] = measure(name)
            windows, clips, _ = done[name]
            if (windows >= MIN_WINDOWS and clips >= MIN_CLIPS) or name == chain[-1]:
                serves.setdefault(name, []).append(cell)
                break
    return [Group(name=n, serves=c, windows=done[n][0], clips=done[n][1], factor=done[n][2]) for n, c in serves.items()]


def fit_joints(s: Scores, edge: float | None, levels: tuple[float, ...], grow: float = 1.0) -> list[Group]:
    """Marginal factors of all cells; `grow` as in `_quantiles`."""
    names, score = joint_cells(), scored(s)
    row, speed = cells(s.known(), edge)
    cell = row * len(SPEEDS) + speed[:, None]

    def measure(name: str) -> tuple[int, int, dict]:
        inside = np.isin(cell, _members(name, names))
        windows, clips, columns = [], [], []
        for c in range(len(CLASS_NAMES)):
            rows, joints = np.nonzero(inside & (JOINT_CLASS == c))
            found, n = _quantiles(score[rows, :, joints], s.window[rows], levels, grow)
            windows.append(n)
            clips.append(len(np.unique(s.clip[rows])))
            columns.append(found)
        have = [n for n in windows if n]
        factor = {}
        for i, level in enumerate(levels):
            enough = bool(have) and rank(min(have), level) is not None
            table = [[None] * score.shape[1] if col[i] is None else col[i] for col in columns]
            factor[key(level)] = [_row(r) for r in zip(*table, strict=True)] if enough else None
        return min(have, default=0), min((k for k, n in zip(clips, windows) if n), default=0), factor

    return _groups(names, measure, edge is not None)


def _row(values) -> list[float | None]:
    return [None if x is None or not np.isfinite(x) else float(f"{x:.4g}") for x in values]


def usual_radius(radius: np.ndarray) -> np.ndarray:
    """(steps, joint classes) median of radii (M, S, J); 0 for a joint that has none."""
    out = np.zeros((radius.shape[1], len(CLASS_NAMES)))
    for c in range(len(CLASS_NAMES)):
        part = radius[..., JOINT_CLASS == c]
        if np.isfinite(part).all():
            out[:, c] = np.median(part, axis=(0, 2))
    return out


def body_scores(s: Scores, radius: np.ndarray, floor_m: np.ndarray) -> np.ndarray:
    """(M, S): the largest, over joints and over the steps up to each, of error over marginal radius and floor."""
    ratio = np.where(np.isnan(s.error_m), 0.0, s.error_m / (radius + floor_m[:, JOINT_CLASS]))
    return np.maximum.accumulate(ratio.max(2), axis=1)


def radii_of(s: Scores, joints: list[Group], edge: float | None, level: float) -> np.ndarray:
    """(M, S, J) uncapped marginal radii of groups."""
    of = {cell: g for g in joints for cell in g.serves}
    table = np.array(
        [[[np.inf if x is None else x for x in r] for r in of[n].factor[key(level)]] for n in joint_cells()]
    )
    table = table[..., JOINT_CLASS].reshape(len(CELLS), len(SPEEDS), -1, len(JOINT_CLASS))
    row, speed = cells(s.known(), edge)
    factor = np.swapaxes(table[row, speed[:, None], :, np.arange(len(JOINT_CLASS))], 1, 2).astype(np.float32)
    return factor if s.scale_m is None else factor * s.scale_m


def fit_bodies(s: Scores, edge: float | None, levels: tuple[float, ...], base: float) -> list[Group]:
    """Simultaneous factors. The marginal radii that a window is compared with are made without its clip's fold."""
    fold = s.clip % _FOLDS
    ratio = np.full(s.error_m.shape[:2], np.nan)
    total = len(np.unique(s.window))
    for f in np.unique(fold):
        here = fold == f
        rest = s if here.all() else s.take(~here)
        without = fit_joints(rest, edge, (base,), total / len(np.unique(rest.window)))
        if any(g.factor[key(base)] is None for g in without):
            ratio[here] = np.inf
        else:
            floor_m = usual_radius(radii_of(rest, without, edge, base))
            held_out = s.take(here)
            ratio[here] = body_scores(held_out, radii_of(held_out, without, edge, base), floor_m)
    names = body_cells()
    _, speed = cells(s.known(), edge)
    cell = s.share * len(SPEEDS) + speed

    def measure(name: str) -> tuple[int, int, dict]:
        rows = np.flatnonzero(np.isin(cell, _members(name, names)))
        found, n = _quantiles(ratio[rows], s.window[rows], levels)
        factor = {
            key(level): None if q is None or not np.isfinite(q).all() else [_row([x]) for x in q]
            for level, q in zip(levels, found)
        }
        return n, len(np.unique(s.clip[rows])), factor

    return _groups(names, measure, edge is not None)


def speed_edge(s: Scores) -> float | None:
    """The median speed of windows, where both sides have the evidence of a group."""
    first = np.unique(s.window, return_index=True)[1]
    return round(float(np.nanmedian(s.speed_mps[first])), 2) if len(first) >= 2 * MIN_WINDOWS else None


def fit(
    s: Scores,
    kind: str,
    domain: Domain,
    familiar,
    onnx_sha256: str,
    levels: tuple[float, ...] = LEVELS,
) -> Calibration:
    """The table of all scores."""
    edge = speed_edge(s)
    base = BODY_BASE if BODY_BASE in levels else levels[0]
    joints = fit_joints(s, edge, levels)
    floor_m = np.zeros((s.error_m.shape[1], len(CLASS_NAMES)))
    if all(g.factor[key(base)] is not None for g in joints):
        floor_m = usual_radius(radii_of(s, joints, edge, base))
    return Calibration(
        schema_version=1,
        kind=kind,
        score="error_m" if s.scale_m is None else "error_over_scale",
        levels=list(levels),
        steps=s.error_m.shape[1],
        windows=len(np.unique(s.window)),
        clips=len(np.unique(s.clip)),
        speed_edge_mps=edge,
        joint_classes=list(CLASS_NAMES),
        joints=joints,
        body_base=base,
        bodies=fit_bodies(s, edge, levels, base),
        body_floor_m=[_row(r) for r in floor_m],
        top_speed_mps=[float(x) for x in JOINT_LIMITS_MPS],
        domain=domain,
        familiar=familiar,
        onnx_sha256=onnx_sha256,
    )


def judge(
    s: Scores,
    conditions: list[str],
    clip_names: list[str],
    table: Calibration,
    dt_s: float,
    tracker_error_m: float = 0.0,
) -> dict:
    """How often the table's radii, capped as published, held on these scores; by level. Means over clips.

    Args:
        s: of clips that are not in the table.
        conditions: their names.
        clip_names: of the clips.
        table: whose radii.
        dt_s: seconds from step to step.
        tracker_error_m: added to the radii.
    """
    steps_s = dt_s * np.arange(1, table.steps + 1)
    at = [(h, round(h / dt_s) - 1) for h in HORIZONS_S if round(h / dt_s) <= table.steps]
    what = s.known()
    row, speed = cells(what, table.speed_edge_mps)
    cell = row * len(SPEEDS) + speed[:, None]
    zero_to_half = np.isin(s.condition, [i for i, n in enumerate(conditions) if n in MISSING])
    quiet = ~np.isin(s.condition, [i for i, n in enumerate(conditions) if n in NOISES])
    of = {c: g.name for g in table.joints for c in g.serves}
    names = joint_cells()
    out: dict = {}
    for level in table.levels:
        bounds = Bounds(table, level)
        if not bounds.calibrated:
            out[key(level)] = {"calibrated": False, "why": bounds.reason}
            continue
        free, body = bounds.radii(what, s.scale_m)
        free = free + tracker_error_m
        body = None if body is None else np.maximum(body + tracker_error_m, free)
        radius = np.minimum(free, s.cap_m)
        hit = coverage.inside(s.error_m, radius)

        def part(values: np.ndarray, rows: np.ndarray | slice = slice(None), level: float = level) -> dict:
            return coverage.share(values[rows], s.clip[rows], level)

        here = zero_to_half if zero_to_half.any() else np.ones(len(hit), bool)
        ratio = coverage.volume_ratio(radius, steps_s)
        winkler = coverage.winkler_m(s.error_m, radius, level)
        groups = {}
        for name in dict.fromkeys(of.values()):
            member = np.isin(cell, [i for i, c in enumerate(names) if of[c] == name])
            groups[name] = part(np.where(member[:, None, :], hit, np.nan), quiet)
        out[key(level)] = {
            **part(hit, here),
            "calibrated": True,
            "horizon_s": {f"{h:g}": part(hit[:, [k]], here) for h, k in at},
            "joint": {n: part(hit[..., JOINT_CLASS == c], here) for c, n in enumerate(CLASS_NAMES)},
            "condition": {n: part(hit, s.condition == i) for i, n in enumerate(conditions)},
            "group": groups,
            "clip": {
                clip_names[k]: round(float(np.nanmean(hit[here & (s.clip == k)])), 4) for k in np.unique(s.clip[here])
            },
            "uncapped": round(
                float(np.mean(coverage.clip_means(coverage.inside(s.error_m, free)[here], s.clip[here]))), 4
            ),
            "median_volume_of_1.6mps_reach": {f"{h:g}": round(float(np.median(ratio[here][:, k])), 4) for h, k in at},
            "median_radius_m": {f"{h:g}": round(float(np.median(radius[here][:, k])), 4) for h, k in at},
            "winkler_m": {
                f"{h:g}": round(float(np.mean(coverage.clip_means(winkler[here][:, k], s.clip[here]))), 4)
                for h, k in at
            },
        }
        if body is not None:
            whole = coverage.body_inside(s.error_m, np.minimum(body, s.cap_m))[:, None]
            out[key(level)]["body"] = {
                **part(whole, here),
                "condition": {n: part(whole, s.condition == i) for i, n in enumerate(conditions)},
                "median_radius_m": {
                    f"{h:g}": round(float(np.median(np.minimum(body, s.cap_m)[here][:, k])), 4) for h, k in at
                },
            }
    return out


def histories_of(
    histories: list, s: Scores, conditions: list[str], dt_s: float, rate: float = FALSE_ALARM_RATE
) -> object:
    """What input looks like that the calibration is good for (`ood.fit`): all conditions, and a tracker's noise."""
    values, mask = (np.concatenate([h[i] for h in histories]) for i in (0, 1))
    complete = s.condition == conditions.index("complete")
    rng = np.random.default_rng(7)
    bodies = [i for i, n in enumerate(conditions) if n in ("complete", *BODIES)]
    pick = np.flatnonzero(np.isin(s.condition, bodies))[::3]
    noisy = tracker_noise(rng, values[pick]).astype(np.float32)
    values, mask = np.concatenate([values, noisy]), np.concatenate([mask, mask[pick]])
    window = np.concatenate([s.window, s.window[pick]])
    usual = np.concatenate([complete, np.zeros(len(pick), bool)])
    return novelty.fit(values, mask, usual, dt_s, copies(window), len(np.unique(window)), rate)


def networks(model_dir: Path, data: Path, dt_s: float, backend: OnnxBackend):
    """Clips to calibrate on, who predicts each, and the kind of scores that makes.

    Without the fold networks only the validation clips are left, predicted by the one model.
    """
    try:
        from training.fitting.out_of_fold import fold_of, folds
        from training.train import torch_infer

        each = list(folds(model_dir=model_dir, data=data))
    except (ImportError, ValueError) as error:
        print(f"no out-of-fold networks ({error}): calibrated on the validation clips alone")
        return load_split(data, "validation"), lambda clip: backend.infer, "split_conformal"
    infer = {fold.index: torch_infer(fold.model) for fold in each}
    clips = [c for fold in each for c in fold.clips] + load_split(data, "validation")
    return clips, lambda clip: infer[fold_of(clip)], "group_cross_conformal"


def left_out(s: Scores, groups: np.ndarray, conditions: list[str], clip_names: list[str], make, dt_s: float) -> dict:
    """Coverage on each recording group by a table made without it, and over the clips of all of them.

    Args:
        groups: (clips,) group of each clip.
        make: scores -> table.
    """
    of: dict[str, dict] = {}
    clips: dict[str, dict[str, float]] = {}
    for name in np.unique(groups[np.unique(s.clip)]):
        here = groups[s.clip] == name
        if here.all():
            continue
        found = judge(s.take(here), conditions, clip_names, make(s.take(~here)), dt_s)
        for level, v in found.items():
            if v["calibrated"]:
                body = v.get("body") or {}
                of.setdefault(level, {})[str(name)] = {"each_joint": v["overall"], "body": body.get("overall")}
                clips.setdefault(level, {}).update(v["clip"])
    out = {}
    for level, values in clips.items():
        means = np.array(list(values.values()))
        low, high = coverage.interval(means)
        out[level] = {
            "overall": round(float(means.mean()), 4),
            "low": round(low, 4),
            "high": round(high, 4),
            "nominal_inside": bool(low - 1e-9 <= float(level) <= high + 1e-9),
            "clips": len(means),
            "by_group": of[level],
        }
    return out


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
    clips, infer_of, kind = networks(model_dir, data, loaded.dt_s, backend)
    histories: list = []
    bar = tqdm(clips, desc="calibration", disable=not progress)
    scores, conditions = collect(bar, infer_of, *shape, CALIBRATED_ON, bodies=BODIES, histories=histories)
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
    part.write_text(as_text(content) + "\n", encoding="utf-8")
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


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact; its model.json gets the table")] = Path(
        "models/body20_25hz"
    ),
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path | None, typer.Option("--json", help="report of coverage")] = None,
    bags: Annotated[Path | None, typer.Option(help="calibrate on your own tracker: folder with bags")] = None,
    tracker: Annotated[
        str | None, typer.Option(help="with --bags: its name, where the message type is not enough")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="with --bags: topic, where a bag has several")] = None,
    fixed_frame: Annotated[str, typer.Option(help="with --bags: z up; default: the frame of the messages")] = "",
    static_transform: Annotated[
        list[str] | None, typer.Option(help='with --bags: pose of a frame in it, "camera x y z qx qy qz qw"')
    ] = None,
    out: Annotated[Path | None, typer.Option(help="copy the artefact there and calibrate the copy")] = None,
) -> None:
    """Calibrate an artefact's radii and judge them on people who are not in the table."""
    try:
        if json_path:
            try_to_write(json_path.parent)
        if out:
            try_to_write(out.parent)
        if bags:
            table, report = calibrate_on_bags(model, bags, tracker, topic, fixed_frame, tuple(static_transform or ()))
        else:
            table, report = calibrate(model, data)
        if out and out.resolve() != model.resolve():
            shutil.copytree(model, out, dirs_exist_ok=True)
        write(out or model, table)
        if json_path:
            json_path.write_text(as_text(report) + "\n")
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.fitting.calibrate: {e}") from None
    print(text(report))
    print(f"written: {(out or model) / 'model.json'}" + (f", {json_path}" if json_path else ""))


if __name__ == "__main__":
    typer.run(main)
