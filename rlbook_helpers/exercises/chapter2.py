"""第 2 章の演習。"""

import numpy as np
from dezerogym.gridworld import GridWorld

from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import fitting

GAMMA = 0.9
ROUNDED = "丸めすぎです。丸めずに、式のまま計算した値を渡してください。"


def news(answer) -> str | None:
    """2.1: 何エピソード目で、スタートの価値がはじめて 0 でなくなり、いくつになるか。"""
    episode, value = answers.numbers(answer, "何エピソード目か", "そのときの値")
    steps, alpha = 5, 0.1
    backwards = (
        "影響が、一つのエピソードの中で何マスも戻っています。歩いた順に更新すると、"
        "前のマスの更新は、次のマスの値が動くより先に終わっています。"
    )
    return fitting(
        episode,
        steps,
        [
            (1, backwards),
            (
                steps - 1,
                "報酬の影響が一マス戻るのに、何エピソードかかるか、数えなおしてください。",
            ),
            (steps + 1, "ゴールに入る一歩の値は、はじめのエピソードから動きます。"),
        ],
        "影響は、一つのエピソードで何マス戻るでしょうか。三マスの道で試してください。",
    ) or fitting(
        value,
        alpha**steps * GAMMA ** (steps - 1),
        [
            *((rounded, ROUNDED) for rounded in (6.6e-6, 7e-6, 0)),
            (
                GAMMA ** (steps - 1),
                "TD ターゲットまで一度で動いています。α だけ近づけてください。",
            ),
            (alpha**steps, "マスを一つ戻るたびに、割り引かれることを忘れています。"),
            (
                alpha * GAMMA ** (steps - 1),
                "α を掛けるのは、どのマスの更新でも同じです。",
            ),
            (
                alpha**steps * GAMMA**steps,
                "割り引く回数が、一つ多すぎます。ゴールに入る一歩の TD ターゲットは 1 です。",
            ),
        ],
        "一マス戻るたびに、値が何倍になるかを考えてください。",
    )


def shortcut(answer) -> str | None:
    """2.2: (2, 3) で「左」と「上」が等しくなる、爆弾の報酬。"""
    return fitting(
        answers.number(answer, "境目の報酬"),
        GAMMA**3 - GAMMA,
        [
            *((rounded, ROUNDED) for rounded in (-0.17, -0.2)),
            (
                GAMMA - GAMMA**3,
                "符号が逆です。二つの行動の価値を等しいと置いて、爆弾の報酬について解いてください。",
            ),
            (GAMMA**3 - 1, "爆弾を踏んだ次の一歩の報酬を、割り引いていません。"),
            (
                GAMMA**4 - GAMMA,
                "左に回る道の歩数が、一つ多すぎます。(2, 3) から数えてください。",
            ),
            (GAMMA**2 - GAMMA, "左に回る道の歩数が、一つ足りません。"),
            (
                GAMMA**3,
                "左に回る道の価値だけでなく、上へ進む道の価値とも比べてください。",
            ),
        ],
        "「左」と「上」の価値を、それぞれ式で書き、等しいと置いてください。",
        rtol=2e-3,
    )


def triad(answer) -> str | None:
    """2.3: 二つの遷移を一度ずつ学習すると w が何倍になるかと、外した要素。"""
    names = "何倍か", "外した要素"
    factor, element = answers.items(answer, *names)
    right = (1 + 0.1 * (GAMMA * 2 - 1)) * (1 + 0.1 * 2 * (0 - 2))
    wrong = fitting(
        answers.number(factor, names[0]),
        right,
        [
            (1.08, "二つ目の遷移の更新が入っていません。"),
            (0.6, "一つ目の遷移の更新が入っていません。"),
            (
                1.08 * 0.8,
                "二つ目の更新に、見積もり 2w を w で微分したものが掛かっていません。",
            ),
            (
                1.08 * 1.2,
                "二つ目の更新の向きが逆です。見積もりを TD ターゲット 0 に近づけます。",
            ),
            (
                1.08 - 0.4,
                "一つ目の更新で動いたあとの w に、二つ目の更新をしてください。",
            ),
            (1.08 * 0.9, "二つ目の見積もりは w ではなく 2w です。"),
        ],
        "一つ目の更新で w は何倍になり、二つ目の更新で何倍になるかを、別々に求めてください。",
    )
    if wrong:
        return wrong
    if not isinstance(element, str):
        return "外した要素は、本文の名前で、文字列にして渡してください。"
    if "関数近似" in element:
        return (
            "見積もりは、まだ一つの重み w を共有しているので、関数近似は残っています。"
        )
    if "ブートストラップ" in element:
        return "一つ目の TD ターゲットは、まだ見積もり 2w から作るので、ブートストラップは残っています。"
    if "オフ" not in element and "off" not in element.lower():
        return "外した要素は、本文の「致命的な三要素」の名前から選んでください。"
    return None


