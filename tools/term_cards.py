"""Sphinx extension: what a term means, beside the term.

Every link to the glossary carries the first sentence of what stands there; book.css shows it as a
card when the reader points at the link or reaches it with the keyboard.
"""

import functools
import html
import re

from sphinx import addnodes
from sphinx.application import Sphinx

GLOSSARY = "book/glossary"
LINK = re.compile(r'<a class="reference internal" href="[^"]*#(?P<term>term-[^"]+)"')


@functools.cache
def meanings(app: Sphinx) -> dict[str, str]:
    """The first sentence of each entry, by the id of its term."""
    found = {}
    for glossary in app.env.get_doctree(GLOSSARY).findall(addnodes.glossary):
        for item in glossary[0]:
            *terms, meaning = item.children
            sentence = meaning.astext().split("。")[0] + "。"
            found |= {name: sentence for term in terms for name in term["ids"]}
    return found


def add_cards(app, pagename, templatename, context, doctree) -> None:
    def with_card(link: re.Match) -> str:
        return f'{link[0]} data-card="{html.escape(meanings(app)[link["term"]])}"'

    if "body" in context:
        context["body"] = LINK.sub(with_card, context["body"])


def begin(app) -> None:
    if app.builder.name == "html":
        app.connect("html-page-context", add_cards)


def setup(app) -> dict:
    app.connect("builder-inited", begin)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
