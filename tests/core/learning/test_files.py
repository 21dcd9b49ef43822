# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The file of what was learnt: whole or not at all, and refused where it does not belong."""

from __future__ import annotations

import io
import resource
import zipfile

import numpy as np
import pytest
from support.learning_helpers import make, ratio, run, waving

from aux_motion_core.learning import files
from aux_motion_core.learning.files import Identity, LearnedFileError


@pytest.fixture(scope="module")
def taught():
    p = make()
    run(p, lambda t: {"a": waving(t)}, 30.0)
    return p


def test_a_second_run_begins_where_the_first_ended(taught, tmp_path):
    path = tmp_path / "learned.npz"
    taught.learner.save(path)
    assert path.stat().st_size < files.LARGEST and [f.name for f in tmp_path.iterdir()] == ["learned.npz"]
    second = make()
    second.learner.load(path)
    np.testing.assert_allclose(second.learner.maps.solution.weights, taught.learner.maps.solution.weights, atol=1e-4)
    assert second.learner.maps.learnt_s == taught.learner.maps.learnt_s
    first = run(make(), lambda t: {"a": waving(t)}, 6.0)
    assert ratio(run(second, lambda t: {"a": waving(t)}, 6.0)) < 0.85 * ratio(first)


def test_there_may_be_no_file_yet(tmp_path):
    with pytest.raises(FileNotFoundError):
        make().learner.load(tmp_path / "none.npz")


def refused(path, expected: str, p=None):
    p = p or make()
    with pytest.raises(LearnedFileError, match=expected) as error:
        p.learner.load(path)
    assert "\n" not in str(error.value) and "starts from nothing" in str(error.value)
    assert not p.learner.maps.solution.weights.any()


def test_one_of_another_model_is_refused(taught, tmp_path):
    path = tmp_path / "learned.npz"
    taught.learner.save(path)
    refused(path, "learnt with model", make(name="zero_velocity"))


@pytest.mark.parametrize("what", ["tracker", "joints", "grid"])
def test_one_of_another_tracker_joint_set_or_grid_is_refused(taught, tmp_path, what):
    path = tmp_path / "learned.npz"
    taught.learner.save(path)
    p = make()
    other = {**p.learner.identity.__dict__, what: "another"}
    p.learner.identity = Identity(**other)
    refused(path, f"learnt with {what}", p)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_one_cut_off_is_refused(taught, tmp_path, share):
    path = tmp_path / "learned.npz"
    taught.learner.save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, "cannot be read")


def test_a_damaged_one_is_refused(taught, tmp_path):
    path = tmp_path / "learned.npz"
    taught.learner.save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refused(path, "cannot be read")


def test_one_of_another_version_is_refused(taught, tmp_path, monkeypatch):
    path = tmp_path / "learned.npz"
    with monkeypatch.context() as m:
        m.setattr(files, "VERSION", files.VERSION + 1)
        taught.learner.save(path)
    refused(path, "expected version")


def test_pickles_and_numbers_that_are_none_are_refused(taught, tmp_path):
    path = tmp_path / "learned.npz"
    taught.learner.save(path)
    with np.load(path) as content:
        arrays = {k: content[k] for k in content.files}
    np.savez(path, **{**arrays, "cross": np.full_like(arrays["cross"], np.nan)})
    refused(path, "cross: expected finite numbers")
    np.savez(path, **{**arrays, "products": arrays["products"][:, :-1]})
    refused(path, "products: expected finite numbers")
    np.savez(path, **{**arrays, "products": -1e6 * np.abs(arrays["products"])})
    refused(path, "no sums of squares")
    np.savez(path, **{**arrays, "cross": np.array([{"a": 1}], object)})
    refused(path, "cannot be read")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        z.writestr("about.npy", b"nothing")
    path.write_bytes(buffer.getvalue())
    refused(path, "cannot be read")


def test_a_full_disk_leaves_what_was_there(taught, tmp_path):
    path = tmp_path / "learned.npz"
    taught.learner.save(path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # a write beyond fails as on a full disk
    try:
        with pytest.raises(LearnedFileError, match="cannot be written") as error:
            taught.learner.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == before and [f.name for f in tmp_path.iterdir()] == ["learned.npz"]


def test_a_folder_that_cannot_be_made_is_one_line(taught, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LearnedFileError, match="cannot write .*: Not a directory; name another file$"):
        taught.learner.save(tmp_path / "file" / "learned.npz")


def test_a_stream_at_another_rate_starts_from_nothing(taught, tmp_path):
    path = tmp_path / "learned.npz"
    taught.learner.save(path)
    second = make()
    second.learner.load(path)
    run(second, lambda t: {"a": waving(t)}, 5.0, rate=10.0)
    assert "25 Hz then, 10 Hz now" in second.learner.remark
    assert second.learner.maps.learnt_s < 5.0


def test_a_stream_of_more_joints_starts_from_nothing(tmp_path):
    seen = np.ones(20, bool)
    seen[12:] = False
    upper = make()
    run(upper, lambda t: {"a": waving(t)}, 10.0, seen=seen)
    path = tmp_path / "learned.npz"
    upper.learner.save(path)
    second = make()
    second.learner.load(path)
    run(second, lambda t: {"a": waving(t)}, 5.0)
    assert "not seen then" in second.learner.remark
