"""Agent and environment agree, or a sentence says why not: before the first step, or at it."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete

from rlbook_helpers import DQNAgent, evaluate, record_frames, train, train_episode
from rlbook_helpers.environments import agree, checked, size


def zeros(*shape):
    return np.zeros(shape, np.float32)


class Env(gym.Env):
    """Five steps; what reset and step return can be changed."""

    observation_space, action_space = Box(-1, 1, (4,)), Discrete(2)
    render_mode = "rgb_array"

    def __init__(self, start=None, changes=(), **spaces):
        self.start = (zeros(4), {}) if start is None else start
        self.changes, self.count = dict(changes), 0
        vars(self).update(spaces)

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return self.start

    def step(self, action):
        self.count += 1
        values = [zeros(4), 1.0, self.count == 5, False, {}]
        for k, value in self.changes.items():
            values[k] = value
        return tuple(values)

    def render(self):
        return np.zeros((2, 2, 3), np.uint8)


class FourValues(Env):
    def step(self, action):
        return super().step(action)[:4]


class BareState(Env):
    """As in old Gym. Two numbers can be unpacked like (state, info)."""

    observation_space = Box(-1, 1, (2,))

    def reset(self, *, seed=None, options=None):
        return zeros(2)


class NoSeed(Env):
    def reset(self):
        return self.start


class Broken(Env):
    """Its own errors, which say what is wrong already."""

    def reset(self, *, seed=None, options=None):
        if isinstance(self.start, Exception):
            raise self.start
        return super().reset()

    def step(self, action):
        raise self.changes["error"]


class Reader:
    """A reader's agent, which declares what it is given, and always chooses the same."""

    def __init__(self, action=0, **declared):
        self.action = action
        vars(self).update(declared)

    def get_action(self, state):
        return self.action

    def update(self, *transition):
        return None


def every_way(env, agent):
    """The calls that let an agent act in an environment."""
    policy = getattr(agent, "greedy_action", agent.get_action)
    yield lambda: train(env, agent, episodes=1)
    yield lambda: train_episode(env, agent)
    yield lambda: evaluate(env, policy, episodes=1)
    yield lambda: record_frames(env, policy)


def check_refused(env, *words, agent=None, error=(TypeError, ValueError)):
    """Every way of acting ends in a sentence with the words."""
    for act in every_way(env, agent or DQNAgent(seed=0)):
        with pytest.raises(error) as raised:
            act()
        for word in words:
            assert word in str(raised.value)
    return raised.value


def check_accepted(env, agent):
    for act in every_way(env, agent):
        act()


# Spaces


@pytest.mark.parametrize(
    "space",
    [
        *(Box(-2, 2, (1,)), Box(-2, 2, ()), MultiDiscrete([2, 2]), MultiBinary(2)),
        *(Dict(a=Discrete(2)), Discrete(2, start=1), Discrete(2, start=-1)),
    ],
    ids=str,
)
def test_actions_that_are_not_numbers_from_0_are_refused(space):
    env = Env(action_space=space)
    check_refused(env, "env.action_space は", "TransformAction", "Discrete", str(space))


@pytest.mark.parametrize("ours", [1, 3, np.int64(3)])
def test_other_number_of_actions_is_refused(ours):
    words = ("agent.action_size は 2 ", "Discrete(2)", str(ours))
    check_refused(Env(), *words, agent=DQNAgent(action_size=ours))
    check_refused(Env(), *words, agent=Reader(action_size=ours))


@pytest.mark.parametrize(
    "space",
    [
        Discrete(4),
        Discrete(16),
        Dict(a=Box(0, 1, (4,))),
        Box(0, 1, (2, 2)),
        Box(0, 1, ()),
    ],
    ids=str,
)
def test_states_that_are_not_vectors_are_refused(space):
    env = Env(observation_space=space)
    check_refused(env, "env.observation_space は", "FlattenObservation", str(space))


