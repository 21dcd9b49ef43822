# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Frames in, predictions out: the one path that the node, bag evaluation and validation share.

`people` (whose track) -> `person_batch.cut_windows` (grid, normalised) -> the backend, for all in one batch -> back to
the fixed frame -> `bounds.calibrated` (radii) -> `person_batch.results`, with `person_state` (validity) ->
`person_output` (what is published at a time).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import numpy as np

from aux_motion_core.bounds.adaptation import Realised
from aux_motion_core.bounds.calibrated import CalibratedRadii
from aux_motion_core.bounds.radii import Bounds, known
from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.normalise import denormalise
from aux_motion_core.history.outliers import Outliers
from aux_motion_core.inference.interface import Answer as BackendAnswer
from aux_motion_core.inference.interface import Backend
from aux_motion_core.learning.learner import Learner, learner_for
from aux_motion_core.people import People, Person, Result, Seen
from aux_motion_core.person_batch import Answer, Concluded, Given, Inferred, Windows, cut_windows, results
from aux_motion_core.person_output import describe
from aux_motion_core.selfcheck import SelfCheck, self_check_for
from aux_motion_core.skeleton import JOINTS, MISSING, N_JOINTS
from aux_motion_core.types import (
    MotionPrediction,
    PredictionBatch,
    SelfCheckReport,
    SkeletonFrame,
    TrackState,
    ViewReason,
)


