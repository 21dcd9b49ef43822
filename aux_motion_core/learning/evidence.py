# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How much of each correction enters: what evidence earned it, by person, horizon, part of the body and its motion.

Each correction is judged before it is learnt from, against the network's own answer, on the same outcome. Candidates
are shares of the corrections; their gains, in parts of the network's error, are summed over the last seconds, and
exponential weights over them (as in `aux_motion_core.inference.ensemble`) give the share that enters. A distance is
convex in the prediction, so that the published error is at most the weighted mean of the candidates'. Over a shorter
time the published answer itself is judged: where it was worse, it is taken back at once and comes again slowly. What
it lost at a horizon over about a minute is counted, too, and stops it when it is spent.
"""

from __future__ import annotations

import numpy as np

from aux_motion_core.learning.features import INPUTS, TELLING
from aux_motion_core.skeleton import JOINTS

#: Joint groups that are weighed on their own.
GROUPS = ("trunk", "left_arm", "right_arm", "left_leg", "right_leg")
_LIMBS = {"arm": ("elbow", "wrist", "hand"), "leg": ("knee", "ankle", "foot")}


def _group(joint: str) -> int:
    side, _, name = joint.partition("_")
    limb = next((limb for limb, names in _LIMBS.items() if name in names), None)
    return GROUPS.index(f"{side}_{limb}") if limb else 0


_EACH_GROUP = np.arange(len(GROUPS))
#: (J,) group of each joint.
GROUP_OF = np.array([_group(joint) for joint in JOINTS])
#: (G, J) 1 where a joint is of a group.
MEMBERS = (GROUP_OF == np.arange(len(GROUPS))[:, None]).astype(np.float64)
#: Candidates: shares of the slow and of the fast correction; the first is the network alone.
CANDIDATES = np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [0.0, 0.5], [0.0, 1.0], [0.25, 0.25], [0.5, 0.5]])
_NONE = 0
#: What a correction gained while a part of the body moved says little of when it is still, and the other way round.
#: So evidence is kept apart by how much it moves: below, between and above these, metres in 0.3 s or to the horizon.
MOTION_EDGES_M = (0.025, 0.1)
MOTIONS = len(MOTION_EDGES_M) + 1
#: Weight of the network alone before anything is known; the candidates share the rest.
PRIOR = 0.7
#: Exponent for each second of a candidate that gains all of the error.
RATE_PER_S = 8.0
#: A gain so much smaller counts: corrections must pay.
MARGIN = 0.01
#: Gains so old count 1/e, seconds: of a person, of all people.
PERSON_S, ALL_S = 15.0, 60.0
#: What all people together tell counts so many seconds for somebody new: little, what pays for one may not for another.
COMMON_S = 1.0
#: What is reported of all people together is what so many seconds of their evidence would give.
_REPORTED_S = 6.0
#: The published answer is judged over so long, and taken back where it was worse by so much.
ALARM_S, ALARM = 1.5, 0.05
#: After that, what was earned before is nothing: candidates begin with so many seconds of loss.
ANEW = -0.3 * (CANDIDATES.sum(1) > 0.0)
#: What was taken back comes again with this time constant.
RETURN_S = 4.0
#: What the published answer lost since it last led, in seconds of the network's error, is forgotten with the first time
#: constant. The more it is, the less enters, and nothing from so much on: it bounds what a minute can lose.
LOSS_S, LOSS = 30.0, 0.8
_NOISE_M = 0.002
#: Radii of the network's answer are widened by a share of the way to the published one; it grows by this much each
#: second of outcomes that are all outside, and falls while fewer than so many are.
WIDENING_PER_S, WIDENING_MISS = 0.5, 0.04


def _mean_squares() -> np.ndarray:
    """(T, 2 G) from the squares of the inputs `TELLING` to the groups' mean squares of velocity and of answer."""
    mean = (MEMBERS / MEMBERS[:, INPUTS].sum(1, keepdims=True)).T[INPUTS]  # (I, G)
    out = np.zeros((len(TELLING), 2 * len(GROUPS)), np.float32)
    for k in range(2):
        rows = slice(3 * len(INPUTS) * k, 3 * len(INPUTS) * (k + 1))
        out[rows, len(GROUPS) * k : len(GROUPS) * (k + 1)] = mean.repeat(3, 0)
    return out


_MEAN_SQUARES = _mean_squares()
_EDGES_M2 = np.square(MOTION_EDGES_M).astype(np.float32)


def motions(telling: np.ndarray) -> np.ndarray:
    """How much parts of the body move: lately, or by the network's answer, whichever is more.

    Args:
        telling: (N, T) the inputs `features.TELLING`.

    Returns:
        (N, G) from 0 to `MOTIONS` - 1.
    """
    square = np.square(telling) @ _MEAN_SQUARES
    return np.searchsorted(_EDGES_M2, np.maximum(square[:, : len(GROUPS)], square[:, len(GROUPS) :]))


