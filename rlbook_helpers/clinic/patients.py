"""バグ診療所の患者。第 4 章の正しいプログラムの、一行だけを変えたものです。

変えた行は、正しいコードから取り出して置きかえます。だから、患者は、その一行のほかは正しいコードと
いつも同じです。
"""

import dataclasses
import inspect
import textwrap
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rlbook_helpers.agents import DQNAgent
from rlbook_helpers.clinic.program import Program
from rlbook_helpers.dezero_compat import F, Variable
from rlbook_helpers.replay_buffer import Batch
from rlbook_helpers.training import Policy, train_episode


@dataclass(frozen=True)
class Patient:
    """一人の患者。

    属性:
        title: 病名。
        why: その行が、なぜ悪いか。
        line: 正しい行。
        broken: その代わりに、患者にある行。
        program: 患者のプログラム。
        place: まちがいのある場所 (PLACES の名前)。表にない患者だけが持ちます。
    """

    title: str
    why: str
    line: str
    broken: str
    program: Program
    place: str = ""


# まちがいのある場所。四回戦は、病名ではなく、これを答えます
PLACES = {
    "loop": "学習のループ",
    "buffer": "リプレイバッファ",
    "target": "TD ターゲット",
    "loss": "損失と重みの更新",
    "target_network": "ターゲットネットワークの同期",
    "exploration": "探索",
    "evaluation": "評価",
}


class PlainLossAgent(DQNAgent):
    """損失を、第 4 章の learn のように DeZero の関数で求める DQNAgent。値は同じです。"""

    def get_loss(
        self, state: np.ndarray, action: np.ndarray, target: np.ndarray
    ) -> Variable:
        """平均二乗誤差を、引き算、二乗、和、割り算の順に求めます。"""
        qs = self.qnet(state)  # (B, A)
        q = qs[np.arange(len(action)), action]  # (B,)
        return F.sum((q - target) ** 2) / len(action)


class PlainBuffer:
    """第 3 章で自分で書いたリプレイバッファ。値を調べません。"""

    def __init__(self, buffer_size, batch_size, seed=None):
        self.buffer_size = buffer_size
        self.batch_size = batch_size
        self.rng = np.random.default_rng(seed)
        self.num_added = 0
        self.state = np.zeros((buffer_size, 4), dtype=np.float32)  # (N, D)
        self.action = np.zeros(buffer_size, dtype=np.int64)  # (N,)
        self.reward = np.zeros(buffer_size, dtype=np.float32)  # (N,)
        self.next_state = np.zeros((buffer_size, 4), dtype=np.float32)  # (N, D)
        self.done = np.zeros(buffer_size, dtype=np.float32)  # (N,)

    def __len__(self):
        return min(self.num_added, self.buffer_size)

    def add(self, state, action, reward, next_state, done):
        """遷移を一つ覚えます。"""
        i = self.num_added % self.buffer_size
        self.state[i] = state
        self.action[i] = action
        self.reward[i] = reward
        self.next_state[i] = next_state
        self.done[i] = done
        self.num_added += 1

    def get_batch(self):
        """ミニバッチを取り出します。"""
        i = self.rng.choice(len(self), size=self.batch_size, replace=False)  # (B,)
        return Batch(
            self.state[i],
            self.action[i],
            self.reward[i],
            self.next_state[i],
            self.done[i],
        )


class DequeBuffer(PlainBuffer):
    """遷移を deque に入れるリプレイバッファ。写しを作らず、渡された配列そのものを覚えます。"""

    def __init__(self, buffer_size, batch_size, seed=None):
        super().__init__(buffer_size, batch_size, seed)
        self.transitions = deque(maxlen=buffer_size)

    def add(self, state, action, reward, next_state, done):
        """遷移を一つ覚えます。"""
        self.transitions.append((state, action, reward, next_state, done))
        self.num_added += 1

    def get_batch(self):
        """ミニバッチを取り出します。"""
        i = self.rng.choice(len(self), size=self.batch_size, replace=False)  # (B,)
        columns = map(np.array, zip(*(self.transitions[k] for k in i)))
        state, action, reward, next_state, done = columns
        floats = reward.astype(np.float32), done.astype(np.float32)
        return Batch(state, action, floats[0], next_state, floats[1])


def agent_with(buffer_class: type) -> type:
    """リプレイバッファを buffer_class に替えたエージェントのクラスを作ります。"""

    class Patient(PlainLossAgent):
        def __init__(self, **options):
            super().__init__(**options)
            self.replay_buffer = buffer_class(
                self.buffer_size, self.batch_size, seed=self.rng
            )

    return Patient


def with_line(function: Callable, line: str, broken: str) -> Callable:
    """関数の、line という一行 (ひとつづきの行) だけを broken に替えた関数を作ります。

    例外:
        ValueError: line が、function のコードにちょうど一度だけ現れるのではない。
    """
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(line) != 1:
        raise ValueError(
            f"line は {function.__name__} に一度だけある行にしてください: {line!r}"
        )
    namespace: dict[str, Callable] = {}
    exec(source.replace(line, broken), function.__globals__, namespace)  # noqa: S102  自分のコードだけです
    return namespace[function.__name__]


