"""演習 4.5: 何も見ずに書いた DQN を、DQNAgent と外側から順に比べ、違う行を名指しします。

はじめの重み、行動、学習の始まり、損失、一回の更新、二回目からの更新、同期、倒立振子の順です。先に違った
所で止まるので、その前までは正しいとわかっています。損失が違えば、よくあるまちがいの一つ一つで損失を計算
しなおし、同じ数になるものを探します。
"""

import gymnasium as gym
import numpy as np

from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.dezero_compat import Model
from rlbook_helpers.exercises import answers
from rlbook_helpers.exercises.answers import Reply, close
from rlbook_helpers.networks import ordered_params

BATCH, GAMMA, LR, EPSILON, SEED = 32, 0.98, 0.0005, 0.1, 46
BROADCAST = (
    "差の形が (B,) になっていません。(B, 1) と (B,) を引くと、(B, B) になります。"
)
FORM = "(__init__(self, seed)、get_action、update、sync_qnet を持つもの)"


def from_memory(answer) -> str | None:
    """4.5: クラスを、パッケージの DQNAgent と比べます。"""
    make = answers.class_(answer, FORM)
    stages = _initial, _forward, _actions, _start, _loss, _step, _repeated, _sync
    for stage in (*stages, _size, _cartpole):
        sentence = stage(make)
        if sentence:
            return sentence
    return None


def _initial(make) -> str | None:
    """シードから作ったばかりの、二つのネットワーク。"""
    agent, again = make(seed=SEED), make(seed=SEED)
    for name in ("get_action", "update", "sync_qnet", "qnet", "qnet_target"):
        if not hasattr(agent, name):
            return f"{name} がありません。"
    if not isinstance(agent.qnet, Model):
        return "qnet を、DeZero の Model にしてください。"
    mine, right = _weights(agent.qnet), _weights(DQNAgent(seed=SEED).qnet)
    if [w.shape for w in mine] != [w.shape for w in right]:
        return "重みの形が違います。層は Linear(4, 128)、Linear(128, 128)、Linear(128, 2) の順に代入します。"
    if any(w.dtype != np.float32 for w in mine):
        return (
            "重みが float32 ではありません。rlbook_helpers の Linear を使ってください。"
        )
    if not all(map(np.array_equal, mine, _weights(again.qnet))):
        return "同じ seed から、違う重みができます。Linear に、seed から作った乱数生成器を渡してください。"
    if not all(map(close, mine, right)):
        return "はじめの重みが違います。np.random.default_rng(seed) を一つ作り、ほかに使う前に、入力に近い層から順に渡してください。"
    target = _weights(agent.qnet_target)
    if any(map(np.shares_memory, mine, target)):
        return "qnet_target が、qnet と同じ重みを指しています。copy.deepcopy で写してください。"
    if not all(map(close, mine, target)):
        return "はじめの qnet_target の重みが、qnet と違います。__init__ で、一度同期してください。"
    return None


def _forward(make) -> str | None:
    """同じ重みでの、いくつかの状態の価値。"""
    states = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    agent, right = make(seed=SEED), DQNAgent(seed=SEED)
    qs = np.asarray(getattr(agent.qnet(states), "data", 0.0))
    if qs.shape == (8, 2) and close(qs, right.qnet.predict(states)):
        return None
    return "重みは合っていますが、qnet の出力が違います。forward の、層の順と、ReLU をはさむ所を見てください。"


def _actions(make) -> str | None:
    """同じ状態での 1,000 回の行動。"""
    agent, right = make(seed=SEED), DQNAgent(seed=SEED)
    states = np.random.default_rng(0).standard_normal((1000, 4)).astype(np.float32)
    mine = []
    for state in states:
        action = agent.get_action(state.copy())
        if np.ndim(action) or action not in (0, 1):
            return "get_action は、0 か 1 の整数を一つ返してください。"
        mine.append(int(action))
    same = np.mean(mine == right.qnet.predict(states).argmax(axis=1))  # 貪欲な割合
    if not all(map(close, _weights(agent.qnet), _weights(right.qnet))):
        return "行動を選ぶだけで、重みが変わっています。"
    if abs(same - (1 - EPSILON / 2)) > 0.03:
        if same > 0.99:
            return "get_action が、いつも貪欲です。確率 ε で、一様に選んでください。"
        if abs(same - (1 + EPSILON) / 2) < 0.03 * 2 and _explores_less(make):
            return "get_action の、ε と比べる不等号が逆です。一様に選ぶのは、乱数が ε より小さいときです。"
        if same < 0.2:
            return "get_action が、価値の小さいほうの行動を選んでいます。argmax を使ってください。"
        return "get_action が貪欲な行動を選ぶ割合が違います。ε は 0.1 で、一様に選ぶときも、貪欲な行動が当たることがあります。"
    if np.sum(np.array(mine) != [right.get_action(state) for state in states]) > 5:
        return "ε-greedy の割合は合っていますが、行動が DQNAgent と違います。重みと同じ乱数生成器から、先に random()、一様に選ぶときだけ integers(2) を引いてください。"
    agent = make(seed=SEED)
    for p in agent.qnet_target.params():  # 二つのネットワークの行動が、違うように
        p.data = -p.data
    if np.mean(mine == np.array([agent.get_action(s.copy()) for s in states])) < 0.9:
        return "get_action が、qnet_target で行動を選んでいます。行動は、学習している qnet で選びます。"
    return None


