"""The live figures of chapters 3 to 5: they compute what Python computes, and every reader can use them."""

import contextlib
import gzip
import re

import numpy as np
import pytest
from scipy import integrate, stats

from built import HTML, ROOT, address, settle, widths
from rlbook_helpers.replay_buffer import ReplayBuffer

pytest.importorskip("gymnasium")
pytest.importorskip(
    "bs4", reason="the pages are checked with requirements.txt installed"
)
axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()

from conftest import watched_tab
from figures import angles as figure_angles  # tools/figures

pytestmark = pytest.mark.book

FIGURES = {
    "ring-buffer": "chapters/03_cartpole_replay",
    "staleness": "chapters/04_dqn",
    "max-bias": "chapters/05_stable",
}
each_figure = pytest.mark.parametrize("name", FIGURES)
SIZE, BATCH = 200, 16  # of the buffer, of a minibatch


class Page:
    """The page of a figure, as it is for this kind of reader."""

    def __init__(self, tab, name: str):
        self.tab, self.selector = tab, f"figure.live-{name}"
        tab.goto(address(FIGURES[name]))
        self.figure = tab.locator(self.selector)
        self.figure.scroll_into_view_if_needed()
        tab.wait_for_function(
            f"document.querySelector('{self.selector}').live?.begun", timeout=20_000
        )

    def ask(self, expression: str, *given):
        element = f"document.querySelector('{self.selector}')"
        code = f"(given) => {{ const figure = {element}.live; return {expression}; }}"
        return self.tab.evaluate(code, *given)

    def wait_for(self, expression: str) -> None:
        element = f"document.querySelector('{self.selector}')"
        self.tab.wait_for_function(
            f"() => {{ const figure = {element}.live; return {expression}; }}",
            timeout=20_000,
        )

    def button(self, name: str):
        return self.figure.get_by_role("button", name=name, exact=True)

    def slider(self, name: str):
        return self.figure.get_by_role("slider", name=name)

    @property
    def status(self) -> str:
        return self.figure.locator(".live-status").inner_text()

    @property
    def readings(self) -> list[str]:
        return self.figure.locator("dd").all_inner_texts()


@pytest.fixture(scope="module")
def visit(browser):
    with contextlib.ExitStack() as stack:

        def open_page(name, **reader):
            reader = {"viewport": {"width": 1280, "height": 900}, **reader}
            return Page(stack.enter_context(watched_tab(browser, **reader)), name)

        yield open_page


@pytest.fixture(scope="module")
def pages(visit):
    return {name: visit(name) for name in FIGURES}


@pytest.fixture
def ring(pages):
    page = pages["ring-buffer"]
    page.wait_for("figure.angles && !figure.waiting")
    page.ask("figure.restart()")
    return page


@pytest.fixture
def model(pages):
    page = pages["staleness"]
    page.slider("同期の間隔").fill("0")
    page.ask("figure.restart()")
    return page


@pytest.fixture
def bias(pages):
    page = pages["max-bias"]
    page.slider("誤差の大きさ").fill("1")
    page.slider("行動の数").fill("2")
    page.ask("figure.restart()")
    return page


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def polylines(drawing: str) -> list[np.ndarray]:
    text = (ROOT / "book/figures" / f"{drawing}.svg").read_text("utf-8")
    return [
        np.array([[float(n) for n in pair.split(",")] for pair in points.split()])
        for points in re.findall(r'points="([^"]+)"', text)
    ]


# The replay buffer


def test_the_angles_are_those_of_gymnasium():
    assert figure_angles.FILE.read_text("utf-8") == figure_angles.script(), (
        "python tools/figures/angles.py"
    )


