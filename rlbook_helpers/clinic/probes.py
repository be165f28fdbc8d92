"""価値を暗算できる、小さな環境。

状態と行動の形が倒立振子と同じなので、同じエージェントをそのまま入れられます。問いを一つだけ持つ環境を、
やさしい順に並べると、どこでつまずくかで、疑う所がわかります。

出典: Jones (2021) の probe environments、Osband ほか (2020)。
"""

import gymnasium as gym
import numpy as np


class Probe(gym.Env):
    """検査の環境の土台。length ステップで終わり、報酬は reward が決めます。

    属性:
        question: この環境が問うこと。
        length: エピソードのステップ数。
        truncates: True なら、終端ではなく、打ち切りで終わります。
        sign: エピソードごとに無作為に決まる、1 か -1。
    """

    question: str
    length = 1
    truncates = False
    observation_space = gym.spaces.Box(-1, 1, (4,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        """gym.Env と同じです。"""
        super().reset(seed=seed)
        self.sign, self.t = self.np_random.choice([-1, 1]), 0
        return self.state(), {}

    def step(self, action):
        """gym.Env と同じです。"""
        reward = float(self.reward(action))
        self.t += 1
        ended = self.t == self.length
        return (
            self.state(),
            reward,
            ended and not self.truncates,
            ended and self.truncates,
            {},
        )

    def state(self) -> np.ndarray:
        """いまの状態 (4,)。二つ目の成分は、答えに関係のない数です。"""
        return observe(0.5, 0.5 * self.sign)

    def reward(self, action: int) -> float:
        """いまの状態で行動したときの報酬。"""
        return 1

    def answers(self, gamma: float) -> list[tuple[np.ndarray, int, float]]:
        """正しい価値。状態 (4,)、行動、行動価値の組の並びです。"""
        return [(observe(0.5, 0.5), action, 1) for action in (0, 1)]


def observe(x: float, y: float = 0.0) -> np.ndarray:
    """はじめの二つの成分が x と y で、残りが 0 の状態 (4,)、float32。"""
    return np.array([x, y, 0, 0], np.float32)


class Constant(Probe):
    """いつも、報酬 1 をもらって終わります。"""

    question = "報酬を覚えられるか"


class Observed(Probe):
    """報酬は、状態の符号で決まります。"""

    question = "状態を見分けられるか"

    def state(self):
        """始まりは ±0.5、終わりは 0。"""
        return observe(0.5 * self.sign if self.t == 0 else 0)

    def reward(self, action):
        """状態の符号。"""
        return self.sign

    def answers(self, gamma):
        """状態の符号が、そのまま価値です。"""
        return [(observe(0.5 * s), action, s) for s in (-1, 1) for action in (0, 1)]


class Delayed(Probe):
    """二歩で終わり、二歩目にだけ報酬 1 をもらいます。"""

    question = "次の状態の価値を、割り引いて使えるか"
    length = 2

    def state(self):
        """一歩目は 0.5、二歩目は -0.5、終わりは 0。"""
        return observe((0.5, -0.5, 0)[self.t])

    def reward(self, action):
        """二歩目だけ 1。"""
        return self.t

    def answers(self, gamma):
        """二歩目の価値は 1、一歩目は γ。"""
        return [
            (observe(x), a, v) for x, v in [(-0.5, 1), (0.5, gamma)] for a in (0, 1)
        ]


class Acted(Probe):
    """行動 1 の報酬は 1、行動 0 の報酬は -1 です。"""

    question = "行動を見分けられるか"

    def reward(self, action):
        """行動 1 なら 1、行動 0 なら -1。"""
        return 2 * action - 1

    def answers(self, gamma):
        """行動ごとの報酬が、そのまま価値です。"""
        return [(observe(0.5, 0.5), 0, -1), (observe(0.5, 0.5), 1, 1)]


class Both(Observed):
    """報酬は、状態の符号と行動の組で決まります。"""

    question = "状態と行動の組を見分けられるか"

    def reward(self, action):
        """状態が正なら行動 1、負なら行動 0 が正解で 1、はずれは -1。"""
        return self.sign * (2 * action - 1)

    def answers(self, gamma):
        """組ごとの報酬が、そのまま価値です。"""
        return [(observe(0.5 * s), a, s * (2 * a - 1)) for s in (-1, 1) for a in (0, 1)]


class Truncated(Constant):
    """いつも報酬 1 で、一歩ごとに打ち切られます。本当の価値は 1 / (1 - γ) です。"""

    question = "打ち切りの先の価値を数えるか"
    truncates = True

    def answers(self, gamma):
        """どの行動でも、いつまでも 1 をもらいつづけます。"""
        value = 1 / (1 - gamma)
        return [(observe(0.5, 0.5), action, value) for action in (0, 1)]


class Ledger(Probe):
    """状態がでたらめで、起きた遷移を控えておく環境。終端と打ち切りで、かわるがわる終わります。

    属性:
        transitions: 起きた遷移。一つが (状態、行動、報酬、次の状態、終端か) を並べた 11 個の数です。
    """

    question = "遷移を正しく覚えるか"
    length = 5

    def __init__(self):
        self.transitions = []

    def reset(self, *, seed=None, options=None):
        """gym.Env と同じです。"""
        self.truncates = not self.truncates
        state, info = super().reset(seed=seed)
        self.last = state.copy()
        return state, info

    def step(self, action):
        """gym.Env と同じです。起きた遷移を控えます。"""
        outcome = super().step(action)
        next_state, reward, terminated, *_ = outcome
        self.transitions.append((*self.last, action, reward, *next_state, terminated))
        self.last = next_state.copy()
        return outcome

    def state(self):
        """でたらめな状態 (4,)。"""
        return self.np_random.uniform(-0.9, 0.9, 4).astype(np.float32)

    def reward(self, action):
        """一歩ごとに増える、1 から 5 までの数。"""
        return self.t + 1
