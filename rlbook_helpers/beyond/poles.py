"""たくさんの倒立振子を、NumPy で一度に動かします。"""

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.beyond.games import Step

GRAVITY, CART, POLE, HALF_LENGTH = 9.8, 1.0, 0.1, 0.5  # m/s²、kg、kg、棒の半分の長さ m
FORCE, SECONDS = 10.0, 0.02  # 押す力 N、一歩の時間
WIDEST, STEEPEST = 2.4, 12 * 2 * np.pi / 360  # これを超えたら倒れた: 位置 m、角度 rad


def move(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """CartPole-v1 の式で、状態 (N, 4) を行動 (N,) の一歩だけ進めます。float64 で計算します。"""
    _, velocity, angle, spin = states.T
    force = np.where(actions == 1, FORCE, -FORCE)
    total, cos, sin = CART + POLE, np.cos(angle), np.sin(angle)
    push = (force + POLE * HALF_LENGTH * spin**2 * sin) / total
    inertia = HALF_LENGTH * (4 / 3 - POLE * cos**2 / total)
    turn = (GRAVITY * sin - cos * push) / inertia  # 角加速度 (N,)
    speed_up = push - POLE * HALF_LENGTH * turn * cos / total  # 加速度 (N,)
    changes = np.stack([velocity, speed_up, spin, turn], axis=1)
    return states + SECONDS * changes  # (N, 4)


class Poles:
    """N 本の倒立振子。Gymnasium の CartPole-v1 を N 個並べたものと、同じに動きます。

    引数:
        games: 本数 N。
        limit: 打ち切るステップ数。
    例外:
        TypeError, ValueError: 引数が 1 以上の整数でない。
    """

    state_size, action_size = 4, 2

    def __init__(self, games: int, limit: int = 500):
        self.games = checks.integer("games", games, 1)
        self.limit = checks.integer("limit", limit, 1)

    def reset(self, rng: np.random.Generator) -> np.ndarray:
        """すべてを始め、状態 (N, 4)、float32 を返します。rng は、始めなおすときにも使います。"""
        self.rng = checks.generator(rng)
        self.exact = self.rng.uniform(-0.05, 0.05, (self.games, 4))  # float64
        self.steps = np.zeros(self.games, int)
        return self.exact.astype(np.float32)

    def step(self, actions: np.ndarray) -> Step:
        """行動 (N,) で一歩進め、倒れたものと、limit ステップ続いたものを始めなおします。"""
        actions = checks.array("actions", actions, (self.games,))
        if not ((actions == 0) | (actions == 1)).all():
            raise ValueError(f"actions は 0 か 1 にしてください: {actions!r}")
        self.exact = move(self.exact, actions)
        self.steps += 1
        next_states = self.exact.astype(np.float32)
        far = np.abs(self.exact) > (WIDEST, np.inf, STEEPEST, np.inf)  # (N, 4)
        terminated, truncated = far[:, 0] | far[:, 2], self.steps >= self.limit
        ended = np.flatnonzero(terminated | truncated)
        if ended.size:
            self.exact[ended] = self.rng.uniform(-0.05, 0.05, (ended.size, 4))
            self.steps[ended] = 0
        rewards = np.ones(self.games, np.float32)
        states = self.exact.astype(np.float32)
        return Step(next_states, rewards, terminated, truncated, states)
