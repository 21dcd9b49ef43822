# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Calibrated radii of people as they are published: the table, the cap, the tracker's error, adaptation, novelty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aux_motion_core.bounds.adaptation import Realised
from aux_motion_core.bounds.calibration import MOTION_CAPTURE, Calibration
from aux_motion_core.bounds.novelty import Unfamiliar
from aux_motion_core.bounds.radii import Bounds, Known, equivalent_scale, reach_cap
from aux_motion_core.config import PredictorConfig


class Radii(NamedTuple):
    """Calibrated radii of N people, metres.

    Attributes:
        offline: (N, S, J) by the table alone.
        radius: (N, S, J) as published.
        body_offline: (N, S, J), or None where no body radii are calibrated; `body` likewise.
        body: (N, S, J) as published.
        usable: (N,) bool: they are finite, and so is the scale that they come from.
        odd: (N,) bool: the input is out of the table's distribution.
        bare: (N, S, J) of the model's own mean, by the table alone and without a cap.
        shipped: marginal and body radii around the model's own mean as they would be published, where asked for.
    """

    offline: np.ndarray
    radius: np.ndarray
    body_offline: np.ndarray | None
    body: np.ndarray | None
    usable: np.ndarray
    odd: np.ndarray
    bare: np.ndarray
    shipped: tuple[np.ndarray, np.ndarray | None] | None = None

    def to_judge(self, calibrated: np.ndarray, rows: list[int]) -> tuple[np.ndarray | None, ...]:
        """Radii of some people for `Adaptation.predicted`, NaN for those who carry none.

        Args:
            calibrated: (N,) bool: who carries them.
            rows: of the people.
        """
        none = ~calibrated[rows]
        out = []
        for values in (self.offline, self.radius, self.body_offline, self.body):
            part = None if values is None else values[rows]
            if part is not None and none.any():
                part[none] = np.nan
            out.append(part)
        return tuple(out)


