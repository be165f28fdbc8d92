"""The clinic: correct programs pass every examination, each bug is found by the one named.

CONTRIBUTING.md ("Tests") gives the margins of the bounds.
"""

import functools
import inspect
import itertools
import re

import gymnasium as gym
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from rlbook_helpers import DQNAgent, QLearningAgent, train_episode
from rlbook_helpers.clinic import examine, grade, judge, probes, unknown_patient
from rlbook_helpers.clinic.examinations import EXAMINATIONS, TITLES, Program
from rlbook_helpers.clinic.judge import DIAGNOSES, HEALTHY, SHOWN_BY, program_of
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
    # What the patients are made from
    "plain loss": Program(PlainLossAgent),
    "plain buffer": Program(agent_with(PlainBuffer)),
    "deque": Program(agent_with(DequeBuffer)),
}
NOT_THERE = {"chapter 2": {"ceiling", "synchronization", "buffer"}}


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
    answer = judge._answer(7, round)
    verdict = grade(7, round, *reversed(answer))
    assert verdict.correct
    found = judge.examine(program_of(*answer))
    for name in answer:
        assert DIAGNOSES[name] in verdict.sentence
        if name != "healthy":
            lines = map(re.escape, (PATIENTS[name].broken, PATIENTS[name].line))
            assert re.search("\n.*".join(lines), verdict.sentence)
            assert found[SHOWN_BY[name]].sentence in verdict.sentence


def cited(sentence):
    (name,) = (name for name, title in TITLES.items() if f"「{title}」" in sentence)
    return name


@pytest.mark.parametrize("diagnosis", DIAGNOSES)
def test_wrong_diagnosis_is_refused_with_what_speaks_against_it(diagnosis):
    (answer,) = judge._answer(3, 1)
    verdict = grade(3, 1, diagnosis)
    assert verdict.correct == (diagnosis == answer)
    if not verdict.correct:
        name = cited(verdict.sentence)
        here = judge.examine(program_of(answer))[name]
        there = EXAMINATIONS[name](program_of(diagnosis))
        assert here.passed != there.passed and here.sentence in verdict.sentence
        assert DIAGNOSES[answer] not in verdict.sentence


def test_half_of_a_double_diagnosis_is_confirmed():
    answer = judge._answer(0, 3)
    for other in set(judge._IN_AGENT) - set(answer):
        verdict = grade(0, 3, other, answer[1])
        right, wrong = verdict.sentence.split("\n")
        assert not verdict.correct and f"「{DIAGNOSES[answer[1]]}」は正解です" in right
        assert f"「{DIAGNOSES[other]}」ではありません" in wrong
        assert cited(wrong) == SHOWN_BY[other]  # what else differs may be the other's
        assert DIAGNOSES[answer[0]] not in verdict.sentence


def test_each_of_two_bugs_is_found_beside_the_other():
    for pair in itertools.product(judge._IN_AGENT, judge._AROUND_AGENT):
        for name in pair:
            finding = EXAMINATIONS[SHOWN_BY[name]](program_of(*pair), 0)
            assert finding.passed is False, (pair, name, finding)


def test_rounds_reach_every_diagnosis():
    seen = [{judge._answer(seed, round) for seed in range(400)} for round in (1, 2, 3)]
    assert seen[0] == {(name,) for name in judge._FIRST} and len(judge._FIRST) == 6
    assert seen[1] == {(name,) for name in DIAGNOSES}
    assert seen[2] == set(itertools.product(judge._IN_AGENT, judge._AROUND_AGENT))
    assert judge._answer(5, 1) == ("hundredfold_lr",)  # these three are in the chapter
    assert judge._answer(2, 2) == ("gradient_into_target",)
    assert judge._answer(4, 3) == ("max_over_all", "clipped_reward")


def test_examinations_get_the_seed_and_one_thread(monkeypatch):
    def look(program, seed):
        infos = threadpool_info()
        return seed, {i["num_threads"] for i in infos if i["user_api"] == "blas"}

    monkeypatch.setattr(judge, "EXAMINATIONS", {"look": look})
    assert examine(None) == {"look": (0, {1})}
    assert examine(None, 3) == {"look": (3, {1})}


