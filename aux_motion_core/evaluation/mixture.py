# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The weights that a mix would have had at each step of a recording, of many steps at once.

As a `SelfCheck` with an `Ensemble` gives them step by step: which outcome is known at which observation follows from
the stamps, so errors of a block are computed together, and only the weights go from one observation to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from aux_motion_core.arrays import lengths
from aux_motion_core.constants import NS
from aux_motion_core.inference.ensemble import Ensemble
from aux_motion_core.person_batch import Inferred
from aux_motion_core.selfcheck import EVERY_S
from aux_motion_core.skeleton import sighted


@dataclass(frozen=True)
class Step:
    """One call of `predict` that inferred something.

    Attributes:
        now_ns: time of the prediction.
        inferred: what went into the backend.
        judged: (N,) bool, whose prediction is one (TRACKING or DEGRADED).
        known: ids of all people who are known.
        moves: since the step before, in order: id -> id under which that person went until then.
    """

    now_ns: int
    inferred: Inferred
    judged: np.ndarray
    known: frozenset[str]
    moves: tuple[dict[str, str], ...] = ()


@dataclass
class _Person:
    """Observations and predictions of one person since their stamps went back last.

    Attributes:
        weights: (H, M) of the members after the observations of earlier blocks.
        stamps, positions, seen: of observations, oldest first; those that an outcome may still need.
        predicted: stamps of predictions that are not judged at all horizons; `members` (M, H, J, 3) and `open` (H,)
            likewise.
        taken_ns: stamp of the newest of them.
        rows: (row of the block, index of the newest observation then) of each step of this block.
    """

    weights: np.ndarray
    stamps: list[int] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)
    seen: list[np.ndarray] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)
    members: list[np.ndarray] = field(default_factory=list)
    open: list[np.ndarray] = field(default_factory=list)
    taken_ns: int = 0
    rows: list[tuple[int, int]] = field(default_factory=list)


