# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A bound calibrated on what a monitor uses: the distance from people to a place that does not depend on them.

All joints within their spheres at once is much more than a robot needs. It needs the distance from where it is to the
nearest part of anybody, until it could stand, to be no less than was said. That distance is one number, so it is
calibrated as one (split or cross-conformal): the spheres of all joints grow by one factor until they hold it. The
factors and the evidence are in `separation.json` beside a model, written by `python -m
training.fitting.calibrate_separation`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aux_motion_core.bounds.seal import SealError, opened

FILE = "separation.json"
#: No calibration gives less.
_LEAST_FACTOR, _LEAST_SCALE_M = 0.05, 0.0005


class SeparationBoundError(ValueError):
    """A table that cannot be used, in one line: expected, came, what to do."""


class SeparationBound(BaseModel):
    """The table. S steps.

    Attributes:
        kind: how the scores were made.
        windows: pieces of 1.4 s that do not overlap.
        clips: of them.
        conditions: what was missing or noisy in the histories.
        typical_scale_m: (S,) median of the model's scale: added to each joint's, so that a scale that is too small at
            one joint does not make the factor large.
        factor: level -> (S,) so that spheres of factor x (scale + typical_scale_m) at all steps up to any one hold the
            distance until then.
        onnx_sha256: of the model that it belongs to.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    schema_version: Literal[1] = 1
    kind: Literal["group_cross_conformal", "split_conformal"]
    windows: int = Field(ge=0)
    clips: int = Field(ge=0)
    conditions: tuple[str, ...]
    typical_scale_m: tuple[float, ...]
    factor: dict[str, tuple[float, ...]]
    onnx_sha256: str

    @model_validator(mode="after")
    def _whole(self) -> SeparationBound:
        steps = len(self.typical_scale_m)
        for level, row in {"typical_scale_m": self.typical_scale_m, **self.factor}.items():
            if len(row) != steps or not steps or not np.isfinite(row).all() or min(row) < 0.0:
                raise ValueError(f"{level}: expected {steps} finite numbers that are not negative")
        if min(self.typical_scale_m) < _LEAST_SCALE_M:
            raise ValueError(f"typical_scale_m: expected at least {_LEAST_SCALE_M:g} m")
        before = np.zeros(steps)
        for level in sorted(self.factor, key=float):
            values = np.array(self.factor[level])
            if values.min() < _LEAST_FACTOR or (values < before * (1.0 - 1e-3)).any():
                raise ValueError(
                    f"factor {level}: expected at least {_LEAST_FACTOR:g}, and no less than at a lower level: no "
                    "calibration gives that"
                )
            before = values
        return self

    def rows(self, level: float) -> np.ndarray:
        """(S,) factors of a level.

        Raises:
            SeparationBoundError: it was not calibrated.
        """
        row = self.factor.get(f"{level:g}")
        if row is None:
            known = ", ".join(self.factor) or "none"
            raise SeparationBoundError(
                f"separation_level {level:g} was not calibrated: the table has {known}; choose one of them, or run "
                "python -m training.fitting.calibrate_separation"
            )
        return np.array(row)

    def radius(self, size: np.ndarray, level: float) -> np.ndarray:
        """Radii of joints.

        Args:
            size: (..., S, J) metres, `bounds.equivalent_scale` of a prediction.
            level: nominal coverage.

        Returns:
            (..., S, J) metres.
        """
        return self.rows(level)[:, None] * (size + np.array(self.typical_scale_m)[:, None])


def load_separation_bound(folder: Path | str, onnx_sha256: str) -> SeparationBound:
    """The table beside a model.

    Args:
        folder: of the model.
        onnx_sha256: of the model's network, which the table must be of.

    Raises:
        SeparationBoundError: there is none, or not of this model.
    """
    path = Path(folder) / FILE
    remedy = f"run python -m training.fitting.calibrate_separation --model {folder}, or choose another occupancy_bound"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise SealError(f"{path} is no JSON object")
        table = SeparationBound.model_validate(opened(content, path))
    except OSError as error:
        raise SeparationBoundError(f"no table of separation bounds {path} ({error.strerror}): {remedy}") from None
    except json.JSONDecodeError as error:
        raise SeparationBoundError(
            f"{path} is no file of separation bounds: Invalid JSON ({error}): {remedy}"
        ) from None
    except SealError as error:
        raise SeparationBoundError(f"{error}; {remedy}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise SeparationBoundError(f"{path}: {where + ': ' if where else ''}{what}; {remedy}") from None
    if table.onnx_sha256 != onnx_sha256:
        raise SeparationBoundError(
            f"{path} is of another model ({table.onnx_sha256[:12]}..., this one is {onnx_sha256[:12]}...): {remedy}"
        )
    return table
