"""Promises of the workflows that neither zizmor nor actionlint checks, and two of their jobs, run here."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import site_files  # book/_ext/site_files.py
from built import CHAPTERS, ROOT

WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in (ROOT / ".github/workflows").glob("*.yml")
}
JOBS = {
    f"{name}/{job}": content
    for name, workflow in WORKFLOWS.items()
    for job, content in workflow["jobs"].items()
}
CI = WORKFLOWS["ci"]["jobs"]
linux_only = pytest.mark.skipif(os.name == "nt", reason="steps of a Linux runner")


def commands(job: str) -> list[str]:
    return [step["run"] for step in JOBS[job].get("steps", ()) if "run" in step]


def copy_of_the_repository(folder: Path) -> Path:
    for file in site_files.files_of_the_book():
        copy = folder / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    return folder


def test_publish_only_after_all_jobs_passed():
    assert WORKFLOWS["pages"][True] == {"workflow_call": None}  # `on` is a YAML 1.1 yes
    callers = [name for name, job in JOBS.items() if "pages.yml" in job.get("uses", "")]
    assert callers == ["ci/pages"]
    assert {*CI["pages"]["needs"], "pages"} == set(CI)
    assert CI["pages"]["if"] == "github.event_name == 'push'"
    assert WORKFLOWS["ci"][True]["push"] == {"branches": ["main"]}
    assert not any("if" in CI[job] for job in CI["pages"]["needs"])
    assert JOBS["pages/deploy"]["needs"] == "build"
    assert JOBS["pages/notebooks"]["needs"] == ["build", "deploy"]


def test_write_permissions():
    assert all(w["permissions"] == {"contents": "read"} for w in WORKFLOWS.values())
    writing = {
        name: {what for what, how in job["permissions"].items() if how == "write"}
        for name, job in JOBS.items()
        if "write" in job.get("permissions", {}).values()
    }
    assert writing == {
        "ci/pages": {"contents", "pages", "id-token"},  # upper bound for pages.yml
        "pages/deploy": {"pages", "id-token"},
        "pages/notebooks": {"contents"},
    }


def test_job_with_write_access_runs_only_git_and_our_script():
    used = [step["uses"] for step in JOBS["pages/notebooks"]["steps"] if "uses" in step]
    assert [use.partition("@")[0] for use in used] == [
        *("actions/checkout", "actions/setup-python")
    ]
    script, *rest = "\n".join(commands("pages/notebooks")).split("\n")
    assert script == "python book/_ext/colab.py"
    lines = [line for line in rest if line]
    assert all(line.startswith("git ") for line in lines)
    assert [line for line in lines if " push " in line] == [lines[-1]]
    assert lines[-1] == "git push -q --force origin colab"


@linux_only
def test_colab_branch_holds_only_notebooks_with_the_site_address(tmp_path):
    """Run the steps of the job twice; the second publication replaces the first."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    checkout = copy_of_the_repository(tmp_path / "checkout")
    origin = tmp_path / "origin.git"
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]

    def git(*arguments, folder=checkout):
        command = ["git", "-C", folder, *identity, *arguments]
        done = subprocess.run(command, check=True, capture_output=True)
        return done.stdout.decode("utf-8")

    subprocess.run(["git", "init", "-q", "--bare", origin], check=True)
    git("init", "-q")
    git("remote", "add", "origin", str(origin))
    git("add", ".")
    git("commit", "-qm", "as checked out")
    git("branch", "published")
    site = "https://someone.github.io/a-book/"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "SITE_URL": site,
    }
    for _ in range(2):
        git("checkout", "-q", "-f", "published")
        for command in commands("pages/notebooks"):
            bash = ["bash", "-e", "-c", command]
            subprocess.run(bash, cwd=checkout, env=environment, check=True)
        git("checkout", "-q", "-f", "published")
        git("branch", "-q", "-D", "colab")
    names = git("ls-tree", "-r", "--name-only", "colab", folder=origin).split()
    assert names == [f"chapters/{chapter}.ipynb" for chapter in CHAPTERS]
    for name in names:
        text = git("show", f"colab:{name}", folder=origin)
        assert text.count(f'SITE = \\"{site}\\"') == 1
    assert git("rev-list", "--count", "colab", folder=origin).strip() == "1"


def test_make_targets_of_workflows_exist():
    phony = (ROOT / "Makefile").read_text("utf-8").partition(".PHONY:")[2].split("\n")
    used = {
        target
        for job in JOBS
        for command in commands(job)
        if command.startswith("make ")
        for target in command.split()[1:]
    }
    assert {"test", "test-all", "book"} <= used <= set(phony[0].split())


def test_windows_commands_equal_the_makefile():
    """In ci.yml, README.md and the page on the setup."""
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").endswith("\nmake test\n")
    assert {".ci/run", "make test"} <= set(commands("ci/book"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in (r"python tools/book\.py", r"python -m pytest .*"):
        (wanted,) = re.findall(
            rf"\$\(BIN\)/({command})(?: \|\|.*)?$", makefile, re.MULTILINE
        )
        wanted = wanted.replace("/", "\\")
        start = re.escape(wanted.partition(" --")[0])
        for name in (".github/workflows/ci.yml", "README.md", "book/setup.md"):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert re.findall(rf"\.venv\\Scripts\\({start}[^`\n]*)", text) == [wanted]


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize(
    "cell",
    CI["package"]["strategy"]["matrix"]["include"],
    ids=lambda cell: cell["name"],
)
def test_package_job_passes(cell, tmp_path):
    """Run its commands in a copy of the repository, with a new environment of its Python."""
    python = shutil.which(f"python{cell['python']}")
    if python is None or subprocess.call([python, "-c", ""], stderr=subprocess.DEVNULL):
        pytest.skip(f"no Python {cell['python']} found")
    checkout, home = copy_of_the_repository(tmp_path / "checkout"), tmp_path / "home"
    home.mkdir()
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    environment = {"CI": "true", "HOME": str(home), "LANG": "C.UTF-8"}
    environment["PATH"] = f"{tmp_path / 'venv/bin'}:/usr/bin:/bin"
    for step in commands("ci/package"):
        command = re.sub(r"\$\{\{ matrix\.(\w+) \}\}", lambda m: cell[m[1]], step)
        assert "${{" not in command
        done = subprocess.run(
            ["bash", "-e", "-c", command],
            cwd=checkout,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(command, done.stdout, sep="\n")
        assert done.returncode == 0, command
