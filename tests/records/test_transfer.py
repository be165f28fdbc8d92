"""The plan of the transfer: what is frozen is what it says, and so are the two ends of its scale."""

import dataclasses
import hashlib
import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("Box2D")  # the plan makes a LunarLander

from by_hand import best_and_random
from rlbook_helpers import evaluate
from rlbook_helpers.experiments.plans import load_plan
from rlbook_helpers.experiments.preset import Preset

PLANS = Path(__file__).resolve().parents[2] / "chapters/plans"
PLAN = load_plan(PLANS / "05_transfer.toml")
MEASURING = {"checkpoint_steps", "evaluation_episodes", "curve_interval"}
LOCK = {k: [[(1, k + 1, k == 11, k == 11)], [(1, 0, 0, False)]] for k in range(12)}
LOCK[12] = [[(1, 12, 0, True)]] * 2


def frozen(preset: Preset) -> str:
    """The hash of what differs from the settings of chapter 4, but for environment, length, measuring."""
    settings = {
        field.name: getattr(preset, field.name)
        for field in dataclasses.fields(Preset)
        if field.name not in MEASURING | {"env_id", "episodes", "steps"}
        and getattr(preset, field.name) != field.default
    }
    if preset.choice_steps:  # a share of the steps
        settings["choice_steps"] = preset.choice_steps / preset.steps
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_every_environment_meets_the_settings_that_are_confirmed():
    hashes = {frozen(preset) for preset in PLAN.arms.values()}
    for path in PLANS.glob("05_confirmation*.toml"):
        hashes.add(frozen(load_plan(path).arms["stable"]))
    assert hashes == {PLAN.texts["frozen"]}


def test_hash_is_of_what_an_agent_learns_by():
    preset = PLAN.arms["taxi"]
    for changes in ({"env_id": "CartPole-v1", "steps": 9}, {"checkpoint_steps": 7}):
        assert frozen(dataclasses.replace(preset, **changes)) == frozen(preset)
    for changes in ({"gamma": 0.99}, {"target_rule": "double"}, {"average_steps": 9}):
        assert frozen(dataclasses.replace(preset, **changes)) != frozen(preset)


def test_each_environment_is_another_one_with_a_threshold():
    names = [preset.env_id for preset in PLAN.arms.values()]
    assert len(set(names)) == len(names) >= 10
    assert not {"CartPole-v1", "Acrobot-v1", "LunarLander-v3"} & set(names)
    assert all(gym.spec(name).reward_threshold is not None for name in names)
    assert list(PLAN.texts["random"]) == list(PLAN.arms)


@pytest.mark.parametrize("arm", PLAN.arms)
def test_random_policy_earns_what_the_plan_says(arm):
    env = PLAN.arms[arm].make_env()
    found, model = PLAN.texts["random"][arm], getattr(env.unwrapped, "P", None)
    if arm == "lock":
        model, start = LOCK, np.eye(13)[0]
    elif model:
        start = env.unwrapped.initial_state_distrib
    if model:
        steps = env.spec.max_episode_steps
        assert found == pytest.approx(best_and_random(model, start, steps)[1], rel=0.01)
        return
    rng, count = np.random.default_rng(0), int(env.action_space.n)
    totals = evaluate(env, lambda state: int(rng.integers(count)), episodes=60, seed=0)
    # four standard errors; the car never arrives
    assert abs(totals.mean() - found) <= 4 * totals.std() / 60**0.5
