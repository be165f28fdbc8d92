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
from threadpoolctl import threadpool_info, threadpool_limits

from rlbook_helpers import DQNAgent, QLearningAgent, QNet2, ReplayBuffer, train_episode
from rlbook_helpers.clinic import (
    examinations,
    examine,
    grade,
    judge,
    probes,
    unknown_patient,
)
from rlbook_helpers.clinic.examinations import EXAMINATIONS, TITLES, Program, Witness
from rlbook_helpers.clinic.judge import DIAGNOSES, HEALTHY, SHOWN_BY, program_of
from rlbook_helpers.clinic.patients import (
    _UPDATE,
    PATIENTS,
    DequeBuffer,
    PlainBuffer,
    PlainLossAgent,
    agent_with,
    with_line,
)
from rlbook_helpers.dezero_compat import Variable
from rlbook_helpers.experiments.presets import STABLE
from rlbook_helpers.stable import StableDQNAgent

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


# The examinations, each on programs that nearly pass or nearly fail


class Fixed:
    """An agent of given values at each first component of a state. It learns nothing."""

    gamma, epsilon = 0.75, 0.1

    def __init__(self, values=None, syncs=()):
        self.values, self.syncs, self.seen = values, syncs, []
        self.qnet_target = QNet2(2, hidden_size=1, seed=0)

    def qnet(self, states):
        return Variable(np.array([self.values[float(state[0])] for state in states]))

    def get_action(self, state):
        return len(self.seen) % 2

    def greedy_action(self, state):
        return 0

    def update(self, *transition):
        self.seen.append(transition)
        if len(self.seen) in self.syncs:
            self.sync_qnet()

    def sync_qnet(self):
        self.qnet_target.l3.b.data += 1


VALUES = {
    "probe_constant": {0.5: [1, 1]},
    "probe_observed": {-0.5: [-1, -1], 0.5: [1, 1]},
    "probe_delayed": {-0.5: [1, 1], 0.5: [0.75, 0.75]},
    "probe_acted": {0.5: [-1, 1]},
    "probe_both": {-0.5: [1, -1], 0.5: [-1, 1]},
}


@pytest.mark.parametrize("name", VALUES)
def test_probe_allows_errors_below_one_half(name, monkeypatch):
    errors = (-0.5, -0.25, 0.25, 0.5)
    for x, action, error in itertools.product(VALUES[name], (0, 1), errors):
        agent = Fixed({state: list(values) for state, values in VALUES[name].items()})
        agent.values[x][action] += error
        monkeypatch.setattr(examinations, "learned", lambda *_, agent=agent: agent)
        finding = EXAMINATIONS[name](HEALTHY)
        assert finding.passed == (abs(error) < 0.5)
        assert f"{abs(error):.2f}" in finding.sentence


@pytest.mark.parametrize("probe", [probes.Constant, probes.Delayed])
def test_probe_is_learned_in_150_random_steps(probe):
    agent = Fixed()
    assert examinations.learned(probe(), Program(lambda seed: agent), 0) is agent
    assert len(agent.seen) == 150 and agent.epsilon == 1


@pytest.mark.parametrize(("value", "passed"), [(1.5, False), (1.51, True)])
def test_value_beyond_the_cut_exceeds_one_and_a_half(value, passed, monkeypatch):
    monkeypatch.setattr(examinations, "learned", lambda *_: Fixed({0.5: [0, value]}))
    assert EXAMINATIONS["probe_truncated"](HEALTHY).passed == passed


@pytest.mark.parametrize(
    ("options", "own", "syncs"),
    [
        *(({}, (), 8), ({"sync_interval": 7}, (), 22)),
        *(({"sync_interval": None}, own, len(own)) for own in ((), (50, 150))),
    ],
)
def test_ceiling_counts_the_synchronizations(options, own, syncs):
    """Of the loop in 150 episodes, or the agent's own."""
    top = sum(0.75**k for k in range(syncs + 1))
    for share, passed in ((1.19, True), (1.21, False)):
        agent = Fixed({0.5: [0, share * top]}, own)
        finding = EXAMINATIONS["ceiling"](Program(lambda seed, a=agent: a, **options))
        assert finding.passed == passed and f"{syncs} 回" in finding.sentence


