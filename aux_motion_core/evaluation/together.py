# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Frames of a recording that are predicted in one batch, with what one frame after the other would give.

What was seen changes tracks at once, and nothing that is predicted changes them. So frames may enter their tracks first
and be asked of the network together, which costs half as much for each of them. Outcomes change radii: what is
predicted is judged at the first horizon at the earliest, 0.2 s later. So a batch consists of groups of frames within
that time, and what follows from the answers is worked out a group at a time: no outcome of any of a group is known
before the last of it. Where outcomes change the means (a mix, learning) frames are predicted one by one.

The network may answer in a thread of its own, while what was asked before is judged and what comes after is read.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.history.normalise import Heading
from aux_motion_core.history.outliers import Outliers
from aux_motion_core.history.track import needed_ns
from aux_motion_core.inference.interface import Answer, Backend
from aux_motion_core.people import Followed, Person, Result, Seen
from aux_motion_core.person_batch import Concluded, Given, Inferred
from aux_motion_core.predictor import Predictor
from aux_motion_core.types import PredictionBatch, SkeletonFrame

#: People in a batch, at most, and frames: larger batches are not faster.
MOST_PEOPLE, _MOST_FRAMES = 48, 64


@dataclass(frozen=True)
class Entered:
    """A frame that is in the tracks, and everybody as they were then.

    Attributes:
        log_time_ns: when it was recorded.
        now_ns: when it arrived, on the clock of its stamps.
        frame: it.
        took_s: what that took.
        seen: whose newest observation it brought.
        moves: id -> id under which that person went until then.
        left: who stays behind as lost, and whose results that person has.
        known: everybody, by id.
        outliers: of each, where there are any.
        due: ids of those to predict.
    """

    log_time_ns: int
    now_ns: int
    frame: SkeletonFrame
    took_s: float
    seen: Seen | None
    moves: dict[str, str]
    left: list[tuple[Followed, Followed]]
    known: dict[str, Person]
    outliers: dict[str, Outliers]
    due: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """What was predicted with a frame.

    Attributes:
        entered: the frame.
        batch: what came out.
        inferred: what went into the backend; None: nothing new.
        took_s: its share of the time that its batch took.
    """

    entered: Entered
    batch: PredictionBatch
    inferred: Inferred | None
    took_s: float


@dataclass(frozen=True)
class _Asked:
    """A batch that the backend answers.

    Attributes:
        groups: its frames; none of a group is judged before the next one begins.
        given: what goes into the backend; None: nobody is due.
        took_s: to make that.
        answer: comes from this, with the seconds that it took.
    """

    groups: list[list[Entered]]
    given: Given | None
    took_s: float
    answer: Callable[[], tuple[Answer, float]] | None


