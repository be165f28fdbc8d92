"""The page 学習しないときに says of examinations and suspects what the clinic says."""

import ast
import inspect
import json
import re
import textwrap
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.clinic import examinations
from rlbook_helpers.clinic.advice import SUSPECTS
from rlbook_helpers.clinic.examinations import TITLES
from rlbook_helpers.clinic.patients import PATIENTS, UNLISTED

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "book/troubleshooting.md").read_text(encoding="utf-8")
RECORD = json.loads((ROOT / "chapters/data/clinic.json").read_text("utf-8"))
CAUSES = {  # the suspect that each patient's line is
    "no_mask": "mask",
    "truncation_terminal": "ends",
    "swapped_ends": "ends",
    "max_over_all": "max_axis",
    "online_target": "which_network",
    "never_synced": "never_synced",
    "broadcast_loss": "mixed_rows",
    "gradient_into_target": "gradient_into_target",
    "state_out_of_step": "out_of_step",
    "reused_array": "reused_array",
    "ring_off_by_one": "buffer_place",
    "inverted_epsilon": "epsilon_size",
    "exploring_evaluation": "evaluation_explores",
    "clipped_reward": "reward_changed",
    "hundredfold_lr": "step_size",
    "integer_states": "buffer_type",
    "reseeded": "reseeded",
    "endless": "truncated_ignored",
    "oldest_only": "old_only",
    "next_is_state": "buffer_place",
    "mean_value": "max_axis",
    "gradients_kept": "gradients_pile",
    "same_network": "shared",
    "one_random_action": "narrow_exploration",
    "learning_evaluation": "evaluation_changes",
}


def plain(text: str) -> str:
    """Without marks of code, width of characters, and spaces."""
    return re.sub(r"[\s`]", "", unicodedata.normalize("NFKC", text))


def blocks() -> dict[tuple[str, ...], tuple[str, list[tuple[str, ...]]]]:
    """The subsections of the tables: their examinations, their text, their rows without the head."""
    (section,) = re.findall(r"^## 3\..*?(?=^## 4\.)", PAGE, re.M | re.S)
    found = {}
    for block in re.split(r"^### ", section, flags=re.M)[1:]:
        text = block.split("\n|")[0]
        keys = tuple(key for key in TITLES if f"（`{key}`）" in text)
        rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", block, re.M)
        found[keys] = text, [tuple(map(plain, row)) for row in rows[2:]]
    return found


def said(node: ast.AST) -> Iterator[str]:
    """The names of suspects in this code; those of attributes that it asks for are none."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
        return
    if isinstance(node, ast.Constant) and node.value in SUSPECTS:
        yield node.value
    for child in ast.iter_child_nodes(node):
        yield from said(child)


def suspects_of(function: Callable, seen: set | None = None) -> set[str]:
    """The suspects that an examination may name, itself or by a function or a table of its module."""
    seen = seen or set()
    if function in seen:
        return set()
    seen.add(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found = set(said(tree))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name in names - set(function.__code__.co_varnames):
        value = function.__globals__.get(name)
        if inspect.isfunction(value) and value.__module__ == function.__module__:
            found |= suspects_of(value, seen)
        elif isinstance(value, dict):
            found |= SUSPECTS.keys() & set(map(str, value.values()))
    return found


def test_every_examination_is_named_once_with_title_and_key():
    named = [key for keys in blocks() for key in keys]
    assert named == list(TITLES)
    for keys, (text, _) in blocks().items():
        for key in keys:
            assert re.search(rf"{TITLES[key]}\**（`{key}`）", text), key


def test_tables_have_the_suspects_of_their_examinations():
    for keys, (_, rows) in blocks().items():
        wanted = set()
        for key in keys:
            _, function = examinations._ALL[key]
            wanted |= {tuple(map(plain, SUSPECTS[s])) for s in suspects_of(function)}
        assert wanted - set(rows) == set(), f"missing in the table of {keys}"
        assert set(rows) - wanted == set(), f"not named by {keys}"
        assert len(rows) == len(set(rows)), keys


def test_every_suspect_is_reached():
    rows = {row for _, rows in blocks().values() for row in rows}
    assert rows == {tuple(map(plain, suspect)) for suspect in SUSPECTS.values()}


def test_symptoms_lead_to_every_table():
    """And the way back: each target is a table, each table is a target."""
    symptoms, _ = PAGE.split("## 2. ")
    asked = set(re.findall(r"\{ref\}`[^`<]+ <exam-(\w+)>`", symptoms))
    targets = re.findall(r"^\(exam-(\w+)\)=\n### ", PAGE, re.M)
    assert len(targets) == len(set(targets)) == len(blocks())
    # Of the program, of a later step, and what follows from the others
    assert set(targets) - asked <= {"program", "probe_turned", "baselines"}
    assert asked <= set(targets)


@pytest.mark.parametrize("name", [*PATIENTS, *UNLISTED])
def test_advice_names_the_cause_of_each_patient(name):
    told = RECORD[name]["suspects"]
    assert 1 <= len(told) <= 3
    assert CAUSES[name] in told


@pytest.mark.parametrize("name", [*PATIENTS, *UNLISTED])
def test_red_rows_lead_to_the_cause_of_each_patient(name):
    """By the page alone: it stands in the table of the first or the second red row."""
    red = [k for k, f in RECORD[name]["findings"].items() if f[0] == "異常"]
    cause = tuple(map(plain, SUSPECTS[CAUSES[name]]))
    near = [rows for keys, (_, rows) in blocks().items() if set(keys) & set(red[:2])]
    assert any(cause in rows for rows in near)


def test_all_patients_have_a_cause():
    assert set(CAUSES) == {*PATIENTS, *UNLISTED} == set(RECORD) - {"healthy"}
    assert RECORD["healthy"]["suspects"] == []


def test_code_of_the_page_runs(capsys):
    first, second = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    exec(first, {"MyDQNAgent": DQNAgent})  # noqa: S102
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [[k, "正常"] for k in TITLES]
    assert "異常は見つかりませんでした" in lines[-1]

    class Renamed:
        def __init__(self, seed):
            agent = DQNAgent(seed=seed)
            self.act, self.learn, self.best = (
                agent.get_action,
                agent.update,
                agent.greedy_action,
            )

    names = {"MyAgent": Renamed}
    exec("from rlbook_helpers.clinic import Program\n" + second, names)  # noqa: S102
    agent = names["program"].make_agent(0)
    assert agent.get_action == vars(agent)["_agent"].act
    assert callable(agent.update) and callable(agent.greedy_action)
