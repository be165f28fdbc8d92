"""Train the DQN of chapter 4 once and write what the live figure 学習をさかのぼる shows of it.

The page needs no network: for each checkpoint, which action is better where, by how much, and one
episode of the greedy policy. All of it is rounded to one byte a number, and stands in a script,
because a page opened from a file may load scripts only. The printed picture is made of the same data.
"""

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from rlbook_helpers.experiments.presets import ORIGINAL, Preset
from rlbook_helpers.training import evaluate

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "book" / "static" / "figures" / "data" / "rewind.js"
PICTURE = ROOT / "book" / "figures" / "rewind.svg"

SEED = 50  # of the training: the first one that nothing else of this book uses
EVERY = (
    20  # episodes from one checkpoint to the next, as many as between synchronisations
)
EPISODE_SEED, EVALUATION_SEED = 0, 1_000
# The map: the cart rests in the middle; rows from the largest angular velocity down
MAX_ANGLE, MAX_SPEED, SIDE = 0.21, 2.0, 41
# A byte from -127 to 127 stands for up to so much; more is cut off.
ADVANTAGE, POSITION, ANGLE, SPEED = 2.0, 2.5, 0.25, 3.0


class Checkpoint(NamedTuple):
    """After so many episodes of the training, the greedy policy."""

    episode: int
    map: np.ndarray  # Q(right) - Q(left), rounded (SIDE, SIDE), int8, never 0
    path: np.ndarray  # position, angle, angular velocity, rounded (T + 1, 3), int8
    mean: float  # of the totals of 20 further episodes


def rounded(numbers: np.ndarray, largest: float | np.ndarray) -> np.ndarray:
    return np.rint(np.clip(numbers / largest, -1, 1) * 127).astype(np.int8)


def policy_map(qnet) -> np.ndarray:
    angle, speed = np.meshgrid(
        np.linspace(-MAX_ANGLE, MAX_ANGLE, SIDE),
        np.linspace(MAX_SPEED, -MAX_SPEED, SIDE),
    )
    zero = np.zeros_like(angle)
    states = np.stack([zero, zero, angle, speed], axis=-1).astype(np.float32)
    qs = qnet.predict(states.reshape(-1, 4))  # (SIDE * SIDE, 2)
    advantage = (qs[:, 1] - qs[:, 0]).reshape(SIDE, SIDE)
    sign = np.where(advantage > 0, 1, -1).astype(
        np.int8
    )  # equal values: left, the first
    levels = rounded(advantage, ADVANTAGE)
    return np.where(levels == 0, sign, levels)


def one_episode(env: gym.Env, policy) -> np.ndarray:
    state, _ = env.reset(seed=EPISODE_SEED)
    states, ended = [state], False
    while not ended:
        state, _, terminated, truncated, _ = env.step(policy(state))
        states.append(state)
        ended = terminated or truncated
    return rounded(np.array(states)[:, [0, 2, 3]], np.array([POSITION, ANGLE, SPEED]))


def checkpoints(preset: Preset = ORIGINAL) -> tuple[list[float], list[Checkpoint]]:
    """The totals of the training; the policy before it and after every so many episodes."""
    env, other = preset.make_env(), preset.make_env()
    agent = preset.make_agent(env, SEED)
    points: list[Checkpoint] = []
    episodes = 0

    def look() -> None:
        policy = agent.greedy_action
        mean = evaluate(other, policy, episodes=20, seed=EVALUATION_SEED).mean()
        path = one_episode(other, policy)
        points.append(Checkpoint(episodes, policy_map(agent.qnet), path, float(mean)))

    def on_step(step: int, ended: bool) -> None:
        nonlocal episodes
        episodes += ended
        if ended and episodes % EVERY == 0:
            look()

    look()
    returns = preset.train(env, agent, SEED, on_step).returns
    return returns, points


def packed(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.astype(np.int8).tobytes()).decode()


def script(returns: list[float], points: list[Checkpoint]) -> str:
    data = {
        "side": SIDE,
        "maxAngle": MAX_ANGLE,
        "maxSpeed": MAX_SPEED,
        "largest": [POSITION, ANGLE, SPEED],
        "returns": [int(total) for total in returns],
        "checkpoints": [
            {
                "episode": point.episode,
                "mean": round(point.mean, 2),
                "map": packed(point.map),
                "path": packed(point.path),
            }
            for point in points
        ],
    }
    return f'live.keep("rewind", {json.dumps(data)});\n'


# The printed picture


SHOWN = (40, 140, 300)  # the episodes whose maps stand there
MAP = 168  # pixels


