# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Stamps that cannot be right are named; time of receipt as the fallback that one chooses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.clock import FROZEN_MESSAGES, StampClock

NS = 1_000_000_000
T0_S = 1_700_000_000.0


def frame(stamp_s: float, people: int = 1) -> SkeletonFrame:
    shape = (people, 20)
    return SkeletonFrame(
        round(stamp_s * NS),
        "map",
        tuple(map(str, range(people))),
        np.zeros((*shape, 3)),
        np.ones(shape, np.uint8),
        np.ones(shape, np.float32),
    )


def run(clock: StampClock, stamp_of, seconds: float, rate: float = 30.0, delay=lambda k: 0.02, start_s: float = T0_S):
    """Messages of `seconds`; `stamp_of` gives the stamp from the time of capture."""
    for k in range(round(seconds * rate)):
        t = start_s + k / rate
        yield clock.take(frame(stamp_of(t)), round((t + delay(k)) * NS))


def feed(*args, **kwargs) -> None:
    for _ in run(*args, **kwargs):
        pass


@given(seed=st.integers(0, 2**31), rate=st.sampled_from([5.0, 30.0]), least_s=st.floats(0.0, 0.5))
@settings(max_examples=20, deadline=None)
def test_latency_jitter_and_queues_are_no_trouble(seed, rate, least_s):
    clock, rng = StampClock(), np.random.default_rng(seed)
    feed(clock, lambda t: t, 60.0, rate, lambda k: least_s + rng.exponential(0.02) + 0.3 * (rng.random() < 0.02))
    assert clock.trouble() == "" and not clock.counters
    assert abs(clock.drift_rate) < 2e-3


@pytest.mark.parametrize("by_s", [0.2, 0.9, 5.0])
def test_single_stamps_ahead_of_the_others_are_not_believed(by_s):
    wrong = (100, 101, 250)
    stamps = [T0_S + k / 30.0 + by_s * (k in wrong) for k in range(300)]
    clock, rng = StampClock(), np.random.default_rng(0)
    used = []
    for k, stamp_s in enumerate(stamps):
        received_ns = round((T0_S + k / 30.0 + 0.03 + rng.exponential(0.005)) * NS)
        used.append(clock.take(frame(stamp_s), received_ns).stamp_ns * 1e-9)
    off = np.abs(np.array(used) - (T0_S + np.arange(300) / 30.0))
    assert off[list(wrong)].max() < 0.03 and np.delete(off, wrong).max() < 1e-6
    assert clock.counters["stamp_ahead"] == 3 and (np.diff(used) > 0.0).all()


def test_a_clock_that_was_set_forward_is_believed_from_the_third_message_on():
    clock = StampClock()
    used = [f.stamp_ns * 1e-9 for f in run(clock, lambda t: t + (t > T0_S + 5.0), 10.0)]
    true = T0_S + np.arange(len(used)) / 30.0
    at = int(np.argmax(true > T0_S + 5.0))
    assert np.abs(used[at : at + 2] - true[at : at + 2]).max() < 0.01
    assert np.abs(used[at + 2 :] - true[at + 2 :] - 1.0).max() < 1e-6
    assert clock.counters["stamp_ahead"] == 2


@pytest.mark.parametrize(
    ("stamp_of", "name", "words"),
    [
        (lambda t: 0.0, "stamp_zero", ["stamps are zero"]),
        (lambda t: t + 0.3, "stamp_future", ["0.280 s in the future", "synchronise"]),
        (lambda t: t - T0_S + 5.0, "stamp_other_clock", ["s behind this node's clock", "use_sim_time"]),
        (lambda t: t + 3600.0, "stamp_other_clock", ["3600.0 s ahead of this node's clock"]),
        (lambda t: T0_S, "stamp_frozen", ["stand still at"]),
    ],
)
def test_each_trouble_has_its_name_and_a_remedy(stamp_of, name, words):
    clock = StampClock()
    feed(clock, stamp_of, 1.0)
    line = clock.trouble()
    assert clock.counters[name] >= 30 - FROZEN_MESSAGES
    assert set(clock.counters) == {name}
    assert all(w in line for w in [*words, "or set stamp_source to receive"]) and "\n" not in line


@pytest.mark.parametrize(("rate_error", "word"), [(1e-3, "fast"), (-1e-3, "slow"), (1e-4, "fast")])
def test_a_clock_that_drifts_is_named_with_its_rate(rate_error, word):
    clock, rng = StampClock(), np.random.default_rng(0)
    seconds = 60.0 if abs(rate_error) > 5e-4 else 400.0
    feed(clock, lambda t: t - 0.3 + rate_error * (t - T0_S), seconds, 20.0, lambda k: 0.03 + rng.exponential(0.003))
    assert clock.drift_rate == pytest.approx(-rate_error, rel=0.1)
    assert f"runs {word} by {1e3 * abs(rate_error):.1f}" in clock.trouble()


@pytest.mark.parametrize(("step_s", "words"), [(-2.0, "set back by 2.0"), (2.0, "set forward by 2.0")])
def test_a_clock_that_is_set_is_named_and_drift_starts_anew(step_s, words):
    clock = StampClock()
    lines = {clock.trouble() for _ in run(clock, lambda t: t - 3.0 + (step_s if t > T0_S + 40.0 else 0.0), 52.0)}
    named = [line for line in lines if line and "single stamps" not in line]  # which the first two of them are
    assert len(named) == 1 and words in named[0]
    assert clock.drift_rate is None
    assert clock.counters["stamp_clock_jump"] == 1 and "stamp_drift" not in clock.counters


def test_receive_replaces_every_stamp_and_still_counts_what_was_wrong():
    clock = StampClock("receive")
    got = [f.stamp_ns for f in run(clock, lambda t: 0.0, 1.0)]
    assert np.allclose(np.diff(got), NS / 30.0, atol=2.0)
    assert got[0] == round((T0_S + 0.02) * NS)
    assert clock.trouble() == "" and clock.counters["stamp_zero"] == 30


def test_header_keeps_the_stamps():
    assert [f.stamp_ns for f in run(StampClock(), lambda t: t, 0.2)][3] == round((T0_S + 3 / 30.0) * NS)


def test_a_trouble_that_ended_is_not_said_any_more():
    clock = StampClock()
    feed(clock, lambda t: t + 0.3, 1.0)
    feed(clock, lambda t: t, 6.0, start_s=T0_S + 1.0)
    assert clock.trouble() == "" and clock.counters["stamp_future"] == 30


def test_our_own_clock_that_goes_back_starts_the_measurement_anew():
    clock = StampClock()
    feed(clock, lambda t: t, 40.0)
    feed(clock, lambda t: t, 2.0, start_s=T0_S)  # a bag plays again
    assert clock.trouble() == "" and not clock.counters and clock.drift_rate is None


def test_an_empty_message_says_nothing_about_the_clock():
    clock = StampClock()
    clock.take(frame(0.0, people=0), round(T0_S * NS))
    assert not clock.counters


def test_memory_does_not_grow():
    clock = StampClock()
    feed(clock, lambda t: t, 3600.0, rate=5.0)
    assert len(clock._blocks) <= 120


def test_unknown_source_is_refused():
    with pytest.raises(ValueError, match="stamp_source is 'gps': expected header or receive"):
        StampClock("gps")
