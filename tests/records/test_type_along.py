"""Whoever types the visible cells of a chapter, in order and nothing else, needs no other name."""

import re
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
FOLDED = {"hide-cell", "hide-input", "remove-cell", "remove-input"}


def scripts(path):
    """The visible cells and the imports; then the solutions of the exercises, each after all before it."""
    visible, solutions, in_solution = [], [], False
    for cell in jupytext.read(path).cells:
        tags = set(cell.metadata.get("tags", []))
        if cell.cell_type == "markdown":
            headings = re.findall(r"^#+ .*$", cell.source, re.M)
            in_solution = in_solution if not headings else headings[-1] == "#### 解答"
        elif in_solution and "remove-cell" not in tags:
            solutions.append(cell.source)
        elif "setup" in tags or not tags & FOLDED:
            visible.append(cell.source)
    return "\n".join([*visible, *solutions])


@pytest.mark.parametrize("path", sorted(CHAPTERS.glob("*.md")), ids=lambda p: p.stem)
def test_visible_cells_make_every_name_that_they_use(path):
    check = "ruff check --isolated --select F821 --output-format concise -".split()
    result = subprocess.run(
        [sys.executable, "-m", *check],
        input=scripts(path),
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stdout + result.stderr
