"""The live figures of the chapters in detail: they compute what Python computes, and say so."""

import itertools
import re

import numpy as np
import pytest
from scipy import stats

from built import compute, settle
from figure_models import (
    BATCH,
    INTERVALS,
    SIZE,
    actions,
    end,
    follow,
    moment,
    rewind_data,
    rewind_points,
)
from figures import angles as figure_angles  # tools/figures
from figures import breakout as figure_breakout
from figures import clinic as figure_clinic
from figures import graph as figure_graph
from figures import rewind as figure_rewind
from figures import seeds as figure_seeds
from figures import training as figure_training
from rlbook_helpers.beyond.breakout import SLIP, Breakout
from rlbook_helpers.clinic.examinations import TITLES
from rlbook_helpers.clinic.judge import DIAGNOSES
from rlbook_helpers.clinic.patients import PATIENTS
from rlbook_helpers.dezero_compat import F, Variable
from rlbook_helpers.experiments.statistics import bootstrap_interval, interquartile_mean
from rlbook_helpers.replay_buffer import ReplayBuffer


@pytest.fixture
def ring(show):
    page = show("ring-buffer")
    page.wait_for("figure.angles && !figure.waiting")
    page.ask("figure.restart()")
    return page


@pytest.fixture
def model(show):
    page = show("staleness")
    page.slider("同期の間隔").fill("0")
    page.ask("figure.restart()")
    return page


@pytest.fixture
def bias(show):
    page = show("max-bias")
    page.slider("誤差の大きさ").fill("1")
    page.slider("行動の数").fill("2")
    page.ask("figure.restart()")
    return page


@pytest.fixture(scope="module")
def rewind(show):
    page = show("rewind")
    page.wait_for("figure.point")
    return page


@pytest.fixture(scope="module")
def points():
    return rewind_points(rewind_data())


@pytest.fixture(scope="module")
def lottery(show):
    page = show("seed-lottery")
    page.wait_for("figure.scores")
    return page


@pytest.fixture
def room(show):
    page = show("clinic")
    page.wait_for("figure.data")
    page.figure.get_by_label("患者 A").check(force=True)
    page.button("はじめから").click()
    return page


@pytest.fixture
def phone(show):
    """Open a figure on a phone, with motion until the end of the test."""
    shown = []

    def show_figure(name, page=None):
        reader = {"reduced_motion": "no-preference", "has_touch": True}
        shown.append(show(name, page, width=360, **reader))
        return shown[-1]

    yield show_figure
    for figure in shown:
        figure.ask("figure.play(false)")


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


# The computational graph

PARTS = """(parts) => parts.filter((e) => getComputedStyle(e).visibility === "visible")
    .map((e) => [e.dataset.name, e.textContent])"""


@pytest.fixture
def graph(show):
    page = show("graph")
    page.wait_for("figure.board.firstChild")
    page.ask("figure.set('x=2.00; W=0.50')")
    page.ask("figure.go(0)")
    return page


def test_graph_computes_what_dezero_computes(graph):
    for x, W in itertools.product((-2.0, -0.5, 0.0, 2.0, 3.0), (-2.0, 0.5, 2.0, 3.0)):
        given = figure_graph.GIVEN | {"x": x, "W": W}
        expected = figure_graph.numbers(given)
        found = graph.ask("regression.numbers(given)", given)
        assert found.pop("one") == 1
        assert found.pop("slope") == expected["ŷ.grad"]
        assert set(expected) - set(found) == {"x.grad", "y.grad"}
        for name, value in found.items():
            assert value == expected[name], name


def test_numbers_of_the_graph_appear_step_by_step(graph):
    expected = figure_graph.numbers(figure_graph.GIVEN)
    expected |= {"one": 1, "slope": expected["ŷ.grad"]}
    steps = [
        ["x", "W", "b", "y"],
        ["xW"],
        ["ŷ"],
        ["loss"],
        ["loss.grad"],
        ["slope", "ŷ.grad"],
        ["one", "xW.grad", "b.grad"],
        ["x", "W.grad"],
    ]
    numbers, seen, told = graph.figure.locator("[data-name]"), [], []
    for step, names in enumerate(steps):
        seen += names
        told.append(graph.status)
        shown = numbers.evaluate_all(PARTS)
        assert sorted(name for name, _ in shown) == sorted(seen)
        for name, text in shown:
            assert number(text) == expected[name], name
        now = graph.figure.locator("text.now [data-name]").evaluate_all(PARTS)
        assert sorted(name for name, _ in now) == sorted(names if step else [])
        graph.button("進む").press("Enter")
    assert len(set(told)) == len(told) and graph.status == told[-1]
    assert [text[:3] for text in told[1:]] == ["順伝播"] * 3 + ["逆伝播"] * 4
    results = ["xW", "ŷ", "loss", "ŷ.grad", "b.grad", "W.grad"]
    for name, text in zip(results, told[1:4] + told[5:], strict=True):
        assert number(re.findall(r"−?\d+\.\d\d", text)[-1]) == expected[name], text
    for text in reversed(told):
        assert graph.status == text
        graph.button("戻る").press("Space")
    assert graph.status == told[0]