def painted(levels: np.ndarray, x: float, y: float) -> list[str]:
    """The map, in three shades of each of the two actions; neighbours in a row are one piece."""
    shade = np.sign(levels) * (1 + np.minimum(np.abs(levels.astype(int)) // 43, 2))
    cell = MAP / SIDE
    pieces: dict[int, list[str]] = {}
    for row in range(SIDE):
        starts = [0, *np.flatnonzero(np.diff(shade[row])) + 1, SIDE]
        for start, end in pairwise(starts):
            at = f"M{x + start * cell:.1f},{y + row * cell:.1f}"
            piece = (
                f"{at}h{(end - start) * cell:.1f}v{cell:.1f}H{x + start * cell:.1f}z"
            )
            pieces.setdefault(int(shade[row, start]), []).append(piece)
    return [
        f'<path class="{"right" if k > 0 else "left"} s{abs(k)}" d="{"".join(d)}"/>'
        for k, d in sorted(pieces.items())
    ]


def picture(returns: list[float], points: list[Checkpoint]) -> str:
    """Three of the maps, and below them the curve with all of the checkpoints."""
    parts, shown = [], [point for point in points if point.episode in SHOWN]
    for k, point in enumerate(shown):
        x, y = 52 + 216 * k, 34
        parts += painted(point.map, x, y)
        parts += [
            f'<rect class="frame" x="{x}" y="{y}" width="{MAP}" height="{MAP}"/>',
            f'<text class="m" x="{x + MAP / 2}" y="24">{point.episode} エピソード</text>',
            f'<text class="m s" x="{x}" y="221">−12°</text>',
            f'<text class="m s" x="{x + MAP}" y="221">+12°</text>',
        ]
        if k == 1:
            parts += [
                f'<text class="m" x="{x + 48}" y="{y + 134}">左へ押す</text>',
                f'<text class="m" x="{x + 120}" y="{y + 44}">右へ押す</text>',
            ]
    parts += [
        '<text class="e s" x="46" y="46">+2</text><text class="e s" x="46" y="202">−2</text>',
        '<text class="m s" transform="translate(24 118) rotate(-90)">角速度 [rad/s]</text>',
        '<text class="m s" x="352" y="221">棒の角度</text>',
    ]

    def place(episode: float, total: float) -> tuple[float, float]:
        return round(52 + episode * 2, 1), round(412 - total * 0.3, 1)

    for total in (0, 250, 500):
        y = place(0, total)[1]
        parts.append(
            f'<path class="grid" d="M52,{y} H652"/><text class="e s" x="46" y="{y + 5}">{total}</text>'
        )
    for episode in range(0, 301, 100):
        x = place(episode, 0)[0]
        parts.append(f'<text class="m s" x="{x}" y="432">{episode}</text>')
    curve = " L".join(
        f"{x},{y}" for x, y in (place(k, total) for k, total in enumerate(returns, 1))
    )
    parts.append(f'<path class="curve" d="M{curve}"/>')
    for point in points:
        x, y = place(point.episode, point.mean)
        kind = "point shown" if point.episode in SHOWN else "point"
        radius = 7 if point.episode in SHOWN else 4
        parts.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"/>')
    parts += [
        '<text class="s" x="60" y="258">報酬の合計（細い線は学習中、点は貪欲な方策の平均）</text>',
        '<text class="m s" x="352" y="452">エピソード</text>',
    ]
    return FRAME.replace("PARTS", "\n  ".join(parts))


FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" class="fig" role="img" aria-labelledby="rewind-title rewind-desc" width="680" height="462" viewBox="0 0 680 462">
  <title id="rewind-title">学習をさかのぼる：貪欲な方策の地図と、報酬の合計</title>
  <desc id="rewind-desc">上に三枚の地図がある。横軸は棒の角度、縦軸は角速度で、青は右へ押す所、茶は左へ押す所。40 エピソードでは、ほとんどどこでも右へ押す。140 エピソードと 300 エピソードでは、上が青、下が茶で、境は左上から右下へ傾く。下に、300 エピソードの報酬の合計の折れ線と、20 エピソードごとの貪欲な方策の平均の点がある。どちらも 130 エピソードの近くで急に大きくなり、そのあと点は 150 から 300 のあいだで上下する。</desc>
  <style>
    .fig { font-family: "Hiragino Sans", "Yu Gothic", "Noto Sans CJK JP", "Noto Sans JP", sans-serif; }
    .fig text { font-size: 16px; fill: #1f2933; }
    .fig .s { font-size: 14px; }
    .fig .m { text-anchor: middle; }
    .fig .e { text-anchor: end; }
    .fig .right { fill: #1f6fb2; }
    .fig .left { fill: #b45309; }
    .fig .s1 { opacity: 0.25; }
    .fig .s2 { opacity: 0.45; }
    .fig .s3 { opacity: 0.65; }
    .fig .frame { fill: none; stroke: #9aa5b1; }
    .fig .grid { stroke: #d5dae0; }
    .fig .curve { fill: none; stroke: #9aa5b1; stroke-linejoin: round; }
    .fig .point { fill: #1f6fb2; stroke: #fff; stroke-width: 1.5; }
  </style>
  PARTS
</svg>
"""


def main() -> None:
    returns, points = checkpoints()
    DATA.parent.mkdir(parents=True, exist_ok=True)
    for path, text in [
        (DATA, script(returns, points)),
        (PICTURE, picture(returns, points)),
    ]:
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
