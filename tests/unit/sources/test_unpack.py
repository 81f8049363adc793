"""Archives are taken apart without trusting them: all or nothing, and nothing outside."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paas.errors import ConfigError, PaasError
from paas.sources import content_id, unpack
from paas.sources.unpack import MOST_DEPTH, unpack_archive

LIMIT, MOST = 1 << 20, 100


def entry(
    name: str, kind: bytes = tarfile.REGTYPE, body: bytes = b"", target: str = "", mode: int = 0o644
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname, info.mode = kind, len(body), target, mode
    return info, body


def tar_of(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for info, body in entries:
            tar.addfile(info, io.BytesIO(body))
    return path


def refused(tmp_path: Path, match: str, *entries: tuple[tarfile.TarInfo, bytes]) -> None:
    """The archive is refused in these words and leaves no trace, in the folder or around it."""
    archive = tar_of(tmp_path / "a.tar", entry("before.txt", body=b"x"), *entries)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=match):
        unpack(archive, tmp_path / "into", limit=LIMIT, most=MOST)
    assert sorted(tmp_path.rglob("*")) == before


SYMLINK, HARDLINK, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE


@pytest.mark.parametrize("name", ["../out", "a/../../out", "..", "a/..", "/etc/out", "//out"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    refused(tmp_path, "leaves the folder|absolute path", entry(name, body=b"x"))


@pytest.mark.parametrize("target", ["/etc/passwd", "../out", "a/../../out", ""])
def test_links_that_leave_the_folder_are_refused(tmp_path: Path, target: str) -> None:
    refused(tmp_path, "is a link that leaves the folder", entry("link", SYMLINK, target=target))


def test_links_that_leave_by_way_of_another_link_are_refused(tmp_path: Path) -> None:
    refused(
        tmp_path,
        "is a link that leaves the folder",
        entry("p/q/root", SYMLINK, target="../.."),
        entry("p/q/out", SYMLINK, target="root/../x"),
    )


@pytest.mark.parametrize("order", [1, -1])
def test_a_file_below_a_link_is_refused_in_either_order(tmp_path: Path, order: int) -> None:
    pair = [entry("d", SYMLINK, target="."), entry("d/evil", body=b"x")][::order]
    refused(tmp_path, "which is no folder|twice", *pair)


def test_a_hard_link_out_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "hard link to something that is not in the archive", entry("h", HARDLINK, target="etc/passwd"))
    (tmp_path / "a.tar").unlink()
    refused(tmp_path, "leaves the folder", entry("h", HARDLINK, target="../../etc/passwd"))


def test_a_hard_link_inside_becomes_a_file_of_its_own(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", entry("a", body=b"x", mode=0o755), entry("b", HARDLINK, target="./a"))
    unpack(archive, tmp_path / "into", limit=LIMIT, most=MOST)
    assert (tmp_path / "into" / "b").read_bytes() == b"x"
    assert (tmp_path / "into" / "b").stat().st_nlink == 1
    assert os.access(tmp_path / "into" / "b", os.X_OK)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.GNUTYPE_SPARSE, b"Z"])
def test_devices_pipes_and_unknown_things_are_refused(tmp_path: Path, kind: bytes) -> None:
    refused(tmp_path, "neither file, folder nor link", entry("thing", kind))


def test_owners_and_setuid_bits_are_not_taken_over(tmp_path: Path) -> None:
    info, body = entry("tool", body=b"x", mode=0o6777)
    info.uid = info.gid = 4711
    unpack(tar_of(tmp_path / "a.tar", (info, body)), tmp_path / "into", limit=LIMIT, most=MOST)
    status = (tmp_path / "into" / "tool").stat()
    assert stat.S_IMODE(status.st_mode) == 0o755
    assert status.st_uid == os.geteuid()


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "twice", entry("a", body=b"1"), entry("./a", body=b"2"))


def test_folders_may_come_twice_and_after_their_files(tmp_path: Path) -> None:
    archive = tar_of(
        tmp_path / "a.tar", entry("d/x", body=b"1"), entry("d", FOLDER), entry("./d/", FOLDER), entry("./", FOLDER)
    )
    unpack(archive, tmp_path / "into", limit=LIMIT, most=MOST)
    assert (tmp_path / "into" / "d" / "x").read_bytes() == b"1"


def test_too_many_bytes_are_refused_while_extracting(tmp_path: Path) -> None:
    refused(tmp_path, "more than 1 MB unpacked", *(entry(f"f{number}", body=bytes(300_000)) for number in range(4)))


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    refused(tmp_path, "more than 100 files", *(entry(f"f{number}") for number in range(MOST + 1)))


def test_too_deep_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, f"more than {MOST_DEPTH} folders deep", entry("/".join(["d"] * 5000), body=b"x"))


def test_a_name_longer_than_the_disk_takes_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, "cannot be unpacked: File name too long", entry("x" * 300, body=b"x"))


def test_a_gzip_bomb_is_refused_early(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.tar.gz"
    info, _ = entry("zeros")
    info.size = 10 << 30
    with gzip.open(archive, "wb", compresslevel=1) as out:
        out.write(info.tobuf())
        for _ in range(64):
            out.write(bytes(1 << 20))
    with pytest.raises(ConfigError, match="more than 1 MB"):
        unpack(archive, tmp_path / "into", limit=LIMIT, most=MOST)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_a_header_that_claims_gigabytes_is_not_read_into_memory(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 5 << 30
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    with pytest.raises(ConfigError, match="a header of 5368709120 bytes"):
        unpack(tmp_path / "a.tar", tmp_path / "into", limit=LIMIT, most=MOST)


def test_an_endless_chain_of_headers_is_an_error(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 12
    (tmp_path / "a.tar").write_bytes((header.tobuf() + b"12 path=abc\n".ljust(512, b"\0")) * 5000)
    with pytest.raises(ConfigError, match="damaged"):
        unpack(tmp_path / "a.tar", tmp_path / "into", limit=LIMIT, most=MOST)


def test_a_zip_bomb_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("zeros", bytes(8 << 20))
    with pytest.raises(ConfigError, match="more than 1 MB"):
        unpack_archive(tmp_path / "bomb.zip", tmp_path / "into", limit=LIMIT, most=MOST)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bomb.zip"]


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a\\..\\..\\b/../../x"])
def test_a_zip_with_names_that_leave_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(name, "x")
    with pytest.raises(ConfigError, match=r"leaves the folder|absolute"):
        unpack_archive(tmp_path / "a.zip", tmp_path / "into", limit=LIMIT, most=MOST)


def test_a_zip_with_a_link_that_leaves_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr(link, "/etc/passwd")
    with pytest.raises(ConfigError, match="is a link that leaves the folder"):
        unpack_archive(tmp_path / "a.zip", tmp_path / "into", limit=LIMIT, most=MOST)


def truncated_gzip() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info, body = entry("x", body=os.urandom(50_000))
        tar.addfile(info, io.BytesIO(body))
    return out.getvalue()[:20_000]


def truncated_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info, body = entry("x", body=bytes(50_000))
        tar.addfile(info, io.BytesIO(body))
    return out.getvalue()[:20_000]


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (lambda: b"", "empty: no app found"),
        (lambda: b"MZ\x90\x00" + os.urandom(5000), "neither a tar nor a zip archive"),
        (lambda: gzip.compress(b"just text"), "neither a tar nor a zip archive|damaged"),
        (lambda: bytes(10240), "empty: no app found"),
        (lambda: b"PK\x05\x06" + bytes(18), "empty: no app found"),
        (truncated_gzip, "damaged or cut off"),
        (truncated_tar, "damaged or cut off"),
        (lambda: b"PK\x03\x04" + os.urandom(100), "neither a tar nor a zip archive"),
    ],
    ids=["empty", "exe", "gzip of text", "tar of nothing", "zip of nothing", "cut gzip", "cut tar", "cut zip"],
)
def test_what_is_no_archive_is_said_to_be_none(tmp_path: Path, body: Callable[[], bytes], match: str) -> None:
    (tmp_path / "app.tgz").write_bytes(body())
    with pytest.raises(ConfigError, match=match) as caught:
        unpack_archive(tmp_path / "app.tgz", tmp_path / "into", limit=LIMIT, most=MOST)
    assert caught.value.message.startswith("app.tgz: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.tgz"]


def test_names_with_any_bytes_are_kept(tmp_path: Path) -> None:
    names = ["ünï.txt", "new\nline", "sem;i$(id)", os.fsdecode(b"l\xe9t"), "Case", "case"]
    unpack(
        tar_of(tmp_path / "a.tar", *(entry(name, body=b"x") for name in names)),
        tmp_path / "into",
        limit=LIMIT,
        most=MOST,
    )
    assert sorted(path.name for path in (tmp_path / "into").iterdir()) == sorted(names)


def test_the_answer_is_the_content_id(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", entry("a/b", body=b"x"), entry("a/l", SYMLINK, target="b"))
    found = unpack(archive, tmp_path / "deep" / "into", limit=LIMIT, most=MOST)
    assert found == content_id(tmp_path / "deep" / "into")


def test_several_top_entries_stay_as_they_are(tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar", entry("one/x", body=b"x"), entry("two", body=b"x"))
    unpack_archive(archive, tmp_path / "into", limit=LIMIT, most=MOST)
    assert sorted(path.name for path in (tmp_path / "into").iterdir()) == ["one", "two"]


NAMES = st.lists(st.sampled_from(["a", "b", "..", ".", "", "/", "c", "\n"]), min_size=1, max_size=5).map("/".join)
ENTRIES = st.lists(
    st.tuples(NAMES, st.sampled_from([tarfile.REGTYPE, SYMLINK, HARDLINK, FOLDER]), NAMES), min_size=1, max_size=8
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ENTRIES)
def test_no_archive_writes_or_leads_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, bytes, str]]
) -> None:
    top = tmp_path_factory.mktemp("top")
    (top / "a").write_text("outside")
    archive = tar_of(
        top / "x.tar",
        *(entry(name, kind, b"x" if kind == tarfile.REGTYPE else b"", target) for name, kind, target in entries),
    )
    try:
        unpack(archive, top / "into", limit=LIMIT, most=MOST)
    except PaasError:
        assert sorted(path.name for path in top.iterdir()) == ["a", "x.tar"]
    else:
        root = (top / "into").resolve()
        for path in (top / "into").rglob("*"):
            assert Path(os.path.realpath(path)).is_relative_to(root)
    assert (top / "a").read_text() == "outside"
    assert (top / "a").stat().st_nlink == 1
