"""検査の相手のプログラムと、何度も使う下調べ。"""

import contextlib
import functools
import re
from typing import NamedTuple, TypeVar

import numpy as np

from rlbook_helpers import environments
from rlbook_helpers.clinic import probes
from rlbook_helpers.clinic.memory import drawn, find_buffer, stored
from rlbook_helpers.clinic.motion import MOST_UPDATES, Motion, watch
from rlbook_helpers.clinic.program import (
    Misused,
    Program,
    Undecided,
    mismatch,
    new_agent,
    play_episode,
)
from rlbook_helpers.clinic.strangers import Strangers, comparable
from rlbook_helpers.clinic.subject import GAMMA, MOST_STEPS, Subject, Watched

FIRST_UPDATE = 3_000  # 学びはじめるのを待つステップ数
PATIENCE = 800  # これだけ学んでも近づかなければ、あきらめます
WIDEST = 64  # 状態の次元を探す範囲
MOST_INTERVAL = MOST_UPDATES // 6  # 廊下のいちばん長いエピソードは 6 ステップです
LONGEST = 64  # まとめる歩数を探す範囲
TOLERANCE = 0.25  # 覚えた価値と、正しい価値との差
INTERVAL = re.compile("sync|target|copy|interval|freq|every", re.I)  # 間隔らしい名前
P = TypeVar("P", bound=probes.Probe)


def _is_long(value) -> bool:
    return isinstance(value, int) and value > MOST_UPDATES


class Corridor(NamedTuple):
    """廊下の環境を学ばせた結果。"""

    gamma: float | None  # 替えた割引率。None なら、エージェントのまま
    fits: bool  # 正しい価値と合ったか
    near: float  # 出口の価値
    far: float  # いちばん遠いマスの価値
    steps: int


