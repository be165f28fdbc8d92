"""Sphinx extension: what a page tells about itself and about its neighbours.

The minutes that it takes, a line of what the pages before and after it show (from the lists of the first
page), and what the report of a mistake begins with. book/templates puts them on the page.
"""

import hashlib
import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlencode

from docutils import nodes
from markupsafe import Markup
from sphinx import addnodes
from sphinx.util import docname_join

from colab import address
from front_page import minutes

CHANGES = Path(__file__).resolve().parents[2] / "book" / "changes.md"


def lines(env) -> dict[str, str]:
    """By page: the sentence beside its link in a list of the first page."""
    root, found = env.config.root_doc, {}
    for item in env.get_doctree(root).findall(nodes.list_item):
        for link in item.findall(addnodes.pending_xref):
            if link["reftype"] == "doc":
                words = [part for part in item[0] if isinstance(part, nodes.Text)]
                line = "".join(part.astext() for part in words).strip()
                found.setdefault(docname_join(root, link["reftarget"]), line)
    return found


def version(source: Path) -> str:
    """The newest date of the list of changes, and a digest of the page."""
    date = re.search(r"^## (\d{4}-\d\d-\d\d)", CHANGES.read_text("utf-8"), re.M)[1]
    return f"{date} / {hashlib.sha256(source.read_bytes()).hexdigest()[:8]}"


def tell(app, pagename, templatename, context, doctree) -> None:
    if doctree is None:
        return
    _, before, after = app.builder.relations.get(pagename, (None, None, None))
    line = lines(app.env)
    context["prev_line"], context["next_line"] = line.get(before), line.get(after)
    context["minutes"] = minutes().get(PurePosixPath(pagename).name)
    title = Markup(context["title"]).striptags()
    context["report"] = (
        f"ページ：{title}（{pagename}）\n"
        f"節：\n版：{version(Path(app.env.doc2path(pagename)))}\nまちがい："
    )
    if repository := address("REPOSITORY_URL"):
        words = {"title": f"まちがい：{title}", "body": context["report"]}
        context["report_url"] = f"{repository}/issues/new?{urlencode(words)}"


def setup(app) -> dict:
    app.connect("html-page-context", tell)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
