"""The name in Content-Disposition, as servers write it."""

from __future__ import annotations

import pytest

from luci_dl.net.file_names import disposition_name, suggested_names


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ('attachment; filename="m.gguf"', "m.gguf"),
        ("attachment; filename=m.gguf", "m.gguf"),
        ("ATTACHMENT;FileName = m.gguf ; size=5", "m.gguf"),
        ('inline; filename="a \\"b\\"; c.gguf"', 'a "b"; c.gguf'),
        ("attachment; filename=\"x.gguf\"; filename*=UTF-8''gr%C3%B6%C3%9Fe.gguf", "größe.gguf"),
        ("attachment; filename*=utf-8'de'a%20b.gguf; filename=x.gguf", "a b.gguf"),
        ("attachment; filename*=iso-8859-1''%f6.gguf", "ö.gguf"),
        ("attachment; filename*=UTF-8''%ff.gguf; filename=x.gguf", "x.gguf"),
        ("attachment; filename*=koi8-r''%ff.gguf; filename=x.gguf", "x.gguf"),
        ('attachment; filename="größe.gguf"'.encode().decode("latin-1"), "größe.gguf"),
        ('attachment; filename="gr\xf6\xdfe.gguf"', "größe.gguf"),
        ('attachment; filename="a%20b.gguf"', "a b.gguf"),
        ('attachment; filename="../../etc/m.gguf"', "m.gguf"),
        ('attachment; filename="C:\\\\models\\\\m.gguf"', "m.gguf"),
        ('attachment; name="filename=x.gguf"; filename="m.gguf"', "m.gguf"),
        ('attachment; filename=""', ""),
        ('attachment; filename="m.gguf', "m.gguf"),
        ("attachment; filename='m.gguf'", "m.gguf"),
        ('filename="m.gguf"', "m.gguf"),
        ('attachment; filename="=?UTF-8?B?Z3LDtsOfZS5nZ3Vm?="', "größe.gguf"),
        ('attachment; filename="=?no-charset?B?x?=.gguf"', "=?no-charset?B?x?=.gguf"),
        ("attachment", ""),
        ("", ""),
        (";" * 5000 + "filename", ""),
    ],
)
def test_the_name_of_a_disposition(value: str, name: str) -> None:
    """The extended form counts first, folders are dropped, and a malformed one is read as browsers do."""
    assert disposition_name(value) == name


def test_a_redirect_suggests_a_name_too() -> None:
    """After that of the header."""
    headers = {"content-disposition": "attachment; filename=a.gguf"}
    assert suggested_names(headers, "https://cdn/x/b%20c.gguf?sig=1") == ("a.gguf", "b c.gguf")
    assert suggested_names({}, "https://cdn/") == ()
    assert suggested_names({}, None) == ()
