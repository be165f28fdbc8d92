"""バグ診療所: 病名のわからない患者を渡し、読者の診断に答えます。"""

import dataclasses
from typing import NamedTuple

import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.clinic.examinations import EXAMINATIONS, TITLES, Findings
from rlbook_helpers.clinic.patients import PATIENTS, PLACES, UNLISTED, Patient
from rlbook_helpers.clinic.program import Program

HEALTHY = Program(DQNAgent)  # 第 4 章の正しいプログラム
# 診断に使う名前から、病名
DIAGNOSES = {"healthy": "異常なし"} | {k: p.title for k, p in PATIENTS.items()}
# それぞれの患者の異常を、どのシードでも見つける検査
SHOWN_BY = {
    "no_mask": "td_targets",
    "truncation_terminal": "loop",
    "swapped_ends": "loop",
    "max_over_all": "probe_delayed",
    "online_target": "td_targets",
    "never_synced": "synchronization",
    "broadcast_loss": "probe_observed",
    "gradient_into_target": "gradient",
    "state_out_of_step": "loop",
    "reused_array": "buffer",
    "ring_off_by_one": "buffer",
    "inverted_epsilon": "actions",
    "exploring_evaluation": "evaluation",
    "clipped_reward": "loop",
    "hundredfold_lr": "first_step",
    "integer_states": "buffer",
    "reseeded": "loop",
    "endless": "loop",
    "oldest_only": "buffer",
    "next_is_state": "buffer",
    "mean_value": "probe_turned",
    "gradients_kept": "gradient",
    "same_network": "synchronization",
    "one_random_action": "actions",
    "learning_evaluation": "evaluation",
}
# 一回戦は、検査の一つがはっきり異常を告げる患者と、健康な人です
_FIRST = (
    *("broadcast_loss", "never_synced", "inverted_epsilon"),
    *("state_out_of_step", "hundredfold_lr", "max_over_all", "healthy"),
)
# 三回戦の患者は、エージェントの異常と、その外の異常を、一つずつ持ちます
_IN_AGENT = (
    *("max_over_all", "broadcast_loss", "ring_off_by_one"),
    *("inverted_epsilon", "hundredfold_lr", "integer_states"),
)
_AROUND_AGENT = (
    *("truncation_terminal", "swapped_ends", "state_out_of_step"),
    *("never_synced", "exploring_evaluation", "clipped_reward"),
)
_PAIRS = tuple((a, b) for a in _IN_AGENT for b in _AROUND_AGENT)
ROUNDS = {
    1: tuple((name,) for name in _FIRST),
    2: tuple((name,) for name in DIAGNOSES),
    3: _PAIRS,
    4: tuple((name,) for name in (*UNLISTED, "healthy")),
}


class Verdict(NamedTuple):
    """診断の判定。"""

    correct: bool
    sentence: str


def patient_of(name: str) -> Patient:
    """名前のとおりの患者。"""
    return PATIENTS[name] if name in PATIENTS else UNLISTED[name]


def program_of(*diagnoses: str) -> Program:
    """病名の名前のとおりの異常を持つプログラム。二つなら、エージェントの異常を先に書きます。"""
    programs = [
        HEALTHY if name == "healthy" else patient_of(name).program for name in diagnoses
    ]
    return dataclasses.replace(programs[-1], make_agent=programs[0].make_agent)


def unknown_patient(seed: int, round: int = 1) -> Program:
    """病名のわからない患者。同じ seed と round からは、いつも同じ患者が来ます。

    引数:
        seed: 0 以上の整数。続いたシードからは、違う患者が来ます。
        round: 1 は六つの病名のどれか、2 はすべての病名か異常なし、3 は二つの病名を同時に持ちます。
            4 は病名の表にない患者で、まちがいの場所を答えます。
    例外:
        TypeError, ValueError: seed か round が正しくない。
    """
    program = program_of(*_answer(seed, round))
    never = program.sync_interval is None

    # どの患者も、同じ形の四つの関数にします。表示しても、どこが違うかはわかりません
    def make_agent(*, seed=None):
        agent = program.make_agent(seed=seed)
        agent.__class__ = type("Patient", (type(agent),), {})
        if never:
            agent.sync_qnet = lambda: None
        return agent

    def train_episode(env, agent, **options):
        return program.train_episode(env, agent, **options)

    def policy(agent):
        return program.policy(agent)

    return Program(make_agent, train_episode, HEALTHY.sync_interval, policy)


