"""ほかのプロセスやほかの計算機と同じフォルダに、何も失わずに書くための道具です。"""

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from filelock import FileLock

PATIENCE = 60  # ほかのプロセスが書きおえるのを待つ、いちばん長い時間 (秒)

# Windows では、con などの装置の名前と、. や空白で終わる名前も使えません
_NAME = re.compile(
    r"(?!\.|(con|prn|aux|nul|com\d|lpt\d)(\.|$))"
    r"""[^\x00-\x1f\x7f<>:"/\\|?*]+(?<![. ])""",
    re.IGNORECASE,
)


def check_names(what: str, names: Iterable[str]) -> None:
    """どの OS でもファイルの名前になり、たがいに区別できることを確かめます。

    例外:
        ValueError: 使えない名前がある、または大文字と小文字のほかに違いがない名前がある。
    """
    seen: dict[str, str] = {}
    for name in names:
        too_long = len(f"{name}.jsonl".encode(errors="replace")) > 255
        if too_long or not _NAME.fullmatch(name):
            raise ValueError(
                f"{what}は、どの OS でもファイルの名前になるもの (249 バイトまで、"
                f'. で始まらず、/ \\ < > : " | ? * がない) にしてください: {name!r}'
            )
        if name.lower() in seen:
            raise ValueError(
                f"{what}は、大文字と小文字のほかにも違うものにしてください: "
                f"{seen[name.lower()]!r} と {name!r}"
            )
        seen[name.lower()] = name


@contextlib.contextmanager
def explained(sentence: str) -> Iterator[None]:
    """OSError を、何ができなかったかの一文にします。"""
    try:
        yield
    except OSError as error:
        raise OSError(f"{sentence} ({error})") from error


def locked(folder: Path) -> FileLock:
    """フォルダのロック。プロセスが死ねば OS が外すので、残るファイル .lock は、じゃまになりません。"""
    return FileLock(folder / ".lock", timeout=PATIENCE)


def probe(folder: Path) -> None:
    """フォルダがなければ作り、書けることを、走らせる前に確かめます。

    例外:
        OSError: 作れない、または書けない。
    """
    with explained(f"{folder} に書けません。書けるフォルダを --out に渡してください"):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(100_000))  # 百のシードの記録の大きさ


def probe_file(path: Path) -> None:
    """ファイルの終わりに足せることを、走らせる前に確かめます。なければ、作らずにおきます。

    例外:
        OSError: フォルダかファイルに書けない、またはフォルダをロックできない。
    """
    probe(path.parent)
    with explained(f"{path} に書けません"), locked(path.parent):
        if os.path.lexists(path):
            path.open("ab").close()


def extend(file: io.FileIO, data: bytes) -> None:
    """ファイルの終わりに足します。途中で止まったら、もとの長さに戻します。"""
    end = file.seek(0, os.SEEK_END)
    try:
        while data:
            data = data[file.write(data) :]
    except BaseException:
        file.truncate(end)
        raise
