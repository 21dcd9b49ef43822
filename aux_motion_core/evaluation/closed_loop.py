# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Closed loop: a robot arm that a separation monitor slows down beside recorded people.

People do not react to the robot, so every monitor meets the same motion. What a monitor knows comes from frames with
noise and delay through the predictor; whether it was right is judged with the recorded motion itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.predictor import Predictor
from aux_motion_core.safety.anthropometry import SEGMENT_JOINTS, BodyShape
from aux_motion_core.safety.capsules import nearest
from aux_motion_core.safety.occupancy import Occupancy, OccupancyBuilder
from aux_motion_core.safety.robot import Link, Robot, Stop
from aux_motion_core.safety.separation import Monitor, SeparationConfig
from aux_motion_core.skeleton import INDEX, N_JOINTS, JointStatus, derive_joints
from aux_motion_core.types import MotionPrediction, PredictionBatch, SkeletonFrame, TrackState
from aux_motion_core.validity import InputEvidence, judge

#: The first stamp, so that no time is near 0.
START_NS = 1_000 * NS
FRAME = "cell"


@dataclass(frozen=True)
class LoopSetting:
    """What is the same for all monitors.

    Attributes:
        tracker_hz: rate of the frames.
        noise_m: one sigma of a joint's position, per axis.
        latency_s: from capture to the monitor's input.
        decide_hz: rate of decisions.
        actuation_s: from a decision to the start of a change of speed. The reaction time that the monitors count on
            is this and one period of decisions.
        judge_hz: rate at which the truth is looked at.
    """

    tracker_hz: float = 30.0
    noise_m: float = 0.005
    latency_s: float = 0.04
    decide_hz: float = 25.0
    actuation_s: float = 0.06
    judge_hz: float = 50.0


class Arm:
    """A three-axis arm of 0.85 m that swings between two places at table height.

    Full speed is 1 m/s at its tip. Its stop is a constant deceleration.
    """

    base_m, upper_m, fore_m, tool_m = 0.40, 0.45, 0.40, 0.12
    swing_rad = np.deg2rad(120.0)
    stopping_time_s = 0.35

    def __init__(self, setting: LoopSetting) -> None:
        reach = self.upper_m * np.cos(0.5) + self.fore_m * np.cos(0.4)
        #: Nominal time of one way; the peak of a minimum-jerk motion is 1.875 times its mean.
        self.leg_s = 1.875 * self.swing_rad * reach
        links = [Link(name=n, ends_m=((0, 0, 0), (0, 0, 1)), radius_m=r) for n, r in self._thickness().items()]
        self.robot = Robot(
            name="replay_arm",
            max_speed_mps=1.0,
            reaction_time_s=setting.actuation_s + 1.0 / setting.decide_hz,
            stopping=(Stop(speed_fraction=1.0, time_s=self.stopping_time_s, distance_m=0.5 * self.stopping_time_s),),
            position_error_m=0.005,
            links=tuple(links),
        )
        self.radius = np.array(list(self._thickness().values()))

    @staticmethod
    def _thickness() -> dict[str, float]:
        return {"base": 0.10, "upper_arm": 0.08, "forearm": 0.07, "tool": 0.05}

    def ends(self, progress_s: np.ndarray) -> np.ndarray:
        """Capsules (..., 4, 2, 3), metres, after `progress_s` (...) of nominal motion."""
        t = np.asarray(progress_s) / self.leg_s
        leg, x = np.divmod(t, 1.0)
        blend = x**3 * (10.0 - 15.0 * x + 6.0 * x * x)
        blend = np.where(leg % 2 == 0, blend, 1.0 - blend)
        yaw = self.swing_rad * (blend - 0.5)
        lift = 0.15 * np.sin(np.pi * blend)  # over whatever lies between the places
        out = np.stack([np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)], -1)
        up = np.array([0.0, 0.0, 1.0])
        shoulder = np.broadcast_to(self.base_m * up, out.shape)
        elbow = shoulder + self.upper_m * (np.cos(0.5 + lift)[..., None] * out + np.sin(0.5 + lift)[..., None] * up)
        wrist = elbow + self.fore_m * (np.cos(0.4 - lift)[..., None] * out - np.sin(0.4 - lift)[..., None] * up)
        tool = wrist - self.tool_m * up
        floor = np.zeros_like(out)
        return np.stack(
            [np.stack(pair, -2) for pair in ((floor, shoulder), (shoulder, elbow), (elbow, wrist), (wrist, tool))], -3
        )


