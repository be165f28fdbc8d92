"""検査を受けるエージェント。価値を読み、小さな環境で自分の速さで学ばせます。

ネットワークの層の名前も、損失の形も、いつ学ぶかも問いません。頼るのは、get_action、update と、評価の方策だけ
です。
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from rlbook_helpers.clinic import probes
from rlbook_helpers.clinic.program import (
    Misused,
    Undecided,
    mismatch,
    new_agent,
    play_episode,
)
from rlbook_helpers.dezero_compat import Model, no_grad
from rlbook_helpers.networks import ordered_params

GAMMA = 0.8  # 検査のときの割引率。0.98 では、掛けたかどうかの違いが小さすぎます
CHECK = 50  # 覚えたかどうかを調べる間隔 (ステップ)
MOST_STEPS = 12_000  # 一つの環境で学ぶステップ数の上限。同期の間隔が長ければ、延びます
TARGET_NAMES = ("target", "frozen", "old")


class Watched:
    """エージェントの代わりにループに渡し、渡された遷移の写しをとります。

    引数:
        agent: 読者のエージェント。行動の選び方のほかは、そのまま任せます。
        choose: 状態から行動を選ぶ関数。None なら、エージェントが選びます。
        after: update のあとに呼ぶ関数。
    """

    def __init__(self, agent, choose: Callable | None = None, after=lambda: None):
        vars(self).update(agent=agent, choose=choose, after=after)
        vars(self).update(seen=[], chosen=[])

    def __getattr__(self, name: str):
        return getattr(vars(self)["agent"], name)

    def __setattr__(self, name: str, value) -> None:
        setattr(self.agent, name, value)

    def get_action(self, state, *args, **options):
        """エージェントか choose が選ぶ行動。"""
        if self.choose is None:
            action = self.agent.get_action(state, *args, **options)
        else:
            action = self.choose(state)
        self.chosen.append(int(action))
        return action

    def update(self, *transition, **options):
        """遷移の写しをとってから、エージェントに渡します。"""
        self.seen.append(row(transition or options.values()))
        loss = self.agent.update(*transition, **options)
        self.after()
        return loss


def row(transition) -> tuple:
    """遷移の写し。(状態 (D,)、行動、報酬、次の状態 (D,)、終端か)。"""
    state, action, reward, next_state, done, *_ = transition
    if next_state is None:  # 終端を、次の状態のないことで表す流儀
        next_state = np.full(np.shape(state), np.nan)
    states = [np.array(x, np.float32).ravel() for x in (state, next_state)]
    numbers = [float(np.ravel(x)[0]) for x in (action, reward, done)]
    return states[0], int(numbers[0]), numbers[1], states[1], bool(numbers[2])


def as_array(values) -> np.ndarray:
    """DeZero の Variable、PyTorch のテンソル、リストを、NumPy の配列にします。"""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(getattr(values, "data", values), float)


def weights(network, fields=None) -> list[np.ndarray]:
    """ネットワークの重みの配列。写しではありません。

    params も parameters もなければ、属性の配列です。fields があれば、その名前のものだけです。
    """
    if isinstance(network, Model):
        return [p.data for p in ordered_params(network)]
    for name in ("params", "parameters"):
        find = getattr(network, name, None)
        if callable(find) and (found := list(find())):
            return [p.data.numpy() if hasattr(p, "detach") else p.data for p in found]
    named = getattr(network, "__dict__", {"": network})
    return [
        x for k, v in named.items() if fields is None or k in fields for x in arrays(v)
    ]


def arrays(value) -> list[np.ndarray]:
    """小数の配列。配列の、リスト、タプル、辞書でもかまいません。"""
    if isinstance(value, np.ndarray):
        return [value] if value.dtype.kind == "f" else []
    parts = value.values() if isinstance(value, dict) else value
    return (
        [x for v in parts for x in arrays(v)]
        if isinstance(value, (dict, list, tuple))
        else []
    )


@contextlib.contextmanager
def overheard(network, hear: Callable) -> Iterator[None]:
    """ネットワークの出力を、そのたびに hear に渡します。終わると、元に戻します。"""
    kept, forward = dict(vars(network)), network.forward

    def spy(*args, **options):
        output = forward(*args, **options)
        hear(output)
        return output

    network.forward = spy
    try:
        yield
    finally:
        vars(network).clear()
        vars(network).update(kept)


def _alike(ours, theirs) -> bool:
    return [x.shape for x in arrays(ours)] == [x.shape for x in arrays(theirs)]


def _equal(ours, theirs) -> bool:
    return all(map(np.array_equal, arrays(ours), arrays(theirs)))


class Heard(NamedTuple):
    """オンラインネットワークの計算。"""

    known: bool  # 聞きとれたか
    steps: int  # いくつの違う重みで計算したか
    same: bool  # どの計算でも、すべての行が同じだったか
    rows: int  # 一つの計算の行数のうち、いちばん大きいもの


class Subject:
    """一人の検査を受けるエージェント。

    引数:
        case: 検査の相手のプログラムと、その下調べ (case.Case)。
        gamma: 検査のあいだの割引率。None なら、エージェントのものです。
    属性:
        agent: 読者のエージェント。
    """

    def __init__(self, case, gamma: float | None = None):
        self.case, self.agent = case, new_agent(case.program, case.seed)
        if gamma is not None and hasattr(self.agent, "gamma"):
            # n 歩の収益を数えるものなどが、割引率の写しを持っていることがあります
            parts = [*getattr(self.agent, "__dict__", {}).values(), self.agent]
            for part in parts:
                if getattr(part, "gamma", None) == self.agent.gamma:
                    with contextlib.suppress(AttributeError):  # 書きかえられない gamma
                        part.gamma = gamma
        self.find_networks()

    def find_networks(self) -> None:
        """行動を選ぶネットワークと、ターゲットネットワークを、属性のなかから探します。"""
        owners = [self.agent, getattr(self.agent, "_agent", self.agent)]
        names = [name for owner in owners for name in getattr(owner, "__dict__", {})]
        names += ["qnet", "qnet_target", "q_net", "target_net"]
        self.networks = {
            name: network
            for name in dict.fromkeys(names)
            if callable(
                getattr(network := getattr(self.agent, name, None), "forward", None)
            )
            and weights(network)
        }
        # ネットワークの形をしていない、重みのリスト
        lists = {n: getattr(self.agent, n, None) for n in dict.fromkeys(names)}
        lists = {
            n: x for n, x in lists.items() if isinstance(x, (list, dict)) and arrays(x)
        }
        self.target, self.target_name, self.listed = None, "", ""
        for name, network in (lists | self.networks).items():
            if any(part in name.lower() for part in TARGET_NAMES):
                twins = [n for n in lists if n != name and _alike(lists[n], network)]
                twins.sort(key=lambda n: not _equal(lists[n], network))
                if name in self.networks or twins:
                    self.target, self.target_name = network, name
                    self.listed = "" if name in self.networks else twins[0]
        self.online: Any = None  # はじめて価値を読むときに、わかります
        self.fields: set[str] | None = None

    def weights(self, network) -> list[np.ndarray]:
        """ネットワークの重みの配列。計算のたびに変わる配列は、除きます。"""
        if network is self.online and self.listed:
            network = getattr(self.agent, self.listed)
        return weights(network, self.fields)

    def greedy(self, state: np.ndarray) -> int:
        """状態 (D,) での、貪欲な行動。greedy_action がなければ、評価の方策です。"""
        choose = getattr(self.agent, "greedy_action", None)
        return int(choose(state) if choose else self.policy()(state))

    def policy(self) -> Callable:
        """評価の方策。

        例外:
            Misused: プログラムの policy が、エージェントにないものを使う。
        """
        try:
            policy = self.case.program.policy(self.agent)
        except AttributeError as error:
            raise Misused(
                "評価の方策を取り出せません。greedy_action がないなら、Program(..., policy=lambda agent: "
                f"(状態から貪欲な行動を選ぶ関数)) と書きます: {error}"
            ) from None
        if not callable(policy):
            raise Misused(f"policy は、関数を返すようにしてください: {policy!r}")
        return policy

    def values(self, state: np.ndarray) -> np.ndarray:
        """状態 (D,) の行動価値 (A,)。貪欲な行動を選ぶときに、ネットワークが出した数です。

        例外:
            Undecided: 価値を読めない。
        """
        with no_grad():
            if self.online is None and hasattr(self.agent, "action_values"):
                with contextlib.suppress(Exception):  # 引数の違う action_values
                    found = as_array(self.agent.action_values(state)).ravel()
                    if found.size > 1:
                        self.online = getattr(self.agent, "qnet", None)
                        self.reader = self._read_action_values
            if self.online is None:
                self._find_reader(state)
            return self.reader(state)

    def _read_action_values(self, state) -> np.ndarray:
        return as_array(self.agent.action_values(state)).ravel()

    def _find_reader(self, state: np.ndarray) -> None:
        for network in self.networks.values():
            heard: list = []
            with overheard(network, heard.append):
                self.greedy(state)
            if heard and as_array(heard[-1]).size > 1:
                others = [x for x in self.networks.values() if x is not network]
                if network is self.target and others:
                    raise mismatch(
                        "行動を、ターゲットネットワークの価値で選んでいます。わざとでなければ、"
                        "get_action と greedy_action が使うネットワークを見てください。"
                    )
                self.online, self.reader = network, self._overhear
                self._find_fields(state)
                return
        for name in ("qnet", "q_net", "q_values"):
            function = getattr(self.agent, name, None)
            if callable(function):
                self.online, self.reader = function, self._call
                self._find_fields(state)
                return
        raise Undecided(
            "行動の価値を読めません。adapt(agent, qnet=状態 (B, D) から価値 (B, A) を求める関数) と合わせてください。"
        )

    def _find_fields(self, state) -> None:
        """計算しても変わらない属性を探します。計算の途中の値を覚えておくネットワークもあります。"""

        def look() -> dict:
            kept = getattr(self.online, "__dict__", {})
            return {name: [x.tobytes() for x in arrays(v)] for name, v in kept.items()}

        before = look()
        self.reader(0.5 * state + 0.1)
        after = look()
        still = {name for name in before if before[name] == after.get(name)}
        self.fields = still or None

    def learned(self) -> bool:
        """作ったばかりのエージェントと、価値が違うか。"""
        fresh, states = self.case.fresh(), self.case.panel(2)
        return any((self.values(x) != fresh.values(x)).any() for x in states)

    def listen(self, act: Callable) -> Heard:
        """act のあいだに、オンラインネットワークがどう計算したか。"""
        seen, same, most = set(), True, 0

        def hear(output) -> None:
            nonlocal same, most
            rows = as_array(output)
            seen.add(self.fingerprint())
            same = same and np.allclose(rows, rows[:1], rtol=1e-3, atol=1e-4)
            most = max(most, len(rows))

        known = bool(self.weights(self.online)) and hasattr(self.online, "forward")
        with overheard(self.online, hear) if known else contextlib.nullcontext():
            act()
        return Heard(known, len(seen), same, most)

    def _call(self, state) -> np.ndarray:
        return as_array(self.online(state[np.newaxis])).ravel()

    def _overhear(self, state) -> np.ndarray:
        heard: list = []
        with overheard(self.online, heard.append):
            self.greedy(state)
        return as_array(heard[-1]).ravel()

    def target_values(self, state: np.ndarray) -> np.ndarray:
        """ターゲットネットワークの行動価値 (A,)。なければ、オンラインネットワークのものです。"""
        if self.target is None:
            return self.values(state)
        self.values(state)  # オンラインネットワークを見つけます
        ours, theirs = self.weights(self.online), self.weights(self.target)
        kept = [x.copy() for x in ours]
        try:
            for x, y in zip(ours, theirs):
                x[...] = y
            return self.values(state)
        finally:
            for x, y in zip(ours, kept):
                x[...] = y

    def fingerprint(self) -> bytes:
        """オンラインネットワークの重み。読めなければ、いくつかの状態の価値。"""
        found = self.weights(self.online) if self.online is not None else []
        if not found:
            found = [self.values(state) for state in self.case.panel(4)]
        return b"".join(np.ascontiguousarray(x).tobytes() for x in found)

    def learn(
        self,
        env: probes.Probe,
        solved: Callable[[], float],
        tolerance: float,
        patience: float,
        most: float = MOST_STEPS,
    ) -> float:
        """小さな環境で、solved が三回続けて tolerance より小さくなるまで学ばせ、その値を返します。

        学びはじめてから、patience ステップのあいだ近づかなければ、あきらめます。
        行動は、env.best があればそれを、なければ無作為に選びます。
        """
        rng = np.random.default_rng([self.case.seed, 1])

        def choose(state):
            best = env.best()
            return int(rng.integers(env.action_size)) if best is None else best

        agent = Watched(self.agent, choose)
        self.values(env.answers(GAMMA)[0][0])  # 重みを読むネットワークを決めます
        error = nearest = np.inf
        good = waited = steps = checked = episode = 0
        started = False
        before = self.fingerprint()
        while steps < most and waited < patience and good < 3:
            self.episode(env, agent, episode)
            episode, steps = episode + 1, len(env.transitions)
            if steps - checked < CHECK:
                continue
            started = started or self.fingerprint() != before
            waited += (steps - checked) * started
            checked = steps
            error = solved()
            good = good + 1 if error < tolerance else 0
            if error < 0.97 * nearest:
                nearest, waited = error, 0
        return error

    def episode(self, env: probes.Probe, agent, episode: int) -> None:
        """エピソードを一つ進め、train と同じ所で同期します。

        例外:
            Undecided: ループが、打ち切りで止まらない。
        """
        program = self.case.program
        try:
            play_episode(program, env, agent, self.case.seed if episode == 0 else None)
        except probes.LoopError as error:
            raise Undecided(f"ループのまちがいで、調べられません。{error}") from None
        if program.sync_interval and episode % program.sync_interval == 0:
            agent.sync_qnet()

    def errors(self, env: probes.Probe, gamma: float = GAMMA) -> float:
        """env の正しい価値との差のうち、いちばん大きいもの。"""
        return max(abs(self.values(s)[a] - v) for s, a, v in env.answers(gamma))
