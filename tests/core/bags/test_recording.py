# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recordings have an index at their end, also where the disk fills up. (Kills: tests/ros/test_record.py.)"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rosbags.highlevel import AnyReader

from aux_motion_core.bags import reader
from aux_motion_core.bags import recording as recording_module
from aux_motion_core.bags.definitions import build_message, typestore
from aux_motion_core.bags.recording import RESERVE_BYTES, Recording
from aux_motion_core.testing import synthetic
from aux_motion_core.wire.messages import frame_fields

#: Records frames with random positions (which do not compress) until it is stopped.
WRITE = """
import sys, time
import numpy as np
from dataclasses import replace
from aux_motion_core.bags import definitions as bags
from aux_motion_core.bags.recording import Recording
from aux_motion_core.testing import synthetic
from aux_motion_core.wire.messages import frame_fields

frame, rng, store = synthetic.frames(4, 0.1)[0], np.random.default_rng(0), bags.typestore()
with Recording(sys.argv[1]) as recording:
    print("recording", flush=True)
    for number in range(int(sys.argv[2])):
        now_ns = time.time_ns()
        moved = replace(frame, stamp_ns=now_ns, positions=rng.normal(size=(4, 20, 3)))
        raw = bytes(store.serialize_cdr(bags.build_message(bags.SKELETONS, frame_fields(moved)), bags.SKELETONS))
        recording.put("/skeletons", bags.SKELETONS, raw, now_ns)
        time.sleep(0.002)
        if recording.error:
            break
print(recording.error, recording.counts["/skeletons"], recording.dropped, flush=True)
"""


def start(path, count=100000, **options):
    return subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path), str(count)], stdout=subprocess.PIPE, text=True, **options
    )


def raw_messages(count):
    store = typestore()
    for frame in synthetic.frames(1, count / 30.0):
        message = build_message(reader.SKELETONS, frame_fields(frame))
        yield frame.stamp_ns, bytes(store.serialize_cdr(message, reader.SKELETONS))


def test_a_closed_recording_has_an_index_and_is_read_by_rosbags(tmp_path):
    path = tmp_path / "sub" / "a.mcap"
    with Recording(path) as recording:
        for stamp_ns, raw in raw_messages(60):
            recording.put("/skeletons", reader.SKELETONS, raw, stamp_ns + 7, stamp_ns)
            recording.put("/odd", "unknown_msgs/msg/Odd", b"\0\1\0\0", stamp_ns + 8)
    assert recording.counts == {"/skeletons": 60, "/odd": 60} and recording.error is None
    recording.put("/skeletons", reader.SKELETONS, b"", 0)  # after the end: ignored
    lines = []
    assert len(list(reader.read_skeletons(path, on_damage=lines.append))) == 60 and not lines
    with AnyReader([path]) as bag:
        (connection,) = (c for c in bag.connections if c.topic == "/skeletons")
        assert connection.msgcount == 60
        stamps = [t for c, t, raw in bag.messages([connection]) if bag.deserialize(raw, c.msgtype)]
        assert stamps == [stamp_ns + 7 for stamp_ns, _ in raw_messages(60)]
    from mcap.reader import make_reader

    with path.open("rb") as file:
        summary = make_reader(file).get_summary()
    assert summary.statistics.message_count == 120 and summary.chunk_indexes


def test_before_the_disk_is_full_the_recording_ends_with_its_index(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    size = f"size={RESERVE_BYTES + (1 << 20)}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        process = start(disk / "a.mcap")
        said = process.communicate(timeout=60)[0].splitlines()[-1]
        assert said.startswith("the disk is almost full")
        lines = []
        kept = sum(1 for _ in reader.read_skeletons(disk / "a.mcap", on_damage=lines.append))
        assert kept == int(said.split()[-2]) > 100 and not lines
    finally:
        subprocess.run(["umount", disk], check=True)


def test_files_that_cannot_be_made_are_named(tmp_path):
    (tmp_path / "there.mcap").write_bytes(b"x")
    for path, says in [
        (tmp_path / "a.bag", "ends in .mcap"),
        (tmp_path / "there.mcap", "exists already"),
        (Path("/proc/a.mcap"), "cannot record to"),
    ]:
        with pytest.raises(reader.BagError, match=says) as caught:
            Recording(path)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "there.mcap").read_bytes() == b"x"


def test_a_type_whose_definition_cannot_be_read_does_not_end_the_recording(tmp_path, monkeypatch):
    def definition(msgtype):
        raise SyntaxError("not understood")

    monkeypatch.setattr(recording_module, "message_definition", definition)
    with Recording(tmp_path / "a.mcap") as recording:
        recording.put("/odd", "odd_msgs/msg/Odd", b"\0\1\0\0", 1)
        monkeypatch.undo()
        for stamp_ns, raw in raw_messages(10):
            recording.put("/s", reader.SKELETONS, raw, stamp_ns)
    assert recording.error is None and recording.counts == {"/odd": 1, "/s": 10}
    assert len(list(reader.read_skeletons(tmp_path / "a.mcap"))) == 10
