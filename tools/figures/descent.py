"""Draw the picture printed in place of the live figure 谷を降りる: two learning rates, one start."""

from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "book" / "figures" / "descent.svg"

START, RATES, STEPS = (0.0, 2.0), (0.001, 0.003), 10_000
SIDE = 300  # pixels of a map, from (-2, -1) to (2, 3)


def descend(start, rate: float, steps: int) -> np.ndarray:
    """The points (steps + 1, 2) of gradient descent; fewer where x0 leaves every map."""
    x, y = start
    path = [(x, y)]
    while len(path) <= steps and abs(x) < 1_000:
        slopes = -400 * x * (y - x**2) + 2 * (x - 1), 200 * (y - x**2)
        x, y = x - rate * slopes[0], y - rate * slopes[1]
        path.append((x, y))
    return np.array(path)


def contour(value: float) -> np.ndarray:
    """Where the function has this value, and what of it the map shows; the curve is closed."""
    low, high = max(1 - value**0.5, -2.1), min(1 + value**0.5, 2.1)
    x = (low + high + (high - low) * np.cos(np.linspace(0, 2 * np.pi, 81))) / 2
    off = np.sqrt(np.maximum(value - (x - 1) ** 2, 0)) / 10
    return np.stack([x, x**2 + np.where(np.arange(81) < 40, off, -off)], axis=1)


def place(points: np.ndarray) -> str:
    x, y = (np.array(points) - (-2, 3)).T * SIDE / 4
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, -y))


def shown(path: np.ndarray) -> np.ndarray:
    """All of the first and of the last points, then fewer and fewer."""
    later = np.unique(np.geomspace(40, len(path) - 60, 40).astype(int))
    return path[[*range(40), *later, *range(len(path) - 60, len(path))]]


def picture() -> str:
    parts = ['<defs><g id="contours">']
    for value in 10.0 ** np.arange(-1, 3.6, 0.5):
        parts.append(f'<polyline points="{place(contour(value))}"/>')
    parts.append("</g></defs>")
    for k, rate in enumerate(RATES):
        parts.append(f'<svg x="{20 + 340 * k}" y="36" width="{SIDE}" height="{SIDE}">')
        parts.append('<use class="contour" href="#contours"/>')
        path = descend(START, rate, STEPS)
        parts.append(f'<polyline class="path" points="{place(shown(path))}"/>')
        for kind, point in (("start", path[0]), ("best", (1, 1)), ("end", path[-1])):
            x, y = place([point]).split(",")
            parts.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="6"/>')
        parts += [
            '<text x="160" y="80">出発点 (0, 2)</text><text x="236" y="156">最小点</text>',
            "</svg>",
            f'<text class="m" x="{170 + 340 * k}" y="24">学習率 {rate}</text>',
        ]
    return FRAME.replace("PARTS", "\n  ".join(parts))


FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="descent-title descent-desc" width="680" height="346" viewBox="0 0 680 346">
  <title id="descent-title">ローゼンブロック関数の上の勾配降下法、二つの学習率</title>
  <desc id="descent-desc">等高線の上に、(0, 2) から 10,000 回の道がある。左の学習率 0.001 では、道は曲がった谷底に沿って最小点 (1, 1) のすぐそばに着く。右の学習率 0.003 では、谷底に沿って進み、最小点の手前の (0.79, 0.57) で終わる。</desc>
  <style>
    .fig { font-family: "Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP", "Noto Sans JP", sans-serif; }
    .fig text { font-size: 15px; fill: #1f2933; stroke: #fff; stroke-width: 4; paint-order: stroke; }
    .fig .m { font-size: 16px; text-anchor: middle; }
    .fig .contour { fill: none; stroke: #1f6fb2; opacity: 0.6; }
    .fig .path { fill: none; stroke: #b45309; stroke-width: 2; stroke-linejoin: round; }
    .fig .start { fill: #1f2933; }
    .fig .end { fill: #b45309; }
    .fig .best { fill: none; stroke: #b3261e; stroke-width: 2.5; }
  </style>
  PARTS
</svg>
"""


def main() -> None:
    PICTURE.write_text(picture(), encoding="utf-8")
    print(PICTURE.relative_to(ROOT))
