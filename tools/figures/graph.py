"""Write the computational graph of chapter 1: the live figure's drawing, and the printed one.

They are one drawing, with the numbers that DeZero computes. In the live one, data-step tells at which
steps a part appears and is used, data-name which number stands there.
"""

import json
import re
from pathlib import Path

import numpy as np

from rlbook_helpers.dezero_compat import F, Variable

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "book" / "static" / "figures" / "data" / "graph.js"
PICTURE = ROOT / "book" / "figures" / "computational_graph.svg"

GIVEN = {"x": 2.0, "W": 0.5, "b": 3.0, "y": 7.0}
ROW = 134  # y of the functions


def numbers(given: dict[str, float]) -> dict[str, float]:
    """All values, and the gradients of xW, b, W and what they come from, as DeZero computes them."""
    x, W, b, y = (Variable(np.array([[value]])) for value in given.values())
    xW = F.matmul(x, W)
    y_hat = xW + b
    loss = F.mean_squared_error(y_hat, y)
    loss.backward(retain_grad=True)
    found = {"x": x, "W": W, "b": b, "y": y, "xW": xW, "ŷ": y_hat, "loss": loss}
    values = {name: v.data.item() for name, v in found.items()}
    grads = {f"{name}.grad": v.grad.data.item() for name, v in found.items()}
    return values | grads


# The names, where they stand, and where their numbers stand: dx, dy of the first line, its anchor
VARIABLES = {
    "x": (27, ROW - 80, 29, 1, ""),
    "W": (27, ROW + 80, 32, 6, ""),
    "xW": (177, ROW, 0, 42, "m"),
    "b": (241, ROW + 94, 29, -2, ""),
    "ŷ": (305, ROW, 0, 42, "m"),
    "y": (384, ROW + 94, 29, 6, ""),
    "loss": (466, ROW, 24, 43, "e"),
}
STEP_OF_VALUE = {"x": 0, "W": 0, "b": 0, "y": 0, "xW": 1, "ŷ": 2, "loss": 3}
STEP_OF_GRAD = {"loss": 4, "ŷ": 5, "xW": 6, "b": 6, "W": 7}
# The lines of the name, x, width, the steps forward and backward, the factor of the gradient
FUNCTIONS = [
    (("MatMul",), 102, 68, 1, 7, "x"),
    (("Add",), 241, 50, 2, 6, "one"),
    (("Mean", "Squared", "Error"), 384, 80, 3, 5, "slope"),
]
FORWARD = [  # x, y, x, y, step
    (44, ROW - 65, 66, ROW - 27, 1),
    (44, ROW + 64, 65, ROW + 17, 1),
    (137, ROW - 7, 154, ROW - 7, 1),
    (199, ROW - 7, 214, ROW - 7, 2),
    (234, ROW + 72, 234, ROW + 27, 2),
    (267, ROW - 7, 282, ROW - 7, 2),
    (327, ROW - 7, 342, ROW - 7, 3),
    (384, ROW + 71, 384, ROW + 43, 3),
    (425, ROW - 7, 441, ROW - 7, 3),
]
BACKWARD = [
    (442, ROW + 7, 427, ROW + 7, 5),
    (343, ROW + 7, 328, ROW + 7, 5),
    (283, ROW + 7, 268, ROW + 7, 6),
    (215, ROW + 7, 200, ROW + 7, 6),
    (248, ROW + 26, 248, ROW + 71, 6),
    (155, ROW + 7, 138, ROW + 7, 7),
    (69, ROW + 27, 49, ROW + 72, 7),
]


