"""What infer is given becomes one list of sources, with ids that no two share."""

import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from fundusseg import stop
from fundusseg.datasets.sources import LeftOut, sources
from fundusseg.errors import InputError, Stopped, UsageError
from fundusseg.files.manifest import Part, write_manifest
from fundusseg.options import InferOptions
from tests.batch import note_outputs, write_photographs
from tests.phantom_sets import encoded

EARLIER = "images in output folders of earlier runs"


def found(given, out="out", layout="auto", split="all", keep_suffix=False, null=False):
    options = InferOptions(layout=layout, split=split, keep_suffix=keep_suffix, null_separated=null)
    return sources(str(given), Path(out), options)


def ids(*arguments, **options) -> list[str]:
    return [source.id for source in found(*arguments, **options).items]


@pytest.fixture
def stdin(monkeypatch):
    """Put bytes on stdin."""

    def put(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    return put


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_ids_are_paths_without_suffix_in_byte_order(tmp_path):
    """Ids: the path relative to SRC without the suffix, / kept."""
    touch(tmp_path, "b/c/x.JPEG", "b/c.ppm.gz", "B.tif", "a.b.png", "\u00e9.webp")
    assert ids(tmp_path) == ["B", "a.b", "b/c", "b/c/x", "\u00e9"]


def test_two_inputs_of_one_id_are_refused_naming_both(tmp_path):
    """Two inputs that would write one output: exit 1, naming both and --keep-suffix."""
    touch(tmp_path, "d/a.jpg", "d/a.png")
    with pytest.raises(InputError, match=r"a\.jpg.*a\.png.*--keep-suffix"):
        found(tmp_path)
    assert ids(tmp_path, keep_suffix=True) == ["d/a.jpg", "d/a.png"]


def test_dot_files_are_not_walked(tmp_path):
    """OUT inside IN and dot files are not walked."""
    touch(tmp_path, "a.png", ".b.png", ".git/c.png", "d/.e/f.png", "d/.tmp-x.png")
    assert ids(tmp_path) == ["a"]


@pytest.mark.parametrize("out", ["maps", "deep/maps", "maps/../maps"])
def test_out_inside_in_is_not_walked(tmp_path, out):
    """OUT inside IN and dot files are not walked."""
    touch(tmp_path, "a.png", "maps/a.png", "deep/maps/b.png", "deep/c.png")
    assert "a" in ids(tmp_path, tmp_path / out)
    assert not [id for id in ids(tmp_path, tmp_path / out) if id.startswith(os.path.normpath(out))]


def test_out_through_a_link_is_not_walked(tmp_path):
    """OUT inside IN is not walked, however it is named."""
    touch(tmp_path / "in", "a.png", "maps/a.png")
    (tmp_path / "link").symlink_to(tmp_path / "in" / "maps")
    assert ids(tmp_path / "in", tmp_path / "link") == ["a"]


@pytest.mark.parametrize("layout", ["auto", "none"])
def test_maps_of_an_earlier_run_are_no_photographs(tmp_path, layout):
    touch(tmp_path, "a.png", "old/a.png", "old/b/c.png", "new/a.png")
    note_outputs(tmp_path / "old", "a.png", "b/c.png", part=Part(0, 2))
    seen = found(tmp_path, tmp_path / "new", layout=layout)
    assert [source.id for source in seen.items] == ["a"]
    earlier = LeftOut(["old/a.png", "old/b/c.png"], EARLIER, may_be_photographs=True)
    assert seen.left_out == (earlier,)


@pytest.mark.parametrize("ledger", [b"", b'{"order": 1}\n', b"\xff\n", None])
def test_photographs_beside_a_ledger_that_does_not_name_them_are_taken(tmp_path, ledger):
    touch(tmp_path, "good/e1.png", "bad/.fundusseg/ledger.jsonl", "bad/e2.png", "bad/deep/e3.png")
    path = tmp_path / "bad/.fundusseg/ledger.jsonl"
    if ledger is None:
        path.unlink()
        os.mkfifo(path)
    else:
        path.write_bytes(ledger)
    assert ids(tmp_path) == ["bad/deep/e3", "bad/e2", "good/e1"]


def test_photographs_that_maps_were_written_beside_are_taken(tmp_path):
    """infer e1.jpg . in the folder of a patient, and then all patients."""
    touch(tmp_path, "p1/e1.jpg", "p1/e1.png", "p1/e2.jpg", "p2/e1.jpg")
    note_outputs(tmp_path / "p1", "e1.png")
    seen = found(tmp_path)
    assert [source.name for source in seen.items] == ["p1/e1.jpg", "p1/e2.jpg", "p2/e1.jpg"]
    assert seen.left_out == (LeftOut(["p1/e1.png"], EARLIER, may_be_photographs=True),)


def test_links_to_nothing_are_told_of(tmp_path):
    """As where an archive is offline; one with a picture's name is a failed row."""
    touch(tmp_path, "a.png", "b.txt")
    for name in ("archive", "c.png"):
        (tmp_path / name).symlink_to(tmp_path / "gone")
    seen = found(tmp_path, tmp_path / "out")
    assert [source.id for source in seen.items] == ["a", "c"]
    assert seen.left_out == (
        LeftOut(["b.txt"], "files of unknown suffix"),
        LeftOut(["archive"], "links to nothing", may_be_photographs=True),
    )


def test_maps_as_in_are_refused(tmp_path):
    """Swapped words: maps are no photographs, and photographs no place for maps."""
    touch(tmp_path / "maps", ".fundusseg/ledger.jsonl", "a.png")
    with pytest.raises(InputError, match="is what an earlier run wrote; give IN first, then OUT"):
        found(tmp_path / "maps", tmp_path / "photographs")


def test_in_as_out_is_a_wrong_command_line(tmp_path):
    """Exit 2: maps beside their photographs would be photographs to the next run."""
    touch(tmp_path, "a.jpg")
    with pytest.raises(UsageError, match="IN and OUT"):
        found(tmp_path, tmp_path)


def test_files_of_unknown_suffix_are_counted_once(tmp_path):
    """Files of unknown suffix are counted in one line."""
    touch(tmp_path, "a.png", "b.heic", "c.txt", "README")
    unknown, unread = found(tmp_path).left_out
    assert unknown == LeftOut(["README", "c.txt"], "files of unknown suffix")
    assert (unread.paths, unread.may_be_photographs) == (["b.heic"], True)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jp2", b""),
        ("a.heic", b""),
        ("4", b"\xff\xd8\xff\xe0 JFIF"),
        ("scan", bytes(128) + b"DICM"),
    ],
)
def test_what_looks_like_a_picture_and_is_not_read_is_a_warning(tmp_path, name, data):
    (touch(tmp_path, "a.png", name) / name).write_bytes(data)
    (unread,) = found(tmp_path).left_out
    assert unread.paths == [name] and unread.may_be_photographs
    assert "look like pictures" in unread.what


