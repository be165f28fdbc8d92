# サイトから開いた章が、本の部品とデータを、サイトから入れます
import io
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

SITE = ""
if not (find_spec("rlbook_helpers") and Path("data").is_dir()):
    print("本の部品とデータを入れています。1 分ほどかかります。")
    try:
        with urlopen(f"{SITE}dezero-dqn.zip", timeout=60) as answer:
            zipfile.ZipFile(io.BytesIO(answer.read())).extractall()
    except Exception as error:  # noqa: BLE001  どんな理由でも、一文で伝えます
        raise RuntimeError(
            "本のファイルをダウンロードできなかったので、ネットワークの接続を確かめて、"
            f"このセルをもう一度実行してください（{error}）。"
        ) from None
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    done = subprocess.run(
        [*pip, "./dezero-dqn[lander]"], check=False, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stderr)
        raise RuntimeError(
            "pip で入れられなかったので、上の pip のメッセージを確かめて、"
            "このセルをもう一度実行してください。"
        )
    for folder in ("plans", "data"):
        shutil.copytree(f"dezero-dqn/chapters/{folder}", folder, dirs_exist_ok=True)
