# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Short cuts for small arrays, of which a frame has hundreds: there a call costs more than its arithmetic."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T", bound="DataclassInstance")
_ONES = {np.dtype(kind): np.ones(3, kind) for kind in (np.float32, np.float64)}


def every(mask: np.ndarray) -> bool:
    """Whether all of a bool array is True, in a third of the time of `all`; of other types whether nothing is 0."""
    return bool(np.count_nonzero(mask) == mask.size)


def some(mask: np.ndarray) -> bool:
    """Whether any of a bool array is True, in a third of the time of `any`; of other types whether any is not 0."""
    return bool(np.count_nonzero(mask))


def square_lengths(vectors: np.ndarray) -> np.ndarray:
    """(N, ...) squared lengths of vectors (N, ..., 3), float32 or float64: a product, in half of `einsum`'s time."""
    square = np.square(vectors)
    shape = square.shape[:-1]
    out: np.ndarray = square.reshape(shape[0], math.prod(shape[1:]), 3) @ _ONES[square.dtype]
    return out.reshape(shape)


def lengths(vectors: np.ndarray) -> np.ndarray:
    """(N, ...) lengths of vectors (N, ..., 3), float32 or float64."""
    out = square_lengths(vectors)
    return np.sqrt(out, out=out)


def rows_of(of: _T, rows: slice) -> _T:
    """A dataclass whose arrays, and those of dataclasses in it, have one row an item: the same of these rows."""

    def part(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value[rows]
        return rows_of(value, rows) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value

    return dataclasses.replace(of, **{f.name: part(getattr(of, f.name)) for f in dataclasses.fields(of)})
