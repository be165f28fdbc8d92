"""Sphinx extension: interactive figures on the pages for browsers.

A figure of the class live-NAME is a picture on paper, in the EPUB, in Jupyter and without JavaScript.
Only its page loads book/static/figures/NAME.js, which replaces the picture. The admonition of the class
dropdown below it becomes <details>, folded as in JupyterLab.
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
    """Add the scripts to this page only, deferred, starting with the shared one."""
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
    default_priority = 900  # after references are resolved

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
