"""The live figure シードのくじ: its statistics are those of the package, its scores those of the record."""

import gzip
import re

import numpy as np
import pytest

from built import address, settle
from rlbook_helpers.experiments.statistics import bootstrap_interval, interquartile_mean

pytest.importorskip(
    "bs4", reason="the pages are checked with requirements.txt installed"
)

from conftest import watched_tab
from figures import seeds as figure_seeds  # tools/figures

pytestmark = pytest.mark.book

PAGE = "chapters/05_stable"
FIGURE = "figure.live-seed-lottery"


def open_figure(tab):
    tab.goto(address(PAGE))
    tab.locator(FIGURE).scroll_into_view_if_needed()
    tab.wait_for_function(f"document.querySelector('{FIGURE}').live.scores")
    return tab.locator(FIGURE)


@pytest.fixture(scope="module")
def shown(browser):
    with watched_tab(browser, viewport={"width": 1280, "height": 900}) as tab:
        open_figure(tab)
        yield tab


def compute(tab, expression: str, *arguments):
    return tab.evaluate(
        f"(a) => {{ const figure = document.querySelector('{FIGURE}').live; return {expression}; }}",
        list(arguments),
    )


# Where its data come from


def test_scores_and_picture_come_from_the_record():
    scores = figure_seeds.recorded()
    assert len(scores) == 40
    remedy = "python tools/figures/seeds.py"
    assert figure_seeds.DATA.read_text("utf-8") == figure_seeds.script(scores), remedy
    picture = figure_seeds.PICTURE.read_text("utf-8")
    assert picture == figure_seeds.picture(scores), remedy


def test_the_page_has_the_scores_of_the_record(shown):
    np.testing.assert_allclose(
        compute(shown, "figure.scores"), figure_seeds.recorded(), atol=1e-9
    )
    assert compute(shown, "figure.truth") == pytest.approx(
        interquartile_mean(figure_seeds.recorded()), abs=1e-9
    )


def test_the_script_is_small():
    path = figure_seeds.DATA.parents[1] / "seed-lottery.js"
    assert len(gzip.compress(path.read_bytes(), 6)) <= 4_096


# What it computes


def test_the_interquartile_mean_is_that_of_the_package(shown):
    rng = np.random.default_rng(0)
    samples = [rng.uniform(0, 500, n) for n in [*range(1, 42), 1_000]]
    found = compute(
        shown,
        "a.map((values) => statistics.interquartileMean(values))",
        *(sample.tolist() for sample in samples),
    )
    expected = [interquartile_mean(sample) for sample in samples]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("count", [2, 3, 5, 10, 40])
def test_the_same_resampling_gives_the_same_interval(shown, count):
    rng = np.random.default_rng(count)
    values = rng.choice(figure_seeds.recorded(), count)
    uniform = rng.random((compute(shown, "RESAMPLES"), count))
    means = interquartile_mean(values[(uniform * count).astype(int)], axis=1)
    found = compute(
        shown,
        "statistics.bootstrapInterval(a[0], ((k) => () => a[1][k++])(0))",
        values.tolist(),
        uniform.ravel().tolist(),
    )
    np.testing.assert_allclose(
        found, np.percentile(means, [2.5, 97.5]), rtol=0, atol=1e-9
    )


def test_the_interval_is_that_of_the_package_up_to_its_random_numbers(shown):
    scores = figure_seeds.recorded()
    theirs = compute(
        shown,
        "[...Array(40).keys()].map((k) => statistics.bootstrapInterval(a, live.seeded(k)))",
        *scores.tolist(),
    )
    ours = np.array([bootstrap_interval(scores, seed) for seed in range(40)])
    error = np.hypot(np.std(theirs, axis=0), ours.std(axis=0)) / np.sqrt(40)
    assert (error < 0.5).all()  # while the interval is 44 wide
    assert (abs(np.mean(theirs, axis=0) - ours.mean(axis=0)) < 4.5 * error).all()


def test_its_random_numbers_are_uniform(shown):
    numbers = np.array(compute(shown, "Array.from({ length: 40_000 }, live.seeded(7))"))
    assert numbers.min() >= 0 and numbers.max() < 1
    counts = np.histogram(numbers, 40, (0, 1))[0]
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 80  # chi-squared, 39 degrees
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.025


def test_its_draws_are_those_of_the_chapter(shown):
    """Its best seeds have the mean that the chapter's table has, which is computed here anew."""
    scores = figure_seeds.recorded()
    rng = np.random.default_rng(0)
    for count in (1, 3, 10):
        best = rng.choice(scores, size=(10_000, count)).max(axis=1)
        found = compute(
            shown,
            "Array.from({ length: 4_000 }, ((r) => () =>"
            " Math.max(...resample(figure.scores, r, a[0])))(live.seeded(a[0])))",
            count,
        )
        error = best.std() * np.sqrt(1 / 4_000 + 1 / 10_000)
        assert abs(np.mean(found) - best.mean()) < 4.5 * error


def test_intervals_of_few_seeds_miss_as_often_as_the_text_says():
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


# How it is used


def test_it_is_used_with_the_keyboard_and_tells_what_happens(browser):
    with watched_tab(browser, viewport={"width": 360, "height": 800}) as tab:
        figure = open_figure(tab)
        slider = figure.get_by_role("slider", name="シードの数")
        assert slider.get_attribute("aria-valuetext") == "5 個"
        slider.focus()
        tab.keyboard.press("ArrowRight")
        assert slider.get_attribute("aria-valuetext") == "10 個"
        status = figure.locator(".live-status")
        assert status.inner_text().startswith("10 個のシード：いちばんよいシード ")
        assert compute(tab, "figure.all.length") == 1
        tab.keyboard.press("Tab")
        tab.keyboard.press("Enter")
        assert compute(tab, "figure.all.length") == 2
        tab.keyboard.press("Tab")
        tab.keyboard.press("Space")
        tab.wait_for_function(
            f"document.querySelector('{FIGURE}').live.all.length === 102"
        )
        settle(tab)
        assert not compute(tab, "figure.playing")
        row = figure.locator("tbody tr").nth(1).inner_text().split("\t")
        assert row[:2] == ["10", "102"] and re.fullmatch(r"\d+ / 102", row[-1])
        assert tab.evaluate("document.documentElement.scrollWidth") == 360
        figure.get_by_role("button", name="はじめから").click()
        assert figure.locator("tbody tr").count() == 1
        assert tab.troubles == []


def test_one_seed_has_no_interval(shown):
    figure = shown.locator(FIGURE)
    slider = figure.get_by_role("slider")
    slider.fill("0")
    assert (
        "1 個では、信頼区間を求められません"
        in figure.locator(".live-status").inner_text()
    )
    values = compute(
        shown, "['best', 'mean', 'iqm'].map((key) => figure.all.at(-1)[key])"
    )
    assert len(set(values)) == 1


def test_what_it_draws_is_what_it_says(shown):
    shown.locator(FIGURE).get_by_role("slider").fill("3")
    one = compute(shown, "figure.all.at(-1)")
    values = figure_seeds.recorded()[one["chosen"]]
    assert len(values) == 5
    assert one["best"] == pytest.approx(values.max(), abs=1e-9)
    assert one["mean"] == pytest.approx(values.mean(), abs=1e-9)
    assert one["iqm"] == pytest.approx(interquartile_mean(values), abs=1e-9)
    assert values.min() <= one["low"] <= one["high"] <= values.max()
    truth = interquartile_mean(figure_seeds.recorded())
    assert one["hit"] == (one["low"] <= truth <= one["high"])
