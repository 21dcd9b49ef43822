# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Small replays of the worst moments for the report: numbers and a script in the page, nothing loaded."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from aux_motion_core.constants import NS
from aux_motion_core.evaluation.outcomes import seen_joints
from aux_motion_core.evaluation.worst import WorstMoment
from aux_motion_core.skeleton import BONES, INDEX
from aux_motion_core.types import SkeletonFrame

#: Shown before the prediction, and after its horizon, seconds.
_BEFORE_S, _AFTER_S = 0.5, 0.05
#: Frames nearer to each other are left out: a screen shows no more, and the page stays small.
_LEAST_S = 0.03
#: The bag is read from so long before a moment, and no further than so long after it, by its log.
_EARLIER_S, _LATER_S = 2.0, 60.0
#: Where a tracker changed somebody's id, the same body is the one that is nearest, metres.
_SAME_BODY_M = 0.6
#: Millimetres in 16 bits; the least number: not seen.
_UNSEEN, _LARGEST = -32768, 32767

Frames = Callable[[int], Iterator[tuple[int, SkeletonFrame]]]


@dataclass(frozen=True)
class Clip:
    """What was seen around a moment.

    Attributes:
        moment: the prediction.
        at_s: (N,) seconds after it.
        seen: (N, J, 3) metres, NaN where not seen.
    """

    moment: WorstMoment
    at_s: np.ndarray
    seen: np.ndarray


def clips(frames: Frames, start_ns: int, moments: list[WorstMoment]) -> list[Clip]:
    """Read again what was seen around moments.

    Args:
        frames: gives (log_time_ns, frame) from a log time on.
        start_ns: log time of the bag's start.
        moments: of that bag.
    """
    takers = [_Taker(moment, start_ns) for moment in moments]
    waiting = sorted(takers, key=lambda t: t.from_ns)
    while waiting:
        waiting = _read(frames, waiting)
    return [t.clip() for t in takers]


def _read(frames: Frames, waiting: list[_Taker]) -> list[_Taker]:
    """Read on from the first moment as long as any takes something; those that are left, in order."""
    taking: list[_Taker] = []
    for log_time_ns, frame in frames(waiting[0].from_ns):
        while waiting and (not taking or waiting[0].from_ns <= log_time_ns):
            taking.append(waiting.pop(0))
        taking = [t for t in taking if t.take(log_time_ns, frame)]
        if not taking:
            return waiting
    return waiting if taking else waiting[1:]  # none: there is nothing from then on


class _Taker:
    """Takes what was seen around a moment from the frames of the bag.

    Args:
        moment: the prediction.
        start_ns: log time of the bag's start.

    Attributes:
        from_ns: log time of the first frame that it wants.
    """

    def __init__(self, moment: WorstMoment, start_ns: int) -> None:
        self._moment, self._body = moment, moment.present
        self._first_ns = moment.stamp_ns - round(_BEFORE_S * NS)
        self._last_ns = moment.stamp_ns + round((moment.horizon_s + _AFTER_S) * NS)
        self.from_ns = start_ns + round(max(moment.at_s - _EARLIER_S, 0.0) * NS)
        self._until_ns = start_ns + round((moment.at_s + _LATER_S) * NS)
        self._times: list[float] = []
        self._poses: list[np.ndarray] = []

    def take(self, log_time_ns: int, frame: SkeletonFrame) -> bool:
        """Take a frame; whether more are wanted."""
        if log_time_ns > self._until_ns or (frame.stamp_ns > self._last_ns and log_time_ns > self.from_ns + NS):
            return False
        at_s = (frame.stamp_ns - self._moment.stamp_ns) / NS
        if not self._first_ns <= frame.stamp_ns <= self._last_ns:
            return True
        if self._times and at_s - self._times[-1] < _LEAST_S:
            return True
        pose = _whose(frame, self._moment.person_id, self._body)
        if pose is not None:
            self._body = np.where(np.isfinite(pose), pose, self._body)
            self._times.append(at_s)
            self._poses.append(pose)
        return True

    def clip(self) -> Clip:
        """What was taken."""
        return Clip(self._moment, np.array(self._times), np.array(self._poses).reshape(len(self._poses), -1, 3))


def _whose(frame: SkeletonFrame, person_id: str, body: np.ndarray) -> np.ndarray | None:
    """(J, 3) the pose of that person, NaN where not seen; None: not in the frame."""
    poses = np.where(seen_joints(frame)[..., None], frame.positions, np.nan)
    if person_id in frame.person_ids:
        return poses[frame.person_ids.index(person_id)]
    if not len(poses):
        return None
    away = np.linalg.norm(poses - body, axis=-1)
    mean = np.where(np.isfinite(away).any(1), np.nanmean(np.where(np.isfinite(away), away, np.nan), 1), np.inf)
    nearest = int(np.argmin(mean))
    return poses[nearest] if mean[nearest] < _SAME_BODY_M else None


