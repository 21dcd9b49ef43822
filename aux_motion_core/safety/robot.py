# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The robot as a speed and separation monitor sees it: capsules, and how it stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


class RobotError(ValueError):
    """A robot description that cannot be used, in one line: expected, came, what to do."""


class Link(BaseModel):
    """A capsule about a part of the robot."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    ends_m: tuple[tuple[float, float, float], tuple[float, float, float]]  # in `frame`
    radius_m: float = Field(gt=0.0, le=5.0)
    frame: str = ""  # TF frame that carries the capsule; empty: it stands still in the fixed frame


class Stop(BaseModel):
    """Measured stop from a share of the full speed (ISO 10218-1, annex B: at 33, 66 and 100 %)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    speed_fraction: float = Field(gt=0.0, le=1.0)
    time_s: float = Field(ge=0.0, le=30.0)
    distance_m: float = Field(ge=0.0, le=30.0)


class Robot(BaseModel):
    """Capsules and stopping data of a robot.

    Attributes:
        max_speed_mps: fastest motion of any point of it at full speed.
        reaction_time_s: T_r, from a measurement of the person to the start of braking, all delays of sensing,
            computing, transport and control in it (not the age of the observation, which is added).
        stopping: stops at one or more speeds, the full one among them, worst load, reach and temperature.
        position_error_m: Z_r, how well its position is known.
        fixed_frame: of the links without a frame; empty: that of the first people.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "robot"
    max_speed_mps: float = Field(gt=0.0, le=20.0)
    reaction_time_s: float = Field(ge=0.0, le=5.0)
    stopping: tuple[Stop, ...] = Field(min_length=1)
    position_error_m: float = Field(0.0, ge=0.0, le=1.0)
    fixed_frame: str = ""
    links: tuple[Link, ...]

    @model_validator(mode="after")
    def _usable(self) -> Robot:
        if not self.links:
            raise ValueError("links is empty: expected at least one capsule (name, ends_m, radius_m)")
        names = [link.name for link in self.links]
        if len(set(names)) < len(names):
            raise ValueError(f"links repeat a name: {', '.join(sorted(n for n in set(names) if names.count(n) > 1))}")
        ends = np.array([link.ends_m for link in self.links])
        if not np.isfinite(ends).all():
            raise ValueError("ends_m of a link holds a number that is not finite")
        shares = [s.speed_fraction for s in self.stopping]
        if shares != sorted(set(shares)) or shares[-1] != 1.0:
            raise ValueError(f"stopping has speed_fraction {shares}: expected rising values that end with 1.0")
        for earlier, later in zip(self.stopping, self.stopping[1:]):
            if later.time_s < earlier.time_s or later.distance_m < earlier.distance_m:
                raise ValueError("stopping: a higher speed cannot stop in less time or distance")
        for stop in self.stopping:
            least_s = stop.distance_m / (stop.speed_fraction * self.max_speed_mps)
            if stop.time_s < least_s - 1e-9:
                raise ValueError(
                    f"stopping: {stop.distance_m:g} m from {stop.speed_fraction * self.max_speed_mps:g} m/s take "
                    f"{least_s:.3g} s at least, came time_s {stop.time_s:g}; check time_s, distance_m and max_speed_mps"
                )
        return self

    @property
    def link_names(self) -> tuple[str, ...]:
        """L names."""
        return tuple(link.name for link in self.links)

    @property
    def frames(self) -> tuple[str, ...]:
        """Frames that TF must give; none for a robot that stands still."""
        return tuple(dict.fromkeys(link.frame for link in self.links if link.frame))

    def capsules(self, poses: dict[str, tuple[np.ndarray, np.ndarray]] | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Capsules in the fixed frame.

        Args:
            poses: rotation (3, 3) and translation (3,) of each of `frames` in the fixed frame.

        Returns:
            Ends (L, 2, 3) and radii (L,), metres.
        """
        ends = np.array([link.ends_m for link in self.links], float)
        for i, link in enumerate(self.links):
            if link.frame:
                rotation, translation = (poses or {})[link.frame]
                ends[i] = ends[i] @ np.asarray(rotation).T + translation
        return ends, np.array([link.radius_m for link in self.links])

    def stop(self, fraction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Time and distance of a stop from a share of the full speed.

        Between the given speeds linear, which is never less than a constant deceleration needs; below the lowest one
        by constant deceleration: time with the speed, distance with its square.

        Args:
            fraction: (N,) 0 to 1.

        Returns:
            (N,) seconds and (N,) metres.
        """
        share = np.array([s.speed_fraction for s in self.stopping])
        time = np.array([s.time_s for s in self.stopping])
        distance = np.array([s.distance_m for s in self.stopping])
        below = np.minimum(np.asarray(fraction, float) / share[0], 1.0)
        low = fraction < share[0]
        return (
            np.where(low, time[0] * below, np.interp(fraction, share, time)),
            np.where(low, distance[0] * below**2, np.interp(fraction, share, distance)),
        )


def load_robot(path: Path | str) -> Robot:
    """A robot from a YAML file.

    Raises:
        RobotError: one line on what is wrong with it.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RobotError(f"cannot read robot description {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RobotError(f"robot description {path} is no YAML: {' '.join(str(error).split())}") from None
    if not content:
        raise RobotError(f"robot description {path} is empty: expected links, max_speed_mps, reaction_time_s, stopping")
    if not isinstance(content, dict):
        raise RobotError(f"robot description {path}: expected names and values, came a {type(content).__name__}")
    try:
        return Robot(**content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        what = first["msg"].removeprefix("Value error, ")
        raise RobotError(f"robot description {path}: {where + ': ' if where else ''}{what}") from None
    except TypeError as error:  # names that are not text
        raise RobotError(f"robot description {path}: {error}") from None