def test_system_folders_are_counted_and_not_walked(tmp_path):
    touch(tmp_path, "v/a.png", "v/@eaDir/a.png/T.jpg", "#recycle/b.png", "$RECYCLE.BIN/c.png")
    (left_out,) = found(tmp_path).left_out
    assert ids(tmp_path) == ["v/a"] and len(left_out.paths) == 3


def test_archives_beside_photographs_are_a_warning_and_alone_an_error(tmp_path):
    touch(tmp_path, "beside/a.png", "beside/b.zip", "only/c.ZIP")
    (left_out,) = found(tmp_path / "beside").left_out
    assert left_out.paths == ["b.zip"] and left_out.may_be_photographs
    for given in (tmp_path / "only", tmp_path / "only/c.ZIP"):
        with pytest.raises(InputError, match=r"c\.ZIP: is a zip archive; unpack it first"):
            found(given)


def test_a_folder_that_cannot_be_listed_costs_only_itself(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "locked/b.png")

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    listed = os.scandir
    monkeypatch.setattr(os, "scandir", scandir)
    kept, locked = found(tmp_path).items
    assert (kept.id, kept.refusal) == ("a", "")
    assert (locked.id, locked.refusal) == ("locked/", "cannot be listed (Permission denied)")


def test_a_single_shard_names_its_folder(tmp_path):
    touch(tmp_path, "shards/shard-00000-of-00002.h5")
    with pytest.raises(InputError, match=f"give the folder of shards that it lies in, {tmp_path}"):
        found(tmp_path / "shards/shard-00000-of-00002.h5")


