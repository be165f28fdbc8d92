"""The quizzes: their questions as data, and how they unfold, count and print on the pages."""

import io
import re
from collections import Counter

import pytest

pytest.importorskip(
    "sphinx", reason="the quizzes are shown with requirements.txt installed"
)
yaml = pytest.importorskip("yaml")

from sphinx.application import Sphinx

import quiz  # book/_ext/quiz.py
from built import ROOT, address, settle, wait_for_formulas, widths

pytestmark = pytest.mark.book

FILES = sorted((ROOT / quiz.FOLDER).glob("*.toml"))
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
CHAPTERS = [
    chapter["file"].removesuffix(".ipynb")
    for part in TOC["parts"]
    for chapter in part["chapters"]
    if chapter["file"].startswith("chapters/")
]
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS)
each_scheme = pytest.mark.parametrize("scheme", ["light", "dark"])


def name_of(chapter: str) -> str:
    """The quiz that a chapter names, in a section of its own before the exercises."""
    text = (ROOT / f"{chapter}.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## 確認クイズ\n(.*?)^## 演習$", text, re.M | re.S)
    place = quiz.PLACE.fullmatch(section.strip())
    assert place is not None, section
    return place[1]


def questions_of(chapter: str) -> list[quiz.Question]:
    return quiz.read(ROOT / quiz.FOLDER / f"{name_of(chapter)}.toml")


def without_number(stem: str) -> str:
    return re.sub(r"^\d+_", "", stem)


# The data


@each_file
def test_questions_have_one_right_answer_and_a_reason_for_each(path):
    questions = quiz.read(path)
    assert 4 <= len(questions) <= 6
    for question in questions:
        assert sum(answer.right for answer in question.answers) == 1
        assert all(len(answer.why) >= 15 for answer in question.answers)
        # A formula has no name for a screen reader.
        assert all(re.sub(r"\$.*?\$", "", a.text).strip() for a in question.answers)
        texts = [question.text, *(a.text + a.why for a in question.answers)]
        assert len(set(texts)) == len(texts)


@each_file
def test_only_formulas_and_code_are_marked_up(path):
    for text in re.findall(r"^\w+ = '(.*)'$", path.read_text("utf-8"), re.M):
        plain = "".join(node for node in map(str, quiz.inline(text)) if node[0] != "<")
        assert not re.search(r"[$`*_\\{}]|\]\(", plain), text


@each_chapter
def test_every_chapter_has_the_quiz_of_its_name(chapter):
    stem = chapter.removeprefix("chapters/")
    assert without_number(name_of(chapter)) == without_number(stem)
    assert questions_of(chapter)


def test_no_two_questions_are_the_same():
    texts = [question.text for path in FILES for question in quiz.read(path)]
    assert len(set(texts)) == len(texts) >= 4 * len(FILES)


def test_neither_place_nor_length_gives_the_right_answer_away():
    places, longest, asked = Counter(), 0, 0
    for path in FILES:
        here = Counter()
        for question in quiz.read(path):
            lengths = [len(answer.text) for answer in question.answers]
            (place,) = [k for k, a in enumerate(question.answers) if a.right]
            here[place] += 1
            longest += lengths[place] > max(lengths[:place] + lengths[place + 1 :])
            asked += 1
        assert max(here.values()) <= here.total() / 2, path.name
        places += here
    assert all(0.15 <= places[place] / asked <= 0.4 for place in range(4)), places
    assert longest / asked <= 0.4