class Evidence:
    """Shares of the corrections by row of the self-check.

    Args:
        horizons: H of them.
    """

    def __init__(self, horizons: int) -> None:
        self._h = horizons
        g, e = len(GROUPS), len(CANDIDATES)
        self._prior = np.log(np.full(e, (1.0 - PRIOR) / (e - 1)))
        self._prior[_NONE] = np.log(PRIOR)
        self.rows: dict[str, np.ndarray] = {}
        #: Of all people together: (H, G, M, E) mean gain, and (H, G, M) seconds of evidence behind it.
        self.common = np.zeros((horizons, g, MOTIONS, e))
        self.common_s = np.zeros((horizons, g, MOTIONS))
        self._rows(0)

    def _rows(self, more: int) -> None:
        h, g, e, m = self._h, len(GROUPS), len(CANDIDATES), MOTIONS
        new: dict[str, np.ndarray] = {
            "gain": np.zeros((more, h, g, m, e)),
            "error": np.zeros((more, h, g, m)),
            "alarm": np.zeros((more, h, g, m)),
            "trust": np.ones((more, h, g, m)),
            "share": np.zeros((more, h, g, m, 2), np.float32),
            "widening": np.ones((more, h, g), np.float32),
            "loss": np.zeros((more, h)),
        }
        self.rows = {k: np.concatenate([self.rows[k], v]) if self.rows else v for k, v in new.items()}

    def start(self, row: int) -> None:
        """A new person has this row: what all together earned is where it begins."""
        while row >= len(self.rows["trust"]):
            self._rows(max(len(self.rows["trust"]), 16))
        for name in ("gain", "error", "alarm", "loss"):
            self.rows[name][row] = 0.0
        self.rows["trust"][row] = self.rows["widening"][row] = 1.0
        self.rows["gain"][row] = self.common * np.minimum(self.common_s, COMMON_S)[..., None]
        h, g, m = (i.ravel() for i in np.indices(self.common_s.shape))
        self._share(np.full(len(h), row), h, g, m)

    def shares(self, rows: np.ndarray, motion: np.ndarray) -> np.ndarray:
        """(N, G, H, 2) of the slow and the fast correction, for parts that move like this, (N, G) of `motions`."""
        return self.rows["share"][rows[:, None], :, _EACH_GROUP, motion]

    def widening(self, rows: np.ndarray) -> np.ndarray:
        """(N, H, G) share of the way from the network's answer to the published one that widens its radii."""
        return self.rows["widening"][rows]

    def _widen(
        self,
        row: np.ndarray,
        horizon: np.ndarray,
        passed_s: np.ndarray,
        residual: np.ndarray,
        published: np.ndarray,
        radius: np.ndarray,
        good: np.ndarray,
    ) -> None:
        """Online quantile tracking of the widening, as `aux_motion_core.bounds.adaptation` does of radii."""
        a = self.rows
        told = good & np.isfinite(radius)
        n = told @ MEMBERS.T
        away = np.sqrt(np.einsum("kjc,kjc->kj", residual - published, residual - published))
        moved = np.sqrt(np.einsum("kjc,kjc->kj", published, published))
        outside = told & (away > radius + a["widening"][row, horizon][:, GROUP_OF] * moved)
        push = (outside @ MEMBERS.T) / np.maximum(n, 1.0) - WIDENING_MISS
        step = np.where(n > 0, WIDENING_PER_S * passed_s[:, None] * push, 0.0)
        a["widening"][row, horizon] = np.clip(a["widening"][row, horizon] + step, 0.0, 1.0)

    def share_of_all(self) -> np.ndarray:
        """(H,) mean share of the corrections that everybody's evidence gives."""
        weight = self._weights(self.common * np.minimum(self.common_s, _REPORTED_S)[..., None])
        return (weight @ CANDIDATES).sum(-1).mean((1, 2))

    def reset(self) -> None:
        """Forget what was earned; people stay."""
        self.common[:], self.common_s[:] = 0.0, 0.0
        for name in ("gain", "error", "alarm", "share", "loss"):
            self.rows[name][:] = 0.0
        self.rows["trust"][:] = self.rows["widening"][:] = 1.0

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the arrays of `state`."""
        return {"common": self.common.shape, "common_s": self.common_s.shape}

    def state(self) -> dict[str, np.ndarray]:
        """What was earned, as arrays for a file."""
        return {"common": self.common.copy(), "common_s": self.common_s.copy()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from `state`; whoever comes begins with half of it."""
        self.reset()
        self.common = np.clip(arrays["common"].astype(np.float64), -2.0, 1.0)
        self.common_s = np.clip(arrays["common_s"].astype(np.float64), 0.0, 0.5 * COMMON_S)

    def _weights(self, gain: np.ndarray) -> np.ndarray:
        """(..., E) weights of the candidates by the sums of their gains."""
        log = self._prior + RATE_PER_S * gain
        weight = np.exp(log - log.max(-1, keepdims=True))
        return weight / weight.sum(-1, keepdims=True)

    def _share(self, row: np.ndarray, h: np.ndarray, g: np.ndarray, m: np.ndarray) -> None:
        """Make the shares of these (K,) anew."""
        a = self.rows
        weight = self._weights(a["gain"][row, h, g, m])
        believed = a["trust"][row, h, g, m] * np.maximum(1.0 - a["loss"][row, h] / LOSS, 0.0)
        a["share"][row, h, g, m] = (weight @ CANDIDATES) * believed[:, None]

    def _count_losses(
        self, row: np.ndarray, horizon: np.ndarray, passed_s: np.ndarray, error: np.ndarray, published: np.ndarray
    ) -> None:
        """What the published answer lost, all groups together.

        Args:
            row, horizon, passed_s: (K,) as in `learn`.
            error: (K,) metres, mean over the joints, of the network's answer.
            published: (K,) metres, of the published one.
        """
        a = self.rows
        lost = np.clip((published - error) / (error + _NOISE_M), -1.0, 1.0) * passed_s
        loss = np.exp(-passed_s / LOSS_S) * a["loss"][row, horizon] + lost
        a["loss"][row, horizon] = np.clip(loss, 0.0, 1.2 * LOSS)

    def learn(
        self,
        row: np.ndarray,
        horizon: np.ndarray,
        passed_s: np.ndarray,
        residual: np.ndarray,
        corrections: np.ndarray,
        published: np.ndarray,
        radius: np.ndarray,
        good: np.ndarray,
        motion: np.ndarray,
    ) -> None:
        """Outcomes of K predictions at one horizon each, no pair of row and horizon more than once.

        Args:
            row: (K,) of the people.
            horizon: (K,) which.
            passed_s: (K,) since the outcome before, of the person and the horizon.
            residual: (K, J, 3) metres from the network's answer to what was seen.
            corrections: (K, 2, J, 3) metres, slow and fast, as they were when the prediction was made.
            published: (K, J, 3) metres, the correction that entered or would have.
            radius: (K, J) metres around the network's answer, NaN where it has none.
            good: (K, J) bool, joints that tell something.
            motion: (K, G) of `motions`, as it was when the prediction was made.
        """
        self._widen(row, horizon, passed_s, residual, published, radius, good)
        a = self.rows
        n = good @ MEMBERS.T  # (K, G)
        tried = np.tensordot(corrections, CANDIDATES, (1, 1)).transpose(0, 3, 1, 2)
        tried = np.concatenate([tried, published[:, None]], 1)  # (K, E + 1, J, 3)
        away = residual[:, None] - tried
        error = np.sqrt(np.einsum("kejc,kejc->kej", away, away)) * good[:, None]
        error = (error @ MEMBERS.T).transpose(0, 2, 1) / np.maximum(n, 1.0)[..., None]  # (K, G, E + 1)
        k, g = np.nonzero(n)
        if not len(k):
            return
        told = n.sum(1) > 0
        means = (error * n[..., None]).sum(1)[told] / n.sum(1)[told, None]  # (K, E + 1)
        self._count_losses(row[told], horizon[told], passed_s[told], means[:, _NONE], means[:, -1])
        row, horizon, passed_s, error, motion = row[k], horizon[k], passed_s[k], error[k, g], motion[k, g]
        usual = a["error"][row, horizon, g, motion]
        usual = np.where(usual > 0.0, usual, error[:, _NONE])
        keep = np.exp(-passed_s / PERSON_S)
        a["error"][row, horizon, g, motion] = keep * usual + (1.0 - keep) * error[:, _NONE]
        scale = np.maximum(usual, 0.5 * error[:, _NONE]) + _NOISE_M
        gain = np.clip((error[:, _NONE, None] - error) / scale[:, None], -2.0, 1.0)
        mine = (gain[:, :-1] - MARGIN * CANDIDATES.sum(1)) * passed_s[:, None]
        earned = keep[:, None] * a["gain"][row, horizon, g, motion] + mine
        seconds = np.zeros_like(self.common_s)
        total = np.zeros_like(self.common)
        np.add.at(seconds, (horizon, g, motion), passed_s)
        np.add.at(total, (horizon, g, motion), mine)
        kept = np.exp(-seconds / ALL_S) * self.common_s
        self.common = (self.common * kept[..., None] + total) / np.maximum(kept + seconds, 1e-9)[..., None]
        self.common_s = kept + seconds
        keep = np.exp(-passed_s / ALARM_S)
        alarm = keep * a["alarm"][row, horizon, g, motion] + (1.0 - keep) * gain[:, -1]
        bad = alarm < -ALARM
        trust = a["trust"][row, horizon, g, motion]
        a["trust"][row, horizon, g, motion] = np.where(
            bad, 0.0, trust + (1.0 - trust) * (1.0 - np.exp(-passed_s / RETURN_S))
        )
        a["alarm"][row, horizon, g, motion] = np.where(bad, 0.0, alarm)
        a["gain"][row, horizon, g, motion] = np.where(
            bad[:, None], np.minimum(a["gain"][row, horizon, g, motion], ANEW), earned
        )
        self._share(row, horizon, g, motion)
