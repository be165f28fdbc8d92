"""The own Breakout: its rules by hand, many boards as one board, one board as Gymnasium wants it."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from rlbook_helpers.beyond.breakout import SLIP, WALL, Breakout, BreakoutEnv, paint

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

LEFT, STAY, RIGHT = range(3)


class Chances:
    """A generator whose chances of a slip are known beforehand."""

    def __init__(self, seed: int, slips):
        self.rng, self.slips = np.random.default_rng(seed), slips

    def __getattr__(self, name):
        return getattr(self.rng, name)

    def random(self, size):
        self.now = np.full(size, next(self.slips) if self.slips else False)
        return np.where(self.now, SLIP - 1e-9, SLIP)


class ByHand:
    """One board, written with ifs from the rules as the chapter tells them."""

    def __init__(self, game: Breakout, k: int):
        self.x, self.y, self.dx, self.dy = (
            int(array[k]) for array in (game.x, game.y, game.dx, game.dy)
        )
        self.paddle, self.t = int(game.paddle[k]), int(game.t[k])
        self.bricks = {(int(y), int(x)) for y, x in np.argwhere(game.bricks[k])}
        self.before = None
        self.limit = game.max_steps

    def step(self, action: int, slip: bool) -> tuple[float, bool, bool]:
        self.paddle = max(0, min(7, self.paddle + action - 1))
        self.before = self.y, self.x
        if self.x + self.dx in (-1, 10):
            self.dx = -self.dx
        if self.y + self.dy == -1:
            self.dy = 1
        y, x, reward, lost = self.y + self.dy, self.x + self.dx, 0.0, False
        self.x = x
        if (y, x) in self.bricks:
            self.bricks.remove((y, x))
            reward, self.dy = 1.0, -self.dy
        elif y == 9 and self.paddle <= x <= self.paddle + 2:
            aim = (-1, self.dx, 1)[x - self.paddle]
            self.dy, self.dx = -1, -aim if slip else aim
            if not self.bricks:
                self.bricks = {
                    (row, column) for row in (1, 2, 3) for column in range(10)
                }
        else:
            self.y, lost = y, y == 9
        self.t += 1
        return reward, lost, self.t == self.limit and not lost

    @property
    def layers(self) -> np.ndarray:
        layers = np.zeros((4, 10, 10), np.float32)
        layers[0, 9, self.paddle : self.paddle + 3] = 1
        layers[1, self.y, self.x] = layers[2][self.before] = 1
        for brick in self.bricks:
            layers[3][brick] = 1
        return layers


def started(games: int = 1, seed: int = 0, **options) -> Breakout:
    game = Breakout(games, **options)
    game.reset(np.random.default_rng(seed))
    return game


def straight(game: Breakout) -> Breakout:
    """Without slips."""
    game.rng = Chances(0, None)
    return game


def layers(states: np.ndarray) -> np.ndarray:
    return states.reshape(-1, 4, 10, 10)


def follow(game: Breakout) -> np.ndarray:
    """The actions of a player who keeps now this part of the paddle under the ball, now that."""
    wanted = game.x + game.dx - (game.t // 10 % 3)
    return np.clip(wanted - game.paddle, -1, 1) + 1


@settings(derandomize=True, deadline=None, max_examples=15)
@given(st.integers(0, 2**31), st.integers(1, 5), st.floats(0, 1), st.integers(1, 400))
def test_many_boards_are_played_by_the_rules(seed, games, skill, limit):
    rng = np.random.default_rng(seed)
    game = started(games, seed, max_steps=limit)
    game.rng = Chances(seed, iter((rng.random((200, games)) < 0.3).tolist()))
    boards = [ByHand(game, k) for k in range(games)]
    for _ in range(200):
        chance = rng.random(games) < skill
        actions = np.where(chance, follow(game), rng.integers(3, size=games))
        step = game.step(actions)
        for k, board in enumerate(boards):
            result = board.step(int(actions[k]), game.rng.now[k])
            assert result == (step.rewards[k], step.terminated[k], step.truncated[k])
            assert (layers(step.next_states)[k] == board.layers).all()
            if step.terminated[k] or step.truncated[k]:
                boards[k] = ByHand(game, k)
                assert (layers(step.states)[k, 3] == WALL).all()
            else:
                assert (step.states[k] == step.next_states[k]).all()


def test_wall_is_cleared_and_built_again():
    """By a player who knows how the ball flies; and only when the paddle has caught it."""
    game, cleared = started(50, 1, max_steps=3_000), 0
    empty = np.zeros(50, bool)
    for _ in range(3_000):
        step = game.step(follow(game))
        assert step.next_states.shape == (50, 400)
        left = layers(step.next_states)[:, 3].sum((1, 2))
        playing = ~(step.terminated | step.truncated)
        built = empty & (left == 30) & playing
        assert (game.y[built] == 8).all() and (game.dy[built] == -1).all()
        assert (left[empty & playing & ~built] == 0).all()
        cleared += built.sum()
        empty = (layers(step.states)[:, 3].sum((1, 2))) == 0
    assert cleared > 10


def placed(x, y, dx, dy, paddle, **options) -> Breakout:
    """One board with its ball and paddle there."""
    game = started(**options)
    values = {"x": x, "y": y, "dx": dx, "dy": dy, "paddle": paddle}
    for name, value in values.items():
        getattr(game, name)[:] = value
    game.old_x[:], game.old_y[:] = x - dx, y - dy
    return straight(game)


def test_a_hand_played_sequence():
    game = placed(x=7, y=6, dx=1, dy=-1, paddle=4)
    (first,) = layers(game.screen())
    assert np.argwhere(first[0]).tolist() == [[9, 4], [9, 5], [9, 6]]
    assert np.argwhere(first[1]).tolist() == [[6, 7]]
    assert np.argwhere(first[2]).tolist() == [[7, 6]]
    wall = [[y, x] for y in (1, 2, 3) for x in range(10)]
    assert np.argwhere(first[3]).tolist() == wall
    played = [
        (STAY, 0, (5, 8)),
        (LEFT, 0, (4, 9)),
        (LEFT, 1, (4, 8)),  # the side wall, and a brick, which it does not enter
        (LEFT, 0, (5, 7)),
        (STAY, 0, (6, 6)),
        (STAY, 0, (7, 5)),
        (RIGHT, 0, (8, 4)),
        (RIGHT, 0, (8, 3)),  # the left end of the paddle sends it to the left
        (STAY, 0, (7, 2)),
    ]
    for action, reward, place in played:
        step = game.step(np.array([action]))
        assert (int(game.y[0]), int(game.x[0])) == place
        assert step.rewards.tolist() == [reward] and step.rewards.dtype == np.float32
        assert not (step.terminated[0] or step.truncated[0])
    assert game.paddle[0] == 3
    assert not game.bricks[0, 3, 8] and game.bricks.sum() == 29


def test_ball_above_the_wall_is_held_by_the_ceiling():
    game = placed(x=3, y=1, dx=1, dy=-1, paddle=0)
    game.bricks[0, 1] = False
    rewards = [game.step(np.array([STAY])).rewards[0] for _ in range(4)]
    assert (rewards, int(game.y[0])) == ([0, 0, 1, 0], 0)
    assert game.bricks.sum() == 19


def test_ball_that_misses_ends_the_game_and_another_begins():
    game = placed(x=2, y=4, dx=1, dy=1, paddle=0)
    for _ in range(4):
        assert not game.step(np.array([LEFT])).terminated[0]
    step = game.step(np.array([LEFT]))
    assert step.terminated.tolist() == [True] and step.truncated.tolist() == [False]
    assert layers(step.next_states)[0, 1, 9, 7] == 1
    assert layers(step.states)[0, 1, 6:9].sum() == 1 and game.t[0] == 0


def test_limit_ends_a_game_that_is_not_lost():
    game = placed(x=2, y=4, dx=1, dy=1, paddle=6, max_steps=5)
    steps = [game.step(np.array([STAY])) for _ in range(5)]
    assert [bool(step.truncated[0]) for step in steps] == [False] * 4 + [True]
    assert not any(step.terminated[0] for step in steps)
    # Lost in its last step: the end of the game, not of the time
    game = placed(x=2, y=4, dx=1, dy=1, paddle=0, max_steps=5)
    step = [game.step(np.array([LEFT])) for _ in range(5)][-1]
    assert step.terminated[0] and not step.truncated[0]


def test_beginnings_are_many_and_every_ball_can_be_caught():
    game = started(20_000)
    begun = np.stack([game.x, game.y, game.dx, game.paddle], axis=1)
    assert len(np.unique(begun, axis=0)) == 8 * 3 * 2 * 8 == 384
    assert set(game.dy) == {-1}
    first = game.screen()
    assert (layers(first).sum((1, 2, 3)) == 3 + 1 + 1 + 30).all()
    # The places where the untouched balls come down
    blind = started(20_000)
    landing = np.full(20_000, -1)
    for _ in range(12):
        step = blind.step(np.full(20_000, STAY))
        down = (blind.y == 8) & (blind.dy == 1) & (landing < 0)
        landing[down] = np.where(
            (blind.x + blind.dx < 0) | (blind.x + blind.dx > 9),
            blind.x - blind.dx,
            blind.x + blind.dx,
        )[down]
        assert not step.truncated.any()
    assert (landing >= 0).all()
    steps = game.y - 4 + 1 + 5  # up, the brick, down
    gap = np.maximum(np.maximum(landing - 2 - game.paddle, game.paddle - landing), 0)
    assert (gap <= steps).all() and gap.max() == 7


@pytest.mark.parametrize(
    ("paddle", "dx", "right"),
    [(3, 1, False), (2, 1, True), (2, -1, False), (1, -1, True), (1, 1, True)],
)
def test_the_place_aims_and_every_fourth_ball_slips(paddle, dx, right):
    x = 3 - dx  # it comes down at 3
    game = placed(x, y=8, dx=dx, dy=1, paddle=paddle, games=40_000)
    game.rng = np.random.default_rng(0)
    game.step(np.full(40_000, STAY))
    assert (game.dy == -1).all() and (game.y == 8).all() and (game.x == 3).all()
    aimed = (game.dx == 1) == right
    assert np.mean(~aimed) == pytest.approx(SLIP, abs=0.013)  # six deviations


def test_trail_can_be_left_out():
    with_trail, without = started(8, 3), started(8, 3, trail=False)
    rng = np.random.default_rng(0)
    for _ in range(100):
        actions = rng.integers(3, size=8)
        one, other = with_trail.step(actions), without.step(actions)
        seen, hidden = layers(one.next_states), layers(other.next_states)
        assert (seen[:, 2].sum((1, 2)) == 1).all() and not hidden[:, 2].any()
        assert (seen[:, [0, 1, 3]] == hidden[:, [0, 1, 3]]).all()


def test_states_are_not_changed_afterwards():
    game = started(4)
    first = game.screen()
    kept = first.copy()
    step = game.step(np.full(4, RIGHT))
    copies = [part.copy() for part in step]
    for _ in range(50):
        game.step(np.full(4, LEFT))
    assert (first == kept).all()
    for part, copy in zip(step, copies):
        assert (part == copy).all()


def test_seeds_repeat_a_game():
    def played(seed):
        game, rng = started(6, seed), np.random.default_rng(7)
        return np.array([game.step(rng.integers(3, size=6)).states for _ in range(200)])

    assert (played(5) == played(5)).all() and (played(5) != played(6)).any()


@pytest.mark.parametrize(
    ("options", "word"),
    [({"games": 0}, "games"), ({"max_steps": 0}, "max_steps"), ({"trail": 2}, "trail")],
)
def test_wrong_options_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        Breakout(**options)


# One board


@pytest.mark.parametrize(
    "name", ["rlbook/Breakout-v0", "rlbook/BreakoutWithoutTrail-v0"]
)
def test_gymnasium_accepts_the_game(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*not within the observation space.*")
        check_env(gym.make(name, render_mode="rgb_array").unwrapped)
    env = gym.make(name)
    state, _ = env.reset(seed=0)
    assert bool(layers(state)[0, 2].any()) == ("Without" not in name)
    assert env.spec.reward_threshold == 20


def test_one_board_is_one_of_many():
    env, game = BreakoutEnv(max_steps=40), Breakout(max_steps=40)
    state, _ = env.reset(seed=3)
    states = game.reset(np.random.Generator(np.random.PCG64(np.random.SeedSequence(3))))
    assert (state == states[0]).all()
    for _ in range(40):
        action = int(follow(game)[0])
        step = game.step(np.array([action]))
        state, reward, terminated, truncated, info = env.step(action)
        assert (state == step.next_states[0]).all() and info == {}
        assert reward == step.rewards[0] and type(reward) is float
        assert (terminated, truncated) == (step.terminated[0], step.truncated[0])
        assert type(terminated) is type(truncated) is bool
        if terminated or truncated:
            break


def test_screen_is_painted():
    env = BreakoutEnv(render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (240, 240, 3) and picture.dtype == np.uint8
    middles = picture[12::24, 12::24].astype(int)
    (ball,) = np.argwhere((middles == (180, 83, 9)).all(-1))
    assert tuple(ball) == (env.game.y[0], env.game.x[0])
    assert (middles == (31, 111, 178)).all(-1).sum() >= 29  # the trail hides one
    assert (middles[9] == (31, 41, 51)).all(-1).sum() == 3
    assert paint(env.state, size=8).shape == (80, 80, 3)


@pytest.mark.parametrize("action", [-1, 3, 1.0])
def test_env_refuses_what_is_no_action(action):
    env = BreakoutEnv()
    state, _ = env.reset(seed=0)
    with pytest.raises((TypeError, ValueError), match="action"):
        env.step(action)
    np.testing.assert_array_equal(env.state, state)
