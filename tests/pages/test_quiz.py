"""The quiz of a chapter: unfolding, counting, keyboard, screen reader, paper."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

import quiz  # book/_ext/quiz.py
from built import (
    ROOT,
    address,
    set_scheme,
    settle,
    shorten,
    wait_for_formulas,
    watched_tab,
    weekly,
)

PAGE = "chapters/01_dezero"
(NAME,) = re.findall(r'data-quiz="(\w+)"', (ROOT / f"{PAGE}.md").read_text("utf-8"))
QUESTIONS = quiz.read(ROOT / quiz.FOLDER / f"{NAME}.toml")
RIGHT = [[answer.right for answer in question.answers] for question in QUESTIONS]


@pytest.fixture(scope="module")
def opened(browser):
    with watched_tab(browser) as tab:
        shorten(tab, ".quiz")
        tab.goto(address(PAGE))
        wait_for_formulas(tab)
        yield tab
        assert tab.troubles == []


@pytest.fixture
def page(opened):
    """The page with its quiz as at first."""
    opened.reload()
    return opened


def fold(tab, question: int, answer: int):
    return tab.locator(".quiz-question").nth(question).locator("details").nth(answer)


def turned(tab):
    """The questions, each after turning to it."""
    for number, right in enumerate(RIGHT):
        if number:
            tab.get_by_role("button", name="次の問い").click()
        yield number, right


def test_one_question_is_shown_at_a_time(page):
    shown = "all => all.map((e) => e.checkVisibility())"
    questions = page.locator(".quiz-question")
    for number, _ in turned(page):
        assert questions.evaluate_all(shown) == [k == number for k in range(len(RIGHT))]
    assert page.get_by_role("button", name="次の問い").is_disabled()
    page.get_by_role("button", name="前の問い").click()
    assert questions.nth(len(RIGHT) - 2).is_visible()
    page.emulate_media(media="print")
    assert all(questions.evaluate_all(shown))
    page.emulate_media(media="screen")


def test_answers_unfold_without_javascript(browser):
    with watched_tab(browser, java_script_enabled=False) as tab:
        tab.goto(address(PAGE))
        assert not fold(tab, 0, 1).locator("p").is_visible()
        fold(tab, 0, 1).locator("summary").click()
        assert fold(tab, 0, 1).locator("p").is_visible()
        assert not fold(tab, 0, 0).locator("p").is_visible()


def test_answers_are_chosen_by_keyboard(page):
    fold(page, 0, 0).locator("summary").focus()
    page.keyboard.press("Tab")
    outline = "e => getComputedStyle(e).outlineStyle"
    assert fold(page, 0, 1).locator("summary").evaluate(outline) == "solid"
    page.keyboard.press("Enter")
    assert fold(page, 0, 1).locator("p").is_visible()
    page.keyboard.press("Tab")  # the link to the section that explains it
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert fold(page, 0, 2).locator("p").is_visible()
    assert "のうち 1 問に答えました" in page.locator(".quiz-status").inner_text()


def test_first_choice_of_each_question_counts(page):
    status = page.locator(".quiz-status")
    assert status.get_attribute("role") == "status"
    assert status.inner_text() == ""
    good = 0
    for number, right in turned(page):
        fold(page, number, 0).locator("summary").click()
        good += right[0]
        verdict = "正解です。" if right[0] else "不正解です。"
        assert status.inner_text().split("\n")[0].startswith(verdict)
        fold(page, number, 0).locator("summary").click()  # folded again
        fold(page, number, right.index(True)).locator("summary").click()
    assert 0 < good < len(RIGHT)
    expected = (
        f"{len(RIGHT)} 問のすべてに答えました。一回目で正解したのは {good} 問です。"
    )
    assert expected in status.inner_text()


def test_answers_unfolded_by_scripts_do_not_count(page):
    page.evaluate(
        "document.querySelectorAll('.quiz details').forEach((e) => e.open = true)"
    )
    settle(page)
    assert page.locator(".quiz-status").inner_text() == ""


def test_screen_readers_get_question_with_answers(page):
    group = page.get_by_role(
        "group", name=re.compile(rf"^問 1\s+{QUESTIONS[0].text[:8]}")
    )
    assert group.locator("summary").count() == len(RIGHT[0])


def test_right_and_wrong_have_words_and_marks(page):
    for answer, right in enumerate(RIGHT[0]):
        fold(page, 0, answer).locator("summary").click()
        verdict = fold(page, 0, answer).locator("strong").first
        mark = verdict.evaluate("e => getComputedStyle(e, '::before').content")
        assert mark.strip('" ') == ("✓" if right else "✗")
        assert verdict.inner_text() == ("正解です。" if right else "不正解です。")


@pytest.mark.parametrize("scheme", ["light", weekly("dark")])
def test_answered_quiz_is_accessible(page, scheme):
    set_scheme(page, scheme)
    wait_for_formulas(page)
    for number, _ in turned(page):
        answers = page.locator(".quiz-question").nth(number).locator("summary")
        answers.evaluate_all("all => all.forEach((e) => e.click())")
        if number in (0, len(RIGHT) - 1):  # those between look the same
            settle(page)
            options = {"preload": False}
            response = Axe().run(page, context=".quiz", options=options).response
            assert len(response["passes"]) > 5
            assert [(v["id"], v["nodes"]) for v in response["violations"]] == []
