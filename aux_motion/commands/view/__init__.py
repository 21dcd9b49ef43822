# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion view`: a page in the browser that shows people, predictions, bounds and the robot over time."""
