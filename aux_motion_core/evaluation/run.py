# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Every prediction of a stream judged by what was seen later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from aux_motion_core.bounds.calibration import MOTION_CAPTURE, Calibration
from aux_motion_core.bounds.onset import stood as stood_before
from aux_motion_core.bounds.radii import Bounds as Radii
from aux_motion_core.bounds.radii import equivalent_scale
from aux_motion_core.bounds.radii import known as known_of
from aux_motion_core.config import PredictorConfig
from aux_motion_core.constants import NS
from aux_motion_core.evaluation.comparisons import Grid, Sources, Step
from aux_motion_core.evaluation.metrics import Evaluation
from aux_motion_core.evaluation.outcomes import Court, Outcomes, Predicted, seen_joints
from aux_motion_core.evaluation.replay import PREDICTED, Frames, Replayed, predict
from aux_motion_core.person_batch import Inferred
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import N_JOINTS, JointStatus
from aux_motion_core.types import MotionPrediction, PredictionBatch, SkeletonFrame

#: Predictions that are worked on together.
_BLOCK = 192
_SPEED_STEPS = 5

Listener = Callable[[int, SkeletonFrame, PredictionBatch], None]


class _Names:
    """Indices of names, in the order in which they came."""

    def __init__(self) -> None:
        self.index: dict[str, int] = {}
        self.names: dict[int, str] = {}

    def __getitem__(self, name: str) -> int:
        found = self.index.get(name)
        if found is None:
            found = self.index[name] = len(self.names)
            self.names[found] = name
        return found

    def move(self, moves: dict[str, str]) -> None:
        """Who went by the second name goes by the first from now on; a name that nobody has then is free."""
        moved = {new: self.index.pop(old) for new, old in moves.items() if old in self.index}
        self.index.update(moved)


class _Block:
    """Predictions that wait to be worked on together."""

    def __init__(self) -> None:
        self.rows: list[tuple[MotionPrediction, int, float]] = []  # prediction, person, seconds from the start
        self.place: list[int] = []  # row of the block's inferred people -> row of the block, -1: none
        self.steps: list[Step] = []


def evaluate(frames: Frames, predictor: Predictor, **options: Any) -> Evaluation:
    """Predict a stream and judge it: `predict` and `judge` in one, with the predictor's counters."""
    table = getattr(predictor.backend, "calibration", None)
    grid = Grid.of(predictor.backend)
    evaluation = judge(predict(frames, predictor), grid, predictor.config, table=table, **options)
    evaluation.stream.counters.update(predictor.counters)
    return evaluation


def judge(
    taken: Iterable[Replayed],
    grid: Grid,
    config: PredictorConfig,
    truth: Frames | None = None,
    whose: Callable[[str], str | None] | None = None,
    from_arrival: bool = False,
    compare: bool = True,
    table: Calibration | None = None,
    listener: Listener | None = None,
    outcome_listener: Callable[[Outcomes, dict[int, str]], None] | None = None,
) -> Evaluation:
    """Judge what was predicted.

    Args:
        taken: frames and predictions.
        grid: of the backend that made them.
        config: of the predictor that made them.
        truth: what predictions are judged by, where the frames were made worse on purpose: the clean stream; None: the
            frames themselves.
        whose: id in the frame that came last -> id in `truth`; None: they are the same.
        from_arrival: horizons begin when a prediction was made, not at its stamp: a late message is a worse one.
        compare: judge the baselines and the mix beside the predictor.
        table: of the backend that made them, to be judged at all of its levels.
        listener: called for each frame with the time of arrival, the frame and the batch.
        outcome_listener: called with outcomes as they become known, and the names of the people.

    Returns:
        The metrics.
    """
    court = _Trial(grid, config, truth, whose, from_arrival, compare, table, outcome_listener)
    for item in taken:
        court.take(item)
        if listener:
            listener(item.now_ns, item.frame, item.batch)
    return court.close()


