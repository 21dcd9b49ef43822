# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A moving picture of a recording: people now, where the model expects them, and the bound (needs pillow).

python -m aux_motion.commands.animation --bag samples/sports2d_demo.mcap --out docs/images/prediction.webp
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from tqdm import tqdm

from aux_motion.commands.offline import Job
from aux_motion.commands.view.recording import Opened, Recording
from aux_motion.commands.view.scene import BACKGROUND, BOUND, FLOOR, NOW, PREDICTED, SEEN_LATER, bones, pose_at
from aux_motion_core.bags.files import BagError
from aux_motion_core.evaluation.moments import ReplayMoment
from aux_motion_core.safety.occupancy import BoundKind
from aux_motion_core.types import TrackState

_KINDS = (".webp", ".gif")
#: Pictures are drawn larger by this factor and shrunk, for smooth edges.
_FINER = 2
_ELEVATION_DEG, _MARGIN_M = 14.0, 0.5
_BOUND_ALPHA = 70
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class _Camera:
    """Parallel projection: metres to pixels.

    Attributes:
        axes: (2, 3) right and up in the picture.
        middle: (3,) metres, shown in the middle.
        scale: pixels a metre.
        size: width and height, pixels.
    """

    axes: np.ndarray
    middle: np.ndarray
    scale: float
    size: tuple[int, int]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """(..., 3) metres to (..., 2) pixels."""
        flat = (points - self.middle) @ self.axes.T * self.scale
        return flat * (1.0, -1.0) + np.array(self.size) / 2.0


def _camera(moments: list[ReplayMoment], size: tuple[int, int]) -> _Camera:
    """From the side on which people spread most."""
    poses = np.stack([np.asarray(p.recovered) for m in moments for p in m.batch.people])
    flat = poses.reshape(-1, 3)
    away = flat[:, :2] - flat[:, :2].mean(0)
    along = np.linalg.eigh(away.T @ away)[1][:, -1]
    along = along if along[np.argmax(np.abs(along))] < 0 else -along  # the camera stands where x and y are small
    right = np.array([along[0], along[1], 0.0])
    tilt = np.radians(_ELEVATION_DEG)
    inwards = np.cross([0.0, 0.0, 1.0], right)
    up = np.array([0.0, 0.0, np.cos(tilt)]) + np.sin(tilt) * inwards
    axes = np.stack([right, up])
    seen = flat @ axes.T
    low, high = np.percentile(seen, [0.5, 99.5], axis=0) + np.array([[-_MARGIN_M], [_MARGIN_M]])
    scale = float(np.min(np.array(size) / (high - low)))
    middle = np.linalg.lstsq(axes, (low + high) / 2.0, rcond=None)[0]
    return _Camera(axes, middle, scale, size)


