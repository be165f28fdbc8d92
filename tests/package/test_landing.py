"""How episodes of LunarLander end, and what is estimated near the pad."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers.experiments.landing import ceiling, measure
from rlbook_helpers.experiments.presets import PRESETS, preset_of
from rlbook_helpers.experiments.sweeps import run_seed
from rlbook_helpers.experiments.variants import LandingPreset

AT_REST = np.float32([0, 0, 0, 0, 0, 0, 1, 1])
FALLING = np.float32([0.1, 0.1, 0, -1, 0, 0, 0, 0])  # between the flags
FAR = np.float32([0.9, 1, 0, 0, 0, 0, 0, 0])
END = {"landed": (100.0, True, False), "hit": (-100.0, True, False)}
END["limit"] = (1.0, False, True)


class Descent(gym.Env):
    """From afar through one state near the pad; the episodes end in turn as `ends` says."""

    def __init__(self, ends):
        self.ends, self.episode = ends, -1

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode, self.states = self.episode + 1, iter([FALLING, FAR])
        return FAR, {}

    def step(self, action):
        state = next(self.states)
        end = END[self.ends[self.episode % len(self.ends)]]
        return state, *((0.0, False, False) if state is FALLING else end), {}


class Pilot:
    """Values that tell the states apart."""

    def action_values(self, state):
        return np.float32([-5, 7 if state is FALLING else 1e6])

    def greedy_action(self, state):
        return 1


def test_ceiling_is_the_landing_and_what_is_left_of_the_score():
    assert ceiling(AT_REST) == 100
    assert ceiling(FALLING) == pytest.approx(120 + 100 * (np.hypot(0.1, 0.1) + 1))


@pytest.mark.parametrize(("gamma", "steps"), [(0.9, 200), (0.995, 300)])
def test_no_return_of_a_real_episode_passes_its_ceiling(gamma, steps):
    pytest.importorskip("Box2D")
    env, rng = gym.make("LunarLander-v3"), np.random.default_rng(3)
    for episode in range(5):
        state, _ = env.reset(seed=episode)
        bound, total, ended = ceiling(state), 0.0, False
        for k in range(steps):
            state, reward, ended, _, _ = env.step(int(rng.choice([0, 0, 2])))
            total += gamma**k * float(reward)
            if ended:
                break
        assert total <= bound


def test_ends_are_counted_and_states_near_the_pad_are_averaged():
    ends = ["landed", "landed", "hit", "limit"]
    point = measure(Descent(ends), Pilot(), step=9, seed=0)
    assert point[:5] == (9, 0.5, 0.25, 20, 7.0)
    assert point.ceiling == pytest.approx(ceiling(FALLING))


def test_preset_measures_landings_and_trains_as_without():
    pytest.importorskip("Box2D")
    short = {"steps": 400, "evaluation_episodes": 2, "checkpoint_steps": 200}
    plain = dataclasses.replace(PRESETS["lander"], **short)
    preset = preset_of(vars(plain) | {"landing": True})
    assert isinstance(preset, LandingPreset)
    run, same = run_seed(preset, 5), run_seed(plain, 5)
    assert run["evaluation"] == same["evaluation"]
    assert [len(point) for point in run["checkpoints"]] == [6, 6]
    for wrong in ({"landing": False}, {"env_id": "CartPole-v1"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            dataclasses.replace(preset, **wrong)
    with pytest.raises(ValueError, match="checkpoint_steps"):
        dataclasses.replace(preset, checkpoint_steps=None)
