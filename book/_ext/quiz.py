"""Sphinx extension: the quizzes of the chapters, from book/quizzes/NAME.toml.

A chapter includes its quiz by an element whose content is shown where no quiz can be, as in Jupyter:

    <p data-quiz="NAME">...</p>

(JupyterLab would show an unknown directive as a red warning.) On the page each answer is a <details>
with its explanation, which works without JavaScript. book/static/quiz.js counts the right choices.
"""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

FOLDER = "book/quizzes"
PLACE = re.compile(r'<p data-quiz="([\w-]+)">[^<]+</p>\s*')
HINT = "答えを一つ選ぶと、合っているかどうかと、その理由が開きます。"
logger = logging.getLogger(__name__)


# Data


class QuizError(ValueError):
    """An invalid file of questions: what is wrong, and where."""


@dataclass(frozen=True)
class Answer:
    text: str
    why: str  # the reason, or the misunderstanding behind a wrong choice
    right: bool = False


@dataclass(frozen=True)
class Question:
    text: str
    answers: tuple[Answer, ...]
    see: str = ""  # the title of the section that explains it


WANTED = {str: "a text", list: "a list of tables", bool: "true or false"}


def fields(entry: object, optional: tuple[str, ...] = (), **kinds: type) -> dict:
    """The entry, validated as a table of these fields. Booleans are optional too."""
    if not isinstance(entry, dict):
        raise QuizError(f"must be a table, is {entry!r}")
    if unknown := entry.keys() - kinds.keys():
        raise QuizError(f"unknown field {min(unknown)!r}")
    for name, kind in kinds.items():
        if name in optional and name not in entry:
            continue
        value = entry.get(name, False if kind is bool else None)
        if not isinstance(value, kind) or value in ("", []):
            raise QuizError(f"{name!r} must be {WANTED[kind]}, is {value!r}")
    return entry


def listed(entries: list, what: str, make: Callable) -> list:
    """Convert each entry; an error names the entry by its number."""
    made = []
    for number, entry in enumerate(entries, 1):
        try:
            made.append(make(entry))
        except QuizError as error:
            raise QuizError(f"{what} {number}: {error}") from None
    if len({entry.text for entry in made}) < len(made):
        raise QuizError(f"two of the {what}s have the same text")
    return made


def answer_from(entry: object) -> Answer:
    return Answer(**fields(entry, text=str, why=str, right=bool))


def question_from(entry: object) -> Question:
    entry = fields(entry, ("see",), text=str, answers=list, see=str)
    answers = listed(entry["answers"], "answer", answer_from)
    if not 3 <= len(answers) <= 5:
        raise QuizError(f"must have 3 to 5 answers, has {len(answers)}")
    if (right := sum(answer.right for answer in answers)) != 1:
        raise QuizError(f"must have exactly one right answer, has {right}")
    return Question(entry["text"], tuple(answers), entry.get("see", ""))


def read(path: Path) -> list[Question]:
    """The questions of a file. Raise QuizError with a one-line reason."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        entries = fields(data, questions=list)["questions"]
        questions = listed(entries, "question", question_from)
        if not 4 <= len(questions) <= 6:
            raise QuizError(f"must have 4 to 6 questions, has {len(questions)}")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, QuizError) as error:
        raise QuizError(f"{FOLDER}/{path.name}: {error}") from None
    return questions


# Pages


class quiz_question(nodes.General, nodes.Element):
    """A paragraph with the question, and the list of its answers."""


class quiz_answer(nodes.General, nodes.Element):
    """A fold: the label of an answer, and its explanation."""


class quiz_label(nodes.General, nodes.TextElement):
    """The label of an answer."""


def inline(text: str) -> list[nodes.Node]:
    """Text with $formulas$ and `code`."""
    kinds = {"$": nodes.math, "`": nodes.literal}
    return [
        kinds[part[0]]("", part[1:-1]) if part[0] in kinds else nodes.Text(part)
        for part in re.split(r"(\$[^$]+\$|`[^`]+`)", text)
        if part
    ]


def answer_node(entry: Answer, see: list[nodes.Node]) -> quiz_answer:
    verdict = nodes.strong("", "正解です。" if entry.right else "不正解です。")
    return quiz_answer(
        "",
        quiz_label("", "", *inline(entry.text)),
        nodes.paragraph("", "", verdict, *inline(entry.why), *see),
        classes=["quiz-right" if entry.right else "quiz-wrong"],
    )


def quiz_node(questions: list[Question], places: dict[str, str]) -> nodes.container:
    """With links to the sections, whose ids are given by their titles."""

    def see(entry: Question) -> list[nodes.Node]:
        if entry.see not in places:
            return []
        title = nodes.Text(f"→「{entry.see}」")
        return [
            nodes.reference(
                "", "", title, refid=places[entry.see], internal=True, classes=["see"]
            )
        ]

    quiz = nodes.container(classes=["quiz"])
    quiz += nodes.paragraph("", HINT, classes=["quiz-hint"])
    for number, entry in enumerate(questions, 1):
        title = nodes.strong("", f"問 {number}")
        text = nodes.paragraph("", "", title, nodes.Text("　"), *inline(entry.text))
        text["ids"] = [f"quiz-{number}"]
        answers = nodes.enumerated_list(enumtype="upperalpha")
        answers += [
            nodes.list_item("", answer_node(a, see(entry))) for a in entry.answers
        ]
        quiz += quiz_question("", text, answers)
    return quiz


class InsertQuizzes(SphinxTransform):
    default_priority = 400

    def apply(self) -> None:
        sections = list(self.document.findall(nodes.section))
        places = {section[0].astext(): section["ids"][0] for section in sections}
        for raw in list(self.document.findall(nodes.raw)):
            place = PLACE.fullmatch(raw.astext())
            if place is None:
                continue
            path = Path(self.env.srcdir, FOLDER, f"{place[1]}.toml")
            self.env.note_dependency(str(path))
            try:
                raw.replace_self(quiz_node(read(path), places))
            except QuizError as error:
                logger.warning("%s", error, location=raw)


def visit_quiz_question(writer, node) -> None:
    name = node[0]["ids"][0]
    attributes = {"role": "group", "aria-labelledby": name}
    writer.body.append(
        writer.starttag(node, "div", CLASS="quiz-question", **attributes)
    )


def depart_quiz_question(writer, node) -> None:
    writer.body.append("</div>\n")


def visit_quiz_answer(writer, node) -> None:
    writer.body.append(writer.starttag(node, "details"))


def depart_quiz_answer(writer, node) -> None:
    writer.body.append("</details>\n")


def visit_quiz_label(writer, node) -> None:
    writer.body.append(writer.starttag(node, "summary", ""))


def depart_quiz_label(writer, node) -> None:
    writer.body.append("</summary>\n")


def setup(app) -> dict:
    app.add_node(quiz_question, html=(visit_quiz_question, depart_quiz_question))
    app.add_node(quiz_answer, html=(visit_quiz_answer, depart_quiz_answer))
    app.add_node(quiz_label, html=(visit_quiz_label, depart_quiz_label))
    app.add_transform(InsertQuizzes)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
