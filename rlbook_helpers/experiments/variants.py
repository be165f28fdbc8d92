"""Preset を、一か所ずつ変えた設定。患者の学習、層正規化、TD ターゲットの頭打ち、着地の測定です。"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.beyond.games import play
from rlbook_helpers.beyond.layer_norm import NormalizedQNet
from rlbook_helpers.beyond.pqn import q_loss
from rlbook_helpers.clinic.patients import PATIENTS
from rlbook_helpers.clinic.program import Program
from rlbook_helpers.dezero_compat import Variable
from rlbook_helpers.experiments import landing
from rlbook_helpers.experiments.capped import CappedAgent
from rlbook_helpers.experiments.checkpoints import Checkpoints
from rlbook_helpers.experiments.parallel import GAMES
from rlbook_helpers.experiments.preset import Preset
from rlbook_helpers.fused import Adam
from rlbook_helpers.stable import StableDQNAgent
from rlbook_helpers.training import OnStep, Policy, TrainingRecord


@dataclass(frozen=True)
class PatientPreset(Preset):
    """診療所の患者の学習。第 4 章の設定から変えられるのは、学習の長さと、残し方だけです。

    属性:
        patient: 患者 (patients.PATIENTS) の名前。
        ほか: Preset と同じです。
    例外:
        TypeError, ValueError: 患者の名前がない、またはほかの設定を変えようとした。
    """

    patient: str = field(kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        checks.choice("patient", self.patient, tuple(PATIENTS))
        free = ("episodes", "steps", "evaluation_episodes", "curve_interval")
        free += ("separate_streams",)
        for f in dataclasses.fields(Preset):
            value = getattr(self, f.name)
            if f.name not in free and value != f.default:
                raise ValueError(
                    f"patient を決めるときは、{f.name} を変えられません: {value!r}"
                )

    @property
    def program(self) -> Program:
        """患者のプログラム。"""
        return PATIENTS[self.patient].program

    def make_agent(self, env: gym.Env, seed: int) -> DQNAgent:
        """患者のエージェントを作ります。"""
        return self.program.make_agent(seed=seed)

    def train(
        self, env: gym.Env, agent: DQNAgent, seed: int, on_step: OnStep | None = None
    ) -> TrainingRecord:
        """患者のループで学習させます。"""
        length = {"episodes": self.episodes, "steps": self.steps}
        return self.program.train(env, agent, seed=seed, on_step=on_step, **length)

    def policy(self, agent: DQNAgent) -> Policy:
        """患者の、評価する方策。"""
        return self.program.policy(agent)


class NormalizedAgent(StableDQNAgent):
    """ネットワークに層正規化のあるエージェント。引数は StableDQNAgent と同じです。"""

    def __init__(self, *, seed: int, **options: Any):
        super().__init__(seed=seed, **options)
        self.qnet = NormalizedQNet(self.action_size, self.state_size, seed=seed)
        self.sync_qnet()
        self.optimizer = Adam(self.lr).setup(self.qnet)

    def get_loss(self, state, action, target) -> Variable:
        """StableDQNAgent と同じ損失。"""
        return q_loss(self.qnet, self.scaled(state), action, target)


@dataclass(frozen=True)
class ReplayPreset(Preset):
    """第 8 章の、経験再生を残した条件。評価は、ParallelPreset と同じやり方です。

    属性:
        layer_norm: ネットワークに、層正規化を入れるか。はじめの重みは、入れないものと同じです。
        ほか: Preset と同じです。env_id は GAMES のどれかです。
    """

    layer_norm: bool = field(kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        checks.flag("layer_norm", self.layer_norm)
        checks.choice("env_id", self.env_id, tuple(GAMES))

    @property
    def agent_class(self) -> type[StableDQNAgent]:
        """make_agent が作るエージェントのクラス。"""
        return NormalizedAgent if self.layer_norm else StableDQNAgent

    def evaluate(self, agent: DQNAgent, seed: int) -> np.ndarray:
        """終わりの方策の、エピソードごとの報酬の合計。すべてのエピソードを、同時に動かします。"""
        qnet = getattr(agent, "qnet_average", None)

        def policy(states: np.ndarray) -> np.ndarray:
            return agent.action_values(states, qnet).argmax(axis=1)

        games = GAMES[self.env_id](self.evaluation_episodes)
        return play(games, policy, np.random.default_rng(seed))


@dataclass(frozen=True)
class CappedPreset(Preset):
    """第 5 章の、TD ターゲットを頭打ちにする条件。

    属性:
        capped: 見た中でいちばん大きい収益で、TD ターゲットを頭打ちにするか。
        ほか: Preset と同じです。
    """

    capped: bool = field(kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        checks.flag("capped", self.capped)

    @property
    def agent_class(self) -> type[StableDQNAgent]:
        """make_agent が作るエージェントのクラス。"""
        return CappedAgent if self.capped else StableDQNAgent


@dataclass(frozen=True)
class LandingPreset(Preset):
    """第 5 章の、LunarLander のエピソードの終わり方と、着地の近くの見積もりを、途中で測る条件。

    属性:
        landing: True。landing.measure で測ります。
        ほか: Preset と同じです。checkpoint_steps を決めます。
    """

    landing: bool = field(kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        if self.landing is not True or self.checkpoint_steps is None:
            raise ValueError(
                "landing は True にして、checkpoint_steps も決めてください"
            )
        checks.choice("env_id", self.env_id, ("LunarLander-v3",))

    def watch(self, agent: DQNAgent, seed: int) -> Checkpoints | None:
        """着地を測る on_step。"""
        watch = super().watch(agent, seed)
        if watch is not None:
            watch.measure = landing.measure
        return watch
