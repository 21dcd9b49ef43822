# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bags: what is written is read, in every container; damaged and unfitting bags are named in one line."""

import errno
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import zstandard
from mcap.writer import CompressionType, IndexType
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from aux_motion_core.bags import files, reader
from aux_motion_core.bags.definitions import build_message, typestore
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.skeleton import JOINTS
from aux_motion_core.testing import synthetic
from aux_motion_core.types import PredictionBatch
from aux_motion_core.wire.messages import frame_fields, prediction_fields


@pytest.fixture
def frames():
    return synthetic.frames(2, 1.0)


@pytest.fixture
def bag(tmp_path, frames):
    path = tmp_path / "walk.mcap"
    with BagWriter(path) as writer:
        for frame in frames:
            writer.write("/skeletons", frame, frame.stamp_ns + 5)
    return path


def one_line(path, **options):
    with pytest.raises(reader.BagError) as caught:
        list(reader.read_skeletons(path, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path, items, storage=StoragePlugin.MCAP):
    """A bag folder with (topic, message type, fields, log time) items, through rosbags itself."""
    store = typestore()
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {}
        for topic, msgtype, fields, log_ns in items:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=store)
            raw = store.serialize_cdr(build_message(msgtype, fields), msgtype)
            writer.write(connections[topic], log_ns, raw)


def same(got, frames, shift_ns):
    assert [log for log, _ in got] == [f.stamp_ns + shift_ns for f in frames]
    for (_, frame), expected in zip(got, frames, strict=True):
        assert frame.stamp_ns == expected.stamp_ns and frame.person_ids == expected.person_ids
        np.testing.assert_allclose(frame.positions, expected.positions, atol=1e-5)


def test_what_is_written_is_read(bag, frames):
    same(list(reader.read_skeletons(bag)), frames, 5)
    assert reader.count_messages(bag, reader.SKELETONS) == len(frames)
    assert [p.name for p in bag.parent.iterdir()] == [bag.name]  # one file, nothing beside it


@pytest.mark.parametrize("storage, suffix", [(StoragePlugin.MCAP, ".mcap"), (StoragePlugin.SQLITE3, ".db3")])
def test_folders_and_bare_files_of_both_storages_are_read(tmp_path, frames, storage, suffix):
    folder = tmp_path / "bag"
    write(folder, [("/s", reader.SKELETONS, frame_fields(f), f.stamp_ns) for f in frames], storage)
    same(list(reader.read_skeletons(folder)), frames, 0)
    bare = tmp_path / f"moved{suffix}"
    shutil.copy(next(folder.glob(f"*{suffix}")), bare)
    same(list(reader.read_skeletons(bare)), frames, 0)


def test_predictions_are_written_and_read_beside_skeletons(tmp_path, frames):
    batch = PredictionBatch(7, "map", "m", "1", 0.04, 25, JOINTS)
    with BagWriter(tmp_path / "sub" / "p.mcap") as writer:
        writer.write("/skeletons", frames[0], 1)
        writer.write("predictions", batch, 2)
    ((item,),) = [list(reader.read_messages(tmp_path / "sub" / "p.mcap", reader.PREDICTIONS))]
    assert item.topic == "/predictions"  # as ros2 bag records it
    ((log_ns, got),) = reader.read_predictions(tmp_path / "sub" / "p.mcap")
    assert log_ns == 2 and got == batch


def test_an_older_file_is_replaced_only_when_all_was_written(bag, frames):
    before = bag.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        with BagWriter(bag) as writer:
            writer.write("/skeletons", frames[0], 0)
            raise KeyboardInterrupt
    assert bag.read_bytes() == before and [p.name for p in bag.parent.iterdir()] == [bag.name]
    with BagWriter(bag) as writer:
        writer.write("/skeletons", frames[0], 0)
    assert len(list(reader.read_skeletons(bag))) == 1


def damaged(path, **options):
    """Frames of a damaged bag, and the one line about the damage."""
    lines = []
    got = list(reader.read_skeletons(path, on_damage=lines.append, **options))
    assert len(lines) == 1 and "\n" not in lines[0] and f"{len(got)} messages read" in lines[0], lines
    return got, lines[0]


