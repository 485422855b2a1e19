"""What newcomers get wrong: one line each, which says what to do; nothing is written."""

import io
import shutil

import h5py
import pytest

from tests.batch import contents, run, write_tiny_model

NO_SUCH_MODEL = "does not exist; give a folder that train wrote, or one of: default"
NO_LAYOUT = "give --layout, one of fives, drive, chase,"
MISTAKES = {
    # infer
    "infer photos": (2, "Missing argument 'OUT' of fundusseg infer [OPTIONS] IN OUT; see"),
    "infer photo out": (2, "photo: does not exist; check the spelling"),
    "infer empty out": (1, "empty: holds no photograph; give PNG, JPEG,"),
    "infer photos/a.png photos/b.png photos/c.png out": (2, "give the folder in place of *.jpg"),
    "infer my eyes out": (
        2,
        "'out' is one too many for fundusseg infer [OPTIONS] IN OUT; put quotes",
    ),
    "infer photos map.png": (2, "map.png: is named like a picture; OUT is the folder"),
    "infer photos -o out": (2, "OUT stands last, after no option"),
    "infer photos out --overlya": (2, "no such option: --overlya (--overlay?); see"),
    "infer photos out --model modle": (2, f"modle: {NO_SUCH_MODEL}"),
    "infer photos out --model photos": (1, "photos: is no model folder (no config.json); give a"),
    "infer photos out --threshold 40": (
        2,
        "'--threshold': Input should be less than or equal to 1",
    ),
    "infer photos out --format jpg": (2, "'jpg' is not one of 'png', 'npz', 'h5'; see"),
    "infer maps out": (1, "maps: is what an earlier run wrote; give IN first, then OUT"),
    "infer photos photos": (2, "photos: is IN and OUT; choose another output folder"),
    "infer photos note.txt": (
        1,
        "note.txt: is no folder that can be written (File exists); choose",
    ),
    "infer photos.zip out": (1, "photos.zip: is a zip archive; unpack it first"),
    "infer photos maps --threshold 0.9": (1, "choose another folder, or give --force"),
    "infer photos out --split test": (2, "photos: --split is for shards; these are photographs"),
    "infer photos out --shard 1": (2, "--shard 1 needs --num-shards N, the number of parts"),
    "infer photos out --shard 3 --num-shards 3": (2, "K counts from 0, so the last part of 3 is"),
    "infer photos out --num-shards 3": (2, "needs --shard K, the part that this run makes, 0 to 2"),
    "infer - out": (1, "-: holds no photograph; give PNG, JPEG,"),
    "infer photos out --null": (2, "photos: --null is for a list on stdin; give - as IN"),
    "infer  out": (2, "an argument is empty; is a variable of the shell not set?"),
    "infer https://example.org/a.jpg out": (2, "a.jpg: does not exist; download it first, and"),
    "infer ~/photos out": (2, "~/photos: does not exist; quotes keep the shell from reading ~;"),
    "infer photos out --threshold 0,4": (2, "'--threshold': it is no number; write it in digits,"),
    "infer photos out --tile 64.5": (2, "'--tile': it is no whole number; write it in digits"),
    "infer photos out --include *.jpg": (1, "quote patterns, and give them as for p1 left.png"),
    "infer photos out --config note.txt": (1, "give what --print-config prints, or a manifest.js"),
    # score and measure
    "score maps": (2, "score needs at least one folder of maps, and the truth; see"),
    "score masks maps": (1, "give the maps first and the truth last: PRED... TRUTH"),
    "score maps photos": (1, "is a picture in colours, no mask or map; make vessels white"),
    "score maps empty": (1, "empty: holds no masks; give a data set folder, shards, or masks"),
    "score maps data --at prepared": (
        2,
        "can be scored at the prepared size; give shards as TRUTH",
    ),
    "score maps data --groups note.txt": (1, "note.txt: has no column id; its first line must"),
    "measure maps": (2, "measure needs a folder of maps, and the name of the table; see"),
    "measure maps v.csv --pixel-um big": (2, "big: is neither a number above 0 nor a file"),
    "measure maps maps": (2, "maps: is a folder; give the table a name, such as vessels.csv"),
    "measure maps v.xlsx": (2, "v.xlsx: is written as CSV; name it v.csv, which Excel opens too"),
    "measure maps v.csv --include *.png": (1, "quote patterns, and give them as for p1 left"),
    "score maps data --include x*": (1, "1 mask, and none that --include and --exclude take; quot"),
    # prep and train
    "prep photos out": (1, NO_LAYOUT),
    "prep data out --layout chase": (1, f"holds no photograph in the layout chase; {NO_LAYOUT}"),
    "prep data data": (2, "data: is SRC and OUT; choose another output folder"),
    "train shards": (2, "train needs at least one shard folder and the model folder; see"),
    "train photos out": (1, "photos: holds no shards (shard-*.h5 or *.npz); make them with: fund"),
    "train newer-shards out": (1, "has shard version 99, newer than"),
    "train shards out --config typo.json": (
        1,
        "unknown key stpes in TrainConfig; known are steps,",
    ),
    "train shards out --steps 0": (2, "'--steps': Input should be greater than or equal to 1"),
    "train shards out --start-from modle": (2, f"modle: {NO_SUCH_MODEL}"),
    # the others
    "merge photos": (1, "holds no parts (manifest-K-of-N.json); run infer or prep with --shard"),
    "check nothing": (2, "nothing: is no folder and no table; give what prep, train,"),
    "status photos": (1, "photos: holds no run of infer, which would tell how far it is; give"),
    "info modle": (2, f"modle: {NO_SUCH_MODEL}"),
    "inferr photos out": (2, "No such command 'inferr'. Did you mean 'infer'"),
    "infer photos out --quiet --verbose": (2, "--quiet and --verbose exclude each other; give one"),
}


