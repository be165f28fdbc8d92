"""学習の途中で、貪欲な方策と、価値の見積もりを測ります。"""

import time
from collections.abc import Callable
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.agents import DQNAgent

EPISODES = 20  # 一度に測るエピソードの数


class Checkpoint(NamedTuple):
    """ある時点の測定。どれも、エピソードの平均です。"""

    step: int  # それまでの学習のステップ数
    total_reward: float  # 貪欲な方策の、報酬の合計
    estimate: float  # 始まりの状態の、価値の見積もり
    matched_return: float  # 実際に得た、割り引いた収益


def measure(env: gym.Env, agent: DQNAgent, *, step: int, seed: int) -> Checkpoint:
    """貪欲な方策を EPISODES 回動かし、始まりの状態での見積もりと、実際の収益を求めます。

    学習のターゲットは、打ち切りの先の価値も数えます。そこで収益も、打ち切られたエピソードでは、
    最後の状態の見積もりを割り引いて足して、そろえます。

    引数:
        env: 学習とは別の環境。
        agent: エージェント。学習はしません。
        step: 記録するステップ数。
        seed: 最初の env.reset に渡すシード。
    """
    totals, estimates, matched = np.zeros((3, EPISODES))
    for k in range(EPISODES):
        state, _ = env.reset(seed=checks.env_seed(seed) if k == 0 else None)
        estimates[k] = agent.action_values(state).max()
        discount, ended = 1.0, False
        while not ended:
            action = agent.greedy_action(state)
            state, reward, terminated, truncated, _ = env.step(action)
            totals[k] += float(reward)
            matched[k] += discount * float(reward)
            discount *= agent.gamma
            ended = terminated or truncated
        if not terminated:
            matched[k] += discount * agent.action_values(state).max()
    return Checkpoint(step, totals.mean(), estimates.mean(), matched.mean())


class Checkpoints:
    """train の on_step。every ステップごとに measure で測って points に残します。

    別の環境で測るので、学習の乱数も結果も、測らないときと変わりません。

    引数:
        agent: 学習しているエージェント。
        env: 測るための環境。
        every: 測る間隔 (ステップ)。
        seed: env.reset に渡すシード。
    例外:
        TypeError, ValueError: every が 1 以上の整数でない。
    """

    def __init__(self, agent: DQNAgent, env: gym.Env, *, every: int, seed: int):
        self.agent, self.env = agent, env
        self.every, self.seed = checks.integer("every", every, 1), seed
        self.measure: Callable[..., tuple[float, ...]] = measure
        self.points: list[tuple[float, ...]] = []
        self.seconds = 0.0  # 測るのにかかった時間

    def __call__(self, step: int, ended: bool) -> None:
        """step が every の倍数なら測ります。"""
        if step % self.every == 0:
            start = time.perf_counter()
            point = self.measure(self.env, self.agent, step=step, seed=self.seed)
            self.points.append(point)
            self.seconds += time.perf_counter() - start