def test_graph_is_changed_by_keys_and_touch(graph, phone):
    graph.button("最後まで").click()
    graph.slider("W").focus()
    for _ in range(2):
        graph.tab.keyboard.press("ArrowRight")
    assert graph.ask("[figure.given.W, figure.at]") == [1.5, 7]
    W_grad = figure_graph.numbers(figure_graph.GIVEN | {"W": 1.5})["W.grad"]
    written = f"{W_grad:.2f}".replace("-", "−")
    assert graph.figure.locator("[data-name='W.grad']").text_content() == written
    assert f"= {written} です" in graph.status
    hand = phone("graph")
    hand.wait_for("figure.board.firstChild")
    hand.ask("figure.go(0)")
    hand.button("進む").tap()
    assert "MatMul" in hand.status


# The replay buffer


def test_ring_is_written_like_the_replay_buffer(ring):
    ours = ReplayBuffer(SIZE, BATCH, seed=0)
    contents = ring.ask(
        """[1, 2, 199, 200, 201, 450].map((added) => {
            const buffer = new RingBuffer(200);
            for (let k = 0; k < added; k++) buffer.add(k);
            return [added, buffer.length, buffer.next, buffer.slots.slice(0, buffer.length)];
        })"""
    )
    for added, length, following, slots in contents:
        while ours.num_added < added:
            state = np.float32([ours.num_added])
            ours.add(state, 0, 1.0, state, False)
        assert length == len(ours)
        assert following == ours.num_added % ours.buffer_size
        assert slots == ours.state[:length, 0].tolist()


@pytest.mark.parametrize("added", [40, 250])
def test_minibatches_are_sampled_like_those_of_the_chapter(ring, added):
    samples, runs = map(
        np.array,
        compute(
            ring.tab,
            """(added) => ["sample", "consecutive"].map((way) => {
                const buffer = new RingBuffer(200);
                for (let k = 0; k < added; k++) buffer.add(k);
                return Array.from({ length: 5000 }, () =>
                    buffer[way](16).map((slot) => buffer.slots[slot]));
            })""",
            added,
        ),
    )
    oldest, length = max(added - SIZE, 0), min(added, SIZE)
    kept = np.arange(oldest, added)
    assert np.isin(samples, kept).all()
    assert all(len(set(batch)) == BATCH for batch in samples.tolist())
    # Each place of the batch holds any transition as often as another; 2 · 16 such tests.
    for place in samples.T:
        counts = np.bincount(place - oldest, minlength=length)
        assert stats.chisquare(counts).pvalue > 1e-5
    assert (np.diff(runs, axis=1) == 1).all()
    starts = np.bincount(runs[:, 0] - oldest, minlength=length - BATCH + 1)
    assert len(starts) == length - BATCH + 1
    assert stats.chisquare(starts).pvalue > 1e-5


def test_likeness_is_measured_as_in_the_chapter(ring):
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.standard_normal(300))
    batches = values[rng.integers(285, size=(50, 1)) + np.arange(BATCH)]
    found = ring.ask(
        "[likeness.correlation(given[0]), likeness.effectiveSize(...given)]",
        [batches.tolist(), values.tolist()],
    )
    before, after = batches[:, :-1].ravel(), batches[:, 1:].ravel()
    whole = values.mean()
    sigma2 = np.mean((values - whole) ** 2)
    size = sigma2 / np.mean((batches.mean(axis=1) - whole) ** 2)
    expected = [np.corrcoef(before, after)[0, 1], size]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_ring_fills_wraps_and_is_sampled(ring):
    assert ring.button("取り出す").is_disabled()
    ring.button("1 個書く").click()
    assert "1 個の遷移を書き、1 個を覚えています" in ring.status
    assert ring.button("取り出す").is_disabled()
    for _ in range(5):
        ring.button("50 個書く").click()
        ring.wait_for("!figure.waiting")
    assert "251 個の遷移を書き、200 個を覚えています" in ring.status
    assert "古い 51 個" in ring.status
    assert ring.ask("figure.buffer.next") == 51
    kept = np.array(ring.ask("figure.buffer.slots"))
    angles = figure_angles.angles()
    np.testing.assert_array_equal(kept, np.roll(angles[51:251], 51))

    ring.button("取り出す").click()
    ring.button("1,000 回取り出す").click()
    assert "（1,001 回目）" in ring.status
    ring.figure.get_by_text("無作為な 16 個").first.click()
    assert ring.ask("figure.way") == "sample"
    ring.button("1,000 回取り出す").click()
    shown = [
        [number(n) for n in re.findall(r"[−\d.]+", text)] for text in ring.readings
    ]
    (alike, few), (unlike, many) = shown
    for way, seen in (("consecutive", (alike, few)), ("sample", (unlike, many))):
        batches = np.array(ring.ask(f"figure.batches['{way}']"))
        pairs = np.corrcoef(batches[:, :-1].ravel(), batches[:, 1:].ravel())
        spread = np.mean((batches.mean(axis=1) - kept.mean()) ** 2)
        assert seen[0] == pytest.approx(pairs[0, 1], abs=0.006)
        assert seen[1] == pytest.approx(kept.var() / spread, abs=0.06)
    # With 1,000 minibatches an effective size has a deviation below 5 %, a correlation one of 0.01.
    assert alike > 0.7 and 1.5 < few < 2.6
    assert abs(unlike) < 0.06 and 14 < many < 21
    average = ring.ask("likeness.mean(figure.batches.sample.at(-1))")
    (told,) = re.findall(r"角度の平均は (−?[\d.]+)°、バッファ", ring.status)
    assert float(told.replace("−", "-")) == pytest.approx(average, abs=0.051)
    ring.button("50 個書く").click()  # another content, other measurements
    assert ring.readings == ["となりの相関 –、有効サンプル数 –"] * 2


