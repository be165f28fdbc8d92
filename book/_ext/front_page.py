"""Sphinx extension: values on the first page, computed by each build.

{{ results }}, {{ minutes["01_dezero"] }}, {{ colab }}, {{ epub }}
"""

import re
from pathlib import Path
from statistics import fmean, median

from colab import address, colab_url
from rlbook_helpers.experiments.records import read

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "chapters" / "data" / "runs" / "05_peers"
EPUB = ROOT / "_build" / "epub" / "dezero-dqn.epub"
EPUB_LINK = '電子書籍（<a href="../dezero-dqn.epub">dezero-dqn.epub</a>）もあります。'
ARMS = {
    "chapter_4": "第 4 章の DQN",
    "stable": "第 5 章の `stable`",
    "sb3_zoo": "Stable-Baselines3（RL Zoo の設定）",
}
SOLVED = 475  # of CartPole-v1, as in the plan of the records
CHARACTERS, LINES = 400, 20  # of prose and code, read per minute


def results() -> str:
    """Table of three programs under one protocol; README.md has a copy."""
    solved, length, time = [], [], []
    for arm in ARMS:
        _, runs = read(PEERS / f"{arm}.jsonl")
        count = sum(fmean(run["evaluation"]) >= SOLVED for run in runs)
        steps = median(run["steps"] for run in runs)
        seconds = median(run["seconds"] for run in runs)
        solved.append(f"**{count}** / {len(runs)}")
        length.append(f"{steps:,.0f} ステップ")
        time.append(f"{seconds:.0f} 秒")
    rows = [ARMS.values(), [":---:"] * len(ARMS), solved, length, time]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def minutes() -> dict[str, int]:
    """Reading time of each chapter."""
    times = {}
    for path in (ROOT / "chapters").glob("*.md"):
        _, _, text = path.read_text(encoding="utf-8").split("---\n", 2)
        cells = "".join(re.findall(r"```\{code-cell\}.*?```", text, re.S))
        prose = re.sub(r"```.*?```|\s", "", text, flags=re.S)
        time = len(prose) / CHARACTERS + cells.count("\n") / LINES
        times[path.stem] = 5 * round(time / 5)
    return times


def offers_epub(config) -> bool:
    """Whether to link to it: on the site, for which pages.yml makes it first. Not inside the EPUB.

    A local book never depends on what an earlier `make epub` has left.
    """
    inside = "epub_builder" in config.extensions
    return bool(address("SITE_URL")) and EPUB.exists() and not inside


def define(app, config) -> None:
    url = colab_url("chapters/01_dezero.ipynb")
    config.myst_substitutions = {
        "results": results(),
        "minutes": minutes(),
        "colab": f"[Colab で開く]({url})" if url else "",
        "epub": EPUB_LINK if offers_epub(config) else "",
    }


def setup(app) -> dict:
    app.connect("config-inited", define)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
