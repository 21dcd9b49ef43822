"""`aux-motion evaluate`: recordings through the node's path, every prediction judged by what was seen later."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from typing import Any

from tqdm import tqdm

from aux_motion.commands.evaluate_input import Beside, End, Here, Job, Reading, make
from aux_motion_core.bags import reader
from aux_motion_core.evaluation import gate
from aux_motion_core.evaluation.annotate import Annotator
from aux_motion_core.evaluation.run import Evaluation, evaluate, judge, quiet
from aux_motion_core.predictor import Predictor
from aux_motion_core.types import SkeletonFrame

#: Of summary.json: grows when a field changes its meaning or goes away.
SCHEMA_VERSION = 1
#: Fractions of the asked strength at which faults are judged.
FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: So many unusable messages are named and forgiven; more of them, and the recording is not what was meant.
FORGIVEN_SHARE = 0.01
#: A bag with more messages is predicted by one process and judged by another; for less it is not worth the start.
_LONG = 1500
#: Why nothing could be judged: a recording that is so many times as long as its stamps say; so many messages at least
#: that tell something of ids.
_OTHER_UNIT, _MANY = 10.0, 30
ANNOTATED = "annotated.mcap"
_SUFFIXES = (".mcap", ".db3", ".zstd")


class EvaluateError(ValueError):
    """What cannot be evaluated or written, in one line."""


@dataclass
class Result:
    """What came of a job.

    Attributes:
        summary: as written to summary.json; empty when nothing could be read.
        evaluation: the metrics; None when nothing could be read.
        problems: lines on what is wrong with the recording: the exit code is 2.
        written: files.
    """

    summary: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    problems: list[str] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)


def write_text(path: Path, text: str) -> Path:
    """Write a file whole or not at all.

    Raises:
        EvaluateError: it cannot be written, for instance because the disk is full.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # its folder may be none
            part.unlink(missing_ok=True)
        raise EvaluateError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another --out"
        ) from None
    return path


# Bags


