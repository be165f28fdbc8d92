"""壊れた行のある記録を、何も捨てずに、また読めるようにします。"""

import shutil
from pathlib import Path

from rlbook_helpers.experiments.files import explained, extend, locked
from rlbook_helpers.experiments.records import refuse_damage, scan


def repair(path: Path) -> str:
    """読めない行を、そのまま「名前.damaged」のファイルに移し、したことを一文で返します。

    例外:
        ValueError: 設定の行を読めない。何も変えません。
        OSError: 読めない、または書けない。
    """
    damaged = path.with_name(f"{path.name}.damaged")
    temporary = path.with_name(f"{path.name}.tmp")
    with explained(f"{path} を直せません"):
        path.open("rb").close()  # なければ、フォルダに .lock を作る前に断ります
        with locked(path.parent):
            data = path.read_bytes()
            unended = b"\n" in data and not data.endswith(b"\n")
            found = scan(data + b"\n" * unended)
            if not found.header:
                refuse_damage(path, found)
            moved = b"".join(line + b"\n" for _, line, _ in found.damaged)
            if not moved and not unended:
                return f"{path} に壊れた行はありません。何も変えていません。"
            try:
                temporary.write_bytes(b"".join(line + b"\n" for line in found.kept))
                shutil.copymode(path, temporary)
                if moved:
                    with damaged.open("ab", buffering=0) as file:
                        extend(file, moved)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    if not moved:
        return f"{path} の最後の行を、改行で終わらせました。"
    return (
        f"{path} の壊れた {len(found.damaged)} 行を {damaged} に移しました。"
        f"{len(found.runs)} 個のシードの結果が残っています。"
    )
