"""The parts of the clinic, each by itself, and its bounds from both sides."""

import ast
import inspect
import itertools
import json
import re
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from clinic_programs import (
    UPDATE,
    InNumPy,
    Memory,
    Mine,
    Normalized,
    NSteps,
    Renamed,
    blend,
    drop,
    four_times,
    looped,
    mine,
    play,
    preset,
    renamed,
    rewarded,
    shared_trunk,
)
from rlbook_helpers import DQNAgent, ReplayBuffer
from rlbook_helpers.clinic import Program, adapt, advise, examine, probes
from rlbook_helpers.clinic import examinations as package
from rlbook_helpers.clinic.advice import SUSPECTS, suspects
from rlbook_helpers.clinic.case import Case
from rlbook_helpers.clinic.examinations import (
    EXAMINATIONS,
    behaviour,
    learning,
    target,
    transitions,
    updates,
)
from rlbook_helpers.clinic.judge import HEALTHY
from rlbook_helpers.clinic.memory import drawn, find_buffer
from rlbook_helpers.clinic.motion import MOST_UPDATES, Motion
from rlbook_helpers.clinic.patients import DequeBuffer, PlainBuffer
from rlbook_helpers.clinic.program import Undecided, accepted, healthy, ill, new_agent
from rlbook_helpers.clinic.strangers import PARTS, Strangers
from rlbook_helpers.clinic.subject import Subject, Watched, as_array, row, weights
from rlbook_helpers.replay_buffer import Batch

# probes.py

KINDS = ["Constant", "Observed", "Acted", "Both", "Shifted", "Delayed", "Turned"]
ALL = [*KINDS, "Truncated", "Memorized", "Ledger"]
SHAPES = [(4, 2), (8, 4), (2, 3), (1, 2)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ALL)
def test_probe_has_its_shape_and_length_and_depends_on_its_seed(kind, shape):
    for rest in (0, 3):
        env, seen = getattr(probes, kind)(*shape, rest=rest), []
        assert env.observation_space.shape == shape[:1]
        assert env.action_space.n == shape[1]
        for seed in 2 * [*range(6)]:
            states, ended = [env.reset(seed=seed)[0]], False
            begun = env.t
            while not ended:
                action = len(states) % shape[1]
                state, reward, terminated, truncated, info = env.step(action)
                states.append(state)
                ended = terminated or truncated
                assert isinstance(reward, float) and info == {}
                assert not (terminated and truncated)
                assert env.transitions[-1][1:3] == (action, reward)
                assert env.transitions[-1][4] == terminated
            assert len(states) - 1 == env.length + rest - begun
            assert all(state in env.observation_space for state in states)
            seen.append(np.array(states).tolist())
            with pytest.raises(probes.LoopError, match="reset せずに step"):
                env.step(0)
        if kind != "Ledger":  # whose ends take turns
            assert seen[:6] == seen[6:]
        assert env.seeds == 2 * [*range(6)]


def test_step_before_reset_is_an_error_of_the_loop():
    with pytest.raises(probes.LoopError, match="終端"):
        probes.Constant().step(0)
    with pytest.raises(probes.LoopError, match="打ち切り"):
        probes.Truncated().step(0)


