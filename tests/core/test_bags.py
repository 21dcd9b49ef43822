"""Bags: what is written is read, in every container; damaged and unfitting bags are named in one line."""

import shutil

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from aux_motion_core import bags, synthetic
from aux_motion_core.messages import frame_fields, prediction_fields
from aux_motion_core.skeleton import JOINTS
from aux_motion_core.types import PredictionBatch


@pytest.fixture
def frames():
    return synthetic.frames(2, 1.0)


@pytest.fixture
def bag(tmp_path, frames):
    path = tmp_path / "walk.mcap"
    with bags.BagWriter(path) as writer:
        for frame in frames:
            writer.write("/skeletons", frame, frame.stamp_ns + 5)
    return path


def one_line(path, **options):
    with pytest.raises(bags.BagError) as caught:
        list(bags.read_skeletons(path, **options))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(path, items, storage=StoragePlugin.MCAP):
    """A bag folder with (topic, message type, fields, log time) items, through rosbags itself."""
    store = bags.typestore()
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {}
        for topic, msgtype, fields, log_ns in items:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=store)
            raw = store.serialize_cdr(bags.build_message(msgtype, fields), msgtype)
            writer.write(connections[topic], log_ns, raw)


def same(got, frames, shift_ns):
    assert [log for log, _ in got] == [f.stamp_ns + shift_ns for f in frames]
    for (_, frame), expected in zip(got, frames, strict=True):
        assert frame.stamp_ns == expected.stamp_ns and frame.person_ids == expected.person_ids
        np.testing.assert_allclose(frame.positions, expected.positions, atol=1e-5)


def test_what_is_written_is_read(bag, frames):
    same(list(bags.read_skeletons(bag)), frames, 5)
    assert bags.count_messages(bag, bags.SKELETONS) == len(frames)
    assert [p.name for p in bag.parent.iterdir()] == [bag.name]  # one file, nothing beside it


@pytest.mark.parametrize("storage, suffix", [(StoragePlugin.MCAP, ".mcap"), (StoragePlugin.SQLITE3, ".db3")])
def test_folders_and_bare_files_of_both_storages_are_read(tmp_path, frames, storage, suffix):
    folder = tmp_path / "bag"
    write(folder, [("/s", bags.SKELETONS, frame_fields(f), f.stamp_ns) for f in frames], storage)
    same(list(bags.read_skeletons(folder)), frames, 0)
    bare = tmp_path / f"moved{suffix}"
    shutil.copy(next(folder.glob(f"*{suffix}")), bare)
    same(list(bags.read_skeletons(bare)), frames, 0)


def test_predictions_are_written_and_read_beside_skeletons(tmp_path, frames):
    batch = PredictionBatch(7, "map", "m", "1", 0.04, 25, JOINTS)
    with bags.BagWriter(tmp_path / "sub" / "p.mcap") as writer:
        writer.write("/skeletons", frames[0], 1)
        writer.write("predictions", batch, 2)
    ((item,),) = [list(bags.read_messages(tmp_path / "sub" / "p.mcap", bags.PREDICTIONS))]
    assert item.topic == "/predictions"  # as ros2 bag records it
    ((log_ns, got),) = bags.read_predictions(tmp_path / "sub" / "p.mcap")
    assert log_ns == 2 and got == batch


def test_an_older_file_is_replaced_only_when_all_was_written(bag, frames):
    before = bag.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        with bags.BagWriter(bag) as writer:
            writer.write("/skeletons", frames[0], 0)
            raise KeyboardInterrupt
    assert bag.read_bytes() == before and [p.name for p in bag.parent.iterdir()] == [bag.name]
    with bags.BagWriter(bag) as writer:
        writer.write("/skeletons", frames[0], 0)
    assert len(list(bags.read_skeletons(bag))) == 1


@pytest.mark.parametrize("share", [0.001, 0.3, 0.6, 0.95, 0.999])
def test_a_truncated_bag_is_named(bag, share):
    data = bag.read_bytes()
    bag.write_bytes(data[: int(share * len(data))])
    assert "walk.mcap" in one_line(bag) and "cut off" in one_line(bag)


def test_a_bag_with_damaged_content_is_named(bag):
    data = bytearray(bag.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 400] = bytes(400)
    bag.write_bytes(data)
    assert "walk.mcap" in one_line(bag)


def test_a_truncated_database_is_named(tmp_path, frames):
    folder = tmp_path / "bag"
    items = [("/s", bags.SKELETONS, frame_fields(f), f.stamp_ns) for f in frames]
    write(folder, items, StoragePlugin.SQLITE3)
    file = next(folder.glob("*.db3"))
    file.write_bytes(file.read_bytes()[:5000])
    assert "bag" in one_line(folder)


def test_empty_files_bags_and_topics_are_named(tmp_path):
    (tmp_path / "zero.mcap").write_bytes(b"")
    assert "empty" in one_line(tmp_path / "zero.mcap")
    with bags.BagWriter(tmp_path / "none.mcap"):
        pass
    assert "no topics at all" in one_line(tmp_path / "none.mcap")
    with Writer(tmp_path / "silent", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        writer.add_connection("/skeletons", bags.SKELETONS, typestore=bags.typestore())
    assert "no message on /skeletons" in one_line(tmp_path / "silent")


def test_a_bag_without_skeletons_lists_its_topics(tmp_path):
    batch = PredictionBatch(7, "map", "m", "1", 0.04, 25, JOINTS)
    write(tmp_path / "bag", [("/other", bags.PREDICTIONS, prediction_fields(batch), 1)])
    line = one_line(tmp_path / "bag")
    assert "SkeletonArray" in line and "/other" in line and "PredictionArray" in line


def test_a_topic_must_exist_and_be_the_only_one_or_named(tmp_path, frames):
    fields = frame_fields(frames[0])
    write(tmp_path / "bag", [("/a", bags.SKELETONS, fields, 1), ("/b", bags.SKELETONS, fields, 2)])
    assert "/a, /b" in one_line(tmp_path / "bag")
    assert "/c" in one_line(tmp_path / "bag", topic="/c")
    assert [log for log, _ in bags.read_skeletons(tmp_path / "bag", topic="b")] == [2]


def test_paths_that_are_no_bags_are_named(tmp_path):
    assert "no such bag" in one_line(tmp_path / "nowhere.mcap")
    (tmp_path / "notes.txt").write_text("hello")
    assert "no rosbag2 bag" in one_line(tmp_path / "notes.txt")
    assert "cannot open" in one_line(tmp_path)  # a folder without metadata
    with pytest.raises(bags.BagError, match="ends in .mcap"):
        bags.BagWriter(tmp_path / "out.bag")


def test_unknown_joint_names_end_the_reading_or_are_skipped(tmp_path, frames):
    bad = {**frame_fields(frames[1]), "joint_names": [f"j{i}" for i in range(20)]}
    write(
        tmp_path / "bag",
        [("/s", bags.SKELETONS, frame_fields(frames[0]), 1), ("/s", bags.SKELETONS, bad, 2)],
    )
    line = one_line(tmp_path / "bag")
    assert "message 1 of /s" in line and "unknown joint names 'j0'" in line
    reasons = []
    assert len(list(bags.read_skeletons(tmp_path / "bag", on_bad=reasons.append))) == 1
    assert len(reasons) == 1 and "j0" in str(reasons[0])
