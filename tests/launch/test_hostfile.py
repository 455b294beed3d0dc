"""Hostfiles as DeepSpeed, Open MPI and mindformers' scripts have them, and every way to write one wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertcore.errors import BertcoreError, DataError, UsageError
from bertcore.launch.hostfile import Host, chosen_hosts, read_hostfile


def written(folder: Path, text: str | bytes) -> Path:
    file = folder / "hosts"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_names_addresses_comments_and_blank_lines(tmp_path):
    found = read_hostfile(
        written(
            tmp_path,
            "\ufeff# ours\n192.168.0.1 slots=8\n\nnode-2\tslots=2  # smaller\nfe80::1 slots=4\n[::1] slots=1\r\n",
        )
    )
    assert [(host.name, host.slots) for host in found.hosts] == [
        ("192.168.0.1", 8),
        ("node-2", 2),
        ("fe80::1", 4),
        ("::1", 1),
    ]
    assert [host.origin.line for host in found.hosts] == [2, 4, 5, 6]
    assert found.hosts[1].devices == (0, 1)
    assert found.notes == ()


def test_a_host_without_slots_has_one_and_that_is_said(tmp_path):
    found = read_hostfile(written(tmp_path, "node-1\nnode-2 slots=2\n"))
    assert found.hosts[0].devices == (0,)
    (note,) = found.notes
    assert "node-1" in note
    assert "node-2" not in note


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a slots=2\nb slots=1\nA slots=2\n", 3, "line 1 already"),
        ("10.0.0.1 slots=1\n10.0.0.1 slots=2\n", 2, "line 1 already"),
        ("fe80::1 slots=1\nfe80:0:0::1 slots=2\n", 2, "line 1 already"),
        ("a slots=0\n", 1, "slots=0"),
        ("a slots=-1\n", 1, "slots=-1"),
        ("a slots=two\n", 1, "slots=two"),
        ("a slots=\u0662\n", 1, "slots="),
        ("a slots=9999999999999999999999\n", 1, "no number"),
        ("a 8\n", 1, "'8' is not slots=N"),
        ("a slots=2 slots=3\n", 1, "too many"),
        ("192.168.0.256 slots=2\n", 1, "no host name"),
        ("a/b slots=2\n", 1, "no host name"),
        ("-oProxyCommand=x slots=2\n", 1, "no host name"),
        ("user@host slots=2\n", 1, "no host name"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, line, said):
    file = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_hostfile(file)
    assert (caught.value.origin.file, caught.value.origin.line) == (str(file), line)
    assert said in caught.value.problem
    assert caught.value.code == "hostfile-wrong"


@pytest.mark.parametrize("text", ["", "# nobody\n\n"])
def test_no_host_at_all(tmp_path, text):
    with pytest.raises(DataError, match="no host"):
        read_hostfile(written(tmp_path, text))


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_hostfile(tmp_path / "absent")
    with pytest.raises(DataError, match="directory"):
        read_hostfile(tmp_path)
    with pytest.raises(DataError, match="UTF-8"):
        read_hostfile(written(tmp_path, b"node\xff slots=1\n"))


@given(st.binary(max_size=60))
def test_any_bytes_are_hosts_or_an_error(tmp_path_factory, content):
    file = written(tmp_path_factory.mktemp("hosts"), content)
    try:
        assert read_hostfile(file).hosts
    except BertcoreError as error:
        remedy = error.remedy
    else:
        return
    assert remedy


HOSTS = (Host("10.0.0.1", (0, 1, 2, 3)), Host("node-2", (0, 1)), Host("fe80::1", (0, 1)))


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        ((), (), [("10.0.0.1", (0, 1, 2, 3)), ("node-2", (0, 1)), ("fe80::1", (0, 1))]),
        (("10.0.0.1:0,2",), (), [("10.0.0.1", (0, 2))]),
        (("NODE-2", "10.0.0.1:3"), (), [("10.0.0.1", (3,)), ("node-2", (0, 1))]),
        (("[fe80::1]:1",), (), [("fe80::1", (1,))]),
        (("fe80:0::1",), (), [("fe80::1", (0, 1))]),
        ((), ("node-2", "10.0.0.1:0"), [("10.0.0.1", (1, 2, 3)), ("fe80::1", (0, 1))]),
        (("10.0.0.1",), ("10.0.0.1:1",), [("10.0.0.1", (0, 2, 3))]),
    ],
)
def test_hosts_and_devices_are_chosen(include, exclude, left):
    assert [(host.name, host.devices) for host in chosen_hosts(HOSTS, include, exclude)] == left


@pytest.mark.parametrize(
    ("include", "exclude", "said"),
    [
        (("10.0.0.2",), (), "no host '10.0.0.2'"),
        ((), ("node-3",), "did you mean node-2"),
        (("node-2:2",), (), "devices 0 to 1"),
        (("node-2:x",), (), "devices 0 to 1"),
        ((), ("10.0.0.1", "node-2", "fe80::1"), "no host is left"),
    ],
)
def test_what_is_not_there_cannot_be_chosen(include, exclude, said):
    with pytest.raises(UsageError, match=said) as caught:
        chosen_hosts(HOSTS, include, exclude)
    assert caught.value.code == "hosts-wrong"
