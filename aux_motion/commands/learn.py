# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion learn`: what the node would learn on line from recordings, with its code, into a file for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from aux_motion.commands.offline import Here, Job, Reading
from aux_motion.nodes.parameters import NodeParameters
from aux_motion_core.bags.files import BagError
from aux_motion_core.evaluation.learning import Curve, horizons_of
from aux_motion_core.evaluation.replay import quiet
from aux_motion_core.evaluation.run import judge
from aux_motion_core.learning.learner import Learner

#: Share of the last bag that is kept apart.
HELD_OUT = 0.25


@dataclass
class LearnReport:
    """What was learnt.

    Attributes:
        learnt: horizon -> source -> (mean, low, high) mm where it was learnt from, each judged before.
        held_out: the same where nothing was learnt any more.
        learnt_s: seconds of people's motion that taught something.
        held_out_s: length of what was kept apart.
        problems: lines on what is wrong with the recordings.
    """

    learnt: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    held_out: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    learnt_s: float = 0.0
    held_out_s: float = 0.0
    problems: list[str] = field(default_factory=list)


def identify(learner: Learner, parameters: NodeParameters) -> None:
    """Say what the learnt belongs to, as the node does."""
    trackers = parameters.given("input_trackers") or [parameters.tracker]
    joints = " ".join(parameters.given("tracker_joints"))
    learner.identity = replace(learner.identity, tracker=" ".join(trackers), joints=joints)


def learn(jobs: list[Job], out: Path, held_out: float = HELD_OUT) -> LearnReport:
    """Learn from bags in their order and write what was learnt.

    Args:
        jobs: how each bag is read.
        out: file.
        held_out: share of the last bag, by time, that nothing is learnt from.

    Returns:
        What it gains.

    Raises:
        ValueError: one line on what is wrong with a bag, the parameters or the file.
    """
    report, learner = LearnReport(), None
    curves: list[Curve] = []
    for number, job in enumerate(jobs):
        reading = Reading(replace(job, values={**job.values, "learning": "on"}))
        source = Here(job, reading, learner)
        learner = source.learner
        if learner is None:
            raise BagError(f"bag {job.bag}: nothing can be learnt without the self-check")
        identify(learner, reading.parameters)
        last = number == len(jobs) - 1
        stop_ns = _part_ns(reading, 1.0 - held_out) if last and held_out > 0.0 else None
        try:
            report.held_out_s += _one(job, reading, source, learner, curves, stop_ns)
        finally:
            source.close()
        if source.end.damage:
            report.problems.append(source.end.damage)
    learnt, apart = curves[: len(jobs)], curves[len(jobs) :]
    report.learnt = Curve.together(learnt)
    report.held_out = Curve.together(apart)
    report.learnt_s = learner.maps.learnt_s
    if not report.learnt_s:
        raise BagError(f"nothing was learnt from {', '.join(str(j.bag) for j in jobs)}: no prediction could be judged")
    learner.save(out)
    return report


def _part_ns(reading: Reading, share: float) -> int | None:
    """Log time of the end of the first part of a bag; None where it has no frame."""
    first = end = None
    for log_time_ns, _ in reading.frames():
        first = log_time_ns if first is None else first
        end = log_time_ns
    return None if first is None else first + round(share * (end - first))


def _one(job: Job, reading: Reading, source: Here, learner: Learner, curves: list[Curve], stop_ns: int | None) -> float:
    """Learn from one bag; how much was kept apart, seconds."""
    bar = tqdm(source, total=reading.total, unit=" messages", desc=job.bag.name, disable=not job.progress or None)
    first_ns = end_ns = None

    def items() -> Any:
        nonlocal first_ns, end_ns
        for item in bar:
            first_ns = item.log_time_ns if first_ns is None else first_ns
            end_ns = item.log_time_ns
            if stop_ns is not None and item.log_time_ns >= stop_ns:
                learner.frozen = True
            yield item

    mine = Curve(("learnt", "model"), horizons_of(source.grid))
    curves.append(mine)
    judge(
        items(), source.grid, quiet(reading.parameters), compare=False, table=source.table, outcome_listener=mine.update
    )
    if stop_ns is None or first_ns is None:
        return 0.0
    at_s = (stop_ns - first_ns) * 1e-9
    curves[-1], apart = mine.split(at_s)
    curves.append(apart)
    return max(0.0, (end_ns - stop_ns) * 1e-9)


def _interval(mean: float, low: float, high: float) -> str:
    """A mean with its interval, which a single block of five seconds does not have."""
    return f"{mean:.1f} ({low:.1f}-{high:.1f})" if high > low else f"{mean:.1f}"


def text(report: LearnReport, out: Path) -> str:
    """A report as a readable table."""
    table = [["error in mm after", *(f"{h} s" for h in report.learnt)]]
    for name, rows in (("while learning", report.learnt), ("held out", report.held_out)):
        if not rows:
            continue
        for source, words in (("model", "shipped model"), ("learnt", "with what was learnt")):
            table.append([f"{name}, {words}", *(_interval(*v[source]) for v in rows.values())])
        change = [100.0 * (v["learnt"][0] / max(v["model"][0], 1e-6) - 1.0) for v in rows.values()]
        table.append([f"{name}, change", *(f"{c:+.1f} %" for c in change)])
    first, width = (max(len(c) for row in table for c in row[part]) for part in (slice(0, 1), slice(1, None)))
    lines = [f"{row[0]:{first}}" + "".join(f"{c:>{width + 2}}" for c in row[1:]) for row in table]
    lines += [
        "",
        f"learnt from {report.learnt_s / 60.0:.1f} person-minutes; held out: the last {report.held_out_s:.0f} s"
        + ("" if report.held_out else ", in which nothing can be judged"),
    ]
    lines.append(f"written: {out}")
    return "\n".join(lines)
