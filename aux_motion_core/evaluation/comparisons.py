# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What the model is compared with: every baseline and the mix, on the very windows that the predictor cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.normalise import Heading
from aux_motion_core.inference import baselines
from aux_motion_core.inference.ensemble import Ensemble
from aux_motion_core.inference.interface import Backend
from aux_motion_core.predictor import Inferred
from aux_motion_core.selfcheck import SelfCheck, grid_steps
from aux_motion_core.skeleton import JointStatus

MIX = "mix"
#: Source that carries what was learnt on line; the model alone is beside it.
LEARNT = "learnt"


@dataclass(frozen=True)
class Grid:
    """What the judge needs to know of a backend."""

    name: str
    version: str
    dt_s: float
    history_steps: int
    future_steps: int

    @classmethod
    def of(cls, backend: Backend) -> Grid:
        """Of a backend."""
        return cls(backend.name, backend.version, backend.dt_s, backend.history_steps, backend.future_steps)


@dataclass
class _Person:
    row: int = -1  # of the self-check
    newest_ns: int = -1


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


def denormalised(positions: np.ndarray, heading: Heading) -> np.ndarray:
    """As `normalise.denormalise` for (N, K, steps, J, 3), in one pass; float32."""
    cos, sin = np.cos(heading.yaw), np.sin(heading.yaw)
    turn = np.zeros((len(cos), 3, 3), np.float32)
    turn[:, 0, 0], turn[:, 0, 1] = cos, sin
    turn[:, 1, 0], turn[:, 1, 1] = -sin, cos
    turn[:, 2, 2] = 1.0
    flat = positions.reshape(len(cos), -1, 3).astype(np.float32, copy=False) @ turn
    return (flat + heading.origin[:, None].astype(np.float32)).reshape(positions.shape)


class Sources:
    """Computes the other sources for many steps at once.

    Args:
        backend: what predicts.
        config: of the predictor.
        compare: the baselines and the mix; False: the predictor's own answer alone.
    """

    def __init__(self, backend: Grid, config: PredictorConfig, compare: bool = True) -> None:
        grid = {"dt_s": backend.dt_s, "history_steps": backend.history_steps, "future_steps": backend.future_steps}
        own = "model" if backend.name not in baselines.BASELINES else backend.name
        self._baselines = (
            [baselines.make(n, **grid) for n in baselines.BASELINES if n != backend.name] if compare else []
        )
        names = [own, *(b.name for b in self._baselines)]
        #: The published prediction is not the model's alone, which then stands beside it.
        self._other = config.mix or config.learning == "on"
        #: Whether the model's own answer and the baselines' are wanted beside the published one.
        self._compare = compare or config.learning == "on"
        if self._other:
            first = MIX if config.mix else LEARNT
            self.names: tuple[str, ...] = (first, *names) if self._compare else (first,)
        else:
            self.names = (*names, MIX) if compare else (own,)
        self._mix: Ensemble | None = None
        if compare and not self._other:
            self._mix = Ensemble(backend, grid_steps(backend.dt_s, backend.future_steps))
            self._check = SelfCheck(backend.dt_s, backend.future_steps, config.self_check_s or 10.0, mix=self._mix)
            self._check.measures = False
        self._people: dict[str, _Person] = {}

    def reset(self) -> None:
        """Forget everybody."""
        self._people.clear()
        if self._mix:
            self._check.reset()

    def futures(self, steps: list[Step], published: np.ndarray) -> np.ndarray:
        """Every source's prediction.

        Args:
            steps: in order, N people in all.
            published: (N, steps, J, 3) float32, the predictor's answers in the fixed frame.

        Returns:
            (N, K, steps, J, 3) float32 in the fixed frame.
        """
        if not self._compare:
            return published[:, None]
        parts = [s.inferred for s in steps]
        values, mask = np.concatenate([p.values for p in parts]), np.concatenate([p.mask for p in parts])
        heading = Heading(
            np.concatenate([p.heading.origin for p in parts]), np.concatenate([p.heading.yaw for p in parts])
        )
        own = np.concatenate([p.future for p in parts])
        members = np.stack([own, *baselines.futures(self._baselines, values, mask)], 1)
        fixed = denormalised(members, heading)
        if self._other:
            return np.concatenate([published[:, None], fixed], 1)
        mixed = self._run_mix(steps, members, fixed, heading)
        return np.concatenate([published[:, None], fixed[:, 1:], mixed[:, None]], 1)

    def _run_mix(self, steps: list[Step], members: np.ndarray, fixed: np.ndarray, heading: Heading) -> np.ndarray:
        """The mix as a predictor would publish it: its weights learn step by step."""
        assert self._mix is not None
        weights = np.empty((len(members), *self._mix.weights.shape[1:]))
        start = 0
        for step in steps:
            inferred, rows = step.inferred, slice(start, start + len(step.inferred.ids))
            start = rows.stop
            for moves in step.moves:
                moved = {new: self._people.pop(old) for new, old in moves.items() if old in self._people}
                self._people.update(moved)
            people = [self._people.setdefault(i, _Person()) for i in inferred.ids]
            new = [n for n, p in enumerate(people) if inferred.stamps_ns[n] != p.newest_ns]
            for stamp_ns in np.unique(inferred.stamps_ns[new]):
                at = [n for n in new if inferred.stamps_ns[n] == stamp_ns]
                for n in at:
                    if stamp_ns < people[n].newest_ns:
                        people[n].row = -1  # its stamps went back: all starts anew
                    people[n].newest_ns = int(stamp_ns)
                self._check.observe([people[n] for n in at], int(stamp_ns), inferred.positions[at], inferred.status[at])
                self._check.finish()  # the mix of this step knows of it
            for gone in [i for i in self._people if i not in step.known]:
                del self._people[gone]
            self._check.keep(self._people.values())
            self._check.sweep(step.now_ns)
            weights[rows] = self._mix.weights[self._check.rows_of(people)]
            judged = np.flatnonzero(step.judged)
            if len(judged):
                seen = inferred.status != JointStatus.MISSING
                self._check.predicted(
                    [people[n] for n in judged],
                    inferred.stamps_ns[judged],
                    fixed[rows][judged][:, 0],  # only the members are judged
                    inferred.positions[judged],
                    seen[judged],
                    fixed[rows][judged][:, :, self._check.steps],
                )
        return denormalised(self._mix.mixed(weights, members)[:, None], heading)[:, 0]