def test_ring_writes_little_by_little(ring):
    with ring.moving():
        ring.button("50 個書く").click()
        ring.wait_for("0 < figure.buffer.length && figure.buffer.length < 50")
        ring.wait_for("!figure.waiting")
    assert "50 個を覚えています" in ring.status


# The age of the target


def test_model_moves_as_in_the_chapter(model):
    assert model.ask("staleness.intervals") == INTERVALS
    for interval in INTERVALS:
        path = model.ask(
            "staleness.follow(given).map((p) => [p.estimate, p.target])", interval
        )
        expected = follow(interval)
        size = np.abs(expected).max()
        np.testing.assert_allclose(path, expected, rtol=1e-9, atol=1e-9 * size)


def test_model_is_operated_by_buttons_and_keys(model):
    model.button("一歩").focus()
    for _ in range(3):
        model.tab.keyboard.press("Enter")
    estimate, target = follow(1)[3]
    assert (
        f"3 ステップ：見積もり {estimate:.2f}、TD ターゲット {target:.2f}"
        in model.status
    )
    assert [number(text) for text in model.readings[:2]] == [
        round(estimate, 2),
        round(target, 2),
    ]
    with model.moving():
        model.button("動かす").click()
        model.wait_for("figure.at > 6")
        model.button("止める").click()
    assert not model.ask("figure.running")
    at = model.ask("figure.at")
    model.slider("同期の間隔").focus()
    for interval in (2, 5, 10, 20):
        model.tab.keyboard.press("ArrowRight")
        assert f"間隔 {interval}、{at} ステップ" in model.status
    assert model.slider("同期の間隔").get_attribute("aria-valuetext") == "20 ステップ"
    model.button("最後まで").click()
    assert f"500 ステップ：見積もり {follow(20)[-1, 0]:.2f}" in model.status
    assert model.readings[2:] == ["0 ステップ", "25 回"]
    model.slider("同期の間隔").fill("0")
    assert re.search(r"見積もり \d\.\d × 10⁹", model.status)
    model.button("はじめから").click()
    assert model.ask("figure.at") == 0


# The bias of the maximum


def uniform(seed: int, count: int) -> np.ndarray:
    """mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c"""
    found = []
    for _ in range(count):
        seed = (seed + 0x6D2B79F5) % 2**32
        t = (seed ^ (seed >> 15)) * (1 | seed) % 2**32
        t = ((t + (t ^ (t >> 7)) * (61 | t) % 2**32) % 2**32) ^ t
        found.append((t ^ (t >> 14)) / 2**32)
    return np.array(found)


def normal(seed: int, count: int) -> np.ndarray:
    first, second = uniform(seed, 2 * count).reshape(-1, 2).T
    return np.sqrt(-2 * np.log(1 - first)) * np.cos(2 * np.pi * second)


def test_mean_of_the_largest_is_exact(bias):
    numbers = range(1, 21)
    found = bias.ask("given.map((k) => maxBias.expected(k))", list(numbers))
    expected = [moment(k, 1) for k in numbers]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found[1] == pytest.approx(1 / np.sqrt(np.pi), abs=1e-9)
    curve = bias.ask("maxBias.curve().map((p) => [p.x, p.density, p.below])")
    x, density, below = np.array(curve).T
    np.testing.assert_allclose(density, stats.norm.pdf(x), atol=1e-12)
    np.testing.assert_allclose(below, stats.norm.cdf(x), atol=1e-9)


@pytest.mark.parametrize("actions", [1, 2, 4, 20])
def test_draws_have_a_seed_and_agree_with_the_integral(bias, actions):
    bias.slider("誤差の大きさ").fill("1.5")
    bias.slider("行動の数").fill(str(actions))
    bias.ask("figure.more(4999)")
    found = bias.ask("[figure.maxima, figure.means]")
    errors = normal(1, 5_000 * actions).reshape(5_000, actions)
    np.testing.assert_allclose(found[0], errors.max(axis=1), atol=1e-9)
    means = {"all": errors.mean(), "max": errors.max(axis=1).mean()}
    for key, mean in means.items():
        assert found[1][key] == pytest.approx(1.5 * mean, abs=1e-9)
    assert found[1]["exact"] == pytest.approx(1.5 * moment(actions, 1), abs=1e-9)
    # The seed is fixed, so this never changes; another seed would fail 1 time in 1,000.
    deviation = np.sqrt((moment(actions, 2) - moment(actions, 1) ** 2) / 5_000)
    assert abs(means["max"] - moment(actions, 1)) < 3.3 * deviation
    assert [number(text) for text in bias.readings] == pytest.approx(
        [found[1]["all"], found[1]["max"], found[1]["exact"]], abs=0.0051
    )