def _packed(values: np.ndarray, origin: np.ndarray) -> str:
    """(..., 3) metres from an origin as base64 of 16-bit millimetres."""
    away = np.round(1e3 * (values - origin))
    whole = np.where(np.isfinite(away), np.clip(away, -_LARGEST, _LARGEST), _UNSEEN)
    return base64.b64encode(whole.astype("<i2").tobytes()).decode("ascii")


def _heading(moment: WorstMoment) -> float:
    """Angle of the horizontal direction in which prediction and truth differ or the person moves most."""
    good = np.isfinite(moment.truth).all(1)
    moves = np.concatenate(
        [
            (moment.truth - moment.present)[good, :2],
            (moment.predicted - moment.present)[:, :2],
            (moment.predicted - moment.truth)[good, :2],
        ]
    )
    values, vectors = np.linalg.eigh(moves.T @ moves)
    along = vectors[:, -1] if values[-1] > 1e-9 else np.array([1.0, 0.0])
    return float(np.arctan2(along[1], along[0]))


def _data(clip: Clip, dt_s: float) -> dict[str, Any]:
    moment = clip.moment
    origin = np.where(np.isfinite(moment.present), moment.present, 0.0).mean(0)
    others = {k: v for k, v in moment.others_m.items() if np.isfinite(v)}
    still = others.get("zero_velocity")
    beside = f" (staying: {1e3 * still:.0f} mm)" if still is not None else ""
    return {
        "title": f"{moment.person_id} at {moment.at_s:.1f} s: {1e3 * moment.error_m:.0f} mm{beside}",
        "yaw": round(_heading(moment), 3),
        "dt": dt_s,
        "horizon": moment.horizon_s,
        "times": [round(float(t), 3) for t in clip.at_s],
        "seen": _packed(clip.seen, origin),
        "path": _packed(np.concatenate([moment.present[None], moment.path]), origin),
    }


def html(found: list[Clip], dt_s: float) -> str:
    """The replays as a block of HTML.

    Args:
        found: clips.
        dt_s: of the predictions' steps.
    """
    if not found:
        return ""
    data = json.dumps([_data(clip, dt_s) for clip in found], separators=(",", ":")).replace("</", "<\\/")
    trunk = [INDEX["spine"], INDEX["pelvis"], INDEX["neck"]]
    script = _SCRIPT.replace("$BONES", json.dumps([list(b) for b in BONES])).replace("$TRUNK", json.dumps(trunk))
    boxes = "".join(
        f'<figure class="replay"><canvas></canvas><div><button type="button" aria-label="play">&#9654;</button>'
        f'<input type="range" aria-label="time" min="-0.5" max="{clip.moment.horizon_s:g}" step="0.01" '
        f'value="{clip.moment.horizon_s:g}"><output></output></div><figcaption></figcaption></figure>'
        for clip in found
    )
    return (
        f'<div class="replays">{boxes}</div><p class="muted small"><span class="key seen"></span>seen '
        '<span class="key predicted"></span>predicted at 0&nbsp;s <span class="key now"></span>the pose at 0&nbsp;s. '
        "Drag a picture to turn it.</p>"
        f'<script type="application/json" id="replay-data">{data}</script><script>{script}</script>'
    )


def view_note(folder: str) -> str:
    """How to look at all of it, as a block of HTML."""
    return (
        f'<p class="note">Look at all of it, moment by moment: <code>aux-motion view {escape(folder)}</code>, then '
        'open <a href="http://localhost:8088/">localhost:8088</a>.</p>'
    )


STYLE = """
.replays{display:grid;grid-template-columns:repeat(auto-fill,minmax(230px,1fr));gap:14px;margin:10px 0}
.replay{margin:0;border:1px solid var(--line);border-radius:8px;padding:8px;background:var(--panel)}
.replay canvas{width:100%;height:250px;display:block;cursor:grab;touch-action:pan-y}
.replay div{display:flex;gap:8px;align-items:center}.replay input{flex:1;min-width:0;accent-color:var(--predicted)}
.replay button{border:1px solid var(--line);border-radius:6px;background:none;color:inherit;width:34px;height:30px;
cursor:pointer}
.replay output{font-size:12px;width:52px;text-align:right;font-variant-numeric:tabular-nums}
.replay figcaption{font-size:13px;color:var(--muted)}
.key{display:inline-block;width:18px;height:4px;border-radius:2px;margin:0 5px 3px 10px}
.key.seen{background:var(--seen)}.key.predicted{background:var(--predicted)}.key.now{background:var(--ink)}
"""

