"""第 7 章の演習。診断の判定と検査は、診療所のものです。"""

import numpy as np

from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.clinic import DIAGNOSES, grade
from rlbook_helpers.clinic.examinations import Program
from rlbook_helpers.clinic.patients import PATIENTS, PlainLossAgent
from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import close


def first_round(answer) -> str | None:
    """7.1: unknown_patient(5, 1) の診断。"""
    return _grade(5, 1, [answer])


def second_round(answer) -> str | None:
    """7.2: unknown_patient(2, 2) の診断。"""
    return _grade(2, 2, [answer])


def third_round(answer) -> str | None:
    """7.3: unknown_patient(4, 3) の二つの診断。"""
    return _grade(4, 3, answers.items(answer, "診断一", "診断二"))


def _grade(seed: int, round: int, diagnoses: list) -> str | None:
    for name in diagnoses:
        if not isinstance(name, str) or name not in DIAGNOSES:
            return (
                f"診断は、表の名前を文字列で渡してください ({'、'.join(DIAGNOSES)})。"
            )
    if len(set(diagnoses)) < len(diagnoses):
        return "同じ診断が二つあります。"
    verdict = grade(seed, round, *diagnoses)
    return None if verdict.correct else verdict.sentence.replace("\n", " ")


def shared(answer) -> str | None:
    """7.4: 写しを作らずに同期するエージェントのクラス。"""
    make = answers.class_(answer, "SharedAgent")
    agent = make(seed=0)
    for name in ("sync_qnet", "qnet", "qnet_target"):
        if not hasattr(agent, name):
            return f"{name} がありません。DQNAgent のサブクラスにしてください。"
    agent.sync_qnet()
    if agent.qnet_target is not agent.qnet:
        same = all(
            p.data is q.data
            for p, q in zip(agent.qnet.params(), agent.qnet_target.params())
        )
        if same:
            return "重みは共有していますが、ネットワークは別のものです。qnet そのものを入れてください。"
        return "同期のあとの qnet_target が、qnet そのものではありません。写しを作らずに代入してください。"
    right = DQNAgent(seed=0)
    agent, transitions = make(seed=0), _transitions(32)
    mine, wanted = ([x.update(*t) for t in transitions][-1] for x in (agent, right))
    # はじめは二つのネットワークが等しいので、このまちがいがあっても同じ損失です
    if mine is None or not close(mine, wanted):
        return "同期のほかの所も変わっています。一つのまちがいだけを入れてください。"
    return None


class _NoGamma(DQNAgent):
    """割引率を掛け忘れたエージェント。"""

    def next_value(self, next_state):
        return super().next_value(next_state) / max(self.gamma, 1e-12)


def examination(answer) -> str | None:
    """7.5: 割引率の掛け忘れを見つける検査。"""
    reader = answers.function(answer, "examination(program)")

    def passes(program) -> bool:
        return answers.flag(reader(program), "検査の戻り値")

    healthy = [Program(DQNAgent), Program(PlainLossAgent)]
    if not all(passes(program) for program in healthy * 2):
        if passes(Program(_NoGamma)):
            return "結果が逆です。正常なら True、異常なら False を返してください。"
        return "正しいプログラムを、異常だと言っています。境目を、もっとゆるくしてください。"
    if passes(Program(_NoGamma)):
        return "掛け忘れたプログラムを、正常だと言っています。γ が 1 に近いと、違いは小さくなります。"
    # 健康な患者の、γ だけを変えたもの。γ は読めばよく、0.98 と決まってはいません
    other = Program(lambda *, seed=None: DQNAgent(gamma=0.9, seed=seed))
    if not passes(other):
        return "割引率が 0.98 でない正しいプログラムを、異常だと言っています。agent.gamma を使ってください。"
    if not passes(PATIENTS["exploring_evaluation"].program):
        return "割引率と関係のないプログラムまで、異常だと言っています。学習した価値を見てください。"
    return None


def sum_loss(answer) -> str | None:
    """7.6: 損失に、平均ではなく和を使ったエージェントのクラス。"""
    agent, right = answers.class_(answer, "SumLossAgent")(seed=0), DQNAgent(seed=0)
    before = right.qnet.l3.W.data.copy()
    transitions = _transitions(32)
    mine, wanted = (
        np.array([x.update(*t) for t in transitions][-1], float) for x in (agent, right)
    )
    if not np.isfinite(mine).all():
        return "32 個の遷移がたまっても、損失を返しません。"
    loss = answers.number(mine, "update の戻り値")
    if close(loss, wanted):
        return "損失が、まだ平均です。"
    if not close(loss, 32 * wanted):
        return "損失が、ミニバッチの二乗誤差の和になっていません。"
    mine, wanted = (np.asarray(x.qnet.l3.W.grad.data) for x in (agent, right))
    if close(mine, wanted, atol=1e-5):
        return "戻り値だけが和で、重みの更新には、平均の損失を使っています。"
    if not close(mine, 32 * wanted, atol=1e-4):
        return "勾配が、和の損失のものではありません。get_loss を書きかえてください。"
    # Adam の一回目の歩幅は、勾配の大きさによりません
    mine, wanted = (x.qnet.l3.W.data - before for x in (agent, right))
    if not close(mine, wanted, atol=1e-4):
        return "損失のほかの所も変わっています。"
    return None


def _transitions(n: int) -> list[tuple]:
    """でたらめな遷移。四つに一つは終端です。"""
    states = np.random.default_rng(7).standard_normal((n + 1, 4)).astype(np.float32)
    return [
        (states[k], k % 2, 1.0 + k % 3, states[k + 1], k % 4 == 0) for k in range(n)
    ]


EXERCISES = {
    "7.1": first_round,
    "7.2": second_round,
    "7.3": third_round,
    "7.4": shared,
    "7.5": examination,
    "7.6": sum_loss,
}
