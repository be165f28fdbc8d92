"""TD ターゲットを、見た中でいちばん大きい収益で頭打ちにするエージェント。見積もりのかたよりが原因かを調べます。"""

import numpy as np

from rlbook_helpers.dezero_compat import Variable
from rlbook_helpers.stable import StableDQNAgent


class CappedAgent(StableDQNAgent):
    """学習のあいだに見た、どの状態からの収益よりも大きな TD ターゲットは、そこまで下げて学びます。

    引数は StableDQNAgent と同じです。

    属性:
        largest: 終わったエピソードの、割り引いた収益の最大値。まだ一つも終わらなければ、無限大。
    """

    def __init__(self, **options):
        super().__init__(**options)
        self.largest = np.inf
        self.rewards: list[float] = []  # いまのエピソードの報酬

    def remember(self, state, action, reward, next_state, done) -> None:
        """遷移を覚えます。エピソードが終わったら、その収益を数えます。"""
        if not np.array_equal(state, self.n_step_returns.last_state):
            self.end_episode()  # 前のエピソードは、打ち切られました
        super().remember(state, action, reward, next_state, done)
        self.rewards.append(float(reward))
        if done:
            self.end_episode()

    def end_episode(self) -> None:
        """エピソードのどの状態からの収益も、後ろから求めて、最大値に加えます。"""
        returns = [] if np.isinf(self.largest) else [self.largest]
        following = 0.0
        for reward in reversed(self.rewards):
            following = reward + self.gamma * following
            returns.append(following)
        self.largest = max(returns, default=self.largest)
        self.rewards = []

    def get_loss(
        self, state: np.ndarray, action: np.ndarray, target: np.ndarray
    ) -> Variable:
        """StableDQNAgent と同じ損失。target (B,) は、largest までにします。"""
        return super().get_loss(state, action, np.minimum(target, self.largest))
