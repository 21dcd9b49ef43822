# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion export`: joints, predictions and bounds of a recording as a table, a row for each joint and time."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from aux_motion.commands.csv_cells import text_cell
from aux_motion.commands.offline import Here, Job
from aux_motion_core.bags.definitions import PREDICTIONS
from aux_motion_core.bags.files import BagError
from aux_motion_core.bags.reader import BagReader, read_predictions
from aux_motion_core.outputs import beside, target
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.types import MotionPrediction, PredictionBatch

#: Name and kind of each column: integer, text or number (empty where there is none).
COLUMNS: tuple[tuple[str, str], ...] = (
    ("stamp_ns", "int"),  # of the message
    ("person", "text"),
    ("state", "text"),
    ("reasons", "int"),
    ("person_stamp_ns", "int"),  # from which ahead_s counts
    ("last_observed_ns", "int"),
    ("joint", "text"),
    ("kind", "text"),  # observed, derived, guessed, imputed; predicted where ahead_s is not 0
    ("ahead_s", "number"),
    ("x_m", "number"),
    ("y_m", "number"),
    ("z_m", "number"),
    ("radius_m", "number"),
    ("radius_coverage", "number"),
    ("body_radius_m", "number"),
    ("body_coverage", "number"),
)
AHEAD_S = (0.2, 0.4, 0.6, 0.8, 1.0)
_KIND = {
    JointStatus.MISSING: "imputed",
    JointStatus.OBSERVED: "observed",
    JointStatus.DERIVED: "derived",
    JointStatus.TRACKER_PREDICTED: "guessed",
}
#: Rows that are written to a Parquet file together.
_BLOCK = 1 << 16
_Row = tuple[Any, ...]


class ExportError(ValueError):
    """A table that cannot be written, in one line."""


def rows(batch: PredictionBatch, ahead_s: Sequence[float]) -> Iterator[_Row]:
    """Rows of a message, in the order of `COLUMNS`; None where there is no number.

    Args:
        batch: predictions.
        ahead_s: times of the predicted joints, seconds after each person's stamp; to the nearest step.
    """
    steps = [round(a / batch.dt_s) for a in ahead_s]
    for person in batch.people:
        told = (batch.stamp_ns, person.person_id, person.state.name.lower(), int(person.reasons))
        told += (person.stamp_ns, person.last_observed_ns)
        kinds = [_KIND[JointStatus(int(s))] for s in person.joint_status]
        for joint, kind, place in zip(batch.joint_names, kinds, person.recovered.tolist(), strict=True):
            yield (*told, joint, kind, 0.0, *map(_number, place), None, None, None, None)
        for step in steps:
            if 0 < step <= len(person.mean):
                yield from _predicted(told, batch, person, step)


def _check(ahead_s: Sequence[float], batch: PredictionBatch) -> None:
    """Refuse times that are not predicted, at the first message."""
    for ahead in ahead_s:
        if not 0 < round(ahead / batch.dt_s) <= batch.steps:
            raise ExportError(
                f"--ahead {ahead:g}: expected from {batch.dt_s:g} to {batch.steps * batch.dt_s:g} s, which is "
                "predicted; name other times"
            )


def _predicted(told: _Row, batch: PredictionBatch, person: MotionPrediction, step: int) -> Iterator[_Row]:
    nothing = [None] * len(batch.joint_names)
    radius = nothing if person.radius is None else person.radius[step - 1].tolist()
    body = nothing if person.body_radius is None else person.body_radius[step - 1].tolist()
    coverage, body_coverage = _number(person.radius_coverage), _number(person.body_coverage)
    ahead = round(step * batch.dt_s, 6)
    places = person.mean[step - 1].tolist()
    for joint, place, r, b in zip(batch.joint_names, places, radius, body, strict=True):
        bounds = (_number(r), coverage if r is not None else None, _number(b), body_coverage if b is not None else None)
        yield (*told, joint, "predicted", ahead, *map(_number, place), *bounds)


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)