class Together:
    """Takes frames and gives predictions, a batch at a time.

    Args:
        predictor: only this one puts frames into it.
        thread: in which the backend answers, so that what is given is one batch behind; None: in this one, at once.
    """

    def __init__(self, predictor: Predictor, thread: Executor | None = None) -> None:
        self.predictor, self._thread = predictor, thread
        self._waiting: list[list[Entered]] = []
        self._frames = self._rows = 0
        self._until_ns = np.inf  # outcomes of the newest group are known from then on
        self._asked: _Asked | None = None

    def take(self, log_time_ns: int, now_ns: int, frame: SkeletonFrame) -> Iterator[Answered]:
        """Take a frame.

        Args:
            log_time_ns: when it was recorded.
            now_ns: when it arrived, on the clock of its stamps.
            frame: in the fixed frame.

        Yields:
            What was predicted with frames before it, as far as it was not given yet; maybe nothing.
        """
        entered = self._enter(log_time_ns, now_ns, frame)
        if self._waiting and not self._fits(entered):
            yield from self._send()
        if not self._waiting or entered.frame.stamp_ns >= self._until_ns:
            self._waiting.append([])
            self._until_ns = np.inf
        self._waiting[-1].append(entered)
        self._frames += 1
        self._rows += len(entered.due)
        check = self.predictor.self_check
        if check is not None and entered.due:
            oldest_ns = min(entered.known[i].track.newest_ns for i in entered.due)
            self._until_ns = min(self._until_ns, oldest_ns + check.horizons_s[0] * NS)

    def rest(self) -> Iterator[Answered]:
        """Predict with the frames that wait."""
        yield from self._send()
        if self._asked is not None:
            asked, self._asked = self._asked, None
            yield from self._answer(asked)

    def _send(self) -> Iterator[Answered]:
        """Ask the backend of the frames that wait; what it answers to those before them is given."""
        groups, self._waiting, self._frames, self._rows, self._until_ns = self._waiting, [], 0, 0, np.inf
        if not groups:
            return
        p, start = self.predictor, perf_counter()
        people = [one.known[i] for group in groups for one in group for i in one.due]
        given = p.given(people) if people else None
        took_s = perf_counter() - start
        answer: Callable[[], tuple[Answer, float]] | None = None
        if given is not None:
            answer = partial(_timed, p.backend, given)
            if self._thread is not None:
                answer = self._thread.submit(answer).result
        asked, before = _Asked(groups, given, took_s, answer), self._asked
        if self._thread is None:
            yield from self._answer(asked)
            return
        self._asked = asked
        if before is not None:
            yield from self._answer(before)

    def _enter(self, log_time_ns: int, now_ns: int, frame: SkeletonFrame) -> Entered:
        p, start = self.predictor, perf_counter()
        p.check_frame(frame)
        seen = p.people.add(frame, int(frame.stamp_ns))
        moves, left = p.people.moves, p.people.left_behind
        p.people.forget(now_ns)
        due, known = [], {}
        since_ns = needed_ns(p.backend.dt_s, p.backend.history_steps, p.config.max_gap_s)
        for person_id, person in p.people.known.items():
            if person.done_version != person.track.version:
                person.done_version = person.track.version
                due.append(person_id)
                known[person_id] = person.now(since_ns)
            else:
                known[person_id] = person.now()
        if seen is not None:
            now = {id(person): known[i] for i, person in p.people.known.items()}
            seen = Seen([now.get(id(x)) or x.now() for x in seen.people], seen.positions, seen.status)
        found = ((i, p.people.outliers(i)) for i in known)
        outliers = {i: copy.deepcopy(o) for i, o in found if o is not None}
        took_s = perf_counter() - start
        return Entered(log_time_ns, now_ns, frame, took_s, seen, moves, left, known, outliers, tuple(due))

    def _fits(self, entered: Entered) -> bool:
        """Whether it may be predicted together with those that wait."""
        if self.predictor.learns or self._frames >= _MOST_FRAMES or self._rows + len(entered.due) > MOST_PEOPLE:
            return False
        before = self._waiting[-1][-1].known
        same = list(before) == list(entered.known) and all(
            entered.known[i].followed is person.followed for i, person in before.items()
        )
        return same and not entered.moves and not entered.left

    def _answer(self, asked: _Asked) -> Iterator[Answered]:
        """What was predicted with the frames of a batch, in order."""
        batch, spent_s = None, asked.took_s
        if asked.given is not None and asked.answer is not None:
            answer, took_s = asked.answer()
            batch, spent_s = _Batch(self.predictor, asked.given, answer), spent_s + took_s
        ids = tuple(i for group in asked.groups for one in group for i in one.due)
        inferred = None if batch is None else batch.given.inferred(ids, batch.answer[0])
        share_s = spent_s / sum(map(len, asked.groups))
        first = 0
        for group in asked.groups:
            yield from self._answer_group(group, batch, inferred, first, share_s)
            first += sum(len(one.due) for one in group)

    def _answer_group(
        self, group: list[Entered], batch: _Batch | None, inferred: Inferred | None, first: int, share_s: float
    ) -> Iterator[Answered]:
        """Of one group: first what each frame showed, in order, then what follows for all of them."""
        p, start = self.predictor, perf_counter()
        parts: list[range] = []
        factors: list[tuple[np.ndarray, np.ndarray] | None] = []
        for one in group:
            p.settle()
            for followed, before in one.left:
                followed.result = before.result
            p.observed(one.seen, int(one.frame.stamp_ns))
            p.followed(one.known.values(), one.now_ns)
            due = [one.known[i] for i in one.due]
            factors.append(p.factors(due) if due else None)
            parts.append(range(first, first + len(due)))
            first += len(due)
        results: Sequence[Result] = ()
        if batch is not None and first > parts[0].start:
            results = batch.conclude(parts, _joined(factors, parts))
        share_s += (perf_counter() - start) / len(group)
        for one, part in zip(group, parts, strict=True):
            start = perf_counter()
            for i, row in zip(one.due, part, strict=True):
                one.known[i].result = results[row - parts[0].start]
            shown = tuple(p.describe(i, person, one.outliers.get(i), one.now_ns) for i, person in one.known.items())
            took_s = one.took_s + share_s + perf_counter() - start
            own = None if inferred is None or not part else _of(inferred, slice(part.start, part.stop))
            yield Answered(one, p.batch(one.now_ns, shown, took_s), own, took_s)