GOOD = """
[[questions]]
text = '問い 0'
answers = [
    {text = 'A', why = 'a', right = true}, {text = 'B $x$', why = 'b'}, {text = 'C', why = 'c'},
]
"""
FOUR = "".join(GOOD.replace("問い 0", f"問い {number}") for number in range(4))
BAD = {
    "no file": (None, "No such file"),
    "not TOML": ("[[questions", "Expected"),
    "no questions": ("", "'questions' must be a list of tables, is None"),
    "too few": (GOOD, "must have 4 to 6 questions, has 1"),
    "too many": (
        FOUR + FOUR.replace("問い", "別の問い"),
        "must have 4 to 6 questions, has 8",
    ),
    "twice the same": (
        FOUR.replace("問い 1", "問い 2"),
        "two of the questions have the same text",
    ),
    "no answers": (FOUR + "[[questions]]\ntext = 'x'", "question 5: 'answers' must be"),
    "two answers": (
        FOUR.replace(", {text = 'C', why = 'c'}", "", 1),
        "question 1: must have 3 to 5 answers, has 2",
    ),
    "the same answer": (
        FOUR.replace("'C'", "'A'", 1),
        "question 1: two of the answers have the same text",
    ),
    "no right answer": (
        FOUR.replace(", right = true", "", 1),
        "question 1: must have exactly one right answer, has 0",
    ),
    "two right answers": (
        FOUR.replace("'c'}", "'c', right = true}", 1),
        "question 1: must have exactly one right answer, has 2",
    ),
    "no reason": (
        FOUR.replace(", why = 'b'", "", 1),
        "question 1: answer 2: 'why' must be a text, is None",
    ),
    "an empty reason": (
        FOUR.replace("why = 'b'", "why = ''", 1),
        "question 1: answer 2: 'why' must be a text, is ''",
    ),
    "a misspelt field": (
        FOUR.replace("right =", "correct =", 1),
        "question 1: answer 1: unknown field 'correct'",
    ),
    "right in words": (
        FOUR.replace("right = true", "right = 'yes'", 1),
        "question 1: answer 1: 'right' must be true or false, is 'yes'",
    ),
    "not a table": ("questions = [1, 2, 3, 4]", "question 1: must be a table, is 1"),
}


def build(folder, text: str | None) -> tuple[str, str]:
    """The page of a book with this quiz, and what Sphinx warned of."""
    (folder / quiz.FOLDER).mkdir(parents=True)
    if text is not None:
        (folder / quiz.FOLDER / "a_quiz.toml").write_text(text, encoding="utf-8")
    (folder / "index.md").write_text(
        '# Title\n\n<p data-quiz="a_quiz">in Jupyter</p>\n', encoding="utf-8"
    )
    warnings = io.StringIO()
    app = Sphinx(
        folder,
        None,
        folder / "out",
        folder / "doctrees",
        "html",
        confoverrides={"extensions": ["myst_parser", "quiz"]},
        status=None,
        warning=warnings,
    )
    app.build()
    return (folder / "out/index.html").read_text(encoding="utf-8"), warnings.getvalue()


def test_a_page_shows_the_quiz_in_place_of_the_sentence_for_jupyter(tmp_path):
    page, warnings = build(tmp_path, FOUR)
    assert not warnings
    assert page.count("<details") == 12
    assert "in Jupyter" not in page