@pytest.mark.parametrize("shape", [(4, 2), (3, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_answers_of_a_probe_are_its_values(kind, shape):
    """The best return after each state and action, by trying every sequence of actions."""
    env, gamma, met = getattr(probes, kind)(*shape, rest=1), 0.9, {}
    sequences = [*itertools.product(range(shape[1]), repeat=min(env.length, 3))]
    for seed, actions in itertools.product(range(16), sequences):
        state, _ = env.reset(seed=seed)
        steps, ended, chosen = [], False, itertools.cycle(actions)
        while not ended:
            now, action = tuple(state[:1]), next(chosen)
            asked = env.t < env.length
            state, reward, ended, *_ = env.step(action)
            if asked:
                steps.append((now, action, reward))
        value = 0.0
        for now, action, reward in reversed(steps):
            value = reward + gamma * value
            met[now, action] = max(value, met.get((now, action), -9))
    answers = {(tuple(s[:1]), a): v for s, a, v in env.answers(gamma)}
    assert met == pytest.approx(answers)


def test_answers_of_the_rooms_count_the_same_rewards_for_ever():
    answers = probes.Truncated(4, 3).answers(0.9)
    assert {(s[0], a): round(v, 6) for s, a, v in answers} == {
        (sign / 2, a): 10 * sign for sign in (-1, 1) for a in range(3)
    }


def test_memorized_asks_for_what_it_gives():
    env = probes.Memorized(4, 3)
    answers = {tuple(s): (a, v) for s, a, v in env.answers(0.9)}
    for seed in range(40):
        state, _ = env.reset(seed=seed)
        action = env.best()
        assert (action, env.step(action)[1]) == answers.pop(
            tuple(state), (action, env.transitions[-1][2])
        )
    assert not answers


def test_ledger_keeps_what_happened_whatever_becomes_of_its_arrays():
    env, rows, ends = probes.Ledger(length=7), [], []
    for seed in range(4):
        state, _ = env.reset(seed=seed)
        for t in range(7):
            kept = state.copy()
            state[:] = 9
            state, reward, terminated, truncated, _ = env.step(t % 2)
            assert reward == env.rewards[t % 5]
            rows.append((*kept, t % 2, reward, *state, terminated))
        ends.append((terminated, truncated))
    found = [(*s, a, r, *n, d) for s, a, r, n, d in env.transitions]
    assert found == rows and ends == 2 * [(False, True), (True, False)]
    assert len({x for row in rows for x in row[:4]}) == 4 * 28


def test_turned_and_memorized_choose_the_rest_is_free():
    assert probes.Acted().best() is None
    env = probes.Turned(4, 3)
    for seed in range(8):
        env.reset(seed=seed)
        assert env.best() is None  # the first action is free, the second the best
        if env.start == 0:
            env.step(2)
            assert env.best() == 0


# program.py


def test_accepted_keeps_what_a_function_takes():
    options = {"seed": 1, "max_steps": 2}
    for function, kept in {
        lambda seed: 0: {"seed"},
        lambda *, max_steps=1, other=2: 0: {"max_steps"},
        lambda **rest: 0: {"seed", "max_steps"},
        lambda seed, /: 0: set(),
        lambda: 0: set(),
        print: set(),
    }.items():
        assert accepted(function, **options).keys() == kept


def test_new_agent_gets_the_seed_and_the_sizes():
    class Env:
        observation_space = gym.spaces.Box(-1, 1, (5,))
        action_space = gym.spaces.Discrete(3)

    def make(*, seed, state_size, action_size):
        assert isinstance(action_size, int)
        return adapt(Mine(seed), sizes=(seed, state_size, action_size))

    assert new_agent(Program(make, env=Env()), 7).sizes == (7, 5, 3)
    with pytest.raises(TypeError, match="own mistake"):  # not one of the call
        new_agent(
            Program(lambda seed: (_ for _ in ()).throw(TypeError("own mistake"))), 0
        )


def test_adapted_agent_reads_writes_and_calls_by_both_names():
    agent = Renamed(0)
    other = adapt(agent, get_action="act", epsilon="eps", greedy_action=lambda s: 5)
    assert other.greedy_action(None) == 5 and other.get_action == agent.act
    other.epsilon, other.new = 0.5, 1
    assert agent.eps == 0.5 == other.epsilon and agent.new == 1 and agent.epsilon == 0.1
    assert not hasattr(other, "update")


def test_program_trains_as_it_says():
    for options, syncs in (
        ({}, 1),
        ({"sync_interval": 2}, 3),
        ({"sync_interval": None}, 0),
    ):
        agent = Mine(0)
        agent.copies, agent.sync_qnet = (
            0,
            lambda a=agent: setattr(a, "copies", a.copies + 1),
        )
        program = mine(loop=HEALTHY.train_episode)
        record = program.train(probes.Constant(), agent, episodes=6, **options)
        assert agent.copies == syncs and record.lengths == [1] * 6


# subject.py


def own(agent, state):
    """The values by hand."""
    agent = getattr(agent, "_agent", agent)
    agent = getattr(agent, "body", agent)
    if isinstance(agent, DQNAgent):
        return agent.action_values(state)
    x = agent.prepared(state) if isinstance(agent, Mine) else state
    return as_array(agent.qnet(x[np.newaxis]))[0]


READABLE = {
    "DeZero": HEALTHY,
    "reader's": mine(),
    "own normalization": mine(Normalized),
    "chapter 5": preset("stable"),
    "NumPy": Program(InNumPy, play),
    "other names": Program(renamed, play),
}


@pytest.mark.parametrize("name", READABLE)
def test_values_are_those_that_the_greedy_action_is_chosen_by(name):
    case = Case(READABLE[name], 3)
    subject, env = case.fresh(), probes.Ledger()
    for episode in range(20):
        subject.episode(env, Watched(subject.agent), episode)
    for state in case.panel(8, 2.0):
        np.testing.assert_allclose(
            subject.values(state), own(subject.agent, state), rtol=1e-5
        )
        assert subject.values(state).argmax() == subject.greedy(state)
    assert case.shape == (4, 2)


def test_target_values_are_of_the_target_network_and_leave_the_weights():
    for program in (mine(), HEALTHY, mine(Normalized)):
        subject = Case(program).fresh()
        agent, (state, *_) = subject.agent, Case(program).panel(1)
        for x in weights(agent.qnet_target):
            x += 0.1
        before = [x.copy() for x in weights(agent.qnet)]
        found = subject.target_values(state)
        assert all(map(np.array_equal, before, weights(agent.qnet)))
        assert not np.allclose(found, subject.values(state))
        agent.qnet = agent.qnet_target
        np.testing.assert_allclose(found, own(agent, state), rtol=1e-5)


def test_without_a_target_network_its_values_are_the_online_ones():
    subject = Case(table()).fresh()
    state = np.ones(4)
    assert subject.target is None
    np.testing.assert_array_equal(subject.target_values(state), subject.values(state))


def test_target_network_may_be_a_list_of_arrays():
    subject, state = Case(Program(InNumPy)).fresh(), np.ones(4)
    agent = subject.agent
    for x in agent.old:
        x += 0.1
    values = agent.hidden(state, agent.old) @ agent.old[2] + agent.old[3]
    np.testing.assert_allclose(subject.target_values(state), values)
    assert not np.allclose(values, subject.values(state))


def test_agent_that_acts_by_its_target_network_is_told():
    class Late(Mine):
        def greedy_action(self, state):
            return int(self.qnet_target(state[np.newaxis]).data.argmax())

    finding = EXAMINATIONS["program"](Program(Late, play))
    assert finding.result == "前提が合わない" and "ターゲット" in finding.sentence


def test_overhearing_leaves_the_network_as_it_was():
    subject = Case(mine()).fresh()
    before = dict(vars(subject.agent.qnet))
    subject.values(np.ones(4, np.float32))
    assert vars(subject.agent.qnet) == before


def test_gamma_is_changed_wherever_the_agent_keeps_it():
    agent = Case(preset("stable")).fresh().agent
    assert agent.gamma == agent.n_step_returns.gamma == 0.995
    agent = Subject(Case(preset("stable")), 0.8).agent
    assert agent.gamma == agent.n_step_returns.gamma == 0.8

    class Fixed(Mine):
        gamma = property(lambda self: 0.5, lambda self, x: None)

    assert Subject(Case(Program(Fixed)), 0.8).agent.gamma == 0.5


def test_fingerprint_tells_any_change_of_the_weights():
    for program in (mine(), Program(InNumPy)):
        subject = Case(program).fresh()
        subject.values(np.ones(4, np.float32))
        first = subject.fingerprint()
        assert subject.fingerprint() == first
        found = weights(subject.agent.qnet) or subject.agent.w
        found[-1][...] += 1e-6
        assert subject.fingerprint() != first


def test_watched_agent_sees_copies_and_passes_everything_on():
    agent, state = Mine(0), np.ones(4, np.float32)
    looks = []
    watched = Watched(agent, lambda state: 1, lambda: looks.append(agent.t))
    assert watched.get_action(state) == 1 and Watched(agent).get_action(state) in (0, 1)
    watched.update(state, 1, 2.0, state, False)
    names = ("state", "action", "reward", "next_state", "done")
    watched.update(**dict(zip(names, (state, 0, 3, state, True))))
    state[:] = 9
    assert [r[1:3] for r in watched.seen] == [(1, 2.0), (0, 3.0)]
    assert all((r[0] == 1).all() and (r[3] == 1).all() for r in watched.seen)
    assert [r[4] for r in watched.seen] == [False, True]
    assert watched.chosen == [1] and looks == [1, 2]
    watched.epsilon = 0.7
    assert agent.epsilon == 0.7 and watched.gamma == agent.gamma


def test_row_reads_arrays_of_any_shape():
    found = row(([[1, 2]], np.array([[1]]), np.array([0.5]), [3, 4], [[1.0]], "more"))
    assert found[0].tolist() == [1, 2] and found[3].tolist() == [3, 4]
    assert found[1:3] == (1, 0.5) and found[4] is True


# case.py


@pytest.mark.parametrize("shape", [(4, 2), (8, 4), (2, 3), (1, 2), (17, 5)])
def test_shape_is_found_by_trying(shape):
    assert Case(mine(sizes=(shape[0], 8, shape[1]))).shape == shape


class NoGamma(InNumPy):
    def __getattribute__(self, name):
        if name == "gamma":
            raise AttributeError(name)
        return super().__getattribute__(name)


def test_gammas_are_those_that_may_be_used():
    assert Case(HEALTHY).gammas == [0.8, 0.98]
    gammas = Case(Program(NoGamma)).gammas
    assert gammas[0] == 0.8 and min(gammas) <= 0.3 and 0.98 < max(gammas) < 1


def test_episodes_are_prolonged_only_for_who_needs_it():
    class Whole(NSteps):
        """Stores only whole windows; clears at the end."""

        def update(self, state, action, reward, next_state, done):
            super().update(state, action, reward, next_state, False)
            if done:
                self.window.clear()

    class Still(Mine):
        def learn(self, *batch):
            pass

    rests = [Case(mine(kind)).rest for kind in (Mine, Whole, Still)]
    assert rests == [0, 7, None]
    with pytest.raises(Undecided, match="学ぶ時期"):
        Case(mine(Still)).probe(probes.Both)


def test_made_up_rewards_are_told_from_given_ones():
    def with_reward(change):
        def update(self, state, action, reward, *rest):
            return Mine.update(self, state, action, change(reward), *rest)

        return Case(mine(sizes=(4, 32, 2), lr=0.003, update=update))

    given, made = with_reward(lambda r: r), with_reward(lambda r: -1.0)
    cut = with_reward(lambda r: min(r, 1))
    assert not given.makes_rewards and not given.clips_rewards
    assert made.makes_rewards and not cut.makes_rewards and cut.clips_rewards
    given.needs_rewards(beyond=True)
    cut.needs_rewards()
    for case, options in ((made, {}), (cut, {"beyond": True})):
        with pytest.raises(Undecided) as error:
            case.needs_rewards(**options)
        assert error.value.finding.result == "前提が合わない"


# motion.py and the examination of the target network


def moved(*moves):
    """The motion after updates that move both networks: (online by, share of the gap, inside)."""
    subject = Case(mine()).fresh()
    subject.values(np.ones(4, np.float32))
    motion, agent = Motion(subject), subject.agent
    for by, share, inside in moves:
        for x in weights(agent.qnet):
            x += by
        for x, y in zip(weights(agent.qnet), weights(agent.qnet_target)):
            y[...] = x if share == 1 else y + share * (x - y)
        motion.look(inside=inside)
    return motion


def test_motion_counts_updates_shares_and_copies():
    up, still = (0.5, 0, True), (0, 0, True)
    motion = moved(still, up, up, still, (0.5, 0.25, True), (0, 0, False))
    assert (motion.calls, motion.learned, motion.copies) == (4, 3, [])
    assert motion.shares == pytest.approx([0.25]) and motion.gap() == 4 / 0.25
    assert moved(still, up, up).gap() == 0
    motion = moved(up, up, up, (0, 1, False), up)
    assert motion.copies == [3] == motion.late() and motion.gap() == 3
    assert not motion.shares and not motion.is_same()
    assert moved(up, (0, 1, False)).late() == []  # the copy before learning starts
    assert moved(up, (0.5, 1, True)).copies == [2]


def test_motion_sees_shared_weights_and_networks():
    subject = Case(mine(sync_qnet=shared_trunk)).fresh()
    subject.values(np.ones(4, np.float32))
    motion = Motion(subject)
    for x in weights(subject.agent.qnet):
        x += 0.5
    motion.look(inside=True)
    assert motion.tied == motion.learned == 1
    subject.agent.qnet_target = subject.agent.qnet
    assert motion.is_same()


def like(**changes):
    """A motion of 100 updates with what is given."""
    options = {"calls": 100, "learned": 100, "tied": 0, "shares": [], "copies": [60]}
    options |= changes
    late = [k for k in options["copies"] if k > 1]
    return SimpleNamespace(
        **options, is_same=lambda: changes.get("same", False), late=lambda: late
    )


@pytest.mark.parametrize(
    ("motion", "suspect"),
    [
        *(
            (like(), None),
            (like(same=True), "shared"),
            (like(copies=[]), "never_synced"),
        ),
        *((like(copies=[1]), "never_synced"), (like(copies=[0, 2]), None)),
        *((like(tied=90), None), (like(tied=91), "shared")),
        *(
            (like(copies=[*range(90)]), None),
            (like(copies=[*range(91)]), "every_update"),
        ),
        *(
            (like(copies=[], shares=[0.49] * 9), None),
            (like(copies=[1], shares=[0.5]), "tau"),
        ),
        (like(copies=[60], shares=[0.01]), "both_syncs"),
    ],
)
def test_synchronization_judges_a_motion(motion, suspect):
    case = SimpleNamespace(motion=motion, needs_synchronization=lambda: None)
    finding = target.synchronization(case)
    assert finding.suspects[:1] == ((suspect,) if suspect else ())
    assert finding.passed == (suspect is None)


def test_soft_updates_are_measured():
    motion = Case(mine(after=blend(0.02), sync_interval=None)).motion
    assert np.median(motion.shares) == pytest.approx(0.02, rel=0.05)
    assert not motion.late() and motion.gap() == pytest.approx(50, rel=0.05)


def test_interval_that_is_too_long_is_no_forgotten_synchronization():
    class Rare(Mine):
        sync_every = 5_501

    still = SimpleNamespace(gap=lambda: 0)
    for case, premise in ((Case(mine(Rare)), False), (Case(mine()), True)):
        case.motion = still
        if premise:
            case.needs_synchronization()
            continue
        with pytest.raises(Undecided, match="sync_every") as error:
            case.needs_synchronization()
        assert error.value.finding.result == "前提が合わない"


def test_late_start_is_told_from_weights_that_never_move():
    late = EXAMINATIONS["pace"](mine(start=3_100))
    assert late.result == "前提が合わない" and "3,100 ステップ目" in late.sentence


def test_updates_are_listened_to():
    """One step, several, and steps with dropout."""

    def heard(**changes):
        case = Case(mine(**changes))
        state = case.panel(1)[0]
        transition = state, 0, 0.5, state.copy(), True
        subject = case.fresh()
        for _ in range(40):  # by now it learns
            subject.agent.update(*transition)
        subject.values(state)
        return subject.listen(lambda: subject.agent.update(*transition))

    once = heard()
    assert once[:3] == (True, 1, True) and once.rows == 32
    assert heard(update=four_times).steps == 4
    assert heard(network=drop).same is False


# advice.py


def constants(module):
    tree = ast.parse(inspect.getsource(module))
    return {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}


def test_every_suspect_is_named_by_an_examination_and_nobody_else():
    modules = behaviour, learning, target, transitions, updates, package
    named = set().union(*map(constants, modules))
    assert set(SUSPECTS) <= named
    calls = []
    for module in modules:
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "ill":
                inside = [n for arg in node.args[1:] for n in ast.walk(arg)]
                calls += [n.value for n in inside if isinstance(n, ast.Constant)]
    calls = {name for name in calls if isinstance(name, str)}
    calls |= set(transitions.LOOP_SUSPECTS.values())
    assert len(calls) > 30 and calls <= set(SUSPECTS)
    assert set(transitions.LOOP_SUSPECTS) == set(PARTS)
    texts = [text for suspect in SUSPECTS.values() for text in suspect]
    assert all(texts) and not any(text.endswith("。") for text in texts)
    assert len({suspect.title for suspect in SUSPECTS.values()}) == len(SUSPECTS)


def test_advice_names_at_most_three_the_first_finding_first():
    none = Undecided("").finding
    found = {"a": healthy(""), "b": none, "c": ill("", "tau", "mask")}
    assert suspects({"a": healthy(""), "b": none}) == []
    assert suspects(found) == ["tau", "mask"]
    found |= {"d": ill("", "mask", "gamma"), "e": ill("", "output")}
    assert suspects(found) == ["tau", "mask", "gamma"]
    lines = advise(found).split("\n")
    assert len(lines) == 3
    for line, name in zip(lines, suspects(found)):
        assert all(text in line for text in SUSPECTS[name])
    assert lines[0].startswith("いちばん疑わしいのは")
    assert "調べられなかった検査" in advise({"a": healthy(""), "b": none})
    assert advise({"a": healthy("")}).startswith("異常は見つかりませんでした。")


def test_examination_gets_the_seed_and_one_thread():
    seen = []

    def look(case):
        infos = [i for i in threadpool_info() if i["user_api"] == "blas"]
        seen.append((case.seed, {i["num_threads"] for i in infos}))
        return healthy("")

    run = package.guarded(look)
    with threadpool_limits(2, user_api="blas"):
        run(HEALTHY), run(DQNAgent, 3)
    assert seen == [(0, {1}), (3, {1})]


def test_exception_outside_the_program_is_nobodys_mistake():
    assert package.guarded(json.loads)(HEALTHY).result == "調べられない"


def test_examine_returns_all_findings_in_order_and_hands_on_the_seed():
    seeds = set()

    class Small(Mine):
        sizes, lr = (4, 32, 2), 0.003

        def __init__(self, seed=None):
            seeds.add(seed)
            super().__init__(seed)

    found = examine(Program(Small, play), 5)
    assert list(found) == list(EXAMINATIONS) and seeds == {5}
    results = {"正常", "異常", "前提が合わない", "調べられない"}
    assert {finding.result for finding in found.values()} <= results


# memory.py, strangers.py and transitions.py

STATES = np.arange(48, dtype=np.float32).reshape(12, 4) / 10
TRUE = [(STATES[k], k % 2, float(k), STATES[k + 1], k == 5) for k in range(10)]


@pytest.mark.parametrize("place", range(5))
def test_strangers_are_told_by_the_part_that_is_wrong(place):
    rows = [list(t) for t in TRUE]
    rows[3][place] = (STATES[11], 7, 99.0, STATES[11], True)[place]
    strangers = Strangers([tuple(r) for r in rows], TRUE)
    assert len(strangers.rows) == 1 and strangers.rows[0] == tuple(rows[3])
    assert strangers.parts == (PARTS[place],)
    assert strangers.is_rule() == (place == 2)
    assert not Strangers(TRUE[::-1], TRUE).rows


def test_rewards_by_rule_are_told_from_random_ones():
    def is_rule(change, rows=TRUE):
        rows = [(s, a, change(k, r), n, d) for k, (s, a, r, n, d) in enumerate(rows)]
        return Strangers(rows, TRUE).is_rule()

    assert is_rule(lambda k, r: r / 2 + 0.1)
    assert not is_rule(lambda k, r: r)  # nothing is strange
    assert not is_rule(lambda k, r: 50.0 + k, 2 * TRUE)


REWARDS = probes.Ledger.rewards
GOING = [(STATES[k], 0, REWARDS[k % 5], STATES[k + 1], k == 4) for k in range(10)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda r, k, d: r / 2, "報酬を 0.5 倍して"),
        (lambda r, k, d: r - 1, "報酬を -1 を足して"),
        (lambda r, k, d: 0.0 if d else r, "終端の報酬を 0 に"),
        (lambda r, k, d: -1.0 if d else 0.1, "終端で -1、ほかで 0.1"),
        (lambda r, k, d: -1.0 if d else r / 2, "0.5 倍"),
        (lambda r, k, d: r, ""),
        (lambda r, k, d: 1.0, ""),  # clipped, or forgotten
        (lambda r, k, d: -r, ""),
        (lambda r, k, d: float(int(r)), ""),
        (lambda r, k, d: float(d), ""),
        (lambda r, k, d: float(k % 5), ""),
        (lambda r, k, d: REWARDS[(k - 1) % 5], ""),
        (lambda r, k, d: sum(REWARDS[: k % 5 + 1]), ""),
        (lambda r, k, d: sum(REWARDS) if d else 0.0, ""),
        (lambda r, k, d: 0.9 ** (k % 5) * r, ""),
        (lambda r, k, d: r - 1 if k % 2 else r, ""),  # not always
    ],
)
def test_shaped_rewards_are_told_from_wrong_ones(change, told):
    rows = [
        (s, a, float(change(r, k, d)), n, d) for k, (s, a, r, n, d) in enumerate(GOING)
    ]
    rule = Strangers(rows, GOING).rule()
    assert told in rule and bool(told) == bool(rule)


@pytest.mark.parametrize(
    ("reward", "shaped"),
    [
        ("(1 - abs(float(next_state[0])))", True),  # of the state alone
        ("(reward - 0.1 * action)", True),
        ("(reward + float(agent.qnet(state[np.newaxis]).data.max()))", False),
        ("(reward + 0.01 * agent.t)", False),  # of when it happens
    ],
)
def test_rewards_of_the_transition_alone_are_shaped_on_purpose(reward, shaped):
    assert bool(Case(rewarded(reward)).shaping) == shaped


BATCH = [np.array(column) for column in zip(*TRUE[:4])]
FORMATS = {
    "five arrays": lambda: tuple(BATCH),
    "a named tuple": lambda: Batch(*BATCH),
    "columns (B, 1)": lambda: [x if x.ndim > 1 else x[:, np.newaxis] for x in BATCH],
    "rows": lambda: TRUE[:4],
    "rows by number": lambda size: TRUE[:4] if size == 32 else [],
    "arrays by number": lambda size: tuple(BATCH) if size == 32 else (),
}


@pytest.mark.parametrize("name", FORMATS)
def test_batches_of_any_format_are_read(name):
    rows = drawn(FORMATS[name])
    assert len(rows) == 4 and not Strangers(rows, TRUE).rows


@pytest.mark.parametrize("batch", [lambda: None, lambda: 3, lambda: [1, 2, 3]])
def test_other_batches_are_not_judged(batch):
    with pytest.raises(Undecided, match="遷移として読めません"):
        drawn(batch)


class InitMemory(Memory):
    def __init__(self, capacity, batch_size):
        super().__init__(capacity, batch_size, 4, None)


def test_buffer_is_found_by_what_it_does():
    for kind in (PlainBuffer, DequeBuffer, ReplayBuffer, InitMemory):
        kept = kind(9, 3)
        assert find_buffer(SimpleNamespace(any_name=kept))[0] is kept
    with pytest.raises(Undecided, match="get_batch か sample"):
        find_buffer(SimpleNamespace(memory=[], rng=np.random.default_rng()))


def test_steps_in_one_transition_are_recognized():
    for n, gamma in itertools.product((1, 2, 3), (0.8, 0.98)):
        rows = transitions._combined(TRUE, gamma, n)
        assert transitions._places(rows, TRUE, [0.8, 0.98]) == ([*range(10)], n)
    state, action, total, next_state, done = transitions._combined(TRUE, 0.5, 3)[4]
    assert (action, total, done) == (0, 4 + 0.5 * 5, True)  # up to the end
    assert state is STATES[4] or (state == STATES[4]).all()
    assert (next_state == STATES[6]).all()
    places, _ = transitions._places([(*TRUE[0][:2], 77.0, *TRUE[0][3:])], TRUE, [0.8])
    assert places == [-1]


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        *(
            ("action", "0", 30),
            ("terminated", "False", 6),
            ("terminated", "truncated", 12),
        ),
        ("terminated", "terminated and len(agent.seen) != 9", 1),
    ],
)
def test_loop_counts_wrong_transitions(old, new, wrong):
    agent = type("Turns", (Mine,), {"get_action": lambda self, state: self.t % 2})
    program = looped(UPDATE, UPDATE.replace(old, new), agent)
    finding = EXAMINATIONS["loop"](program)
    assert finding.passed is False and f"60 個のうち {wrong} 個" in finding.sentence


