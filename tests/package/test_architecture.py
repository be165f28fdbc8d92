"""Imports point one way, core <- clinic, beyond <- experiments, core <- exercises; README lists what is there."""

import ast
import re
from pathlib import Path

import pytest

import rlbook_helpers

PACKAGE = Path(rlbook_helpers.__file__).parent
README = Path(__file__).parents[2] / "README.md"
# The wings that a module of each room may import, besides the core.
MAY_IMPORT = {
    "core": set(),
    "clinic": {"clinic"},
    "beyond": {"beyond"},
    "experiments": {"beyond", "clinic", "experiments"},
    "exercises": {"exercises"},
}
# Its exercises are about the clinic, or about the game.
ALSO = {"exercises/chapter7.py": {"clinic"}, "exercises/chapter9.py": {"beyond"}}
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imported(module: Path):
    """The dotted names that a module imports."""
    tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_core_is_small():
    core = [PACKAGE / m for m in MODULES if len(m.parts) == 1 and m.stem != "__init__"]
    assert len(core) == 10
    core.append(PACKAGE / "__init__.py")
    lines = sum(len(m.read_text(encoding="utf-8").splitlines()) for m in core)
    assert lines <= 1_800


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_point_one_way(module):
    room = module.parts[0] if len(module.parts) > 1 else "core"
    allowed = MAY_IMPORT[room] | ALSO.get(module.as_posix(), set())
    for name in imported(module):
        package, *inside = name.split(".")
        if package == "rlbook_helpers" and inside[0] in MAY_IMPORT:
            assert inside[0] in allowed, name
        assert package != "dezero" or module.stem == "dezero_compat", name


def test_readme_lists_modules_and_wings():
    rows = re.findall(r"^\| `(\w+/?)` \|", README.read_text(encoding="utf-8"), re.M)
    there = {f"{m.parts[0]}/" if len(m.parts) > 1 else m.stem for m in MODULES}
    assert sorted(rows) == sorted(there - {"__init__"})