@pytest.mark.parametrize("what", BAD)
def test_malformed_data_is_refused_with_a_line_that_says_where(tmp_path, what):
    text, message = BAD[what]
    path = tmp_path / "a_quiz.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(quiz.QuizError) as caught:
        quiz.read(path)
    assert str(caught.value).startswith("book/quizzes/a_quiz.toml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_malformed_data_is_a_warning_and_so_fails_the_build(tmp_path):
    text, message = BAD["two right answers"]
    _, warnings = build(tmp_path, text)
    assert re.search(rf"index\.md:\d+: WARNING: {quiz.FOLDER}/a_quiz.toml: ", warnings)
    assert message in warnings


# The pages


@each_chapter
def test_the_page_has_every_question_answer_and_reason(soups, chapter):
    (box,) = soups[f"{chapter}.html"].select("article .quiz")
    shown = box.select(".quiz-question")
    for question, wanted in zip(shown, questions_of(chapter), strict=True):
        folds = question.find_all("details")
        assert not any(fold.has_attr("open") for fold in folds)
        for fold, answer in zip(folds, wanted.answers, strict=True):
            verdict = "正解です。" if answer.right else "不正解です。"
            assert fold.p.strong.text == verdict
            for element, text in ((fold.summary, answer.text), (fold.p, answer.why)):
                plain = re.sub(r"[$`\\()\s]|^不?正解です。", "", element.text)
                assert plain == re.sub(r"[$`\\()\s]", "", text)


def test_a_search_does_not_find_what_wrong_answers_say():
    text = (ROOT / "_build/html/search_text.js").read_text(encoding="utf-8")
    plain = [
        answer.text
        for path in FILES
        for question in quiz.read(path)
        for answer in question.answers
        if len(answer.text) > 12 and not re.search(r"[$`]", answer.text)
    ]
    assert len(plain) > 50
    assert not [answer for answer in plain if answer in text]
    assert "確認クイズ" in text


# In a browser

PAGE = "chapters/01_dezero"
RIGHT = [[a.right for a in question.answers] for question in questions_of(PAGE)]


@pytest.fixture
def page(tab):
    tab.goto(address(PAGE))
    yield tab
    assert tab.troubles == []


def fold(tab, question: int, answer: int):
    return tab.locator(".quiz-question").nth(question).locator("details").nth(answer)


def test_without_javascript_an_answer_unfolds_its_reason(browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address(PAGE))
    assert not fold(tab, 0, 1).locator("p").is_visible()
    fold(tab, 0, 1).locator("summary").click()
    assert fold(tab, 0, 1).locator("p").is_visible()
    assert not fold(tab, 0, 0).locator("p").is_visible()
    context.close()


def test_answers_are_chosen_by_keyboard(page):
    fold(page, 0, 0).locator("summary").focus()
    page.keyboard.press("Tab")
    outline = "e => getComputedStyle(e).outlineStyle"
    assert fold(page, 0, 1).locator("summary").evaluate(outline) == "solid"
    page.keyboard.press("Enter")
    assert fold(page, 0, 1).locator("p").is_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert fold(page, 0, 2).locator("p").is_visible()
    assert "のうち 1 問に答えました" in page.locator(".quiz-status").inner_text()


def test_the_first_choice_of_each_question_counts(page):
    status = page.locator(".quiz-status")
    assert status.get_attribute("role") == "status"
    assert status.inner_text() == ""
    good = 0
    for number, right in enumerate(RIGHT):
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


def test_what_a_program_unfolds_is_no_choice(page):
    page.evaluate(
        "document.querySelectorAll('.quiz details').forEach((e) => e.open = true)"
    )
    settle(page)
    assert page.locator(".quiz-status").inner_text() == ""


def test_a_screen_reader_hears_the_question_with_its_answers(page):
    group = page.get_by_role("group", name=re.compile(r"^問 1\s+DeZero が計算グラフ"))
    assert group.locator("summary").count() == len(RIGHT[0])


def test_right_and_wrong_are_told_by_words_and_marks(page):
    for answer, right in enumerate(RIGHT[0]):
        fold(page, 0, answer).locator("summary").click()
        verdict = fold(page, 0, answer).locator("strong").first
        mark = verdict.evaluate("e => getComputedStyle(e, '::before').content")
        assert mark.strip('" ') == ("✓" if right else "✗")
        assert verdict.inner_text() == ("正解です。" if right else "不正解です。")


@each_scheme
def test_an_answered_quiz_is_legible_and_accessible(page, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.emulate_media(color_scheme=scheme)
    page.wait_for_selector(f"html[data-theme={scheme}]")
    wait_for_formulas(page)
    for number, right in enumerate(RIGHT):
        for answer in range(len(right)):
            fold(page, number, answer).locator("summary").click()
    settle(page)
    response = axe.run(page, context=".quiz", options={"preload": False}).response
    assert len(response["passes"]) > 5
    assert [(v["id"], v["nodes"]) for v in response["violations"]] == []


@each_chapter
def test_an_unfolded_quiz_fits_a_phone(tab, chapter):
    tab.goto(address(chapter))
    wait_for_formulas(tab)
    tab.evaluate(
        "document.querySelectorAll('.quiz details').forEach((e) => e.open = true)"
    )
    for width in widths(tab, 360):
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [box.bounding_box() for box in tab.locator(".quiz summary").all()]
        assert all(box["height"] >= 24 for box in boxes)  # a finger hits it
        wide = "all => all.filter((e) => e.scrollWidth > e.clientWidth).length"
        assert tab.locator(".quiz details").evaluate_all(wide) == 0


def test_on_paper_answers_stand_before_their_reasons(page):
    page.pdf()
    page.emulate_media(media="print")
    for element in page.locator(".quiz summary, .quiz details > p").all():
        assert element.is_visible()
    assert not page.locator(".quiz-hint").is_visible()
