"""The environments that the experiments of chapters 5 and 6 change or add."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from by_hand import best_and_random
from rlbook_helpers.experiments.preset import Preset
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


# Environments that nobody tuned on

UNSEEN = {  # states, actions, most steps
    "CartPole1000": (4, 2, 1000),
    "LongPole": (4, 2, 500),
    "PaperAcrobot": (6, 3, 500),
    "WindyLander": (8, 4, 1000),
    "FrozenLake8x8": (64, 4, 200),
    "Taxi": (500, 6, 200),
    "CliffWalking": (48, 4, 200),
    "Catch": (50, 3, None),
}


def unseen(name):
    if name == "WindyLander":
        pytest.importorskip("Box2D")
    return Preset(env_id=f"rlbook/{name}-v0").make_env()


def play(env, actions):
    """The states, the sum of the rewards, and how it ended."""
    states, total, ends = [], 0.0, (False, False)
    for action in actions:
        assert not any(ends)
        state, reward, *ends, _ = env.step(action)
        states.append(state)
        total += reward
    return states, total, tuple(ends)


@pytest.mark.filterwarnings("error", "ignore:.*(unwrapped version|infinity)")
@pytest.mark.parametrize("name", UNSEEN)
def test_unseen_environment_keeps_the_rules(name):
    env = unseen(name)
    states, actions, most = UNSEEN[name]
    assert (env.action_space.n, env.observation_space.shape) == (actions, (states,))
    assert env.spec.max_episode_steps == most
    check_env(env, skip_render_check=True)


def test_thresholds_of_changed_environments_are_those_of_the_originals():
    for name, original in {
        "CartPole1000": "CartPole-v1",
        "LongPole": "CartPole-v1",
        "PaperAcrobot": "Acrobot-v1",
        "WindyLander": "LunarLander-v3",
    }.items():
        ours, theirs = gym.spec(f"rlbook/{name}-v0"), gym.spec(original)
        longer = ours.max_episode_steps / theirs.max_episode_steps
        assert ours.reward_threshold == theirs.reward_threshold * longer
        assert longer == (2 if name == "CartPole1000" else 1)


@pytest.mark.parametrize("name", ["FrozenLake8x8", "Taxi", "CliffWalking"])
def test_thresholds_of_grids_are_a_tenth_below_the_optimum(name):
    env = unseen(name)
    start = env.unwrapped.initial_state_distrib
    best, _ = best_and_random(env.unwrapped.P, start, env.spec.max_episode_steps)
    wanted = best - abs(best) / 10
    assert env.spec.reward_threshold == pytest.approx(wanted, rel=1e-4)


def test_lake_is_slippery():
    outcomes = unseen("FrozenLake8x8").unwrapped.P[0][1]
    assert [p for p, *_ in outcomes] == pytest.approx([1 / 3] * 3)


def test_states_of_grids_are_one_hot():
    """Along the cliff: up, eleven times to the right, down. Off the cliff: back to the start."""
    env = unseen("CliffWalking")
    state, _ = env.reset(seed=0)
    assert state.tolist() == np.eye(48)[36].tolist()
    states, total, ends = play(env, [0, *[1] * 11, 2])
    places = [24, *range(25, 36), 47]
    np.testing.assert_array_equal(states, np.eye(48)[places])
    assert (total, ends) == (-13, (True, False))
    env.reset(seed=0)
    states, total, ends = play(env, [1, 0, 3])
    np.testing.assert_array_equal(states, np.eye(48)[[36, 24, 24]])
    assert (total, ends) == (-102, (False, False))
    env.reset(seed=0)
    assert play(env, [3] * 200)[1:] == (-200, (False, True))


def test_taxi_takes_a_passenger_to_the_other_end():
    """From G, where a passenger waits who wants to go to R, around a wall."""
    env = unseen("Taxi")
    env.reset(seed=0)
    taxi = env.unwrapped
    taxi.s = taxi.encode(0, 4, 1, 0)
    states, total, ends = play(env, [4, 3, 3, 0, 0, 3, 3, 1, 1, 5])
    assert (total, ends) == (20 - 9, (True, False))
    assert [state.sum() for state in states] == [1] * 10
    assert states[0].argmax() == taxi.encode(0, 4, 4, 0)
    taxi.reset(seed=0)
    taxi.s = taxi.encode(0, 4, 2, 0)
    assert taxi.step(4)[1] == -10  # nobody waits here


def board(row, ball, plate):
    fields = np.zeros((10, 5))
    fields[row, ball] = fields[9, plate] = 1
    return fields.ravel()


def test_catch_is_won_below_the_ball():
    env = unseen("Catch")
    seen = set()
    for seed in range(40):
        first, _ = env.reset(seed=seed)
        ball = int(first[:5].argmax())
        seen.add(ball)
        np.testing.assert_array_equal(first, board(0, ball, 2))
        towards = [1 + np.sign(ball - 2)] * abs(ball - 2)
        states, total, ends = play(env, [*towards, *[1] * (9 - len(towards))])
        np.testing.assert_array_equal(states[0], board(1, ball, 2 + np.sign(ball - 2)))
        np.testing.assert_array_equal(states[-1], board(9, ball, ball))
        assert (total, ends) == (1, (True, False))
        env.reset(seed=seed)
        corner = 0 if ball else 4  # where the ball is not
        states, total, ends = play(env, [corner // 2] * 9)  # and on against the wall
        np.testing.assert_array_equal(states[-1], board(9, ball, corner))
        assert (total, ends) == (-1, (True, False))
    assert seen == set(range(5))
    env.reset(seed=0)
    assert not any(env.step(1)[1] for _ in range(8))  # a reward only at the end


@pytest.mark.parametrize("name", ["rlbook/Catch", "Lock4", "Lock12", "Lock20"])
def test_thresholds_are_a_tenth_below_the_one_that_can_be_earned(name):
    """The tests of these environments earn it in each episode; nothing pays more."""
    assert gym.spec(f"{name}-v0").reward_threshold == 0.9


def test_long_pole_moves_as_a_rod_of_one_kilogram_and_two_metres():
    """Newton's equations of cart and rod, solved as two linear equations, and one step of Euler."""
    env = unseen("LongPole")
    env.reset(seed=0)
    env.unwrapped.state = x, v, angle, turning = np.array([0.1, 0.2, 0.05, -0.3])
    cart, rod, half, force = 1.0, 1.0, 1.0, 10.0
    sin, cos = np.sin(angle), np.cos(angle)
    inertia = rod * (2 * half) ** 2 / 12 + rod * half**2
    matrix = [[cart + rod, rod * half * cos], [rod * half * cos, inertia]]
    pushed = [force + rod * half * turning**2 * sin, rod * 9.8 * half * sin]
    faster, turns = np.linalg.solve(matrix, pushed)
    wanted = [x + 0.02 * v, v + 0.02 * faster, angle + 0.02 * turning]
    wanted.append(turning + 0.02 * turns)
    np.testing.assert_allclose(env.step(1)[0], wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ["CartPole1000", "LongPole"])
