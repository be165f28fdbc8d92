"""The site on a web server: speed, wrong addresses, the zip with the book."""

import re
import zipfile

import pytest

import site_files  # book/_ext/site_files.py
from built import CHAPTERS, HTML, PAGES, settle, show_pictures


@pytest.mark.alone
@pytest.mark.chromium("slows its processor down")
def test_largest_page_is_fast_on_a_slow_phone(browser, server):
    largest = max(PAGES, key=lambda page: (HTML / f"{page}.html").stat().st_size)
    """Its text is shown within a second."""
    times = []
    # The best of a few visits: other work on the machine only adds time.
    while not times or (times[-1] > 1000 and len(times) < 10):
        context = browser.new_context(viewport={"width": 360, "height": 740})
        tab = context.new_page()
        session = context.new_cdp_session(tab)
        session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
        tab.goto(f"{server}/{largest}.html", wait_until="commit")
        tab.wait_for_function(
            "performance.getEntriesByName('first-contentful-paint').length > 0"
        )
        times.append(
            tab.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            )
        )
        assert tab.locator("article h1").inner_text().strip()
        context.close()
    assert times[-1] <= 1000, times


@pytest.mark.parametrize("wrong", ["nothing.html", "chapters/99_nothing.html"])
def test_wrong_address_leads_to_the_first_page(tab, server, wrong):
    assert tab.goto(f"{server}/{wrong}").status == 404
    assert "ページが見つかりません" in tab.inner_text("h1")
    tab.click("#home")
    tab.wait_for_url(re.compile(r"/book/index\.html$"))


@pytest.mark.parametrize("wrong", ["nothing.html", "book/nothing.html"])
def test_wrong_address_has_search_and_contents(tab, server, wrong):
    tab.goto(f"{server}/{wrong}")
    links = tab.locator("nav li a").evaluate_all("all => all.map((e) => e.href)")
    assert {f"{server}/{page}.html" for page in PAGES} - set(links) == {
        f"{server}/book/index.html"
    }
    tab.fill("input", "割引率")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#search-results li")


def test_first_visit_is_light_and_has_no_formulas(tab, server):
    sizes = []
    ahead = f"{server}/chapters/{CHAPTERS[0]}.html"  # fetched by Firefox when idle

    def count(answer):
        if answer.url != ahead:
            sizes.append(len(answer.body()))

    tab.on("response", count)
    tab.goto(f"{server}/book/index.html")
    tab.wait_for_function("document.querySelector('.live-pole').live?.actionValues()")
    show_pictures(tab)
    assert 300_000 < sum(sizes) <= 700_000
    assert not [url for url in tab.asked if "mathjax" in url]


SHIFTS = """new PerformanceObserver((list) => list.getEntries().forEach((e) => {
    if (!e.hadRecentInput) window.moved = (window.moved ?? 0) + e.value;
})).observe({ type: "layout-shift", buffered: true })"""


@pytest.mark.chromium("measures how far things jump")
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "page",
    [
        "book/index.html",
        "chapters/03_cartpole_replay.html#fig-pole",
        "search.html?q=割引率",
    ],
)
def test_nothing_jumps_while_a_page_loads(tab, server, page, width):
    """Text that moves by more than the height of a line is annoying; browsers call 0.1 bad."""
    tab.set_viewport_size({"width": width, "height": 800})
    tab.add_init_script(SHIFTS)
    tab.goto(f"{server}/{page}")
    ready = "#search-results li, .is-live canvas, .live-you"
    tab.locator(ready).first.wait_for()
    settle(tab)
    assert tab.evaluate("window.moved ?? 0") <= 0.03


@pytest.mark.parametrize("page", ["book/index", "book/setup"])
def test_book_can_be_downloaded_as_one_zip(tab, server, page):
    tab.goto(f"{server}/{page}.html")
    with tab.expect_download() as download:
        tab.locator(f"article a[href$='{site_files.ZIP}']").first.click()
    assert zipfile.is_zipfile(download.value.path())
