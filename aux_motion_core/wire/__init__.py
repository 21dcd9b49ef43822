# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Messages on the wire, views of them, and the clock that their stamps are checked by."""
