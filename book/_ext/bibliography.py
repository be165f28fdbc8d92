"""Sphinx extension: the list of references, sorted by author, with links back to the citing sections.

Pages cite by plain links, [Mnih ほか (2015)](../book/references.md#mnih2015), which work in Jupyter
too. tests/pages/test_design.py compares their texts with book/references.bib.
"""

from collections.abc import Iterator

from docutils import nodes
from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from sphinx import addnodes
from sphinx.util.nodes import make_refnode

LIST = "book/references"


def names_of(entry: Entry) -> str:
    """Mnih ほか; Sutton & Barto; 斎藤 康毅."""
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
    default_name_style = "lastfirst"

    def __init__(self, **options):
        super().__init__(**{**options, "abbreviate_names": True})


def know_entries(app, env) -> None:
    """Register the entries as link targets for MyST."""
    slugs = env.metadata[LIST].setdefault("myst_slugs", {})
    entries = env.get_domain("cite").bibdata.data.entries
    slugs |= {key: (0, key, key) for key in entries}


def read_list_again(app, env, added, changed, removed) -> list[str]:
    return [LIST] if added | changed | removed else []


def places(env) -> Iterator[tuple[str, str, str, str]]:
    """Yield key, page, anchor and name of each section that cites, in the order of the book."""
    root = env.config.root_doc
    toctrees = env.get_doctree(root).findall(addnodes.toctree)
    pages = [root, *(page for tree in toctrees for page in tree["includefiles"])]
    for page in (page for page in pages if page != LIST):
        numbers = {k: v for k, v in env.toc_secnumbers.get(page, {}).items() if v}
        for link in env.get_doctree(page).findall(addnodes.pending_xref):
            if link.get("reftarget") != LIST or not link.get("reftargetid"):
                continue
            # Smallest numbered section, or else the page.
            section = link.parent
            while section.parent and f"#{''.join(section['ids'][:1])}" not in numbers:
                section = section.parent
            anchor = section["ids"][0] if section.parent else ""
            number = numbers.get(f"#{anchor}" if anchor else "")
            if number:
                name = ".".join(map(str, number)) if anchor else f"第 {number[0]} 章"
            else:
                name = env.titles[page].astext()
            yield link["reftargetid"], page, anchor, name


def link_back(app, doctree, docname) -> None:
    if docname != LIST:
        return
    found = {}
    for key, *place in places(app.env):
        found.setdefault(key, {})[tuple(place)] = None
    for entry in doctree.findall(nodes.citation):
        back = nodes.paragraph(classes=["cited-from"])
        for page, anchor, name in found.get(entry["ids"][0], ()):
            back += nodes.Text("、" if len(back) else "引いたところ: ")
            text = nodes.inline("", name)
            back += make_refnode(app.builder, LIST, page, anchor, text)
        if len(back):
            entry += back


def setup(app) -> dict:
    register_plugin("pybtex.style.formatting", "by_author", ByAuthor)
    app.connect("env-get-outdated", read_list_again)
    app.connect("env-updated", know_entries)
    app.connect("doctree-resolved", link_back)
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}
