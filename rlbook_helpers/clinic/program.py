"""検査の相手: 読者のプログラムと、名前の違うエージェントを合わせるもの、検査の結果。"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium as gym

from rlbook_helpers.environments import size
from rlbook_helpers.training import (
    Agent,
    Episode,
    Policy,
    TrainingRecord,
    train,
    train_episode,
)


@dataclass(frozen=True, repr=False)
class Program:
    """学習のプログラムの全体。診療所 (第 7 章) で調べる相手です。

    属性:
        make_agent: seed を渡すと、新しいエージェントを作る関数かクラス。
        train_episode: 一つのエピソードを、学習しながら進める関数。
        sync_interval: ターゲットネットワークを同期する間隔 (エピソード)。None なら同期しません。
        policy: エージェントから、評価する方策を取り出す関数。
        env: 学習させたい環境。検査の環境を、同じ次元の状態と同じ数の行動で作ります。None なら、
            エージェントに合わせます。
    """

    make_agent: Callable[..., Any]
    train_episode: Callable[..., Any] = train_episode
    sync_interval: int | None = 20
    policy: Callable[[Any], Policy] = lambda agent: agent.greedy_action
    env: gym.Env | None = None

    def train(self, env: gym.Env, agent: Agent, **options) -> TrainingRecord:
        """このプログラムのループと同期の間隔で、エージェントを学習させます。options は train と同じです。"""
        options = {"sync_interval": self.sync_interval, **options}
        return train(env, agent, play=self.train_episode, **options)


class Adapted:
    """名前の違うエージェントを、検査の知っている名前で呼べるようにしたもの。adapt が作ります。"""

    def __init__(self, agent, names):
        vars(self).update(_agent=agent, _names=names)

    def __getattr__(self, name: str):
        agent, other = vars(self)["_agent"], vars(self)["_names"].get(name, name)
        return getattr(agent, other) if isinstance(other, str) else other

    def __setattr__(self, name: str, value) -> None:
        setattr(self._agent, self._names.get(name, name), value)


def adapt(agent, **names: str | Callable) -> Adapted:
    """エージェントを、get_action、update、greedy_action などの名前で呼べるようにします。

    引数:
        agent: 読者のエージェント。
        **names: 検査の知っている名前から、エージェントでの名前、または同じ働きをする関数。
    例:
        adapt(MyAgent(seed), get_action="act", update="learn", greedy_action=lambda s: …)
    """
    return Adapted(agent, names)


class Finding(NamedTuple):
    """検査の結果。

    属性:
        passed: 正常なら True、異常なら False、どちらとも言えないなら None。
        sentence: 所見。
        result: 正常、異常、前提が合わない、調べられない、のどれか。
        suspects: 異常のときの疑い (advice.SUSPECTS の名前)。三つまで、疑わしい順です。
    """

    passed: bool | None
    sentence: str
    result: str
    suspects: tuple[str, ...] = ()


def healthy(sentence: str) -> Finding:
    """正常。"""
    return Finding(True, sentence, "正常")


def ill(sentence: str, *suspects: str) -> Finding:
    """異常。"""
    return Finding(False, sentence, "異常", suspects)


class Undecided(Exception):
    """正常とも異常とも言えないときに、検査をやめます。

    引数:
        sentence: なぜ言えないか。
        result: 「調べられない」か「前提が合わない」。
    """

    def __init__(self, sentence: str, result: str = "調べられない"):
        super().__init__(sentence)
        self.finding = Finding(None, sentence, result)


def mismatch(sentence: str) -> Undecided:
    """検査の前提が、プログラムに合わないこと。"""
    return Undecided(sentence, "前提が合わない")


class Misused(Exception):
    """プログラムの形が、約束と違うこと。文は、何をどう直すかを伝えます。"""


def accepted(function: Callable, **options) -> dict:
    """options のうち、function が受けとるもの。"""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # C で書かれた関数
        return options
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return options
    named = {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}
    return {key: value for key, value in options.items() if key in named}


# 検査の知っている名前と、よくある別の名前
OTHER_NAMES = {
    "get_action": ("act", "choose_action", "select_action"),
    "update": ("learn", "train_step", "observe", "step"),
}


def new_agent(program: Program, seed: int) -> Any:
    """プログラムの、新しいエージェント。seed などは、受けとるなら渡します。

    例外:
        Misused: エージェントを作れない、または要るメソッドがない。
    """
    make = program.make_agent
    if not callable(make):
        raise Misused(
            "make_agent には、エージェントそのものではなく、エージェントを作る関数かクラスを"
            f"渡してください (たとえば Program({type(make).__name__}))。"
        )
    sizes = {}
    if program.env is not None:
        sizes["state_size"] = size(program.env, "observation_space")
        sizes["action_size"] = size(program.env, "action_space")
    options = accepted(make, seed=seed, **sizes)
    try:
        agent = make(**options)
    except TypeError as error:
        if "required" not in str(error):
            raise
        raise Misused(
            "make_agent は、seed のほかの引数がなくても作れるようにしてください "
            "(Program(lambda seed: MyAgent(4, 2, seed=seed)) のように、ほかの引数を決めた関数を渡すか、"
            f"Program に env を渡します): {error}"
        ) from None
    if isinstance(agent, type):
        raise Misused("make_agent は、クラスではなく、エージェントを返してください。")
    missing = {
        name: next((x for x in others if hasattr(agent, x)), others[0])
        for name, others in OTHER_NAMES.items()
        if not callable(getattr(agent, name, None))
    }
    if missing:
        how = ", ".join(f'{name}="{other}"' for name, other in missing.items())
        raise Misused(
            f"エージェントに {' と '.join(missing)} がありません。名前が違うなら、"
            f"Program(lambda seed: adapt({type(agent).__name__}(seed), {how})) のように合わせてください。"
        )
    if program.sync_interval and not callable(getattr(agent, "sync_qnet", None)):
        raise Misused(
            "エージェントに sync_qnet がありません。update の中で同期するか、ターゲットネットワークがないなら、"
            "Program(..., sync_interval=None) と書き、名前が違うなら、adapt(agent, sync_qnet=...) と合わせてください。"
        )
    return agent


def play_episode(program: Program, env: gym.Env, agent, seed: int | None) -> Episode:
    """プログラムのループで、エピソードを一つ進めます。seed は、ループが受けとるなら渡します。"""
    if program.train_episode is train:
        raise Misused(
            "train_episode には、train ではなく、一つのエピソードを進める関数を渡してください。"
        )
    options = accepted(program.train_episode, seed=seed, max_steps=None)
    try:
        inspect.signature(program.train_episode).bind(env, agent, **options)
    except TypeError as error:
        raise Misused(
            "train_episode は、env と agent を渡せば呼べる、一つのエピソードを進める関数にしてください。第 4 章の train なら、"
            "Program(..., lambda env, agent: train(env, agent, 1, seed=None)) のように、一つずつ進めます: "
            f"{error}"
        ) from None
    result = program.train_episode(env, agent, **options)
    if isinstance(result, Episode):
        return result
    return Episode(float("nan"), 0, float("nan"), True)  # 戻り値は使いません
