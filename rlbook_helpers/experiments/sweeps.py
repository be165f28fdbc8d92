"""一つの設定を、たくさんのシードで走らせ、終わったものから記録します。"""

import contextlib
import dataclasses
import logging
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from rlbook_helpers.experiments.checkpoints import Checkpoints
from rlbook_helpers.experiments.presets import Preset, preset_of
from rlbook_helpers.experiments.records import Record, append, load
from rlbook_helpers.training import evaluate, progress_bar

Run = Callable[[Any, int], dict]  # 設定とシードから、一つのシードの結果

# DeZero の設定は、プロセスに一つしかありません。スレッドが多いワーカーでも、一つずつ学習します。
_one_at_a_time = threading.Lock()


def run_seed(preset: Preset, seed: int) -> dict:
    """一つの設定を一つのシードで学習し、最後の貪欲な方策を評価します。

    評価と途中の測定は、学習とは別の環境で、重ならないシードから行います。seconds は学習だけの時間です。
    途中を測ったら、それが学習曲線になるので、エピソードごとの報酬の合計は、はじめの 10 個だけ残します。
    """
    env, test_env = preset.make_env(), preset.make_env()
    agent = preset.make_agent(env, seed)
    on_step = None
    if preset.checkpoint_steps:
        every = preset.checkpoint_steps
        on_step = Checkpoints(agent, test_env, every=every, seed=2_000_000 + seed)
    with threadpool_limits(1, user_api="blas"):
        start = time.perf_counter()
        record = preset.train(env, agent, seed, on_step)
        seconds = time.perf_counter() - start
        evaluation = evaluate(
            test_env,
            preset.policy(agent),
            episodes=preset.evaluation_episodes,
            seed=1_000_000 + seed,
        )
    points = []
    if on_step is not None:
        points, seconds = on_step.points, seconds - on_step.seconds
    return {
        "seed": seed,
        "versions": {name: version(name) for name in ("numpy", "dezero", "gymnasium")},
        "steps": preset.steps or sum(record.lengths),
        "seconds": round(seconds, 2),
        "returns": _curve(record.returns, preset.curve_interval)[
            : 10 if points else None
        ],
        "checkpoints": [_compact(point) for point in points],
        "evaluation": _compact(evaluation.tolist()),
    }


def _curve(returns: list[float], interval: int) -> list[float]:
    """報酬の合計を、interval 個ずつの平均にします。余りの出る終わりは、残しません。"""
    if interval == 1:
        return _compact(returns)
    whole = len(returns) - len(returns) % interval
    means = np.reshape(returns[:whole], (-1, interval)).mean(axis=1)
    return [round(float(mean)) for mean in means]


def _compact(values: Sequence[float]) -> list[float]:
    """記録が小さくなるように、小数点の下を 2 桁にします。0 なら、整数にします。"""
    return [int(x) if x == int(x) else round(float(x), 2) for x in values]


def _here(run: Run, tasks: Sequence[tuple]) -> Generator[tuple]:
    """このプロセスの中で、一つずつ走らせます。終わった順に (名前, シード, 結果か例外) を返します。"""
    for label, setting, seed in tasks:
        outcome: dict | Exception
        try:
            outcome = run(setting, seed)
        except Exception as error:  # noqa: BLE001  伝えて、ほかのシードを続けます
            outcome = error
        yield label, seed, outcome


def _on_dask(
    run: Run, tasks: Sequence[tuple], jobs: int, address: str | None
) -> Generator[tuple]:
    """Dask のクラスタで走らせます。ワーカーが死ぬと、Dask が別のワーカーでやりなおします。"""
    with _connect(jobs, address) as client:
        try:
            yield from _outcomes(client, run, list(tasks))
        # 失敗したシードは値で届くので、ここに来るのは Dask の例外です
        except Exception as error:
            message = "Dask のスケジューラとの接続が切れました"
            raise ConnectionError(message) from error


def _outcomes(client, run: Run, waiting: list[tuple]) -> Generator[tuple]:
    from distributed import KilledWorker, as_completed

    running: dict[Any, tuple] = {}
    finished = as_completed()
    while waiting or running:
        # 空いているワーカーの数だけ渡します。順番を待つシードが、死ぬワーカーに巻きこまれません
        while waiting and len(running) < max(1, sum(client.nthreads().values())):
            label, setting, seed = waiting.pop(0)
            future = client.submit(_on_worker, run, setting, seed, pure=False)
            running[future] = label, seed
            finished.add(future)
        future = next(finished)
        outcome = future.exception() or future.result()
        if isinstance(outcome, KilledWorker):
            outcome = RuntimeError("やりなおしても、ワーカーのプロセスが死にます")
        yield *running.pop(future), outcome


