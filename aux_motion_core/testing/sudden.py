# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A figure that stands, or walks, and then moves suddenly: smooth, known motion with constant bone lengths.

Every motion begins at time 0, with the pelvis above the origin, and goes to +x where it goes anywhere, but for
`step_aside` (+y) and `sit_down` (-x). Before, the figure stands and sways, or walks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from aux_motion_core.skeleton import INDEX, N_JOINTS

_THIGH_M, _SHANK_M, _FOOT_M = 0.43, 0.42, 0.15
_UPPER_ARM_M, _FOREARM_M, _HAND_M = 0.30, 0.26, 0.09
_HIP_BELOW_M = 0.03
_SIDES = (("left", 1.0), ("right", -1.0))
#: Least height of the middle of these joints above the floor, metres.
_LEAST_M = {"knee": 0.06, "ankle": 0.09, "foot": 0.03}
_GRAVITY_MPS2 = 9.81
#: How far and how often who stands sways.
_SWAY_M, _SWAY_HZ = 0.004, 0.3


def ease(share: np.ndarray) -> np.ndarray:
    """0 to 1 with minimum jerk (Flash and Hogan, J. Neurosci. 5, 1985); 0 before 0 and 1 after 1."""
    u = np.clip(share, 0.0, 1.0)
    return u**3 * (10.0 - 15.0 * u + 6.0 * u * u)


def _way(speed: Callable[[np.ndarray], np.ndarray], time_s: np.ndarray) -> np.ndarray:
    """(n,) integral of a speed from 0 to each time."""
    grid = np.arange(min(time_s.min(), 0.0) - 0.004, max(time_s.max(), 0.0) + 0.004, 0.002)
    v = speed(grid)
    way = np.concatenate([[0.0], np.cumsum(0.5 * (v[1:] + v[:-1]) * 0.002)])
    return np.interp(time_s, grid, way) - np.interp(0.0, grid, way)


def figure(
    time_s: np.ndarray,
    lean: np.ndarray | float = 0.0,
    thighs: tuple[np.ndarray | float, np.ndarray | float] = (0.0, 0.0),
    knees: tuple[np.ndarray | float, np.ndarray | float] = (0.0, 0.0),
    arms: tuple[np.ndarray | float, np.ndarray | float] = (0.0, 0.0),
    elbows: tuple[np.ndarray | float, np.ndarray | float] = (0.2, 0.2),
    feet_stay: bool = False,
) -> np.ndarray:
    """Poses from angles in the body's own plane, the lowest joint on the floor.

    Args:
        time_s: (n,) for its length.
        lean: of the trunk, forward, radians; like all that follows (n,) or one number.
        thighs: left and right, from hanging down, forward.
        knees: how far they are bent.
        arms: upper arms, from hanging down, forward.
        elbows: how far they are bent.
        feet_stay: shift the body so that the middle of the ankles stays above the origin.

    Returns:
        (n, 20, 3) metres, x forward, y left, z up.
    """
    x = np.zeros((len(time_s), N_JOINTS, 3))
    cos, sin = np.cos(lean), np.sin(lean)

    def trunk(name: str, forward: float, left: float, up: float) -> np.ndarray:
        here = x[:, INDEX[name]]
        here[:, 0], here[:, 1], here[:, 2] = forward * cos + up * sin, left, up * cos - forward * sin
        return here

    def hang(name: str, start: np.ndarray, angle: np.ndarray | float, length: float) -> np.ndarray:
        here = x[:, INDEX[name]]
        here[:, 0], here[:, 1] = start[:, 0] + length * np.sin(angle), start[:, 1]
        here[:, 2] = start[:, 2] - length * np.cos(angle)
        return here

    trunk("spine", 0.0, 0.0, 0.12)
    trunk("neck", 0.02, 0.0, 0.50)
    trunk("head", 0.05, 0.0, 0.66)
    for k, (side, sign) in enumerate(_SIDES):
        hip = x[:, INDEX[f"{side}_hip"]]
        hip[:] = 0.0, 0.09 * sign, -_HIP_BELOW_M
        knee = hang(f"{side}_knee", hip, thighs[k], _THIGH_M)
        shank = thighs[k] - knees[k]
        ankle = hang(f"{side}_ankle", knee, shank, _SHANK_M)
        hang(f"{side}_foot", ankle, shank + 1.2, _FOOT_M)
        shoulder = trunk(f"{side}_shoulder", 0.0, 0.18 * sign, 0.46)
        elbow = hang(f"{side}_elbow", shoulder, arms[k], _UPPER_ARM_M)
        wrist = hang(f"{side}_wrist", elbow, arms[k] + elbows[k], _FOREARM_M)
        hang(f"{side}_hand", wrist, arms[k] + elbows[k], _HAND_M)
    lowest = np.min([x[:, INDEX[f"{s}_{j}"], 2] - least for s, _ in _SIDES for j, least in _LEAST_M.items()], axis=0)
    x[..., 2] -= lowest[:, None]
    if feet_stay:
        x[..., 0] -= x[:, [INDEX["left_ankle"], INDEX["right_ankle"]], 0].mean(1)[:, None]
    return x