# Bounds, from both sides


class Table:
    """Values that do not depend on the state; each update moves one towards its target."""

    rate, leak, shift, epsilon = 0.5, 0.0, 0.0, 0.1

    def __init__(self, seed=None):
        self.gamma, self.q = 0.98, np.array([0.25, -0.5])
        self.rng = np.random.default_rng(seed)

    def qnet(self, states):
        return np.repeat(self.q[np.newaxis], len(states), axis=0)

    def get_action(self, state):
        if self.rng.random() < self.epsilon:
            return int(self.rng.integers(2))
        return self.greedy_action(state)

    def greedy_action(self, state):
        return int(self.q.argmax())

    def update(self, state, action, reward, next_state, done):
        value = 0 if done else self.gamma * self.q.max() + self.shift
        move = self.rate * (reward + value - self.q[action])
        self.q[action] += move
        self.q[1 - action] += 0 if done else self.leak * move


def table(**changes):
    kind = type("Changed", (Table,), changes)
    return Program(kind, play, sync_interval=None)


@pytest.mark.parametrize(
    ("examination", "changes", "passed"),
    [
        *(("first_step", {"rate": rate}, rate < 2.5) for rate in (0.01, 2.49, 2.51)),
        *(("gradient", {"leak": leak}, leak < 0.1) for leak in (0, 0.09, 0.11)),
        *(
            ("td_targets", {"shift": x}, abs(x) < 0.005)
            for x in (0, 0.002, 0.01, -0.01)
        ),
    ],
)
def test_updates_are_judged_at_their_bounds(examination, changes, passed):
    finding = EXAMINATIONS[examination](table(**changes))
    assert finding.passed is passed, finding


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        *(("probe_constant", 0.25), ("probe_observed", 0.25), ("probe_acted", 0.25)),
        *(("probe_both", 0.25), ("overfit", 0.4), ("probe_turned", 0.25)),
        ("probe_truncated", 0.01),
    ],
)
def test_probe_allows_errors_below_its_bound(name, bound, monkeypatch):
    monkeypatch.setattr(Case, "needs_rewards", lambda self, **_: None)
    for error in (bound - 0.001, bound):
        monkeypatch.setattr(Case, "teach", lambda *_, error=error: error)
        assert EXAMINATIONS[name](mine()).passed is (error < bound)