def test_maximum_is_operated_by_buttons_and_keys(bias):
    bias.button("はじめから").focus()
    bias.tab.keyboard.press("Enter")
    bias.button("一回引く").focus()
    bias.tab.keyboard.press("Enter")
    bias.tab.keyboard.press("Enter")
    assert "3 回：いまの最大は" in bias.status
    bias.button("1,000 回引く").click()
    assert "1,003 回：" in bias.status
    before = number(bias.readings[1])
    bias.slider("誤差の大きさ").fill("2")
    assert "1,003 回：" in bias.status
    assert number(bias.readings[1]) == pytest.approx(2 * before, abs=0.02)
    bias.slider("行動の数").focus()
    bias.tab.keyboard.press("ArrowRight")
    assert bias.slider("行動の数").get_attribute("aria-valuetext") == "3 個"
    assert number(bias.readings[2]) == round(2 * moment(3, 1), 2)
    bias.ask("figure.more(19000)")
    assert bias.button("1,000 回引く").is_disabled()


# The rewound training


def test_rewind_reads_the_data(rewind, points):
    found = rewind.ask(
        "figure.points.map((p) => [p.episode, p.mean, [...p.levels], p.states])"
    )
    largest = [figure_rewind.POSITION, figure_rewind.ANGLE, figure_rewind.SPEED]
    for (episode, mean, levels, states), point in zip(found, points, strict=True):
        assert (episode, mean) == (point.episode, point.mean)
        assert levels == point.map.ravel().tolist()
        np.testing.assert_allclose(states, point.path / 127 * largest, atol=1e-12)


def test_rewind_tells_actions_and_end(rewind, points):
    for k, point in enumerate(points):
        rewind.slider("ここまでの学習").fill(str(k))
        steps = len(point.path) - 1
        told = rewind.status
        assert f"{steps} ステップで{end(point.path)}。" in told
        found = rewind.ask(
            f"[...Array({steps}).keys()].map((t) => (figure.time = t, figure.action))"
        )
        assert found == actions(point.path)


def test_map_is_blue_where_the_policy_pushes_right(rewind, points):
    """In the middle of each sixteenth of the map, where its four sides agree."""
    rewind.slider("ここまでの学習").fill("7")
    settle(rewind.tab)
    levels = points[7].map.astype(int)
    seen = 0
    for row, column in itertools.product((5, 15, 25, 35), repeat=2):
        near = np.sign(levels[row - 1 : row + 2, column - 1 : column + 2])
        if abs(near.sum()) < 9:
            continue
        red, _, blue, _ = rewind.ask(
            """(([x, y], canvas) => {
                const ratio = canvas.width / canvas.clientWidth;
                const [wide, tall] = [canvas.clientWidth - 56, canvas.clientHeight - 64];
                return [...canvas.getContext("2d").getImageData(
                    (40 + wide * x) * ratio, (24 + tall * y) * ratio, 1, 1).data];
            })(given, figure.map)""",
            [(column + 0.5) / 41, (row + 0.5) / 41],
        )
        assert (blue > red) == (near[0, 0] > 0), (row, column)
        seen += 1
    assert seen >= 10


def test_rewound_episode_is_played_and_stopped(rewind):
    rewind.button("動かす").click()
    rewind.wait_for("figure.time > 1")
    rewind.button("止める").click()
    assert not rewind.ask("figure.playing")


def test_training_is_rewound_by_keys_and_touch(phone):
    rewind = phone("rewind")
    rewind.wait_for("figure.time > 0")
    slider = rewind.slider("ここまでの学習")
    assert slider.get_attribute("aria-valuetext") == "300 エピソード"
    slider.focus()
    rewind.tab.keyboard.press("ArrowLeft")
    assert rewind.status.startswith("280 エピソード学習したあと：")
    rewind.tab.keyboard.press("Home")
    assert rewind.status.startswith("学習の前：")
    curve = rewind.figure.locator("canvas").first
    box = curve.bounding_box()
    curve.tap(position={"x": box["width"] / 2 + 10, "y": box["height"] / 2})
    assert slider.get_attribute("aria-valuetext") == "140 エピソード"
    assert rewind.status.startswith("140 エピソード学習したあと：")
    assert rewind.tab.troubles == []


# The lottery of seeds


def test_lottery_has_the_scores_of_the_record(lottery):
    np.testing.assert_allclose(
        lottery.ask("figure.scores"), figure_seeds.recorded(), atol=1e-9
    )
    assert lottery.ask("figure.truth") == pytest.approx(
        interquartile_mean(figure_seeds.recorded()), abs=1e-9
    )


def test_interquartile_mean_is_that_of_the_package(lottery):
    rng = np.random.default_rng(0)
    samples = [rng.uniform(0, 500, n) for n in [*range(1, 42), 1_000]]
    found = lottery.ask(
        "given.map((values) => statistics.interquartileMean(values))",
        [sample.tolist() for sample in samples],
    )
    expected = [interquartile_mean(sample) for sample in samples]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("count", [2, 3, 5, 10, 40])
