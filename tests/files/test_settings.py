"""Options from a file: TOML as it is printed, or the manifest of an earlier run."""

import json

import pytest

from fundusseg import cli, option_fields, options
from fundusseg.files.settings import read_settings, toml

DRAWN = ("--count", "2", "--size", "64", "--jobs", "1")


def told(capsys, *words) -> str:
    assert cli.main([*map(str, words)]) == 0
    return capsys.readouterr().out


def refused(capsys, *words) -> str:
    assert cli.main([*map(str, words)]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_what_is_printed_is_read_again(tmp_path, capsys):
    """Every option of every command, without the paths that it needs otherwise."""
    words = ("infer", "--threshold", 0.25, "--overlay", "--fov", tmp_path, "--log-file", "a b")
    printed = told(capsys, *words, "--print-config")
    assert 'fov = "' in printed and "overlay = true\n" in printed and "tile = 0\n" in printed
    assert "# relative-to is not given\n" in printed
    (tmp_path / "settings.toml").write_text(printed)
    again = told(capsys, "infer", "--config", tmp_path / "settings.toml", "--print-config")
    assert again == printed
    for command in ("prep", "train", "score", "measure", "phantom", "check", "merge", "info"):
        assert "quiet = false\n" in told(capsys, command, "--print-config")


def test_the_command_line_counts_over_the_file(tmp_path, capsys):
    (tmp_path / "s.toml").write_text("count = 3\nsize = 128\n")
    words = ("phantom", "--config", tmp_path / "s.toml", "--print-config")
    assert "count = 3\n" in told(capsys, *words)
    printed = told(capsys, *words, "--count", options.PhantomOptions().count)
    assert "count = 24\n" in printed and "size = 128\n" in printed


def test_a_manifest_repeats_its_run(tmp_path, capsys):
    told(capsys, "phantom", tmp_path / "first", *DRAWN, "--layout", "stare", "--seed", 5)
    manifest = tmp_path / "first" / "manifest.json"
    told(capsys, "phantom", tmp_path / "again", "--config", manifest, "--jobs", 1)
    assert (tmp_path / "again" / "manifest.json").read_bytes() == manifest.read_bytes()
    noted = json.loads(manifest.read_text())["options"]
    assert noted == {
        "layout": "stare",
        "count": 2,
        "size": 64,
        "appearance": "natural",
        "seed": 5,
    }


def test_a_manifest_of_another_command_or_version_is_refused(tmp_path, capsys):
    told(capsys, "phantom", tmp_path / "set", *DRAWN)
    path = tmp_path / "set" / "manifest.json"
    assert "is of phantom, not of prep" in refused(capsys, "prep", "a", "b", "--config", path)
    values = json.loads(path.read_text())
    del values["options"]
    path.write_text(json.dumps(values))
    assert "holds no options" in refused(capsys, "phantom", tmp_path / "b", "--config", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuont = 3", "cuont is no option of phantom (count?); fundusseg phantom --print-config"),
        ("size_px = 64", "size_px is no option of phantom (size?)"),
        ("config = 'other.toml'", "config is no option of phantom"),
        ("count = 0", "count: is 0; give at least 1"),
        ("size = 5000", "size: is 5000; give 64 to 4096"),
        ("count = '3'", "count: should be int, is '3'"),
        ("force = 1", "force: should be bool, is 1"),
        ("layout = 'drve'", "layout: should be one of fives, drive, "),
        ("[loss]\ndice = 1.0", "loss is no option of phantom"),
        ("count = = 3", "s.toml: is not TOML (Invalid value (at line 1"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(text, message, tmp_path, capsys):
    (tmp_path / "s.toml").write_text(text)
    said = refused(capsys, "phantom", tmp_path / "out", "--config", tmp_path / "s.toml")
    assert f"{tmp_path / 's.toml'}: " in said and message in said
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_there_is_exit_2(tmp_path, capsys):
    assert cli.main(["phantom", str(tmp_path / "out"), "--config", str(tmp_path / "s.toml")]) == 2
    assert "s.toml: does not exist" in capsys.readouterr().err


def test_a_path_of_the_file_must_exist_too(tmp_path, capsys):
    (tmp_path / "s.toml").write_text("fov = 'not there'")
    assert cli.main(["infer", str(tmp_path), "out", "--config", str(tmp_path / "s.toml")]) == 2
    assert "not there: does not exist" in capsys.readouterr().err


def test_a_preset_s_sections_are_trains(tmp_path):
    """In TOML and in JSON; kept as they are, beside the options."""
    (tmp_path / "s.toml").write_text("steps = 4\n[loss]\ndice = 1.0\n[augment]\ncrop_px = 64\n")
    values = {"steps": 4, "loss": {"dice": 1.0}, "augment": {"crop_px": 64}}
    (tmp_path / "s.json").write_text(json.dumps(values))
    known = option_fields.fields_of(options.TrainOptions)
    found = [
        read_settings(tmp_path / f"s.{kind}", "train", known, True) for kind in ("toml", "json")
    ]
    sections = {"loss": {"dice": 1.0}, "augment": {"crop_px": 64}}
    assert found == [{"steps": 4, "preset_keys": sections}] * 2
    noted = option_fields.settings_of(options.TrainOptions(**found[0]))
    assert noted["steps"] == 4 and noted["loss"] == {"dice": 1.0} and "jobs" not in noted
    assert "".join(toml(noted)).endswith("\n[loss]\ndice = 1.0\n\n[augment]\ncrop_px = 64\n")


@pytest.mark.parametrize("value", ["nan", "-nan", "inf"])
def test_what_is_no_number_is_out_of_range(value, tmp_path, capsys):
    (tmp_path / "s.toml").write_text(f"threshold = {value}")
    said = refused(capsys, "infer", "--config", tmp_path / "s.toml", "--print-config")
    assert "give 0 to 1" in said