def test_poles_can_be_balanced_as_long_as_is_asked(name):
    env = unseen(name)
    state, _ = env.reset(seed=0)
    total, ended = 0, False
    while not ended:
        state, reward, terminated, truncated, _ = env.step(
            int(state @ [1, 3, 40, 10] > 0)
        )
        total, ended = total + reward, terminated or truncated
    assert total == UNSEEN[name][2] and truncated


def test_paper_acrobot_lacks_one_term():
    """Of the second angle's acceleration: -m l lc sin(angle 2) (angle 1)'^2, over the rest."""
    ours, theirs = unseen("PaperAcrobot").unwrapped, gym.make("Acrobot-v1").unwrapped
    state = np.array([0.3, 0.7, 1.1, -0.4, 1.0])
    inner = 0.25 + 1.25 + np.cos(0.7) + 2
    rest = 1.25 - (1.25 + np.cos(0.7) / 2) ** 2 / inner
    difference = ours._dsdt(state)[3] - theirs._dsdt(state)[3]
    assert difference == pytest.approx(0.5 * 1.1**2 * np.sin(0.7) / rest)


def test_wind_blows():
    env, calm = unseen("WindyLander"), gym.make("LunarLander-v3")
    assert env.unwrapped.enable_wind and not calm.unwrapped.enable_wind
    for seed in range(3):
        env.reset(seed=seed), calm.reset(seed=seed)
        windy, still = play(env, [0] * 20)[0], play(calm, [0] * 20)[0]
        assert np.abs(windy[-1][:2] - still[-1][:2]).max() > 1e-3
