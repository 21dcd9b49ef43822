# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the mix of model and baselines gains and costs, beside each of them alone:

    python -m training.studies.ensemble --model models/body20_25hz --data ../shared/data --json docs/benchmarks/mix.json

Through the node's path at 30 Hz. `choice` is on the validation clips: what the constants of
`aux_motion_core.inference.ensemble` were
chosen by. `clips` are recordings one by one; `sessions` what a tracker saw of one person, a clip after the other;
`changes` recordings of different motions in turn, unseen for 0.3 s between, with the error over the time since the
change. A mix whose own model does not fit is shown by a baseline in the model's place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.run import evaluate
from aux_motion_core.inference import ensemble
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.inference.interface import Backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.types import SkeletonFrame
from training.commands import guard
from training.data import load_split
from training.data.files import try_to_write
from training.data.splits import load_clips

RATE_HZ, GAP_S = 30.0, 0.3
HORIZONS_S = (0.4, 1.0)
TIERS = ("validation", "new_subject", "new_motion", "handover")
#: In the model's place, to see what a mix does when its model does not fit.
MISFIT = "constant_velocity"
#: Seconds since the change.
BINS_S = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
#: As good as: from then on within this factor.
AS_GOOD = 1.05
#: Walking, standing and handing over, motions that no model of this package was trained on, and back.
CHANGES = (
    ("02_01", "kth/handover_sample/giver", "test/washwindow/washwindow_1", "02_05"),
    ("test/washwindow/washwindow_1", "02_02", "kth/handover_sample/taker", "02_08"),
    ("02_07", "kth/handover_sample/giver", "02_04", "02_06"),
    ("kth/handover_sample/taker", "02_03", "02_10", "02_09"),
)
T0_NS = 1_700_000_000_000_000_000


@dataclass
class Record:
    """What was judged of a stream: a row a prediction.

    Attributes:
        at_s: (N,) seconds from the start of the stream.
        segment: (N,) index of the clip.
        error_m: (N, K, H) mean over the joints seen then, NaN where none was.
    """

    names: tuple[str, ...] = ()
    starts_s: list[float] = field(default_factory=list)
    at_s: list[np.ndarray] = field(default_factory=list)
    error_m: list[np.ndarray] = field(default_factory=list)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(N,) seconds, (N,) segments, (N, K, H) metres."""
        at_s = np.concatenate(self.at_s)
        return at_s, np.searchsorted(self.starts_s, at_s + 1e-6) - 1, np.concatenate(self.error_m)


def frames(clips: list, record: Record) -> Iterator[tuple[int, SkeletonFrame]]:
    """The clips in turn as one person's stream, each beginning where the one before ended."""
    begin_s, place = 0.0, None
    for clip in clips:
        t = clip.stamps_s - clip.stamps_s[0]
        rows = np.unique(np.searchsorted(t, np.arange(0.0, t[-1], 1.0 / RATE_HZ)).clip(max=len(t) - 1))
        rows = rows[clip.mask[rows].any(1)]
        centre = [clip.positions[i][clip.mask[i]].mean(0) * (1.0, 1.0, 0.0) for i in (rows[0], rows[-1])]
        shift = np.zeros(3) if place is None else place - centre[0]
        place = centre[1] + shift
        record.starts_s.append(begin_s)
        for i in rows:
            stamp_ns = T0_NS + round(1e9 * (begin_s + t[i]))
            seen = clip.mask[i : i + 1]
            x = clip.positions[i : i + 1].astype(np.float64) + shift
            yield stamp_ns, SkeletonFrame(stamp_ns, "map", ("1",), x, seen.astype(np.uint8), seen.astype(np.float32))
        begin_s += float(t[-1]) + GAP_S


