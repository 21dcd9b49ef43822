"""Frames in, predictions out: the one path that the node, bag evaluation and validation share."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from aux_motion_core.bounds.adaptation import Adaptation, Realised
from aux_motion_core.bounds.calibration import MOTION_CAPTURE
from aux_motion_core.bounds.novelty import Unfamiliar
from aux_motion_core.bounds.radii import Bounds, Known, equivalent_scale, known, reach_cap, reach_radius
from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.continuity import Continuity
from aux_motion_core.history.limits import JOINT_LIMITS_MPS, LIMB_SPAN_M
from aux_motion_core.history.normalise import REST_POSE, Heading, denormalise, denormalise_scale, normalise
from aux_motion_core.history.outliers import Outliers, widened
from aux_motion_core.history.track import Added, Track
from aux_motion_core.history.track import windows as track_windows
from aux_motion_core.inference import Backend, make_backend
from aux_motion_core.inference.ensemble import Mix
from aux_motion_core.learning.files import Identity
from aux_motion_core.learning.learner import Learner
from aux_motion_core.selfcheck import Report, SelfCheck, grid_steps
from aux_motion_core.skeleton import INDEX, JOINTS, N_JOINTS, JointStatus, derive_joints
from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, Shipped, SkeletonFrame, TrackState

__all__ = ["Predictor", "make_backend"]

_NS = 1_000_000_000
_HEAD = [INDEX["head"], INDEX["neck"]]
_FEET = [INDEX[n] for n in ("left_ankle", "right_ankle", "left_foot", "right_foot")]
#: Head this far below the feet is upside down, metres.
_UPSIDE_DOWN_M = 0.2
#: For this long before it is said: people also tumble.
_UPSIDE_DOWN_NS = _NS // 2
#: No joint is this far away; metres.
_FARTHEST_M = 1e4
#: How long a reason that comes from one message stays.
_RECENT_NS = _NS
#: The excess of a person's own speed over `reach_speed_mps` counts for this long, seconds.
_FAST_S = 1.0
#: Fewest samples of each joint that the model was trained to start from.
_MIN_STEPS = 2


@dataclass
class _Person:
    track: Track = field(default_factory=Track)
    jumped_ns: int | None = None
    relinked_ns: int | None = None
    duplicated_ns: int | None = None
    upside_down_since_ns: int | None = None
    done_version: int = -1  # of the track when `result` was made
    result: _Result | None = None
    pose: np.ndarray | None = None  # newest complete pose
    row: int = -1  # of the self-check


@dataclass(frozen=True)
class Inferred:
    """What went into the backend in a call of `predict`, for those who judge other predictors on the same input.

    Attributes:
        ids: N people.
        values: (N, history, J, 3) float32, mask: (N, history, J) bool; see `Backend.infer`.
        heading: what normalisation took out.
        future: (N, steps, J, 3) float32, the backend's own answer in the normalised frame.
        positions: (N, J, 3) metres of the newest observation in the fixed frame, after repair.
        status: (N, J) its `JointStatus`.
        stamps_ns: (N,) and its stamp.
        hidden_s: (N, J), times: (N, J), see `bounds.known`.
    """

    ids: tuple[str, ...]
    values: np.ndarray
    mask: np.ndarray
    heading: Heading
    future: np.ndarray
    positions: np.ndarray
    status: np.ndarray
    stamps_ns: np.ndarray
    hidden_s: np.ndarray
    times: np.ndarray


@dataclass
class _Result:
    mean: np.ndarray
    recovered: np.ndarray
    reasons: Reason
    state: TrackState
    scale: np.ndarray | None = None
    radius: np.ndarray | None = None  # calibrated where there is no UNCALIBRATED, else the reach bound
    body: np.ndarray | None = None
    reach_mps: float = 0.0  # growth of the reach bound
    shipped: Shipped | None = None  # without what was learnt, where radii are calibrated


@dataclass
class _Radii:
    """Calibrated radii of N people, metres; `radius` as published, `offline` by the table alone."""

    offline: np.ndarray
    radius: np.ndarray
    body_offline: np.ndarray | None
    body: np.ndarray | None
    usable: np.ndarray  # (N,)
    odd: np.ndarray  # (N,) out of distribution
    shipped: np.ndarray | None = None  # around the model's own mean, where a correction entered
    body_shipped: np.ndarray | None = None
    bare: np.ndarray | None = None  # the same by the table alone


def _stands(positions: np.ndarray, status: np.ndarray) -> list[int]:
    """Of each person (N, 20, 3), (N, 20): 1 with the head up, -1 upside down, 0 where that is not known."""
    height, seen = positions[..., 2], status != JointStatus.MISSING
    head, feet = seen[:, _HEAD], seen[:, _FEET]
    n_head, n_feet = head.sum(1), feet.sum(1)
    top = (height[:, _HEAD] * head).sum(1) / np.maximum(n_head, 1)
    low = (height[:, _FEET] * feet).sum(1) / np.maximum(n_feet, 1)
    return np.where((n_head > 0) & (n_feet > 0), np.where(top < low - _UPSIDE_DOWN_M, -1, 1), 0).tolist()


class Predictor:
    """Follows people and predicts them.

    Args:
        backend: what predicts.
        config: how input is treated.
        fixed_frame: frame of all positions.
    """

    def __init__(self, backend: Backend, config: PredictorConfig, fixed_frame: str) -> None:
        self.backend, self.config, self.fixed_frame = backend, config, fixed_frame
        self.counters: Counter[str] = Counter()
        #: Seconds that the last `predict` spent in each stage, in order.
        self.stage_s: dict[str, float] = {"resample": 0.0, "backend": 0.0, "describe": 0.0}
        self._people: dict[str, _Person] = {}
        #: Until then somebody who was seen may be there and is not among the people: there was no place, or the stamps
        #: could not be used. None: nobody.
        self.overlooked_until_ns: int | None = None
        self._later: Callable[[], None] | None = None
        self._continuity = Continuity()
        self._reach_steps = backend.dt_s * np.arange(1, backend.future_steps + 1)
        #: Whether `predict` keeps what went into the backend, and what it kept last; None: nothing was due.
        self.keep_inferred, self.inferred = False, None
        #: Of the last frame: id -> id under which that person went until then.
        self.moves: dict[str, str] = {}
        self.self_check: SelfCheck | None = None
        #: Calibrated radii at `coverage_level`, or None; and why there are none, in one line.
        self.bounds: Bounds | None = None
        self.uncalibrated_because = ""
        #: Whether input unlike the table's is given the reach set; off to judge radii there.
        self.watch_distribution = True
        self._unfamiliar: Unfamiliar | None = None
        #: What is learnt from outcomes on line; None: `learning` was never on.
        self.learner: Learner | None = None
        self._calibrate()
        self._check_itself()

    def configure(self, config: PredictorConfig) -> None:
        """Use other values from now on; tracks are kept."""
        before, self.config = self.config, config
        if (before.coverage_level, before.body_horizon_s) != (config.coverage_level, config.body_horizon_s):
            self._calibrate()
        names = ("mix", "self_check_s", "coverage_level", "adaptation", "adaptation_floor", "learning")
        if any(getattr(before, n) != getattr(config, n) for n in names):
            self._check_itself()

    def _calibrate(self) -> None:
        """Take the model's table at the level that is asked for."""
        table, b = getattr(self.backend, "calibration", None), self.backend
        self.bounds = self._unfamiliar = None
        if table is None:
            self.uncalibrated_because = f"{b.name} has no calibration table: people carry the reach set; run python -m training.fitting.calibrate"
            return
        bounds = Bounds(table, self.config.coverage_level, round(self.config.body_horizon_s / b.dt_s))
        self.uncalibrated_because = bounds.reason
        if bounds.calibrated:
            self.bounds = bounds
            self._unfamiliar = Unfamiliar(table.familiar, b.dt_s) if table.familiar else None

    def about_bounds(self) -> dict[str, str]:
        """What radii mean now and how often they held lately, for the diagnostics."""
        c, check = self.config, self.self_check
        if self.bounds is None:
            basis = f"reach:{c.reach_speed_mps:.1f}mps"
            return {"radius_basis": basis, "uncalibrated_because": self.uncalibrated_because}
        table = self.bounds.table
        values = {
            "radius_basis": "conformal",
            "coverage_level": f"{c.coverage_level:g}",
            "calibrated_on": f"{table.domain.tracker}, {table.windows} windows, {table.clips} clips",
            "adaptation": c.adaptation,
        }
        if check and check.adaptation:
            real = check.adaptation.realised(check.rows_in_use())

            def row(numbers: np.ndarray, digits: int = 3) -> str:
                return " ".join(f"{x:.{digits}f}" for x in numbers)

            values |= {
                "realised_coverage": row(real.joints),
                "realised_body_coverage": f"{real.body:.3f}",
                "adaptation_factor": row(real.factor, 2),
                "coverage_outcomes": row(real.outcomes, 0),
            }
        return values

    def realised(self, person_id: str | None = None) -> Realised | None:
        """How often published radii held lately, of a person or of all; None where radii are not checked."""
        check = self.self_check
        if check is None or check.adaptation is None:
            return None
        if person_id is None:
            return check.adaptation.realised(check.rows_in_use())
        person = self._people.get(person_id)
        return None if person is None or person.row < 0 else check.adaptation.realised(np.array([person.row]))

    def _check_itself(self) -> None:
        """Start to judge past predictions anew, as the configuration asks."""
        self._later = None  # it is of the check before
        b, c = self.backend, self.config
        mix = Mix(b, grid_steps(b.dt_s, b.future_steps)) if c.mix else None
        adapts = self.bounds is not None and c.adaptation != "off"
        wanted = c.mix or adapts or c.self_check_s > 0.0 or c.learning == "on"
        self.self_check = SelfCheck(b.dt_s, b.future_steps, c.self_check_s or 10.0, mix=mix) if wanted else None
        if self.self_check and self.bounds is not None:
            self.self_check.adaptation = Adaptation(
                c.coverage_level,
                self.self_check.steps,
                b.dt_s,
                b.future_steps,
                self.self_check.under_way,
                floor=c.adaptation_floor,
                learn=adapts,
                window_s=c.self_check_s or 10.0,
            )
        if self.self_check and c.learning != "off":
            self.self_check.listener = self.learner = self.learner or self._make_learner(self.self_check)
        for person in self._people.values():
            person.row = -1

    def _make_learner(self, check: SelfCheck) -> Learner:
        b = self.backend
        model = getattr(b, "onnx_sha256", None) or getattr(getattr(b, "calibration", None), "onnx_sha256", None)
        grid = f"{b.history_steps}+{b.future_steps} x {b.dt_s:g} s"
        identity = Identity(model or f"{b.name} {b.version}", grid=grid)
        return Learner(b.dt_s, b.history_steps, b.future_steps, check.steps, check.under_way, identity)

    @property
    def _learns(self) -> bool:
        """Whether outcomes reach the learner now."""
        return self.self_check is not None and self.self_check.listener is not None

    def reset(self) -> None:
        """Forget all people; the counters go on."""
        self._later = self.overlooked_until_ns = None
        self._people.clear()
        self._continuity.reset()
        if self.self_check:
            self.self_check.reset()

    def warm_up(self) -> None:
        """Run the backend once, so that the first person does not pay for lazy initialisation."""
        steps = self.backend.history_steps
        self.backend.infer(np.zeros((1, steps, N_JOINTS, 3), np.float32), np.ones((1, steps, N_JOINTS), bool))

    def fit(self, now_ns: int) -> Report | None:
        """How past predictions fitted what was then seen; None when they are not compared.

        Args:
            now_ns: the present.
        """
        check = self.self_check
        if check is None:
            return None
        return Report(
            stamp_ns=now_ns,
            frame_id=self.fixed_frame,
            model_name=self.backend.name,
            model_version=self.backend.version,
            window_s=check.window_s,
            horizons_s=check.horizons_s,
            verdict=check.verdict(now_ns),
            overall=check.fit(),
            people={i: check.fit(p) for i, p in self._people.items()},
            members=check.mix.names if check.mix else (),
        )

    # Input

    def add(self, frame: SkeletonFrame) -> None:
        """Put a frame into the tracks. Never raises for what a frame contains: it is repaired or left out, counted.

        Raises:
            ValueError: the frame is not in the fixed frame.
        """
        if frame.frame_id != self.fixed_frame:
            raise ValueError(
                f"expected positions in {self.fixed_frame!r}, got {frame.frame_id!r}: transform them first"
            )
        self.settle()
        self.moves = {}
        self.counters["frames"] += 1
        if not frame.person_ids:
            return
        stamp_ns = int(frame.stamp_ns) - int(self.config.stamp_latency_s * _NS)
        positions = np.asarray(frame.positions, np.float64)
        status = np.array(frame.status, np.uint8)
        seen = status != JointStatus.MISSING
        usable = (np.abs(positions) < _FARTHEST_M).all(-1)  # False for NaN and Inf too
        self._count("non_finite_or_absurd_joints", int((seen & ~usable).sum()))
        status[~usable] = JointStatus.MISSING
        positions = np.where(usable[..., None], positions, 0.0)
        # a body that the tracker only carries on is not seen: it grows old as if nothing had come
        guessed = status == JointStatus.TRACKER_PREDICTED
        only_guessed = guessed.any(1) & (guessed | (status == JointStatus.MISSING)).all(1)
        self._count("person_only_guessed", int(only_guessed.sum()))
        positions, status = derive_joints(positions, status)
        joints = (status != JointStatus.MISSING).sum(1)

        chosen: dict[str, int] = {}
        for i, person_id in enumerate(frame.person_ids):
            if person_id in chosen:
                self.counters["duplicate_person_id"] += 1
            if person_id not in chosen or joints[i] > joints[chosen[person_id]]:
                chosen[person_id] = i
        self._count("person_without_joints", sum(1 for i in chosen.values() if joints[i] == 0))
        rows = {person_id: i for person_id, i in chosen.items() if joints[i] and not only_guessed[i]}
        if not rows:
            return
        index = list(rows.values())
        taken = self._continuity.take(stamp_ns, list(rows), positions[index], status[index], self._people, self.config)
        for name, n in taken.counters.items():
            self._count(name, n)
        self.moves = taken.moves
        if taken.moves:
            moved = {new: self._people.pop(old) for new, old in taken.moves.items() if old in self._people}
            for person in moved.values():
                person.relinked_ns = stamp_ns
            self._not_learnt_from(moved.values())
            self._people.update(moved)
        if taken.restarted and len(self._people) >= self.config.max_people:
            self._overlook(stamp_ns + self._keep_ns)  # who had the id may be unseen, and there is no place for both
        for person_id in (*taken.merged, *taken.restarted):
            self._people.pop(person_id, None)
        doubled = len(chosen) < len(frame.person_ids)
        newest: dict[int, _Person] = {}
        stands = _stands(taken.positions, taken.status)
        for row, person_id in enumerate(taken.ids):
            if not taken.status[row].any():
                continue  # all of it jumped
            person = self._person(person_id, stamp_ns)
            if person is None:
                self.counters["people_over_limit"] += 1
                continue
            if person_id in taken.forgotten:
                person.track.forget(taken.forgotten[person_id])
            if self._add_one(person, stamp_ns, taken.positions[row], taken.status[row], stands[row]):
                newest[row] = person
            if person_id in taken.duplicated or (doubled and frame.person_ids.count(person_id) > 1):
                person.duplicated_ns = stamp_ns
                self._not_learnt_from([person])
        if self.self_check and newest:
            at = list(newest)
            self.self_check.observe(list(newest.values()), stamp_ns, taken.positions[at], taken.status[at])

    def _not_learnt_from(self, people: Iterable[_Person]) -> None:
        """What was predicted for these people may have been of another body."""
        rows = [p.row for p in people if p.row >= 0]
        if self._learns and rows:
            self.learner.forget_under_way(np.array(rows))

    def _count(self, name: str, n: int) -> None:
        if n:
            self.counters[name] += n

    def _person(self, person_id: str, stamp_ns: int) -> _Person | None:
        """The person of that id; a new one takes the place of the longest unseen when all places are taken."""
        person = self._people.get(person_id)
        if person is None:
            if len(self._people) >= self.config.max_people:
                oldest = min(self._people, key=lambda k: self._people[k].track.newest_ns)
                oldest_ns = self._people[oldest].track.newest_ns
                if stamp_ns - oldest_ns < self.config.lost_after_s * _NS:
                    self._overlook(stamp_ns + self._keep_ns)
                    return None
                del self._people[oldest]
                self.counters["people_displaced"] += 1
                self._overlook(oldest_ns + self._keep_ns)
            person = self._people[person_id] = _Person()
        return person

    def _add_one(self, person: _Person, stamp_ns: int, positions: np.ndarray, status: np.ndarray, stands: int) -> bool:
        """Put an observation into the person's track; whether it is the newest."""
        track = person.track
        added = track.add(stamp_ns, positions, status, int(self.config.reset_jump_s * _NS))
        if added is not Added.NEWEST:
            self.counters[f"stamp_{added.value}"] += 1
        if added is Added.RESET:
            person.jumped_ns, person.result, person.pose = stamp_ns, None, None
            person.duplicated_ns = person.upside_down_since_ns = person.relinked_ns = None
            person.row = -1
        if added in (Added.NEWEST, Added.RESET):
            if stands < 0:
                self.counters["not_z_up"] += 1
                if person.upside_down_since_ns is None:
                    person.upside_down_since_ns = stamp_ns
            elif stands > 0:
                person.upside_down_since_ns = None
        return added in (Added.NEWEST, Added.RESET)

    # Output

    def settle(self) -> None:
        """Do what the last `predict` left for later; the next `add` or `predict` does it otherwise."""
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
        self.settle()
        start = time.perf_counter()
        self._forget(now_ns)
        if self.self_check:
            self.self_check.keep(self._people.values())
            self.self_check.sweep(now_ns)
        # the newest input is never in the future of its own prediction
        due = [p for p in self._people.values() if p.done_version != p.track.version]
        self.inferred = None
        if due:
            self._infer(due)
        else:
            self.stage_s = {"resample": 0.0, "backend": 0.0, "describe": 0.0}
        people = tuple(self._describe(i, p, now_ns) for i, p in self._people.items())
        self.stage_s["describe"] = time.perf_counter() - start - sum(self.stage_s.values())
        return PredictionBatch(
            stamp_ns=now_ns,
            frame_id=self.fixed_frame,
            model_name=self.backend.name,
            model_version=self.backend.version,
            dt_s=self.backend.dt_s,
            steps=self.backend.future_steps,
            joint_names=JOINTS,
            people=people,
            processing_time_s=time.perf_counter() - start,
        )

    @property
    def _keep_ns(self) -> int:
        """How long after the last sight a person is repeated."""
        return int((self.config.lost_after_s + self.config.absent_hold_s) * _NS)

    def _overlook(self, until_ns: int) -> None:
        self.overlooked_until_ns = max(until_ns, self.overlooked_until_ns or until_ns)

    def _forget(self, now_ns: int) -> None:
        keep_ns = self._keep_ns
        ahead_ns = int(self.config.reset_jump_s * _NS)  # seen before the clock jumped back
        ages_ns = {i: now_ns - p.track.newest_ns for i, p in self._people.items()}
        for person_id in [i for i, age_ns in ages_ns.items() if not -ahead_ns <= age_ns <= keep_ns]:
            if self._people.pop(person_id).result is None:
                # never predicted: the tracker's clock is not ours
                self.counters["stamp_in_the_future" if ages_ns[person_id] < 0 else "stamp_too_old"] += 1
                self._overlook(now_ns + int(self.config.lost_after_s * _NS))
        if self.overlooked_until_ns is not None and now_ns > self.overlooked_until_ns:
            self.overlooked_until_ns = None

    def _infer(self, people: list[_Person]) -> None:
        """Windows of all these people through the backend in one batch; results are kept with each person."""
        b, c = self.backend, self.config
        start = time.perf_counter()
        windows, mask = track_windows([p.track for p in people], b.dt_s, b.history_steps, c.max_gap_s)
        values, heading = normalise(windows, mask)
        hidden_s = np.array([p.track.newest_ns - p.track.seen_ns for p in people]) * 1e-9
        since_ns = int((b.history_steps - 0.5) * b.dt_s * _NS)
        times = np.array([p.track.times(since_ns) for p in people])
        resampled = time.perf_counter()
        future, recovered, scale = b.infer(values, mask)
        if self.keep_inferred:
            self._keep_inferred(people, values, mask, heading, future, hidden_s, times)
        check, members, moved, widened, alone = self.self_check, None, None, None, future
        if self._learns:
            at, newest_ns = check.rows_of(people), np.array([p.track.newest_ns for p in people])
            correction = self.learner.correct(at, newest_ns, values, mask, future, heading)
            if c.learning == "on" and correction.any():
                future = future + correction
                moved = np.sqrt(np.einsum("nsjc,nsjc->nsj", correction, correction))
                widened = self.learner.widening(at, moved)
        if check and check.mix:
            members = check.mix.members(values, mask, future)
            future = check.mix.combine(check.rows_of(people), members)
            moved, widened = np.linalg.norm(future - alone, axis=-1), None  # the table is of the model alone
        inferred = time.perf_counter()
        alone = None if moved is None else denormalise(alone, heading)
        future, pose = denormalise(future, heading), denormalise(recovered[:, -1], heading)
        what = known(windows, mask, b.dt_s, hidden_s, times)
        radii = self._radii(people, what, values, mask, future, scale, alone, moved, widened)
        # who is seen to move fast is not bounded by a fixed speed
        fast = np.minimum(c.reach_observed_factor * what.fastest_mps, JOINT_LIMITS_MPS.max())
        speed = np.maximum(c.reach_speed_mps, fast)
        scale = None if scale is None else denormalise_scale(scale, heading)
        self.stage_s = {"resample": resampled - start, "backend": inferred - resampled}

        finite = np.isfinite(future).all((1, 2, 3)) & np.isfinite(pose).all((1, 2))
        seen_ever, seen_now = mask.any(1), mask[:, -1]
        rows = mask.any(2)
        if not finite.all():  # what is shown of them is where they were seen last
            rest = denormalise(np.broadcast_to(REST_POSE, pose.shape), heading)
            pose = np.where(finite[:, None, None], pose, np.where(seen_ever[..., None], what.last, rest))
        min_span = min(round(c.min_history_s / b.dt_s), b.history_steps - 1)
        calibrated = np.zeros(len(people), bool) if radii is None else radii.usable & ~radii.odd & finite
        reach = reach_alone = None
        if not calibrated.all():
            reach = reach_radius(future, pose, self._reach_steps, speed, hidden_s)
            if alone is not None:
                reach_alone = reach_radius(alone, pose, self._reach_steps, speed, hidden_s)
        usable, odd = (finite, np.zeros_like(finite)) if radii is None else (radii.usable, radii.odd)
        self._count("out_of_distribution", int(odd.sum()))
        self._count("non_finite_scale", int((finite & ~usable).sum()))
        self._count("non_finite_output", int((~finite).sum()))
        first = rows.argmax(1)
        few = seen_now.sum(1) < c.min_joints
        gap = ~(rows | (np.arange(b.history_steps) < first[:, None])).all(1)
        short = (b.history_steps - 1 - first < min_span) | (rows.sum(1) < _MIN_STEPS)
        reasons = np.full(len(people), int(Reason.BACKEND_FALLBACK) if b.fell_back else 0)
        for reason, of in (
            (Reason.UNCALIBRATED, ~calibrated),
            (Reason.OUT_OF_DISTRIBUTION, odd),
            (Reason.IMPUTED, ~seen_ever.all(1)),
            (Reason.FEW_JOINTS, few),
            (Reason.INPUT_GAP, gap),
            (Reason.SHORT_HISTORY, short),
            (Reason.NON_FINITE_OUTPUT, ~finite),
        ):
            reasons |= int(reason) * of
        states = np.where(few | gap, TrackState.DEGRADED, TrackState.TRACKING)
        states[short], states[~finite] = TrackState.WARMING_UP, TrackState.DEGRADED
        scaled = np.zeros_like(finite) if scale is None else finite & np.isfinite(scale).all((1, 2, 3))
        for i, (person, bits, value) in enumerate(zip(people, reasons.tolist(), states.tolist(), strict=True)):
            person.pose = pose[i]
            radius, body = reach[i] if not calibrated[i] else radii.radius[i], None
            if calibrated[i] and radii.body is not None:
                body = radii.body[i]
            person.result = _Result(
                future[i],
                person.pose,
                Reason(bits),
                TrackState(value),
                scale[i] if scaled[i] else None,
                radius,
                body,
                float(speed[i]),
                self._shipped(i, alone, radii, None if calibrated[i] else reach_alone),
            )
            person.done_version = person.track.version
        judged = [i for i, p in enumerate(people) if finite[i] and p.result.state is not TrackState.WARMING_UP]
        if check and judged:
            self._later = partial(
                check.predicted,
                [people[i] for i in judged],
                np.array([people[i].track.newest_ns for i in judged]),
                future[judged],
                pose[judged],
                np.stack([people[i].track.newest_status != JointStatus.MISSING for i in judged]),
                None if members is None else denormalise(members[:, :, check.steps], heading)[judged],
                None if radii is None else self._to_judge(radii, calibrated)(judged),
                None if radii is None or radii.bare is None else radii.bare[judged],
            )

    def _shipped(
        self, i: int, alone: np.ndarray | None, radii: _Radii | None, reach: np.ndarray | None
    ) -> Shipped | None:
        """What the model alone says of a person; None where nothing that was learnt entered, or it enters all."""
        if alone is None or self.config.learning != "on" or self.config.learning_for == "all":
            return None
        if reach is not None:
            return Shipped(alone[i], reach[i], None)
        return Shipped(alone[i], radii.shipped[i], None if radii.body_shipped is None else radii.body_shipped[i])

    def _radii(
        self,
        people: list[_Person],
        what: Known,
        values: np.ndarray,
        mask: np.ndarray,
        mean: np.ndarray,
        scale: np.ndarray | None,
        alone: np.ndarray | None = None,
        moved: np.ndarray | None = None,
        widened: np.ndarray | None = None,
    ) -> _Radii | None:
        """Calibrated radii around `mean`, whichever of these people can have them; None: nobody can.

        Args:
            people: N of them.
            what: known of them, in the fixed frame.
            values: (N, T, J, 3) metres, normalised; mask: (N, T, J).
            mean: (N, S, J, 3) metres as published, fixed frame.
            scale: (N, S, J, 3) metres of the model, or None.
            alone: (N, S, J, 3) metres, the model's own mean where `mean` is another.
            moved: (N, S, J) metres between the two.
            widened: (N, S, J) metres added to marginal radii in place of `moved`; body radii take all of it.
        """
        bounds, c = self.bounds, self.config
        if bounds is None or (scale is None and bounds.table.score != "error_m"):
            return None
        offline, body = bounds.radii(what, None if scale is None else equivalent_scale(scale))
        more = 0.0 if bounds.table.domain.tracker != MOTION_CAPTURE else c.tracker_error_m
        bare, body_bare = offline + more, None if body is None else body + more
        check = self.self_check
        factors: tuple[np.ndarray, np.ndarray] | None = None
        if check and check.adaptation and c.adaptation == "on":
            factors = check.adaptation.factors(check.rows_of(people))

        def around(
            centre: np.ndarray, joints: np.ndarray, body: np.ndarray | None
        ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
            """Radii by the table alone and with the factors, then those of the body."""
            cap = reach_cap(centre, what, self._reach_steps, bounds.top_mps)
            offline = np.fmin(joints, cap)  # NaN stays: both are
            radius = offline if factors is None else np.minimum(offline * factors[0], cap)
            if body is None:
                return offline, radius, None, None
            body_offline = np.minimum(np.maximum(body, offline), cap)
            body = body_offline if factors is None else np.minimum(body_offline * factors[1][:, None, None], cap)
            # what holds all joints is no smaller than what holds each
            return offline, radius, body_offline, np.maximum(body, radius)

        shipped = body_shipped = None
        if moved is None:
            offline, radius, body_offline, body = around(mean, bare, body_bare)
        else:
            if c.learning == "on" and c.learning_for == "predictions":
                _, shipped, _, body_shipped = around(alone, bare, body_bare)
            body = None if body_bare is None else body_bare + moved
            offline, radius, body_offline, body = around(mean, bare + (moved if widened is None else widened), body)
        usable = np.isfinite(radius).all((1, 2))
        if scale is not None:
            usable &= np.isfinite(scale).all((1, 2, 3)) & (scale > 0.0).all((1, 2, 3))
        if body is not None:
            usable &= np.isfinite(body).all((1, 2))
        odd = np.zeros(len(people), bool)
        if self._unfamiliar and self.watch_distribution:
            odd = self._unfamiliar(values, mask) > 1.0
        return _Radii(offline, radius, body_offline, body, usable, odd, shipped, body_shipped, bare)

    @staticmethod
    def _to_judge(radii: _Radii, calibrated: np.ndarray) -> Callable[[list[int]], tuple[np.ndarray | None, ...]]:
        """Radii of some people for the self-check, NaN for those who carry none."""

        def of(rows: list[int]) -> tuple[np.ndarray | None, ...]:
            none = ~calibrated[rows]
            out = []
            for values in (radii.offline, radii.radius, radii.body_offline, radii.body):
                part = None if values is None else values[rows]
                if part is not None and none.any():
                    part[none] = np.nan
                out.append(part)
            return tuple(out)

        return of

    def _keep_inferred(
        self,
        people: list[_Person],
        values: np.ndarray,
        mask: np.ndarray,
        heading: Heading,
        future: np.ndarray,
        hidden_s: np.ndarray,
        times: np.ndarray,
    ) -> None:
        names = {id(p): i for i, p in self._people.items()}
        self.inferred = Inferred(
            tuple(names[id(p)] for p in people),
            values,
            mask,
            heading,
            future,
            np.stack([p.track.newest_positions for p in people]),
            np.stack([p.track.newest_status for p in people]),
            np.array([p.track.newest_ns for p in people]),
            hidden_s,
            times,
        )

    def _describe(self, person_id: str, person: _Person, now_ns: int) -> MotionPrediction:
        """The person's prediction where it may be believed, else the pose held and the reach bound."""
        c, result, newest_ns = self.config, person.result, person.track.newest_ns
        age_s = (now_ns - newest_ns) * 1e-9
        horizon_ns = int(self.backend.future_steps * self.backend.dt_s * _NS)
        reasons, state = result.reasons, result.state
        if person.jumped_ns is not None and 0 <= newest_ns - person.jumped_ns < _RECENT_NS:
            reasons |= Reason.STAMP_JUMP
        if person.relinked_ns is not None and 0 <= newest_ns - person.relinked_ns < _RECENT_NS:
            reasons |= Reason.ID_RELINKED
        outliers = self._continuity.outliers(person_id)
        if outliers is not None:
            reasons |= Reason.OUTLIER_MASKED
        if person.duplicated_ns is not None and 0 <= newest_ns - person.duplicated_ns < _RECENT_NS:
            reasons |= Reason.DUPLICATE_ID
            state = TrackState.DEGRADED if state is TrackState.TRACKING else state
        since = person.upside_down_since_ns
        if since is not None and newest_ns - since >= _UPSIDE_DOWN_NS:
            reasons |= Reason.NOT_Z_UP
            state = TrackState.DEGRADED if state is TrackState.TRACKING else state
        if age_s > min(c.stale_after_s, horizon_ns * 1e-9):  # beyond the horizon nothing was predicted
            reasons |= Reason.INPUT_OLD
            state = TrackState.ABSENT if age_s > c.lost_after_s else TrackState.STALE
        bound_only = state in (TrackState.WARMING_UP, TrackState.STALE, TrackState.ABSENT) or bool(
            reasons & (Reason.NOT_Z_UP | Reason.NON_FINITE_OUTPUT)
        )
        basis = f"reach:{result.reach_mps:.1f}mps"
        common = MotionPrediction(
            person_id=person_id,
            state=state,
            reasons=reasons,
            stamp_ns=newest_ns,
            last_observed_ns=newest_ns,
            age_s=age_s,
            valid_until_ns=newest_ns + horizon_ns,
            mean=result.mean,
            recovered=result.recovered,
            joint_status=person.track.newest_status.copy(),
            scale=result.scale,
            radius=result.radius,
            radius_basis=basis,
        )
        if not bound_only:
            common = replace(common, shipped=result.shipped) if result.shipped is not None else common
            if not reasons & Reason.UNCALIBRATED:
                common = replace(
                    common,
                    radius_basis="conformal",
                    radius_coverage=c.coverage_level,
                    body_radius=result.body,
                    body_coverage=float("nan") if result.body is None else c.coverage_level,
                )
            return common if outliers is None else self._widen(common, outliers)
        # what nobody sees is bounded from now on, not from when it was last seen
        unseen = state in (TrackState.STALE, TrackState.ABSENT)
        origin_ns = max(now_ns, newest_ns) if unseen else newest_ns
        # a joint hidden for longer may be farther from where it is shown, but not farther than limbs are long
        hidden = c.reach_speed_mps * 1e-9 * (newest_ns - person.track.seen_ns)
        passed_s = (origin_ns - newest_ns) * 1e-9 + self._reach_steps
        # nobody keeps up the speed of the fastest limb
        excess = (result.reach_mps - c.reach_speed_mps) * np.minimum(passed_s, _FAST_S)
        reach = c.reach_speed_mps * passed_s + excess
        held = replace(
            common,
            reasons=reasons | Reason.UNCALIBRATED,
            stamp_ns=origin_ns,
            valid_until_ns=origin_ns + horizon_ns,
            mean=np.broadcast_to(result.recovered, result.mean.shape),
            radius=reach[:, None] + np.minimum(hidden, LIMB_SPAN_M),
            radius_basis=basis,
            scale=None,
        )
        return held if outliers is None else self._widen(held, outliers)

    def _widen(self, person: MotionPrediction, outliers: Outliers) -> MotionPrediction:
        radius = widened(
            person.mean,
            person.recovered,
            person.stamp_ns,
            self._reach_steps,
            self.config.reach_speed_mps,
            outliers,
            person.radius,
        )
        # no radius gets smaller, so what covered goes on covering
        body = None if person.body_radius is None else np.maximum(person.body_radius, radius)
        if person.shipped is not None:
            alone = self._widen(person.as_shipped(), outliers)
            person = replace(person, shipped=Shipped(alone.mean, alone.radius, alone.body_radius))
        return replace(person, radius=radius, body_radius=body)
