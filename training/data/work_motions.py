# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Movements of people at work, laid over recorded windows: what athletic recordings lack.

Windows are (n, steps, joints, 3) in metres, in the frame of the present: x forward, y left, z up, the pelvis at the
origin; what is NaN stays NaN. Hands go straight and by minimum jerk (Flash and Hogan, J. Neurosci. 5(7), 1985); what is
out of the arm's comfortable reach, 0.9 of its length, is reached by the trunk's lean (Mark et al., J. Exp. Psychol. HPP
23(5), 1997; Kaminski et al., Exp. Brain Res. 106, 1995). Handing over happens at 0.45 to 0.75 m from the pelvis about
the height of the lower chest (Strabala et al., J. HRI 2(1), 2013). Head before trunk before feet in turns (Hollands et
al., Exp. Brain Res. 140, 2001). Sitting down takes 1.2 to 2 s, and the trunk leans by up to 45 degrees meanwhile (Kralj
et al., J. Biomech. 23(11), 1990). A side step takes 0.5 to 0.9 s, the leading foot first (Maki and McIlroy, Phys. Ther.
77(5), 1997). Lifts from the floor: Burgess-Limerick et al., Human Factors 37(2), 1995; shifts of weight of who stands:
Duarte and Zatsiorsky, Motor Control 3(1), 1999. Ranges here, 0.4 to 1.3 s each way and up to 0.6 of a leg deep, 0.3
to 1 s and 0.03 to 0.15 m, are ours: wide enough for a slow lift and a quick squat. Tables and shelves are where ISO
14738 has them for people who stand: 0.7 to 1.1 m, shelves up to 1.7 m.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from aux_motion_core.skeleton import INDEX

_SIDES = ("left", "right")
_ARM = {s: [INDEX[f"{s}_{j}"] for j in ("shoulder", "elbow", "wrist", "hand")] for s in _SIDES}
_LEG = {s: [INDEX[f"{s}_{j}"] for j in ("hip", "knee", "ankle", "foot")] for s in _SIDES}
_UPPER = [INDEX[n] for n in ("spine", "neck", "head")] + [j for s in _SIDES for j in _ARM[s]]
_HEAD = [INDEX["head"]]
_PELVIS = [INDEX["pelvis"], INDEX["left_hip"], INDEX["right_hip"]]


def rise(s: np.ndarray) -> np.ndarray:
    """Minimum jerk from 0 at s <= 0 to 1 at s >= 1."""
    s = np.clip(s, 0.0, 1.0)
    return s**3 * (10.0 - 15.0 * s + 6.0 * s * s)


def profile(
    rng: np.random.Generator, time: np.ndarray, n: int, low_s: float, high_s: float, back: float = 0.5
) -> np.ndarray:
    """(n, steps) from 0 to 1 within `low_s` to `high_s`; a share `back` of them dwells 0.1 to 0.8 s and comes back.

    It begins so that some of the movement falls into the window; a third is the same backwards in time.
    """
    takes = rng.uniform(low_s, high_s, (n, 1))
    begin = rng.uniform(time[0] - 0.5 * takes, time[-1] - 0.2, (n, 1))
    up = rise((time - begin) / takes)
    down = rise((time - begin - takes - rng.uniform(0.1, 0.8, (n, 1))) / (takes * rng.uniform(0.8, 1.2, (n, 1))))
    s = up - down * (rng.random((n, 1)) < back)
    return np.where(rng.random((n, 1)) < 1 / 3, 1.0 - s, s)


def again_and_again(rng: np.random.Generator, time: np.ndarray, n: int, low_s: float, high_s: float) -> np.ndarray:
    """(n, steps) from 0 to 1 and back, over and over, each way within `low_s` to `high_s`, with pauses at both ends."""
    there = np.exp(rng.uniform(np.log(low_s), np.log(high_s), (n, 1)))
    back = there * rng.uniform(0.8, 1.25, (n, 1))
    at_end, at_start = rng.uniform(0.0, 0.5, (n, 1)), rng.uniform(0.0, 0.8, (n, 1))
    period = there + at_end + back + at_start
    phase = np.mod(time + rng.random((n, 1)) * period, period)
    return rise(phase / there) - rise((phase - there - at_end) / back)


