# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Training, validation and export of the predictor; nothing here is needed to run it."""

from training.renamed import install as _install

_install()
