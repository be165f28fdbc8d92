"""The live figures without a browser: their data, their claims, the weight of their scripts."""

import base64
import copy
import dataclasses
import gzip
import json
import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from scipy import stats

from built import PAGES, ROOT
from figure_models import (
    ALPHA,
    BATCH,
    FEATURES,
    GAMMA,
    INTERVALS,
    SHARES,
    SIZE,
    STEPS,
    actions,
    follow,
    moment,
    policy_of,
    polylines,
    rewind_data,
    rewind_points,
)
from figures import angles as figure_angles  # tools/figures
from figures import breakout as figure_breakout
from figures import clinic as figure_clinic
from figures import descent as figure_descent
from figures import graph as figure_graph
from figures import rewind as figure_rewind
from figures import seeds as figure_seeds
from figures import spread as figure_spread
from figures import training as figure_training
from figures import weights as figure_weights
from rlbook_helpers.beyond.breakout import Breakout
from rlbook_helpers.clinic.judge import DIAGNOSES
from rlbook_helpers.experiments.statistics import interquartile_mean

SCRIPTS = ROOT / "book/static/figures"
FIGURE = "figure[class*='live-']"

# Scripts


def test_scripts_are_small():
    sizes, others = (
        {path.stem: len(gzip.compress(path.read_bytes(), 6)) for path in paths}
        for paths in (SCRIPTS.glob("*.js"), SCRIPTS.parent.glob("*.js"))
    )
    assert sum(sizes.values()) <= 55_000
    assert sum(others.values()) <= 20_000
    for name in (
        "ring-buffer",
        "staleness",
        "max-bias",
        "rewind",
        "seed-lottery",
        "clinic",
        "graph",
    ):
        assert sizes[name] <= 4_096, name


