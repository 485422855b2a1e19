"""Every reader on files that are made wrong: python -m tests.faults.fuzzing [--seconds S]

A trial puts one mutated file in the place of a valid one, and has the program read it: a function,
or a whole command line. It must end as ok or as an error of the program's own, with one line, in
less than 2 GiB and 30 s. Trials run in children, many in each. What ends otherwise is printed, a
line for each place in the code, and its file kept in --finds; `--seconds` is for each target.
"""

import argparse
import json
import mmap
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fundusseg import cli
from fundusseg.errors import LACK_OF_MEMORY, FundussegError
from tests.faults.command_lines import import_all
from tests.faults.mutations import mutated
from tests.faults.trials import without_network
from tests.faults.valid_files import Target, targets

LONGEST_S = 30
LARGEST_MIB = 2048
AT_ONCE = 200  # trials in one child
_OWN = os.sep + "fundusseg" + os.sep
_GIB = 1 << 30


@dataclass(frozen=True)
class Find:
    """A trial that ended as none may. where: what and where, equal for equal finds."""

    target: str
    trial: int
    file: str
    where: str


class Fuzzed:
    """The trials of one target, in a folder of their own.

    Args:
        finds: where the files of what is found are kept; one for each place in the code.
    """

    def __init__(self, target: Target, work: Path, seed: int, finds: Path):
        self.target, self.seed, self.finds = target, seed, finds
        self.root, self.log = work / "root", work / "stderr"
        self.found: dict[str, Find] = {}
        self.tried = 0
        work.mkdir()
        self._at = mmap.mmap(-1, 8)  # the trial that a child was at when it died
        self._notes = work / "notes"

    def run(self, seconds: float) -> None:
        """Try for about so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._try_some(self.tried, self.tried + AT_ONCE, end)

    def one(self, trial: int) -> Find | None:
        """Try one again, by its number."""
        self._try_some(trial, trial + 1, time.monotonic() + LONGEST_S)
        return next(iter(self.found.values()), None)

    def _try_some(self, first: int, last: int, end: float) -> None:
        pid = os.fork()
        if pid == 0:
            try:
                self._in_child(first, last, end)
            finally:
                os._exit(70)
        status = os.waitpid(pid, 0)[1]
        at = int.from_bytes(self._at[:8], "little")
        self.tried = at + 1
        code = os.waitstatus_to_exitcode(status)
        notes = self._notes.read_text().splitlines() if self._notes.exists() else []
        self._notes.unlink(missing_ok=True)
        if code != 0:
            is_long = code in (-signal.SIGPROF, -signal.SIGALRM)
            where = f"more than {LONGEST_S} s" if is_long else f"ended by {code}"
            notes.append(json.dumps([at, where]))
        for trial, where in map(json.loads, notes):
            self._keep(trial, where)

    def _in_child(self, first: int, last: int, end: float) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_size() + 3 * _GIB,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        descriptor = os.open(self.log, os.O_CREAT | os.O_RDWR | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = open(1, "w"), open(2, "w", buffering=1)
        without_network()
        self._reset()
        for trial in range(first, last):
            self._at[:8] = trial.to_bytes(8, "little")
            where = self._tried(trial)
            if where:
                with self._notes.open("a") as file:
                    file.write(json.dumps([trial, where]) + "\n")
            if where.startswith("took") or time.monotonic() > end:
                break  # what was taken once would be found each time
        os._exit(0)

    def _reset(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(self.target.root, self.root)

    def _drawn(self, trial: int) -> tuple[random.Random, str, bytes]:
        """What is random in a trial from there on, the file that is changed, and its bytes."""
        drawn = random.Random(f"{self.seed}/{self.target.name}/{trial}")
        name = drawn.choice(self.target.files)
        return drawn, name, mutated((self.target.root / name).read_bytes(), drawn)

    def _tried(self, trial: int) -> str:
        """What went wrong, and where; "" if nothing did."""
        drawn, name, data = self._drawn(trial)
        path = self.root / name
        path.write_bytes(data)
        os.ftruncate(2, 0)
        os.lseek(2, 0, os.SEEK_SET)
        signal.setitimer(signal.ITIMER_PROF, LONGEST_S)  # of the processor, which others use too
        signal.alarm(10 * LONGEST_S)
        try:
            where = _read(self.target, path, self.root, drawn, self.log)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
        mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        if not where and mib > LARGEST_MIB:
            where = f"took more than {LARGEST_MIB} MiB"
        if self.target.writes:
            self._reset()
        else:
            shutil.copy2(self.target.root / name, path)
        return where

    def _keep(self, trial: int, where: str) -> None:
        if where in self.found:
            return
        _, name, data = self._drawn(trial)
        self.found[where] = Find(self.target.name, trial, name, where)
        kept = self.finds / f"{self.target.name}-{trial}-{name.replace('/', '-')}"
        self.finds.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(data)
        print(f"{self.target.name} {trial} ({name}): {where}", flush=True)


def _size() -> int:
    """The virtual memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _read(target: Target, path: Path, root: Path, drawn: random.Random, log: Path) -> str:
    """Have the program read a file; what went wrong, or ""."""
    try:
        for words in target.read(path, root, drawn) or ():
            code = cli.main([str(word) for word in words])
            text = log.read_text(errors="backslashreplace")
            errors = [line for line in text.splitlines() if "error: " in line]
            if code not in (0, 1, 3):
                return f"{words[0]}: exit {code} {_last_place(text)}"
            if code == 1 and len(errors) != 1 and words[0] != "check":  # which says all on stdout
                return f"{words[0]}: exit 1 with {len(errors)} lines of errors"
            if LACK_OF_MEMORY in text:
                return f"{words[0]}: {LACK_OF_MEMORY}"
            os.ftruncate(2, 0)
    except FundussegError as error:
        message = str(error)
        if LACK_OF_MEMORY in message:
            return f"{LACK_OF_MEMORY} {_place(error)}"
        return f"not one line {_place(error)}" if len(message.splitlines()) != 1 else ""
    except Exception as error:
        return f"{type(error).__name__} {_place(error)}"
    return ""