def test_copied_maps_do_not_pass_for_photographs(tmp_path):
    """cp OUT/* IN/ leaves the ledger behind, but not the tables."""
    touch(tmp_path, "a.jpg", "b/x.png", "b/x.jpg")
    write_manifest(tmp_path / "b", "infer", {}, {"x.png": "0" * 64})
    assert ids(tmp_path) == ["a", "b/x"]
    write_manifest(tmp_path, "infer", {}, {})
    with pytest.raises(InputError, match="is what an earlier run wrote"):
        found(tmp_path)


@pytest.mark.parametrize(
    "mask",
    ["GT/1.png", "av_labels/1.png", "manual/1.tif", "photos/1_mask.png", "mask_OD/1_ODMask.png"],
)
def test_images_named_masks_are_left_out_of_an_unknown_layout(tmp_path, mask):
    touch(tmp_path, "eyes/1.jpg", "eyes/2.jpg", mask)
    (left_out,) = found(tmp_path).left_out
    assert ids(tmp_path) == ["eyes/1", "eyes/2"]
    assert left_out.paths == [mask] and left_out.may_be_photographs
    assert len(ids(tmp_path, layout="none")) == 3


def test_images_of_two_grey_levels_are_left_out_of_an_unknown_layout(tmp_path):
    vessels = np.arange(64 * 64).reshape(64, 64) % 7 == 0
    photograph = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)
    for name, pixels in (("A/1.png", photograph), ("B/1.png", vessels), ("B/2.png", vessels)):
        (touch(tmp_path, name) / name).write_bytes(encoded(pixels, name))
    (left_out,) = found(tmp_path).left_out
    assert ids(tmp_path) == ["A/1"] and left_out.paths == ["B/1.png", "B/2.png"]


def test_a_folder_of_nothing_but_masks_by_name_is_taken_as_photographs(tmp_path):
    touch(tmp_path, "manual focus/1.jpg", "manual focus/2.jpg")
    assert len(ids(tmp_path)) == 2


def test_a_data_set_gives_its_photographs_only(phantom_set):
    """infer's output: in a data set folder only its photographs are taken."""
    root = phantom_set("pairs")
    assert set(ids(root)) == {
        "train/images/p1 left",
        "train/images/p1 right",
        "train/images/p2_OD",
        "test/images/p3_OS",
    }
    (left_out,) = found(root).left_out
    assert len(left_out.paths) == 12 and left_out.paths[0] == "test/fov/p3_OS.png"
    assert left_out.what == "masks and fields of view" and not left_out.may_be_photographs


def test_what_may_be_a_photograph_is_told_from_masks(own_set):
    root = own_set("chase-flat")
    touch(root, "patient1.jpg", "patient2.jpg")
    masks, others = found(root).left_out
    assert "patient1.jpg" not in masks.paths
    assert others.paths == ["patient1.jpg", "patient2.jpg"] and others.may_be_photographs
    assert "--layout none" in others.what


def test_layout_none_takes_every_picture(phantom_set):
    assert len(ids(phantom_set("pairs"), layout="none")) == 16


