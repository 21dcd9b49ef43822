# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How much of a still person's displacement is taken back follows what left-out classes show."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from training.data.windows import Windows  # noqa: E402
from training.fitting import still_shrink  # noqa: E402
from training.model import AuxMotionModel, ModelConfig  # noqa: E402


def case(overshoot: float, speed: float, action: str = "signal") -> still_shrink.Case:
    """Somebody whose joints do not move any more; the model says that they go `overshoot` metres on."""
    model = AuxMotionModel(ModelConfig(width=16, heads=2, layers=1)).eval()

    def forward_all(x, m):
        ahead = model.ahead[:, None, None] * overshoot
        present = x[:, -1]
        root = torch.zeros(len(x), 1, 3)
        root[..., 0] = speed
        future = (present[:, None] + ahead * torch.ones(3))[None]
        local = torch.zeros_like(present)
        return {"future": future, "present": present, "root_velocity": root, "local_velocity": local}

    model.forward_all = forward_all
    x = np.random.default_rng(0).normal(size=(5, 1, 20, 3)).repeat(35, 1)
    x = x + 0.01 * np.random.default_rng(1).normal(size=x.shape)  # no error is zero
    seen = np.ones(x.shape[:3], bool)
    windows = Windows(x[:, :10], seen[:, :10], x[:, 10:], seen[:, 10:])
    return still_shrink.Case(model, SimpleNamespace(action=action), windows)


def test_a_model_that_overshoots_is_taken_back_and_one_that_is_right_is_not():
    (share, _, _), gain = still_shrink.fit([case(0.3, 0.0)])
    assert share > 0.9 and gain > 20
    (share, _, _), gain = still_shrink.fit([case(0.0, 0.0)])
    assert share == 0.0 and gain == 0.0


def test_who_moves_is_left_alone():
    still = case(0.3, 0.0)
    mover = case(0.3, 1.5)
    mover.truth = mover.out["future"][-1][:, mover.steps] + 0.01  # and the model is right
    (share, speed, _), _ = still_shrink.fit([still, mover])
    assert share > 0.9 and speed < 1.0


def test_a_model_that_saw_all_classes_tells_nothing(monkeypatch):
    monkeypatch.setattr(still_shrink, "load_model", lambda path: (None, SimpleNamespace(leave_out=[]), None))
    with pytest.raises(ValueError, match="expected a model trained with leave_out"):
        still_shrink.cases("x", [], [])
