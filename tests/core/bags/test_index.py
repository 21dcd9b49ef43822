# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""MCAP files whose index lists less than they hold: everything is read, and a shortfall is said."""

import struct

import numpy as np
import pytest
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import StoragePlugin, Writer

from aux_motion_core.bags import mcap_index, reader
from aux_motion_core.bags.definitions import build_message, typestore
from aux_motion_core.testing import synthetic
from aux_motion_core.wire.messages import frame_fields

SECONDS = 4
MESSAGE_INDEX, CHUNK_INDEX, STATISTICS = 7, 8, 11


@pytest.fixture
def frames():
    return synthetic.frames(2, float(SECONDS))


def write(path, frames, **options):
    """An MCAP file of a chunk a second."""
    store = typestore()
    with path.open("wb") as file:
        writer = McapWriter(file, chunk_size=1 << 30, compression=CompressionType.ZSTD, **options)
        writer.start(profile="ros2")
        text = store.generate_msgdef(reader.SKELETONS, ros_version=2)[0].encode()
        channel = writer.register_channel("/s", "cdr", writer.register_schema(reader.SKELETONS, "ros2msg", text))
        for index, frame in enumerate(frames):
            raw = store.serialize_cdr(build_message(reader.SKELETONS, frame_fields(frame)), reader.SKELETONS)
            writer.add_message(channel, frame.stamp_ns, bytes(raw), frame.stamp_ns)
            if index % 30 == 29:
                writer.flush()
        writer.finish()
    return path


def records(data):
    """(offset, opcode, size) of every record."""
    at = 8
    while at + 9 <= len(data) - 8:
        kind, size = struct.unpack_from("<BQ", data, at)
        yield at, kind, size
        at += 9 + size


def patch(path, kind, which, change):
    """Change the bytes of one record of a kind."""
    data = bytearray(path.read_bytes())
    at = [begin for begin, found, _ in records(data) if found == kind][which]
    change(data, at)
    path.write_bytes(data)


def hide(data, at):
    """Make a record one that every reader passes by."""
    data[at] |= 0x80


def read(path):
    lines = []
    got = list(reader.read_skeletons(path, on_damage=lines.append))
    return got, lines


def same(got, frames):
    assert [log for log, _ in got] == [f.stamp_ns for f in frames]
    for (_, frame), expected in zip(got, frames, strict=True):
        np.testing.assert_allclose(frame.positions, expected.positions, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"index_types": IndexType.CHUNK},
        {"index_types": IndexType.MESSAGE},
        {"index_types": IndexType.NONE, "use_statistics": False, "use_summary_offsets": False},
        {"use_statistics": False},
        {"use_chunking": False},
        {"repeat_channels": False, "repeat_schemas": False},
    ],
)
def test_whatever_index_a_recorder_writes_everything_is_read(tmp_path, frames, options):
    got, lines = read(write(tmp_path / "a.mcap", frames, **options))
    same(got, frames)
    assert not lines


@pytest.mark.parametrize("kind", [CHUNK_INDEX, MESSAGE_INDEX])
def test_what_an_index_leaves_out_is_read(tmp_path, frames, kind):
    path = write(tmp_path / "less.mcap", frames)
    assert mcap_index.is_complete(path)
    patch(path, kind, 1, hide)
    assert not mcap_index.is_complete(path)
    got, lines = read(path)
    same(got, frames)
    assert not lines


def test_a_topic_that_the_index_of_a_chunk_does_not_list_is_read(tmp_path, frames):
    path = write(tmp_path / "less.mcap", frames)

    def empty_map(data, at):  # the length of message_index_offsets, after four numbers of 8 bytes
        struct.pack_into("<H", data, at + 9 + 36, 99)

    patch(path, CHUNK_INDEX, 0, empty_map)
    same(read(path)[0], frames)


@pytest.mark.parametrize("options", [{}, {"index_types": IndexType.NONE}])
def test_a_file_that_states_more_than_it_holds_says_so(tmp_path, frames, options):
    path = write(tmp_path / "more.mcap", frames, **options)

    def ten_more(data, at):  # of the whole file, and of its only channel
        for offset, form in ((9, "<Q"), (9 + 42 + 4 + 2, "<Q")):
            struct.pack_into(form, data, at + offset, struct.unpack_from(form, data, at + offset)[0] + 10)

    patch(path, STATISTICS, 0, ten_more)
    got, (line,) = read(path)
    same(got, frames)
    assert f"states more messages than it holds: {len(frames) + 10} on /s, {len(frames)} are there" in line
    assert f"{len(frames)} messages read" in line


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_metadata_that_states_more_than_the_files_hold_says_so(tmp_path, frames, storage):
    store = typestore()
    with Writer(tmp_path / "bag", version=9, storage_plugin=storage) as writer:
        connection = writer.add_connection("/s", reader.SKELETONS, typestore=store)
        for frame in frames:
            raw = store.serialize_cdr(build_message(reader.SKELETONS, frame_fields(frame)), reader.SKELETONS)
            writer.write(connection, frame.stamp_ns, raw)
    assert not read(tmp_path / "bag")[1]
    about = tmp_path / "bag" / "metadata.yaml"
    text = about.read_text().replace(f"message_count: {len(frames)}", f"message_count: {len(frames) + 7}")
    about.write_text(text)
    got, (line,) = read(tmp_path / "bag")
    same(got, frames)
    assert "metadata.yaml" in line and f"{len(frames) + 7} on /s, {len(frames)} are there" in line