class Mixture:
    """Follows the weights of people.

    Args:
        mix: tells how weights change.
        ahead_ns: (H,) horizons at which errors are judged.
        max_gap_s: observations farther apart say nothing about the time between them.
    """

    def __init__(self, mix: Ensemble, ahead_ns: np.ndarray, max_gap_s: float = 0.25) -> None:
        self._mix, self._ahead_ns, self._max_gap_ns = mix, ahead_ns, round(max_gap_s * NS)
        self._people: dict[str, _Person] = {}

    def reset(self) -> None:
        """Forget everybody."""
        self._people.clear()

    def weights(self, steps: list[Step], members: np.ndarray) -> np.ndarray:
        """The weights with which each person's prediction would have been mixed.

        Args:
            steps: those that follow the last ones, N people in all.
            members: (N, M, H, J, 3) float32 what they predict at the horizons, in the fixed frame.

        Returns:
            (N, H, M).
        """
        out = np.empty((len(members), len(self._ahead_ns), members.shape[1]))
        touched: dict[int, _Person] = {}
        first = 0
        for step in steps:
            for person in self._take(step, first, members):
                touched[id(person)] = person
            first += len(step.inferred.ids)
        for person in touched.values():
            self._judge(person, out)
        return out

    def _take(self, step: Step, first: int, members: np.ndarray) -> Iterator[_Person]:
        """Note what a step showed and predicted; its people have the rows from `first` on."""
        for moves in step.moves:
            moved = {new: self._people.pop(old) for new, old in moves.items() if old in self._people}
            self._people.update(moved)
        i = step.inferred
        seen, positions = sighted(i.status), i.positions.astype(np.float32)
        for n, (person_id, stamp_ns) in enumerate(zip(i.ids, i.stamps_ns.tolist(), strict=True)):
            person = self._people.get(person_id)
            if person is None or stamp_ns < person.stamps[-1]:  # new, or its stamps went back: all starts anew
                person = self._people[person_id] = _Person(self._mix.prior.copy())
            if not person.stamps or stamp_ns != person.stamps[-1]:
                person.stamps.append(stamp_ns)
                person.positions.append(positions[n])
                person.seen.append(seen[n])
            person.rows.append((first + n, len(person.stamps) - 1))
            if step.judged[n] and stamp_ns - person.taken_ns >= EVERY_S * NS:
                person.taken_ns = stamp_ns
                person.predicted.append(stamp_ns)
                person.members.append(members[first + n])
                person.open.append(np.ones(len(self._ahead_ns), bool))
            yield person
        for gone in [person_id for person_id in self._people if person_id not in step.known]:
            del self._people[gone]

    def _judge(self, person: _Person, out: np.ndarray) -> None:
        """Weights of a person at the steps of this block, into their rows of `out`."""
        at, exponents, judged = self._outcomes(person)
        k = 0
        for row, newest in person.rows:
            while k < len(at) and at[k] <= newest:
                which = judged[k]
                person.weights[which] = self._mix.after(person.weights[which], exponents[k, which])
                k += 1
            out[row] = person.weights
        person.rows.clear()

    def _outcomes(self, person: _Person) -> tuple[list[int], np.ndarray, np.ndarray]:
        """What became known in this block.

        Returns:
            Indices of K observations, increasing, exponents (K, H, M) of what was known with each, and (K, H) bool,
            whether something was.
        """
        h, m = person.weights.shape
        found: tuple[list[int], np.ndarray, np.ndarray] = [], np.zeros((0, h, m)), np.zeros((0, h), bool)
        if not person.predicted:
            _forget(person, person.stamps[-1])
            return found
        stamps, is_open = np.array(person.stamps), np.stack(person.open)
        target_ns = np.array(person.predicted)[:, None] + self._ahead_ns
        after = stamps.searchsorted(target_ns)
        what, horizon = np.nonzero(is_open & (after < len(stamps)))
        is_open[what, horizon] = False
        if len(what):
            found = self._errors(person, what, horizon, after[what, horizon], stamps, target_ns[what, horizon])
        left = np.flatnonzero(is_open.any(1)).tolist()
        person.predicted = [person.predicted[i] for i in left]
        person.members = [person.members[i] for i in left]
        person.open = [is_open[i] for i in left]
        _forget(person, int(target_ns[is_open].min()) if person.predicted else int(stamps[-1]))
        return found

    def _errors(
        self,
        person: _Person,
        what: np.ndarray,
        horizon: np.ndarray,
        after: np.ndarray,
        stamps: np.ndarray,
        target_ns: np.ndarray,
    ) -> tuple[list[int], np.ndarray, np.ndarray]:
        """Outcomes of predictions (K,) `what` at `horizon`, known with observations `after`."""
        gap_ns = stamps[after] - stamps[after - 1]
        back_ns = stamps[after] - target_ns
        f = (back_ns / np.maximum(gap_ns, 1)).astype(np.float32)[:, None, None]
        positions, seen = np.stack(person.positions), np.stack(person.seen)
        now = positions[after]
        truth = now + f * (positions[after - 1] - now)
        good = seen[after - 1] & seen[after] & ((gap_ns <= self._max_gap_ns) & (back_ns < gap_ns))[:, None]
        error = lengths(np.stack(person.members)[what, :, horizon] - truth[:, None])
        n = good.sum(1)
        error = (error * good[:, None]).sum(-1) / np.maximum(n, 1)[:, None]
        known = n > 0
        at, index = np.unique(after[known], return_inverse=True)
        exponents = np.zeros((len(at), *person.weights.shape))
        np.add.at(exponents, (index, horizon[known]), self._mix.exponents(error[known]))
        judged = np.zeros(exponents.shape[:2], bool)
        judged[index, horizon[known]] = True
        return at.tolist(), exponents, judged


def _forget(person: _Person, since_ns: int) -> None:
    """Observations that no outcome needs: all before the last one before that time, and the newest stays."""
    n = min(int(np.searchsorted(person.stamps, since_ns)), len(person.stamps)) - 1
    if n > 0:
        del person.stamps[:n], person.positions[:n], person.seen[:n]
