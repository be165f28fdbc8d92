"""The first page: results, links, cards of the chapters; addresses of the published site."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

import colab  # book/_ext/colab.py
from built import CHAPTERS, ROOT
from rlbook_helpers.experiments.presets import PRESETS, Preset
from rlbook_helpers.experiments.records import load, read

RUNS = ROOT / "chapters" / "data" / "runs"
PEERS = ("05_peers", "05_further", "05_search")


@pytest.fixture
def page(soups):
    return soups["book/index.html"].find("article")


def rows() -> list[list[str]]:
    """Name, solved seeds, steps and seconds from the records."""
    names = {
        "stable（第 5 章）": "stable",
        "第 4 章の DQN": "chapter_4",
        "Stable-Baselines3、RL Zoo の設定": "sb3_zoo",
        "Stable-Baselines3、RL Zoo に二つ足す": "zoo_plus",
        "Stable-Baselines3、探した設定": "found",
        "Stable-Baselines3、既定値": "sb3_default",
        "CleanRL のハイパーパラメータ": "cleanrl",
        "CleanRL の PQN": "cleanrl_pqn",
        "rejax の DQN": "rejax_dqn",
        "rejax の PQN": "rejax_pqn",
        "O'Reilly の本の手順": "oreilly",
    }
    others = [path for name in PEERS for path in RUNS.glob(f"{name}/*.jsonl")]
    files = {path.stem: path for path in others if not path.stem.startswith("draw_")}
    del files["zoo_lander"]  # chapter 5 tells of it; the table is of the pole
    assert {*names.values()} == files.keys()  # none of the strong left out
    files["stable"] = RUNS / "05_confirmation/stable.jsonl"
    found = []
    for name, arm in names.items():
        runs = read(files[arm])[1]
        solved = sum(np.mean(run["evaluation"]) >= 475 for run in runs)
        steps, seconds = (
            np.median([run[what] for run in runs]) for what in ("steps", "seconds")
        )
        found.append(
            [name, f"{solved} / {len(runs)}", f"{steps:,.0f}", f"{seconds:.0f}"]
        )
    return found


def test_results_on_page_and_in_readme_match_the_records(page):
    head, *shown = [
        [cell.get_text().strip() for cell in row.find_all(["th", "td"])]
        for row in page.select(".results tr")
    ]
    assert head == ["DQN", "解けたシード", "ステップ", "秒"]
    assert shown == rows()
    readme, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("## 使い方")
    lines = re.findall(r"^\|.*\|$", readme, re.MULTILINE)
    cells = [re.sub(r"[*`]", "", line).strip("| ").split(" | ") for line in lines]
    assert [cells[0], *cells[2 : len(shown) + 2]] == [head, *shown]


def test_first_page_counts_every_fresh_seed_of_stable():
    """All records with the settings of `stable` on CartPole, but those that tuned it.

    The page counts the confirmation and tells of the cell of 05_ridge beside it.
    """
    same = dataclasses.replace(PRESETS["stable"], checkpoint_steps=None)
    found = set()
    for path in RUNS.rglob("*.jsonl"):
        if path.parent.name not in PEERS:
            preset = load(path).preset
            if type(preset) is not Preset:
                continue  # another program, or another environment
            preset = dataclasses.replace(preset, checkpoint_steps=None)
            kept = {"curve_interval": 1, "separate_streams": True}
            if dataclasses.replace(preset, **kept) == same:
                found.add(path.parent.name)
    assert {name for name in found if "tuning" not in name} == {
        "05_confirmation",
        "05_ridge",
    }


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
    for chapter, card in zip(CHAPTERS, cards):
        assert card.a.text.startswith(f"{int(chapter[:2])}. ")
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


def test_cell_of_the_site_is_written_once_and_taken_back(tmp_path):
    original = (ROOT / "chapters" / "01_dezero.ipynb").read_text(encoding="utf-8")
    notebook = tmp_path / "01.ipynb"
    notebook.write_text(original, encoding="utf-8")
    for site in ("https://a/", "https://b/"):  # two builds into one folder
        colab.write_cell([notebook], site)
        text = notebook.read_text(encoding="utf-8")
        assert text.count('"id": "site"') == 1 and f'SITE = \\"{site}\\"' in text
    colab.write_cell([notebook], "")
    assert notebook.read_text(encoding="utf-8") == original
