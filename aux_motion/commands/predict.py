# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion predict`: a bag through the node's path without DDS, written and judged; judged as `evaluate` does."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from aux_motion.commands.evaluate_problems import problems, why_nothing
from aux_motion.commands.offline import Here, Job, Reading
from aux_motion_core.bags.files import BagError
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.judge import Verdict, error_table
from aux_motion_core.evaluation.replay import PREDICTED, Replayed, quiet
from aux_motion_core.evaluation.run import judge
from aux_motion_core.inference import baselines
from aux_motion_core.predictor import Predictor


def baseline_predictors(fixed_frame: str) -> dict[str, Predictor]:
    """A predictor with each baseline as its backend, by name."""
    config = PredictorConfig()
    return {name: Predictor(baselines.make(name), config, fixed_frame) for name in baselines.BASELINES}


@dataclass
class PredictReport:
    """What `predict` did.

    Attributes:
        verdict: errors against what was seen later; the first source is what was published.
        frames: messages that were used.
        rejected: reason -> messages that were not.
        predictions: messages with at least one predicted (not merely held) person.
        people: ids of the people seen.
        duration_s: of the stamps, without their jumps.
        predictor_s: time spent in the predictor.
        counters: what was dropped, repaired and waited for.
        stamps: messages by what was wrong with their stamps.
        problems: what makes the numbers less than they should be, or why there are none, in one line each.
        remarks: what else is to be known, in one line each.
    """

    verdict: Verdict = field(default_factory=lambda: Verdict({}, {}))
    frames: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    predictions: int = 0
    people: set[str] = field(default_factory=set)
    duration_s: float = 0.0
    predictor_s: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    stamps: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def predict(job: Job, out: Path | None = None) -> PredictReport:
    """Predict a bag with the node's path.

    Args:
        job: what to read and how; without `fixed_frame` the bag's own frame is the fixed one.
        out: `.mcap` to write with topics /skeletons (in the fixed frame) and /predictions, or None.

    Returns:
        What was done.

    Raises:
        ValueError: one line on what is wrong with bag, model or parameters.
    """
    believed: set[str] = set()
    reading = Reading(job)
    source = Here(job, reading)
    report = PredictReport()
    try:
        with ExitStack() as stack:
            writer = stack.enter_context(BagWriter(out)) if out is not None else None

            def note(item: Replayed) -> Replayed:
                report.frames += 1
                report.people.update(item.frame.person_ids)
                believed.update(p.person_id for p in item.batch.people)
                report.predictions += any(p.state in PREDICTED for p in item.batch.people)
                report.predictor_s += item.took_s
                if writer is not None:
                    writer.write("/skeletons", item.frame, item.now_ns)
                    writer.write("/predictions", item.batch, item.now_ns)
                return item

            bar = tqdm(source, total=reading.total, unit=" messages", disable=not job.progress or None)
            config = quiet(reading.parameters, source.table is not None)
            evaluation = judge(map(note, bar), source.grid, config, compare=job.compare)
            if not report.frames:
                raise BagError(_why_nothing(job, source.end.rejected))
    finally:
        source.close()
    report.people = believed or report.people  # what was seen once and never again was nobody
    end = source.end
    evaluation.stream.rejected.update(end.rejected)
    evaluation.stream.counters.update(end.counters)
    summary = evaluation.summary()
    report.problems = problems(job, end, evaluation)
    report.remarks = [end.fallback] if end.fallback else []
    if not sum(summary["samples"].values()):
        report.problems.append(why_nothing(job, summary))
    report.verdict = Verdict(summary["mpjpe_mm"], summary["samples"])
    report.rejected, report.counters = end.rejected, dict(end.counters)
    report.stamps, report.duration_s = dict(end.clock), summary["input"]["duration_s"]
    return report


def _why_nothing(job: Job, rejected: Counter[str]) -> str:
    if not rejected:
        return f"nobody is in any message of bag {job.bag}: record while the tracker sees somebody"
    reason, count = rejected.most_common(1)[0]
    return f"no message of bag {job.bag} can be used; {count} of them: {reason}"


def as_json(report: PredictReport) -> dict[str, Any]:
    """A report as plain values."""
    return {
        "mpjpe_mm": report.verdict.mpjpe_mm,
        "samples": report.verdict.samples,
        "frames_in": report.frames,
        "rejected": dict(report.rejected),
        "predictions": report.predictions,
        "people": sorted(report.people),
        "duration_s": report.duration_s,
        "predictor_s": report.predictor_s,
        "counters": report.counters,
        "stamps": report.stamps,
        "problems": report.problems,
    }


def text(report: PredictReport, out: Path | None) -> str:
    """A report as a readable table."""
    each_ms = 1e3 * report.predictor_s / max(report.frames, 1)
    lines = [
        error_table(report.verdict),
        "",
        f"{report.frames} messages in {report.duration_s:.1f} s, {len(report.people)} people, "
        f"{report.predictions} predictions, {each_ms:.1f} ms each",
    ]
    lines += [f"rejected {count}: {reason}" for reason, count in report.rejected.most_common()]
    repaired = {k: v for k, v in sorted(report.counters.items()) if v and k != "frames"}
    if repaired:
        lines.append("dropped or repaired: " + ", ".join(f"{k} {v}" for k, v in repaired.items()))
    if report.stamps:
        lines.append("wrong stamps: " + ", ".join(f"{k} {v}" for k, v in sorted(report.stamps.items())))
    if out is not None:
        lines.append(f"written: {out} (/skeletons, /predictions)")
    return "\n".join(lines)
