# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Parameter files are read as rcl reads them: compared with real nodes of rclpy, file by file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aux_motion.nodes import parameter_files
from aux_motion.nodes.declaration import wrong_types
from aux_motion.nodes.parameter_files import ParameterFileError, node_name, read_sections, unknown, values_for
from aux_motion.nodes.parameters import NodeParameters

HEAD = "/**:\n  ros__parameters:\n"
FILES = {
    "nested namespaces": "robot1:\n  aux:\n    ros__parameters: {a: 1, b: 1.5}\n",
    "nested twice": "a:\n  b:\n    aux:\n      ros__parameters: {a: 1}\n",
    "several nodes": "robot1:\n  aux:\n    ros__parameters: {a: 1}\n  other:\n    ros__parameters: {a: 2}\n"
    "robot2:\n  aux:\n    ros__parameters: {a: 3}\n",
    "any namespace": "/**/aux:\n  ros__parameters: {a: 1}\n",
    "any node": "/robot1/*:\n  ros__parameters: {a: 1}\n",
    "any one part": "/*:\n  ros__parameters: {a: 1}\n/*/*:\n  ros__parameters: {b: 1}\n",
    "below a namespace": "/robot1/**:\n  ros__parameters: {a: 1}\n/**/robot1/**:\n  ros__parameters: {b: 1}\n",
    "no slash": "aux:\n  ros__parameters: {a: 1}\n",
    "slashes": "/robot1/:\n  aux:\n    ros__parameters: {a: 1}\n",
    "later wins": "aux:\n  ros__parameters: {a: 1}\n/**:\n  ros__parameters: {a: 2}\n",
    "later wins too": "/**:\n  ros__parameters: {a: 1}\naux:\n  ros__parameters: {a: 2}\n",
    "a section again": "/**:\n  ros__parameters: {a: 1}\naux:\n  ros__parameters: {a: 2}\n"
    "/**:\n  ros__parameters: {a: 3}\n",
    "groups": HEAD + "    a: {b: {c: 1, d: 2}, e: 3}\n    f: 4\n    g:\n      h: 5\n",
    "numbers": HEAD + "    a: 0x1f\n    b: 010\n    c: 1e3\n    d: .5\n    e: 5.\n    f: +5\n    g: 08\n    h: 0b11\n"
    "    i: 0o17\n"
    "    j: -0x1F\n    k: 0x1.8p1\n    l: 1_000\n    m: 12:30\n    n: 99999999999999999999\n    o: 1e999\n",
    "not finite": HEAD + "    a: .inf\n    b: -.INF\n    c: .nan\n    d: inf\n    e: nan\n    f: infinity\n",
    "switches": HEAD + "    a: on\n    b: 'on'\n    c: y\n    d: n\n    e: No\n    f: oN\n    g: [on, off]\n",
    "texts": HEAD + "    a: '5'\n    b: !!str 5\n    c: ~\n    d: null\n    e: 2001-01-01\n    f: ''\n"
    "    g: |-\n      5\n    h: >\n      some\n      words\n",
    "lists": HEAD + "    a: [1, 2]\n    b: [a, 'b']\n    c: []\n    d:\n    - 1.0\n    - 2.0\n",
    "nothing": "", "a comment": "# nothing\n", "no parameters": "/**:\n  ros__parameters: {}\n",
    "two documents": "/**:\n  ros__parameters: {a: 1}\n---\n/**:\n  ros__parameters: {a: 2}\n",
    "not ours": "other:\n  ros__parameters: {x: 1}\nmy_tools:\n  y: 2\n/**:\n  ros__parameters: {a: map}\n",
    "a blank in a name": "my tools:\n  ros__parameters: {x: 1}\n/**:\n  ros__parameters: {a: map}\n",
    "no node": "ros__parameters:\n  a: 1\n", "no value": HEAD + "    a:\n    b: 1\n", "no section": "/**:\n",
    "no mapping": "/**:\n  ros__parameters: [1, 2]\n", "broken": "/**:\n  ros__parameters: [1, 2\n",
    "mixed list": HEAD + "    a: [1, 2.0]\n", "an alias": HEAD + "    a: &x 1\n    b: *x\n", "a list": "- a\n- b\n",
}  # fmt: skip


