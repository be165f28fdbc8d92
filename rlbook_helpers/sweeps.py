"""たくさんのシードで学習し、結果を一つずつファイルに残し、まとめます。"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import gymnasium as gym
import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from rlbook_helpers.presets import Preset
from rlbook_helpers.statistics import bootstrap_interval, interquartile_mean
from rlbook_helpers.training import evaluate, progress_bar, train

EVALUATION_EPISODES = 100

# DeZero の設定は、プロセスに一つしかありません。一つのプロセスでは、一つずつ学習します。
_one_at_a_time = threading.Lock()


def run_seed(preset: Preset, seed: int) -> dict:
    """一つの設定を一つのシードで学習し、最後の貪欲な方策を評価します。

    評価は、学習とは別の環境で、重ならないシードから行います。
    """
    env = preset.make_env()
    agent = preset.make_agent(env, seed)
    with _one_at_a_time, threadpool_limits(1, user_api="blas"):
        start = time.perf_counter()
        record = train(
            env,
            agent,
            episodes=preset.episodes,
            steps=preset.steps,
            sync_interval=preset.sync_interval,
            seed=seed,
        )
        seconds = time.perf_counter() - start
        evaluation = evaluate(
            preset.make_env(),
            agent.greedy_action,
            episodes=EVALUATION_EPISODES,
            seed=1_000_000 + seed,
        )
    return {
        "seed": seed,
        "hyperparameters": hyperparameters(preset),
        "versions": {name: version(name) for name in ("numpy", "dezero", "gymnasium")},
        "steps": agent.replay_buffer.num_added,
        "seconds": round(seconds, 2),
        "returns": _compact(record.returns),
        "losses": [
            None if np.isnan(loss) else float(f"{loss:.3g}")
            for loss in record.average_losses
        ],
        "evaluation": _compact(evaluation.tolist()),
    }


def _compact(values: Sequence[float]) -> list[float]:
    """記録が小さくなるように、小数点の下が 0 の数は、整数にします。"""
    return [int(x) if x == int(x) else round(x, 3) for x in values]


def hyperparameters(preset: Preset) -> dict:
    """設定を、結果のファイルに書く形 (JSON の型だけ) にします。"""
    return json.loads(json.dumps(dataclasses.asdict(preset)))


def path_of(out: Path, label: str, seed: int) -> Path:
    """一つの実行の結果を置くファイル。"""
    return out / label / f"seed-{seed:04d}.json"


def save(path: Path, result: dict) -> None:
    """結果を書きます。途中で止まっても、書きかけのファイルは残りません。"""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(result, separators=(",", ":")) + "\n", "utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load(path: Path) -> dict:
    """save が書いた結果を読みます。

    例外:
        ValueError: 壊れている、または結果のファイルではない。
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        for key in ("seed", "hyperparameters", "evaluation", "steps", "seconds"):
            result[key]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"結果を読めません。消して走らせなおしてください: {path} ({error!r})"
        ) from None
    return result


def load_runs(out: Path) -> dict[str, list[dict]]:
    """フォルダの中のすべての結果を、設定ごとに、シードの順に読みます。

    例外:
        ValueError: 結果が一つもない、または読めないファイルがある。
    """
    runs = {}
    for path in sorted(Path(out).glob("*/seed-*.json")):
        runs.setdefault(path.parent.name, []).append(load(path))
    if not runs:
        raise ValueError(f"{out} に結果がありません")
    for results in runs.values():
        results.sort(key=lambda result: result["seed"])
    return runs


def summarize(runs: dict[str, list[dict]]) -> list[dict]:
    """設定ごとに、解けたシードの数、四分位平均と 95 % 信頼区間、ステップ数、時間をまとめます。"""
    rows = []
    for label, results in runs.items():
        threshold = gym.spec(results[0]["hyperparameters"]["env_id"]).reward_threshold
        if threshold is None:  # 解けたとみなす収益を決めていない環境
            threshold = np.nan
        means = np.array([np.mean(result["evaluation"]) for result in results])  # (K,)
        interval = bootstrap_interval(means, 0) if len(means) > 1 else (None, None)
        rows.append(
            {
                "preset": label,
                "seeds": len(results),
                "solved": int((means >= threshold).sum()),
                "interquartile_mean": float(interquartile_mean(means)),
                "interval": [None if x is None else float(x) for x in interval],
                "steps": float(np.median([result["steps"] for result in results])),
                "seconds": float(np.median([result["seconds"] for result in results])),
            }
        )
    return rows


