"""読者のプログラムを、読者の選んだシードで学習させ、証明書のページにします。"""

import contextlib
import dataclasses
import datetime
import hashlib
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from threadpoolctl import threadpool_limits

from rlbook_helpers.clinic.program import Program, accepted, new_agent, play_episode
from rlbook_helpers.environments import checked
from rlbook_helpers.experiments import records
from rlbook_helpers.experiments.certificate_page import Results, render
from rlbook_helpers.experiments.checkpoints import EPISODES
from rlbook_helpers.experiments.files import explained, locked
from rlbook_helpers.experiments.preset import Preset
from rlbook_helpers.experiments.sweeps import sweep, versions
from rlbook_helpers.training import evaluate, train

MARKS = 25  # 途中の方策を測る回数
PACKAGES = ("rlbook-helpers", "dezero", "numpy", "gymnasium")


@dataclasses.dataclass(frozen=True)
class Setting:
    """どのファイルのプログラムを、どの環境で、何ステップ学習させるか。"""

    file: str
    sha256: str
    env_id: str
    steps: int


class Loaded(NamedTuple):
    """読者のファイルから読んだもの。"""

    program: Program
    env: gym.Env  # 学習させる環境。program.env と同じです
    train_agent: Callable | None  # 読者のループ。None なら、この本の train
    sha256: str


class _Spent(BaseException):
    """ステップを使いきりました。読者の except Exception には、つかまりません。"""


