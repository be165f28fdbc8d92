"""Power of the clinic: no right program is called ill, each wrong one is found, misuse is explained.

In every run of the tests a part, in the weekly one all programs with 20 seeds.
"""

import re

import gymnasium as gym
import numpy as np
import pytest

from clinic_programs import WRONG, InNumPy, Mine, mine, play
from rlbook_helpers import train
from rlbook_helpers.clinic import Program, advise, examine
from rlbook_helpers.clinic.advice import SUSPECTS, suspects
from rlbook_helpers.clinic.case import Case, Corridor
from rlbook_helpers.clinic.examinations import EXAMINATIONS, TITLES
from rlbook_helpers.clinic.judge import DIAGNOSES, SHOWN_BY, patient_of
from rlbook_helpers.clinic.patients import PATIENTS, PLACES, UNLISTED
from rlbook_helpers.clinic.subject import GAMMA

QUICK = {"loop", "pace"}
SLOW = {"rate falls to 0 at once", "optimizer of another network"}
UPDATES = {"td_targets", "gradient", "first_step"}


def examined(program, examination, seed):
    """What an examination finds; in a part of the cases without the corridor first."""
    case = Case(program, seed)
    if examination in UPDATES and seed == 0:
        case.corridor = Corridor(GAMMA, True, 1.0, GAMMA**5, 0)
    return EXAMINATIONS[examination](program, seed, case)


def cases(table, examination, always=()):
    """Every name with 20 seeds; in every run seed 0 of what is quick or in `always`."""
    found = []
    for name in table:
        quick = name not in SLOW and examination(name) in QUICK or name in always
        for seed in range(20):
            slow = [] if quick and seed == 0 else [pytest.mark.slow]
            found.append(pytest.param(name, seed, marks=slow, id=f"{name}-{seed}"))
    return found


@pytest.mark.parametrize(
    ("name", "seed"),
    cases(
        WRONG,
        lambda name: WRONG[name][1],
        {"no gamma", "up instead of down", "shared trunk", "tau exchanged"}
        | {"double of the current state", "relu at the end", "in a row"}
        | {"whole numbers", "of one batch", "window not cleared"}
        | {"random action always 0", "epsilon gone within an episode"}
        | {"evaluation does not scale", "error cut"},
    ),
)
def test_wrong_program_is_found_by_the_examination_named_for_it(name, seed):
    program, examination, suspect = WRONG[name]
    finding = examined(program, examination, seed)
    assert finding.passed is False and finding.result == "異常", finding
    assert suspect in finding.suspects and set(finding.suspects) <= set(SUSPECTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_wrong_program_leads_to_its_suspect_in_three_steps(name):
    program, _, suspect = WRONG[name]
    found = examine(program)
    assert suspect in suspects(found), {k: v for k, v in found.items() if not v.passed}
    assert SUSPECTS[suspect].title in advise(found)


@pytest.mark.parametrize(
    ("name", "seed"),
    cases(
        PATIENTS | UNLISTED,
        SHOWN_BY.get,
        {"no_mask", "online_target", "gradient_into_target", "gradients_kept"}
        | {"hundredfold_lr", "inverted_epsilon", "max_over_all", "ring_off_by_one"},
    ),
)
def test_patient_is_found_by_the_examination_named_for_it(name, seed):
    finding = examined(patient_of(name).program, SHOWN_BY[name], seed)
    assert finding.passed is False, finding


def test_every_patient_and_examination_has_a_title():
    assert len(PATIENTS) == 16 and len(UNLISTED) == 9 and len(EXAMINATIONS) == 19
    assert set(SHOWN_BY) == set(PATIENTS | UNLISTED)
    assert set(DIAGNOSES) == {"healthy", *PATIENTS}
    assert list(TITLES) == list(EXAMINATIONS) and set(SHOWN_BY.values()) <= set(TITLES)
    titles = [patient.title for patient in (PATIENTS | UNLISTED).values()]
    assert len({*titles, *TITLES.values()}) == len(titles) + len(TITLES)
    assert {patient.place for patient in UNLISTED.values()} == set(PLACES)
    assert not any(patient.place for patient in PATIENTS.values())


# Other conventions: each works, or ends in a sentence that says what to do


class Sized(Mine):
    def __init__(self, state_size, action_size, seed=None):
        self.sizes = (state_size, 16, action_size)
        super().__init__(seed)


class Unseeded(Mine):
    def __init__(self):
        super().__init__(0)


class Acting:
    def __init__(self, seed=None):
        self.body = Mine(seed)

    def act(self, state):
        return self.body.get_action(state)

    def learn(self, *transition):
        return self.body.update(*transition)


class QNetOnly(InNumPy):
    """No greedy_action, but a network that gives values."""

    def get_action(self, state):
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(2))
        return int(self.qnet(state).argmax())

    @property
    def greedy_action(self):
        raise AttributeError("greedy_action")


class Unsynced(Mine):
    def __init__(self, seed=None):
        super().__init__(seed)
        self.sync_qnet = None

    def sync_qnet(self):
        self.qnet_target = self.qnet


def greedy(agent):
    return lambda state: int(agent.qnet(state).argmax())


def returns_a_float(env, agent, *, seed=None, max_steps=None):
    play(env, agent, seed=seed, max_steps=max_steps)
    return 1.0


