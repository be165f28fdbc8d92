"""Training, evaluation and their records, with an agent that only records."""

import io
import re

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers import DQNAgent, evaluate, record_frames, train, train_episode
from rlbook_helpers.training import progress_bar


class Spy:
    """An agent that records its calls."""

    def __init__(self, losses=()):
        self.updates, self.syncs, self.losses = [], [], list(losses)

    def get_action(self, state):
        return len(self.updates) % 2

    def update(self, state, action, reward, next_state, done):
        self.updates.append((state, action, reward, next_state, done))
        return self.losses.pop(0) if self.losses else None

    def sync_qnet(self):
        self.syncs.append(len(self.updates))


def cartpole(limit=500, **options):
    return gym.make("CartPole-v1", max_episode_steps=limit, **options)


def test_truncation_ends_the_episode_without_done():
    spy = Spy()
    total_reward, t, _, _ = train_episode(cartpole(5), spy, seed=0)
    assert (total_reward, t, len(spy.updates)) == (5.0, 5, 5)
    assert [done for *_, done in spy.updates] == [False] * 5


def test_termination_ends_the_episode_with_done():
    spy = Spy()
    spy.get_action = lambda state: 0  # push left until the pole falls
    total_reward, t, _, _ = train_episode(cartpole(), spy, seed=0)
    assert total_reward == t < 20
    assert [done for *_, done in spy.updates] == [False] * (t - 1) + [True]


def test_transitions_are_chained():
    spy = Spy()
    train_episode(cartpole(), spy, seed=0)
    for (_, _, _, following, _), (state, *_) in zip(spy.updates, spy.updates[1:]):
        np.testing.assert_array_equal(following, state)


def test_average_loss_counts_updates_only():
    spy = Spy([None, None, 1.0, 3.0])
    assert train_episode(cartpole(4), spy, seed=0).average_loss == 2.0
    assert np.isnan(train_episode(cartpole(4), Spy(), seed=0).average_loss)


def test_train_records_every_episode_and_synchronizes(capsys):
    spy, options = Spy(), {"sync_interval": 3, "report_interval": 2}
    record = train(cartpole(3), spy, episodes=7, seed=0, **options)
    assert record.returns == [3.0] * 7 and record.lengths == [3] * 7
    assert len(record.average_losses) == 7
    assert spy.syncs == [3, 12, 21]  # after the episodes 1, 4 and 7
    lines = capsys.readouterr().out.splitlines()
    assert [line[:11] for line in lines] == [f"episode   {k}" for k in (2, 4, 6)]


def test_steps_are_used_up_and_not_exceeded():
    spy = Spy()
    record = train(cartpole(4), spy, steps=10, seed=0)
    assert len(spy.updates) == 10
    assert record.lengths == [4, 4]  # the third episode was cut by the budget
    spy = Spy()
    record = train(cartpole(5), spy, steps=10, sync_interval=1, seed=0)
    assert record.lengths == [5, 5] and spy.syncs == [5, 10]


def test_nothing_is_synchronized_without_an_interval():
    spy = Spy()
    train(cartpole(3), spy, episodes=4, seed=0)
    assert spy.syncs == []


def test_on_step_is_called_after_every_update():
    spy, seen = Spy(), []

    def on_step(step, ended):
        seen.append((step, ended, len(spy.updates)))

    train(cartpole(2), spy, steps=5, seed=0, on_step=on_step)
    ends = [False, True, False, True, False]
    assert seen == [(k, ended, k) for k, ended in enumerate(ends, 1)]


def test_custom_loop_needs_no_on_step():
    def play(env, agent, *, seed, max_steps):
        return train_episode(env, agent, seed=seed, max_steps=max_steps)

    env = cartpole(2)
    assert train(env, Spy(), steps=4, seed=0, play=play).lengths == [2, 2]


def test_max_steps_stops_an_episode_before_its_end():
    env = cartpole(5)
    assert train_episode(env, Spy(), seed=0, max_steps=3)[1:4:2] == (3, False)
    assert train_episode(env, Spy(), seed=0, max_steps=5)[1:4:2] == (5, True)


@pytest.mark.parametrize("length", [{}, {"episodes": 1, "steps": 1}])
def test_train_needs_either_episodes_or_steps(length):
    with pytest.raises(ValueError, match="episodes と steps"):
        train(cartpole(), Spy(), **length)