@pytest.mark.parametrize("differing", [0, 2, 3])
def test_evaluation_allows_two_ties_of_two_hundred(differing):
    def policy(agent):
        places = []

        def choose(state):
            if state[0] not in places:
                places.append(state[0])
            action = agent.greedy_action(state)
            return 1 - action if places.index(state[0]) < differing else action

        return choose

    finding = EXAMINATIONS["evaluation"](mine(policy=policy))
    assert finding.passed is (differing <= 2)


def choices(rate, epsilon, pairs=((0, 1), (1, 0)), greedy=(10**4, 10**4)):
    return SimpleNamespace(
        rate=rate,
        epsilon=(epsilon, epsilon),
        pairs={*pairs},
        greedy=behaviour.Counter(dict(enumerate(greedy))),
    )


def actions_of(monkeypatch, start, *late, **changes):
    """The finding about exploration that has been counted so, without any learning."""
    monkeypatch.setattr(Subject, "learned", lambda self: True)
    monkeypatch.setattr(Case, "both", (None, probes.Both(), 0.0))
    counted = itertools.chain([start], late[:-1], itertools.repeat(late[-1]))
    monkeypatch.setattr(behaviour, "Choices", lambda *_: next(counted))
    return EXAMINATIONS["actions"](mine(start=10**9, **changes))