def judge(clips: list, backend: Backend) -> Record:
    """Errors of the backend, of every baseline and of the mix on these clips in turn."""
    record = Record()

    def take(outcomes, people) -> None:
        seen = outcomes.seen.sum(-1)[:, None]
        mean = np.nansum(outcomes.error_m, -1) / np.maximum(seen, 1)
        at = [int(np.argmin(np.abs(outcomes.horizons_s - h))) for h in HORIZONS_S]
        keep = outcomes.predicted.judged
        record.at_s.append((outcomes.predicted.stamp_ns[keep] - T0_NS) * 1e-9)
        record.error_m.append(np.where(seen > 0, mean, np.nan)[keep][:, :, at])

    result = evaluate(frames(clips, record), Predictor(backend, PredictorConfig(), "map"), outcome_listener=take)
    record.names = result.sources
    return record


def table(records: list[Record]) -> dict:
    """Mean over records in millimetres, of each source and of the one that is best on each record."""
    names = records[0].names
    means = np.array([np.nanmean(r.arrays()[2], 0) for r in records])  # (records, K, H)
    mixed, alone = means[:, names.index("mix")], np.delete(means, names.index("mix"), 1)
    out = {"streams": len(records)}
    for i, h in enumerate(HORIZONS_S):
        ok = np.isfinite(means[:, :, i]).all(1)
        ratio = mixed[ok, i] / alone[ok, :, i].min(1)
        out[f"{h}"] = {
            "mm": {n: round(1e3 * float(means[ok, k, i].mean()), 1) for k, n in enumerate(names)},
            "best_of_each_mm": round(1e3 * float(alone[ok, :, i].min(1).mean()), 1),
            "mix_over_best_of_each": {"mean": round(float(ratio.mean()), 3), "largest": round(float(ratio.max()), 3)},
            "gain_on_model_percent": round(100.0 * float(1.0 - mixed[ok, i].mean() / alone[ok, 0, i].mean()), 1),
        }
    return out


def since_change(records: list[Record]) -> dict:
    """Error of the mix over that of the segment's best source, by the time since the change (the first is none)."""
    out: dict = {"bins_s": list(BINS_S)}
    for i, h in enumerate(HORIZONS_S):
        sums = np.zeros((len(BINS_S), 3))
        for r in records:
            m = r.names.index("mix")
            at_s, segment, error = r.arrays()
            for k in range(1, len(r.starts_s)):
                rows = (segment == k) & np.isfinite(error[:, :, i]).all(1)
                if not rows.any():
                    continue
                e = error[rows][:, :, i]
                best = np.delete(e.mean(0), m).argmin()
                best += best >= m
                since = np.searchsorted(BINS_S, at_s[rows] - r.starts_s[k], side="right") - 1
                for b in range(len(BINS_S)):
                    there = e[since == b]
                    sums[b] += [there[:, m].sum(), there[:, best].sum(), len(there)]
        n = np.maximum(sums[:, 2], 1)
        ratio = sums[:, 0] / np.maximum(sums[:, 1], 1e-9)
        rest = sums[::-1].cumsum(0)[::-1]
        on = rest[:, 0] / np.maximum(rest[:, 1], 1e-9)
        out[f"{h}"] = {
            "mix_mm": [round(1e3 * float(x), 1) for x in sums[:, 0] / n],
            "best_mm": [round(1e3 * float(x), 1) for x in sums[:, 1] / n],
            "ratio": [round(float(x), 3) for x in ratio],
            "ratio_from_then_on": [round(float(x), 3) for x in on],
            "all": round(float(on[0]), 3),
            "as_good_from_s": next((s for s, x in zip(BINS_S, on, strict=True) if x <= AS_GOOD), None),
        }
    return out


@contextmanager
def constants(rate: float, share: float, of_model: float) -> Iterator[None]:
    """Other constants of the mix; the baselines keep their proportions."""
    kept = ensemble.RATE, ensemble.SHARE, dict(ensemble.PRIOR)
    factor = (1.0 - of_model) / sum(kept[2].values())
    ensemble.RATE, ensemble.SHARE = rate, share
    ensemble.PRIOR.update({k: v * factor for k, v in kept[2].items()})
    try:
        yield
    finally:
        ensemble.RATE, ensemble.SHARE = kept[:2]
        ensemble.PRIOR.update(kept[2])


