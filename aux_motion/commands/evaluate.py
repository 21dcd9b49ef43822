# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion evaluate`: recordings through the node's path, every prediction judged by what was seen later."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tqdm import tqdm

from aux_motion.commands import report, report_replay
from aux_motion.commands.evaluate_faults import sweep
from aux_motion.commands.evaluate_problems import EvaluateError, one_line, problems, why_nothing
from aux_motion.commands.evaluate_tables import table, text
from aux_motion.commands.files import write_text
from aux_motion.commands.guard import tidy_on_sigterm
from aux_motion.commands.offline import Beside, Here, Job, Reading, be_a_child, starting
from aux_motion.commands.report_drawing import Drawing
from aux_motion_core.bags.files import BagError
from aux_motion_core.bags.find import find_bags
from aux_motion_core.bags.reader import BagReader
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.evaluation import gate
from aux_motion_core.evaluation.annotate import Annotator
from aux_motion_core.evaluation.comparisons import Sources
from aux_motion_core.evaluation.faults import Faults
from aux_motion_core.evaluation.learning import Curve, horizons_of
from aux_motion_core.evaluation.metrics import Evaluation
from aux_motion_core.evaluation.replay import quiet
from aux_motion_core.evaluation.run import judge
from aux_motion_core.solvers import one_blas_thread

#: Of summary.json: grows when a field changes its meaning or goes away.
SCHEMA_VERSION = 1
#: Of a bag with more messages, from so many workers on, one process predicts and another judges. For less it is not
#: worth the start, and two cores are busy with one process and the network in a thread of it.
_LONG, _SEVERAL = 1500, 3
#: Workers that are terminated have so long to remove what they have half written.
_PATIENCE_S = 3.0
ANNOTATED = "annotated.mcap"


@dataclass
class Result:
    """What came of a job.

    Attributes:
        summary: as written to summary.json; empty when nothing could be read.
        evaluation: the metrics; None when nothing could be read.
        problems: lines on what is wrong with the recording: the exit code is 2.
        remarks: lines on what else is to be known.
        written: files.
    """

    summary: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)


def _folders(found: list[Path], out: Path) -> list[Path]:
    """Where each bag's results go: `out` itself for one, else a folder of its name each."""
    if len(found) == 1:
        return [out]
    used: Counter[str] = Counter()
    folders = []
    for path in found:
        name = path.name if path.is_dir() else path.name.split(".")[0]
        used[name] += 1
        folders.append(out / (name if used[name] == 1 else f"{name}_{used[name]}"))
    return folders


# One bag


def evaluate_bag(job: Job, drawing: Drawing | None = None) -> Result:
    """Evaluate a bag and write its results.

    Args:
        job: what to evaluate.
        drawing: draws the report's pictures; None: they are drawn here.

    Raises:
        ValueError: one line on what is wrong with bag, model, parameters or the folder of the results.
    """
    one_blas_thread()
    reading = Reading(job)
    parameters, total = reading.parameters, reading.total
    source = Beside(job) if job.workers >= _SEVERAL and (total or 0) >= _LONG else Here(job, reading)
    result = Result()
    evaluation, not_written = None, []
    curve: Curve | None = None
    try:
        with ExitStack() as stack:
            bar = tqdm(source, total=total, unit=" messages", desc=job.bag.name, disable=not job.progress or None)
            stack.enter_context(bar)
            annotator = None
            if job.annotated:
                annotator = Annotator(stack.enter_context(BagWriter(job.out / ANNOTATED)))
            config = quiet(parameters)
            if config.learning == "on":
                curve = Curve(Sources(source.grid, config, job.compare).names, horizons_of(source.grid))
            listeners = [x for x in (annotator and annotator.outcomes, curve and curve.update) if x]
            evaluation = judge(
                bar,
                source.grid,
                config,
                compare=job.compare,
                table=source.table,
                listener=annotator and annotator.frame,
                outcome_listener=_all_of(listeners) if listeners else None,
            )
            if annotator and annotator.failure:
                raise BagError(annotator.failure)
    except BagError as error:
        if evaluation is None:
            raise
        not_written.append(str(error))  # the figures are there all the same
    finally:
        source.close()
    end = source.end
    evaluation.stream.rejected.update(end.rejected)
    evaluation.stream.counters.update(end.counters)
    result.evaluation = evaluation
    result.problems = problems(job, end, evaluation) + not_written
    result.remarks = [end.fallback] if end.fallback else []
    defaults = {k: f.default for k, f in type(parameters).model_fields.items()}
    result.summary = summary = {
        "schema_version": SCHEMA_VERSION,
        "aux_motion": _version(),
        "bag": str(job.bag),
        "topic": job.topic,
        "tracker": job.tracker,
        "model": {"name": source.grid.name, "version": source.grid.version, "backend": source.backend},
        "fixed_frame": parameters.fixed_frame,
        "parameters": {k: v for k, v in parameters.model_dump().items() if v != defaults[k]},
        "problems": result.problems,
        **evaluation.summary(),
        "worst": evaluation.moments(),
        "timeline": evaluation.timeline.summary(),
        "clock": end.clock,
    }
    if curve is not None:
        summary["learning"] = curve.summary()
    if job.faults:
        try:
            summary["faults"] = sweep(job)
        except Exception as error:  # the recording as it is was judged all the same
            if os.environ.get("AUX_MOTION_TRACEBACK"):
                raise
            summary["problems"].append(f"faults could not be judged on bag {job.bag}: {one_line(error)}")
    if not sum(summary["samples"].values()):
        summary["problems"].append(why_nothing(job, summary))
    if job.annotated and not not_written:
        result.written.append(job.out / ANNOTATED)
    clips = partial(_clips, job, summary, evaluation)
    result.written += _write(job.out, summary, evaluation, clips, drawing)
    return result


