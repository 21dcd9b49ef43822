# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Splits: nobody's recording is on both sides."""

from __future__ import annotations

import warnings
from fnmatch import fnmatchcase

import numpy as np
import pytest

from training.data import SPLITS, Clip, load_clips, load_split, split_names
from training.data.overlap import near_identical, shared_root_rows

LEARNED = ("train", "validation", "work_train")
HELD_OUT = ("new_subject", "new_motion", "handover", "real_tracker")
TWIN = "train/walking/walking_1"


@pytest.fixture(scope="module")
def splits(data_dir) -> dict[str, list[Clip]]:
    """All splits, loaded."""
    return {name: load_split(data_dir, name) for name in SPLITS}


def leaks(learned: list[Clip], held_out: list[Clip]) -> list[str]:
    """What clips of the two sides share: names, groups, root rows, windows."""
    found = [f"{n}: in both" for n in {c.name for c in learned} & {c.name for c in held_out}]
    found += [f"group {g}: in both" for g in {c.group for c in learned if c.group in {o.group for o in held_out}}]
    found += [f"{o.first} and {o.second}: {o.root_rows} root rows" for o in shared_root_rows(learned, held_out)]
    found += [f"{o.first} and {o.second}: {o.distance_m * 1000:.1f} mm" for o in near_identical(learned, held_out)]
    return found


def test_lists_name_every_clip_once():
    names = [n for s in SPLITS for n in split_names(s)]
    assert len(names) == len(set(names))
    patterns = [n for n in names if "*" in n]
    assert "kinect_gestures/*" in patterns and "nuitrack/*" in patterns
    assert not [(n, p) for p in patterns for n in names if n != p and fnmatchcase(n, p)]


def test_no_clip_in_two_splits(splits):
    names = [c.name for clips in splits.values() for c in clips]
    assert len(names) == len(set(names))


def test_unknown_split_and_clip(data_dir):
    with pytest.raises(ValueError, match="expected one of train, validation"):
        split_names("test")
    with pytest.raises(ValueError, match="walking_99: expected this clip in the data.*extract"):
        load_clips(data_dir, ["train/walking/walking_99"])
    with pytest.raises(ValueError, match="expected this clip in the data"):
        load_clips(data_dir, ["kth/nobody/giver"])


def test_split_sizes(splits):
    sizes = {n: len(c) for n, c in splits.items()}
    assert sizes == {
        "train": 75,
        "validation": 10,
        "new_subject": 10,
        "new_motion": 1,
        "handover": 2,
        "real_tracker": 1350,
        "seen_group": 23,
        "work_train": 119,
        "robot_work": 20,
        "construction": 4,
        "rehab": 188,
        "nuitrack": 287,
    }


@pytest.mark.parametrize("tier", ["new_subject", "new_motion", "handover"])
def test_held_out_tiers_share_nothing_with_what_is_learned(splits, tier):
    assert leaks(splits["train"] + splits["validation"], splits[tier]) == []


def test_sources_of_the_trackers_are_not_learned_from(splits):
    learned = {c.source for s in LEARNED for c in splits[s]}
    assert len(learned) == 5
    assert not learned & {c.source for s in ("handover", "real_tracker", "rehab", "nuitrack") for c in splits[s]}


def test_activities_of_the_held_out_work_are_not_learned(splits):
    learned = {c.name for c in splits["work_train"]}
    for tier in ("robot_work", "construction"):
        assert not learned & {c.name for c in splits[tier]}
    assert not {c.action for c in splits["work_train"]} & {c.action for c in splits["robot_work"]}


def test_new_motion_is_new(splits):
    learned = {c.action for s in LEARNED for c in splits[s]}
    assert not learned & {c.action for c in splits["new_motion"]}


def test_validation_holds_whole_recordings(splits):
    assert shared_root_rows(splits["train"], splits["validation"]) == []
    assert near_identical(splits["train"], splits["validation"]) == []


def test_twin_of_a_held_out_trial_is_found(splits, data_dir):
    """train/walking/walking_1 is 02_01: put into training it must be found, by either measure."""
    twin = load_clips(data_dir, [TWIN])
    assert TWIN not in {n for s in SPLITS for n in split_names(s)}
    assert [(o.first, o.second) for o in shared_root_rows(twin, splits["new_subject"])] == [(TWIN, "02_01")]
    assert [(o.first, o.second) for o in near_identical(twin, splits["new_subject"])] == [(TWIN, "02_01")]
    found = leaks(splits["train"] + twin, splits["new_subject"])
    assert len(found) == 2 and all(TWIN in f and "02_01" in f for f in found)


def test_twin_is_found_moved_turned_and_cut(splits, data_dir):
    clip = load_clips(data_dir, [TWIN])[0]
    turn = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    clip.positions = (clip.positions[60:260] @ turn.T + np.array([3.0, -2.0, 0.1])).astype(np.float32)
    clip.mask, clip.stamps_s = clip.mask[60:260], clip.stamps_s[60:260]
    assert shared_root_rows([clip], splits["new_subject"]) == []  # so the second measure is needed
    assert [o.second for o in near_identical([clip], splits["new_subject"])] == ["02_01"]


def test_twin_is_found_with_only_an_upper_body(splits, data_dir):
    """As the handover's people are seen: masked joints must not hide what is shared."""
    clip = load_clips(data_dir, ["02_06"])[0]
    upper = splits["handover"][0].mask.any(0)
    clip.name, clip.mask = "upper body", clip.mask & upper
    clip.positions = clip.positions * clip.mask[..., None]
    found = near_identical(splits["new_subject"], [clip])
    assert "02_06" in [o.first for o in found]


def test_seen_group_overlaps_are_reported(splits):
    """This tier is optimistic by its label; files that share rows with training would still be no test."""
    assert shared_root_rows(splits["train"], splits["seen_group"]) == []
    alike = near_identical(splits["train"], splits["seen_group"], 0.035)
    assert alike, "the same person's walks resemble each other; the measure finds none"
    warnings.warn(
        f"seen_group: {len({o.second for o in alike})} clips have a second within 35 mm of training",
        stacklevel=1,
    )
