"""第 4 章の演習。4.5 (本を閉じて書く) は、長いので from_memory.py にあります。"""

import numpy as np

from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import fitting
from rlbook_helpers.exercises.from_memory import from_memory

GAMMA = 0.98


def flow(answer) -> str | None:
    """4.1: 更新と同期での、重みの変化と差。"""
    names = "qnet の変化", "qnet_target の変化", "同期したあとの差"
    change, target, gap = answers.numbers(answer, *names)
    if change == target == 0:
        return "まだ一度も更新していません。学習が始まるのは、ミニバッチの数だけ遷移がたまってからです。"
    if change == 0 < target:
        return "はじめの二つの値が逆です。"
    if target != 0:
        return "ターゲットネットワークは、同期のときのほかは変わらないはずです。更新の前の重みを、copy() で写しましたか。"
    if gap != 0:
        return "同期したあとの差が残っています。sync_qnet を呼んだあとの、二つのネットワークの重みを比べてください。"
    if change < 0:
        return "変わった大きさなので、絶対値にしてください。"
    if not 0.0003 < change < 0.0007:  # Adam の一回目の歩幅は、ほぼ学習率です
        return "qnet の変化の大きさが違います。更新を一回だけ行い、差の絶対値の最大をとってください。"
    return None


def ceiling(answer) -> str | None:
    """4.2: 収益の上限、天井がその 90 % に届く同期の回数、エピソードの数。"""
    names = "収益の上限", "同期の回数", "エピソードの数"
    upper, syncs, episodes = answers.numbers(answer, *names)
    right = int(np.ceil(np.log(0.1) / np.log(GAMMA)))
    least = "天井がはじめて届くのは、何回目ですか。端数は、切り上げます。"
    return (
        fitting(
            upper,
            1 / (1 - GAMMA),
            [
                (GAMMA / (1 - GAMMA), "一歩目の報酬は、割り引きません。"),
                (1 / GAMMA, "等比数列の和の公式を、もう一度見てください。"),
                (500, "割引率を使ってください。エピソードは終わりません。"),
            ],
            "収益の上限が違います。報酬 1 を割り引いて、限りなく足してください。",
        )
        or fitting(
            syncs,
            right,
            [
                (right - 1, least),
                (np.log(0.1) / np.log(GAMMA), least),
                (right + 1, "一回少なくても届きます。"),
                (
                    np.ceil(np.log(0.9) / np.log(GAMMA)),
                    "上限との比は 1 - γ^k です。γ^k が、いくつ以下になればよいですか。",
                ),
            ],
            "同期の回数が違います。天井と上限との比を、γ と k で書いてください。",
            rtol=1e-9,
        )
        or fitting(episodes, 20 * right, [], "20 エピソードごとに一回です。", rtol=0.02)
    )


def no_mask(answer) -> str | None:
    """4.3: 終端のマスクを外したエージェントのクラス。"""
    agent = answers.class_(answer, "NoMaskAgent")(seed=0)
    reference, masked = DQNAgent(seed=0), DQNAgent(seed=0)
    rng = np.random.default_rng(43)
    for k in range(40):
        state, next_state = rng.standard_normal((2, 4)).astype(np.float32)
        transition = state, k % 2, 1.0 + k % 3, next_state
        done = k % 4 == 0
        losses = [
            agent.update(*transition, done),
            reference.update(*transition, False),
            masked.update(*transition, done),
        ]
        if losses[1] is None:
            if losses[0] is not None:
                return "32 個の遷移がたまる前に、学習しています。"
            continue
        loss = answers.number(losses[0], "update の戻り値")
        if answers.close(loss, losses[2]):
            return "終端の先の価値が、まだ消えています。update に渡った done は、どこまで届いていますか。"
        if not answers.close(loss, losses[1]):
            return "損失が、マスクを外した DQN のものと違います。done のほかは、変えないでください。"
    return None


def latest(answer) -> str | None:
    """4.4: 無作為に選ばず、最も新しい 32 個から学ぶエージェントのクラス。"""
    agent = answers.class_(answer, "LatestAgent")(seed=0)
    if not hasattr(agent, "learn"):
        return "learn がありません。ReplayAgent のサブクラスにして、update だけを書きかえてください。"
    batches: list[tuple] = []

    def learn(*batch):
        batches.append(batch)
        return 0.0

    agent.learn = learn
    rng = np.random.default_rng(45)
    n = 10_000
    states = rng.standard_normal((n + 20, 4)).astype(np.float32)
    for k in range(n + 19):
        batches.clear()
        agent.update(states[k], k % 2, float(k), states[k + 1], k % 7 == 0)
        if not batches:
            if k >= 31:
                return "32 個たまったあとも、learn が呼ばれません。"
            continue
        if k < 31:
            return "32 個たまる前に、learn を呼んでいます。"
        batch = answers.items(batches[0], *"状態 行動 報酬 次の状態 終端".split())
        if k < 40 or k >= n - 2:  # はじめと、いっぱいになる前後だけを調べます
            wrong = _latest_wrong(batch, states, k)
            if wrong:
                full = "バッファがいっぱいになったあとで、" if k >= n else ""
                return full + wrong
    return None


def _latest_wrong(batch, states, k) -> str | None:
    """k 番までの遷移を加えたあとのミニバッチの、どこが違うか。"""
    rewards = answers.array(batch[2], (-1,), "報酬")
    if len(rewards) != 32:
        return "ミニバッチの遷移が、32 個ではありません。"
    numbers = np.sort(rewards).astype(int)  # 報酬が、遷移の番号です
    if not np.array_equal(numbers, np.arange(k - 31, k + 1)):
        if np.array_equal(numbers, np.arange(k - 32, k)):
            return "いま加えた遷移が入っていません。一つずつ、ずれています。"
        if len(set(numbers)) < 32 or numbers[0] < k - 60:
            return "最も新しい 32 個ではない遷移が入っています。配列の場所は、加えた数を大きさで割った余りです。"
        return "最も新しい 32 個になっていません。"
    i = rewards.astype(int)
    same = (
        np.array_equal(batch[0], states[i])
        and np.array_equal(batch[1], i % 2)
        and np.array_equal(batch[3], states[i + 1])
        and np.array_equal(batch[4], i % 7 == 0)
    )
    return None if same else "五つの配列で、遷移の順がそろっていません。"


EXERCISES = {
    "4.1": flow,
    "4.2": ceiling,
    "4.3": no_mask,
    "4.4": latest,
    "4.5": from_memory,
}
