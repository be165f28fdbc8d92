"""環境とエージェントが合うかを、学習や評価の始まりと、最初の一歩で確かめます。"""

import traceback
from typing import Any

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.agents import DQNAgent

WANTED = {
    "action_space": "gym.wrappers.TransformAction で、0 からの Discrete にしてください",
    "observation_space": "gym.wrappers.FlattenObservation で、形 (D,) にしてください",
    "reset": "seed を受けとり、(状態, 辞書 info) を返してください",
    "step": "(状態, 報酬, terminated, truncated, 辞書 info) を返してください",
}
# reset と step を呼ぶ所と、結果を分ける所。ここで起きた例外は、env の形が違うためです
CALLERS = __name__, "gymnasium.core", "gymnasium.wrappers", "gymnasium.utils.passive"


def size(env: gym.Env, name: str) -> int | None:
    """行動の数 (action_space) か、状態の次元 (observation_space)。env が宣言しなければ None。"""
    space, actions = getattr(env, name, None), name == "action_space"
    if not isinstance(space, gym.Space):
        return None
    if actions and isinstance(space, gym.spaces.Discrete) and space.start == 0:
        return int(space.n)
    if not actions and space.shape and len(space.shape) == 1:
        return space.shape[0]
    raise ValueError(f"env.{name} は、{WANTED[name]}: {space}")


def agree(env: gym.Env, agent: Any) -> None:
    """env が一つの環境で、agent が持つ action_size と state_size が、それに合うことを確かめます。"""
    for name, value in {"env": env, "agent": agent}.items():
        if isinstance(value, type):
            raise TypeError(f"{name} はクラスから作ったものにしてください: {value!r}")
    if not (hasattr(env, "reset") and hasattr(env, "step")) or hasattr(env, "num_envs"):
        raise TypeError(f"env は gym.make で作る一つの環境にしてください: {env!r}")
    places = {"action_size": "action_space", "state_size": "observation_space"}
    for name, place in places.items():
        ours, space = getattr(agent, name, None), getattr(env, place, None)
        if not isinstance(ours, (int, np.integer)):
            continue
        if space == gym.spaces.Discrete(ours) and not isinstance(agent, DQNAgent):
            continue  # 読者のエージェントは、状態の番号で表を引くのかもしれません
        if (n := size(env, place)) not in (None, ours):
            raise ValueError(f"agent.{name} は {n} にしてください ({space}): {ours}")
    checks.weights(agent)


def checked(env: gym.Env, agent: Any) -> Any:
    """env と同じ環境。ただし、はじめの reset と step だけ、決まりのとおりかを調べます。"""
    return env if isinstance(env, _Checked) else _Checked(env, agent)


class _Checked:
    def __init__(self, env, agent):
        agree(env, agent)
        self._env = env

    def __getattr__(self, name: str):
        return getattr(self._env, name)

    def reset(self, **options):
        result = self._call("reset", 2, **options)
        self.reset = self._env.reset
        return result

    def step(self, action):
        space = getattr(self._env, "action_space", None)
        if isinstance(space, gym.Space) and space.shape is not None:
            numbers = isinstance(space, gym.spaces.Discrete)
            if np.shape(action) != space.shape or (numbers and action not in space):
                raise ValueError(f"行動は {space} のものにしてください: {action!r}")
        result = self._call("step", 5, action)
        checks.number("env.step の reward", result[1])
        checks.flag("env.step の terminated", result[2])
        checks.flag("env.step の truncated", result[3])
        self.step = self._env.step
        return result

    def _call(self, name: str, length: int, *args, **options):
        wanted = f"env.{name} は、{WANTED[name]}"
        try:
            result = getattr(self._env, name)(*args, **options)
        except Exception as error:
            *_, (frame, _) = traceback.walk_tb(error.__traceback__)
            if frame.f_globals.get("__name__", "").startswith(CALLERS):
                raise TypeError(f"{wanted}: {error!r}") from error
            raise
        right = isinstance(result, tuple) and len(result) == length
        if not (right and isinstance(result[-1], dict)):
            raise TypeError(f"{wanted}: {result!r}")
        space = getattr(self._env, "observation_space", None)
        if isinstance(space, gym.spaces.Box):
            checks.array(f"env.{name} の状態", result[0], space.shape)
        return result