def test_unknown_patient_is_a_program_with_the_bug_and_a_seed():
    assert unknown_patient(5).make_agent().lr == 0.05  # hundredfold_lr, in round 1
    weights = {
        seed: unknown_patient(5).make_agent(seed=seed).qnet.l1.W.data.tobytes()
        for seed in (0, 3)
    }
    assert weights[3] == DQNAgent(seed=3).qnet.l1.W.data.tobytes() != weights[0]


def test_unknown_patient_hides_its_name():
    for round in (1, 2, 3):
        for seed in range(10):
            program = unknown_patient(seed, round)
            names = judge._answer(seed, round)
            agent = program.make_agent(seed=0)
            shown = f"{program!r} {agent!r} {program.make_agent!r} {vars(program)!r}"
            assert not [name for name in names if name in shown]


def test_judge_refuses_bad_arguments():
    for seed, round in ((-1, 1), (0, 0), (0, 4)):
        with pytest.raises(ValueError, match=r"(seed|round) は"):
            unknown_patient(seed, round)
    with pytest.raises(ValueError, match="diagnoses は"):
        grade(0, 1, "cold")
    for round, names in ((1, ["no_mask", "reused_array"]), (3, ["no_mask"])):
        with pytest.raises(ValueError, match=f"round {round}"):
            grade(0, round, *names)


# The probes


PROBES = ["Constant", "Observed", "Delayed", "Acted", "Both", "Truncated", "Ledger"]


@pytest.mark.parametrize("probe", PROBES)
def test_probe_has_the_spaces_of_cartpole_and_depends_on_its_seed(probe):
    env, cartpole, seen = getattr(probes, probe)(), gym.make("CartPole-v1"), []
    assert env.action_space == cartpole.action_space
    assert env.observation_space == gym.spaces.Box(-1, 1, (4,), np.float32)
    for seed in 2 * [*range(8)]:
        states, ended = [env.reset(seed=seed)[0]], False
        while not ended and len(states) < 9:
            state, reward, terminated, truncated, info = env.step(len(states) % 2)
            states.append(state)
            ended = terminated or truncated
            assert isinstance(reward, float) and info == {}
        assert len(states) == env.length + 1
        assert all(state in env.observation_space for state in states)
        seen.append(np.array(states).tolist())
    assert seen[:8] == seen[8:]


@pytest.mark.parametrize("probe", PROBES[:5])
def test_answers_of_a_probe_are_its_values(probe):
    """The best return after each state and action, by trying every sequence of actions."""
    env, gamma = getattr(probes, probe)(), 0.9
    answers = {(float(s[0]), a): v for s, a, v in env.answers(gamma)}
    met = {}
    for seed in range(20):
        for actions in itertools.product((0, 1), repeat=env.length):
            state, _ = env.reset(seed=seed)
            steps = []
            for action in actions:
                now = float(state[0])
                state, reward, *_ = env.step(action)
                steps.append((now, action, reward))
            value = 0.0
            for now, action, reward in reversed(steps):
                value = reward + gamma * value
                met[now, action] = max(value, met.get((now, action), -9))
    assert met == pytest.approx(answers)


def test_answers_beyond_the_cut_count_the_same_rewards_for_ever():
    values = [value for *_, value in probes.Truncated().answers(0.9)]
    assert values == pytest.approx([1 + 0.9 * value for value in values])


def test_ledger_keeps_what_happened_whatever_becomes_of_its_arrays():
    env, rows, ends = probes.Ledger(), [], set()
    for seed in range(2):
        state, _ = env.reset(seed=seed)
        for t in range(5):
            kept = state.copy()
            state[:] = 9
            state, _, terminated, truncated, _ = env.step(t % 2)
            rows.append((*kept, t % 2, t + 1, *state, terminated))
        ends.add((terminated, truncated))
    assert env.transitions == rows
    assert ends == {(True, False), (False, True)}


def test_listings_of_the_judge_name_no_bug():
    for function in (unknown_patient, grade, examine):
        source = inspect.getsource(function)
        assert not [name for name in PATIENTS if name in source]
