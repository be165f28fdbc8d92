"""Every number of the pages has a source, and says what its source says."""

import json
from pathlib import Path

import pytest

import sources
from marks import read_page, unexplained
from sources import names

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted((ROOT / "chapters").glob("*.md")),
    *sorted((ROOT / "book/quizzes").glob("*.toml")),
    *[path for path in sorted((ROOT / "book").glob("*.md")) if path.stem != "notation"],
    ROOT / "README.md",
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_numbers_have_sources(path):
    page = read_page(path)
    if path.suffix == ".toml":  # about the chapter's code
        page.code.update(read_page(ROOT / f"chapters/{path.stem}.md").code)
    if path.name == "README.md":  # test_front_page.py compares its table
        page.units[:] = [unit for unit in page.units if unit.text[0] != "|"]
    wrong = unexplained(page, names(path.stem))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("解けたのは 23 個です。<!-- 23 = n -->", []),
        ("23 個が解けました。<!-- 23 = n -->", []),
        ("解けたのは 24 個です。<!-- 23 = n -->", ["not in the text", "no source"]),
        ("解けたのは 24 個です。<!-- 24 = n -->", ["is 23"]),
        ("23 個のうち 9 個です。<!-- 23 = n -->", ["no source"]),
        ("二十三個です。<!-- 二十三個 = n -->", []),
        ("二十二個です。<!-- 二十二個 = n -->", ["is 23"]),
        ("94 % と 0.94 と −0.9 です。<!-- 94 % = p; 0.94 = p; −0.9 = -p -->", []),
        ("95 % です。<!-- 95 % = p -->", ["is 0.943"]),
        ("23,000 です。<!-- 23,000 = 1000 * n -->", []),
        ("多くが解けました。<!-- p > 0.9 -->", []),
        ("多くが解けました。<!-- p > 0.95 -->", ["does not hold"]),
        ("20 個が解けました。<!-- n > 20 -->", ["no source"]),
        ("7 個です。<!-- 7 = gone -->", ["NameError"]),
        ("7 個のシードです。<!-- given 7 個のシード -->", []),
        ("7 個です。<!-- given 7 個のシード -->", ["not on the page", "no source"]),
        ("`7 個` と $7$ と第 7 章と [表](7) です。", []),
        (
            "```{figure} 7.svg\n:alt: 23 の図\n\n7 の図。\n```",
            ["no source", "no source"],
        ),
        ("```{figure} 7.svg\n:alt: 23 の図\n```\n<!-- 23 = n -->", []),
    ],
)
def test_what_is_wrong_is_named(text, problems, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    wrong = unexplained(read_page(page), {"n": 23, "p": 0.943})
    assert len(wrong) == len(problems)
    assert all(problem in line for problem, line in zip(problems, wrong)), wrong


def test_literals_of_the_code_are_given_unless_counted(tmp_path):
    page = tmp_path / "chapters" / "01.md"
    page.parent.mkdir()
    code = "```{code-cell} ipython3\nsteps = 2_500\n```\n"
    page.write_text(f"{code}\n2,500 ステップです。", encoding="utf-8")
    assert unexplained(read_page(page), {}) == []
    page.write_text(f"{code}\n2,500 個です。", encoding="utf-8")
    assert len(unexplained(read_page(page), {})) == 1


def test_marks_read_records_and_compared_outputs(tmp_path, monkeypatch):
    """A changed record or output changes what the marks say."""
    monkeypatch.setattr(sources, "CHAPTERS", tmp_path)
    record = tmp_path / "data/runs/a/b.jsonl"
    record.parent.mkdir(parents=True)

    def solved(*evaluations):
        run = {"seed": 0, "steps": 1, "seconds": 1, "evaluation": [475]}
        runs = [
            {**run, "seed": k, "evaluation": [e]} for k, e in enumerate(evaluations)
        ]
        lines = [{"settings": {}, "versions": {}}, *runs]
        record.write_text("".join(json.dumps(line) + "\n" for line in lines))
        sources._read.cache_clear()
        return names("01")["solved"]("a/b")

    assert solved(475, 474.9) == 1
    assert solved(475, 475) == 2

    def printed(text, *tags):
        output = {"output_type": "stream", "text": [text]}
        cell = {"metadata": {"tags": tags}, "outputs": [output]}
        (tmp_path / "01.ipynb").write_text(json.dumps({"cells": [cell]}))
        sources._outputs.cache_clear()
        return names("01")["printed"]("解けた:")

    assert printed("解けた: 1,250 個\n") == 1_250
    assert printed("解けた: −3\n") == -3
    with pytest.raises(ValueError, match="unpack"):
        printed("解けた: 3\n", "nbval-ignore-output")
    sources._outputs.cache_clear()
    sources._read.cache_clear()
