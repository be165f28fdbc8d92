"""部品を外したエージェントの実験の設定。Preset と同じように、走らせ、残し、まとめられます。"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.beyond.breakout import Breakout
from rlbook_helpers.beyond.convolution import ConvolutionQNet
from rlbook_helpers.beyond.games import Games, play
from rlbook_helpers.beyond.layer_norm import NormalizedQNet
from rlbook_helpers.beyond.poles import Poles
from rlbook_helpers.beyond.pqn import PQNAgent, train_parallel
from rlbook_helpers.beyond.stream import SparseQNet, StreamQ
from rlbook_helpers.dezero_compat import Model
from rlbook_helpers.networks import QNet2
from rlbook_helpers.training import OnStep, TrainingRecord, train

# 環境の名前から、それを N 個動かすもの
GAMES: dict[str, Callable[[int], Games]] = {
    "CartPole-v1": Poles,
    "rlbook/Breakout-v0": Breakout,
    "rlbook/BreakoutWithoutTrail-v0": partial(Breakout, trail=False),
}
# ネットワークの名前から、(行動の数, 状態の次元, seed=) で作るもの
NETWORKS: dict[str, Callable[..., Model]] = {
    "plain": QNet2,
    "layer_norm": NormalizedQNet,
    "convolution": ConvolutionQNet,
}
MARK_GAMES = 20  # 途中の測定で、一度に動かす環境の数


class Mark(NamedTuple):
    """ある時点の測定。"""

    step: int  # それまでの学習のステップ数
    total_reward: float  # 貪欲な方策の、報酬の合計の平均


class Marks:
    """途中を、別の環境で every ステップごとに測る on_step。points に残します。"""

    def __init__(self, preset: "GamesPreset", agent: Any, every: int, seed: int):
        self.preset, self.agent, self.every, self.seed = preset, agent, every, seed
        self.points: list[Mark] = []
        self.seconds = 0.0  # 測るのにかかった時間

    def __call__(self, step: int, ended: bool) -> None:
        """step が every の倍数なら測ります。"""
        if step % self.every == 0:
            start = time.perf_counter()
            totals = self.preset.play(self.agent, MARK_GAMES, self.seed)
            self.points.append(Mark(step, float(totals.mean())))
            self.seconds += time.perf_counter() - start


@dataclass(frozen=True)
class GamesPreset:
    """ParallelPreset と StreamPreset が、同じに持つもの。

    属性:
        env_id: 環境の名前。GAMES のどれかです。
        steps: 学習のステップ数。並べて動かす環境では、その和です。
        gamma, lam, lr, epsilon, epsilon_end, epsilon_part: エージェントの、同じ名前の引数。
        checkpoint_steps: 途中の方策を測る間隔 (ステップ)。None なら、終わりだけを評価します。
        evaluation_episodes: 終わりの方策を評価するエピソードの数。
        curve_interval: 報酬の合計を、何エピソードごとに一つの数にして残すか。
    例外:
        TypeError, ValueError: 値が正しくない。エージェントの引数は make_agent が調べます。
    """

    env_id: str = "CartPole-v1"
    steps: int = 100_000
    gamma: float = 0.99
    lam: float = 0.9
    lr: float = 0.001
    epsilon: float = 1.0
    epsilon_end: float = 0.05
    epsilon_part: float = 0.2
    checkpoint_steps: int | None = None
    evaluation_episodes: int = 100
    curve_interval: int = 1

    def __post_init__(self):
        checks.choice("env_id", self.env_id, tuple(GAMES))
        for name in ("steps", "evaluation_episodes", "curve_interval"):
            checks.integer(name, getattr(self, name), 1)
        checks.counts(checkpoint_steps=self.checkpoint_steps)

    def make_env(self, **kwargs) -> gym.Env:
        """同じ環境を一つ。kwargs は gym.make に渡します。"""
        return gym.make(self.env_id, **kwargs)

    def seeds(self, seed: int) -> tuple[int, int]:
        """学習の環境のシードと、エージェントのシード。"""
        env, agent = np.random.SeedSequence(seed).generate_state(2, np.uint64)
        return int(env), int(agent)

    def play(self, agent: Any, games: int, seed: int) -> np.ndarray:
        """貪欲な方策の、games 個のエピソードの報酬の合計 (games,)。"""
        rng = np.random.default_rng(seed)
        return play(GAMES[self.env_id](games), agent.greedy_actions, rng)

    def evaluate(self, agent: Any, seed: int) -> np.ndarray:
        """終わりの方策の評価。"""
        return self.play(agent, self.evaluation_episodes, seed)

    def watch(self, agent: Any, seed: int) -> Marks | None:
        """途中を測る on_step。測らないなら None。"""
        if self.checkpoint_steps is None:
            return None
        return Marks(self, agent, self.checkpoint_steps, seed)


@dataclass(frozen=True)
class ParallelPreset(GamesPreset):
    """PQN の設定。ターゲットネットワークを残すことも、層正規化を外すこともできます。

    属性:
        games: 同時に動かす環境の数 N。checkpoint_steps は、この倍数です。
        network: ネットワークの名前。NETWORKS のどれかです。
        ほか: GamesPreset の属性と、PQNAgent の同じ名前の引数。
    """

    games: int = 32
    network: str = "layer_norm"
    lr_end: float = 0.0
    reward_scale: float = 0.05
    rollout: int = 16
    epochs: int = 2
    minibatches: int = 4
    gradient_limit: float = 10.0
    sync_updates: int | None = None

    def __post_init__(self):
        super().__post_init__()
        checks.integer("games", self.games, 1, self.steps + 1)
        checks.choice("network", self.network, tuple(NETWORKS))
        if self.checkpoint_steps and self.checkpoint_steps % self.games:
            raise ValueError(
                f"checkpoint_steps は games ({self.games}) の倍数にしてください: "
                f"{self.checkpoint_steps!r}"
            )

    def make_agent(self, env: gym.Env, seed: int) -> PQNAgent:
        """この設定のエージェントを作ります。"""
        rng = np.random.default_rng(seed)
        games = GAMES[self.env_id](self.games)
        network = NETWORKS[self.network](games.action_size, games.state_size, seed=rng)
        names = (
            *("gamma", "lam", "lr", "lr_end", "epsilon", "epsilon_end", "epsilon_part"),
            *("reward_scale", "rollout", "epochs", "minibatches", "gradient_limit"),
            *("sync_updates", "steps"),
        )
        options = {name: getattr(self, name) for name in names}
        return PQNAgent(network, seed=rng, **options)

    def train(
        self, env: gym.Env, agent: Any, seed: int, on_step: OnStep | None = None
    ) -> TrainingRecord:
        """この設定の長さだけ学習させます。env は使わず、games 個の環境を作ります。"""
        games, rng = GAMES[self.env_id](self.games), np.random.default_rng(seed)
        return train_parallel(games, agent, self.steps, rng, on_step)


@dataclass(frozen=True)
class StreamPreset(GamesPreset):
    """stream Q(λ) の設定。

    属性:
        kappa, sparsity: StreamQ と SparseQNet の、同じ名前の引数。
        ほか: GamesPreset の属性。
    """

    lam: float = 0.8
    lr: float = 1.0
    epsilon_end: float = 0.01
    kappa: float = 2.0
    sparsity: float = 0.9

    def make_agent(self, env: gym.Env, seed: int) -> StreamQ:
        """この設定のエージェントを作ります。"""
        rng = np.random.default_rng(seed)
        games = GAMES[self.env_id](1)
        sizes = games.action_size, games.state_size
        network = SparseQNet(*sizes, sparsity=self.sparsity, seed=rng)
        names = (
            *("gamma", "lam", "lr", "kappa", "steps"),
            *("epsilon", "epsilon_end", "epsilon_part"),
        )
        options = {name: getattr(self, name) for name in names}
        options |= {"action_size": sizes[0], "state_size": sizes[1]}
        return StreamQ(network, seed=rng, **options)

    def train(
        self, env: gym.Env, agent: Any, seed: int, on_step: OnStep | None = None
    ) -> TrainingRecord:
        """この設定の長さだけ、一つの環境で学習させます。"""
        return train(env, agent, steps=self.steps, seed=seed, on_step=on_step)
