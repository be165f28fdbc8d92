"""One term for one thing; what textlint says of the prose, and ruff of the code."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from built import ROOT

pytestmark = pytest.mark.book

GLOSSARY = ROOT / "book" / "glossary.md"
TABLE = "## 使わない言い方"
# Everything that a reader may see: pages, labels of figures, comments, docstrings, messages.
SOURCES = [
    "README.md",
    "Makefile",
    "_config.yml",
    "book/*.md",
    "book/figures/*.svg",
    "book/quizzes/*.toml",
    "book/*.html",
    "book/static/*.css",
    "book/static/*.js",
    "book/static/figures/*.js",
    "book/locale/**/*.po",
    "chapters/*.md",
    "rlbook_helpers/*.py",
    "benchmarks/*.py",
    "tools/*.py",
]
PATHS = sorted(path for pattern in SOURCES for path in ROOT.glob(pattern))


def unwrapped(text: str) -> str:
    """No spaces beside Japanese letters, no matter how a comment is wrapped."""
    text = re.sub(r"\s*\n\s*(?:# )?", "\n", text)
    return re.sub(r"(?<=[^\x00-\x7f])\s+|\s+(?=[^\x00-\x7f])", "", text)


def terms() -> dict[str, str]:
    """The term to use, by each of its variants that the glossary's last table rules out."""
    _, table = GLOSSARY.read_text(encoding="utf-8").split(TABLE)
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)[
        2:
    ]  # without the head
    return {
        variant: term for term, variants in rows for variant in variants.split("、")
    }


def discouraged(text: str) -> list[str]:
    """Every variant in the text, with the letters around it and the term to use."""
    by_variant = {unwrapped(variant): term for variant, term in terms().items()}
    # The longest first: ハイパーパラメータ is a term, ハイパーパラメーター a variant.
    words = sorted(
        {*by_variant, *map(unwrapped, by_variant.values())}, key=len, reverse=True
    )
    # Whole words, where they are of Latin letters: Q-Net is a variant, Deep Q-Network is not.
    pattern = "|".join(rf"(?<![A-Za-z]){re.escape(word)}" for word in words)
    text = unwrapped(text)
    return [
        f"…{text[max(m.start() - 12, 0) : m.end() + 12]}… → {by_variant[m[0]]}"
        for m in re.finditer(rf"(?:{pattern})(?![A-Za-z])", text)
        if m[0] in by_variant
    ]


def test_the_glossary_rules_out_variants():
    assert terms()["Q 値"] == "行動価値"
    assert len(terms()) >= 20


def test_every_variant_would_be_found():
    """In a sentence and across the lines of a comment; and neither its term nor a longer word."""
    for variant, term in terms().items():
        middle = len(variant) // 2
        wrapped = f"{variant[:middle]}\n    # {variant[middle:]}"
        assert discouraged(f"学習した{variant}を使う。"), variant
        assert variant.isascii() or discouraged(f"x = 1  # 学習した{wrapped}を使う。")
        assert not discouraged(f"学習した{term}を使う。Deep Q-Network"), term


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_one_term_for_one_thing(path):
    text = path.read_text(encoding="utf-8")
    if path == GLOSSARY:
        text, _ = text.split(TABLE)
    assert not discouraged(text)


def quiz_as_page(path: Path, folder: Path) -> Path:
    """The questions, answers and reasons of a quiz as paragraphs, which textlint can read."""
    texts = re.findall(r"^(?:text|why) = '(.*)'$", path.read_text("utf-8"), re.M)
    # An answer need not be a sentence.
    paragraphs = [text if text.endswith("。") else f"- {text}" for text in texts]
    page = folder / f"quiz_{path.stem}.md"
    page.write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
    return page


def test_textlint_finds_nothing_on_the_pages(tmp_path):
    npm = shutil.which("npm")
    if npm is None or not (ROOT / "node_modules" / "textlint").is_dir():
        pytest.skip("textlint is not installed: make lint, which needs Node.js")
    bad = tmp_path / "bad.md"  # that anything would be found at all
    bad.write_text(
        "これは、とても、とても、長い、長い文かもしれない。\n", encoding="utf-8"
    )
    quizzes = [
        quiz_as_page(path, tmp_path) for path in ROOT.glob("book/quizzes/*.toml")
    ]
    more = map(str, [bad, *quizzes])
    run = subprocess.run(
        [npm, "run", "--silent", "lint", "--", "--format=json", *more],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert run.stdout.startswith("["), run.stdout + run.stderr
    results = {
        Path(result["filePath"]): result["messages"]
        for result in json.loads(run.stdout)
    }
    assert results.pop(bad)
    pages = [ROOT / "README.md", *ROOT.glob("book/*.md"), *ROOT.glob("chapters/*.md")]
    pages += quizzes
    assert set(results) == set(pages)
    found = [
        f"{path.name}:{m['line']}:{m['column']}: {m['message']}"
        for path, messages in results.items()
        for m in messages
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_finds_nothing_in_the_code(command):
    ruff = pytest.importorskip("ruff").find_ruff_bin()
    run = subprocess.run(
        [ruff, *command, "--no-cache"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout
