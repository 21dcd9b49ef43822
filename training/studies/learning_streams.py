# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Streams on which what is learnt on line is judged: what a tracker saw of one person or session, in order of time.

Each is cut on the model's grid once and kept with the network's answers, so that a learner is judged in seconds.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from aux_motion_core.history.normalise import normalise
from aux_motion_core.history.resample import resample
from aux_motion_core.skeleton import derive_joints
from training.data import load_split
from training.data.archives import unpack
from training.data.clip import Clip, make_clip
from training.data.files import read_npz
from training.data.kinect import load_assembly_arms

#: Between two clips of a stream nobody is seen for so long, seconds.
GAP_S = 0.3
#: Time between two predictions, grid steps.
STRIDE = 2
#: Steps that a person was seen before the first prediction.
FIRST = 5
#: Samples farther apart say nothing about the time between, seconds.
_MAX_GAP_S = 0.25


@dataclass(frozen=True)
class Stream:
    """One stream on the grid.

    Attributes:
        positions: (T, 20, 3) float32 metres, z up, zero where not seen; mask: (T, 20) bool.
        clip: (T,) index of the recording, which histories and outcomes do not cross.
        at_s: (T,) seconds from the start.
        newest: (N,) index into T of the newest step of each prediction.
        future: (N, steps, 20, 3) float32 the network's answers in the normalised frame.
        scale: (N, steps, 20) float32 metres, the network's own scale as one number.
        origin: (N, 3), yaw: (N,) of the normalised frame.
        kinds: names of the recordings' motions, one each.
    """

    positions: np.ndarray
    mask: np.ndarray
    clip: np.ndarray
    at_s: np.ndarray
    newest: np.ndarray
    future: np.ndarray
    scale: np.ndarray
    origin: np.ndarray
    yaw: np.ndarray
    kinds: np.ndarray


def _table(path: Path) -> list[Clip]:
    """The clips of one of the tables beside the archives."""
    a = read_npz(path)
    out = []
    for i, name in enumerate(a["clip"]):
        part = slice(int(a["start"][i]), int(a["start"][i + 1]))
        x = a["positions"][part].astype(np.float64)
        seen = np.isfinite(x).all(-1)
        x, status = derive_joints(np.where(seen[..., None], x, 0.0), seen.astype(np.uint8))
        seen = status > 0
        stamps = None
        rate = float(np.broadcast_to(a["fps"], len(a["clip"]))[i])
        if "times" in a:
            stamps = a["times"][part] - a["times"][part][0]
            keep = np.concatenate([[True], np.diff(stamps) > 1e-4])
            x, seen, stamps = x[keep], seen[keep], stamps[keep]
        group = f"{a['subject'][i]}"
        licence, source = str(a["licence"]), str(a["source"])
        out.append(make_clip(str(name), group, str(a["label"][i]), rate, x, licence, source, seen, stamps))
    return out


def noisy(clips: list[Clip], seed: int) -> list[Clip]:
    """Motion capture as one simulated tracker would give it, all clips alike, at 30 Hz.

    Joints lie elsewhere than the markers say (fixed in the body's frame, 3 cm), the filter lags (0.08 s), noise is
    correlated in time and larger at the extremities and along the line of sight, and some joints drop out for a while.
    """
    rng = np.random.default_rng(seed)
    offset = rng.normal(size=(20, 3)) * 0.03
    sigma = np.full(20, 0.006)
    sigma[[6, 7, 10, 11, 14, 15, 18, 19]] = 0.012
    ray = np.array([1.0, 0.6, 0.1])
    ray /= np.linalg.norm(ray)
    out = []
    for clip in clips:
        t = np.arange(0.0, clip.stamps_s[-1] - clip.stamps_s[0], 1.0 / 30.0)
        x, seen = resample(
            clip.stamps_s - clip.stamps_s[0], clip.positions, clip.mask, t[-1], 1.0 / 30.0, len(t), _MAX_GAP_S
        )
        _, heading = normalise(x[:, None], seen[:, None])
        cos, sin = np.cos(heading.yaw), np.sin(heading.yaw)
        turn = np.zeros((len(t), 3, 3))
        turn[:, 0, 0] = turn[:, 1, 1] = cos
        turn[:, 0, 1], turn[:, 1, 0], turn[:, 2, 2] = sin, -sin, 1.0
        x = x + np.einsum("jc,tcd->tjd", offset, turn)
        noise = rng.normal(size=x.shape) * sigma[:, None]
        noise += rng.normal(size=(*x.shape[:2], 1)) * ray * 0.012
        keep, slow = np.exp(-1.0 / 30.0 / 0.1), np.exp(-1.0 / 30.0 / 0.08)
        for k in range(1, len(t)):
            noise[k] = keep * noise[k - 1] + np.sqrt(1.0 - keep**2) * noise[k]
            x[k] = slow * x[k - 1] + (1.0 - slow) * x[k]
        for joint in range(20):
            for begin in np.flatnonzero(rng.random(len(t)) < 0.03 / 30.0):
                seen[begin : begin + int(rng.integers(5, 40)), joint] = False
        out.append(make_clip(clip.name, clip.group, clip.action, 30.0, x + noise, clip.licence, clip.source, seen))
    return out