@pytest.fixture
def chunked(tmp_path):
    """An MCAP file of five chunks, one second each, and its frames."""
    path, frames = tmp_path / "long.mcap", synthetic.frames(2, 5.0)
    store = typestore()
    with path.open("wb") as file:
        writer = McapWriter(file, chunk_size=1 << 30, compression=CompressionType.ZSTD)
        writer.start(profile="ros2")
        text = store.generate_msgdef(reader.SKELETONS, ros_version=2)[0].encode()
        schema = writer.register_schema(reader.SKELETONS, "ros2msg", text)
        channel = writer.register_channel("/skeletons", "cdr", schema)
        for index, frame in enumerate(frames):
            raw = store.serialize_cdr(build_message(reader.SKELETONS, frame_fields(frame)), reader.SKELETONS)
            writer.add_message(channel, frame.stamp_ns + 5, bytes(raw), frame.stamp_ns + 5)
            if index % 30 == 29:
                writer.flush()
        writer.finish()
    return path, frames


@pytest.mark.parametrize("share", [0.001, 0.3, 0.6])
def test_a_bag_cut_off_before_the_end_of_its_first_chunk_is_named(bag, share):
    data = bag.read_bytes()
    bag.write_bytes(data[: int(share * len(data))])
    assert "walk.mcap" in one_line(bag) and "cut off" in one_line(bag)


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75, 0.9, 0.999])
def test_of_a_cut_off_bag_the_whole_chunks_are_read(chunked, share):
    path, frames = chunked
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    got, line = damaged(path)
    assert len(got) % 30 == 0 and len(got) > (share - 0.25) * len(frames) - 1
    same(got, frames[: len(got)], 5)
    assert "long.mcap" in line and "cut off" in line
    with reader.BagReader(path, on_damage=lambda line: None) as bag:
        (topic,) = bag.topics
        assert (topic.count, bag.start_ns, bag.end_ns) == (len(got), got[0][0], got[-1][0])


def test_without_a_callback_the_damage_is_one_logged_line(chunked, caplog):
    path, _ = chunked
    path.write_bytes(path.read_bytes()[:-40])
    assert len(list(reader.read_skeletons(path))) == 150
    (record,) = caplog.records
    assert record.levelname == "WARNING" and "150 messages read" in record.getMessage()


@pytest.mark.parametrize("compression", [CompressionType.NONE, CompressionType.LZ4, CompressionType.ZSTD])
def test_of_a_chunk_that_is_cut_off_the_whole_messages_are_read(tmp_path, compression):
    frames = synthetic.frames(4, 20.0)  # more than the 128 KiB that zstd packs in one block
    store = typestore()
    path = tmp_path / "killed.mcap"
    with path.open("wb") as file:
        writer = McapWriter(file, chunk_size=1 << 30, compression=compression)
        writer.start(profile="ros2")
        text = store.generate_msgdef(reader.SKELETONS, ros_version=2)[0].encode()
        channel = writer.register_channel("/s", "cdr", writer.register_schema(reader.SKELETONS, "ros2msg", text))
        for frame in frames:
            raw = store.serialize_cdr(build_message(reader.SKELETONS, frame_fields(frame)), reader.SKELETONS)
            writer.add_message(channel, frame.stamp_ns, bytes(raw), frame.stamp_ns)
        writer.finish()
    data = path.read_bytes()
    path.write_bytes(data[: int(0.7 * len(data))])
    got, _ = damaged(path)
    assert 300 < len(got) < 600
    same(got, frames[: len(got)], 0)


def test_a_bag_without_index_is_read_whole(tmp_path, frames):
    store = typestore()
    path = tmp_path / "plain.mcap"
    with path.open("wb") as file:
        writer = McapWriter(file, use_chunking=False, index_types=IndexType.NONE, use_statistics=False)
        writer.start(profile="")  # not even the profile of ROS 2
        text = store.generate_msgdef(reader.SKELETONS, ros_version=2)[0].encode()
        channel = writer.register_channel("/s", "cdr", writer.register_schema(reader.SKELETONS, "ros2msg", text))
        for frame in frames:
            raw = store.serialize_cdr(build_message(reader.SKELETONS, frame_fields(frame)), reader.SKELETONS)
            writer.add_message(channel, frame.stamp_ns, bytes(raw), frame.stamp_ns)
        writer.finish()
    lines = []
    same(list(reader.read_skeletons(path, on_damage=lines.append)), frames, 0)
    assert not lines


def test_a_damaged_chunk_is_passed_by(chunked):
    path, frames = chunked
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    got, line = damaged(path)
    same(got, frames[:60] + frames[90:], 5)
    assert "chunk" in line


