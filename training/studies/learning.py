# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is learnt on line gains, minute by minute, and that it does no harm:

    python -m training.studies.learning --data ../shared/data --json docs/benchmarks/learning.json

Every stream in its order of time, each prediction judged before it is learnt from. `curves`: predictions at 12.5 Hz on
the grid. `sessions`: the people of one tracker in turn, as in a cell where they change; minutes are those of anybody.
`changes`: another tracker's stream comes in mid-stream, under the same id; and what was learnt on one tracker
is loaded for another as if it were the same. `restart`: what was learnt is loaded and the stream goes on. `coverage`:
the node's path at 25 Hz from the first second, on the beginning of every stream; `curves` has that of the table alone
on the whole of it. `rivals` (with --rivals): other learners on the streams that constants were chosen on.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.bounds.radii import Bounds
from aux_motion_core.bounds.radii import known as known_of
from aux_motion_core.config import PredictorConfig
from aux_motion_core.constants import NS
from aux_motion_core.evaluation.learning import Curve
from aux_motion_core.evaluation.run import evaluate
from aux_motion_core.history.normalise import Heading, into_frame
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.inference.interface import Backend
from aux_motion_core.learning import maps
from aux_motion_core.learning.evidence import GROUP_OF
from aux_motion_core.learning.learner import Learner, learner_for
from aux_motion_core.predictor import Predictor
from aux_motion_core.selfcheck import grid_steps
from aux_motion_core.types import SkeletonFrame
from training.data.files import try_to_write
from training.studies.learning_rivals import KalmanEma, Nlms
from training.studies.learning_streams import GAP_S, Stream, clips_of, streams
from training.studies.learning_text import fill

#: Streams that constants were chosen on, those whose worst minutes were looked into among them; the others were only
#: judged.
CHOICE = ("kinect/0", "kinect/1", "kinect/2", "kinect/4", "nuitrack/beware2", "noisy/dance", "robot work/a")
#: Parts of a stream by the minutes of the person that were seen before.
SPANS_MIN = {"0 to 2": (0.0, 2.0), "2 to 10": (2.0, 10.0), "after 2": (2.0, 1e9), "after 10": (10.0, 1e9)}
HORIZONS = ("0.4", "1.0")
#: A minute with less of the person is not judged, minutes.
LEAST_MIN = 0.5
#: (learnt on, goes on with) under one id.
CHANGES = (
    ("kinect/1", "nuitrack/beware2"),
    ("nuitrack/beware2", "kinect/1"),
    ("kinect/0", "kinect2/irds216"),
    ("kinect2/irds216", "kinect/3"),
    ("noisy/dance", "kinect/4"),
    ("kinect/4", "new subject"),
)
RIVALS = {
    "least squares with forgetting, two memories": {},
    "one memory: 300 s": {"MEMORY_S": (300.0, 300.0)},
    "one memory: 20 s": {"MEMORY_S": (20.0, 20.0)},
    "two values in time in place of three": {"N_BASIS": 2},
    "normalised least mean squares": {"Regression": Nlms},
    "extended Kalman filter with moving averages": {"Regression": KalmanEma},
}
#: Streams that are stopped and go on.
RESTARTS = ("kinect/0", "nuitrack/beware3", "robot work/b")
#: The people of one tracker, in turn: tracker -> how the names of their streams begin.
SESSIONS = {
    "Kinect v1": "kinect/",
    "Nuitrack": "nuitrack/",
    "Kinect v2": "kinect2/",
    "motion capture of work": "robot work/",
    "motion capture with a tracker's noise": "noisy/",
}
#: Predictions of a stream that teach before a change or a restart.
_TAUGHT = 3000
_SLOTS = 40
_T0_NS = 1_700_000_000 * NS