def test_same_resampling_gives_the_same_interval(lottery, count):
    rng = np.random.default_rng(count)
    values = rng.choice(figure_seeds.recorded(), count)
    uniform = rng.random((lottery.ask("RESAMPLES"), count))
    means = interquartile_mean(values[(uniform * count).astype(int)], axis=1)
    found = lottery.ask(
        "statistics.bootstrapInterval(given[0], ((k) => () => given[1][k++])(0))",
        [values.tolist(), uniform.ravel().tolist()],
    )
    np.testing.assert_allclose(
        found, np.percentile(means, [2.5, 97.5]), rtol=0, atol=1e-9
    )


def test_interval_agrees_with_that_of_the_package(lottery):
    scores = figure_seeds.recorded()
    theirs = lottery.ask(
        "[...Array(40).keys()].map((k) => statistics.bootstrapInterval(given, live.seeded(k)))",
        scores.tolist(),
    )
    ours = np.array([bootstrap_interval(scores, seed) for seed in range(40)])
    error = np.hypot(np.std(theirs, axis=0), ours.std(axis=0)) / np.sqrt(40)
    assert (error < 0.5).all()  # while the interval is 44 wide
    assert (abs(np.mean(theirs, axis=0) - ours.mean(axis=0)) < 4.5 * error).all()


def test_random_numbers_are_uniform(lottery):
    numbers = np.array(lottery.ask("Array.from({ length: 40_000 }, live.seeded(7))"))
    assert numbers.min() >= 0 and numbers.max() < 1
    counts = np.histogram(numbers, 40, (0, 1))[0]
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 80  # chi-squared, 39 degrees
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.025


def test_draws_of_seeds_agree_with_the_chapter(lottery):
    """Its best seeds have the mean that the chapter's table has, which is computed here anew."""
    scores = figure_seeds.recorded()
    rng = np.random.default_rng(0)
    for count in (1, 3, 10):
        best = rng.choice(scores, size=(10_000, count)).max(axis=1)
        found = lottery.ask(
            "Array.from({ length: 4_000 }, ((r) => () =>"
            " Math.max(...resample(figure.scores, r, given)))(live.seeded(given)))",
            count,
        )
        error = best.std() * np.sqrt(1 / 4_000 + 1 / 10_000)
        assert abs(np.mean(found) - best.mean()) < 4.5 * error


def test_one_seed_has_no_interval(lottery):
    lottery.slider("シードの数").fill("0")
    assert "1 個では、信頼区間を求められません" in lottery.status
    values = lottery.ask("['best', 'mean', 'iqm'].map((key) => figure.all.at(-1)[key])")
    assert len(set(values)) == 1


def test_reported_values_are_those_of_the_draw(lottery):
    lottery.slider("シードの数").fill("3")
    one = lottery.ask("figure.all.at(-1)")
    values = figure_seeds.recorded()[one["chosen"]]
    assert len(values) == 5
    assert one["best"] == pytest.approx(values.max(), abs=1e-9)
    assert one["mean"] == pytest.approx(values.mean(), abs=1e-9)
    assert one["iqm"] == pytest.approx(interquartile_mean(values), abs=1e-9)
    # A resample of one value may have a mean that differs in the last digit.
    assert values.min() - 1e-9 <= one["low"] <= one["high"] <= values.max() + 1e-9
    truth = interquartile_mean(figure_seeds.recorded())
    assert one["hit"] == (one["low"] <= truth <= one["high"])


def test_lottery_is_operated_by_keys(phone):
    lottery = phone("seed-lottery")
    lottery.wait_for("figure.scores")
    slider = lottery.slider("シードの数")
    assert slider.get_attribute("aria-valuetext") == "5 個"
    slider.focus()
    lottery.tab.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "10 個"
    assert lottery.status.startswith("10 個のシード：いちばんよいシード ")
    assert lottery.ask("figure.all.length") == 1
    lottery.tab.keyboard.press("Tab")
    lottery.tab.keyboard.press("Enter")
    assert lottery.ask("figure.all.length") == 2
    lottery.tab.keyboard.press("Tab")
    lottery.tab.keyboard.press("Space")
    lottery.wait_for("figure.all.length === 102")
    settle(lottery.tab)
    assert not lottery.ask("figure.playing")
    row = lottery.figure.locator("tbody tr").nth(1).inner_text().split("\t")
    assert row[:2] == ["10", "102"] and re.fullmatch(r"\d+ / 102", row[-1])
    lottery.button("はじめから").click()
    assert lottery.figure.locator("tbody tr").count() == 1
    assert lottery.tab.troubles == []


# The consulting room


def examine(room, name: str) -> None:
    room.figure.get_by_role("group", name="検査").get_by_text(
        TITLES[name], exact=True
    ).click()


def diagnose(room, name: str) -> None:
    room.figure.get_by_label("診断", exact=True).select_option(DIAGNOSES[name])
    room.button("診断する").click()


def test_room_knows_examinations_and_diagnoses(room):
    assert room.tab.evaluate("EXAMINATIONS") == list(TITLES.values())
    options = room.figure.locator("option").all_text_contents()
    assert options == ["診断を選ぶ", *DIAGNOSES.values()]
    assert "".join(figure_clinic.SHOWN) == room.tab.evaluate("LETTERS")


