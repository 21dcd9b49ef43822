# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The npz layout of work and tracker recordings, its splits, and what may be trained on."""

from pathlib import Path

import numpy as np
import pytest

from aux_motion_core.skeleton import INDEX, JOINTS
from training.data import load_split, split_names
from training.data.splits import TRAINING
from training.data.terms import DataTerms, refuse_validation_only
from training.data.work import SETS, load_work

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not (DATA / "hrc_vicon_upper.npz").is_file(), reason="the recordings are not here")


def write(path, **changes):
    positions = np.random.default_rng(0).normal(size=(30, 20, 3)).astype(np.float32)
    positions[:, INDEX["left_foot"]] = np.nan
    content = {
        "positions": positions, "start": np.array([0, 10, 30]), "clip": np.array(["a/1", "b"]),
        "subject": np.array(["s", "s"]), "label": np.array(["Lift (slow)", "Lift"]), "group": np.array(["g/1", "g/2"]),
        "fps": np.array([50.0, 50.0]), "joints": np.array(JOINTS), "source": "us", "licence": "MIT",
    }  # fmt: skip
    np.savez(path, **{**content, **changes})
    return path


def test_clips_are_named_grouped_and_masked(tmp_path):
    one, two = load_work(write(tmp_path / "x.npz"), "hra")
    assert (one.name, two.name) == ("hra/a/1", "hra/b")
    assert (one.group, one.action, len(one.positions), one.rate_hz) == ("g_1", "Lift", 10, 50.0)
    assert not one.mask[:, INDEX["left_foot"]].any() and one.mask.sum() == 10 * 19
    assert (one.positions[~one.mask] == 0).all()


def test_stamps_that_stand_still_are_dropped(tmp_path):
    times = np.concatenate([np.arange(10) * 0.02, 5.0 + np.array([0.0, 0.1, 0.1, *(0.2 + 0.1 * np.arange(17))])])
    clips = load_work(write(tmp_path / "x.npz", times=times), "nuitrack")
    assert len(clips[1].positions) == 19 and clips[1].stamps_s[:2].tolist() == [0.0, pytest.approx(0.1)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"start": np.array([0, 10, 29])}, "ascending starts up to 30"),
        ({"joints": np.array(JOINTS)[::-1]}, "body20 in order"),
        ({"clip": np.array([None, None], dtype=object)}, "expected the arrays"),
    ],
)
def test_another_file_is_refused_by_name(tmp_path, changes, says):
    path = write(tmp_path / "x.npz", **changes)
    with pytest.raises(ValueError, match=says) as error:
        load_work(path, "hra")
    assert str(path) in str(error.value)


def test_validation_sets_cannot_be_exported_as_training_data(tmp_path):
    path = write(tmp_path / "x.npz")
    clips = load_work(path, "hra")
    refuse_validation_only(clips)
    terms = DataTerms.of(clips, "all").for_artefact()
    assert (terms["data"], terms["licence"]) == ("us", "MIT")
    for kind in (k for k, s in SETS.items() if not s.trainable):
        with pytest.raises(ValueError, match="validation only"):
            refuse_validation_only(load_work(path, kind))


@needs_data
def test_training_holds_nothing_that_is_held_out_or_for_validation_only():
    trained = [c for split in TRAINING for c in load_split(DATA, split)]
    names = {c.name for c in trained}
    assert len(names) == len(trained)
    refuse_validation_only(trained)
    for tier in ("robot_work", "construction", "rehab", "nuitrack", "validation", "new_subject"):
        held = load_split(DATA, tier)
        assert held and not names & {c.name for c in held}
    held = {c.action for c in load_split(DATA, "robot_work")}
    assert not held & {c.action for c in trained}, "whole activities"
    assert all(n.split("/")[0] not in ("rehab", "nuitrack") for s in TRAINING for n in split_names(s))
