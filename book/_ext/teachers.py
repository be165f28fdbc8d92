"""Sphinx extension: for the page for teachers, the figures to download and the exercises by difficulty.

Both are read from the chapters; each replaces the paragraphs of a container of its name.
"""

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx import addnodes
from sphinx.util.nodes import make_refnode

TEACHERS = "book/teachers"
CHAPTERS = "chapters/"
SHORT = 10  # lines of code of a solution
KINDS = ("短い演習", "長い演習", "発展の演習")


def chapters(env) -> Iterator[tuple[str, nodes.document]]:
    for page in sorted(name for name in env.found_docs if name.startswith(CHAPTERS)):
        yield page, env.get_doctree(page)


def text_of(caption: nodes.caption, env) -> str:
    """Its words, with the numbers of the equations that it refers to, which are not resolved yet."""
    caption = caption.deepcopy()
    for reference in list(caption.findall(addnodes.pending_xref)):
        if reference["reftype"] == "eq":
            page, _ = env.get_domain("math").equations[reference["reftarget"]]
            place = nodes.make_id(f"equation-{reference['reftarget']}")
            number = env.toc_fignumbers[page]["displaymath"][place]
            reference.replace_self(nodes.Text(f"({'.'.join(map(str, number))})"))
    return caption.astext()


def figures(app) -> nodes.bullet_list:
    """The drawings of all chapters, small, with their captions; a click opens the SVG."""
    shown = nodes.bullet_list(classes=["drawings"])
    for page, doctree in chapters(app.env):
        for figure in doctree.findall(nodes.figure):
            image = next(figure.findall(nodes.image), None)  # a plot is none yet
            if image is not None and image["uri"].endswith(".svg"):
                number = app.env.toc_fignumbers[page]["figure"][figure["ids"][0]]
                label = nodes.Text(f"図 {'.'.join(map(str, number))}")
                place = figure["ids"][0]
                link = make_refnode(app.builder, TEACHERS, page, place, label)
                caption = text_of(next(figure.findall(nodes.caption)), app.env)
                picture = image.deepcopy()
                picture["width"] = "300px"
                words = nodes.paragraph("", "", link, nodes.Text(f" {caption}"))
                shown += nodes.list_item("", picture, words)
    return shown


def kind(section: nodes.section) -> str:
    if "発展" in section[0].astext():
        return KINDS[2]
    lines = sum(
        block.astext().count("\n") + 1
        for block in section.findall(nodes.literal_block)
        if "cell_input" in block.parent["classes"]
    )
    return KINDS[lines > SHORT]


def exercises(app) -> nodes.definition_list:
    found = {name: nodes.bullet_list() for name in KINDS}
    for page, doctree in chapters(app.env):
        for section in doctree.findall(nodes.section):
            title = section[0].astext()
            if re.match(r"演習 \d", title):
                place = section["ids"][0]
                link = make_refnode(
                    app.builder, TEACHERS, page, place, nodes.Text(title)
                )
                entry = nodes.list_item("", nodes.paragraph("", "", link))
                found[kind(section)] += entry
    return nodes.definition_list(
        "",
        *(
            nodes.definition_list_item(
                "", nodes.term("", name), nodes.definition("", entries)
            )
            for name, entries in found.items()
        ),
    )


LISTS = {"all-figures": figures, "all-exercises": exercises}


def fill(app, doctree, docname) -> None:
    if docname == TEACHERS and app.builder.name == "html":
        for container in list(doctree.findall(nodes.container)):
            for name in LISTS.keys() & set(container["classes"]):
                container.children = []
                container += LISTS[name](app)


def setup(app) -> dict:
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
