"""How tensorflow comes into a process."""

import importlib
import sys

import pytest

from fundusseg.nets import runtime


@pytest.mark.parametrize("name", runtime.OPTIONAL)
def test_what_no_command_needs_is_hidden_while_tensorflow_is_imported(monkeypatch, name):
    """Only in a command: somebody's own program may need Keras' wrappers."""
    import fundusseg.cli as command

    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "fundusseg.cli", command)
    with runtime._without_what_no_command_needs(), pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)
    assert name not in sys.modules
    monkeypatch.delitem(sys.modules, "fundusseg.cli")
    with runtime._without_what_no_command_needs():
        assert importlib.import_module(name)


def test_what_is_there_already_stays(monkeypatch):
    here = sys.modules[__name__]
    for name in runtime.OPTIONAL:
        monkeypatch.setitem(sys.modules, name, here)
    with runtime._without_what_no_command_needs():
        assert importlib.import_module(runtime.OPTIONAL[0]) is here