def test_scripts_declare_different_names():
    """They share one scope; a page whose scripts clash would show none of them."""
    declaration = re.compile(r"^(?:const|let|class|(?:async )?function) (\w+)", re.M)
    names = [
        name
        for path in SCRIPTS.glob("*.js")
        for name in declaration.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(names) > 10
    assert sorted(names) == sorted(set(names))


def test_pages_load_the_scripts_of_their_own_figures_only(soups):
    seen = 0
    for page in PAGES:
        soup = soups[f"{page}.html"]
        figures = " ".join(str(f["class"]) for f in soup.select(FIGURE))
        names = dict.fromkeys(re.findall(r"'live-([\w-]+)'", figures))
        scripts = [
            Path(tag["src"]).name.split(".")[0]
            for tag in soup.select("script[src*='figures/']")
        ]
        assert scripts == (["live", *names] if names else [])
        seen += bool(names)
    assert seen >= 4


# The pole


@pytest.mark.parametrize("name", figure_weights.RECORDS)
def test_weights_come_from_the_records(name):
    written = (SCRIPTS / "data" / f"{name}.js").read_text(encoding="utf-8")
    assert written == figure_weights.script(name, policy_of(name)), (
        "python tools/figures/weights.py"
    )


class Episode:
    """A pole and the policy that drives it."""

    def __init__(self, policy, seed):
        self.env, self.policy = gym.make("CartPole-v1"), policy
        self.state, _ = self.env.reset(seed=seed)
        self.fallen, self.actions = False, []

    def run(self, steps: int) -> bool:
        """Whether it stands so long."""
        for _ in range(steps):
            if not self.fallen:
                self.actions.append(self.policy(self.state))
                self.state, _, self.fallen, _, _ = self.env.step(self.actions[-1])
        return not self.fallen

    def knock(self, size: float) -> None:
        pole = self.env.unwrapped
        pole.state = pole.state + np.array([0, 0, 0, size])
        self.state = pole.state.astype(np.float32)


def test_claims_below_the_poles_hold():
    for action in (0, 1):
        for seed in range(20):
            episode = Episode(lambda state, action=action: action, seed)
            assert not episode.run(500)
            assert np.sign(episode.state[2]) == (-1 if action else 1), "the other way"
    stable, chapter4 = policy_of("stable"), policy_of("chapter4")
    held = sum(Episode(chapter4, seed).run(500) for seed in range(20))
    assert held < 15, "often falls without a knock"
    for seed in range(20):
        for side in (-1, 1):
            episode = Episode(stable, seed)
            assert episode.run(100)
            x = episode.state[0]
            episode.knock(side * 1.0)
            assert episode.run(20)
            assert side * (episode.state[0] - x) > 0, "the cart runs to the same side"
            assert episode.run(100), "recovers"


# The replay buffer


def test_angles_are_those_of_gymnasium():
    assert figure_angles.FILE.read_text("utf-8") == figure_angles.script(), (
        "python tools/figures/angles.py"
    )


def test_claims_below_the_ring_hold():
    angles = np.array(figure_angles.angles())
    for stop in range(SIZE, len(angles) + 1, 50):  # as the reader writes them
        kept = angles[stop - SIZE : stop]
        runs = np.lib.stride_tricks.sliding_window_view(kept, BATCH)
        size = kept.var() / np.mean((runs.mean(axis=1) - kept.mean()) ** 2)
        assert 1.5 < size < 2.5, stop
    # Of any 200 numbers, without putting back
    assert BATCH * (SIZE - 1) / (SIZE - BATCH) == pytest.approx(17, abs=0.5)


# The age of the target


def growth(interval: int) -> float:
    """By which the errors of the weights grow from one synchronisation to the next, in the long run."""
    to_old = FEATURES.T @ SHARES[:, None] @ (GAMMA * FEATURES[1:])
    to_new = FEATURES.T @ np.diag(SHARES) @ FEATURES
    steps = np.linalg.matrix_power(np.eye(2) - ALPHA * to_new, interval)
    settled = np.linalg.solve(to_new, to_old)
    period = steps + (np.eye(2) - steps) @ settled
    return np.abs(np.linalg.eigvals(period)).max()


def test_claims_below_the_model_hold():
    value = 1 / (1 - GAMMA)
    assert [n for n in INTERVALS if growth(n) > 1] == [1, 2, 5, 10]
    off = {n: np.abs(follow(n)[:, 0] - value) for n in INTERVALS}
    assert off[1][-1] > 1e6
    assert (np.diff(follow(1)[:, 1]) > 0).all()  # the target flees
    ten = follow(10)[:, 0]
    turns = np.flatnonzero(np.diff(np.sign(np.diff(ten)))) + 1
    assert len(turns) == 2 and ten[turns[1]] < value < ten[turns[0]]
    assert off[10][turns[0]] < off[10][turns[1]] < off[10][-1]
    assert off[20][-1] < 0.1 and off[20].argmin() > 200
    hundred = follow(100)
    assert STEPS // 100 == 5
    ceiling = (1 - GAMMA**5) / (1 - GAMMA)
    assert (
        hundred[-1, 0] == pytest.approx(ceiling, abs=0.03)
        and f"{hundred[-1, 0]:.1f}" == "4.1"
    )
    for sync in range(100, STEPS + 1, 100):  # arrived, and waiting
        assert hundred[sync - 1, 0] == pytest.approx(hundred[sync - 1, 1], abs=0.05)
    assert list(np.argsort([off[n][-1] for n in INTERVALS[4:]])) == list(range(6))


def test_printed_model_is_the_same():
    left, width, bottom, height, low, high = 44, 190, 236, 184, -2, 21
    lines = polylines("staleness")
    for panel, interval in enumerate((1, 20, 100)):
        path = follow(interval)
        for column, line in ((1, lines[2 * panel]), (0, lines[2 * panel + 1])):
            x, y = line.T
            steps = np.rint((x - left - 217 * panel) / width * STEPS).astype(int)
            drawn = low + (bottom - y) / height * (high - low)
            inside = drawn < high
            here, before = path[steps, column], path[np.maximum(steps - 1, 0), column]
            error = np.minimum(np.abs(drawn - here), np.abs(drawn - before))
            assert error[inside].max() < 0.02
            assert (here[~inside] >= high).all()


# The bias of the maximum


def test_claims_below_the_maximum_hold():
    assert abs(moment(1, 1)) < 1e-9
    assert [f"{moment(k, 1):.2f}" for k in (2, 4, 8, 10)] == [
        *("0.56", "1.03", "1.42"),
        "1.54",  # in the printed figure
    ]
    means = [moment(k, 1) for k in range(1, 21)]
    assert (np.diff(means) > 0).all() and (np.diff(means, n=2) < 0).all()


def test_printed_maximum_is_the_same():
    lines = polylines("max_bias")
    for panel, count in enumerate((2, 10)):
        for k, line in zip((1, count), lines[2 * panel :]):
            x, y = line.T
            x = (x - (16, 356)[panel]) / 308 * 8 - 4
            density = k * stats.norm.pdf(x) * stats.norm.cdf(x) ** (k - 1)
            np.testing.assert_allclose((262 - y) / 170 * 0.63, density, atol=0.003)


# The rewound training

REMEDY = "python tools/figures/rewind.py"


@pytest.fixture(scope="module")
def data():
    return rewind_data()


@pytest.fixture(scope="module")
def points(data):
    return rewind_points(data)


def test_training_begins_like_the_recorded_one(data, points):
    """Its first 20 episodes; float32 on another machine moved nothing of it in 60 trials."""
    preset = dataclasses.replace(figure_rewind.ORIGINAL, episodes=figure_rewind.EVERY)
    returns, found = figure_rewind.checkpoints(preset)
    assert returns == data["returns"][: figure_rewind.EVERY]
    for new, old in zip(found, points[:2], strict=True):
        assert new.episode == old.episode
        assert new.mean == old.mean
        for ours, theirs in [(new.map, old.map), (new.path, old.path)]:
            np.testing.assert_allclose(ours.astype(int), theirs, rtol=0, atol=1)


def test_data_of_the_training_are_small_and_complete(data, points):
    assert figure_rewind.DATA.stat().st_size <= 60_000
    assert [point.episode for point in points] == list(range(0, 301, 20))
    assert len(data["returns"]) == 300
    assert all(1 <= total <= 500 for total in data["returns"])
    assert all((point.map != 0).all() for point in points)
    assert len({point.map.tobytes() for point in points}) == len(points)


def test_printed_training_is_made_of_the_data(data, points):
    wanted = figure_rewind.picture(data["returns"], points)
    assert figure_rewind.PICTURE.read_text("utf-8") == wanted, REMEDY


def test_recorded_actions_give_the_recorded_episodes(points):
    """And their ends."""
    for point in points:
        pushes = iter(actions(point.path))
        env = figure_rewind.ORIGINAL.make_env()
        path = figure_rewind.one_episode(env, lambda state, a=pushes: next(a))
        assert next(pushes, None) is None
        np.testing.assert_allclose(path.astype(int), point.path, rtol=0, atol=1)


def test_policies_mostly_agree_with_their_maps(points):
    """Not always: the maps show them at rest in the middle. A mirrored map would seldom agree."""
    half = figure_rewind.SIDE // 2
    agreed = []
    for point in points:
        states = point.path[:-1] / 127
        angle = states[:, 1] * figure_rewind.ANGLE / figure_rewind.MAX_ANGLE
        speed = states[:, 2] * figure_rewind.SPEED / figure_rewind.MAX_SPEED
        shown = (abs(angle) <= 1) & (abs(speed) <= 1)
        row, column = (np.rint(half + half * k).astype(int) for k in (-speed, angle))
        levels = point.map[row[shown], column[shown]].astype(int)
        clear = abs(levels) > 30
        pushes = np.array(actions(point.path))[shown]
        agreed += ((levels > 0) == pushes)[clear].tolist()
    assert len(agreed) > 300 and 0.75 < np.mean(agreed) < 1


# The lottery of seeds


def test_scores_and_picture_come_from_the_record():
    scores = figure_seeds.recorded()
    assert len(scores) == 40
    remedy = "python tools/figures/seeds.py"
    assert figure_seeds.DATA.read_text("utf-8") == figure_seeds.script(scores), remedy
    picture = figure_seeds.PICTURE.read_text("utf-8")
    assert picture == figure_seeds.picture(scores), remedy


def test_intervals_of_few_seeds_miss_as_claimed():
    scores = figure_seeds.recorded()
    truth = interquartile_mean(scores)
    rng = np.random.default_rng(0)
    hits = {}
    for count in (2, 3, 10):
        values = rng.choice(scores, (400, count))
        picks = rng.integers(count, size=(400, 2_000, count))
        means = interquartile_mean(
            np.take_along_axis(values[:, None], picks, 2), axis=2
        )
        low, high = np.percentile(means, [2.5, 97.5], axis=1)
        hits[count] = np.mean((low <= truth) & (truth <= high))
    assert 0.4 < hits[2] < 0.6 and 0.65 < hits[3] < 0.85 and hits[10] > 0.9


# The computational graph


def test_claims_below_the_graph_hold():
    def numbers(**changed):
        return figure_graph.numbers(figure_graph.GIVEN | changed)

    assert numbers()["W.grad"] < 0
    best = numbers(x=2.0, W=2.0)
    assert best["ŷ"] == best["y"]
    assert [best[name] for name in ("loss", "ŷ.grad", "b.grad", "W.grad")] == [0] * 4
    assert numbers(x=2.0, W=1.0)["loss"] < numbers()["loss"]
    assert numbers(x=2.0, W=3.0)["W.grad"] > 0
    flat = numbers(x=0.0, W=0.5)
    assert flat["W.grad"] == 0 and flat["b.grad"] != 0
    assert flat["ŷ"] == numbers(x=0.0, W=3.0)["ŷ"]


def test_graph_is_drawn_with_numbers_of_dezero():
    drawn = figure_graph.PICTURE.read_text("utf-8")
    assert drawn == figure_graph.picture()
    assert figure_graph.DATA.read_text("utf-8") == figure_graph.script()
    shown = [
        float(text.replace("−", "-"))
        for text in re.findall(r"<tspan>(.+?)</tspan>", drawn)
    ]
    x, W, b, y = figure_graph.GIVEN.values()
    slope = 2 * (x * W + b - y)
    values = [x, W, b, y, x * W, x * W + b, (x * W + b - y) ** 2]
    gradients = [1, slope, slope, slope, slope * x]
    factors = [slope, 1, x]
    assert sorted(shown) == sorted(values + gradients + factors)


# The descent


def test_claims_below_the_descent_hold():
    def ends(start, rate):
        path = figure_descent.descend(start, rate, 10_000)
        return np.linalg.norm(path - 1, axis=1)[-1], len(path) - 1

    assert ends((0.0, 2.0), 0.002)[0] < ends((0.0, 2.0), 0.001)[0] < 0.02
    stuck = figure_descent.descend((0.0, 2.0), 0.003, 10_000)
    late = stuck[-1_000:]
    assert 0.4 < np.linalg.norm(late.mean(axis=0) - 1) < 0.5
    side = np.sign(late[:, 1] - late[:, 0] ** 2)  # of the bottom of the valley
    assert np.mean(side[1:] != side[:-1]) > 0.9
    assert ends((1.8, 0.0), 0.002)[1] < 10
    assert figure_descent.PICTURE.read_text("utf-8") == figure_descent.picture()


# One update


def test_networks_of_the_grid_are_those_of_the_chapter():
    """Trained in float32: another processor moves the last digits only."""
    text = figure_spread.DATA.read_text("utf-8")
    data = json.loads(text.removeprefix('live.keep("spread", ').removesuffix(");\n"))
    for name, episodes in (("fresh", 0), ("trained", 1_000)):
        numbers = base64.b64decode(data[name])
        whole = [
            int.from_bytes(numbers[k : k + 3], "little", signed=True)
            for k in range(0, len(numbers), 3)
        ]
        W, b, V, c = np.split(
            np.array(whole) / (2**23 - 1) * data["largest"], [1200, 1300, 1700]
        )
        hidden = np.maximum(W.reshape(12, 100) + b, 0)
        expected = figure_spread.table(figure_spread.trained(episodes))
        np.testing.assert_allclose(
            hidden @ V.reshape(100, 4) + c,
            expected,
            atol=1e-6 if not episodes else 0.02,
        )
    assert figure_spread.PICTURE.read_text("utf-8") == figure_spread.picture()


def shares(agent) -> np.ndarray:
    """By how much the values of the same action move in the other squares (40, 9)."""
    found = []
    for square in figure_spread.ACTING:
        for action in range(4):
            other = copy.deepcopy(agent)
            before = figure_spread.table(other)
            one_hot = figure_spread.one_hot
            reward = float(before[square, action]) + 1  # in the end: any error will do
            other.update(one_hot(square), action, reward, one_hot(3), True)
            change = (figure_spread.table(other) - before)[:, action]
            others = [s for s in figure_spread.ACTING if s != square]
            found.append(change[others] / change[square])
    return np.array(found)


def test_claims_below_the_update_hold():
    fresh, trained = (shares(figure_spread.trained(n)) for n in (0, 1_000))
    assert fresh.min() > 0.25
    assert np.median(np.abs(trained - fresh)) < 0.02
    assert np.abs(trained - fresh).max() < 0.1
    parts = figure_spread.changes()
    others = [s for s in figure_spread.ACTING if s != 2]
    assert others[parts[others, 3].argmax()] == 9  # (2, 1)
    assert 0 < np.abs(parts[figure_spread.ACTING, :3]).max() < 0.1


# The training in the page


def test_printed_curves_begin_like_the_training():
    drawn = polylines("training")
    seeds = list(figure_training.SEEDS)
    assert len(drawn) == 2 * len(seeds)
    for k, (_, switches) in enumerate(figure_training.PANELS):
        expected = figure_training.curve(seeds[k], rounds=40, **switches)
        x, y = drawn[k * len(seeds) + k].T
        rounds = (x - figure_training.LEFT[k]) / figure_training.WIDTH * 200
        np.testing.assert_allclose(rounds, np.arange(4, 201, 4), atol=0.1)
        means = (figure_training.BOTTOM - y) / figure_training.HEIGHT * 500
        np.testing.assert_allclose(means[:10], expected[3::4], atol=0.2)


def test_claims_below_the_training_hold():
    curves = {seed: figure_training.curve(seed) for seed in (2, 5, 9)}
    assert curves[2][-1] - curves[9][-1] > 150
    assert max(curves[5]) - curves[5][-1] > 150
    drawn = [
        (figure_training.BOTTOM - line[:, 1]) / figure_training.HEIGHT * 500
        for line in polylines("training")
    ]
    for panel in (drawn[:6], drawn[6:]):  # as the alternative text says
        assert max(line[0] for line in panel) < 30
        ends = [line[-1] for line in panel]
        assert min(ends) < 250 and max(ends) > 490
        assert all((np.diff(line) < 0).any() for line in panel)


# The consulting room


def test_room_and_picture_come_from_the_record():
    findings = figure_clinic.recorded()
    remedy = "python tools/figures"
    assert figure_clinic.DATA.read_text("utf-8") == figure_clinic.script(findings), (
        remedy
    )
    picture = figure_clinic.PICTURE.read_text("utf-8")
    assert picture == figure_clinic.picture(findings), remedy


def test_findings_tell_every_patient_of_the_room_from_every_other_diagnosis():
    findings = figure_clinic.recorded()
    results = {
        name: [result for result, _ in found.values()]
        for name, found in findings.items()
    }
    for name in figure_clinic.SHOWN.values():
        assert set(results[name]) == {"正常", "異常"}, name
        for other in DIAGNOSES:
            ill = [result == "異常" for result in results[other]]
            assert other == name or ill != [r == "異常" for r in results[name]]


# The game


def test_game_and_picture_come_from_the_recorded_network():
    remedy = "python tools/figures"
    assert figure_breakout.DATA.read_text("utf-8") == figure_breakout.script(), remedy
    picture = figure_breakout.PICTURE.read_text("utf-8")
    assert picture == figure_breakout.picture(), remedy


def test_recorded_network_plays_in_bytes():
    """Its weights are rounded to bytes, and it plays all the same."""
    assert figure_breakout.score(games=60, seed=1).mean() > 25


def test_claim_below_the_game_holds():
    """The values differ more when a falling ball is near the paddle."""
    net, boards = figure_breakout.network(), Breakout(64)
    states, low, high = boards.reset(np.random.default_rng(3)), [], []
    for _ in range(200):
        values = net.predict(states)
        spread = np.ptp(values, axis=1)
        low += spread[(boards.dy == 1) & (boards.y >= 7)].tolist()
        high += spread[(boards.dy == 1) & (boards.y <= 4)].tolist()
        states = boards.step(values.argmax(axis=1)).states
    assert np.mean(low) > 2 * np.mean(high)