def choose(data: Path, backends: dict[str, Backend]) -> list[dict]:
    """The constants on the validation clips in turn, with the model and with one that does not fit.

    `whole` is the error of the mix over that of the source that is best on the whole stream, `parts` over that of the
    best of each clip from its first moment on. The former asks not to follow chance, the latter to follow soon.
    """
    clips = load_split(data, "validation")
    streams = [clips[k::3] for k in range(3)]
    own = 1.0 - sum(ensemble.PRIOR.values())
    tried = [(r, 0.01, own) for r in (1.0, 2.0, 4.0, 8.0, 16.0)]
    tried += [(4.0, s, own) for s in (0.002, 0.05)] + [(4.0, 0.01, p) for p in (0.5, 0.85)]
    out = []
    for rate, share, of_model in tqdm(tried, desc="constants", leave=False, disable=None):
        row: dict = {"rate": rate, "share": share, "prior_of_model": round(of_model, 3)}
        with constants(rate, share, of_model):
            for name, backend in backends.items():
                records = [judge(s, backend) for s in streams]
                found, parts = table(records), since_change(records)
                row[name] = {
                    f"{h}": {"whole": found[f"{h}"]["mix_over_best_of_each"]["mean"], "parts": parts[f"{h}"]["all"]}
                    for h in HORIZONS_S
                }
        ratios = [v[k] for n in backends for v in row[n].values() for k in ("whole", "parts")]
        row["mean_ratio"] = round(float(np.mean(ratios)), 4)
        out.append(row)
    return out


def measure(model: Path, data: Path, clips_of_kinect: int) -> Iterator[dict]:
    """All of it; see the module's docstring. What is there so far, after each part."""
    backends = {"model": make_backend("onnx", model), MISFIT: make_backend(MISFIT)}
    named = {c.name: c for names in CHANGES for c in load_clips(data, list(names))}
    changes = [[named[n] for n in names] for names in CHANGES]
    gestures = load_split(data, "real_tracker")
    people = sorted({c.group for c in gestures})
    sessions = [[c for c in gestures if c.group == p][:clips_of_kinect] for p in people]
    out: dict = {
        "schema_version": 1,
        "command": "python -m training.studies.ensemble",
        "artefact": {"name": backends["model"].name, "version": backends["model"].version},
        "rate_hz": RATE_HZ,
        "constants": {
            "rate": ensemble.RATE,
            "share": ensemble.SHARE,
            "loss_m": ensemble.LOSS_M,
            "prior_of_baselines": ensemble.PRIOR,
        },
    }
    for name, backend in backends.items():
        out[name] = {
            "clips": {
                t: table([judge([c], backend) for c in tqdm(load_split(data, t), t, disable=None)]) for t in TIERS
            },
            "sessions": {
                "what": f"Kinect v1, {len(sessions)} people, {clips_of_kinect} gestures each, evaluation only",
                **table([judge(s, backend) for s in tqdm(sessions, "sessions", disable=None)]),
            },
        }
        records = [judge(c, backend) for c in tqdm(changes, "changes", disable=None)]
        out[name]["changes"] = {"of": CHANGES, **table(records), "since_change": since_change(records)}
        yield out
    out["choice"] = {"model_version": backends["model"].version, "tried": choose(data, backends)}
    yield out


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
    data: Annotated[Path, typer.Option(help="folder with the data archives")] = Path("../shared/data"),
    json_path: Annotated[Path, typer.Option("--json")] = Path("docs/benchmarks/mix.json"),
    gestures: Annotated[int, typer.Option(help="Kinect clips of each person", min=1)] = 15,
) -> None:
    """Judge the mix beside the model and the baselines."""
    with guard("training.studies.ensemble"):
        try_to_write(json_path.parent)
        for report in measure(model, data, gestures):
            json_path.write_text(json.dumps(report, indent=1) + "\n")
    for name in ("model", MISFIT):
        for h in HORIZONS_S:
            ratio = report[name]["changes"]["since_change"][f"{h}"]
            print(f"{name}, {h} s ahead: as good as the best {ratio['as_good_from_s']} s after a change")
    print(f"written: {json_path}")


if __name__ == "__main__":
    typer.run(main)
