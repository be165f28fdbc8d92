"""Patients differ from the right program by one line; the judge hides them, and knows why it says what."""

import functools
import inspect
import itertools
import re

import numpy as np
import pytest

from rlbook_helpers import DQNAgent, QNet2, ReplayBuffer, train_episode
from rlbook_helpers.clinic import Rounds, examine, grade, judge, probes, unknown_patient
from rlbook_helpers.clinic.examinations import EXAMINATIONS, TITLES
from rlbook_helpers.clinic.judge import DIAGNOSES, HEALTHY, SHOWN_BY, program_of
from rlbook_helpers.clinic.patients import (
    PATIENTS,
    PLACES,
    UNLISTED,
    DequeBuffer,
    PlainBuffer,
    PlainLossAgent,
    agent_with,
    with_line,
)
from rlbook_helpers.clinic.program import healthy, ill
from rlbook_helpers.clinic.subject import Watched

EVERYBODY = PATIENTS | UNLISTED

# The patients

CODE = "\n".join(map(inspect.getsource, (DQNAgent, train_episode)))
CODE += "\n".join(map(inspect.getsource, (PlainLossAgent, PlainBuffer)))
CODE = "\n".join(map(str.strip, CODE.split("\n")))
# Lines of the reader's, not of the package
OUTSIDE = {"never_synced", "exploring_evaluation", "learning_evaluation"}


@pytest.mark.parametrize("name", EVERYBODY)
def test_patient_differs_by_one_line(name):
    patient = EVERYBODY[name]
    assert patient.line != patient.broken and patient.why.endswith("。")
    if name not in OUTSIDE:
        assert patient.line in CODE and patient.broken not in CODE.split("\n")
    # one statement; where two change places, both are named
    assert sorted(map(str.strip, patient.line.split("\n"))) == sorted(
        map(str.strip, patient.broken.split("\n"))
    ) or not {"\n"} & set(patient.line + patient.broken)


def test_with_line_refuses_a_line_that_is_not_there_once():
    for line in ("no such line", "state"):
        with pytest.raises(ValueError, match=f"一度だけある行.*'{line}'"):
            with_line(train_episode, line, "pass")


CHANGED = {  # state, action, reward, next_state, done of step t; five in an episode
    "truncation_terminal": lambda row, t: (*row[:4], t % 5 == 4),
    "swapped_ends": lambda row, t: (*row[:4], t % 10 == 4),
    "state_out_of_step": lambda row, t: (row[3], *row[1:]),
    "clipped_reward": lambda row, t: (*row[:2], 1.0, *row[3:]),
}


@pytest.mark.parametrize("name", CHANGED)
def test_loop_of_a_patient_changes_one_thing(name):
    env, agent = probes.Ledger(), Watched(DQNAgent(seed=0))
    PATIENTS[name].program.train(env, agent, episodes=4, seed=0)
    rows = [CHANGED[name](row, t) for t, row in enumerate(env.transitions)]
    for ours, wanted in zip(agent.seen, rows, strict=True):
        assert all(map(np.array_equal, ours, wanted)), (ours, wanted)


@pytest.mark.parametrize(
    "name", ["no_mask", "max_over_all", "online_target", "mean_value"]
)
def test_target_of_a_patient_changes_one_thing(name):
    make_agent, seen = EVERYBODY[name].program.make_agent, []
    agent = make_agent(batch_size=8, lr=1e-30, seed=0)  # which moves no weight
    agent.qnet_target = QNet2(2, seed=1)
    rng, get_loss, batch = np.random.default_rng(0), agent.get_loss, []
    agent.get_loss = lambda *them: seen.append(them) or get_loss(*them)
    for k in range(8):
        state, next_state = rng.normal(size=(2, 4)).astype(np.float32)
        batch.append((state, k % 2, float(k), next_state, k % 3 == 0))
        agent.update(*batch[-1])
    ((states, _, targets),) = seen
    kept = {transition[0].tobytes(): transition for transition in batch}
    columns = zip(*(kept[state.tobytes()] for state in states))
    _, _, reward, next_state, done = map(np.array, columns)
    network = agent.qnet if name == "online_target" else agent.qnet_target
    over = np.mean if name == "mean_value" else np.max
    value = over(network(next_state).data, axis=None if name == "max_over_all" else 1)
    mask = 1 if name == "no_mask" else ~done
    np.testing.assert_allclose(targets, reward + mask * 0.98 * value, atol=1e-5)


