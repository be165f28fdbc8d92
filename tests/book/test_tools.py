"""Errors of the tools: a clear message, and nothing left half done."""

import ast
import os
import subprocess
import sys
import types
import venv

import pytest

import bootstrap
import execute
from built import ROOT

# tools/bootstrap.py


def test_old_pythons_can_parse_bootstrap():
    tree = ast.parse((ROOT / "tools" / "bootstrap.py").read_text(encoding="utf-8"))
    too_new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Match)
    for node in ast.walk(tree):
        assert not isinstance(node, too_new), node.lineno
        assert not getattr(node, "annotation", None), node.lineno
        assert not getattr(node, "returns", None), node.lineno
        assert not getattr(node, "kwonlyargs", None), node.lineno


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A project without requirements; the Python of its .venv is this one."""
    for name in ("requirements.txt", "pyproject.toml", "tools/bootstrap.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(bootstrap, "ROOT", str(tmp_path))
    monkeypatch.setattr(bootstrap, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(bootstrap, "STAMP", str(tmp_path / ".venv" / "installed"))
    monkeypatch.setattr(bootstrap, "PYTHON", sys.executable)
    monkeypatch.setattr(
        venv.EnvBuilder, "create", lambda _, path: os.makedirs(path, exist_ok=True)
    )
    # Ignore the pip configuration of this machine.
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens
    monkeypatch.setenv("PIP_RETRIES", "1")
    for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def refusal(capsys) -> str:
    """The last line that main() prints before it exits, in two languages."""
    with pytest.raises(SystemExit) as caught:
        bootstrap.main()
    assert caught.value.code == 1
    assert not os.path.exists(bootstrap.STAMP)
    last = capsys.readouterr().err.rstrip().splitlines()[-1]
    assert " / " in last
    return last


def test_bootstrap_names_a_python_that_is_too_old(checkout, monkeypatch, capsys):
    old = types.SimpleNamespace(**vars(sys))
    old.version_info, old.version = (3, 10, 12, "final", 0), "3.10.12 (main, 2025)"
    old.stderr = sys.stderr
    monkeypatch.setattr(bootstrap, "sys", old)
    said = refusal(capsys)
    assert "Python 3.11 以上が必要です" in said and "found Python 3.10.12" in said


@pytest.mark.skipif(os.name == "nt", reason="a link needs a privilege there")
def test_bootstrap_refuses_a_linked_venv(checkout, capsys):
    theirs = checkout / "another project"
    theirs.mkdir()
    (theirs / "file").touch()
    (checkout / ".venv").symlink_to(theirs)
    assert ".venv がほかのフォルダへのリンクです" in refusal(capsys)
    assert (theirs / "file").exists()


@pytest.mark.parametrize("module", ["ensurepip", "venv"])
def test_bootstrap_names_the_missing_system_package(
    checkout, monkeypatch, capsys, module
):
    monkeypatch.setitem(sys.modules, module, None)
    said = refusal(capsys)
    package = "python{}.{}-venv".format(*sys.version_info)
    assert f"{module} モジュールがありません" in said
    assert f"sudo apt install {package}" in said


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (
            subprocess.CalledProcessError(
                1, "ensurepip", b"...\nOSError: [Errno 28] No space left on device: 'x'"
            ),
            "No space left on device",
        ),
    ],
    ids=["permission", "disk", "disk-within-ensurepip"],
)
def test_bootstrap_tells_why_venv_cannot_be_made(
    checkout, monkeypatch, capsys, error, reason
):
    def fail(builder, path):
        raise error

    # The stamp of an earlier environment must go.
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "installed").write_text("of another requirements.txt")
    monkeypatch.setattr(venv.EnvBuilder, "create", fail)
    said = refusal(capsys)
    assert "空き容量と書き込み権限" in said and f"({reason})" in said


def test_bootstrap_reports_network_errors(checkout, monkeypatch, capsys):
    (checkout / "requirements.txt").write_text("rlbook-needs-this==1.0\n")
    assert "ネットワークの接続を確かめて" in refusal(capsys)
    for output in (
        "SSLError(SSLCertVerificationError(1, 'x'))",
        "(from versions: none)",
    ):
        monkeypatch.setattr(bootstrap, "pip_install", lambda _, text=output: text)
        assert "ネットワークの接続を確かめて" in refusal(capsys)


def test_bootstrap_shows_other_pip_errors(checkout, capfd):
    (checkout / "requirements.txt").write_text("nonsense =!= 1\n")
    with pytest.raises(SystemExit):
        bootstrap.main()
    said = capfd.readouterr().err
    assert "nonsense" in said and "pip install に失敗しました" in said
    assert not os.path.exists(bootstrap.STAMP)


def test_bootstrap_runs_again_only_when_needed(checkout, monkeypatch, capsys):
    stamp = checkout / ".venv" / "installed"
    site = checkout / ".venv" / "lib" / "site-packages"

    def busy() -> bool:
        bootstrap.main()
        return "preparing .venv" in capsys.readouterr().out

    def install():
        for name in ("numpy", "numpy-1.dist-info"):
            (site / name).mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(bootstrap, "install", install)
    assert busy() and not busy()
    (checkout / "requirements.txt").write_text("# changed\n")
    assert busy() and not busy()
    (site / "numpy-1.dist-info").rename(site / "numpy-2.dist-info")  # an upgrade
    assert not busy()
    (site / "numpy").rmdir()
    assert busy() and not busy()
    for damaged in (b"\xff\xfe", b"", b"[]", b'{"digest": 1}', stamp.read_bytes()[:-5]):
        stamp.write_bytes(damaged)
        assert busy() and not busy()


def test_bootstrap_installs_into_venv_whatever_pip_is_told(checkout, monkeypatch):
    monkeypatch.setattr(bootstrap, "PYTHON", str(checkout / "python"))
    (checkout / "python").write_text(
        '#!/bin/sh\necho "$PIP_USER,$PIP_TARGET" >&2; exit 1\n'
    )
    (checkout / "python").chmod(0o755)
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_TARGET", "elsewhere")
    assert bootstrap.pip_install("requirements.txt") == "0,\n"


@pytest.mark.parametrize("sign", [os.pathsep, "$"])
def test_bootstrap_refuses_a_folder_that_venv_cannot_have(
    sign, checkout, monkeypatch, capsys
):
    monkeypatch.setattr(bootstrap, "VENV", f"{checkout}{sign}x/.venv")
    assert "フォルダの名前を変えて" in refusal(capsys)


def test_bootstrap_goes_on_without_the_package_of_one_chapter(
    checkout, monkeypatch, capsys
):
    asked = []

    def pip_install(requirements):
        path = os.path.join(bootstrap.ROOT, requirements)
        with open(path, encoding="utf-8") as file:
            asked.append(file.read().split())
        return "Failed to build ufal-pybox2d" if "ufal-pybox2d==2" in asked[-1] else ""

    (checkout / "requirements.txt").write_text("numpy==2\nufal-pybox2d==2\n")
    monkeypatch.setattr(bootstrap, "pip_install", pip_install)
    bootstrap.main()
    assert asked == [["numpy==2", "ufal-pybox2d==2"], ["numpy==2"]]
    assert "第 6 章の LunarLander に要る ufal-pybox2d" in capsys.readouterr().err
    assert os.path.exists(bootstrap.STAMP)


# tools/execute.py


REFUSED = {
    "stderr": (
        "import warnings; warnings.warn('古い書き方です')",
        ["UserWarning", "標準エラー出力に書きました", "import warnings"],
    ),
    "error": ("1 / 0", ["ZeroDivisionError で止まりました", "セル / cell [2] '1 / 0'"]),
    "dead-kernel": ("import os; os._exit(1)", ["カーネルが落ちました"]),
    "widget": (
        (
            "from IPython.display import display\n"
            "display({'application/vnd.jupyter.widget-view+json': {}}, raw=True)"
        ),
        ["ウィジェットを出力しました"],
    ),
}


def chapter_of(folder, *cells):
    """A chapter and the notebook of its last execution, without outputs."""
    chapter = folder / "99_chapter.md"
    head = (ROOT / "chapters" / "01_dezero.md").read_text("utf-8").split("---\n")[1]
    fences = (f"```{{code-cell}} ipython3\n{code}\n```\n\n" for code in cells)
    chapter.write_text(f"---\n{head}---\n\n{''.join(fences)}", encoding="utf-8")
    notebook = execute.read_notebook(chapter)
    execute.nbformat.write(notebook, chapter.with_suffix(".ipynb"))
    return chapter


@pytest.mark.parametrize(("cell", "said"), REFUSED.values(), ids=REFUSED)
def test_failed_execution_leaves_the_notebook_unchanged(tmp_path, cell, said):
    chapter = chapter_of(tmp_path, "print(1)", cell)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(execute.ChapterError) as caught:
        execute.execute(chapter)
    for part in ("99_chapter.md", *said):
        assert part in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("written", ["added", "changed", "damaged"])
def test_execution_does_not_overwrite_what_somebody_wrote(tmp_path, written):
    chapter = chapter_of(tmp_path, "print(1)")
    path = chapter.with_suffix(".ipynb")
    notebook = execute.nbformat.read(path, as_version=4)
    if written == "added":
        notebook.cells.append(execute.nbformat.v4.new_code_cell("mine = 1"))
    else:
        notebook.cells[0].source = "mine = 1"
    execute.nbformat.write(notebook, path)
    if written == "damaged":
        path.write_bytes(path.read_bytes()[:-9])
    before = path.read_bytes()
    with pytest.raises(execute.ChapterError, match="99_chapter.ipynb"):
        execute.execute(chapter)
    assert path.read_bytes() == before
    execute.execute(chapter, discard=True)
    assert "mine" not in path.read_text("utf-8")


def test_execution_follows_the_md(tmp_path):
    """A cell that was executed before and is gone from the .md is nobody's note."""
    chapter = chapter_of(tmp_path, "print(1)", "print(1)", "print(2)")
    text = chapter.read_text("utf-8").replace("print(2)", "print(3)")
    chapter.write_text(text, encoding="utf-8")
    execute.execute(chapter)
    assert "print(3)" in chapter.with_suffix(".ipynb").read_text("utf-8")


def test_unknown_chapter_is_refused():
    with pytest.raises(execute.ChapterError, match="99_nothing という章は 0 個"):
        execute.find_chapters("99_nothing")


# tests/conftest.py


@pytest.mark.slow
def test_skipped_page_tests_are_reported_in_one_line(tmp_path):
    """Where no browser is found: here the workers have an empty PATH."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    tests = "def test_one(browser): pass\ndef test_two(browser): pass\n"
    (tmp_path / "test_pages.py").write_text(tests)
    environment = {**os.environ, "PATH": "", "PYTHONPATH": f"{ROOT}"}
    environment.pop("CI", None)
    options = ["-n1", "-p", "no:cacheprovider", "-c", ROOT / "pyproject.toml"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", tmp_path, tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    *others, line, last = done.stdout.rstrip().splitlines()
    if "2 passed" in last:
        pytest.skip("Chrome is where no PATH hides it")
    assert "2 skipped" in last, done.stdout + done.stderr
    assert "2 tests did not look at the pages in a browser" in line
    assert "install Chromium or Chrome" in line
    assert not any("browser" in other or "Chrom" in other for other in others)