class _Batch:
    """A batch with its answer."""

    def __init__(self, predictor: Predictor, given: Given, answer: Answer) -> None:
        self.given, self.answer, self._predictor = given, answer, predictor
        self._plain: Concluded | None = None  # for all of it, where outcomes change nothing; counted

    def conclude(self, parts: list[range], factors: tuple[np.ndarray, np.ndarray] | None) -> Sequence[Result]:
        """Results of a group, and to the self-check with them.

        Args:
            parts: rows of each of its frames.
            factors: on their radii, or None.
        """
        p, rows = self._predictor, slice(parts[0].start, parts[-1].stop)
        given, answer, due = self.given, self.answer, [part for part in parts if part]
        alone = rows == slice(0, len(given.people))
        if factors is None or not alone:
            found = self._plain = self._plain or p.conclude(given, answer, None)
        if factors is not None:
            counters = None if alone else Counter[str]()  # else they are counted already
            if not alone:
                given, answer = given.rows(rows), _rows(answer, rows)
                due = [range(part.start - rows.start, part.stop - rows.start) for part in due]
            found = p.conclude(given, answer, factors, counters)
        p.judge_later(given, answer[0], found, due)
        return found.done.each[rows] if found is self._plain else found.done.each


def _timed(backend: Backend, given: Given) -> tuple[Answer, float]:
    """What the backend answers, and the seconds that it takes."""
    start = perf_counter()
    answer = backend.infer(given.cut.values, given.cut.mask)
    return answer, perf_counter() - start


def _rows(answer: Answer, rows: slice) -> Answer:
    future, recovered, scale = answer
    return future[rows], recovered[rows], None if scale is None else scale[rows]


def _of(i: Inferred, rows: slice) -> Inferred:
    """Those rows."""
    arrays = (i.future, i.positions, i.status, i.stamps_ns, i.hidden_s, i.times)
    heading = Heading(i.heading.origin[rows], i.heading.yaw[rows])
    return Inferred(i.ids[rows], i.values[rows], i.mask[rows], heading, *(x[rows] for x in arrays))


def _joined(
    factors: list[tuple[np.ndarray, np.ndarray] | None], parts: list[range]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Factors of several frames' people as those of one; None: nobody has any."""
    shape = next((f[0].shape[1:] for f in factors if f is not None), None)
    if shape is None:
        return None
    each = [f or (np.ones((len(n), *shape)), np.ones(len(n))) for f, n in zip(factors, parts, strict=True)]
    return np.concatenate([f for f, _ in each]), np.concatenate([f for _, f in each])
