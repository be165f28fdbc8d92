"""The live figures: they compute what Python computes, and every reader can use them."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from built import HTML, PAGES, ROOT, address, settle
from rlbook_helpers import policies

gym = pytest.importorskip("gymnasium")
pytest.importorskip(
    "bs4", reason="the pages are checked with requirements.txt installed"
)

import figure_weights  # tools/figure_weights.py
from conftest import watched_tab

pytestmark = pytest.mark.book

SCRIPTS = ROOT / "book" / "static" / "figures"
FIGURE = "figure[class*='live-']"


@pytest.fixture(scope="module")
def pages_with_figures(soups):
    pages = [page for page in PAGES if soups[f"{page}.html"].select(FIGURE)]
    assert pages
    return pages


@pytest.fixture(scope="module")
def pole(browser):
    """The first page, whose figure is a pole that a policy drives."""
    with watched_tab(browser, viewport={"width": 1280, "height": 900}) as tab:
        tab.goto(address("book/index"))
        tab.wait_for_function("document.querySelector('figure.live-pole').live.steps")
        yield tab


# What they compute


def test_the_pole_moves_as_in_gymnasium(pole):
    rng = np.random.default_rng(0)
    within = np.array(
        [2.4, 3, 0.21, 3]
    )  # some of them are beyond the limits after a step
    states = rng.uniform(-1.01, 1.01, (1_000, 4)) * within
    actions = rng.integers(2, size=1_000)
    env = gym.make("CartPole-v1").unwrapped
    env.reset(seed=0)
    expected, terminated = [], []
    for state, action in zip(states, actions):
        env.state, env.steps_beyond_terminated = tuple(state), None
        next_state, _, ended, _, _ = env.step(int(action))
        expected.append(next_state)
        terminated.append(ended)
    found = pole.evaluate(
        """([states, actions]) => states.map((state, k) => {
            const next = cartpole.step(state, actions[k]);
            return [next, cartpole.terminated(next)];
        })""",
        [states.tolist(), actions.tolist()],
    )
    np.testing.assert_array_equal(np.float32([s for s, _ in found]), expected)
    assert [ended for _, ended in found] == terminated
    assert 50 < sum(terminated) < 950


@pytest.mark.parametrize("name", figure_weights.RECORDS)
def test_the_networks_give_the_values_of_the_recorded_policies(pole, name):
    policy = policies.load(figure_weights.POLICIES / figure_weights.RECORDS[name])
    rng = np.random.default_rng(1)
    within = np.array([2.4, 3, 0.21, 3])
    states = (rng.uniform(-1, 1, (1_000, 4)) * within).astype(np.float32)
    expected = policy.action_values(states)
    found = pole.evaluate(
        """async ([name, states]) => {
            const policy = new Policy(await live.load(name));
            return states.map((state) => policy.actionValues(state));
        }""",
        [name, states.tolist()],
    )
    size = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * size)
    assert size > 10


@pytest.mark.parametrize("name", figure_weights.RECORDS)
def test_the_weights_come_from_the_record(name):
    record = figure_weights.POLICIES / figure_weights.RECORDS[name]
    wanted = figure_weights.script(name, policies.load(record))
    assert (SCRIPTS / "data" / f"{name}.js").read_text("utf-8") == wanted, (
        "python tools/figure_weights.py"
    )


# What they weigh


def compressed(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), 6))


def test_the_scripts_are_small():
    assert sum(map(compressed, SCRIPTS.glob("*.js"))) <= 40_000


def test_pages_load_the_scripts_of_their_own_figures_only(soups, pages_with_figures):
    for page in PAGES:
        soup = soups[f"{page}.html"]
        figures = " ".join(str(f["class"]) for f in soup.select(FIGURE))
        names = dict.fromkeys(re.findall(r"'live-([\w-]+)'", figures))
        scripts = [
            Path(tag["src"]).name.split(".")[0]
            for tag in soup.select("script[src*='figures/']")
        ]
        assert scripts == (["live", *names] if page in pages_with_figures else [])


def test_a_page_loads_little_data_and_nothing_from_elsewhere(
    browser, server, pages_with_figures
):
    for page in pages_with_figures:
        with watched_tab(browser) as tab:
            urls = []
            tab.on("request", lambda request, urls=urls: urls.append(request.url))
            tab.goto(f"{server}/{page}.html")
            for choice in tab.locator(f"{FIGURE} .live-choice input").all():
                choice.evaluate("e => e.click()")
            for figure in tab.locator(FIGURE).all():
                figure.scroll_into_view_if_needed()
            tab.wait_for_load_state()
            settle(tab)
            data = {url for url in urls if "/figures/data/" in url}
            paths = [HTML / url.removeprefix(f"{server}/") for url in data]
            assert sum(path.stat().st_size for path in paths) <= 150_000, page
            assert all(url.startswith(f"{server}/") for url in urls)