def test_every_finding_of_the_room_is_the_recorded_one(room):
    findings = figure_clinic.recorded()
    for letter, name in figure_clinic.SHOWN.items():
        room.figure.get_by_label(f"患者 {letter}").check(force=True)
        assert room.readings == [] and room.figure.locator(".live-chart p").count() == 0
        for k, examination in enumerate(TITLES):
            result, sentence = findings[name][examination]
            told = room.ask("(figure.examine(given), figure.told.innerText)", k)
            assert told == f"「{TITLES[examination]}」は{result}です。{sentence}"
        colours = {
            kind: room.figure.locator(f".live-tests .{kind}").count()
            for kind in ("well", "ill")
        }
        results = [result for result, _ in findings[name].values()]
        assert colours == {"well": results.count("正常"), "ill": results.count("異常")}
        assert room.figure.locator(".live-counter").inner_text() == (
            f"検査 {len(TITLES)} 個"
        )


def test_first_diagnosis_counts(room):
    name = figure_clinic.SHOWN["A"]
    room.button("診断する").click()
    assert "一つ選んで" in room.status
    assert room.button("答えを見る").is_disabled()
    examine(room, "synchronization")
    examine(room, "synchronization")
    assert room.figure.locator(".live-counter").inner_text() == "検査 1 個"
    diagnose(room, "healthy")
    assert "違います" in room.status and TITLES["synchronization"] in room.status
    assert "1 人のうち 0 人" in room.status
    assert PATIENTS[name].line not in room.live.inner_text()
    diagnose(room, name)
    assert room.status.startswith("正解です。1 個の検査で")
    assert "1 人のうち 0 人" in room.status
    shown = room.figure.locator(".live-answer code").all_inner_texts()
    assert shown == [PATIENTS[name].broken, PATIENTS[name].line]
    room.figure.get_by_label("患者 B").check(force=True)
    assert room.figure.locator(".live-answer code").count() == 0
    diagnose(room, figure_clinic.SHOWN["B"])
    assert "2 人のうち 1 人" in room.status
    room.figure.get_by_label("患者 A").check(force=True)
    assert room.figure.locator(".live-answer code").count() == 2, "kept"


def test_every_wrong_diagnosis_is_answered_by_a_finding(room):
    findings = figure_clinic.recorded()
    titles = {title: name for name, title in TITLES.items()}
    for letter, name in figure_clinic.SHOWN.items():
        room.figure.get_by_label(f"患者 {letter}").check(force=True)
        for other in DIAGNOSES:
            told = room.ask(
                "(figure.cases[figure.letter].done = [], figure.select.value = given,"
                " figure.diagnose(), figure.told.innerText)",
                other,
            )
            if other == name:
                assert told.startswith("正解です。")
                continue
            pattern = r"違います。「(.+)」なら、検査「(.+)」は(..)のはずですが、この患者では(..)です。"
            title, examination, theirs, ours = re.match(pattern, told).groups()
            key = titles[examination]
            assert title == DIAGNOSES[other] and theirs != ours
            assert findings[other][key][0] == theirs
            assert findings[name][key][0] == ours


def test_room_is_used_by_keys_and_touch(phone):
    room = phone("clinic")
    room.wait_for("figure.data")
    first = room.figure.locator(".live-tests button").first
    first.focus()
    room.tab.keyboard.press("Enter")
    assert room.status.startswith(f"「{TITLES['program']}」は正常です。")
    room.tab.keyboard.press("Tab")
    room.tab.keyboard.press("Space")
    assert room.figure.locator(".live-counter").inner_text() == "検査 2 個"
    room.figure.get_by_text("患者 D").tap()
    assert "患者 D" in room.status
    room.figure.get_by_text(TITLES["first_step"], exact=True).tap()
    assert "異常" in room.status
    diagnose(room, "never_synced")
    room.button("答えを見る").tap()
    assert PATIENTS["hundredfold_lr"].title in room.status
    assert (
        room.figure.locator(".live-answer code").first.inner_text()
        == "lr: float = 0.05,"
    )
    assert room.figure.locator(".live-status").get_attribute("aria-live") == "polite"
    assert room.tab.troubles == []


# The training in the page

SWITCHES = [
    {"target": False, "replay": False, "norm": True},
    {"target": True, "replay": True, "norm": False},
    {"target": True, "replay": False, "norm": True},
]


@pytest.fixture
def training(show):
    page = show("training")
    page.ask("figure.set('層正規化=あり; ターゲットネットワーク=なし; シード=3')")
    page.button("はじめから").click()
    return page


@pytest.mark.parametrize("parts", SWITCHES, ids=str)
def test_training_learns_as_in_python(training, parts):
    """360 updates, both in float64: the order of the sums differs in the last digits only."""
    learner = figure_training.Learner(7, **parts)
    learner.lengths[:] = 480  # so that some are truncated
    means = [learner.round() for _ in range(45)]
    found = training.ask(
        """(() => {
            const learner = new Learner(given, live.seeded(7));
            learner.lengths.fill(480);
            const means = Array.from({ length: 45 }, () => learner.round());
            const { totals, weights } = learner;
            return [means, totals, weights.map((w) => [...w]), learner.score()];
        })()""",
        parts,
    )
    assert learner.updates == 360 and len(learner.totals) > 100
    assert found[1] == learner.totals and 500 in learner.totals
    np.testing.assert_allclose(found[0], means, rtol=1e-12)
    for ours, theirs in zip(learner.weights, found[2], strict=True):
        np.testing.assert_allclose(np.ravel(ours), theirs, rtol=0, atol=1e-7)
    assert found[3] == pytest.approx(learner.score(), rel=1e-9)