def _explores_less(make) -> bool:
    """epsilon を大きくしても、貪欲な行動が減らない。つまり、不等号が逆です。"""
    agent, right = make(seed=SEED), DQNAgent(seed=SEED)
    if not hasattr(agent, "epsilon"):
        return True
    agent.epsilon = 0.9
    states = np.random.default_rng(1).standard_normal((300, 4)).astype(np.float32)
    greedy = right.qnet.predict(states).argmax(axis=1)
    return bool(np.mean([agent.get_action(s) for s in states] == greedy) > 0.8)


def _start(make) -> str | None:
    """遷移がいくつたまったら、学習が始まるか。"""
    agent = make(seed=SEED)
    before = _vector(agent.qnet)
    for k, transition in enumerate(_transitions(BATCH + 2), 1):
        try:
            agent.update(*transition)
        except ValueError as error:
            if str(BATCH**2) in str(
                error
            ):  # (B, B) の差は、逆伝播で形が合わなくなります
                return BROADCAST
            raise
        changed = not np.array_equal(before, _vector(agent.qnet))
        if changed and k < BATCH:
            return f"{k} 個目の遷移で、もう学習しています。ミニバッチの数だけたまるまで、待ってください。"
        if changed:
            late = "学習が、一つ遅れて始まります。ミニバッチとちょうど同じ数がたまったら、学習できます。"
            return None if k == BATCH else late
    return "ミニバッチの数だけ遷移がたまっても、qnet の重みが変わりません。backward のあとで optimizer.update() を呼び、setup に qnet を渡しましたか。"


def _loss(make) -> str | None:
    """一回目の損失。32 個から 32 個を選ぶので、選ぶ順にはよりません。"""
    agent, right = make(seed=SEED), DQNAgent(seed=SEED)
    noise = np.random.default_rng(1)
    for p, q in zip(*(ordered_params(x.qnet_target) for x in (agent, right))):
        # 同期を待たずに、二つのネットワークを違うものにしておきます
        q.data = q.data + 0.1 * noise.standard_normal(q.data.shape).astype(np.float32)
        p.data = q.data.copy()
    transitions = _transitions(BATCH)
    wrong = _mistaken_losses(right, transitions)
    losses = [[x.update(*t) for t in transitions][-1] for x in (agent, right)]
    if losses[0] is None:
        return "学習したときの update は、損失を返してください。"
    loss = answers.number(losses[0], "update の戻り値")
    if close(loss, losses[1], rtol=1e-4):
        return None
    moved = _moved(agent, right)
    if moved:
        return moved
    for sentence, error in wrong:
        mean = float(np.mean(error**2))
        # DeZero の平均二乗誤差は、形が (B, B) でも B で割ります
        if any(close(loss, x, 1e-4) for x in (mean, mean * error.size / BATCH)):
            return sentence
    return "一回目の損失が違います。TD ターゲット、選んだ行動の価値、平均二乗誤差の順に、式と見くらべてください。"


