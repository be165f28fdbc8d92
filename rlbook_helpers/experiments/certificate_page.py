"""証明書の結果と、その一枚の HTML のページ。ほかのファイルは要りません。"""

import itertools
from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np
import scipy  # scipy.stats は、使うときに初めて読みこまれます
from matplotlib.ticker import MaxNLocator

from rlbook_helpers.experiments.statistics import bootstrap_interval, interquartile_mean

TEMPLATE = Path(__file__).with_suffix(".html")
WIDTH, HEIGHT = 720, 320  # 学習曲線の図
LEFT, RIGHT, TOP, BOTTOM = 68, 44, 12, 38  # 目盛りの数のための余白


class Results(NamedTuple):
    """すべてのシードの結果。"""

    runs: list[dict]  # 終わりまで学習したシードの、certificate.run の結果
    failed: dict[int, str]  # 例外が起きたシードから、その例外の文
    threshold: float  # 解けたとみなす報酬の合計

    @property
    def seeds(self) -> int:
        """シードの数。失敗したものも数えます。"""
        return len(self.runs) + len(self.failed)

    @property
    def solved(self) -> int:
        """解けたシードの数。"""
        return sum(map(self.is_solved, self.runs))

    def is_solved(self, run: dict) -> bool:
        """最後の貪欲な方策で、解けたか。"""
        return bool(np.mean(run["evaluation"]) >= self.threshold)

    def after(self, run: dict) -> tuple[int | None, list[float]]:
        """途中の測定で、はじめて解けたステップ (なければ None) と、そのあとの測定。"""
        for k, (step, score) in enumerate(run["checkpoints"]):
            if score >= self.threshold:
                return step, [score for _, score in run["checkpoints"][k + 1 :]]
        return None, []


def render(setting: Any, results: Results, *, own_loop: bool) -> str:
    """証明書のページの HTML。

    引数:
        setting: certificate.Setting。
        results: 一つ以上のシードの結果。
        own_loop: 読者の書いたループで学習したか。
    """
    runs, n = results.runs, results.seeds
    rows = {run["seed"]: run for run in runs} | results.failed
    scores = np.array([np.mean(run["evaluation"]) for run in runs])
    values = [score for run in runs for _, score in run["checkpoints"]]
    values += [0, *scores, results.threshold]
    ticks = MaxNLocator(5).tick_values(min(values), max(values))
    low, high = scipy.stats.binomtest(results.solved, n).proportion_ci()
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        file=escape(setting.file),
        env=escape(setting.env_id),
        solved=results.solved,
        seeds=n,
        low=f"{100 * low:.0f}",
        high=f"{100 * high:.0f}",
        all_solved=f"{100 * 0.025 ** (1 / n):.0f}",
        threshold=f"{results.threshold:g}",
        facts="\n".join(
            f"<dt>{name}</dt><dd>{escape(text)}</dd>"
            for name, text in _facts(setting, results, scores, own_loop).items()
        ),
        curves=_curves(results, setting.steps, ticks),
        fallen=_fallen(results),
        rows="\n".join(
            f'<tr class="failed"><th scope="row">{seed}</th><td>失敗 ✗</td>'
            f'<td class="error" colspan="3">{escape(row)}</td></tr>'
            if isinstance(row, str)
            else _row(results, row, ticks)
            for seed, row in sorted(rows.items())
        ),
    )


def _facts(setting, results: Results, scores: np.ndarray, own_loop: bool) -> dict:
    """見出しから、文。"""
    runs, seeds = results.runs, [run["seed"] for run in results.runs]
    numbers = _ranges([*seeds, *results.failed])
    facts = {
        "環境": setting.env_id,
        "シード": f"{numbers} ({results.seeds} 個)",
        "学習": f"{setting.steps:,} ステップ",
        "ループ": f"{setting.file} の train_agent" if own_loop else "この本の train",
    }
    if early := [run["steps"] for run in runs if run["steps"] < setting.steps]:
        facts["学習"] += f" ({len(early)} 個は、早く終わり、最短で {min(early):,})"
    if len(runs) > 1:
        low, high = bootstrap_interval(scores, 0)
        middle = f"{interquartile_mean(scores):.1f}"
        facts["四分位平均"] = f"{middle} (95 % 区間 {low:.1f} から {high:.1f})"
        facts["四分位平均"] += "。失敗したシードは除く" if results.failed else ""
    if runs:
        seconds = [run["seconds"] for run in runs]
        facts["学習の時間"] = f"中央値 {np.median(seconds):.0f} 秒"
        facts["学習の時間"] += f"、合計 {sum(seconds):,.0f} 秒 (測定を除く)"
        facts["日付"] = "、".join(sorted({run["date"] for run in runs}))
        facts["計算機"] = " / ".join(
            sorted({", ".join(map(" ".join, run["versions"].items())) for run in runs})
        )
    facts["SHA-256"] = setting.sha256
    facts["コマンド"] = (
        f"python -m rlbook_helpers.experiments certificate {setting.file} "
        f"--seeds {numbers} --env {setting.env_id} --steps {setting.steps}"
    )
    return facts