def test_a_bag_with_damaged_content_is_named(bag):
    data = bytearray(bag.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 400] = bytes(400)
    bag.write_bytes(data)
    assert "walk.mcap" in one_line(bag) and "damaged" in one_line(bag)


@pytest.fixture
def database(tmp_path):
    """A folder with an sqlite3 bag, its file, and its frames."""
    folder, frames = tmp_path / "bag", synthetic.frames(2, 10.0)
    write(folder, [("/s", reader.SKELETONS, frame_fields(f), f.stamp_ns) for f in frames], StoragePlugin.SQLITE3)
    return folder, next(folder.glob("*.db3")), frames


def test_a_truncated_database_is_named(database):
    folder, file, _ = database
    file.write_bytes(file.read_bytes()[:5000])
    assert "bag.db3" in one_line(file) and "bag" in one_line(folder)


def test_rows_of_a_database_that_are_no_messages_are_left_out_and_counted(database):
    _, file, frames = database
    with sqlite3.connect(file) as db:
        db.execute("UPDATE messages SET timestamp = 'soon' WHERE id = 7")
        db.execute("UPDATE messages SET data = 5 WHERE id = 70")
    db.close()
    told = []
    found = [frame.stamp_ns for _, frame in reader.read_skeletons(file, on_damage=told.append)]
    assert found == [f.stamp_ns for k, f in enumerate(frames, 1) if k not in (7, 70)]
    assert len(told) == 1 and "2 rows are no messages" in told[0]


@pytest.mark.parametrize("share", [0.4, 0.7, 0.99])
def test_of_a_truncated_database_the_whole_rows_are_read(database, share):
    folder, file, frames = database
    data = file.read_bytes()
    file.write_bytes(data[: int(share * len(data))])
    got, line = damaged(folder)
    assert len(got) > (share - 0.2) * len(frames)
    same(got, frames[: len(got)], 0)
    assert "bag" in line and "damaged" in line
    assert sorted(p.name for p in folder.iterdir()) == ["bag.db3", "metadata.yaml"]


@pytest.mark.parametrize("metadata", [None, "rosbag2_bagfile_information: {version: 5, relat"])
def test_folders_without_whole_metadata_are_read(database, metadata):
    folder, _, frames = database
    (folder / "metadata.yaml").unlink()
    if metadata is not None:
        (folder / "metadata.yaml").write_text(metadata)
    lines = []
    same(list(reader.read_skeletons(folder, on_damage=lines.append)), frames, 0)
    assert not lines


def test_split_bags_are_read_in_order_and_a_missing_part_is_named(tmp_path):
    frames = synthetic.frames(1, 4.0)
    (tmp_path / "split").mkdir()
    for part, first in enumerate(range(0, 120, 10)):  # twelve files: 10 comes after 9
        items = [("/s", reader.SKELETONS, frame_fields(f), f.stamp_ns) for f in frames[first : first + 10]]
        write(tmp_path / f"part{part}", items)
        shutil.move(next((tmp_path / f"part{part}").glob("*.mcap")), tmp_path / "split" / f"split_{part}.mcap")
    same(list(reader.read_skeletons(tmp_path / "split")), frames, 0)
    listed = "".join(f"  - split_{part}.mcap\n" for part in range(12))
    (tmp_path / "split" / "metadata.yaml").write_text(f"rosbag2_bagfile_information:\n relative_file_paths:\n{listed}")
    (tmp_path / "split" / "split_4.mcap").unlink()
    got, line = damaged(tmp_path / "split")
    same(got, frames[:40] + frames[50:], 0)
    assert "split_4.mcap is missing" in line


