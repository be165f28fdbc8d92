"""更新の計算の検査。

損失の形も、最適化の方法も、ミニバッチの大きさも問いません。同じ遷移だけを何度も渡して、どのミニバッチにも
その遷移しか入らないようにし、価値の動く向きを見ます。
"""

import functools
import itertools

import numpy as np

from rlbook_helpers.clinic import probes
from rlbook_helpers.clinic.case import FIRST_UPDATE, Case
from rlbook_helpers.clinic.program import Finding, Undecided, healthy, ill, mismatch
from rlbook_helpers.clinic.subject import Subject, Watched

MOST_REWARD = 40.0  # 価値の動く向きが変わる報酬を、この大きさまで探します
WIDTH = 0.005  # その報酬の、手計算との違いの限り
FAR = 5.0  # 数回の更新では届かない目標までの差
LATE_START = 60_000  # 学びはじめるのを、これだけは待ちます
LENGTH = 47  # 学ぶ間隔と重ならないように、素数にします
MOST_N = 5  # 何歩ぶんまとめているかがわからないときに、試す歩数
MOST_WINDOW = 10  # わかるときに、手計算を試す歩数


def updated(
    case: Case, transition, first: int = 1, target: list | None = None
) -> tuple[Subject, np.ndarray, int]:
    """同じ遷移を、学ぶまで渡したエージェント。学ぶ前の価値 (A,) と、渡した回数も返します。

    はじめて学ぶのが first 回目だとわかっていれば、速くなります。target を渡すと、その直前に、ターゲット
    ネットワークの重みを、その配列に替えます。

    例外:
        Undecided: 重みが動かない。
    """
    subject = case.subject()
    state = transition[0]
    subject.values(state)
    for _ in range(1, first):
        subject.agent.update(*transition)
    for x, y in zip(subject.weights(subject.target) if target else [], target or []):
        x[...] = y
    for k in range(first, FIRST_UPDATE):
        was, old = subject.fingerprint(), subject.values(state)
        subject.agent.update(*transition)
        if subject.fingerprint() != was:
            return subject, old, k
    raise Undecided(
        "同じ遷移を渡しつづけても、重みが動きません。検査「学ぶ時期」を見てください。"
    )


def poised(case: Case, transition) -> tuple[Subject, int]:
    """同じ遷移を、学ぶ一つ手前まで渡したエージェントと、次に学ぶのが何回目か。"""
    _, _, first = updated(case, transition)
    subject = case.subject()
    for _ in range(1, first):
        subject.agent.update(*transition)
    subject.values(transition[0])
    return subject, first