def _mistaken_losses(agent: DQNAgent, transitions) -> list[tuple[str, np.ndarray]]:
    """まちがいの一文と、そのまちがいをしたときの TD 誤差。"""
    s, a, r, s2, d = map(np.array, zip(*transitions))
    i = np.arange(BATCH)
    qs, next_qs = agent.qnet.predict(s), agent.qnet_target.predict(s2)
    online, q, v = agent.qnet.predict(s2), qs[i, a], next_qs.max(axis=1)
    y = r + (1 - d) * GAMMA * v
    again = np.random.default_rng(0)
    again.bit_generator.state = agent.rng.bit_generator.state
    k = again.choice(BATCH, size=BATCH)  # 重複を許して選んだ番号
    draw = "ミニバッチに、同じ遷移が何度も入っています。choice に replace=False を渡してください。"
    network = "TD ターゲットを qnet で求めています。qnet_target で求め、勾配を流さないでください。"
    gather = "選んだ行動の価値の取り出し方が違います。qs[np.arange(B), action] です。"
    gamma = "割引率 γ が 0.98 ではありません。"
    done = r + d * GAMMA * v
    return [
        (
            "TD ターゲットの行に、終端のマスク (1 - done) がありません。",
            q - (r + GAMMA * v),
        ),
        ("終端のマスクが逆です。done ではなく 1 - done を掛けます。", q - done),
        (
            "TD ターゲットの最大を、ミニバッチの全体でとっています。max に axis=1 を渡してください。",
            q - (r + (1 - d) * GAMMA * next_qs.max()),
        ),
        (network, q - (r + (1 - d) * GAMMA * online.max(axis=1))),
        (
            "次の行動を qnet で選んでいます。それは Double DQN で、この演習では qnet_target の最大を使います。",
            q - (r + (1 - d) * GAMMA * next_qs[i, online.argmax(axis=1)]),
        ),
        (
            "TD ターゲットに、次の状態の最大ではなく平均を使っています。",
            q - (r + (1 - d) * GAMMA * next_qs.mean(axis=1)),
        ),
        (
            "TD ターゲットを、次の状態ではなく、いまの状態から求めています。",
            q - (r + (1 - d) * GAMMA * agent.qnet_target.predict(s).max(axis=1)),
        ),
        ("TD ターゲットの行に、報酬がありません。", q - (1 - d) * GAMMA * v),
        (
            "TD ターゲットの (1 - done) が、報酬にも掛かっています。",
            q - (1 - d) * (r + GAMMA * v),
        ),
        (
            "TD ターゲットの割引率が、報酬にも掛かっています。",
            q - GAMMA * (r + (1 - d) * v),
        ),
        *((gamma, q - (r + (1 - d) * g * v)) for g in (0.9, 0.95, 0.99, 0.995, 1)),
        (BROADCAST, q[:, None] - y),
        (gather, qs[:, a] - y),
        (gather, qs[:, a] - y[:, None]),
        (gather, qs - y[:, None]),
        (gather, qs.max(axis=1) - y),
        (gather, qs[i, 1 - a] - y),
        (draw, (q - y)[k]),
        ("損失が、平均ではなく和になっています。", (q - y) * np.sqrt(BATCH)),
        ("損失が、平均二乗誤差の半分です。", (q - y) / np.sqrt(2)),
    ]


def _step(make) -> str | None:
    """一回目の更新の向きと歩幅。"""
    agent, right = make(seed=SEED), DQNAgent(seed=SEED)
    before = _vector(right.qnet)
    for transition in _transitions(BATCH):
        agent.update(*transition)
        right.update(*transition)
    gradient = np.concatenate([p.grad.data.ravel() for p in right.qnet.params()])
    mine, adam = (_vector(x.qnet) - before for x in (agent, right))
    if np.abs(mine - adam).mean() < 0.02 * LR:
        return None
    if _cosine(mine, adam) < -0.9:
        return "重みが、損失を増やす向きに動いています。"
    if _cosine(mine, adam) > 0.97:
        return (
            f"更新の向きは合っていますが、歩幅が違います。Adam の学習率は {LR} です。"
        )
    if _cosine(mine, -gradient) > 0.97:
        return "重みが、勾配のままの向きに動いています。オプティマイザは SGD ではなく Adam です。"
    return "一回目の損失は合っているのに、更新が違います。勾配を流す所と、オプティマイザを見てください。"


def _repeated(make) -> str | None:
    """同じ遷移ばかりで更新をくり返します。どれを選んでも同じなので、選び方にはよりません。"""
    agent, right = make(seed=SEED), DQNAgent(seed=SEED)
    transition = _transitions(3)[2]
    gradients = []
    for k in range(BATCH + 10):
        mine, wanted = agent.update(*transition), right.update(*transition)
        if wanted is None:
            continue
        gradients.append(next(right.qnet.params()).grad.data.copy())
        if not close(answers.number(mine, "損失"), wanted, rtol=0.01, atol=1e-6):
            return _moved(agent, right) or _after_first(agent, gradients)
    return None


def _moved(agent, right) -> str | None:
    """同期していないのに、ターゲットネットワークが変わったか。"""
    gap = np.abs(_vector(agent.qnet_target) - _vector(right.qnet_target))
    if gap.mean() < 0.1 * LR:
        return None
    return "sync_qnet を呼んでいないのに、qnet_target が変わります。同期は、学習のループに任せてください。"


