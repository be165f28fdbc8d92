"""The first page: what it promises follows from the records, and every way from it leads somewhere."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from built import CHAPTERS, ROOT, address, widths

bs4 = pytest.importorskip(
    "bs4", reason="the pages are checked with requirements.txt installed"
)

import colab  # book/_ext/colab.py

pytestmark = pytest.mark.book

PEERS = ROOT / "chapters" / "data" / "runs" / "05_peers"


@pytest.fixture
def page(soups):
    return soups["book/index.html"].find("article")


def columns() -> list[list[str]]:
    """Name, solved seeds, steps, seconds; from the records, which other tests compare with chapter 5."""
    names = {
        "chapter_4": "第 4 章の DQN",
        "stable": "第 5 章の stable",
        "sb3_zoo": "Stable-Baselines3（RL Zoo の設定）",
    }
    found = []
    for arm, name in names.items():
        lines = (PEERS / f"{arm}.jsonl").read_text(encoding="utf-8").splitlines()[1:]
        runs = [json.loads(line) for line in lines]
        solved = sum(np.mean(run["evaluation"]) >= 475 for run in runs)
        steps, seconds = (
            np.median([run[what] for run in runs]) for what in ("steps", "seconds")
        )
        found.append(
            [name, f"{solved} / 20", f"{steps:,.0f} ステップ", f"{seconds:.0f} 秒"]
        )
        assert len(runs) == 20
    return found


def test_the_results_are_those_of_the_records_here_and_in_the_readme(page):
    rows = [
        [cell.get_text(strip=False).strip() for cell in row.find_all(["th", "td"])]
        for row in page.select(".results tr")
    ]
    assert [list(column) for column in zip(*rows, strict=True)] == columns()
    readme, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("## 使い方")
    rows = [
        re.sub(r"[*`]", "", line).strip("| ").split(" | ")
        for line in re.findall(r"^\|.*\|$", readme, re.MULTILINE)
    ]
    table = rows[0], *rows[2:5]
    assert [list(column) for column in zip(*table, strict=True)] == columns()


def test_what_it_says_of_the_results_is_so():
    """ "ほとんどのシードで倒立振子を解けません" of chapter 4, and that it can be repaired."""
    (_, chapter_4, *_), (_, stable, *_), _ = columns()
    assert int(chapter_4.split(" /")[0]) <= 4
    assert int(stable.split(" /")[0]) >= 18


def test_the_ways_to_begin(page, soups):
    ways = [(a.text, a["href"]) for a in page.select(".start a")]
    assert ways == [
        ("読みはじめる", f"../chapters/{CHAPTERS[0]}.html"),
        ("手元で動かす", "setup.html"),
    ]
    (following,) = soups["book/index.html"].select(".prev-next-area a.right-next")
    assert following["href"] == ways[0][1]
    setup = soups["book/setup.html"].find("article").p
    assert "とばして" in setup.text and setup.a["href"] == ways[0][1]


def test_every_chapter_has_a_card(page):
    cards = page.select(".chapters li")
    links = [card.a["href"] for card in cards]
    assert links == [f"../chapters/{chapter}.html" for chapter in CHAPTERS]
    for number, card in enumerate(cards, 1):
        assert card.a.text.startswith(f"{number}. ")
        picture = ROOT / "book/figures/thumbs" / Path(card.img["src"]).name
        assert picture.stat().st_size <= 5_000
        time, needs = re.fullmatch(r"約 (\d+) 分。前提は、(.+)", card.em.text).groups()
        assert 10 <= int(time) <= 120 and needs


def test_all_of_it_can_be_reached_on_every_screen(tab):
    tab.goto(address("book/index"))
    for width in widths(tab):
        for selector in (".results td", ".start a", ".chapters li", ".chapters a"):
            for element in tab.locator(selector).all():
                box = element.bounding_box()
                assert box["x"] >= 0 and box["x"] + box["width"] <= width, selector
                assert box["height"] >= 15
        inside = tab.locator(".chapters li").evaluate_all(
            "cards => cards.every((e) => e.scrollWidth <= e.clientWidth)"
        )
        assert inside


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SITE_URL", "https://someone.github.io/book"),
        ("SITE_URL", 'https://a/"/'),
        ("REPOSITORY_URL", "someone/book"),
        ("REPOSITORY_URL", "https://gitlab.com/someone/book"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name}: expected http"):
        colab.address(name)


def test_a_notebook_without_the_line_is_refused(tmp_path):
    notebook = tmp_path / "01.ipynb"
    notebook.write_text('{"cells": []}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"01.ipynb: expected one line SITE"):
        colab.write_site([notebook], "https://a/")
    assert notebook.read_text(encoding="utf-8") == '{"cells": []}'
