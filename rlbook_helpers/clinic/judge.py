"""バグ診療所: 病名のわからない患者を渡し、読者の診断に答えます。"""

import dataclasses
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from rlbook_helpers import checks
from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.clinic.examinations import EXAMINATIONS, TITLES, Finding, Program
from rlbook_helpers.clinic.patients import PATIENTS

HEALTHY = Program(DQNAgent)  # 第 4 章の正しいプログラム
# 診断に使う名前から、病名
DIAGNOSES = {"healthy": "異常なし"} | {k: p.title for k, p in PATIENTS.items()}
# それぞれの患者の異常を、どのシードでも見つける検査
SHOWN_BY = {
    "no_mask": "probe_constant",
    "truncation_terminal": "probe_truncated",
    "swapped_ends": "loop",
    "max_over_all": "td_targets",
    "online_target": "ceiling",
    "never_synced": "synchronization",
    "broadcast_loss": "overfit",
    "gradient_into_target": "gradient",
    "state_out_of_step": "loop",
    "reused_array": "buffer",
    "ring_off_by_one": "buffer",
    "inverted_epsilon": "actions",
    "exploring_evaluation": "evaluation",
    "clipped_reward": "loop",
    "hundredfold_lr": "first_step",
    "integer_states": "probe_observed",
}
# 一回戦は、検査の一つがはっきり異常を告げる患者だけです
_FIRST = (
    *("broadcast_loss", "never_synced", "inverted_epsilon"),
    *("state_out_of_step", "hundredfold_lr", "max_over_all"),
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


class Verdict(NamedTuple):
    """診断の判定。"""

    correct: bool
    sentence: str


def program_of(*diagnoses: str) -> Program:
    """病名の名前のとおりの異常を持つプログラム。二つなら、エージェントの異常を先に書きます。"""
    programs = [
        HEALTHY if name == "healthy" else PATIENTS[name].program for name in diagnoses
    ]
    return dataclasses.replace(programs[-1], make_agent=programs[0].make_agent)


def unknown_patient(seed: int, round: int = 1) -> Program:
    """病名のわからない患者。同じ seed と round からは、いつも同じ患者が来ます。

    引数:
        seed: 0 以上の整数。
        round: 1 は六つの病名のどれか、2 はすべての病名か異常なし、3 は二つの病名を同時に持ちます。
    例外:
        TypeError, ValueError: seed か round が正しくない。
    """
    program = program_of(*_answer(seed, round))

    def make_agent(*, seed=None):
        return program.make_agent(seed=seed)

    return dataclasses.replace(program, make_agent=make_agent)


def grade(seed: int, round: int, *diagnoses: str) -> Verdict:
    """unknown_patient(seed, round) の診断が正しいかを、検査の結果とともに伝えます。

    引数:
        seed, round: unknown_patient に渡したもの。
        diagnoses: 診断。DIAGNOSES の名前です。三回戦では二つ渡します。順は問いません。
    例外:
        TypeError, ValueError: seed か round が正しくない、診断の名前がない、または数が違う。
    """
    answer = _answer(seed, round)
    for name in diagnoses:
        checks.choice("diagnoses", name, tuple(DIAGNOSES))
    if len(diagnoses) != len(answer):
        raise ValueError(
            f"round {round} の診断は {len(answer)} 個にしてください: {diagnoses!r}"
        )
    found = examine(program_of(*answer))
    if set(diagnoses) == set(answer):
        return Verdict(True, "\n".join(_reason(name, found) for name in answer))
    wrong = [name for name in diagnoses if name not in answer]
    right = [
        f"「{DIAGNOSES[name]}」は正解です。" for name in answer if name in diagnoses
    ]
    objections = [_objection(name, found, alone=len(answer) == 1) for name in wrong]
    return Verdict(False, "\n".join([*right, *objections]))


def examine(program: Program, seed: int = 0) -> dict[str, Finding]:
    """すべての検査を、1 スレッドで行い、検査の名前から結果を返します。"""
    with threadpool_limits(1, user_api="blas"):
        return {name: test(program, seed) for name, test in EXAMINATIONS.items()}


def _answer(seed: int, round: int) -> tuple[str, ...]:
    seed = checks.integer("seed", seed, 0)
    round = checks.integer("round", round, 1, 4)
    rng = np.random.default_rng([round, seed])
    groups = [(_FIRST,), (tuple(DIAGNOSES),), (_IN_AGENT, _AROUND_AGENT)][round - 1]
    return tuple(str(rng.choice(group)) for group in groups)


def _reason(name: str, found: dict[str, Finding]) -> str:
    """正解のときに、なぜそう言えるか。"""
    if name == "healthy":
        return "正解です。どの検査にも異常がなく、正しいプログラムそのものです。"
    shown_by, patient = SHOWN_BY[name], PATIENTS[name]
    return (
        f"「{patient.title}」は正解です。検査「{TITLES[shown_by]}」の結果は、次のとおりでした: "
        f"{found[shown_by].sentence}\n  患者の行: {patient.broken}\n  正しい行: {patient.line}"
    )


def _objection(name: str, found: dict[str, Finding], *, alone: bool) -> str:
    """違うときに、なぜそう言えるか。alone は、異常が一つだけのとき True です。"""
    denial = f"「{DIAGNOSES[name]}」ではありません。"
    if name == "healthy":
        shown_by = next(k for k, finding in found.items() if finding.passed is False)
        return f"{denial}検査「{TITLES[shown_by]}」に異常があります: {found[shown_by].sentence}"
    shown_by = SHOWN_BY[name]
    if found[shown_by].passed:
        return (
            f"{denial}それなら検査「{TITLES[shown_by]}」に異常が出るはずですが、"
            f"この患者では異常なしです: {found[shown_by].sentence}"
        )
    if alone:
        for other, finding in examine(program_of(name)).items():
            if finding.passed != found[other].passed:
                result = "異常なし" if finding.passed else "異常あり"
                return (
                    f"{denial}それなら検査「{TITLES[other]}」は{result}のはずですが、"
                    f"この患者では違います: {found[other].sentence}"
                )
    return (
        f"{denial}検査「{TITLES[shown_by]}」の異常は、ほかのまちがいからも出ます。"
        f"数をよく見てください: {found[shown_by].sentence}"
    )
