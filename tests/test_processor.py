"""What is told of the processor."""

import os

import pytest

from fundusseg import processor
from fundusseg.processor import free_cores, is_faster_in_bfloat16


def test_free_cores_are_at_least_one():
    assert free_cores() >= 1


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"cpu.max": "200000 100000"}, 2),
        ("0::/", {"cpu.max": "max 100000"}, 64),
        ("0::/", {"cpu.max": "50000 100000"}, 1),
        ("0::/", {}, 64),
        ("0::/a/b", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/of/the/host", {"cpu.max": "400000 100000"}, 4),
        (
            "4:memory:/\n2:cpu,cpuacct:/docker/1",
            {"cpu,cpuacct/cpu.cfs_quota_us": "250000", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            2,
        ),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_free_cores_are_no_more_than_a_containers_quota(
    own, files, expected, tmp_path, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(processor, "_CGROUPS", tmp_path / "fs")
    monkeypatch.setattr(processor, "_OWN_CGROUPS", tmp_path / "own")
    (tmp_path / "own").write_text(f"{own}\n")
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(f"{text}\n")
    assert free_cores() == expected


@pytest.mark.parametrize(
    ("vendor", "flags", "expected"),
    [
        ("AuthenticAMD", "avx512f avx512_bf16", True),
        ("GenuineIntel", "avx512f avx512_bf16 amx_bf16", True),
        ("GenuineIntel", "avx512f avx512_bf16", False),
        ("AuthenticAMD", "avx2", False),
    ],
)
def test_bfloat16_is_faster_with_amx_and_on_amd(vendor, flags, expected, monkeypatch):
    told = f"vendor_id\t: {vendor}\nflags\t\t: fpu {flags}\n"
    monkeypatch.setattr(processor, "_cpuinfo", lambda: told)
    assert is_faster_in_bfloat16() is expected
