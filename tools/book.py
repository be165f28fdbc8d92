"""Build the HTML from nothing; return at once while neither its inputs nor its files have changed.

No times are compared, and nothing of another build is used: what stands in _build/html is always
what a fresh clone would build.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from front_page import DOWNLOADS
from site_files import files_of_the_book

BUILD = ROOT / "_build"
HTML, STAMP = BUILD / "html", BUILD / ".passed"
ADDRESSES = ("SITE_URL", "REPOSITORY_URL")
# -W: fail on warnings; --keep-going: but show all of them; -n: warn of missing link targets too;
# -q, and no output: show only warnings.
# Not the script jupyter-book: pip's scripts do not start below a folder with " or $ in its name.
COMMAND = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
COMMAND += "build . -W -n --keep-going -q".split()


def digest(files: Iterable[Path]) -> str:
    """Digest of the names, permissions and contents of these files."""
    total = hashlib.sha256()
    for file in files:
        data = file.read_bytes()
        name = file.relative_to(ROOT).as_posix()
        total.update(f"{name} {file.stat().st_mode} {len(data)}\n".encode() + data)
    return total.hexdigest()


def state() -> str:
    """Digests of all that a build depends on, and of all that it has made."""
    others = [ROOT / ".venv" / "installed"]
    addresses = [os.environ.get(name, "") for name in ADDRESSES]
    if any(addresses):  # only a published book offers them
        others += DOWNLOADS.values()
    others = [file for file in others if file.is_file()]
    made = sorted(file for file in HTML.rglob("*") if file.is_file())
    return f"{digest([*files_of_the_book(), *others])} {addresses} {digest(made)}"


def main() -> int:
    if STAMP.is_file() and STAMP.read_bytes() == state().encode():
        return 0
    STAMP.unlink(missing_ok=True)
    for made in (HTML, BUILD / ".doctrees"):
        shutil.rmtree(made, ignore_errors=True)
    for translation in (ROOT / "book" / "locale").rglob("*.mo"):  # Sphinx compiles them
        translation.unlink()
    if subprocess.run(
        COMMAND, cwd=ROOT, stdout=subprocess.DEVNULL, check=False
    ).returncode:
        return 1
    STAMP.write_bytes(state().encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