class Case:
    """一つのプログラムの検査。何度も使う下調べを、一度だけ行います。

    引数:
        program: 調べるプログラム。
        seed: エージェント、環境、検査の乱数のシード。
    """

    def __init__(self, program: Program, seed: int = 0):
        self.program, self.seed = program, seed

    def fresh(self) -> Subject:
        """手を加えない、新しいエージェント。"""
        return Subject(self)

    def subject(self) -> Subject:
        """新しいエージェント。割引率は、できるなら検査のものに替えます。"""
        return Subject(self, self.corridor.gamma)

    @functools.cached_property
    def shape(self) -> tuple[int, int]:
        """状態の次元 D と、行動の数 A。

        例外:
            Misused: どの次元の状態からも、行動を選べない。
        """
        subject, first = Subject(self), None
        sizes = [*dict.fromkeys((4, 8, 2, 3, 6, 1, *range(5, WIDEST)))]
        if self.program.env is not None:
            sizes = [environments.size(self.program.env, "observation_space")]
        elif isinstance(getattr(subject.agent, "state_size", None), int):
            sizes = [subject.agent.state_size]
        for size in sizes:
            state = np.full(size, 0.1, np.float32)
            try:
                subject.agent.get_action(state)
                return size, subject.values(state).size
            except (Misused, Undecided):
                raise
            except Exception as error:  # noqa: BLE001  次元が違うと、どんな例外も出ます
                first = first or error
        raise Misused(
            "どの次元の状態を渡しても、行動を選べません。Program(..., env=gym.make(...)) と書いて、"
            f"環境を教えてください: {type(first).__name__}: {first}"
        )

    def probe(self, kind: type[P], **options) -> P:
        """このエージェントの形に合わせた、小さな環境。rest を省くと、学ぶのに要るだけ延ばします。

        例外:
            Undecided: どんな長さのエピソードからも、学ばない。
        """
        if "rest" not in options:
            options["rest"] = self.rest
            if self.rest is None:
                raise Undecided(
                    f"{FIRST_UPDATE:,} ステップ学ばせても、価値が少しも変わりません。検査「学ぶ時期」を見てください。"
                )
        return kind(*self.shape, **options)

    @functools.cached_property
    def gammas(self) -> list[float]:
        """計算に使われるかもしれない割引率: 検査の割引率と、エージェントのもの。"""
        own = getattr(Subject(self).agent, "gamma", None)
        if isinstance(own, (int, float)):
            return list(dict.fromkeys([GAMMA, float(own)]))
        return [GAMMA, *np.arange(0.3, 0.995, 0.01)]  # どこにあるのか、わかりません

    @functools.cached_property
    def repeats(self) -> bool:
        """同じシードから、同じ価値のエージェントができるか。"""
        state = self.panel(1)[0]
        first, second = (self.fresh().values(state) for _ in range(2))
        return bool(np.allclose(first, second, rtol=1e-5))

    @functools.cached_property
    def corridor(self) -> Corridor:
        """廊下の環境 Delayed を学ばせた結果。

        割引率を 0.8 に替えて学ばせます。替えると計算がそろわないエージェント (γ の累乗を先に求めておくものなど)
        のために、合わなければ、替えずにもう一度、細かく比べます。
        """
        found = self._taught(GAMMA, self.gammas, 0.12)
        if found.fits or len(self.gammas) != 2:
            return found
        own = self.gammas[1]
        again = self._taught(None, [own], min(0.12, 0.25 * (1 - own**5)))
        return again if again.fits else found

    @property
    def gamma(self) -> float:
        """subject のエージェントの、正しい価値を決める割引率。"""
        return self.gammas[1] if self.corridor.gamma is None else GAMMA

    def _taught(self, gamma, gammas, tolerance: float) -> Corridor:
        subject, env = Subject(self, gamma), self.probe(probes.Delayed)
        error = self.teach(
            subject, env, lambda: min(subject.errors(env, g) for g in gammas), tolerance
        )
        far, near = (subject.values(env.place(t)).max() for t in (0, env.length - 1))
        fits = error < tolerance and far < 1 - 0.25 * (1 - max(gammas) ** 5)
        return Corridor(gamma, fits, float(near), float(far), len(env.transitions))

    def panel(self, n: int, scale: float = 1.0) -> np.ndarray:
        """でたらめな状態 (n, D)。"""
        rng = np.random.default_rng([self.seed, 2])
        return rng.uniform(-scale, scale, (n, self.shape[0])).astype(np.float32)

    @functools.cached_property
    def rest(self) -> int | None:
        """エピソードを延ばすステップ数。一歩のエピソードから学ばなければ 7、まったく学ばなければ None です。"""
        for rest in (0, 7):
            subject, env = Subject(self), probes.Constant(*self.shape, rest=rest)
            start = np.concatenate([subject.values(x) for x in self.panel(4)])

            def moved(subject=subject, start=start):
                now = np.concatenate([subject.values(x) for x in self.panel(4)])
                return float(np.array_equal(now, start))

            if subject.learn(env, moved, 0.5, PATIENCE, FIRST_UPDATE) == 0:
                return rest
        return None

    @functools.cached_property
    def starts(self) -> bool:
        """でたらめな状態からなら、FIRST_UPDATE ステップまでに学びはじめるか。"""
        subject, env = self.fresh(), self.probe(probes.Ledger, rest=0)
        subject.values(self.panel(1)[0])
        was = subject.fingerprint()
        while len(env.transitions) < FIRST_UPDATE and subject.fingerprint() == was:
            subject.episode(env, subject.agent, len(env.seeds))
        return subject.fingerprint() != was

    @functools.cached_property
    def motion(self) -> Motion | None:
        """ターゲットネットワークの動き。見つからなければ None です。"""
        return watch(self)

    @functools.cached_property
    def walk(self) -> tuple[Watched, probes.Ledger]:
        """環境 Ledger を 12 エピソード進めたときの、渡された遷移の控えと、その環境。

        例外:
            LoopError: ループが、環境の約束を守っていない。
        """
        agent, env = Watched(self.fresh().agent), self.probe(probes.Ledger, rest=0)
        for episode in range(12):
            play_episode(self.program, env, agent, None if episode else self.seed)
        return agent, env

    @functools.cached_property
    def shaping(self) -> str:
        """ループが、わざとらしい決まりで報酬を作りかえているなら、どう作りかえているか。そうでなければ空です。"""
        with contextlib.suppress(probes.LoopError):
            agent, env = self.walk
            found = Strangers(*comparable(agent.seen, env.transitions))
            return found.rule() or self._state_shaping(found)
        return ""

    def _state_shaping(self, found: Strangers) -> str:
        """報酬に足しているものが、遷移だけで決まるか。違うエージェントで、ほかのエピソードのあとに、同じ遷移をもう一度起こします。"""
        if not found.varies():
            return ""
        added: list[list[float]] = []
        for seed in (self.seed, self.seed + 1):
            agent = Watched(new_agent(self.program, seed), lambda state: 0)
            if added:  # ほかのエピソードのあとでも、同じか
                other = self.probe(probes.Ledger, rest=0)
                play_episode(self.program, other, agent, None)
            env, before = self.probe(probes.Ledger, rest=0), len(agent.seen)
            env.reset(seed=self.seed)
            play_episode(self.program, env, agent, None)
            pairs = zip(agent.seen[before:], env.transitions)
            added.append([ours[2] - true[2] for ours, true in pairs])
        first, second = map(np.array, added)
        same = len(first) == len(second) and np.allclose(first, second, atol=1e-4)
        return "報酬を、状態などによって" if same else ""

    @functools.cached_property
    def window(self) -> int:
        """続いた遷移をいくつ渡すと、バッファに入りはじめるか。n 歩の収益なら、n です。わからなければ 1 です。"""
        agent, states = self.fresh().agent, self.panel(LONGEST + 1)
        for n in range(1, LONGEST + 1):
            agent.update(states[n - 1].copy(), 0, 0.5, states[n].copy(), False)
            if stored(agent):
                return n
        return 1

    def teach(self, subject: Subject, env, solved, tolerance: float) -> float:
        """Subject.learn と同じですが、同期の間隔に合わせて待ちます。"""
        gap = self.motion.gap() if self.motion else 0
        if self.program.sync_interval:
            steps = self.program.sync_interval * (env.length + env.rest)
            gap = max(gap, min(MOST_UPDATES, steps))
        waits = max(PATIENCE, 3 * gap), max(MOST_STEPS, 12 * gap)
        return subject.learn(env, solved, tolerance, *waits)

    @functools.cached_property
    def both(self) -> tuple[Subject, probes.Both, float]:
        """環境 Both を学んだエージェントと、その環境と、正しい価値との差。"""
        subject, env = self.subject(), self.probe(probes.Both)
        error = self.teach(subject, env, lambda: subject.errors(env), TOLERANCE)
        return subject, env, error

    def learned(self, reward: float, goal: float) -> float:
        """いつも reward をもらう環境で、goal に近づくまで学んだあとの価値。先の価値が混ざらないように、γ を 0 にします。"""
        subject, env = Subject(self, 0.0), self.probe(probes.Constant)
        env.prize = reward
        state = env.observe(0.5, 0.5)
        self.teach(subject, env, lambda: abs(subject.values(state)[0] - goal), 0.2)
        return float(subject.values(state)[0])

    @functools.cached_property
    def stores_other_rewards(self) -> bool:
        """update が、わざとらしい決まりで報酬を作りかえて覚えるか。"""
        with contextlib.suppress(Exception):  # バッファは、見つからないことがあります
            agent, _ = self.walk
            _, draw = find_buffer(agent.agent)
            rows = [t for _ in range(10) for t in drawn(draw)]
            return bool(Strangers(*comparable(rows, agent.seen)).rule())
        return False

    @functools.cached_property
    def makes_rewards(self) -> bool:
        """渡した報酬の代わりに、決まった報酬や、何倍かした報酬から学ぶか。"""
        if self.stores_other_rewards:
            return True
        plus, minus = self.learned(1, -1), self.learned(-1, -1)
        if abs(plus - 1) < 0.2 and abs(self.learned(0.3, 1) - 1) < 0.2:
            return True  # 報酬を、それまでの報酬の大きさで割っています
        scale, actions = (plus - minus) / 2, self.shape[1]
        if abs(plus + minus) < 0.1 * abs(scale):
            # 選ばなかった行動を 0 に近づけるまちがいでも、A 分の 1 になります
            pulled = abs(scale * actions - 1) <= 0.15
            return not pulled and (0.003 < scale < 0.4 or scale > 1.5)
        # 同じ入力から、出力の和を決める softmax では、負になりません
        return abs(plus - minus) < 0.2 and plus < -0.3

    @functools.cached_property
    def clips_rewards(self) -> bool:
        """update が、大きな報酬を 1 に切りつめるか。"""
        return abs(self.learned(3, 3) - 1) < 0.2

    def needs_synchronization(self) -> None:
        """同期の間隔らしい属性が、長すぎないことを確かめます。

        例外:
            Undecided: 長すぎて、同期を待てない。
        """
        agent = self.fresh().agent
        names = [x for x in dir(getattr(agent, "_agent", agent)) if INTERVAL.search(x)]
        long = [x for x in names if _is_long(getattr(agent, x, None))]
        if long and self.motion and not self.motion.gap():
            raise mismatch(
                f"同期の間隔 ({long[0]}) が長すぎるようです。{MOST_UPDATES:,} より短くすると、調べられます。"
            )
        interval = self.program.sync_interval or 0
        # 六歩の環境で待てなくても、一歩の環境では、同期を見たはずです
        if interval > MOST_UPDATES or (
            interval > MOST_INTERVAL and self.motion and self.motion.late()
        ):
            raise mismatch(
                f"同期の間隔 (sync_interval) が長すぎるようです。{MOST_INTERVAL:,} エピソードより短くすると、調べられます。"
            )

    def needs_rewards(self, *, beyond: bool = False, loop: bool = True) -> None:
        """渡した報酬から学ぶことを確かめます。beyond なら、1 より大きな報酬からも学ぶかを確かめます。

        loop が False なら、ループを通らない検査なので、ループが報酬を作りかえていてもかまいません。

        例外:
            Undecided: ループか update が、状態か報酬を作りかえている。
        """
        if loop:
            self.needs_synchronization()
        # ループが作りかえるなら、学んだ価値からは、update も作りかえるかどうかはわかりません
        made = self.stores_other_rewards if self.shaping else self.makes_rewards
        if (loop and self.shaping) or made or (beyond and self.clips_rewards):
            raise mismatch(
                "状態か報酬を作りかえて学んでいるので、価値を暗算できません。作りかえるのをやめて、もう一度調べてください。"
                "わざと作りかえているなら、それ自体は誤りではありません。"
            )
