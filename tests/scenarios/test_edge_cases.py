"""What is promised by number: each edge case of the providers has a scenario, and Graph has one version."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HOUSE = Path(__file__).parents[2]
VOICE = {25}  # voicemail: there is no voice channel


def names(folder: Path) -> set[str]:
    """Every test below a folder, by name."""
    found: set[str] = set()
    for path in folder.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.add(node.name)
    return found


def numbers(tests: set[str]) -> set[int]:
    """The edge cases that tests name: `test_edge_07_…`, `test_edge_10_and_11_…`."""
    heads = (re.match(r"test_edge_(\d\d)(?:_and_(\d\d))?_", name) for name in tests)
    return {int(number) for head in heads if head for number in head.groups() if number}


def test_each_edge_case_has_a_scenario_of_its_own_name() -> None:
    assert numbers(names(HOUSE / "tests" / "scenarios")) == set(range(1, 26)) - VOICE


def test_the_version_of_graph_stands_in_one_place() -> None:
    version = re.compile(r"[\"'/]v\d\d\.\d[\"'/]")
    ours = (path for part in ("channels", "app", "inbox", "desk") for path in (HOUSE / part).rglob("*.py"))
    named = [path.relative_to(HOUSE).as_posix() for path in ours if version.search(path.read_text(encoding="utf-8"))]
    assert named == ["channels/meta/graph.py"]