def find_bags(paths: Iterable[Path]) -> list[Path]:
    """The bags named: files, bag folders, and every bag in other folders.

    A folder is one bag when it has a metadata.yaml, or holds only the numbered files that ros2 bag makes of one
    recording, counted from 0 (`walk_0.mcap`, `walk_1.mcap`).
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir() or _is_bag(path):
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.name != ANNOTATED and not p.name.startswith("."))
        bags_inside = [p for p in inside if (p.is_dir() and _is_bag(p)) or (p.is_file() and p.suffix in _SUFFIXES)]
        found += bags_inside or [path]  # without one: reading it says so
    return list(dict.fromkeys(found))


def _is_bag(folder: Path) -> bool:
    if (folder / "metadata.yaml").is_file():
        return True
    files = [p for p in folder.iterdir() if p.is_file() and p.suffix in _SUFFIXES]
    parts = [re.fullmatch(r"(.*)_(\d+)\.(mcap|db3)(\.zstd)?", p.name) for p in files]
    if not files or None in parts:
        return False
    # ros2 bag counts the files of one recording from 0
    return len({p[1] for p in parts}) == 1 and sorted(int(p[2]) for p in parts) == list(range(len(parts)))


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


def evaluate_bag(job: Job) -> Result:
    """Evaluate a bag and write its results.

    Raises:
        ValueError: one line on what is wrong with bag, model, parameters or the folder of the results.
    """
    reading = Reading(job)
    parameters, total = reading.parameters, reading.total()
    source = (Beside if job.workers > 1 and (total or 0) >= _LONG else Here)(job, reading)
    result = Result()
    evaluation, not_written = None, []
    try:
        with ExitStack() as stack:
            bar = tqdm(source, total=total, unit=" messages", desc=job.bag.name, disable=not job.progress or None)
            stack.enter_context(bar)
            annotator = None
            if job.annotated:
                annotator = Annotator(stack.enter_context(reader.BagWriter(job.out / ANNOTATED)))
            evaluation = judge(
                bar,
                source.grid,
                quiet(parameters),
                compare=job.compare,
                table=source.table,
                listener=annotator and annotator.frame,
                outcome_listener=annotator and annotator.outcomes,
            )
            if annotator and annotator.failure:
                raise reader.BagError(annotator.failure)
    except reader.BagError as error:
        if evaluation is None:
            raise
        not_written.append(str(error))  # the figures are there all the same
    finally:
        source.close()
    end = source.end
    evaluation.stream.rejected.update(end.rejected)
    evaluation.stream.counters.update(end.counters)
    result.evaluation = evaluation
    result.problems = _problems(job, end, evaluation) + not_written
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
    if job.faults:
        try:
            summary["faults"] = _sweep(job)
        except Exception as error:  # the recording as it is was judged all the same
            if os.environ.get("AUX_MOTION_TRACEBACK"):
                raise
            summary["problems"].append(f"faults could not be judged on bag {job.bag}: {_line(error)}")
    if not sum(summary["samples"].values()):
        summary["problems"].append(_why_nothing(job, summary))
    if job.annotated and not not_written:
        result.written.append(job.out / ANNOTATED)
    result.written += _write(job.out, summary, evaluation)
    return result


def _write(out: Path, summary: dict[str, Any], evaluation: Evaluation | None) -> list[Path]:
    """Write the results; a file that cannot be written is a problem of the summary, and the others are tried."""
    from aux_motion.commands import report

    written = []
    for name, make_text in (
        ("summary.json", lambda: json.dumps(summary, indent=1) + "\n"),
        ("errors.csv", lambda: table(summary)),
        ("report.html", lambda: report.page(summary, evaluation)),
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


def _problems(job: Job, end: End, evaluation: Evaluation) -> list[str]:
    """What makes the numbers less than they should be, in one line each."""
    found = [end.damage] if end.damage else []
    stream = evaluation.stream
    rejected = sum(end.rejected.values())
    if rejected > FORGIVEN_SHARE * (rejected + stream.frames):
        reason, count = end.rejected.most_common(1)[0]
        found.append(
            f"bag {job.bag}: {rejected} of {rejected + stream.frames} messages cannot be used; {count}: {reason}"
        )
    if stream.jump_count:
        at_s, by_s = stream.jumps[0]
        found.append(
            f"bag {job.bag}: its stamps jump {stream.jump_count} times, first by {by_s:g} s after {at_s:g} s (a clock "
            "was set, or a bag was played in a loop while recording): cut it there, or set stamp_source to receive"
        )
    return found


def _why_nothing(job: Job, summary: dict[str, Any]) -> str:
    given = summary["input"]
    frames = given["frames"]
    if not frames:
        reason = next(iter(given["rejected_reasons"]), "it has none")
        return f"nothing of bag {job.bag} could be judged: no message can be used; {reason}"
    if not given["people_count"]:
        why = f"there is no skeleton in any of its {frames} messages: record while the tracker sees somebody"
    elif frames == 1:
        why = "it has one message: record some seconds"
    elif given["stamps"]["repeated"] >= frames - 1:
        why = f"its {frames} messages all have one stamp: the tracker does not stamp, set stamp_source to receive"
    elif not given["joints_seen_share"]:
        why = f"no joint of anybody was observed in its {frames} messages: they are all missing or guessed"
    elif given["counters"].get("non_finite_or_absurd_joints", 0) > frames:
        absurd = given["counters"]["non_finite_or_absurd_joints"]
        why = f"{absurd} joints in {frames} messages are absurdly far away: positions must be in metres"
    elif (passed_s := given["stamps"]["log_span_s"]) > _OTHER_UNIT * max(given["duration_s"], 0.1):
        why = (
            f"its {frames} messages were recorded within {passed_s:g} s, but their stamps say {given['duration_s']:g} "
            "s: check the unit of the stamps, or set stamp_source to receive"
        )
    elif frames >= _MANY and given["people_count"] > frames // 2:
        why = (
            f"there are {given['people_count']} ids in {frames} messages: nobody keeps one for long enough to be seen "
            "again; turn on the tracker's tracking"
        )
    elif not given["predictions"]:
        why = (
            f"nobody was seen for long enough to be predicted in {given['duration_s']:g} s of {frames} messages: "
            "record longer, at 5 Hz or more"
        )
    else:
        why = f"nobody was seen again after a prediction in {given['duration_s']:g} s: record longer"
    return f"nothing of bag {job.bag} could be judged: {why}"


def _sweep_point(job: Job, settings: str, fraction: float) -> dict[str, Any]:
    """Errors with faults at a fraction of their strength, judged by the recording as it is."""
    from aux_motion_core.evaluation.faults import Faults

    laid = Faults.parse(settings, seed=job.seed).scaled(fraction)
    reading = Reading(job)
    true_ids: dict[str, str] = {}

    def stream() -> Iterator[tuple[int, SkeletonFrame]]:
        for item in laid.trace(reading.frames()):
            for person_id, row in zip(item.frame.person_ids, item.rows, strict=True):
                true_ids[person_id] = item.source.person_ids[row]
            yield item.log_time_ns, item.frame

    backend = make(reading.parameters)
    try:
        config = quiet(reading.parameters, getattr(backend, "calibration", None) is not None)
        predictor = Predictor(backend, config, reading.parameters.fixed_frame)
        found = evaluate(
            stream(), predictor, truth=reading.frames(), whose=true_ids.get, from_arrival=True, compare=job.compare
        )
    finally:
        backend.close()
    part = found.summary()
    return {
        "fraction": fraction,
        "faults": str(laid) if laid.settings else "",
        **{k: part[k] for k in ("mpjpe_mm", "samples", "jitter_mm")},
        "interval_mm": {h: {s: [c["low"], c["high"]] for s, c in row.items()} for h, row in part["errors_mm"].items()},
        "unseen": {h: u["share"] for h, u in part["unseen"].items()},
        "coverage": {
            label: {h: c["coverage"] for h, c in kind["horizons"].items()} for label, kind in part["bounds"].items()
        },
        "predicted_share": part["input"]["predicted_share"],
        "states": part["input"]["states"],
        "counters": part["input"]["counters"],
    }


def _sweep(job: Job) -> dict[str, Any]:
    """Error over the strength of each fault, and of all together."""
    from aux_motion_core.evaluation.faults import Faults

    faults = Faults.parse(job.faults, seed=job.seed)
    names = [s.name for s in faults.settings]
    single = {s.name if names.count(s.name) == 1 else str(s): str(s) for s in faults.settings}
    if len(single) > 1:
        single["all"] = str(faults)
    # nothing is laid over it at 0, whatever the fault
    runs = [(next(iter(single)), 0.0)] + [(name, f) for name in single for f in FRACTIONS if f > 0.0]
    silent = replace(job, progress=False, annotated=False)
    arguments = [[silent] * len(runs), [single[n] for n, _ in runs], [f for _, f in runs]]
    bar = {"desc": "faults", "unit": " runs", "total": len(runs), "disable": not job.progress or None}
    if job.workers > 1:
        with ProcessPoolExecutor(job.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            points = list(tqdm(pool.map(_sweep_point, *arguments), **bar))
    else:
        points = list(tqdm(map(_sweep_point, *arguments), **bar))
    curves: dict[str, Any] = {name: [points[0]] for name in single}
    for (name, _), point in zip(runs[1:], points[1:], strict=True):
        curves[name].append(point)
    return {"spec": str(faults), "seed": job.seed, "fractions": list(FRACTIONS), "from_arrival": True, "curves": curves}


# Tables


def table(summary: dict[str, Any]) -> str:
    """The errors as CSV: one line for each scope, horizon and source."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "scope",
            "name",
            "horizon_s",
            "source",
            "samples",
            "mean_mm",
            "median_mm",
            "p95_mm",
            "low_mm",
            "high_mm",
            "unseen_share",
        ]
    )

    def rows(scope: str, name: str, key: str, cells: dict[str, Any], samples: int, unseen: Any) -> None:
        for source in summary["sources"]:
            c = cells[source]
            writer.writerow(
                [
                    scope,
                    name,
                    key,
                    source,
                    samples,
                    c["mean"],
                    c["median"],
                    c["p95"],
                    c.get("low"),
                    c.get("high"),
                    unseen,
                ]
            )

    for key, cells in summary["errors_mm"].items():
        rows("all", "", key, cells, summary["samples"][key], summary["unseen"].get(key, {}).get("share"))
    for key, joints in summary["joints_mm"].items():
        for joint, cells in joints.items():
            unseen = summary["unseen"].get(key, {}).get("joints", {}).get(joint)
            rows("joint", joint, key, cells, cells["samples"], unseen)
    for scope in ("speeds", "people"):
        for name, horizons in summary.get(f"{scope}_mm", {}).items():
            for key, cells in horizons.items():
                rows({"speeds": "speed", "people": "person"}[scope], name, key, cells, cells["samples"], None)
    return text.getvalue()