@pytest.mark.parametrize("buffer", [PlainBuffer, DequeBuffer])
def test_plain_buffer_gives_the_batches_of_the_package(buffer):
    """Wherever it has just been filled; by itself and in an agent."""
    sizes, rng = {"buffer_size": 12, "batch_size": 4}, np.random.default_rng(0)
    agents = agent_with(buffer)(**sizes, seed=3), DQNAgent(**sizes, seed=3)
    pairs = [(buffer(**sizes, seed=3), ReplayBuffer(**sizes, seed=3))]
    pairs.append(tuple(agent.replay_buffer for agent in agents))
    for k in range(1, 37):
        state, next_state = rng.normal(size=(2, 4)).astype(np.float32)
        for pair in pairs:
            for each in pair:
                each.add(state, k % 2, k / 2, next_state, k % 3 == 0)
            assert len(pair[0]) == len(pair[1])
            if k in (5, 12, 24, 36):
                for ours, theirs in zip(*(each.get_batch() for each in pair)):
                    np.testing.assert_array_equal(ours, theirs)
                    assert ours.dtype == theirs.dtype


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


def quick(program, names=EXAMINATIONS):
    """The findings that the judge would get, if each patient had only that of SHOWN_BY."""
    ours = program.make_agent, program.train_episode, program.policy
    found = {name: healthy(f"{name} です。") for name in EXAMINATIONS}
    for name, patient in EVERYBODY.items():
        theirs = patient.program
        if any(
            a is b and a not in (HEALTHY.make_agent, HEALTHY.train_episode)
            for a, b in zip(
                ours, (theirs.make_agent, theirs.train_episode, theirs.policy)
            )
            if a is not HEALTHY.policy
        ) or (name == "never_synced" and program.sync_interval is None):
            found[SHOWN_BY[name]] = ill(f"{name} の所見です。", "tau")
    return found


@pytest.fixture
def at_once(monkeypatch):
    """The judge without examinations, which take seconds."""
    monkeypatch.setattr(judge, "Findings", functools.cache(quick))


def answers(round, seeds):
    return [judge._answer(seed, round) for seed in seeds]


def seed_of(name, round):
    return next(s for s in range(200) if judge._answer(s, round) == (name,))


@pytest.mark.parametrize("name", DIAGNOSES)
@pytest.mark.parametrize("title", [False, True])
def test_correct_diagnosis_is_accepted_with_its_line(name, title, at_once):
    verdict = grade(seed_of(name, 2), 2, DIAGNOSES[name] if title else name)
    assert verdict.correct and "正解です" in verdict.sentence
    if name != "healthy":
        assert verdict.sentence.startswith(f"「{DIAGNOSES[name]}」は正解")
        lines = map(re.escape, (PATIENTS[name].broken, PATIENTS[name].line))
        assert re.search("\n.*".join(lines), verdict.sentence)
        assert TITLES[SHOWN_BY[name]] in verdict.sentence
        assert f"{name} の所見" in verdict.sentence


@pytest.mark.parametrize("given", DIAGNOSES)
@pytest.mark.parametrize("name", ["broadcast_loss", "healthy", "never_synced"])
def test_wrong_diagnosis_is_refused_with_what_speaks_against_it(given, name, at_once):
    verdict = grade(seed_of(name, 2), 2, given)
    assert verdict.correct == (given == name)
    if given != name:
        assert f"「{DIAGNOSES[given]}」ではありません" in verdict.sentence
        (cited,) = [k for k, t in TITLES.items() if f"「{t}」" in verdict.sentence]
        assert judge.Findings(program_of(name))[cited].sentence in verdict.sentence
        assert cited == SHOWN_BY[given if given != "healthy" else name]
        assert name == "healthy" or DIAGNOSES[name] not in verdict.sentence