def test_training_in_the_worker_is_seen_and_stopped(training):
    assert training.tab.evaluate("ROUNDS") == figure_training.ROUNDS
    training.button("学ぶ").click()
    training.wait_for("figure.run.curve.length >= 3 && figure.steps + figure.rest > 0")
    training.button("止める").click()
    training.wait_for("!figure.asked")
    curve = training.ask("figure.run.curve")
    np.testing.assert_allclose(curve, figure_training.curve(3, len(curve)), rtol=1e-12)
    settle(training.tab)
    assert training.ask("[figure.run.curve.length, figure.running]") == [
        len(curve),
        False,
    ]
    training.button("学ぶ").click()  # it goes on where it was
    training.wait_for(f"figure.run.curve.length > {len(curve)}")
    training.slider("シード").focus()
    training.tab.keyboard.press("ArrowRight")
    assert training.ask("[figure.runs.length, figure.playing, figure.seed]") == [
        2,
        False,
        4,
    ]
    assert training.ask("figure.runs[1].curve") == []


def test_results_of_trainings_stand_side_by_side(training):
    tell = "figure.hear({ mean: 450, weights: [], norm: true, score: %s })"
    note = training.figure.locator(".live-note")
    training.ask("(figure.run.curve.push(400), " + tell % 430.6 + ")")
    assert "20 本の棒を支えると、平均 431 ステップ" in training.status
    assert note.inner_text() == "層正規化：431（シード 3）"
    training.ask("figure.set('シード=5')")
    training.ask(tell % 212)
    training.ask("figure.set('層正規化=なし')")
    training.ask(tell % 100)
    assert note.inner_text() == (
        "層正規化：431（シード 3）、212（シード 5）\nどれもなし：100（シード 5）"
    )
    training.button("はじめから").click()
    assert training.ask("figure.runs.length") == 1 and "シード" not in note.inner_text()
    assert training.tab.troubles == []


# By touch


def test_pole_is_pushed_by_touch(phone):
    pole = phone("pole", "chapters/03_cartpole_replay")
    assert not pole.ask("figure.running")
    pole.figure.locator(".live-stage").tap(position={"x": 300, "y": 60})
    pole.wait_for("figure.running && figure.action === 1")
    pole.figure.locator(".live-stage").tap(position={"x": 20, "y": 60})
    assert pole.ask("figure.action") == 0
    pole.wait_for("figure.ended !== ''")
    steps = pole.ask("figure.steps")
    assert f"{steps} ステップ" in pole.status
    assert pole.figure.locator(".live-counter").inner_text() == f"{steps} ステップ"


@pytest.mark.parametrize(
    ("name", "pressed", "told"),
    [
        ("ring-buffer", "50 個書く", "200 個の遷移を書き"),
        ("staleness", "動かす", "500 ステップ"),
        ("max-bias", "1,000 回引く", "1,001 回"),
    ],
)
def test_touch_with_reduced_motion_works_at_once(phone, name, pressed, told):
    page = phone(name)
    page.tab.emulate_media(reduced_motion="reduce")
    if name == "ring-buffer":
        page.wait_for("figure.angles && !figure.waiting")
    frames = page.ask("figure.frames")
    page.button(pressed).tap()
    settle(page.tab)
    assert told in page.status
    assert not page.ask("figure.running") and page.ask("figure.frames") == frames
    assert page.figure.locator(".live-status").get_attribute("aria-live") == "polite"
    assert page.tab.troubles == []


# The game


@pytest.fixture
def game(show):
    page = show("breakout")
    page.figure.get_by_text("あなた", exact=True).click()
    page.button("はじめから").click()
    return page


class Watched:
    """A generator whose last chances are kept."""

    def __init__(self, rng):
        self.rng = rng

    def __getattr__(self, name):
        return getattr(self.rng, name)

    def random(self, size):
        self.last = self.rng.random(size)
        return self.last


def board(boards: Breakout, k: int) -> dict:
    """One of the boards, as the page keeps it."""
    names = {"x": "x", "y": "y", "dx": "dx", "dy": "dy", "old_x": "oldX"}
    names |= {"old_y": "oldY", "paddle": "paddle", "t": "t"}
    found = {ours: int(getattr(boards, name)[k]) for name, ours in names.items()}
    return found | {"bricks": boards.bricks[k].ravel().tolist()}


def played(games: int, steps: int, seed: int) -> list[tuple]:
    """Boards, actions and slips, and what Python makes of them."""
    rng = np.random.default_rng(seed)
    boards, found = Breakout(games), []
    boards.reset(rng)
    boards.rng = Watched(boards.rng)
    for _ in range(steps):
        wanted = np.clip(boards.x + boards.dx - 1 - boards.paddle, -1, 1) + 1
        chance = rng.random(games) < 0.9
        actions = np.where(chance, wanted, rng.integers(3, size=games))
        before = [board(boards, k) for k in range(games)]
        step = boards.step(actions)
        for k in range(games):
            result = (
                np.flatnonzero(step.next_states[k]).tolist(),
                float(step.rewards[k]),
                bool(step.terminated[k]),
                bool(step.truncated[k]),
            )
            slips = bool(boards.rng.last[k] < SLIP)
            found.append((before[k], int(actions[k]), slips, [*result]))
    return found


