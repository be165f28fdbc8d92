"""Sphinx extension: folded solutions and folded code, with their labels.

A solution is a section 解答 of an exercise: prose, formulas and one code cell tagged hide-cell.
JupyterLab folds it by its heading. On the pages, move the prose into the <details> that MyST-NB puts
around the cell, and drop the heading. Label code tagged hide-input as drawing, checking or setup, and a long
output tagged hide-output as a plan, a table, or the listing of what show_source is called with; a table
tagged both folds with its code.
"""

import re

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform

SOLUTION = "解答"
DRAWS = "図のコード"
CHECKS = "確かめるコード"
SETUP = "準備のコード"
LISTING = "{}のコード"
PLAN = "計画"
TABLE = "表"
SHOWN = re.compile(r"show_source\((?:[a-z]\w*\.)*([\w.]+)\)")  # without the modules


class FoldSolutions(SphinxTransform):
    """Runs before Sphinx collects the headings."""

    default_priority = 400

    def apply(self, **kwargs):
        for section in list(self.document.findall(nodes.section)):
            if section.children[0].astext() == SOLUTION:
                section.replace_self(self.fold(section))

    @staticmethod
    def fold(section: nodes.section) -> nodes.container:
        """The cell, with the nodes before it in its code, and those after it behind its output."""
        parts = section.children[1:]
        cells = [part for part in parts if part.get("hide_mode") == "all"]
        if len(cells) != 1:
            raise ExtensionError(
                f"{section.source}: below a heading {SOLUTION} stands one cell tagged hide-cell, not {len(cells)}"
            )
        cell = cells[0]
        here = parts.index(cell)
        code = cell.children[0]
        before = nodes.container("", nb_element=code["nb_element"])
        cell.replace(code, before)
        before.extend([*parts[:here], code])
        cell.extend(parts[here + 1 :])
        return cell


class NameFoldedCode(SphinxTransform):
    default_priority = 400

    def apply(self, **kwargs):
        for cell in self.document.findall(nodes.container):
            mode, metadata = cell.get("hide_mode"), cell.get("cell_metadata", {})
            named = "code_prompt_show" in metadata.get("mystnb", {})
            if mode == "input+output":
                cell["hide_mode"] = "all"  # one fold, not two
            if mode in ("input", "output") and not named:
                code, name = cell.children[0].astext(), CHECKS
                if "figure" in metadata.get("mystnb", {}):
                    name = DRAWS
                elif "setup" in metadata.get("tags", []):
                    name = SETUP
                elif mode == "output":
                    name = PLAN if "show_plan(" in code else TABLE
                    if shown := SHOWN.findall(code):
                        name = LISTING.format("と ".join(f"{item} " for item in shown))
                cell["prompt_hide"] = f"{name}をたたむ"
                cell["prompt_show"] = f"{name}を見る" if mode == "output" else name


def setup(app) -> dict:
    app.add_transform(FoldSolutions)
    app.add_transform(NameFoldedCode)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
