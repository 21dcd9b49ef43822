# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Quantiles, and the table's own checks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError
from support.bounds_helpers import table  # noqa: E402

from aux_motion_core.bounds.calibration import (
    CLASS_NAMES,
    JOINT_CLASS,
    Calibration,
    as_text,
    conformal_quantile,
    joint_cells,
    rank,
)
from aux_motion_core.skeleton import JOINTS


@pytest.mark.parametrize(
    ("n", "level", "expected"), [(19, 0.95, 19), (18, 0.95, None), (99, 0.99, 99), (98, 0.99, None)]
)
def test_a_level_is_out_of_reach_of_too_few_windows(n, level, expected):
    assert rank(n, level) == expected
    quantile = conformal_quantile(np.arange(float(n)), level)
    assert quantile == (np.inf if expected is None else expected - 1)


def test_copies_that_share_a_weight_are_no_evidence():
    scores = np.random.default_rng(0).exponential(size=40)
    copied = np.repeat(scores, 5)
    once = conformal_quantile(scores, 0.95)
    assert conformal_quantile(copied, 0.95, np.full(200, 0.2), 40) == once
    assert conformal_quantile(copied, 0.99, np.full(200, 0.2), 40) == np.inf  # 40 windows do not reach it
    assert conformal_quantile(copied, 0.99) < np.inf  # 200 scores would


def test_the_nominal_share_of_new_scores_is_covered():
    rng = np.random.default_rng(1)
    hits = [rng.exponential() <= conformal_quantile(rng.exponential(size=60), 0.9) for _ in range(3000)]
    assert np.mean(hits) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_quantiles_are_those_of_mapie(level):
    pytest.importorskip("mapie", reason="pip install 'aux_motion[test]'")
    from mapie.conformity_scores import ResidualNormalisedScore
    from mapie.regression import SplitConformalRegressor
    from sklearn.base import BaseEstimator, RegressorMixin

    class Column(RegressorMixin, BaseEstimator):
        """Gives back a column of its input."""

        def __init__(self, column: int = 0) -> None:
            self.column = column

        def fit(self, x, y=None):
            self.fitted_ = True
            return self

        def predict(self, x):
            return x[:, self.column]

    rng = np.random.default_rng(2)
    n = 337
    mean, scale = rng.normal(size=n), rng.uniform(0.2, 2.0, n)
    y = mean + scale * rng.standard_t(4, n)
    x = np.stack([mean, scale], 1)
    score = ResidualNormalisedScore(Column(1).fit(x), prefit=True, sym=True)
    other = SplitConformalRegressor(Column(0).fit(x), level, conformity_score=score, prefit=True).conformalize(x, y)
    _, interval = other.predict_interval(x[:5])
    radius = (interval[:, 1, 0] - interval[:, 0, 0]) / 2
    ours = conformal_quantile(np.abs(y - mean) / scale, level) * scale[:5]
    np.testing.assert_allclose(ours, radius, rtol=1e-6)


def test_left_and_right_are_one_class():
    assert JOINT_CLASS[JOINTS.index("left_wrist")] == JOINT_CLASS[JOINTS.index("right_wrist")]
    assert CLASS_NAMES[JOINT_CLASS[JOINTS.index("right_foot")]] == "foot"
    assert len(CLASS_NAMES) == 12


def test_a_table_survives_its_file():
    content = table().model_dump(mode="json")
    text = as_text(content)
    assert Calibration.model_validate(json.loads(text)) == table()
    assert max(map(len, text.splitlines())) > 60 and "[0.1, 0.1" in text  # a row of numbers is one line


def broken(change) -> str:
    content = table().model_dump(mode="json")
    change(content)
    with pytest.raises(ValidationError) as error:
        Calibration.model_validate(content)
    return error.value.errors()[0]["msg"]


def test_tables_that_do_not_hold_together_are_refused():
    assert "served twice: now/some/slow" in broken(lambda c: c["joints"][0]["serves"].remove("now/some/slow"))
    assert "served twice" in broken(lambda c: c["joints"][0]["serves"].append(joint_cells()[0]))
    assert "expected 25 x 12" in broken(lambda c: c["joints"][0]["factor"]["0.9"].pop())
    assert "not finite" in broken(lambda c: c["joints"][0]["factor"]["0.9"][3].__setitem__(2, -1.0))
    assert "expected 25 x 1" in broken(lambda c: c["bodies"][0]["factor"].pop("0.95"))
    assert "body_floor_m: expected 25 x 12" in broken(lambda c: c["body_floor_m"].pop())
    assert "joint classes" in broken(lambda c: c.update(joint_classes=["pelvis"]))
    assert "levels" in broken(lambda c: c.update(levels=[1.0]))
    assert "Input should be 1" in broken(lambda c: c.update(schema_version=2))
