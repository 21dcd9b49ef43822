# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A batch in shares: the same to the bit for any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from support.core_helpers import MODEL

from aux_motion_core.inference.factory import make_backend
from aux_motion_core.inference.onnx import SHARE


@pytest.mark.parametrize("people", [1, SHARE, SHARE + 1, 3 * SHARE + 5])
def test_answers_do_not_depend_on_the_number_of_threads(people):
    backend = make_backend("onnx", MODEL)
    rng = np.random.default_rng(people)
    shape = (people, backend.history_steps, 20)
    mask = rng.random(shape) < 0.9
    values = (rng.normal(0.0, 0.5, (*shape, 3)) * mask[..., None]).astype(np.float32)
    whole = backend.infer(values, mask)
    found = []
    for threads in (1, 2, 4):
        shared = make_backend("onnx", MODEL, threads, share=SHARE)
        found.append(shared.infer(values, mask))
        shared.close()
    for answer in found:
        for part, first, expected in zip(answer, found[0], whole, strict=True):
            assert (part is None) == (expected is None)
            if part is not None:
                assert np.array_equal(part, first)
                np.testing.assert_allclose(part, expected, atol=2e-5)
