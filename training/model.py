# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The auxiliary-adapted transformer (Xu et al., ICCV 2023), compact: one token is a patch of time steps.

Tensors carry (batch, slots, joints, width). History slots hold `patch` observed steps each; future slots are
queries whose outputs are coefficients of a cosine basis over the whole horizon. With `patch = 1` and one future
slot per step the token layout is the paper's own.

Two departures from the authors' code, both because it leaks: the pose that residuals start from and the
velocities fed in come from observed values only (theirs add the clean last pose where it is masked and take
differences through masked frames).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aux_motion_core.skeleton import INDEX, N_JOINTS

#: Joints whose velocity stands for the body's (the trunk moves with the root).
TRUNK = tuple(INDEX[n] for n in ("pelvis", "spine", "neck", "left_hip", "right_hip", "left_shoulder", "right_shoulder"))
#: Additive mask; finite in fp16, and far below any score.
MASKED_SCORE = -1.0e4
#: Largest number of slots that are attended to element by element.
FEW = 4


@dataclass
class ModelConfig:
    """Sizes of the network. Times in steps of `dt_s`."""

    history_steps: int = 10
    future_steps: int = 25
    dt_s: float = 0.04
    patch: int = 5
    future_slots: int = 2
    coefficients: int = 4  # of the cosine basis, per future slot
    width: int = 64
    heads: int = 4
    layers: int = 3
    feed_forward: int = 2  # times width
    old_steps: int = 0  # of the history, the oldest: all in the first patch, beside the `patch` steps that each has
    body: int = 0  # width of what tells every token how the body as a whole has moved; 0: nothing does
    velocity_steps: int = 5  # newest steps that the velocity is fitted to
    dropout: float = 0.0
    still_shrink: float = 0.0  # share of a still person's predicted displacement taken back at the horizon
    still_speed_mps: float = 0.2  # speed up to which a person counts as still
    still_local: float = 0.0  # weight of the limbs' mean squared speed in it, beside the root's
    blend: int = 0  # width of what blends the prediction with held poses and gives its scale; 0: neither
    joints: int = N_JOINTS
    trunk: list[int] = field(default_factory=lambda: list(TRUNK))  # joints whose velocity is the root's
    rest_pose: list[list[float]] = field(default_factory=list)  # (joints, 3); where a joint never seen is; none: 0

    def __post_init__(self) -> None:
        if not self.rest_pose:
            self.rest_pose = [[0.0, 0.0, 0.0]] * self.joints
        if len(self.rest_pose) != self.joints or not all(0 <= j < self.joints for j in self.trunk):
            raise ValueError(f"expected a rest pose of {self.joints} joints, and trunk joints among them")
        if not 0 <= self.old_steps < self.history_steps or (self.history_steps - self.old_steps) % self.patch:
            raise ValueError(
                f"history_steps {self.history_steps} without old_steps {self.old_steps} is no multiple of patch "
                f"{self.patch}"
            )
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")


def attend(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None) -> Tensor:
    """Attention over the last axis but one, `added` to the scores; written out for ONNX, which takes 4 axes only."""
    if not torch.compiler.is_exporting():
        return F.scaled_dot_product_attention(q, k, v, attn_mask=added)
    score = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
    return (score if added is None else score + added).softmax(-1) @ v


def attend_few(q: Tensor, k: Tensor, v: Tensor, keys: Tensor | None) -> Tensor:
    """Attention over few slots, element by element: a runtime's product of two or three rows costs more than its
    arithmetic.

    Args:
        q, k, v: (batch, slots, joints, heads, head width).
        keys: (batch, slots, joints) 0/1, or None for all.
    """
    score = (q[:, :, None] * k[:, None]).sum(-1) * q.shape[-1] ** -0.5  # (batch, slots, slots, joints, heads)
    if keys is not None:
        keys = keys[:, None, :, :, None]
        score = score + (1.0 - keys) * MASKED_SCORE
    share = (score - score.amax(2, keepdim=True)).exp()
    share = share / share.sum(2, keepdim=True)
    if keys is not None:
        share = share * keys.amax(2, keepdim=True)
    return (share[..., None] * v[:, None]).sum(2)


