# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Weights of a block of steps are those that a self-check gives one step after the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.core_helpers import MODEL

from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.faults import Faults
from aux_motion_core.evaluation.mixture import Mixture, Step
from aux_motion_core.evaluation.replay import PREDICTED, predict
from aux_motion_core.inference.ensemble import Ensemble
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.selfcheck import SelfCheck, ahead_ns, grid_steps
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.testing import synthetic
from aux_motion_core.types import SkeletonFrame

NS = 1_000_000_000
FAULTS = "drop=0.1,swap_ids=0.02,people=0.2:1.0,gap=0.05,jitter_ms=60,outliers=0.01:500,twins=0.05:0.5"


def _two_of(frame: SkeletonFrame) -> SkeletonFrame:
    parts = {name: getattr(frame, name)[:2] for name in ("person_ids", "positions", "status", "confidence")}
    return replace(frame, **parts)


def steps_of(seconds: float = 8.0) -> tuple[list[Step], np.ndarray]:
    """Steps of a damaged stream, of which one leaves and the clock is set back, and members wrong by less and less."""
    clean = [(f.stamp_ns + 20_000_000, f) for f in synthetic.frames(3, seconds)]
    damaged = list(Faults.parse(FAULTS, 2).apply(clean))
    half = len(damaged) // 2
    items = [
        (t, _two_of(f) if half // 4 < i < half else replace(f, stamp_ns=f.stamp_ns - 12 * NS // 10 * (i >= half)))
        for i, (t, f) in enumerate(damaged)
    ]
    predictor = Predictor(make_backend("damped_pose", MODEL), PredictorConfig(learning="off", absent_hold_s=0.4), "map")
    steps, members, moves = [], [], []
    for item in predict(items, predictor):
        if item.moves:
            moves.append(item.moves)
        if item.inferred is not None:
            state = {p.person_id: p.state for p in item.batch.people}
            judged = np.array([state.get(i) in PREDICTED for i in item.inferred.ids])
            steps.append(Step(item.batch.stamp_ns, item.inferred, judged, frozenset(state), tuple(moves)))
            moves.clear()
            members.append(item.inferred.positions)
    rng = np.random.default_rng(0)
    pose = np.concatenate(members)[:, None, None]
    scale = np.linspace(0.4, 0.01, 5)[None, :, None, None, None]
    return steps, (pose + scale * rng.normal(size=(len(pose), 5, 5, 20, 3))).astype(np.float32)


class Person:
    row, newest_ns = -1, -1


def one_after_the_other(steps: list[Step], members: np.ndarray, backend) -> np.ndarray:
    """As a predictor with a mix does."""
    at = grid_steps(backend.dt_s, backend.future_steps)
    mix = Ensemble(backend, at)
    check = SelfCheck(backend.dt_s, backend.future_steps, mix=mix)
    check.measures = False
    weights, known, first = np.empty((len(members), len(at), len(mix.names))), {}, 0
    for step in steps:
        rows, i = slice(first, first + len(step.inferred.ids)), step.inferred
        first = rows.stop
        for moves in step.moves:
            known.update({new: known.pop(old) for new, old in moves.items() if old in known})
        people = [known.setdefault(person_id, Person()) for person_id in i.ids]
        new = [n for n, p in enumerate(people) if i.stamps_ns[n] != p.newest_ns]
        for stamp_ns in np.unique(i.stamps_ns[new]):
            now = [n for n in new if i.stamps_ns[n] == stamp_ns]
            for n in now:
                if stamp_ns < people[n].newest_ns:
                    people[n].row = -1
                people[n].newest_ns = int(stamp_ns)
            check.observe([people[n] for n in now], int(stamp_ns), i.positions[now], i.status[now])
            check.finish()
        known = {person_id: p for person_id, p in known.items() if person_id in step.known}
        check.keep(known.values())
        check.sweep(step.now_ns)
        weights[rows] = mix.weights[check.rows_of(people)]
        judged = np.flatnonzero(step.judged)
        if len(judged):
            check.predicted(
                [people[n] for n in judged],
                i.stamps_ns[judged],
                np.zeros((len(judged), backend.future_steps, 20, 3)),
                i.positions[judged],
                (i.status != JointStatus.MISSING)[judged],
                members[rows][judged],
            )
    return weights


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_weights_of_a_block_are_those_of_one_step_after_the_other(block):
    steps, members = steps_of()
    backend = make_backend("damped_pose", MODEL)
    at = grid_steps(backend.dt_s, backend.future_steps)
    mixture = Mixture(Ensemble(backend, at), ahead_ns(backend.dt_s, at))
    found, first = [], 0
    for k in range(0, len(steps), block):
        part = steps[k : k + block]
        n = sum(len(s.inferred.ids) for s in part)
        found.append(mixture.weights(part, members[first : first + n]))
        first += n
    expected = one_after_the_other(steps, members, backend)
    assert first == len(members) > 200
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-6, atol=1e-12)
    assert np.ptp(expected[:, 0, 0]) > 0.05  # they learn
    assert any(s.moves for s in steps) and len({s.known for s in steps}) > 1
    assert min(np.diff([s.inferred.stamps_ns.max() for s in steps])) < -NS
