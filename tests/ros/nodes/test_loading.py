# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""An executable loads with the garbage collector off, and runs with it on."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys

import pytest

from aux_motion.nodes.loading import loaded


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "given")
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
    gc.unfreeze()
    gc.enable()


def test_what_is_loaded_is_left_out_of_later_collections() -> None:
    seen = []

    def run() -> int:
        seen.append((gc.isenabled(), gc.get_freeze_count() > 0, signal.getsignal(signal.SIGINT)))
        return 5

    def load():
        seen.append((gc.isenabled(), gc.get_freeze_count() > 0, signal.getsignal(signal.SIGINT)))
        return run

    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(SystemExit) as end:
        loaded(load, 7)
    assert end.value.code == 5
    (loading, frozen, handler), running = seen
    assert not loading and not frozen and handler is not signal.default_int_handler
    assert running == (True, True, signal.default_int_handler)


def test_an_interrupt_while_it_runs_gives_its_status() -> None:
    def run() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        loaded(lambda: run, 7)
    assert end.value.code == 7


def test_what_generates_messages_is_not_loaded_and_messages_work() -> None:
    code = (
        "import sys\n"
        "from aux_motion.nodes.loading import loaded\n"
        "def load():\n"
        "    from rclpy.serialization import deserialize_message, serialize_message\n"
        "    from aux_motion_msgs.msg import SkeletonArray\n"
        "    message = SkeletonArray()\n"
        "    message.header.frame_id = 'map'\n"
        "    again = deserialize_message(serialize_message(message), SkeletonArray)\n"
        "    return lambda: 3 if again == message and not {'lark', 'em'} & set(sys.modules) else 1\n"
        "loaded(load, 7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "")
