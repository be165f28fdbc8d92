"""Write the networks of the live figure 一度の更新で動く値, and the picture printed in its place.

They are those of chapter 2: its agent of seed 0, before and after 1,000 episodes.
"""

import json
from pathlib import Path

import numpy as np
from dezerogym.gridworld import GridWorld

from figures.weights import packed
from rlbook_helpers import QLearningAgent

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "book" / "static" / "figures" / "data" / "spread.js"
PICTURE = ROOT / "book" / "figures" / "spread.svg"

ACTING = [0, 1, 2, 4, 6, 7, 8, 9, 10, 11]  # 4 y + x of the squares where the agent acts
UPDATED = 2, 3  # (0, 2), to the right: into the goal


def one_hot(square: int) -> np.ndarray:
    return np.eye(12, dtype=np.float32)[[square]]


def trained(episodes: int) -> QLearningAgent:
    agent, env = QLearningAgent(seed=0), GridWorld()
    for _ in range(episodes):
        (y, x), done = env.reset(), False
        while not done:
            state = one_hot(4 * y + x)
            action = agent.get_action(state)
            (y, x), reward, done = env.step(action)
            agent.update(state, action, reward, one_hot(4 * y + x), done)
    return agent


def table(agent: QLearningAgent) -> np.ndarray:
    return np.array([agent.qnet(one_hot(square)).data[0] for square in range(12)])


def script() -> str:
    agents = {"fresh": trained(0), "trained": trained(1_000)}
    weights = {
        name: np.concatenate(
            [
                part.data.ravel()
                for layer in (a.qnet.l1, a.qnet.l2)
                for part in (layer.W, layer.b)
            ]
        )
        for name, a in agents.items()
    }
    largest = float(max(np.abs(w).max() for w in weights.values()))
    data = {"largest": largest} | {k: packed(w, largest) for k, w in weights.items()}
    return f'live.keep("spread", {json.dumps(data)});\n'


# The printed picture

SIDE = 76  # pixels of a square
NUMBERS = [
    (0.5, 0.3),
    (0.5, 0.85),
    (0.24, 0.57),
    (0.76, 0.57),
]  # by action, in a square
CORNERS = ["0,0 1,0", "0,1 1,1", "0,0 0,1", "1,0 1,1"]


def changes() -> np.ndarray:
    """By one update of the untrained network, as parts of that of the updated value (12, 4)."""
    agent, (square, action) = trained(0), UPDATED
    for layer in (agent.qnet.l1, agent.qnet.l2):  # the same digits on each processor
        for part in (layer.W, layer.b):
            part.data = part.data.astype(float)
    before = table(agent)
    agent.update(one_hot(square), action, 1.0, one_hot(square + 1), True)
    change = table(agent) - before
    return change / change[UPDATED]


def board(parts: np.ndarray, left: int, name: str) -> list[str]:
    found = [f'<text class="m" x="{left + 2 * SIDE}" y="24">{name}</text>']
    for square in range(12):
        x, y = left + SIDE * (square % 4), 38 + SIDE * (square // 4)
        if square not in ACTING:
            kind, text = ("goal", "ゴール") if square == 3 else ("wall", "壁")
            found += [
                f'<rect class="{kind}" x="{x}" y="{y}" width="{SIDE}" height="{SIDE}"/>',
                f'<text class="m" x="{x + SIDE / 2}" y="{y + SIDE / 2 + 6}">{text}</text>',
            ]
            continue
        for action, corners in enumerate(CORNERS):
            part = parts[square, action]
            colour = "up" if part > 0 else "down"
            found.append(
                f'<polygon class="{colour}" fill-opacity="{min(abs(part), 1):.2f}" '
                f'transform="translate({x} {y}) scale({SIDE})" points="{corners} 0.5,0.5"/>'
            )
        for action, (dx, dy) in enumerate(NUMBERS):
            text = f"{100 * parts[square, action]:.0f}".replace("-", "−").replace(
                "−0", "0"
            )
            kind = "m s own" if (square, action) == UPDATED else "m s"
            found.append(
                f'<text class="{kind}" x="{x + SIDE * dx:.0f}" y="{y + SIDE * dy:.0f}">{text}</text>'
            )
    return found


def picture() -> str:
    alone = np.zeros((12, 4))
    alone[UPDATED] = 1
    parts = board(alone, 20, "表") + board(changes(), 356, "ネットワーク")
    return FRAME.replace("PARTS", "\n  ".join(parts))


FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="spread-title spread-desc" width="680" height="276" viewBox="0 0 680 276">
  <title id="spread-title">一度の更新で動く値、表とネットワーク</title>
  <desc id="spread-desc">グリッドワールドの盤が二つ。どのマスにも四つの三角形があり、(0, 2) の「右」の変化を 100 としたときの変化が書いてある。左の表では、(0, 2) の「右」が 100 で、ほかはすべて 0。右のネットワークでは、ほかのマスの「右」も 30 台から 40 台で、ほかの行動の値も少し動く。</desc>
  <style>
    .fig { font-family: "Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP", "Noto Sans JP", sans-serif; }
    .fig text { font-size: 16px; fill: #1f2933; }
    .fig .s { font-size: 13px; }
    .fig .own { font-weight: 700; }
    .fig .m { text-anchor: middle; }
    .fig polygon { stroke: #9aa5b1; stroke-width: 0.01; }
    .fig .up { fill: #4fb3a8; }
    .fig .down { fill: #d09a4e; }
    .fig rect { stroke: #9aa5b1; }
    .fig .goal { fill: none; }
    .fig .wall { fill: #9aa5b1; }
  </style>
  PARTS
</svg>
"""


def main() -> None:
    for path, text in [(DATA, script()), (PICTURE, picture())]:
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
