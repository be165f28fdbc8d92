"""一つの設定を、たくさんのシードで走らせ、終わったものから記録します。"""

import contextlib
import dataclasses
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from rlbook_helpers.experiments import records, workers
from rlbook_helpers.experiments.files import check_names, explained, probe_file
from rlbook_helpers.experiments.presets import preset_of
from rlbook_helpers.training import progress_bar


def run_seed(preset: Any, seed: int) -> dict:
    """一つの設定を一つのシードで学習し、最後の貪欲な方策を評価します。

    評価と途中の測定は、学習とは別の環境で、重ならないシードから行います。seconds は学習だけの時間です。
    学習の環境とエージェントのシードは、preset.seeds が決めます。途中を測ったら、それが学習曲線になるので、
    エピソードごとの報酬の合計は、はじめの 10 個だけ残します。
    """
    env = preset.make_env()
    env_seed, agent_seed = preset.seeds(seed)
    agent = preset.make_agent(env, agent_seed)
    on_step = preset.watch(agent, 2_000_000 + seed)
    with threadpool_limits(1, user_api="blas"):
        start = time.perf_counter()
        record = preset.train(env, agent, env_seed, on_step)
        seconds = time.perf_counter() - start
        evaluation = preset.evaluate(agent, 1_000_000 + seed)
    points = []
    if on_step is not None:
        points, seconds = on_step.points, seconds - on_step.seconds
    return {
        "seed": seed,
        "versions": versions("numpy", "dezero", "gymnasium"),
        "steps": preset.steps or sum(record.lengths),
        "seconds": round(seconds, 2),
        "returns": _curve(record.returns, preset.curve_interval)[
            : 10 if points else None
        ],
        "checkpoints": [compact(point) for point in points],
        "evaluation": compact(evaluation.tolist()),
    }


def versions(*packages: str) -> dict[str, str]:
    """パッケージのバージョンと、プロセッサ。どれかが違えば、丸めが違い、学習の結果も変わります。"""
    return {name: version(name) for name in packages} | {"processor": processor()}


def processor() -> str:
    """プロセッサの名前と、NumPy がその上で使う計算のしかた。"""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    except OSError:  # Linux ではありません
        names = []
    name = names[0] if names else platform.processor() or platform.machine()
    kernels = {  # NumPy と SciPy が、同じものを一つずつ持つことがあります
        f"{library['internal_api']} {library.get('architecture')}"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }
    simd = np.show_config(mode="dicts").get("SIMD Extensions", {})
    return ", ".join([name, *sorted(kernels), *simd.get("found", [])[-1:]])


def _curve(returns: list[float], interval: int) -> list[float]:
    """報酬の合計を、interval 個ずつの平均にします。余りの出る終わりは、残しません。"""
    if interval == 1:
        return compact(returns)
    whole = len(returns) - len(returns) % interval
    means = np.reshape(returns[:whole], (-1, interval)).mean(axis=1)
    return [round(float(mean)) for mean in means]


def compact(values: Sequence[float]) -> list[float]:
    """記録が小さくなるように、小数点の下を 2 桁にします。0 なら、整数にします。"""
    rounded = [round(float(x), 2) for x in values]
    return [int(x) if x == int(x) else x for x in rounded]


def missing(
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    read_settings: Callable[[dict], Any] = preset_of,
) -> list[tuple]:
    """まだ結果のない (名前, 設定, シード)。結果を残せることを、走らせる前に確かめます。

    例外:
        ValueError: 記録の名前が悪い、壊れている、または違う設定で作られている。
        OSError: 記録を読めない、または out に書けない。
    """
    check_names("記録の名前", settings)
    tasks = []
    for label, setting in settings.items():
        path = out / f"{label}.jsonl"
        done: set[int] = set()
        with explained(f"{path} を読めません"):
            if path.exists():
                record = records.load(path, read_settings)
                records.refuse_other_settings(path, record.preset, setting)
                done = {run["seed"] for run in record.runs}
        if left := [(label, setting, seed) for seed in seeds if seed not in done]:
            probe_file(path)
            tasks += left
    return tasks


def sweep(
    settings: Mapping[str, Any],
    seeds: Sequence[int],
    out: Path,
    *,
    run: workers.Run | None = None,
    read_settings: Callable[[dict], Any] = preset_of,
    jobs: int = 1,
    dask: str | None = None,
) -> list[tuple[str, int, Exception]]:
    """まだ結果のない組だけを走らせ、終わったものから記録します。失敗した組を返します。

    引数:
        settings: 記録の名前から、設定の dataclass。
        seeds: どの設定も走らせるシード。
        out: 記録を置くフォルダ。ほかのプロセスが同時に使っていても、かまいません。
        run: 設定とシードから結果を求める関数。None なら run_seed です。
        read_settings: 記録の一行目の設定を、設定の dataclass に戻す関数。
        jobs: 同時に走らせる数。1 なら、Dask は要りません。
        dask: Dask のスケジューラの番地。
    例外:
        ValueError, OSError: missing と append が断った。
        ImportError: Dask が要るのに、入っていない。
    """
    out = Path(out)
    tasks = missing(settings, seeds, out, read_settings)

    def still_missing() -> Iterator[tuple]:
        for label, setting, seed in tasks:
            if seed in records.recorded_seeds(out / f"{label}.jsonl"):
                bar.update()  # ほかのプロセスが、いま記録しました
            else:
                yield label, setting, seed

    run = run or run_seed
    if tasks and (dask is not None or jobs > 1):
        outcomes = workers.on_dask(run, still_missing(), min(jobs, len(tasks)), dask)
    else:
        outcomes = workers.here(run, still_missing())
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
                path = out / f"{label}.jsonl"
                records.append(path, about, outcome, read_settings)
            bar.update()
    return failures
