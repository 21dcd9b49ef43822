# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recordings: reading, writing, restamping."""