def _sick(base: type, function: Callable, line: str, broken: str) -> type:
    """base の一つのメソッドの、一行だけを替えたクラス。"""
    changed = with_line(function, line, broken)
    return type("Patient", (base,), {function.__name__: changed})


def _agent(title, why, function, line, broken, base=DQNAgent) -> Patient:
    return Patient(
        title, why, line, broken, Program(_sick(base, function, line, broken))
    )


def _buffer(title, why, function, line, broken) -> Patient:
    buffer_class = _sick(PlainBuffer, function, line, broken)
    return Patient(title, why, line, broken, Program(agent_with(buffer_class)))


def _loop(title, why, line, broken, make_agent=DQNAgent) -> Patient:
    loop = with_line(train_episode, line, broken)
    line, broken = (
        "\n".join(map(str.strip, text.split("\n"))) for text in (line, broken)
    )
    return Patient(title, why, line, broken, Program(make_agent, train_episode=loop))


def acting_and_learning(agent) -> Policy:
    """貪欲に行動しながら、いつも報酬 1 をもらったものとして学ぶ方策。"""
    last: list = []

    def policy(state):
        if last:
            agent.update(*last, 1.0, state, False)
        action = agent.greedy_action(state)
        last[:] = state, action
        return action

    return policy


_UPDATE = "loss = agent.update(state, action, reward, next_state, terminated)"
_MAXIMUM = "return next_qs.max(axis=1)"

PATIENTS = {
    "no_mask": _agent(
        "終端のマスクを落とした",
        "終わったあとの状態にも価値があることになり、学習するほど、ない価値が積みあがります。",
        DQNAgent.update,
        "target = batch.reward + (1 - batch.done) * self.discount * next_value",
        "target = batch.reward + self.discount * next_value",
    ),
    "truncation_terminal": _loop(
        "打ち切りを終端として覚えた",
        "時間切れの先にも価値はあるのに、そこで 0 になると教えています。時間切れまで届かないうちは、どこにも現れません。",
        _UPDATE,
        "loss = agent.update(state, action, reward, next_state, terminated or truncated)",
    ),
    "swapped_ends": _loop(
        "終端と打ち切りを取りちがえた",
        "五つの戻り値の順がずれただけで、終端の先の価値を数え、打ち切りの先の価値を捨てます。",
        "next_state, reward, terminated, truncated, _ = env.step(action)",
        "next_state, reward, truncated, terminated, _ = env.step(action)",
    ),
    "max_over_all": _agent(
        "最大をとる軸をまちがえた",
        "ミニバッチのすべての状態で、いちばん大きな価値を使いまわしています。形は合うので、例外は出ません。",
        DQNAgent.next_value,
        _MAXIMUM,
        "return next_qs.max()",
    ),
    "online_target": _agent(
        "ターゲットをオンラインネットワークで求めた",
        "ターゲットネットワークが、どこにも使われていません。更新のたびに目標が動き、同期の天井も効きません。",
        DQNAgent.next_value,
        "next_qs = self.action_values(next_state, self.qnet_target)",
        "next_qs = self.action_values(next_state, self.qnet)",
    ),
    "never_synced": Patient(
        "一度も同期しない",
        "ターゲットネットワークは、いつまでも学習の前の重みのままです。一歩先の価値しか学べません。",
        "train(env, agent, episodes=300, sync_interval=20)",
        "train(env, agent, episodes=300)",
        Program(DQNAgent, sync_interval=None),
    ),
    "broadcast_loss": _agent(
        "形 (B,) から形 (B, 1) を引いた",
        "差の形は (B, B) になり、どの価値も、ミニバッチのすべての TD ターゲットに近づきます。つまり、平均しか学べません。",
        PlainLossAgent.get_loss,
        "q = qs[np.arange(len(action)), action]  # (B,)",
        "q = qs[np.arange(len(action)), action].reshape(-1, 1)  # (B, 1)",
        base=PlainLossAgent,
    ),
    "gradient_into_target": _agent(
        "ターゲットに勾配を流した",
        "いまの価値を目標に近づけるだけでなく、目標のほうも、いまの価値に近づけてしまいます。",
        DQNAgent.next_value,
        _MAXIMUM,
        "return F.max(self.qnet(next_state), axis=1)",
        base=PlainLossAgent,
    ),
    "state_out_of_step": _loop(
        "行動と状態が一歩ずれた",
        "行動の前の状態の代わりに、行動の後の状態を覚えています。行動と結果が、つながりません。",
        f"{_UPDATE}\n        state = next_state",
        f"state = next_state\n        {_UPDATE}",
    ),
    "reused_array": _loop(
        "状態の配列を、写さずに使いまわした",
        "バッファの中の一つのエピソードの状態が、どれも同じ配列を指しているので、新しい状態を書くと、前の遷移の状態まで変わります。",
        "state = next_state",
        "state[:] = next_state",
        agent_with(DequeBuffer),
    ),
    "ring_off_by_one": _buffer(
        "リングバッファの場所が一つずれた",
        "0 番の場所が、一周するまで空のままです。取り出すときには、起きていない遷移が混ざります。",
        PlainBuffer.add,
        "i = self.num_added % self.buffer_size",
        "i = (self.num_added + 1) % self.buffer_size",
    ),
    "inverted_epsilon": _agent(
        "ε の不等号が逆",
        "確率 ε で貪欲に、残りは一様に行動しています。学習は進んでも、集まるのは無作為な経験です。",
        DQNAgent.get_action,
        "if self.rng.random() < self.epsilon:",
        "if self.rng.random() > self.epsilon:",
    ),
    "exploring_evaluation": Patient(
        "ε を残したまま評価した",
        "学習した方策ではなく、ときどき無作為に動く方策を測っています。",
        "evaluate(env, agent.greedy_action, episodes=20)",
        "evaluate(env, agent.get_action, episodes=20)",
        Program(DQNAgent, policy=lambda agent: agent.get_action),
    ),
    "clipped_reward": _loop(
        "報酬を切りつめた",
        "-1 から 1 に収まる報酬には害がなく、もっと大きな報酬の違いは消えてしまいます。",
        _UPDATE,
        _UPDATE.replace("reward", "np.clip(reward, -1, 1)"),
    ),
    "hundredfold_lr": _agent(
        "学習率が百倍",
        "一歩が大きすぎて、合わせようとした値を通りこします。それでも価値は、どこかで落ちつくことがあります。",
        DQNAgent.__init__,
        "lr: float = 0.0005,",
        "lr: float = 0.05,",
    ),
    "integer_states": _buffer(
        "状態を整数の配列に覚えた",
        "小数点の下が消えるので、-1 より大きく 1 より小さい状態は、どれも 0 になります。行動を選ぶときの状態とも合いません。",
        PlainBuffer.__init__,
        "self.state = np.zeros((buffer_size, 4), dtype=np.float32)  # (N, D)",
        "self.state = np.zeros((buffer_size, 4), dtype=np.int64)  # (N, D)",
    ),
}


