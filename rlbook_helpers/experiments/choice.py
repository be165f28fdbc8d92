"""学習の終わりの方策のうち、どれを使うかを、残りのステップで選びます。"""

import copy
from collections.abc import Sequence

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.stable import StableDQNAgent
from rlbook_helpers.training import Policy

CANDIDATES = 5  # 選ぶ相手の数


class LastPolicies:
    """train の on_step。学習の終わりの五つの時点の、貪欲な方策を写して policies に残します。

    引数:
        agent: 学習しているエージェント。
        steps: 学習のステップ数。
        every: 写す間隔 (ステップ)。最後の時点は、steps です。
    """

    def __init__(self, agent: StableDQNAgent, *, steps: int, every: int):
        self.agent = agent
        self.marks = range(steps, 0, -every)[:CANDIDATES]
        self.policies: list[StableDQNAgent] = []

    def __call__(self, step: int, ended: bool) -> None:
        """step が写す時点なら、方策に使うものだけを写します。"""
        if step in self.marks:
            kept = copy.copy(self.agent)
            kept.qnet_average = copy.deepcopy(kept.qnet_average or kept.qnet)
            kept.scale = copy.copy(kept.scale)
            self.policies.append(kept)

    def choose(self, env: gym.Env, steps: int) -> None:
        """残した方策を steps ステップまで動かし、いちばんよかったものを、エージェントに使わせます。"""
        k = best_policy(env, [kept.greedy_action for kept in self.policies], steps)
        self.agent.qnet_average = self.policies[k].qnet_average
        self.agent.scale = self.policies[k].scale


def best_policy(env: gym.Env, policies: Sequence[Policy], steps: int) -> int:
    """方策を一つのエピソードずつ順に動かし、報酬の合計の平均がいちばん大きいものの番号を返します。

    数えるのは、すべての方策が一つずつ終えた周だけです。平均が同じなら、後ろのものを選びます。一周も終わらな
    ければ、最後のものを選びます。

    引数:
        env: 環境。乱数の続きを使います。
        policies: 状態から行動を選ぶ関数。
        steps: 動かすステップ数の上限。
    """
    left = checks.integer("steps", steps, 1)
    totals = np.zeros(len(policies))
    while True:
        around = np.zeros(len(policies))
        for k, policy in enumerate(policies):
            state, _ = env.reset()
            ended = False
            while not ended:
                if left == 0:
                    return len(policies) - 1 - int(totals[::-1].argmax())
                state, reward, terminated, truncated, _ = env.step(policy(state))
                around[k] += float(reward)
                ended = terminated or truncated
                left -= 1
        totals += around