class Watched(gym.Wrapper):
    """学習の環境。ステップを数え、途中の方策を測り、使いきったら学習を止めます。

    ループが次の step か reset を呼ぶのは、前の遷移から学んだあとなので、測るのはそのときです。

    引数:
        env: 環境。
        seed: 最初の reset のシード。ループが渡すものより優先します。
        steps: 学習に使えるステップ数。
        measure: いまの貪欲な方策の、エピソードごとの報酬の合計を求める関数。
    """

    def __init__(self, env: gym.Env, seed: int, steps: int, measure: Callable):
        super().__init__(env)
        self.first_seed: int | None = seed
        self.limit, self.every = steps, max(1, steps // MARKS)
        self.measure = measure
        self.count, self.seconds = 0, 0.0  # ステップ数と、測るのにかかった時間
        self.points: list[list[float]] = []

    def step(self, action) -> tuple:
        """env.step と同じです。行動が正しいかを、いつも確かめます。"""
        self._look()
        if not self.action_space.contains(action):
            raise ValueError(
                f"行動は {self.action_space} のものにしてください: {action!r}"
            )
        self.count += 1
        return self.env.step(action)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        """env.reset と同じです。最初のシードだけが変わります。"""
        self._look()
        if self.first_seed is not None:
            seed, self.first_seed = self.first_seed, None
        return self.env.reset(seed=seed, options=options)

    def mark(self) -> None:
        """いまの方策を測ります。同じステップでは、一度だけです。"""
        if self.count > (self.points[-1][0] if self.points else 0):
            start = time.perf_counter()
            self.points.append([self.count, round(float(self.measure().mean()), 2)])
            self.seconds += time.perf_counter() - start

    def _look(self) -> None:
        if self.count % self.every == 0:
            self.mark()
        if self.count == self.limit:
            raise _Spent


def load(path: Path, env_id: str) -> Loaded:
    """読者のファイルを実行し、プログラムを取り出します。

    例外:
        TypeError, ValueError: make_agent も program もない、または make_agent が seed を受けとらない。
        OSError, ImportError: ファイルを読めない、または環境を作れない。
        ほか: ファイルの中で起きた例外。
    """
    with explained(f"{path} を読めません"):
        source = path.read_bytes()
    module = ModuleType("_certified")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclass や pickle が、名前から探します
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # となりのファイルも import できます
    found = vars(module)
    exec(compile(source, path, "exec"), found)  # noqa: S102  読者が自分で走らせます
    program = found.get("program")
    if program is None and "make_agent" in found:
        program = Program(found["make_agent"])
    if not isinstance(program, Program):
        raise TypeError(
            "エージェントを作る関数かクラスを make_agent という名前にするか、"
            "program = Program(...) と書いてください"
        )
    if "seed" not in accepted(program.make_agent, seed=0):
        raise ValueError(
            "make_agent は、シードごとに違う乱数で学習させるために、seed を受けとるようにしてください"
        )
    train_agent = found.get("train_agent")
    if train_agent is not None:  # 同期も、読者のループが決めます
        program = dataclasses.replace(program, sync_interval=None)
    # 環境は、ファイルが登録したものかもしれません
    env = Preset(env_id=env_id).make_env()
    program = dataclasses.replace(program, env=env)
    return Loaded(program, env, train_agent, hashlib.sha256(source).hexdigest())


def learn(loaded: Loaded, env: Watched, agent: Any) -> None:
    """ステップを使いきるまで、学習させます。"""
    program = loaded.program

    def play(env, agent, **_):
        return play_episode(program, env, agent, None)

    with contextlib.suppress(_Spent):
        if loaded.train_agent is not None:
            loaded.train_agent(env, agent)
        else:
            sync = program.sync_interval
            train(env, agent, steps=env.limit, sync_interval=sync, play=play)
    if not env.count:
        raise ValueError("学習のループが、渡された env を一度も動かしませんでした")
    env.mark()


def run(setting: Setting, seed: int, *, path: Path) -> dict:
    """一つのシードで学習させ、最後の貪欲な方策を評価します。シードの使い方は sweeps.run_seed と同じです。

    例外:
        RuntimeError: 読者のプログラムが例外を出した、またはファイルが変わった。
    """
    # 32 ビットなので、np.random.seed にも渡せます
    env_seed, agent_seed = np.random.SeedSequence(seed).generate_state(2).tolist()
    env = None
    try:
        loaded = load(path, setting.env_id)
        if loaded.sha256 != setting.sha256:
            raise ValueError(f"走らせているあいだに {path.name} が変わりました")
        program, test_env = loaded.program, Preset(env_id=setting.env_id).make_env()
        agent = new_agent(program, agent_seed)

        def score(episodes: int, seed: int) -> np.ndarray:
            policy = program.policy(agent)
            return evaluate(test_env, policy, episodes=episodes, seed=seed)

        measure = partial(score, EPISODES, 2_000_000 + seed)
        env = Watched(loaded.env, env_seed, setting.steps, measure)
        with threadpool_limits(1, user_api="blas"):
            start = time.perf_counter()
            learn(loaded, env, agent)
            seconds = time.perf_counter() - start - env.seconds
            evaluation = score(100, 1_000_000 + seed)
    except (Exception, SystemExit) as error:
        at = f" ({env.count:,} ステップ目)" if env is not None else ""
        raise RuntimeError(_told(error, path) + at) from error
    return {
        "seed": seed,
        "versions": {"python": platform.python_version(), **versions(*PACKAGES)},
        "date": f"{datetime.date.today()}",
        "steps": env.count,
        "seconds": round(seconds, 2),
        "checkpoints": env.points,
        "evaluation": [round(x, 2) for x in evaluation.tolist()],
    }


def _told(error: BaseException, path: Path) -> str:
    """例外を、読者のファイルの何行目で起きたかを添えて、一文にします。"""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    if not lines:
        return f"{error}"
    return f"{path.name} の {lines[-1]} 行目: {type(error).__name__}: {error}"


def check(path: Path, env_id: str) -> tuple[Loaded, float]:
    """読者のファイルの中身と、解けたとみなす報酬の合計。学習できることを、走らせる前に確かめます。

    例外:
        ValueError: ファイルか環境が使えない。
    """
    try:
        if path.suffix != ".py":
            raise ValueError(
                "ファイルは .py にしてください。ノートブックなら、import と定義を一つのセルに集め、"
                "一行目に %%writefile my_dqn.py と書いて実行すると、ファイルになります"
            )
        loaded = load(path, env_id)
        program, spec = loaded.program, loaded.env.spec
        if spec is None or spec.reward_threshold is None:
            raise ValueError(
                "解けたとみなす報酬の合計 (reward_threshold) のある環境を --env に渡してください"
            )
        agent = new_agent(program, 0)
        try:
            policy = program.policy(agent)
        except AttributeError as error:
            raise ValueError(
                "エージェントに、貪欲な行動を返す greedy_action(state) を書いてください。名前が違うなら、"
                f"program = Program(..., policy=lambda agent: agent.名前) とします ({error})"
            ) from error
        env = checked(loaded.env, agent)
        env.step(policy(env.reset(seed=0)[0]))
    except (Exception, SystemExit) as error:
        title = f"{path.name} で {env_id} の証明書を作れません"
        raise ValueError(f"{title}: {_told(error, path)}") from error
    return loaded, spec.reward_threshold


def certify(
    path: Path, seeds: Sequence[int], *, env_id: str, steps: int, jobs: int, out: Path
) -> tuple[Path, Results]:
    """まだ記録のないシードを走らせ、証明書のページを書きます。ページと、その結果を返します。

    ページには、このファイルの記録にあるシードを、すべて載せます。

    引数:
        path: 読者のファイル。make_agent か program と、あれば train_agent(env, agent) を定義します。
        seeds: シード。
        env_id: reward_threshold のある環境の名前。
        steps: 学習に使えるステップ数。
        jobs: 同時に走らせる数。
        out: 記録とページを置くフォルダ。
    例外:
        ValueError: ファイルか環境が使えない、または記録のあとでファイルが変わった。
        OSError: 書けない。
    """
    path = path.resolve()
    loaded, threshold = check(path, env_id)
    setting = Setting(path.name, loaded.sha256, env_id, steps)
    record, page = (out / f"{path.stem}.{kind}" for kind in ("jsonl", "html"))

    def read(settings: dict) -> Setting:
        return Setting(**settings)

    before = records.load(record, read).preset if record.exists() else None
    if before is not None and before.sha256 != setting.sha256:
        raise ValueError(
            f"{record} は、{path.name} を変える前の記録なので、続けられません。別のフォルダを --out に、"
            "変えるのに使わなかった新しいシードを --seeds に渡してください"
        )
    one = partial(run, path=path)
    failures = sweep(
        {path.stem: setting}, seeds, out, run=one, read_settings=read, jobs=jobs
    )
    runs = records.load(record, read).runs if record.exists() else []
    failed = {seed: str(error) for _, seed, error in failures}
    results = Results(runs, failed, threshold)
    temporary = page.with_name(f"{page.name}.tmp")
    with explained(f"{page} に書けません"), locked(out):
        try:
            html = render(setting, results, own_loop=loaded.train_agent is not None)
            temporary.write_text(html, encoding="utf-8")
            temporary.replace(page)
        finally:
            temporary.unlink(missing_ok=True)
    return page, results
