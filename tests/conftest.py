"""Fixtures of all tests, and how to choose a bound.

A correct program may fail a test, or a compared cell, once in 1,000 runs, on any processor under any load:
- A statistic of random runs: run it with 30 other seeds, fit a distribution and put the bound where its tail
  holds less than 1 in 1,000. With a fixed seed and no floats in between the result never changes.
- Rounding with a fixed seed: run it with other kernels (OPENBLAS_CORETYPE, NPY_DISABLE_CPU_FEATURES); make the
  bound ten times the largest difference. After some thousand updates use the first rule.
- Time: a ratio of the minima of rounds that take turns. An absolute time takes the best of several tries.
"""

import os

import pytest
from threadpoolctl import threadpool_limits

from browser import launch  # tools/browser.py
from built import HTML

NO_BROWSER = "no Chromium or Chrome found"
# Firefox as Chromium is tested: with a mouse, and bars for scrolling that take no room
SETTINGS = {
    "ui.primaryPointerCapabilities": 6,
    "ui.allPointerCapabilities": 6,
    "ui.useOverlayScrollbars": 1,
}


def pytest_addoption(parser):
    parser.addoption("--browser", choices=["chromium", "firefox"], default="chromium")


def pytest_runtest_setup(item):
    """Skip under Firefox what only Chromium can do."""
    only = item.get_closest_marker("chromium")
    if only and item.config.getoption("browser") == "firefox":
        pytest.skip(f"only Chromium {only.args[0]}")


@pytest.fixture(autouse=True, scope="session")
def one_blas_thread():
    """More threads only slow each other down, tenfold on a busy machine."""
    with threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(scope="session")
def browser(request):
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        firefox = request.config.getoption("browser") == "firefox"
        if firefox:
            browser = playwright.firefox.launch(firefox_user_prefs=SETTINGS)
        else:
            browser = launch(playwright)
        if browser is None:
            refuse = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            refuse(NO_BROWSER)
        yield browser
        browser.close()


def pytest_terminal_summary(terminalreporter):
    """Report skipped page tests in one line at the end of the run."""
    skipped = terminalreporter.stats.get("skipped", [])
    unseen = sum(NO_BROWSER in str(report.longrepr) for report in skipped)
    if unseen:
        terminalreporter.write_line(
            f"ブラウザで見る {unseen} 個のテスト (配置、見やすさ、検索、印刷、速さなど) を飛ばしました。"
            "Chromium か Chrome を入れてください / "
            f"{unseen} tests did not look at the pages in a browser (layout, accessibility, search, "
            "print, speed ...): install Chromium or Chrome, e.g. sudo apt install chromium"
        )


@pytest.fixture(scope="session")
def soups():
    """The parsed pages of the built book, by path."""
    bs4 = pytest.importorskip("bs4")
    assert HTML.is_dir(), "make book first"
    paths = {path.relative_to(HTML).as_posix(): path for path in HTML.rglob("*.html")}
    return {
        name: bs4.BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for name, path in paths.items()
        if not name.startswith("_static")
    }
