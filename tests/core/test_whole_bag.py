# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A whole bag is predicted as it always was."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import bag_reference


@pytest.fixture(scope="module")
def now() -> dict[str, np.ndarray]:
    return bag_reference.predictions()


@pytest.mark.parametrize("name", bag_reference.CONFIGS)
def test_every_prediction_of_the_sample_is_the_same_within_rounding(now, name):
    with np.load(bag_reference.FILE) as before:
        parts = [k for k in before.files if k.startswith(f"{name}/")]
        assert set(parts) == {k for k in now if k.startswith(f"{name}/")}
        for part in parts:
            assert now[part].shape == before[part].shape, part
            np.testing.assert_allclose(now[part], before[part], rtol=1e-6, atol=1e-6, err_msg=part)


def test_the_reference_has_all_that_a_prediction_can_be(now):
    numbers = np.concatenate([now[f"{name}/numbers"] for name in bag_reference.CONFIGS])
    states, reasons = numbers[:, 1].astype(int), np.bitwise_or.reduce(numbers[:, 2].astype(int))
    assert {0, 1, 3} <= set(states) and reasons & 1024 and reasons & 2048 and (numbers[:, 7] > 0.0).any()
