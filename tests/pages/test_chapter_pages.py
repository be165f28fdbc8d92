"""Each chapter on one visit, from a file: quiz, figures, terms, films, paper, listings."""

import re
from pathlib import Path

import pytest

from built import (
    CHAPTERS,
    ROOT,
    address,
    set_scheme,
    settle,
    unfold,
    wait_for_formulas,
    watched_tab,
    weekly,
    widths,
)

# Together these have all that a chapter may have; the others follow weekly.
VARIED = ("02_before_dqn", "04_dqn", "05_stable", "09_screen")


@pytest.fixture(
    scope="module", params=[c if c in VARIED else weekly(c) for c in CHAPTERS]
)
def chapter(browser, request):
    """A tab with this chapter; `tab.chapter` is its name."""
    desktop = {"width": 1280, "height": 800}
    with watched_tab(browser, viewport=desktop, reduced_motion="reduce") as tab:
        tab.chapter = request.param
        tab.goto(address(f"chapters/{request.param}"))
        wait_for_formulas(tab)
        yield tab


def test_chapter_opens_from_a_file_without_errors(chapter):
    for part in chapter.locator("article figure").all():
        part.scroll_into_view_if_needed()  # live figures load their data
    settle(chapter)
    assert chapter.troubles == []


# Quiz


def test_unfolded_quiz_fits_a_phone(chapter):
    fold = "document.querySelectorAll('.quiz details').forEach((e) => e.open = %s)"
    every = (
        "document.querySelectorAll('.quiz-question').forEach((e) => e.hidden = false)"
    )
    chapter.evaluate(every)
    chapter.evaluate(fold % "true")
    for width in widths(chapter, 360):
        assert chapter.evaluate("document.documentElement.scrollWidth") <= width
        heights = chapter.locator(".quiz summary").evaluate_all(
            "all => all.map((e) => e.getBoundingClientRect().height)"
        )
        assert heights and min(heights) >= 24  # a finger hits it
        wide = "all => all.filter((e) => e.scrollWidth > e.clientWidth).length"
        assert chapter.locator(".quiz details").evaluate_all(wide) == 0
    chapter.evaluate(fold % "false")


# Figures on a phone

# The font sizes, as shown, of all elements with text of their own
SIZES = """(parts) => parts
    .filter((e) => e.checkVisibility() && [...e.childNodes].some((c) => c.nodeType === 3 && c.data.trim()))
    .map((e) => parseFloat(getComputedStyle(e).fontSize) * (e.getScreenCTM?.().a ?? 1))"""

ENLARGE = """async (figures) => {
    const found = [];
    for (const figure of figures) {
        if (!figure.checkVisibility() || figure.querySelector(".live")) continue;
        const [picture, button] = ["img", "button.enlarge"].map((s) => figure.querySelector(s));
        const visible = button.getBoundingClientRect().height > 0;
        button.click();
        const dialog = document.querySelector("dialog[open]");
        const [box, large] = [dialog, dialog.querySelector("img")].map(
            (e) => e.getBoundingClientRect().width);
        found.push({ name: picture.src.split("/").at(-1), drawn: Number(picture.getAttribute("width")),
                     visible, box, large });
        const closed = new Promise((done) => dialog.addEventListener("close", done));
        dialog.querySelector("button").click();
        await closed;
    }
    return found;
}"""


def smallest_text(svg: Path) -> float:
    """The smallest font size of a drawing, of the classes that it uses."""
    text = svg.read_text(encoding="utf-8")
    used = {"text": True} | {
        name: re.search(rf'class="[^"]*\b{name}\b', text)
        for name in ("s", "sub", "code")
    }
    sizes = re.findall(r"\.fig (?:\.)?(\w+) \{[^}]*font-size: ([\d.]+)px", text)
    return min(float(size) for name, size in sizes if used.get(name))


