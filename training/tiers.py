# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a model does for people as robots meet them: by what they did before, by what happened, root and pose apart.

    python -m training.tiers --model models/body20_25hz --against OTHER_MODEL --data ../shared/data --json FILE

Part of `python -m training.validate`. Every window says what somebody did in the 0.4 s before the prediction (`BEFORE`)
and what happened within the second after it (`AFTER`), both told from means over 0.2 s, so that a tracker's jitter does
not count as motion. A figure is a mean over clips of the clip's windows, its interval a bootstrap over clips.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.history.normalise import find_heading
from aux_motion_core.inference import artefact, baselines
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.skeleton import INDEX
from training.data import load_split, tracker_noise
from training.data.windows import Windows, cut, predict

HORIZONS_S = (0.2, 0.4, 0.6, 1.0)
BEFORE = ("still", "hands", "body")
AFTER = ("stood", "reached", "turned", "walked")
#: Faster than this, over 0.4 s, a trunk or a hand moves.
MOVES_MPS = 0.2
#: What counts as having walked, reached, turned within a second.
WALKED_M, REACHED_M, TURNED_RAD = 0.25, 0.15, 0.52
#: A phantom step: who stays within the first is predicted farther away than the second, at 1.0 s.
STAYS_M, PHANTOM_M = 0.15, 0.25
SPEEDS_MPS = (0.0, 0.1, 0.2, 0.5, 1.0, np.inf)
#: tier -> (splits, stride between windows in s, with simulated tracker noise, what it is)
TIERS: dict[str, tuple[tuple[str, ...], float, bool, str]] = {
    "nuitrack": (("nuitrack",), 0.2, False, "RealSense with Nuitrack, four people exercising; validation only"),
    "kinect_v1": (("real_tracker",), 0.4, False, "Kinect v1, five people gesturing; validation only"),
    "kinect_v2": (("rehab",), 0.2, False, "Kinect v2, three patients' arm exercises and side taps; validation only"),
    "robot_work": (("robot_work",), 0.2, False, "activities beside a robot that no training clip shows, upper bodies"),
    "construction": (("construction",), 0.2, False, "construction work that no training clip shows"),
    "handover": (("handover",), 0.1, False, "KTH handover: two people standing, upper bodies"),
    "new_subject": (("new_subject",), 0.2, False, "CMU subject 02"),
    "simulated_tracker": (
        ("new_subject", "construction", "handover"),
        0.2,
        True,
        "the motion capture of these three tiers, its past with noise as measured of trackers; truth is without it",
    ),
}
_TRUNK = [INDEX[n] for n in ("pelvis", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip")]
_WRISTS = [INDEX["left_wrist"], INDEX["right_wrist"]]
_PELVIS = INDEX["pelvis"]


class Shorter:
    """A backend that is shown only the newest part of the history: what the older part is worth.

    Args:
        backend: the whole.
        seconds: that are shown.
    """

    def __init__(self, backend, seconds: float) -> None:
        self._backend, self._steps = backend, round(seconds / backend.dt_s)
        self.history_steps, self.future_steps, self.dt_s = backend.history_steps, backend.future_steps, backend.dt_s

    def infer(self, values: np.ndarray, mask: np.ndarray):
        """See `Backend.infer`."""
        mask = mask.copy()
        mask[:, : -self._steps] = False
        return self._backend.infer(values, mask)


def mean_where(x: np.ndarray, mask: np.ndarray, axis) -> np.ndarray:
    """Mean of `x` (..., 3) over `axis` where `mask`; NaN where nothing is."""
    n = mask.sum(axis)[..., None]
    return np.where(n > 0, (x * mask[..., None]).sum(axis) / np.maximum(n, 1), np.nan)


def trunk(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(N, T, 3) middle of the trunk's joints, of those that are seen in all steps given, NaN where none is."""
    whole = mask[:, :, _TRUNK].all(1)
    use = np.broadcast_to(whole[:, None], mask[:, :, _TRUNK].shape)
    return mean_where(x[:, :, _TRUNK], use, 2)


@dataclass
class Kinds:
    """What people did before and after: (N,) indices into `BEFORE` and `AFTER`, and the root's way.

    Attributes:
        velocity: (N, 2) of the trunk over the newest 0.2 s, m/s on the ground.
        moved: (N, 2) of the trunk within the next second, metres on the ground.
        stays: (N,) never farther than `STAYS_M` away within it.
    """

    before: np.ndarray
    after: np.ndarray
    velocity: np.ndarray
    moved: np.ndarray
    stays: np.ndarray


def kinds(w: Windows, dt_s: float) -> Kinds:
    """Tell them from true positions, those before as the tracker saw them."""
    n5, n10 = round(0.2 / dt_s), round(0.4 / dt_s)
    x, m = w.past[:, -n10:], w.past_mask[:, -n10:]
    span_s = (min(n10, x.shape[1]) - n5) * dt_s

    def travel(first_x, first_m, last_x, last_m):
        """How far each joint's mean moved, NaN where it was not seen in both."""
        return mean_where(last_x, last_m, 1) - mean_where(first_x, first_m, 1)

    way = travel(x[:, :n5], m[:, :n5], x[:, -n5:], m[:, -n5:])  # (N, J, 3)
    root = np.nan_to_num(mean_where(np.nan_to_num(way[:, _TRUNK]), np.isfinite(way[:, _TRUNK]).all(-1), 1))
    hands = np.nan_to_num(np.linalg.norm(way[:, _WRISTS] - root[:, None], axis=-1)).max(1) / max(span_s, dt_s)
    moving = np.linalg.norm(root, axis=-1) / max(span_s, dt_s) > MOVES_MPS
    before = np.where(moving, 2, np.where(hands > MOVES_MPS, 1, 0))

    # after: from the newest 0.12 s to means around each step of the future
    now_x, now_m = w.past[:, -3:], w.past_mask[:, -3:]
    future, fm = w.future, w.future_mask
    t = future.shape[1]
    some = now_m.any(1)[:, None] & fm
    now = mean_where(now_x, now_m, 1)
    shift = np.where(some[..., None], future - np.nan_to_num(now)[:, None], np.nan)
    trunk_way = np.nan_to_num(mean_where(np.nan_to_num(shift[:, :, _TRUNK]), some[:, :, _TRUNK], 2))
    # a mean over three steps
    smooth = np.stack([trunk_way[:, max(0, k - 1) : k + 2].mean(1) for k in range(t)], 1)
    far = np.linalg.norm(smooth[..., :2], axis=-1)
    wrists = np.nan_to_num(shift[:, :, _WRISTS] - smooth[:, :, None])
    reach = np.linalg.norm(wrists, axis=-1).max((1, 2))
    turn_of = lambda x, m: find_heading(np.where(m[..., None], x, 0.0), m).yaw  # noqa: E731
    turned = np.abs(np.angle(np.exp(1j * (turn_of(future, fm) - turn_of(w.past, w.past_mask)))))
    after = np.where(far.max(1) > WALKED_M, 3, np.where(turned > TURNED_RAD, 2, np.where(reach > REACHED_M, 1, 0)))
    newest = w.past[:, -n5:], w.past_mask[:, -n5:]
    middle = trunk(*newest)
    time = (np.arange(n5) - (n5 - 1) / 2) * dt_s
    velocity = np.nan_to_num((middle * time[:, None]).sum(1) / (time**2).sum())[:, :2]
    return Kinds(before, after, velocity, smooth[:, -1, :2], far.max(1) < STAYS_M)


@dataclass
class TierRow:
    """One clip: errors in metres (windows, horizons) of each predictor, NaN where nothing was seen, and its kinds."""

    name: str
    action: str
    all_joints: dict[str, np.ndarray]
    root: dict[str, np.ndarray]
    pose: dict[str, np.ndarray]
    predicted_way: dict[str, np.ndarray]
    kinds: Kinds


def judge(clip, predictors: dict, steps: int, stride_s: float, dt_s: float, seed: int | None) -> TierRow | None:
    """All predictors on one clip; with a seed its past carries simulated noise.

    Args:
        steps: of history that windows are cut with; each predictor gets the newest of them that it takes.
    """
    w = cut(clip, steps, 25, dt_s, stride_s)
    if w is None:
        return None
    what = kinds(w, dt_s)
    past = w.past
    if seed is not None:
        past = past + tracker_noise.draw(np.random.default_rng(seed), len(past), steps)
    at = [round(h / dt_s) - 1 for h in HORIZONS_S]
    truth, seen = w.future[:, at], w.future_mask[:, at]
    row = TierRow(clip.name, clip.action, {}, {}, {}, {}, what)
    root_seen = seen[:, :, _TRUNK].any(2)
    mean = lambda e, m: np.where(m.any(2), (e * m).sum(2) / np.maximum(m.sum(2), 1), np.nan)  # noqa: E731
    true_root = np.nan_to_num(mean_where(truth[:, :, _TRUNK], seen[:, :, _TRUNK], 2))
    for name, backend in predictors.items():
        k = backend.history_steps
        f = predict(backend.infer, past[:, -k:], w.past_mask[:, -k:])
        p = f[:, at]
        row.all_joints[name] = mean(np.linalg.norm(p - truth, axis=-1), seen)
        root = np.nan_to_num(mean_where(p[:, :, _TRUNK], seen[:, :, _TRUNK], 2))
        row.root[name] = np.where(root_seen, np.linalg.norm(root - true_root, axis=-1), np.nan)
        off = (p - root[:, :, None]) - (truth - true_root[:, :, None])
        row.pose[name] = mean(np.linalg.norm(off, axis=-1), seen)
        use = np.broadcast_to(w.past_mask[:, -3:, _TRUNK].any(1)[:, None], f[:, -3:, _TRUNK].shape[:3])
        now = mean_where(w.past[:, -3:, _TRUNK], w.past_mask[:, -3:, _TRUNK], 1)
        way = mean_where(f[:, -3:, _TRUNK] - np.nan_to_num(now)[:, None], use, 2).mean(1)
        row.predicted_way[name] = np.nan_to_num(way)[:, :2]
    return row


def _over_clips(rows: list[TierRow], table: str, names: list[str], pick) -> np.ndarray:
    """(clips, names, horizons) means in mm over each clip's windows that `pick(row)` selects; clips without: none."""
    out = []
    for r in rows:
        use = pick(r)
        e = np.stack([getattr(r, table)[n][use] for n in names])
        if e.shape[1] and np.isfinite(e).any(1).all():
            out.append(1000 * np.nanmean(e, 1))
    return np.array(out)


def gains(rows: list[TierRow], names: list[str], pick=lambda r: slice(None)) -> dict:
    """Errors and gains of the first predictor against staying and the best baseline, by horizon; with intervals."""
    e = _over_clips(rows, "all_joints", names, pick)
    windows = int(sum(len(r.kinds.before[pick(r)]) for r in rows))
    if not len(e):
        return {"clips": 0, "windows": windows}
    root, pose = (_over_clips(rows, t, names, pick) for t in ("root", "pose"))
    stay = names.index("zero_velocity")
    rivals = [i for i, n in enumerate(names) if n in baselines.BASELINES]
    draw = np.random.default_rng(0).integers(len(e), size=(1000, len(e)))
    out: dict = {"clips": len(e), "windows": windows}
    for k, h in enumerate(HORIZONS_S):
        mean = e[:, :, k].mean(0)
        best = min(rivals, key=lambda i: mean[i])  # noqa: B023
        many = e[draw, :, k].mean(1)
        r = lambda v: round(float(v), 1)  # noqa: E731

        def gain(i: int, mean: np.ndarray = mean, many: np.ndarray = many) -> list[float]:
            low, high = np.percentile(100 * (1 - many[:, 0] / many[:, i]), [2.5, 97.5])
            return [r(x) for x in (100 * (1 - mean[0] / mean[i]), low, high)]  # noqa: B023

        out[f"{h}"] = {
            "mm": r(mean[0]),
            "staying_mm": r(mean[stay]),
            "best_baseline": names[best],
            "best_baseline_mm": r(mean[best]),
            "gain_on_staying": gain(stay),
            "gain_on_best": gain(best),
        }
        if len(root) and len(pose):
            out[f"{h}"] |= {
                "root_mm": r(root[:, 0, k].mean()),
                "root_staying_mm": r(root[:, stay, k].mean()),
                "pose_mm": r(pose[:, 0, k].mean()),
                "pose_staying_mm": r(pose[:, stay, k].mean()),
            }
    return out


def phantom(rows: list[TierRow], name: str, pick=lambda r: True) -> dict:
    """Share of windows of people who stay that are predicted to step, mean over clips with an interval.

    Args:
        pick: which windows of a row count.
    """
    each, stays, steps = [], 0, 0
    for r in rows:
        use = r.kinds.stays & pick(r)
        if use.any():
            stepped = np.linalg.norm(r.predicted_way[name], axis=-1)[use] > PHANTOM_M
            each.append(float(stepped.mean()))
            stays, steps = stays + len(stepped), steps + int(stepped.sum())
    if not each:
        return {"clips": 0}
    draw = np.random.default_rng(0).integers(len(each), size=(1000, len(each)))
    low, high = np.percentile(np.array(each)[draw].mean(1), [2.5, 97.5])
    r = lambda v: round(100 * float(v), 2)  # noqa: E731
    ends = {"percent": r(np.mean(each)), "low": r(low), "high": r(high)}
    return {"clips": len(each), **ends, "stays": stays, "steps": steps}


def carry_on(rows: list[TierRow], name: str) -> list[dict]:
    """By the root's speed before: for how many seconds it goes on, as predicted and in truth (least squares)."""
    v = np.concatenate([r.kinds.velocity for r in rows])
    p, t = (np.concatenate([x for x in xs]) for xs in zip(*((r.predicted_way[name], r.kinds.moved) for r in rows)))
    speed = np.linalg.norm(v, axis=-1)
    out = []
    for low, high in zip(SPEEDS_MPS, SPEEDS_MPS[1:]):
        at = (speed >= low) & (speed < high)
        square = max(float((v[at] ** 2).sum()), 1e-9)
        out.append(
            {
                "from_mps": low,
                "windows": int(at.sum()),
                "predicted_s": round(float((v[at] * p[at]).sum()) / square, 2),
                "true_s": round(float((v[at] * t[at]).sum()) / square, 2),
            }
        )
    return out


def summarise(rows: list[TierRow], names: list[str]) -> dict:
    """All of one tier."""
    of = lambda field, k: lambda r: getattr(r.kinds, field) == k  # noqa: E731
    return {
        **gains(rows, names),
        "phantom_steps": {
            **phantom(rows, names[0]),
            "stood_before": phantom(rows, names[0], lambda r: r.kinds.before < 2),
            "moved_before": phantom(rows, names[0], lambda r: r.kinds.before == 2),
        },
        "carry_on": carry_on(rows, names[0]),
        "before": {n: gains(rows, names, of("before", k)) for k, n in enumerate(BEFORE)},
        "after": {n: gains(rows, names, of("after", k)) for k, n in enumerate(AFTER)},
        "stays_or_hands": gains(rows, names, lambda r: r.kinds.before < 2),
        "classes": {a: gains([r for r in rows if r.action == a], names) for a in sorted({r.action for r in rows})},
    }


def measure(backends: dict[str, object], data: Path, tiers: tuple[str, ...] = tuple(TIERS), thin: int = 1) -> dict:
    """{tier: {model: `summarise`}} of each model beside the baselines, all on the same windows.

    Args:
        backends: name -> backend.
        thin: take every so many clips of large tiers.
    """
    rivals = {n: baselines.make(n) for n in baselines.BASELINES}
    steps = max(b.history_steps for b in (*backends.values(), *rivals.values()))
    out: dict = {}
    for tier in tiers:
        splits, stride_s, simulated, what = TIERS[tier]
        clips = [c for s in splits for c in load_split(data, s)]
        clips = clips[::thin] if len(clips) > 100 else clips
        rows = [
            judge(c, {**backends, **rivals}, steps, stride_s, 0.04, k if simulated else None)
            for k, c in enumerate(tqdm(clips, desc=tier, leave=False))
        ]
        rows = [r for r in rows if r is not None]
        out[tier] = {"what": what, "too_short": len(clips) - len(rows)}
        out[tier] |= {n: summarise(rows, [n, *rivals]) for n in backends}
    return out


def text(report: dict) -> str:
    """One line a tier, model and kind."""
    gain = lambda g, h: "{:+6.1f}".format(g[h]["gain_on_best"][0]) if h in g else "     -"  # noqa: E731
    stay = lambda g, h: "{:+6.1f}".format(g[h]["gain_on_staying"][0]) if h in g else "     -"  # noqa: E731
    lines = [f"{'tier':18}{'model':14}{'':9}{'clips':>6}  gain on best 0.2, 0.4, 1.0 | on staying 0.4, 1.0 | phantom %"]
    for tier, of in report.items():
        for name, s in of.items():
            if not isinstance(s, dict):
                continue
            kinds_of = {"": s, **s["before"], **s["after"]}
            for kind, g in kinds_of.items():
                cells = " ".join(gain(g, h) for h in ("0.2", "0.4", "1.0"))
                cells += " | " + " ".join(stay(g, h) for h in ("0.4", "1.0"))
                steps = f" | {s['phantom_steps'].get('percent', float('nan')):.2f}" if not kind else ""
                lines.append(f"{tier:18}{name:14}{kind:9}{g['clips']:6}  {cells}{steps}")
    return "\n".join(lines)


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    against: Annotated[Path | None, typer.Option(help="another artefact, judged on the same windows")] = None,
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path, typer.Option("--json")] = Path("docs/benchmarks/tiers.json"),
    thin: Annotated[int, typer.Option(help="of large tiers take one clip in this many", min=1)] = 1,
    history: Annotated[
        list[float] | None,
        typer.Option(help="also judge the model with only this much history, seconds; may be repeated"),
    ] = None,
) -> None:
    """Judge one or two models on all tiers."""
    try:
        loaded = {"model": artefact.load(model, calibrated=False)}
        if against:
            loaded["against"] = artefact.load(against, calibrated=False)
        backends: dict[str, object] = {n: OnnxBackend(a) for n, a in loaded.items()}
        backends |= {f"shown {h:g} s": Shorter(backends["model"], h) for h in history or ()}
        found = measure(backends, data, thin=thin)
        report = {
            "schema_version": 1,
            "command": "python -m training.tiers",
            "models": {n: {"name": a.name, "version": a.version} for n, a in loaded.items()},
            "thin": thin,
            "tiers": found,
        }
        json_path.write_text(json.dumps(report, indent=1) + "\n")
    except (artefact.ArtefactError, OSError, ValueError) as e:
        raise SystemExit(f"training.tiers: {e}") from None
    print(text(found))
    print(f"written: {json_path}")


if __name__ == "__main__":
    typer.run(main)
