"""走らせる前に決めた計画。何を、どのシードで測り、何から何を言うかを、TOML のファイルに書きます。"""

import ast
import dataclasses
import re
import reprlib
import textwrap
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rlbook_helpers import checks
from rlbook_helpers.experiments.files import check_names
from rlbook_helpers.experiments.presets import (
    KINDS,
    PRESETS,
    PatientPreset,
    kind_of,
    preset_of,
)

FIELDS = list(
    dict.fromkeys(
        field.name
        for kind in (PatientPreset, *KINDS.values())
        for field in dataclasses.fields(kind)
    )
)
MOST_SEEDS = 1_000_000  # 一度に走らせるシードの数の上限
SEED_END = 10**18  # シードは、これより小さい数 (18 桁まで)


class Plan(NamedTuple):
    """一つの計画。"""

    texts: dict  # 問い、測るもの、検定、何から何を言うかなど。ファイルにあるすべて
    arms: dict[str, Any]  # 条件の名前から設定
    seeds: list[int]  # どの条件も、同じシードで走らせます


def parse_integer(name: str, text: str, low: int, high: int | None = None) -> int:
    """コマンドの引数 name を、``low`` 以上 ``high`` 未満の整数にします。

    例外:
        TypeError, ValueError: 半角の数字でない、または範囲の外にある。
    """
    value = int(text) if re.fullmatch("[0-9]{1,18}", text) else text[:40]
    return checks.integer(name, value, low, high)


def parse_seeds(text: str) -> list[int]:
    """``0-39`` や ``0,2,5-7`` を、シードのリストにします。

    例外:
        ValueError: その形でない、または大きすぎる。
    """
    one = "[0-9]{1,18}(-[0-9]{1,18})?"
    well_formed = re.fullmatch(f"{one}(,{one})*", text)
    parts = [part.split("-") for part in text.split(",")] if well_formed else []
    ranges = [range(int(part[0]), int(part[-1]) + 1) for part in parts]
    if not ranges or not all(ranges):
        raise ValueError(
            "シードは 0-39 や 0,2,5-7 のように、18 桁までの半角の数字で書いてください: "
            f"{reprlib.repr(text)}"
        )
    if sum(numbers.stop - numbers.start for numbers in ranges) > MOST_SEEDS:
        raise ValueError(
            f"シードは {MOST_SEEDS:,} 個までにしてください: {reprlib.repr(text)}"
        )
    return list(dict.fromkeys(seed for numbers in ranges for seed in numbers))


def parse_settings(texts: Iterable[str]) -> dict:
    """``名前=値`` の並びを、Preset などの属性にします。

    例外:
        ValueError: ``名前=値`` の形でない、長すぎる、またはどの種類の Preset にもない名前がある。
    """
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in FIELDS:
            raise ValueError(
                f"設定の名前は次のどれかにしてください: {', '.join(FIELDS)}: "
                f"{reprlib.repr(text)}"
            )
        if len(value) > 200:  # Python が読めない深さや桁数も、ここで断れます
            raise ValueError(
                f"設定 {name} の値は 200 字までにしてください: {reprlib.repr(value)}"
            )
        try:
            settings[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError):
            settings[name] = value  # 環境の名前などの文字列
    return settings


def list_settings(preset: Any) -> str:
    """計画のファイルの settings に書く、すべての設定。parse_settings の逆です。"""
    text = " ".join(f"{key}={value}" for key, value in vars(preset).items())
    return textwrap.fill(text, 88, break_on_hyphens=False)


def find_preset(name: str, settings: dict) -> Any:
    """プリセットに設定を重ね、走らせる前に、悪い値を断ります。

    例外:
        ValueError: プリセットの名前がない、または設定の値が悪い。
    """
    if name not in PRESETS:
        raise ValueError(
            f"プリセットは次のどれかにしてください: {', '.join(PRESETS)}: {name!r}"
        )
    given = ", ".join(f"{key}={value!r}" for key, value in settings.items())
    title = f"プリセット {name} (設定: {given or 'そのまま'})"
    return _usable(title, dataclasses.asdict(PRESETS[name]) | settings)


def _usable(title: str, settings: dict) -> Any:
    """環境とエージェントを作れることを、確かめた設定。"""
    try:
        preset = preset_of(settings)
        preset.make_agent(preset.make_env(), 0)
    except Exception as error:  # 環境とメモリは、どんな例外も出します
        raise ValueError(f"{title} を用意できません: {error}") from error
    return preset


def load_plan(path: Path) -> Plan:
    """計画のファイルを読みます。

    例外:
        ValueError: 読めない、TOML でない、要るものがない、または設定が正しくない。
    """
    try:
        texts = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        common = parse_settings(_text(texts, "settings").split())
        needed = [field.name for field in dataclasses.fields(kind_of(common))]
        if left := [name for name in needed if name not in common]:
            raise ValueError(
                f"settings に、次の設定も書いてください: {', '.join(left)}"
            )
        seeds = parse_seeds(_text(texts, "seeds"))
        arms = texts["arms"]
        if not isinstance(arms, dict) or not arms:
            raise ValueError(f"[arms] に条件を一つ以上書いてください: {arms!r}")
        check_names("条件の名前", arms)
        own = {arm: parse_settings(_text(arms, arm).split()) for arm in arms}
        presets = {arm: _usable(f"条件 {arm}", common | own[arm]) for arm in arms}
    except KeyError as error:
        raise ValueError(f"計画 {path} に {error} がありません") from None
    except (ValueError, TypeError, OSError, RecursionError) as error:
        raise ValueError(f"計画 {path} を使えません: {error}") from None
    return Plan(texts, presets, seeds)


def _text(table: dict, name: str) -> str:
    if not isinstance(table[name], str):
        raise TypeError(f"{name} は文字列にしてください: {table[name]!r}")
    return table[name]
