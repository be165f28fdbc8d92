"""Sphinx extension: the list of references, sorted by author, with links back to who cites them.

The chapters cite by plain links, [Mnih ほか (2015)](../book/references.md#mnih2015), which read well in
Jupyter too; a test compares their words with book/references.bib.
"""

import re

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle

LIST = "book/references"
CITED = re.compile(r"references\.md#([a-z]+\d*)")


def names_of(entry: Entry) -> str:
    """Mnih ほか; Sutton & Barto; 斎藤."""
    persons = entry.persons["author"]
    names = [" ".join([*p.prelast_names, *p.last_names]).strip("{}") for p in persons]
    return f"{names[0]} ほか" if len(names) > 2 else " & ".join(names)


class AuthorAndYear(BaseLabelStyle):
    def format_labels(self, sorted_entries):
        for entry in sorted_entries:
            year = entry.fields.get("year")
            yield f"{names_of(entry)}, {year}" if year else names_of(entry)


class ByAuthor(PlainStyle):
    default_label_style = AuthorAndYear
    default_sorting_style = "author_year_title"


def know_entries(app, env) -> None:
    """Let links to an entry be checked like links to a heading."""
    slugs = env.metadata[LIST].setdefault("myst_slugs", {})
    entries = env.get_domain("cite").bibdata.data.entries
    slugs |= {key: (0, key, key) for key in entries}


def setup(app) -> dict:
    register_plugin("pybtex.style.formatting", "by_author", ByAuthor)
    app.connect("env-updated", know_entries)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
