# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Making lower precisions does not silence the rest of the program."""

import logging

import pytest

from aux_motion_core.inference.precision import quiet_quantizer


def test_the_root_logger_has_its_level_back(caplog):
    before = logging.getLogger().level
    with quiet_quantizer():
        logging.getLogger().warning("advice")
    with pytest.raises(ValueError, match="no"), quiet_quantizer():
        raise ValueError("no")
    assert logging.getLogger().level == before
    logging.getLogger().warning("a warning of ours")
    assert [r.getMessage() for r in caplog.records] == ["a warning of ours"]