def minus(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def drawing() -> str:
    """The parts of the picture, with the numbers for what is given."""
    known = numbers(GIVEN)
    known |= {"one": 1.0, "slope": known["ŷ.grad"]}
    parts = ["<defs>"]
    for name in ("ink", "back"):
        parts.append(
            f'<marker id="graph-{name}" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0,0.5 L10,5 L0,9.5 Z"/></marker>'
        )
    parts += [
        "</defs>",
        '<text class="code s" x="2" y="17">loss = mean_squared_error(matmul(x, W) + b, y)</text>',
    ]
    for kind, arrows in (("ink", FORWARD), ("back", BACKWARD)):
        for x, y, to_x, to_y, step in arrows:
            parts.append(
                f'<path class="line {kind}" data-step="{step}" d="M{x},{y} L{to_x},{to_y}" marker-end="url(#graph-{kind})"/>'
            )

    def number(x, y, look, step, name, before=""):
        parts.append(
            f'<text class="{look}" x="{x}" y="{y}" data-step="{step}">{before}<tspan data-name="{name}">{minus(known[name])}</tspan></text>'
        )

    for name, (x, y, dx, dy, anchor) in VARIABLES.items():
        step, back = STEP_OF_VALUE[name], STEP_OF_GRAD.get(name)
        steps = f"{step} {back}" if back else step
        parts += [
            f'<circle class="box b" data-step="{steps}" cx="{x}" cy="{y}" r="{24 if name == "loss" else 22}"/>',
            f'<text class="code m" x="{x}" y="{y + 6}">{name}</text>',
        ]
        number(x + dx, y + dy, anchor, step, name)
        if back:
            number(x + dx, y + dy + 20, f"to {anchor}", back, f"{name}.grad", "勾配 ")
    for names, x, width, step, back, factor in FUNCTIONS:
        height = 20 * len(names) + 30 - 8 * (len(names) > 1)
        parts.append(
            f'<rect class="box g" data-step="{step} {back}" x="{x - width // 2}" y="{ROW - height // 2}" width="{width}" height="{height}" rx="8"/>'
        )
        for k, name in enumerate(names):
            y = ROW + 6 + 20 * k - 10 * (len(names) - 1)
            parts.append(f'<text class="code m" x="{x}" y="{y}">{name}</text>')
        number(x, ROW - height // 2 - 9, "to m", back, factor, "× ")
    return "\n  ".join(parts)


FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="computational_graph-title computational_graph-desc" width="590" height="310" viewBox="0 0 492 258">
  <title id="computational_graph-title">DeZero の計算グラフ：順伝播と逆伝播</title>
  <desc id="computational_graph-desc">loss = mean_squared_error(matmul(x, W) + b, y) の計算グラフ。丸は Variable、四角は Function。黒い実線の矢印が左から右への順伝播、オレンジの破線の矢印が loss から右から左へたどり W と b に届く逆伝播を表す。Function の上の × は、届いた勾配に掛ける微分。x と y に向かう勾配は省いた。</desc>
  <style>
    .fig { font-family: "Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP", "Noto Sans JP", sans-serif; }
    .fig text { font-size: 17px; fill: #1f2933; }
    .fig .code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: 17px; }
    .fig .s { fill: #5b6770; }
    .fig .m { text-anchor: middle; }
    .fig .e { text-anchor: end; }
    .fig .to { fill: #b45309; }
    .fig .box { stroke-width: 1.8; }
    .fig .b { fill: #dcebf7; stroke: #1f6fb2; }
    .fig .g { fill: #dff2e5; stroke: #2f7d4f; }
    .fig .line { stroke-width: 1.8; }
    .fig .line.ink { stroke: #1f2933; }
    .fig .line.back { stroke: #b45309; stroke-dasharray: 5 3; }
    .fig marker .ink { fill: #1f2933; }
    .fig marker .back { fill: #b45309; }
  </style>
  DRAWING
</svg>
"""


def picture() -> str:
    return FRAME.replace("DRAWING", re.sub(r' data-\w+="[^"]*"', "", drawing()))


def script() -> str:
    data = {"drawing": drawing()}
    return f'live.keep("graph", {json.dumps(data, ensure_ascii=False)});\n'


def main() -> None:
    for path, text in [(DATA, script()), (PICTURE, picture())]:
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