def test_game_is_played_as_in_python(game):
    moves = played(games=6, steps=700, seed=0)
    found = compute(
        game.tab,
        """(moves) => moves.map(([board, action, slips]) => {
            const { next, reward, terminated, truncated } = breakout.step(board, action, slips);
            const screen = [...breakout.screen(next)].flatMap((v, k) => (v ? [k] : []));
            return [screen, reward, terminated, truncated];
        })""",
        [move[:3] for move in moves],
    )
    expected = [move[3] for move in moves]
    assert found == expected
    assert sum(reward for _, reward, _, _ in expected) > 100
    assert any(terminated for _, _, terminated, _ in expected)
    limit = game.tab.evaluate("[breakout.maxSteps, breakout.slip]")
    assert limit == [Breakout().max_steps, SLIP]
    starts = compute(
        game.tab, "() => Array.from({ length: 8000 }, () => breakout.reset())"
    )
    kinds = {(b["x"], b["y"], b["dx"], b["paddle"]) for b in starts}
    assert len(kinds) == 8 * 3 * 2 * 8
    assert all(
        b["oldX"] == b["x"] - b["dx"] and b["oldY"] == b["y"] + 1 for b in starts
    )


def test_network_and_gradient_are_those_of_python(game):
    net = figure_breakout.network()
    boards = Breakout(40)
    states = boards.reset(np.random.default_rng(1))
    for _ in range(60):
        states = boards.step(net.predict(states).argmax(axis=1)).states
    x = Variable(states)
    values = net(x)
    F.sum(values[np.arange(40), values.data.argmax(axis=1)]).backward()
    found, gradients = game.tab.evaluate(
        """async (screens) => {
            const policy = new ScreenPolicy(await live.load("breakout"));
            return [screens.map((s) => policy.actionValues(Float64Array.from(s))),
                    screens.map((s) => [...policy.gradient(Float64Array.from(s))])];
        }""",
        states.tolist(),
    )
    np.testing.assert_allclose(found, values.data, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(gradients, x.grad.data, rtol=1e-3, atol=1e-4)


def test_game_is_played_by_keys_buttons_and_touch(game, phone):
    stage = game.figure.locator(".live-stage")
    game.ask("(figure.board = figure.before = { ...figure.board, paddle: 4 })")
    stage.focus()
    game.tab.keyboard.down("ArrowRight")
    assert game.ask("[figure.playing, figure.held]") == [True, 2]
    game.ask("(figure.play(false), figure.step(), figure.step())")
    assert game.ask("figure.board.paddle") == 6  # as long as it is held
    game.tab.keyboard.up("ArrowRight")
    game.ask("figure.step()")
    assert game.ask("figure.board.paddle") == 6
    game.button("← 左へ").click()
    game.ask("(figure.play(false), figure.step(), figure.step())")
    assert game.ask("figure.board.paddle") == 5  # once pressed, one square
    mobile = phone("breakout")
    mobile.ask("(figure.restart(), figure.board.paddle = 4)")
    box = mobile.figure.locator(".live-stage").bounding_box()
    x, y = box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"]
    mobile.tab.touchscreen.tap(x, y)
    mobile.wait_for("figure.board.paddle < 4")


def test_network_plays_and_shows_what_it_knows(game):
    game.figure.get_by_text("学習したネットワーク", exact=True).click()
    game.wait_for("figure.policy")
    game.button("動かす").click()
    game.wait_for("figure.bricks >= 2 || figure.ended")
    game.ask("(figure.play(false), figure.draw())")
    values = game.ask("figure.actionValues()")
    best = game.figure.locator(".live-bar").evaluate_all(
        "bars => bars.findIndex((bar) => bar.classList.contains('best'))"
    )
    assert best == int(np.argmax(values)) and len(values) == 3
    picture = "figure.scene.toDataURL()"
    plain = game.ask(picture)
    game.figure.get_by_text("価値の勾配を重ねる", exact=True).click()
    same = game.ask(picture) == plain
    assert not same


def test_game_ends_and_begins_again(game):
    game.ask("figure.press(0, false)")
    lost = "{ ...figure.board, x: 9, y: 8, dx: -1, dy: 1, paddle: 0 }"
    game.ask(f"(figure.play(false), figure.board = {lost}, figure.step())")
    assert "玉を落としました" in game.status and "0 個のブロック" in game.status
    game.ask("(figure.restUntil = 0, figure.press(2, false))")
    assert game.ask("[figure.ended, figure.bricks, figure.playing]") == ["", 0, True]
    late = "{ ...figure.board, x: 5, y: 6, dx: 1, dy: -1, t: 999 }"
    game.ask(f"(figure.play(false), figure.board = {late}, figure.step())")
    assert "打ち切りました" in game.status
