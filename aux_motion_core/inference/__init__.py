# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What predicts: the model's runtimes, the baselines and their ensemble."""
