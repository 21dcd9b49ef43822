# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The report's pictures are the same, whoever draws them."""

from __future__ import annotations

import gc
import subprocess

import pytest

from aux_motion.commands.report_drawing import Drawing

pytest.importorskip("matplotlib")

HORIZONS = ("0.2", "0.4", "1.0")


def summary(scale=1.0):
    """What `error_over_horizon` draws."""
    cells = {
        k: {s: {"mean": scale * float(k) * m, "low": None} for s, m in (("model", 90.0), ("mix", 80.0))}
        for k in HORIZONS
    }
    for row in cells.values():
        for cell in row.values():
            cell["high"] = None
    return {"errors_mm": cells, "sources": ["model", "mix"]}


def drawn(drawing):
    begun = [drawing.begin("error_over_horizon", summary(scale)) for scale in (1.0, 2.0)]
    return [svg() for svg in begun]


@pytest.fixture(scope="module")
def here():
    with Drawing() as drawing:
        return drawn(drawing)


def test_a_process_beside_draws_the_same(here):
    with Drawing() as drawing:
        drawing.start()
        beside = drawing._beside
        assert drawn(drawing) == here and here[0] != here[1] and here[0].count("<svg") == 1
        assert beside.returncode == 0  # it did


def test_what_it_cannot_draw_is_told_of_here(here):
    with Drawing() as drawing:
        drawing.start()
        good, bad = drawing.begin("error_over_horizon", summary()), drawing.begin("error_over_horizon", {})
        assert good() == here[0]
        with pytest.raises(KeyError):
            bad()


def test_a_process_that_ends_leaves_the_pictures_to_this_one(here, monkeypatch):
    with Drawing() as drawing:
        drawing.start()
        first = drawing.begin("error_over_horizon", summary())
        drawing._beside.kill()
        drawing._beside.wait()
        assert [first(), drawing.begin("error_over_horizon", summary(2.0))()] == here

    def none(*command, **options):
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", none)
    with Drawing() as drawing:
        drawing.start()
        assert drawn(drawing) == here


def test_it_ends_with_the_one_who_asked():
    with Drawing() as drawing:
        drawing.start()
        beside = drawing._beside
        assert beside.poll() is None
    assert beside.returncode is not None


def test_what_is_drawn_here_can_be_collected(here):
    frozen = gc.get_freeze_count()
    with Drawing() as drawing:
        assert drawn(drawing) == here
    assert gc.get_freeze_count() == frozen
