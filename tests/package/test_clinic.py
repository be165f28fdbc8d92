"""The clinic: right programs pass every examination, each patient fails the one that is named.

How often a correct program fails here: see the margins in CONTRIBUTING.md ("The clinic").
"""

import inspect
import itertools
import re
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers import DQNAgent, QLearningAgent, train_episode
from rlbook_helpers.clinic.examinations import EXAMINATIONS, TITLES, Program
from rlbook_helpers.clinic.judge import (
    _AROUND_AGENT,
    _IN_AGENT,
    DIAGNOSES,
    HEALTHY,
    SHOWN_BY,
    _answer,
    examine,
    grade,
    program_of,
    unknown_patient,
)
from rlbook_helpers.clinic.patients import (
    PATIENTS,
    DequeBuffer,
    PlainBuffer,
    PlainLossAgent,
    agent_with,
    with_line,
)
from rlbook_helpers.clinic.probes import Ledger, Probe
from rlbook_helpers.experiments.presets import STABLE

SEEDS = range(20)
ROOT = Path(__file__).resolve().parents[2]


class Chapter2Agent(QLearningAgent):
    """The agent of chapter 2, whose network wants 12 numbers: the state and eight zeros."""

    def __init__(self, seed=None):
        super().__init__(gamma=0.98, action_size=2, seed=seed)

    def scaled(self, state):
        return np.pad(np.asarray(state, np.float32), (0, 8))

    def get_action(self, state):
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(2))
        return self.greedy_action(state)

    def greedy_action(self, state):
        return super().greedy_action(self.scaled(state)[np.newaxis])

    def update(self, state, action, reward, next_state, done):
        state, next_state = (self.scaled(x)[np.newaxis] for x in (state, next_state))
        return super().update(state, action, reward, next_state, done)


def stable_agent(seed):
    return STABLE.make_agent(gym.make("CartPole-v1"), seed)


