# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The space that people may occupy, and the separation from a robot."""