def _swaying(x: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    sway = _SWAY_M * np.sin(2.0 * np.pi * _SWAY_HZ * time_s)
    x[..., 0] += sway[:, None]
    x[..., 1] += 0.5 * sway[:, None]
    return x


def _gait(time_s: np.ndarray, rate_hz: float, swing: np.ndarray | float) -> np.ndarray:
    """Legs and arms that swing by an angle in radians, in place."""
    phase = 2.0 * np.pi * rate_hz * time_s
    left = np.sin(phase)
    bent = [swing * 0.6 * (1.0 + sign * np.cos(phase)) for sign in (1.0, -1.0)]
    legs, arms = (swing * left, -swing * left), (-0.8 * swing * left, 0.8 * swing * left)
    return figure(time_s, 0.0, legs, (bent[0], bent[1]), arms, (0.4, 0.4))


def stand(time_s: np.ndarray) -> np.ndarray:
    """Stands and sways: nothing begins."""
    return _swaying(figure(time_s), time_s)


def walk(time_s: np.ndarray, speed_mps: float = 1.3, rate_hz: float = 0.9, swing_rad: float = 0.42) -> np.ndarray:
    """Walks on: nothing begins."""
    x = _gait(time_s, rate_hz, swing_rad)
    x[..., 0] += (speed_mps * time_s)[:, None]
    return x


def run_start(
    time_s: np.ndarray,
    acceleration_mps2: float = 4.0,
    speed_mps: float = 5.0,
    rise_s: float = 0.1,
    rate_hz: float = 1.6,
    swing_rad: float = 0.75,
) -> np.ndarray:
    """Starts to run; the acceleration is there after `rise_s`."""
    u = np.maximum(time_s, 0.0)
    gained = lambda t: _way(lambda s: acceleration_mps2 * ease(s / rise_s), t)  # noqa: E731
    x = _gait(u, rate_hz, swing_rad * ease(u / 0.4))
    x[..., 0] += _way(lambda s: np.minimum(gained(s), speed_mps), time_s)[:, None]
    return _swaying(x, time_s)


def slip(time_s: np.ndarray, slide_mps2: float = 8.0, back_rad: float = 0.6, back_s: float = 0.4) -> np.ndarray:
    """The feet slide forward with that acceleration, the trunk falls back; no faster than in free fall."""
    u = np.maximum(time_s, 0.0)
    leg = _THIGH_M + _SHANK_M
    angle = np.arcsin(np.minimum(0.5 * slide_mps2 * u * u / leg, 0.95))
    x = _swaying(figure(time_s, -back_rad * ease(u / back_s), (angle, angle)), time_s)
    pelvis = INDEX["pelvis"]
    fell = stand(np.zeros(1))[0, pelvis, 2] - x[:, pelvis, 2]
    x[..., 2] += np.maximum(fell - 0.5 * _GRAVITY_MPS2 * u * u, 0.0)[:, None]
    return x


def step_aside(time_s: np.ndarray, way_m: float = 1.0, takes_s: float = 0.6) -> np.ndarray:
    """A wide step to the left."""
    share = time_s / takes_s
    x = _gait(np.clip(time_s, 0.0, takes_s), 0.5 / takes_s, 0.25 * np.sin(np.pi * ease(share)))
    x[..., 1] += (way_m * ease(share))[:, None]
    return _swaying(x, time_s)


def turn_back(
    time_s: np.ndarray,
    speed_mps: float = 1.3,
    takes_s: float = 0.5,
    rate_hz: float = 0.9,
    swing_rad: float = 0.42,
) -> np.ndarray:
    """Walks to -x, turns round on the spot and walks to +x."""
    turn = lambda t: np.pi * (1.0 - ease(t / takes_s))  # noqa: E731
    local = _gait(time_s, rate_hz, swing_rad)
    cos, sin = np.cos(turn(time_s))[:, None], np.sin(turn(time_s))[:, None]
    x = np.stack(
        [cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1], local[..., 2]], -1
    )
    x[..., 0] += _way(lambda t: speed_mps * np.cos(turn(t)), time_s)[:, None]
    x[..., 1] += _way(lambda t: speed_mps * np.sin(turn(t)), time_s)[:, None]
    return x


