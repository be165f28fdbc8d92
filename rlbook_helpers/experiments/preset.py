"""一つの実験の設定。環境、学習の長さ、エージェントのハイパーパラメータを、まとめます。"""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.environments import agree, size
from rlbook_helpers.experiments.checkpoints import Checkpoints
from rlbook_helpers.experiments.choice import CANDIDATES, LastPolicies
from rlbook_helpers.experiments.tasks import TruncationEnds
from rlbook_helpers.stable import LinearSchedule, StableDQNAgent
from rlbook_helpers.training import OnStep, Policy, TrainingRecord, evaluate, train

# Preset から、そのままエージェントに渡す引数
AGENT_OPTIONS = (
    *("gamma", "lr", "epsilon", "buffer_size", "batch_size", "learning_start"),
    *("normalize", "n_steps", "sync_steps", "tau"),
    *("target_rule", "pessimism", "error_limit"),
)


@dataclass(frozen=True)
class Preset:
    """一つの実験の設定。既定値は、第 4 章の設定 (元のノートブック) です。

    属性:
        env_id: Gymnasium の環境の名前。
        episodes, steps: 学習の長さ。どちらか一つを使い、もう一つは None にします。
        sync_interval: ターゲットネットワークを同期する間隔 (エピソード)。None なら同期しません。
        truncation_ends: True なら、打ち切りを終端として覚えます (よくある誤りです)。
        lr_end, pessimism_end: 学習率と悲観の度合いの、終わりの値。はじめの値から、steps ステップかけて
            変わります。None なら変わりません。
        epsilon_end: ε の終わりの値。epsilon から、steps の epsilon_part の割合のステップをかけて
            変わります。None なら変わりません。
        checkpoint_steps: 途中の方策を測る間隔 (ステップ)。None なら、終わりだけを評価します。
        evaluation_episodes: 終わりの方策を評価するエピソードの数。
        curve_interval: 学習のあいだの報酬の合計を、何エピソードごとに一つの数にして残すか。2 以上なら、
            平均を整数に丸めて残します。
        average_steps: 重みを平均する、学習の終わりのステップ数。None なら平均しません。
        choice_steps: steps のうち、終わりの五つの方策から一つを選ぶのに使うステップ数。五つは、学習の
            終わりの、この数のステップに、等しい間隔で並びます。None なら選ばず、終わりの方策を使います。
        separate_streams: 環境とエージェントの乱数列を、一つのシードから別々に作るか。False は、両方に
            同じシードを渡した、古い記録のやり方です。
        ほか: DQNAgent と StableDQNAgent の、同じ名前の引数。
    例外:
        TypeError, ValueError: 学習の長さ、間隔、割合、学習率、ε が正しくない。ほかの値は make_agent が
            調べます。
    """

    env_id: str = "CartPole-v1"
    episodes: int | None = 300
    steps: int | None = None
    sync_interval: int | None = 20
    truncation_ends: bool = False
    normalize: bool = False
    gamma: float = 0.98
    lr: float = 0.0005
    lr_end: float | None = None
    epsilon: float = 0.1
    epsilon_end: float | None = None
    epsilon_part: float = 0.2
    buffer_size: int = 10_000
    batch_size: int = 32
    learning_start: int | None = None
    n_steps: int = 1
    sync_steps: int | None = None
    tau: float = 0.0
    target_rule: str = "max"
    pessimism: float = 0.0
    pessimism_end: float | None = None
    error_limit: float | None = None
    average_steps: int | None = None
    choice_steps: int | None = None
    checkpoint_steps: int | None = None
    evaluation_episodes: int = 100
    curve_interval: int = 1
    separate_streams: bool = True

    def __post_init__(self):
        checks.length(self.episodes, self.steps)
        checks.integer("evaluation_episodes", self.evaluation_episodes, 1)
        checks.integer("curve_interval", self.curve_interval, 1)
        for name in ("sync_interval", "average_steps", "checkpoint_steps"):
            if getattr(self, name) is not None:
                checks.integer(name, getattr(self, name), 1)
        for name in (
            *("lr_end", "epsilon_end", "pessimism_end"),
            *("average_steps", "choice_steps"),
        ):
            if getattr(self, name) is not None and self.steps is None:
                raise ValueError(f"{name} を決めるときは steps も決めてください")
        if self.choice_steps is not None:
            checks.integer("choice_steps", self.choice_steps, CANDIDATES, self.steps)
        for name in ("truncation_ends", "separate_streams"):
            checks.flag(name, getattr(self, name))
        for name in (
            *("lr", "lr_end", "epsilon", "epsilon_end", "epsilon_part"),
            *("pessimism", "pessimism_end"),
        ):
            if getattr(self, name) is not None:
                checks.number(name, getattr(self, name), 0, 1)

    def make_env(self, **kwargs) -> gym.Env:
        """この設定の環境を作ります。kwargs は gym.make に渡します。

        例外:
            ImportError: 環境に要るパッケージ (LunarLander なら Box2D) が入っていない。
        """
        try:
            env = gym.make(self.env_id, **kwargs)
        except gym.error.DependencyNotInstalled as error:
            raise ImportError(
                f"{self.env_id} に要るパッケージが入っていません。LunarLander なら "
                f"pip install ufal-pybox2d と打ってください ({error})"
            ) from None
        return TruncationEnds(env) if self.truncation_ends else env

    def seeds(self, seed: int) -> tuple[int, int]:
        """学習の環境のシードと、エージェントのシード。"""
        if not self.separate_streams:
            return seed, seed
        env, agent = np.random.SeedSequence(seed).generate_state(2, np.uint64)
        return int(env), int(agent)

    def make_agent(self, env: gym.Env, seed: int) -> DQNAgent:
        """この設定のエージェントを作ります。"""
        agree(env, None)
        try:
            sizes = size(env, "action_space"), size(env, "observation_space")
        except ValueError as error:
            raise ValueError(f"env_id {self.env_id!r} は使えません。{error}") from None
        steps = self.training_steps or 0  # 下の二つを決めるときは、かならずあります
        schedules = {}
        for name, part in (
            ("lr", 1.0),
            ("epsilon", self.epsilon_part),
            ("pessimism", 1.0),
        ):
            if (end := getattr(self, f"{name}_end")) is not None:
                length = max(1, round(part * steps))
                schedules[name] = LinearSchedule(getattr(self, name), end, length)
        average_start = None
        if self.average_steps is not None:
            average_start = max(1, steps - self.average_steps + 1)
        return self.agent_class(
            action_size=sizes[0],
            state_size=sizes[1],
            average_start=average_start,
            schedules=schedules,
            seed=seed,
            **{name: getattr(self, name) for name in AGENT_OPTIONS},
        )

    @property
    def agent_class(self) -> type[StableDQNAgent]:
        """make_agent が作るエージェントのクラス。"""
        return StableDQNAgent

    @property
    def training_steps(self) -> int | None:
        """steps のうち、学習するステップ数。"""
        return self.steps and self.steps - (self.choice_steps or 0)

    def train(
        self, env: gym.Env, agent: DQNAgent, seed: int, on_step: OnStep | None = None
    ) -> TrainingRecord:
        """この設定の長さだけ学習させ、choice_steps があれば方策を選びます。引数は train と同じです。"""
        last, steps, choice = None, self.training_steps, self.choice_steps
        if steps and choice and isinstance(agent, StableDQNAgent):
            last = LastPolicies(agent, steps=steps, every=choice // CANDIDATES)

        def watch(step: int, ended: bool) -> None:
            if on_step is not None:
                on_step(step, ended)
            if last is not None:
                last(step, ended)

        record = train(
            env,
            agent,
            episodes=self.episodes,
            steps=steps,
            sync_interval=self.sync_interval,
            seed=seed,
            on_step=watch if last else on_step,
        )
        if last is not None and choice:
            last.choose(env, choice)
        return record

    def policy(self, agent: DQNAgent) -> Policy:
        """学習したエージェントの、評価する方策。"""
        return agent.greedy_action

    def watch(self, agent: DQNAgent, seed: int) -> Checkpoints | None:
        """途中を測る on_step。測らないなら None。"""
        if self.checkpoint_steps is None:
            return None
        every, env = self.checkpoint_steps, self.make_env()
        return Checkpoints(agent, env, every=every, seed=seed)

    def evaluate(self, agent: DQNAgent, seed: int) -> np.ndarray:
        """終わりの方策の、エピソードごとの報酬の合計。"""
        env, episodes = self.make_env(), self.evaluation_episodes
        return evaluate(env, self.policy(agent), episodes=episodes, seed=seed)
