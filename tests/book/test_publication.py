"""The site as it is published: its size, its zip, and notebooks without their package."""

import shutil
import subprocess
import sys
import zipfile

import pytest

import site_files  # book/_ext/site_files.py
from built import HTML, ROOT, cells_of, each_chapter


def test_site_is_small():
    size = sum(path.stat().st_size for path in HTML.rglob("*") if path.is_file())
    assert size <= 20_000_000


@each_chapter
def test_notebook_without_the_package_says_what_to_install(chapter, tmp_path):
    """The error of its first cell ends with one sentence."""
    first = next(cell for cell in cells_of(chapter) if cell["cell_type"] == "code")
    program = 'import sys; sys.modules["rlbook_helpers"] = None\n' + "".join(
        first["source"]
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONUTF8": "1"},
    )
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ModuleNotFoundError: ") and last.count("。") == 1
    assert "rlbook_helpers" in last and "pip install" in last and site_files.ZIP in last


def test_zip_holds_the_files_of_the_repository():
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not in a git repository")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    tracked = {name for name in listing.stdout.decode().split("\0") if name}
    with zipfile.ZipFile(HTML / site_files.ZIP) as archive:
        packed = {name.partition("/")[2]: name for name in archive.namelist()}
        assert {name for name in tracked if (ROOT / name).exists()} <= set(packed)
        for name in tracked & set(packed):
            assert archive.read(packed[name]) == (ROOT / name).read_bytes(), name
