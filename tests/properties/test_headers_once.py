"""What the header alone says of a person's mail is what the whole mail says; so it is read once."""

from hypothesis import assume, given, reject
from hypothesis import strategies as st

from vault.errors import UnreadableError
from vault.intake.mailheaders import read_headers
from vault.intake.mime import head, parse

FIELDS = st.lists(
    st.sampled_from(
        [
            *(b"From: a@example.fi", b"From: <b@example.fi>", b"Subject: =?utf-8?q?hei?=", b"Message-ID: <1@x>"),
            *(
                b"Auto-Submitted: no",
                b"Date: Mon, 1 Jan 2024 00:00:00 +0000",
                b"Content-Language: sv",
                b"Precedence: x",
            ),
            *(b"Autocrypt: addr=a@example.fi; keydata=AAAA", b"In-Reply-To: <2@x>", b"References: <3@x>\r\n <4@x>"),
            *(
                b"Content-Type: multipart/mixed; boundary=b",
                b"Content-Type: text/html",
                b"MIME-Version: 1.0",
                b"no field",
            ),
        ]
    ),
    max_size=8,
)
BODIES = st.sampled_from(
    [b"hello\r\n", b"--b\r\n\r\nhi\r\n--b\r\nContent-Type: text/plain\r\n\r\nFrom: c@x\r\n--b--\r\n"]
)


@given(FIELDS, BODIES, st.sampled_from([b"", b"From x\r\n"]), st.sampled_from([b"\r\n", b"\n"]))
def test_the_header_alone_says_the_same(fields: list[bytes], body: bytes, envelope: bytes, end: bytes) -> None:
    mail = (envelope + b"".join(field + b"\r\n" for field in fields) + b"\r\n" + body).replace(b"\r\n", end)
    try:
        root = parse(mail)
    except UnreadableError:
        reject()
    found = read_headers(head(mail))
    assume(not found.auto)  # what a machine reports stands in the parts

    assert found == read_headers(root)