def expected_sarsa(answer) -> str | None:
    """2.4: 期待 SARSA。ε = 1 の値は、連立方程式の解です。"""
    form = "expected_sarsa(epsilon, episodes, alpha, seed)"
    reader = answers.function(answer, form)
    # 偶然がない環境なので、α を大きくしても、ばらつきません
    Q, other = (
        answers.array(reader(1.0, 100, 0.5, seed), (3, 4, 4)) for seed in (0, 1)
    )
    random, best = _random_values(), _values(lambda qs: qs.max(axis=-1))
    rows, columns = np.nonzero(random.any(axis=2))  # 壁とゴールのほかのマス

    def gap(Q, values):
        return np.abs(Q - values)[rows, columns].max()

    if not Q[rows, columns].any():
        return "どの値も 0 のままです。更新した表を返してください。"
    if gap(Q, best) < 0.05:
        return "最もよく行動したときの価値を学んでいます。次の状態の最大だけになっていませんか。ε = 1 のとき、四つの行動の重みは等しくなるはずです。"
    if gap(Q, other) > 0.1:
        return "seed によって値がばらつきます。次の行動を引かずに、四つの行動についての期待値を使ってください。"
    if gap(Q, random) > 0.05:
        return "ε = 1 のときの値が、ランダムな方策の価値と違います。TD ターゲットの期待値の重みと、割引率を見てください。ε = 1 なら、四つの行動の重みは等しくなります。"
    if not np.array_equal(Q, reader(1.0, 100, 0.5, 0)):
        return "同じ seed から、違う結果が出ます。乱数は、seed から作った乱数生成器だけから引いてください。"

    # ε が 1 でないと、あまり通らない組もあるので、スタートだけを比べます
    start = answers.array(reader(0.6, 300, 0.5, 0), (3, 4, 4))[2, 0]
    policy = _values(lambda qs: 0.4 * qs.max(axis=-1) + 0.6 * qs.mean(axis=-1))
    if np.abs(start - policy[2, 0]).max() < 0.06:
        return None
    if np.abs(start - random[2, 0]).max() < 0.3:
        return "ε によらず、四つの行動の平均を使っています。確率 1 - ε で、貪欲な行動を選ぶことも数えてください。"
    if np.abs(start.max() - best[2, 0].max()) < 0.05:
        return "ε が 1 でないときに、次の状態の最大だけを使っています。"
    return "ε = 1 では合っていますが、ε = 0.6 のときの値が違います。貪欲な行動の確率は、いくつでしょうか。"


def _values(state_value, sweeps: int = 100) -> np.ndarray:
    """行動価値から状態価値を求める関数 state_value についての、価値反復の結果 (3, 4, 4)。"""
    env, Q = GridWorld(), np.zeros((3, 4, 4))
    for _ in range(sweeps):
        V = state_value(Q)
        for state in env.states():
            if state not in (env.wall_state, env.goal_state):
                for action in env.actions():
                    after = env.next_state(state, action)
                    reward = env.reward(state, action, after)
                    Q[state][action] = reward + GAMMA * V[after]
    return Q


def _random_values() -> np.ndarray:
    """ランダムな方策の行動価値 (3, 4, 4)。Q = r + γ P Q を、連立方程式として解きます。"""
    env = GridWorld()
    r, P = np.zeros(48), np.zeros((48, 48))
    for state in env.states():
        if state not in (env.wall_state, env.goal_state):
            for action in env.actions():
                row = np.ravel_multi_index((*state, action), (3, 4, 4))
                after = env.next_state(state, action)
                r[row] = env.reward(state, action, after)
                first = np.ravel_multi_index((*after, 0), (3, 4, 4))
                P[row, first : first + 4] = 1 / 4
    return np.linalg.solve(np.eye(48) - GAMMA * P, r).reshape(3, 4, 4)


EXERCISES = {"2.1": news, "2.2": shortcut, "2.3": triad, "2.4": expected_sarsa}
