# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""One person's observations: continuity, resampling to the model's grid, normalisation."""
