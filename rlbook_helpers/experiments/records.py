"""実験の結果を、一つの設定に一つの JSON Lines のファイルで残し、読み、まとめます。

一行目は、設定とライブラリのバージョンです。二行目からは、一行が一つのシードの結果です。評価 evaluation では、続く
同じ数を [数, 個数] と書きます。
"""

import datetime
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from rlbook_helpers import checks
from rlbook_helpers.experiments.files import explained, extend, locked
from rlbook_helpers.experiments.presets import preset_of
from rlbook_helpers.experiments.statistics import bootstrap_interval, interquartile_mean

ReadSettings = Callable[[dict], Any]  # 一行目の設定から、preset を作る関数


class Record(NamedTuple):
    """一つの設定の記録。シードごとの結果 runs は、シードの順。何もなければ、設定 preset は None。"""

    preset: Any  # Preset。ほかのプログラムの記録 (benchmarks/peers.py) では、その設定
    runs: list[dict]


class Scan(NamedTuple):
    """ファイルの、改行で終わる行。書きかけで終わる行は、ないものとします。"""

    header: dict  # 一行目の settings と versions。なければ空
    runs: dict[int, dict]  # シードから結果
    kept: list[bytes]  # 読める行
    damaged: list[tuple[int, bytes, Exception]]  # 読めない行の番号、中身、わけ


def append(
    path: Path, settings: dict, run: dict, read_settings: ReadSettings = preset_of
) -> None:
    """一つのシードの結果を、終わりに足します。新しいファイルには、設定の行を先に書きます。

    もうあるシードは、ほかのプロセスが先に記録したものなので、足しません。バージョンは、設定の行と違うときだけ、
    結果の行にも書きます。書きかけで終わる行は、切ります。

    例外:
        ValueError: 違う設定の記録である、または設定の行を読めない。
        OSError: 書けない。それまでの行は残り、書きかけの行は残りません。
    """
    header = {"settings": settings, "versions": run["versions"]}
    header["date"] = f"{datetime.date.today()}"
    with explained(f"{path} に書けません。それまでの結果は残っています"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent), path.open("a+b", buffering=0) as file:
            file.seek(0)
            data = file.read()
            found = scan(data)
            recorded = _preset(path, found, read_settings)
            if found.header:
                refuse_other_settings(path, recorded, read_settings(settings))
            if run["seed"] in found.runs:
                return
            run = {**run, "evaluation": packed(run["evaluation"])}
            if run["versions"] == (found.header or header)["versions"]:
                del run["versions"]
            new = [run] if found.header else [header, run]
            lines = [json.dumps(line, separators=(",", ":")) + "\n" for line in new]
            file.truncate(data.rfind(b"\n") + 1)
            extend(file, "".join(lines).encode())


def refuse_other_settings(path: Path, recorded, wanted) -> None:
    """記録が、走らせる設定のものか、まだ空 (None) であることを確かめます。

    例外:
        ValueError: 違う設定である。
    """
    if recorded not in (None, wanted):
        raise ValueError(
            f"{path} は違う設定の記録です。別のフォルダを --out に渡してください"
        )


def scan(data: bytes) -> Scan:
    """ファイルの中身を、読める行と読めない行に分けます。"""
    found = Scan({}, {}, [], [])
    ours = True
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        try:
            entry = json.loads(line)
            if number == 1:
                settings = dict(entry["settings"])
                found.header.update(settings=settings, versions=entry["versions"])
            elif "settings" in entry:  # ほかのファイルが、つないであります
                ours = entry == {**entry, **found.header}
                raise ValueError("設定の行が二度あります")
            elif not ours:
                raise ValueError("違う設定の行より後にあります")
            else:
                run = {"versions": found.header["versions"], "checkpoints": [], **entry}
                run["evaluation"] = unpacked(run["evaluation"])
                found.runs[_new_seed(run, found.runs)] = run
            found.kept.append(line)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            found.damaged.append((number, line, error))
    return found


def packed(values: list) -> list:
    """続く同じ数をまとめます。[500, 500, 9] は、[[500, 2], 9] になります。"""
    groups = [(value, len([*group])) for value, group in itertools.groupby(values)]
    return [value if count == 1 else [value, count] for value, count in groups]


def unpacked(values: list) -> list:
    """packed の逆です。

    例外:
        ValueError, TypeError: packed の書いたものではない。
    """
    numbers = []
    for value in values:
        number, count = value if isinstance(value, list) else (value, 1)
        numbers += [number] * checks.integer("evaluation の個数", count, 1, 10_000)
    return numbers