def _after_first(agent, gradients) -> str:
    """二回目からの更新だけが違う理由。"""
    grad = next(ordered_params(agent.qnet)).grad
    total = sum(gradients)  # 消し忘れた勾配は、これまでの和になります
    if grad is not None and close(grad.data, total, rtol=0.1, atol=0.1 * total.std()):
        return "二回目の更新から違います。backward の前に、cleargrads で前の勾配を消してください。"
    return "一回目の更新は合っているのに、そのあとが違います。オプティマイザは Adam ですか。毎回、作りなおしていませんか。"


def _sync(make) -> str | None:
    """同期の前と後の、二つのネットワーク。"""
    agent = make(seed=SEED)
    for transition in _transitions(BATCH + 5):
        agent.update(*transition)
    online, target = _vector(agent.qnet), _vector(agent.qnet_target)
    agent.sync_qnet()
    if not np.array_equal(_vector(agent.qnet), online):
        return "sync_qnet の向きが逆です。qnet の重みを、qnet_target に写します。"
    if not np.array_equal(_vector(agent.qnet_target), online):
        same = np.array_equal(_vector(agent.qnet_target), target)
        part = "qnet_target が変わりません" if same else "qnet と同じになりません"
        return f"sync_qnet を呼んでも、{part}。"
    agent.update(*_transitions(1)[0])
    if not np.array_equal(_vector(agent.qnet_target), online):
        return "同期のあと、更新のたびに qnet_target も変わります。sync_qnet で、copy.deepcopy の写しを作ってください。"
    if np.array_equal(_vector(agent.qnet), online):
        return "同期のあと、更新しても qnet が変わりません。オプティマイザが、まだ古い重みを指しています。"
    return None


def _size(make) -> str | None:
    """バッファの大きさ。いっぱいになるまで学習すると長くかかるので、属性を見ます。"""
    buffer = getattr(make(seed=SEED), "replay_buffer", None)
    size = getattr(buffer, "maxlen", getattr(buffer, "buffer_size", 10_000))
    return (
        None
        if size == 10_000
        else "バッファに覚える遷移の数が、10,000 個ではありません。"
    )


def _cartpole(make) -> str | None:
    """倒立振子の 300 ステップ。途中で一度同期し、エピソードは終端か、20 ステップでの打ち切りで終わります。"""
    agent, right = make(seed=SEED), DQNAgent(seed=SEED)
    env = gym.make("CartPole-v1", max_episode_steps=20)
    state, _ = env.reset(seed=SEED)
    ended = ""
    for step in range(1, 301):
        action = right.get_action(state)
        if agent.get_action(state.copy()) != action:
            return _moved(agent, right) or _differs("行動", step, ended)
        next_state, reward, terminated, truncated, _ = env.step(action)
        transition = state, action, reward, next_state, terminated
        mine, wanted = agent.update(*transition), right.update(*transition)
        if wanted is not None and not close(
            answers.number(mine, "損失"), wanted, rtol=0.05, atol=1e-3
        ):
            return _moved(agent, right) or _differs("損失", step, ended)
        ended = "終端" if terminated else "打ち切り" if truncated else ""
        state = env.reset()[0] if ended else next_state
        if step == 200:
            agent.sync_qnet()
            right.sync_qnet()
    return None


def _differs(what: str, step: int, ended: str) -> str:
    after = f"{ended}のあとの、" if ended else ""
    return (
        f"計算はどれも合っていますが、倒立振子の、{after}{step} ステップ目の{what}が違います。"
        "ミニバッチは、重みと行動に使うのと同じ乱数生成器から、"
        "choice(たまった数, size=32, replace=False) で選んでください。"
    )


def _transitions(n: int) -> list[tuple]:
    """でたらめな遷移。報酬は 1 だけではなく、四つに一つは終端です。"""
    rng = np.random.default_rng(SEED)
    return [
        (
            *rng.standard_normal((1, 4)).astype(np.float32),
            int(rng.integers(2)),
            float(rng.integers(1, 4)),
            *rng.standard_normal((1, 4)).astype(np.float32),
            bool(k % 4 == 1),
        )
        for k in range(n)
    ]


def _weights(qnet) -> list[np.ndarray]:
    """重みの写しではなく、そのもの。まだ作られていなければ Reply を出します。"""
    weights = [p.data for p in ordered_params(qnet)]
    if not weights or any(w is None for w in weights):
        raise Reply(
            "qnet の重みがまだありません。rlbook_helpers の Linear を使ってください。"
        )
    return weights


def _vector(qnet) -> np.ndarray:
    """すべての重みを並べたベクトルの写し。"""
    return np.concatenate([w.ravel() for w in _weights(qnet)])


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    """二つのベクトルの向きの近さ。1 なら同じ向きです。"""
    a, b = a.ravel(), b.ravel()
    norm = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norm) if norm > 0 else 0.0
