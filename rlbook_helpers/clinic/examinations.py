"""バグ診療所の検査。どれも、読者のプログラムを 1 秒足らずで調べ、見つけたことを一文で伝えます。

検査は、エージェントの get_action、greedy_action、update と、gamma、epsilon、qnet を使います。
replay_buffer や qnet_target のないエージェントには、それを調べる検査をしません。

出典: 小さな環境は Jones (2021) と Osband ほか (2020)。少ない遷移を覚えこませることと、基準の方策を
先に測ることは Karpathy (2019)。
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np

from rlbook_helpers.clinic import probes
from rlbook_helpers.dezero_compat import no_grad
from rlbook_helpers.training import (
    Agent,
    Episode,
    Policy,
    TrainingRecord,
    evaluate,
    train,
    train_episode,
)


class ExaminedAgent(Agent, Protocol):
    """検査がエージェントに求めるもの。"""

    gamma: float
    epsilon: float
    qnet: Any

    def greedy_action(self, state: np.ndarray) -> int:
        """状態での、価値が最も大きい行動。"""


@dataclass(frozen=True, repr=False)
class Program:
    """学習のプログラムの全体。診療所 (第 7 章) で調べる相手です。

    属性:
        make_agent: seed を渡すと、新しいエージェントを作る関数かクラス。
        train_episode: 一つのエピソードを、学習しながら進める関数。
        sync_interval: ターゲットネットワークを同期する間隔 (エピソード)。None なら同期しません。
        policy: エージェントから、評価する方策を取り出す関数。
    """

    make_agent: Callable[..., Any]  # ExaminedAgent
    train_episode: Callable[..., Episode] = train_episode
    sync_interval: int | None = 20
    policy: Callable[[Any], Policy] = lambda agent: agent.greedy_action

    def train(self, env: gym.Env, agent: Agent, **options) -> TrainingRecord:
        """このプログラムのループと同期の間隔で、エージェントを学習させます。options は train と同じです。"""
        options = {"sync_interval": self.sync_interval, **options}
        return train(env, agent, play=self.train_episode, **options)


class Finding(NamedTuple):
    """検査の結果。passed は、異常がなければ True、調べる相手がなければ None。"""

    passed: bool | None
    sentence: str


NOT_APPLICABLE = Finding(None, "このエージェントには、調べる相手がありません。")


def values(
    agent: ExaminedAgent, state: np.ndarray, network: str = "qnet"
) -> np.ndarray:
    """状態 (4,) での行動価値 (A,)。network は、qnet か qnet_target です。"""
    if hasattr(agent, "scaled"):  # 入力の大きさをそろえるエージェント
        state = agent.scaled(state)
    with no_grad():
        return getattr(agent, network)(state[np.newaxis]).data[0]


# 小さな環境


def learned(env: probes.Probe, program: Program, seed: int) -> ExaminedAgent:
    """小さな環境で、無作為に行動しながら 150 ステップ学習したエージェント。"""
    agent = program.make_agent(seed=seed)
    agent.epsilon = 1.0  # どの行動も、同じくらい試します
    program.train(env, agent, episodes=150 // env.length, seed=seed)
    return agent


def _probe(env_class: type[probes.Probe]) -> Callable:
    def examination(program: Program, seed: int = 0) -> Finding:
        agent = learned(env_class(), program, seed)
        error = max(
            abs(float(values(agent, state)[action]) - value)
            for state, action, value in env_class().answers(agent.gamma)
        )
        text = f"正しい価値との差は {error:.2f} です (0.5 より小さいはずです)。"
        return Finding(error < 0.5, text)

    examination.__doc__ = f"小さな環境 {env_class.__name__}: {env_class.question}。"
    return examination


def probe_truncated(program: Program, seed: int = 0) -> Finding:
    """小さな環境 Truncated: 打ち切りの先の価値を数えるか。"""
    agent = learned(probes.Truncated(), program, seed)
    value = float(values(agent, probes.observe(0.5, 0.5)).max())
    text = f"価値は {value:.2f} です。打ち切りの先を数えれば、1.5 を超えます。"
    return Finding(value > 1.5, text)


def ceiling(program: Program, seed: int = 0) -> Finding:
    """小さな環境 Truncated で、価値が、同期の回数で決まる天井を超えないかを見ます。"""
    agent = program.make_agent(seed=seed)
    if not hasattr(agent, "qnet_target"):
        return NOT_APPLICABLE
    targets = set()

    def look() -> None:
        targets.add(b"".join(p.data.tobytes() for p in agent.qnet_target.params()))

    class Seen(probes.Truncated):
        def reward(self, action):
            look()
            return super().reward(action)

    program.train(Seen(), agent, episodes=150, seed=seed)
    look()
    if program.sync_interval:
        synced = len(range(0, 150, program.sync_interval))
    else:
        synced = len(targets) - 1  # エージェントが自分で同期した回数
    value = float(values(agent, probes.observe(0.5, 0.5)).max())
    top = (1 - agent.gamma ** (synced + 1)) / (1 - agent.gamma)
    text = f"価値は {value:.1f}、{synced} 回の同期での天井は {top:.1f} です。"
    return Finding(value < 1.2 * top, text)


# 学習の計算


def first_batch(
    agent: ExaminedAgent, seed: int, ends: bool | None = None
) -> list[tuple]:
    """でたらめな遷移を、学習が始まる一つ手前まで渡します。まだ渡していない最後の一つも返します。

    ends が None なら、終端の遷移と、そうでない遷移が半々です。
    """
    rng = np.random.default_rng(seed)
    buffer = getattr(agent, "replay_buffer", None)
    batch = []
    for k in range(buffer.batch_size if buffer is not None else 1):
        state, next_state = rng.uniform(-1, 1, (2, 4)).astype(np.float32)
        done = bool(k % 2) if ends is None else ends
        reward = float(rng.choice([-1, 1]))
        batch.append((state, int(rng.integers(2)), reward, next_state, done))
    for transition in batch[:-1]:
        agent.update(*transition)
    return batch


def td_target(agent: ExaminedAgent, transition: tuple) -> float:
    """一つの遷移の TD ターゲットを、式のとおりに求めます。"""
    _, _, reward, next_state, done = transition
    network = "qnet_target" if hasattr(agent, "qnet_target") else "qnet"
    next_value = values(agent, next_state, network).max()
    return reward if done else reward + agent.gamma * float(next_value)


def hand_loss(agent: ExaminedAgent, batch: list[tuple], targets: list[float]) -> float:
    """ミニバッチの平均二乗誤差を、遷移を一つずつたどって求めます。"""
    pairs = zip(batch, targets)
    return float(np.mean([(values(agent, t[0])[t[1]] - y) ** 2 for t, y in pairs]))


def td_targets(program: Program, seed: int = 0) -> Finding:
    """最初の損失を、TD ターゲットから手で計算した損失と比べます。"""
    agent = program.make_agent(seed=seed)
    if hasattr(agent, "qnet_target"):  # 二つを見分けられるように、ずらします
        agent.qnet_target.l3.b.data -= 1
    batch = first_batch(agent, seed)
    expected = hand_loss(agent, batch, [td_target(agent, t) for t in batch])
    loss = agent.update(*batch[-1])
    passed = bool(np.isclose(loss, expected, rtol=0.01))
    return Finding(passed, f"損失は {loss:.3f}、手で計算すると {expected:.3f} です。")


def gradient(program: Program, seed: int = 0) -> Finding:
    """最後の層のバイアスの勾配を、有限差分と比べます。TD ターゲットは動かしません。"""
    agent = program.make_agent(seed=seed)
    batch = first_batch(agent, seed)
    targets = [td_target(agent, t) for t in batch]
    bias = getattr(agent.qnet, "l3", agent.qnet.l2).b  # 最後の層
    numerical, h = np.zeros(2), 0.01
    for k in range(2):
        for sign in (1, -1):
            bias.data[k] += sign * h
            numerical[k] += sign * hand_loss(agent, batch, targets) / (2 * h)
            bias.data[k] -= sign * h
    agent.update(*batch[-1])
    gap = float(np.abs(bias.grad.data - numerical).max())
    passed = gap < 0.01 * np.abs(numerical).max()
    return Finding(
        bool(passed), f"勾配と有限差分との差は {gap:.4f} です (ほぼ 0 のはずです)。"
    )


def first_step(program: Program, seed: int = 0) -> Finding:
    """最初の更新で、同じミニバッチの損失が減るかを見ます。"""
    agent = program.make_agent(seed=seed)
    batch = first_batch(agent, seed, ends=True)  # 終端なので、TD ターゲットは報酬です
    rewards = [t[2] for t in batch]
    before = hand_loss(agent, batch, rewards)
    agent.update(*batch[-1])
    after = hand_loss(agent, batch, rewards)
    text = f"更新の前の損失は {before:.2f}、後は {after:.2f} です (減るはずです)。"
    return Finding(after < before, text)


def overfit(program: Program, seed: int = 0) -> Finding:
    """八つの遷移だけを 160 回学習させて、覚えこめるかを見ます。"""
    agent = program.make_agent(seed=seed)
    rng = np.random.default_rng(seed)
    batch = []
    for k in range(8):
        state = rng.uniform(-1, 1, 4).astype(np.float32)
        batch.append((state, k % 2, (-1.0) ** (k // 2), state, True))
    for step in range(160):
        agent.update(*batch[step % 8])
    loss = hand_loss(agent, batch, [t[2] for t in batch])
    return Finding(
        loss < 0.5, f"損失は {loss:.2f} です (1 ほどから始めて、0.5 を切るはずです)。"
    )


def synchronization(program: Program, seed: int = 0) -> Finding:
    """ターゲットネットワークが、同期まで止まっていて、同期で追いつくかを見ます。"""
    agent = program.make_agent(seed=seed)
    if not hasattr(agent, "qnet_target"):
        return NOT_APPLICABLE

    def weight():
        return float(agent.qnet_target.l3.b.data[0])

    start = weight()
    program.train(probes.Constant(), agent, episodes=70, seed=seed)
    synced = weight()
    agent.update(probes.observe(0.5), 0, 1.0, probes.observe(0.5), True)
    after = weight()
    text = f"重みの一つは {start:.4f}、70 回の更新で {synced:.4f}、もう一回で {after:.4f} です。"
    return Finding(start != synced == after, text)


# 遷移


class Witness:
    """エージェントに代わって、渡された遷移の写しをとります。"""

    def __init__(self):
        self.transitions = []

    def get_action(self, state):
        """行動 0 と 1 を、かわるがわる選びます。"""
        return len(self.transitions) % 2

    def update(self, state, action, reward, next_state, done):
        """遷移を写します。学習はしません。"""
        self.transitions.append((*state, action, reward, *next_state, done))

    def sync_qnet(self):
        """何もしません。"""


def _foreign(seen: list[tuple], true: list[tuple]) -> int:
    """本当に起きた遷移ではないものの数。"""
    happened = {tuple(map(float, row)) for row in true}
    return sum(tuple(map(float, row)) not in happened for row in seen)


def loop(program: Program, seed: int = 0) -> Finding:
    """学習のループが、起きたとおりの遷移を update に渡すかを見ます。"""
    env, witness = probes.Ledger(), Witness()
    program.train(env, witness, episodes=10, seed=seed)
    wrong = _foreign(witness.transitions, env.transitions)
    text = f"{len(witness.transitions)} 個のうち {wrong} 個が、起きたことと違います。"
    return Finding(wrong == 0, text)


def buffer(program: Program, seed: int = 0) -> Finding:
    """リプレイバッファから取り出した遷移が、本当に起きたものかを見ます。"""
    env, agent = probes.Ledger(), program.make_agent(seed=seed)
    if not hasattr(agent, "replay_buffer"):
        return NOT_APPLICABLE
    program.train(env, agent, episodes=10, seed=seed)
    rows = []
    for _ in range(20):
        rows += [
            (*s, a, r, *n, d) for s, a, r, n, d in zip(*agent.replay_buffer.get_batch())
        ]
    wrong = _foreign(rows, env.transitions)
    return Finding(
        wrong == 0, f"{len(rows)} 個のうち {wrong} 個が、起きたことと違います。"
    )


# 行動と評価


def actions(program: Program, seed: int = 0) -> Finding:
    """ε-greedy の、貪欲でない行動の割合を数えます。"""
    agent = program.make_agent(seed=seed)
    state = probes.observe(0.5)
    greedy = agent.greedy_action(state)
    rate = np.mean([agent.get_action(state) != greedy for _ in range(1_000)])
    expected = agent.epsilon / 2
    passed = abs(rate - expected) < 0.08
    text = f"貪欲でない行動の割合は {rate:.2f}、ε からは {expected:.2f} のはずです。"
    return Finding(bool(passed), text)


def evaluation(program: Program, seed: int = 0) -> Finding:
    """ε を 0.5 にしても、評価の方策が、いつも貪欲な行動を選ぶかを見ます。"""
    agent = program.make_agent(seed=seed)
    agent.epsilon = 0.5
    policy, state = program.policy(agent), probes.observe(0.5)
    wrong = sum(policy(state) != agent.greedy_action(state) for _ in range(50))
    return Finding(wrong == 0, f"50 回のうち {wrong} 回、貪欲でない行動を選びました。")


def baselines(program: Program, seed: int = 0) -> Finding:
    """小さな環境 Both で、評価の方策を、ランダムな方策と、いつも左の方策と比べます。"""
    env = probes.Both()
    agent = learned(env, program, seed)
    rng = np.random.default_rng([seed, 1])
    policies = {
        "学習した方策": program.policy(agent),
        "ランダム": lambda state: int(rng.integers(2)),
        "いつも左": lambda state: 0,
    }
    means = {
        name: evaluate(env, policy, episodes=50, seed=seed).mean()
        for name, policy in policies.items()
    }
    ours, *others = means.values()
    text = "、".join(f"{name} {mean:.2f}" for name, mean in means.items())
    return Finding(bool(ours > max(others) + 0.3), f"報酬の合計の平均は、{text} です。")


EXAMINATIONS = {
    "probe_constant": _probe(probes.Constant),
    "probe_observed": _probe(probes.Observed),
    "probe_delayed": _probe(probes.Delayed),
    "probe_acted": _probe(probes.Acted),
    "probe_both": _probe(probes.Both),
    "probe_truncated": probe_truncated,
    "ceiling": ceiling,
    "td_targets": td_targets,
    "gradient": gradient,
    "first_step": first_step,
    "overfit": overfit,
    "synchronization": synchronization,
    "loop": loop,
    "buffer": buffer,
    "actions": actions,
    "evaluation": evaluation,
    "baselines": baselines,
}

# 図や文に使う、検査の呼び名
TITLES = {
    "probe_constant": "報酬が一定の環境",
    "probe_observed": "状態で決まる環境",
    "probe_delayed": "一歩遅れる環境",
    "probe_acted": "行動で決まる環境",
    "probe_both": "状態と行動で決まる環境",
    "probe_truncated": "打ち切られる環境",
    "ceiling": "価値の天井",
    "td_targets": "TD ターゲットの手計算",
    "gradient": "勾配の有限差分",
    "first_step": "最初の一歩",
    "overfit": "少ない遷移を覚えこむ",
    "synchronization": "同期",
    "loop": "ループが渡す遷移",
    "buffer": "バッファから出る遷移",
    "actions": "行動の割合",
    "evaluation": "評価の方策",
    "baselines": "基準の方策",
}
