"""この本の実験のために変えた環境。"""

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import StickyAction

from rlbook_helpers import checks


class TruncationEnds(gym.Wrapper):
    """打ち切り (truncated) を、終端 (terminated) として返します。"""

    def step(self, action: int) -> tuple:
        """env.step と同じです。truncated は、いつも False になります。"""
        state, reward, terminated, truncated, info = self.env.step(action)
        return state, reward, terminated or truncated, False, info


class OnlyTheGoal(gym.Wrapper):
    """MountainCar の毎ステップの報酬 −1 の代わりに、ゴールに着いたときの 1 だけを返します。"""

    def step(self, action: int) -> tuple:
        """env.step と同じです。報酬だけが変わります。"""
        state, _, terminated, truncated, info = self.env.step(action)
        return state, float(terminated), terminated, truncated, info


class CombinationLock(gym.Env):
    """正しい行動を length 回続けて選ぶと開く錠。間違えると、はじめからやりなおしです。

    状態は、いくつ正しく選んだかの one-hot ベクトル (length,)、float32。行動は 0 か 1 です。
    報酬は、開いたときの 1 だけです。正しい行動の列は、length ごとに決まっています。

    引数:
        length: 開けるのに続けて選ぶ、正しい行動の数。1 以上。
    例外:
        TypeError, ValueError: length が 1 以上の整数でない。
    """

    action_space = gym.spaces.Discrete(2)

    def __init__(self, length: int):
        checks.integer("length", length, 1)
        self.code = np.random.default_rng(length).integers(2, size=length)
        self.observation_space = gym.spaces.Box(0, 1, (length,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """はじめの状態と、空の辞書を返します。"""
        super().reset(seed=seed)
        self.chosen = 0
        return self.state(), {}

    def step(self, action: int) -> tuple:
        """状態、報酬、terminated、truncated (いつも False)、空の辞書を返します。"""
        right = action == self.code[self.chosen]
        self.chosen = self.chosen + 1 if right else 0
        opened = self.chosen == len(self.code)
        return self.state(), float(opened), opened, False, {}

    def state(self) -> np.ndarray:
        """いまの状態 (length,)。開いたあとは、すべて 0 です。"""
        return (np.arange(len(self.code)) == self.chosen).astype(np.float32)


gym.register(
    id="SparseMountainCar-v0",
    entry_point=lambda **options: OnlyTheGoal(
        gym.make("MountainCar-v0", **options).unwrapped
    ),
    max_episode_steps=200,
)
gym.register(  # 95 % の確率で、選んだ行動の代わりに、前の行動をくり返します
    id="StickySparseMountainCar-v0",
    entry_point=lambda **options: StickyAction(
        OnlyTheGoal(gym.make("MountainCar-v0", **options).unwrapped), 0.95
    ),
    max_episode_steps=200,
)
for length in (4, 8, 12, 16, 20):
    gym.register(
        id=f"Lock{length}-v0",
        entry_point=f"{__name__}:CombinationLock",
        kwargs={"length": length},
        max_episode_steps=100,
    )
