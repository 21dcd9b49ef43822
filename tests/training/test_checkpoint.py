# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Checkpoints that are damaged, incomplete or of another run are refused in a line."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from support.train_helpers import CLIPS, tiny  # noqa: E402

from training import checkpoint, train  # noqa: E402


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of a run that came to its end."""
    return train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path_factory.mktemp("finished")).parent


@pytest.fixture
def path(finished, tmp_path) -> Path:
    """The checkpoint in a copy of that folder, `tmp_path`."""
    return shutil.copytree(finished, tmp_path, dirs_exist_ok=True) / "checkpoint.pt"


def test_a_checkpoint_of_another_version_is_refused(tmp_path, path):
    state = torch.load(path, weights_only=True)
    checkpoint.save_atomically({**state, "version": 99}, path)
    with pytest.raises(ValueError, match="expected checkpoint version 1, got 99"):
        train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, path):
    before = path.read_bytes()
    (tmp_path / "checkpoint.part").symlink_to("/dev/full")  # writing fails with "no space left on device"
    longer = tiny()
    longer.steps = 9
    with pytest.raises(OSError, match="checkpoint.pt: cannot be written: No space left .*Make room there") as e:
        train.train(longer, CLIPS[:3], CLIPS[3:], tmp_path)
    assert "\n" not in str(e.value)
    assert path.read_bytes() == before and not (tmp_path / "checkpoint.part").exists()
    assert train.train(longer, CLIPS[:3], CLIPS[3:], tmp_path) == path, "with room it goes on"
    assert torch.load(path, weights_only=True)["step"] == 9


def test_a_checkpoint_with_changed_bytes_is_one_line(path):
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        spoiled = bytearray(whole)
        for i in rng.integers(0, 3000, 5):
            spoiled[i] = rng.integers(256)
        path.write_bytes(bytes(spoiled))
        for c in (tiny(), None):
            try:
                checkpoint.load_checkpoint(path, c, torch.device("cpu"))
            except ValueError as e:
                assert "\n" not in str(e) and str(path) in str(e)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"optimiser": None}, "optimiser is missing"),
        ({"config": None}, "config is missing"),
        ({"config": {"stepz": 3}}, r"settings are of another version \(stepz\)"),
        ({"model": {}}, r"expected weights .* got others \(Error.s. in loading state_dict"),
        ({"optimiser": {}}, r"expected weights .* got others \('param_groups'\)"),
    ],
)
def test_a_checkpoint_that_lacks_parts_is_one_line(tmp_path, path, change, says):
    state = {**torch.load(path, weights_only=True), **change}
    checkpoint.save_atomically({k: v for k, v in state.items() if v is not None}, path)
    with pytest.raises(ValueError, match=f"checkpoint.pt: .*{says}") as e:
        train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path)
    assert "\n" not in str(e.value)


def test_an_export_of_something_else_is_one_line(tmp_path):
    (tmp_path / "x.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match="x.pt: expected a checkpoint, got .*name another"):
        checkpoint.load_model(tmp_path / "x.pt")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_checkpoint_that_cannot_be_read_is_said(tmp_path, path, content):
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(ValueError, match="expected a checkpoint, got .*--no-resume"):
        train.train(tiny(), CLIPS[:3], CLIPS[3:], tmp_path)


def test_a_run_with_other_settings_does_not_go_on_from_the_checkpoint(tmp_path, path):
    with pytest.raises(ValueError, match="expected a run with the same settings, got other learning_rate, ema"):
        train.train(tiny(ema=0.5, learning_rate=1e-4), CLIPS[:3], CLIPS[3:], tmp_path)