def jump(
    time_s: np.ndarray,
    crouch_rad: float = 0.8,
    crouch_s: float = 0.25,
    push_s: float = 0.15,
    takeoff_mps: float = 2.8,
    arms_rad: float = 2.6,
) -> np.ndarray:
    """Crouches, pushes off and flies upwards, the arms thrown up."""
    bend = crouch_rad * (ease(time_s / crouch_s) - ease((time_s - crouch_s) / push_s))
    arm = arms_rad * ease((time_s - crouch_s + 0.1) / 0.35)
    x = figure(time_s, 0.5 * bend, (bend, bend), (2.0 * bend, 2.0 * bend), (arm, arm), feet_stay=True)
    flight = np.maximum(time_s - crouch_s - push_s, 0.0)
    x[..., 2] += np.maximum(takeoff_mps * flight - 0.5 * _GRAVITY_MPS2 * flight**2, 0.0)[:, None]
    return _swaying(x, time_s)


def sit_down(time_s: np.ndarray, bend_rad: float = 1.5, takes_s: float = 0.9, lean_rad: float = 0.6) -> np.ndarray:
    """Sits down backwards; the trunk leans forward on the way."""
    share = ease(time_s / takes_s)
    bend = bend_rad * share
    x = figure(time_s, lean_rad * np.sin(np.pi * share), (bend, bend), (bend, bend), feet_stay=True)
    return _swaying(x, time_s)


def kneel(time_s: np.ndarray, bend_rad: float = 1.5, takes_s: float = 0.6) -> np.ndarray:
    """Goes down on the right knee, the left foot in front."""
    bend = bend_rad * ease(time_s / takes_s)
    return _swaying(figure(time_s, 0.15 * bend, (bend, 0.0 * bend), (bend, bend)), time_s)


def kick(time_s: np.ndarray, swing_rad: float = 1.4, takes_s: float = 0.4) -> np.ndarray:
    """Kicks with the right leg."""
    swing = swing_rad * ease(time_s / takes_s)
    return _swaying(figure(time_s, -0.1 * swing, (0.0, swing), arms=(0.3 * swing, -0.3 * swing)), time_s)


def reach(time_s: np.ndarray, arm_rad: float = 1.5, lean_rad: float = 0.5, takes_s: float = 0.4) -> np.ndarray:
    """Reaches forward with the right arm, the trunk leaning."""
    share = ease(time_s / takes_s)
    straight = 0.2 * (1.0 - share)
    x = figure(time_s, lean_rad * share, arms=(0.0, arm_rad * share), elbows=(0.2, straight))
    return _swaying(x, time_s)


Motion = Callable[[np.ndarray], np.ndarray]
#: (n,) seconds -> (n, 20, 3) metres. Something begins at 0.
SUDDEN: dict[str, Motion] = {
    "run_start": run_start,
    "slip": slip,
    "step_aside": step_aside,
    "turn_back": turn_back,
    "jump": jump,
    "sit_down": sit_down,
    "kneel": kneel,
    "kick": kick,
    "reach": reach,
}
#: Nothing begins: what the others are compared with.
STEADY: dict[str, Motion] = {"stand": stand, "walk": walk}
#: Who walks before; in the others of `SUDDEN` the figure stands.
WALKS_BEFORE = ("turn_back",)
#: Radians about z that turn the way of each motion to -x; those not named: half a turn.
TOWARDS_MINUS_X = {"step_aside": np.pi / 2.0, "sit_down": 0.0}