def text(summary: dict[str, Any]) -> str:
    """The summary in a few readable lines."""
    from aux_motion_core.evaluation import judge

    given = summary["input"]
    lines = [judge.error_table(judge.Verdict(summary["mpjpe_mm"], summary["samples"])), ""]
    if summary["unseen"]:
        shares = ", ".join(f"{k} s {100 * u['share']:.0f} %" for k, u in summary["unseen"].items())
        lines.append(f"never seen   {shares} of the joints that were seen when the prediction was made: not judged")
    for label, kind in summary["bounds"].items():
        cells = [f"{k} s {100 * c['coverage']:.1f} %" for k, c in kind["horizons"].items() if c["coverage"] is not None]
        nominal = "" if kind["nominal"] is None else f" (asked {100 * kind['nominal']:g} %)"
        lines.append(f"bound        {label}{nominal}: held {', '.join(cells)}")
    rate = f"{given['rate_hz']:g} Hz" if given["rate_hz"] else "no rate"
    lines.append(
        f"input        {given['frames']} messages in {given['duration_s']:.1f} s ({rate}), "
        f"{given['people_count']} people, {given['rejected']} rejected, {given['gaps']['count']} gaps"
    )
    if given["counters"]:
        lines.append("repaired     " + ", ".join(f"{k} {v}" for k, v in given["counters"].items()))
    if summary.get("clock"):
        lines.append("stamps       " + ", ".join(f"{k} {v}" for k, v in sorted(summary["clock"].items())))
    delay = given["log_minus_stamp_ms"]
    if delay:
        lines.append(f"delay        log time minus stamp: least {delay['least']:.1f} ms, median {delay['p50']:.1f} ms")
    if given["processing_ms"]:
        lines.append("processing   " + ", ".join(f"{k} {v:.1f} ms" for k, v in given["processing_ms"].items()))
    return "\n".join(lines)


