"""Imports point one way: a module imports only what lies below it."""

import ast
from pathlib import Path

import rlbook_helpers

PACKAGE = Path(rlbook_helpers.__file__).parent
# From the ground floor up; a module may import those named before it that are in its set.
MAY_IMPORT = {
    "dezero_compat": set(),
    "checks": set(),
    "display": {"checks"},
    "functions": {"dezero_compat"},
    "optimizers": {"dezero_compat"},
    "networks": {"checks", "dezero_compat", "functions"},
    "replay_buffer": {"checks"},
    "schedules": {"checks"},
    "agents": {
        "checks",
        "dezero_compat",
        "functions",
        "networks",
        "optimizers",
        "replay_buffer",
    },
    "environments": {"checks"},
    "scaling": set(),
    "stable": {"agents", "checks", "dezero_compat", "scaling", "schedules"},
    "checkpoints": {"checks", "stable"},
    "training": {"checks"},
    "statistics": {"checks"},
    "patients": {"agents", "dezero_compat", "training"},
    "probes": set(),
    "examinations": {"dezero_compat", "probes", "training"},
    "clinic": {"agents", "checks", "examinations", "patients", "training"},
    "presets": {
        "agents",
        "checks",
        "environments",
        "patients",
        "schedules",
        "stable",
        "training",
    },
    "policies": {"checks", "functions", "presets", "stable", "training"},
    "records": {"checks", "presets", "statistics"},
    "sweeps": {"checkpoints", "presets", "records", "training"},
    "plans": {"presets"},
    "experiments": {"checks", "plans", "policies", "presets", "records", "sweeps"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield from (
                [node.module]
                if node.module != "rlbook_helpers"
                else [f"rlbook_helpers.{a.name}" for a in node.names]
            )
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_every_room_has_its_place():
    assert {path.stem for path in PACKAGE.glob("*.py")} == {*MAY_IMPORT, "__init__"}


def test_modules_import_only_what_lies_below():
    for name, allowed in MAY_IMPORT.items():
        ours = {
            m.split(".")[1]
            for m in imports(PACKAGE / f"{name}.py")
            if m.startswith("rlbook_helpers.")
        }
        assert ours <= allowed, name


def test_only_dezero_compat_imports_dezero():
    for name in MAY_IMPORT:
        if name != "dezero_compat":
            assert not [
                m
                for m in imports(PACKAGE / f"{name}.py")
                if m.split(".")[0] == "dezero"
            ], name
