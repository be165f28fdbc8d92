"""What was found by looking at the pages as a reader does: in the browser, wide, narrow and dark."""

import io
import re

import pytest

from built import (
    CHAPTERS,
    HTML,
    ROOT,
    address,
    each_chapter,
    each_page,
    settle,
    show_pictures,
    wait_for_formulas,
    widths,
)

bs4 = pytest.importorskip(
    "bs4", reason="the pages are checked with requirements.txt installed"
)
bibtex = pytest.importorskip("pybtex.database")

import bibliography  # book/_ext/bibliography.py

pytestmark = pytest.mark.book

BIB = bibtex.parse_file(str(ROOT / "book/references.bib"), "bibtex").entries


@pytest.fixture(scope="module")
def visit(browser):
    """A function that opens a page in a tab of its own."""
    contexts = []

    def open_page(page: str, width: int = 1280, **options):
        context = browser.new_context(
            locale="ja-JP", viewport={"width": width, "height": 800}, **options
        )
        contexts.append(context)
        tab = context.new_page()
        tab.goto(address(page))
        return tab

    yield open_page
    for context in contexts:
        context.close()


# Listings

CUT = """() => [...document.querySelectorAll("article .highlight pre")]
    .filter((e) => e.scrollHeight > e.clientHeight + 2
        && !e.closest(".shortened")?.nextElementSibling?.matches("button.show-all"))
    .map((e) => e.innerText)"""


@each_chapter
def test_no_listing_ends_without_a_sign(visit, chapter):
    tab = visit(f"chapters/{chapter}")
    tab.evaluate(
        "document.querySelectorAll('details').forEach((e) => { e.open = true; })"
    )
    for _ in widths(tab, 1280, 360):
        assert tab.evaluate(CUT) == []
        for pre in tab.locator(".shortened pre").all():
            assert "gradient" in pre.evaluate("e => getComputedStyle(e).maskImage")
    for button in tab.locator("button.show-all").all():
        assert button.inner_text() == "全部を見る"
        button.click()
    assert tab.locator(".shortened").count() == 0
    whole = "(e) => e.scrollHeight <= e.clientHeight + 2"
    assert all(
        pre.evaluate(whole) for pre in tab.locator("article .highlight pre").all()
    )


def test_some_listings_are_shortened_and_whole_on_paper_and_without_scripts(visit):
    pages = [f"chapters/{chapter}" for chapter in CHAPTERS]
    seen = 0
    for page in pages:
        tab = visit(page)
        pre = tab.locator(".shortened pre")
        seen += pre.count()
        tab.emulate_media(media="print")
        for listing in pre.all():
            assert listing.evaluate("(e) => e.scrollHeight <= e.clientHeight + 2")
            assert listing.evaluate("e => getComputedStyle(e).maskImage") == "none"
        assert not any(e.is_visible() for e in tab.locator(".show-all").all())
        plain = visit(page, java_script_enabled=False)
        assert plain.locator(".shortened").count() == 0
    assert seen > 0


# Tables

BROKEN = """() => [...document.querySelectorAll("article table code")]
    .filter((e) => e.getClientRects().length > 1).map((e) => e.innerText)"""


@pytest.mark.parametrize("page", ["book/notation", "chapters/02_before_dqn"])
def test_names_in_tables_stay_whole(visit, page):
    tab = visit(page)
    wait_for_formulas(tab)
    for _ in widths(tab, 1280, 360):
        assert tab.locator("article table code").count() > 3
        assert tab.evaluate(BROKEN) == []


def test_the_table_of_symbols_fits_a_phone(visit):
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


def test_chapters_in_the_table_of_symbols_are_links(soups):
    article = soups["book/notation.html"].find("article")
    for table in article.find_all("table"):
        if table.find_all("th")[-1].text == "章":
            for row in table.select("tbody tr"):
                cell = row.find_all("td")[-1]
                number = int(cell.text)
                assert re.search(rf"chapters/0{number}_\w+\.html$", cell.a["href"])


def test_the_head_of_the_long_table_stays_and_its_last_column_is_reached(visit):
    tab = visit("chapters/03_cartpole_replay")
    tab.evaluate(
        "document.querySelectorAll('details').forEach((e) => { e.open = true; })"
    )
    box = tab.locator(".tag_scroll-output .cell_output").first
    for width in widths(tab, 1280, 360):
        box.evaluate("(e) => { e.scrollTop = 600; e.scrollLeft = e.scrollWidth; }")
        settle(tab)
        edge = box.bounding_box()
        last = box.locator("thead th").last.bounding_box()
        assert edge["y"] - 1 <= last["y"] <= edge["y"] + 20, width
        assert last["x"] + last["width"] <= edge["x"] + edge["width"] + 1, width
        assert box.locator("thead th").last.inner_text() == "truncated"
        if width == 1280:  # nothing to scroll for sideways
            assert box.evaluate("(e) => e.scrollWidth <= e.clientWidth + 1")