# Several bags


def _line(error: Exception) -> str:
    """What an error says, in one line; only those of this package say it without their name."""
    if isinstance(error, BrokenProcessPool):
        return "a process was killed: out of memory? Use fewer --workers"
    said = (str(error).strip().splitlines() or ["no further message"])[0]
    return said if isinstance(error, ValueError) else f"{type(error).__name__}: {said}"


def _guarded(job: Job) -> tuple[Result | None, str]:
    try:
        return evaluate_bag(job), ""
    except Exception as error:
        if os.environ.get("AUX_MOTION_TRACEBACK") and not isinstance(error, ValueError):
            raise
        return None, _line(error)


def run(jobs: list[Job], workers: int = 1) -> Iterator[tuple[Job, Result | None, str]]:
    """Evaluate bags, each in a process of its own where there are several workers.

    Yields:
        Job, its result or None, and the line on why there is none; in the order of the jobs.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        for job in jobs:
            yield job, *_guarded(job)
        return
    silent = [replace(j, progress=False, workers=1) for j in jobs]
    context = multiprocessing.get_context("spawn")  # a forked child must not inherit the parent's threads
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        futures = [pool.submit(_guarded, j) for j in silent]
        for job, future in zip(jobs, tqdm(futures, unit=" bags", disable=not jobs[0].progress or None), strict=True):
            try:
                yield job, *future.result()
            except BrokenProcessPool as error:
                yield job, None, f"bag {job.bag}: {_line(error)}"


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

    Returns:
        Exit code: 2 where a recording or a result is not as it should be, 1 where a condition holds, else 0.

    Raises:
        ValueError: nothing could be evaluated, or a condition cannot be checked; one line.
    """
    conditions = [gate.parse(text_) for text_ in fail_if]
    if job.get("faults"):
        from aux_motion_core.evaluation.faults import Faults

        Faults.parse(job["faults"])
    found = find_bags(paths)
    workers = workers or len(os.sched_getaffinity(0))
    jobs = [
        Job(bag=bag, out=folder, workers=workers, **job)
        for bag, folder in zip(found, _folders(found, out), strict=True)
    ]
    for one in jobs:
        if one.bag.resolve() in (one.out.resolve(), (one.out / ANNOTATED).resolve()):
            raise EvaluateError(f"the results would be written over bag {one.bag}: choose another --out")
    done: list[tuple[Job, Result]] = []
    failed: dict[str, str] = {}
    for one, result, line in run(jobs, workers):
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
        written = _write(out, summary, None)
        say(f"\nall {len(done)} bags\n{text(summary)}")
    else:
        summary, written = done[0][1].summary, done[0][1].written
    if written:
        say(f"written: {out}/ ({', '.join(sorted(p.name for p in written))})")
    for line in summary["problems"]:
        if line not in failed.values():  # those are said already
            warn(line)
    holding = gate.check(conditions, gate.metrics(summary))
    for line in holding:
        warn(f"fails: {line}")
    return 2 if summary["problems"] else 1 if holding else 0
