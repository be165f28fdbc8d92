"""The index of the search."""

import gzip
import json
import re

from built import HTML, PAGES

INDEX = HTML / "search_text.js"


def test_only_terms_are_definitions():
    """Not whatever is bold, as in a sentence or a printed plan."""
    text = INDEX.read_text(encoding="utf-8")
    pages = json.loads(text[text.index("(") + 1 : text.rindex(")")])
    sections = [section for page in pages for section in page["sections"]]
    defined = {term for section in sections for term in section["defines"]}
    assert {"経験再生", "重みの平均"} <= defined
    assert not [term for term in defined if re.search("[、。]", term)]
    assert defined.isdisjoint({"問い", "測るもの", "結論の決め方"})  # a plan, printed


def test_index_is_small():
    size = len(gzip.compress(INDEX.read_bytes()))
    assert size < 11_500 * len(PAGES)  # it grows with the pages