def test_the_ring_is_written_as_the_replay_buffer(ring):
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
def test_minibatches_are_taken_as_the_replay_buffer_and_the_chapter_take_them(
    ring, added
):
    samples, runs = map(
        np.array,
        ring.ask(
            """["sample", "consecutive"].map((way) => {
                const buffer = new RingBuffer(200);
                for (let k = 0; k < given; k++) buffer.add(k);
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


def test_what_stands_below_the_ring_is_true(ring):
    angles = np.array(figure_angles.angles())
    for end in range(SIZE, len(angles) + 1, 50):  # as the reader writes them
        kept = angles[end - SIZE : end]
        runs = np.lib.stride_tricks.sliding_window_view(kept, BATCH)
        size = kept.var() / np.mean((runs.mean(axis=1) - kept.mean()) ** 2)
        assert 1.5 < size < 2.5, end
    # Of any 200 numbers, without putting back
    assert BATCH * (SIZE - 1) / (SIZE - BATCH) == pytest.approx(17, abs=0.5)


def test_the_ring_is_filled_wraps_and_is_sampled(ring):
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
    assert f"角度の平均は {average:.1f}°".replace("-", "−").replace("−0.0", "0.0") in (
        ring.status
    )
    ring.button("50 個書く").click()  # another content, other measurements
    assert ring.readings == ["となりの相関 –、有効サンプル数 –"] * 2


# The age of the target

FEATURES = np.array([[1.0, 0.0], [2.0, 3.0]])  # of A and of B
SHARES, GAMMA, ALPHA, STEPS = np.array([0.9, 0.1]), 0.9, 0.1, 500
INTERVALS = [1, 2, 5, 10, 20, 30, 50, 100, 200, 500]


def follow(interval: int) -> np.ndarray:
    """Estimate and TD target of A (STEPS + 1, 2), written out as in the chapter."""
    w1 = w2 = 0.0
    path = []
    for step in range(STEPS + 1):
        V_A, V_B = w1, 2 * w1 + 3 * w2
        if step % interval == 0:
            y = 1 + GAMMA * V_B
        path.append((V_A, y))
        w1 += ALPHA * (0.9 * (y - V_A) + 0.1 * 2 * (y - V_B))
        w2 += ALPHA * 0.1 * 3 * (y - V_B)
    return np.array(path)


def growth(interval: int) -> float:
    """By which the errors of the weights grow from one synchronisation to the next, in the long run."""
    to_old = FEATURES.T @ SHARES[:, None] @ (GAMMA * FEATURES[1:])
    to_new = FEATURES.T @ np.diag(SHARES) @ FEATURES
    steps = np.linalg.matrix_power(np.eye(2) - ALPHA * to_new, interval)
    settled = np.linalg.solve(to_new, to_old)
    period = steps + (np.eye(2) - steps) @ settled
    return np.abs(np.linalg.eigvals(period)).max()


def test_the_model_moves_as_the_chapter_writes_it(model):
    assert model.ask("staleness.intervals") == INTERVALS
    for interval in INTERVALS:
        path = model.ask(
            "staleness.follow(given).map((p) => [p.estimate, p.target])", interval
        )
        expected = follow(interval)
        size = np.abs(expected).max()
        np.testing.assert_allclose(path, expected, rtol=1e-9, atol=1e-9 * size)


def test_what_stands_below_the_model_is_true():
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


def test_the_printed_model_is_the_same():
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


def test_the_model_is_worked_by_buttons_and_keys(model):
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


def moment(actions: int, power: int) -> float:
    """Of the largest of so many standard normal numbers."""

    def weighted(x):
        density = stats.norm.pdf(x) * stats.norm.cdf(x) ** (actions - 1)
        return x**power * actions * density

    return integrate.quad(weighted, -10, 10, epsabs=1e-12, epsrel=1e-12, limit=200)[0]


def test_the_mean_of_the_largest_is_exact(bias):
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
def test_the_draws_are_those_of_the_seed_and_agree_with_the_integral(bias, actions):
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


def test_what_stands_below_the_maximum_is_true():
    assert abs(moment(1, 1)) < 1e-9
    assert [f"{moment(k, 1):.2f}" for k in (2, 4, 8, 10)] == [
        *("0.56", "1.03", "1.42"),
        "1.54",  # in the printed figure
    ]
    means = [moment(k, 1) for k in range(1, 21)]
    assert (np.diff(means) > 0).all() and (np.diff(means, n=2) < 0).all()


def test_the_printed_maximum_is_the_same():
    lines = polylines("max_bias")
    for panel, actions in enumerate((2, 10)):
        for k, line in zip((1, actions), lines[2 * panel :]):
            x, y = line.T
            x = (x - (16, 356)[panel]) / 308 * 8 - 4
            density = k * stats.norm.pdf(x) * stats.norm.cdf(x) ** (k - 1)
            np.testing.assert_allclose((262 - y) / 170 * 0.63, density, atol=0.003)


def test_the_maximum_is_worked_by_buttons_and_keys(bias):
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


# Everybody can use them


@each_figure
def test_its_script_is_small(name):
    script = HTML / f"_static/figures/{name}.js"
    assert len(gzip.compress(script.read_bytes(), 6)) <= 4_000


@each_figure
def test_without_scripts_and_on_paper_the_printed_figure_stands(pages, name):
    page = pages[name]
    picture, live = page.figure.locator("img"), page.figure.locator(".live")
    assert live.is_visible() and not picture.is_visible()
    page.tab.emulate_media(media="print")
    assert picture.is_visible() and not live.is_visible()
    page.tab.emulate_media(media="screen")
    note = page.tab.locator(f"{page.selector} + details.admonition")
    assert note.locator("summary").inner_text().strip() == "気づくこと"
    assert not note.locator("li").first.is_visible()


@each_figure
def test_a_finger_works_it_on_a_phone_that_wants_calm(visit, name):
    page = visit(
        name,
        viewport={"width": 360, "height": 740},
        has_touch=True,
        reduced_motion="reduce",
    )
    press, told = {
        "ring-buffer": ("50 個書く", "200 個の遷移を書き"),
        "staleness": ("動かす", "500 ステップ"),
        "max-bias": ("1,000 回引く", "1,001 回"),
    }[name]
    if name == "ring-buffer":
        page.wait_for("figure.angles && !figure.waiting")
    assert not page.ask("figure.running")
    frames = page.ask("figure.frames")
    page.button(press).tap()
    settle(page.tab)
    assert told in page.status
    assert page.ask("figure.frames") == frames == 0  # all at once
    assert page.figure.locator(".live-status").get_attribute("aria-live") == "polite"
    assert page.tab.troubles == []


@each_figure
def test_the_focus_is_seen_on_every_control(pages, name):
    controls = pages[name].figure.locator(".live :is(button:not(:disabled), input)")
    assert controls.count() >= 4
    for control in controls.all():
        control.focus()
        pages[name].tab.keyboard.press("Shift")  # as with the keyboard
        seen = control.evaluate(
            """(e) => [e, e.closest("label")].filter(Boolean).some((part) => {
                const { outlineStyle, outlineWidth } = getComputedStyle(part);
                return outlineStyle === "solid" && parseFloat(outlineWidth) >= 2;
            })"""
        )
        assert seen, control


@each_figure
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_it_fits(pages, name, scheme):
    page = pages[name]
    page.tab.emulate_media(color_scheme=scheme)
    page.tab.wait_for_selector(f"html[data-theme={scheme}]")
    for width in widths(page.tab, 1280, 360):
        assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
        outside = page.figure.locator(".live *").evaluate_all(
            """(parts) => parts.filter((e) => {
                const { left, right } = e.getBoundingClientRect();
                return left < 0 || right > innerWidth;
            }).map((e) => e.outerHTML)"""
        )
        assert outside == []
        found = axe.run(page.tab, context=page.selector).response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
    assert re.search(
        "[ぁ-ん]", page.figure.locator(".live").get_attribute("aria-label")
    )


@each_figure
def test_its_colours_follow_the_page(pages, name):
    page, seen = pages[name], {}
    page.figure.scroll_into_view_if_needed()
    page.wait_for("!figure.playing")
    for scheme in ("light", "dark", "light"):
        page.tab.emulate_media(color_scheme=scheme)
        page.tab.wait_for_selector(f"html[data-theme={scheme}]")
        settle(page.tab)
        picture = page.figure.locator("canvas").evaluate("e => e.toDataURL()")
        same = seen.setdefault(scheme, picture) == picture
        assert same  # alone: the difference of two pictures takes pytest minutes
    assert len(set(seen.values())) == 2