class _Trial:
    """Takes frames and predictions, gives outcomes to the metrics."""

    def __init__(
        self,
        grid: Grid,
        config: PredictorConfig,
        truth: Frames | None,
        whose: Callable[[str], str | None] | None,
        from_arrival: bool,
        compare: bool,
        table: Calibration | None,
        outcome_listener: Callable[[Outcomes, dict[int, str]], None] | None,
    ) -> None:
        self._grid = grid
        self._sources = Sources(grid, config, compare)
        bounds = [] if table is None else [Radii(table, level) for level in table.levels]
        self._bounds = [b for b in bounds if b.calibrated]
        levels = tuple(b.level for b in self._bounds)
        self._more_m = config.tracker_error_m if table and table.domain.tracker == MOTION_CAPTURE else 0.0
        self._evaluation = Evaluation(self._sources.names, grid.dt_s, grid.future_steps, config.max_gap_s, levels)
        self._court = Court(self._evaluation.horizons_s, grid.dt_s, config.max_gap_s, from_arrival)
        self._people, self._labels = _Names(), _Names()
        self._moves: list[dict[str, str]] = []  # since the last step
        self._truth: Iterator[tuple[int, SkeletonFrame]] | None = iter(truth) if truth is not None else None
        self._next_truth = next(self._truth, None) if self._truth is not None else None
        self._true_id = whose or (lambda person_id: person_id)
        self._outcome_listener = outcome_listener
        self._block = _Block()

    def take(self, item: Replayed) -> None:
        stream = self._evaluation.stream
        stream.update(item.log_time_ns, item.frame, item.batch, item.took_s, seen_joints(item.frame))
        at_s = stream.span_ns / NS
        if item.moves:
            self._moves.append(item.moves)
            if self._truth is None:  # else the ids of what is judged by are another matter
                self._people.move(item.moves)
        self._evaluation.timeline.states(at_s, item.batch)
        self._observe(item.log_time_ns, item.frame)
        self._keep(item.batch, item.inferred, at_s)

    def close(self) -> Evaluation:
        self._flush()
        for _, frame in self._rest_of_truth():
            self._see(frame)
        self._give(self._court.close())
        return self._evaluation

    # Truth

    def _observe(self, log_time_ns: int, frame: SkeletonFrame) -> None:
        if self._truth is None:
            self._see(frame)
            return
        while self._next_truth is not None and self._next_truth[0] <= log_time_ns:
            self._see(self._next_truth[1])
            self._next_truth = next(self._truth, None)

    def _rest_of_truth(self) -> Iterator[tuple[int, SkeletonFrame]]:
        if self._next_truth is not None and self._truth is not None:
            yield self._next_truth
            yield from self._truth

    def _see(self, frame: SkeletonFrame) -> None:
        if self._court.goes_back(frame.stamp_ns):
            self._flush()  # its outcomes are known only now
        people = [self._people[i] for i in frame.person_ids]
        self._give(self._court.observe(frame, people))

    def _whose(self, prediction: MotionPrediction) -> int:
        """Index of the prediction's person in the truth, -1 for nobody."""
        name = self._true_id(prediction.person_id)
        return -1 if name is None else self._people[name]

    # Predictions

    def _keep(self, batch: PredictionBatch, inferred: Inferred | None, at_s: float) -> None:
        """Put what was newly predicted into the block."""
        block = self._block
        fresh = set(inferred.ids) if inferred is not None else set()
        wanted = [p for p in batch.people if p.person_id in fresh or p.stamp_ns != p.last_observed_ns]
        rows: dict[str, int] = {}
        for prediction in wanted:
            if (person := self._whose(prediction)) >= 0:
                rows[prediction.person_id] = len(block.rows)
                block.rows.append((prediction, person, at_s))
        if inferred is not None:
            state = {p.person_id: p.state for p in batch.people}
            judged = np.array([state.get(i) in PREDICTED for i in inferred.ids])
            block.steps.append(Step(batch.stamp_ns, inferred, judged, frozenset(state), tuple(self._moves)))
            self._moves.clear()
            block.place += [rows.get(i, -1) for i in inferred.ids]
        if len(block.rows) >= _BLOCK or len(block.steps) >= 2 * _BLOCK:
            self._flush()

    def _flush(self) -> None:
        block, self._block = self._block, _Block()
        if block.rows:
            predicted = self._predicted(block)
            self._evaluation.jitter.update(predicted)
            self._court.take(predicted)
        self._give(self._court.judge())

    def _predicted(self, block: _Block) -> Predicted:
        n, steps = len(block.rows), self._grid.future_steps
        people = [p for p, _, _ in block.rows]
        published = np.stack([p.mean for p in people]).astype(np.float32)
        future = np.full((n, len(self._sources.names), steps, N_JOINTS, 3), np.nan, np.float32)
        future[:, 0] = published
        speed = np.zeros(n)
        scale = np.full((n, steps, N_JOINTS, 3), np.nan, np.float32)
        for row, p in enumerate(people):
            if p.scale is not None:
                scale[row] = p.scale
        at_levels = np.full((2, n, len(self._bounds), steps, N_JOINTS), np.nan, np.float32)  # joints, whole bodies
        stood = np.zeros(n, bool)
        if block.steps:
            place = np.array(block.place)
            has = place >= 0
            known = np.zeros((len(place), steps, N_JOINTS, 3), np.float32)
            known[has] = published[place[has]]
            others = self._sources.futures(block.steps, known)
            future[place[has], 1:] = others[has, 1:]
            values = np.concatenate([s.inferred.values for s in block.steps])[has]
            mask = np.concatenate([s.inferred.mask for s in block.steps])[has]
            speed[place[has]] = _speed(values, mask, self._grid.dt_s)
            stood[place[has]] = stood_before(values, mask, self._grid.dt_s)
            if self._bounds and has.any():
                inferred = [s.inferred for s in block.steps]
                hidden_s, times = (
                    np.concatenate([getattr(i, n) for i in inferred])[has] for n in ("hidden_s", "times")
                )
                what = known_of(values, mask, self._grid.dt_s, hidden_s, times)
                size = equivalent_scale(scale[place[has]])
                for k, bound in enumerate(self._bounds):
                    joints, bodies = bound.radii(what, size)
                    at_levels[0, place[has], k] = joints + self._more_m
                    if bodies is not None:
                        at_levels[1, place[has], k] = np.maximum(bodies, joints) + self._more_m
        state = np.array([p.state for p in people], np.uint8)
        status = np.stack([p.joint_status for p in people])

        def bounds(name: str) -> np.ndarray:
            found = np.full((n, steps, N_JOINTS), np.nan, np.float32)
            for row, p in enumerate(people):
                if (value := getattr(p, name, None)) is not None:
                    found[row] = value
            return found

        return Predicted(
            person=np.array([i for _, i, _ in block.rows]),
            stamp_ns=np.array([p.stamp_ns for p in people], np.int64),
            age_s=np.array([p.age_s if p.stamp_ns == p.last_observed_ns else 0.0 for p in people]),
            at_s=np.array([a for _, _, a in block.rows]),
            judged=np.isin(state, PREDICTED),
            state=state,
            future=future,
            present=np.stack([p.recovered for p in people]).astype(np.float32),
            asked=(status == JointStatus.OBSERVED) | (status == JointStatus.DERIVED),
            speed_mps=speed,
            radius=bounds("radius"),
            body_radius=bounds("body_radius"),
            basis=np.array([-1 if p.radius is None else self._labels[_label(p)] for p in people]),
            level=np.array([p.radius_coverage for p in people]),
            body_level=np.array([getattr(p, "body_coverage", np.nan) for p in people]),
            scale=scale,
            at_levels=at_levels[0],
            body_at_levels=at_levels[1],
            stood=stood,
        )

    def _give(self, outcomes: list[Outcomes]) -> None:
        labels = list(self._labels.names.values())
        for one in outcomes:
            self._evaluation.update(one, self._people.names, labels)
            if self._outcome_listener:
                self._outcome_listener(one, self._people.names)


def _label(prediction: MotionPrediction) -> str:
    level = prediction.radius_coverage
    kind = prediction.radius_basis.split(":")[0]  # reach speeds differ from one time to the next
    return f"{kind} {level:g}" if np.isfinite(level) else kind


def _speed(values: np.ndarray, mask: np.ndarray, dt_s: float) -> np.ndarray:
    """(N,) mean speed of the joints seen at both ends of the newest steps of the windows; 0 where there is none."""
    steps = min(_SPEED_STEPS, values.shape[1] - 1)
    both = mask[:, -1] & mask[:, -1 - steps]
    away = np.linalg.norm(values[:, -1] - values[:, -1 - steps], axis=-1)
    return np.where(both, away, 0.0).sum(1) / np.maximum(both.sum(1), 1) / (steps * dt_s)