# 走らせる


def _work(preset: Preset, seed: int) -> dict:
    os.environ["TQDM_DISABLE"] = "1"  # バーは、全体に一つだけ
    return run_seed(preset, seed)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _child(connection, preset: Preset, seed: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C は親が受けて、子を止めます
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        outcome = _work(preset, seed)
    except Exception as error:  # 親に伝えて、ほかのシードを続けます
        outcome = RuntimeError(f"{type(error).__name__}: {error}")
    with contextlib.suppress(OSError):  # 中断した親は、もう受けとりません
        connection.send(outcome)


def _context() -> multiprocessing.context.BaseContext:
    """import をすませたプロセスから枝分かれします。Windows では、毎回新しく始めます。"""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    resource_tracker.ensure_running()
    # import の途中で Ctrl-C を受けないように、止めたまま始めます
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    forkserver.ensure_running()
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return context


def _in_own_process(context, label: str, preset: Preset, seed: int) -> tuple:
    """一つのシードを、専用のプロセスで走らせます。プロセスが死んでも、ほかには響きません。"""
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, preset, seed), daemon=True)
    process.start()
    sender.close()
    try:
        outcome = receiver.recv()
        process.join()
    except (EOFError, OSError):  # OSError は、送っている途中に死んだとき
        process.join()
        outcome = RuntimeError(
            f"ワーカーが終了しました (終了コード {process.exitcode})"
        )
    return label, seed, outcome


def _locally(todo: Sequence[tuple], jobs: int) -> Iterator[tuple]:
    parallel = joblib.Parallel(
        n_jobs=jobs,
        backend="threading",
        return_as="generator_unordered",
        pre_dispatch=jobs,
    )
    context = _context()
    try:
        yield from parallel(
            joblib.delayed(_in_own_process)(context, *task) for task in todo
        )
    finally:
        for process in multiprocessing.active_children():
            process.terminate()


def _on_dask(todo: Sequence[tuple], address: str) -> Iterator[tuple]:
    """Dask のクラスタに渡します。ワーカーが死ぬと、Dask が別のワーカーでやりなおします。"""
    from distributed import Client, as_completed

    with Client(address, timeout="10s") as client:
        futures = {
            client.submit(_work, preset, seed, pure=False): (label, seed)
            for label, preset, seed in todo
        }
        for future in as_completed(futures):
            error = future.exception()
            yield *futures[future], future.result() if error is None else error


def sweep(
    presets: dict[str, Preset],
    seeds: Sequence[int],
    out: Path,
    *,
    jobs: int = 1,
    dask: str | None = None,
) -> list[tuple[str, int, Exception]]:
    """まだ結果のない組だけを走らせ、終わったものから書きます。失敗した組を返します。

    例外:
        ValueError: 同じ名前の結果が、違う設定で作られている。
    """
    if Path(out).exists() and not Path(out).is_dir():
        raise ValueError(f"--out はフォルダにしてください: {out}")
    todo = []
    for label, preset in presets.items():
        for seed in seeds:
            path = path_of(out, label, seed)
            if not path.exists():
                todo.append((label, preset, seed))
            elif load(path)["hyperparameters"] != hyperparameters(preset):
                raise ValueError(
                    f"{path} は違う設定の結果です。別のフォルダを --out に渡してください"
                )
    failures = []
    outcomes = _on_dask(todo, dask) if dask and todo else _locally(todo, jobs)
    with progress_bar(total=len(todo), desc="実験", unit="回") as bar:
        for label, seed, outcome in outcomes:
            if isinstance(outcome, Exception):
                failures.append((label, seed, outcome))
                bar.write(f"{label} シード {seed}: {outcome}", file=sys.stderr)
            else:
                save(path_of(out, label, seed), outcome)
            bar.update()
    return failures