def test_training_depends_on_the_seed_alone():
    def run():
        agent, options = DQNAgent(seed=3, batch_size=8), {"sync_interval": 2}
        record = train(cartpole(), agent, episodes=5, seed=3, **options)
        return record.returns, record.average_losses[1:]

    assert run() == run()


def test_only_the_first_episode_is_seeded():
    def first_states(seed):
        spy = Spy()
        train(cartpole(2), spy, episodes=3, sync_interval=1, seed=seed)
        return np.stack([spy.updates[k][0] for k in (0, 2, 4)])

    states = first_states(5)
    assert len(np.unique(states, axis=0)) == 3
    np.testing.assert_array_equal(states, first_states(np.int64(5)))
    assert first_states(np.random.default_rng(0)).shape == (3, 4)
    totals = evaluate(cartpole(), lambda s: int(s[2] > 0), episodes=8, seed=0)
    assert len(set(totals)) > 1


@pytest.mark.parametrize("seed", [-1, 0.5, "0"])
def test_bad_seeds_are_refused(seed):
    for call in (
        lambda: train(cartpole(), Spy(), episodes=1, sync_interval=1, seed=seed),
        lambda: evaluate(cartpole(), lambda s: 0, episodes=1, seed=seed),
    ):
        with pytest.raises((ValueError, TypeError), match="seed"):
            call()


def test_time_limit_ends_training_and_evaluation():
    """The pole never falls. A loop that ignores truncation would not end."""
    env = cartpole(30)
    env.unwrapped.theta_threshold_radians = env.unwrapped.x_threshold = float("inf")
    assert train(env, Spy(), episodes=2, sync_interval=1).returns == [30.0, 30.0]
    assert evaluate(env, lambda state: 0, episodes=2, seed=0).tolist() == [30.0, 30.0]


def test_evaluate_follows_the_policy_and_its_seed():
    def left(state):
        return 0

    def balance(state):
        return int(state[2] + 0.5 * state[3] > 0)

    low = evaluate(cartpole(), left, episodes=10, seed=0)
    assert low.shape == (10,) and low.max() < 15
    assert evaluate(cartpole(), balance, episodes=10, seed=0).min() > 100
    again = evaluate(cartpole(), left, episodes=10, seed=0)
    np.testing.assert_array_equal(low, again)


def test_frames_show_every_state_of_the_episode(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = cartpole(6, render_mode="rgb_array")
    frames = record_frames(env, lambda state: 0, seed=0)
    assert len(frames) == 7 and frames[0].dtype == np.uint8
    assert frames[0].shape == (400, 600, 3)
    assert not np.array_equal(frames[0], frames[-1])
    with pytest.raises(ValueError, match="render_mode"):
        record_frames(cartpole(), lambda state: 0, seed=0)


@pytest.mark.parametrize(
    "changes",
    [
        *({"episodes": 0}, {"episodes": 2.5}),
        *({"sync_interval": 0}, {"report_interval": 0}),
    ],
)
def test_bad_counts_are_refused(changes):
    with pytest.raises((ValueError, TypeError), match=next(iter(changes))):
        train(cartpole(), Spy(), **{"episodes": 1, "sync_interval": 1, **changes})


# What is not finite


class Rewards(gym.Env):
    """Episodes of five steps. The rewards go on from one to the next."""

    def __init__(self, rewards):
        self.rewards, self.t = iter(rewards), 0

    def reset(self, *, seed=None, options=None):
        return np.zeros(4, np.float32), {}

    def step(self, action):
        self.t += 1
        reward = next(self.rewards)
        if isinstance(reward, Exception):
            raise reward
        return np.zeros(4, np.float32), reward, self.t % 5 == 0, False, {}


@pytest.mark.parametrize("agent", [Spy, DQNAgent])
@pytest.mark.parametrize(
    "value, error",
    [
        *((np.nan, ValueError), (np.inf, ValueError), (-1e39, ValueError)),
        *((None, TypeError), (np.ones(1), TypeError)),
    ],
)
def test_reward_is_named_with_its_step(agent, value, error):
    rewards = [1.0] * 12 + [value]
    with pytest.raises(
        error, match="reward は.*エピソード 3、学習の 13 ステップ目"
    ) as raised:
        train(Rewards(rewards), agent(), episodes=4)
    assert repr(value) in str(raised.value)
    with pytest.raises(error, match="reward は"):
        train_episode(Rewards([1.0, value]), agent())
    with pytest.raises(error, match="^3 ステップ目の reward は"):
        evaluate(Rewards([1.0] * 7 + [value]), lambda state: 0, episodes=2)


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.float32(np.inf), 1e39])
def test_loss_is_named_with_its_step(value):
    spy = Spy([None] * 6 + [1.0, value])
    sentence = (
        rf"損失が {re.escape(str(value))} に.*学習率.*エピソード 2、学習の 8 ステップ目"
    )
    with pytest.raises(FloatingPointError, match=sentence):
        train(cartpole(5), spy, steps=20, seed=0)
    assert len(spy.updates) == 8
    with pytest.raises(FloatingPointError, match="損失が .* に"):
        train_episode(cartpole(5), Spy([1.0, value]))


