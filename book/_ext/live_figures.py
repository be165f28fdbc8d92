"""Sphinx extension: figures that answer, in the pages for browsers.

A figure of the class live-NAME is a printed one wherever nothing can move: on paper, in the EPUB, in
Jupyter, without JavaScript. Its page loads book/static/figures/NAME.js, which puts a live figure in
place of the picture; a page without such figures loads no script of theirs. Below it stands what to
notice, an admonition of the class dropdown, which is folded here as JupyterLab folds it.
"""

import html
from pathlib import Path

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

SCRIPTS = Path(__file__).resolve().parents[2] / "book" / "static" / "figures"
PREFIX = "live-"
logger = logging.getLogger(__name__)


def add_scripts(app, pagename, templatename, context, doctree) -> None:
    """To this page alone, after its text, what the live figures share before all others."""
    names = {}
    for figure in doctree.findall(nodes.figure) if doctree else ():
        for name in figure["classes"]:
            if name.startswith(PREFIX):
                names[name.removeprefix(PREFIX)] = figure
    for name in ["live", *names] if names else ():
        if not (SCRIPTS / f"{name}.js").is_file():
            logger.warning("no book/static/figures/%s.js", name, location=names[name])
        app.add_js_file(f"figures/{name}.js", defer="defer")


class FoldNotes(SphinxPostTransform):
    builders = ("html",)
    default_priority = 900  # when all references inside are resolved

    def run(self, **kwargs):
        for note in list(self.document.findall(nodes.admonition)):
            if "dropdown" in note["classes"]:
                title, *text = note.children
                opening = nodes.raw(
                    "",
                    '<details class="admonition dropdown"><summary class="admonition-title">'
                    f"{html.escape(title.astext())}</summary>",
                    format="html",
                )
                closing = nodes.raw("", "</details>", format="html")
                note.parent.replace(note, [opening, *text, closing])


def setup(app) -> dict:
    app.connect("html-page-context", add_scripts)
    app.add_post_transform(FoldNotes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