def test_same_examination_is_not_proof(at_once):
    """Two patients whom the same examination shows; all others agree too."""
    sentence = grade(seed_of("ring_off_by_one", 2), 2, "integer_states").sentence
    assert "ほかのまちがいからも出ます" in sentence and "数をよく見て" in sentence


@pytest.mark.slow
def test_healthy_is_refused_with_a_finding_and_nobody_ill_with_one_of_their_own():
    """Once with the examinations themselves."""
    assert grade(seed_of("healthy", 1), 1, "healthy").correct
    verdict = grade(seed_of("broadcast_loss", 1), 1, "healthy")
    assert not verdict.correct and "に異常があります" in verdict.sentence


def test_half_of_a_double_diagnosis_is_confirmed(at_once):
    answer = judge._answer(0, 3)
    for order in (answer, answer[::-1]):
        verdict = grade(0, 3, *order)
        assert verdict.correct and verdict.sentence.count("は正解です") == 2
    for other in set(judge._IN_AGENT) - set(answer):
        right, wrong = grade(0, 3, other, answer[1]).sentence.split("\n")
        assert f"「{DIAGNOSES[answer[1]]}」は正解です" in right
        assert f"「{DIAGNOSES[other]}」ではありません" in wrong
        assert DIAGNOSES[answer[0]] not in right + wrong


@pytest.mark.parametrize("name", [*UNLISTED, "healthy"])
def test_fourth_round_asks_for_the_place(name, at_once):
    seed, place = seed_of(name, 4), "healthy"
    if name != "healthy":
        place = UNLISTED[name].place
    for given, title in (PLACES | {"healthy": "異常なし"}).items():
        for words in (given, title):
            verdict = grade(seed, 4, words)
            assert verdict.correct == (given == place)
    if name != "healthy":
        right, wrong = (grade(seed, 4, given).sentence for given in (place, "healthy"))
        assert UNLISTED[name].title in right and UNLISTED[name].broken in right
        assert UNLISTED[name].title not in wrong and TITLES[SHOWN_BY[name]] in wrong
    else:
        assert "どの検査にも、異常がありません" in grade(seed, 4, "loop").sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    "pair", [*itertools.product(judge._IN_AGENT, judge._AROUND_AGENT)]
)
def test_each_of_two_bugs_is_found_beside_the_other(pair):
    for name in pair:
        finding = EXAMINATIONS[SHOWN_BY[name]](program_of(*pair), 0)
        assert finding.passed is False, (name, finding)


@pytest.mark.parametrize("round", [1, 2, 3, 4])
def test_neighbours_differ_and_every_patient_comes_in_turn(round):
    candidates = judge.ROUNDS[round]
    n = len(candidates)
    seen = answers(round, range(6 * n))
    assert all(a != b for a, b in itertools.pairwise(seen))
    for lap in range(6):
        assert set(seen[lap * n : lap * n + n]) == set(candidates)
    assert seen[:n] != seen[n : 2 * n]  # in another order
    if round != 3:  # two at once
        assert ("healthy",) in candidates
        assert 0 < sum(a == ("healthy",) for a in seen[: 2 * n]) <= 2


def test_rounds_are_made_of_the_patients():
    assert set(judge.ROUNDS) == {1, 2, 3, 4}
    assert len(judge.ROUNDS[1]) == 7 and set(judge.ROUNDS[1]) < set(judge.ROUNDS[2])
    assert judge.ROUNDS[2] == tuple((name,) for name in DIAGNOSES)
    pairs = itertools.product(judge._IN_AGENT, judge._AROUND_AGENT)
    assert set(judge.ROUNDS[3]) == set(pairs)
    assert judge.ROUNDS[4] == tuple((name,) for name in (*UNLISTED, "healthy"))


def test_order_is_turned_where_two_laps_would_meet(monkeypatch):
    orders = [[0, 1, 2, 3, 4, 5, 6], [6, 0, 1, 2, 3, 4, 5]]
    monkeypatch.setattr(judge, "_order", lambda round, lap: np.array(orders[lap]))
    seen = answers(1, range(14))
    assert seen[6] != seen[7] and set(seen[7:]) == set(judge.ROUNDS[1])


