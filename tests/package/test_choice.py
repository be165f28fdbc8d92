"""The policy that is used in the end, chosen among the last ones."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers.experiments.choice import CANDIDATES, LastPolicies, best_policy
from rlbook_helpers.experiments.presets import STABLE, Preset

SHORT = dataclasses.replace(
    STABLE, steps=400, choice_steps=100, average_steps=50, evaluation_episodes=1
)


class Counter(gym.Env):
    """Three steps an episode; the reward is the action, and the second episode pays the other way."""

    observation_space = gym.spaces.Box(0, 9, (1,), np.float32)
    action_space = gym.spaces.Discrete(3)
    episodes = steps = 0

    def reset(self, *, seed=None, options=None):
        self.episodes, self.t = self.episodes + 1, 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t, self.steps = self.t + 1, self.steps + 1
        return np.zeros(1, np.float32), float(action), self.t == 3, False, {}


def always(action):
    return lambda state: action


@pytest.mark.parametrize(
    ("actions", "steps", "best"),
    [
        ((0, 2, 1), 9, 1),
        ((2, 1, 2), 9, 2),  # equal: the later one
        ((2, 1, 0), 8, 2),  # no round is whole: the last
        ((2, 1, 0), 12, 0),  # what follows the first round is not whole
    ],
)
def test_best_policy_of_whole_rounds(actions, steps, best):
    env = Counter()
    assert best_policy(env, [always(a) for a in actions], steps) == best
    assert env.steps == steps


def test_best_policy_adds_rounds():
    def policy(*episodes):
        actions = iter([action for action in episodes for _ in range(3)])
        return lambda state: next(actions)

    # 6 + 0 against 3 + 6: the second wins only with both rounds
    assert best_policy(Counter(), [policy(2, 0), policy(1, 2)], 12) == 1
    assert best_policy(Counter(), [policy(2, 0), policy(1, 2)], 11) == 0


def test_last_policies_are_kept_as_they_were():
    env = SHORT.make_env()
    agent = SHORT.make_agent(env, 0)
    assert agent.average_start == 251  # the last 50 steps of training
    last = LastPolicies(agent, steps=300, every=20)
    assert list(last.marks) == [300, 280, 260, 240, 220]
    seen, state = {}, np.array([0.1, 0.2, -0.1, 0.3], np.float32)

    def watch(step, ended):
        last(step, ended)
        if step in last.marks:
            net = agent.qnet_average or agent.qnet
            seen[step] = agent.action_values(state, net)

    dataclasses.replace(SHORT, choice_steps=None, steps=300).train(env, agent, 1, watch)
    assert len(last.policies) == CANDIDATES
    for kept, values in zip(last.policies, list(seen.values())):
        np.testing.assert_array_equal(
            kept.action_values(state, kept.qnet_average), values
        )
    assert last.policies[0].replay_buffer is agent.replay_buffer  # not copied


def test_training_and_choice_share_the_steps(monkeypatch):
    env = SHORT.make_env()
    steps = []
    step = env.step
    monkeypatch.setattr(env, "step", lambda action: steps.append(1) or step(action))
    agent = SHORT.make_agent(env, 0)
    seen = []
    SHORT.train(env, agent, 1, lambda t, ended: seen.append(t))
    assert seen == list(range(1, 301))
    assert len(steps) == 400
    assert agent.num_steps == 300


@pytest.mark.parametrize("steps", [4, 400, 2.5])
def test_choice_steps_leave_steps_to_train(steps):
    with pytest.raises(
        (TypeError, ValueError), match="choice_steps は 5 以上 400 未満"
    ):
        dataclasses.replace(SHORT, choice_steps=steps)
    with pytest.raises(ValueError, match="steps も決めて"):
        Preset(choice_steps=100)
