# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""One's own recordings: a folder of bags (SkeletonArray) and npz files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from aux_motion_core.bags.reader import read_skeletons
from aux_motion_core.skeleton import JOINTS, N_JOINTS, JointStatus
from aux_motion_core.trackers.joint_maps import map_joints
from training.data.clip import Clip, make_clip
from training.data.files import read_npz
from training.data.sources import Options, Source, check_body, existing, some

SOURCE = "own recordings"
LICENCE = "as of the recordings"
LAYOUT = (
    "bags (folders with metadata.yaml, *.mcap, *.db3) with a SkeletonArray topic in a frame with z up, or *.npz with "
    "positions (frames, joints, 3) in metres and stamps_s (frames,)"
)
#: A person who was away for longer comes back as another clip.
SPLIT_GAP_S = 1.0
#: Shorter pieces hold no window worth keeping.
MIN_CLIP_S = 0.4
_SEEN = (JointStatus.OBSERVED, JointStatus.DERIVED)


def find(folder: Path, options: Options) -> list[Source]:
    """All bags and npz files under a folder."""
    root = existing(folder, LAYOUT)
    bags = {p.parent for p in root.rglob("metadata.yaml")}
    loose = [p for end in ("mcap", "db3", "npz") for p in root.rglob(f"*.{end}") if p.parent not in bags]
    names = [(p.relative_to(root).with_suffix("").as_posix() if p != root else root.name, p) for p in (*bags, *loose)]
    needs = {p: tuple(sorted(f for f in p.iterdir() if f.is_file())) if p.is_dir() else () for _, p in names}
    return some([Source(n, p, needs[p], options.topic) for n, p in names], folder, LAYOUT)


def _pieces(stamps_s: np.ndarray) -> list[slice]:
    """Stretches without a gap longer than `SPLIT_GAP_S`, and long enough."""
    cuts = [0, *(np.flatnonzero(np.diff(stamps_s) > SPLIT_GAP_S) + 1), len(stamps_s)]
    return [slice(a, b) for a, b in zip(cuts, cuts[1:]) if stamps_s[b - 1] - stamps_s[a] >= MIN_CLIP_S]


def _clips(name: str, group: str, action: str, stamps_s, positions, licence: str, source: str) -> list[Clip]:
    """Clips of one person: positions (frames, 20, 3), NaN where missing; stamps ascending."""
    parts = _pieces(stamps_s)
    out = []
    for k, part in enumerate(parts):
        t = stamps_s[part] - stamps_s[part][0]
        rate = 1.0 / float(np.median(np.diff(t)))
        label = f"{name}#{k}" if len(parts) > 1 else name
        out.append(make_clip(label, group, action, rate, positions[part], licence, source, stamps_s=t))
    return out


def _action(name: str) -> str:
    return re.sub(r"[_\-\d]+$", "", name.split("/")[-1]).lower() or "own"


def load_bag(path: Path, name: str, topic: str | None = None) -> list[Clip]:
    """Everybody in a bag; joints that the tracker guessed are masked, as they say nothing about the truth.

    Raises:
        BagError: it cannot be read.
        ValueError: nobody long enough in it, several frames, not metres, or not z up.
    """
    rows: dict[str, list[tuple[int, np.ndarray]]] = {}
    frames: set[str] = set()
    bad: list[ValueError] = []
    for _, frame in read_skeletons(path, topic, on_bad=bad.append):
        frames.add(frame.frame_id)
        seen = np.isin(frame.status, _SEEN)
        for k, person in enumerate(frame.person_ids):
            pose = np.where(seen[k][:, None], np.asarray(frame.positions[k], np.float64), np.nan)
            if np.isfinite(pose).all(-1).any():
                rows.setdefault(person, []).append((frame.stamp_ns, pose))
    if len(frames) > 1:
        raise ValueError(f"{path}: expected one frame for all positions, got {', '.join(sorted(frames))}")
    clips = []
    for person, list_ in rows.items():
        list_.sort(key=lambda r: r[0])
        stamps = np.array([r[0] for r in list_])
        keep = np.concatenate([[True], np.diff(stamps) > 0])
        positions = np.stack([r[1] for r in list_])[keep]
        clips += _clips(
            f"{name}/{person}", name, _action(name), (stamps[keep] - stamps[0]) * 1e-9, positions, LICENCE, SOURCE
        )
    if not clips:
        raise ValueError(
            f"{path}: nobody is seen for {MIN_CLIP_S} s in it ({len(rows)} people): record longer, with the tracker's "
            f"ids kept{f'; {len(bad)} messages cannot be used, the first: {bad[0]}' if bad else ''}"
        )
    for clip in clips:
        check_body(f"{path}, {clip.name}", np.where(clip.mask[..., None], clip.positions, np.nan))
    return clips


