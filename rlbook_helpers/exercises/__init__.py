"""演習の答えを、手もとで確かめます。``check("2.4", 答え)`` は、正しいかどうかを一文で印刷します。

答えそのものは、教えません。性質と、隠した入力で調べ、よくあるまちがいには、それに合った一文を返します。
"""

import importlib
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from rlbook_helpers.exercises.answers import Reply

CHAPTERS = (*"123456789", "10")
# 読者のコードではない所。例外がどの行で出たかを探すときに、読みとばします
_NOT_THE_READERS = (str(Path(__file__).parents[1]), sysconfig.get_path("stdlib"))


def exercises(chapter: str) -> dict[str, Callable]:
    """章の演習の番号から、答えを調べる関数。正しければ None、違えば一文を返します。

    その章のモジュールだけを読みこみます。SciPy や診療所を、要らない章で待たせないためです。
    """
    return importlib.import_module(f"{__name__}.chapter{chapter}").EXERCISES


def check(number: str | float, answer) -> None:
    """演習の答えを調べて、正しいか、どこが違うかを、一文で印刷します。

    引数:
        number: 演習の番号。たとえば "2.4"。
        answer: 答え。何を渡すか (数、組、関数、クラス) は、演習に書いてあります。
    例外:
        ValueError: その番号の演習がない。
    """
    number = str(number)  # 2.4 と書いても、"2.4" のことです
    chapter = number.partition(".")[0]
    found = exercises(chapter) if chapter in CHAPTERS else {}
    if number not in found:
        known = ", ".join(name for k in CHAPTERS for name in exercises(k))
        raise ValueError(f"number は演習の番号にしてください ({known}): {number!r}")
    try:
        with threadpool_limits(1, user_api="blas"), np.errstate(all="ignore"):
            sentence = found[number](answer)
    except Reply as reply:
        sentence = str(reply)
    except Exception as error:  # noqa: BLE001  読者のコードからは、何でも出ます
        sentence = _exception(error)
    print(f"演習 {number}: {sentence or '正解です。'}")


def _exception(error: Exception) -> str:
    """読者のコードが出した例外を、その行とともに伝える一文。"""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [
        frame.line
        for frame in frames
        if frame.line
        and "site-packages" not in frame.filename
        and not frame.filename.startswith(_NOT_THE_READERS)
    ]
    where = f"「{lines[-1]}」で" if lines else ""
    text = str(error).replace("\n", " ")
    return f"渡した答えを動かすと、{where}例外 {type(error).__name__} が出ました ({text})。"
