"""Record the angles of a pole for the live figure of the replay buffer.

1,000 steps of CartPole-v1 under random actions, one episode after the other, in degrees.
"""

from pathlib import Path

import gymnasium as gym
import numpy as np

FILE = Path(__file__).resolve().parents[2] / "book/static/figures/data/angles.js"


def angles(count: int = 1_000) -> list[float]:
    """The angle before each step, as the buffer keeps it, to a hundredth of a degree."""
    env = gym.make("CartPole-v1")
    rng = np.random.default_rng(0)
    state, _ = env.reset(seed=0)
    found = []
    for _ in range(count):
        found.append(round(float(np.degrees(state[2])), 2))
        state, _, terminated, truncated, _ = env.step(int(rng.integers(2)))
        if terminated or truncated:
            state, _ = env.reset()
    return found


def script() -> str:
    return f'live.keep("angles", {angles()});\n'


def main() -> None:
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(script(), "utf-8")
