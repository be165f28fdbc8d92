"""The sources and the notebooks of the chapters: in sync, executed, clean and mostly compared."""

import json
import re
from pathlib import Path

import pytest

import execute  # tools/execute.py

CHAPTERS = sorted(execute.CHAPTERS.glob("*.md"))
IGNORED = "nbval-ignore-output"
each_chapter = pytest.mark.parametrize("md_path", CHAPTERS, ids=lambda path: path.stem)

# Headings taken over from the original notebook, by chapter.
SECTIONS = {
    "01_dezero": [
        "DeZero",
        "matmul",
        "微分計算",
        "回帰問題",
        "線形モデルの回帰",
        "非線形モデルの回帰",
    ],
    "02_before_dqn": [
        "DQN未満",
        "エージェントの実装1",
        "エージェントの実行1",
        "DQN未満学習",
        "学習履歴の表示",
        "行動価値関数の可視化",
    ],
    "03_cartpole_replay": [
        "倒立振子問題",
        "経験再生（リプレイ・バッファ）",
        "クラス定義",
        "クラス試用",
        "記録",
        "再生",
    ],
    "04_dqn": [
        "DQN",
        "DQNの実装",
        "エージェントの実装2",
        "エージェントの実行2",
        "実行結果の描画",
    ],
}
SKELETON = [
    "この章で学ぶこと",
    "全体像",
    "準備",
    "まとめ",
    "確認クイズ",
    "演習",
    "参考文献",
]

# Patterns that no published output may match.
UNWANTED = {
    "a memory address": r"\b0x[0-9a-fA-F]{6,}",
    "a time of day": r"\b\d\d:\d\d:\d\d\b",
    "a date": r"\b20\d\d-\d\d-\d\d\b",
    "a path": r"/(home|root|Users|tmp)/|[A-Z]:\\\\|site-packages",
    "a banner": r"(?i)hello from the pygame|pygame-ce \d",
    "a warning": r"\b\w*Warning\b",
    "a progress bar": r"\d+%\|",
}


def notebook(md_path: Path) -> dict:
    return json.loads(md_path.with_suffix(".ipynb").read_text(encoding="utf-8"))


def code_cells(md_path: Path) -> list[dict]:
    return [cell for cell in notebook(md_path)["cells"] if cell["cell_type"] == "code"]


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def texts(cell: dict):
    """All text in the outputs of a cell, without pictures and films."""
    for output in cell["outputs"]:
        if "text" in output:
            yield "".join(output["text"])
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/") and "data:video/mp4" not in "".join(data):
                yield "".join(data)


def test_every_chapter_has_a_notebook():
    assert [path.stem for path in CHAPTERS] == [
        path.stem for path in sorted(execute.CHAPTERS.glob("*.ipynb"))
    ]
    assert set(SECTIONS) <= {path.stem for path in CHAPTERS}


@each_chapter
def test_notebook_matches_its_source(md_path):
    text, from_notebook = execute.read_pair(md_path)
    assert text == from_notebook, f"make execute CHAPTER={md_path.stem}"


@each_chapter
def test_cells_were_executed_in_order(md_path):
    executed = [c for c in code_cells(md_path) if "skip-execution" not in tags(c)]
    counts = [cell["execution_count"] for cell in executed]
    assert counts == list(range(1, len(executed) + 1))


@each_chapter
def test_skipped_cells_are_skipped_by_nbval_too(md_path):
    """Only one cell: a training that takes minutes."""
    skipped = [c for c in code_cells(md_path) if "skip" in "".join(tags(c))]
    assert len(skipped) == (md_path.stem == "06_lander")
    for cell in skipped:
        assert {"skip-execution", "nbval-skip"} <= set(tags(cell))
        assert not cell["outputs"]


@each_chapter
def test_outputs_are_not_edited_by_hand(md_path):
    nb = execute.nbformat.read(md_path.with_suffix(".ipynb"), as_version=4)
    assert nb.metadata.outputs_sha256 == execute.seal(nb), (
        f"make execute CHAPTER={md_path.stem}"
    )


@each_chapter
def test_notebook_is_independent_of_time_and_machine(md_path):
    nb = notebook(md_path)
    assert nb["metadata"] == {**nb["metadata"], **execute.METADATA}
    assert "version" not in nb["metadata"]["language_info"]
    assert [cell["id"] for cell in nb["cells"]] == [
        cell.id for cell in execute.read_notebook(md_path).cells
    ]
    assert not [cell for cell in nb["cells"] if "execution" in cell["metadata"]]


@each_chapter
def test_outputs_are_clean(md_path):
    for cell in code_cells(md_path):
        source = "".join(cell["source"])
        for output in cell["outputs"]:
            assert (
                output["output_type"] != "error" and output.get("name") != "stderr"
            ), source
            assert "application/vnd.jupyter.widget-view+json" not in output.get(
                "data", {}
            ), source
        if "show_source(" in source:  # a listing of the package's source
            continue
        for text in texts(cell):
            for what, pattern in UNWANTED.items():
                assert not re.search(pattern, text), (
                    f"{what} in the output of:\n{source}\n{text}"
                )


