# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Windows by the protocol that the motion-prediction papers share (Mao et al., ICCV 2019, and those after it).

Nothing here is deployment: rates, units and joints are the papers' own. See docs/experiments.md for what they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from training.data import cmu, h36m, threedpw
from training.data.archives import ARCHIVES, unpack
from training.data.sources import Options, skeletons_file

HISTORY = 10

#: (windows, HISTORY, predicted, 3) mm -> (windows, future, predicted, 3) mm
Predictor = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Protocol:
    """How one data set is judged.

    Attributes:
        frames: indices of the future frames that are reported; index 0 is the first one ahead.
        labels_ms: what the papers call them.
        row_s: true time between two rows.
        stride: every how many-th row of a file is taken, row 0 included.
        joints: joints of the skeleton; errors are averaged over all of them.
        predicted: joints that a predictor sees and predicts.
        copies: joint -> the predicted joint that its error copies; all others count as right.
        actions: those of the papers, where they report by action.
        skipped: first rows of each test sequence that no window holds (methods with a longer history saw them).
    """

    future: int
    frames: tuple[int, ...]
    labels_ms: tuple[int, ...]
    row_s: float
    stride: int
    joints: int
    predicted: tuple[int, ...]
    copies: dict[int, int]
    actions: tuple[str, ...]
    skipped: int = 0

    def weights(self) -> np.ndarray:
        """(predicted,) share of each predicted joint in the mean."""
        count = np.array([1.0 + sum(v == j for v in self.copies.values()) for j in self.predicted])
        return count / self.joints


def _all_but(joints: int, *left_out: int) -> tuple[int, ...]:
    return tuple(j for j in range(joints) if j not in left_out)


CMU_COPIES = {16: 15, 20: 15, 29: 15, 24: 23, 27: 23, 33: 32, 36: 32}
H36M_COPIES = {16: 13, 20: 19, 23: 22, 24: 13, 28: 27, 31: 30}
PROTOCOLS: dict[str, Protocol] = {
    "cmu": Protocol(
        future=25,
        frames=(1, 3, 7, 9, 13, 24),
        labels_ms=(80, 160, 320, 400, 560, 1000),
        row_s=1 / 60,
        stride=2,
        joints=38,
        predicted=_all_but(38, 0, 1, 2, 7, 8, 13, *CMU_COPIES),
        copies=CMU_COPIES,
        actions=(
            "basketball", "basketball_signal", "directing_traffic", "jumping", "running", "soccer", "walking",
            "washwindow",
        ),
    ),
    "h36m": Protocol(
        future=25,
        frames=(1, 3, 7, 9, 13, 24),
        labels_ms=(80, 160, 320, 400, 560, 1000),
        row_s=1 / 25,
        stride=2,
        joints=32,
        predicted=_all_but(32, 0, 1, 6, 11, *H36M_COPIES),
        copies=H36M_COPIES,
        actions=h36m.ACTIONS,
    ),
    "3dpw": Protocol(
        future=30,
        frames=(5, 11, 17, 23, 29),
        labels_ms=(200, 400, 600, 800, 1000),
        row_s=1 / 30,
        stride=1,
        joints=24,
        predicted=tuple(range(1, 24)),
        copies={},
        actions=("all",),
        skipped=40,
    ),
}  # fmt: skip

#: what a split is called -> the subjects of Human3.6M in it
H36M_SUBJECTS = {"train": ("S1", "S6", "S7", "S8", "S9"), "test": ("S5",)}


@dataclass(frozen=True)
class Sequence:
    """One file, or one person in it: `positions` (rows, joints, 3) in the benchmark's mm, root at the origin."""

    name: str
    action: str
    positions: np.ndarray


def load_cmu(data: Path, split: str) -> list[Sequence]:
    """The papers' text files; `data` has the archives, or cmu_mocap/ unpacked and skeletons.json."""
    if not (data / "cmu_mocap").is_dir() and (data.is_dir() and any((data / a).is_file() for a in ARCHIVES)):
        data = unpack(data)
    folder = data / "cmu_mocap" / split
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; expected cmu_mocap/{{train,test}} or its archive in --data")
    skeleton = cmu.load_skeleton(skeletons_file(data, Options()))
    out = []
    for action in PROTOCOLS["cmu"].actions:
        for path in sorted((folder / action).glob("*.txt")):
            rows = cmu.load_table(path, 3 + 3 * 38)[::2]
            rows[:, :6] = 0.0
            out.append(Sequence(f"{action}/{path.stem}", action, cmu.text_kinematics(rows, skeleton) * 70.0))
    return _some(out, folder, "<action>/<action>_<n>.txt")


def load_h36m(data: Path, split: str) -> list[Sequence]:
    """The papers' text files S1..S11/<action>_<n>.txt, every second row, root translation and rotation zero."""
    roots = (data, data / "dataset", data / "h36m", data / "h3.6m" / "dataset")
    root = next((p for p in roots if any((p / s).is_dir() for s in h36m.SUBJECTS)), None)
    if root is None:
        raise FileNotFoundError(f"{data}: no Human3.6M in there; expected {h36m.LAYOUT}")
    skeletons = skeletons_file(root, Options())
    out = []
    for subject in H36M_SUBJECTS[split]:
        for action in h36m.ACTIONS:
            for path in sorted((root / subject).glob(f"{action}_[12].txt")):
                rows = h36m.load_h36m_positions(path, skeletons, keep_root=False)[::2]
                out.append(Sequence(f"{subject}/{path.stem}", action, rows))
    return _some(out, root, f"{', '.join(H36M_SUBJECTS[split])}/<action>_<n>.txt")


def load_3dpw(data: Path, split: str) -> list[Sequence]:
    """sequenceFiles/<split>/*.pkl, each person less the pelvis, in mm."""
    root = data / "sequenceFiles" if (data / "sequenceFiles").is_dir() else data
    out = []
    for path in sorted((root / split).glob("*.pkl")):
        for k, p in enumerate(threedpw.load_3dpw_positions(path)):
            out.append(Sequence(f"{path.stem}/{k}", "all", (p - p[:, :1]) * 1000.0))
    return _some(out, root / split, threedpw.LAYOUT)


LOADERS: dict[str, Callable[[Path, str], list[Sequence]]] = {"cmu": load_cmu, "h36m": load_h36m, "3dpw": load_3dpw}


def _some(found: list[Sequence], folder: Path, layout: str) -> list[Sequence]:
    if not found:
        raise FileNotFoundError(f"{folder}: holds no files of the benchmark; expected {layout}")
    return found


def load_sequences(dataset: str, data: Path, split: str) -> list[Sequence]:
    """All sequences of a split, `train` or `test`.

    Raises:
        FileNotFoundError: nothing of the kind there; says the layout.
        ValueError: a damaged file; names file and line.
    """
    found, skipped = LOADERS[dataset](Path(data), split), PROTOCOLS[dataset].skipped if split == "test" else 0
    return [Sequence(s.name, s.action, s.positions[skipped:]) for s in found]


def windows(sequence: Sequence, protocol: Protocol) -> np.ndarray:
    """Every sliding window: (windows, HISTORY + future, predicted, 3) mm; none where the sequence is too short."""
    length = HISTORY + protocol.future
    p = sequence.positions[:, list(protocol.predicted)]
    if len(p) < length:
        return np.empty((0, length, *p.shape[1:]))
    return np.moveaxis(sliding_window_view(p, length, axis=0), -1, 1)
