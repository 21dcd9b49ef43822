# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The report's pictures are the same, whoever draws them."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys

import pytest

from aux_motion.commands import report_drawing
from aux_motion.commands.report_drawing import Drawing
from aux_motion.commands.report_html import Pictures

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


def test_it_imports_nothing_from_the_current_folder(here, tmp_path, monkeypatch):
    for name in ("textwrap", "runpy", "pickle"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    with Drawing() as drawing:
        drawing.start()
        beside = drawing._beside
        assert drawn(drawing) == here and beside.returncode == 0
    assert not (tmp_path / "executed").exists()


def test_one_that_hangs_leaves_the_pictures_to_this_one(here, monkeypatch):
    monkeypatch.setattr(report_drawing, "_PATIENCE_S", 0.2)
    with Drawing() as drawing:
        drawing.start()
        beside = drawing._beside
        beside.send_signal(signal.SIGSTOP)
        assert drawn(drawing) == here
        assert beside.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "modules", [("aux_motion.commands.report_plots",), ("aux_motion.commands.plots", "aux_motion.benchmarks.ssm_plot")]
)
def test_a_backend_of_the_environment_is_not_needed(root, modules):
    code = "".join(f"import {module}; " for module in modules) + "import matplotlib.pyplot as p; print(p.get_backend())"
    environment = {**os.environ, "MPLBACKEND": "module://no_such.backend"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and done.stdout.strip() in ("svg", "agg"), done.stderr


def test_a_picture_that_cannot_be_drawn_is_a_note(here):
    with Drawing() as drawing:
        pictures = Pictures(drawing)
        page = pictures("error_over_horizon", "errors & more", {}) + pictures("error_over_horizon", "good", summary())
        page = pictures.placed(page)
    note = '<p class="note">Picture missing: errors &amp; more. It cannot be drawn: KeyError: &#x27;errors_mm&#x27;</p>'
    assert page.startswith(note) and page.count("<img") == 1


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
