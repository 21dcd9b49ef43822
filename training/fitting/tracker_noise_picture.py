# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The picture of `training.fitting.tracker_noise`: measured noise and what the corruption draws, over each other."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from training.data import tracker_noise
from training.data.tracker_noise import AXES

_DT_S = 0.04
_COLOURS = ("tab:blue", "tab:orange", "tab:green")


def spectrum(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies in Hz and the median power of windows (N, T) without their mean, m^2 / Hz."""
    e = windows - windows.mean(1, keepdims=True)
    power = np.abs(np.fft.rfft(e * np.hanning(e.shape[1]), axis=1)) ** 2 * _DT_S / (np.hanning(e.shape[1]) ** 2).sum()
    return np.fft.rfftfreq(e.shape[1], _DT_S)[1:], np.median(power, 0)[1:]


def steps_of(windows: np.ndarray, lag: int = 4) -> np.ndarray:
    """How far windows (N, T, 3) move within `lag` steps, sorted, mm."""
    return np.sort(1000 * np.linalg.norm(windows[:, lag:] - windows[:, :-lag], axis=-1).ravel())


def draw(report: dict, measured: dict[str, tuple[np.ndarray, np.ndarray]], lower: list[int], file: Path) -> None:
    """One column a tracker: autocorrelation of the sway and of its velocity, spectra, and how far it goes in 0.16 s.

    Args:
        report: of the fit.
        measured: tracker -> windows (N, T, J, 3) along depth, across, up, and masks.
        lower: joints that stay where somebody stands.
        file: PNG.
    """
    names = list(measured)
    fig, axes = plt.subplots(3, len(names), figsize=(4.2 * len(names), 9), squeeze=False)
    lags = np.array(report["lags_s"])
    fixed = tracker_noise.DISTANCE_M
    for c, name in enumerate(names):
        windows, _ = measured[name]
        sway = windows[:, :, lower].mean(2)
        own = (windows[:, :, lower] - sway[:, :, None]).reshape(len(windows), windows.shape[1], -1)
        top, middle, bottom = axes[:, c]
        for k, axis in enumerate(AXES):
            found = report["trackers"][name]["sway"][axis]
            top.plot(lags, found["measured"][: len(lags)], "o", color=_COLOURS[k], label=f"{axis}, measured")
            top.plot(lags, found["fitted"][: len(lags)], "-", color=_COLOURS[k], label=f"{axis}, simulated")
        top.set_title(f"{name}: {len(windows)} windows of people who stand")
        top.set_xlabel("lag, s")
        top.set_ylabel("autocorrelation of the sway")
        # simulated at the distance that was measured at
        far = report["trackers"][name]["distance_m"]
        tracker_noise.DISTANCE_M = (far, far)
        try:
            drawn = tracker_noise.draw(np.random.default_rng(0), 2000, windows.shape[1], tracker=c)
        finally:
            tracker_noise.DISTANCE_M = fixed
        simulated = drawn[:, :, lower].mean(2)
        own_drawn = (drawn[:, :, lower] - simulated[:, :, None]).reshape(len(drawn), windows.shape[1], -1)
        for what, real, made, colour in (
            ("sway", sway[..., 2], simulated[..., 2], "tab:blue"),
            ("a joint's own", own[..., 2], own_drawn[..., 2], "tab:red"),
        ):
            middle.loglog(*spectrum(real), "o", color=colour, label=f"{what}, measured")
            middle.loglog(*spectrum(made), "-", color=colour, label=f"{what}, simulated")
        middle.set_xlabel("frequency, Hz")
        middle.set_ylabel("power, m²/Hz (vertical)")
        for what, part, line in (("measured", sway, "o"), ("simulated", simulated, "-")):
            s = steps_of(part)
            share = 1.0 - np.arange(len(s)) / len(s)
            pick = np.unique(np.geomspace(1, len(s), 60).astype(int)) - 1
            bottom.loglog(s[::-1][pick], share[::-1][pick], line, markersize=3, label=what)
        tracker_noise_all = tracker_noise.draw(np.random.default_rng(1), 4000, windows.shape[1])[:, :, lower].mean(2)
        s = steps_of(tracker_noise_all)
        pick = np.unique(np.geomspace(1, len(s), 60).astype(int)) - 1
        bottom.loglog(
            s[::-1][pick], (1.0 - np.arange(len(s)) / len(s))[::-1][pick], "--", color="grey",
            label="drawn in training, 1 to 6 m",
        )  # fmt: skip
        bottom.set_xlabel("sway within 0.16 s, mm")
        bottom.set_ylabel("share that is larger")
        bottom.set_xlim(0.3, 300)
        for ax in (top, middle, bottom):
            ax.grid(alpha=0.3)
            ax.legend(fontsize=7)
    fig.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(file, dpi=80)
    plt.close(fig)