def test_photographs_of_one_stem_in_a_data_set_are_a_collision_too(own_set):
    root = own_set("pairs")
    (root / "train/images/p2_OD.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="--keep-suffix"):
        found(root)


def test_an_empty_folder_is_an_input_error(tmp_path):
    """Exit 1: an empty folder, or one without a photograph."""
    with pytest.raises(InputError, match="no photograph"):
        found(tmp_path)
    touch(tmp_path, "notes.txt")
    with pytest.raises(InputError, match="no photograph"):
        found(tmp_path)


def test_a_missing_path_is_a_usage_error(tmp_path):
    """Exit 2: a missing path."""
    with pytest.raises(UsageError, match="does not exist"):
        found(tmp_path / "missing")


def test_a_single_file_is_named_without_its_folder(tmp_path):
    (source,) = found(touch(tmp_path, "d/a.png") / "d/a.png").items
    assert (source.id, source.path) == ("a", tmp_path / "d/a.png")


@pytest.mark.parametrize("given", ["a.png", "./a.png"])
def test_a_single_file_of_the_working_folder(given, tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "a.png"))
    (source,) = found(given).items
    assert (source.id, source.file) == ("a", "a.png")


@pytest.mark.parametrize("keep_suffix", [False, True])
def test_the_file_of_a_source_is_the_one_that_was_given(tmp_path, keep_suffix):
    """An id without its suffix, and the path with it as it is spelled."""
    names = ["a.PNG", "b.ppm.gz", "d.png/c.tiff"]
    items = found(touch(tmp_path, *names), keep_suffix=keep_suffix).items
    assert [source.path for source in items] == [tmp_path / name for name in names]
    assert [source.id for source in items] == (names if keep_suffix else ["a", "b", "d.png/c"])


def test_arrays_beside_photographs_do_not_make_a_folder_of_shards(tmp_path):
    """IN that holds an older OUT with .npz maps is still a folder of photographs."""
    touch(tmp_path, "a.png", "old/a.npz", "old/manifest.json")
    assert ids(tmp_path) == ["a"]


def test_arrays_alone_are_shards(tmp_path):
    touch(tmp_path, "d/a.npz", "manifest.json")
    with pytest.raises(InputError, match=r"a\.npz"):  # an empty one is damaged, but it is read
        found(tmp_path)


LIST = b"/abs/x.png\nrel/y.jpg\n./rel//z.png\n\nup/../w.png\n"


def test_a_list_keeps_relative_paths_and_strips_absolute_ones(stdin):
    """On a list, relative paths are kept, absolute ones lose the leading /."""
    stdin(LIST)
    items = found("-").items
    assert [(s.id, str(s.path)) for s in items if not s.refusal] == [
        ("abs/x", "/abs/x.png"),
        ("rel/y", "rel/y.jpg"),
        ("rel/z", "rel/z.png"),
        ("w", "w.png"),
    ]


def test_two_dots_on_a_list_are_resolved_below_the_common_folder(stdin, tmp_path, monkeypatch):
    touch(tmp_path, "here/a/x.png", "here/b/x.png", "here/sub/deep/y.png")
    monkeypatch.chdir(tmp_path / "here/sub")
    stdin(b"../a/x.png\n../b/x.png\n../sub/../a/x.png\ndeep/y.png\n")
    items = found("-").items
    assert [source.id for source in items] == ["a/x", "b/x", "sub/deep/y"]
    assert all(source.path.is_file() for source in items)


def test_two_dots_behind_a_link_are_where_the_disk_has_them(stdin, tmp_path, monkeypatch):
    touch(tmp_path, "real/x.png", "real/inner/y.png", "here/z.png")
    (tmp_path / "here/link").symlink_to(tmp_path / "real/inner")
    monkeypatch.chdir(tmp_path / "here")
    stdin(b"link/../x.png\n")
    (source,) = found("-").items
    assert source.id == "x" and source.path.samefile(tmp_path / "real/x.png")


def test_lines_of_a_list_may_end_either_way(stdin):
    stdin(b"a.png\r\nb.png\r\nc.png\n")
    assert ids("-") == ["a", "b", "c"]


def test_quotes_on_a_list_are_stripped_where_no_file_is_named_so(stdin, tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "a.png", '"b".png', "'c.png'"))
    stdin(b"\"a.png\"\n'c.png'\n")
    assert [str(source.path) for source in found("-").items] == ["'c.png'", "a.png"]


