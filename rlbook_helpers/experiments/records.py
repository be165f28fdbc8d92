"""実験の結果を、一つの設定に一つの JSON Lines のファイルで残し、読み、まとめます。

一行目は、設定とライブラリのバージョンです。二行目からは、一行が一つのシードの結果です。
"""

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.experiments.presets import preset_of
from rlbook_helpers.experiments.statistics import bootstrap_interval, interquartile_mean


class Record(NamedTuple):
    """一つの設定の記録。シードごとの結果 runs は、シードの順。何もなければ、設定 preset は None。"""

    preset: Any  # Preset。ほかのプログラムの記録 (benchmarks/peers.py) では、その設定
    runs: list[dict]


def append(path: Path, settings: dict, run: dict) -> None:
    """一つのシードの結果を、終わりに足します。新しいファイルには、設定の行を先に書きます。

    バージョンは、設定の行と違うときだけ、結果の行にも書きます。書きかけで終わる行は、切ります。
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"settings": settings, "versions": run["versions"]}
    header["date"] = f"{datetime.date.today()}"
    with path.open("a+b") as file:
        file.seek(0)
        *lines, torn = file.read().split(b"\n")
        file.truncate(file.tell() - len(torn))
        versions = json.loads(lines[0])["versions"] if lines else run["versions"]
        if run["versions"] == versions:
            run = {name: value for name, value in run.items() if name != "versions"}
        for new in [run] if lines else [header, run]:
            file.write(json.dumps(new, separators=(",", ":")).encode() + b"\n")


def read(path: Path) -> tuple[dict, list[dict]]:
    """append が書いたファイルの設定と、シードの順の結果を読みます。書きかけで終わる行は、読みません。

    例外:
        ValueError: ほかの行が壊れている、要る数がない、または数でない。
    """
    settings, versions, runs = {}, None, {}
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            entry = json.loads(line)
            if number == 1:
                versions, settings = entry["versions"], dict(entry["settings"])
                continue
            checks.integer("seed", entry["seed"], 0)
            checks.integer("steps", entry["steps"], 0)
            checks.number("seconds", entry["seconds"])
            evaluation = checks.array("evaluation", entry["evaluation"])
            if evaluation.ndim != 1 or not evaluation.size:
                raise ValueError("evaluation は 1 個以上の数のリストにしてください")
            if entry["seed"] in runs:
                raise ValueError(f"シード {entry['seed']} が二度あります")
            runs[entry["seed"]] = {"versions": versions, "checkpoints": [], **entry}
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise _unreadable(path, number, error) from None
    return settings, [runs[seed] for seed in sorted(runs)]


def load(path: Path, read_settings: Callable[[dict], Any] = preset_of) -> Record:
    """sweep の記録を読みます。read_settings は、一行目の設定から preset を作る関数です。

    例外:
        ValueError: 壊れた行がある、または設定に Preset の知らない名前や値がある。
    """
    settings, runs = read(path)
    try:
        return Record(read_settings(settings) if settings else None, runs)
    except (ValueError, TypeError) as error:
        raise _unreadable(path, 1, error) from None


def _unreadable(path: Path, number: int, error: Exception) -> ValueError:
    what = "ファイル" if number == 1 else "その行"
    return ValueError(
        f"{path} の {number} 行目を読めません。{what}を消して、走らせなおしてください ({error!r})"
    )


def load_records(folder: Path) -> dict[str, Record]:
    """フォルダの中のすべての記録を、設定の名前の順に読みます。

    例外:
        ValueError: 結果が一つもない、または読めないファイルがある。
    """
    paths = sorted(Path(folder).glob("*.jsonl"), key=lambda path: path.stem)
    records = {path.stem: record for path in paths if (record := load(path)).runs}
    if not records:
        raise ValueError(f"{folder} に結果がありません")
    return records


def summarize(records: dict[str, Record]) -> list[dict]:
    """設定ごとに、解けたシードの数、四分位平均と 95 % 信頼区間、ステップ数、時間をまとめます。"""
    rows = []
    for label, (preset, runs) in records.items():
        threshold = gym.spec(preset.env_id).reward_threshold
        if threshold is None:  # 解けたとみなす報酬の合計を決めていない環境
            threshold = np.nan
        means = np.array([np.mean(run["evaluation"]) for run in runs])  # (K,)
        interval = bootstrap_interval(means, 0) if len(means) > 1 else (None, None)
        rows.append(
            {
                "preset": label,
                "seeds": len(runs),
                "solved": int((means >= threshold).sum()),
                "interquartile_mean": float(interquartile_mean(means)),
                "interval": [None if x is None else float(x) for x in interval],
                "steps": float(np.median([run["steps"] for run in runs])),
                "seconds": float(np.median([run["seconds"] for run in runs])),
            }
        )
    return rows
