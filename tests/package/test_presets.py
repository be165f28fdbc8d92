"""Presets make agents that agree with the environment, or say why not."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete

from rlbook_helpers.experiments.presets import PRESETS, Preset

ACTIONS, STATES = Discrete(3), Box(-1, 1, (5,))


class Env(gym.Env):
    def __init__(self, actions, states):
        self.action_space, self.observation_space = actions, states

    reset = step = None


@pytest.mark.parametrize(
    "spaces, words",
    [
        ((Box(-1, 1, (1,)), STATES), "env.action_space Box TransformAction"),
        ((MultiDiscrete([2]), STATES), "env.action_space MultiDiscrete"),
        ((Discrete(3, start=1), STATES), "env.action_space start=1 TransformAction"),
        ((ACTIONS, Discrete(5)), "env.observation_space Discrete(5) Flatten"),
        ((ACTIONS, Box(0, 1, (2, 2))), "env.observation_space (2, 2) Flatten"),
        ((ACTIONS, gym.spaces.Dict(a=STATES)), "env.observation_space Dict Flatten"),
    ],
)
def test_environment_that_needs_another_agent_is_refused(spaces, words):
    with pytest.raises(ValueError, match="env_id 'Own-v3'") as error:
        Preset(env_id="Own-v3").make_agent(Env(*spaces), 0)
    assert all(word in str(error.value) for word in words.split())


@pytest.mark.parametrize("env", ["CartPole-v1", None, Env])
def test_what_is_no_environment_is_refused(env):
    with pytest.raises(TypeError, match="env は"):
        PRESETS["stable"].make_agent(env, 0)


def test_vectors_of_environments_are_refused():
    with pytest.raises(TypeError, match="一つの環境"):
        Preset().make_agent(gym.make_vec("CartPole-v1", num_envs=2), 0)


def test_agent_has_the_sizes_of_the_environment():
    agent = PRESETS["stable"].make_agent(Env(ACTIONS, STATES), 0)
    assert (agent.action_size, agent.state_size) == (3, 5)
    assert agent.action_values(np.zeros(5, np.float32)).shape == (3,)
