"""Sphinx extension: cards with the meaning of a term, and from the glossary back to its section.

Link the first use of a term in each chapter to the glossary. Give every link to the glossary the first
sentence of its entry, which cards.js shows beside it.
"""

import html
import re
from collections.abc import Iterable, Iterator

from docutils import nodes
from sphinx import addnodes
from sphinx.util.nodes import make_refnode

GLOSSARY = "book/glossary"
CHAPTERS = "chapters/"
# Bold words are definitions. Links would crowd the goals of a chapter.
NOT_TEXT = (
    nodes.title,
    nodes.reference,
    nodes.strong,
    nodes.literal,
    nodes.caption,
    nodes.math,
)
GOALS = "この章で学ぶこと"
LINK = re.compile(r'<a class="[^"]*" href="[^"]*#(?P<term>term-[^"]+)"')


def entries(env) -> Iterator[tuple[list[str], str, str]]:
    """Yield name, id and first sentence of each term of the glossary."""
    for glossary in env.get_doctree(GLOSSARY).findall(addnodes.glossary):
        for item in glossary[0]:
            *terms, meaning = item.children
            sentence = meaning.astext().split("。")[0] + "。"
            for term in terms:
                yield term.astext(), term["ids"][0], sentence


def whole(term: str) -> str:
    """A pattern for whole words: 環境 does not match in 環境変数."""

    def kind(letter: str) -> str:
        kinds = ("[一-龠々]", "[ァ-ヶー]", "[A-Za-z0-9]")
        return next((kind for kind in kinds if re.match(kind, letter)), "")

    before, after = kind(term[0]), kind(term[-1])
    pattern = f"(?<!{before})" * bool(before) + re.escape(term)
    return pattern + f"(?!{after})" * bool(after)


def link_words(node: nodes.Element, words: re.Pattern, link, in_words=False) -> None:
    """Replace the words in the paragraphs of a node by link(word), unless that is None."""
    in_words = in_words or isinstance(node, nodes.paragraph)
    for child in list(node.children):
        if isinstance(child, nodes.Element):
            if not isinstance(child, NOT_TEXT):
                link_words(child, words, link, in_words)
        elif in_words:
            parts, text, end = [], child.astext(), 0
            for found in words.finditer(text):
                if made := link(found[0]):
                    parts += [nodes.Text(text[end : found.start()]), made]
                    end = found.end()
            if parts:
                node.replace(child, [*parts, nodes.Text(text[end:])])


def any_of(names: Iterable[str]) -> re.Pattern:
    return re.compile("|".join(map(whole, sorted(names, key=len, reverse=True))))


def explained(env) -> dict[str, tuple[str, nodes.section]]:
    """The page and section with a term in bold, else those of its first use; also of other bold words."""
    words = any_of(name for name, _, _ in entries(env))
    bold, used = {}, {}
    for page in sorted(name for name in env.found_docs if name.startswith(CHAPTERS)):
        for paragraph in env.get_doctree(page).findall(nodes.paragraph):
            section = paragraph.parent
            while not isinstance(section, nodes.section):
                section = section.parent
            if section[0].astext() != GOALS:
                for word in paragraph.findall(nodes.strong):
                    bold.setdefault(word.astext(), (page, section))
                for found in words.finditer(paragraph.astext()):
                    used.setdefault(found[0], (page, section))
    return used | bold


def link_sections(app, doctree) -> None:
    """Below each entry of the glossary."""
    places = explained(app.env)
    for item in next(doctree.findall(addnodes.glossary))[0]:
        *terms, meaning = item.children
        names = [term.astext() for term in terms if term.astext() in places]
        if not names:
            continue
        page, section = places[names[0]]
        (chapter,) = app.env.toc_secnumbers[page][""]
        title = nodes.Text(f"第 {chapter} 章「{section[0].astext()}」")
        link = make_refnode(app.builder, GLOSSARY, page, section["ids"][0], title)
        meaning += nodes.paragraph("", "→ ", link, classes=["explained"])


def link_first_uses(app, doctree, docname) -> None:
    if docname == GLOSSARY:
        link_sections(app, doctree)
    if not docname.startswith(CHAPTERS):
        return
    places = {name: place for name, place, _ in entries(app.env)}
    words = any_of(places)

    def link(word: str) -> nodes.reference | None:
        if (place := places.pop(word, None)) is not None:
            text = nodes.inline("", word, classes=["term"])
            return make_refnode(app.builder, docname, GLOSSARY, place, text)

    chapter = next(doctree.findall(nodes.section))
    for part in chapter:
        if not (isinstance(part, nodes.section) and part[0].astext() == GOALS):
            link_words(part, words, link, isinstance(part, nodes.paragraph))


def add_cards(app, pagename, templatename, context, doctree) -> None:
    cards = {place: (term, text) for term, place, text in entries(app.env)}

    def with_card(link: re.Match) -> str:
        term, meaning = map(html.escape, cards[link["term"]])
        return f'{link[0]} data-term="{term}" aria-description="{meaning}"'

    if "body" in context:
        context["body"] = LINK.sub(with_card, context["body"])


def begin(app) -> None:
    if app.builder.name == "html":
        app.connect("doctree-resolved", link_first_uses)
        app.connect("html-page-context", add_cards)


def setup(app) -> dict:
    app.connect("builder-inited", begin)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