# Films


@each_chapter
def test_a_film_has_a_number_a_caption_and_its_controls_below(visit, chapter):
    tab = visit(f"chapters/{chapter}")
    for film in tab.locator("article video").all():
        caption = film.locator("xpath=ancestor::figure//figcaption")
        assert re.match(r"図 ?\d+\.\d+", caption.inner_text())
        assert "動画" in caption.inner_text()
        assert film.get_attribute("loop") is not None
        assert not film.evaluate("(e) => e.controls")
        bar = film.locator("xpath=..")
        button, place = bar.locator("button"), bar.locator("input[type=range]")
        for _ in widths(tab, 1280, 360):
            film.scroll_into_view_if_needed()
            foot = film.bounding_box()["y"] + film.bounding_box()["height"]
            for part in (button, place):
                assert part.bounding_box()["y"] >= foot - 1
        assert button.get_attribute("aria-label") == "再生"
        button.click()
        tab.wait_for_function("(e) => e.currentTime > 0.1", arg=film.element_handle())
        assert button.get_attribute("aria-label") == "停止"
        assert float(place.input_value()) > 0
        place.fill("0.5")
        tab.wait_for_function(
            "(e) => e.paused && Math.abs(e.currentTime / e.duration - 0.5) < 0.02",
            arg=film.element_handle(),
        )


def test_a_film_can_be_played_without_scripts(visit):
    tab = visit("chapters/04_dqn", java_script_enabled=False)
    films = tab.locator("article video")
    assert films.count() >= 2
    assert all(film.get_attribute("controls") is not None for film in films.all())


# The dark


def colours(tab, selector: str) -> list[tuple[int, int, int]]:
    """What is really on the screen at the corners of an element and in the page beside it."""
    image = pytest.importorskip("PIL.Image")
    element = tab.locator(selector).first
    element.scroll_into_view_if_needed()
    box = element.bounding_box()
    picture = image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    inside = (box["x"] + 3, box["y"] + 3)
    outside = (box["x"] - 6, box["y"] + 3)
    return [picture.getpixel(tuple(map(int, place))) for place in (inside, outside)]


@pytest.mark.parametrize(
    ("page", "picture"),
    [
        ("chapters/01_dezero", "#fig-linear-regression img"),
        ("chapters/04_dqn", "#fig-qnet2 img"),
    ],
)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_paper_of_figures_has_the_colour_of_the_page(visit, page, picture, scheme):
    tab = visit(page, color_scheme=scheme)
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_comments_are_quieter_than_code(visit, scheme):
    tab = visit("chapters/01_dezero", color_scheme=scheme)

    def distance(selector: str) -> float:
        ink, paper = tab.locator(selector).first.evaluate(
            """(e) => [getComputedStyle(e).color,
                getComputedStyle(e.closest(".highlight")).backgroundColor]"""
        )
        return abs(luminance(ink) - luminance(paper))

    assert distance(".highlight .c1") < distance(".highlight .n")


def test_films_are_dimmed_in_the_dark(visit):
    tab = visit("chapters/04_dqn", color_scheme="dark")
    shown = tab.locator("article video").first.evaluate(
        "e => getComputedStyle(e).filter"
    )
    assert float(re.fullmatch(r"brightness\((.+)\)", shown)[1]) <= 0.85


# Figures on a phone


# Of everything that has words of its own, as large as it is shown
SIZES = """(parts) => parts
    .filter((e) => e.checkVisibility() && [...e.childNodes].some((c) => c.nodeType === 3 && c.data.trim()))
    .map((e) => parseFloat(getComputedStyle(e).fontSize) * (e.getScreenCTM?.().a ?? 1))"""


