"""Checkpoints of a training: reward of the greedy policy, estimate, and matching return."""

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers import train
from rlbook_helpers.experiments.checkpoints import Checkpoints, measure
from rlbook_helpers.stable import RunningScale, StableDQNAgent


class Corridor(gym.Env):
    """Reward 2 a step for three steps, then the end; or cut after `limit` steps."""

    observation_space = gym.spaces.Box(0, 9, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, limit=99):
        self.limit = limit

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return np.array([0], np.float32), {}

    def step(self, action):
        self.t += 1
        state = np.array([self.t], np.float32)
        return state, 2.0, self.t == 3, self.t == self.limit, {}


def corridor_agent():
    """An agent whose value of state t is 10 t + 1 for both actions."""
    agent = StableDQNAgent(gamma=0.5, state_size=1, seed=0)
    for p in agent.qnet.params():
        p.data[...] = 0
    agent.qnet.l1.W.data[0, 0] = agent.qnet.l2.W.data[0, 0] = 1
    agent.qnet.l3.W.data[0] = 10
    agent.qnet.l3.b.data[...] = 1
    return agent


@pytest.mark.parametrize(
    ("limit", "total", "matched"),
    [
        (99, 6.0, 2 + 1 + 0.5),  # terminated: rewards alone
        (2, 4.0, 2 + 1 + 0.25 * 21),  # truncated: plus the estimate of the last state
        (3, 6.0, 2 + 1 + 0.5),  # both: terminated
    ],
)
def test_matched_return_adds_the_estimate_after_truncation(limit, total, matched):
    point = measure(Corridor(limit), corridor_agent(), step=7, seed=0)
    assert point == (7, total, 1.0, matched)


def test_checkpoints_do_not_change_the_training():
    env, options = gym.make("CartPole-v1"), {"steps": 250, "sync_interval": 2}
    wanted = train(env, StableDQNAgent(seed=0), **options, seed=1)
    agent = StableDQNAgent(seed=0)
    checkpoints = Checkpoints(agent, gym.make("CartPole-v1"), every=100, seed=5)
    again = train(env, agent, **options, seed=1, on_step=checkpoints)
    assert again.returns == wanted.returns
    np.testing.assert_array_equal(again.average_losses, wanted.average_losses)
    assert [point.step for point in checkpoints.points] == [100, 200]
    assert checkpoints.seconds > 0
    assert measure(checkpoints.env, agent, step=250, seed=5).total_reward >= 8
    with pytest.raises((TypeError, ValueError), match="every"):
        Checkpoints(agent, gym.make("CartPole-v1"), every=0, seed=5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_scale_is_mean_and_deviation_of_seen_states(scale):
    states = np.random.default_rng(0).standard_normal((500, 3)) * scale + 7
    states[:, 2] = 4.0  # never changes
    running = RunningScale(3)
    for state in states.astype(np.float32):
        running.update(state)
    seen = states.astype(np.float32).astype(float)
    np.testing.assert_allclose(running.mean, seen.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(running.deviation[:2], seen.std(axis=0)[:2], rtol=1e-5)
    assert running.deviation[2] == 1
    scaled = running(seen.astype(np.float32))
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=2e-2)
    np.testing.assert_allclose(scaled[:, :2].std(axis=0), 1, rtol=1e-3)