def rows(x: Tensor, linear: nn.Linear) -> Tensor:
    """`linear` of (..., width); exported as a product of two axes and a sum, which runtimes join to one operation.

    Still a matrix product in the graph, as lower precision knows it.
    """
    if not torch.compiler.is_exporting():
        return linear(x)
    return (x if x.dim() == 2 else x.reshape(-1, x.shape[-1])) @ linear.weight.T + linear.bias


class Attention(nn.Module):
    """Pre-norm self-attention over one axis, with its feed-forward, as one residual block.

    Keys can be masked; a row with no key left adds nothing (defined in torch, onnxruntime and fp16 alike).
    """

    def __init__(self, width: int, heads: int, feed_forward: int, axis: str, dropout: float) -> None:
        super().__init__()
        self.axis, self.heads = axis, heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.ff = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, feed_forward * width),
            nn.GELU(approximate="tanh"),
            nn.Dropout(dropout),
            nn.Linear(feed_forward * width, width),
        )

    @staticmethod
    def _over_joints(q: Tensor, k: Tensor, v: Tensor, keys: Tensor | None) -> Tensor:
        """Over the third axis of (batch, slots, joints, heads, head width); keys (batch, slots, joints) 0/1."""
        q, k, v = (t.transpose(2, 3) for t in (q, k, v))
        if keys is None:
            return attend(q, k, v, None).transpose(2, 3)
        keys = keys[:, :, None, None, :]
        y = attend(q, k, v, (1.0 - keys) * MASKED_SCORE) * keys.amax(-1, keepdim=True)
        return y.transpose(2, 3)

    def forward(self, x: Tensor, of: tuple[int, int, int], observed: Tensor | None) -> Tensor:
        """x: (tokens, width), `of` (batch, slots, joints); observed: (batch, slots, joints) 0/1 keys, None: all."""
        w = x.shape[-1]
        # (batch, slots, joints, heads, head width) each
        q, k, v = (t.reshape(*of, self.heads, w // self.heads) for t in rows(self.norm(x), self.qkv).split(w, -1))
        keys = None if observed is None else observed.to(q.dtype)
        if self.axis == "space":
            y = self._over_joints(q, k, v, keys)
        elif of[1] <= FEW:
            y = attend_few(q, k, v, keys)
        else:
            swap = [None if t is None else t.transpose(1, 2) for t in (q, k, v, keys)]
            y = self._over_joints(*swap).transpose(1, 2)
        x = x + rows(y.reshape(-1, w), self.out)
        normed, wide, gelu, drop, narrow = self.ff
        return x + rows(drop(gelu(rows(normed(x), wide))), narrow)


class Layer(nn.Module):
    """Observed-only attention on the history, then full attention; each temporal, then spatial."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        block = lambda axis: Attention(c.width, c.heads, c.feed_forward, axis, c.dropout)  # noqa: E731
        self.observed_time, self.observed_space = block("time"), block("space")
        self.full_time, self.full_space = block("time"), block("space")

    def observed_only(self, x: Tensor, observed: Tensor) -> Tensor:
        """Update observed history tokens (batch, slots, joints, width) from observed ones; others stay as they are."""
        of = x.shape[:-1]
        y = self.observed_time(x.reshape(-1, x.shape[-1]), of, observed)
        y = self.observed_space(y, of, observed)
        return torch.where(observed[..., None] > 0, y.reshape(x.shape), x)

    def full(self, x: Tensor) -> Tensor:
        """Update all tokens (batch, slots, joints, width)."""
        of = x.shape[:-1]
        y = self.full_space(self.full_time(x.reshape(-1, x.shape[-1]), of, None), of, None)
        return y.reshape(x.shape)


class PredictionHead(nn.Module):
    """Cosine coefficients of the residual and two gates on the damped base motion, per future token."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(c.width)
        self.linear = nn.Linear(c.width, 3 * c.coefficients + 2)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(x))


def cosine_basis(steps: int, coefficients: int) -> np.ndarray:
    """(steps, coefficients) DCT-II rows at the middle of each step, unit amplitude."""
    t = (np.arange(steps) + 0.5) / steps
    return np.cos(math.pi * t[:, None] * np.arange(coefficients)[None, :])


class Blend(nn.Module):
    """What is believed of the network's prediction, and how far off it may be: per joint, from what is observed.

    The mean is a convex combination, which varies over the horizon, of `EXPERTS`; the scale is one sigma per axis of
    the normalised frame. It is fitted (`training.fitting.blending`) on predictions of motions that the networks had not
    seen, so it sees nothing but quantities that mean the same for every network: no tokens.

    Its weights have a first axis of length 1: matrices of two axes are the trunk's, which lower precision may touch.
    """

    EXPERTS = ("network", "network on the smoothed pose", "last pose", "mean pose", "smoothed pose", "damped motion")
    FEATURES = 23
    #: What lengths in metres are compared with before their logarithm is taken: about a good tracker's noise.
    FLOOR_M = 0.003
    #: Number of powers of the logarithm of time that describe how weights and scale change over the horizon.
    POWERS = 4
    _HORIZONS_S = (0.2, 0.4, 1.0)
    #: Steps that the smoothed pose and the noise are told from; the mean pose is one of the whole history.
    NEWEST = 10

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        experts, width, body = len(self.EXPERTS), c.blend, 8
        self.embedding = nn.Parameter(torch.zeros(1, c.joints, body))
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        sizes = (2 * self.FEATURES + body, width, width, (experts + 3) * self.POWERS)
        for k, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
            self.weights.append(nn.Parameter(torch.randn(1, fan_in, fan_out) * (fan_in**-0.5 if k < 2 else 0.0)))
            self.biases.append(nn.Parameter(torch.zeros(1, 1, fan_out)))
        with torch.no_grad():  # a fresh one trusts the network
            self.biases[-1].view(self.POWERS, -1)[0, 0] = 2.0
        self.register_buffer("mean", torch.zeros(1, 1, self.FEATURES))
        self.register_buffer("spread", torch.ones(1, 1, self.FEATURES))

        t = self.steps = min(c.history_steps, self.NEWEST)
        seconds = np.arange(1, c.future_steps + 1) * c.dt_s
        log_time = np.log(seconds / seconds[0]) / max(np.log(c.future_steps), 1.0)
        const = lambda name, value: self.register_buffer(name, torch.as_tensor(value).float(), False)  # noqa: E731
        const("powers", (log_time[:, None] ** np.arange(self.POWERS))[None, None])  # (1, 1, steps, powers)
        const("time", (np.arange(t) - t + 1)[:, None] * c.dt_s)
        third = np.zeros((max(t - 3, 1), t))
        for k in range(t - 3):
            third[k, k : k + 4] = (-1.0, 3.0, -3.0, 1.0)
        const("third", third[None])
        const("four", (third != 0).astype(float)[None])
        at = [min(c.future_steps, max(1, round(s / c.dt_s))) - 1 for s in self._HORIZONS_S]
        self.register_buffer("at", torch.tensor(at), False)
        self.window_s = t * c.dt_s

    def describe(self, x: Tensor, m: Tensor, out: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Features (batch, joints, FEATURES) and the poses that are blended (batch, joints, 3, 3).

        Args:
            x: (batch, history, joints, 3), zero where not observed.
            m: (batch, history, joints) 0/1.
            out: of `AuxMotionModel.forward_all`; its last head counts.
        """
        whole_mean = x.sum(1) / m.sum(1).clamp(min=1.0)[..., None]
        whole_seen = m.amax(1)  # (batch, joints)
        x, m = x[:, -self.steps :], m[:, -self.steps :]
        b, t, j, _ = x.shape
        present, root, local, network = (out[k] for k in ("present", "root_velocity", "local_velocity", "future"))
        network = network[-1]
        seen = m.amax(1)  # (batch, joints)
        count = m.sum(1)
        n = count.clamp(min=1.0)[..., None]
        # least squares line through each joint's history: its value now, and what it leaves
        w = m[..., None]
        centre = (w * self.time[:, None]).sum(1) / n  # (batch, joints, 1)
        off = (self.time[:, None] - centre[:, None]) * w
        mean = x.sum(1) / n
        spread = off.square().sum(1)
        slope = (off * x).sum(1) / spread.clamp(min=1e-3)
        line_now = mean - slope * centre
        left = (x - mean[:, None] - slope[:, None] * off) * w
        left = left.square().sum((1, 3)) / n[..., 0]
        # third differences leave noise, not motion; white noise of variance s^2 has 20 s^2 there
        whole = ((self.four @ m) > 3.5).to(x.dtype)
        rough = (self.third @ x.reshape(b, t, j * 3)).reshape(b, -1, j, 3).square().sum(-1) * whole
        times = whole.sum(1)
        rough = rough.sum(1) / (20.0 * times.clamp(min=1.0))
        known = (times > 0).to(x.dtype)
        everywhere = (rough * known).sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp(min=1.0)
        rough = torch.where(known > 0, rough, everywhere)
        few = (count < 1.5)[..., None]
        mean = torch.where(few & (whole_seen < 0.5)[..., None], present, whole_mean)
        line_now = torch.where((count < 2.5)[..., None], present, line_now)

        moved = network.index_select(1, self.at) - present[:, None]  # (batch, 3, joints, 3)
        damped = out["damped"].index_select(1, self.at) - present[:, None]
        recovered = out["recovered"][:, -1] - present
        root = root.expand(-1, j, -1)
        poses = torch.stack([present, mean, line_now, root, local], 1)  # (batch, 5, joints, 3)
        ways = torch.cat(
            [moved, damped, moved - damped, poses[:, 1:3] - present[:, None], 0.2 * poses[:, 3:], recovered[:, None]], 1
        )  # (batch, 14, joints, 3) metres; speeds over 0.2 s
        squares = torch.cat([ways.square().sum(-1), rough[:, None], left[:, None]], 1).transpose(1, 2)
        squares = torch.cat([squares, moved[:, 1].square()], -1)
        plain = torch.stack([out["age"] / self.window_s, seen, count / t, present[..., 2]], -1)
        features = torch.cat([0.5 * (squares + self.FLOOR_M**2).log(), plain], -1)
        return features, poses[:, :3].transpose(1, 2)

    def coefficients(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the experts (batch, joints, steps, experts) and log scale (batch, joints, steps, 3)."""
        b, j, _ = features.shape
        f = (features - self.mean) / self.spread
        h = torch.cat([f, f.mean(1, keepdim=True).expand(-1, j, -1), self.embedding.expand(b, -1, -1)], -1)
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            h = h @ weight + bias
            if k + 1 < len(self.weights):
                h = torch.tanh(h)
        experts = len(self.EXPERTS)
        y = self.powers @ h.reshape(b, j, self.POWERS, experts + 3)
        return y[..., :experts].softmax(-1), y[..., experts:]

    def combine(self, weights: Tensor, poses: Tensor, network: Tensor, damped: Tensor) -> Tensor:
        """The blended future (batch, steps, joints, 3).

        Args:
            weights: (batch, joints, steps, experts).
            poses: (batch, joints, 3, 3): last, mean and smoothed pose.
            network: (batch, steps, joints, 3).
            damped: alike.
        """
        # the network's displacement from the smoothed instead of the last pose
        shift = poses[:, :, 2:] - poses[:, :, :1]
        held = weights[..., 1:5] @ torch.cat([shift, poses], 2)
        moving = (weights[..., :1] + weights[..., 1:2]) * network.transpose(1, 2)
        return (held + moving + weights[..., 5:] * damped.transpose(1, 2)).transpose(1, 2)


class BodyMotion(nn.Module):
    """How the trunk has moved during the whole history, for every token: a tracker's sway goes and comes back within
    tenths of a second, somebody who walks goes on.

    Lengths are compared with `SCALE_M`, about a depth tracker's sway, before they are compressed.
    """

    SCALE_M = 0.02

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        steps = c.history_steps
        self.layers = nn.Sequential(
            nn.Linear(steps * 7 + 6, c.body),
            nn.GELU(approximate="tanh"),
            nn.Linear(c.body, c.body),
            nn.GELU(approximate="tanh"),
            nn.Linear(c.body, c.width),
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)
        self.register_buffer("time", ((torch.arange(steps) - steps + 1) * c.dt_s)[:, None], False)
        trunk = torch.full((c.joints,), 1e-3)  # others count where no joint of the trunk is seen
        trunk[c.trunk] = 1.0
        self.register_buffer("weight", trunk, False)

    def forward(self, x: Tensor, m: Tensor, present: Tensor, root: Tensor) -> Tensor:
        """(batch, 1, 1, width) from the arguments and answers of `AuxMotionModel.base_motion`."""
        w = m * self.weight
        total = w.sum(-1, keepdim=True)  # (batch, steps, 1)
        way = ((x - present[:, None]) * w[..., None]).sum(2) / total.clamp(min=1e-4)  # (batch, steps, 3)
        seen = (total > 0).to(x.dtype)
        n = seen.sum(1, keepdim=True).clamp(min=1.0)
        t = (self.time - (self.time * seen).sum(1, keepdim=True) / n) * seen
        line = (t * way).sum(1) / t.square().sum(1).clamp(min=1e-3)  # velocity over the whole history, (batch, 3)
        both = seen[:, 1:] * seen[:, :-1]
        step = (way[:, 1:] - way[:, :-1]) * both
        step = torch.cat([torch.zeros_like(step[:, :1]), step], 1)
        parts = torch.cat([torch.asinh(way / self.SCALE_M), torch.asinh(step / (0.2 * self.SCALE_M)), seen], -1)
        speeds = torch.asinh(torch.cat([line, root[:, 0]], -1) / 0.1)
        # three axes: a matrix product in the graph, as all others are, which lower precision knows
        return self.layers(torch.cat([parts.flatten(1), speeds], -1)[:, None])[:, None]


class AuxMotionModel(nn.Module):
    """Prediction, recovery of masked joints and denoising over one trunk.

    Input and output are in the normalised frame (metres; origin at the root, x along the heading).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c = self.config = config
        self.history_slots = (c.history_steps - c.old_steps) // c.patch
        slots = self.history_slots + c.future_slots
        # a patch: positions, observed differences, which steps are observed, and the fitted velocities
        self.encode = nn.Linear(c.patch * 7 + 6, c.width)
        self.encode_old = nn.Linear(c.old_steps * 7, c.width, bias=False) if c.old_steps else None
        if self.encode_old is not None:
            nn.init.zeros_(self.encode_old.weight)
        self.body = BodyMotion(c) if c.body else None
        self.joint_embedding = nn.Parameter(0.02 * torch.randn(c.joints, c.width))
        self.time_embedding = nn.Parameter(0.02 * torch.randn(slots, c.width))
        self.masked_token = nn.Parameter(0.02 * torch.randn(c.width))
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.predict_heads = nn.ModuleList(PredictionHead(c) for _ in range(c.layers))
        self.recover_head = nn.Sequential(nn.LayerNorm(c.width), nn.Linear(c.width, 3 * c.patch))
        self.denoise_head = nn.Sequential(nn.LayerNorm(c.width), nn.Linear(c.width, 3 * c.patch))
        for head in (self.recover_head, self.denoise_head):
            nn.init.zeros_(head[1].weight)
            nn.init.zeros_(head[1].bias)
        self.log_tau = nn.Parameter(torch.tensor([0.7, -1.2]))  # of root and local motion, log seconds

        steps = c.history_steps
        const = lambda name, value: self.register_buffer(name, torch.as_tensor(value).float(), False)  # noqa: E731
        const("later", np.tril(np.ones((steps, steps)), -1).T.copy())  # later[k] @ obs = observed after k
        const("time", (np.arange(steps) - steps + 1) * c.dt_s)
        const("ahead", np.arange(1, c.future_steps + 1) * c.dt_s)
        const("basis", cosine_basis(c.future_steps, c.coefficients * c.future_slots))
        trunk = np.zeros(c.joints)
        trunk[c.trunk] = 1.0
        const("trunk", trunk)
        self.register_buffer("rest", torch.tensor(c.rest_pose, dtype=torch.float32))
        self.blend = Blend(c) if c.blend else None

    def glide(self, seconds: Tensor, part: int) -> Tensor:
        """How far unit velocity carries within `seconds`, decaying; part 0 is the root's, 1 the local motion's."""
        tau = self.log_tau[part].exp()
        return tau * (1.0 - torch.exp(-seconds / tau))

    def base_motion(self, x: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """What observed values alone say of each joint's present place and velocity.

        Args:
            x: (batch, history, joints, 3), zero where not observed.
            m: (batch, history, joints) 0/1.

        Returns:
            present (batch, joints, 3), root velocity (batch, 1, 3), local velocity (batch, joints, 3), the filled
            history (batch, history, joints, 3), and seconds since each joint was last seen (batch, joints).
        """
        is_last = m * (self.later @ m < 0.5)
        seen = m.amax(1)  # (batch, joints)
        last = (x * is_last[..., None]).sum(1)
        age = -(is_last * self.time[:, None]).sum(1)  # seconds since last seen

        newest = slice(-self.config.velocity_steps, None)
        w, seconds = m[:, newest], self.time[newest, None]
        n = w.sum(1).clamp(min=1.0)
        t = (seconds - (w * seconds).sum(1, keepdim=True) / n[:, None]) * w
        spread = (t * t).sum(1)
        velocity = (t[..., None] * x[:, newest]).sum(1) / spread.clamp(min=1e-4)[..., None]
        # the fewer samples, the less a joint's own velocity counts (two neighbouring ones have a spread of dt^2 / 2)
        trust = spread / (spread + 0.25 * self.config.dt_s**2) * (spread > 1e-4)
        some = (trust * self.trunk).amax(1, keepdim=True)
        use = trust * torch.where(some > 0, self.trunk, torch.ones_like(self.trunk))
        root = use[:, None] @ velocity / use.sum(1)[:, None, None].clamp(min=1e-3)
        local = (velocity - root) * trust[..., None]

        # where it is by now, if it was last seen a while ago
        root_by_now, local_by_now = (self.glide(age, k)[..., None] for k in (0, 1))
        present = torch.where(seen[..., None] > 0, last + root * root_by_now + local * local_by_now, self.rest)
        held = present[:, None] + root[:, None] * self.time[None, :, None, None]
        filled = torch.where(m[..., None] > 0, x, held)
        return present, root, local, filled, age + (1.0 - seen) * (self.config.history_steps * self.config.dt_s)

    def tokens(self, x: Tensor, m: Tensor, root: Tensor, local: Tensor) -> tuple[Tensor, Tensor]:
        """Encoded history patches (batch, history slots, joints, width) and which of them are observed."""
        b, t, j, _ = x.shape
        c, n, old = self.config, self.history_slots, self.config.old_steps
        both = m[:, 1:] * m[:, :-1]
        step = (x[:, 1:] - x[:, :-1]) * both[..., None]
        step = torch.cat([torch.zeros_like(step[:, :1]), step], 1) / c.dt_s * 0.25
        steps = torch.cat([x, step, m[..., None]], -1)
        patch = steps[:, old:].reshape(b, n, c.patch, j, 7)
        patch = patch.permute(0, 1, 3, 2, 4).reshape(b, n, j, c.patch * 7)
        motion = torch.cat([root.expand(-1, j, -1), local], -1)[:, None].expand(-1, n, -1, -1) * 0.25
        observed = m[:, old:].reshape(b, n, c.patch, j).amax(2)
        if old:
            first = torch.maximum(observed[:, :1], m[:, :old].amax(1, keepdim=True))
            observed = torch.cat([first, observed[:, 1:]], 1)
        e = self.encode(torch.cat([patch, motion * observed[..., None]], -1))
        if old:
            older = self.encode_old(steps[:, :old].transpose(1, 2).reshape(b, j, old * 7))[:, None]
            e = torch.cat([e[:, :1] + older, e[:, 1:]], 1)
        return torch.where(observed[..., None] > 0, e, self.masked_token), observed

    def forward_all(self, positions: Tensor, observed: Tensor) -> dict[str, Tensor]:
        """All heads.

        Args:
            positions: (batch, history, joints, 3) metres, normalised; any value where not observed.
            observed: (batch, history, joints) 0/1.

        Returns:
            `future` (layers, batch, steps, joints, 3), `recovered` and `denoised` (batch, history, joints, 3),
            `present` (batch, joints, 3), `root_velocity` (batch, 1, 3) and `local_velocity` (as `present`) of the base,
            `damped` (batch, steps, joints, 3) where these alone lead, `age` (batch, joints) seconds since last seen.
        """
        c = self.config
        m = observed
        x = torch.where(m[..., None] > 0, positions, torch.zeros_like(positions))
        present, root, local, filled, age = self.base_motion(x, m)
        history, seen = self.tokens(x, m, root, local)
        h = self.history_slots
        place = self.time_embedding[:, None, :] + self.joint_embedding
        history = history + place[:h]
        queries = (self.masked_token + place[h:]).expand(x.shape[0], -1, -1, -1)
        if self.body is not None:
            how = self.body(x, m, present, root)
            history, queries = history + how, queries + how

        root_shift = self.glide(self.ahead, 0)[:, None, None] * root[:, None]  # (batch, steps, 1, 3)
        local_shift = self.glide(self.ahead, 1)[:, None, None] * local[:, None]  # (batch, steps, joints, 3)

        futures = []
        tokens = history
        for i, layer in enumerate(self.layers):
            # masked tokens take part from the first full attention on
            past = layer.observed_only(tokens[:, :h], seen)
            tokens = torch.cat([past, queries if i == 0 else tokens[:, h:]], 1)
            tokens = layer.full(tokens)
            if self.training or i == len(self.layers) - 1:
                out = self.predict_heads[i](tokens[:, h:])  # (batch, future slots, joints, 3k + 2)
                b, s, j, _ = out.shape
                gate = 2.0 * torch.sigmoid(out[..., -2:].mean(1))  # (batch, joints, 2)
                k = out[..., :-2].reshape(b, s, j, c.coefficients, 3).permute(0, 1, 3, 2, 4)
                k = k.reshape(b, s * c.coefficients, j * 3)
                residual = (self.basis @ k).reshape(b, c.future_steps, j, 3)
                futures.append(
                    present[:, None] + gate[:, None, :, :1] * root_shift + gate[:, None, :, 1:] * local_shift + residual
                )
        return {
            "future": torch.stack(futures),
            "present": present,
            "root_velocity": root,
            "local_velocity": local,
            "damped": present[:, None] + root_shift + local_shift,
            "age": age,
            "recovered": filled + self._unpatch(self.recover_head(tokens[:, :h])),
            "denoised": filled + self._unpatch(self.denoise_head(tokens[:, :h])) if self.training else filled,
        }

    def _unpatch(self, y: Tensor) -> Tensor:
        b, s, j, _ = y.shape
        p = self.config.patch
        y = y.reshape(b, s, j, p, 3).permute(0, 1, 3, 2, 4).reshape(b, s * p, j, 3)
        # of what is older than the patches nothing is recovered
        return F.pad(y, (0, 0, 0, 0, self.config.old_steps, 0)) if self.config.old_steps else y

    def take_back(self, out: dict[str, Tensor]) -> Tensor:
        """The last head's future (batch, steps, joints, 3), of still people with part of the displacement taken back.

        More the farther ahead. The share is fitted (`training.fitting.still_shrink`) on motions that the network never
        saw, where it trusts itself too much.
        """
        c = self.config
        future, present = out["future"][-1], out["present"][:, None]
        if not c.still_shrink:
            return future
        speed2 = out["root_velocity"].square().sum(-1).mean(-1)
        speed2 = speed2 + c.still_local * out["local_velocity"].square().sum(-1).mean(-1)
        still = torch.exp(-speed2 / c.still_speed_mps**2)[:, None, None, None]
        ahead = self.ahead[:, None, None] / (c.future_steps * c.dt_s)
        return present + (future - present) * (1.0 - c.still_shrink * ahead * still)

    def taken_back(self, out: dict[str, Tensor]) -> dict[str, Tensor]:
        """`forward_all`'s answer with `take_back` done: what is blended."""
        return {**out, "future": self.take_back(out)[None]}

    def blended(self, positions: Tensor, observed: Tensor, out: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The blended future and its scale, both (batch, steps, joints, 3), of what `forward_all` returned."""
        out = self.taken_back(out)
        x = torch.where(observed[..., None] > 0, positions, torch.zeros_like(positions))
        features, poses = self.blend.describe(x, observed, out)
        weights, log_scale = self.blend.coefficients(features)
        future = self.blend.combine(weights, poses, out["future"][-1], out["damped"])
        return future, log_scale.exp().transpose(1, 2)

    def forward(self, positions: Tensor, observed: Tensor) -> tuple[Tensor, ...]:
        """The exported function: the prediction, the history with its gaps recovered, and with a blend the scale."""
        out = self.forward_all(positions, observed)
        recovered = torch.where(observed[..., None] > 0, positions, out["recovered"])
        if self.blend is None:
            return self.take_back(out), recovered
        future, scale = self.blended(positions, observed, out)
        return future, recovered, scale
