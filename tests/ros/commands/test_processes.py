# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Nothing that the demo or the benchmark starts may be heard by a robot."""

import os
import socket
import sys

import pytest

from aux_motion.commands import processes


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "0")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    monkeypatch.setenv("ROS_STATIC_PEERS", "192.0.2.7")
    monkeypatch.delenv("AUX_MOTION_DOMAIN_ID", raising=False)
    return monkeypatch


def test_the_robots_domain_is_left():
    domains = {processes.private_domain() for _ in range(30)}
    assert domains <= set(range(1, 102)) and len(domains) > 5
    assert int(os.environ["ROS_DOMAIN_ID"]) in domains
    assert os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "ROS_STATIC_PEERS" not in os.environ


def test_a_domain_in_use_is_not_taken(monkeypatch):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as somebody:
        domain = processes.free_domain()
        somebody.bind(("127.0.0.1", 7410 + 250 * domain + 2))
        others = [d for d in range(1, 102) if d != domain]
        monkeypatch.setattr(processes.random.SystemRandom, "sample", lambda *_: [domain, *others])
        assert processes.free_domain() != domain
    assert processes.free_domain() == domain


def test_a_domain_can_be_chosen(environment):
    environment.setenv("AUX_MOTION_DOMAIN_ID", "77")
    assert processes.private_domain() == 77 and os.environ["ROS_DOMAIN_ID"] == "77"


@pytest.mark.parametrize("value", ["0", "102", "-3", "robot", ""])
def test_a_wrong_domain_is_refused(environment, value):
    environment.setenv("AUX_MOTION_DOMAIN_ID", value)
    with pytest.raises(ValueError, match="1 to 101"):
        processes.private_domain()


def test_a_child_that_fails_is_named_with_its_last_words(tmp_path):
    with processes.Process("json.tool", ["--no-such-option"], tmp_path / "tool.log") as child:
        with pytest.raises(processes.LiveError, match="tool ended with status 2: .*no-such-option"):
            processes.wait(lambda: False, [child], 20.0, "answer")


def test_a_child_that_does_not_answer_is_ended(tmp_path):
    with processes.Process("http.server", ["--bind", "127.0.0.1", "0"], tmp_path / "server.log") as child:
        with pytest.raises(processes.LiveError, match="no answer within 1 s"):
            processes.wait(lambda: False, [child], 1.0, "answer")
        assert child.resident_mib() > 1.0 or sys.platform != "linux"
    assert child.popen.poll() is not None


def test_a_child_imports_nothing_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "argparse.py").write_text("raise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    with processes.Process("json.tool", ["--help"], tmp_path / "log") as child:
        assert child.popen.wait(20.0) == 0
    assert "--indent" in child.log.read_text()
