"""What a reader sees on certain pages: on a phone, in the dark, without scripts."""

import io
import re

import pytest
from PIL import Image

from built import (
    ROOT,
    address,
    set_scheme,
    settle,
    show_pictures,
    wait_for_formulas,
    widths,
)

each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])

# Tables

BROKEN = """() => [...document.querySelectorAll("article table code")]
    .filter((e) => e.getClientRects().length > 1).map((e) => e.innerText)"""


@pytest.mark.parametrize("page", ["book/notation", "chapters/07_clinic"])
def test_names_in_tables_stay_whole(visit, page):
    tab = visit(page)
    wait_for_formulas(tab)
    for _ in widths(tab, 1280, 360):
        assert tab.locator("article table code").count() > 3
        assert tab.evaluate(BROKEN) == []


def test_table_of_symbols_fits_a_phone(visit):
    tab = visit("book/notation", 360)
    wait_for_formulas(tab)
    wide = tab.evaluate(
        """[...document.querySelectorAll("article table")]
            .filter((e) => e.getBoundingClientRect().right > innerWidth).length"""
    )
    assert wide == 0
    # The meaning stands below the symbol, as wide as the table.
    row = tab.locator("article table").first.locator("tbody tr").nth(1)
    symbol, meaning = (row.locator("td").nth(k).bounding_box() for k in (0, 2))
    assert meaning["y"] >= symbol["y"] + symbol["height"] - 1
    assert meaning["width"] > 250


# Colours


def colours(tab, selector: str) -> list[tuple[int, int, int]]:
    """Pixels of a screenshot: in the corner of an element and beside it."""
    element = tab.locator(selector).first
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    inside = (box["x"] + 3, box["y"] + 3)
    outside = (box["x"] - 6, box["y"] + 3)
    return [picture.getpixel(tuple(map(int, place))) for place in (inside, outside)]


@pytest.mark.parametrize(
    ("page", "picture"),
    [
        ("chapters/01_dezero", "#fig-linear-regression img"),
        ("chapters/04_dqn", "#fig-dqn img"),
    ],
)
@each_scheme
def test_figures_have_the_background_of_the_page(visit, page, picture, scheme):
    tab = visit(page)
    set_scheme(tab, scheme)
    show_pictures(tab)
    inside, outside = colours(tab, picture)
    assert max(abs(a - b) for a, b in zip(inside, outside)) <= 3


