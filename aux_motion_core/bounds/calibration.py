# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The table of calibrated radii of an artefact, and the quantiles that it is made of.

A radius is factor x scale: the factor is a conformal quantile of past errors over the scale that the model gave with
them (Vovk et al., "Algorithmic Learning in a Random World"; normalised scores: Lei et al., JASA 113 (2018)). It depends
on what is known when a prediction is made (Mondrian conformal prediction): how a joint was last seen, how much of the
history is missing, how fast the person moves. A cell of that partition with too little evidence uses the factors of a
coarser one.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from aux_motion_core.skeleton import JOINTS, MIRROR

#: Evidence below which a group merges into the coarser one: windows that do not overlap, and clips.
MIN_WINDOWS, MIN_CLIPS = 225, 5
#: No calibration gives less: a radius a twentieth of the model's own scale, or a tenth of a millimetre.
_LEAST_FACTOR = {"error_over_scale": 0.05, "error_m": 0.0001}
#: Slowest and fastest that the top speed of a joint may be, m/s.
_TOP_MPS = (1.0, 100.0)
#: Length of a piece of evidence: 1.0 s ahead and the newest 0.4 s of history; the next may share older history.
WINDOW_S = 1.4
#: Name of the tracker in a table that was made on laboratory recordings.
MOTION_CAPTURE = "motion capture"
#: How a joint was last seen: in the newest step, at most `RECENT_S` before, longer ago, never in the window.
AGES = ("now", "recent", "old", "never")
RECENT_S = 0.12
#: How densely the joints that are seen at all were seen, before gaps are interpolated: share of the window's
#: joint-frames that lacks an observation, less than the first edge, the second, the third (about 10 Hz), more.
SHARES = ("complete", "some", "many", "sparse")
SHARE_EDGES = (0.05, 0.3, 0.59)
#: Of a person. Still: the joints stay, a tracker's jitter apart; the others by their mean speed from step to step.
SPEEDS = ("slow", "fast", "still")
#: Left and right are one: (20,) class of each joint.
JOINT_CLASS = np.unique(np.minimum(np.arange(len(JOINTS)), MIRROR), return_inverse=True)[1]
#: Name of each class.
CLASS_NAMES = tuple(
    JOINTS[int(np.flatnonzero(JOINT_CLASS == c)[0])].removeprefix("left_").removeprefix("right_")
    for c in range(JOINT_CLASS.max() + 1)
)
#: (age, share) of a joint -> row of `CELLS`; the share tells only about joints that are seen now.
CELLS = (*((AGES[0], s) for s in SHARES), *((a, "any") for a in AGES[1:]))


class Group(BaseModel):
    """Factors for the cells that it serves.

    Attributes:
        name: of the cell, or of the coarser one that cells merged into.
        serves: cells "age/share/speed" of joints, or "share/speed" of bodies.
        windows: that do not overlap; overlapping and masked copies are not counted.
        clips: they come from.
        factor: level -> (steps, joint classes) for joints, (steps, 1) for bodies; None where the level is not
            calibrated, and null where a joint was never seen.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    name: str
    serves: list[str]
    windows: int = Field(ge=0)
    clips: int = Field(ge=0)
    factor: dict[str, list[list[float | None]] | None]


class Domain(BaseModel):
    """What the table was calibrated on; elsewhere its radii are only as good as the likeness.

    Attributes:
        tracker: "motion capture", or the name given to the user's own.
        sources: of the recordings.
        actions: motion classes.
        groups: recording groups.
        conditions: what was taken from the history.
        size: smallest and largest size of a person's bones relative to `bone_m`.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    tracker: str
    sources: list[str]
    actions: list[str]
    groups: int
    conditions: list[str]
    size: tuple[float, float]