def test_words_of_figures_are_legible_on_a_phone(chapter):
    """At 360 pixels, in place or enlarged: at least 11 pixels high."""
    folds = chapter.locator("article details:has(.live)")
    folds.evaluate_all("all => all.forEach((fold) => { fold.open = true; })")
    for _ in widths(chapter, 360):
        for live in chapter.locator("article figure .live").all():
            live.scroll_into_view_if_needed()
            chapter.wait_for_function(
                "(e) => e.closest('figure').live?.begun", arg=live.element_handle()
            )
            assert min(live.locator("*").evaluate_all(SIZES)) >= 11
        figures = chapter.locator("article figure:has(img)").evaluate_all(ENLARGE)
        assert figures
        for figure in figures:
            assert figure["visible"] and figure["box"] <= 360
            if figure["name"].endswith(".svg"):
                smallest = smallest_text(ROOT / "book/figures" / figure["name"])
                assert smallest * figure["large"] / figure["drawn"] >= 11, figure
            else:
                assert figure["large"] >= 600
        chapter.locator("button.enlarge:visible").first.click()
        chapter.keyboard.press("Escape")
        chapter.locator("dialog[open]").wait_for(state="detached")
    folds.evaluate_all("all => all.forEach((fold) => { fold.open = false; })")


def test_figures_need_no_button_on_a_desktop(chapter):
    for _ in widths(chapter, 1280):
        heights = chapter.locator("article figure button.enlarge").evaluate_all(
            "all => all.map((e) => e.getBoundingClientRect().height)"
        )
        assert heights and max(heights) == 0


# Terms


def test_terms_show_their_meaning_to_mouse_and_keyboard(chapter, soups):
    glossary = soups["book/glossary.html"]
    links = chapter.locator("article a:has(.term)")
    found = links.evaluate_all(
        "all => all.map((e) => [e.textContent, e.getAttribute('href'), e.ariaDescription])"
    )
    assert len(found) >= 10 and len({name for name, _, _ in found}) == len(found)
    for name, href, description in found:
        term = glossary.find(id=href.partition("#")[2])
        assert term.find(string=True) == name
        assert description.endswith("。")
        meaning = term.find_next("dd")
        if not meaning.select(".math"):
            assert meaning.get_text().replace("\n", "").startswith(description)
    chapter.set_viewport_size({"width": 1280, "height": 800})
    link = chapter.locator("article a:has(.term):visible").first
    card, word = chapter.locator(".term-card"), link.inner_text()
    assert not card.is_visible()
    link.hover()
    meaning = link.get_attribute("aria-description")
    assert card.inner_text() == f"{word} {meaning}"
    near, line = card.bounding_box(), link.bounding_box()
    assert near["x"] >= 0 and near["x"] + near["width"] <= 1280
    gap = max(
        near["y"] - line["y"] - line["height"], line["y"] - near["y"] - near["height"]
    )
    assert 0 <= gap <= 12, "beside the word, not over it"
    chapter.mouse.move(0, 0)
    assert not card.is_visible()
    chapter.keyboard.press("Tab")  # from here on the focus is the keyboard's
    link.focus()
    assert card.is_visible()
    chapter.keyboard.press("Escape")  # a card may cover what the reader wants to read
    assert not card.is_visible()
    link.blur()
    link.focus()
    assert card.is_visible()
    link.blur()


# Films


def test_film_has_caption_controls_and_a_dark_look(chapter, soups):
    films = chapter.locator("article video").all()
    source = soups[f"chapters/{chapter.chapter}.html"]
    assert len(films) == len(source.select("article video"))
    for film in films:
        caption = film.locator("xpath=ancestor::figure//figcaption")
        assert re.match(r"図 ?\d+\.\d+", caption.inner_text())
        assert film.get_attribute("loop") is not None
        assert film.evaluate("(e) => e.paused && !e.controls")
        bar = film.locator("xpath=..")
        button, place = bar.locator("button"), bar.locator("input[type=range]")
        for width in widths(chapter, 360, 1280):
            film.scroll_into_view_if_needed()
            box = film.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width
            for part in (button, place):
                assert part.bounding_box()["y"] >= box["y"] + box["height"] - 1
        assert button.get_attribute("aria-label") == "再生"
        button.click()
        chapter.wait_for_function(
            "(e) => e.currentTime > 0.1", arg=film.element_handle()
        )
        assert button.get_attribute("aria-label") == "停止"
        assert float(place.input_value()) > 0
        place.fill("0.5")
        chapter.wait_for_function(
            "(e) => e.paused && Math.abs(e.currentTime / e.duration - 0.5) < 0.02",
            arg=film.element_handle(),
        )
    if films:
        set_scheme(chapter, "dark")
    looks = "all => all.map((e) => getComputedStyle(e).filter)"
    for look in chapter.locator("article video").evaluate_all(looks):
        assert float(re.fullmatch(r"brightness\((.+)\)", look)[1]) <= 0.85
    set_scheme(chapter, "light")