def two_arguments(env, agent):
    play(env, agent)


class Cartpole(gym.Env):
    observation_space = gym.spaces.Box(-1, 1, (5,), np.float32)
    action_space = gym.spaces.Discrete(3)


class Opaque:
    """Chooses actions without values that could be read."""

    gamma, epsilon = 0.9, 0.1

    def get_action(self, state):
        return int(state[0] > 0)

    greedy_action = get_action

    def update(self, *transition):
        pass


WORKS = {
    "the class itself": Mine,
    "a class with sizes and an environment": Program(Sized, play, env=Cartpole()),
    "no seed": Program(Unseeded, play),
    "no greedy_action, but a policy": Program(QNetOnly, play, policy=greedy),
    "a loop of two arguments": Program(Mine, two_arguments),
    "a loop that returns a float": Program(Mine, returns_a_float),
    "five numbers, one action more": mine(sizes=(5, 16, 3)),
    "63 numbers": mine(sizes=(63, 16, 2)),
}
REFUSED = {
    "an agent": (Program(Mine(0)), r"作る関数かクラス.*Program\(Mine\)"),
    "the agent itself": (Mine(0), "作る関数かクラス"),
    "sizes without an environment": (Program(Sized), "state_size.*action_size"),
    "a function that returns the class": (Program(lambda seed: Mine), "クラスではなく"),
    "act and learn": (Program(Acting), r'get_action="act", update="learn"'),
    "nothing": (Program(lambda seed: object()), r'get_action="act", update="learn"'),
    "no sync_qnet": (Program(Unsynced), r"sync_interval=None.*adapt\(agent, sync_qnet"),
    "no greedy_action": (Program(QNetOnly), r"policy=lambda agent"),
    "a policy that is a number": (mine(policy=lambda agent: 3), "関数を返す.*3"),
    "train as the loop": (Program(Mine, train), "一つのエピソードを進める関数"),
    "a loop of episodes": (
        Program(Mine, lambda env, agent, episodes: None),
        r"train\(env, agent, 1, seed=None\).*'episodes'",
    ),
    "a loop that does nothing": (Program(Mine, lambda env, agent: None), "env.step"),
    "an action too large": (mine(get_action=lambda *_: 7), "0 から 1 の番号.*7"),
    "an action below 0": (mine(get_action=lambda *_: -1), "0 から 1 の番号.*-1"),
    "an array of one action": (
        mine(get_action=lambda *_: np.array([1])),
        r"0 から 1 の番号.*array\(\[1\]\)",
    ),
    "two actions": (mine(get_action=lambda *_: np.array([0, 1])), "0 から 1 の番号"),
    "a state that is none": (
        mine(get_action=lambda self, s: s["x"]),
        r"env=gym\.make.*IndexError",
    ),
    "values that cannot be read": (
        Program(Opaque, play, sync_interval=None),
        r"adapt\(agent, qnet=",
    ),
    "an update that fails": (
        mine(update=lambda self, *transition: 1 / 0),
        r"test_clinic\.py の \d+ 行.*ZeroDivisionError",
    ),
    "another signature": (
        mine(update=lambda self, transition: None),
        r"test_clinic\.py の|clinic_programs\.py の \d+ 行.*TypeError",
    ),
}


@pytest.mark.parametrize("name", WORKS)
def test_other_convention_works(name):
    program = WORKS[name]
    finding = EXAMINATIONS["program"](program)
    assert finding.passed is True, finding
    assert "同じシード" not in finding.sentence
    assert EXAMINATIONS["loop"](program).passed is True
    assert EXAMINATIONS["pace"](program).passed is True


@pytest.mark.parametrize("name", REFUSED)
def test_misuse_ends_in_a_sentence_that_says_what_to_do(name):
    program, pattern = REFUSED[name]
    found = examine(program)
    assert list(found) == list(EXAMINATIONS)
    first, *others = found.values()
    if first.passed is None:  # nobody's mistake, but no value can be read
        assert first.result == "調べられない"
    else:
        assert first.passed is False and first.suspects == ("shape",), first
        assert all(f.result == "調べられない" and "最初の点検" in f[1] for f in others)
        assert SUSPECTS["shape"].title in advise(found)
    assert re.search(pattern, first.sentence), first


def test_agent_that_is_never_the_same_is_told():
    program = Program(lambda seed: Mine(), play)
    assert "同じシード" in EXAMINATIONS["program"](program).sentence
    for name in ("td_targets", "gradient", "first_step"):
        finding = EXAMINATIONS[name](program)
        assert finding.result == "前提が合わない" and "seed" in finding.sentence


def test_exception_is_the_finding_of_one_examination():
    """And the others go on."""

    def fails_far(self, state):
        if state[0] > 2:
            raise KeyError("far")
        return Mine.get_action(self, state)

    found = examine(mine(get_action=fails_far, sizes=(4, 32, 2), lr=0.003))
    failed = [name for name, finding in found.items() if "KeyError" in finding.sentence]
    assert failed == ["actions"] and found["loop"].passed
    assert found["td_targets"].passed and found["baselines"].passed
    assert "test_clinic.py の" in found["actions"].sentence
    assert found["actions"].suspects == ("shape",)