@pytest.mark.parametrize("mode", ["WAL", "PERSIST"])
def test_what_a_killed_recorder_left_beside_a_database_is_read(database, mode):
    """WAL: committed rows that are not yet in the file. Journal: half a transaction that must be taken back."""
    folder, file, frames = database
    killed = f"""
import os, sqlite3
db = sqlite3.connect({str(file)!r}, isolation_level=None)
db.execute("PRAGMA journal_mode={mode}"); db.execute("PRAGMA wal_autocheckpoint=0"); db.execute("PRAGMA cache_size=2")
db.execute("BEGIN")
for number, stamp, data in db.execute("SELECT topic_id, timestamp, data FROM messages").fetchall():
    db.execute("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", (number, stamp + 10**11, data))
if {mode!r} == "WAL":
    db.execute("COMMIT")
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", killed])
    assert any(p.stat().st_size for p in folder.iterdir() if p.suffix in (".db3-wal", ".db3-journal"))
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    got = list(reader.read_skeletons(folder))
    assert len(got) == (2 * len(frames) if mode == "WAL" else len(frames))
    same(got[: len(frames)], frames, 0)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before  # the bag is left as it was found


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("mode", [CompressionMode.FILE, CompressionMode.MESSAGE])
@pytest.mark.parametrize("with_metadata", [True, False])
def test_compressed_bags_are_read(tmp_path, frames, storage, mode, with_metadata):
    store = typestore()
    writer = Writer(tmp_path / "bag", version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/s", reader.SKELETONS, typestore=store)
        for f in frames:
            raw = store.serialize_cdr(build_message(reader.SKELETONS, frame_fields(f)), reader.SKELETONS)
            writer.write(connection, f.stamp_ns, raw)
    if not with_metadata:
        (tmp_path / "bag" / "metadata.yaml").unlink()
    same(list(reader.read_skeletons(tmp_path / "bag")), frames, 0)
    if mode == CompressionMode.FILE:
        same(list(reader.read_skeletons(next((tmp_path / "bag").glob("*.zstd")))), frames, 0)


def test_a_cut_off_compressed_file_is_read_as_far_as_it_goes(database):
    _, file, frames = database
    packed = zstandard.compress(file.read_bytes())
    path = file.parents[1] / "cut.db3.zstd"
    path.write_bytes(packed[: int(0.8 * len(packed))])
    got, _ = damaged(path)
    assert len(got) > 50
    same(got, frames[: len(got)], 0)


def test_no_room_to_unpack_is_named(database, monkeypatch):
    _, file, _ = database
    packed = file.with_name(file.name + ".zstd")
    packed.write_bytes(zstandard.compress(file.read_bytes()))
    file.unlink()

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.RawBag, "_decompressed", full)
    line = one_line(packed)
    assert "No space left on device" in line and "set TMPDIR" in line


@pytest.mark.parametrize("seed", range(4))
def test_whatever_the_damage_it_gives_messages_or_one_line(database, chunked, tmp_path, seed):
    rng = np.random.default_rng(seed)
    for source in (database[1], chunked[0]):
        for _ in range(10):
            data = bytearray(source.read_bytes())
            how = rng.integers(4)
            if how != 1:  # cut off
                data = data[: rng.integers(1, len(data))]
            if how == 1:  # a range of zeros
                begin = int(rng.integers(len(data)))
                end = min(len(data), begin + int(rng.integers(1, 5000)))
                data[begin:end] = bytes(end - begin)
            if how >= 2:  # bytes that changed
                for at in rng.integers(len(data), size=5):
                    data[at] = rng.integers(256)
            path = tmp_path / f"damaged{source.suffix}"
            path.write_bytes(data)
            lines = []
            try:
                frames = list(reader.read_skeletons(path, on_bad=lambda error: None, on_damage=lines.append))
            except reader.BagError as error:
                lines.append(str(error))
                frames = []
            assert frames or lines
            assert len(lines) <= 1 and not any("\n" in line for line in lines)


def test_a_topic_with_two_types_gives_the_wanted_one_and_names_the_other(tmp_path, frames):
    store = typestore()
    text = store.types["std_msgs/msg/String"](data="hello")
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        people = writer.add_connection("/s", reader.SKELETONS, typestore=store)
        words = writer.add_connection("/s", "std_msgs/msg/String", typestore=store)
        writer.write(words, 0, store.serialize_cdr(text, "std_msgs/msg/String"))
        for f in frames:
            raw = store.serialize_cdr(build_message(reader.SKELETONS, frame_fields(f)), reader.SKELETONS)
            writer.write(people, f.stamp_ns, raw)
    got, line = damaged(tmp_path / "bag")
    same(got, frames, 0)
    assert "1 messages of topic /s are of another type (std_msgs/msg/String)" in line
    with reader.BagReader(tmp_path / "bag") as bag:
        with pytest.raises(
            reader.BagError, match="/s of bag .* several types that would do: .*SkeletonArray, std_msgs"
        ):
            bag.select({reader.SKELETONS, "std_msgs/msg/String"})


def humble(path, msgtype, definition):
    """An sqlite3 bag as ROS 2 Humble writes it: no definitions in it."""
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg(definition, msgtype))
    with Writer(path, version=8) as writer:
        connection = writer.add_connection("/s", msgtype, typestore=store)
        writer.write(connection, 1, store.serialize_cdr(store.types[msgtype](id=7), msgtype))
    (path / "metadata.yaml").unlink()
    db = sqlite3.connect(next(path.glob("*.db3")))
    db.executescript("DROP TABLE schema; DROP TABLE message_definitions; DROP TABLE metadata;")
    db.close()


def test_types_that_a_bag_does_not_define_come_from_installed_packages(tmp_path, monkeypatch):
    humble(tmp_path / "bag", "own_msgs/msg/Body", "int32 id")
    with pytest.raises(reader.BagError, match="own_msgs/msg/Body of topic /s is unknown .* holds no definition"):
        list(reader.read_messages(tmp_path / "bag", "own_msgs/msg/Body"))
    share = tmp_path / "install" / "share" / "own_msgs" / "msg"
    share.mkdir(parents=True)
    (share / "Body.msg").write_text("int32 id\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "install"))
    (item,) = reader.read_messages(tmp_path / "bag", "own_msgs/msg/Body")
    assert item.message.id == 7


def test_memory_does_not_grow_with_the_length_of_a_bag(tmp_path):
    def peak(path):
        tracemalloc.start()
        count = sum(1 for _ in reader.read_skeletons(path))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return count, size

    frames = synthetic.frames(8, 1.0)
    sizes = {}
    for repeats in (12, 48):
        path = tmp_path / f"{repeats}.mcap"
        with BagWriter(path) as writer:
            for n in range(repeats):
                for f in frames:
                    writer.write("/s", f, f.stamp_ns + n * 1_000_000_000)
        count, sizes[repeats] = peak(path)
        assert count == repeats * 30
    assert sizes[48] < 1.3 * sizes[12], sizes


def test_empty_files_bags_and_topics_are_named(tmp_path):
    (tmp_path / "zero.mcap").write_bytes(b"")
    assert "empty" in one_line(tmp_path / "zero.mcap")
    with BagWriter(tmp_path / "none.mcap"):
        pass
    assert "no topics at all" in one_line(tmp_path / "none.mcap")
    with Writer(tmp_path / "silent", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection("/skeletons", reader.SKELETONS, typestore=typestore())
    assert "no message on /skeletons" in one_line(tmp_path / "silent")


def test_a_bag_without_skeletons_lists_its_topics(tmp_path):
    batch = PredictionBatch(7, "map", "m", "1", 0.04, 25, JOINTS)
    write(tmp_path / "bag", [("/other", reader.PREDICTIONS, prediction_fields(batch), 1)])
    line = one_line(tmp_path / "bag")
    assert "SkeletonArray" in line and "/other" in line and "PredictionArray" in line


def test_a_topic_must_exist_and_be_the_only_one_or_named(tmp_path, frames):
    fields = frame_fields(frames[0])
    write(tmp_path / "bag", [("/a", reader.SKELETONS, fields, 1), ("/b", reader.SKELETONS, fields, 2)])
    assert "/a, /b" in one_line(tmp_path / "bag")
    assert "/c" in one_line(tmp_path / "bag", topic="/c")
    assert [log for log, _ in reader.read_skeletons(tmp_path / "bag", topic="b")] == [2]


def test_paths_that_are_no_bags_are_named(tmp_path):
    assert "no such bag" in one_line(tmp_path / "nowhere.mcap")
    (tmp_path / "notes.txt").write_text("hello")
    assert "no rosbag2 bag" in one_line(tmp_path / "notes.txt")
    assert "no rosbag2 bag" in one_line("/dev/null")
    assert "no bag in folder" in one_line(tmp_path)  # a folder without metadata
    with pytest.raises(reader.BagError, match="ends in .mcap"):
        BagWriter(tmp_path / "out.bag")


def test_unknown_joint_names_end_the_reading_or_are_skipped(tmp_path, frames):
    bad = {**frame_fields(frames[1]), "joint_names": [f"j{i}" for i in range(20)]}
    write(
        tmp_path / "bag",
        [("/s", reader.SKELETONS, frame_fields(frames[0]), 1), ("/s", reader.SKELETONS, bad, 2)],
    )
    line = one_line(tmp_path / "bag")
    assert "message 1 of /s" in line and "unknown joint names 'j0'" in line
    reasons = []
    assert len(list(reader.read_skeletons(tmp_path / "bag", on_bad=reasons.append))) == 1
    assert len(reasons) == 1 and "j0" in str(reasons[0])
