"""たくさんのシードの実験を、コマンドから走らせ、まとめます。

python -m rlbook_helpers.experiments run stable --seeds 0-39 --jobs 2 --out runs
python -m rlbook_helpers.experiments summary runs
"""

import argparse
import ast
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
from tabulate import tabulate

from rlbook_helpers.presets import PRESETS, Preset
from rlbook_helpers.records import load_records, summarize
from rlbook_helpers.sweeps import sweep

FIELDS = [field.name for field in dataclasses.fields(Preset)]


def parse_seeds(text: str) -> list[int]:
    """``0-39`` や ``0,2,5-7`` を、シードのリストにします。"""
    seeds = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            numbers = range(int(first), int(last if dash else first) + 1)
            if not numbers:
                raise ValueError
            seeds += numbers
    except ValueError:
        seeds = []
    if not seeds:
        raise argparse.ArgumentTypeError(
            f"--seeds は 0-39 や 0,2,5-7 のように書いてください: {text!r}"
        )
    return list(dict.fromkeys(seeds))


def parse_settings(texts: Sequence[str]) -> dict:
    """``名前=値`` の並びを、Preset の属性にします。"""
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in FIELDS:
            raise ValueError(
                f"--set の名前は次のどれかにしてください: {', '.join(FIELDS)}: {text!r}"
            )
        try:
            settings[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError):
            settings[name] = value  # 環境の名前などの文字列
    return settings


def _run(arguments) -> int:
    settings = parse_settings(arguments.set)
    # ファイルの名前になります。--set の順にはよりません
    suffix = "".join(f",{name}={settings[name]}" for name in FIELDS if name in settings)
    suffix = suffix.replace("/", "-").replace(":", "-")
    presets = {}
    for name in arguments.presets:
        if name not in PRESETS:
            raise ValueError(
                f"プリセットは次のどれかにしてください: {', '.join(PRESETS)}: {name!r}"
            )
        preset = dataclasses.replace(PRESETS[name], **settings)
        preset.make_agent(preset.make_env(), 0)  # 悪い値を、走らせる前に断ります
        presets[name + suffix] = preset
    failures = sweep(
        presets,
        arguments.seeds,
        arguments.out,
        jobs=arguments.jobs,
        dask=arguments.dask,
    )
    return 1 if failures else 0


def _summary(arguments) -> int:
    rows = summarize(load_records(arguments.dir))
    if arguments.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    table = [
        [
            row["preset"],
            row["seeds"],
            row["solved"],
            f"{row['interquartile_mean']:.1f}",
            "-"
            if row["interval"][0] is None
            else "{:.1f} - {:.1f}".format(*row["interval"]),
            f"{row['steps']:.0f}",
            f"{row['seconds']:.1f}",
        ]
        for row in rows
    ]
    headers = ["設定", "シード", "解けた", "四分位平均", "95 % 区間", "ステップ", "秒"]
    print(tabulate(table, headers=headers, disable_numparse=True))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """コマンドを実行し、終了コードを返します。"""
    parser = argparse.ArgumentParser(
        prog="python -m rlbook_helpers.experiments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="run | summary")
    run = commands.add_parser("run", help="学習して評価する")
    run.add_argument("presets", nargs="+", metavar="PRESET", help=", ".join(PRESETS))
    run.add_argument("--seeds", type=parse_seeds, required=True, help="0-39 や 0,2,5-7")
    run.add_argument("--jobs", type=int, default=1, help="同時に走らせる数")
    run.add_argument("--out", type=Path, required=True, help="結果を置くフォルダ")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=", ".join(FIELDS),
    )
    run.add_argument("--dask", metavar="ADDRESS", help="Dask のスケジューラの番地")
    run.set_defaults(command=_run)
    summary = commands.add_parser("summary", help="結果をまとめる")
    summary.add_argument("dir", type=Path, metavar="DIR")
    summary.add_argument("--json", action="store_true")
    summary.set_defaults(command=_summary)
    arguments = parser.parse_args(argv)
    if arguments.command is _run and arguments.jobs < 1:
        parser.error(f"--jobs は 1 以上の整数にしてください: {arguments.jobs}")
    try:
        return arguments.command(arguments)
    except KeyboardInterrupt:
        print(
            "中断しました。終わった結果は残っています。同じコマンドで続けられます。",
            file=sys.stderr,
        )
        return 130
    except (
        ValueError,
        TypeError,
        OSError,
        ImportError,
        MemoryError,
        gym.error.Error,
    ) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