@dataclass(frozen=True)
class Motion:
    """Recorded people of one clip.

    Attributes:
        name: of the clip.
        tier: what kind of data it is.
        stamps_s: (F,) seconds.
        positions: (F, P, 20, 3) metres, z up.
        mask: (F, P, 20) bool, what is known.
        seen: (F, P, 20) bool, what the tracker sees of it.
        noise: whether noise is added to what it sees; not where the recording is a tracker's own.
    """

    name: str
    tier: str
    stamps_s: np.ndarray
    positions: np.ndarray
    mask: np.ndarray
    seen: np.ndarray
    noise: bool = True

    def at(self, times_s: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (N, P, 20, 3) and mask (N, P, 20) at times, linear between frames; `mask` as of the frames."""
        after = np.clip(np.searchsorted(self.stamps_s, times_s), 1, len(self.stamps_s) - 1)
        t0, t1 = self.stamps_s[after - 1], self.stamps_s[after]
        w = np.clip((times_s - t0) / (t1 - t0), 0.0, 1.0)[:, None, None, None]
        x = (1.0 - w) * self.positions[after - 1] + w * self.positions[after]
        return x, mask[after - 1] & mask[after]


def motion(
    name: str, tier: str, stamps_s: np.ndarray, positions: np.ndarray, mask: np.ndarray, noise: bool = True
) -> Motion:
    """A recording of people; a spine that nobody recorded is put between pelvis and neck, unseen by the tracker.

    Args:
        name: of the clip.
        tier: what kind of data it is.
        stamps_s: (F,) seconds.
        positions: (F, P, 20, 3) metres, anything where masked.
        mask: (F, P, 20) bool.
        noise: see `Motion`.
    """
    status = np.where(mask, JointStatus.OBSERVED, JointStatus.MISSING)
    x, status = derive_joints(np.where(mask[..., None], positions, 0.0), status)
    known = status != JointStatus.MISSING
    spine, pelvis, neck = INDEX["spine"], INDEX["pelvis"], INDEX["neck"]
    fill = ~known[..., spine] & known[..., pelvis] & known[..., neck]
    between = x[..., pelvis, :] + 0.3 * (x[..., neck, :] - x[..., pelvis, :])
    x[..., spine, :] = np.where(fill[..., None], between, x[..., spine, :])
    known[..., spine] |= fill
    return Motion(name, tier, np.asarray(stamps_s, float), x, known, np.asarray(mask, bool), noise)


def observe(clip: Motion, setting: LoopSetting, seed: int) -> list[SkeletonFrame]:
    """Frames of a tracker that sees the clip, with noise."""
    rng = np.random.default_rng(seed)
    span = clip.stamps_s[-1] - clip.stamps_s[0]
    times = clip.stamps_s[0] + np.arange(int(span * setting.tracker_hz) + 1) / setting.tracker_hz
    positions, mask = clip.at(times, clip.seen)
    positions = positions + rng.normal(0.0, setting.noise_m if clip.noise else 0.0, positions.shape)
    ids = tuple(f"person_{p}" for p in range(positions.shape[1]))
    status = np.where(mask, JointStatus.OBSERVED, JointStatus.MISSING).astype(np.uint8)
    return [
        SkeletonFrame(
            stamp_ns=START_NS + round((t - clip.stamps_s[0]) * 1e9),
            frame_id=FRAME,
            person_ids=ids,
            positions=positions[k],
            status=status[k],
            confidence=mask[k].astype(np.float32),
        )
        for k, t in enumerate(times)
    ]


def without_bound(batch: PredictionBatch) -> PredictionBatch:
    """The same predictions believed as they are: no bound about them."""

    def bare(p: MotionPrediction) -> MotionPrediction:
        if p.state not in (TrackState.TRACKING, TrackState.DEGRADED):
            return p
        zero = np.zeros((batch.steps, N_JOINTS))
        return replace(p, radius=zero, radius_basis="taken as exact", radius_coverage=float("nan"), body_radius=None)

    return replace(batch, people=tuple(bare(p) for p in batch.people))


def occupancies(
    frames: Iterable[SkeletonFrame],
    predictor: Predictor,
    builder: OccupancyBuilder,
    latency_s: float,
    change: Callable[[PredictionBatch], PredictionBatch] = lambda batch: batch,
) -> list[Occupancy]:
    """What the predictor says of each frame when it has arrived."""
    out = []
    predictor.reset()
    for frame in frames:
        predictor.add(frame)
        batch = predictor.predict(frame.stamp_ns + round(latency_s * 1e9))
        view = judge([InputEvidence(frame.stamp_ns)])  # one camera that hears all of the clip
        out.append(builder.build(change(replace(batch, view=view))))
    return out


def moved(occupancy: Occupancy, rotation: np.ndarray, translation: np.ndarray) -> Occupancy:
    """The occupancy turned and shifted."""
    r = rotation.T.astype(np.float32)
    t = translation.astype(np.float32)
    return replace(occupancy, ends=occupancy.ends @ r + t, body_ends=occupancy.body_ends @ r + t)


@dataclass
class LoopOutcome:
    """One run.

    Attributes:
        seconds: length.
        progress_s: nominal motion done.
        moving_s: time in which the robot moved.
        violated_s: of it, with the person (as it then moved) within the protective minimum.
        violations: pieces of time without a break in which that was so.
        contact_s: of the moving time, with the body's surface at the robot's.
        deepest_m: largest amount by which the minimum was missed.
        trace: (N, 4): time, speed fraction, true distance, true protective minimum.
    """

    seconds: float
    progress_s: float
    moving_s: float
    violated_s: float
    violations: int
    contact_s: float
    deepest_m: float
    trace: np.ndarray


class _LoopTruth:
    """True distance between the robot now and the recorded people from now on."""

    def __init__(self, clip: Motion, body: BodyShape, rotation: np.ndarray, translation: np.ndarray, hz: float) -> None:
        span = clip.stamps_s[-1] - clip.stamps_s[0]
        self.hz = hz
        times = clip.stamps_s[0] + np.arange(int(span * hz) + 1) / hz
        positions, mask = clip.at(times, clip.mask)
        people = positions.shape[1]
        flat = positions.transpose(1, 0, 2, 3)
        radius = body.radii(flat, np.ones(people))  # (P, 19)
        seen = mask[..., SEGMENT_JOINTS].all(-1)  # (N, P, 19)
        self.ends = (positions @ rotation.T + translation)[..., SEGMENT_JOINTS, :]  # (N, P, 19, 2, 3)
        self.radius = np.where(seen, radius, -np.inf)
        self.frames = len(times)

    def least(self, at_s: float, until_s: float, robot_ends: np.ndarray, robot_radius: np.ndarray) -> np.ndarray:
        """Surface distance at each sample from a time to another, (K,) metres."""
        first = min(int(np.floor(at_s * self.hz)), self.frames - 1)
        last = min(int(np.ceil(until_s * self.hz)), self.frames - 1)
        ends, radius = self.ends[first : last + 1], self.radius[first : last + 1]
        axis = nearest(ends.reshape(-1, 2, 3), robot_ends)[0]
        gap = axis - radius.reshape(-1, 1) - robot_radius
        return gap.reshape(last + 1 - first, -1).min(1)


def run_loop(
    clip: Motion,
    body: BodyShape,
    known: list[Occupancy] | None,
    config: SeparationConfig | None,
    setting: LoopSetting,
    rotation: np.ndarray,
    translation: np.ndarray,
    measured_speed: np.ndarray | None = None,
    start_s: float = 0.5,
) -> LoopOutcome:
    """One monitor with one clip at one place.

    Args:
        clip: what people do.
        body: their thickness.
        known: what the predictor said of each frame; None: no monitor, full speed.
        config: of the monitor.
        setting: rates and delays.
        rotation: (3, 3) of the clip's frame in the robot's.
        translation: (3,) metres.
        measured_speed: (frames,) m/s to use for S_h instead of the configured one.
        start_s: time that the clip runs before the robot is looked at, so that people are known.
    """
    arm = Arm(setting)
    robot = arm.robot
    truth = _LoopTruth(clip, body, rotation, translation, setting.judge_hz)
    end_s = clip.stamps_s[-1] - clip.stamps_s[0] - robot.reaction_time_s - arm.stopping_time_s
    dt = 1.0 / setting.judge_hz
    monitor = None if config is None else Monitor(robot, config)
    fraction, progress, commands = 0.0 if monitor else 1.0, 0.0, [(-1.0, 0.0 if monitor else 1.0)]
    next_decision, shown, here = 0.0, -1, None
    rows: list[tuple[float, float, float, float]] = []
    violated = contact = moving = 0.0
    violations, before, deepest, done = 0, False, 0.0, 0.0
    for k in range(int(end_s * setting.judge_hz) + 1):
        t = k * dt
        ends = arm.ends(np.asarray(progress))
        if monitor is not None and t >= next_decision - 1e-9:
            next_decision += 1.0 / setting.decide_hz
            newest = int(np.floor((t - setting.latency_s) * setting.tracker_hz + 1e-6))
            if newest >= 0 and known is not None and config is not None:
                newest = min(newest, len(known) - 1)
                if newest != shown:
                    here, shown = moved(known[newest], rotation, translation), newest
                    if measured_speed is not None:
                        monitor.config = config.model_copy(update={"human_speed_mps": float(measured_speed[newest])})
                now_ns = START_NS + round(t * 1e9)
                decision = monitor.decide(now_ns, here, (ends, arm.radius), fraction)
                commands.append((t, decision.allowed_speed_fraction))
        if t >= start_s:
            stop_s, stop_m = robot.stop(np.asarray(fraction))
            moves = fraction > 1e-3
            until = t + setting.actuation_s + float(stop_s) if moves else t
            gaps = truth.least(t, until, ends, arm.radius)
            needed = fraction * robot.max_speed_mps * setting.actuation_s + float(stop_m)
            wrong = moves and gaps.min() < needed
            moving += dt * moves
            violated += dt * wrong
            contact += dt * (moves and gaps[0] < 0.0)
            violations += int(wrong and not before)
            before = wrong
            deepest = max(deepest, needed - float(gaps.min())) if wrong else deepest
            done += fraction * dt
            rows.append((t, fraction, float(gaps[0]), needed))
        target = next(c for at, c in reversed(commands) if at <= t - setting.actuation_s or at < 0.0)
        change = dt / arm.stopping_time_s
        fraction = float(np.clip(target, fraction - change, fraction + change))
        progress += fraction * dt
    return LoopOutcome(
        seconds=len(rows) * dt,
        progress_s=done,
        moving_s=moving,
        violated_s=violated,
        violations=violations,
        contact_s=contact,
        deepest_m=deepest,
        trace=np.array(rows),
    )


def fastest_joint(frames: list[SkeletonFrame], over_s: float = 0.1) -> np.ndarray:
    """Speed of the fastest seen joint of anybody, measured over a short time before each frame, (frames,) m/s."""
    out = np.zeros(len(frames))
    for k, frame in enumerate(frames):
        j = k
        while j > 0 and (frame.stamp_ns - frames[j].stamp_ns) * 1e-9 < over_s - 1e-6:
            j -= 1
        if j == k:
            continue
        both = (frame.status != JointStatus.MISSING) & (frames[j].status != JointStatus.MISSING)
        way = np.linalg.norm(frame.positions - frames[j].positions, axis=-1)
        speed = way / ((frame.stamp_ns - frames[j].stamp_ns) * 1e-9)
        out[k] = speed[both].max() if both.any() else 0.0
    return out


def placements(clip: Motion, count: int, seed: int, near_m: float = 1.0, far_m: float = 2.0) -> list[Any]:
    """Places of a clip beside the robot: the middle of a person is, at some time, so far from the base.

    The arm reaches 0.85 m: nearer than 1 m a person would stand in its way all the time.

    Returns:
        (rotation, translation) pairs; in front of the robot, turned any way.
    """
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(count):
        yaw, bearing = rng.uniform(-np.pi, np.pi), rng.uniform(-0.5 * np.pi, 0.5 * np.pi)
        distance = rng.uniform(near_m, far_m)
        frame, person = rng.integers(len(clip.stamps_s)), rng.integers(clip.positions.shape[1])
        seen = clip.mask[frame, person]
        middle = clip.positions[frame, person][seen].mean(0) if seen.any() else np.zeros(3)
        rotation = np.array([[np.cos(yaw), -np.sin(yaw), 0.0], [np.sin(yaw), np.cos(yaw), 0.0], [0.0, 0.0, 1.0]])
        wanted = distance * np.array([np.cos(bearing), np.sin(bearing)])
        translation = np.append(wanted - (rotation @ middle)[:2], 0.0)
        translation[2] = -_floor_m(clip)
        out.append((rotation, translation))
    return out


def _floor_m(clip: Motion) -> float:
    """Height of the floor in the recording; 0 where no feet were recorded."""
    feet = [INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("ankle", "foot")]
    height = clip.positions[:, :, feet, 2][clip.mask[:, :, feet]]
    return float(np.percentile(height, 2)) if len(height) else 0.0
