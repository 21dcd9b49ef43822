# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A second of history: old steps in the first patch, what is older may be missing, older networks' weights fit in."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from training.batches import make_batch
from training.config import TrainConfig
from training.losses import losses
from training.model import AuxMotionModel, ModelConfig
from training.warm_start import begin_with

OLD = ModelConfig(width=16, heads=2, layers=2)
NEW = replace(OLD, history_steps=25, old_steps=15, future_slots=1, coefficients=8, body=8, blend=4)


def net(config, seed=0):
    torch.manual_seed(seed)
    model = AuxMotionModel(config)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1:
                p.add_(0.05 * torch.randn_like(p))
    return model.eval()


def windows(n=6):
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.normal(size=(n, 25, 20, 3)).cumsum(1) * 0.02, dtype=torch.float32)
    return x, torch.ones(n, 25, 20)


def test_values_that_were_not_observed_never_matter():
    model, (x, m) = net(NEW), windows()
    m[:, :15] = 0.0
    m[0, 20:, 3] = 0.0
    other = torch.where(m[..., None] > 0, x, torch.randn_like(x) * 100)
    for a, b in zip(model(x, m), model(other, m)):
        assert torch.equal(a, b) or torch.allclose(a[..., 0], b[..., 0], atol=1e-5)


def test_old_steps_are_used_where_they_are_seen():
    model, (x, m) = net(NEW), windows()
    short = m.clone()
    short[:, :15] = 0.0
    with torch.no_grad():
        assert (model(x, m)[0] - model(x, short)[0]).abs().max() > 1e-4


def test_nobody_and_a_joint_of_old_steps_alone_have_finite_answers():
    model, (x, m) = net(NEW), windows()
    m[0] = 0.0
    m[1, 10:] = 0.0
    for out in model(x, m):
        assert torch.isfinite(out).all()


def test_history_steps_without_the_old_ones_must_be_patches():
    with pytest.raises(ValueError, match="old_steps"):
        ModelConfig(history_steps=25, old_steps=13)


def test_a_network_begins_with_the_weights_that_fit(tmp_path):
    before = net(OLD)
    save_file({n: p.detach().contiguous() for n, p in before.state_dict().items()}, tmp_path / "w.safetensors")
    model = AuxMotionModel(NEW)
    assert begin_with(model, tmp_path / "w.safetensors") > 0.7
    assert torch.equal(model.layers[0].full_time.qkv.weight, before.layers[0].full_time.qkv.weight)
    head, old = model.predict_heads[0].linear.weight, before.predict_heads[0].linear.weight
    assert torch.equal(head[:12], old[:12]) and torch.equal(head[-2:], old[-2:]) and not head[12:24].any()
    assert torch.equal(model.time_embedding[:2], before.time_embedding[:2])


def test_a_file_of_other_weights_is_refused(tmp_path):
    save_file({"something": torch.zeros(3)}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="none fits"):
        begin_with(AuxMotionModel(NEW), tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="expected weights"):
        begin_with(AuxMotionModel(NEW), tmp_path / "w.safetensors")


def test_joints_that_a_recording_lacks_are_no_part_of_the_loss():
    from support.train_helpers import clip as made

    from training.data.sampler import WindowSampler

    clip = made(0)
    mask = clip.mask.copy()
    mask[:, 12:] = False
    upper = replace(clip, mask=mask, positions=np.where(mask[..., None], clip.positions, 0.0).astype(np.float32))
    config = TrainConfig(batch=12, model=replace(NEW, blend=0))
    batch = make_batch(WindowSampler([upper], 25, 25, 0.04, config.sampler), config, 0)
    assert np.isfinite(batch["past"]).all() and not batch["known"][:, :, 12:].any()
    assert not batch["observed"][:, :, 12:].any() and batch["observed"].any((1, 2)).all()
    model = net(config.model).train()
    tensors = {k: torch.as_tensor(v) for k, v in batch.items()}
    want = losses(model, tensors)
    tensors["clean"][:, :, 12:] = 1e3
    for name, value in losses(model, tensors).items():
        assert value.item() == pytest.approx(want[name].item(), rel=1e-4), name
