"""train: the pictures of a model folder, and the event files beside it."""

import json
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest

from fundusseg.commands.train.pictures import MOST_MAPS, MOST_ROWS, PANEL_PX, Pictures, panel
from fundusseg.files import models
from fundusseg.files.history import read_history
from fundusseg.files.manifest import outputs_of
from fundusseg.report.training_plots import curves_plot
from tests.batch import contents, one_line, run
from tests.commands.trainings import signal_at

STEPS = 20
PICTURES = {models.CURVES, models.SAMPLES}


@pytest.fixture(scope="module")
def train(tiny_shards, tiny_settings):
    """Train the tiny network without a discriminator; the exit code."""
    words = ("--config", tiny_settings, "--precision", "float32", "--jobs", 1)
    words = (*words, "--steps", STEPS, "--adversarial-weight", 0)
    return lambda out, *more: run("train", tiny_shards, out, *words, *more)


@pytest.fixture(scope="module")
def unbroken(train, tmp_path_factory):
    """A model folder, and the folder of its events; not to be changed."""
    root = tmp_path_factory.mktemp("unbroken")
    assert train(root / "model", "--tensorboard", root / "events") == 0
    return root / "model", root / "events"


def held_out(count: int, size_px: int = 8) -> list:
    """Samples, as far as pictures look at them, each of its own grey."""
    frames = [np.full((size_px, size_px), 10 * number, np.uint8) for number in range(count)]
    return [SimpleNamespace(image=np.stack([it] * 3, axis=-1), labelled_mask=it) for it in frames]


def events_of(folder) -> list[tuple[int, str, float]]:
    """Step, column and figure of each event."""
    from fundusseg.nets.runtime import tf

    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name in ("scalars", "")
                found.append((event.step, value.tag, float(tf.make_ndarray(value.tensor))))
    return found


def test_pictures_are_outputs_and_curves_follow_from_the_history(unbroken):
    out, _ = unbroken
    assert PICTURES <= set(dict(outputs_of(out)))
    rows = read_history(out / models.HISTORY)
    assert (out / models.CURVES).read_bytes() == curves_plot(rows)
    assert run("check", out) == 0


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_finished_training_that_lost_a_picture_says_so(
    name, train, unbroken, tmp_path, capsys, no_training
):
    out = shutil.copytree(unbroken[0], tmp_path / "model")
    (out / name).unlink()
    assert train(out) == 1
    assert f"{out / name}: is gone or changed" in one_line(capsys)


def test_pictures_damaged_while_it_was_stopped_end_the_same(train, unbroken, tmp_path, monkeypatch):
    """Resume: maps of the validation before the stop are in the state, not in the picture."""
    out = tmp_path / "model"
    with monkeypatch.context() as patch:
        signal_at(patch, 11, signal.SIGTERM)
        assert train(out) == 75
    for name in PICTURES:
        (out / name).write_bytes(b"x")
    assert train(out) == 0
    assert contents(out) == contents(unbroken[0])


def test_a_state_with_maps_of_other_photographs_is_one_line(train, unbroken, tmp_path, capsys):
    out = shutil.copytree(unbroken[0], tmp_path / "model")
    (out / "manifest.json").unlink()
    state, notes = models.read_state(out)
    models.write_state(out, {**state, "pictured/8/7": np.zeros((4, 4), np.uint8)}, notes)
    assert train(out) == 1
    assert f"{out / models.STATE}: does not fit" in one_line(capsys)


