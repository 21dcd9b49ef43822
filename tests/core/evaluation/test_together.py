# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Frames that are predicted in one batch give what one after the other gives."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from support.core_helpers import MODEL

from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.faults import Faults
from aux_motion_core.evaluation.replay import arrival_ns, predict
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.testing import synthetic

NS = 1_000_000_000
#: Everything that makes people come, go, change ids, jump and disappear.
FAULTS = "outliers=0.01:500,drop=0.1,swap_ids=0.02,twins=0.05:0.5,people=0.2:1.0,gap=0.05,jitter_ms=60,freeze=0.02:0.3"
#: What a predictor counts of it.
HAPPENED = ("id_relinked", "stamp_reset", "stamp_reordered", "duplicate_body_merged", "outlier_masked")


def stream(seconds: float = 5.0, people: int = 3):
    """Damaged, with a clock that is set back in the middle."""
    clean = [(f.stamp_ns + 20_000_000, f) for f in synthetic.frames(people, seconds)]
    damaged = list(Faults.parse(FAULTS, 0).apply(clean))
    half = len(damaged) // 2
    return [(t, f if i < half else replace(f, stamp_ns=f.stamp_ns - 3 * NS)) for i, (t, f) in enumerate(damaged)]


class Counted:
    """A backend that counts its calls."""

    def __init__(self, name):
        self._backend, self.calls = make_backend(name, MODEL), 0

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def infer(self, values, mask):
        self.calls += 1
        return self._backend.infer(values, mask)


def same(one, other, what):
    if isinstance(one, np.ndarray):
        assert one.shape == other.shape, what
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-5, err_msg=what)
    elif isinstance(one, float):
        assert one == pytest.approx(other, nan_ok=True), what
    else:
        assert one == other, what


@pytest.mark.parametrize("name", ["onnx", "damped_pose"])
@pytest.mark.parametrize("config", [{}, {"adaptation": "off", "self_check_s": 0.0}, {"mix": True}, {"learning": "on"}])
def test_a_damaged_stream_is_predicted_as_one_frame_after_the_other(name, config):
    config = PredictorConfig(**{"learning": "off", **config})
    items = stream()
    alone, batched = Counted(name), Counted(name)
    live, replayed = Predictor(alone, config, "map"), Predictor(batched, config, "map")
    live.keep_inferred = True
    states = set()
    for (log_ns, frame), item in zip(items, predict(items, replayed), strict=True):
        live.add(frame)
        now_ns = arrival_ns(log_ns, frame.stamp_ns)
        batch = live.predict(now_ns)
        assert (item.log_time_ns, item.now_ns, item.frame, item.moves) == (log_ns, now_ns, frame, live.moves)
        assert len(item.batch.people) == len(batch.people) and item.batch.stamp_ns == batch.stamp_ns
        for one, other in zip(item.batch.people, batch.people, strict=True):
            states.add(one.state)
            for field in fields(one):
                if field.name not in ("shipped", "radius_basis"):
                    what = f"{field.name} of {one.person_id}"
                    same(getattr(one, field.name), getattr(other, field.name), what)
        assert (item.inferred is None) == (live.inferred is None)
        if live.inferred is not None:
            assert item.inferred.ids == live.inferred.ids
            for part in ("values", "mask", "future", "positions", "status", "stamps_ns", "hidden_s", "times"):
                same(getattr(item.inferred, part), getattr(live.inferred, part), part)
    assert replayed.counters == live.counters
    assert all(live.counters[name] for name in HAPPENED)
    assert len(states) > 3
    if "mix" in config.model_fields_set or config.learning == "on":
        assert batched.calls == alone.calls  # the next mean depends on what became of the one before
    else:
        assert batched.calls < 0.7 * alone.calls


def test_radii_adapt_in_a_batch_as_one_after_the_other():
    """People who run are outside their radii, which widen."""
    walk = synthetic.frames(2, 7.0)
    mid = walk[0].positions.mean((0, 1))
    items = [(f.stamp_ns, replace(f, positions=mid + 3.0 * (f.positions - mid) * [1.0, 1.0, 1 / 3])) for f in walk]
    config = PredictorConfig(learning="off", adaptation="on", tracker_error_m=0.0)
    live, replayed = (Predictor(make_backend("onnx", MODEL), config, "map") for _ in range(2))
    for predictor in (live, replayed):
        predictor.watch_distribution = False
    for (_, frame), item in zip(items, predict(items, replayed), strict=True):
        live.add(frame)
        for one, other in zip(item.batch.people, live.predict(frame.stamp_ns).people, strict=True):
            same(one.radius, other.radius, "radius")
            same(one.body_radius, other.body_radius, "body_radius")
    live.settle()
    replayed.settle()
    assert live.realised().factor.max() > 1.05
    same(replayed.realised().factor, live.realised().factor, "factors")
    same(replayed.realised().outcomes, live.realised().outcomes, "outcomes")
