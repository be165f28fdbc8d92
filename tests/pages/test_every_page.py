"""Each page of the book on one visit: weight, layout, labels, accessibility."""

import functools
import gzip
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from built import (
    HTML,
    PAGES,
    ROOT,
    address,
    set_scheme,
    settle,
    show_pictures,
    wait_for_formulas,
    watched_tab,
    weekly,
    weekly_but,
    widths,
)

TEXT = {".html", ".js", ".css", ".svg", ".json", ".ipynb"}


@functools.cache
def transferred(url: str) -> int:
    """Bytes of this file, compressed as web servers do."""
    path = HTML / unquote(urlsplit(url).path).lstrip("/")
    data = path.read_bytes()
    return len(gzip.compress(data, 6)) if path.suffix in TEXT else len(data)


# Pages of plain text, like the others in all that these tests look at
PLAIN = ("differences", "references", "setup", "troubleshooting")
OPENED = [weekly(page) if page.endswith(PLAIN) else page for page in PAGES]


@pytest.fixture(scope="module", params=OPENED)
def opened(browser, server, request):
    """A page on a desktop. Its pictures are missing until `release` is called."""
    with watched_tab(
        browser,
        home=server,
        viewport={"width": 1280, "height": 800},
        reduced_motion="reduce",
    ) as tab:
        held = []

        def release():
            while held:
                held.pop().continue_()
            tab.unroute_all(behavior="ignoreErrors")
            show_pictures(tab)

        tab.page, tab.release = request.param, release
        tab.route("**/_images/**", lambda route: held.append(route))
        tab.goto(f"{server}/{request.param}.html")
        wait_for_formulas(tab)
        yield tab
        release()


MEASURE = """() => ({
    title: document.querySelector("article h1").getBoundingClientRect().width,
    formulas: [...document.querySelectorAll("article mjx-container[display]")]
        .filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.innerHTML),
    pageWidth: document.documentElement.scrollWidth,
})"""
SCROLLING = """() => [...document.querySelectorAll("article *")]
    .filter((e) => e.clientWidth && e.scrollWidth > e.clientWidth + 1
        && ["auto", "scroll"].includes(getComputedStyle(e).overflowX))
    .map((e) => [e.innerText, e.matches(".goes-on")])"""
TURN = "(folds) => folds.forEach((e) => { e.open = !e.open; })"


@pytest.fixture(scope="module")
def measured(opened):
    """What each width of the screen makes of the page; of two, what scrolls when all is unfolded."""
    found = {}
    folds = opened.evaluate_handle(
        "[...document.querySelectorAll('details:not([open])')]"
    )
    for width in widths(opened, 1280, 768, 390, 360):
        found[width] = opened.evaluate(MEASURE)
        if width in (1280, 390):
            folds.evaluate(TURN)
            settle(opened)  # then the edges of boxes are drawn
            found[width]["scrolling"] = opened.evaluate(SCROLLING)
            folds.evaluate(TURN)
    return found


def test_page_fits_every_screen(measured):
    for width, found in measured.items():
        assert max(found["pageWidth"], found["title"]) <= width
        assert found["formulas"] == []


def test_code_wraps_instead_of_scrolling(measured):
    """Beside the sidebars of a laptop, and on a phone, but for a few boxes whose edge shows that they go on."""
    assert measured[1280]["scrolling"] == []
    assert len(measured[390]["scrolling"]) < 5
    for text, edge in measured[390]["scrolling"]:
        assert edge, text


# These have films, tall drawings and outputs; the others follow weekly.
ILLUSTRATED = ("book/index", "chapters/04_dqn")


@pytest.mark.parametrize("opened", weekly_but(*ILLUSTRATED), indirect=True)
def test_text_does_not_move_when_pictures_arrive(opened):
    height = "document.documentElement.scrollHeight"
    before = {width: opened.evaluate(height) for width in widths(opened, 1280, 360)}
    opened.release()
    after = {width: opened.evaluate(height) for width in widths(opened, 360, 1280)}
    assert after == before


def test_page_loads_without_errors_or_foreign_requests(opened):
    opened.release()
    assert opened.troubles == []


@pytest.fixture(scope="module")
def shared(browser, server):
    """What a visit of the first page has put into the cache."""
    with watched_tab(browser, home=server, reduced_motion="reduce") as tab:
        tab.goto(f"{server}/book/index.html")
        show_pictures(tab)
        return set(tab.asked)


def test_page_transfers_little(opened, shared):
    opened.release()
    asked = {url for url in opened.asked if url.startswith("http")}
    asked = {url for url in asked if "/mathjax/" not in url}
    assert 50_000 < sum(map(transferred, asked)) <= 1_300_000
    assert sum(map(transferred, asked - shared)) <= 500_000


