# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What must hold of every backend, for any motion, mask and place in the world."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.core_helpers import MODEL, motion

from aux_motion_core.history.normalise import denormalise, normalise
from aux_motion_core.history.resample import resample
from aux_motion_core.inference.baselines import BASELINES, make
from aux_motion_core.inference.factory import make_backend

STEPS, DT = 25, 0.04
GRID = DT * np.arange(-STEPS + 1, 1)
SHARED = {"onnx": make_backend("onnx", MODEL), **{name: make(name, history_steps=STEPS) for name in BASELINES}}
each_backend = pytest.mark.parametrize("name", list(SHARED))
fast = settings(max_examples=15, deadline=None)


def masks(people: int = 1):
    """Observed masks of 40 to 100 % of the joint-frames, by seed."""
    return st.tuples(st.integers(0, 2**31), st.floats(0.4, 1.0)).map(
        lambda p: np.random.default_rng(p[0]).random((people, STEPS, 20)) < p[1]
    )


def predict(name: str, windows: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, heading = normalise(windows, mask)
    future, recovered, _ = SHARED[name].infer(values, mask)
    return denormalise(future, heading), denormalise(recovered, heading)


def turned(x: np.ndarray, yaw: float, shift: np.ndarray) -> np.ndarray:
    r = np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
    return x @ r.T + shift


@each_backend
@given(
    seed=st.integers(0, 1000),
    mask=masks(),
    yaw=st.floats(-3.14, 3.14),
    shift=st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.floats(-3, 3)),
)
@fast
def test_moved_and_turned_input_gives_moved_and_turned_output(name, seed, mask, yaw, shift):
    window = motion(GRID, seed)[None]
    shift = np.array(shift)
    for was, now in zip(predict(name, window, mask), predict(name, turned(window, yaw, shift), mask)):
        assert np.abs(turned(was, yaw, shift) - now).max() < 1e-3


@each_backend
@given(mask=masks(5), order=st.permutations(range(5)))
@fast
def test_order_of_people_does_not_matter(name, mask, order):
    windows = np.stack([motion(GRID + 0.3 * k, k) for k in range(5)])
    order = list(order)
    for was, now in zip(predict(name, windows, mask), predict(name, windows[order], mask[order])):
        assert np.abs(was[order] - now).max() < 1e-4


@each_backend
@given(mask=masks(2), junk=st.sampled_from([1e6, -1e6, np.nan, np.inf]))
@fast
def test_values_that_were_not_observed_change_nothing(name, mask, junk):
    windows = np.stack([motion(GRID, k) for k in range(2)])
    spoiled = np.where(mask[..., None], windows, junk)
    for was, now in zip(predict(name, windows, mask), predict(name, spoiled, mask)):
        assert np.array_equal(was, now)


@each_backend
@pytest.mark.parametrize("what", ["frame", "joint", "person", "all but one value"])
def test_fully_masked_parts_give_finite_output(name, what):
    windows = np.stack([motion(GRID, k) for k in range(2)])
    mask = np.ones(windows.shape[:3], bool)
    if what == "frame":
        mask[0, -1] = False
    elif what == "joint":
        mask[0, :, 7] = False
    else:
        mask[0] = False
        mask[0, 4, 9] = what == "all but one value"
    future, recovered = predict(name, windows, mask)
    assert np.isfinite(future).all() and np.isfinite(recovered).all()
    untouched = predict(name, windows[1:], mask[1:])[0]
    assert np.abs(future[1:] - untouched).max() < 1e-4


@given(
    seed=st.integers(0, 1000),
    rates=st.tuples(st.floats(25, 120), st.floats(25, 120)),
    phase=st.floats(0, 0.03),
)
@settings(max_examples=30, deadline=None)
def test_two_input_rates_of_one_motion_give_the_same_window(seed, rates, phase):
    windows = []
    for rate in rates:
        stamps = np.append(np.arange(-1.1 + phase, 0.0, 1.0 / rate), 0.0)
        stamps = stamps[np.append(np.diff(stamps) > 1e-6, True)]
        seen = np.ones((len(stamps), 20), bool)
        window, mask = resample(stamps, motion(stamps, seed), seen, 0.0, DT, STEPS, 0.12)
        assert mask.all()
        windows.append(window)
    # linear interpolation of a motion: at most dt^2 / 8 times its largest acceleration
    t = np.arange(-1.1, 0.0, 0.001)
    acceleration = np.abs(np.gradient(np.gradient(motion(t, seed), 0.001, axis=0), 0.001, axis=0)[3:-3])
    allowed = 3**0.5 * acceleration.max() / 8 / min(rates) ** 2 * 1.1 + 1e-4
    assert np.linalg.norm(windows[0] - windows[1], axis=-1).max() <= 2 * allowed


@given(mask=masks(3), seed=st.integers(0, 1000))
@fast
def test_normalisation_is_exactly_inverted(mask, seed):
    windows = np.stack([motion(GRID + k, seed + k) for k in range(3)])
    values, heading = normalise(windows, mask)
    assert values.dtype == np.float32
    back = denormalise(values, heading)
    assert np.abs(np.where(mask[..., None], back - windows, 0.0)).max() < 1e-5


def test_people_face_forward_when_normalised():
    window = motion(GRID)[None]
    values, _ = normalise(window, np.ones((1, STEPS, 20), bool))
    left, right = values[0, -1, 12], values[0, -1, 16]
    assert left[1] - right[1] > 0.1
    assert np.allclose(values[0, -1, 0], 0.0, atol=1e-6)
