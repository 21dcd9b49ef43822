# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recordings as `Clip`s of the `body20` skeleton, and the splits over them."""

from training.data.archives import unpack
from training.data.clip import Clip
from training.data.shards import load_prepared
from training.data.splits import SPLITS, load_clips, load_split, split_names

__all__ = ["SPLITS", "Clip", "load_clips", "load_prepared", "load_split", "split_names", "unpack"]
