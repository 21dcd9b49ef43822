# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Commands destroy no recording, start no formula, and end without a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aux_motion.commands.csv_cells import text_cell
from aux_motion.commands.files import write_text
from aux_motion.commands.guard import guard
from aux_motion.commands.overwrite import OverwriteError, refuse_overwrite
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.learning import files
from aux_motion_core.testing import synthetic


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


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe.mcap"
    os.mkfifo(path)
    return path


def test_what_is_no_file_is_refused_before_the_work_and_stays(tmp_path, pipe) -> None:
    (tmp_path / "link.mcap").symlink_to(pipe)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (pipe, tmp_path / "link.mcap"):
        for write in (lambda path: refuse_overwrite([], [path]), BagWriter, lambda path: write_text(path, "x")):
            with pytest.raises(ValueError, match="cannot write .*: expected a file, it is a pipe; name a file$"):
                write(path)
        with pytest.raises(files.LearnedFileError, match="it is a pipe; name a file$"):
            files.save(path, files.Identity("model"), {})
    with pytest.raises(ValueError, match="loop: .*; name another file$"):
        write_text(tmp_path / "loop", "x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.mcap", "loop", "pipe.mcap"] and pipe.is_fifo()


@pytest.mark.parametrize("there", [True, False])
def test_where_a_link_points_to_is_written_and_the_link_stays(tmp_path, there) -> None:
    def learnt(path) -> None:
        files.save(path, files.Identity("model"), {})

    def bag(path) -> None:
        with BagWriter(path) as writer:
            for frame in synthetic.frames(1, 0.1):
                writer.write("/skeletons", frame, frame.stamp_ns)

    for number, write in enumerate((lambda path: write_text(path, "text"), learnt, bag)):
        place, link = tmp_path / "elsewhere" / f"{number}.mcap", tmp_path / f"link{number}.mcap"
        place.parent.mkdir(exist_ok=True)
        if there:
            place.touch()
        link.symlink_to(place)
        write(link)
        assert link.is_symlink() and place.stat().st_size > 0 and not place.is_symlink()
    assert len(list(tmp_path.iterdir())) == 4 and len(list((tmp_path / "elsewhere").iterdir())) == 3


def test_two_who_write_one_file_do_not_mix(tmp_path, monkeypatch) -> None:
    """The second begins and ends while the first one writes."""
    whole, write = tmp_path / "a.txt", Path.write_text

    def slow(path, text, **options):
        monkeypatch.setattr(Path, "write_text", write)
        with path.open("w") as file:
            file.write(text[:2])
            file.flush()
            write_text(whole, "second")
            file.write(text[2:])

    monkeypatch.setattr(Path, "write_text", slow)
    write_text(whole, "first")
    assert whole.read_text() == "first" and list(tmp_path.iterdir()) == [whole]


def test_names_that_are_no_text_can_be_written(tmp_path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    assert write_text(folder / "a.txt", f"in {folder.name}").read_text() == "in odd?"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_begins_a_formula(text) -> None:
    assert text_cell(text) == "'" + text
    assert text_cell("person_1 = 2") == "person_1 = 2"


def tidy(code: str, root, **options) -> subprocess.Popen:
    """A command that SIGTERM ends, and that says when it works."""
    code = f"""
import signal, sys, time
from aux_motion.commands.guard import guard
def work():
    {code}
guard(work, "x")
"""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
    return subprocess.Popen([sys.executable, "-c", code], text=True, cwd=root, **options)


@pytest.mark.parametrize("caught", [False, True])
def test_sigterm_removes_what_is_half_written(tmp_path, root, caught) -> None:
    work = "with BagWriter(sys.argv[0] + '.mcap'): print('works', flush=True); time.sleep(60)"
    if caught:  # as an import of a library in C does
        work = f"""
    try:
        {work}
    except SystemExit:
        raise ImportError("initialization failed")"""
    work = f"from aux_motion_core.bags.writer import BagWriter; sys.argv[0] = {str(tmp_path / 'a')!r}\n    {work}"
    process = tidy(work, root)
    assert process.stdout.readline() == "works\n"
    assert len(list(tmp_path.iterdir())) == 1
    process.terminate()
    said, _ = process.communicate(timeout=20)
    assert (process.returncode, said, list(tmp_path.iterdir())) == (143, "", [])


def test_sigterm_ends_what_catches_it(root) -> None:
    work = """
    from aux_motion.commands import guard
    guard._PATIENCE_S = 1
    print("works", flush=True)
    while True:
        try:
            time.sleep(60)
        except SystemExit:
            pass"""
    process = tidy(work, root)
    assert process.stdout.readline() == "works\n"
    process.terminate()
    assert process.wait(timeout=20) == 143


def test_an_interrupt_that_an_import_makes_an_error_of_is_one(capsys) -> None:
    def call() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error

    with pytest.raises(SystemExit) as end:
        guard(call, "x")
    assert end.value.code == 130 and capsys.readouterr().err == ""


def test_guard_leaves_the_handlers_of_others_alone() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        guard(lambda: None, "x")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    seen = []
    guard(lambda: seen.append(signal.getsignal(signal.SIGTERM)), "x")
    assert callable(seen[0]) and signal.getsignal(signal.SIGTERM) is before is signal.SIG_DFL


def test_closed_streams_and_odd_names_do_not_end_a_command(root) -> None:
    work = "from tqdm import tqdm; list(tqdm(range(3))); print('odd\\udcff')"
    process = tidy(work, root, stderr=None, preexec_fn=lambda: os.close(2))
    process.stdout.reconfigure(errors="surrogateescape")
    assert process.communicate(timeout=30)[0] == "odd\udcff\n" and process.returncode == 0


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