def test_the_words_of_every_drawing_can_be_read_on_a_phone(visit):
    """At 360 pixels, where they are or after a touch: at least 11 pixels high."""
    smallest = {}
    for path in (ROOT / "book/figures").glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        used = {"text": True} | {
            name: re.search(rf'class="[^"]*\b{name}\b', text)
            for name in ("s", "sub", "code")
        }
        sizes = re.findall(r"\.fig (?:\.)?(\w+) \{[^}]*font-size: ([\d.]+)px", text)
        smallest[path.name] = min(float(s) for name, s in sizes if used.get(name))
    seen = set()
    for chapter in CHAPTERS:
        tab = visit(f"chapters/{chapter}", 360)
        show_pictures(tab)
        for figure in tab.locator("article figure:has(img)").all():
            if not figure.is_visible():
                continue  # folded
            if figure.locator(".live").count():  # in place of the picture
                assert min(figure.locator(".live *").evaluate_all(SIZES)) >= 11
                continue
            picture = figure.locator("img").first
            name = picture.get_attribute("src").rsplit("/")[-1]
            button = figure.locator("button.enlarge")
            assert button.is_visible()
            button.click()
            large = tab.locator("dialog[open] img")
            shown = large.evaluate("(e) => e.getBoundingClientRect().width")
            if name.endswith(".svg"):
                seen.add(name)
                drawn = int(picture.get_attribute("width"))
                assert smallest[name] * shown / drawn >= 11, name
            else:
                assert shown >= 600
            box = tab.locator("dialog[open]")
            assert box.evaluate("(e) => e.getBoundingClientRect().width") <= 360
            tab.keyboard.press("Escape")
            assert tab.locator("dialog[open]").count() == 0
    assert len(seen) >= 8


def test_on_a_desktop_figures_need_no_button(visit):
    tab = visit("chapters/04_dqn")
    assert tab.locator("button.enlarge").count() >= 5
    assert not any(e.is_visible() for e in tab.locator("button.enlarge").all())


# References

CITATION = re.compile(r"\[([^\]]+)\]\((?:\.\./book/)?references\.md#(\w+)\)")


def sources() -> dict[str, str]:
    paths = [*(ROOT / "book").glob("*.md"), *(ROOT / "chapters").glob("*.md")]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


def test_the_words_of_a_citation_are_the_authors_and_the_year():
    found = [cited for text in sources().values() for cited in CITATION.findall(text)]
    assert len(found) >= 40
    for words, key in found:
        names, year = bibliography.names_of(BIB[key]), BIB[key].fields.get("year")
        allowed = {f"{names} ({year})", f"{names}, {year}"} if year else {names}
        assert words in allowed


def test_references_are_sorted_by_author_and_lead_back(soups):
    entries = soups["book/references.html"].select("article .citation")
    assert {entry["id"] for entry in entries} == set(BIB)
    authors = [BIB[entry["id"]].persons["author"] for entry in entries]
    first = [
        str(" ".join(a[0].prelast_names + a[0].last_names)).lower() for a in authors
    ]
    assert first == sorted(first)
    cited = {
        key
        for name, text in sources().items()
        for _, key in CITATION.findall(text)
        if name != "references.md"
    }
    for entry in entries:
        links = entry.select(".cited-from a")
        assert bool(links) == (entry["id"] in cited)
        for link in links:
            path, _, anchor = link["href"].partition("#")
            page = (HTML / "book" / path).resolve().relative_to(HTML.resolve())
            place = soups[page.as_posix()]
            place = place.find(id=anchor) if anchor else place
            assert place.select_one(f'a[href$="references.html#{entry["id"]}"]')
    assert len(cited) >= 20


# Numbers, terms, links


@each_chapter
def test_an_exercise_has_one_number(soups, chapter):
    titles = soups[f"chapters/{chapter}.html"].select("article h3")
    exercises = [title.text for title in titles if "演習" in title.text]
    assert len(exercises) >= 3
    for title in exercises:
        assert re.match(r"演習 \d\.\d+ ", title)


@each_chapter
def test_terms_show_what_they_mean_to_the_mouse_and_the_keyboard(visit, soups, chapter):
    glossary = soups["book/glossary.html"]
    tab = visit(f"chapters/{chapter}")
    links = tab.locator("article a:has(.term)")
    names = links.all_text_contents()  # some are folded
    assert len(names) >= 10 and len(set(names)) == len(names)
    for link in links.all():
        term = glossary.find(id=link.get_attribute("href").partition("#")[2])
        assert term.find(string=True) == link.text_content()
        meaning = term.find_next("dd").get_text()
        first = link.get_attribute("aria-description")
        assert first.endswith("。")
        if not term.find_next("dd").select(".math"):
            assert meaning.replace("\n", "").startswith(first)
    link = next(link for link in links.all() if link.is_visible())
    card = "(e) => [getComputedStyle(e, '::after').content, getComputedStyle(e, '::after').position]"
    assert link.evaluate(card)[0] == "none"
    link.hover()
    assert link.evaluate(card) == [
        f'"{link.get_attribute("aria-description")}"',
        "fixed",
    ]
    tab.mouse.move(0, 0)
    assert link.evaluate(card)[0] == "none"
    tab.keyboard.press("Tab")  # from here on the focus is the keyboard's
    link.focus()
    assert link.evaluate(card)[1] == "fixed"
    tab.keyboard.press("Escape")  # a card may cover what the reader wants to read
    assert link.evaluate(card)[0] == "none"
    link.blur()
    link.focus()
    assert link.evaluate(card)[1] == "fixed"


