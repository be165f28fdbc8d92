"""Sphinx extension: chapters that open in Colab with one click.

Colab fetches a notebook from GitHub and nothing else, so its first cell must know where the package and
the data are. The address of the site is written into the notebooks that the site offers, and into those
of the branch `colab`, which pages.yml publishes and the buttons open. Before the publication nobody knows
it: without SITE_URL and REPOSITORY_URL in the environment there is no button, and no notebook is changed.

    SITE_URL=https://name.github.io/book/ python book/_ext/colab.py    the same for chapters/*.ipynb
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"
BRANCH = "colab"
ADDRESSES = {
    "SITE_URL": r"https?://[^\s\"\\]+/",
    "REPOSITORY_URL": r"https://github\.com/[\w.-]+/[\w.-]+",
}


def address(name: str) -> str:
    """One of ADDRESSES from the environment; empty when it is not set."""
    value = os.environ.get(name, "")
    if value and not re.fullmatch(ADDRESSES[name], value):
        raise ValueError(f"{name}: expected {ADDRESSES[name]}, got {value!r}")
    return value


def colab_url(notebook: str) -> str:
    """Where Colab opens a notebook, named by its path in the repository; empty before the publication."""
    site, repository = address("SITE_URL"), address("REPOSITORY_URL")
    if not (site and repository):
        return ""
    owner_and_name = repository.removeprefix("https://github.com/")
    return f"https://colab.research.google.com/github/{owner_and_name}/blob/{BRANCH}/{notebook}"


def write_site(notebooks: Iterable[Path], site: str) -> None:
    """Tell the first cells where the book is published, in place of what they knew."""
    for path in notebooks:
        text, changed = re.subn(
            r'(?m)^( *"SITE = )\\"[^"\\]*\\"',
            rf'\g<1>\\"{site}\\"',
            path.read_text(encoding="utf-8"),
        )
        if changed != 1:
            raise ValueError(f"{path}: expected one line SITE = ..., got {changed}")
        path.write_text(text, encoding="utf-8", newline="\n")


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
        write_site(offered, address("SITE_URL"))


def setup(app) -> dict:
    # After the theme, which makes the list of the buttons
    app.connect("html-page-context", add_button, priority=502)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    write_site(sorted(CHAPTERS.glob("*.ipynb")), address("SITE_URL"))