@pytest.mark.parametrize("ours", [3, 5, np.int64(5)])
def test_other_length_of_states_is_refused(ours):
    words = ("agent.state_size は 4 ", "Box(", str(ours))
    check_refused(Env(), *words, agent=DQNAgent(state_size=ours))


def test_remedies_of_the_sentences_work():
    env = gym.wrappers.TransformAction(
        Env(action_space=Discrete(2, start=1)), lambda action: action + 1, Discrete(2)
    )
    check_accepted(env, DQNAgent())
    train(
        gym.wrappers.FlattenObservation(gym.make("FrozenLake-v1")),
        DQNAgent(action_size=4, state_size=16),
        episodes=2,
    )


@pytest.mark.parametrize("space", [MultiBinary(4), Box(0, 9, (4,), np.int64)], ids=str)
def test_vectors_of_any_numbers_are_accepted(space):
    start = (np.zeros(4, space.dtype), {})
    check_accepted(Env(start, observation_space=space), DQNAgent())


@pytest.mark.parametrize(
    "declared",
    [
        {},
        {"action_size": 2, "state_size": 16},
        {"state_size": (16,), "action_size": None},
    ],
)
def test_only_what_an_agent_declares_is_compared(declared):
    """A table is looked up by the number of the state."""
    env = Env((3, {}), {0: 3}, observation_space=Discrete(16))
    check_accepted(env, Reader(**declared))


def test_states_of_other_kinds_are_left_to_the_agent():
    states = {"a": zeros(4)}
    env = Env((states, {}), {0: states}, observation_space=Dict(a=Box(-1, 1, (4,))))
    check_accepted(env, Reader())


def test_agents_of_tables_have_as_many_states():
    env = Env((3, {}), {0: 3}, observation_space=Discrete(16))
    check_refused(env, "env.observation_space", agent=Reader(state_size=15))
    env = Env(action_space=Discrete(2, start=1))
    check_refused(env, "env.action_space", agent=Reader(action_size=2))


class Plain:
    """No gym.Env, no spaces of Gymnasium: only the two methods."""

    action_space, render_mode = [0, 1, 2, 3], "rgb_array"
    reset, step, render = Env.reset, Env.step, Env.render
    start, changes, count = (zeros(4), {}), {}, 0


def test_environment_need_not_declare_anything():
    check_accepted(Plain(), DQNAgent(seed=0))
    check_accepted(Plain(), Reader())
    assert size(Plain(), "action_space") is size(Plain(), "observation_space") is None
    with pytest.raises(ValueError, match="state の形は"):
        train(Plain(), DQNAgent(state_size=3), episodes=1)


def test_sizes_are_those_of_the_spaces():
    env = Env(observation_space=Box(0, 1, (7,)), action_space=Discrete(5))
    assert (size(env, "action_space"), size(env, "observation_space")) == (5, 7)


# What is not an environment, an agent, a policy


class OnlyReset:
    reset = Env.reset


class OnlyStep:
    step = Env.step


@pytest.mark.parametrize("env", ["CartPole-v1", None, OnlyReset(), OnlyStep()])
def test_what_cannot_be_reset_and_stepped_is_refused(env):
    for act in [*every_way(env, DQNAgent())][:3]:
        with pytest.raises(
            TypeError, match="env は gym.make で作る一つの環境"
        ) as error:
            act()
        assert repr(env) in str(error.value)


@pytest.mark.parametrize("count", [1, 2])
def test_environments_side_by_side_are_refused(count):
    env = gym.make_vec("CartPole-v1", num_envs=count)
    with pytest.raises(TypeError, match=f"一つの環境にしてください.*num_envs={count}"):
        train(env, DQNAgent(), episodes=1)


def test_classes_are_refused():
    with pytest.raises(TypeError, match="env はクラスから作った.*Env"):
        train(Env, DQNAgent(), episodes=1)
    with pytest.raises(TypeError, match="agent はクラスから作った.*DQNAgent"):
        train(Env(), DQNAgent, episodes=1)


