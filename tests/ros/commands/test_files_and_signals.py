# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Commands destroy no recording, start no formula, and end without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from aux_motion.commands.csv_cells import text_cell
from aux_motion.commands.overwrite import OverwriteError, refuse_overwrite


def test_predict_never_writes_over_what_it_reads(tmp_path, root) -> None:
    bag = tmp_path / "bag.mcap"
    content = (root / "samples" / "sports2d_demo.mcap").read_bytes()
    bag.write_bytes(content)
    (tmp_path / "link.mcap").symlink_to(bag)
    for option in (["--out", str(bag)], ["--json", str(bag)], ["--out", str(tmp_path / "link.mcap")]):
        command = [sys.executable, "-m", "aux_motion.entry", "predict", str(bag), "--no-baselines", *option]
        done = subprocess.run(command, capture_output=True, text=True, cwd=root, timeout=60)
        assert done.returncode == 2 and "would destroy the recording" in done.stderr, done.stderr
        assert done.stderr.count("\n") == 1 and bag.read_bytes() == content


def test_an_output_inside_of_a_folder_that_is_read_is_refused(tmp_path) -> None:
    (tmp_path / "bag").mkdir()
    with pytest.raises(OverwriteError, match="is read as"):
        refuse_overwrite([tmp_path / "bag"], [tmp_path / "bag" / "new.mcap"])
    refuse_overwrite([tmp_path / "bag", None], [tmp_path / "new.mcap", None])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_begins_a_formula(text) -> None:
    assert text_cell(text) == "'" + text
    assert text_cell("person_1 = 2") == "person_1 = 2"


@pytest.mark.parametrize("after_s", [0.0, 0.1, 0.2, 0.3, 0.5, 0.8])
def test_an_interrupt_while_it_is_loaded_shows_no_traceback(after_s, root) -> None:
    """From where the interpreter has started: what it says before that is Python's own."""
    code = "import aux_motion.entry as e; print('started', flush=True); e.main()"
    command = [sys.executable, "-c", code, "run", "--fixed-frame", "map", "--domain", "38"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=root)
    assert process.stdout.readline() == "started\n"
    time.sleep(after_s + 0.02)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode in (0, 130) and "Traceback" not in said, said
