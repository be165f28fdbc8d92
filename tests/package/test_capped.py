"""The agent whose TD targets stop at the largest return it has seen."""

import dataclasses

import numpy as np
import pytest

from rlbook_helpers.experiments.capped import CappedAgent
from rlbook_helpers.experiments.presets import PRESETS, CappedPreset, preset_of
from rlbook_helpers.experiments.sweeps import run_seed

SETTINGS = vars(PRESETS["stable"]) | {"steps": 300, "evaluation_episodes": 3}


def walk(agent, rewards, done, start=0.0):
    for k, reward in enumerate(rewards):
        state, following = np.full((2, 4), start + k, np.float32)
        following = following + 1
        last = done and k == len(rewards) - 1
        agent.remember(state, 0, reward, following, last)


def test_largest_return_is_that_of_any_state_of_ended_episodes():
    agent = CappedAgent(gamma=0.5, seed=0)
    assert agent.largest == np.inf
    walk(agent, [1, -8, 4], done=True)
    assert agent.largest == 4  # returns 1 - 8 / 2 + 4 / 4, -8 + 4 / 2, 4
    walk(agent, [6, 2], done=False, start=100)
    assert agent.largest == 4  # still going on
    walk(agent, [0], done=False, start=200)  # so the last one was truncated
    assert agent.largest == 7


def test_targets_stop_at_the_largest_return():
    agent = CappedAgent(seed=0)
    state, action = np.zeros((2, 4), np.float32), np.zeros(2, np.int64)
    agent.largest = 3.0
    low, high = np.float32([1, 3]), np.float32([1, 9])
    assert agent.get_loss(state, action, low).data == pytest.approx(
        agent.get_loss(state, action, high).data
    )


def test_capped_preset_without_the_cap_is_the_preset():
    plain = preset_of(SETTINGS)
    capped = preset_of(SETTINGS | {"capped": False})
    assert isinstance(capped, CappedPreset)
    run, same = run_seed(plain, 5), run_seed(capped, 5)
    assert run["evaluation"] == same["evaluation"]
    assert run["returns"] == same["returns"]
    with pytest.raises((TypeError, ValueError), match="capped"):
        dataclasses.replace(capped, capped=2)
