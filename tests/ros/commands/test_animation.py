# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The moving picture of a recording."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from aux_motion.commands.animation import animate
from aux_motion.commands.view.scene import NOW, PREDICTED, SEEN_LATER
from aux_motion_core.bags.files import BagError
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.testing import synthetic

pytest.importorskip("PIL", reason="pillow is not installed (pip install 'aux_motion[plots]')")


@pytest.fixture
def walk(tmp_path):
    with BagWriter(tmp_path / "walk.mcap") as out:
        for frame in synthetic.frames(2, 4.0):
            out.write("/skeletons", frame, frame.stamp_ns)
    return tmp_path / "walk.mcap"


def near(picture, colour):
    """Pixels of about that colour."""
    return int((np.abs(picture.astype(int) - colour).max(-1) < 40).sum())


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_it_shows_now_prediction_bound_and_what_was_seen(walk, tmp_path, kind):
    from PIL import Image

    out = tmp_path / "pictures" / f"walk.{kind}"
    assert animate(walk, out, 320, 5.0, 0.4, 1.0, progress=False) == pytest.approx(19, abs=2)
    with Image.open(out) as film:
        assert film.n_frames > 15 and film.size == (320, 180)
        film.seek(10)
        picture = np.asarray(film.convert("RGB"))
        film.seek(14)
        later = np.asarray(film.convert("RGB"))
    for colour in (NOW, PREDICTED, SEEN_LATER):
        assert near(picture, colour) > 40, colour
    brown = (picture[..., 0].astype(int) - picture[..., 2] > 25) & (picture.max(-1) < 150)
    assert brown.mean() > 0.01  # the bound, through which the background is seen
    assert (np.abs(picture.astype(int) - later).max(-1) > 60).mean() > 0.002  # they walk
    assert out.stat().st_size < 2_000_000


def test_what_cannot_be_drawn_is_told(walk, tmp_path):
    with pytest.raises(ValueError, match=r"\.webp or \.gif"):
        animate(walk, tmp_path / "walk.mp4", 320, 5.0, 0.4, 1.0)
    with pytest.raises(BagError):
        animate(tmp_path / "none.mcap", tmp_path / "walk.gif", 320, 5.0, 0.4, 1.0)
    done = subprocess.run(
        [sys.executable, "-m", "aux_motion.commands.animation", "--bag", str(tmp_path / "none.mcap")],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1
