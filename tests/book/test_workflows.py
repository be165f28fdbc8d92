"""The workflows of GitHub, as far as can be told without it: what they say, and one job run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip(
    "yaml", reason="the workflows are read with requirements.txt installed"
)

import site_files  # book/_ext/site_files.py
from built import CHAPTERS

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in (ROOT / ".github/workflows").glob("*.yml")
}
WORKFLOWS = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
CI = WORKFLOWS["ci.yml"]["jobs"]
JOBS = {
    f"{name}: {job}": content
    for name, workflow in WORKFLOWS.items()
    for job, content in workflow["jobs"].items()
}
COMMANDS = {
    f"{job}: {step['run']}": step["run"]
    for job, content in JOBS.items()
    for step in content.get("steps", [])
    if "run" in step
}


def triggers(name: str) -> dict:
    return WORKFLOWS[name][True]  # YAML 1.1 takes `on` for a yes


def test_when_they_run():
    assert triggers("ci.yml")["push"] == {"branches": ["main"]}
    assert {"pull_request", "schedule"} <= set(triggers("ci.yml"))
    assert "schedule" in triggers("weekly.yml")


def test_only_the_publication_may_write():
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {"contents": "read"}, name
    writing = {
        name: {what for what, how in job["permissions"].items() if how == "write"}
        for name, job in JOBS.items()
        if "write" in job.get("permissions", {}).values()
    }
    deploy, notebooks = {"pages", "id-token"}, {"contents"}
    assert writing == {
        "ci.yml: pages": deploy
        | notebooks,  # what the jobs of pages.yml may have at most
        "pages.yml: deploy": deploy,
        "pages.yml: notebooks": notebooks,
    }


def test_where_the_repository_may_be_written_nothing_but_git_and_a_script_of_ours_runs():
    steps = JOBS["pages.yml: notebooks"]["steps"]
    used = [step["uses"].partition("@")[0] for step in steps if "uses" in step]
    assert used == ["actions/checkout", "actions/setup-python"]
    lines = "\n".join(step.get("run", "") for step in steps).split("\n")
    commands = [line for line in lines if line]
    assert commands[0] == "python book/_ext/colab.py"
    assert all(line.startswith("git ") for line in commands[1:])
    pushes = [line for line in commands if " push " in line]
    assert pushes == ["git push -q --force origin colab"]


@pytest.mark.skipif(os.name == "nt", reason="steps of a Linux runner")
def test_the_branch_for_colab_holds_the_notebooks_and_they_know_their_site(tmp_path):
    """The steps of that job as they are spelled, in a copy of the repository."""
    if shutil.which("git") is None:
        pytest.skip("no git")
    checkout, origin = tmp_path / "checkout", tmp_path / "origin.git"
    for file in site_files.files_of_the_book():
        copy = checkout / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
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
    python = Path(sys.executable).parent
    environment = {
        "PATH": f"{python}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "SITE_URL": "https://someone.github.io/a-book/",
    }
    git("branch", "published")
    for _ in range(2):  # the second publication replaces the first
        git("checkout", "-q", "-f", "published")
        for step in JOBS["pages.yml: notebooks"]["steps"]:
            if "run" in step:
                command = ["bash", "-e", "-c", step["run"]]
                subprocess.run(command, cwd=checkout, env=environment, check=True)
        git("checkout", "-q", "-f", "published")
        git("branch", "-q", "-D", "colab")
    names = git("ls-tree", "-r", "--name-only", "colab", folder=origin).split()
    assert names == [f"chapters/{chapter}.ipynb" for chapter in CHAPTERS]
    for name in names:
        text = git("show", f"colab:{name}", folder=origin)
        assert text.count(f'SITE = \\"{environment["SITE_URL"]}\\"') == 1
    assert git("rev-list", "--count", "colab", folder=origin).strip() == "1"


def test_only_what_all_else_has_passed_is_published():
    assert triggers("pages.yml") == {"workflow_call": None}
    callers = [name for name, job in JOBS.items() if "pages.yml" in job.get("uses", "")]
    assert callers == ["ci.yml: pages"]
    assert {*CI["pages"]["needs"], "pages"} == set(CI)
    # Of the jobs before it, all run on such a push, on the system that publishes too.
    assert CI["pages"]["if"] == "github.event_name == 'push'"
    assert not any("if" in CI[job] for job in CI["pages"]["needs"])
    assert JOBS["pages.yml: deploy"]["needs"] == "build"
    assert JOBS["pages.yml: notebooks"]["needs"] == ["build", "deploy"]
    for matrix in CI["book"]["strategy"]["matrix"].values():
        assert re.search(r"== 'push' && '\[\"(ubuntu-latest|3\.11)\"\]' \|\|", matrix)


def test_actions_are_pinned_by_commit_and_say_their_version():
    used = re.findall(r"uses: (\S+)(.*)", "\n".join(TEXTS.values()))
    pins = {use: comment for use, comment in used if not use.startswith("./")}
    assert len(pins) >= 5
    for use, comment in pins.items():
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", use)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), use
    names = [use.partition("@")[0] for use in pins]
    assert len(names) == len(set(names)), "one action, two commits"


def test_dependabot_looks_after_all_that_is_pinned():
    text = (ROOT / ".github/dependabot.yml").read_text(encoding="utf-8")
    kinds = {update["package-ecosystem"] for update in yaml.safe_load(text)["updates"]}
    assert kinds == {"github-actions", "npm", "pip"}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_a_step_calls_is_there(command):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    program, *arguments = command.replace("\\", "/").split()
    if program == "make":
        for target in arguments:
            assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    elif program.startswith("."):
        assert (ROOT / program).exists() or program.startswith(".venv/")
    elif program == "git":
        assert "git push" in command  # it runs below, as it is spelled
    else:
        assert program in ("python", "rm")
        files = [argument for argument in arguments if re.search(r"/|\.txt$", argument)]
        assert all((ROOT / file).exists() for file in files)


def test_every_system_is_tested_in_the_same_way():
    """Linux by .ci/run, macOS by make, Windows by the commands that its readers are told."""
    steps = {step.get("if", ""): step.get("run") for step in CI["book"]["steps"]}
    assert steps["runner.os == 'Linux'"] == ".ci/run"
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").endswith("\nmake test\n")
    assert steps["runner.os == 'macOS'"] == "make test"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for program in ("jupyter-book build", "python -m pytest"):
        (wanted,) = re.findall(rf"\(BIN\)/{program} (.*-n.*)$", makefile, re.MULTILINE)
        wanted = f".venv\\Scripts\\{program} {wanted.partition(' -q')[0]}"
        for name in (".github/workflows/ci.yml", "README.md", "book/setup.md"):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert re.findall(rf"\.venv\\Scripts\\{program}[^`\n]*", text) == [wanted]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="steps of a Linux runner")
@pytest.mark.parametrize(
    "cell",
    CI["package"]["strategy"]["matrix"]["include"],
    ids=lambda cell: cell["name"],
)
def test_the_job_package_passes_as_it_is_spelled(cell, tmp_path):
    """Its commands in a copy of what is tracked, with a new environment of its Python."""
    python = shutil.which(f"python{cell['python']}")
    if python is None or subprocess.call([python, "-c", ""], stderr=subprocess.DEVNULL):
        pytest.skip(f"no Python {cell['python']} found")
    checkout, home = tmp_path / "checkout", tmp_path / "home"
    for file in site_files.files_of_the_book():
        copy = checkout / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    home.mkdir()
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    environment = {"CI": "true", "HOME": str(home), "LANG": "C.UTF-8"}
    environment["PATH"] = f"{tmp_path / 'venv/bin'}:/usr/bin:/bin"
    for step in CI["package"]["steps"]:
        if "run" not in step:
            assert re.match("actions/(checkout|setup-python)@", step["uses"])
            continue
        command = re.sub(
            r"\$\{\{ matrix\.(\w+) \}\}", lambda m: cell[m[1]], step["run"]
        )
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