def turn(points: np.ndarray, centre: np.ndarray, axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points (n, steps, k, 3) about `centre` (n, steps, 1, 3) and unit `axis` (n, 3) by `angle` (n, steps) radians."""
    m = Rotation.from_rotvec((axis[:, None] * angle[..., None]).reshape(-1, 3)).as_matrix().reshape(*angle.shape, 3, 3)
    return centre + np.einsum("ntij,ntkj->ntki", m, points - centre)


def _length(v: np.ndarray) -> np.ndarray:
    return np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-6)


def middle_joint(root: np.ndarray, tip: np.ndarray, upper: np.ndarray, lower: np.ndarray, hint: np.ndarray):
    """The joint between `root` and `tip` (..., 3) with bones `upper` and `lower` (..., 1) long, towards `hint`.

    Returns:
        It, and the tip, drawn to where the bones reach.
    """
    line = tip - root
    far = _length(line)
    down = line / far
    reach = np.clip(far, np.abs(upper - lower) * 1.02 + 1e-3, 0.995 * (upper + lower))
    along = (upper**2 - lower**2 + reach**2) / (2.0 * reach)
    off = np.sqrt(np.maximum(upper**2 - along**2, 0.0))
    side = hint - down * (hint * down).sum(-1, keepdims=True)
    return root + along * down + off * side / _length(side), root + reach * down


def _place_hand(w: np.ndarray, base: np.ndarray, side: str, wrist: np.ndarray) -> None:
    """Bring a wrist to `wrist` (n, steps, 3), the elbow by the lengths of `base`, in place."""
    shoulder, elbow, hand, tip = _ARM[side]
    upper = _length(base[:, :, elbow] - base[:, :, shoulder])
    lower = _length(base[:, :, hand] - base[:, :, elbow])
    out = 1.0 if side == "left" else -1.0
    hint = base[:, :, elbow] - 0.5 * (base[:, :, shoulder] + base[:, :, hand]) + np.array([-0.02, 0.05 * out, -0.1])
    w[:, :, elbow], w[:, :, hand] = middle_joint(w[:, :, shoulder], wrist, upper, lower, hint)
    fore = w[:, :, hand] - w[:, :, elbow]
    w[:, :, tip] = w[:, :, hand] + fore / _length(fore) * _length(base[:, :, tip] - base[:, :, hand])


def _legs_to(w: np.ndarray, base: np.ndarray) -> None:
    """Knees by the leg's lengths, from hips and ankles as they are, forward; in place."""
    forward = np.array([1.0, 0.0, 0.05])
    for s in _SIDES:
        hip, knee, ankle, _ = _LEG[s]
        thigh = _length(base[:, :, knee] - base[:, :, hip])
        shank = _length(base[:, :, ankle] - base[:, :, knee])
        now = base[:, :, knee] - 0.5 * (base[:, :, hip] + base[:, :, ankle])
        w[:, :, knee], _ = middle_joint(w[:, :, hip], w[:, :, ankle], thigh, shank, now + 0.1 * forward)


def reach_to_place(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """One or both hands go to a place on a table or a shelf, or to hand over, and half of them come back."""
    base, w = w, w.copy()
    n = len(w)
    s = profile(rng, time, n, 0.4, 1.3)
    # from the pelvis, about 0.95 m above the ground
    target = np.stack(
        [rng.uniform(0.2, 0.85, n), rng.uniform(-0.35, 0.5, n), rng.choice([0.0, 0.1, 0.3, 0.6], n)], -1
    ) + rng.normal(0.0, 0.08, (n, 3))
    both, left_first = rng.random(n) < 0.4, rng.random(n) < 0.5
    for side, out in (("left", 1.0), ("right", -1.0)):
        moves = both | (left_first == (side == "left"))
        shoulder, elbow, hand, _ = _ARM[side]
        there = target * np.array([1.0, out, 1.0])
        there = np.where(both[:, None], there * [1.0, 0.0, 1.0] + np.array([0.0, 0.16 * out, 0.0]), there)
        now = len(time) // 2
        arm = _length(base[:, now, elbow] - base[:, now, shoulder]) + _length(base[:, now, hand] - base[:, now, elbow])
        away = np.where(moves[:, None], there + base[:, now, :1].mean(1) - base[:, now, shoulder], 0.0)
        excess = np.maximum(np.linalg.norm(away, axis=-1) - 0.9 * arm[:, 0], 0.0)
        lean = np.clip(np.nan_to_num(excess) / 0.45, 0.0, 0.9)[:, None] * s
        axis = np.stack([-away[:, 1], away[:, 0], np.zeros(n)], -1)
        axis = np.nan_to_num(axis / _length(axis))
        w[:, :, _UPPER] = turn(w[:, :, _UPPER], w[:, :, :1], axis, lean)
    for side, out in (("left", 1.0), ("right", -1.0)):
        moves = (both | (left_first == (side == "left")))[:, None, None]
        there = target * np.array([1.0, out, 1.0])
        there = np.where(both[:, None], there * [1.0, 0.0, 1.0] + np.array([0.0, 0.16 * out, 0.0]), there)
        hand = _ARM[side][2]
        goal = base[:, :, 0] + there[:, None]
        way = base[:, :, hand] * (1.0 - s[..., None]) + goal * s[..., None]
        moved = w.copy()
        _place_hand(moved, base, side, way)
        w = np.where(moves[..., None], moved, w)
    return w


def carry(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Both hands hold something before the body, wherever it goes."""
    base, w = w, w.copy()
    n = len(w)
    across = base[:, :, _ARM["left"][0], :2] - base[:, :, _ARM["right"][0], :2]
    across = across / _length(across)
    forward = np.stack([across[..., 1], -across[..., 0]], -1)
    ahead, height, half = rng.uniform(0.2, 0.45, n), rng.uniform(-0.1, 0.35, n), rng.uniform(0.1, 0.28, n)
    for side, out in (("left", 1.0), ("right", -1.0)):
        flat = forward * ahead[:, None, None] + out * across * half[:, None, None]
        there = np.concatenate([flat, np.broadcast_to(height[:, None, None], (*flat.shape[:2], 1))], -1)
        _place_hand(w, base, side, base[:, :, 0] + there)
    return w


def side_step(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """A step to the side, forward or back: the leading foot first, the other after it, the body in between."""
    base, w = w, w.copy()
    n = len(w)
    way = np.stack([0.5 * rng.normal(size=n), np.where(rng.random(n) < 0.5, 1.0, -1.0), np.zeros(n)], -1)
    way = way / _length(way) * rng.uniform(0.12, 0.55, (n, 1))
    takes = rng.uniform(0.5, 0.9, (n, 1))
    s = (time - rng.uniform(time[0] - 0.5, time[-1] - 0.2, (n, 1))) / takes
    legs = [j for s_ in _SIDES for j in _LEG[s_][1:]]
    body = [j for j in range(w.shape[2]) if j not in legs]
    w[:, :, body] += (rise(s / 0.9 - 0.05)[..., None] * way[:, None])[:, :, None]
    for side, sign in (("left", 1.0), ("right", -1.0)):
        leads = (way[:, 1] * sign > 0)[:, None]
        foot = np.where(leads, s / 0.5, (s - 0.45) / 0.55)
        lift = 0.06 * np.sin(np.pi * np.clip(foot, 0.0, 1.0))
        shift = rise(foot)[..., None] * way[:, None] + lift[..., None] * np.array([0.0, 0.0, 1.0])
        w[:, :, _LEG[side][2:]] += shift[:, :, None]
    _legs_to(w, base)
    return w


def turn_on_spot(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The body turns by 20 to 180 degrees: the head 0.15 s before the trunk, each foot in a step of its own."""
    base, w = w, w.copy()
    n = len(w)
    up = np.tile([0.0, 0.0, 1.0], (n, 1))
    angle = rng.uniform(0.35, 3.1, (n, 1)) * np.where(rng.random((n, 1)) < 0.5, 1.0, -1.0)
    takes = np.abs(angle) / rng.uniform(1.2, 3.0, (n, 1)) + 0.3
    begin = rng.uniform(time[0] - 0.5 * takes, time[-1] - 0.2, (n, 1))
    s = (time - begin) / takes
    centre = base[:, :, :1]
    whole = [*_UPPER, *_PELVIS]
    w[:, :, whole] = turn(base[:, :, whole], centre, up, angle * rise(s))
    w[:, :, _HEAD] = turn(base[:, :, _HEAD], centre, up, angle * rise(s + 0.15 / takes))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        leads = angle * sign > 0
        foot = np.where(leads, s / 0.55, (s - 0.45) / 0.55)
        part = _LEG[side][2:]
        w[:, :, part] = turn(base[:, :, part], centre, up, angle * rise(foot))
        w[:, :, part, 2] += 0.05 * np.sin(np.pi * np.clip(foot, 0.0, 1.0))[..., None]
        hip, knee, ankle, _ = _LEG[side]
        about = turn(base[:, :, [knee]], centre, up, angle * rise(0.5 * (s + foot)))[:, :, 0]
        thigh, shank = _length(base[:, :, knee] - base[:, :, hip]), _length(base[:, :, ankle] - base[:, :, knee])
        towards = about - 0.5 * (w[:, :, hip] + w[:, :, ankle])
        w[:, :, knee], _ = middle_joint(w[:, :, hip], w[:, :, ankle], thigh, shank, towards)
    return w


def sit_or_kneel(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The hips go down and back to a seat, or down onto a knee, or up from there; the trunk leans meanwhile."""
    base, w = w, w.copy()
    n = len(w)
    s = profile(rng, time, n, 1.2, 2.0, back=0.2)
    leg = np.nan_to_num(base[:, :, 0, 2] - base[:, :, _LEG["left"][2], 2], nan=0.85).mean(1)
    sits = rng.random(n) < 0.6
    down = np.where(sits, rng.uniform(0.35, 0.5, n), rng.uniform(0.4, 0.55, n)) * np.clip(leg, 0.5, 1.0)
    back = np.where(sits, rng.uniform(0.25, 0.4, n), rng.uniform(-0.1, 0.1, n))
    shift = np.stack([-back, np.zeros(n), -down], -1)[:, None] * s[..., None]
    w[:, :, _UPPER] += shift[:, :, None]
    w[:, :, _PELVIS] += shift[:, :, None]
    lean = np.sin(np.pi * s) * rng.uniform(0.35, 0.8, (n, 1)) * np.where(sits, 1.0, 0.4)[:, None]
    w[:, :, _UPPER] = turn(w[:, :, _UPPER], w[:, :, :1], np.tile([0.0, 1.0, 0.0], (n, 1)), lean)
    kneels = ~sits
    for k, side in enumerate(_SIDES):
        whose = kneels & (rng.random(n) < 0.5 + 0.5 * k)
        kneels &= ~whose
        w[:, :, _LEG[side][2:], 0] -= (0.45 * whose[:, None] * s)[..., None]
    _legs_to(w, base)
    return w


def knee_bend(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The hips go down and up again, over the feet, once or over and over: to pick things up, to see what is low."""
    base, w = w, w.copy()
    n = len(w)
    s = profile(rng, time, n, 0.4, 1.3, back=0.85)
    s = np.where(rng.random((n, 1)) < 0.5, s, again_and_again(rng, time, n, 0.4, 1.3))
    leg = np.nan_to_num(base[:, :, 0, 2] - base[:, :, _LEG["left"][2], 2], nan=0.85).mean(1)
    down = rng.uniform(0.1, 0.6, n) * np.clip(leg, 0.5, 1.0)
    shift = np.stack([-rng.uniform(0.0, 0.45, n) * down, np.zeros(n), -down], -1)[:, None] * s[..., None]
    w[:, :, _UPPER] += shift[:, :, None]
    w[:, :, _PELVIS] += shift[:, :, None]
    lean = s * rng.uniform(0.0, 0.9, (n, 1))
    w[:, :, _UPPER] = turn(w[:, :, _UPPER], w[:, :, :1], np.tile([0.0, 1.0, 0.0], (n, 1)), lean)
    _legs_to(w, base)
    return w


def shift_weight(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """The body goes over one foot and comes back; half of the people lift the other foot meanwhile, some the knee."""
    base, w = w, w.copy()
    n = len(w)
    s = profile(rng, time, n, 0.3, 1.0, back=0.8)
    s = np.where(rng.random((n, 1)) < 0.5, s, again_and_again(rng, time, n, 0.3, 1.0))
    left = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    way = np.stack([0.03 * rng.normal(size=n), left * rng.uniform(0.03, 0.15, n), np.zeros(n)], -1)
    body = [*_UPPER, *_PELVIS]
    w[:, :, body] += (s[..., None] * way[:, None])[:, :, None]
    lift = (rng.random(n) < 0.5) * rng.uniform(0.03, 0.5, n) ** np.where(rng.random(n) < 0.5, 1.0, 2.0)
    ahead = rng.uniform(-0.1, 0.25, n)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        free = np.where(left * sign < 0, lift, 0.0)
        up = np.stack([ahead * (free > 0), np.zeros(n), free], -1)
        # the foot is free once the weight is over the other one
        w[:, :, _LEG[side][2:]] += (rise(1.5 * s - 0.5)[..., None] * up[:, None])[:, :, None]
    _legs_to(w, base)
    return w


#: movement -> its share among windows of people at work
MOVEMENTS = {
    reach_to_place: 0.37,
    carry: 0.08,
    side_step: 0.12,
    turn_on_spot: 0.09,
    sit_or_kneel: 0.09,
    knee_bend: 0.17,
    shift_weight: 0.08,
}


def at_work(rng: np.random.Generator, w: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Each window with one of `MOVEMENTS`, and half of those who step, turn or sit with reaching hands before it."""
    w = w.copy()
    kind = rng.choice(len(MOVEMENTS), len(w), p=list(MOVEMENTS.values()))
    for k, movement in enumerate(MOVEMENTS):
        who = np.flatnonzero(kind == k)
        if not len(who):
            continue
        if movement not in (reach_to_place, carry):
            hands = who[rng.random(len(who)) < 0.5]
            if len(hands):
                w[hands] = reach_to_place(rng, w[hands], time)
        w[who] = movement(rng, w[who], time)
    return w
