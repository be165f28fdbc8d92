"""LunarLander のエピソードがどう終わるかと、着地の近くでの価値の見積もりを測ります。"""

from typing import NamedTuple

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.experiments.checkpoints import EPISODES

NEAR = 0.2  # 着地点の二本の旗のあいだで、この高さより下なら、着地の近く


class Landing(NamedTuple):
    """ある時点の、貪欲な方策の測定。着地の近くの状態がなければ、見積もりと上限は 0 です。"""

    step: int  # それまでの学習のステップ数
    landed: float  # 着地したエピソードの割合
    crashed: float  # 本体がぶつかったか、画面から出たエピソードの割合。残りは、打ち切り
    near: int  # 着地の近くの状態の数
    estimate: float  # その状態の、価値の見積もりの平均
    ceiling: float  # その状態から得られる収益の上限の、平均


def ceiling(state: np.ndarray) -> float:
    """状態 (8,) から先の、割り引いた収益の上限。どの方策でも、これより大きくはなりません。

    毎ステップの報酬は、位置の得点の増えた分から、燃料を引いたものです。得点は 20 までなので、割り引いた増加の
    合計も、20 からいまの得点を引いた数までです。着地すれば、さらに 100 を得ます。

    出典:
        Gymnasium の LunarLander-v3 の step。
    """
    x, y, vx, vy, angle, _, left, right = map(float, state)
    score = -100 * (np.hypot(x, y) + np.hypot(vx, vy) + abs(angle))
    return 120 - (score + 10 * (left + right))


def measure(env: gym.Env, agent: DQNAgent, *, step: int, seed: int) -> Landing:
    """貪欲な方策を EPISODES 回動かします。引数は checkpoints.measure と同じです。"""
    ends, near = [], []
    for k in range(EPISODES):
        state, _ = env.reset(seed=checks.env_seed(seed) if k == 0 else None)
        ended = False
        while not ended:
            if abs(state[0]) <= NEAR and 0 <= state[1] < NEAR:
                estimate = float(agent.action_values(state).max())
                near.append((estimate, ceiling(state)))
            action = agent.greedy_action(state)
            state, reward, terminated, truncated, _ = env.step(action)
            ended = terminated or truncated
        good = float(reward) > 0
        ends.append((terminated and good, terminated and not good))
    landed, crashed = np.mean(ends, axis=0)
    means = np.mean(near, axis=0) if near else (0.0, 0.0)  # 見積もりと上限
    return Landing(step, landed, crashed, len(near), *means)
