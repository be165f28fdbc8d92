"""Write what the live figure シードのくじ shows: the recorded seeds, and its printed picture.

A page opened from a file may load scripts only, so the scores are a script that hands them over. The
picture shows a hundred draws by NumPy where the page has those of the reader.
"""

import json
from pathlib import Path

import numpy as np

from rlbook_helpers.experiments.records import read
from rlbook_helpers.experiments.statistics import bootstrap_interval, interquartile_mean

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "chapters" / "data" / "runs" / "05_diagnosis" / "base.jsonl"
DATA = ROOT / "book" / "static" / "figures" / "data" / "seed-scores.js"
PICTURE = ROOT / "book" / "figures" / "seed_lottery.svg"
COUNT, DRAWS, SEED = 5, 100, 0  # of the picture
BIN = 10  # points of the score in one bar


def recorded() -> np.ndarray:
    """The score of each recorded seed, in the order of the seeds: the mean of its evaluation (K,)."""
    _, runs = read(RECORD)
    return np.array([np.mean(run["evaluation"]) for run in runs])


def script(scores: np.ndarray) -> str:
    rounded = [round(score, 2) for score in scores.tolist()]  # means of 100 integers
    return f'live.keep("seed-scores", {json.dumps({"scores": rounded})});\n'


def at(score: float) -> float:
    """Where on the picture, from left to right."""
    return round(20 + score / 500 * 640, 1)


def stacked(scores: np.ndarray, drawn: np.ndarray) -> list[str]:
    """A dot for each seed, above another one where both would touch; the drawn ones in colour."""
    dots, ends = [], []
    for k in np.argsort(scores):
        x = at(scores[k])
        level = next((n for n, end in enumerate(ends) if end <= x - 5), len(ends))
        ends[level : level + 1] = [x + 6]
        kind = "seed"
        if k in drawn:
            kind += " best" if scores[k] == scores[drawn].max() else " drawn"
        dots.append(f'<circle class="{kind}" cx="{x}" cy="{92 - 13 * level}" r="5"/>')
    return dots


def picture(scores: np.ndarray) -> str:
    """The same as the page draws, after a hundred draws."""
    rng = np.random.default_rng(SEED)
    draws = rng.integers(len(scores), size=(DRAWS, COUNT))
    values = scores[draws]  # (DRAWS, COUNT)
    rows = {
        ("いちばんよいシード", "o"): values.max(axis=1),
        ("平均", "g"): values.mean(axis=1),
        ("四分位平均と 95 % 信頼区間", "b"): interquartile_mean(values, axis=1),
    }
    bins = np.arange(0, 500 + BIN, BIN)
    bars = [np.histogram(summary, bins)[0] for summary in rows.values()]
    low, high = bootstrap_interval(values[-1], SEED)
    truth = at(interquartile_mean(scores))
    parts = [
        f'<path class="grid" d="M{at(x)},28 V300"/><text class="m" x="{at(x)}" y="318">{x}</text>'
        for x in range(0, 501, 100)
    ]
    parts.append(f'<path class="truth" d="M{truth},26 V295"/>')
    parts.append(
        f'<text class="m" x="{truth}" y="18">40 個すべての四分位平均 '
        f"{interquartile_mean(scores):.0f}</text>"
    )
    parts += stacked(scores, draws[-1])
    for k, ((name, colour), summary) in enumerate(rows.items()):
        base = 165 + 65 * k
        height = 36 / bars[k].max()
        tops = "".join(
            f"M{at(left) + 0.5},{base} v{-height * count:.1f} h{at(BIN) - at(0) - 1:.1f} V{base} Z "
            for left, count in zip(bins, bars[k])
            if count
        )
        parts += [
            f'<text x="20" y="{base - 44}">{name}</text>',
            f'<path class="bars {colour}" d="{tops.strip()}"/>',
            f'<path class="base" d="M20,{base} H660"/>',
        ]
        if colour == "b":
            parts.append(f'<path class="interval" d="M{at(low)},{base} H{at(high)}"/>')
        parts.append(
            f'<circle class="now {colour}" cx="{at(summary[-1])}" cy="{base}" r="6"/>'
        )
    parts.append('<text class="m" x="340" y="342">貪欲な方策の報酬の合計</text>')
    return FRAME.replace("PARTS", "\n  ".join(parts))


FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="lottery-title lottery-desc" width="680" height="352" viewBox="0 0 680 352">
  <title id="lottery-title">シードのくじ：いちばんよいシードと、平均と、四分位平均</title>
  <desc id="lottery-desc">横軸は貪欲な方策の報酬の合計。上に 40 個のシードの点が並び、そのうち 5 個に色がついている。下に、5 個を引くことを 100 回くり返した、いちばんよいシード、平均、四分位平均の分布がある。いちばんよいシードの分布だけが右に離れ、平均と四分位平均の分布は、40 個すべての四分位平均を示す縦の破線のまわりにある。</desc>
  <style>
    .fig { font-family: "Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP", "Noto Sans JP", sans-serif; }
    .fig text { font-size: 16px; fill: #1f2933; }
    .fig .m { text-anchor: middle; }
    .fig .grid { stroke: #d5dae0; }
    .fig .base { stroke: #9aa5b1; }
    .fig .truth { stroke: #1f2933; stroke-width: 1.5; stroke-dasharray: 5 4; }
    .fig .seed { fill: #fff; stroke: #9aa5b1; stroke-width: 1.5; }
    .fig .drawn { fill: #1f6fb2; stroke: #1f6fb2; }
    .fig .best { fill: #b45309; stroke: #b45309; }
    .fig .bars { opacity: 0.35; }
    .fig .o { fill: #b45309; }
    .fig .g { fill: #2f7d4f; }
    .fig .b { fill: #1f6fb2; }
    .fig .now { stroke: #fff; stroke-width: 1.5; }
    .fig .interval { stroke: #1f6fb2; stroke-width: 5; }
  </style>
  PARTS
</svg>
"""


def main() -> None:
    DATA.parent.mkdir(parents=True, exist_ok=True)
    scores = recorded()
    for path, text in [(DATA, script(scores)), (PICTURE, picture(scores))]:
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