class CalibratedRadii:
    """Radii of one backend at the coverage level that is asked for.

    Args:
        table: of the backend's artefact; None: it has none.
        backend: its name, for `reason`.
        level: nominal coverage.
        body_horizon_s: body radii hold together up to this time.
        dt_s: grid spacing.
        steps: of a prediction.

    Attributes:
        bounds: the table at that level, or None.
        reason: why there are none, in one line with the remedy; empty where there are.
    """

    def __init__(
        self, table: Calibration | None, backend: str, level: float, body_horizon_s: float, dt_s: float, steps: int
    ) -> None:
        self.bounds: Bounds | None = None
        self._unfamiliar: Unfamiliar | None = None
        self._steps_s = dt_s * np.arange(1, steps + 1)
        if table is None:
            self.reason = (
                f"{backend} has no calibration table: people carry the reach set; run python -m training.calibrate"
            )
            return
        bounds = Bounds(table, level, round(body_horizon_s / dt_s))
        self.reason = bounds.reason
        if bounds.calibrated:
            self.bounds = bounds
            self._unfamiliar = Unfamiliar(table.familiar, dt_s) if table.familiar else None

    def about(self, config: PredictorConfig, real: Realised | None) -> dict[str, str]:
        """What radii mean now and how often they held lately, for the diagnostics."""
        if self.bounds is None:
            basis = f"reach:{config.reach_speed_mps:.1f}mps"
            return {"radius_basis": basis, "uncalibrated_because": self.reason}
        table = self.bounds.table
        values = {
            "radius_basis": "conformal",
            "coverage_level": f"{config.coverage_level:g}",
            "calibrated_on": f"{table.domain.tracker}, {table.windows} windows, {table.clips} clips",
            "adaptation": config.adaptation,
        }
        if real is not None:

            def row(numbers: np.ndarray, digits: int = 3) -> str:
                return " ".join(f"{x:.{digits}f}" for x in numbers)

            values |= {
                "realised_coverage": row(real.joints),
                "realised_body_coverage": f"{real.body:.3f}",
                "adaptation_factor": row(real.factor, 2),
                "coverage_outcomes": row(real.outcomes, 0),
            }
        return values

    def odd(self, values: np.ndarray, mask: np.ndarray, whole: bool | None = None) -> np.ndarray:
        """(N,) bool: whose input is unlike that of the table: values (N, T, J, 3) normalised, mask (N, T, J).

        Of `whole` histories, of which nothing is missing, it is quicker to tell; None: look.
        """
        if self._unfamiliar is None:
            return np.zeros(len(values), bool)
        return self._unfamiliar(values, mask, whole) > 1.0

    def of(
        self,
        what: Known,
        odd: np.ndarray,
        mean: np.ndarray,
        scale: np.ndarray | None,
        moved: np.ndarray | None,
        factors: tuple[np.ndarray, np.ndarray] | None,
        tracker_error_m: float,
        widened: np.ndarray | None = None,
        alone: np.ndarray | None = None,
    ) -> Radii | None:
        """Radii around `mean`, whichever of these people can have them; None: nobody can.

        Args:
            what: known of N people, in the fixed frame.
            odd: of `odd`.
            mean: (N, S, J, 3) metres as published, fixed frame.
            scale: (N, S, J, 3) metres of the model, or None.
            moved: (N, S, J) metres between the model's own mean, which the table is of, and `mean`, or None.
            factors: (N, S, J) and (N,) of `Adaptation.factors`, or None.
            tracker_error_m: added where the table is of motion capture.
            widened: (N, S, J) metres by which marginal radii widen in place of `moved`; None: by `moved`.
            alone: (N, S, J, 3) metres, the model's own mean, where its radii are wanted too.
        """
        bounds = self.bounds
        if bounds is None or (scale is None and bounds.table.score != "error_m"):
            return None
        bare, body = bounds.radii(what, None if scale is None else equivalent_scale(scale))
        if bounds.table.domain.tracker == MOTION_CAPTURE:
            bare += tracker_error_m
            if body is not None:
                body += tracker_error_m
        shipped = None
        if alone is not None:
            _, radius, _, body_radius = self._around(alone, what, bare, body, factors)
            shipped = radius, body_radius
        wide, wide_body = bare, body
        if moved is not None:
            wide, wide_body = bare + (moved if widened is None else widened), None if body is None else body + moved
        offline, radius, body_offline, body = self._around(mean, what, wide, wide_body, factors)
        return Radii(offline, radius, body_offline, body, _usable(radius, body, scale), odd, bare, shipped)

    def _around(
        self,
        mean: np.ndarray,
        what: Known,
        joints: np.ndarray,
        body: np.ndarray | None,
        factors: tuple[np.ndarray, np.ndarray] | None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Radii of joints and bodies around a mean, by the table alone and as published; arguments as of `of`."""
        assert self.bounds is not None
        cap = reach_cap(mean, what, self._steps_s, self.bounds.top_mps)
        offline = np.fmin(joints, cap)  # NaN stays: both are
        body_offline = None if body is None else np.minimum(np.maximum(body, offline), cap)
        if factors is None:
            return offline, offline, body_offline, body_offline
        radius = np.minimum(offline * factors[0], cap)
        if body_offline is None:
            return offline, radius, None, None
        body = np.minimum(body_offline * factors[1][:, None, None], cap)
        # what holds all joints is no smaller than what holds each
        return offline, radius, body_offline, np.maximum(body, radius)


def _usable(radius: np.ndarray, body: np.ndarray | None, scale: np.ndarray | None) -> np.ndarray:
    """(N,) bool: radii are finite, and so is the scale that they come from, which is more than 0."""
    n = len(radius)
    # a sum is finite only where all that it is of are, and a body's radius is no smaller than the joint's
    usable: np.ndarray = np.isfinite((radius if body is None else body).reshape(n, -1).sum(1))
    if scale is not None:
        flat = scale.reshape(n, -1)
        usable &= (flat.min(1) > 0.0) & (flat.max(1) < np.inf)
    return usable
