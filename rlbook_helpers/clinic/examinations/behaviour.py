"""行動と評価の検査と、最初の点検。"""

import contextlib
import math
from collections import Counter

import numpy as np

from rlbook_helpers.clinic import probes
from rlbook_helpers.clinic.case import Case
from rlbook_helpers.clinic.program import Finding, Undecided, healthy, ill, play_episode
from rlbook_helpers.clinic.subject import Subject, Watched

LOOKS = 1_000  # 行動を数える回数
TRAINED = 500  # 探索を数えなおすまでに学ぶステップ数
EXPERIENCED = 500  # 評価の方策を調べるまでに学ぶステップ数
LATEST = 3_000  # ε が下がりはじめるのを待つステップ数
SURE = 14  # これだけ起こるはずの、独立なことが一度も起きないのは、百万回に一度です


def program(case: Case) -> Finding:
    """プログラムの形: エージェントを作れて、行動が番号で、ループと update が最後まで動くかを見ます。"""
    subject, (size, actions) = case.fresh(), case.shape
    for state in case.panel(20):
        action = subject.agent.get_action(state)
        if np.ndim(action) or not 0 <= int(action) < actions:
            return ill(
                f"get_action が、0 から {actions - 1} の番号を返しません: {action!r}",
                "shape",
            )
        if not 0 <= subject.greedy(state) < actions:
            return ill("評価の方策が、行動の番号を返しません。", "shape")
    subject.policy()
    env = case.probe(probes.Ledger, rest=0)
    with contextlib.suppress(probes.LoopError):  # 検査「ループが渡す遷移」が伝えます
        play_episode(case.program, env, Watched(subject.agent), case.seed)
    if not env.transitions:
        return ill("ループが、env.step を一度も呼びません。", "shape")
    note = "" if case.repeats else "同じシードから、同じエージェントはできません。"
    return healthy(f"状態は {size} 個の数、行動は {actions} 個です。{note}")


