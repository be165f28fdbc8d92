"""シードを、このプロセスで一つずつ、または Dask のワーカーで、走らせます。"""

import contextlib
import itertools
import logging
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

from tqdm.auto import tqdm

Run = Callable[[Any, int], dict]  # 設定とシードから、一つのシードの結果

# スレッドが多くても、一つずつ学習します。学習にかかった時間を記録するからです。
_one_at_a_time = threading.Lock()


def here(run: Run, tasks: Iterator[tuple]) -> Generator[tuple]:
    """このプロセスの中で、一つずつ走らせます。終わった順に (名前, シード, 結果か例外) を返します。"""
    for label, setting, seed in tasks:
        outcome: dict | Exception
        try:
            with _one_at_a_time:
                outcome = run(setting, seed)
        except Exception as error:  # noqa: BLE001  伝えて、ほかのシードを続けます
            outcome = error
        yield label, seed, outcome


def on_dask(
    run: Run, tasks: Iterator[tuple], jobs: int, address: str | None
) -> Generator[tuple]:
    """Dask のクラスタで走らせます。ワーカーが死ぬと、Dask が別のワーカーでやりなおします。"""
    with _connect(jobs, address) as client:
        try:
            yield from _outcomes(client, run, tasks)
        # 失敗したシードは値で届くので、ここに来るのは Dask の例外です
        except Exception as error:
            message = "Dask のスケジューラとの接続が切れました"
            raise ConnectionError(message) from error


def _outcomes(client, run: Run, tasks: Iterator[tuple]) -> Generator[tuple]:
    from distributed import KilledWorker, as_completed

    running: dict[Any, tuple] = {}
    finished = as_completed()
    while True:
        # 空いているワーカーの数だけ渡します。順番を待つシードが、死ぬワーカーに巻きこまれません
        free = max(1, sum(client.nthreads().values())) - len(running)
        for label, setting, seed in itertools.islice(tasks, max(0, free)):
            future = client.submit(_on_worker, run, setting, seed, pure=False)
            running[future] = label, seed
            finished.add(future)
        if not running:
            return
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
        try:
            client = Client(address, timeout="10s")
        except Exception as error:
            message = f"--dask の番地 {address!r} に接続できません ({error!r})"
            raise ConnectionError(message) from error
        with client:
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
