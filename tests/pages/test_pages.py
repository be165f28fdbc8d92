"""The built book, as files and in a browser: what `make book` left in _build/html."""

import inspect
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import rlbook_helpers
from built import (
    CHAPTERS,
    HTML,
    address,
    cells_of,
    each_chapter,
    each_page,
    show_pictures,
    squeeze,
    wait_for_formulas,
    widths,
)

bs4 = pytest.importorskip(
    "bs4", reason="the pages are checked with requirements.txt installed"
)

pytestmark = pytest.mark.book


@each_page
def test_page_is_japanese_with_one_title(soups, page):
    soup = soups[f"{page}.html"]
    assert soup.html["lang"] == "ja"
    assert len(soup.find("article").find_all("h1")) == 1
    assert soup.title.string.strip()


@each_page
def test_pictures_have_alternative_texts_and_figures_numbered_captions(soups, page):
    article = soups[f"{page}.html"].find("article")
    assert all(img.get("alt", "").strip() for img in article.find_all("img"))
    assert all(video.get("aria-label") for video in article.find_all("video"))
    for figure in article.find_all("figure"):
        assert re.match(r"図 ?\d", figure.find(class_="caption-number").text)
        assert figure.find(class_="caption-text").text.strip()


@each_page
def test_the_text_waits_for_two_files_and_no_picture(soups, page):
    soup = soups[f"{page}.html"]
    awaited = soup.select("link[rel=stylesheet], script[src]:not([defer])")
    names = [(tag.get("href") or tag["src"]).rsplit("/")[-1] for tag in awaited]
    assert [name[:4] + name[-3:] for name in names] == ["all.css", "all..js"]
    pictures = soup.find("article").find_all("img")
    assert all(picture["loading"] == "lazy" for picture in pictures)


@each_page
def test_links_and_anchors_resolve(soups, page):
    broken = []
    for a in soups[f"{page}.html"].find_all("a", href=True):
        url = urlsplit(a["href"])
        if url.scheme or url.netloc:
            continue
        here = HTML / f"{page}.html"
        target = (
            Path(os.path.normpath(here.parent / unquote(url.path)))
            if url.path
            else here
        )
        if not target.is_file():
            broken.append(a["href"])
        elif url.fragment and target.suffix == ".html":
            soup = soups[target.relative_to(HTML).as_posix()]
            if soup.find(id=unquote(url.fragment)) is None:
                broken.append(a["href"])
    assert not broken


@each_page
def test_page_loads_nothing_from_another_host(soups, page):
    for tag in soups[f"{page}.html"].find_all(
        ["script", "link", "img", "video", "source", "iframe"]
    ):
        url = tag.get("src") or (tag.get("href") if tag.name == "link" else None) or ""
        assert not re.match(r"(https?:)?//", url), tag


@each_chapter
def test_every_output_of_the_notebook_is_on_the_page(soups, chapter):
    page = squeeze(soups[f"chapters/{chapter}.html"].find("article").text)
    pictures = 0
    for cell in cells_of(chapter):
        if "remove-cell" in cell["metadata"].get("tags", []):
            continue
        for output in cell.get("outputs", []):
            if output["output_type"] == "stream":
                assert squeeze("".join(output["text"])) in page
            pictures += "image/png" in output.get("data", {})
    figures = soups[f"chapters/{chapter}.html"].select("figure img[src$='.png']")
    assert len(figures) == pictures


@pytest.mark.parametrize(
    "name", ["ReplayBuffer", "QLearningAgent", "DQNAgent", "QNet1", "QNet2"]
)
def test_the_page_shows_the_code_that_runs_highlighted(soups, name):
    source = inspect.getsource(getattr(rlbook_helpers, name))
    listings = [
        pre
        for chapter in CHAPTERS
        for pre in soups[f"chapters/{chapter}.html"].select(
            ".cell_output .highlight pre"
        )
        if pre.text.strip() == source.strip()
    ]
    assert listings and listings[0].find("span", class_="k") is not None


@each_chapter
def test_folded_code_says_what_it_is_and_shows_what_it_gives(soups, chapter):
    """A solution opens with its prose; of code that draws or checks, the output stays in sight."""
    article = soups[f"chapters/{chapter}.html"].find("article")
    assert not article.find(re.compile("h[1-6]"), string=re.compile("^解答"))
    hidden = {"hide-cell": [], "hide-input": []}
    for cell in cells_of(chapter):
        for tag in hidden.keys() & set(cell["metadata"].get("tags", [])):
            hidden[tag].append(cell)
    for tag, cells in hidden.items():
        shown = article.select(f".tag_{tag}")
        assert len(shown) == len(cells)
        for cell, container in zip(cells, shown):
            fold = container.find("details")
            assert squeeze("".join(cell["source"])) in squeeze(fold.text)
            if tag == "hide-cell":
                assert fold.parent == container and fold.select(".cell_output")
                continue
            draws = "figure" in cell["metadata"].get("mystnb", {})
            words = "図のコード" if draws else "確かめるコード"
            assert fold.select_one("summary .collapsed").text == words
            assert not fold.select(".cell_output")
            assert bool(container.find("figure")) == draws