class Predictor:
    """Follows people and predicts them.

    Args:
        backend: what predicts.
        config: how input is treated.
        fixed_frame: frame of all positions.

    Attributes:
        counters: what happened since the start.
        stage_s: seconds that the last `predict` spent in each stage, in order.
        keep_inferred: whether `predict` keeps what went into the backend; `inferred`: what it kept last, None where
            nothing was due.
        watch_distribution: whether input unlike the table's is given the reach set; off to judge radii there.
        learner: what is learnt from outcomes on line; None: `learning` was never on.
    """

    def __init__(self, backend: Backend, config: PredictorConfig, fixed_frame: str) -> None:
        self.backend, self.config, self.fixed_frame = backend, config, fixed_frame
        self.counters: Counter[str] = Counter()
        self.stage_s: dict[str, float] = {"resample": 0.0, "backend": 0.0, "learning": 0.0, "describe": 0.0}
        self.people = People(config, self.counters)
        self._later: Callable[[], None] | None = None
        self._steps_s: np.ndarray = backend.dt_s * np.arange(1, backend.future_steps + 1)
        self.keep_inferred = False
        self.inferred: Inferred | None = None
        self._asked: tuple[Given, np.ndarray]
        self._cut_s = self._learnt_s = 0.0
        self.self_check: SelfCheck | None = None
        self.watch_distribution = True
        self.learner: Learner | None = None
        self._calibrate()
        self._check_itself()

    def configure(self, config: PredictorConfig) -> None:
        """Use other values from now on; tracks are kept."""
        before, self.config, self.people.config = self.config, config, config
        if before != config:  # what is published names these values: nobody is described by those of before
            for person in self.people.known.values():
                person.done_version = min(person.done_version, 0)  # versions begin with 1; -1: was never predicted
        if (before.coverage_level, before.body_horizon_s) != (config.coverage_level, config.body_horizon_s):
            self._calibrate()
        names = ("mix", "self_check_s", "coverage_level", "adaptation", "adaptation_floor", "learning")
        if any(getattr(before, n) != getattr(config, n) for n in names):
            self._check_itself()

    def _calibrate(self) -> None:
        """Take the model's table at the level that is asked for."""
        b, c = self.backend, self.config
        table = getattr(b, "calibration", None)
        self._radii = CalibratedRadii(table, b.name, c.coverage_level, c.body_horizon_s, b.dt_s, b.future_steps)

    def _check_itself(self) -> None:
        """Start to judge past predictions anew, as the configuration asks."""
        self._later = None  # it is of the check before
        self.self_check = check = self_check_for(self.backend, self.config, self.bounds is not None)
        if check and self.config.learning != "off":
            self.learner = self.learner or learner_for(self.backend, check.steps, check.under_way)
            check.listener = self.learner
        for person in self.people.known.values():
            person.row = -1

    def adopt(self, learner: Learner) -> None:
        """Go on with what another predictor on the same backend learnt; people are new to it."""
        self.learner = learner
        self._check_itself()

    def reset(self) -> None:
        """Forget all people; the counters go on."""
        self._later = None
        self.people.reset()
        if self.self_check:
            self.self_check.reset()

    def warm_up(self) -> None:
        """Run the backend once, so that the first person does not pay for lazy initialisation."""
        steps = self.backend.history_steps
        self.backend.infer(np.zeros((1, steps, N_JOINTS, 3), np.float32), np.ones((1, steps, N_JOINTS), bool))
        if self.learner is not None and self.config.learning == "on":  # in shadow it works after a prediction
            self.learner.features.warm_up()

    # What is known

    @property
    def bounds(self) -> Bounds | None:
        """Calibrated radii at `coverage_level`, or None."""
        return self._radii.bounds

    @property
    def uncalibrated_because(self) -> str:
        """Why there are no calibrated radii, in one line; empty where there are."""
        return self._radii.reason

    @property
    def moves(self) -> dict[str, str]:
        """Of the last frame: id -> id under which that person went until then."""
        return self.people.moves

    @property
    def overlooked_until_ns(self) -> int | None:
        """See `People.overlooked_until_ns`."""
        return self.people.overlooked_until_ns

    def view_reasons(self, now_ns: int) -> tuple[ViewReason, int]:
        """Why the view is not complete as far as people tell; see `People.view_reasons`."""
        return self.people.view_reasons(now_ns)

    @property
    def learns(self) -> bool:
        """Whether outcomes change more than radii: the means of later predictions, or what is learnt beside them."""
        check = self.self_check
        return check is not None and (check.mix is not None or check.listener is not None)

    def about_bounds(self) -> dict[str, str]:
        """What radii mean now and how often they held lately, for the diagnostics."""
        return self._radii.about(self.config, self.realised())

    def realised(self, person_id: str | None = None) -> Realised | None:
        """How often published radii held lately, of a person or of all; None where radii are not checked."""
        check = self.self_check
        if check is None or check.adaptation is None:
            return None
        check.finish()
        if person_id is None:
            return check.adaptation.realised(check.rows_in_use())
        person = self.people.known.get(person_id)
        return None if person is None or person.row < 0 else check.adaptation.realised(np.array([person.row]))

    def fit(self, now_ns: int) -> SelfCheckReport | None:
        """How past predictions fitted what was then seen; None when they are not compared.

        Args:
            now_ns: the present.
        """
        check = self.self_check
        if check is None:
            return None
        return SelfCheckReport(
            stamp_ns=now_ns,
            frame_id=self.fixed_frame,
            model_name=self.backend.name,
            model_version=self.backend.version,
            window_s=check.window_s,
            horizons_s=check.horizons_s,
            verdict=check.verdict(now_ns),
            overall=check.fit(),
            people={i: check.fit(p) for i, p in self.people.known.items()},
            members=check.mix.names if check.mix else (),
            learning=self.learner.report(self.config.learning) if self.learner and check.listener else None,
        )

    # Input

    def add(self, frame: SkeletonFrame) -> None:
        """Put a frame into the tracks. Never raises for what a frame contains: it is repaired or left out, counted.

        Raises:
            ValueError: the frame is not in the fixed frame.
        """
        self.check_frame(frame)
        self.settle()
        stamp_ns = int(frame.stamp_ns)
        self.observed(self.people.add(frame, stamp_ns), stamp_ns)

    def check_frame(self, frame: SkeletonFrame) -> None:
        """Refuse a frame that is not in the fixed frame."""
        if frame.frame_id != self.fixed_frame:
            raise ValueError(
                f"expected positions in {self.fixed_frame!r}, got {frame.frame_id!r}: transform them first"
            )

    def observed(self, seen: Seen | None, stamp_ns: int) -> None:
        """Judge what was predicted by what a frame showed.

        Args:
            seen: what the people made of it.
            stamp_ns: of the frame.
        """
        if self.self_check and seen is not None:
            if self.learner and self.self_check.listener:  # what was predicted for them may be another body's
                odd = [p.row for p in seen.people if p.row >= 0 and stamp_ns in (p.relinked_ns, p.duplicated_ns)]
                self.learner.forget_under_way(np.array(odd, np.intp))
            c = self.config
            self.self_check.observe(seen.people, stamp_ns, seen.positions, seen.status, adapt=c.adaptation == "on")
            if c.mix or c.learning == "on":  # outcomes enter the next prediction
                self.self_check.finish()

    # Output

    def settle(self) -> None:
        """Do what the last `add` and `predict` left for later; the next `add` does it otherwise."""
        if self.self_check:
            self.self_check.finish()
        later, self._later = self._later, None
        if later is not None:
            later()

    def predict(self, now_ns: int) -> PredictionBatch:
        """Predict everybody who is known.

        Args:
            now_ns: the present; ages are counted from here, steps from each person's newest observation.

        Returns:
            All known people, those of whom only a bound is known too; empty when nobody is known.
        """
        if self._later is not None:
            self.settle()
        start = time.perf_counter()
        self.people.forget(now_ns)
        known_now = self.people.known
        self.followed(known_now.values(), now_ns)
        # the newest input is never in the future of its own prediction
        due = [p for p in known_now.values() if p.done_version != p.track.version]
        self.inferred = None
        if due:
            for person, result in zip(due, self.infer(due), strict=True):
                person.result, person.done_version = result, person.track.version
            if self.keep_inferred:
                names = {id(p): i for i, p in known_now.items()}
                given, future = self._asked
                self.inferred = given.inferred(tuple(names[id(p)] for p in due), future)
        else:
            self.stage_s = {"resample": 0.0, "backend": 0.0, "learning": 0.0, "describe": 0.0}
        people = tuple(self.describe(i, p, self.people.outliers(i), now_ns) for i, p in known_now.items())
        self.stage_s["describe"] = time.perf_counter() - start - sum(self.stage_s.values())
        return self.batch(now_ns, people, time.perf_counter() - start)

    def batch(self, now_ns: int, people: tuple[MotionPrediction, ...], took_s: float) -> PredictionBatch:
        """What is published of these people."""
        return PredictionBatch(
            stamp_ns=now_ns,
            frame_id=self.fixed_frame,
            model_name=self.backend.name,
            model_version=self.backend.version,
            dt_s=self.backend.dt_s,
            steps=self.backend.future_steps,
            joint_names=JOINTS,
            people=people,
            processing_time_s=took_s,
        )

    def followed(self, people: Collection[Person], now_ns: int) -> None:
        """Tell the self-check who is known."""
        if self.self_check:
            self.self_check.keep(people)
            self.self_check.sweep(now_ns)

    def describe(self, person_id: str, person: Person, outliers: Outliers | None, now_ns: int) -> MotionPrediction:
        """What is published of a person."""
        assert person.result is not None, "whoever is known was inferred since the track changed"
        return describe(person_id, person, person.result, outliers, now_ns, self._steps_s, self.config)

    def factors(self, people: list[Person]) -> tuple[np.ndarray, np.ndarray] | None:
        """What outcomes up to now put on the radii of these people; None: nothing."""
        check = self.self_check
        if check is None or check.adaptation is None or self.config.adaptation != "on":
            return None
        rows = check.rows_of(people)
        return check.adaptation.factors(rows) if check.adaptation.moved(rows) else None

    def infer(self, people: list[Person]) -> list[Result]:
        """Predict all these people in one batch.

        Args:
            people: N of them.

        Returns:
            N results.
        """
        given = self.given(people)
        looked = time.perf_counter()
        answered = self.backend.infer(given.cut.values, given.cut.mask)
        inferred = time.perf_counter()
        found = self.conclude(given, answered, self.factors(people))
        self.stage_s = {"resample": self._cut_s, "backend": inferred - looked, "learning": self._learnt_s}
        self.judge_later(given, answered[0], found, [range(len(people))])
        if self.keep_inferred:
            self._asked = given, answered[0]
        return found.done.each

    def given(self, people: list[Person]) -> Given:
        """What these people give the backend, and what that tells already.

        Args:
            people: N of them.
        """
        b = self.backend
        start = time.perf_counter()
        cut = cut_windows([p.track for p in people], b, self.config.max_gap_s)
        self._cut_s = time.perf_counter() - start
        # what the input alone tells, while it is in the processor's caches
        what = known(cut.windows, cut.mask, b.dt_s, cut.hidden_s, cut.times, cut.last)
        if self.watch_distribution:
            odd = self._radii.odd(cut.values, cut.mask, cut.last.whole)
        else:
            odd = np.zeros(len(people), bool)
        return Given(people, cut, what, odd)

    def conclude(
        self,
        given: Given,
        answered: BackendAnswer,
        factors: tuple[np.ndarray, np.ndarray] | None,
        counters: Counter[str] | None = None,
    ) -> Concluded:
        """What follows from the backend's answer.

        Args:
            given: of N people.
            answered: of the backend, to these.
            factors: on the radii of each, from what was seen until that person's own frame, see `factors`.
            counters: added to; None: the predictor's own.
        """
        c, cut = self.config, given.cut
        future, recovered, scale = answered
        start = time.perf_counter()
        correction, rows = self._learnt(given.people, cut, future)
        self._learnt_s = time.perf_counter() - start
        answer, members = self._answer(given.people, cut, future, recovered[:, -1], scale, correction, rows)
        radii = self._radii.of(
            given.what,
            given.odd,
            answer.mean,
            answer.scale,
            answer.moved,
            factors,
            c.tracker_error_m,
            answer.widened,
            answer.alone,
        )
        counters = self.counters if counters is None else counters
        return Concluded(results(cut, given.what, answer, radii, self.backend, c, counters), radii, members)

    def _learnt(
        self, people: list[Person], cut: Windows, own: np.ndarray
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """What the learner adds to the backend's answer, None where that is nothing; and the people's rows."""
        check = self.self_check
        if check is None or check.listener is None or self.learner is None or self.config.learning != "on":
            return None, None  # in shadow, what it would add is worked out later
        rows = check.rows_of(people)
        correction = self.learner.correct(rows, cut.newest_ns, cut.values, cut.mask, own, cut.heading)
        return (correction if correction is not None and correction.any() else None), rows

    def _answer(
        self,
        people: list[Person],
        cut: Windows,
        own: np.ndarray,
        pose: np.ndarray,
        scale: np.ndarray | None,
        correction: np.ndarray | None,
        rows: np.ndarray | None,
    ) -> tuple[Answer, np.ndarray | None]:
        """The backend's answer, in the normalised frame, as corrected or mixed; and the members of the mix."""
        check, c, future = self.self_check, self.config, own
        members, moved, widened, alone = None, None, None, None
        if correction is not None and self.learner is not None and rows is not None:
            future = own + correction
            moved = np.sqrt(np.einsum("nsjc,nsjc->nsj", correction, correction))
            widened = self.learner.widening(rows, moved)
            alone = own if c.learning_for == "predictions" else None
        if check and check.mix:
            members = check.mix.members(cut.values, cut.mask, own)
            future = check.mix.combine(check.rows_of(people), members)
            moved = np.linalg.norm(future - own, axis=-1)
        heading = cut.heading
        both = denormalise(np.concatenate([future, pose[:, None]], 1), heading)
        mean, pose = both[:, :-1], both[:, -1]
        # Here the mean is in the fixed frame and has no radius yet: whatever changes it adds to `moved` how far, by
        # which the radii widen.
        return Answer(
            mean, pose, scale, moved, widened, None if alone is None else denormalise(alone, heading)
        ), members

    def judge_later(self, given: Given, own: np.ndarray, found: Concluded, parts: Sequence[range]) -> None:
        """Leave predictions to the self-check, for when there is time.

        Args:
            given: of N people.
            own: (N, steps, J, 3), the backend's answer to these.
            found: what followed from it.
            parts: rows of each frame to judge; nobody is in one twice.
        """
        check = self.self_check
        if check is None:
            return
        people, cut, done, radii, members = given.people, given.cut, found.done, found.radii, found.members
        rows_of_all = check.rows_of([people[i] for part in parts for i in part])

        def later() -> None:
            if self.learner is not None and check.listener is not None:
                if self.config.learning == "shadow":
                    self.learner.correct(
                        rows_of_all, cut.newest_ns, cut.values, cut.mask, own, cut.heading, every=False
                    )
                self.learner.watch(rows_of_all, cut.newest_ns, cut.values[:, -1], cut.mask[:, -1])
            for part in parts:
                believed = [i for i in part if done.finite[i] and done.each[i].state is not TrackState.WARMING_UP]
                if believed:
                    judged(believed)

        def judged(rows: list[int]) -> None:
            check.predicted(
                [people[i] for i in rows],
                cut.newest_ns[rows],
                np.stack([done.each[i].mean for i in rows]),
                np.stack([done.each[i].recovered for i in rows]),
                np.stack([people[i].track.newest_status != MISSING for i in rows]),
                None if members is None else denormalise(members[:, :, check.steps], cut.heading)[rows],
                None if radii is None else radii.to_judge(done.calibrated, rows),
                None if radii is None else radii.bare[rows],
            )

        self._later = later
