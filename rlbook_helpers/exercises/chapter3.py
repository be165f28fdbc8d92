"""第 3 章の演習。"""

import numpy as np

from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import fitting


def ring(answer) -> str | None:
    """3.1: 大きさ 5 のバッファに 8 個の遷移を入れたあとの、配列の中の報酬。"""
    rewards = answers.array(answer, (5,), "配列の中の報酬")
    right = np.zeros(5)
    for reward in range(8):
        right[reward % 5] = reward
    if sorted(rewards) == sorted(right):
        again = "残る報酬は合っていますが、並びが違います。六つ目の遷移は、どの場所に書かれますか。"
        return fitting(rewards, right, [], again)
    return fitting(
        rewards,
        right,
        [
            (
                np.arange(5),
                "いっぱいになったあとの遷移も、書かれます。上書きされるのは、どれですか。",
            ),
            ((5, 6, 7, 5, 6), "上書きされるのは、新しい遷移の数だけです。"),
        ],
        "残る報酬が違います。新しい遷移は、いつも最も古い遷移に上書きします。",
    )


def truncation(answer) -> str | None:
    """3.2: 5 ステップで打ち切られたときの二つの印と、二通りの TD ターゲット。"""
    names = "terminated", "truncated", "TD ターゲット", "まちがえたとき"
    terminated, truncated, *targets = answers.items(answer, *names)
    if answers.flag(terminated, names[0]):
        return "棒はまだ立っているので、最後のステップは終端ではありません。"
    if not answers.flag(truncated, names[1]):
        return (
            "最後のステップまで進めていますか。五つ目のステップで、環境が打ち切ります。"
        )
    target, mistaken = map(answers.number, targets, names[2:])
    right = 1 + 0.98 * 20
    if answers.close(mistaken, right) and answers.close(target, 1):
        return "二つの TD ターゲットが逆です。"
    return fitting(
        target,
        right,
        [
            (1, "打ち切りの先にも、価値があります。"),
            (21, "次の状態の価値を、割り引いていません。"),
            (0.98 * 20, "受けとった報酬を、足していません。"),
            (0.98 * 21, "割り引くのは、次の状態の価値だけです。"),
        ],
        "TD ターゲットは、報酬と、割り引いた次の状態の価値との和です。",
    ) or fitting(
        mistaken,
        1,
        [
            (0, "終端でも、最後の報酬は受けとります。"),
            (right, "終端とみなすと、次の状態の価値は消えます。"),
        ],
        "終端とまちがえたときの TD ターゲットが違います。次の状態の価値に、何が掛かりますか。",
    )


def uses(answer) -> str | None:
    """3.3: 一つの遷移が使われる回数の平均と、バッファの大きさによるか。"""
    names = "平均の回数", "バッファの大きさによるか"
    mean, depends = answers.items(answer, *names)
    wrong = fitting(
        answers.number(mean, names[0]),
        32,
        [
            (
                32 / 500,
                "それは、一ステップあたりの回数です。遷移は、何ステップ残りますか。",
            ),
            (500, "それは、遷移が残るステップの数です。"),
            (500 / 32, "割り算が逆です。一ステップに使われる回数から考えてください。"),
            (1, "同じ遷移が、何度も取り出されます。"),
        ],
        "一ステップに使われる回数の平均と、残るステップの数とを掛けてください。",
        rtol=0.05,  # 数えた平均でも、よいことにします
    )
    if wrong:
        return wrong
    if answers.flag(depends, names[1]):
        return "回数は合っています。バッファを大きくすると、一ステップに使われる回数と、残るステップの数は、それぞれどうなりますか。"
    return None


def n_step(answer) -> str | None:
    """3.4: 一つのエピソードから、n ステップの遷移を作る関数。"""
    reader = answers.function(answer, "n_step(episode, n, gamma)")
    # 状態は数で代用します。はじめの例は、終端で終わるエピソードです
    for length, n, gamma, ends in [
        (4, 1, 0.9, True),
        (4, 2, 0.5, True),
        (7, 3, 0.9, False),
        (2, 5, 0.9, True),
        (3, 5, 0.9, False),
    ]:
        episode = [
            (10.0 + k, k % 2, 1.0 + k * k, 11.0 + k, ends and k == length - 1)
            for k in range(length)
        ]
        found = answers.call(reader, episode, n, gamma)
        wrong = _n_step_wrong(found, episode, n, gamma)
        if wrong:
            kind = "終端" if ends else "打ち切り"
            where = f"{kind}で終わる長さ {length} のエピソード、n = {n} "
            return f"{where}で調べると、{wrong}"
    return None


def _n_step_wrong(found, episode, n, gamma) -> str | None:
    """n ステップの遷移のリストの、どこが違うか。"""
    if not isinstance(found, (list, tuple)):
        return "戻り値がリストではありません。"
    if len(found) == len(episode) - n + 1 != len(episode):
        return "終わりに近い遷移が抜けています。n ステップに足りなくても、終わりまでの遷移を作ります。"
    if len(found) != len(episode):
        return "遷移の数が違います。もとの遷移一つから、一つ作ります。"
    names = "状態", "行動", "報酬の和", "次の状態", "終端", "割引"
    for k, transition in enumerate(found):
        parts = episode[k : k + n]
        rewards = [part[2] for part in parts]
        powers = gamma ** np.arange(len(parts))
        state, action, total, next_state, done, discount = answers.items(
            transition, *names
        )
        if not answers.close(answers.number(state, names[0]), episode[k][0]):
            return f"{k} 番の状態が違います。はじめの状態を入れてください。"
        if not answers.close(answers.number(action, names[1]), episode[k][1]):
            return f"{k} 番の行動が違います。はじめの行動を入れてください。"
        if not answers.close(answers.number(next_state, names[3]), parts[-1][3]):
            return f"{k} 番の次の状態が違います。最後に進んだ遷移の、次の状態を入れてください。"
        wrong = fitting(
            answers.number(total, names[2]),
            powers @ rewards,
            [
                (sum(rewards), "割り引かずに足しています。"),
                (gamma * powers @ rewards, "はじめの報酬まで割り引いています。"),
                (rewards[-1], "最後の報酬しか入っていません。"),
                (rewards[0], "はじめの報酬しか入っていません。"),
                (
                    powers[::-1] @ rewards,
                    "割り引く順が逆です。あとの報酬ほど、多く割り引きます。",
                ),
            ],
            "足す報酬の数と、それぞれの割り引き方を見てください。",
        )
        if wrong:
            return f"{k} 番の報酬の和が違います。{wrong}"
        if bool(done) != parts[-1][4]:
            return (
                f"{k} 番の終端の印が違います。最後に進んだ遷移のものを入れてください。"
            )
        wrong = fitting(
            answers.number(discount, names[5]),
            gamma ** len(parts),
            [
                (gamma, "一歩ぶんの割引率です。"),
                (gamma**n, "終わりの近くでは、進んだ歩数が n より少なくなります。"),
                (
                    gamma ** (len(parts) - 1),
                    "次の状態の価値は、最後の報酬より一歩先にあります。",
                ),
            ],
            "次の状態の価値に掛ける数を入れてください。",
        )
        if wrong:
            return f"{k} 番の割引が違います。{wrong}"
    return None


EXERCISES = {"3.1": ring, "3.2": truncation, "3.3": uses, "3.4": n_step}