def _new_seed(run: dict, others: dict[int, dict]) -> int:
    """要る数のある、新しいシードの結果であることを確かめて、シードを返します。"""
    seed = checks.integer("seed", run["seed"], 0)
    checks.integer("steps", run["steps"], 0)
    checks.number("seconds", run["seconds"])
    evaluation = checks.array("evaluation", run["evaluation"])
    if evaluation.ndim != 1 or not evaluation.size:
        raise ValueError("evaluation は 1 個以上の数のリストにしてください")
    if seed in others:
        raise ValueError(f"シード {seed} が二度あります")
    return seed


def _preset(path: Path, found: Scan, read_settings: ReadSettings):
    """一行目の設定。まだ何もなければ None。"""
    if not found.header:
        refuse_damage(path, found)
        return None
    try:
        return read_settings(found.header["settings"])
    except (ValueError, TypeError) as error:
        raise _unreadable(path, 1, error) from None


def refuse_damage(path: Path, found: Scan) -> None:
    """壊れた行があれば、はじめの一行を名指しして断ります。

    例外:
        ValueError: 壊れた行がある。
    """
    for number, _, error in found.damaged:
        raise _unreadable(path, number, error)


def _unreadable(path: Path, number: int, error: Exception) -> ValueError:
    advice = (
        "ほかの行は使えます。読めない行は、次のコマンドで別のファイルに移せます: "
        f'python -m rlbook_helpers.experiments repair "{path}"'
    )
    if number == 1:
        advice = (
            "設定の行は、ほかの行からは作れません。新しい版の記録なら、その版で読んでください。"
            "壊れたのなら、バージョン管理などから戻すか、別のフォルダを --out に渡してください"
        )
    return ValueError(f"{path} の {number} 行目を読めません ({error!r})。{advice}")


def _intact(path: Path) -> tuple[Scan, list[dict]]:
    """壊れた行のないファイルと、シードの順の結果。"""
    found = scan(path.read_bytes())
    refuse_damage(path, found)
    return found, [found.runs[seed] for seed in sorted(found.runs)]


def read(path: Path) -> tuple[dict, list[dict]]:
    """append が書いたファイルの設定と、シードの順の結果を読みます。書きかけで終わる行は、読みません。

    例外:
        ValueError: ほかの行が壊れている、要る数がない、または数でない。
    """
    found, runs = _intact(path)
    return found.header.get("settings", {}), runs


def recorded_seeds(path: Path) -> set[int]:
    """いま記録にあるシード。読めない行にあるものは、数えません。"""
    try:
        return set(scan(path.read_bytes()).runs)
    except OSError:  # まだない。または読めないことを、append が伝えます
        return set()


def load(path: Path, read_settings: ReadSettings = preset_of) -> Record:
    """sweep の記録を読みます。read_settings は、一行目の設定から preset を作る関数です。

    例外:
        ValueError: 壊れた行がある、または設定に Preset の知らない名前や値がある。
    """
    found, runs = _intact(path)
    return Record(_preset(path, found, read_settings), runs)


def load_readable(folder: Path) -> tuple[dict[str, Record], list[Exception]]:
    """フォルダの中の、結果のある記録を設定の名前の順に読み、読めなかったわけと一緒に返します。"""
    records: dict[str, Record] = {}
    errors: list[Exception] = []
    for path in sorted(Path(folder).glob("*.jsonl"), key=lambda path: path.stem):
        try:
            with explained(f"{path} を読めません"):
                record = load(path)
        except (ValueError, OSError) as error:
            errors.append(error)
        else:
            if record.runs:
                records[path.stem] = record
    return records, errors


def load_records(folder: Path) -> dict[str, Record]:
    """フォルダの中のすべての記録を、設定の名前の順に読みます。

    例外:
        ValueError: 結果が一つもない、または壊れたファイルがある。
        OSError: 読めないファイルがある。
    """
    records, errors = load_readable(folder)
    for error in errors:
        raise error
    if not records:
        raise ValueError(f"{folder} に結果がありません")
    return records


def summarize(records: dict[str, Record]) -> list[dict]:
    """設定ごとに、解けたシードの数、四分位平均と 95 % 信頼区間、ステップ数、時間をまとめます。

    例外:
        ValueError: 設定の環境が、ここにはない。
    """
    rows = []
    for label, (preset, runs) in records.items():
        try:
            threshold = gym.spec(preset.env_id).reward_threshold
        except (gym.error.Error, TypeError) as error:
            message = (
                f"{label} の環境 {preset.env_id!r} が、ここにはありません ({error})"
            )
            raise ValueError(message) from None
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
