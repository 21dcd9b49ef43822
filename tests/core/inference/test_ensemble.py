# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The mix of model and baselines: its weights, its regret, and what it does when the motion changes."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.core_helpers import MODEL, motion

from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference import ensemble as mix_module
from aux_motion_core.inference.ensemble import PRIOR, RATE, SHARE, Ensemble
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.selfcheck import grid_steps
from aux_motion_core.skeleton import JointStatus
from aux_motion_core.types import SkeletonFrame

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
GRID = SimpleNamespace(name="model", dt_s=0.04, history_steps=10, future_steps=25)
STEPS = grid_steps(0.04, 25)


def make(rows: int = 1) -> Ensemble:
    mix = Ensemble(GRID, STEPS)
    for row in range(rows):
        mix.start(row)
    return mix


def test_all_baselines_are_members_and_the_model_has_most_at_the_start():
    mix = make()
    assert mix.names[0] == "model" and set(mix.names[1:]) == set(PRIOR)
    assert mix.weights[0, 0, 0] == pytest.approx(1.0 - sum(PRIOR.values()))
    assert np.allclose(mix.weights.sum(-1), 1.0)
    alone = Ensemble(SimpleNamespace(**{**vars(GRID), "name": "damped_pose"}), STEPS)
    assert len(alone.names) == len(PRIOR) and alone.names[0] == "damped_pose"


@given(seed=st.integers(0, 2**31), scale=st.sampled_from([0.0, 1e-6, 0.1, 1.0, 1e6, np.inf, np.nan]))
@settings(max_examples=30, deadline=None)
def test_weights_stay_weights_whatever_the_errors_are(seed, scale):
    mix, rng = make(3), np.random.default_rng(seed)
    for _ in range(50):
        k = rng.integers(1, 12)
        errors = rng.random((k, 6)) * scale
        mix.learn(rng.integers(3, size=k), rng.integers(5, size=k), errors)
    assert np.allclose(mix.weights.sum(-1), 1.0)
    assert (mix.weights >= 0.99 * SHARE * min(PRIOR.values())).all(), "nobody is ever out"


