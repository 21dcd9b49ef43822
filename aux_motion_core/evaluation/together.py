# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Frames of a recording that are predicted in one batch, with what one frame after the other would give.

What was seen changes tracks at once, and nothing that is predicted changes them. What is predicted is judged at the
first horizon at the earliest, 0.2 s later. So frames that follow each other within that time may enter their tracks
first and be predicted together: no outcome of any of them is known before the last of them. A batch costs half as much
for each frame. Where outcomes change the means (a mix, learning) frames are predicted one by one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.history.outliers import Outliers
from aux_motion_core.history.track import needed_ns
from aux_motion_core.people import Followed, Person, Seen
from aux_motion_core.predictor import Inferred, Predictor, Steps
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


@dataclass
class Together:
    """Takes frames and gives predictions, a batch at a time.

    Args:
        predictor: only this one puts frames into it.
    """

    predictor: Predictor
    _waiting: list[Entered] = field(default_factory=list)
    _rows: int = 0
    #: Outcomes are known from then on.
    _until_ns: float = np.inf

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
            yield from self.rest()
        self._waiting.append(entered)
        self._rows += len(entered.due)
        check = self.predictor.self_check
        if check is not None and entered.due:
            oldest_ns = min(entered.known[i].track.newest_ns for i in entered.due)
            self._until_ns = min(self._until_ns, oldest_ns + check.horizons_s[0] * NS)

    def rest(self) -> Iterator[Answered]:
        """Predict with the frames that wait."""
        waiting, self._waiting, self._rows, self._until_ns = self._waiting, [], 0, np.inf
        if waiting:
            yield from self._answer(waiting)

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
        if self.predictor.learns or len(self._waiting) >= _MOST_FRAMES:
            return False
        if self._rows + len(entered.due) > MOST_PEOPLE or entered.frame.stamp_ns >= self._until_ns:
            return False
        before = self._waiting[-1].known
        same = list(before) == list(entered.known) and all(
            entered.known[i].followed is person.followed for i, person in before.items()
        )
        return same and not entered.moves and not entered.left

    def _answer(self, waiting: list[Entered]) -> Iterator[Answered]:
        """Predict with these frames: first what each showed, in order, then everybody in one batch."""
        p, start = self.predictor, perf_counter()
        parts: list[range] = []
        factors: list[tuple[np.ndarray, np.ndarray] | None] = []
        people: list[Person] = []
        for one in waiting:
            p.settle()
            for followed, before in one.left:
                followed.result = before.result
            p.observed(one.seen, int(one.frame.stamp_ns))
            p.followed(one.known.values(), one.now_ns)
            due = [one.known[i] for i in one.due]
            factors.append(p.factors(due) if due else None)
            parts.append(range(len(people), len(people) + len(due)))
            people += due
        results = p.infer(people, Steps(_joined(factors, parts), [part for part in parts if part])) if people else []
        share_s = (perf_counter() - start) / len(waiting)
        for one, part in zip(waiting, parts, strict=True):
            start = perf_counter()
            for i, result in zip(one.due, results[part.start : part.stop], strict=True):
                one.known[i].result = result
            shown = tuple(p.describe(i, person, one.outliers.get(i), one.now_ns) for i, person in one.known.items())
            took_s = one.took_s + share_s + perf_counter() - start
            inferred = p.inferred_of(slice(part.start, part.stop), one.due) if part else None
            yield Answered(one, p.batch(one.now_ns, shown, took_s), inferred, took_s)


def _joined(
    factors: list[tuple[np.ndarray, np.ndarray] | None], parts: list[range]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Factors of several frames' people as those of one; None: nobody has any."""
    shape = next((f[0].shape[1:] for f in factors if f is not None), None)
    if shape is None:
        return None
    each = [f or (np.ones((len(n), *shape)), np.ones(len(n))) for f, n in zip(factors, parts, strict=True)]
    return np.concatenate([f for f, _ in each]), np.concatenate([f for _, f in each])
