"""学習の途中で、貪欲な方策と、価値の見積もりを測ります。"""

import time
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.stable import StableDQNAgent

EPISODES = 20  # 一度に測るエピソードの数


class Checkpoint(NamedTuple):
    """ある時点の測定。どれも、エピソードの平均です。"""

    step: int  # それまでの学習のステップ数
    total_reward: float  # 貪欲な方策の、報酬の合計
    estimate: float  # 始まりの状態の、価値の見積もり
    matched_return: float  # 実際に得た、割り引いた収益


def measure(env: gym.Env, agent: StableDQNAgent, *, step: int, seed: int) -> Checkpoint:
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
            totals[k] += reward
            matched[k] += discount * reward
            discount *= agent.gamma
            ended = terminated or truncated
        if not terminated:
            matched[k] += discount * agent.action_values(state).max()
    return Checkpoint(step, totals.mean(), estimates.mean(), matched.mean())


class Watched:
    """エージェントに代わって学習を受け、every ステップごとに測って checkpoints に残します。

    学習の乱数も結果も、agent だけのときと変わりません。every が None なら、数えるだけです。
    """

    def __init__(
        self, agent: StableDQNAgent, env: gym.Env, *, every: int | None, seed: int
    ):
        if every is not None:
            checks.integer("every", every, 1)
        self.agent, self.env = agent, env
        self.every, self.seed = every, seed
        self.step = 0
        self.checkpoints = []
        self.seconds = 0.0  # 測るのにかかった時間
        self.get_action = agent.get_action
        self.sync_qnet = agent.sync_qnet

    def update(self, state, action, reward, next_state, done) -> float | None:
        """agent.update と同じです。"""
        loss = self.agent.update(state, action, reward, next_state, done)
        self.step += 1
        if self.every and self.step % self.every == 0:
            start = time.perf_counter()
            measured = measure(self.env, self.agent, step=self.step, seed=self.seed)
            self.checkpoints.append(measured)
            self.seconds += time.perf_counter() - start
        return loss