def _on_worker(run: Run, setting, seed: int) -> dict:
    os.environ["TQDM_DISABLE"] = "1"  # バーは、全体に一つだけ
    tqdm.set_lock(threading.RLock())  # 既定のものは、死んだワーカーのあとに残ります
    with _one_at_a_time:
        return run(setting, seed)


@contextlib.contextmanager
def _connect(jobs: int, address: str | None):
    """Dask のクラスタにつなぎます。address が None なら、この計算機に作ります。"""
    try:
        import dask

        # 何が起きたかは sweep が伝えます。10 ms ごとに計算を止めるプロファイラも、要りません
        loggers = dict.fromkeys(("distributed", "distributed.client"), "critical")
        profiler = {"distributed.worker.profile.enabled": False}
        dask.config.set({"logging": loggers, **profiler})
        from distributed import Client, LocalCluster
    except ModuleNotFoundError:
        raise ImportError(
            "--jobs 2 以上と --dask には、追加の依存 dask が要ります。"
            'リポジトリのフォルダで pip install ".[dask]" と打ってください'
        ) from None
    if address is not None:
        with Client(address, timeout="10s") as client:
            yield client
        return
    # 既定の 15 秒では、くり返し死ぬワーカーを、始めなおさずに外してしまいます
    dask.config.set({"distributed.deploy.lost-worker-timeout": "365d"})
    no_dashboard = {"dashboard": False, "dashboard_address": "localhost:0"}
    with contextlib.ExitStack() as stack:
        with _interrupts_held():
            cluster = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                memory_limit=0,
                scheduler_kwargs=no_dashboard,
                silence_logs=logging.CRITICAL,
            )
            client = stack.enter_context(Client(stack.enter_context(cluster)))
        try:
            yield client
        except BaseException:  # 中断です。走っているシードを待たずに、止めます
            for process in multiprocessing.active_children():
                process.kill()
            raise


@contextlib.contextmanager
def _interrupts_held():
    """Ctrl-C を止めます。このあいだに始めたプロセスとスレッドには、あとも届きません。"""
    if sys.platform == "win32":  # この仕組みがありません
        yield
        return
    multiprocessing.resource_tracker.ensure_running()  # 先に。止めたものを戻すので
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def sweep(
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    *,
    run: Run | None = None,
    read_settings: Callable[[dict], Any] = preset_of,
    jobs: int = 1,
    dask: str | None = None,
) -> list[tuple[str, int, Exception]]:
    """まだ結果のない組だけを走らせ、終わったものから記録します。失敗した組を返します。

    引数:
        settings: 記録の名前から、設定の dataclass。
        seeds: どの設定も走らせるシード。
        out: 記録を置くフォルダ。
        run: 設定とシードから結果を求める関数。None なら run_seed です。
        read_settings: 記録の一行目の設定を、設定の dataclass に戻す関数。
        jobs: 同時に走らせる数。1 なら、Dask は要りません。
        dask: Dask のスケジューラの番地。
    例外:
        ValueError: 同じ名前の記録が、違う設定で作られている。
        ImportError: Dask が要るのに、入っていない。
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out はフォルダにしてください: {out}")
    tasks = []
    for label, setting in settings.items():
        path = out / f"{label}.jsonl"
        record = load(path, read_settings) if path.exists() else Record(None, [])
        if record.preset not in (None, setting):
            raise ValueError(
                f"{path} は違う設定の記録です。別のフォルダを --out に渡してください"
            )
        done = {run["seed"] for run in record.runs}
        tasks += [(label, setting, seed) for seed in seeds if seed not in done]
    run = run or run_seed
    if tasks and (dask or jobs > 1):
        outcomes = _on_dask(run, tasks, min(jobs, len(tasks)), dask)
    else:
        outcomes = _here(run, tasks)
    failures = []
    with (
        progress_bar(total=len(tasks), desc="実験", unit="回") as bar,
        contextlib.closing(outcomes),
    ):
        for label, seed, outcome in outcomes:
            if isinstance(outcome, Exception):
                failures.append((label, seed, outcome))
                message = f"{label} シード {seed}: {type(outcome).__name__}: {outcome}"
                bar.write(message, file=sys.stderr)
            else:
                about = dataclasses.asdict(settings[label])
                append(out / f"{label}.jsonl", about, outcome)
            bar.update()
    return failures