def test_agent_in_place_of_its_policy_is_refused():
    for act in (lambda e, p: evaluate(e, p, episodes=1), record_frames):
        with pytest.raises(
            TypeError, match="policy は状態から行動を選ぶ関数.*DQNAgent"
        ):
            act(Env(), DQNAgent())


def test_sentence_about_the_screen_needs_no_environment():
    with pytest.raises(ValueError, match="render_mode=None"):
        record_frames("CartPole-v1", DQNAgent().greedy_action)


# Gymnasium's rules


STEP = "env.step は、(状態, 報酬, terminated, truncated, 辞書 info) を返して"
RESET = "env.reset は、seed を受けとり、(状態, 辞書 info) を返して"


@pytest.mark.parametrize(
    "start",
    [
        zeros(4),
        zeros(2),
        (zeros(4),),
        (zeros(4), {}, {}),
        (zeros(4), None),
        [zeros(4), {}],
    ],
    ids=repr,
)
def test_reset_returns_state_and_info(start):
    check_refused(Env(start), RESET, repr(start), error=TypeError)


@pytest.mark.parametrize("kept", [0, 1, 3, 4])
def test_step_returns_five_values(kept):
    env = Env()
    env.step = lambda action: Env.step(env, action)[:kept]
    check_refused(env, STEP, error=TypeError)
    env.step = lambda action: (*Env.step(env, action), {})
    check_refused(env, STEP, error=TypeError)
    env.step = lambda action: None
    check_refused(env, STEP, "None", error=TypeError)


@pytest.mark.parametrize(
    "place, value, words",
    [
        (0, zeros(3), "env.step の状態 の形は (4,)"),
        (0, zeros(1, 4), "env.step の状態 の形は (4,)"),
        (0, np.full(4, np.nan), "env.step の状態"),
        (0, None, "env.step の状態"),
        *((1, value, "env.step の reward") for value in (None, zeros(1), np.nan, "1")),
        *((2, value, "env.step の terminated") for value in (None, 0.0, zeros(1), "a")),
        *((3, value, "env.step の truncated") for value in (None, 0.0, {}, 2)),
        (4, None, STEP),
        (4, False, STEP),
    ],
    ids=repr,
)
def test_values_of_the_first_step_are_checked(place, value, words):
    check_refused(Env(changes={place: value}), words, repr(value))


@pytest.mark.parametrize(
    "start", [(zeros(3), {}), (np.full(4, np.inf), {}), (None, {})]
)
def test_first_state_is_as_declared(start):
    check_refused(Env(start), "env.reset の状態", repr(start[0]))


@pytest.mark.parametrize(
    "changes",
    [
        {0: [0.0] * 4},
        {0: np.zeros(4)},
        {0: np.zeros(4, int)},
        {1: np.float64(1), 2: np.bool_(True), 3: np.bool_(False)},
        {1: 1, 2: 1, 3: 0},
    ],
    ids=repr,
)
def test_what_means_the_same_is_accepted(changes):
    env = Env((changes.get(0, zeros(4)), {}), {2: True, **changes})
    check_accepted(env, DQNAgent(batch_size=1))


def wrapped(env_class):
    """The ways in which Gymnasium's own code stands between us and the environment."""
    gym.register("Wrapped-v0", env_class, max_episode_steps=9)
    yield gym.make("Wrapped-v0", disable_env_checker=True)
    yield gym.make("Wrapped-v0")
    yield gym.wrappers.TimeLimit(env_class(), 9)
    yield gym.Wrapper(env_class())
    yield gym.RewardWrapper(env_class())
    del gym.registry["Wrapped-v0"]


@pytest.mark.parametrize(
    "env_class, sentence", [(FourValues, STEP), (BareState, RESET), (NoSeed, RESET)]
)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_rules_are_told_through_wrappers_too(env_class, sentence):
    agent = DQNAgent(state_size=2 if env_class is BareState else 4)
    for env in (env_class(), *wrapped(env_class)):
        for act in [*every_way(env, agent)][:3]:
            with pytest.raises(TypeError) as error:
                act()
            assert sentence in str(error.value)


