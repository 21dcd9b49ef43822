# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How the predictor treats its input; the ROS node adds its own parameters to these."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


@lru_cache(maxsize=8)
def region(text: str) -> tuple[tuple[float, float], ...]:
    """Corners of a region on the floor, metres; none for an empty text.

    Args:
        text: two opposite corners of a box, "x y x y", or at least three of a polygon; commas may stand between.

    Raises:
        ValueError: it is neither.
    """
    words = text.replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        raise ValueError(f"expected numbers 'x y x y ...', came {text!r}") from None
    if not numbers:
        return ()
    if len(numbers) < 4 or len(numbers) % 2 or not all(map(math.isfinite, numbers)):
        raise ValueError(f"expected 'x y x y' of a box, or three corners or more of a polygon, came {text!r}")
    corners = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    if len(corners) == 2:
        (x0, y0), (x1, y1) = corners
        corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, corners[1:] + corners[:1], strict=True)) / 2
    if abs(area) < 1e-6:
        raise ValueError(f"the region has no area: {text!r}")
    return corners


class PredictorConfig(BaseModel):
    """Parameters of the path from frames to predictions. History and horizon come from the model."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    max_gap_s: float = Field(
        0.25,  # the slowest trackers come at 5 Hz
        ge=0.0,
        le=1.0,
        description="Two samples of a joint farther apart leave the time between missing.",
    )
    min_history_s: float = Field(
        0.2,
        ge=0.04,
        le=1.0,
        description="Observed span before a person is predicted, at most the model's window; before: bound only.",
    )
    stale_after_s: float = Field(0.3, ge=0.02, le=10.0, description="Age of the last observation that is STALE.")
    lost_after_s: float = Field(1.0, ge=0.05, le=60.0, description="Age of the last observation that is ABSENT.")
    absent_hold_s: float = Field(
        10.0, ge=0.0, le=3600.0, description="How long an ABSENT person is repeated, the bound growing."
    )
    min_joints: int = Field(4, ge=1, le=20, description="Fewer joints in the newest step are DEGRADED.")
    reset_jump_s: float = Field(
        1.0, ge=0.05, le=60.0, description="A stamp going back by more starts a track anew (a looped bag)."
    )
    max_people: int = Field(64, ge=1, le=256, description="People followed at once; more are counted and left out.")
    confirm_frames: int = Field(
        3,
        ge=1,
        le=30,
        description="A newcomer is believed after this many frames with a possible body; before, and for no longer "
        "than stale_after_s, the view is not complete. 1: at once.",
    )
    region_of_interest: str = Field(
        "",
        description="Who is wholly outside is left out: metres in fixed_frame, two opposite corners of a box 'x y x y' "
        "or the corners of a polygon 'x y x y x y ...'; empty: nobody is.",
    )
    assume_empty_at_start: bool = Field(
        False,
        description="Nobody was there before the first activation: the view may be complete at once, not only after "
        "lost_after_s + absent_hold_s. Later activations and steps of the clock wait all the same.",
    )
    reach_speed_mps: float = Field(
        2.0,
        ge=0.5,
        le=12.0,
        description="Growth of the uncalibrated bound (ISO 13855: 2.0 m/s for hand and arm).",
    )
    reach_observed_factor: float = Field(
        2.0,
        ge=0.0,
        le=5.0,
        description="The uncalibrated bound grows at least this many times as fast as the person's fastest joint moved "
        "lately; 0: with reach_speed_mps alone.",
    )
    max_speed_mps: float = Field(
        25.0,
        ge=1.0,
        le=50.0,
        description="Fastest motion of any joint that is believed at once; above 24.8 the limits of people rule "
        "(continuity.SPEED_LIMITS_MPS). A faster joint is masked and its bound widened.",
    )
    believe_after_frames: int = Field(
        3,
        ge=1,
        le=30,
        description="A joint that jumped is believed when seen there in this many frames in a row; 1: at once.",
    )
    relink_within_s: float = Field(
        1.0,
        ge=0.0,
        le=5.0,
        description="A body that comes back under another id within this time keeps its history; 0: never.",
    )
    mix: bool = Field(
        False,
        description="Weigh the model and the baselines per person and horizon by their recent errors.",
    )
    self_check_s: float = Field(
        10.0,
        ge=0.0,
        le=600.0,
        description="Predictions are compared with what is then seen; an error of this age counts 1/e. 0: not at all.",
    )

    coverage_level: float = Field(
        0.95,
        ge=0.5,
        le=0.999,
        description="Nominal coverage of the radii: a level of the model's table (0.9, 0.95, 0.99). Another one, and a "
        "model without a table, gives the reach set, flagged UNCALIBRATED.",
    )
    body_horizon_s: float = Field(
        1.0,
        ge=0.04,
        le=10.0,
        description="Body radii hold for all joints at all steps up to this time together, and each later step for all "
        "up to it; a planner that looks no farther may take less.",
    )
    tracker_error_m: float = Field(
        0.05,  # docs/bounds.md: what a Kinect needs
        ge=0.0,
        le=0.5,
        description="Added to radii that were calibrated on motion capture: the tracker's own error, until the model "
        "is calibrated on the tracker (training.calibrate --bags); 0 for motion capture.",
    )
    adaptation: Literal["off", "shadow", "on"] = Field(
        "on",
        description="Radii follow what the self-check sees of each person: off, shadow (counted, not applied) or on.",
        json_schema_extra={"on_off": True},
    )
    adaptation_floor: float = Field(
        1.0,
        ge=0.5,
        le=1.0,
        description="Smallest factor that adaptation may put on the calibrated radii; 1.0: it only widens.",
    )

    learning: Literal["off", "shadow", "on"] = Field(
        "shadow",
        description="A correction of the model is learnt from what this tracker shows: off, shadow (learnt and judged, "
        "not applied: the diagnostics and self_check say what it would gain) or on.",
        json_schema_extra={"on_off": True},
    )
    learning_for: Literal["predictions", "all"] = Field(
        "predictions",
        description="What a learnt correction enters: predictions (and markers alone; occupancy and the other outputs "
        "for planners stay with the shipped model) or all.",
    )

    @property
    def hold_s(self) -> float:
        """How long after the last sight somebody may still be there, unseen."""
        return self.lost_after_s + self.absent_hold_s

    @field_validator("adaptation", "learning", mode="before")
    @classmethod
    def _yaml_switch(cls, value: object) -> object:
        return {True: "on", False: "off"}[value] if isinstance(value, bool) else value

    @field_validator("region_of_interest")
    @classmethod
    def _is_a_region(cls, value: str) -> str:
        region(value)
        return value

    @model_validator(mode="after")
    def _ordered(self) -> PredictorConfig:
        if self.lost_after_s <= self.stale_after_s:
            raise ValueError(
                f"lost_after_s ({self.lost_after_s}) must be larger than stale_after_s ({self.stale_after_s})"
            )
        if self.mix and self.learning == "on":
            raise ValueError("mix and learning: on exclude each other: set mix to false, or learning to shadow")
        return self
