"""The first page: results, links, cards of the chapters; addresses of the published site."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import colab  # book/_ext/colab.py
from built import CHAPTERS, ROOT

PEERS = ROOT / "chapters" / "data" / "runs" / "05_peers"


@pytest.fixture
def page(soups):
    return soups["book/index.html"].find("article")


def columns() -> list[list[str]]:
    """Name, solved seeds, steps and seconds from the records."""
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


def test_results_on_page_and_in_readme_match_the_records(page):
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


def test_claims_about_the_results_hold():
    """Chapter 4 solves the task with few seeds, and chapter 5 with most."""
    (_, chapter_4, *_), (_, stable, *_), _ = columns()
    assert int(chapter_4.split(" /")[0]) <= 4
    assert int(stable.split(" /")[0]) >= 18


def test_links_to_begin_lead_to_chapter_and_setup(page, soups):
    ways = [(a.text, a["href"]) for a in page.select(".start a")]
    assert ways == [
        ("読みはじめる", f"../chapters/{CHAPTERS[0]}.html"),
        ("手元で動かす", "setup.html"),
    ]
    (following,) = soups["book/index.html"].select(".prev-next-area a.right-next")
    assert following["href"] == ways[0][1]
    setup = soups["book/setup.html"].find("article").p
    assert setup.a["href"] == ways[0][1]


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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SITE_URL", "https://someone.github.io/book"),
        ("SITE_URL", 'https://a/"/'),
        ("REPOSITORY_URL", "someone/book"),
        ("REPOSITORY_URL", "https://gitlab.com/someone/book"),
    ],
)
def test_unusable_address_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=f"{name}: expected http"):
        colab.address(name)


def test_notebook_without_the_site_line_is_refused(tmp_path):
    notebook = tmp_path / "01.ipynb"
    notebook.write_text('{"cells": []}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"01.ipynb: expected one line SITE"):
        colab.write_site([notebook], "https://a/")
    assert notebook.read_text(encoding="utf-8") == '{"cells": []}'