class Familiar(BaseModel):
    """What input that is like the calibration's looks like (`aux_motion_core.bounds.novelty`).

    Attributes:
        features: names.
        centre: median of each.
        spread: of each: from the median to a high quantile.
        threshold: of the score, exceeded by `false_alarm_rate` of the calibration's windows.
        bone_m: (19,) lengths.
        bone_mean: (19, 3) of the bones' directions in the normalised frame.
        bone_precision: (19, 3, 3).
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    features: list[str]
    centre: list[float]
    spread: list[float]
    threshold: float = Field(gt=0.0, le=1000.0)
    false_alarm_rate: float = Field(gt=0.0, lt=0.5)
    bone_m: list[float]
    bone_mean: list[list[float]]
    bone_precision: list[list[list[float]]]

    @model_validator(mode="after")
    def _whole(self) -> Familiar:
        n, bones = len(self.features), len(JOINTS) - 1
        for name, values in (("centre", self.centre), ("spread", self.spread)):
            if len(values) != n or not np.isfinite(values).all():
                raise ValueError(f"familiar.{name}: expected {n} finite numbers, one a feature")
        if min(self.spread) <= 0.0:
            raise ValueError("familiar.spread: expected numbers above 0")
        for name, shape in (("bone_m", (bones,)), ("bone_mean", (bones, 3)), ("bone_precision", (bones, 3, 3))):
            try:
                found = np.array(getattr(self, name), float)
            except ValueError:  # ragged
                found = np.empty(0)
            if found.shape != shape or not np.isfinite(found).all():
                raise ValueError(f"familiar.{name}: expected {' x '.join(map(str, shape))} finite numbers")
        if not 0.0 < min(self.bone_m) <= max(self.bone_m) < 2.0:
            raise ValueError("familiar.bone_m: expected lengths above 0 and below 2 m")
        return self


class Calibration(BaseModel):
    """`calibration` of model.json.

    Attributes:
        kind: how scores were made: by models that did not see the recording (cross-conformal by recording group), or
            by the one model on recordings that it was not trained on (split).
        score: what is compared: error over the model's scale, or the error itself where it has none.
        levels: nominal coverages.
        windows: that do not overlap, of all.
        clips: of all.
        speed_edge_mps: a person's mean joint speed above which it is fast; None: one class.
        still_edge_mps: a person whose joints drift less than this is still; None: there is no such class.
        joints: marginal groups: each joint and step on its own.
        bodies: simultaneous groups: the largest, over joints and over the steps up to each, of error over the marginal
            radius of level `body_base` plus `body_floor_m`.
        body_floor: what `body_floor_m` is measured in: metres, or the median over a person's joints of the marginal
            radii at that step, so that the floor of somebody who stands is small.
        body_floor_m: (steps, joint classes) usual marginal radius: else joints whose scale is too small would rule.
        top_speed_mps: (20,) of each joint: bound of what physics allows.
        onnx_sha256: of the model that it belongs to.
    """

    model_config = ConfigDict(extra="forbid", defer_build=True)

    schema_version: Literal[1]
    kind: Literal["group_cross_conformal", "split_conformal"]
    score: Literal["error_over_scale", "error_m"]
    levels: list[float]
    steps: int = Field(ge=1)
    windows: int = Field(ge=0)
    clips: int = Field(ge=0)
    speed_edge_mps: float | None
    joint_classes: list[str]
    joints: list[Group]
    body_base: float
    bodies: list[Group]
    still_edge_mps: float | None = None
    body_floor: Literal["metres", "of_radius"] = "metres"
    body_floor_m: list[list[float]]
    top_speed_mps: list[float]
    domain: Domain
    familiar: Familiar | None
    onnx_sha256: str

    @model_validator(mode="before")
    @classmethod
    def _of_two_speeds(cls, content: Any) -> Any:
        """A table made before there was a class of still people: who is slow there is served alike."""
        if not isinstance(content, dict) or content.get("still_edge_mps") is not None:
            return content
        for name in ("joints", "bodies"):
            for group in content.get(name) or []:
                serves = group.get("serves") if isinstance(group, dict) else None
                if isinstance(serves, list) and not any(str(c).endswith("/still") for c in serves):
                    new = [f"{c.removesuffix('/slow')}/still" for c in serves if str(c).endswith("/slow")]
                    serves.extend(new)
        return content

    @model_validator(mode="after")
    def _whole(self) -> Calibration:
        if tuple(self.joint_classes) != CLASS_NAMES:
            raise ValueError(f"expected the joint classes {', '.join(CLASS_NAMES)}")
        if not self.levels or any(not 0.5 <= level < 1.0 for level in self.levels):
            raise ValueError(f"expected levels from 0.5 to below 1, got {self.levels}")
        if len(self.body_floor_m) != self.steps or any(len(r) != len(CLASS_NAMES) for r in self.body_floor_m):
            raise ValueError(f"body_floor_m: expected {self.steps} x {len(CLASS_NAMES)} metres")
        if not all(0.0 <= x < 1e6 for r in self.body_floor_m for x in r):
            raise ValueError("body_floor_m: a value is negative or not finite")
        low, high = _TOP_MPS
        if len(self.top_speed_mps) != len(JOINTS) or not all(low <= v <= high for v in self.top_speed_mps):
            raise ValueError(f"top_speed_mps: expected {len(JOINTS)} speeds from {low:g} to {high:g} m/s")
        if self.speed_edge_mps is not None and not 0.0 < self.speed_edge_mps < high:
            raise ValueError(f"speed_edge_mps: expected a speed above 0 and below {high:g} m/s")
        for groups, cells, width in (
            (self.joints, joint_cells(), len(CLASS_NAMES)),
            (self.bodies, body_cells(), 1),
        ):
            served = sorted(c for g in groups for c in g.serves)
            if served != sorted(cells):
                lacking = set(cells) ^ set(served) or {c for c in served if served.count(c) > 1}
                raise ValueError(f"cells missing, unknown or served twice: {', '.join(sorted(lacking))}")
            for group in groups:
                for level in self.levels:
                    rows = group.factor.get(key(level), [])
                    if rows is not None and (len(rows) != self.steps or any(len(r) != width for r in rows)):
                        raise ValueError(f"group {group.name}, level {level:g}: expected {self.steps} x {width}")
                    if rows is not None and any(x is not None and not 0.0 <= x < 1e6 for r in rows for x in r):
                        raise ValueError(f"group {group.name}, level {level:g}: a factor is negative or not finite")
                self._plausible(group, _LEAST_FACTOR[self.score] if groups is self.joints else 0.05)
        return self

    def _plausible(self, group: Group, least: float) -> None:
        """A higher level has no smaller factor, and none is nearly nothing.

        Raises:
            ValueError: it is not so.
        """
        before = None
        for level in sorted(self.levels):
            rows = group.factor.get(key(level))
            if rows is None:
                continue
            values = np.array([[np.nan if x is None else x for x in r] for r in rows])
            if np.nanmin(values, initial=np.inf) < least:
                raise ValueError(
                    f"group {group.name}, level {level:g}: a factor is {np.nanmin(values):g}, expected at least "
                    f"{least:g}: no calibration gives that"
                )
            if before is not None and (values < before * (1.0 - 1e-3)).any():
                raise ValueError(f"group {group.name}, level {level:g}: a factor is smaller than at a lower level")
            before = values

    def summary(self) -> dict[str, Any]:
        """What a reader wants to know of it, without the factors."""
        left_out: Any = {"joints": {"__all__": {"factor"}}, "familiar": True, "body_floor_m": True}
        content = self.model_dump(mode="json", exclude=left_out)
        content["bodies"] = [{k: v for k, v in g.items() if k != "factor"} for g in content["bodies"]]
        return content


def key(level: float) -> str:
    """A level as a key of a table."""
    return f"{level:g}"


def joint_cells() -> list[str]:
    """Names of all cells of joints."""
    return [f"{a}/{s}/{v}" for a, s in CELLS for v in SPEEDS]


def body_cells() -> list[str]:
    """Names of all cells of bodies."""
    return [f"{s}/{v}" for s in SHARES for v in SPEEDS]


def rank(n: int, level: float) -> int | None:
    """Which of n sorted scores is the conformal quantile (1-based); None where n is too small for the level."""
    k = math.ceil((n + 1) * level - 1e-9)
    return k if k <= n else None


def conformal_quantile(scores: np.ndarray, level: float, weights: np.ndarray | None = None, n: int | None = None):
    """The smallest score that at least ceil((n + 1) level) / n of the weight does not exceed.

    Args:
        scores: (m, ...) along the first axis.
        level: nominal coverage.
        weights: (m,) or the scores' shape; copies of one window share a weight of 1. None: each 1.
        n: pieces of evidence; None: as many as scores.

    Returns:
        (...) quantiles; inf where the level is out of reach of the evidence or there is no weight.
    """
    scores = np.asarray(scores, np.float64)
    n = len(scores) if n is None else n
    k = rank(n, level)
    if k is None or not len(scores):
        return np.full(scores.shape[1:], np.inf)
    if weights is None:
        return np.sort(scores, axis=0)[k - 1]
    weights = np.asarray(weights, np.float64)
    if weights.ndim < scores.ndim:
        weights = np.broadcast_to(weights.reshape(weights.shape + (1,) * (scores.ndim - weights.ndim)), scores.shape)
    order = np.argsort(scores, axis=0, kind="stable")
    ordered = np.take_along_axis(scores, order, 0)
    share = np.cumsum(np.take_along_axis(weights, order, 0), axis=0)
    total = share[-1]
    at = np.argmax(share >= total * (k / n) - 1e-9 * total, axis=0)
    found = np.take_along_axis(ordered, at[None], 0)[0]
    return np.where(total > 0.0, found, np.inf)


def as_text(content: dict[str, Any]) -> str:
    """JSON with one line for each row of numbers."""
    text = json.dumps(content, indent=1)
    number = r"(?:-?[\d.]+(?:e-?\d+)?|null)"
    return re.sub(rf"\[\s*({number}(?:,\s*{number})*)\s*\]", lambda m: "[" + re.sub(r"\s+", " ", m[1]) + "]", text)
