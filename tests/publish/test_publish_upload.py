"""Checkpoints and data sets made ready, refused, and written."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from types import SimpleNamespace

import pytest
import yaml

from vidpretrain.errors import InputError
from vidpretrain.publish import PublishConfig, plan, publish


def with_licence(run, *names: str) -> None:
    path = run / "model" / "config.json"
    settings = json.loads(path.read_text())
    settings["sources"][0]["licences"] = list(names)
    path.write_text(json.dumps(settings))


def head_of(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_a_card_says_what_it_is_and_how_good(checkpoint):
    card = plan(checkpoint, PublishConfig(title="Kitchen", limits="Only bottles.", command="vidpretrain run")).made[
        "README.md"
    ]
    head = head_of(card)
    assert (head["license"], head["pipeline_tag"]) == ("apache-2.0", "robotics")
    metric = head["model-index"][0]["results"][0]["metrics"][0]
    assert metric["value"] == 0.15
    assert "0.1200 to 0.1800" in metric["name"]
    for words in ("# Kitchen", "17 parameters", "| training | kitchen | toy | 3 | 0.5 | cc-by-4.0 |", "Only bottles."):
        assert words in card
    assert "| hold_state | 0.2400 | 0.2000 to 0.3000 |" in card
    assert "90 % interval" in card
    assert "vidpretrain gap HUMAN ROBOT" in card  # nothing was measured
    assert "{{" not in card
    assert f'Policy.load("{checkpoint / "model"}")' in card
    assert (
        'Policy.load(snapshot_download("me/policy"))'
        in plan(checkpoint, PublishConfig(repo="me/policy")).made["README.md"]
    )


def test_the_hub_reads_the_cards_metadata(checkpoint):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(plan(checkpoint, PublishConfig()).made["README.md"])
    assert card.data.eval_results[0].metric_value == 0.15
    assert card.data.library_name == "vidpretrain"


def test_the_gap_table_is_in_the_card(checkpoint):
    row = {
        "measure": "speed",
        "group": "left_wrist",
        "bridge": "none",
        "value": 3.96,
        "low": 3.5,
        "high": None,
        "unit": "",
    }
    (checkpoint.parent / "gap.json").write_text(json.dumps([row] * 50))
    card = plan(checkpoint, PublishConfig()).made["README.md"]
    assert "| speed | left_wrist | none | 3.96 |" in card
    assert "10 further rows" in card
    (checkpoint.parent / "gap.json").write_text('[{"measure": 1}]')
    with pytest.raises(InputError, match="gap's table lacks"):
        plan(checkpoint, PublishConfig())
    with pytest.raises(InputError, match="not a file of figures"):
        plan(checkpoint, PublishConfig(gap=checkpoint / "none.json"))


def test_a_dry_run_lists_files_and_writes_nothing(checkpoint, tmp_path):
    config = PublishConfig(folder=tmp_path / "out", dry_run=True)
    result = publish(checkpoint, config)
    assert {"README.md", "config.json", "model.safetensors", "modeling_vidpolicy.py"} <= set(result["files"])
    assert not result["written"]
    assert not (tmp_path / "out").exists()
    assert result["bytes"] > (checkpoint / "model" / "model.safetensors").stat().st_size


def test_a_folder_gets_the_files_and_is_left_alone_when_it_is_somebody_elses(checkpoint, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):  # a second publication replaces the first
        assert publish(checkpoint, PublishConfig(folder=out))["written"]
    assert {"README.md", "config.json", "model.safetensors"} <= {p.name for p in out.iterdir()}
    weights = "model.safetensors"
    assert (out / weights).read_bytes() == (checkpoint / "model" / weights).read_bytes()
    settings = json.loads((checkpoint / "model" / "config.json").read_text())
    assert json.loads((out / "config.json").read_text()).items() >= settings.items()
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        publish(checkpoint, PublishConfig(folder=other))
    assert (other / "thesis.tex").is_file()


def test_sources_that_forbid_it_stop_it(checkpoint, tmp_path):
    with_licence(checkpoint, "mit", "cc-by-nc-4.0")
    listed = publish(checkpoint, PublishConfig(folder=tmp_path / "out", dry_run=True))
    assert listed["refused"] == ["kitchen (toy): cc-by-nc-4.0: it forbids commercial use: publish.license=cc-by-nc-4.0"]
    with pytest.raises(InputError, match="forbids this"):
        publish(checkpoint, PublishConfig(folder=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
    assert publish(checkpoint, PublishConfig(folder=tmp_path / "out", license="cc-by-nc-4.0"))["written"]
    assert publish(checkpoint, PublishConfig(folder=tmp_path / "out", accept=("CC BY-NC 4.0",)))["written"]
    with_licence(checkpoint)
    with pytest.raises(InputError, match="wrote down"):
        publish(checkpoint, PublishConfig(folder=tmp_path / "out"))


def _torch_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", b"cposix\nsystem\n")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [("pytorch_model.bin", b""), ("extra/weights.dat", pickle.dumps([1])), ("notes.txt", _torch_zip())],
)
def test_a_poisoned_file_is_refused(checkpoint, name, content):
    path = checkpoint / "model" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(InputError, match="may run code") as caught:
        plan(checkpoint, PublishConfig())
    assert name in str(caught.value)


def test_the_hub_gets_one_commit(checkpoint):
    told = []
    api = SimpleNamespace(
        create_repo=lambda *a, **k: told.append(("repo", a, k)),
        create_commit=lambda *a, **k: told.append(("commit", a, k)) or SimpleNamespace(commit_url="https://example/c"),
    )
    pytest.importorskip("huggingface_hub")
    result = publish(checkpoint, PublishConfig(repo="me/policy", private=False), api)
    assert result["url"] == "https://example/c"
    (_, repo, how), (_, commit, what) = told
    assert (repo, how["repo_type"], how["private"]) == (("me/policy",), "model", False)
    assert commit[0] == "me/policy"
    files = [one.path_in_repo for one in commit[1]]
    assert {"README.md", "config.json", "model.safetensors"} <= set(files)
    assert len(files) == len(set(files))
    assert what["repo_type"] == "model"


def test_other_folders_and_names_are_refused(tmp_path):
    with pytest.raises(InputError, match="nothing to publish here"):
        plan(tmp_path, PublishConfig())
    with pytest.raises(ValueError, match="NAME/REPOSITORY"):
        PublishConfig(repo="policy")
    with pytest.raises(ValueError, match="not both"):
        PublishConfig(repo="me/policy", folder=tmp_path)


def test_a_fine_tuned_checkpoint_names_what_it_started_from(tmp_path):
    pytest.importorskip("torch")
    from toy_cache import MODEL, toy_cache

    from vidpretrain.training import TrainConfig, finetune, pretrain

    fast = TrainConfig(steps=2, batch_size=4, draws=1, warmup=1, tensorboard=False, representation={})
    people, robot = toy_cache(tmp_path / "people", seed=1), toy_cache(tmp_path / "robot", seed=2)
    pretrain(MODEL, fast, [people.path], tmp_path / "pre")
    from dataclasses import replace

    finetune(MODEL, replace(fast, init=tmp_path / "pre"), [robot.path], tmp_path / "fine")
    settings = json.loads((tmp_path / "fine" / "model" / "config.json").read_text())
    assert len(settings["sources"]) == 2
    card = plan(tmp_path / "fine", PublishConfig(accept=("unknown", "toy", *settings["sources"][0]["licences"]))).made
    assert card["README.md"].count("| training |") == 2


@pytest.fixture
def exported(tmp_path):
    """A folder as `vidpretrain export` writes it, without a network in the file."""
    check = {"samples": 100, "tolerance": 1e-4, "max_abs_difference": 2e-7, "by_group": {}, "values": 9}
    about = {
        "format_version": 1,
        "code_version": "0.1.0",
        "embodiment": "toy",
        "rate_hz": 10.0,
        "horizon": 4,
        "steps": 6,
        "cameras": ["head"],
        "inputs": [{"name": "state", "dtype": "float32", "shape": ["batch", 1], "unit": "see columns", "meaning": "m"}],
        "columns": [{"name": "a", "group": "left_arm", "quantity": "joint", "unit": "rad"}],
        "sources": [
            {"dataset": "kitchen", "embodiment": "toy", "episodes": 3, "hours": 0.5, "licences": ["cc-by-4.0"]}
        ],
        "files": {"onnx": {"file": "policy.onnx", "bytes": 3, "sha256": "", "check": check}},
    }
    root = tmp_path / "exported"
    root.mkdir()
    (root / "policy.onnx").write_bytes(b"net")
    (root / "config.json").write_text("{}")
    (root / "export.json").write_text(json.dumps(about))
    return root


def test_an_exported_policy_is_published_with_its_check(exported, tmp_path):
    result = publish(exported, PublishConfig(folder=tmp_path / "out", gap=None))
    assert sorted(result["files"]) == ["README.md", "config.json", "export.json", "policy.onnx"]
    card = (tmp_path / "out" / "README.md").read_text()
    for words in ("| policy.onnx | 3 | 2.0e-07 |", "| left_arm | 1 | rad |", "kitchen", "lerobot-eval --policy.path="):
        assert words in card
    about = json.loads((exported / "export.json").read_text())
    (exported / "export.json").write_text(json.dumps({**about, "sources": []}))
    assert publish(exported, PublishConfig(dry_run=True))["refused"] == [
        "the checkpoint's data: unknown: " + plan(exported, PublishConfig()).refused[0].why
    ]


def test_a_torch_file_with_pickles_inside_is_refused(exported):
    with zipfile.ZipFile(exported / "policy.pt2", "w") as archive:
        archive.writestr("policy/data/sample_inputs/model.pt", b"a pickle")
    with pytest.raises(InputError, match="may run code") as caught:
        plan(exported, PublishConfig())
    assert "policy.pt2" in str(caught.value)