@given(seed=st.integers(0, 2**31), changes=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_regret_is_within_the_bound_that_is_named(seed, changes):
    """Theorem 5.2 of Cesa-Bianchi and Lugosi, at this rate and share, against the best sequence of members."""
    mix, rng, rounds = make(), np.random.default_rng(seed), 400
    loss = np.clip(rng.normal(0.4, 0.2, (rounds, 6)), 0.0, 1.0)
    ends = np.sort(rng.choice(np.arange(1, rounds), changes, replace=False))
    for part, rows in enumerate(np.split(np.arange(rounds), ends)):
        loss[rows, rng.integers(6)] *= 0.2 + 0.1 * part
    total = 0.0
    for row in loss:
        total += float(mix.weights[0, 2] @ row)
        mix.learn(np.array([0]), np.array([2]), row[None] * mix_module.LOSS_M)
    best = sum(part.sum(0).min() for part in np.split(loss, ends))
    cost = (changes + 1) * np.log(1.0 / min(PRIOR.values()))
    cost += changes * np.log(1.0 / SHARE) + (rounds - changes - 1) * np.log(1.0 / (1.0 - SHARE))
    assert total - best <= cost / RATE + RATE / 8.0 * rounds
    assert total <= 1.05 * best + cost / RATE, "and far within it"


@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_the_mixture_is_never_worse_than_the_weighted_mean_of_its_members(seed):
    mix, rng = make(2), np.random.default_rng(seed)
    mix.weights[:] = rng.dirichlet(np.ones(6), mix.weights.shape[:2])
    members, truth = rng.normal(size=(2, 6, 25, 20, 3)).astype(np.float32), rng.normal(size=(2, 25, 20, 3))
    got = mix.combine(np.array([0, 1]), members)
    error = np.linalg.norm(got - truth, axis=-1).mean(-1)[:, STEPS]  # (2, H)
    each = np.linalg.norm(members - truth[:, None], axis=-1).mean(-1)[:, :, STEPS]
    assert (error <= np.einsum("nhm,nmh->nh", mix.weights, each) + 1e-6).all()
    at = np.einsum("nhm,nmhjc->nhjc", mix.weights, members[:, :, STEPS])
    assert np.allclose(got[:, STEPS], at, atol=1e-5)
    assert np.allclose(got[:, 0], np.einsum("nm,nmjc->njc", mix.weights[:, 0], members[:, :, 0]), atol=1e-5)


def frame(t: float, people: dict[str, np.ndarray]) -> SkeletonFrame:
    x = np.stack(list(people.values()))
    n = len(x)
    return SkeletonFrame(
        T0 + round(t * NS), "map", tuple(people), x, np.full((n, 20), JointStatus.OBSERVED, np.uint8), np.ones((n, 20))
    )


def test_each_person_has_weights_of_its_own_and_a_new_one_starts_afresh():
    p = Predictor(make_backend("constant_velocity", MODEL), PredictorConfig(mix=True), "map")
    rest = motion([0.0])[0]
    for k in range(200):
        t = k / 25
        to_and_fro = rest + np.array([0.3 * np.sin(2.4 * np.pi * t), 3.0, 0.0])
        p.add(frame(t, {"even": rest + np.array([t, 0.0, 0.0]), "waving": to_and_fro}))
        p.predict(T0 + round(t * NS))
    people = p.fit(T0 + 8 * NS).people
    assert people["even"].weights[-1, 0] > 0.9, "who goes on evenly is predicted by constant velocity"
    assert people["waving"].weights[-1, 0] < 0.1
    p.add(frame(8.0, {"new": rest + np.array([0.0, 9.0, 0.0])}))
    p.predict(T0 + 8 * NS)
    assert p.fit(T0 + 8 * NS).people["new"].weights[-1, 0] == pytest.approx(
        1.0 - sum(PRIOR.values()) + PRIOR["constant_velocity"]
    )


def test_it_can_be_turned_on_and_off_while_people_are_followed():
    p = Predictor(make_backend("damped_pose", MODEL), PredictorConfig(), "map")
    for k in range(60):
        p.configure(PredictorConfig(mix=k >= 20 and k < 40))
        p.add(frame(k / 25, {"1": motion([k / 25])[0]}))
        (person,) = p.predict(T0 + round(k / 25 * NS)).people
        assert np.isfinite(person.mean).all()
        assert bool(p.fit(T0).members) == (20 <= k < 40)


@pytest.mark.parametrize("backend", ["onnx", "constant_velocity"])
def test_after_a_change_of_motion_it_is_soon_as_good_as_the_best(data_dir, backend):
    """Walking, standing and handing over, washing windows, punching: recordings that no model was trained on.

    `constant_velocity` in the model's place is one that does not fit: its mix has to find the others.
    """
    pytest.importorskip("training.data")
    from training.data.splits import load_clips
    from training.studies.ensemble import CHANGES, HORIZONS_S, judge, since_change

    clips = {c.name: c for c in load_clips(data_dir, list(CHANGES[0]))}
    for name, clip in clips.items():
        n = int(np.searchsorted(clip.stamps_s, clip.stamps_s[0] + 8.0))
        clips[name] = replace(clip, **{k: getattr(clip, k)[:n] for k in ("stamps_s", "positions", "mask")})
    record = judge([clips[n] for n in CHANGES[0]], make_backend(backend, MODEL))
    found = since_change([record])
    mixed = record.names.index("mix")
    for i, h in enumerate(HORIZONS_S):
        late = found["bins_s"].index(2.0)
        ratio = np.array(found[f"{h}"]["ratio"])
        assert (ratio[late:] < 1.25).all() and ratio[late:].mean() < 1.1
        error = np.nanmean(record.arrays()[2], 0)[:, i]
        alone = np.delete(error, mixed)
        assert error[mixed] <= 1.1 * alone.min(), "never much worse than the best on the whole"
        if backend == "constant_velocity":
            assert error[mixed] < 0.8 * error[0]