def batches(job: Job, recorded: bool | None, say: Callable[[str], None]) -> Iterator[PredictionBatch]:
    """Predictions of a bag: those that were recorded, or those that the node would make of it now.

    Args:
        job: what to read.
        recorded: which of them; None: recorded ones where the bag has some.
        say: takes a line on which it is, and lines on what is wrong.

    Raises:
        ValueError: bag, model or parameters cannot be used.
    """
    with BagReader(job.bag, on_damage=lambda line: None) as bag:
        topics = [t.name for t in bag.topics if t.msgtype == PREDICTIONS and t.count]
    named = [t for t in topics if job.topic is not None and t.strip("/") == job.topic.strip("/")]
    if recorded is None:
        recorded = bool(named) or (bool(topics) and job.topic is None)
    if recorded:
        topic = named[0] if named else job.topic
        say(f"predictions that were recorded on {topic or topics[0] if topics else 'no topic'}")
        for _, batch in read_predictions(job.bag, topic):
            yield batch
        return
    source = Here(job)
    say(f"predicted anew by {source.grid.name}, as the node would")
    try:
        for item in source:
            yield item.batch
    finally:
        source.close()
    for line in [*([source.end.damage] if source.end.damage else []), *source.end.inputs]:
        say(line)


def export(
    job: Job,
    out_csv: Path | None,
    out_parquet: Path | None,
    ahead_s: Sequence[float] | None = None,
    recorded: bool | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Write the table.

    Args:
        job: what to read.
        out_csv, out_parquet: files to write; None: not that one.
        ahead_s: times of the predicted joints, seconds; None: those of `AHEAD_S` that are predicted.
        recorded: see `batches`.
        say: takes lines.

    Returns:
        Rows that were written.

    Raises:
        ValueError: nothing can be read or written; one line.
    """
    if out_csv is None and out_parquet is None:
        raise ExportError("nothing to write: give --csv FILE, --parquet FILE, or both")
    made: list[_Csv | _Parquet] = []
    try:
        if out_parquet is not None:
            made.append(_Parquet(out_parquet))
        if out_csv is not None:
            made.append(_Csv(out_csv))
        count = 0
        for batch in batches(job, recorded, say):
            if not count:
                _check(ahead_s or (), batch)
            for row in rows(batch, AHEAD_S if ahead_s is None else ahead_s):
                count += 1
                for table in made:
                    table.write(row)
        if not count:
            raise BagError(f"nobody is in any prediction of bag {job.bag}: record while the tracker sees somebody")
        for table in made:
            table.finish()
    except OSError as error:
        where = error.filename or " and ".join(str(p) for p in (out_csv, out_parquet) if p)
        raise ExportError(f"cannot write {where}: {error.strerror or error}") from None
    finally:
        for table in made:
            table.close()
    return count


class _Csv:
    """A CSV file, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = target(path)
        self._part = beside(self._path)  # of its own: somebody else may write the same table
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._part.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow([name for name, _ in COLUMNS])

    def write(self, row: _Row) -> None:
        self._writer.writerow([self._cell(v) for v in row])

    @staticmethod
    def _cell(value: Any) -> Any:
        if isinstance(value, float):
            return f"{value:.4f}"
        return text_cell(value) if isinstance(value, str) else "" if value is None else value

    def finish(self) -> None:
        self._file.close()
        self._part.replace(self._path)

    def close(self) -> None:
        self._file.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)


class _Parquet:
    """A Parquet file, whole or not at all."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            import pyarrow.parquet as parquet
        except ImportError:
            raise ExportError("--parquet needs pyarrow: pip install 'aux_motion[parquet]', or write --csv") from None
        kinds = {"int": pyarrow.int64(), "text": pyarrow.string(), "number": pyarrow.float64()}
        self._schema = pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS])
        self._arrow = pyarrow
        self._path = target(path)
        self._part = beside(self._path)  # of its own: somebody else may write the same table
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = parquet.ParquetWriter(self._part, self._schema, compression="zstd")
        self._rows: list[_Row] = []

    def write(self, row: _Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= _BLOCK:
            self._flush()

    def _flush(self) -> None:
        columns = [list(column) for column in zip(*self._rows, strict=True)]
        arrays = [self._arrow.array(c, type=field.type) for c, field in zip(columns, self._schema, strict=True)]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows.clear()

    def finish(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()
        self._part.replace(self._path)

    def close(self) -> None:
        with suppress(Exception):  # of a file that was not finished
            self._writer.close()
        with suppress(OSError):
            self._part.unlink(missing_ok=True)