def disturb(subject: Subject, state: np.ndarray, sign: int) -> list[np.ndarray]:
    """ターゲットネットワークの重みをずらし、state の価値を、オンラインネットワークと違うものにします。

    sign が 1 なら、オンラインネットワークの選ぶ行動の価値を大きく、-1 なら小さくします。ずらした重みを返します。
    """
    if subject.target is None:
        return []
    arrays = subject.weights(subject.target)
    kept, ours = [x.copy() for x in arrays], subject.values(state)
    for k in range(100):
        rng, scale = np.random.default_rng(k), 0.02 * (1 + k // 5)
        for x, old in zip(arrays, kept):
            x[...] = old + scale * rng.standard_normal(x.shape).astype(x.dtype)
        theirs = subject.target_values(state)
        # 報酬を -1 から 1 に切りつめるエージェントでも、手計算の報酬を渡せるように、小さくずらします
        if sign * (theirs - ours)[ours.argmax()] > 0.3 and np.abs(theirs).max() < 1:
            break
    return [x.copy() for x in arrays]


def needs_plain_update(case: Case, transition) -> None:
    """update の一回で、一つのネットワークの重みを一度だけ、乱数を混ぜずに動かすことを確かめます。

    例外:
        Undecided: 何度も動かすので、目標を通りこして戻る。ドロップアウトなどの乱数が混ざる。または、
            ネットワークが二つより多く、どう使うかがわからない。
    """
    subject, _ = poised(case, transition)
    if (n := len({*map(id, subject.networks.values())})) > 2:
        raise mismatch(
            f"ネットワークが {n} つあるので、TD ターゲットを手計算できません。"
        )
    heard = subject.listen(lambda: subject.agent.update(*transition))
    if heard.steps > 1 or not heard.same:
        how = "重みを何度も動かす" if heard.same else "ドロップアウトなどの乱数が混ざる"
        raise mismatch(
            f"update の一回に{how}ので、価値の動く向きから、TD ターゲットを求められません。"
        )


def steady(case: Case) -> None:
    """同じシードから、同じ価値のエージェントができることを確かめます。

    例外:
        Undecided: できない。または、同じ状態の価値が、読むたびに変わる。
    """
    state, subject = case.panel(1)[0], case.fresh()
    if not np.array_equal(subject.values(state), subject.values(state)):
        raise Undecided(
            "同じ状態の価値が、読むたびに変わります。検査「評価の方策」を見てください。"
        )
    if not case.repeats:
        raise Undecided(
            "同じシードから、同じエージェントができません。make_agent が受けとる seed で、重みの初期値と乱数を決めると、"
            "調べられます。",
            "前提が合わない",
        )


def candidates(subject: Subject, state: np.ndarray) -> dict[str, tuple[float, float]]:
    """次の状態が state のときの、TD ターゲットに使ってよい価値の範囲。求め方の名前から。"""
    ours, theirs = subject.values(state), subject.target_values(state)
    best, most = ours.argmax(), theirs.max()
    rules = {"最大": (most, most), "Double DQN": (theirs[best], theirs[best])}
    return rules | {"悲観": (min(ours[best], theirs[best]), theirs[best])}


def turning(case: Case, state, action, guesses, *, done, first, target=None) -> float:
    """状態 state での価値の動く向きが、減るから増えるに変わる報酬。

    変わらなければ NaN、増えるから減るに変わるなら無限大です。guesses のまわりを先に調べます。
    """

    def rises(reward) -> bool:
        transition = state, action, float(reward), state.copy(), done
        subject, old, _ = updated(case, transition, first, target)
        return bool(subject.values(state)[action] > old[action])

    # 重みの動かない 0 や guess を、ちょうどは試しません
    for guess in guesses:
        if not rises(guess - WIDTH / 4) and rises(guess + WIDTH / 5):
            return guess
    low, high = -MOST_REWARD, MOST_REWARD + 1
    if rises(low) or not rises(high):
        return float("inf" if rises(low) and not rises(high) else "nan")
    while high - low > WIDTH / 2:
        middle = (low + high) / 2
        low, high = (low, middle) if rises(middle) else (middle, high)
    return (low + high) / 2


def td_targets(case: Case) -> Finding:
    """TD ターゲットを、手で計算したものと比べます。

    報酬を変えると、TD ターゲットがいまの価値と等しくなる所で、価値の動く向きが変わります。その報酬を二分法で探し、
    手計算と比べます。次の状態は同じ状態なので、何歩ぶんまとめるエージェントでも計算できます。
    """
    steady(case)
    subject = case.subject()
    if not isinstance(getattr(subject.agent, "gamma", None), (int, float)):
        raise Undecided("エージェントに gamma がないので、手で計算できません。")
    if case.window > MOST_WINDOW:
        raise mismatch(
            f"遷移を {case.window} 歩ぶんまとめているようです。手計算は {MOST_WINDOW} 歩まで試します。"
        )
    lengths = {*range(1, MOST_N + 1), case.window}
    gammas = [gamma for gamma in case.gammas[:2] if gamma]
    agreed: set | None = None  # どの状態でも合った、まとめる歩数と、価値の求め方
    for k, state in enumerate(case.panel(3)):
        sign = (-1, 1)[k % 2]
        action = (int(subject.values(state).argmin()) + k) % case.shape[1]
        ready, first = poised(case, (state, action, 0.5, state.copy(), True))
        q = ready.values(state)[action]
        found = turning(case, state, action, [q], done=True, first=first)
        if np.isinf(found):
            return ill(
                "報酬を大きくすると、価値が減り、小さくすると増えます。目標から遠ざかる向きに学んでいます。",
                "ascent",
            )
        if not abs(found - q) < WIDTH:
            needs_plain_update(case, (state, action, 0.5, state.copy(), True))
            case.needs_rewards(beyond=True, loop=False)
            return ill(
                f"終端の遷移の TD ターゲットが、報酬と違います (報酬が {q:.2f} の所で、価値の動く向きが変わるはずです)。",
                *("mask", "other_actions", "reward_changed"),
            )
        fresh, first = poised(case, (state, action, 0.5, state.copy(), False))
        target = disturb(fresh, state, sign)
        q, rules = fresh.values(state)[action], candidates(fresh, state)
        # 合いそうな報酬: はじめは 3 歩まで、次からは、前の状態で合ったもの
        first_tried = dict.fromkeys((case.window, 1, 2, 3))
        likely = agreed or itertools.product(first_tried, [case.gamma], rules)
        guesses = [
            (q - gamma**n * rules[rule][0]) / sum(gamma**i for i in range(n))
            for n, gamma, rule in likely
        ]
        options = {"done": False, "first": first, "target": target}
        turned = turning(case, state, action, dict.fromkeys(guesses), **options)

        def fits(n, gamma, low, high=None, q=q, turned=turned):
            value = (q - sum(gamma**i for i in range(n)) * turned) / gamma**n
            width = sum(gamma**i for i in range(n)) * WIDTH / gamma**n
            return low - width < value < (low if high is None else high) + width

        fitting = {
            (n, gamma, rule)
            for n, gamma in itertools.product(lengths, gammas)
            for rule, bounds in rules.items()
            if fits(n, gamma, *bounds)
        }
        agreed = fitting if agreed is None else agreed & fitting
        if not agreed:
            needs_plain_update(case, (state, action, 0.5, state.copy(), True))
            case.needs_rewards(beyond=True, loop=False)
            names = ["which_network", "max_axis", "gamma"]
            if fits(1, 1.0, *rules["最大"]):
                names = ["gamma"]
            elif fits(1, gammas[0], fresh.values(state).max()):
                names = ["which_network"]
            elif fits(1, gammas[0], fresh.target_values(state).mean()):
                names = ["max_axis"]
            return ill(
                "続く遷移の TD ターゲットが、手計算のどれとも違います (γ と、どちらのネットワークで次の状態の価値を"
                "求めるかを、見てください)。",
                *names,
            )
    n = min(n for n, *_ in agreed or ())
    fit = {rule for m, *_, rule in agreed or () if m == n}
    rule = next(r for r in ("最大", "Double DQN", "悲観") if r in fit)
    many = "" if n == 1 else f"{n} 歩の収益と、"
    return healthy(f"手で計算した TD ターゲット ({many}{rule}) と合います。")


def gradient(case: Case) -> Finding:
    """続く遷移での重みの動く向きを、同じ TD ターゲットを報酬として渡した、終端の遷移でのものと比べます。

    TD ターゲットを定数とみなすなら、二つは同じです。勾配が前の更新から積みあがっていないかも見ます。
    """
    steady(case)
    subject = case.subject()
    if not hasattr(subject.agent, "gamma"):
        raise Undecided("エージェントに gamma がないので、手で計算できません。")
    state = case.panel(1)[0]
    values = subject.values(state)
    action, gamma = int(values.argmin()), subject.agent.gamma
    panel, moves = case.panel(16), []
    before = np.array([subject.values(x) for x in panel])
    goal = values.max() * gamma + 1.0
    for reward, done in ((1.0, False), (goal, True)):
        transition = state, action, float(reward), state.copy(), done
        learner, _, _ = updated(case, transition)
        moves.append(np.array([learner.values(x) for x in panel]) - before)
    ours, wanted = (m / max(np.abs(m).max(), 1e-12) for m in moves)
    gap = float(np.abs(ours - wanted).max())
    text = f"価値の動きの違いは、いちばん大きな動きの {100 * gap:.0f} % です"
    if gap > 0.1:
        needs_plain_update(case, (state, action, 0.5, state.copy(), True))
        case.needs_rewards(beyond=True, loop=False)
        return ill(
            f"{text} (ほぼ 0 のはずです)。TD ターゲットのほうへも、勾配が流れています。",
            *("gradient_into_target", "mask"),
        )
    if grown := piled(case, state, action):
        return ill(
            f"勾配の大きさが、同じ遷移なのに {grown:.1f} 倍になりました。前の勾配が消えていません。",
            "gradients_pile",
        )
    return healthy(text + "。")


def piled(case: Case, state, action) -> float:
    """同じ遷移を四回学んだときに、勾配が何倍に積みあがるか。積みあがらないか、勾配を読めなければ 0。

    一歩が大きすぎて目標から遠ざかるだけのときも、勾配は大きくなるので、目標との差が増えたぶんは割りびきます。
    """
    goal = float(case.subject().values(state)[action]) + FAR
    transition = state, action, goal, state.copy(), True
    subject, old, _ = updated(case, transition)
    norms, gaps = [gradient_norm(subject)], [abs(goal - old[action])]
    for _ in range(60):
        was, gap = subject.fingerprint(), abs(goal - subject.values(state)[action])
        subject.agent.update(*transition)
        if subject.fingerprint() != was:
            norms.append(gradient_norm(subject))
            gaps.append(gap)
        if len(norms) == 4:
            ratio = norms[3] / norms[0] if norms[0] else 0.0
            ratio /= max(1.0, gaps[3] / gaps[0])
            return ratio if ratio > 2 else 0.0
    return 0.0


def gradient_norm(subject: Subject) -> float:
    """いちばん新しい勾配の大きさ。読めなければ 0。"""
    find = getattr(
        subject.online, "params", getattr(subject.online, "parameters", None)
    )
    grads = [getattr(p, "grad", None) for p in find()] if find else []
    arrays = [np.asarray(getattr(g, "data", g)) for g in grads if g is not None]
    return float(np.sqrt(sum((x.astype(float) ** 2).sum() for x in arrays)))


def first_step(case: Case) -> Finding:
    """一回の更新で、価値が目標を大きく通りこさないか、目標が遠くても動くかを見ます。"""
    steady(case)
    state = case.panel(1)[0]
    near = float(case.subject().values(state)[0]) + 0.5
    ready, first = poised(case, (state, 0, near, state.copy(), True))
    q = ready.values(state)[0]
    if not all(_moves(case, state, q + gap, first) for gap in (1, FAR)):
        case.needs_rewards(beyond=True, loop=False)
        return ill(
            f"目標との差が大きいと ({FAR:g} まで試しました)、価値が動きません。TD 誤差を切りつめてから、二乗していませんか。",
            "clipped_error",
        )
    subject, _, _ = updated(case, (state, 0, float(q) + 1, state.copy(), True))
    left = abs(float(q + 1 - subject.values(state)[0]))
    text = f"目標との差は、最初の更新の前に 1.00、後に {left:.2f} です"
    if left < 1.5:
        return healthy(text + "。")
    case.needs_rewards(loop=False)
    return ill(f"{text} (減るはずです)。", "step_size", "other_actions")


def _moves(case: Case, state, goal: float, first: int) -> bool:
    """はじめての学習と、そのあとの何回かで、価値が動くか。"""
    subject = case.subject()
    old = subject.values(state)[0]
    for _ in range(first + 20):
        subject.agent.update(state, 0, float(goal), state.copy(), True)
    return bool(abs(subject.values(state)[0] - old) > 1e-6)


def pace(case: Case) -> Finding:
    """何ステップに一度学ぶかと、エピソードの終わりだけで学んでいないかを見ます。"""
    subject = case.fresh()
    subject.values(case.panel(1)[0])
    env = case.probe(probes.Ledger, rest=0, length=LENGTH)
    moved: list[bool] = []
    state = {"was": subject.fingerprint()}

    def look():
        now = subject.fingerprint()
        moved.append(now != state["was"])
        state["was"] = now

    agent, episode, idle = Watched(subject.agent, after=look), 0, True
    # 一度も計算しないうちは、学びはじめが遅いだけかもしれません
    while sum(moved) < 60 and len(env.transitions) < (
        LATE_START if idle else FIRST_UPDATE
    ):
        first = len(moved)
        play = functools.partial(subject.episode, env, agent, episode)
        heard = subject.listen(play)
        idle = idle and heard.known and heard.rows <= 1
        if len(moved) > FIRST_UPDATE:  # もう、行動を見る必要はありません
            vars(agent)["choose"] = lambda state: 0
        episode += 1
        if not len(moved) > first:
            return ill("ループが、update を一度も呼んでいません。", "shape")
        if (now := subject.fingerprint()) != state["was"]:  # update の外で学びました
            moved[-1], state["was"] = True, now
        if sum(moved) >= 4 and _only_at_ends(moved):
            if heard.steps > 2:
                return healthy("エピソードの終わりに、何度も学びます。")
            return ill(
                "重みが動くのは、エピソードの終わりの一回だけです。学習が、ステップのループの外にありませんか。",
                "outside_loop",
            )
    if not any(moved):
        return ill(
            f"{len(moved):,} ステップのあいだ、重みが一度も動きません。学びはじめがもっと遅いだけなら、早めて調べてください。"
            "そうでなければ、オプティマイザが、このネットワークの重みを持っていますか。",
            "other_network",
        )
    first = moved.index(True)
    if first > FIRST_UPDATE:
        raise mismatch(
            f"学びはじめるのは {first + 1:,} ステップ目です。ほかの検査をするには、{FIRST_UPDATE:,} ステップより早くしてください。"
        )
    every = (len(moved) - first) / sum(moved)
    return healthy(f"{first + 1} ステップ目から、{every:.0f} ステップに一度学びます。")


def _only_at_ends(moved: list[bool]) -> bool:
    return all((k + 1) % LENGTH == 0 for k, move in enumerate(moved) if move)
