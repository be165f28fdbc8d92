"""Sphinx extension: a drawing leads to itself alone, which a phone can enlarge.

On a phone the words in a drawing shrink with it; there, book.css writes below it that it can be seen
large. Live figures draw for the width that they have.
"""

import re

DRAWING = re.compile(
    r'(?P<figure><figure(?![^>]*\blive-)[^>]*>\s*)(?P<img><img [^>]*src="(?P<src>[^"]+\.svg)"[^>]*>)'
)


def link(app, pagename, templatename, context, doctree) -> None:
    if "body" in context:
        context["body"] = DRAWING.sub(
            r'\g<figure><a class="enlarge" href="\g<src>">\g<img></a>', context["body"]
        )


def begin(app) -> None:
    if app.builder.name == "html":
        app.connect("html-page-context", link)


def setup(app) -> dict:
    app.connect("builder-inited", begin)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
