"""計画と、比べた結果の、章の中での見せ方。"""

import re
from collections.abc import Mapping

import matplotlib.pyplot as plt
from IPython.display import Markdown
from matplotlib.axes import Axes

from rlbook_helpers import checks
from rlbook_helpers.display import GREEN, GREY, INK, RED

# 計画のファイルの項目と、読者に見せる見出し
PLAN_HEADINGS = {
    "question": "問い",
    "prediction": "予想",
    "outcome": "測るもの",
    "report": "報告するもの",
    "test": "検定",
    "conclusion": "結論の決め方",
    "seeds": "シード",
}


def show_plan(plan: Mapping[str, str], *names: str) -> Markdown:
    """計画のファイルの文章を、見出しをつけて見せます。

    引数:
        plan: 計画のファイルを読んだ辞書。
        names: 見せる項目の名前。PLAN_HEADINGS のキー。
    戻り値:
        項目の箇条書き。文の終わりで改行し、文の途中の改行は取りのぞきます。
    例外:
        ValueError: names に知らない名前がある、または plan にその項目がない。
    """
    items = []
    for name in names:
        checks.choice("names", name, tuple(PLAN_HEADINGS))
        checks.choice("names", name, tuple(plan))
        sentences = re.split(r"(?<=。)\n", plan[name].strip())
        text = "\\\n  ".join(_unbroken(sentence) for sentence in sentences)
        items.append(f"- **{PLAN_HEADINGS[name]}**: {text}")
    return Markdown("\n".join(items))


def _unbroken(text: str) -> str:
    """改行を取りのぞいた文章。半角と全角の文字のあいだと、半角どうしのあいだは空けます。"""
    text = re.sub(r"(?<=[、（）「」])\n|\n(?=[、。（）「」])", "", text)
    return re.sub(r"(?<=[^\x00-\x7f])\n(?=[^\x00-\x7f])", "", text).replace("\n", " ")


def plot_differences(results: Mapping, names: Mapping[str, str]) -> Axes:
    """解けた割合の、基準との差を描きます。点が差、横の線が区間、色が結論です。

    引数:
        results: statistics.compare_solved の結果。
        names: 描く設定の名前から、読者に見せる説明。
    戻り値:
        新しい図の座標軸。
    """
    colours = {"効いた": GREEN, "悪くした": RED, "わからない": GREY}
    _, ax = plt.subplots(figsize=(6.4, 0.27 * len(names) + 0.6))
    for k, arm in enumerate(names):
        r = results[arm]
        low, high = r.interval
        ax.plot([100 * low, 100 * high], [k, k], color=colours[r.verdict], lw=3)
        ax.plot(100 * r.difference, k, "o", color=colours[r.verdict])
    ax.axvline(0, color=INK, ls=":", lw=1)
    ax.set_yticks(range(len(names)), [f"{arm}: {text}" for arm, text in names.items()])
    ax.invert_yaxis()
    ax.set_xlabel("解けた割合の、基準との差 (%)")
    return ax