def test_interface_is_japanese(opened):
    """Each label and tooltip outside the text, except the names of chapters."""
    labels = opened.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(e => !e.closest('mjx-container'))
        .flatMap(e => ['title', 'aria-label', 'data-tooltip', 'data-bs-original-title', 'placeholder']
          .filter(a => !(a == 'title' && e.closest('article')))  // titles of links are those of pages
          .map(a => e.getAttribute(a)).filter(Boolean))"""
    )
    assert labels
    english = {label for label in labels if not re.search("[ぁ-んァ-ヶ一-龠]", label)}
    assert {label for label in english if not re.match(r"\d+\. ", label)} == set()


def test_every_icon_has_its_drawing(opened):
    """The style sheet of the site keeps only the icons in use."""
    drawings = opened.evaluate(
        """[...document.querySelectorAll("[class*='fa-']")].map(
            (e) => [e.className, getComputedStyle(e, "::before").content])"""
    )
    assert len(drawings) >= 5
    assert not [name for name, drawing in drawings if drawing in ("none", "normal")]


def test_chapter_offers_its_notebook(opened):
    link = opened.locator(".dropdown-download-buttons a[href$='.ipynb']")
    assert link.count() == opened.page.startswith("chapters/")
    if link.count():
        opened.locator(".dropdown-download-buttons > button").click()
        with opened.expect_download() as download:
            link.click()
        offered = Path(download.value.path()).read_bytes()
        assert offered == (ROOT / f"{opened.page}.ipynb").read_bytes()
        opened.keyboard.press("Escape")


# The contrast of thousands of equal tokens takes seconds. Keep one of each look.
SIMPLIFY = """() => {
    const [alike, looks] = [[], new Set()];
    for (const pre of document.querySelectorAll("article .highlight pre")) {
        const papers = [pre, pre.parentElement].map((e) => getComputedStyle(e).backgroundColor);
        for (const token of pre.querySelectorAll("span")) {
            const { color, backgroundColor, fontWeight, opacity } = getComputedStyle(token);
            const look = [token.className, color, backgroundColor, fontWeight, opacity, papers].join();
            if (looks.has(look)) alike.push(token);
            else if (token.checkVisibility()) looks.add(look);
        }
    }
    alike.forEach((token) => token.replaceWith(...token.childNodes));
}"""


COLOURS = ["color-contrast", "link-in-text-block"]


def grave_violations(tab, **options) -> list[tuple]:
    """What axe finds by all its rules, or by those that its options name."""
    tab.evaluate(SIMPLIFY)
    # Style sheets draw the glyphs of formulas, which axe does not see.
    tab.locator("mjx-container").evaluate_all(
        "all => all.forEach((e) => e.replaceChildren())"
    )
    options |= {"resultTypes": ["violations"], "preload": False}
    return [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in Axe().run(tab, options=options).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


def test_page_is_accessible(opened):
    """The last tests, because they simplify the listings."""
    # A while after a change of the width, the theme lets the keyboard reach what scrolls.
    opened.wait_for_function(
        "() => [...document.querySelectorAll('.pst-scrollable-table-container')].every("
        "(box) => box.tabIndex === 0 || box.scrollWidth <= box.clientWidth)"
    )
    others = {"rules": {rule: {"enabled": False} for rule in COLOURS}}
    assert grave_violations(opened, **others) == []


# These have all kinds of colours; the others follow weekly.
COLOURFUL = ("book/index", "chapters/02_before_dqn")


@pytest.mark.parametrize("opened", weekly_but(*COLOURFUL), indirect=True)
def test_colours_have_contrast_by_day_and_night(opened):
    for scheme in ("dark", "light"):
        set_scheme(opened, scheme)
        assert grave_violations(opened, runOnly=COLOURS) == []


@pytest.mark.parametrize("scheme", ["light", weekly("dark")])
def test_bad_contrast_would_be_found(tab, scheme):
    """In a sentence and in one of many equal tokens."""
    tab.goto(address("book/setup"))
    for text, place in (("p", 0), (".highlight span.n", 20)):
        tab.locator(f"article {text}").nth(place).evaluate(
            "e => e.style.color = '#777'"
        )
    set_scheme(tab, scheme)
    [(name, places)] = grave_violations(tab, runOnly=COLOURS)
    assert name == "color-contrast"
    assert {place[:2] for place in places} == {"<p", "<s"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_search_results_are_accessible_and_japanese(tab, scheme):
    tab.set_viewport_size({"width": 375, "height": 800})
    tab.goto(f"{address('search')}?q=行動価値")
    tab.wait_for_selector("#search-results li")
    set_scheme(tab, scheme)
    assert grave_violations(tab) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    texts = tab.locator("h1, #search-results h2, .search-summary").all_inner_texts()
    assert all(re.search("[ぁ-ん一-龠]", text) for text in texts)
