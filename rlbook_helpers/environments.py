"""この本の実験のために変えた環境。"""

import gymnasium as gym


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


gym.register(
    id="SparseMountainCar-v0",
    entry_point=lambda **options: OnlyTheGoal(
        gym.make("MountainCar-v0", **options).unwrapped
    ),
    max_episode_steps=200,
)