class _Painter:
    """Draws moments.

    Args:
        source: what is drawn.
        moments: all of them.
        width: of the picture, pixels.
        horizon_s: of the prediction and the bound.
    """

    def __init__(self, source: Recording, moments: list[ReplayMoment], width: int, horizon_s: float) -> None:
        from PIL import Image, ImageDraw, ImageFont

        self._image, self._draw, self._fonts = Image, ImageDraw, ImageFont
        self._source, self._horizon_s = source, horizon_s
        self._horizon = int(np.argmin(np.abs(source.moments.horizons_s - horizon_s)))
        size = (width * _FINER, width * 9 // 16 * _FINER)
        self._camera = _camera(moments, size)
        self._centre = np.mean([p.recovered[:, :2].mean(0) for m in moments for p in m.batch.people], axis=0)
        self._floor_m = float(np.percentile([p.recovered[:, 2].min() for m in moments for p in m.batch.people], 5))

    def picture(self, moment: ReplayMoment) -> Any:
        """One picture of pillow."""
        camera = self._camera
        picture = self._image.new("RGB", camera.size, BACKGROUND)
        self._grid(self._draw.Draw(picture))
        for row in range(len(moment.batch.people)):
            mask = self._bound(moment, row)
            if mask is not None:
                picture.paste(self._image.new("RGB", camera.size, BOUND), (0, 0), mask)
        draw = self._draw.Draw(picture)
        for person in moment.batch.people:
            outcome = self._source.moments.outcome(person.person_id, person.stamp_ns)
            if outcome is not None:
                self._skeleton(draw, outcome.truth[self._horizon], SEEN_LATER, 0.035)
            lost = person.state in (TrackState.STALE, TrackState.ABSENT)
            self._skeleton(draw, np.asarray(person.recovered), FLOOR if lost else NOW, 0.045)
            if person.state in (TrackState.TRACKING, TrackState.DEGRADED):
                self._path(draw, np.asarray(person.mean))
                self._skeleton(draw, pose_at(person, moment.batch.dt_s, self._horizon_s), PREDICTED, 0.03)
        self._legend(draw, moment)
        return picture.resize((camera.size[0] // _FINER, camera.size[1] // _FINER), self._image.LANCZOS)

    def _grid(self, draw: Any) -> None:
        near = np.round(self._centre)
        for k in np.arange(-7, 8):
            for line in (((k, -7), (k, 7)), ((-7, k), (7, k))):
                ends = np.array([[*(near + end), self._floor_m] for end in line], float)
                draw.line([tuple(p) for p in self._camera(ends)], fill=FLOOR, width=_FINER)

    def _bound(self, moment: ReplayMoment, row: int) -> Any:
        occupancy = self._source.occupancy(moment, "marginal")
        interval = min(max(round(self._horizon_s / occupancy.interval_s) - 1, 0), occupancy.intervals - 1)
        good = (occupancy.kind[row, interval] != BoundKind.NONE) & np.isfinite(occupancy.radius[row, interval])
        if not good.any():
            return None
        mask = self._image.new("L", self._camera.size, 0)
        draw = self._draw.Draw(mask)
        ends = self._camera(occupancy.ends[row, interval][good].astype(float))
        for (a, b), radius in zip(ends, occupancy.radius[row, interval][good] * self._camera.scale, strict=True):
            draw.line([tuple(a), tuple(b)], fill=_BOUND_ALPHA, width=max(round(2 * radius), 1))
            for x, y in (a, b):
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_BOUND_ALPHA)
        return mask

    def _skeleton(self, draw: Any, pose: np.ndarray, colour: tuple[int, int, int], wide_m: float) -> None:
        ends = bones(pose)
        ends = self._camera(ends[np.isfinite(ends).all((1, 2))])
        wide = max(wide_m * self._camera.scale, 2.0)
        for a, b in ends:
            draw.line([tuple(a), tuple(b)], fill=colour, width=round(wide))
            for x, y in (a, b):
                draw.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=colour)

    def _path(self, draw: Any, mean: np.ndarray) -> None:
        r = 1.1 * _FINER
        for k, pose in enumerate(mean[1::2]):
            fade = 1.0 - 0.7 * 2 * k / len(mean)
            colour = tuple(round(fade * c + (1 - fade) * g) for c, g in zip(PREDICTED, BACKGROUND, strict=True))
            for x, y in self._camera(pose):
                draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def _legend(self, draw: Any, moment: ReplayMoment) -> None:
        font = self._fonts.load_default(size=13 * _FINER)
        x, y = 12 * _FINER, 10 * _FINER
        ahead = f"{self._horizon_s:.1f} s ahead"
        for colour, text in (
            (NOW, "now"),
            (PREDICTED, f"predicted {ahead}, dots: the next second"),
            (BOUND, f"bound {ahead}"),
            (SEEN_LATER, f"seen {self._horizon_s:.1f} s later"),
        ):
            draw.ellipse((x, y + 4 * _FINER, x + 9 * _FINER, y + 13 * _FINER), fill=colour)
            draw.text((x + 15 * _FINER, y), text, fill=(215, 222, 235), font=font)
            y += 18 * _FINER
        width = self._camera.size[0]
        draw.text((width - 62 * _FINER, 10 * _FINER), f"{moment.at_s:5.2f} s", fill=(150, 160, 180), font=font)


def animate(
    bag: Path, out: Path, width: int, rate_hz: float, horizon_s: float, speed: float, progress: bool = True
) -> int:
    """Draw a recording.

    Args:
        bag: of at most some minutes.
        out: `.webp` or `.gif`.
        width: pixels; the height is 9/16 of it.
        rate_hz: pictures a second.
        horizon_s: of the prediction and the bound.
        speed: of the playing; 0.5: half.
        progress: show a bar where there is a terminal.

    Returns:
        Pictures.

    Raises:
        BagError: the bag cannot be read, or nobody is in it.
        ValueError: another kind of file, or pillow is missing.
    """
    if out.suffix not in _KINDS:
        raise ValueError(f"cannot write {out}: expected a name that ends in {' or '.join(_KINDS)}")
    try:
        import PIL  # noqa: F401
    except ImportError:
        raise ValueError("the picture needs pillow (pip install 'aux_motion[plots]')") from None
    source = Recording(Opened(Job(bag=bag), bag.name), keep_s=float("inf"))
    try:
        end = time.monotonic() + _PATIENCE_S
        with tqdm(total=round(source.duration_s, 1), unit=" s", desc="predicting", disable=not progress or None) as bar:
            while not source.ended and time.monotonic() < end:
                time.sleep(0.1)
                bar.update(float(np.nan_to_num(source.moments.last_s)) - bar.n)
        moments = [m for m in source.moments.between(0.0, np.inf) if m.batch.people]
        if not moments:
            raise BagError(source.trouble or f"nobody is in {bag}")
        painter = _Painter(source, moments, width, horizon_s)
        times = np.arange(moments[0].at_s, moments[-1].at_s, speed / rate_hz)
        pictures = [
            painter.picture(source.moments.at(float(t)))
            for t in tqdm(times, unit=" pictures", disable=not progress or None)
        ]
    finally:
        source.close()
    out.parent.mkdir(parents=True, exist_ok=True)
    more: dict[str, Any] = {"quality": 60, "method": 6} if out.suffix == ".webp" else {"optimize": True}
    pictures[0].save(out, save_all=True, append_images=pictures[1:], duration=round(1000 / rate_hz), loop=0, **more)
    return len(pictures)


def animation(
    bag: Annotated[Path, typer.Option(help="Recording.")] = Path("samples/sports2d_demo.mcap"),
    out: Annotated[Path, typer.Option(help="File to write: .webp or .gif.")] = Path("docs/images/prediction.webp"),
    width: Annotated[int, typer.Option(min=160, max=1920, help="Pixels.")] = 720,
    rate: Annotated[float, typer.Option(min=1.0, max=50.0, help="Pictures a second.")] = 15.0,
    horizon: Annotated[float, typer.Option(min=0.2, max=1.0, help="Of prediction and bound, seconds.")] = 0.4,
    speed: Annotated[float, typer.Option(min=0.05, max=4.0, help="Of the playing; 0.5 is half.")] = 0.5,
) -> None:
    """Draw a recording as a moving picture: people now, prediction, bound."""
    count = animate(bag, out, width, rate, horizon, speed)
    typer.echo(f"written: {out} ({count} pictures, {out.stat().st_size / 1e6:.2f} MB)")


def main() -> None:
    """Entry point; an error ends in one line and exit code 2."""
    from aux_motion.commands.guard import guard

    guard(lambda: typer.run(animation), "aux_motion.commands.animation")


if __name__ == "__main__":
    sys.exit(main())
