"""たくさんのシードの実験を、コマンドから走らせ、まとめます。

python -m rlbook_helpers.experiments run stable --seeds 0-39 --jobs 2 --out runs
python -m rlbook_helpers.experiments plan plans/04_target_network.toml --jobs 2 --out runs
python -m rlbook_helpers.experiments settings stable --set gamma=0.995
python -m rlbook_helpers.experiments policy lander --seed 60 --at 50000 200000 --out policies
python -m rlbook_helpers.experiments certificate my_dqn.py --seeds 70000-70019 --jobs 2
python -m rlbook_helpers.experiments summary runs
python -m rlbook_helpers.experiments repair runs/stable.jsonl
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
from tabulate import tabulate

from rlbook_helpers import checks
from rlbook_helpers.experiments import plans, policies
from rlbook_helpers.experiments.certificate import certify
from rlbook_helpers.experiments.files import check_names, explained, probe
from rlbook_helpers.experiments.presets import PRESETS
from rlbook_helpers.experiments.records import load_readable, summarize
from rlbook_helpers.experiments.repairs import repair
from rlbook_helpers.experiments.sweeps import missing, sweep

PROGRAM = "python -m rlbook_helpers.experiments"
MOST_JOBS = 256  # プロセスの数です。一つが 100 MB を超えるメモリを使います
# 引数の誤りや、計算機の都合。一文にして伝えます
REPORTED = (ValueError, TypeError, OSError, ImportError, MemoryError, gym.error.Error)


def _run(arguments) -> int:
    settings = plans.parse_settings(arguments.set)
    # ファイルの名前になります。--set の順にはよりません
    named = [name for name in plans.FIELDS if name in settings]
    suffix = "".join(f",{name}={settings[name]}" for name in named)
    suffix = suffix.replace("/", "-").replace(":", "-")
    presets = {
        name + suffix: plans.find_preset(name, settings) for name in arguments.presets
    }
    seeds = plans.parse_seeds(arguments.seeds)
    return _sweep([(presets, seeds, arguments.out)], arguments)


def _plan(arguments) -> int:
    found, errors = {}, []
    for file in arguments.files:
        try:
            found[file] = plans.load_plan(file)
        except ValueError as error:
            errors.append(str(error))
    if errors:
        raise ValueError("\n".join(errors))
    check_names("計画の名前", [file.stem for file in arguments.files])
    known = dict.fromkeys(arm for plan in found.values() for arm in plan.arms)
    for arm in arguments.arm:
        checks.choice("--arm", arm, tuple(known))
    sweeps = []
    for file, plan in found.items():
        arms = [arm for arm in plan.arms if arm in (arguments.arm or known)]
        presets = {arm: plan.arms[arm] for arm in arms}
        sweeps.append((presets, plan.seeds, arguments.out / file.stem))
    return _sweep(sweeps, arguments)


def _sweep(sweeps: list[tuple], arguments) -> int:
    jobs = plans.parse_integer("--jobs", arguments.jobs, 1, MOST_JOBS + 1)
    for planned in sweeps:  # どれも走らせられることを、走らせる前に確かめます
        missing(*planned)
    failures = [sweep(*planned, jobs=jobs, dask=arguments.dask) for planned in sweeps]
    return 1 if any(failures) else 0


def _settings(arguments) -> int:
    settings = plans.parse_settings(arguments.set)
    print(plans.list_settings(plans.find_preset(arguments.preset, settings)))
    return 0


def _policy(arguments) -> int:
    seed = plans.parse_integer("--seed", arguments.seed, 0, plans.SEED_END)
    at = [plans.parse_integer("--at", step, 1) for step in arguments.at]
    preset = plans.find_preset(arguments.preset, plans.parse_settings(arguments.set))
    folder = arguments.out / arguments.preset
    probe(folder)
    with explained(f"{folder} に書けません"):
        paths = policies.record(preset, seed, at, folder)
    for path in paths:
        print(path)
    return 0


def _certificate(arguments) -> int:
    page, results = certify(
        arguments.file,
        plans.parse_seeds(arguments.seeds),
        env_id=arguments.env,
        steps=plans.parse_integer("--steps", arguments.steps, 1),
        jobs=plans.parse_integer("--jobs", arguments.jobs, 1, MOST_JOBS + 1),
        out=arguments.out,
    )
    print(f"{results.seeds} 個のうち {results.solved} 個のシードで解けました: {page}")
    return 1 if results.failed else 0


def _summary(arguments) -> int:
    records, errors = load_readable(arguments.dir)
    rows = []
    for label, record in records.items():
        try:
            rows += summarize({label: record})
        except ValueError as error:
            errors.append(error)
    if not rows and not errors:
        raise ValueError(f"{arguments.dir} に結果がありません")
    _tell(errors)
    if arguments.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    elif rows:
        _print_table(rows)
    return 1 if errors else 0


def _print_table(rows: list[dict]) -> None:
    table = []
    for row in rows:
        low, high = row["interval"]
        interval = "-" if low is None else f"{low:.1f} - {high:.1f}"
        numbers = [row["interquartile_mean"], interval, row["steps"], row["seconds"]]
        table.append([row["preset"], row["seeds"], row["solved"], *numbers])
    headers = ["設定", "シード", "解けた", "四分位平均", "95 % 区間", "ステップ", "秒"]
    print(tabulate(table, headers=headers, floatfmt=".1f"))


def _repair(arguments) -> int:
    errors = []
    for file in arguments.files:
        try:
            print(repair(file))
        except (ValueError, OSError) as error:
            errors.append(error)
    _tell(errors)
    return 1 if errors else 0


def _tell(errors: Sequence[Exception]) -> None:
    for error in errors:
        print(f"{PROGRAM}: {error}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """コマンドを実行し、終了コードを返します。"""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        required=True,
        metavar="run | plan | settings | policy | certificate | summary | repair",
    )
    settings = ", ".join(plans.FIELDS)
    run = commands.add_parser("run", help="学習して評価する")
    run.add_argument("presets", nargs="+", metavar="PRESET", help=", ".join(PRESETS))
    run.add_argument("--seeds", required=True, help="0-39 や 0,2,5-7")
    plan = commands.add_parser("plan", help="計画のとおりに走らせる")
    plan.add_argument("files", type=Path, nargs="+", metavar="FILE", help="計画の TOML")
    plan.add_argument("--arm", action="append", default=[], help="走らせる条件")
    for command, function in ((run, _run), (plan, _plan)):
        command.add_argument("--jobs", default="1", help="同時に走らせる数")
        command.add_argument(
            "--out", type=Path, required=True, help="結果を置くフォルダ"
        )
        command.add_argument(
            "--dask", metavar="ADDRESS", help="Dask のスケジューラの番地"
        )
        command.set_defaults(command=function)
    listed = commands.add_parser("settings", help="計画に書く、すべての設定を見せる")
    listed.add_argument("preset", metavar="PRESET", help=", ".join(PRESETS))
    listed.set_defaults(command=_settings)
    policy = commands.add_parser("policy", help="一つのシードの方策を残す")
    policy.add_argument("preset", metavar="PRESET", help=", ".join(PRESETS))
    policy.add_argument("--seed", required=True)
    policy.add_argument(
        "--at", nargs="+", required=True, metavar="STEP", help="残すステップ"
    )
    policy.add_argument("--out", type=Path, required=True, help="方策を置くフォルダ")
    policy.set_defaults(command=_policy)
    for command in (run, listed, policy):
        command.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help=settings
        )
    certificate = commands.add_parser(
        "certificate", help="自分のプログラムを学習させ、証明書のページを作る"
    )
    certificate.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="make_agent(seed) か program と、あれば train_agent(env, agent) を定義したファイル",
    )
    certificate.add_argument("--seeds", required=True, help="新しいシード。0-19 など")
    certificate.add_argument("--env", default="CartPole-v1", help="環境の名前")
    certificate.add_argument("--steps", default="25000", help="学習のステップ数")
    certificate.add_argument("--jobs", default="1", help="同時に走らせる数")
    certificate.add_argument(
        "--out", type=Path, default=Path("certificate"), help="ページを置くフォルダ"
    )
    certificate.set_defaults(command=_certificate)
    summary = commands.add_parser("summary", help="結果をまとめる")
    summary.add_argument("dir", type=Path, metavar="DIR")
    summary.add_argument("--json", action="store_true")
    summary.set_defaults(command=_summary)
    mend = commands.add_parser("repair", help="壊れた行を、記録から別のファイルに移す")
    mend.add_argument("files", type=Path, nargs="+", metavar="FILE", help="記録")
    mend.set_defaults(command=_repair)
    arguments = parser.parse_args(argv)
    try:
        return arguments.command(arguments)
    except KeyboardInterrupt:
        print(
            "中断しました。終わった結果は残っています。同じコマンドで続けられます。",
            file=sys.stderr,
        )
        return 130
    except REPORTED as error:
        _tell([error])
        return 2


if __name__ == "__main__":
    sys.exit(main())
