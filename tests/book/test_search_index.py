"""The index of the search."""

import gzip
import json
import re
import tomllib

import pytest

from built import HTML, PAGES, ROOT

INDEX = HTML / "search_text.js"


@pytest.fixture(scope="module")
def index():
    text = INDEX.read_text(encoding="utf-8")
    return json.loads(text[text.index("(") + 1 : text.rindex(")")])


@pytest.fixture(scope="module")
def sections(index):
    return [section for page in index["pages"] for section in page["sections"]]


def read(path: str) -> dict[str, list[str]]:
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))


def test_only_terms_are_definitions(sections):
    """Not whatever is bold, as in a sentence or a printed plan."""
    defined = {term for section in sections for term in section["defines"]}
    assert {"経験再生", "重みの平均"} <= defined
    assert not [term for term in defined if re.search("[、。]", term)]
    assert defined.isdisjoint({"問い", "測るもの", "結論の決め方"})  # a plan, printed


def test_index_is_small():
    size = len(gzip.compress(INDEX.read_bytes()))
    assert size < 11_500 * len(PAGES)  # it grows with the pages


def test_one_thing_has_its_names(index):
    """From the glossary, its table of words, the table of symbols and search_words.toml."""
    names = {group[0]: set(group) for group in index["names"]}
    assert {"割引係数", "γ", "gamma", "ガンマ", "discount factor"} <= names["割引率"]
    assert {"リターン", "累積報酬"} <= names["収益"]
    assert {"π", "policy"} <= names["方策"]
    assert names["アムダールの法則"] and names["Adam"] == {"Adam", "アダム"}
    single = {name for group in names.values() for name in group if len(name) == 1}
    assert not [name for name in single if name.isascii()]  # s, a and r are no names


def test_book_has_the_words_for_which_there_are_names(sections):
    text = "".join(" ".join([s["title"], *s["lines"]]) for s in sections)
    text = re.sub(r"\s", "", text).lower()
    names = read("book/search_words.toml")
    unspaced = {
        word: [re.sub(r"\s", "", n).lower() for n in [word, *names[word]]]
        for word in names
    }
    assert not [word for word in names if not any(n in text for n in unspaced[word])]


def test_queries_name_sections_of_the_book(index):
    sections = {
        f"{page['url'].split('/')[-1][:-5]}/{re.sub(r'^[0-9.]+[.] ', '', section['title'])}"
        for page in index["pages"]
        for section in page["sections"]
    }
    wanted = read("tests/search_queries.toml")
    assert len(wanted) >= 26
    assert {name for names in wanted.values() for name in names} <= sections
