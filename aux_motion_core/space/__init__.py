# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Transforms by time, and how skeletons come to the fixed frame."""