@pytest.mark.parametrize("name", EXAMINATIONS)
def test_examination_seeds_agent_training_and_transitions(name):
    def run(seed):
        seeds, states = [], []

        class Watched(Program):
            def train(self, env, agent, **options):
                seeds.append(options.get("seed"))
                return super().train(env, agent, **options)

        class Recorder(DQNAgent):
            def __init__(self, *, seed):
                seeds.append(seed)
                super().__init__(seed=seed)

            def update(self, state, *rest):
                states.append(state.tolist())
                return super().update(state, *rest)

        EXAMINATIONS[name](Watched(Recorder), seed)
        assert set(seeds) == {seed}
        return states

    states = run(5)
    if name in ("td_targets", "gradient", "first_step", "overfit"):
        assert run(6) != states


def test_random_transitions_are_of_every_kind():
    agent = Fixed()
    agent.replay_buffer = ReplayBuffer(40, 32)
    batch = examinations.first_batch(agent, 0)
    assert len(batch) == 32 and agent.seen == batch[:-1]
    kinds = {(action, reward, done) for _, action, reward, _, done in batch}
    assert kinds == set(itertools.product((0, 1), (-1, 1), (False, True)))
    first_step = EXAMINATIONS["first_step"]  # all are ends, with nothing beyond
    assert first_step(program_of("max_over_all")) == first_step(HEALTHY)


@pytest.mark.parametrize(("error", "passed"), [(0.005, True), (0.02, False)])
def test_calculations_are_right_to_one_percent(error, passed):
    class Off(DQNAgent):
        def update(self, *transition):
            if (loss := super().update(*transition)) is not None:
                grad = self.qnet.l3.b.grad.data
                grad[np.abs(grad).argmax()] *= 1 + error
                loss *= 1 + error
            return loss

    for name in ("td_targets", "gradient"):
        assert EXAMINATIONS[name](Program(Off)).passed is passed


@pytest.mark.parametrize(("loss", "passed"), [(0.5, False), (0.49, True)])
def test_overfit_asks_for_half_after_20_rounds_of_8(loss, passed, monkeypatch):
    agent = Fixed()
    monkeypatch.setattr(examinations, "hand_loss", lambda *_: loss)
    assert EXAMINATIONS["overfit"](Program(lambda seed: agent)).passed is passed
    states = [transition[0].tobytes() for transition in agent.seen]
    assert states == 20 * states[:8] and len(set(states)) == 8


MISSED = {  # by the examinations named for the bugs
    "td_targets": PATIENTS["online_target"].program,
    "first_step": Program(lambda seed: DQNAgent(lr=1e-30, seed=seed)),
    "synchronization": Program(
        lambda seed: StableDQNAgent(sync_steps=1, seed=seed), sync_interval=None
    ),
}


@pytest.mark.parametrize("name", MISSED)
def test_examination_finds_other_bugs_too(name):
    assert EXAMINATIONS[name](MISSED[name]).passed is False


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        *(("action", "0", 25), ("terminated", "False", 5)),
        ("terminated", "truncated", 10),
        ("terminated", "terminated and len(agent.transitions) != 9", 1),
    ],
)
def test_loop_counts_wrong_transitions(old, new, wrong):
    play = with_line(train_episode, _UPDATE, _UPDATE.replace(old, new))
    finding = EXAMINATIONS["loop"](Program(DQNAgent, play))
    assert finding.passed is False and f"50 個のうち {wrong} 個" in finding.sentence


def test_buffer_counts_wrong_transitions():
    class Rare(PlainBuffer):
        def get_batch(self):
            batch, self.calls = super().get_batch(), getattr(self, "calls", 0) + 1
            batch.reward[0] += self.calls == 39  # 19 in training, then 20
            return batch

    finding = EXAMINATIONS["buffer"](Program(agent_with(Rare)))
    assert finding.passed is False and "640 個のうち 1 個" in finding.sentence


@pytest.mark.parametrize(
    ("epsilon", "others", "passed"),
    [
        *((0.1, 129, True), (0.1, 131, False)),
        *((0.4, 119, False), (0.4, 121, True), (0.4, 279, True), (0.4, 281, False)),
    ],
)
def test_actions_of_a_thousand_are_counted(epsilon, others, passed):
    agent, chosen = Fixed(), iter([1] * others + [0] * (1_000 - others))
    agent.epsilon, agent.get_action = epsilon, lambda state: next(chosen)
    assert EXAMINATIONS["actions"](Program(lambda seed: agent)).passed is passed