def _all_of(listeners: list[Callable[..., None]]) -> Callable[..., None]:
    def tell(*values: Any) -> None:
        for listener in listeners:
            listener(*values)

    return tell


def _clips(job: Job, summary: dict[str, Any], evaluation: Evaluation) -> list[report_replay.Clip]:
    """What was seen around the worst moments; none where the bag cannot be read again."""
    try:
        with BagReader(job.bag, on_damage=lambda line: None) as bag:
            start_ns = bag.start_ns
        again = replace(job, values={**job.values, "fixed_frame": summary["fixed_frame"]})
        return report_replay.clips(Reading(again).frames, start_ns, evaluation.worst.moments)
    except ValueError:  # said already: it was read before
        return []


def _write(
    out: Path,
    summary: dict[str, Any],
    evaluation: Evaluation | None,
    clips: Callable[[], Sequence[report_replay.Clip]] = tuple,
    drawing: Drawing | None = None,
) -> list[Path]:
    """Write the results; a file that cannot be written is a problem of the summary, and the others are tried."""
    written = []
    for name, make_text in (
        ("summary.json", lambda: json.dumps(summary, indent=1) + "\n"),
        ("errors.csv", lambda: table(summary)),
        ("report.html", lambda: report.page(summary, evaluation, clips, str(out), drawing)),
    ):
        try:
            written.append(write_text(out / name, make_text()))
        except EvaluateError as error:
            summary["problems"].append(str(error))
    return written


def _version() -> str:
    try:
        return version("aux_motion")
    except PackageNotFoundError:
        return "unknown"


# Several bags


def _guarded(job: Job, drawing: Drawing | None = None) -> tuple[Result | None, str]:
    try:
        return evaluate_bag(job, drawing), ""
    except Exception as error:
        if os.environ.get("AUX_MOTION_TRACEBACK") and not isinstance(error, ValueError):
            raise
        return None, one_line(error)


def run(jobs: list[Job], workers: int = 1, drawing: Drawing | None = None) -> Iterator[tuple[Job, Result | None, str]]:
    """Evaluate bags, each in a process of its own where there are several workers.

    Args:
        jobs: what to evaluate.
        workers: most processes.
        drawing: draws the pictures of a single bag's report; None: they are drawn here.

    Yields:
        Job, its result or None, and the line on why there is none; in the order of the jobs.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        for job in jobs:
            yield job, *_guarded(job, drawing if len(jobs) == 1 else None)
        return
    silent = [replace(j, progress=False, workers=1) for j in jobs]
    context = multiprocessing.get_context("spawn")  # a forked child must not inherit the parent's threads
    others = multiprocessing.active_children()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_be_a_worker)
    try:
        with starting():
            futures = [pool.submit(_in_worker, j) for j in silent]
        for job, future in zip(jobs, tqdm(futures, unit=" bags", disable=not jobs[0].progress or None), strict=True):
            try:
                yield job, *future.result()
            except BrokenProcessPool as error:
                yield job, None, f"bag {job.bag}: {one_line(error)}"
    except BaseException:  # a signal, too: nobody takes what they would make
        pool.shutdown(wait=False, cancel_futures=True)
        _end([p for p in multiprocessing.active_children() if p not in others])
        raise
    pool.shutdown()


#: Whether this process is a worker that its parent ends.
_ENDED = threading.Event()


def _be_a_worker() -> None:
    be_a_child()
    tidy_on_sigterm(again=signal.SIG_IGN)  # the pool says so once more to those that are about to end


def _in_worker(job: Job) -> tuple[Result | None, str]:
    if _ENDED.is_set():  # the pool catches SystemExit, and would begin the next bag
        sys.exit()
    try:
        return _guarded(job)
    except SystemExit:
        _ENDED.set()
        raise


def _end(processes: Sequence[BaseProcess]) -> None:
    """Terminate processes; kill those that do not end."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + _PATIENCE_S
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        process.kill()


