"""Finding one's way: what is read, what comes, where one is, where to report a mistake."""

import itertools
import re
import tomllib

import pytest

from built import CHAPTERS, ROOT, address, settle

PAGE = "chapters/02_before_dqn"
MARKED = "nav.page-toc a.active"


def marked(tab) -> str | None:
    """The address of the one marked entry of the page's contents."""
    settle(tab)
    links = tab.locator(MARKED)
    return links.get_attribute("href") if links.count() else None


def sections(tab) -> list[str]:
    links = tab.locator("nav.page-toc a[href^='#']")
    return links.evaluate_all("all => all.map((e) => e.getAttribute('href'))")


def test_contents_mark_the_section_after_every_kind_of_jump(tab):
    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.goto(address(PAGE))
    assert marked(tab) is None  # above the first section
    names = sections(tab)
    third, last = names[3], names[-1]
    tab.locator(f"nav.page-toc a[href='{third}']").click()
    assert marked(tab) == third
    # A figure is no entry of the contents, but lies in one.
    inside = tab.evaluate(
        """(names) => {
            const figure = document.querySelector("article figure[id]");
            location.hash = figure.id;
            return names.findLast((name) => document.querySelector(name).contains(figure));
        }""",
        names,
    )
    assert marked(tab) == inside
    tab.evaluate("(name) => { location.hash = name; }", last)
    assert marked(tab) == last  # though the page ends before it comes up
    tab.go_back()
    tab.go_back()
    assert marked(tab) == third
    tab.evaluate("scrollTo({ top: 0, behavior: 'instant' })")
    assert marked(tab) is None
    tab.goto(f"{address(PAGE)}?highlight=方策{third}")  # as from the search
    tab.wait_for_function(f"document.querySelector('{MARKED}')")
    assert marked(tab) == third


def test_bar_and_minutes_tell_what_is_left(visit):
    for width in (1280, 360):
        tab = visit(PAGE, width)
        time, bar = tab.locator(".reading-time"), tab.locator(".reading-bar")
        tab.evaluate("scrollTo(0, 0)")
        settle(tab)
        total = int(time.get_attribute("data-minutes"))
        assert time.inner_text() == f"あと約 {total} 分" and total >= 10
        assert bar.bounding_box()["width"] < 0.02 * width
        tab.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
        settle(tab)
        left = int(re.search(r"\d+", time.inner_text())[0])
        assert 0.4 * total <= left <= 0.6 * total
        assert 0.4 * width < bar.bounding_box()["width"] < 0.6 * width
        tab.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        settle(tab)
        assert time.inner_text() == "読み終わり"
        box = time.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        assert box["height"] < 30, "on one line"


def test_next_and_previous_say_what_they_show(soups):
    cards = soups["book/index.html"].select(".chapters li")
    for number, (before, after) in enumerate(itertools.pairwise(CHAPTERS)):
        for page, side, card in (
            (before, "right-next", number + 1),
            (after, "left-prev", number),
        ):
            link = soups[f"chapters/{page}.html"].select_one(
                f".prev-next-area a.{side}"
            )
            line = link.select_one(".prev-next-line").text
            assert line and line in cards[card].text


# Code


def test_wrapped_code_hangs_and_is_copied_as_it_was(visit, soups):
    tab = visit("chapters/04_dqn", 390)
    source = soups["chapters/04_dqn.html"].select("article .highlight pre")
    blocks = tab.locator("article .highlight pre")
    assert blocks.evaluate_all("all => all.map((e) => e.textContent)") == [
        pre.get_text() for pre in source
    ]
    depth = """all => all.filter((e) => e.getClientRects()[0]?.height > 30)
        .map((e) => [parseInt(e.style.getPropertyValue("--depth")), /^ */.exec(e.textContent)[0].length])"""
    wrapped = tab.locator("article .highlight .line").evaluate_all(depth)
    assert wrapped and all(given == min(own, 12) + 2 for given, own in wrapped)
    assert max(own for _, own in wrapped) > 12  # below an open bracket


# On a phone the buttons of a figure stay with its picture.


@pytest.mark.parametrize(
    "page", ["chapters/02_before_dqn", "chapters/03_cartpole_replay"]
)
def test_picture_and_buttons_of_a_figure_are_seen_together(visit, page):
    tab = visit(page, 390)
    tab.set_viewport_size({"width": 390, "height": 844})
    figure = tab.locator("figure.is-live").first
    figure.evaluate("(e) => e.scrollIntoView({ behavior: 'instant' })")
    settle(tab)
    row = figure.locator(".live > .live-row:has(> button)").first.bounding_box()
    assert 0 <= row["y"] and row["y"] + row["height"] <= 845
    picture = figure.locator("canvas, svg").first.bounding_box()
    assert picture["y"] >= 0 and picture["y"] + picture["height"] <= row["y"]


# The glossary


def test_entries_of_the_glossary_lead_to_their_sections(soups):
    links = {
        entry.get_text(): entry.find_next("dd").select_one(".explained a")
        for entry in soups["book/glossary.html"].select("article dl.glossary dt")
    }
    assert sum(link is not None for link in links.values()) > 0.9 * len(links)
    for entry, link in links.items():
        if link is not None:
            page, _, anchor = link["href"].partition("#")
            section = soups[f"chapters/{page.rpartition('/')[2]}"].find(id=anchor)
            assert section is not None, entry
            assert link.text.endswith("」") and link.text.startswith("第 ")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_explanations_of_a_quiz_lead_to_its_sections(soups, chapter):
    """A question may name no section (see = in its TOML); one that does names one of its page."""
    quiz = tomllib.loads((ROOT / f"book/quizzes/{chapter}.toml").read_text("utf-8"))
    page = soups[f"chapters/{chapter}.html"]
    shown = page.select(".quiz-question")
    for entry, question in zip(quiz["questions"], shown, strict=True):
        links = question.select("details a.see")
        assert len(links) == len(entry["answers"]) * ("see" in entry)
        for link in links:
            section = page.find(id=link["href"][1:])
            assert entry["see"] in section.find(re.compile("h[23]")).get_text()


# まちがいを知らせる


def test_report_of_a_mistake_names_page_section_and_version(visit):
    tab = visit("chapters/03_cartpole_replay")
    report = tab.locator(".report")
    report.evaluate("(e) => { e.open = true; }")
    section = report.locator("option").nth(2).inner_text()
    report.locator("select").select_option(section)
    text = report.locator("textarea").input_value()
    assert "倒立振子と経験再生（chapters/03_cartpole_replay）" in text
    assert f"\n節：{section}\n" in text
    assert re.search(r"\n版：\d{4}-\d\d-\d\d / [0-9a-f]{8}\n", text)
