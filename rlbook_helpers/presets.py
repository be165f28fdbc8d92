"""実験の設定。環境、学習の長さ、エージェントのハイパーパラメータを、名前をつけてまとめます。"""

import dataclasses
from dataclasses import dataclass

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.schedules import LinearSchedule
from rlbook_helpers.stable import StableDQNAgent

# Preset から、そのままエージェントに渡す引数
AGENT_OPTIONS = (
    *("gamma", "lr", "epsilon", "buffer_size", "batch_size", "learning_start"),
    *("sync_steps", "tau", "target_rule", "average_start"),
)


@dataclass(frozen=True)
class Preset:
    """一つの実験の設定。既定値は、第 4 章の設定 (元のノートブック) です。

    属性:
        env_id: Gymnasium の環境の名前。
        episodes, steps: 学習の長さ。どちらか一つを使い、もう一つは None にします。
        state_scale: 状態の成分ごとに掛ける数。None なら、状態をそのまま使います。
        sync_interval: ターゲットネットワークを同期する間隔 (エピソード)。None なら同期しません。
        lr_end: 学習率の、終わりの値。lr から、steps ステップかけて変わります。None なら変わりません。
        epsilon_end, epsilon_steps: ε の終わりの値と、epsilon から変わるのにかけるステップの数。
            epsilon_end が None なら変わりません。
        ほか: DQNAgent と StableDQNAgent の、同じ名前の引数。
    例外:
        TypeError, ValueError: 学習の長さと同期の間隔が正しくない。ほかの値は make_agent が調べます。
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
    sync_steps: int | None = None
    tau: float = 0.0
    target_rule: str = "max"
    average_start: int | None = None

    def __post_init__(self):
        checks.length(self.episodes, self.steps)
        if self.sync_interval is not None:
            checks.integer("sync_interval", self.sync_interval, 1)
        if self.lr_end is not None and self.steps is None:
            raise ValueError("lr_end を決めるときは steps も決めてください")

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

    def make_agent(self, env: gym.Env, seed: int) -> StableDQNAgent:
        """この設定のエージェントを作ります。"""
        state_shape = env.observation_space.shape or ()
        discrete = isinstance(env.action_space, gym.spaces.Discrete)
        if len(state_shape) != 1 or not discrete:
            raise ValueError(
                f"env_id は状態がベクトルで行動が離散の環境にしてください: {self.env_id!r}"
            )
        schedules = {}
        if self.lr_end is not None:
            schedules["lr"] = LinearSchedule(self.lr, self.lr_end, self.steps)
        if self.epsilon_end is not None:
            schedules["epsilon"] = LinearSchedule(
                self.epsilon, self.epsilon_end, self.epsilon_steps
            )
        return StableDQNAgent(
            action_size=int(env.action_space.n),
            state_size=state_shape[0],
            schedules=schedules,
            seed=seed,
            **{name: getattr(self, name) for name in AGENT_OPTIONS},
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
