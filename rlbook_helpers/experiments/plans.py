"""走らせる前に決めた計画。何を、どのシードで測り、何から何を言うかを、TOML のファイルに書きます。"""

import ast
import dataclasses
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from rlbook_helpers.experiments.presets import PRESETS, PatientPreset, Preset, preset_of

FIELDS = [field.name for field in dataclasses.fields(PatientPreset)]


class Plan(NamedTuple):
    """一つの計画。"""

    texts: dict  # 問い、測るもの、検定、何から何を言うかなど。ファイルにあるすべて
    arms: dict[str, Preset]  # 腕の名前から設定
    seeds: list[int]  # どの腕も、同じシードで走らせます


def parse_seeds(text: str) -> list[int]:
    """``0-39`` や ``0,2,5-7`` を、シードのリストにします。

    例外:
        ValueError: その形でない。
    """
    well_formed = re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text)
    parts = [part.split("-") for part in text.split(",")] if well_formed else []
    ranges = [range(int(part[0]), int(part[-1]) + 1) for part in parts]
    if not ranges or not all(ranges):
        raise ValueError(f"シードは 0-39 や 0,2,5-7 のように書いてください: {text!r}")
    return list(dict.fromkeys(seed for numbers in ranges for seed in numbers))


def parse_settings(texts: Iterable[str]) -> dict:
    """``名前=値`` の並びを、Preset か PatientPreset の属性にします。

    例外:
        ValueError: ``名前=値`` の形でない、または Preset にない名前がある。
    """
    settings = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or name not in FIELDS:
            raise ValueError(
                f"設定の名前は次のどれかにしてください: {', '.join(FIELDS)}: {text!r}"
            )
        try:
            settings[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError):
            settings[name] = value  # 環境の名前などの文字列
    return settings


def find_preset(name: str, settings: dict) -> Preset:
    """プリセットに設定を重ね、走らせる前に、悪い値を断ります。

    例外:
        TypeError, ValueError: プリセットの名前がない、または設定の値が悪い。
    """
    if name not in PRESETS:
        raise ValueError(
            f"プリセットは次のどれかにしてください: {', '.join(PRESETS)}: {name!r}"
        )
    preset = preset_of(dataclasses.asdict(PRESETS[name]) | settings)
    preset.make_agent(preset.make_env(), 0)
    return preset


def load_plan(path: Path) -> Plan:
    """計画のファイルを読みます。

    例外:
        ValueError: TOML でない、要るものがない、または設定が正しくない。
    """
    try:
        texts = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        common = parse_settings(texts.get("common", "").split())
        arms = {
            arm: find_preset(texts["preset"], common | parse_settings(text.split()))
            for arm, text in texts["arms"].items()
        }
        return Plan(texts, arms, parse_seeds(texts["seeds"]))
    except KeyError as error:
        raise ValueError(f"{path} に {error} がありません") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
