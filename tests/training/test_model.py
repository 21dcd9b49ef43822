# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The network sees only what was observed, and is defined where nothing was."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training tests need torch (extra 'training')")

from training.model import FEW, Attention, AuxMotionModel, ModelConfig  # noqa: E402


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    m = AuxMotionModel(ModelConfig(width=16, heads=2, layers=2, rest_pose=np.ones((20, 3)).tolist())).eval()
    for head in (*[h.linear for h in m.predict_heads], m.recover_head[1], m.denoise_head[1]):
        torch.nn.init.normal_(head.weight, std=0.1)  # the heads start at zero: make them speak
    return m


def _window(seed=0, missing=0.4):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(3, 10, 20, 3, generator=g)
    return x, (torch.rand(3, 10, 20, generator=g) > missing).float()


@pytest.mark.parametrize("junk", [1e6, float("nan"), float("inf")])
def test_values_that_were_not_observed_reach_no_output(model, junk):
    x, seen = _window()
    spoiled = torch.where(seen[..., None] > 0, x, torch.full_like(x, junk))
    for clean, other in zip(model(x, seen), model(spoiled, seen)):
        assert torch.equal(clean, other)


def test_observed_values_do_reach_the_output(model):
    x, seen = _window()
    moved = x + 0.1 * seen[..., None]
    assert (model(x, seen)[0] - model(moved, seen)[0]).abs().max() > 1e-3


@pytest.mark.parametrize("what", ["everything", "newest frame", "a joint", "all but one joint-frame"])
def test_output_is_finite_when_masked(model, what):
    x, seen = _window(missing=0.0)
    if what == "everything":
        seen[:] = 0
    elif what == "newest frame":
        seen[:, -1] = 0
    elif what == "a joint":
        seen[:, :, 5] = 0
    else:
        seen[:] = 0
        seen[:, 3, 7] = 1
    assert all(torch.isfinite(y).all() for y in model(x, seen))


@pytest.mark.parametrize("axis", ["space", "time"])
def test_attention_row_without_observed_key_adds_nothing_but_its_feed_forward(axis):
    torch.manual_seed(0)
    block = Attention(8, 2, 2, axis, 0.0).eval()
    torch.nn.init.zeros_(block.out.bias)
    x = torch.randn(1, 2, 5, 8)
    y = block(x.reshape(-1, 8), (1, 2, 5), torch.zeros(1, 2, 5)).reshape(x.shape)
    assert torch.allclose(y, x + block.ff(x), atol=1e-6)


@pytest.mark.parametrize("slots", [FEW, FEW + 1])
def test_attention_ignores_unobserved_keys(slots):
    torch.manual_seed(0)
    block = Attention(8, 2, 2, "time", 0.0).eval()
    seen = torch.ones(1, slots, 3)
    seen[:, 2] = 0
    x = torch.randn(1, slots, 3, 8)
    other = x.clone()
    other[:, 2] += 5.0
    keep = [k for k in range(slots) if k != 2]
    y, z = (block(v.reshape(-1, 8), v.shape[:3], seen).reshape(v.shape)[:, keep] for v in (x, other))
    assert torch.allclose(y, z, atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_few_slots_are_attended_to_as_many_are(masked, monkeypatch):
    torch.manual_seed(0)
    block = Attention(8, 2, 2, "time", 0.0).eval()
    x = torch.randn(2 * 3 * 5, 8)
    seen = (torch.rand(2, 3, 5) > 0.3).float() if masked else None
    few = block(x, (2, 3, 5), seen)
    monkeypatch.setattr("training.model.FEW", 0)
    assert torch.allclose(few, block(x, (2, 3, 5), seen), atol=1e-6)


def test_people_do_not_mix_in_a_batch(model):
    x, seen = _window()
    alone = model(x[1:2], seen[1:2])[0]
    assert torch.allclose(model(x, seen)[0][1:2], alone, atol=1e-5)


def test_every_layer_predicts_while_training(model):
    x, seen = _window()
    out = model.train().forward_all(x, seen)
    model.eval()
    assert out["future"].shape == (2, 3, 25, 20, 3)
    assert model.forward_all(x, seen)["future"].shape == (1, 3, 25, 20, 3)


def test_base_motion_of_constant_velocity_goes_on(model):
    t = torch.arange(10) * 0.04
    x = torch.zeros(1, 10, 20, 3)
    x[..., 0] = t[None, :, None] * 1.5
    seen = torch.ones(1, 10, 20)
    seen[:, -2:, 5] = 0  # last seen two steps ago: carried on with the root
    present, root, local, filled, _ = model.base_motion(x * seen[..., None], seen)
    assert torch.allclose(root[0, 0, 0], torch.tensor(1.5), rtol=0.05)
    others = [j for j in range(20) if j != 5]
    assert local[:, others].abs().max() < 0.01
    assert torch.allclose(present[0, :, 0], torch.full((20,), 0.54), atol=0.01)
    assert torch.allclose(filled[0, :, 5, 0], x[0, :, 5, 0], atol=0.01)


def test_of_still_people_a_share_of_the_displacement_is_taken_back(model):
    x, seen = torch.zeros(2, 10, 20, 3), torch.ones(2, 10, 20)
    x[:, :, 6, 2] = torch.arange(10) * 0.01  # a hand goes up
    x[1, ..., 0] += (torch.arange(10) * 0.04 * 1.5)[:, None]  # the second person walks
    free = model(x, seen)[0]
    model.config.still_shrink, model.config.still_speed_mps = 0.5, 0.2
    held = model(x, seen)[0]
    model.config.still_shrink = 0.0
    present = x[:, -1]
    assert torch.allclose(held[0, -1] - present[0], 0.5 * (free[0, -1] - present[0]), atol=1e-3)
    assert torch.allclose(held[1], free[1], atol=1e-4)
    near, far = ((held - free)[0, k].norm() / (free[0, k] - present[0]).norm() for k in (0, -1))
    assert near < 0.1 * far


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="multiple of patch"):
        ModelConfig(history_steps=11)
    with pytest.raises(ValueError, match="multiple of heads"):
        ModelConfig(width=30)
