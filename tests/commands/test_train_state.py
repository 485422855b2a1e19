"""train: which state a training goes on from, where the last one is damaged or missing."""

import numpy as np
import pytest

from fundusseg.commands.train import outputs
from fundusseg.errors import InputError
from fundusseg.files import models
from fundusseg.files.manifest import STATE_FOLDER

CONFIG = "0" * 64


@pytest.fixture
def folder(tmp_path):
    """A model folder with two states, of steps 1 and 2."""
    (tmp_path / STATE_FOLDER).mkdir()
    for step in (1, 2):
        notes = {"config": CONFIG, "batch": 2}
        models.write_state(tmp_path, {"step": np.array(step), "w": np.ones(9)}, notes)
    return tmp_path


def last_step(folder) -> int:
    saved = outputs.saved_state(folder, CONFIG, 2)
    assert saved is not None
    return int(saved[0]["step"])


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"", lambda data: b"x"])
def test_a_damaged_last_state_gives_way_to_the_one_before_it(folder, damage, caplog):
    path = folder / models.STATE
    assert last_step(folder) == 2
    path.write_bytes(damage(path.read_bytes()))
    assert last_step(folder) == 1
    assert "going on from the state before it" in caplog.text
    assert last_step(folder) == 1 and not (folder / models.EARLIER_STATE).exists()


def test_one_that_was_not_written_to_its_end_gives_way_too(folder):
    (folder / models.STATE).unlink()
    assert last_step(folder) == 1


def test_two_damaged_states_are_one_line(folder):
    for name in (models.STATE, models.EARLIER_STATE):
        (folder / name).write_bytes(b"x")
    with pytest.raises(InputError, match=r"state.h5: .*give --force to train anew"):
        outputs.saved_state(folder, CONFIG, 2)


def test_the_generator_comes_back_from_a_state(folder):
    calibration = models.Calibration(1.5, -0.25)
    chosen = outputs.Generator({"a/b": np.arange(3.0)}, 0.4, calibration, {"step": 7})
    state = {"step": np.array(7), **chosen.arrays()}
    models.write_state(folder, state, {"generator": chosen.notes()})
    found, notes = models.read_state(folder)
    again = outputs.taken_generator(found, notes, folder / models.STATE)
    assert found.keys() == {"step"}
    np.testing.assert_array_equal(again.weights["a/b"], chosen.weights["a/b"])
    assert again.notes() == chosen.notes()
    assert outputs.taken_generator({"step": np.array(7)}, {}, folder) is None
