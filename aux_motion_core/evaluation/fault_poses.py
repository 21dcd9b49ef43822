# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Faults of joints: lost, moved, noisy, exchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from aux_motion_core.evaluation.fault_base import Fault, Faulty, hide, moved, rows_of
from aux_motion_core.skeleton import INDEX, JOINTS, MIRROR, JointStatus, derive_joints
from aux_motion_core.trackers.joint_maps import SOURCES, mapping

LIMBS: dict[str, tuple[str, ...]] = {
    **{
        f"{side}_arm": tuple(f"{side}_{j}" for j in ("shoulder", "elbow", "wrist", "hand"))
        for side in ("left", "right")
    },
    **{f"{side}_forearm": tuple(f"{side}_{j}" for j in ("wrist", "hand")) for side in ("left", "right")},
    **{f"{side}_leg": tuple(f"{side}_{j}" for j in ("hip", "knee", "ankle", "foot")) for side in ("left", "right")},
    **{f"{side}_side": tuple(j for j in JOINTS if j.startswith(f"{side}_")) for side in ("left", "right")},
    "legs": tuple(j for j in JOINTS if j.endswith(("hip", "knee", "ankle", "foot"))),
    "arms": tuple(j for j in JOINTS if j.endswith(("shoulder", "elbow", "wrist", "hand"))),
    "trunk": ("pelvis", "spine", "neck"),
    "head": ("head",),
    "upper_body": ("spine", "neck", "head", *(j for j in JOINTS if j.endswith(("shoulder", "elbow", "wrist", "hand")))),
    "lower_body": ("pelvis", *(j for j in JOINTS if j.endswith(("hip", "knee", "ankle", "foot")))),
}


class Freeze(Fault):
    name = "freeze"
    help = "share of the time in which the tracker repeats its last poses under new stamps"
    second = ("length_s", 0.5, 0.02, 60.0)

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        self._last: Faulty | None = None

    def __call__(self, item: Faulty) -> Faulty | None:
        last = self._last
        if last is not None and self.in_block(item.source.stamp_ns, self.extra):
            known = {person_id: row for row, person_id in enumerate(last.frame.person_ids)}
            rows = [known[p] for p in item.frame.person_ids if p in known]
            frozen = rows_of(last, rows).frame
            here = tuple(row for row, p in zip(item.rows, item.frame.person_ids, strict=True) if p in known)
            return replace(item, rows=here, frame=replace(frozen, stamp_ns=item.frame.stamp_ns))
        self._last = item
        return item


class JointSet(Fault):
    name = "joint_set"
    help = f"only the joints that a tracker's list gives: {', '.join(sorted(SOURCES))}"
    unit = "joint list"

    def __init__(self, value: str, extra: float, seed: int) -> None:
        super().__init__(0.0, extra, seed)
        status = mapping(value).status
        self._kind = np.where((status == JointStatus.OBSERVED).any(0), JointStatus.OBSERVED, JointStatus.DERIVED)
        self._absent = (status == JointStatus.MISSING).all(0)
        middles = [INDEX[j] for j in ("pelvis", "neck") if self._kind[INDEX[j]] == JointStatus.DERIVED]
        self._middles = np.isin(np.arange(len(JOINTS)), middles)

    def __call__(self, item: Faulty) -> Faulty | None:
        item = hide(item, np.broadcast_to(self._absent | self._middles, item.frame.status.shape))
        seen = item.frame.status == JointStatus.OBSERVED
        status = np.where(seen, self._kind, item.frame.status).astype(np.uint8)
        positions, status = derive_joints(item.frame.positions, status)
        confidence = np.where(status != JointStatus.MISSING, np.where(self._middles, 1.0, item.frame.confidence), 0.0)
        frame = replace(item.frame, positions=positions, status=status, confidence=confidence.astype(np.float32))
        return replace(item, frame=frame)


class _Part(Fault):
    """Joints that are hidden together, for a share of the seconds."""

    names: tuple[str, ...] = ()

    def __init__(self, names: tuple[str, ...], extra: float, seed: int) -> None:
        super().__init__(extra, extra, seed)
        self.names = names
        self._hidden = np.isin(JOINTS, names)

    def __call__(self, item: Faulty) -> Faulty | None:
        who = [self.in_block(item.source.stamp_ns, 1.0, person_id, *self.names) for person_id in item.frame.person_ids]
        return hide(item, np.array(who, bool).reshape(-1, 1) & self._hidden)