def test_the_prose_of_a_solution_is_folded_with_its_code(soups):
    exercises = soups["chapters/01_dezero.html"].select(
        "section > details, .tag_hide-cell"
    )
    assert len(exercises) >= 4
    for container in exercises:
        prose = container.select_one("details > div > p")
        assert len(prose.text) > 40 and not prose.find_previous_sibling("div")


@each_page
def test_cited_equations_are_numbered(soups, page):
    for a in soups[f"{page}.html"].select("article a.reference[href*='equation-']"):
        assert re.fullmatch(r"\(\d+(\.\d+)?\)", a.text.strip())


# In a browser. Each page is opened once, and seen at several widths.


def test_page_fits_every_screen_without_errors_or_foreign_requests(opened):
    wait_for_formulas(opened)
    height = "document.documentElement.scrollHeight"
    before = {width: opened.evaluate(height) for width in widths(opened)}
    show_pictures(opened)
    for width in widths(opened):
        assert opened.evaluate(height) == before[width], "text jumps as pictures come"
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
        assert opened.locator("article h1").bounding_box()["width"] <= width
        wide = opened.evaluate(
            """[...document.querySelectorAll("article mjx-container[display]")]
                .filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.innerHTML)"""
        )
        assert wide == []
    assert opened.troubles == []


def test_code_fits_beside_the_sidebars_of_a_laptop(opened):
    """The listings of the package may scroll in their box."""
    for _ in widths(opened, 1280):
        wide = opened.evaluate(
            """() => {
                const folded = [...document.querySelectorAll("details:not([open])")];
                folded.forEach((e) => { e.open = true; });
                const wide = [...document.querySelectorAll("article .highlight pre")]
                    .filter((e) => !e.closest(".cell_output") && e.scrollWidth > e.clientWidth)
                    .map((e) => e.innerText);
                folded.forEach((e) => { e.open = false; });
                return wide;
            }"""
        )
        assert wide == []


def test_the_interface_is_japanese(opened):
    """Every label and tooltip outside the text, the names of chapters apart."""
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
    """The site's style sheet keeps only the icons in use."""
    drawings = opened.evaluate(
        """[...document.querySelectorAll("[class*='fa-']")].map(
            (e) => [e.className, getComputedStyle(e, "::before").content])"""
    )
    assert len(drawings) >= 5
    assert not [name for name, drawing in drawings if drawing in ("none", "normal")]


@pytest.mark.parametrize("page", ["book/index", "search"])
def test_there_is_one_search_field(tab, page):
    tab.goto(address(page))
    fields = "button.search-button-field, button.search-button, form.bd-search"
    for _ in widths(tab):
        elements = tab.locator(fields).all()
        assert sum(element.is_visible() for element in elements) == 1
    assert tab.troubles == []


def test_the_sidebar_opens_on_a_phone(tab):
    tab.set_viewport_size({"width": 360, "height": 800})
    tab.goto(address("chapters/04_dqn"))
    tab.locator("button.primary-toggle:visible").first.click()
    link = tab.locator(".bd-sidebar-primary a, dialog a", has_text="用語集").first
    link.wait_for(state="visible")
    tab.wait_for_timeout(400)  # the drawer slides in
    box = link.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360


def test_the_long_table_scrolls_inside_its_box(tab):
    tab.goto(address("chapters/03_cartpole_replay"))
    tab.evaluate(
        "document.querySelectorAll('details').forEach(e => { e.open = true; })"
    )
    for _ in widths(tab):
        heights = tab.locator(".tag_scroll-output .cell_output").evaluate_all(
            "boxes => boxes.map(e => [e.scrollHeight, e.clientHeight])"
        )
        assert heights and all(whole > shown for whole, shown in heights)
        assert all(shown <= 800 for _, shown in heights)


def test_solutions_are_folded(tab):
    tab.goto(address("chapters/01_dezero"))
    for _ in widths(tab):
        solutions = tab.locator(".tag_hide-cell details")
        assert solutions.count() >= 3
        assert not solutions.first.evaluate("e => e.open")
        assert "解答を見る" in solutions.first.inner_text()
