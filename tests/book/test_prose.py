"""One term for one thing: no text for readers uses a variant that the glossary rules out."""

import re

import pytest

import quiz  # book/_ext/quiz.py
from built import ROOT

GLOSSARY = ROOT / "book" / "glossary.md"
TABLE = "## 使わない言い方"
# Everything a reader may see: pages, labels of figures, comments, docstrings, messages.
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
    "book/_ext/*.py",
    "chapters/*.md",
    "rlbook_helpers/**/*.py",
    "benchmarks/*.py",
    "tools/**/*.py",
]
PATHS = sorted(path for pattern in SOURCES for path in ROOT.glob(pattern))


def unwrapped(text: str) -> str:
    """Remove the spaces beside Japanese letters, and how a comment is wrapped."""
    text = re.sub(r"\s*\n\s*(?:# )?", "\n", text)
    return re.sub(r"(?<=[^\x00-\x7f])\s+|\s+(?=[^\x00-\x7f])", "", text)


def terms() -> dict[str, str]:
    """The term to use, by each variant in the last table of the glossary."""
    _, table = GLOSSARY.read_text(encoding="utf-8").split(TABLE)
    _, _, *rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    return {
        variant: term for term, variants in rows for variant in variants.split("、")
    }


def discouraged(text: str) -> list[str]:
    """Every variant in the text, with the letters around it and the term to use."""
    by_variant = {unwrapped(variant): term for variant, term in terms().items()}
    # Longest first: ハイパーパラメータ is a term, ハイパーパラメーター a variant.
    words = sorted(
        {*by_variant, *map(unwrapped, by_variant.values())}, key=len, reverse=True
    )
    # Only whole Latin words: Q-Net is a variant, Deep Q-Network is not.
    pattern = "|".join(rf"(?<![A-Za-z]){re.escape(word)}" for word in words)
    text = unwrapped(text)
    return [
        f"…{text[max(m.start() - 12, 0) : m.end() + 12]}… → {by_variant[m[0]]}"
        for m in re.finditer(rf"(?:{pattern})(?![A-Za-z])", text)
        if m[0] in by_variant
    ]


def test_glossary_lists_variants():
    assert terms()["Q 値"] == "行動価値"
    assert len(terms()) >= 20


def test_every_variant_is_found():
    """In a sentence and across lines of a comment, but neither in its term nor in a longer word."""
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
    if path.stem == "troubleshooting":  # what readers type, in their own words
        text = re.sub(r"^ほかの言い方：.*$", "", text, flags=re.M)
    assert not discouraged(text)


def test_lint_reads_every_text_of_a_quiz():
    """`make lint` takes them from lines of this form."""
    for path in ROOT.glob("book/quizzes/*.toml"):
        lines = re.findall("^(?:text|why) = '(.*)'$", path.read_text("utf-8"), re.M)
        questions = quiz.read(path)
        answers = [answer for question in questions for answer in question.answers]
        texts = [entry.text for entry in [*questions, *answers]]
        assert sorted(lines) == sorted(texts + [answer.why for answer in answers])