def clips_of(data: Path) -> dict[str, list[Clip]]:
    """Every stream's recordings, in order of time."""
    out: dict[str, list[Clip]] = {}
    for clip in load_split(data, "real_tracker"):
        out.setdefault(f"kinect/{clip.group.rsplit('_', 1)[1]}", []).append(clip)
    for name, file in (("nuitrack", "tracker_nuitrack_validation"), ("kinect2", "tracker_kinect2_rehab")):
        for clip in _table(data / f"{file}.npz"):
            out.setdefault(f"{name}/{clip.group}", []).append(clip)
    work = _table(data / "hrc_vicon_upper.npz")
    kinds = sorted({c.action for c in work})
    out["robot work/a"] = [c for c in work if c.action in kinds[::2]]
    out["robot work/b"] = [c for c in work if c.action in kinds[1::2]]
    arms = sorted(p for p in unpack(data).glob("Task*/**/*") if p.suffix in (".txt", ".csv"))
    out["assembly arms"] = [load_assembly_arms(p, f"{p.parent.name}/{p.stem}") for p in arms]
    subject = load_split(data, "new_subject")
    out["new subject"] = subject
    for clip in load_split(data, "handover"):
        out[f"handover/{clip.name.rsplit('/', 1)[1]}"] = [clip]
    out["noisy/subject"] = noisy(subject, 1)
    out["noisy/construction"] = noisy(_table(data / "cmu_62_construction.npz"), 2)
    out["noisy/dance"] = noisy(_table(data / "cmu_dance_martial.npz"), 3)
    return out


def cut(clips: list[Clip], backend, stride: int = STRIDE) -> Stream | None:
    """The recordings in turn on the backend's grid, with its answers; None where none is long enough."""
    dt_s, history, ahead = backend.dt_s, backend.history_steps, backend.future_steps
    positions, masks, clip_of, at, newest, windows, seen = [], [], [], [], [], [], []
    begin_s, total, kinds = 0.0, 0, []
    for number, clip in enumerate(clips):
        t = clip.stamps_s - clip.stamps_s[0]
        steps = int(np.floor(t[-1] / dt_s + 1e-6)) + 1 if len(t) else 0
        kinds.append(clip.action)
        if steps < FIRST + 5:
            continue
        x, m = resample(t, clip.positions, clip.mask, (steps - 1) * dt_s, dt_s, steps, _MAX_GAP_S)
        i = np.arange(FIRST - 1, steps - 5, stride)
        i = i[m[i].any(1)]
        past = i[:, None] + np.arange(1 - history, 1)
        there = past >= 0
        windows.append(np.where(there[..., None, None], x[past.clip(0)], 0.0))
        seen.append(m[past.clip(0)] & there[..., None])
        newest.append(total + i)
        positions.append(x.astype(np.float32))
        masks.append(m)
        clip_of.append(np.full(steps, number))
        at.append(begin_s + dt_s * np.arange(steps))
        begin_s += steps * dt_s + GAP_S
        total += steps
    if not windows:
        return None
    values, heading = normalise(np.concatenate(windows), np.concatenate(seen))
    mask = np.concatenate(seen)
    future = np.zeros((len(values), ahead, 20, 3), np.float32)
    scale = np.zeros((len(values), ahead, 20), np.float32)
    for k in range(0, len(values), 32):
        part = slice(k, k + 32)
        future[part], _, sigma = backend.infer(values[part], mask[part])
        if sigma is not None:
            scale[part] = np.sqrt(np.square(sigma).mean(-1))
    return Stream(
        np.concatenate(positions),
        np.concatenate(masks),
        np.concatenate(clip_of),
        np.concatenate(at),
        np.concatenate(newest),
        future,
        scale,
        heading.origin,
        heading.yaw,
        np.array(kinds),
    )


def streams(data: Path, backend, cache: Path, only: tuple[str, ...] = ()) -> Iterator[tuple[str, Stream]]:
    """Every stream by name; those already cut for this model are read.

    Args:
        data: folder with the data archives.
        backend: the model.
        cache: folder for what was cut.
        only: names of some of them; empty: all.
    """
    model = getattr(backend, "onnx_sha256", "") or f"{backend.name} {backend.version}"
    key = hashlib.sha256(f"{model} {Path(__file__).read_text()}".encode()).hexdigest()[:12]
    folder = cache / f"streams-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / "names.txt"
    names = listed.read_text().splitlines() if listed.is_file() else []
    recordings: dict[str, list[Clip]] = {}
    if not names:
        recordings = clips_of(data)
        names = list(recordings)
        listed.write_text("\n".join(names) + "\n")
    for name in names:
        if only and name not in only:
            continue
        path = folder / f"{name.replace('/', '__').replace(' ', '_')}.npz"
        if not path.is_file():
            recordings = recordings or clips_of(data)
            stream = cut(recordings[name], backend)
            if stream is None:
                continue
            with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as part:
                np.savez(part, **{f.name: getattr(stream, f.name) for f in fields(stream)})
            os.replace(part.name, path)
        with np.load(path, allow_pickle=False) as a:
            yield name, Stream(**{f.name: a[f.name] for f in fields(Stream)})
