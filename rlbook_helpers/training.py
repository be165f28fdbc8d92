"""環境とエージェントを結びます: 学習、評価、その記録。"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from rlbook_helpers import checks
from rlbook_helpers.environments import checked

Policy = Callable[[np.ndarray], int]  # 状態 → 行動
OnStep = Callable[[int, bool], object]  # 何ステップ目か、エピソードがそこで終わったか


class Agent(Protocol):
    """学習の相手に求めるもの。action_size と state_size があれば、環境と比べます。"""

    def get_action(self, state: np.ndarray) -> int:
        """状態での行動。"""

    def update(self, state, action, reward, next_state, done) -> float | None:
        """遷移から学び、損失を返します。まだ学ばないときは None です。"""

    def sync_qnet(self) -> None:
        """ターゲットネットワークを同期します。呼ばれるのは、sync_interval を渡したときだけです。"""


@dataclass
class TrainingRecord:
    """学習の記録。どのリストも、一つの要素が一つのエピソードです。"""

    returns: list[float] = field(default_factory=list)  # 報酬の合計
    lengths: list[int] = field(default_factory=list)  # ステップ数
    average_losses: list[float] = field(default_factory=list)  # 損失の平均


class Episode(NamedTuple):
    """一つのエピソードの結果。"""

    total_reward: float  # 報酬の合計
    length: int  # ステップ数
    average_loss: float  # 損失の平均。一度も更新しなければ NaN
    ended: bool  # 終わりまで進んだなら True。max_steps で止めたなら False


def train_episode(
    env: gym.Env,
    agent: Agent,
    *,
    seed: int | np.random.Generator | None = None,
    max_steps: int | None = None,
    on_step: OnStep | None = None,
) -> Episode:
    """一つのエピソードを、学習しながら終わりまで進めます。

    エピソードは terminated か truncated で終わります。エージェントに渡す done は terminated
    だけです。打ち切られた先にも価値はあるからです。

    引数:
        env: 環境。
        agent: エージェント。
        seed: env.reset に渡すシード。None なら、環境の乱数の続きを使います。
        max_steps: 進めるステップ数の上限。None なら、上限はありません。
        on_step: 更新のたびに、何ステップ目かと、エピソードがそこで終わったかを渡して呼ぶ関数。
    """
    env = checked(env, agent)
    state, _ = env.reset(seed=checks.env_seed(seed))
    total_reward, t, losses = 0.0, 0, []
    ended = False
    while not ended and t != max_steps:
        action = agent.get_action(state)
        next_state, reward, terminated, truncated, _ = env.step(action)
        loss = agent.update(state, action, reward, next_state, terminated)
        state = next_state
        ended = terminated or truncated
        total_reward += checks.number("reward", reward)
        t += 1
        if loss is not None:
            losses.append(checks.loss(loss, agent))
        if on_step is not None:
            on_step(t, ended)
    average_loss = float(np.mean(losses)) if losses else float("nan")
    return Episode(total_reward, t, average_loss, ended)


def train(
    env: gym.Env,
    agent: Agent,
    *,
    episodes: int | None = None,
    steps: int | None = None,
    sync_interval: int | None = None,
    seed: int | np.random.Generator | None = None,
    report_interval: int | None = None,
    on_step: OnStep | None = None,
    play: Callable[..., Episode] = train_episode,
) -> TrainingRecord:
    """エージェントを学習させ、記録を返します。進み具合を、端末と Jupyter にバーで表示します。

    学習のあいだだけ、行列の積を 1 スレッドで計算します。この本の小さなネットワークでは、
    スレッドを増やしてもあまり速くならず、ほかの仕事とコアを奪いあうからです。

    引数:
        env: 環境。
        agent: エージェント。
        episodes: エピソードの数。これか steps のどちらか一つを渡します。
        steps: ステップの数。最後のエピソードは途中で終わることがあり、そのときは記録に入れません。
        sync_interval: ターゲットネットワークを同期する間隔 (エピソード)。エピソード 1、
            1 + sync_interval、… の終わりに同期します。None なら同期しません。
        seed: 最初の env.reset に渡すシード。
        report_interval: 途中経過を一行で表示する間隔 (エピソード)。None なら表示しません。
        on_step: 更新のたびに、学習を始めてから何ステップ目かと、エピソードがそこで終わったかを渡して
            呼ぶ関数。学習の途中を見るのに使います。
        play: 一つのエピソードを進める関数。train_episode と同じ引数を受けとります。on_step は、
            渡されたときと、play が train_episode のときだけ渡します。
    例外:
        FloatingPointError: 損失か重みが有限でなくなった。
    """
    checks.length(episodes, steps)
    env = checked(env, agent)
    checks.counts(sync_interval=sync_interval, report_interval=report_interval)

    num_steps = step = 0  # 終わったエピソードまでと、いままでのステップ数

    def watch(t: int, ended: bool) -> None:
        nonlocal step
        if on_step is not None:
            on_step(num_steps + t, ended)
        step = num_steps + t

    watched = on_step is not None or play is train_episode
    record = TrainingRecord()
    unit = "エピソード" if steps is None else "ステップ"
    bar = progress_bar(total=episodes or steps, desc="学習", unit=unit)
    with bar, threadpool_limits(1, user_api="blas"):
        while len(record.returns) != episodes and num_steps != steps:
            episode = len(record.returns)
            try:
                result = play(
                    env,
                    agent,
                    seed=seed if episode == 0 else None,
                    max_steps=None if steps is None else steps - num_steps,
                    **({"on_step": watch} if watched else {}),
                )
            except Exception as error:
                if type(error) in (TypeError, ValueError, FloatingPointError):
                    where = f"、学習の {step + 1} ステップ目" if watched else ""
                    error.args = (f"{error} (エピソード {episode + 1}{where})",)
                raise
            num_steps += result.length
            bar.update(1 if steps is None else result.length)
            if not result.ended:
                break
            if sync_interval and episode % sync_interval == 0:
                agent.sync_qnet()
            record.returns.append(result.total_reward)
            record.lengths.append(result.length)
            record.average_losses.append(result.average_loss)
            if report_interval and (episode + 1) % report_interval == 0:
                bar.write(
                    f"episode {episode + 1:3d}, T={result.length:3d}, "
                    f"average loss={result.average_loss:.3f}, "
                    f"total reward={result.total_reward:.1f}"
                )
    checks.weights(agent)
    return record


def evaluate(
    env: gym.Env,
    policy: Policy,
    *,
    episodes: int,
    seed: int | np.random.Generator | None = None,
) -> np.ndarray:
    """学習せずに方策を動かし、エピソードごとの報酬の合計を返します。

    引数:
        env: 環境。
        policy: 状態から行動を選ぶ関数。たとえば ``agent.greedy_action``。
        episodes: エピソードの数 E。
        seed: 最初の env.reset に渡すシード。
    戻り値:
        報酬の合計 (E,)、float64。
    """
    episodes = checks.integer("episodes", episodes, 1)
    env = checked(env, getattr(policy, "__self__", policy))
    seeds = [seed, *[None] * (episodes - 1)]
    return np.array([sum(_follow(env, policy, seed)) for seed in seeds])


def _follow(env: gym.Env, policy: Policy, seed) -> Iterator[float]:
    """一つのエピソードを方策で動かします。始まりには 0、一歩ごとに報酬を返します。"""
    if not callable(policy):
        raise TypeError(f"policy は状態から行動を選ぶ関数にしてください: {policy!r}")
    env = checked(env, getattr(policy, "__self__", policy))
    state, _ = env.reset(seed=checks.env_seed(seed))
    yield 0.0
    t, ended = 0, False
    while not ended:
        state, reward, terminated, truncated, _ = env.step(policy(state))
        t, ended = t + 1, terminated or truncated
        yield checks.number(f"{t} ステップ目の reward", reward)


def record_frames(
    env: gym.Env, policy: Policy, *, seed: int | np.random.Generator | None = None
) -> list[np.ndarray]:
    """一つのエピソードを方策で動かし、画面を録ります。

    引数:
        env: ``render_mode="rgb_array"`` で作った環境。
        policy: 状態から行動を選ぶ関数。
        seed: env.reset に渡すシード。
    戻り値:
        画面 (高さ, 幅, 3)、uint8 のリスト。最初の状態も入り、ステップ数より 1 枚多くなります。
    """
    mode = getattr(env, "render_mode", None)
    if mode != "rgb_array":
        raise ValueError(
            f'env は render_mode="rgb_array" で作ってください: render_mode={mode!r}'
        )
    return [np.asarray(env.render()) for _ in _follow(env, policy, seed)]


def progress_bar(iterable=None, **kwargs) -> tqdm:
    """終わると消える進捗バー。端末でも Jupyter でもない所と、TQDM_DISABLE があるときは出しません。"""
    disable = True if os.environ.get("TQDM_DISABLE") else None
    return tqdm(iterable, leave=False, disable=disable, **kwargs)