@pytest.mark.parametrize(
    ("start", "late", "suspect"),
    [
        *(((0.05, 0.1), (0.05, 0.1), None), ((0, 0.1), (0, 0.1), "no_exploration")),
        *(
            ((0, 0), (0, 0), "no_exploration"),
            ((0, 0.014), (0, 0.014), "no_exploration"),
        ),
        ((0, 0.013), (0, 0.013), None),
        *(((0.5, 1.0), (0.2, 0.1), None), ((0.5, 1.0), (0.201, 0.1), "epsilon_size")),
        *(((0.5, 0.99), (0.5, 0.99), "epsilon_stays"), ((0.5, 1), (0.5, 0.99), None)),
        ((0.5, 0.98), (0.5, 0.98), None),
        *(((0.5, 1.0), (0, 0.01), None), ((0.5, 1.0), (0, 0.009), "epsilon_gone")),
        # 0.2 expected, 0.025 to 4 standard deviations below it, 0.144, and 0.005 less
        *(
            ((0.145, 0.4), (0.144, 0.4), None),
            ((0.143, 0.4), (0.143, 0.4), "epsilon_size"),
        ),
    ],
)
def test_actions_are_judged_by_their_rates(start, late, suspect, monkeypatch):
    finding = actions_of(monkeypatch, choices(*start), choices(*late))
    assert finding.suspects[:1] == ((suspect,) if suspect else ()), finding


