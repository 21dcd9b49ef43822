# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Replay evaluation: recordings through the predictor, judged by what was seen later.

`run.evaluate` feeds small classes that each measure one thing: `errors`, `jitter`, `bones`, `bounds`, `unseen`,
`stream`, `worst`. None of them grows with the recording.
"""
