"""この本の実験のために変えた環境。"""

import gymnasium as gym
import numpy as np
from gymnasium.envs.classic_control import AcrobotEnv, CartPoleEnv
from gymnasium.wrappers import FlattenObservation, StickyAction

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


class Catch(gym.Env):
    """落ちてくる玉を、いちばん下の段で左右に動く皿で受けます。

    状態は盤面 (10, 5)、float32 で、玉と皿のマスが 1、ほかは 0 です。行動は 0 (左)、1 (そのまま)、2 (右) です。
    報酬は、玉がいちばん下の段に着いたときだけで、皿で受けたら 1、受けそこねたら −1 です。

    出典:
        Osband ほか (2020) の Catch。プログラムは、この本で書きました。
    """

    rows, columns = 10, 5
    action_space = gym.spaces.Discrete(3)
    observation_space = gym.spaces.Box(0, 1, (rows, columns), np.float32)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """はじめの状態と、空の辞書を返します。玉の列は一様で、皿は中央です。"""
        super().reset(seed=seed)
        self.row, self.ball = 0, int(self.np_random.integers(self.columns))
        self.plate = self.columns // 2
        return self.state(), {}

    def step(self, action: int) -> tuple:
        """状態、報酬、terminated、truncated (いつも False)、空の辞書を返します。"""
        self.row += 1
        self.plate = min(max(self.plate + int(action) - 1, 0), self.columns - 1)
        landed = self.row == self.rows - 1
        reward = (1.0 if self.ball == self.plate else -1.0) if landed else 0.0
        return self.state(), reward, landed, False, {}

    def state(self) -> np.ndarray:
        """いまの盤面 (10, 5)。"""
        board = np.zeros((self.rows, self.columns), np.float32)
        board[self.row, self.ball] = board[-1, self.plate] = 1
        return board


class LongPole(CartPoleEnv):
    """棒の長さを 2 倍、重さを 10 倍にした CartPole。"""

    def __init__(self, **options):
        super().__init__(**options)
        self.length *= 2
        self.masspole *= 10
        self.total_mass = self.masscart + self.masspole
        self.polemass_length = self.masspole * self.length


class PaperAcrobot(AcrobotEnv):
    """論文 (Sutton, 1996) に書かれた式で動く Acrobot。もとの環境は、教科書の式で動きます。"""

    book_or_nips = "nips"


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
        reward_threshold=0.9,
    )


def register_unseen(
    name: str, program: str, length: int | None, threshold: float, **options
) -> None:
    """調整に使わなかった環境 (計画 05_transfer) を登録します。状態は、ベクトルにして渡します。

    引数:
        name: 名前。"rlbook/名前-v0" という env_id になります。
        program: 環境のクラスの場所。
        length: エピソードを打ち切るステップ数。None なら、打ち切りません。
        threshold: 報酬の合計の平均が、これ以上なら解けたとする数。
        **options: クラスの引数。
    """
    gym.register(
        id=f"rlbook/{name}-v0",
        entry_point=program,
        reward_threshold=threshold,
        max_episode_steps=length,
        additional_wrappers=(FlattenObservation.wrapper_spec(),),
        kwargs=options,
    )


# 調整に使った環境を変えたもの。解けたとする報酬の合計は、もとの環境と同じか、同じ割合です
CLASSIC = "gymnasium.envs.classic_control:"
register_unseen("CartPole1000", f"{CLASSIC}CartPoleEnv", 1000, 950)
register_unseen("LongPole", f"{__name__}:LongPole", 500, 475)
register_unseen("PaperAcrobot", f"{__name__}:PaperAcrobot", 500, -100)
LANDER = "gymnasium.envs.box2d.lunar_lander:LunarLander"
register_unseen("WindyLander", LANDER, 1000, 200, enable_wind=True)
# 最適な方策の報酬の合計の平均がわかるもの。不足が、その大きさの 10 % までなら、解けたとします
TOY = "gymnasium.envs.toy_text:"
LAKE = f"{TOY}FrozenLakeEnv"
register_unseen("FrozenLake8x8", LAKE, 200, 0.9 * 0.9132, map_name="8x8")
register_unseen("Taxi", f"{TOY}TaxiEnv", 200, 0.9 * 7.93)
register_unseen("CliffWalking", f"{TOY}CliffWalkingEnv", 200, 1.1 * -13)
register_unseen("Catch", f"{__name__}:Catch", None, 0.9 * 1)