def _ranges(seeds: Iterable[int]) -> str:
    """シードを、--seeds に書く形にします。"""
    groups = itertools.groupby(enumerate(sorted(seeds)), lambda pair: pair[1] - pair[0])
    runs = [[seed for _, seed in group] for _, group in groups]
    return ",".join("-".join(map(str, dict.fromkeys((r[0], r[-1])))) for r in runs)


def _fallen(results: Results) -> str:
    """はじめて解けたあとに何が起きたかの、文。"""
    after = [(run, *results.after(run)) for run in results.runs]
    reached = [run for run, step, _ in after if step is not None]
    lows = [min(later) for *_, later in after if later]
    fell = [low for low in lows if low < results.threshold]
    lost = sum(not results.is_solved(run) for run in reached)
    text = (
        f"{len(reached)} 個のシードが一度は届き、そのうち {len(fell)} 個は、そのあとの測定で下回りました。"
        f"届いたのに、最後の評価で解けなかったのは {lost} 個です。"
    )
    if fell:
        text += f"下回ったシードのいちばん低い測定は、中央値で {np.median(fell):.1f}、"
        text += f"最低で {min(fell):.1f} です。"
    return text


def _curves(results: Results, steps: int, ticks: Any) -> str:
    """すべてのシードの学習曲線の SVG の中身。"""

    def x(step: float) -> str:
        return f"{LEFT + step / steps * (WIDTH - LEFT - RIGHT):.1f}"

    def y(score: float) -> str:
        share = (score - ticks[0]) / (ticks[-1] - ticks[0])
        return f"{HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM):.1f}"

    def level(name: str, score: float) -> str:
        ends = f'x1="{x(0)}" x2="{x(steps)}" y1="{y(score)}" y2="{y(score)}"'
        return f'<line class="{name}" {ends}/>'

    parts = [
        f'{level("grid", tick)}<text x="{LEFT - 8}" y="{y(tick)}" dy=".35em" '
        f'text-anchor="end">{tick:g}</text>'
        for tick in ticks
    ]
    parts += [
        f'<text x="{x(tick)}" y="{HEIGHT - 10}" text-anchor="middle">{tick:,.0f}</text>'
        for tick in MaxNLocator(5, integer=True).tick_values(0, steps)
        if 0 <= tick <= steps
    ]
    for run in results.runs:
        name = "solved" if results.is_solved(run) else "unsolved"
        points = " ".join(f"{x(step)},{y(score)}" for step, score in run["checkpoints"])
        title = f"<title>シード {run['seed']}</title>"
        parts.append(f'<polyline class="{name}" points="{points}">{title}</polyline>')
    return "\n".join([*parts, level("threshold", results.threshold)])


def _row(results: Results, run: dict, ticks: Any) -> str:
    """終わりまで学習したシードの、表の行。"""

    def x(score: float) -> str:  # 点が切れないように、両端を空けます
        return f"{4 + 92 * (score - ticks[0]) / (ticks[-1] - ticks[0]):.1f}%"

    score = np.mean(run["evaluation"])
    step, later = results.after(run)
    name, mark = ("solved", "✓") if results.is_solved(run) else ("unsolved", "✗")
    level = x(results.threshold)
    chart = f'<line class="threshold" x1="{level}" x2="{level}" y1="0" y2="16"/>'
    if later:
        low = x(min(later))
        chart += f'<line class="span" x1="{low}" x2="{x(score)}" y1="8" y2="8"/>'
        chart += f'<circle class="low" cx="{low}" cy="8" r="3.5"/>'
    chart += f'<circle class="last" cx="{x(score)}" cy="8" r="4.5"/>'
    return (
        f'<tr class="{name}"><th scope="row">{run["seed"]}</th><td>{score:.2f} {mark}</td>'
        f'<td class="chart"><svg height="16" width="100%" aria-hidden="true">{chart}</svg></td>'
        f"<td>{'なし' if step is None else f'{step:,}'}</td>"
        f"<td>{f'{min(later):.2f}' if later else 'なし'}</td></tr>"
    )
