"""How much of each correction enters: what evidence earned it, by person, horizon and part of the body.

Each correction is judged before it is learnt from, against the network's own answer, on the same outcome. Candidates
are shares of the corrections; their gains, in parts of the network's error, are summed over the last seconds, and
exponential weights over them (as in `aux_motion_core.inference.ensemble`) give the share that enters. A distance is
convex in the prediction, so that the published error is at most the weighted mean of the candidates'. Over a shorter
time the published answer itself is judged: where it was worse, it is taken back at once and comes again slowly.
"""

from __future__ import annotations

import numpy as np

from aux_motion_core.skeleton import INDEX, JOINTS

#: Joint groups that are weighed on their own.
GROUPS = ("trunk", "left_arm", "right_arm", "left_leg", "right_leg")
_LIMBS = {"arm": ("elbow", "wrist", "hand"), "leg": ("knee", "ankle", "foot")}
#: (J,) group of each joint.
GROUP_OF = np.array(
    [
        next(
            (g for g, n in enumerate(GROUPS) if n != "trunk" and j in {f"{n.split('_')[0]}_{k}" for k in _LIMBS[n.split("_")[1]]}),
            0,
        )
        for j in JOINTS
    ]
)
assert INDEX["pelvis"] == 0
#: (G, J) 1 where a joint is of a group.
MEMBERS = (GROUP_OF == np.arange(len(GROUPS))[:, None]).astype(np.float64)
#: Candidates: shares of the slow and of the fast correction; the first is the network alone.
CANDIDATES = np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [0.0, 0.5], [0.0, 1.0], [0.25, 0.25], [0.5, 0.5]])
_NONE = 0
#: Weight of the network alone before anything is known; the candidates share the rest.
PRIOR = 0.7
#: Exponent for each second of a candidate that gains all of the error.
RATE_PER_S = 8.0
#: A gain so much smaller counts: corrections must pay.
MARGIN = 0.01
#: Gains so old count 1/e, seconds: of a person, of all people.
PERSON_S, ALL_S = 15.0, 60.0
#: What all people together tell counts so many seconds for each.
COMMON_S = 6.0
#: The published answer is judged over so long, and taken back where it was worse by so much.
ALARM_S, ALARM = 0.7, 0.02
#: What was taken back comes again with this time constant.
RETURN_S = 4.0
_NOISE_M = 0.002


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
        #: Of all people together: (H, G, E) mean gain, and (H, G) seconds of evidence behind it.
        self.common = np.zeros((horizons, g, e))
        self.common_s = np.zeros((horizons, g))
        self._rows(0)

    def _rows(self, more: int) -> None:
        h, g, e = self._h, len(GROUPS), len(CANDIDATES)
        new = {
            "gain": np.zeros((more, h, g, e)),
            "error": np.zeros((more, h, g)),
            "alarm": np.zeros((more, h, g)),
            "trust": np.ones((more, h, g)),
            "share": np.zeros((more, h, g, 2), np.float32),
        }
        self.rows = {k: np.concatenate([self.rows[k], v]) if self.rows else v for k, v in new.items()}

    def start(self, row: int) -> None:
        """A new person has this row: what all others earned is where it begins."""
        while row >= len(self.rows["trust"]):
            self._rows(max(len(self.rows["trust"]), 16))
        for name in ("gain", "error", "alarm"):
            self.rows[name][row] = 0.0
        self.rows["trust"][row] = 1.0
        h = np.repeat(np.arange(self._h), len(GROUPS))
        self._share(np.full(len(h), row), h, np.tile(np.arange(len(GROUPS)), self._h))

    def shares(self, rows: np.ndarray) -> np.ndarray:
        """(N, H, G, 2) of the slow and the fast correction."""
        return self.rows["share"][rows]

    def _share(self, row: np.ndarray, h: np.ndarray, g: np.ndarray) -> None:
        """Make the shares of these (K,) triples anew."""
        a = self.rows
        common = self.common[h, g] * np.minimum(self.common_s[h, g], COMMON_S)[:, None]
        log = self._prior + RATE_PER_S * (a["gain"][row, h, g] + common)
        log -= log.max(-1, keepdims=True)
        weight = np.exp(log)
        weight /= weight.sum(-1, keepdims=True)
        a["share"][row, h, g] = (weight @ CANDIDATES) * a["trust"][row, h, g][:, None]

    def learn(
        self,
        row: int,
        horizon: int,
        passed_s: float,
        residual: np.ndarray,
        corrections: np.ndarray,
        published: np.ndarray,
        good: np.ndarray,
    ) -> None:
        """One outcome of a person.

        Args:
            row: of the person.
            horizon: which.
            passed_s: since the outcome before, of the person and the horizon.
            residual: (J, 3) metres from the network's answer to what was seen.
            corrections: (2, J, 3) metres, slow and fast, as they were when the prediction was made.
            published: (J, 3) metres, the correction that entered or would have.
            good: (J,) bool, joints that tell something.
        """
        a = self.rows
        n = MEMBERS @ good
        g = np.flatnonzero(n)
        if not len(g):
            return
        tried = np.concatenate([np.einsum("ek,kjc->ejc", CANDIDATES, corrections), published[None]])
        away = residual - tried
        error = np.sqrt(np.einsum("ejc,ejc->ej", away, away)) * good
        error = (error @ MEMBERS[g].T / n[g]).T  # (G', E + 1)
        scale = a["error"][row, horizon, g]
        scale = np.where(scale > 0.0, scale, error[:, _NONE])
        keep = np.exp(-passed_s / PERSON_S)
        a["error"][row, horizon, g] = keep * scale + (1.0 - keep) * error[:, _NONE]
        scale = np.maximum(scale, 0.5 * error[:, _NONE]) + _NOISE_M
        gain = (error[:, _NONE, None] - error) / scale[:, None]
        gain = np.clip(gain, -2.0, 1.0)
        mine = gain[:, :-1] - MARGIN * CANDIDATES.sum(1)
        a["gain"][row, horizon, g] = keep * a["gain"][row, horizon, g] + passed_s * mine
        keep = np.exp(-passed_s / ALL_S)
        seconds = self.common_s[horizon, g]
        total = keep * seconds + passed_s
        self.common[horizon, g] = (self.common[horizon, g] * (keep * seconds)[:, None] + passed_s * mine) / total[:, None]
        self.common_s[horizon, g] = total
        keep = np.exp(-passed_s / ALARM_S)
        alarm = keep * a["alarm"][row, horizon, g] + (1.0 - keep) * gain[:, -1]
        bad = alarm < -ALARM
        trust = a["trust"][row, horizon, g]
        a["trust"][row, horizon, g] = np.where(bad, 0.0, trust + (1.0 - trust) * (1.0 - np.exp(-passed_s / RETURN_S)))
        a["alarm"][row, horizon, g] = np.where(bad, 0.0, alarm)
        self._share(np.full(len(g), row), np.full(len(g), horizon), g)