@pytest.fixture(scope="module")
def desk(phantom_set, tmp_path_factory):
    """A folder as newcomers have it: photographs, masks, and what earlier commands left."""
    desk = tmp_path_factory.mktemp("desk")
    data = desk / "data"
    shutil.copytree(phantom_set("pairs"), data)
    for name in ("photos", "masks", "empty"):
        (desk / name).mkdir()
    for photograph in data.rglob("images/*.*"):
        shutil.copy(photograph, desk / "photos" / photograph.name)
    for mask in data.rglob("masks/*.*"):
        shutil.copy(mask, desk / "masks" / mask.name)
    model = write_tiny_model(desk / "model")
    assert run("prep", data, desk / "shards", "--quiet") == 0
    assert run("infer", desk / "photos", desk / "maps", "--model", model, "--quiet") == 0
    shutil.copytree(desk / "shards", desk / "newer-shards")
    for path in (desk / "newer-shards").glob("*.h5"):
        with h5py.File(path, "r+") as shard:
            shard.attrs["version"] = 99
    (desk / "photos.zip").write_bytes(b"PK\x03\x04")
    (desk / "note.txt").write_text("to be read")
    (desk / "typo.json").write_text('{"train": {"stpes": 3}}')
    return desk


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_gives_one_line_that_says_what_to_do(desk, words, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    before = contents(desk)
    code, said = MISTAKES[words]
    more = [] if "--quiet" in words else ["--quiet"]
    if words.startswith("infer photos ") and "--model" not in words and "out" not in words:
        more += ["--model", "model"]
    assert run(*words.split(" "), *more) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("fundusseg: error: ") and printed.err.count("\n") == 1
    assert said in printed.err
    assert contents(desk) == before


def test_masks_given_as_photographs_are_named_one_by_one(desk, tmp_path, capsys):
    assert run("infer", desk / "masks", tmp_path / "out", "--quiet") == 3
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(list((desk / "masks").iterdir()))
    assert all(
        "a mask or a vessel map, no photograph; give the photograph" in line for line in lines
    )