def test_unknown_patient_is_a_program_with_the_bug_and_a_seed():
    program = unknown_patient(seed_of("hundredfold_lr", 1))
    assert program.make_agent().lr == 0.05
    agents = [program.make_agent(seed=s) for s in (0, 3, None, None)] + [
        DQNAgent(seed=3)
    ]
    weights = [agent.qnet.l1.W.data.tobytes() for agent in agents]
    assert weights[1] == weights[-1] and len(set(weights)) == 4
    program = unknown_patient(seed_of("never_synced", 2), 2)
    agent = program.make_agent(seed=0)
    target, agent.qnet.l1.b.data[...] = agent.qnet_target, 1
    agent.sync_qnet()
    assert agent.qnet_target is target and not target.l1.b.data.any()
    agent = unknown_patient(seed_of("healthy", 2), 2).make_agent(seed=0)
    target = agent.qnet_target
    agent.sync_qnet()
    assert agent.qnet_target is not target


def test_unknown_patient_is_found_like_the_one_who_is_known():
    for name, round in (("clipped_reward", 2), ("reseeded", 4), ("oldest_only", 4)):
        known, unknown = (
            EXAMINATIONS[SHOWN_BY[name]](program)
            for program in (
                program_of(name),
                unknown_patient(seed_of(name, round), round),
            )
        )
        assert known == unknown and known.passed is False


@pytest.mark.parametrize("round", [1, 2, 3, 4])
def test_unknown_patients_look_alike(round):
    looks = set()
    for seed in range(2 * len(judge.ROUNDS[round])):
        program, names = unknown_patient(seed, round), judge._answer(seed, round)
        agent = program.make_agent(seed=0)
        shown = f"{program!r} {agent!r} {program.make_agent!r} {vars(program)!r}"
        assert not [name for name in names if name in shown]
        shapes = [re.sub("0x[0-9a-f]+", "", repr(vars(program)))]
        for function in (program.make_agent, program.train_episode, program.policy):
            shapes += [inspect.getsource(function), str(inspect.signature(function))]
        looks.add((*shapes, program.sync_interval, type(agent).__name__))
    assert len(looks) == 1


def test_listings_of_the_judge_name_no_bug():
    for function in (unknown_patient, grade, examine):
        source = inspect.getsource(function)
        assert not [name for name in EVERYBODY if name in source]


def test_judge_refuses_bad_arguments(at_once):
    for seed, round, name in ((-1, 1, "seed"), (0, 0, "round"), (0, 5, "round")):
        with pytest.raises(ValueError, match=f"^{name} は"):
            unknown_patient(seed, round)
    for round, name in ((1, "cold"), (2, "loop"), (4, "no_mask"), (2, "reseeded")):
        with pytest.raises(ValueError, match="diagnoses は"):
            grade(0, round, name)
    with pytest.raises(KeyError):
        program_of("cold")
    for round, names in ((1, ["no_mask", "reused_array"]), (3, ["no_mask"]), (4, [])):
        with pytest.raises(ValueError, match=f"round {round} .* {1 + (round == 3)} 個"):
            grade(0, round, *names)
    for same in ("clipped_reward", DIAGNOSES["clipped_reward"]):
        with pytest.raises(ValueError, match="同じ診断が二つ"):
            grade(0, 3, same, "clipped_reward")


def test_first_answers_make_the_score(at_once):
    rounds = Rounds()
    assert rounds.score().startswith("0 人のうち 0 人")
    (first,), (second,) = answers(1, (0, 1))
    assert not rounds.grade(0, 1, second).correct and rounds.grade(0, 1, first).correct
    assert rounds.grade(1, 1, second) == grade(1, 1, second)
    rounds.grade(1, 1, first)
    assert re.findall(r"\d+", rounds.score()) == ["2", "1", "2"]
    with pytest.raises(ValueError):
        rounds.grade(2, 1, "cold")  # a slip of the pen is no answer
    assert rounds.first == {(0, 1): False, (1, 1): True}
    assert rounds.tries == {(0, 1): 2, (1, 1): 2}