def by_rcl(file: Path, namespaces: tuple[str, ...]) -> list[dict[str, Any]] | None:
    """What nodes named aux in these namespaces get; None where rcl refuses the file."""
    import rclpy
    from rclpy.context import Context
    from rclpy.node import Node

    context, found = Context(), []
    try:
        rclpy.init(args=["x", "--ros-args", "--params-file", str(file)], context=context)
        for namespace in namespaces:
            node = Node("aux", namespace=namespace, context=context, start_parameter_services=False)
            values = {k: p.value for k, p in node._parameter_overrides.items()}
            found.append({k: list(v) if hasattr(v, "typecode") else v for k, v in values.items()})
            node.destroy_node()
    except Exception:
        return None
    finally:
        context.try_shutdown()
    return found


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_rcl_reads_it(name: str, tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="no ROS here")
    file, namespaces = tmp_path / "params.yaml", ("", "/robot1", "/a/b")
    file.write_text(FILES[name])
    expected = by_rcl(file, namespaces)
    try:
        sections = read_sections(file)
    except ParameterFileError as error:
        assert expected is None and str(file) in str(error)
    else:
        found = [values_for(sections, node_name("aux", namespace)) or {} for namespace in namespaces]
        assert repr(found) == repr(expected)  # repr: nan is nan, and 1 is not 1.0


def test_names_that_no_node_has_are_told_with_what_may_be_meant() -> None:
    given = ["stale_after", "publish_occupancies", "robot_name", "use_sim_time", "mix", "qos_overrides./x.depth"]
    found = unknown(given, NodeParameters.model_fields)
    assert found == {"stale_after": "stale_after_s", "publish_occupancies": "publish_occupancy", "robot_name": ""}
    assert parameter_files.unknown_text(found).startswith("stale_after (did you mean stale_after_s?), ")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"stale_after_s": 1}, "expected a number, came 1 (a whole number is written 1.0)"),
        ({"max_people": 8.0}, "expected a whole number, came 8.0"),
        ({"tracker_joints": "coco17"}, "came 'coco17' (a list of one is written [a])"),
        ({"static_transform": [0, 0, 1, 0, 0, 0, 1]}, "(a list of whole numbers is written [1.0, 2.0])"),
        ({"mix": "on"}, "expected true or false, came 'on'"),
        ({"occupancy_bound": 5}, "expected a text, came 5"),
    ],
)
def test_a_value_of_another_type_is_refused_as_the_node_refuses_it(values: dict[str, Any], says: str) -> None:
    pytest.importorskip("rclpy", reason="no ROS here")
    from rclpy.context import Context
    from rclpy.node import Node
    from rclpy.parameter import Parameter

    from aux_motion.nodes.declaration import ParameterError, declare

    (line,) = wrong_types(values, NodeParameters)
    assert says in line
    context = Context()
    context.init()
    ((name, value),) = values.items()
    node = Node("aux", context=context, parameter_overrides=[Parameter(name, value=value)])
    try:
        with pytest.raises(ParameterError, match=name):
            declare(node, NodeParameters)
    finally:
        node.destroy_node()
        context.try_shutdown()


def test_an_empty_list_has_no_type_and_is_refused() -> None:
    from aux_motion.nodes.parameters import ParameterError, validate

    (line,) = wrong_types({"tracker_joints": None}, NodeParameters)
    assert "expected a list, each a text, came an empty list (a list of one is written [a])" in line
    with pytest.raises(ParameterError, match="tracker_joints"):  # as the node has it, at configure
        validate({"fixed_frame": "map", "tracker_joints": None})


def test_values_of_the_right_type_are_taken() -> None:
    values = {"stale_after_s": 1.0, "max_people": 8, "mix": True, "learning": False, "static_transform": [0.0] * 7}
    assert wrong_types(values, NodeParameters) == []


def test_the_file_of_two_robots_says_which_there_are(tmp_path: Path) -> None:
    from aux_motion.commands.parameter_file import file_parameters

    file = tmp_path / "two.yaml"
    file.write_text(
        "/robot1/aux_motion_predictor:\n  ros__parameters: {fixed_frame: map, stale_after: 0.5}\n"
        "robot2:\n  aux_motion_predictor:\n    ros__parameters: {fixed_frame: hall}\n"
    )
    assert file_parameters(file, "robot2") == {"fixed_frame": "hall"}
    said: list[str] = []
    assert file_parameters(file, "/robot1/", said.append) == {"fixed_frame": "map"}
    assert len(said) == 1 and "stale_after (did you mean stale_after_s?)" in said[0]
    with pytest.raises(ValueError, match="set the namespace to /robot1 or /robot2"):
        file_parameters(file)
