"""Sphinx extension: chapters that open in Colab with one click.

Colab fetches only the notebook, so it needs a cell that installs the package and the data from the site.
Add book/colab_cell.py to the notebooks of the site, and to those of the branch `colab` (pages.yml),
which the buttons open. Without SITE_URL and REPOSITORY_URL, add no buttons and change no notebooks.

    SITE_URL=https://name.github.io/book/ python book/_ext/colab.py    write it into chapters/*.ipynb
"""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
CELL = CHAPTERS.parent / "book" / "colab_cell.py"
BRANCH = "colab"
ADDRESSES = {
    "SITE_URL": r"https?://[^\s\"\\]+/",
    "REPOSITORY_URL": r"https://github\.com/[\w.-]+/[\w.-]+",
}


def address(name: str) -> str:
    """One of ADDRESSES from the environment, empty if unset."""
    value = os.environ.get(name, "")
    if value and not re.fullmatch(ADDRESSES[name], value):
        raise ValueError(f"{name}: expected {ADDRESSES[name]}, got {value!r}")
    return value


def colab_url(notebook: str) -> str:
    """Address that opens a notebook, given by its path in the repository; empty if not published."""
    site, repository = address("SITE_URL"), address("REPOSITORY_URL")
    if not (site and repository):
        return ""
    owner_and_name = repository.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{owner_and_name}/blob/{BRANCH}/{notebook}"


def write_cell(notebooks: Iterable[Path], site: str) -> None:
    """Put colab_cell.py with the address before the first code cell, in place of that of an earlier build."""
    source = CELL.read_text(encoding="utf-8").replace('SITE = ""', f'SITE = "{site}"')
    added = {
        "cell_type": "code",
        "execution_count": None,
        "id": "site",
        "metadata": {"tags": ["remove-cell"]},
        "outputs": [],
        "source": source.rstrip("\n").splitlines(keepends=True),
    }
    for path in notebooks:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = [cell for cell in notebook["cells"] if cell["id"] != added["id"]]
        if site:
            cells.insert([cell["cell_type"] for cell in cells].index("code"), added)
        text = json.dumps(notebook | {"cells": cells}, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")


def add_button(app, pagename, templatename, context, doctree) -> None:
    notebook = f"{pagename}{context.get('page_source_suffix')}"
    if notebook.endswith(".ipynb") and (url := colab_url(notebook)):
        context["header_buttons"].insert(
            0,
            {
                "type": "link",
                "url": url,
                "text": "Colab で開く",
                "icon": "fas fa-play",
                "tooltip": "この章を Google Colab で開いて動かす",
                "label": "colab",
            },
        )


def finish(app, exception) -> None:
    if exception is None and app.builder.name == "html":
        offered = Path(app.outdir, "_sources", "chapters").glob("*.ipynb")
        write_cell(offered, address("SITE_URL"))


def setup(app) -> dict:
    # After the theme, which creates the list of buttons
    app.connect("html-page-context", add_button, priority=502)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    write_cell(sorted(CHAPTERS.glob("*.ipynb")), address("SITE_URL"))