def _place(error: BaseException) -> str:
    """The last line of the package that an error passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames if _OWN in f.filename]
    return f"in {own[-1] if own else '?'}"


def _last_place(text: str) -> str:
    """As `_place`, of a traceback that was printed."""
    lines = text.splitlines()
    own = [line.strip() for line in lines if line.startswith("  File ") and _OWN in line]
    last = next((line for line in reversed(lines) if line and line[0].isalpha()), "")
    return f"{last[:60]} in {own[-1].rpartition(os.sep)[2] if own else '?'}"


def main() -> int:
    """Try all targets, or those named; 1 if anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzzing")
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trial", type=int, help="only this one")
    parser.add_argument("--finds", type=Path, default=Path(tempfile.gettempdir()) / "finds")
    given = parser.parse_args()
    import_all()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="fuzzing-") as folder:
        for fuzzed in _chosen(Path(folder), given):
            if given.trial is not None:
                fuzzed.one(given.trial)
            else:
                fuzzed.run(given.seconds)
            counts[fuzzed.target.name] = fuzzed.tried
            told = f"{fuzzed.target.name}: {fuzzed.tried} tried, {len(fuzzed.found)} found"
            print(told, flush=True)
            counts["found"] += len(fuzzed.found)
    return 1 if counts["found"] else 0


def _chosen(work: Path, given: argparse.Namespace) -> Iterator[Fuzzed]:
    (work / "valid").mkdir()
    for target in targets(work / "valid"):
        if not given.targets or target.name in given.targets:
            yield Fuzzed(target, work / target.name, given.seed, given.finds)


if __name__ == "__main__":
    sys.exit(main())