def overall(results: list[tuple[Job, Result]], failed: dict[str, str]) -> dict[str, Any]:
    """One summary of several bags: every sample counts the same; the bags stand apart beside it."""
    first = results[0][1].evaluation
    steps = round(first.horizons_s[-1] / first.dt_s)
    merged = Evaluation(first.sources, first.dt_s, steps, levels=first.levels)
    for _, result in results:
        if result.evaluation.sources == merged.sources and len(result.evaluation.horizons_s) == len(merged.horizons_s):
            merged.merge(result.evaluation)
    one = results[0][1].summary
    keep = ("errors_mm", "mpjpe_mm", "samples", "input", "unseen", "problems")
    summary = {
        "schema_version": SCHEMA_VERSION,
        "aux_motion": one["aux_motion"],
        "model": one["model"],
        "problems": [p for _, r in results for p in r.summary["problems"]] + list(failed.values()),
        **merged.summary(),
        "bags": {str(job.bag): {"folder": job.out.name, **{k: r.summary[k] for k in keep}} for job, r in results},
        "failed_bags": failed,
    }
    summary["people_mm"] = {}  # ids mean nothing from bag to bag
    return summary


def main(
    paths: list[Path],
    out: Path,
    job: dict[str, Any],
    fail_if: list[str],
    workers: int = 0,
    say: Callable[[str], None] = print,
    warn: Callable[[str], None] = print,
    drawing: Drawing | None = None,
) -> int:
    """Evaluate bags as the command line asks.

    Args:
        paths: bags and folders of bags.
        out: folder of the results.
        job: further fields of `Job`.
        fail_if: conditions, see `gate`.
        workers: processes; 0: as many as there are CPUs for this one.
        say: takes lines of results.
        warn: takes lines on what is wrong.
        drawing: draws the pictures of one report, of the bag or of all of them; None: they are drawn here.

    Returns:
        Exit code: 2 where a recording or a result is not as it should be, 1 where a condition holds, else 0.

    Raises:
        ValueError: nothing could be evaluated, or a condition cannot be checked; one line.
    """
    conditions = [gate.parse(text_) for text_ in fail_if]
    if job.get("faults"):
        Faults.parse(job["faults"])
    found = find_bags(paths, leave_out=(ANNOTATED,))
    workers = workers or len(os.sched_getaffinity(0))
    jobs = [
        Job(bag=bag, out=folder, workers=workers, **job)
        for bag, folder in zip(found, _folders(found, out), strict=True)
    ]
    for one in jobs:
        if one.bag.resolve() in (one.out.resolve(), (one.out / ANNOTATED).resolve()):
            raise EvaluateError(f"the results would be written over bag {one.bag}: choose another --out")
    if out.exists() and not out.is_dir():
        raise EvaluateError(f"--out {out} is a file: expected a folder for the results")
    done: list[tuple[Job, Result]] = []
    failed: dict[str, str] = {}
    for one, result, line in run(jobs, workers, drawing):
        if result is None:
            failed[str(one.bag)] = line
            if len(jobs) > 1:
                warn(line)
            continue
        done.append((one, result))
        if len(jobs) > 1:
            say(f"\n{one.bag}")
        say(text(result.summary))
    if not done:
        raise EvaluateError(
            next(iter(failed.values())) if len(failed) == 1 else f"none of {len(failed)} bags could be read"
        )
    if len(jobs) > 1:
        summary = overall(done, failed)
        written = _write(out, summary, None, drawing=drawing)
        say(f"\nall {len(done)} bags\n{text(summary)}")
    else:
        summary, written = done[0][1].summary, done[0][1].written
    if written:
        say(f"written: {out}/ ({', '.join(sorted(p.name for p in written))})")
    for line in dict.fromkeys(line for _, r in done for line in r.remarks):
        warn(line)
    for line in summary["problems"]:
        if line not in failed.values():  # those are said already
            warn(line)
    holding = gate.check(conditions, gate.metrics(summary))
    for line in holding:
        warn(f"fails: {line}")
    return 2 if summary["problems"] else 1 if holding else 0
