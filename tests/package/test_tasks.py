"""The environments that the experiments of chapters 5 and 6 change or add."""

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers.experiments.presets import Preset
from rlbook_helpers.experiments.tasks import (
    CombinationLock,
    OnlyTheGoal,
    TruncationEnds,
)


class Ending(gym.Env):
    """Reward -1 a step, and the end that is asked for."""

    def __init__(self, terminated, truncated):
        self.ends = terminated, truncated

    def step(self, action):
        return "state", -1.0, *self.ends, {"action": action}


@pytest.mark.parametrize("terminated", [False, True])
@pytest.mark.parametrize("truncated", [False, True])
def test_wrappers_change_only_ends_or_rewards(terminated, truncated):
    env = Ending(terminated, truncated)
    ended, info = terminated or truncated, {"action": 7}
    assert TruncationEnds(env).step(7) == ("state", -1.0, ended, False, info)
    goal = ("state", float(terminated), terminated, truncated, info)
    assert OnlyTheGoal(env).step(7) == goal


@pytest.mark.parametrize("ends", [False, True])
def test_preset_takes_truncation_for_an_end(ends):
    env = Preset(truncation_ends=ends).make_env(max_episode_steps=1)
    env.reset(seed=0)
    assert env.step(0)[2:4] == (ends, not ends)


def test_sparse_mountain_car_rewards_only_the_goal():
    dense, sparse = gym.make("MountainCar-v0"), gym.make("SparseMountainCar-v0")
    for push in (lambda state: 1, lambda state: 2 * (state[1] >= 0)):
        state, _ = dense.reset(seed=0)
        np.testing.assert_array_equal(sparse.reset(seed=0)[0], state)
        ended = False
        while not ended:
            _, reward, *ends, _ = sparse.step(push(state))
            state, wanted, *ends_wanted, _ = dense.step(push(state))
            assert (wanted, ends) == (-1, ends_wanted)
            assert reward == float(ends[0])
            ended = any(ends)
    assert reward == 1  # pushing along the motion reaches the goal


@pytest.mark.parametrize("length", [4, 8, 12, 16, 20])
def test_lock_opens_after_the_code_and_restarts_on_errors(length):
    env = gym.make(f"Lock{length}-v0")
    code = env.unwrapped.code
    assert code.tolist() == CombinationLock(length).code.tolist()
    state, _ = env.reset(seed=0)
    for action in (code[0], 1 - code[1]):  # right, then wrong
        assert state in env.observation_space and state.sum() == 1
        state, reward, *ends, _ = env.step(action)
        assert (reward, ends) == (0, [False, False])
    for k, action in enumerate(code):
        assert state.tolist() == [float(i == k) for i in range(length)]
        state, reward, *ends, _ = env.step(action)
        opened = k == length - 1
        assert (reward, ends) == (opened, [opened, False])
    assert not state.any()
    env.reset()
    for _ in range(100):
        *_, truncated, _ = env.step(1 - code[0])
    assert truncated


def test_lock_refuses_bad_lengths():
    for length in (0, 1.5):
        with pytest.raises((ValueError, TypeError), match="length"):
            CombinationLock(length)


def test_sticky_car_repeats_its_last_action():
    """With a probability of 0.95, and earns nothing before the goal."""
    env = Preset(env_id="StickySparseMountainCar-v0").make_env()
    car, taken = env.unwrapped, []
    step = type(car).step

    def watch(action):
        taken.append(int(action))
        return step(car, action)

    car.step = watch
    env.reset(seed=0)
    ended, rewards = False, []
    for k in range(200):
        assert not ended
        _, reward, terminated, truncated, _ = env.step((0, 2)[k % 2])
        ended = terminated or truncated
        rewards.append(reward)
    assert ended and truncated and not any(rewards)
    stayed = np.mean(np.diff(taken) == 0)
    assert len(taken) == 200 and 0.85 < stayed < 1  # 0.95 of 199
