# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""One camera's geometry, and overlays on its pictures."""
