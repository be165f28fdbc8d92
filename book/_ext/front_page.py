"""Sphinx extension: values on the first page, computed by each build.

{{ results }}, {{ minutes["01_dezero"] }}, {{ hours }}, {{ colab }}, {{ downloads }}
"""

import re
from pathlib import Path
from statistics import fmean, median

from colab import address, colab_url
from rlbook_helpers.experiments.records import read

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "chapters" / "data" / "runs"
DOWNLOADS = {
    "電子書籍": ROOT / "_build" / "epub" / "dezero-dqn.epub",
    "PDF": ROOT / "_build" / "pdf" / "dezero-dqn.pdf",
}
ROWS = {  # a hundred seeds of stable and of the search, twenty of the others
    "`stable`（第 5 章）": "05_confirmation/stable",
    "第 4 章の DQN": "05_peers/chapter_4",
    "Stable-Baselines3、RL Zoo の設定": "05_peers/sb3_zoo",
    "Stable-Baselines3、RL Zoo に二つ足す": "05_search/zoo_plus",
    "Stable-Baselines3、探した設定": "05_search/found",
    "Stable-Baselines3、既定値": "05_peers/sb3_default",
    "CleanRL のハイパーパラメータ": "05_peers/cleanrl",
    "CleanRL の PQN": "05_further/cleanrl_pqn",
    "rejax の DQN": "05_further/rejax_dqn",
    "rejax の PQN": "05_further/rejax_pqn",
    "O'Reilly の本の手順": "05_peers/oreilly",
}
SOLVED = 475  # of CartPole-v1, as in the plan of the records
CHARACTERS, LINES = 400, 20  # of prose and code, read per minute


def results() -> str:
    """Table of all programs under one protocol; README.md has a copy."""
    lines = ["| DQN | 解けたシード | ステップ | 秒 |", "| :--- | ---: | ---: | ---: |"]
    for name, record in ROWS.items():
        runs = read(RUNS / f"{record}.jsonl")[1]
        solved = sum(fmean(run["evaluation"]) >= SOLVED for run in runs)
        steps, seconds = (
            median(run[key] for run in runs) for key in ("steps", "seconds")
        )
        lines.append(
            f"| {name} | **{solved}** / {len(runs)} | {steps:,.0f} | {seconds:.0f} |"
        )
    return "\n".join(lines)


def minutes() -> dict[str, int]:
    """Reading time of each chapter."""
    times = {}
    for path in (ROOT / "chapters").glob("*.md"):
        _, _, text = path.read_text(encoding="utf-8").split("---\n", 2)
        cells = "".join(re.findall(r"```\{code-cell\}.*?```", text, re.S))
        prose = re.sub(r"```.*?```|<!--.*?-->|\s", "", text, flags=re.S)
        time = len(prose) / CHARACTERS + cells.count("\n") / LINES
        times[path.stem] = 5 * round(time / 5)
    return times


def offered(config) -> dict[str, Path]:
    """What the first page links to: on the site, for which pages.yml makes it first. Not inside the EPUB.

    A local book never depends on what an earlier `make epub` or `make pdf` has left.
    """
    if not address("SITE_URL") or "epub_builder" in config.extensions:
        return {}
    return {name: file for name, file in DOWNLOADS.items() if file.exists()}


def download_links(config) -> str:
    links = [
        f'{name}（<a href="../{file.name}">{file.name}</a>）'
        for name, file in offered(config).items()
    ]
    return "と、".join(links) + "もあります。" if links else ""


def define(app, config) -> None:
    url = colab_url("chapters/01_dezero.ipynb")
    times = minutes()
    config.myst_substitutions = {
        "results": results(),
        "minutes": times,
        "hours": round(sum(times.values()) / 60),
        "colab": f"[Colab で開く]({url})" if url else "",
        "downloads": download_links(config),
    }


def setup(app) -> dict:
    app.connect("config-inited", define)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