def luminance(colour: str) -> float:
    """Of "rgb(r, g, b)", as WCAG defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear))


@each_scheme
def test_comments_have_less_contrast_than_code(visit, scheme):
    tab = visit("chapters/01_dezero")
    set_scheme(tab, scheme)

    def distance(selector: str) -> float:
        ink, paper = tab.locator(selector).first.evaluate(
            """(e) => [getComputedStyle(e).color,
                getComputedStyle(e.closest(".highlight")).backgroundColor]"""
        )
        return abs(luminance(ink) - luminance(paper))

    assert distance(".highlight .c1") < distance(".highlight .n")


def test_colour_maps_are_not_inverted_in_the_dark(visit):
    tab = visit("chapters/02_before_dqn")
    set_scheme(tab, "dark")
    turned = (
        "(parts) => parts.map((e) => getComputedStyle(e).filter.includes('invert'))"
    )
    maps = tab.locator(".tag_colour-map .cell_output img")
    assert maps.evaluate_all(turned) == [False, False]
    others = tab.locator(".cell:not(.tag_colour-map) .cell_output img")
    assert others.count() >= 2 and all(others.evaluate_all(turned))


@each_scheme
def test_links_and_code_differ_in_colour(visit, scheme):
    tab = visit("book/differences")
    set_scheme(tab, scheme)
    colour = "(all) => [...new Set(all.map((e) => getComputedStyle(e).color))]"
    links = tab.locator("article :is(p, dd, td) a.reference").evaluate_all(colour)
    table = tab.locator("article table a.reference").evaluate_all(colour)
    names = tab.locator("article code").evaluate_all(colour)
    assert len(links) == 1 and table == links
    assert not set(names) & set(links)


# Formulas


def test_punctuation_stays_with_its_formula(visit):
    tab = visit("chapters/02_before_dqn", 360)
    wait_for_formulas(tab)
    apart = """() => [...document.querySelectorAll("article .one-line")]
        .filter((e) => e.checkVisibility() && e.getClientRects().length > 1).map((e) => e.textContent)"""
    assert tab.locator("article .one-line").count() >= 5
    assert tab.evaluate(apart) == []
    loose = """() => [...document.querySelectorAll("article span.math")]
        .filter((e) => !e.closest('.one-line') && /^[、。）]/.test(e.nextSibling?.data ?? "")).length"""
    assert tab.evaluate(loose) == 0


# On a phone

mobile = pytest.mark.chromium("shows a page as a phone does")


@mobile
def test_contents_close_when_a_section_is_chosen(visit):
    tab = visit("chapters/02_before_dqn", 360, has_touch=True, is_mobile=True)
    tab.locator("button.secondary-toggle").tap()
    tab.locator("dialog[open] a[href^='#']").nth(2).tap()
    assert tab.locator("dialog[open]").count() == 0


@mobile
def test_first_tap_shows_the_card_second_opens_the_glossary(visit):
    tab = visit("chapters/02_before_dqn", 360, has_touch=True, is_mobile=True)
    link = tab.locator("article a[aria-description]:visible").first
    card = tab.locator(".term-card")
    link.tap()
    assert tab.url.partition("#")[0].endswith("02_before_dqn.html")
    assert link.get_attribute("aria-description") in card.inner_text()
    tab.locator("article h1").tap()
    assert not card.is_visible()
    link.tap()
    link.tap()
    tab.wait_for_url("**/glossary.html#*")


def test_sidebar_opens_on_a_phone(tab):
    tab.set_viewport_size({"width": 360, "height": 800})
    tab.goto(address("book/glossary"))
    tab.locator("button.primary-toggle:visible").first.click()
    link = tab.locator(".bd-sidebar-primary a, dialog a", has_text="用語集").first
    link.wait_for(state="visible")
    settle(tab)  # the drawer slides in
    box = link.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 360


# The first page and the cover


def test_first_page_fits_every_screen(visit):
    tab = visit("book/index")
    boxes = "all => all.map((e) => e.getBoundingClientRect().toJSON())"
    for width in widths(tab):
        for selector in (".results td", ".start a", ".chapters li", ".chapters a"):
            found = tab.locator(selector).evaluate_all(boxes)
            for box in found:
                assert box["left"] >= 0 and box["right"] <= width, selector
                assert box["height"] >= 15
            assert found
        inside = tab.locator(".chapters li").evaluate_all(
            "cards => cards.every((e) => e.scrollWidth <= e.clientWidth)"
        )
        assert inside


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_first_screen_shows_the_cart_and_where_to_begin(visit, width, height):
    tab = visit("book/index", width)
    tab.set_viewport_size({"width": width, "height": height})
    settle(tab)
    cart = tab.locator("figure.live-pole")
    parts = [
        tab.locator("article h1"),
        tab.locator(".first > p").first,
        cart.locator("canvas"),
        cart.get_by_role("button", name="棒を左へ"),
        cart.get_by_role("button", name="棒を右へ"),
        *tab.locator(".start a").all(),
    ]
    for part in parts:
        box = part.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= height
    line, stage, start = (parts[k].bounding_box() for k in (1, 2, -1))
    if width == 1280:  # what the book is for, and beside it the whole figure
        assert line["x"] + line["width"] <= stage["x"]
        whole = cart.bounding_box()
        assert whole["y"] + whole["height"] <= height
    else:
        assert line["y"] < stage["y"] < start["y"]


def test_cards_of_chapters_stand_in_even_rows(visit):
    for width in widths(visit("book/index"), 1280, 768):
        boxes = [
            c.bounding_box()
            for c in visit("book/index", width).locator(".chapters li").all()
        ]
        rows = {}
        for box in boxes:
            rows.setdefault(box["y"], []).append(box)
        for row in rows.values():
            assert len({box["height"] for box in row}) == 1
            assert row[-1]["x"] + row[-1]["width"] == pytest.approx(
                max(box["x"] + box["width"] for box in boxes), abs=1
            )


@pytest.mark.parametrize("cover", ["figures/cover.svg", "epub/cover.svg"])
def test_words_of_the_cover_touch_nothing(tab, cover):
    tab.set_viewport_size({"width": 1300, "height": 1900})
    tab.goto((ROOT / "book" / cover).as_uri())
    boxes = tab.evaluate(
        """() => {
            const size = document.documentElement.getBoundingClientRect();
            const box = (e) => { const b = e.getBoundingClientRect();
                return [b.left / size.width, b.top / size.width,
                        b.right / size.width, b.bottom / size.width]; };
            return { words: [...document.querySelectorAll("text")].map(box),
                     drawn: [...document.querySelectorAll("g, svg > path")].map(box) };
        }"""
    )
    words = boxes["words"]
    assert len(words) == 2
    for k, (left, top, right, bottom) in enumerate(words):
        assert left >= 0.02 and right <= 0.98
        for other in [*words[:k], *boxes["drawn"]]:
            apart = (
                other[0] > right
                or other[2] < left
                or other[1] > bottom
                or other[3] < top
            )
            assert apart, cover