def test_unwanted_patterns_match():
    bad = [
        *("<Foo at 0x7f3b2c1d>", "12:34:56", "2026-01-02", "/home/me/x.py"),
        *("UserWarning: x", " 10%|# ", "pygame-ce 2.5"),
    ]
    for text in bad:
        assert any(re.search(pattern, text) for pattern in UNWANTED.values()), text


def test_three_quarters_of_the_code_cells_are_compared():
    cells = [cell for path in CHAPTERS for cell in code_cells(path)]
    lax = [
        cell
        for cell in cells
        if IGNORED in tags(cell) or re.search("NBVAL_|nbval-skip", json.dumps(cell))
    ]
    assert len(lax) <= len(cells) / 4


@each_chapter
def test_ignored_output_is_followed_by_a_compared_one(md_path):
    cells = code_cells(md_path)
    for cell, following in zip(cells, [*cells[1:], None]):
        if IGNORED in tags(cell):
            while following is not None and any(
                "image/png" in o.get("data", {}) for o in following["outputs"]
            ):
                # Skip a figure of the result.
                following = cells[cells.index(following) + 1]
            assert (
                following is not None
                and IGNORED not in tags(following)
                and list(texts(following))
            ), cell["source"]


def test_first_cell_is_the_same_in_every_chapter():
    """test_published_site.py runs it."""
    chapters = [path.read_text(encoding="utf-8") for path in CHAPTERS]
    cells = {re.search(r"```\{code-cell\}.*?```", text, re.S)[0] for text in chapters}
    (cell,) = cells
    assert ":tags: [remove-cell]" in cell


@each_chapter
def test_figures_have_captions_names_and_alt_texts(md_path):
    names = []
    for cell in code_cells(md_path):
        if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            settings = cell["metadata"].get("mystnb", {})
            assert settings.get("figure", {}).get("caption") and settings.get(
                "image", {}
            ).get("alt"), cell["source"]
            names.append(settings["figure"]["name"])
    assert len(names) == len(set(names))


@each_chapter
def test_required_headings(md_path):
    headings = re.findall(
        r"^#+ (.+)$",
        re.sub(r"```.*?```", "", md_path.read_text(encoding="utf-8"), flags=re.S),
        re.M,
    )
    positions = [headings.index(title) for title in SKELETON]
    assert positions == sorted(positions)
    for title in SECTIONS.get(md_path.stem, []):  # a title may follow the name
        assert title in [heading.partition("：")[0] for heading in headings]


@each_chapter
def test_exercises_have_folded_executed_solutions(md_path):
    parts = re.split(r"^### 演習 ", md_path.read_text(encoding="utf-8"), flags=re.M)[1:]
    assert parts
    chapter = int(md_path.stem[:2])
    assert [part.split()[0] for part in parts] == [
        f"{chapter}.{k + 1}" for k in range(len(parts))
    ]
    assert all(part.count("hide-cell") == 1 for part in parts)
    solutions = [cell for cell in code_cells(md_path) if "hide-cell" in tags(cell)]
    assert len(solutions) == len(parts) and all(cell["outputs"] for cell in solutions)


# A cell break on each side of the heading, so that JupyterLab folds the cells below it.
SOLUTION = '+++ {"jp-MarkdownHeadingCollapsed": true}\n\n#### 解答\n\n+++\n\n'
CELL = "```{code-cell} ipython3\n"


@each_chapter
def test_solutions_have_a_folded_heading_and_prose(md_path):
    """tests/pages/test_pages.py checks what book/_ext/folded_cells.py makes of them."""
    parts = re.split(r"^### 演習 ", md_path.read_text(encoding="utf-8"), flags=re.M)[1:]
    for part in parts:
        question, *solutions = part.split(SOLUTION)
        assert CELL not in question and len(solutions) == 1, part
        prose, _, code = solutions[0].partition(CELL)
        assert re.search("[ぁ-ん]", prose), part
        first = code.removeprefix(":tags: [").partition("]\n\n")
        assert first[0].split(", ")[0] == "hide-cell"
        assert not first[2].startswith("#"), part


def only_draws(cell: dict) -> bool:
    return "figure" in cell["metadata"].get("mystnb", {})


def only_checks(cell: dict) -> bool:
    lines = "".join(texts(cell)).splitlines()
    return bool(lines) and all(
        re.search(r": (True|False)$|^[✓✗] ", line) for line in lines
    )


@each_chapter
def test_code_that_only_draws_checks_or_imports_is_folded(md_path):
    hidden = {"hide-input", "hide-cell", "hide-output", "remove-cell"}
    for cell in code_cells(md_path):
        if only_draws(cell) or only_checks(cell):
            assert hidden & set(tags(cell)), "".join(cell["source"])
        if "setup" in tags(cell):  # whoever types along needs it all the same
            named = "code_prompt_show" in cell["metadata"].get("mystnb", {})
            assert "hide-input" in tags(cell)
            assert named or "import " in cell["source"][0]