def test_a_finger_sees_the_card_first_and_opens_the_glossary_then(visit):
    tab = visit("chapters/02_before_dqn", 360, has_touch=True, is_mobile=True)
    link = tab.locator("article a[aria-description]:visible").first
    shown = "(e) => getComputedStyle(e, '::after').content"
    link.tap()
    assert tab.url.endswith("02_before_dqn.html")
    assert link.get_attribute("aria-description") in link.evaluate(shown)
    tab.locator("article h1").tap()
    assert tab.locator("a.touched").count() == 0
    link.tap()
    link.tap()
    tab.wait_for_url("**/glossary.html#*")


def test_the_contents_close_when_a_section_is_chosen(visit):
    tab = visit("chapters/02_before_dqn", 360, has_touch=True, is_mobile=True)
    tab.locator("button.secondary-toggle").tap()
    tab.locator("dialog[open] a[href^='#']").nth(2).tap()
    assert tab.locator("dialog[open]").count() == 0


def test_punctuation_stays_with_its_formula(visit):
    tab = visit("chapters/02_before_dqn", 360)
    wait_for_formulas(tab)
    apart = """() => [...document.querySelectorAll("article .one-line")]
        .filter((e) => e.checkVisibility() && e.getClientRects().length > 1).map((e) => e.textContent)"""
    assert tab.locator("article .one-line").count() >= 10
    assert tab.evaluate(apart) == []
    loose = """() => [...document.querySelectorAll("article span.math")]
        .filter((e) => !e.closest('.one-line') && /^[、。）]/.test(e.nextSibling?.data ?? "")).length"""
    assert tab.evaluate(loose) == 0


def test_colours_that_stand_for_numbers_are_not_turned_over(visit):
    tab = visit("chapters/04_dqn", color_scheme="dark")
    turned = (
        "(parts) => parts.map((e) => getComputedStyle(e).filter.includes('invert'))"
    )
    maps = tab.locator(".tag_colour-map .cell_output img")
    assert maps.evaluate_all(turned) == [False]
    others = tab.locator(".cell:not(.tag_colour-map) .cell_output img")
    assert others.count() >= 3 and all(others.evaluate_all(turned))


def test_a_page_without_scripts_is_light(visit):
    tab = visit("chapters/02_before_dqn", java_script_enabled=False)
    assert tab.locator("html[data-theme=light]").count() == 1


def test_titles_have_one_form(soups):
    titles = {page: soup.title.text for page, soup in soups.items() if soup.title}
    assert titles.pop("book/index.html") == "DeZero で作る DQN"
    others = {
        p for p, title in titles.items() if not title.endswith(" — DeZero で作る DQN")
    }
    assert len(titles) >= 15 and others <= {"index.html"}  # it leads to the first page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_links_have_one_colour_and_code_another(visit, scheme):
    tab = visit("book/differences", color_scheme=scheme)
    colour = "(all) => [...new Set(all.map((e) => getComputedStyle(e).color))]"
    links = tab.locator("article :is(p, dd, td) a.reference").evaluate_all(colour)
    table = tab.locator("article table a.reference").evaluate_all(colour)
    names = tab.locator("article code").evaluate_all(colour)
    assert len(links) == 1 and table == links
    assert not set(names) & set(links)


def test_the_title_of_the_search_looks_like_any_other(visit):
    looks = "(e) => [getComputedStyle(e).fontSize, getComputedStyle(e).fontWeight]"
    search, page = (
        visit(name).locator("h1:visible").first.evaluate(looks)
        for name in ("search", "book/glossary")
    )
    assert search == page


@pytest.mark.parametrize("cover", ["figures/cover.svg", "epub/cover.svg"])
def test_the_words_of_the_cover_touch_nothing(browser, cover):
    tab = browser.new_page(viewport={"width": 1300, "height": 1900})
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
    tab.close()


@each_page
def test_no_page_but_the_chapters_links_terms_by_itself(soups, page):
    terms = soups[f"{page}.html"].select("article .term")
    assert bool(terms) == page.startswith("chapters/")