_SCRIPT = """
(() => {
  const BONES = $BONES, [SPINE, PELVIS, NECK] = $TRUNK, J = 20;
  const data = JSON.parse(document.getElementById('replay-data').textContent);
  const unpack = text => {
    const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0));
    return new Int16Array(bytes.buffer);
  };
  const between = (a, i, k, w) => {  // pose k of a, the share w of the way to pose i
    const out = new Float32Array(J * 3);
    for (let n = 0; n < J * 3; n++) {
      const p = a[k * J * 3 + n], q = a[i * J * 3 + n];
      out[n] = p === -32768 || q === -32768 ? NaN : p + w * (q - p);
    }
    return out;
  };
  const seenAt = (clip, t) => {
    const times = clip.times;
    let i = times.findIndex(x => x >= t);
    if (times.length === 0 || (i < 0 && t - times[times.length - 1] > 0.1)) return null;
    if (i < 0) i = times.length - 1;
    const k = Math.max(i - 1, 0), gap = times[i] - times[k];
    if (gap > 0.25) return null;
    return between(clip.seenPoses, i, k, gap > 0 ? Math.min(Math.max((t - times[k]) / gap, 0), 1) : 0);
  };
  const predictedAt = (clip, t) => {
    const steps = clip.pathPoses.length / (J * 3) - 1;
    const s = Math.min(Math.max(t / clip.dt, 0), steps), k = Math.min(Math.floor(s), steps - 1);
    return between(clip.pathPoses, k + 1, k, s - k);
  };
  const colour = name => getComputedStyle(document.body).getPropertyValue('--' + name).trim();
  const players = data.map((clip, n) => {
    clip.seenPoses = unpack(clip.seen);
    clip.pathPoses = unpack(clip.path);
    const box = document.querySelectorAll('.replay')[n], canvas = box.querySelector('canvas');
    const slider = box.querySelector('input'), button = box.querySelector('button');
    const player = {clip, canvas, slider, button, yaw: clip.yaw, t: clip.horizon, playing: false};
    box.querySelector('figcaption').textContent = clip.title;
    // as large as all that is ever drawn, from whatever side
    let wide = 600, high = 700;
    for (const a of [clip.seenPoses, clip.pathPoses]) for (let i = 0; i < a.length; i += 3) {
      if (a[i] === -32768) continue;
      wide = Math.max(wide, Math.hypot(a[i], a[i + 1]) + 120);
      high = Math.max(high, Math.abs(a[i + 2]) + 120);
    }
    player.wide = wide; player.high = high;
    player.draw = () => {
      const ratio = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
      if (canvas.width !== Math.round(w * ratio)) { canvas.width = w * ratio; canvas.height = h * ratio; }
      const g = canvas.getContext('2d');
      g.setTransform(ratio, 0, 0, ratio, 0, 0);
      g.clearRect(0, 0, w, h);
      const scale = Math.min(w / (2 * wide), h / (2 * high)), c = Math.cos(player.yaw), s = Math.sin(player.yaw);
      const at = (pose, j) => {
        const [x, y, z] = pose.subarray(3 * j, 3 * j + 3);
        return [w / 2 + scale * (c * x + s * y), h / 2 - scale * z];
      };
      const skeleton = (pose, name, width, alpha) => {
        if (!pose) return;
        g.strokeStyle = colour(name); g.lineWidth = width; g.lineCap = 'round'; g.globalAlpha = alpha;
        g.beginPath();
        const bones = isNaN(pose[3 * SPINE]) ? BONES.concat([[PELVIS, NECK]]) : BONES;
        for (const [a, b] of bones) {
          const p = at(pose, a), q = at(pose, b);
          if (isNaN(p[0] + q[0])) continue;
          g.moveTo(p[0], p[1]); g.lineTo(q[0], q[1]);
        }
        g.stroke(); g.globalAlpha = 1;
      };
      skeleton(seenAt(clip, player.t), 'seen', 6, 1);
      skeleton(predictedAt(clip, 0), 'ink', 1.2, player.t > 0 ? 0.45 : 0);
      if (player.t >= 0) skeleton(predictedAt(clip, player.t), 'predicted', 2.4, 1);
      slider.value = player.t;
      box.querySelector('output').textContent = (player.t >= 0 ? '+' : '') + player.t.toFixed(2) + ' s';
      button.innerHTML = player.playing ? '&#10073;&#10073;' : '&#9654;';
    };
    button.addEventListener('click', () => {
      player.playing = !player.playing;
      if (player.playing && player.t >= clip.horizon) player.t = -0.5;
      player.last = performance.now();
      player.draw();
      if (player.playing) requestAnimationFrame(run);
    });
    slider.addEventListener('input', () => { player.playing = false; player.t = +slider.value; player.draw(); });
    let from = null;
    canvas.addEventListener('pointerdown', e => {
      from = [e.clientX, player.yaw];
      canvas.setPointerCapture(e.pointerId);
    });
    canvas.addEventListener('pointermove', e => {
      if (from) { player.yaw = from[1] + (e.clientX - from[0]) / 80; player.draw(); }
    });
    canvas.addEventListener('pointerup', () => { from = null; });
    return player;
  });
  const run = now => {
    let going = false;
    for (const p of players) if (p.playing) {
      p.t += Math.min(now - p.last, 100) / 1000 * 0.5;  // at half speed: there is a second to look at
      p.last = now;
      if (p.t >= p.clip.horizon) { p.t = p.clip.horizon; p.playing = false; }
      going = going || p.playing;
      p.draw();
    }
    if (going) requestAnimationFrame(run);
  };
  const all = () => players.forEach(p => p.draw());
  window.addEventListener('resize', all);
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', all);
  all();
  window.__replays = players;
})();
"""
