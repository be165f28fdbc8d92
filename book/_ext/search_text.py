"""Sphinx extension: the text of the pages, section by section, for book/static/search.js.

Sphinx indexes words, but the words of a Japanese query are often segmented differently on the page.
Search the text itself instead, which also gives excerpts without a web server. Fifteen pages are 160 KB
of compressed text. With it go the names that one thing has: γ, gamma, ガンマ and 割引率.
"""

import json
import re
import tomllib
from pathlib import Path

from bs4 import BeautifulSoup, Comment, Tag
from sphinx.search import SearchLanguage

OUTPUT = "search_text.js"
WORDS = "book/search_words.toml"
GLOSSARY, SYMBOLS = "book/glossary.html", "book/notation.html"
# The summaries of a quiz are its choices, most of them wrong.
NOT_TEXT = "script, style, summary, .headerlink, div.math, .quiz-hint, .quiz strong"
# Elements that start and end a line; no match spans two lines.
BLOCKS = set(
    "h1 h2 h3 h4 h5 h6 p div section figure figcaption ul ol li dl dt dd table tr pre "
    "details summary".split()
)
# A name that is written as no word is: get_action, ReplayBuffer, QNet2
CODE = r"[A-Za-z]\w*_\w+|[A-Z]\w*[a-z][A-Z]\w*|[A-Z]{2}\w*[a-z]\w*"
DEFINED = re.compile(rf"^(?:def|class) ({CODE})\b", re.A)
LETTERS = dict(
    zip(
        "alpha beta gamma delta epsilon varepsilon eta theta kappa lambda mu pi rho sigma tau phi "
        "partial sum sqrt pm times cdot approx ne leftarrow circ lvert rvert max min".split(),
        "α β γ δ ε ε η θ κ λ μ π ρ σ τ φ ∂ ∑ √ ± × · ≈ ≠ ← ° | | max min".split(),
        strict=True,
    )
)


def plain_formula(tex: str) -> str:
    """Roughly what a reader sees: ``\\(\\gamma \\max_{a'} Q\\)`` is "γ max_a' Q"."""
    text = re.sub(r"\\([A-Za-z]+|.)", lambda m: LETTERS.get(m[1], ""), tex)
    text = text.replace("^-", "⁻")
    return re.sub(r"[{}]", "", text.replace("}{", "/"))


def plain(element: Tag) -> str:
    return re.sub(r"\s+", " ", element.get_text()).strip()


def is_term(bold: Tag) -> bool:
    """False for whole sentences and for headings printed by a cell."""
    is_printed = bold.find_parent(class_="cell_output")
    return not is_printed and not re.search("[、。]", bold.get_text())


class Page:
    """One page as {url, title, sections: [{id, title, defines, lines}]}.

    A term of the glossary is a section too. `defines` lists the bold words of a section's prose, which are
    terms that it introduces, and what its code defines.
    """

    def __init__(self, url: str, article: Tag):
        for element in article.select(NOT_TEXT):
            element.decompose()
        for element in article.select("span.math"):
            element.string = plain_formula(element.get_text())
        self.record = {"url": url, "title": plain(article.h1), "sections": []}
        self.line, self.seen = "", set()
        self.open_section("", self.record["title"])
        self.walk(article)

    def open_section(self, anchor: str, title: str):
        section = {"id": anchor, "title": title, "defines": [], "lines": []}
        self.record["sections"].append(section)

    def end_line(self):
        # Keep the lines of <pre>; drop lines without a letter, and code that the page had before.
        for line in self.line.split("\n"):
            line = re.sub(r'\s+|"""', " ", line).strip()
            if re.search(r"[^\W\d_]", line) and not (
                line.isascii() and line in self.seen
            ):
                self.record["sections"][-1]["lines"].append(line)
                self.record["sections"][-1]["defines"] += DEFINED.findall(line)
                self.seen.add(line)
        self.line = ""

    def walk(self, parent: Tag, verbatim: bool = False):
        for child in parent.children:
            if isinstance(child, Comment):
                continue
            if not isinstance(child, Tag):
                self.line += child if verbatim else re.sub(r"\s+", " ", child)
            elif child.name == "h1":
                continue  # the title of the page
            elif re.fullmatch("h[2-6]", child.name):
                self.end_line()
                section = child.find_parent("section", id=True)
                self.open_section(section["id"], plain(child))
            elif child.name == "dt" and child.get("id"):
                self.end_line()
                self.open_section(child["id"], plain(child))
                self.record["sections"][-1]["defines"].append(plain(child))
            else:
                if child.name in BLOCKS:
                    self.end_line()
                elif child.name == "strong" and is_term(child):
                    self.record["sections"][-1]["defines"].append(plain(child))
                if child.name == "tr":
                    cells = map(plain, child(["th", "td"]))
                    self.line = " | ".join(filter(None, cells))
                else:
                    self.walk(child, verbatim or child.name == "pre")
                if child.name in BLOCKS:
                    self.end_line()


def names_of(
    articles: dict[str, Tag], pages: list[dict], words: dict[str, list[str]]
) -> list[list[str]]:
    """Lists of names for one thing, the book's own first.

    What the code of the pages defines, the terms of the glossary, the words that it advises against, the
    symbols and the code of what the tables of symbols call just by a term (but no single Latin letter),
    and the given words.
    """
    terms = map(plain, articles[GLOSSARY].select("dl.glossary dt"))
    defined = (x for page in pages for s in page["sections"] for x in s["defines"])
    code = [x for x in defined if re.fullmatch(CODE, x, re.A)]
    names = {name: [name] for name in [*terms, *words, *code]}
    for row in articles[GLOSSARY].select("tbody tr"):
        used, unused = map(plain, row("td"))
        names[used] += unused.split("、")
    for row in articles[SYMBOLS].select("tbody tr"):
        *symbols, meaning = map(plain, row("td")[:3])
        if meaning in names:
            names[meaning] += re.findall(
                r"[A-Za-z]\w*[A-Za-z]|[α-ω]", " ".join(symbols)
            )
    for name, others in words.items():
        names[name] += others
    return [list(dict.fromkeys(group)) for group in names.values()]


def write_search_text(app, exception):
    if exception or app.builder.name != "html":
        return
    articles = {}
    for url in map(app.builder.get_target_uri, sorted(app.env.found_docs)):
        html = Path(app.outdir, url).read_text(encoding="utf-8")
        articles[url] = BeautifulSoup(html, "html.parser").find("article")
    pages = [Page(url, article).record for url, article in articles.items()]
    words = tomllib.loads(Path(app.srcdir, WORDS).read_text(encoding="utf-8"))
    index = {"names": names_of(articles, pages, words), "pages": pages}
    text = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
    Path(app.outdir, OUTPUT).write_text(f"Search.setIndex({text});\n", encoding="utf-8")


class NoWords(SearchLanguage):
    """Turn off the word index of Sphinx."""

    lang = "ja"
    language_name = "Japanese"

    def split(self, input):
        return []


def setup(app):
    app.add_search_language(NoWords)
    app.connect("build-finished", write_search_text)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
