"""Event files, which TensorBoard shows: how a training goes, while it goes."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from fundusseg.errors import InputError


class EventLog:
    """A new event file in `folder`, beside those of earlier runs of the same training.

    tf.summary.scalar takes TensorBoard to be installed where the training runs; tf.summary.write
    does not, if it is told which of TensorBoard's pages the figures are for.

    Raises:
        InputError: if the file cannot be made; by `add`, if it cannot be written.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._metadata = tf.compat.v1.SummaryMetadata(
            plugin_data={"plugin_name": "scalars"}, data_class="DATA_CLASS_SCALAR"
        )
        with self._blamed_on_the_folder():
            self._writer = tf.summary.create_file_writer(str(folder))

    def add(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Write rows of history.csv: each figure by its column, at the row's `step`."""
        with self._blamed_on_the_folder(), self._writer.as_default():
            for row in rows:
                step = int(row["step"])
                for name in [name for name in row if name != "step"]:
                    figure = tf.constant(row[name], tf.float32)
                    tf.summary.write(name, figure, step, self._metadata)
            self._writer.flush()

    @contextmanager
    def _blamed_on_the_folder(self) -> Iterator[None]:
        try:
            yield
        except tf.errors.OpError as error:
            reason = " ".join(error.message.split())[:120]
            remedy = "free space, or give another --tensorboard"
            problem = f"cannot hold an event file ({reason})"
            raise InputError(self.folder, problem, remedy) from error