@pytest.mark.parametrize(("decided", "passed"), [(0.23, True), (0.24, False)])
def test_exploration_by_values_fades_where_they_differ(decided, passed, monkeypatch):
    looks = [choices(rate, 0.1) for rate in (0.2, 0.46, 0.46, decided)]
    assert actions_of(monkeypatch, *looks).passed is passed


@pytest.mark.parametrize(("count", "passed"), [(28, True), (29, False)])
def test_each_greedy_action_must_be_left_if_seen_often(count, passed, monkeypatch):
    """In two looks, a quarter of them explores: 14 times expected."""
    seen = choices(0.25, 0.5, [(0, 1)], (99, count))
    monkeypatch.setattr(Case, "both", (None, probes.Both(), 0.0))
    unseen = choices(0.05, 0.1, [(0, 1)], (0, 0))
    counted = iter([seen, seen, unseen])
    monkeypatch.setattr(behaviour, "Choices", lambda *_: next(counted))
    assert EXAMINATIONS["actions"](mine(start=10**9)).passed is passed


def test_choices_count_what_is_not_greedy():
    chosen = itertools.cycle([0, 0, 1, 1, 1])
    agent = SimpleNamespace(get_action=lambda state: next(chosen), epsilon=0.4)
    subject = SimpleNamespace(agent=agent, values=lambda x: np.array([0.5, x[0]]))
    counted = behaviour.Choices(subject, np.array([[0.0], [1.0], [1.0], [1.0]]))
    assert counted.rate == pytest.approx(0.25 * 0.6 + 0.75 * 0.4)
    assert counted.pairs == {(0, 1), (1, 0)} and counted.epsilon == (0.4, 0.4)
    assert counted.greedy == {0: 250, 1: 750}


