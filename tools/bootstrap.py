# -*- coding: utf-8 -*-
"""Make .venv and install requirements.txt into it; return at once when nothing has changed.

Keep this file parsable by any Python (no f-strings, no annotations), so that an old one reports its
version instead of a SyntaxError.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "installed")
PYTHON = os.path.join(
    VENV, *(["Scripts", "python.exe"] if os.name == "nt" else ["bin", "python"])
)
OLDEST = (3, 11)
# Installed where it can be; the rest of the book works without it.
OPTIONAL = {"ufal-pybox2d": ("第 6 章の LunarLander", "LunarLander of chapter 6")}

# Messages of pip if it cannot reach the package index.
NETWORK_TROUBLE = (
    "Failed to establish a new connection",
    "Max retries exceeded",
    "Could not fetch URL",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionResetError",
    "ProxyError",
    "name resolution",
    "getaddrinfo failed",
    "Network is unreachable",
    "SSLError",
    "(from versions: none)",  # a login page instead of the index
)


def fail(japanese, english):
    sys.stderr.write(japanese + " / " + english + "\n")
    sys.exit(1)


def check_python():
    if sys.version_info < OLDEST:
        found = sys.version.split()[0]
        fail(
            "Python 3.11 以上が必要です (Python %s が見つかりました)" % found,
            "Python >= 3.11 is required (found Python %s)" % found,
        )
    try:
        # Debian and Ubuntu package ensurepip separately.
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        package = "python%d.%d-venv" % sys.version_info[:2]
        fail(
            "Python の %s モジュールがありません (Debian/Ubuntu では: sudo apt install %s)"
            % (error.name, package),
            "Python's %s module is missing (on Debian/Ubuntu: sudo apt install %s)"
            % (error.name, package),
        )


def wanted():
    """Digest of all inputs of .venv, including its path: a venv cannot be moved."""
    digest = hashlib.sha256(
        ("%d.%d %s" % (sys.version_info[0], sys.version_info[1], VENV)).encode("utf-8")
    )
    for name in (
        "requirements.txt",
        "pyproject.toml",
        os.path.join("tools", "bootstrap.py"),
    ):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def packages():
    """Modules in site-packages of .venv, whatever their versions."""
    names = []
    for folder, folders, files in os.walk(VENV):
        if os.path.basename(folder) == "site-packages":
            names += folders + files
            del folders[:]
    return sorted(
        name for name in names if not name.endswith((".dist-info", "__pycache__"))
    )


def is_installed(digest):
    """True if the stamp is right, all that was installed is there, and its Python runs."""
    try:
        with open(STAMP, "rb") as file:
            stamp = json.loads(file.read().decode("utf-8"))
        if stamp["digest"] != digest or set(stamp["packages"]) - set(packages()):
            return False
        # The base Python may have been removed or upgraded.
        return (
            subprocess.call([PYTHON, "-I", "-S", "-c", ""], stderr=subprocess.DEVNULL)
            == 0
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def create_venv():
    import venv

    if os.path.islink(VENV):
        # venv would empty the target, which may belong to another project.
        fail(
            ".venv がほかのフォルダへのリンクです。リンクを消して、もう一度実行してください",
            ".venv is a link to another folder; remove the link and try again",
        )
    for sign in (os.pathsep, "$"):  # venv refuses the first, setuptools the second
        if sign in VENV:
            fail(
                "名前に %s を含むフォルダには .venv を作れません。フォルダの名前を変えてください"
                % sign,
                "cannot create .venv below a folder with %s in its name; rename the folder"
                % sign,
            )
    try:
        # First, so that an interrupted run leaves no stamp.
        if os.path.exists(STAMP):
            os.remove(STAMP)
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(
            VENV
        )
    except (OSError, shutil.Error, subprocess.CalledProcessError) as error:
        # ensurepip fails with a long output that contains the system's error.
        output = (getattr(error, "output", None) or b"").decode("utf-8", "replace")
        named = re.search(r"\[Errno \d+\] ([\w ]+)", output)
        reason = getattr(error, "strerror", None) or (
            named.group(1) if named else type(error).__name__
        )
        fail(
            ".venv を作れません。空き容量と書き込み権限を確かめてください (%s)"
            % reason,
            "cannot create .venv; check free disk space and permissions (%s)" % reason,
        )


def pip_install(requirements):
    """Install into .venv, whatever the user's pip is told to do elsewhere; the error, if any."""
    environment = dict(os.environ, PIP_USER="0")
    for name in ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT"):
        environment.pop(name, None)
    command = [PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    pip = subprocess.Popen(
        command + ["--no-input", "-r", requirements],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = pip.communicate()[0].decode("utf-8", "replace")
    return output if pip.returncode else ""


def install():
    output = pip_install("requirements.txt")
    for name, (japanese, english) in OPTIONAL.items():
        if name in output:
            without = os.path.join(VENV, "requirements.txt")
            with open(os.path.join(ROOT, "requirements.txt"), "rb") as file:
                lines = file.read().split(b"\n")
            with open(without, "wb") as file:
                file.write(b"\n".join(x for x in lines if name.encode() not in x))
            output = pip_install(without)
            if not output:
                sys.stderr.write(
                    "%s に要る %s を入れられません。ほかの章は使えます / "
                    "cannot install %s for %s; all other chapters work\n"
                    % (japanese, name, name, english)
                )
    if not output:
        return
    if any(sign in output for sign in NETWORK_TROUBLE):
        fail(
            "パッケージをダウンロードできません。ネットワークの接続を確かめて、もう一度実行してください",
            "cannot download packages; check the network connection and try again",
        )
    sys.stderr.write("\n".join(output.rstrip().split("\n")[-15:]) + "\n")
    fail(
        "pip install に失敗しました (上が pip の出力です)",
        "pip install failed (its output is above)",
    )


def make_notebooks_of_markdown():
    """Make JupyterLab open a chapter's .md as a notebook on double click.

    Set a default inside .venv; do not touch the user's settings.
    """
    folder = os.path.join(VENV, "etc", "jupyter", "labconfig")
    if not os.path.isdir(folder):
        os.makedirs(folder)
    viewers = {"markdown": "Jupytext Notebook", "myst": "Jupytext Notebook"}
    with open(os.path.join(folder, "default_setting_overrides.json"), "w") as file:
        json.dump(
            {"@jupyterlab/docmanager-extension:plugin": {"defaultViewers": viewers}},
            file,
            indent=2,
        )


def main():
    check_python()
    digest = wanted()
    if is_installed(digest):
        return
    if sys.stdout:
        # Windows pipes may not encode Japanese: escape instead of failing.
        sys.stdout.reconfigure(errors="backslashreplace")
        sys.stdout.write(
            "Python の環境 .venv を用意しています (1〜2 分) / preparing .venv (1-2 minutes) ...\n"
        )
        sys.stdout.flush()
    create_venv()
    install()
    make_notebooks_of_markdown()
    with open(STAMP, "w") as file:
        json.dump({"digest": digest, "packages": packages()}, file)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        fail(
            "中断しました。もう一度実行すると最初からやり直します",
            "interrupted; run it again to start over",
        )
