"""Write what the live figure ブロックくずし shows: a recorded network, and the printed picture of a board.

A weight takes one byte, as a fraction of the largest one of its layer, and so it plays in the page and here.
Run by itself, this trains the network anew (`make policies`).
"""

import base64
import json
from pathlib import Path

import numpy as np

from rlbook_helpers.beyond.breakout import SIDE, WALL, WIDE, Breakout
from rlbook_helpers.beyond.games import play
from rlbook_helpers.beyond.layer_norm import NormalizedQNet
from rlbook_helpers.experiments.presets import PRESETS

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "book" / "figures" / "policies" / "breakout.npz"
DATA = ROOT / "book" / "static" / "figures" / "data" / "breakout.js"
PICTURE = ROOT / "book" / "figures" / "breakout.svg"
SEED = 44300  # the first of the record 09_screen_long


def train() -> None:
    """Train the preset with the seed, and keep its network in bytes."""
    preset = PRESETS["breakout"]
    env = preset.make_env()
    env_seed, agent_seed = preset.seeds(SEED)
    agent = preset.make_agent(env, agent_seed)
    preset.train(env, agent, env_seed)
    arrays = {}
    for k, parameter in enumerate(agent.network.params()):
        scale = np.abs(parameter.data).max() / 127
        arrays[f"p{k}"] = np.rint(parameter.data / scale).astype(np.int8)
        arrays[f"s{k}"] = np.float32(scale)
    POLICY.parent.mkdir(exist_ok=True)
    np.savez_compressed(POLICY, **arrays)


def parts() -> list[tuple[np.ndarray, float]]:
    """The weights and biases, nearest the input first: whole numbers and their scale."""
    with np.load(POLICY, allow_pickle=False) as file:
        count = sum(name.startswith("p") for name in file)
        return [(file[f"p{k}"], float(file[f"s{k}"])) for k in range(count)]


def network() -> NormalizedQNet:
    """The network that plays in the page."""
    found = parts()
    net = NormalizedQNet(3, found[0][0].shape[0], found[0][0].shape[1], seed=0)
    for parameter, (whole, scale) in zip(net.params(), found, strict=True):
        parameter.data = whole.astype(np.float32) * np.float32(scale)
    return net


def score(games: int = 100, seed: int = 0) -> np.ndarray:
    """The bricks of so many games of its greedy policy."""
    net, rng = network(), np.random.default_rng(seed)
    return play(Breakout(games), lambda states: net.predict(states).argmax(1), rng)


def script() -> str:
    """The network as a call of live.keep."""
    found = parts()
    data = {
        "sizes": [len(found[0][0]), *(len(bias) for bias, _ in found[1::2])],
        "scales": [
            [weight, bias]
            for (_, weight), (_, bias) in zip(found[::2], found[1::2], strict=True)
        ],
        "weights": base64.b64encode(b"".join(p.tobytes() for p, _ in found)).decode(),
    }
    return f'live.keep("breakout", {json.dumps(data)});\n'


# The printed picture

UNIT = 30
BROKEN = [(3, 1), (3, 2), (3, 3), (3, 6), (2, 2), (3, 7)]  # row, column
BALL, BEFORE, PADDLE = (6, 5), (7, 4), 3


def square(kind: str, row: int, column: int, gap: float = 1) -> str:
    x, y, side = column * UNIT + gap, row * UNIT + gap, UNIT - 2 * gap
    return f'<rect class="{kind}" x="{x + 10:g}" y="{y + 10:g}" width="{side:g}" height="{side:g}"/>'


def picture() -> str:
    """A board in the middle of a game, with the names of its four layers."""
    end = SIDE * UNIT + 10
    lines = "".join(
        f"M{10 + k * UNIT},10 V{end} M10,{10 + k * UNIT} H{end} "
        for k in range(SIDE + 1)
    )
    bricks = [tuple(map(int, place)) for place in np.argwhere(WALL)]
    pieces = [f'<path class="grid" d="{lines.strip()}"/>']
    pieces += [square("brick", *place) for place in bricks if place not in BROKEN]
    pieces += [square("before", *BEFORE, 5), square("ball", *BALL, 5)]
    pieces += [square("paddle", SIDE - 1, PADDLE + k) for k in range(WIDE)]
    for row, text, column in [
        (2, "ブロック：壊すと報酬 1", 10),
        (BALL[0], "玉", BALL[1] + 1),
        (BEFORE[0], "玉の前の位置", BEFORE[1] + 1),
        (SIDE - 1, "皿：左右に動かす", PADDLE + WIDE),
    ]:
        start, y = 10 + column * UNIT, 10 + (row + 0.5) * UNIT
        pieces.append(f'<path class="line" d="M{start + 3},{y:g} H{end + 14}"/>')
        pieces.append(f'<text x="{end + 20}" y="{y + 6:g}">{text}</text>')
    return FRAME.replace("PIECES", "\n  ".join(pieces))


FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="breakout-title breakout-desc" width="540" height="320" viewBox="0 0 540 320">
  <title id="breakout-title">この章のブロックくずし</title>
  <desc id="breakout-desc">10 × 10 マスの盤。上から二段目からの三段にブロックが並び、六つは壊れている。中ほどに玉があり、その左下のマスに、うすい色で玉の前の位置がある。いちばん下の段に、3 マスの皿がある。</desc>
  <style>
    .fig { font-family: "Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP", "Noto Sans JP", sans-serif; }
    .fig text { font-size: 17px; fill: #1f2933; }
    .fig .grid { stroke: #d5dae0; }
    .fig .line { stroke: #5b6770; stroke-width: 1.2; }
    .fig .brick { fill: #1f6fb2; }
    .fig .ball { fill: #b45309; }
    .fig .before { fill: #b45309; opacity: 0.4; }
    .fig .paddle { fill: #1f2933; }
  </style>
  PIECES
</svg>
"""


def main() -> None:
    for path, text in [(DATA, script()), (PICTURE, picture())]:
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    train()
    main()