@pytest.mark.parametrize(("starts", "passed"), [(True, False), (False, None)])
def test_values_that_never_move_are_ill_if_weights_do(starts, passed, monkeypatch):
    """A ReLU behind the output may be dead in all states of a probe, and not in others."""
    monkeypatch.setattr(Case, "rest", None)
    monkeypatch.setattr(Case, "starts", starts)
    finding = EXAMINATIONS["probe_constant"](mine())
    assert finding.passed is passed
    assert finding.suspects[:1] == (("output",) if starts else ())


def test_learning_is_seen_to_start_from_any_states():
    assert Case(mine(), 0).starts and not Case(mine(start=10**9), 0).starts


def test_baselines_are_compared_by_their_means(monkeypatch):
    monkeypatch.setattr(Case, "teach", lambda *_: 0.0)
    monkeypatch.setattr(Case, "needs_rewards", lambda self, **_: None)
    for means in ((0.49, 0.2, 0.0), (0.51, 0.2, 0.0), (0.51, 0.0, 0.3)):
        played = []

        def play_all(env, policy, *, episodes, seed, means=means, played=played):
            played.append([policy(np.ones(4, np.float32)) for _ in range(20)])
            return np.array([0, 0, 3 * means[len(played) - 1]])

        monkeypatch.setattr(learning, "evaluate", play_all)
        finding = EXAMINATIONS["baselines"](mine())
        assert finding.passed is (means == (0.51, 0.2, 0.0))
        shown = re.findall(r"\d\.\d\d", finding.sentence)
        assert shown == [f"{mean:.2f}" for mean in means]
        assert set(played[1]) == {0, 1} and played[2] == [0] * 20


