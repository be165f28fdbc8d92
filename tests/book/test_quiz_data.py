"""The quizzes: their questions as data and in the built HTML."""

import io
import re
from collections import Counter

import pytest
from sphinx.application import Sphinx

import quiz  # book/_ext/quiz.py
from built import ROOT, each_chapter

FILES = sorted((ROOT / quiz.FOLDER).glob("*.toml"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def name_of(chapter: str) -> str:
    """The quiz that a chapter names, in a section of its own before the exercises."""
    text = (ROOT / "chapters" / f"{chapter}.md").read_text(encoding="utf-8")
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
def test_questions_have_one_right_answer_and_reasons(path):
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
def test_chapter_names_its_quiz(chapter):
    assert without_number(name_of(chapter)) == without_number(chapter)
    assert questions_of(chapter)


def test_questions_differ():
    texts = [question.text for path in FILES for question in quiz.read(path)]
    assert len(set(texts)) == len(texts) >= 4 * len(FILES)


def test_place_and_length_do_not_tell_the_right_answer():
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


def test_quiz_replaces_the_sentence_for_jupyter(tmp_path):
    page, warnings = build(tmp_path, FOUR)
    assert not warnings
    assert page.count("<details") == 12
    assert "in Jupyter" not in page


@pytest.mark.parametrize("what", BAD)
def test_malformed_data_is_refused_with_its_place(tmp_path, what):
    text, message = BAD[what]
    path = tmp_path / "a_quiz.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(quiz.QuizError) as caught:
        quiz.read(path)
    assert str(caught.value).startswith("book/quizzes/a_quiz.toml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_malformed_data_fails_the_build(tmp_path):
    text, message = BAD["two right answers"]
    _, warnings = build(tmp_path, text)
    assert re.search(rf"index\.md:\d+: WARNING: {quiz.FOLDER}/a_quiz.toml: ", warnings)
    assert message in warnings


# The pages


@each_chapter
def test_page_has_every_question_answer_and_reason(soups, chapter):
    (box,) = soups[f"chapters/{chapter}.html"].select("article .quiz")
    shown = box.select(".quiz-question")
    for question, wanted in zip(shown, questions_of(chapter), strict=True):
        folds = question.find_all("details")
        assert not any(fold.has_attr("open") for fold in folds)
        for fold, answer in zip(folds, wanted.answers, strict=True):
            verdict = "正解です。" if answer.right else "不正解です。"
            assert fold.p.strong.text == verdict
            for element, text in ((fold.summary, answer.text), (fold.p, answer.why)):
                words = re.sub(r"→「[^」]*」$", "", element.text)  # where to read on
                plain = re.sub(r"[$`\\()\s]|^不?正解です。", "", words)
                assert plain == re.sub(r"[$`\\()\s]", "", text)


def test_search_index_holds_no_answers():
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
