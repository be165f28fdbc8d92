"""実験の設定。環境、学習の長さ、エージェントのハイパーパラメータを、名前をつけてまとめます。"""

import dataclasses
from dataclasses import dataclass

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.schedules import LinearSchedule


@dataclass(frozen=True)
class Preset:
    """一つの実験の設定。既定値は、第 4 章の設定 (元のノートブック) です。

    属性:
        env_id: Gymnasium の環境の名前。
        episodes, steps: 学習の長さ。どちらか一つを使い、もう一つは None にします。
        state_scale: 状態の成分ごとに掛ける数。None なら、状態をそのまま使います。
        sync_interval: ターゲットネットワークを同期する間隔 (エピソード)。None なら同期しません。
        lr, lr_end: 学習率の、始めと終わりの値。lr_end が None なら変わりません。
        epsilon, epsilon_end, epsilon_steps: ε の、始めと終わりの値と、変わるのにかけるステップの数。
            epsilon_end が None なら変わりません。
        gamma, buffer_size, batch_size, learning_start, tau,
            target_rule, average_start: DQNAgent の引数。
    例外:
        TypeError, ValueError: 型が違う、または範囲の外にある。
    """

    env_id: str = "CartPole-v1"
    episodes: int | None = 300
    steps: int | None = None
    state_scale: tuple[float, ...] | None = None
    sync_interval: int | None = 20
    gamma: float = 0.98
    lr: float = 0.0005
    lr_end: float | None = None
    epsilon: float = 0.1
    epsilon_end: float | None = None
    epsilon_steps: int = 4_000
    buffer_size: int = 10_000
    batch_size: int = 32
    learning_start: int | None = None
    tau: float = 0.0
    target_rule: str = "max"
    average_start: int | None = None

    def __post_init__(self):
        if (self.episodes is None) == (self.steps is None):
            raise ValueError(
                "episodes と steps のどちらか一つを決め、もう一つは None にしてください: "
                f"episodes={self.episodes}, steps={self.steps}"
            )
        for name in ("episodes", "steps", "sync_interval"):
            if getattr(self, name) is not None:
                checks.integer(name, getattr(self, name), 1)
        checks.positive("lr", self.lr)
        checks.number("epsilon", self.epsilon, 0, 1)
        if self.lr_end is not None:
            checks.number("lr_end", self.lr_end, 0)
            if self.steps is None:
                raise ValueError("lr_end を決めるときは steps も決めてください")
        if self.epsilon_end is not None:
            checks.number("epsilon_end", self.epsilon_end, 0, 1)
            checks.integer("epsilon_steps", self.epsilon_steps, 1)

    def make_env(self, **kwargs) -> gym.Env:
        """この設定の環境を作ります。kwargs は gym.make に渡します。"""
        env = gym.make(self.env_id, **kwargs)
        if self.state_scale is None:
            return env
        scale = checks.array(
            "state_scale", self.state_scale, env.observation_space.shape, np.float32
        )
        space = gym.spaces.Box(-np.inf, np.inf, scale.shape, np.float32)
        return gym.wrappers.TransformObservation(
            env, lambda state: state * scale, space
        )

    def make_agent(self, env: gym.Env, seed: int) -> DQNAgent:
        """この設定のエージェントを作ります。"""
        state_shape = env.observation_space.shape or ()
        if len(state_shape) != 1 or not isinstance(
            env.action_space, gym.spaces.Discrete
        ):
            raise ValueError(
                "env_id は、状態がベクトルで行動が離散の環境にしてください: "
                f"{self.env_id!r}"
            )
        schedules = {}
        if self.lr_end is not None:
            schedules["lr"] = LinearSchedule(self.lr, self.lr_end, self.steps)
        if self.epsilon_end is not None:
            schedules["epsilon"] = LinearSchedule(
                self.epsilon, self.epsilon_end, self.epsilon_steps
            )
        return DQNAgent(
            gamma=self.gamma,
            lr=self.lr,
            epsilon=self.epsilon,
            buffer_size=self.buffer_size,
            batch_size=self.batch_size,
            action_size=int(env.action_space.n),
            state_size=state_shape[0],
            learning_start=self.learning_start,
            tau=self.tau,
            target_rule=self.target_rule,
            average_start=self.average_start,
            schedules=schedules,
            seed=seed,
        )


ORIGINAL = Preset()
STABLE = Preset(
    episodes=None,
    steps=25_000,
    state_scale=(1, 1, 10, 2),
    sync_interval=None,
    gamma=0.99,
    lr=0.002,
    buffer_size=25_000,
    tau=0.02,
    target_rule="clipped",
    average_start=12_500,
)
SHORT = dataclasses.replace(STABLE, steps=12_500, average_start=6_250)
PRESETS = {
    "original": ORIGINAL,
    "stable": STABLE,
    "short": SHORT,
    "acrobot": dataclasses.replace(
        STABLE,
        env_id="Acrobot-v1",
        steps=30_000,
        state_scale=None,
        target_rule="double",
        average_start=15_000,
    ),
}