class LearningWindows:
    """A stream as the learner sees it.

    Args:
        stream: on the grid.
        history: length of the windows.
        judged: (H,) steps.
        bounds: of the shipped model, or None.
        dt_s: grid spacing.
    """

    def __init__(self, stream: Stream, history: int, judged: np.ndarray, bounds: Bounds | None, dt_s: float) -> None:
        s, n = stream, stream.newest
        past = n[:, None] + np.arange(1 - history, 1)
        there = (past >= 0) & (s.clip[past.clip(0)] == s.clip[n][:, None])
        past = past.clip(0)
        self.heading = Heading(s.origin, s.yaw)
        self.mask = s.mask[past] & there[..., None]
        values = into_frame(s.positions[past].astype(np.float64), self.heading)
        self.values = np.where(self.mask[..., None], values, 0.0).astype(np.float32)
        ahead = n[:, None] + judged + 1
        known = ahead < len(s.positions)
        ahead = ahead.clip(max=len(s.positions) - 1)
        known &= s.clip[ahead] == s.clip[n][:, None]
        self.good = s.mask[ahead] & known[..., None]
        self.truth = s.positions[ahead].astype(np.float64)
        self.future = s.future
        self.at_s = s.at_s[n]
        away = into_frame(self.truth, self.heading) - s.future[:, judged]
        self.residual = np.where(self.good[..., None], away, 0.0)
        count = self.good.sum(-1)
        self.judged = count > 0
        self._count = np.maximum(count, 1)
        self.radius = np.full(self.good.shape, np.nan, np.float32)
        if bounds is not None:
            for k in range(0, len(n), 512):
                part = slice(k, k + 512)
                what = known_of(self.values[part], self.mask[part], dt_s)
                found = bounds.radii(what, s.scale[part])[0][:, judged]
                self.radius[part] = found + PredictorConfig().tracker_error_m

    def error(self, correction: np.ndarray | float = 0.0) -> np.ndarray:
        """(N, H) metres, mean over the joints seen, with a correction (N, H, J, 3)."""
        return (np.linalg.norm(self.residual - correction, axis=-1) * self.good).sum(-1) / self._count


def replay(
    w: LearningWindows,
    learner: Learner,
    dt_s: float,
    start_s: float = 0.0,
    new: bool = True,
    widening: np.ndarray | None = None,
) -> np.ndarray:
    """The published corrections (N, H, J, 3) of a stream, each made before its outcome is known.

    Args:
        w: the stream.
        learner: goes on learning.
        dt_s: grid spacing.
        start_s: where the stream begins.
        new: somebody new; else the person before goes on.
        widening: (N, H, J) metres of the radii, is written.
    """
    if new:
        learner.start(0)
    stamp_ns = _T0_NS + np.round((start_s + w.at_s) * NS).astype(np.int64)
    due_ns = (stamp_ns[:, None] + np.round((learner.judged + 1) * dt_s * NS).astype(np.int64)).ravel()
    order = np.argsort(due_ns, kind="stable")
    row, done, h = np.zeros(1, np.intp), 0, len(learner.judged)
    out = np.zeros(w.residual.shape, np.float32)
    for i, now_ns in enumerate(stamp_ns):
        upto = done
        while upto < len(order) and due_ns[order[upto]] <= now_ns:
            upto += 1
        if upto > done:
            which, horizon = np.divmod(order[done:upto], h)
            done = upto
            rows = np.zeros(len(which), np.intp)
            at = which % _SLOTS
            learner.outcomes(
                rows,
                at,
                horizon,
                due_ns.reshape(-1, h)[which, horizon],
                w.truth[which, horizon],
                w.good[which, horizon],
            )
        k = slice(i, i + 1)
        heading = Heading(w.heading.origin[k], w.heading.yaw[k])
        out[i] = learner.correct(row, stamp_ns[k], w.values[k], w.mask[k], w.future[k], heading)[0, learner.judged]
        learner.watch(row, stamp_ns[k], w.values[k, -1], w.mask[k, -1])
        if widening is not None:
            share = learner.evidence.widening(row)[0][:, GROUP_OF]
            widening[i] = share * np.linalg.norm(out[i], axis=-1)
        learner.predicted(row, np.array([i % _SLOTS]), w.radius[k])
    return out


def change(before: np.ndarray, after: np.ndarray, told: np.ndarray) -> float | None:
    """Percent by which the mean of `after` differs from that of `before`, over predictions that were judged."""
    if told.sum() < 60:
        return None
    return round(100.0 * (float(after[told].mean()) / max(float(before[told].mean()), 1e-9) - 1.0), 2)


