# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The learning curve: means, intervals and coverage of blocks."""

from __future__ import annotations

import numpy as np
import pytest
from support.learning_helpers import frame, make, waving

from aux_motion_core.evaluation.learning import Curve, table
from aux_motion_core.evaluation.run import evaluate
from aux_motion_core.wire.messages import self_check_fields, self_check_from_message


@pytest.fixture(scope="module")
def judged():
    predictor = make()
    curve = Curve(("learnt", "damped_pose"), np.array([0.2, 0.4, 0.6, 0.8, 1.0]))
    frames = ((f.stamp_ns, f) for f in (frame(k / 25.0, {"a": waving(k / 25.0)}) for k in range(25 * 32)))
    evaluation = evaluate(frames, predictor, outcome_listener=curve.update, compare=False)
    return predictor, curve, evaluation


def test_a_curve_sums_up_what_the_evaluation_does(judged):
    _, curve, evaluation = judged
    summary = evaluation.summary()
    whole = Curve.together([curve])
    for horizon, row in whole.items():
        for source, (mean, low, high) in row.items():
            assert mean == pytest.approx(summary["mpjpe_mm"][horizon][source], rel=0.01)
            assert low <= mean <= high


def test_a_minute_tells_more_gain_than_the_one_before(judged):
    _, curve, _ = judged
    early, late = curve.split(15.0)
    errors = [Curve.together([part])["0.4"] for part in (early, late)]
    gain = [1.0 - e["learnt"][0] / e["damped_pose"][0] for e in errors]
    assert gain[1] > gain[0] > 0.0
    summary = curve.summary()
    assert len(summary["minutes"]) == 1 and summary["worst_minute_percent"] < 0.0
    assert "learnt 0.4 s" in table(summary)


def test_the_report_of_the_self_check_survives_the_wire(judged):
    predictor, _, _ = judged
    report = predictor.fit(0)
    fields = self_check_fields(report)

    class Message:
        def __init__(self, values):
            for name, value in values.items():
                setattr(self, name, Message(value) if isinstance(value, dict) else value)

    again = self_check_from_message(Message(fields)).learning
    assert again.mode == "on" and again.learnt_s == pytest.approx(report.learning.learnt_s)
    np.testing.assert_allclose(again.gain(), report.learning.gain(), atol=1e-4)
    fields["learning"] = ""
    assert self_check_from_message(Message(fields)).learning is None