@pytest.mark.parametrize(
    ("gap", "episodes", "waits"),
    [
        (0, 20, 20 * 6),
        (300, None, 300),
        (300, 300, 300 * 6),
        (1_001, None, 1_001),
        (0, 2_000, MOST_UPDATES),
    ],
)
def test_teaching_waits_for_synchronizations(gap, episodes, waits, monkeypatch):
    waited = []
    monkeypatch.setattr(Subject, "learn", lambda *them: waited.append(them[-2:]))
    case = Case(mine(sync_interval=episodes))
    case.motion = SimpleNamespace(gap=lambda: gap)
    case.teach(Subject(case), probes.Delayed(), None, 0.1)
    assert waited == [(max(800, 3 * waits), max(12_000, 12 * waits))]


def test_learning_stops_when_right_three_times_or_without_progress():
    def steps(errors, patience=200):
        subject, env = Case(mine(every=25)).fresh(), probes.Both()
        values = iter(errors)
        error = subject.learn(env, lambda: next(values, errors[-1]), 0.25, patience)
        return len(env.transitions), error

    assert steps([0.2, 0.2, 0.2]) == (150, 0.2)
    assert steps([0.2, 0.3, 0.2, 0.2, 0.24]) == (250, 0.24)
    assert steps([1.0, 0.25])[0] == 50 * 2 + 200  # the bound itself is not right
    falling = [0.98**k for k in range(400)]  # too slowly: each is 2 % less
    assert steps(falling)[0] > 2_000
    assert steps([1.0, *[0.99] * 9])[0] == 50 + 200


def test_pace_tells_the_first_step_and_the_interval():
    for changes, first, every in (
        ({}, 32, 1),
        ({"every": 4}, 32, 4),
        ({"start": 500}, 500, 1),
    ):
        sentence = EXAMINATIONS["pace"](mine(**changes)).sentence
        assert re.findall(r"\d+", sentence) == [str(first), str(every)]