@pytest.mark.parametrize("last", [0, 1])
def test_evaluation_sees_one_action_in_fifty(last):
    seen = []

    def policy(agent):
        return lambda state: seen.append(agent.epsilon) or last * (len(seen) == 50)

    finding = EXAMINATIONS["evaluation"](Program(lambda seed: Fixed(), policy=policy))
    assert finding.passed == (last == 0) and seen == [0.5] * 50


def test_baselines_are_compared_by_their_means(monkeypatch):
    played = []

    def play(env, policy, *, episodes, seed):
        played.append((seed, [policy(None) for _ in range(20)]))
        return np.array([0, 0, 3 * means[(len(played) - 1) % 3]])

    monkeypatch.setattr(examinations, "learned", lambda *_: Fixed())
    monkeypatch.setattr(examinations, "evaluate", play)
    program = Program(DQNAgent, policy=lambda agent: lambda state: 7)
    for seed, means in enumerate(
        [(0.79, 0.5, 0.2), (0.79, 0.2, 0.5), (0.81, 0.2, 0.5)]
    ):
        passed, sentence = EXAMINATIONS["baselines"](program, seed)
        assert passed == (means[0] > 0.8)
        assert re.findall(r"\d\.\d\d", sentence) == [f"{mean:.2f}" for mean in means]
    assert [seed for seed, _ in played] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert played[0][1] == [7] * 20 and played[2][1] == [0] * 20
    assert set(played[1][1]) == {0, 1} and played[1][1] != played[4][1]


@pytest.mark.parametrize(
    ("name", "options", "syncs"),
    [("healthy", {}, 1), ("healthy", {"sync_interval": 2}, 3), ("never_synced", {}, 0)],
)
def test_program_synchronizes_as_it_says(name, options, syncs):
    agent = Fixed()
    before = agent.qnet_target.l3.b.data.copy()
    program_of(name).train(probes.Constant(), agent, episodes=6, **options)
    assert (agent.qnet_target.l3.b.data - before == syncs).all()


# The patients

CODE = "\n".join(map(inspect.getsource, (DQNAgent, train_episode)))
CODE += "\n".join(map(inspect.getsource, (PlainLossAgent, PlainBuffer)))
CODE = "\n".join(map(str.strip, CODE.split("\n")))


@pytest.mark.parametrize("name", PATIENTS)
def test_patient_differs_by_one_line(name):
    patient = PATIENTS[name]
    assert patient.line != patient.broken
    if name not in ("never_synced", "exploring_evaluation"):  # lines of the reader's
        assert patient.line in CODE and patient.broken not in CODE
    # one statement; where two change places, both are named
    assert sorted(map(str.strip, patient.line.split("\n"))) == sorted(
        map(str.strip, patient.broken.split("\n"))
    ) or not {"\n"} & set(patient.line + patient.broken)


def test_with_line_refuses_a_line_that_is_not_there_once():
    for line in ("no such line", "state"):
        with pytest.raises(ValueError, match=f"一度だけある行.*'{line}'"):
            with_line(train_episode, line, "pass")


CHANGED = {  # state, action, reward, next_state, done at step t; five in an episode
    "truncation_terminal": lambda row, t: (*row[:10], t % 5 == 4),
    "swapped_ends": lambda row, t: (*row[:10], t % 10 == 4),
    "state_out_of_step": lambda row, t: (*row[6:10], *row[4:]),
    "clipped_reward": lambda row, t: (*row[:5], 1, *row[6:]),
}


@pytest.mark.parametrize("name", CHANGED)
def test_loop_of_a_patient_changes_one_thing(name):
    env, witness = probes.Ledger(), Witness()
    PATIENTS[name].program.train(env, witness, episodes=4, seed=0)
    rows = [CHANGED[name](row, t) for t, row in enumerate(env.transitions)]
    assert witness.transitions == rows


@pytest.mark.parametrize("name", ["no_mask", "max_over_all", "online_target"])
def test_target_of_a_patient_changes_one_thing(name):
    make_agent, seen = PATIENTS[name].program.make_agent, []
    agent = make_agent(batch_size=8, lr=1e-30, seed=0)  # which moves no weight
    agent.qnet_target = QNet2(2, seed=1)
    batch, get_loss = examinations.first_batch(agent, 0), agent.get_loss
    agent.get_loss = lambda *them: seen.append(them) or get_loss(*them)
    agent.update(*batch[-1])
    ((states, _, targets),) = seen
    kept = {transition[0].tobytes(): transition for transition in batch}
    columns = zip(*(kept[state.tobytes()] for state in states))
    _, _, reward, next_state, done = map(np.array, columns)
    network = agent.qnet if name == "online_target" else agent.qnet_target
    value = network(next_state).data.max(axis=None if name == "max_over_all" else 1)
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