def test_a_stop_is_heard_while_a_list_has_not_ended(monkeypatch):
    """SIGTERM while a slow list is read: exit 75."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as slow:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stream))
        monkeypatch.setattr(stop, "_received", [signal.SIGTERM])
        slow.write(b"a.png\n")
        with pytest.raises(Stopped, match="SIGTERM"):
            found("-")


def test_a_path_that_is_listed_twice_is_one_input(stdin):
    """Lists: duplicates count once, in whatever spelling."""
    stdin(b"a.png\na.png\n./a.png\n")
    assert ids("-") == ["a"]


def test_an_absolute_path_that_meets_a_relative_one_is_a_collision(stdin):
    """Two inputs that would write one output: exit 1."""
    stdin(b"a.png\n/a.png\n")
    with pytest.raises(InputError, match="would write one output"):
        found("-")


def test_null_separates_names_with_newlines(stdin):
    """--null: NUL-separated."""
    stdin(b"a\nb.png\0\xff.png\0")
    assert ids("-", null=True) == ["a\nb", os.fsdecode(b"\xff")]


def test_a_list_without_the_last_newline_is_read_whole(stdin):
    stdin(b"a.png\nb.png")
    assert ids("-") == ["a", "b"]


def test_an_empty_list_is_an_input_error(stdin):
    """Exit 1: nothing on stdin."""
    stdin(b"\n")
    with pytest.raises(InputError, match="no photograph"):
        found("-")


def test_the_order_on_the_list_does_not_matter(stdin):
    """Same bytes: whatever the order of files."""
    stdin(b"b.png\na.png\nC.png\n")
    assert ids("-") == ["C", "a", "b"]


def test_real_photographs_are_found_whatever_the_cwd(tmp_path, monkeypatch):
    write_photographs(tmp_path / "in", "a.png")
    monkeypatch.chdir(tmp_path)
    (source,) = found("in").items
    assert source.path.is_file()


def test_options_that_would_do_nothing_are_refused(tmp_path):
    write_photographs(tmp_path, "a.png")
    with pytest.raises(UsageError, match="--null is for a list on stdin"):
        found(tmp_path, null=True)
    with pytest.raises(UsageError, match="--split is for shards"):
        found(tmp_path, split="test")


def test_a_list_with_nul_asks_for_the_option(stdin):
    stdin(b"a.png\0b.png\0")
    with pytest.raises(UsageError, match="the list has NUL in it; give --null"):
        found("-")


def test_a_list_may_be_made_on_windows(stdin):
    stdin(b"a.png\r\nb.png\r\n")
    assert ids("-") == ["a", "b"]


def test_a_list_may_begin_with_a_byte_order_mark(stdin):
    stdin(b"\xef\xbb\xbfa.png\nb.png\n")
    assert ids("-") == ["a", "b"]
    stdin("a.png\n".encode("utf-16"))
    with pytest.raises(UsageError, match="UTF-16; save it as UTF-8"):
        found("-")


def test_a_pair_that_strayed_in_makes_no_data_set(tmp_path):
    touch(tmp_path, "images/1.png", "masks/1.png", *(f"patient{n}/od.png" for n in range(5)))
    assert ids(tmp_path) == ["images/1", *(f"patient{n}/od" for n in range(5))]
    (left_out,) = found(tmp_path).left_out
    assert left_out.paths == ["masks/1.png"]


def test_a_closed_stdin_is_an_empty_list(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="no photograph"):
        found("-")


def test_a_pipe_among_the_files_is_not_waited_for(tmp_path):
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    os.mkfifo(tmp_path / "c.log")
    assert ids(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("name", ["status.tsv", "status-0-of-2.tsv", "manifest.json"])
def test_a_pipe_or_device_with_the_name_of_a_record_is_none(tmp_path, name):
    touch(tmp_path, "a/x.png", "b/x.png")
    os.mkfifo(tmp_path / "a" / name)
    (tmp_path / "b" / name).symlink_to("/dev/zero")
    assert ids(tmp_path) == ["a/x", "b/x"]
