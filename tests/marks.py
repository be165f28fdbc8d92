"""Marks bind the numbers of a page to their sources. CONTRIBUTING says how to write them."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jupytext

COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?(?!\w)", re.ASCII)
SIGNED = re.compile(r"[−+-]?\d[\d,]*(?:\.\d+)?")
RESULT = re.compile(r"\s?(?:個|%|倍|秒|回)")  # counters of what is measured
KANJI = {numeral: k for k, numeral in enumerate("〇一二三四五六七八九十")}
NO_PROSE = re.compile(
    r"""
      \$[^$]*\$ | `[^`]*` | \{[\w-]+\}`[^`]*` | <[^>]*>       # formulas, code, roles, HTML
    | \]\([^)]*\) | \[[^\]]*(?:ほか|\b[12]\d{3}\b)[^\]]*       # addresses, references
    | ^\s*\d+\.\s | ^\#+\s.* | ^:(?!alt)[\w-]+:.*             # lists, headings, options
    | 第\s\d+\s[章節巻] | 演習\s\d\.\d+
    """,
    re.VERBOSE | re.MULTILINE,
)


class Unit(NamedTuple):
    """A piece of a page, and the marks beside it."""

    text: str
    marks: list[str]


class Page(NamedTuple):
    """The units of a page, the phrases that it takes for given, the numbers in its code."""

    units: list[Unit]
    given: list[str]
    code: set[str]


def read_page(path: Path) -> Page:
    """Of a chapter, a quiz (.toml) or another page (.md)."""
    text, code = path.read_text(encoding="utf-8"), ""
    if path.parent.name == "chapters":
        cells = jupytext.reads(text, "md:myst").cells
        units = [unit for cell in cells for unit in _cell(cell)]
        code = "\n".join(cell.source for cell in cells if _is_code(cell))
    elif path.suffix == ".toml":
        units = [
            _question(part)
            for part in re.split(r"^(?=\[\[questions\]\])", text, flags=re.M)
        ]
    else:
        units = [*_markdown(text)]
    given = [
        mark[6:] for unit in units for mark in unit.marks if mark.startswith("given ")
    ]
    literals = re.findall(r"(?<![\w.])\d[\d_]*(?:\.\d+)?", code)
    return Page(units, given, {literal.replace("_", "") for literal in literals})


def _is_code(cell) -> bool:
    """Not the first cell, which no page shows."""
    return cell.cell_type == "code" and "remove-cell" not in cell.metadata.get(
        "tags", []
    )


def _cell(cell) -> Iterator[Unit]:
    """Of a code cell, the caption and the alternative text, with the metadata `sources`."""
    if cell.cell_type == "markdown":
        yield from _markdown(cell.source)
    elif shown := cell.metadata.get("mystnb"):
        texts = [
            shown.get("figure", {}).get("caption"),
            shown.get("image", {}).get("alt"),
        ]
        sources = cell.metadata.get("sources", "")
        yield Unit(" ".join(filter(None, texts)), _marks(sources))


def _question(part: str) -> Unit:
    """All texts of a question, with its comments."""
    texts = re.findall(r"^(?:text|why) = (.*)$", part, re.M)
    return Unit("\n".join(texts), _marks(";".join(re.findall(r"^# (.*)$", part, re.M))))


def _markdown(text: str) -> Iterator[Unit]:
    """Each line, and each figure, with the comments at its end. Code and formulas are none."""
    text = COMMENT.sub(lambda comment: " ".join(comment[0].split()), text)
    text = re.sub(r"^\$\$$.*?^\$\$.*?$", "", text, flags=re.M | re.S)
    blocks = r"^```\{figure\}[\s\S]*?^```(?:\n<!--.*-->)?$|^```[\s\S]*?^```$|^.+$"
    for block in re.findall(blocks, text, re.M):
        if not block.startswith("```") or block.startswith("```{figure}"):
            marks = _marks(";".join(COMMENT.findall(block)))
            prose = re.sub(r"^```.*$", "", COMMENT.sub("", block), flags=re.M)
            yield Unit(prose, marks)


def _marks(comment: str) -> list[str]:
    return [" ".join(entry.split()) for entry in comment.split(";") if entry.strip()]


def unexplained(page: Page, sources: Mapping) -> list[str]:
    """What is wrong: numbers without a mark, marks that do not hold, phrases that occur no more."""
    said = "\n".join(unit.text for unit in page.units)
    wrong = [
        f"not on the page: {phrase}" for phrase in page.given if phrase not in said
    ]
    for text, marks in page.units:
        prose = NO_PROSE.sub(" ", text)
        known = set()
        for mark in marks:
            if not mark.startswith("given "):
                wrong += [
                    f"{problem}: {mark}" for problem in _problems(mark, prose, sources)
                ]
                text_of, equals, _ = mark.rpartition(" = ")
                known |= set(NUMBER.findall(text_of)) if equals else set()
        for phrase in sorted(page.given, key=len, reverse=True):
            prose = prose.replace(phrase, " ")
        for number in NUMBER.finditer(prose):
            in_code = number[0].replace(",", "") in page.code
            counted = RESULT.match(prose, number.end())
            if number[0] not in known and (counted or not in_code):
                start = max(0, number.start() - 20)
                wrong.append(f"no source: {prose[start : number.end() + 10].strip()}")
    return wrong


def _problems(mark: str, prose: str, sources: Mapping) -> list[str]:
    """A mark is `TEXT = EXPRESSION`, where TEXT stands in the unit, or an expression that holds."""
    text, equals, expression = mark.rpartition(" = ")
    try:
        value = eval(expression, dict(sources))
    except Exception as error:  # noqa: BLE001, whatever an expression raises
        return [repr(error)]
    if not equals:
        return [] if value else ["does not hold"]
    problems = [] if _occurs(text, prose) else ["not in the text"]
    return problems if _equal(text, float(value)) else [*problems, f"is {value}"]


def _occurs(text: str, prose: str) -> bool:
    return text in NUMBER.findall(prose) if NUMBER.fullmatch(text) else text in prose


def _equal(text: str, value: float) -> bool:
    """Whether a number as it is written, with its digits, %, + or −, is this value."""
    if number := SIGNED.search(text):
        written = number[0].replace("−", "-").replace(",", "")
        digits = len(written.partition(".")[2])
        scale = 100 if text[number.end() :].lstrip().startswith("%") else 1
        return abs(float(written) - scale * value) <= 0.5 * 10**-digits + 1e-9
    numerals = re.search(f"[{''.join(KANJI)}]+", text)[0]
    tens, ten, ones = numerals.rpartition("十")
    return value == (10 * KANJI.get(tens, 1) if ten else 0) + KANJI.get(ones, 0)
