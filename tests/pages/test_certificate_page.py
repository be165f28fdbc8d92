"""The page of a reader's certificate: on a desk, on a phone, in the dark, on paper."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from built import watched_tab
from rlbook_helpers.experiments.certificate import Setting
from rlbook_helpers.experiments.certificate_page import Results, render

VERSIONS = {"python": "3.11.7", "numpy": "2.4.6", "processor": "Intel(R) Xeon(R)"}


def made_up(seed):
    points = [[1000 * k, (37 * k * seed) % 500] for k in range(1, 26)]
    return {
        "seed": seed,
        "versions": VERSIONS,
        "date": "2026-12-01",
        "seconds": 30.0,
        "steps": 25_000,
        "checkpoints": points,
        "evaluation": [400 + seed % 100],
    }


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    setting = Setting("my_dqn_of_a_long_name.py", "ab" * 32, "CartPole-v1", 25_000)
    runs = [made_up(40_000 + 7 * k) for k in range(19)]
    failed = {40_500: "my_dqn.py の 7 行目: " + "x" * 80}
    path = tmp_path_factory.mktemp("certificate") / "my_dqn.html"
    text = render(setting, Results(runs, failed, 475.0), own_loop=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_certificate_fits_and_is_accessible(width, scheme, path, browser):
    size = {"width": width, "height": 800}
    with watched_tab(browser, viewport=size, color_scheme=scheme) as tab:
        tab.goto(path.as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        found = Axe().run(tab, options={"resultTypes": ["violations"]}).response
        assert [violation["id"] for violation in found["violations"]] == []
        # each seed has a line in the figure, or a reason in the table
        assert tab.locator("polyline").count() == 19
        assert tab.locator("tbody tr").count() == 20
        # Firefox does not tell what it asks of files
        assert tab.asked in ([path.as_uri()], []) and not tab.troubles


def test_certificate_is_printed_on_white(path, browser):
    with watched_tab(browser, color_scheme="dark") as tab:
        tab.goto(path.as_uri())
        tab.emulate_media(media="print", color_scheme="dark")
        colours = tab.evaluate(
            "[document.body, document.querySelector('main')]"
            ".map((e) => [getComputedStyle(e).backgroundColor, getComputedStyle(e).color])"
        )
        ink = "rgb(31, 41, 51)"
        assert colours == [["rgba(0, 0, 0, 0)", ink], ["rgb(255, 255, 255)", ink]]
