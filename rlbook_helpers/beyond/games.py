"""たくさんの環境を一度に動かすための決まりと、方策の評価。"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np


class Step(NamedTuple):
    """N 個の環境を一歩進めた結果。"""

    next_states: (
        np.ndarray
    )  # (N, *状態の形) 本当の次の状態。終わった環境でも、始めなおす前のもの
    rewards: np.ndarray  # (N,)、float32
    terminated: np.ndarray  # (N,)、bool
    truncated: np.ndarray  # (N,)、bool
    states: (
        np.ndarray
    )  # (N, *状態の形) 次に行動を選ぶ状態。終わった環境では、始めなおした状態


class Games(Protocol):
    """N 個の環境。終わったものは、自分で始めなおします。"""

    games: int  # N
    state_size: int
    action_size: int

    def reset(self, rng: np.random.Generator) -> np.ndarray:
        """すべてを始め、状態 (N, *状態の形) を返します。rng は、始めなおすときにも使います。"""

    def step(self, actions: np.ndarray) -> Step:
        """行動 (N,) で、すべてを一歩進めます。"""


def play(
    games: Games,
    policy: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    *,
    most_steps: int | None = None,
) -> np.ndarray:
    """方策を動かし、それぞれの環境の、はじめのエピソードの報酬の合計 (N,) を返します。

    引数:
        games: N 個の環境。
        policy: 状態 (N, *状態の形) から行動 (N,) を選ぶ関数。
        rng: はじめの状態を決める乱数生成器。
        most_steps: 終わらないエピソードを、そこまでの合計で数えるステップ数。None なら、終わるまで動かします。
    """
    states = games.reset(rng)
    totals, playing = np.zeros(games.games), np.ones(games.games, bool)
    t = 0
    while playing.any() and t != most_steps:
        step = games.step(policy(states))
        totals += np.where(playing, step.rewards, 0)
        playing &= ~(step.terminated | step.truncated)
        states, t = step.states, t + 1
    return totals