def describe(w: LearningWindows, correction: np.ndarray, horizons: list[str], every_s: float) -> dict[str, Any]:
    """Errors of a stream by minutes of the person."""
    before, after = w.error(), w.error(correction)
    minute = np.arange(len(before)) * every_s / 60.0
    out: dict[str, Any] = {"minutes_of_the_person": round(float(minute[-1]), 2), "change_percent": {}, "minutes": []}
    for span, (low, high) in SPANS_MIN.items():
        at = (minute >= low) & (minute < high)
        found = {h: change(before[:, k], after[:, k], at & w.judged[:, k]) for k, h in enumerate(horizons)}
        if any(v is not None for v in found.values()):
            out["change_percent"][span] = found
    for m in range(int(np.ceil(minute[-1]))):
        at = (minute >= m) & (minute < m + 1)
        if at.sum() * every_s / 60.0 < LEAST_MIN:
            continue
        row = {}
        for k, h in enumerate(horizons):
            told = at & w.judged[:, k]
            if told.sum() >= 60:
                row[h] = [round(1e3 * float(e[told, k].mean()), 2) for e in (before, after)]
        out["minutes"].append(row)
    worst = [100.0 * (b / max(a, 1e-6) - 1.0) for row in out["minutes"] for a, b in row.values()]
    out["worst_minute_percent"] = round(max(worst), 2) if worst else None
    return out


def held(w: LearningWindows, correction: np.ndarray, widening: np.ndarray) -> dict[str, Any]:
    """Share of joint outcomes within their radius, of all, and of the first ten seconds; and mean radii."""
    told = w.good & np.isfinite(w.radius)
    early = told & (w.at_s - w.at_s[0] < 10.0)[:, None, None]
    out: dict[str, Any] = {"outcomes": int(told.sum())}
    if not told.any():
        return out
    for name, away, radius in (
        ("shipped", np.linalg.norm(w.residual, axis=-1), w.radius),
        ("learnt", np.linalg.norm(w.residual - correction, axis=-1), w.radius + widening),
    ):
        inside = away <= radius
        out[name] = {
            "all": round(float(inside[told].mean()), 4),
            "first_10_s": round(float(inside[early].mean()), 4) if early.any() else None,
            "mean_radius_mm": round(1e3 * float(radius[told].mean()), 1),
        }
    return out


@contextmanager
def constants(**values: Any) -> Iterator[None]:
    """Other constants of the maps."""
    kept = {k: getattr(maps, k) for k in values}
    for k, v in values.items():
        setattr(maps, k, v)
    try:
        yield
    finally:
        for k, v in kept.items():
            setattr(maps, k, v)


