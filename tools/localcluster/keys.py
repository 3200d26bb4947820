"""The key that service account tokens are signed with, made without any tool of the machine."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_P256 = bytes.fromhex("06082a8648ce3d030107")


def write_signing_key(path: Path) -> None:
    """Write a new P-256 private key in PEM (RFC 5915). Readers compute the public half."""
    number = (secrets.randbelow(_ORDER - 1) + 1).to_bytes(32, "big")
    body = b"\x02\x01\x01" + b"\x04\x20" + number + b"\xa0" + bytes([len(_P256)]) + _P256
    text = base64.encodebytes(b"\x30" + bytes([len(body)]) + body).decode()
    path.touch(mode=0o600)
    path.write_text(f"-----BEGIN EC PRIVATE KEY-----\n{text}-----END EC PRIVATE KEY-----\n")