def test_first_and_last_validation_stay_and_those_between_are_spread(tmp_path):
    pictures = Pictures(tmp_path, held_out(1))
    for step in range(10, 410, 10):
        pictures.add(step, [np.full((4, 4), step % 256, np.uint8)])
        steps = [int(name.split("/")[1]) for name in pictures.arrays()]
        assert steps[0] == 10 and steps[-1] == step and len(steps) == min(step // 10, MOST_MAPS)
    assert np.diff(steps).min() >= 40


def test_the_maps_come_back_from_a_state(tmp_path):
    first, second = (Pictures(tmp_path, held_out(5)) for _ in range(2))
    for step in (9, 10, 100):
        first.add(step, [panel(sample.labelled_mask) for sample in held_out(5)])
    state = {"step": np.array(3), **first.arrays()}
    assert len(state) == 1 + 3 * MOST_ROWS
    second.take(state)
    assert state.keys() == {"step"}
    assert list(second.arrays()) == list(first.arrays())
    for name, values in first.arrays().items():
        np.testing.assert_array_equal(second.arrays()[name], values)


@pytest.mark.parametrize("fault", ["a row is gone", "numbers", "a line"])
def test_maps_that_do_not_fit_are_refused(fault, tmp_path):
    pictures = Pictures(tmp_path, held_out(2))
    maps = {f"pictured/8/{row}": np.zeros((4, 4), np.uint8) for row in range(2)}
    if fault == "a row is gone":
        del maps["pictured/8/0"]
    else:
        maps["pictured/8/1"] = np.zeros((4, 4)) if fault == "numbers" else np.zeros(4, np.uint8)
    with pytest.raises((KeyError, ValueError)):
        pictures.take(maps)


def test_a_panel_is_the_mean_of_squares():
    values = np.zeros((2 * PANEL_PX - 1, 2 * PANEL_PX, 3), np.uint8)
    values[0, 0] = 200
    shrunk = panel(values)
    assert shrunk.shape == (PANEL_PX - 1, PANEL_PX, 3) and shrunk.dtype == np.uint8
    assert shrunk[0, 0].tolist() == [50] * 3 and shrunk.sum() == 150
    np.testing.assert_array_equal(panel(values[:9, :9, 0]), values[:9, :9, 0])


def test_events_have_all_figures_of_the_history_at_their_steps(unbroken):
    out, events = unbroken
    expected = [
        (int(row["step"]), name, pytest.approx(figure, rel=1e-6, abs=1e-12))
        for row in read_history(out / models.HISTORY)
        for name, figure in row.items()
        if name != "step"
    ]
    assert sorted(events_of(events)) == sorted(expected, key=lambda event: event[:2])


def test_a_resumed_training_logs_on_and_the_model_tells_nothing_of_it(
    train, unbroken, tmp_path, monkeypatch
):
    out, log = tmp_path / "model", ("--tensorboard", tmp_path / "events")
    with monkeypatch.context() as patch:
        signal_at(patch, 11, signal.SIGTERM)
        assert train(out, *log) == 75
    assert train(out, *log) == 0
    assert len(list((tmp_path / "events").iterdir())) == 2
    assert events_of(tmp_path / "events") == events_of(unbroken[1])
    assert contents(out) == contents(unbroken[0])
    assert "tensorboard" not in json.loads((out / "manifest.json").read_text())["options"]


def test_a_new_folder_of_events_has_the_rows_of_before_too(train, unbroken, tmp_path, monkeypatch):
    """Where it is given only when a training goes on, and when it is finished."""
    out = tmp_path / "model"
    with monkeypatch.context() as patch:
        signal_at(patch, 11, signal.SIGTERM)
        assert train(out) == 75
    for name in ("resumed", "finished", "finished"):
        assert train(out, "--tensorboard", tmp_path / name) == 0
        found, whole = events_of(tmp_path / name), events_of(unbroken[1])
        assert [event[:2] for event in found] == [event[:2] for event in whole]
        figures = [event[2] for event in whole]  # history.csv has eight digits of them
        assert [event[2] for event in found] == pytest.approx(figures, rel=1e-6)


def test_a_folder_of_events_that_cannot_be_written_is_one_line(
    train, tmp_path, capsys, no_training
):
    """Exit 1, before any long work."""
    (tmp_path / "events").write_text("")
    assert train(tmp_path / "model", "--tensorboard", tmp_path / "events") == 1
    assert f"{tmp_path / 'events'}: is no folder that can be written" in one_line(capsys)


def test_a_folder_of_events_that_is_full_is_one_line(train, tmp_path, capsys, monkeypatch):
    from fundusseg.nets.runtime import tf

    def write(*arguments):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left\non device")

    monkeypatch.setattr(tf.summary, "write", write)
    assert train(tmp_path / "model", "--tensorboard", tmp_path / "events") == 1
    assert "events: cannot hold an event file (No space left on device)" in one_line(capsys)