class Study:
    """All parts; see the module.

    Args:
        model: folder of the artefact.
        data: folder with the data archives.
        cache: folder for what was cut.
    """

    def __init__(self, model: Path, data: Path, cache: Path) -> None:
        self.data = data
        self.backend: Backend = make_backend("onnx", model)
        b = self.backend
        self.judged = grid_steps(b.dt_s, b.future_steps)
        self.horizons = [f"{b.dt_s * (s + 1):g}" if s + 1 != b.future_steps else "1.0" for s in self.judged]
        cut = tqdm(streams(data, b, cache), "streams", leave=False)
        table = getattr(b, "calibration", None)
        bounds = None if table is None else Bounds(table, 0.95)
        self.windows = {n: LearningWindows(s, b.history_steps, self.judged, bounds, b.dt_s) for n, s in cut}
        self.every_s = 2 * b.dt_s

    def learner(self) -> Learner:
        """A new one."""
        return learner_for(self.backend, self.judged, _SLOTS)

    def curves(self, names: list[str] | None = None) -> dict[str, Any]:
        """Every stream from nothing."""
        out = {}
        for name in tqdm(names or list(self.windows), "curves", leave=False):
            w = self.windows[name]
            widening = np.zeros(w.radius.shape, np.float32)
            correction = replay(w, self.learner(), self.backend.dt_s, widening=widening)
            out[name] = {
                "chosen_on": name in CHOICE,
                **describe(w, correction, self.horizons, self.every_s),
                "coverage": held(w, correction, widening),
            }
        return out

    def sessions(self) -> dict[str, Any]:
        """The people of each tracker in turn, everybody new to the learner, which goes on."""
        out = {}
        for tracker, begin in tqdm(SESSIONS.items(), "sessions", leave=False):
            names = [n for n in self.windows if n.startswith(begin)]
            learner, start_s, minutes, worst = self.learner(), 0.0, 0.0, []
            before, after, judged, minute = [], [], [], []
            for name in names:
                w = self.windows[name]
                correction = replay(w, learner, self.backend.dt_s, start_s)
                before.append(w.error())
                after.append(w.error(correction))
                judged.append(w.judged)
                minute.append(minutes + np.arange(len(w.at_s)) * self.every_s / 60.0)
                worst.append(describe(w, correction, self.horizons, self.every_s)["worst_minute_percent"])
                start_s += float(w.at_s[-1]) + GAP_S
                minutes = float(minute[-1][-1])
            old, new, told, at_min = (np.concatenate(part) for part in (before, after, judged, minute))
            spans = {n: (at_min >= low) & (at_min < high) for n, (low, high) in SPANS_MIN.items() if low < minutes}
            out[tracker] = {
                "people": len(names),
                "chosen_on": [n for n in names if n in CHOICE],
                "minutes": round(minutes, 1),
                "change_percent": {
                    span: {h: change(old[:, k], new[:, k], at & told[:, k]) for k, h in enumerate(self.horizons)}
                    for span, at in spans.items()
                },
                "worst_minute_percent": max((x for x in worst if x is not None), default=None),
            }
        return out

    def changes(self) -> dict[str, list[dict[str, Any]]]:
        """What was learnt on one stream meets another: under the same id in mid-stream, and from a file."""
        bins = (0.0, 2.0, 5.0, 10.0, 30.0)
        change_rows, carried_rows = [], []
        for first, second in tqdm(CHANGES, "changes", leave=False):
            before, learner = _part(self.windows[first], slice(0, _TAUGHT)), self.learner()
            replay(before, learner, self.backend.dt_s)
            w = self.windows[second]
            w = _part(w, slice(0, int(np.searchsorted(w.at_s, 60.0))))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "learned.npz"
                learner.save(path)
                size = path.stat().st_size
                other = self.learner()
                other.load(path)
            old = w.error()
            new = w.error(replay(w, other, self.backend.dt_s))
            percent = {h: change(old[:, k], new[:, k], w.judged[:, k]) for k, h in enumerate(self.horizons)}
            carried_rows.append(
                {
                    "learnt_on": first,
                    "loaded_for": second,
                    "bytes": size,
                    "refused": other.remark,
                    "first_minute_percent": percent,
                }
            )
            start_s = float(before.at_s[-1]) + GAP_S
            new = w.error(replay(w, learner, self.backend.dt_s, start_s, new=False))
            percent = {
                h: [change(old[:, k], new[:, k], (w.at_s >= s) & w.judged[:, k]) for s in bins]
                for k, h in enumerate(self.horizons)
            }
            change_rows.append(
                {
                    "learnt_on": first,
                    "goes_on_with": second,
                    "from_s": list(bins),
                    "percent_from_then_to_60_s": percent,
                }
            )
        return {"change": change_rows, "carried": carried_rows}

    def restarts(self) -> dict[str, Any]:
        """The second half of a stream: with what the first half taught, from a file, and from nothing."""
        out = {}
        for name in tqdm(RESTARTS, "restart", leave=False):
            w = self.windows[name]
            half = min(len(w.at_s) // 2, _TAUGHT)
            first, second = _part(w, slice(0, half)), _part(w, slice(half, half + 800))
            learner = self.learner()
            replay(first, learner, self.backend.dt_s)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "learned.npz"
                learner.save(path)
                again = self.learner()
                again.load(path)
            minute = second.at_s - second.at_s[0] < 60.0
            row = {}
            for kind, who in (("loaded", again), ("from nothing", self.learner())):
                correction = replay(second, who, self.backend.dt_s)
                old, new = second.error(), second.error(correction)
                row[kind] = {
                    h: change(old[:, k], new[:, k], minute & second.judged[:, k]) for k, h in enumerate(self.horizons)
                }
            out[name] = row
        return out

    def rivals(self) -> dict[str, Any]:
        """Other learners on the streams that constants were chosen on."""
        out = {}
        for name, values in RIVALS.items():
            with constants(**values):
                found = self.curves(list(CHOICE))
            rows = {n: v["change_percent"].get("after 2", {}) for n, v in found.items()}
            out[name] = {
                "after_2_minutes_percent": {n: {h: r.get(h) for h in HORIZONS} for n, r in rows.items()},
                "mean": {h: round(float(np.mean([r[h] for r in rows.values()])), 1) for h in HORIZONS},
                "worst_minute_percent": max(v["worst_minute_percent"] for v in found.values()),
            }
        return out

    def coverage(self, minutes: float) -> dict[str, Any]:
        """Joint coverage at 0.95 through the node's path at 25 Hz, from the first second, learning off and on."""
        out = {}
        for name, clips in tqdm(clips_of(self.data).items(), "coverage", leave=False):
            row: dict[str, Any] = {}
            for mode in ("off", "on"):
                predictor = Predictor(self.backend, PredictorConfig(learning=mode), "map")
                horizons = self.backend.dt_s * (self.judged + 1)
                curve = Curve(("published", "model"), horizons)
                radii: list[np.ndarray] = []

                def take(o: Any, names: dict[int, str], curve: Curve = curve, radii: list = radii) -> None:
                    curve.update(o)
                    radius = o.at_horizons(o.predicted.radius)
                    radii.append(np.where(o.seen & np.isfinite(o.predicted.level)[:, None, None], radius, np.nan))

                evaluate(frames(clips, 60.0 * minutes), predictor, outcome_listener=take, compare=False)
                held = np.sum(list(curve.inside.values()), 0) if curve.inside else np.zeros((2, len(horizons)))
                first = [curve.inside[b] for b in sorted(curve.inside)[:2]]
                early = np.sum(first, 0) if first else np.zeros((2, len(horizons)))
                size = np.concatenate([r.reshape(len(r), -1) for r in radii]) if radii else np.full((1, 1), np.nan)
                row[mode] = {
                    "coverage": round(float(held[0].sum() / max(held[1].sum(), 1.0)), 4),
                    "by_horizon": [round(float(x), 4) for x in held[0] / np.maximum(held[1], 1.0)],
                    "first_10_s": round(float(early[0].sum() / max(early[1].sum(), 1.0)), 4),
                    "outcomes": int(held[1].sum()),
                    "mean_radius_mm": round(1e3 * float(np.nanmean(size)), 1) if np.isfinite(size).any() else None,
                }
            out[name] = row
        return out


def _part(w: LearningWindows, rows: slice) -> LearningWindows:
    part = object.__new__(LearningWindows)
    part.__dict__.update({k: v[rows] for k, v in w.__dict__.items() if isinstance(v, np.ndarray)})
    part.heading = Heading(w.heading.origin[rows], w.heading.yaw[rows])
    return part


def frames(clips: list, seconds: float, rate_hz: float = 25.0) -> Iterator[tuple[int, SkeletonFrame]]:
    """The clips in turn as one person's stream: each begins, on the floor, where the one before ended."""
    begin_s, here, shift = 0.0, None, np.zeros(3)
    for clip in clips:
        t = clip.stamps_s - clip.stamps_s[0]
        rows = np.unique(np.searchsorted(t, np.arange(0.0, t[-1], 1.0 / rate_hz)).clip(max=len(t) - 1))
        rows = rows[clip.mask[rows].any(1)]
        if here is not None and len(rows):
            shift[:2] = here - clip.positions[rows[0]][clip.mask[rows[0]]].mean(0)[:2]
        for i in rows:
            if begin_s + t[i] > seconds:
                return
            stamp_ns = _T0_NS + round(NS * (begin_s + t[i]))
            seen, x = clip.mask[i : i + 1], clip.positions[i : i + 1].astype(np.float64) + shift
            here = x[seen].mean(0)[:2]
            yield stamp_ns, SkeletonFrame(stamp_ns, "map", ("1",), x, seen.astype(np.uint8), seen.astype(np.float32))
        begin_s += float(t[-1]) + GAP_S


def summary(curves: dict[str, Any]) -> dict[str, Any]:
    """Means over streams of each span, and the worst minute; of those constants were chosen on and of the others."""
    out: dict[str, Any] = {}
    for kind, chosen in (("chosen on", True), ("held out", False)):
        rows = {n: v for n, v in curves.items() if v["chosen_on"] is chosen}
        spans = {}
        for span in SPANS_MIN:
            found = [v["change_percent"][span] for v in rows.values() if span in v["change_percent"]]
            if found:
                spans[span] = {
                    "streams": len(found),
                    **{h: round(float(np.mean([f[h] for f in found if f[h] is not None])), 1) for h in HORIZONS},
                }
        worst = {n: v["worst_minute_percent"] for n, v in rows.items() if v["worst_minute_percent"] is not None}
        name = max(worst, key=lambda n: worst[n])
        out[kind] = {"mean_change_percent": spans, "worst_minute_percent": worst[name], "of": name}
    return out


def picture(report: dict[str, Any], path: Path) -> None:
    """Error with what was learnt over the shipped model's, minute by minute, of every stream of two minutes or more."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12.5, 4.2), sharey=True)
    long = {n: v for n, v in report["curves"].items() if len(v["minutes"]) >= 2}
    colours = plt.get_cmap("tab20")
    for axis, h in zip(axes, HORIZONS, strict=True):
        for k, (name, v) in enumerate(long.items()):
            y = [100.0 * (r[h][1] / r[h][0] - 1.0) if h in r else np.nan for r in v["minutes"]]
            axis.plot(np.arange(len(y)) + 1, y, marker=".", color=colours(k % 20), label=name, linewidth=1.0)
        axis.axhline(0.0, color="black", linewidth=0.8)
        axis.axhline(2.0, color="grey", linewidth=0.8, linestyle="--")
        axis.set_xlabel("minute of the person")
        axis.set_title(f"{h} s ahead")
    axes[0].set_ylabel("error against the shipped model, %")
    axes[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path, typer.Option("--json")] = Path("docs/benchmarks/learning.json"),
    image: Annotated[Path, typer.Option(help="picture of the curves")] = Path("docs/images/learning.png"),
    cache: Annotated[Path, typer.Option(help="folder for what was cut")] = Path("build"),
    minutes: Annotated[float, typer.Option(help="of each stream for the coverage; 0: none")] = 0.5,
    rivals: Annotated[bool, typer.Option(help="judge other learners too")] = False,
    only: Annotated[str, typer.Option(help="one part; the others stay as they are in the JSON")] = "",
    markdown: Annotated[Path | None, typer.Option(help="page with markers to fill")] = None,
) -> None:
    """Judge what is learnt on line on every stream."""
    try:
        try_to_write(json_path.parent)
        study = Study(model, data, cache)
        before = json.loads(json_path.read_text()) if json_path.is_file() else {}
        report: dict[str, Any] = {
            "schema_version": 1,
            "command": "python -m training.studies.learning",
            "model": {"name": study.backend.name, "version": study.backend.version},
            "horizons_s": study.horizons,
            "chosen_on": list(CHOICE),
        }
        parts: dict[str, Any] = {
            "curves": study.curves,
            "summary": lambda: summary(report["curves"]),
            "sessions": study.sessions,
            "changes": study.changes,
            "restart": study.restarts,
            "coverage": lambda: study.coverage(minutes) if minutes else before.get("coverage"),
            "rivals": lambda: study.rivals() if rivals else before.get("rivals"),
        }
        for name, part in parts.items():
            if only and name != only:
                continue
            report[name] = part()
            json_path.write_text(json.dumps({**before, **report}, indent=1) + "\n")
        report = {**before, **report}
        picture(report, image)
        if markdown is not None:
            fill(markdown, report)
    except (OSError, ValueError) as e:
        raise SystemExit(f"training.studies.learning: {e}") from None
    print(json.dumps(report["summary"], indent=1))
    print(f"written: {json_path}, {image}")


if __name__ == "__main__":
    typer.run(main)
