"""The clinic: correct programs pass every examination, each bug is found by the one named.

CONTRIBUTING.md ("Tests") gives the margins of the bounds.
"""

import functools
import inspect
import itertools

import gymnasium as gym
import numpy as np
import pytest

from rlbook_helpers import DQNAgent, QLearningAgent, train_episode
from rlbook_helpers.clinic import judge, probes
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
from rlbook_helpers.experiments.presets import STABLE

# Three seeds in every run of the tests, all 20 in the weekly one
SEEDS = [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 20))]


class Chapter2Agent(QLearningAgent):
    """The agent of chapter 2. Its network takes 12 numbers: the state and eight zeros."""

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


CORRECT = {
    "chapter 2": Program(Chapter2Agent, sync_interval=None),
    "chapter 4": HEALTHY,
    "chapter 5": Program(stable_agent, sync_interval=None),
}
NOT_THERE = {"chapter 2": {"ceiling", "synchronization", "buffer"}}
# What the patients are made from
BASES = {
    "plain loss": Program(PlainLossAgent),
    "plain buffer": Program(agent_with(PlainBuffer)),
    "deque": Program(agent_with(DequeBuffer)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CORRECT)
def test_correct_program_passes_every_examination(name, seed):
    findings = examine(CORRECT[name], seed)
    missing = NOT_THERE.get(name, set())
    for examination, finding in findings.items():
        wanted = None if examination in missing else True
        assert finding.passed is wanted, (examination, finding)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PATIENTS)
def test_bug_is_found_by_the_examination_named_for_it(name, seed):
    finding = EXAMINATIONS[SHOWN_BY[name]](PATIENTS[name].program, seed)
    assert finding.passed is False, finding


@pytest.mark.parametrize("name", BASES)
def test_base_of_patients_passes_every_examination(name):
    assert all(finding.passed for finding in examine(BASES[name], 0).values())


def test_every_bug_and_examination_has_a_title():
    assert len(PATIENTS) >= 12
    assert set(SHOWN_BY) == set(PATIENTS) == set(DIAGNOSES) - {"healthy"}
    assert list(TITLES) == list(EXAMINATIONS) and set(SHOWN_BY.values()) <= set(TITLES)
    assert len({patient.title for patient in PATIENTS.values()}) == len(PATIENTS)


# The patients


@pytest.mark.parametrize("name", PATIENTS)
def test_patient_differs_by_one_line(name):
    patient = PATIENTS[name]
    assert patient.line != patient.broken
    # one statement; where two change places, both are named
    assert sorted(map(str.strip, patient.line.split("\n"))) == sorted(
        map(str.strip, patient.broken.split("\n"))
    ) or not {"\n"} & set(patient.line + patient.broken)


def test_with_line_refuses_a_line_that_is_not_there_once():
    for line in ("no such line", "state"):
        with pytest.raises(ValueError, match="一度だけある行"):
            with_line(train_episode, line, "pass")


def test_plain_loss_equals_the_loss_of_the_package():
    plain, packaged = PlainLossAgent(seed=0), DQNAgent(seed=0)
    rng = np.random.default_rng(0)
    state = rng.normal(size=(8, 4)).astype(np.float32)
    action, target = rng.integers(2, size=8), rng.normal(size=8).astype(np.float32)
    mine = plain.get_loss(state, action, target)
    assert float(mine.data) == pytest.approx(
        float(packaged.get_loss(state, action, target).data), rel=1e-5
    )


# The judge

examine_once = functools.cache(examine)


@pytest.fixture(autouse=True)
def judge_examines_once(monkeypatch):
    """The same program has the same findings."""
    monkeypatch.setattr(judge, "examine", examine_once)


@pytest.mark.parametrize("round", [1, 2, 3])
def test_correct_diagnosis_is_accepted_with_its_line(round):
    answer = _answer(7, round)
    verdict = grade(7, round, *reversed(answer))
    assert verdict.correct
    for name in answer:
        assert DIAGNOSES[name] in verdict.sentence
        assert name == "healthy" or PATIENTS[name].broken in verdict.sentence


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_wrong_diagnosis_is_refused_with_a_reason(diagnosis):
    (answer,) = _answer(3, 1)
    verdict = grade(3, 1, diagnosis)
    assert verdict.correct == (diagnosis == answer)
    if not verdict.correct:
        assert "検査「" in verdict.sentence
        assert DIAGNOSES[answer] not in verdict.sentence


def test_half_of_a_double_diagnosis_is_confirmed():
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


def test_rounds_reach_every_diagnosis():
    seen = {answer for seed in range(200) for answer in _answer(seed, 2)}
    assert seen == set(DIAGNOSES)
    assert {len(_answer(seed, 3)) for seed in range(20)} == {2}
    assert _answer(5, 1) == _answer(5, 1)


def test_unknown_patient_hides_its_name():
    for round in (1, 2, 3):
        for seed in range(10):
            program = unknown_patient(seed, round)
            names = _answer(seed, round)
            agent = program.make_agent(seed=0)
            shown = f"{program!r} {agent!r} {program.make_agent!r} {vars(program)!r}"
            assert not [name for name in names if name in shown]


def test_judge_refuses_bad_arguments():
    for seed, round in ((-1, 1), (0, 0), (0, 4)):
        with pytest.raises(ValueError, match=r"(seed|round) は"):
            unknown_patient(seed, round)
    with pytest.raises(ValueError, match="diagnoses は"):
        grade(0, 1, "cold")
    with pytest.raises(ValueError, match="1 個"):
        grade(0, 1, "no_mask", "reused_array")


# The probes


PROBES = ["Constant", "Observed", "Delayed", "Acted", "Both", "Truncated", "Ledger"]


@pytest.mark.parametrize("probe", PROBES)
def test_probe_has_the_spaces_of_cartpole(probe):
    env, cartpole = getattr(probes, probe)(), gym.make("CartPole-v1")
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


@pytest.mark.parametrize("probe", PROBES[:5])
def test_answers_of_a_probe_are_its_values(probe):
    """The best return after each state and action, by trying every sequence of actions."""
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


def test_listings_of_the_judge_name_no_bug():
    for function in (unknown_patient, grade, examine):
        source = inspect.getsource(function)
        assert not [name for name in PATIENTS if name in source]