def grade(seed: int, round: int, *diagnoses: str) -> Verdict:
    """unknown_patient(seed, round) の診断が正しいかを、検査の結果とともに伝えます。

    引数:
        seed, round: unknown_patient に渡したもの。
        diagnoses: 診断。DIAGNOSES の名前か病名です。三回戦では二つ渡します。順は問いません。
            四回戦では、PLACES の名前か場所を一つ渡します。健康だと思えば healthy です。
    例外:
        TypeError, ValueError: seed か round が正しくない、診断の名前がない、または数が違う。
    """
    answer = _answer(seed, round)
    choices = DIAGNOSES
    if round == 4:
        choices = PLACES | {"healthy": DIAGNOSES["healthy"]}
    names = {title: name for name, title in choices.items()}
    given = [names.get(diagnosis, diagnosis) for diagnosis in diagnoses]
    for name in given:
        checks.choice("diagnoses", name, tuple(choices))
    if len(given) != len(answer):
        raise ValueError(
            f"round {round} の診断は {len(answer)} 個にしてください: {diagnoses!r}"
        )
    if len(set(given)) < len(given):
        raise ValueError(f"同じ診断が二つあります: {diagnoses!r}")
    found = Findings(program_of(*answer))
    if round == 4:
        return _grade_place(answer[0], given[0], found)
    if set(given) == set(answer):
        return Verdict(True, "\n".join(_reason(name, found) for name in answer))
    wrong = [name for name in given if name not in answer]
    right = [f"「{DIAGNOSES[name]}」は正解です。" for name in answer if name in given]
    objections = [_objection(name, found, alone=len(answer) == 1) for name in wrong]
    return Verdict(False, "\n".join([*right, *objections]))


class Rounds:
    """診断の成績。一人の患者について、最初の診断だけを成績に入れ、あとの診断は数だけ数えます。

    属性:
        first: (seed, round) から、最初の診断が正しかったか。
        tries: (seed, round) から、診断した回数。
    """

    def __init__(self):
        self.first: dict[tuple[int, int], bool] = {}
        self.tries: dict[tuple[int, int], int] = {}

    def grade(self, seed: int, round: int, *diagnoses: str) -> Verdict:
        """grade と同じですが、成績をつけます。"""
        verdict, key = grade(seed, round, *diagnoses), (seed, round)
        self.first.setdefault(key, verdict.correct)
        self.tries[key] = self.tries.get(key, 0) + 1
        return verdict

    def score(self) -> str:
        """成績。"""
        right, more = sum(self.first.values()), sum(self.tries.values())
        return (
            f"{len(self.first)} 人のうち {right} 人を、最初の診断で言いあてました "
            f"(言いなおしは {more - len(self.first)} 回)。"
        )


def _answer(seed: int, round: int) -> tuple[str, ...]:
    seed = checks.integer("seed", seed, 0)
    round = checks.integer("round", round, 1, 5)
    candidates = ROUNDS[round]
    # 一巡するあいだ、同じ患者は来ません。巡りの境でも、続けて来ないように、はじめだけ選びなおします
    lap, place = divmod(seed, len(candidates))
    order = _order(round, lap)
    if lap and order[0] == _order(round, lap - 1)[-1]:
        order = np.roll(order, 1)
    return candidates[order[place]]


def _order(round: int, lap: int) -> np.ndarray:
    return np.random.default_rng([round, lap]).permutation(len(ROUNDS[round]))


def _grade_place(answer: str, given: str, found: Findings) -> Verdict:
    """四回戦の判定。"""
    if answer == "healthy":
        if given == "healthy":
            return Verdict(True, _reason("healthy", found))
        return Verdict(False, "違います。どの検査にも、異常がありません。")
    patient = patient_of(answer)
    if given == patient.place:
        return Verdict(True, f"場所は正解です。{_reason(answer, found)}")
    shown_by = SHOWN_BY[answer]
    return Verdict(
        False,
        f"違います。検査「{TITLES[shown_by]}」を見てください: {found[shown_by].sentence}",
    )


def _reason(name: str, found: Findings) -> str:
    """正解のときに、なぜそう言えるか。"""
    if name == "healthy":
        return "正解です。どの検査にも異常がなく、正しいプログラムそのものです。"
    shown_by, patient = SHOWN_BY[name], patient_of(name)
    return (
        f"「{patient.title}」は正解です。検査「{TITLES[shown_by]}」の結果は、次のとおりでした: "
        f"{found[shown_by].sentence}\n  患者の行: {patient.broken}\n  正しい行: {patient.line}"
    )


def _objection(name: str, found: Findings, *, alone: bool) -> str:
    """違うときに、なぜそう言えるか。alone は、異常が一つだけのとき True です。"""
    denial = f"「{DIAGNOSES[name]}」ではありません。"
    if name == "healthy":
        shown_by = next(k for k in EXAMINATIONS if found[k].passed is False)
        return f"{denial}検査「{TITLES[shown_by]}」に異常があります: {found[shown_by].sentence}"
    shown_by = SHOWN_BY[name]
    if found[shown_by].passed:
        return (
            f"{denial}それなら検査「{TITLES[shown_by]}」に異常が出るはずですが、"
            f"この患者では異常なしです: {found[shown_by].sentence}"
        )
    if alone:
        others = Findings(program_of(name))
        for other in EXAMINATIONS:
            if others[other].passed != found[other].passed:
                return (
                    f"{denial}それなら検査「{TITLES[other]}」は{others[other].result}のはずですが、"
                    f"この患者では違います: {found[other].sentence}"
                )
    return (
        f"{denial}検査「{TITLES[shown_by]}」の異常は、ほかのまちがいからも出ます。"
        f"数をよく見てください: {found[shown_by].sentence}"
    )