class Limb(_Part):
    name = "limb"
    help = f"a limb that is never seen, or for a share of the seconds (limb=left_arm:0.5): {', '.join(LIMBS)}"
    unit = "limb"
    second = ("share", 1.0, 0.0, 1.0)


class Joints(_Part):
    name = "joints"
    help = "joints of body20 that are never seen, or for a share of the seconds: joints=left_wrist+left_hand:0.5"
    unit = "joints"
    second = ("share", 1.0, 0.0, 1.0)


class Drop(Fault):
    name = "drop"
    help = "share of single joints that are missing, each frame anew"

    def __call__(self, item: Faulty) -> Faulty | None:
        hidden = np.zeros(item.frame.status.shape, bool)
        for row, rng in self.each(item):
            hidden[row] = rng.random(len(JOINTS)) < self.value
        return hide(item, hidden)


class Bias(Fault):
    name = "bias_mm"
    help = "constant offset of every joint, in a direction of its own, as of a tracker with other joint centres"
    unit, high = "mm", 1000.0

    def __init__(self, value: float, extra: float, seed: int) -> None:
        super().__init__(value, extra, seed)
        direction = self.draw("direction").normal(size=(len(JOINTS), 3))
        self._offset = 1e-3 * value * direction / np.linalg.norm(direction, axis=-1, keepdims=True)

    def __call__(self, item: Faulty) -> Faulty | None:
        return moved(item, item.frame.positions + self._offset)


class Scale(Fault):
    name = "scale_pct"
    help = "people are seen larger (or smaller) than they are by this percentage, about their middle, as by a bad depth"
    unit, low, high = "percent", -50.0, 100.0

    def __call__(self, item: Faulty) -> Faulty | None:
        frame = item.frame
        seen = (frame.status != JointStatus.MISSING) & np.isfinite(frame.positions).all(-1)
        positions = np.where(seen[..., None], frame.positions, 0.0)
        middle = positions.sum(1, keepdims=True) / np.maximum(seen.sum(1), 1)[:, None, None]
        return moved(item, middle + (1.0 + 0.01 * self.value) * (frame.positions - middle))


class Noise(Fault):
    name = "noise_mm"
    help = "Gaussian noise, one sigma on each axis of each joint, each frame anew"
    unit, high = "mm", 1000.0

    def __call__(self, item: Faulty) -> Faulty | None:
        positions = np.array(item.frame.positions, np.float64)
        for row, rng in self.each(item):
            positions[row] += 1e-3 * self.value * rng.normal(size=(len(JOINTS), 3))
        return moved(item, positions)


class OutlierFault(Fault):
    name = "outliers"
    help = "share of single joints that are displaced by up to this distance (outliers=0.02:500), each frame anew"
    second = ("mm", 500.0, 1.0, 20000.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        positions = np.array(item.frame.positions, np.float64)
        for row, rng in self.each(item):
            direction = rng.normal(size=(len(JOINTS), 3))
            far = 1e-3 * self.extra * rng.uniform(0.5, 1.0, (len(JOINTS), 1))
            thrown = rng.random((len(JOINTS), 1)) < self.value
            positions[row] += thrown * far * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
        return moved(item, positions)


class Nan(Fault):
    name = "nan"
    help = "share of single joints that are said to be seen but are not a number"

    def __call__(self, item: Faulty) -> Faulty | None:
        positions = np.array(item.frame.positions, np.float64)
        for row, rng in self.each(item):
            positions[row, rng.random(len(JOINTS)) < self.value] = np.nan
        return moved(item, positions)


class SwapSides(Fault):
    name = "swap_sides"
    help = "share of the time in which left and right of a person are taken for each other"
    second = ("length_s", 0.2, 0.02, 60.0)

    def __call__(self, item: Faulty) -> Faulty | None:
        frame = item.frame
        order = np.tile(np.arange(len(JOINTS)), (len(frame.person_ids), 1))
        for row, person_id in enumerate(frame.person_ids):
            if self.in_block(item.source.stamp_ns, self.extra, person_id):
                order[row] = MIRROR
        who = np.arange(len(order))[:, None]
        covariance = None if frame.covariance is None else frame.covariance[who, order]
        return replace(
            item,
            frame=replace(
                frame,
                positions=frame.positions[who, order],
                status=frame.status[who, order],
                confidence=frame.confidence[who, order],
                covariance=covariance,
            ),
        )