RIGHT = {
    "chapter 2": Program(Chapter2Agent, sync_interval=None),
    "chapter 4": HEALTHY,
    "chapter 5": Program(stable_agent, sync_interval=None),
}
NOT_THERE = {"chapter 2": {"ceiling", "synchronization", "buffer"}}
# What the patients stand on, before their line is changed.
BASES = {
    "plain loss": Program(PlainLossAgent),
    "plain buffer": Program(agent_with(PlainBuffer)),
    "deque": Program(agent_with(DequeBuffer)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_passes_every_examination(name, seed):
    findings = examine(RIGHT[name], seed)
    missing = NOT_THERE.get(name, set())
    for examination, finding in findings.items():
        wanted = None if examination in missing else True
        assert finding.passed is wanted, (examination, finding)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PATIENTS)
def test_a_patient_is_found_by_the_examination_that_the_chapter_names(name, seed):
    finding = EXAMINATIONS[SHOWN_BY[name]](PATIENTS[name].program, seed)
    assert finding.passed is False, finding


@pytest.mark.parametrize("name", BASES)
def test_what_the_patients_stand_on_is_right(name):
    assert all(finding.passed for finding in examine(BASES[name], 0).values())


def test_there_are_titles_and_names_for_everything():
    assert len(PATIENTS) >= 12
    assert set(SHOWN_BY) == set(PATIENTS) == set(DIAGNOSES) - {"healthy"}
    assert list(TITLES) == list(EXAMINATIONS) and set(SHOWN_BY.values()) <= set(TITLES)
    assert len({patient.title for patient in PATIENTS.values()}) == len(PATIENTS)


def test_contributing_says_which_examination_finds_which_bug():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", text, re.M)
    assert dict(rows) == SHOWN_BY and len(rows) == len(SHOWN_BY)


# The patients


@pytest.mark.parametrize("name", PATIENTS)
def test_a_patient_differs_by_one_line(name):
    patient = PATIENTS[name]
    assert patient.line != patient.broken
    # one statement; where two change places, both are named
    assert sorted(map(str.strip, patient.line.split("\n"))) == sorted(
        map(str.strip, patient.broken.split("\n"))
    ) or not {"\n"} & set(patient.line + patient.broken)


def test_a_line_that_is_not_there_once_is_refused():
    for line in ("no such line", "state"):
        with pytest.raises(ValueError, match="一度だけある行"):
            with_line(train_episode, line, "pass")


def test_the_plain_loss_is_the_loss():
    plain, packaged = PlainLossAgent(seed=0), DQNAgent(seed=0)
    rng = np.random.default_rng(0)
    state = rng.normal(size=(8, 4)).astype(np.float32)
    action, target = rng.integers(2, size=8), rng.normal(size=8).astype(np.float32)
    mine = plain.get_loss(state, action, target)
    assert float(mine.data) == pytest.approx(
        float(packaged.get_loss(state, action, target).data), rel=1e-5
    )


# The judge


@pytest.mark.parametrize("round", [1, 2, 3])
def test_the_right_diagnosis_is_accepted_with_its_line(round):
    answer = _answer(7, round)
    verdict = grade(7, round, *reversed(answer))
    assert verdict.correct
    for name in answer:
        assert DIAGNOSES[name] in verdict.sentence
        assert name == "healthy" or PATIENTS[name].broken in verdict.sentence


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_a_wrong_diagnosis_is_refused_with_a_reason(diagnosis):
    (answer,) = _answer(3, 1)
    verdict = grade(3, 1, diagnosis)
    assert verdict.correct == (diagnosis == answer)
    if not verdict.correct:
        assert "検査「" in verdict.sentence
        assert DIAGNOSES[answer] not in verdict.sentence


def test_half_of_a_double_diagnosis_is_told():
    answer = _answer(0, 3)
    other = next(name for name in _IN_AGENT if name not in answer)
    verdict = grade(0, 3, other, answer[1])
    assert not verdict.correct
    assert f"「{DIAGNOSES[answer[1]]}」は正解です" in verdict.sentence
    assert f"「{DIAGNOSES[other]}」ではありません" in verdict.sentence
    assert DIAGNOSES[answer[0]] not in verdict.sentence


def test_each_of_two_bugs_is_found_beside_the_other():
    for pair in itertools.product(_IN_AGENT, _AROUND_AGENT):
        for name in pair:
            finding = EXAMINATIONS[SHOWN_BY[name]](program_of(*pair), 0)
            assert finding.passed is False, (pair, name, finding)


def test_rounds_reach_all_that_they_promise():
    seen = {answer for seed in range(200) for answer in _answer(seed, 2)}
    assert seen == set(DIAGNOSES)
    assert {len(_answer(seed, 3)) for seed in range(20)} == {2}
    assert _answer(5, 1) == _answer(5, 1)


def test_an_unknown_patient_does_not_tell_its_name():
    for round in (1, 2, 3):
        for seed in range(10):
            program = unknown_patient(seed, round)
            names = _answer(seed, round)
            agent = program.make_agent(seed=0)
            shown = f"{program!r} {agent!r} {program.make_agent!r} {vars(program)!r}"
            assert not [name for name in names if name in shown]


def test_bad_questions_to_the_judge_are_refused():
    for seed, round in ((-1, 1), (0, 0), (0, 4)):
        with pytest.raises(ValueError, match=r"(seed|round) は"):
            unknown_patient(seed, round)
    with pytest.raises(ValueError, match="diagnoses は"):
        grade(0, 1, "cold")
    with pytest.raises(ValueError, match="1 個"):
        grade(0, 1, "no_mask", "loop" if "loop" in DIAGNOSES else "reused_array")


# The probes


@pytest.mark.parametrize("probe", [*Probe.__subclasses__(), Ledger])
def test_a_probe_is_an_environment_as_cartpole(probe):
    env, cartpole = probe(), gym.make("CartPole-v1")
    assert env.action_space == cartpole.action_space
    assert env.observation_space.shape == cartpole.observation_space.shape
    state, info = env.reset(seed=0)
    for t in itertools.count(1):
        assert state in env.observation_space and info == {}
        state, reward, terminated, truncated, info = env.step(t % 2)
        assert isinstance(reward, float)
        if terminated or truncated:
            break
    assert t == env.length and state in env.observation_space


@pytest.mark.parametrize("probe", ["Constant", "Observed", "Delayed", "Acted", "Both"])
def test_the_answers_of_a_probe_are_what_it_pays(probe):
    """Every state and action of the answers, by the environment itself, followed by the best."""
    from rlbook_helpers.clinic import probes

    env, gamma = getattr(probes, probe)(), 0.9
    answers = {(tuple(s), a): v for s, a, v in env.answers(gamma)}
    met = {}
    for seed in range(20):
        for actions in itertools.product((0, 1), repeat=env.length):
            state, _ = env.reset(seed=seed)
            steps = []
            for action in actions:
                now = tuple(state)
                state, reward, *_ = env.step(action)
                steps.append((now, action, reward))
            value = 0.0
            for now, action, reward in reversed(steps):
                value = reward + gamma * value
                met[now, action] = max(value, met.get((now, action), -9))
    for key, value in answers.items():
        assert met[key] == pytest.approx(value), key


def test_listings_do_not_name_the_bug():
    """A reader who lists the clinic's judge sees no seed with its answer."""
    from rlbook_helpers.clinic import judge as clinic

    for function in (unknown_patient, grade, examine):
        source = inspect.getsource(function)
        assert not [name for name in PATIENTS if name in source]
    assert clinic.DIAGNOSES is DIAGNOSES
