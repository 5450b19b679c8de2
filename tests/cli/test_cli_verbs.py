"""Exit codes, the one JSON object, and what reaches the functions of the verbs."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from vidpretrain.cli import app, verbs
from vidpretrain.errors import CheckpointError, UnknownName


@dataclass(frozen=True, kw_only=True)
class Video:
    rate_hz: float = 30.0
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Config:
    name: str = "run"
    video: Video = field(default_factory=Video)


class Stub:
    """Stands in for a verb's function: remembers its arguments, returns or raises what it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[Config, tuple[str, ...]]] = []
        self.answer: dict | BaseException = {"ok": True, "message": "fine", "frames": 7}

    def __call__(self, config, inputs):
        self.calls.append((config, inputs))
        print("a library that chats on stdout")
        os.write(1, b"and one that does so below Python\n")
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.fixture
def stub(monkeypatch):
    stub = Stub()
    monkeypatch.setattr(app, "CONFIG_CLASS", f"{__name__}:Config")
    monkeypatch.setitem(sys.modules, __name__, sys.modules[Stub.__module__])
    monkeypatch.setattr(app, "function_of", lambda verb: stub)
    return stub


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        app.main(words)
    return int(caught.value.code or 0)


def one_object(text: str) -> dict:
    assert text.endswith("\n")
    assert text.count("\n") == 1, f"more than one line on stdout: {text!r}"
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("verb", sorted(verbs.VERBS))
def test_every_verb_reaches_its_function_with_its_configuration(verb, stub, tmp_path, capfd):
    path = tmp_path / "conf.yaml"
    path.write_text("name: mine\nvideo: {rate_hz: 20}\n")
    words = ["video.rate_hz=15", "a.mp4", "folder"]
    if not verbs.VERBS[verb].yaml_is_input:
        words.insert(1, str(path))
    assert call(verb, *words) == 0
    config, inputs = stub.calls[0]
    assert config.video.rate_hz == 15
    assert config.name == ("run" if verbs.VERBS[verb].yaml_is_input else "mine")
    assert inputs == ("a.mp4", "folder")
    assert "fine" in capfd.readouterr().out


def test_doctor_and_robots_work_where_no_configuration_can_be_made(stub, monkeypatch, capfd):
    monkeypatch.setattr(app, "CONFIG_CLASS", "no.such.module:Config")
    assert call("doctor") == 0
    assert call("robots") == 0
    assert [config for config, _ in stub.calls] == [None, None]
    assert call("probe") == 1


def test_options_of_retarget_reach_its_function_and_only_those_that_were_given(monkeypatch, stub):
    seen = []
    monkeypatch.setattr(app, "function_of", lambda verb: lambda config, inputs, **o: seen.append((inputs, o)) or {})
    assert call("retarget", "a.mp4", "--robot", "a,my.yaml", "--view", "--out", "there", "--format", "csv") == 0
    assert call("retarget", "--view", "a.npz", "b.npz") == 0
    assert call("retarget", "a.npz") == 0
    assert seen[0] == (("a.mp4",), {"robot": "a,my.yaml", "view": True, "out": "there", "format": "csv"})
    assert seen[1] == (("a.npz", "b.npz"), {"view": True})
    assert seen[2] == (("a.npz",), {})
    assert call("probe", "--view") == 2


def test_json_is_alone_on_stdout(stub, capfd):
    assert call("probe", "--json") == 0
    captured = capfd.readouterr()
    assert one_object(captured.out) == {"ok": True, "message": "fine", "frames": 7}
    assert "a library that chats" in captured.err
    assert "below Python" in captured.err


def test_json_has_no_nan(stub, capfd):
    stub.answer = {"ok": True, "value": float("nan")}
    assert call("probe", "--json") == 0
    assert one_object(capfd.readouterr().out)["value"] is None


def test_not_ok_is_exit_code_one(stub, capfd):
    stub.answer = {"ok": False, "message": "two episodes are broken"}
    assert call("check", "set") == 1
    assert "two episodes are broken" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            CheckpointError("another robot", asked="g1", found="h1", next_command="vidpretrain robots"),
            1,
            "another robot",
        ),
        (UnknownName("unknown robot 'g2'"), 2, "unknown robot"),
        (OSError(errno.ENOSPC, "No space left on device", "runs/x.parquet"), 1, "no space left"),
        (ModuleNotFoundError("No module named 'decord'", name="decord"), 1, "not installed"),
        (ZeroDivisionError("division by zero"), 1, "division by zero"),
    ],
)
def test_errors_become_exit_codes_and_one_message(error, code, words, stub, capfd):
    stub.answer = error
    assert call("evaluate") == code
    err = capfd.readouterr().err
    assert words in err
    assert "Traceback" not in err
    assert call("evaluate", "--json") == code
    captured = capfd.readouterr()
    body = one_object(captured.out)["error"]
    assert words in body["message"]
    assert body["exit_code"] == code


def test_disk_full_is_a_disk_full_error_with_a_next_command(stub, capfd):
    stub.answer = OSError(errno.ENOSPC, "No space left on device", "runs/x.parquet")
    call("pack", "--json")
    body = one_object(capfd.readouterr().out)["error"]
    assert body["kind"] == "DiskFull"
    assert body["asked"] == "runs/x.parquet"
    assert body["next_command"]


def test_debug_shows_the_traceback(stub, capfd):
    stub.answer = ZeroDivisionError("division by zero")
    assert call("evaluate", "--debug") == 1
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["probe", "--no-such-option"],
        ["probe", "a.yaml", "b.yaml"],
        ["probe", "no/such/file.yaml"],
        ["probe", "video.rate_hx=3"],
        ["probe", "video.rate_hz=fast"],
    ],
)
def test_wrong_commands_are_exit_code_two(words, stub, capfd):
    assert call(*words) == 2
    assert capfd.readouterr().err
    assert call(*words, "--json") == 2
    assert "error" in one_object(capfd.readouterr().out)
    assert not stub.calls


def test_misspelt_key_names_the_nearest(stub, capfd):
    call("run", "video.rate_hx=3")
    assert "did you mean 'rate_hz'" in capfd.readouterr().err


def test_help_lists_every_verb_and_imports_nothing_heavy():
    script = (
        "import sys\n"
        "from vidpretrain.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as leave:\n    code = leave.code\n"
        "print('LOADED', ' '.join(sorted({name.partition('.')[0] for name in sys.modules})))\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    text, _, loaded = done.stdout.partition("LOADED")
    heavy = {"torch", "transformers", "mediapipe", "numba", "mujoco", "cv2", "pandas", "anny", "av", "scipy", "numpy"}
    assert not heavy & set(loaded.split())
    for verb in verbs.VERBS:
        assert f"\n  {verb}" in text, f"--help does not name {verb}"


def test_the_issue_and_the_table_agree_on_the_verbs():
    asked = "doctor probe extract retarget pack check pretrain finetune predict evaluate report run demo"
    asked += " robots gap tasks synth serve publish model export"
    assert sorted(verbs.VERBS) == sorted(asked.split())


@pytest.mark.parametrize("verb", sorted(verbs.VERBS))
def test_the_function_behind_every_verb_exists(verb):
    assert callable(verbs.function_of(verb))


def test_version(capfd):
    from vidpretrain import __version__

    assert call("--version") == 0
    assert __version__ in capfd.readouterr().out
