# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A backend on the CPU that answers many people in shares, which threads take."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import ceil
from typing import Any

import numpy as np

from aux_motion_core.inference.interface import Answer, Backend

#: People in a share: more are no faster each.
SHARE = 12


class InShares:
    """As the backend, whose `infer` may be called by several threads at once.

    Matrix products round differently with their size. So shares depend on the number of people alone: the answer is the
    same to the bit for any number of threads.

    Args:
        backend: answers each share; everything else is asked of it.
        threads: how many, this one among them.
    """

    def __init__(self, backend: Backend, threads: int = 1) -> None:
        self._backend = backend
        self._pool = ThreadPoolExecutor(threads - 1, "shares") if threads > 1 else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def infer(self, values: np.ndarray, mask: np.ndarray) -> Answer:
        """See `Backend.infer`."""
        n = ceil(len(values) / SHARE)
        if n < 2:
            return self._backend.infer(values, mask)
        first, *rest = zip(np.array_split(values, n), np.array_split(mask, n), strict=True)
        if self._pool is None:
            answers = [self._backend.infer(*share) for share in (first, *rest)]
        else:
            waiting = [self._pool.submit(self._backend.infer, *share) for share in rest]
            answers = [self._backend.infer(*first), *(w.result() for w in waiting)]
        future, recovered, scale = zip(*answers, strict=True)
        whole = None if scale[0] is None else np.concatenate(scale)
        return np.concatenate(future), np.concatenate(recovered), whole

    def close(self) -> None:
        """See `Backend.close`."""
        if self._pool is not None:
            self._pool.shutdown()
        self._backend.close()