def _unlisted(patient: Patient, place: str) -> Patient:
    return dataclasses.replace(patient, place=place)


# 病名の表にない患者。四回戦に出ます
UNLISTED = {
    "reseeded": _unlisted(
        _loop(
            "エピソードのたびに、同じシードで始めた",
            "どのエピソードも同じ始まりになり、ほかの始まりを経験しません。",
            "state, _ = env.reset(seed=checks.env_seed(seed))",
            "state, _ = env.reset(seed=0)",
        ),
        "loop",
    ),
    "endless": _unlisted(
        _loop(
            "打ち切りでループを止めない",
            "打ち切られたあとも step を呼びつづけます。",
            "ended = terminated or truncated",
            "ended = terminated",
        ),
        "loop",
    ),
    "oldest_only": _unlisted(
        _buffer(
            "はじめの遷移だけを取り出す",
            "新しい遷移を、いつまでも学びません。",
            PlainBuffer.get_batch,
            "i = self.rng.choice(len(self), size=self.batch_size, replace=False)  # (B,)",
            "i = self.rng.choice(self.batch_size, size=self.batch_size, replace=False)  # (B,)",
        ),
        "buffer",
    ),
    "next_is_state": _unlisted(
        _buffer(
            "次の状態の代わりに、状態を取り出す",
            "どの行動をとっても、同じ所にとどまることになります。",
            PlainBuffer.add,
            "self.next_state[i] = next_state",
            "self.next_state[i] = state",
        ),
        "buffer",
    ),
    "mean_value": _unlisted(
        _agent(
            "最大ではなく平均をとった",
            "次の状態で、無作為に行動するときの価値を学びます。",
            DQNAgent.next_value,
            _MAXIMUM,
            "return next_qs.mean(axis=1)",
        ),
        "target",
    ),
    "gradients_kept": _unlisted(
        _agent(
            "勾配を消さない",
            "これまでのすべての勾配が積みあがり、目標を通りこして揺れます。",
            DQNAgent.update,
            "self.qnet.cleargrads()",
            "None",
            base=PlainLossAgent,
        ),
        "loss",
    ),
    "same_network": _unlisted(
        _agent(
            "写しを作らずに同期した",
            "二つの名前が、同じネットワークを指します。",
            DQNAgent.sync_qnet,
            "self.qnet_target = copy.deepcopy(self.qnet)",
            "self.qnet_target = self.qnet",
        ),
        "target_network",
    ),
    "one_random_action": _unlisted(
        _agent(
            "無作為な行動が、いつも同じ",
            "もう一つの行動を、探索では試しません。",
            DQNAgent.get_action,
            "return int(self.rng.integers(self.action_size))",
            "return 0",
        ),
        "exploration",
    ),
    "learning_evaluation": _unlisted(
        Patient(
            "評価のあいだにも学ぶ",
            "評価するたびに、方策が変わります。",
            "evaluate(env, agent.greedy_action, episodes=20)",
            "evaluate(env, acting_and_learning, episodes=20)",
            Program(DQNAgent, policy=acting_and_learning),
        ),
        "evaluation",
    ),
}
