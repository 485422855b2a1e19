"""How tensorflow comes into a process."""

import importlib
import sys

import pytest

from fundusseg import ui
from fundusseg.nets import runtime


@pytest.mark.parametrize("name", runtime.OPTIONAL)
def test_what_no_command_needs_is_hidden_while_tensorflow_is_imported(monkeypatch, name):
    """Only in a command: somebody's own program may need Keras' wrappers."""
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(ui, "_runs_as_command", True)
    with runtime._without_what_no_command_needs(), pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)
    assert name not in sys.modules
    monkeypatch.setattr(ui, "_runs_as_command", False)
    with runtime._without_what_no_command_needs():
        assert importlib.import_module(name)


def test_what_is_there_already_stays(monkeypatch):
    here = sys.modules[__name__]
    for name in runtime.OPTIONAL:
        monkeypatch.setitem(sys.modules, name, here)
    with runtime._without_what_no_command_needs():
        assert importlib.import_module(runtime.OPTIONAL[0]) is here


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(8, 0)], "bfloat16"),
        ([(9, 0), (8, 6)], "bfloat16"),
        ([(7, 5)], "float32"),
        ([(9, 0), (6, 0)], "float32"),
        ([None], "float32"),
    ],
)
def test_auto_takes_bfloat16_on_gpus_of_capability_8_and_up_only(
    capabilities, expected, monkeypatch
):
    """A T4 has 7.5, a P100 6.0; tensorflow may not know it."""
    known = [{} if found is None else {"compute_capability": found} for found in capabilities]
    monkeypatch.setattr(runtime, "_GPUS", list(range(len(known))))
    monkeypatch.setattr(runtime.tf.config.experimental, "get_device_details", known.__getitem__)
    assert runtime.chosen_precision("auto") == expected
    assert runtime.chosen_precision("bfloat16") == "bfloat16"