def test_largest_losses_are_accepted():
    largest = np.finfo(np.float32).max
    losses = [float(largest), -float(largest), largest, -largest]
    assert train_episode(cartpole(4), Spy(losses)).average_loss == 0


def test_loss_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="損失 は.*'low'"):
        train_episode(cartpole(5), Spy(["low"]))


def test_losses_of_other_types_keep_their_values():
    losses = [np.float32(0.1), np.float32(0.2), np.array(0.3, np.float32)]
    average = train_episode(cartpole(3), Spy(losses)).average_loss
    assert average == float(np.mean(losses)) != np.mean([float(x) for x in losses])


class OwnError(ValueError):
    """An error that has arguments of its own."""


@pytest.mark.parametrize("error_class", [ValueError, TypeError, KeyError, OwnError])
def test_plain_errors_of_a_step_are_named_with_it(error_class):
    error = error_class("a", 2)
    named = (f"{error} (エピソード 1、学習の 2 ステップ目)",)
    with pytest.raises(error_class) as raised:
        train(Rewards([1.0, error]), Spy(), episodes=1)
    assert raised.value is error
    plain = error_class in (ValueError, TypeError)
    assert error.args == (named if plain else ("a", 2))


def test_step_of_an_own_loop_is_told_if_it_tells():
    def play(env, agent, *, seed, max_steps, on_step=None):
        return train_episode(env, agent, seed=seed, on_step=on_step)

    rewards = [1.0] * 7 + [np.nan]
    with pytest.raises(ValueError, match=r"reward は.*\(エピソード 2\)$"):
        train(Rewards(rewards), Spy(), episodes=2, play=play)
    options = {"play": play, "on_step": lambda step, ended: None}
    with pytest.raises(ValueError, match=r"\(エピソード 2、学習の 8 ステップ目\)$"):
        train(Rewards(rewards), Spy(), episodes=2, **options)


def test_error_while_watching_is_named_with_the_watched_step():
    def on_step(step, ended):
        if step == 3:
            raise ValueError("seen")

    with pytest.raises(ValueError, match="seen .エピソード 1、学習の 3 ステップ目"):
        train(cartpole(5), Spy(), episodes=1, on_step=on_step)


class Overflowing(DQNAgent):
    """The loss is finite, the weights are not."""

    def update(self, *transition):
        super().update(*transition)
        self.qnet.l3.b.data[1] = np.inf
        return 1.0


def test_weights_that_are_lost_are_told_before_they_are_used():
    agent = Overflowing()
    with pytest.raises(
        FloatingPointError, match="もう使えません.*num_steps=5.*lr=0.0005"
    ):
        train(cartpole(5), agent, episodes=1, seed=0)
    for act in (
        lambda: train(cartpole(5), agent, episodes=1),
        lambda: evaluate(cartpole(5), agent.greedy_action, episodes=1),
    ):
        with pytest.raises(FloatingPointError, match="もう使えません"):
            act()
    assert agent.num_steps == 5


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_bar_shows_in_a_terminal_only(monkeypatch):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    terminal, pipe = Terminal(), io.StringIO()
    for file in (terminal, pipe):
        for _ in progress_bar(range(3), file=file, mininterval=0, desc="学習"):
            pass
    assert "学習" in terminal.getvalue()
    last = terminal.getvalue().rsplit("\r", 2)[-2]
    assert last.strip() == ""  # it goes away
    assert pipe.getvalue() == ""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    quiet = Terminal()
    list(progress_bar(range(3), file=quiet))
    assert quiet.getvalue() == ""
