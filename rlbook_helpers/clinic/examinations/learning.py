"""小さな環境を、エージェント自身の速さで学ばせる検査。"""

import numpy as np

from rlbook_helpers.clinic import probes
from rlbook_helpers.clinic.case import TOLERANCE, Case
from rlbook_helpers.clinic.program import Finding, healthy, ill
from rlbook_helpers.clinic.subject import GAMMA, Subject
from rlbook_helpers.training import evaluate


def wrong(case: Case, subject, env, tolerance: float = TOLERANCE) -> str:
    """覚えた価値のうち、違うもの。三つまで並べます。"""
    pairs = [(v, subject.values(s)[a]) for s, a, v in env.answers(case.gamma)]
    words = [f"{v:.2f} のはずが {x:.2f}" for v, x in pairs if abs(v - x) >= tolerance]
    return "、".join(words[:3]) + "。"


def _suspects(subject, env) -> tuple[str, ...]:
    """覚えた価値の違いかたから、疑う所。"""
    rows = [(v, subject.values(s)) for s, _, v in env.answers(GAMMA)]
    found = np.array([values.max() for _, values in rows])
    wanted = np.array([v for v, _ in rows])
    sums = np.array([values.sum() for _, values in rows])
    if np.allclose(sums, 1, atol=1e-3):
        return "output", "other_actions"  # 0.5 と 0.5 の和も 1 です
    if isinstance(env, probes.Constant):
        if found.max() > 1.2:
            return "mask", "step_size"
        if np.abs(found).max() < 0.1:
            return "reward_changed", "output", "step_size"
        return "other_actions", "step_size", "output"
    lowest = min(values.min() for _, values in rows)
    if lowest > -0.05 and wanted.min() < 0 and found.max() > 0.8:
        return "output", "step_size"
    if isinstance(env, probes.Acted):
        return "action_index", "mixed_rows", "step_size"
    return "mixed_rows", "buffer_type", "step_size"


def _probe(kind: type[probes.Probe], tolerance: float = TOLERANCE):
    def examination(case: Case) -> Finding:
        subject: Subject
        env: probes.Probe
        if kind is probes.Constant and case.rest is None and case.starts:
            return ill(
                "でたらめな状態からは学ぶのに、この環境では、価値が少しも変わりません。",
                *("output", "reward_changed", "step_size"),
            )
        if kind is probes.Both:
            subject, env, error = case.both
        else:
            subject, env = case.subject(), case.probe(kind)
            error = case.teach(subject, env, lambda: subject.errors(env), tolerance)
        text = f"{len(env.transitions):,} ステップ学んで、正しい価値との差は {error:.2f} です。"
        if error < tolerance:
            return healthy(text)
        case.needs_rewards()
        return ill(
            text + wrong(case, subject, env, tolerance), *_suspects(subject, env)
        )

    examination.__doc__ = f"小さな環境 {kind.__name__}: {kind.question}。"
    return examination


probe_constant = _probe(probes.Constant)
probe_observed = _probe(probes.Observed)
probe_acted = _probe(probes.Acted)
probe_both = _probe(probes.Both)
overfit = _probe(probes.Memorized, 0.4)


def probe_delayed(case: Case) -> Finding:
    """小さな環境 Delayed: 次の状態の価値を、割り引いて使えるか。

    割引率を 0.8 に替えて調べます。替えても計算に使われないときは、はじめの割引率と比べます。
    """
    _, fits, near, far, steps = case.corridor
    text = (
        f"{steps:,} ステップ学んで、出口の価値は {near:.2f}、五つ手前は {far:.2f} です"
    )
    if fits:
        return healthy(text + "。")
    case.needs_rewards()
    names = ("never_synced", "reselected", "window")
    if far > 0.97 * near:
        names = ("gamma", "max_axis", "mixed_rows")
    elif abs(far - GAMMA * near) < 0.05:
        names = ("max_axis", "gamma", "mixed_rows")
    elif far > GAMMA**5 + 0.1:
        names = ("gamma", "window", "max_axis")
    return ill(f"{text} (γ = {GAMMA} なら、1 と {GAMMA**5:.2f} のはずです)。", *names)


def _bounded(case: Case, subject) -> bool:
    """価値が、どんな状態でも、大きさ 1 を超えないか。"""
    values = [np.abs(subject.values(x)).max() for x in case.panel(16, 100.0)]
    return bool(max(values) <= 1)


def probe_turned(case: Case) -> Finding:
    """小さな環境 Turned: 次の状態で、行動を選びなおすか。"""
    subject, env = case.subject(), case.probe(probes.Turned)
    gammas = case.gammas
    error = case.teach(
        subject, env, lambda: min(subject.errors(env, g) for g in gammas), TOLERANCE
    )
    best = subject.values(env.place(0))[-1]
    text = f"一歩目のいちばんよい行動の価値は {best:.2f} です。"
    if error < TOLERANCE:
        return healthy(text)
    case.needs_rewards()
    names = ("reselected", "max_axis", "never_synced")
    if _bounded(case, subject):
        names = ("output", "reselected", "max_axis")
    return ill(text + wrong(case, subject, env), *names)


def probe_truncated(case: Case, length: int = 4) -> Finding:
    """小さな環境 Truncated: 打ち切りの先の価値を数えるか。"""
    subject, env = case.subject(), case.probe(probes.Truncated, rest=0)
    env.length = length

    def low() -> float:
        """部屋の価値の大きさのうち、小さいほう。目標の 4 までの残りです。"""
        plus, minus = (subject.values(env.observe(x)) for x in (0.5, -0.5))
        return max(0.0, 4 - min(plus.min(), -minus.max()))

    left = case.teach(subject, env, low, 0.01)
    plus, minus = (subject.values(env.observe(x)).mean() for x in (0.5, -0.5))
    text = f"二つの部屋の価値は {plus:.1f} と {minus:.1f} です"
    if left < 0.01:
        return healthy(text + "。")
    if max(abs(plus), abs(minus)) < 0.5 and length == 4:
        # 四歩のエピソードからは、学ばないのかもしれません
        return probe_truncated(case, max(12, 3 * case.window))
    case.needs_rewards()
    names = ("ends", "window", "never_synced")
    if _bounded(case, subject):
        names = ("output", "ends", "never_synced")
    return ill(f"{text}。打ち切りの先を数えれば、5 と -5 に近づくはずです。", *names)


def baselines(case: Case) -> Finding:
    """小さな環境 Both で、評価の方策を、ランダムな方策と、いつも同じ行動の方策と比べます。"""
    subject, env, _ = case.both
    rng = np.random.default_rng([case.seed, 3])
    policies = {
        "学習した方策": subject.policy(),
        "ランダム": lambda state: int(rng.integers(env.action_size)),
        "いつも左": lambda state: 0,
    }
    means = {}
    for name, policy in policies.items():
        test = case.probe(probes.Both)
        totals = evaluate(test, policy, episodes=50, seed=case.seed)
        means[name] = float(totals.mean())
    ours, *others = means.values()
    text = "、".join(f"{name} {mean:.2f}" for name, mean in means.items())
    if ours > max(others) + 0.3:
        return healthy(f"報酬の合計の平均は、{text} です。")
    case.needs_rewards()
    return ill(f"報酬の合計の平均は、{text} です。", "mixed_rows", "evaluation_differs")