examine_once = functools.cache(examine)


@pytest.fixture(autouse=True)
def judge_examines_once(monkeypatch):
    """The same program has the same findings."""
    monkeypatch.setattr(judge, "examine", examine_once)


@pytest.mark.parametrize(("seed", "round"), [(7, 1), (7, 2), (16, 2), (7, 3)])
def test_correct_diagnosis_is_accepted_with_its_line(seed, round):
    answer = judge._answer(seed, round)
    assert (answer == ("healthy",)) == (seed == 16)
    verdict = grade(seed, round, *reversed(answer))
    assert verdict.correct and "正解です" in verdict.sentence
    found = judge.examine(program_of(*answer))
    for name in set(answer) - {"healthy"}:
        begin = re.escape(f"「{DIAGNOSES[name]}」は正解")
        assert re.search(f"^{begin}", verdict.sentence, re.M)
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
        if "この患者では違います" in verdict.sentence:
            assert ("異常なしのはず" in verdict.sentence) == there.passed
        assert DIAGNOSES[answer] not in verdict.sentence


def test_half_of_a_double_diagnosis_is_confirmed():
    answer = judge._answer(0, 3)
    for other in set(judge._IN_AGENT) - set(answer):
        verdict = grade(0, 3, other, answer[1])
        right, wrong = verdict.sentence.split("\n")
        assert not verdict.correct and f"「{DIAGNOSES[answer[1]]}」は正解です" in right
        assert f"「{DIAGNOSES[other]}」ではありません" in wrong
        assert cited(wrong) == SHOWN_BY[other]  # what else differs may be the other's
        passed, sentence = judge.examine(program_of(*answer))[SHOWN_BY[other]]
        assert ("異常なしです" in wrong) == passed and sentence in wrong
        assert DIAGNOSES[answer[0]] not in verdict.sentence
    assert not grade(0, 3, answer[1], answer[1]).correct


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
    with threadpool_limits(2, user_api="blas"):
        assert examine(None) == {"look": (0, {1})}
        assert examine(None, 3) == {"look": (3, {1})}


def test_unknown_patient_is_a_program_with_the_bug_and_a_seed():
    assert unknown_patient(5).make_agent().lr == 0.05  # hundredfold_lr, in round 1
    make_agent = unknown_patient(5).make_agent
    agents = make_agent(seed=0), make_agent(seed=3), make_agent(), make_agent()
    agents = *agents, DQNAgent(seed=3)
    weights = [agent.qnet.l1.W.data.tobytes() for agent in agents]
    assert weights[1] == weights[-1] and len(set(weights)) == 4


def test_unknown_patient_hides_its_name():
    for round in (1, 2, 3):
        for seed in range(10):
            program = unknown_patient(seed, round)
            names = judge._answer(seed, round)
            agent = program.make_agent(seed=0)
            shown = f"{program!r} {agent!r} {program.make_agent!r} {vars(program)!r}"
            assert not [name for name in names if name in shown]
            assert inspect.isfunction(program.make_agent)  # no class of its own


def test_judge_refuses_bad_arguments():
    for seed, round, name in ((-1, 1, "seed"), (0, 0, "round"), (0, 4, "round")):
        with pytest.raises(ValueError, match=f"^{name} は"):
            unknown_patient(seed, round)
    with pytest.raises(ValueError, match="diagnoses は"):
        grade(0, 1, "cold")
    with pytest.raises(KeyError):
        program_of("cold")
    for round, names in ((1, ["no_mask", "reused_array"]), (3, ["no_mask"])):
        with pytest.raises(ValueError, match=f"round {round} .* {3 - len(names)} 個"):
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
            assert state[0] == (0.5 if probe in ("Constant", "Acted") else 0)
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
    numbers = [x for row in rows for x in row[:4]]  # any, so that none are confused
    assert len(set(numbers)) == 40 and min(numbers) < -0.5 and max(numbers) > 0.5
    assert ends == {(True, False), (False, True)}


def test_listings_of_the_judge_name_no_bug():
    for function in (unknown_patient, grade, examine):
        source = inspect.getsource(function)
        assert not [name for name in PATIENTS if name in source]