def load_npz(path: Path, name: str) -> list[Clip]:
    """One person's npz file.

    Keys: `positions` (frames, joints, 3) metres, z up, NaN where missing; `stamps_s` (frames,) ascending. Optional:
    `joints`, the name of a joint list (`kinect2`, `coco17`, ...; default body20), `mask` (frames, joints) bool, and
    the texts `action`, `group`, `licence`, `source`.

    Raises:
        ValueError: a key is missing, shapes do not fit, stamps do not ascend, not metres, or not z up.
    """
    content = read_npz(path)
    lacking = [k for k in ("positions", "stamps_s") if k not in content]
    if lacking:
        raise ValueError(
            f"{path}: expected positions and stamps_s, {lacking[0]} is missing or holds Python objects; keys: "
            f"{sorted(content)}"
        )
    for key in ("positions", "stamps_s"):
        if content[key].dtype.kind not in "fiu":
            raise ValueError(f"{path}: expected numbers in {key}, got {content[key].dtype}")
    positions, stamps = content["positions"].astype(np.float64), content["stamps_s"].astype(np.float64)
    text = {k: str(content[k]) for k in ("joints", "action", "group", "licence", "source") if k in content}
    if positions.ndim != 3 or positions.shape[-1] != 3 or stamps.shape != positions.shape[:1]:
        raise ValueError(
            f"{path}: expected positions (frames, joints, 3) and stamps_s (frames,), got {positions.shape} and "
            f"{stamps.shape}"
        )
    if len(positions) < 2:
        raise ValueError(f"{path}: shorter than {MIN_CLIP_S} s; record longer")
    if "mask" in content:
        if content["mask"].shape != positions.shape[:2]:
            raise ValueError(f"{path}: expected mask {positions.shape[:2]}, got {content['mask'].shape}")
        positions[~content["mask"].astype(bool)] = np.nan
    if not np.isfinite(positions).all(-1).any():
        raise ValueError(f"{path}: no joint is ever seen: all positions are NaN or masked")
    bad = ~np.isfinite(stamps) | np.concatenate([[False], ~(np.diff(stamps) > 0)])
    if bad.any():
        raise ValueError(f"{path}, frame {int(bad.argmax())}: expected finite, ascending stamps_s")
    joints = text.get("joints", "body20")
    if joints == "body20" and positions.shape[1] != N_JOINTS:
        raise ValueError(
            f"{path}: expected the {N_JOINTS} joints of body20 ({', '.join(JOINTS[:3])}, ...), got "
            f"{positions.shape[1]}: name the joint list in `joints`"
        )
    if joints != "body20":
        try:
            positions = map_joints(joints, positions)[0]
        except ValueError as e:
            raise ValueError(f"{path}: {e}") from None
    check_body(str(path), positions)
    clips = _clips(
        name,
        text.get("group", name),
        text.get("action", _action(name)),
        stamps,
        positions,
        text.get("licence", LICENCE),
        text.get("source", SOURCE),
    )
    if not clips:
        raise ValueError(f"{path}: shorter than {MIN_CLIP_S} s; record longer")
    return clips


def load(source: Source) -> list[Clip]:
    """All clips of a bag or npz file."""
    name = f"own/{source.name}"
    return load_npz(source.path, name) if source.path.suffix == ".npz" else load_bag(source.path, name, source.topic)