class Choices:
    """いくつかの状態で行動を選ばせて、貪欲でない行動を数えたもの。

    属性:
        rate: 貪欲でない行動の割合。
        pairs: 選んだ (貪欲な行動、選んだ行動) の組。
        greedy: 貪欲な行動だったものの数え。
        epsilon: 数える前と後の ε。なければ NaN です。
    """

    def __init__(self, subject: Subject, states: np.ndarray):
        before, chosen = _epsilon(subject), []
        for state in states:
            greedy = int(subject.values(state).argmax())  # 平均した重みではありません
            for _ in range(LOOKS // len(states)):
                chosen.append((greedy, int(subject.agent.get_action(state))))
        self.pairs = {(g, a) for g, a in chosen if g != a}
        self.rate = sum(g != a for g, a in chosen) / len(chosen)
        self.greedy = Counter(g for g, _ in chosen)
        self.epsilon = before, _epsilon(subject)


def actions(case: Case) -> Finding:
    """探索を、学習の始まりと、学習のあとで数えます。ε には触れません。"""
    n, states = case.shape[1], case.panel(LOOKS // 10, 3.0)
    start, subject = Choices(case.fresh(), states), case.fresh()
    agent, env = Watched(subject.agent), case.probe(probes.Ledger, rest=0, length=100)
    # エピソードごとに下がる ε もあるので、エピソードは長くします
    for most in (TRAINED, LATEST):
        while len(env.transitions) < most:
            subject.episode(env, agent, len(env.seeds))
        late = Choices(subject, states)
        # 学びはじめるまで、ε を下げないものや、無作為に選ぶものもあります
        if not late.rate > late.epsilon[0] + 0.1 and late.epsilon[0] < 0.99:
            break
    text = (
        f"貪欲でない行動の割合は、始まりに {start.rate:.2f}、"
        f"{len(env.transitions):,} ステップ学んだあとに {late.rate:.2f} です"
    )
    epsilons = start.epsilon + late.epsilon
    if start.rate == late.rate == 0 and not 0 < max(epsilons) * LOOKS < SURE:
        return ill(
            "貪欲でない行動を、一度も選びません。探索していません。", "no_exploration"
        )
    if late.rate == 0 and math.isnan(late.epsilon[1]):
        raise Undecided(
            f"{text}。価値の差を見て選んでいるのか、探索がなくなったのか、epsilon がないのでわかりません。"
        )
    if late.epsilon[0] < 0.01 <= start.epsilon[0] / 2:
        return ill(f"{text}。探索が、なくなりました。", "epsilon_gone")
    looks = [start, late]

    def expected(g: int) -> float:
        """行動 g が貪欲なときに、ほかの行動を選ぶはずの回数。"""
        return sum(look.greedy[g] * look.rate for look in looks)

    if min(expected(0), expected(n - 1)) < SURE:  # どちらも貪欲になるように、学ばせます
        looks.append(_decided(case))
    pairs = set().union(*(look.pairs for look in looks))
    for g in range(n):
        if expected(g) > SURE and not any(pair[0] == g for pair in pairs):
            return ill(
                f"{text}。貪欲な行動が {g} のときに、ほかの行動を探索していません。",
                "narrow_exploration",
            )
    never = set(range(n)) - {a for _, a in pairs}
    if n > 2 and never and sum(map(expected, range(n))) > SURE * n:
        return ill(
            f"{text}。行動 {sorted(never)} を、探索で選んでいません。",
            "narrow_exploration",
        )
    if math.isnan(late.epsilon[1]):
        return healthy(f"{text} (epsilon がないので、大きさは調べていません)。")
    if late.rate > 1 - 0.5 / n:  # 不等号が逆でも、1 - 1 / n までです
        return ill(f"{text}。貪欲な行動が、価値の最大ではありません。", "not_greedy")
    # ボルツマン探索などは、ε を使わず、価値の差が大きければ減ります
    if late.rate > max(late.epsilon) + 0.1 and _decided(case).rate > late.rate / 2:
        return ill(
            f"{text}が、ε は {late.epsilon[1]:.2f} です。不等号が逆ではありませんか。",
            "epsilon_size",
        )
    if min(epsilons) >= 0.99 and len({*epsilons}) == 1 and subject.learned():
        return ill(
            f"{text}。ε が {late.epsilon[1]:g} のまま、下がりません。", "epsilon_stays"
        )
    if start.rate < _least(start) and late.rate < _least(late):
        return ill(
            f"{text}が、ε からは {min(late.epsilon) * (1 - 1 / n):.2f} ほどのはずです。",
            *("epsilon_size", "no_exploration"),
        )
    return healthy(text + "。")


def _decided(case: Case) -> Choices:
    """貪欲な行動がそれぞれ違い、価値の差が大きい、二つの状態で数えたもの。"""
    learned, both, _ = case.both
    return Choices(learned, np.array([both.observe(x) for x in (-0.5, 0.5)]))


def _least(choices: Choices) -> float:
    """ε から期待する割合の、偶然で起こる下の端。一様に選んで貪欲な行動に当たるぶんも引きます。"""
    rate = min(choices.epsilon) / 2
    return rate - 4 * np.sqrt(rate * (1 - rate) / LOOKS) - 0.005


def _epsilon(subject: Subject) -> float:
    """エージェントの ε。なければ NaN です。"""
    for name in ("epsilon", "eps"):
        value = getattr(subject.agent, name, None)
        if isinstance(value, (int, float, np.floating)):
            return float(value)
    return math.nan


def evaluation(case: Case) -> Finding:
    """学習したあとの評価の方策が、いつも貪欲な行動を選び、何も変えないかを見ます。"""
    subject, env = case.fresh(), case.probe(probes.Shifted)
    rng, episode = np.random.default_rng([case.seed, 6]), 0
    agent = Watched(subject.agent, lambda state: int(rng.integers(case.shape[1])))
    subject.values(env.observe(3))
    fresh = subject.fingerprint()
    while len(env.transitions) < EXPERIENCED or (
        subject.fingerprint() == fresh and len(env.transitions) < 3_000
    ):
        subject.episode(env, agent, episode)
        episode += 1
    places = rng.uniform(2.2, 3.8, 200)
    states = [env.observe(x) for x in places]
    panel = np.array([subject.values(x) for x in states[:20]])
    if not np.array_equal(panel, [subject.values(x) for x in states[:20]]):
        return ill(
            "同じ状態の価値が、読むたびに変わります。ドロップアウトなどの乱数が、行動を選ぶときにも働いていませんか。",
            "random_values",
        )
    policy = subject.policy()
    greedy = [subject.greedy(state) for state in states]
    first, *again = ([int(policy(state)) for state in states] for _ in range(5))
    wrong = sum(a != b for later in again for a, b in zip(later, first))
    now = np.array([subject.values(x) for x in states[:20]])
    if not np.allclose(panel, now, rtol=1e-4, atol=1e-5):
        return ill(
            "評価のあとで、価値が変わりました。評価のあいだに、学んだり、平均を更新したりしていませんか。",
            "evaluation_changes",
        )
    if wrong:
        return ill(
            f"評価の方策は、同じ状態でも、{4 * len(states):,} 回のうち {wrong} 回、違う行動を選びました。",
            "evaluation_explores",
        )
    differ = sum(a != b for a, b in zip(first, greedy))
    if differ > 2:
        return ill(
            f"{len(states)} 個の状態のうち {differ} 個で、評価の方策が、エージェントの貪欲な行動と違います。"
            "入力の正規化などが、評価のときだけ抜けていませんか。",
            *("evaluation_differs", "evaluation_explores"),
        )
    return healthy(f"{len(states)} 個の状態で、いつも貪欲な行動を選びます。")