def test_error_that_led_to_the_sentence_is_told():
    error = check_refused(NoSeed(), "unexpected keyword argument 'seed'")
    assert isinstance(error.__cause__, TypeError)


@pytest.mark.parametrize(
    "error", [TypeError("my own"), ValueError("mine"), KeyError("a")]
)
def test_errors_inside_the_environment_are_left_alone(error):
    for bare in (Broken(error), Broken(changes={"error": error})):
        for env in (bare, gym.Wrapper(bare), gym.wrappers.TimeLimit(bare, 9)):
            with pytest.raises(type(error)) as raised:
                train_episode(env, DQNAgent())
            assert raised.value is error and error.__cause__ is None


def test_error_of_code_without_a_module_is_left_alone():
    scope = {}
    exec("def reset(seed): raise ValueError('mine')", scope)  # noqa: S102
    with pytest.raises(ValueError, match="^mine$"):
        train_episode(Env(reset=scope["reset"]), DQNAgent())


# Actions


@pytest.mark.parametrize(
    "space, action",
    [
        *((Discrete(2), action) for action in (2, -1, 1.0, None, zeros(1), "a")),
        *((Discrete(2, start=1), action) for action in (0, 3)),
        *((Box(-2, 2, (1,)), action) for action in (0, zeros(2))),
        *((MultiDiscrete([2, 2]), action) for action in (0, [1])),
    ],
    ids=repr,
)
def test_action_outside_the_space_is_refused(space, action):
    env = Env(action_space=space)
    check_refused(env, str(space), repr(action), agent=Reader(action))


@pytest.mark.parametrize(
    "space, action",
    [
        *((Discrete(2), action) for action in (1, np.int64(1), np.array(1))),
        (Discrete(2, start=1), 2),
        *((Box(-2, 2, (1,)), action) for action in (np.zeros(1), [0.5], zeros(1))),
        (Dict(a=Discrete(2)), {"a": 1}),
    ],
    ids=repr,
)
def test_action_of_the_space_is_accepted(space, action):
    check_accepted(Env(action_space=space), Reader(action))


# It gets out of the way


def test_checks_end_with_the_first_step():
    env = Env()
    env_checked = checked(env, Reader())
    assert checked(env_checked, DQNAgent(action_size=9)) is env_checked
    env_checked.reset(seed=1)
    env_checked.step(0)
    assert env_checked.reset == env.reset and env_checked.step == env.step
    assert env_checked.action_space is env.action_space  # and the other attributes


class Forgetful(Env):
    """From the second episode on, info is missing."""

    episode = 0

    def reset(self, *, seed=None, options=None):
        self.episode += 1
        return super().reset()

    def step(self, action):
        return (*super().step(action)[:4], {} if self.episode == 1 else None)


def test_training_and_evaluation_check_the_first_episode_only():
    assert train(Forgetful(), Reader(), episodes=2).lengths == [5, 5]
    policy = Reader().get_action
    assert evaluate(Forgetful(), policy, episodes=2).tolist() == [5, 5]


def test_disagreement_is_told_before_any_loop():
    never = {"play": lambda *args, **options: pytest.fail("it was called")}
    for options in ({}, never):
        with pytest.raises(ValueError, match=r"Discrete\(2\)\): 3$"):
            train(Env(), DQNAgent(action_size=3), episodes=1, **options)


def test_seed_and_options_reach_the_environment():
    env, seen = Env(), []
    env.reset = lambda **options: seen.append(options) or (zeros(4), {})
    checked(env, Reader()).reset(seed=3, options={"a": 1})
    assert seen == [{"seed": 3, "options": {"a": 1}}]


def test_environment_is_compared_with_no_agent():
    agree(Env(action_space=Box(-1, 1, (1,))), None)
    with pytest.raises(TypeError, match="env は"):
        agree("Env", None)