# Listings and paper

LINES = 40  # a longer listing is shortened
WHOLE = "(all) => all.every((e) => e.scrollHeight <= e.clientHeight + 2)"
VISIBLE = "(all) => all.filter((e) => e.checkVisibility()).map((e) => e.outerHTML)"
CUT = """() => [...document.querySelectorAll("article .highlight pre")]
    .filter((e) => e.scrollHeight > e.clientHeight + 2
        && !e.closest(".shortened")?.nextElementSibling?.matches("button.show-all"))
    .map((e) => e.innerText)"""


def test_on_paper_solutions_are_unfolded(chapter):
    """And nothing but the text is printed, listings whole, solutions and quizzes unfolded."""
    folded = chapter.locator("article details:not([open])")
    assert folded.count() >= 3
    chapter.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert folded.count() == 0
    loading = "[...document.images].map((e) => e.loading)"
    assert set(chapter.evaluate(loading)) == {"eager"}
    chapter.emulate_media(media="print")
    settle(chapter)
    others = (
        ".bd-sidebar-primary, .bd-sidebar-secondary, .header-article, footer, .show-all"
    )
    assert chapter.locator(f"{others}, .quiz-hint").evaluate_all(VISIBLE) == []
    (title,) = chapter.locator("h1:visible").all_inner_texts()
    assert title in chapter.title()
    parts = chapter.locator(
        "article details :is(.cell_input, .input_area), .quiz summary, .quiz details > p"
    )
    assert len(parts.evaluate_all(VISIBLE)) == parts.count() >= 20
    listings = chapter.locator(".shortened pre")
    assert listings.evaluate_all(WHOLE)
    masks = "all => all.map((e) => getComputedStyle(e).maskImage)"
    assert set(listings.evaluate_all(masks)) <= {"none"}
    chapter.emulate_media(media="screen")


@pytest.mark.chromium("prints into a file")
def test_pdf_is_made_of_the_unfolded_page(tab):
    tab.goto(address(f"chapters/{CHAPTERS[0]}"))
    tab.pdf()
    assert tab.locator("article details:not([open])").count() == 0
    pictures = tab.evaluate("[...document.images].map((e) => e.naturalWidth)")
    assert len(pictures) >= 3 and all(pictures)


def test_shortened_listings_can_be_shown_whole(chapter, soups):
    source = soups[f"chapters/{chapter.chapter}.html"]
    long = [
        listing
        for listing in source.select(".cell_output .highlight")
        if not listing.find_parent("details") and listing.text.count("\n") >= LINES
    ]
    assert not source.select(".shortened")  # without scripts all are whole
    shortened = chapter.locator(".shortened")
    assert shortened.count() == len(long)
    unfold(chapter)
    for _ in widths(chapter, 1280, 360):
        assert chapter.evaluate(CUT) == []
        for pre in shortened.locator("pre").all():
            assert "gradient" in pre.evaluate("e => getComputedStyle(e).maskImage")
    buttons = chapter.locator("button.show-all")
    assert set(buttons.all_inner_texts()) <= {"全部を見る"}
    buttons.evaluate_all("all => all.slice(1).forEach((e) => e.click())")
    if long:
        buttons.first.click()
    assert shortened.count() == 0
    assert chapter.locator("article .highlight pre").evaluate_all(WHOLE)
