"""Checkpoints of a training: reward of the greedy policy, estimate, and matching return."""

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers import train
from rlbook_helpers.experiments.checkpoints import Checkpoints, measure
from rlbook_helpers.stable import StableDQNAgent


class Corridor(gym.Env):
    """Reward 2 a step for three steps, then the end; or cut after `limit` steps.

    After a reset with a seed 22, from another state: of 20 episodes the mean is 3. Action 0 loses 9.
    """

    observation_space = gym.spaces.Box(0, 9, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, limit=99):
        self.limit, self.seeds, self.steps = limit, [], 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.seeded = 0, seed is not None
        self.seeds += [seed] * self.seeded
        return self.state(), {}

    def state(self):
        return np.array([self.t + 2 * self.seeded], np.float32)

    def step(self, action):
        self.t, self.steps = self.t + 1, self.steps + 1
        reward = 2.0 + 20 * self.seeded - 9 * (action == 0)
        return self.state(), reward, self.t == 3, self.t == self.limit, {}


def corridor_agent():
    """An agent whose greedy action 1 has the value 10 s + 1 in state s. Otherwise it acts at random."""
    agent = StableDQNAgent(gamma=0.5, state_size=1, epsilon=1, seed=0)
    for p in agent.qnet.params():
        p.data[...] = 0
    agent.qnet.l1.W.data[0, 0] = agent.qnet.l2.W.data[0, 0] = 1
    agent.qnet.l3.W.data[0] = 10
    agent.qnet.l3.b.data[1] = 1
    return agent


@pytest.mark.parametrize(
    ("limit", "total", "matched"),
    [
        (99, 9.0, 3 * (1 + 0.5 + 0.25)),  # terminated: rewards alone
        (2, 6.0, 3 * (1 + 0.5) + 0.25 * 22),  # truncated: plus the last state's value
        (3, 9.0, 3 * (1 + 0.5 + 0.25)),  # both: terminated
    ],
)
def test_matched_return_adds_the_estimate_after_truncation(limit, total, matched):
    point = measure(Corridor(limit), corridor_agent(), step=7, seed=0)
    assert point == (7, total, 2.0, matched)


@pytest.mark.parametrize("every", [1, 3])
def test_checkpoints_measure_from_the_same_seed_and_add_up_time(every, monkeypatch):
    env, agent = Corridor(), corridor_agent()
    watch = Checkpoints(agent, env, every=every, seed=5)
    monkeypatch.setattr("time.perf_counter", lambda: env.steps)  # a second a step
    for step in range(1, 8):
        watch(step, ended=step % 2 == 0)
    steps = list(range(every, 8, every))
    assert [point.step for point in watch.points] == steps
    assert env.seeds == [5] * len(steps) and watch.seconds == 60 * len(steps)


def test_checkpoints_do_not_change_the_training():
    env, options = gym.make("CartPole-v1"), {"steps": 250, "sync_interval": 2}
    wanted = train(env, StableDQNAgent(seed=0), **options, seed=1)
    agent = StableDQNAgent(seed=0)
    watch = Checkpoints(agent, gym.make("CartPole-v1"), every=100, seed=5)
    again = train(env, agent, **options, seed=1, on_step=watch)
    assert len(watch.points) == 2 and again.returns == wanted.returns
    np.testing.assert_array_equal(again.average_losses, wanted.average_losses)


def test_bad_interval_and_seed_are_refused():
    with pytest.raises((TypeError, ValueError), match="^every"):
        Checkpoints(corridor_agent(), Corridor(), every=0, seed=5)
    with pytest.raises(ValueError, match="^seed"):
        measure(Corridor(), corridor_agent(), step=1, seed=-1)
