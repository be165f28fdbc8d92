"""第 7 章の演習。診断の判定と検査は、診療所のものです。"""

import numpy as np

from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.clinic import DIAGNOSES, PLACES, grade
from rlbook_helpers.clinic.case import Case
from rlbook_helpers.clinic.examinations import EXAMINATIONS, TITLES
from rlbook_helpers.clinic.patients import (
    PATIENTS,
    DequeBuffer,
    PlainLossAgent,
    agent_with,
)
from rlbook_helpers.clinic.program import Program
from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import close


class NumpyAgent:
    """NumPy だけで書いた DQN。メソッドの名前も、引数も、本のエージェントと違います。"""

    def __init__(self, seed=None):
        self.rng = np.random.default_rng(seed)
        self.discount, self.eps, self.lr = 0.98, 0.1, 0.002
        W1, W2 = self.rng.normal(size=(4, 64)), self.rng.normal(size=(64, 2))
        self.weights = [W1 * 0.5**0.5, np.zeros(64), W2 / 32**0.5, np.zeros(2)]
        self.first, self.second = (
            [np.zeros_like(w) for w in self.weights] for _ in "12"
        )
        self.memory, self.updates = [], 0
        self.copy()

    def copy(self):
        """同期。"""
        self.old = [w.copy() for w in self.weights]

    def q(self, x, weights=None):
        """状態 (B, 4) の行動価値 (B, 2)。"""
        W1, b1, W2, b2 = weights or self.weights
        return np.maximum(x @ W1 + b1, 0) @ W2 + b2

    def best(self, x):
        """貪欲な行動。"""
        return int(self.q(x).argmax())

    def act(self, x):
        """ε-greedy 方策の行動。"""
        return (
            int(self.rng.integers(2)) if self.rng.random() < self.eps else self.best(x)
        )

    def learn(self, transition):
        """遷移 (状態、行動、報酬、次の状態、終端か) を覚えて、一回学びます。"""
        self.memory.append(transition)
        if len(self.memory) < 32:
            return
        rows = self.rng.integers(len(self.memory), size=32)
        x, action, r, x2, done = map(np.array, zip(*(self.memory[i] for i in rows)))
        goal = r + self.discount * (1 - done) * self.q(x2, self.old).max(axis=1)
        W1, b1, W2, _ = self.weights
        h = np.maximum(x @ W1 + b1, 0)
        error = np.zeros((32, 2))  # 選んだ行動の価値だけを近づけます
        error[range(32), action] = (self.q(x)[range(32), action] - goal) / 16
        back = (error @ W2.T) * (h > 0)
        self.step([x.T @ back, back.sum(0), h.T @ error, error.sum(0)])

    def step(self, grads):
        """Adam の一歩。"""
        self.updates += 1
        fixes = [1 - decay**self.updates for decay in (0.9, 0.999)]
        for w, g, m, v in zip(self.weights, grads, self.first, self.second):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            w -= self.lr * m / fixes[0] / (np.sqrt(v / fixes[1]) + 1e-8)


class OtherAgent(NumpyAgent):
    """演習 7.6 のエージェント。行動の選び方は引数で変わり、遷移は、順の違う引数で渡します。"""

    def choose(self, x, explore=True):
        """explore なら ε-greedy 方策の、そうでなければ貪欲な行動。"""
        return self.act(x) if explore else self.best(x)

    def feed(self, x2, x, action, over, r):
        """一つの遷移から学びます。"""
        self.learn((x, action, r, x2, over))


def first_round(answer) -> str | None:
    """7.1: unknown_patient(3, 1) の診断。"""
    return _grade(3, 1, [answer])


def second_round(answer) -> str | None:
    """7.2: unknown_patient(12, 2) の診断。"""
    return _grade(12, 2, [answer])


def third_round(answer) -> str | None:
    """7.3: unknown_patient(34, 3) の二つの診断。"""
    return _grade(34, 3, answers.items(answer, "診断一", "診断二"))


def fourth_round(answer) -> str | None:
    """7.7: unknown_patient(7, 4) のまちがいの場所。"""
    return _grade(7, 4, [answer], PLACES | {"healthy": DIAGNOSES["healthy"]})


def _grade(seed: int, round: int, diagnoses: list, names=DIAGNOSES) -> str | None:
    for name in diagnoses:
        if not isinstance(name, str) or name not in {*names, *names.values()}:
            return f"診断は、表の名前を文字列で渡してください ({'、'.join(names)})。"
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


def _forgetting(forgets) -> Program:
    """遷移のうち、forgets(渡した回数, 終端か) が真のものを覚えないプログラム。"""

    class Forgetful(DQNAgent):
        def remember(self, state, action, reward, next_state, done):
            self.given = getattr(self, "given", 0) + 1
            if not forgets(self.given, bool(done)):
                super().remember(state, action, reward, next_state, done)

    return Program(Forgetful)


def examination(answer) -> str | None:
    """7.5: 渡した遷移を覚えないエージェントを見つける検査。"""
    reader = answers.function(answer, "examination(program)")

    def passes(program) -> bool:
        return answers.flag(reader(program), "検査の戻り値")

    half = _forgetting(lambda given, done: given % 2 == 0)
    healthy = [DQNAgent, PlainLossAgent, agent_with(DequeBuffer)]
    if not all(passes(Program(make)) for make in healthy):
        if passes(half):
            return "結果が逆です。正常なら True、異常なら False を返してください。"
        return "正しいプログラムを、異常だと言っています。何度も取り出せば、どの遷移も一度は出てきます。"
    if passes(half):
        return "二つに一つの遷移を忘れるプログラムを、正常だと言っています。"
    if passes(_forgetting(lambda given, done: given % 20 == 0)):
        return "二十に一つの遷移を忘れるプログラムを、正常だと言っています。渡した数と、出てきた数を比べてください。"
    if passes(_forgetting(lambda given, done: done)):
        return "終端の遷移だけを忘れるプログラムを、正常だと言っています。終端の遷移も渡してください。"
    small = Program(lambda *, seed=None: DQNAgent(buffer_size=1000, seed=seed))
    if not passes(small):
        return "大きさが 1,000 のバッファを、異常だと言っています。あふれた遷移が消えるのは、正しいことです。"
    if not passes(PATIENTS["no_mask"].program):
        return "忘れないプログラムの、ほかのまちがいまで異常だと言っています。"
    return None


def stranger(answer) -> str | None:
    """7.6: OtherAgent を adapt で合わせる関数。"""
    make = answers.function(answer, "make(seed)")
    agent, state = make(3), np.linspace(-0.4, 0.4, 4).astype(np.float32)
    if not callable(getattr(agent, "choose", None)):
        return "make が、OtherAgent を adapt で合わせたものを返していません。"
    if not np.array_equal(agent.q(state), OtherAgent(3).q(state)):
        return "make(seed) の seed を、OtherAgent に渡してください。"
    program = Program(make)
    case = Case(program)
    for name, test in EXAMINATIONS.items():
        finding = test(program, case=case)
        if not finding.passed:
            told = finding.sentence.rstrip("。 ")
            return f"検査「{TITLES[name]}」が「{finding.result}」です ({told})。"
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
    "7.6": stranger,
    "7.7": fourth_round,
}
