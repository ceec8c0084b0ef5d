"""Pickles of protocol 4 that version 0.1 wrote when each of its modules lay at the top of the package."""

from base64 import b64decode
from pickletools import genops

_WRITTEN = {
    "handle": (
        "gASVTgAAAAAAAACMDnNobXN0b3JlLnN0b3JllIwNX2F0dGFjaF9hZ2FpbpSTlCiMDWVhcmxpZXItc3RvcmWUQxChp73su/JM/Mkd"
        "g/nYM08glE6JdJRSlC4="
    ),
    "snapshot": (
        "gASVQgEAAAAAAACMEXNobXN0b3JlLnNuYXBzaG90lIwMX29mX2RldGFjaGVklJOUjBFzaG1zdG9yZS5kZXRhY2hlZJSMCERldGFj"
        "aGVklJOUKIwPc2htc3RvcmUucmVjb3JklIwJZ2VuZXJhdGVklJOUjAVFdmVudJQojA5zaG1zdG9yZS5fY29yZZSMCUZpZWxkU3Bl"
        "Y5STlIwHZ2F0ZXdheZRLD0tAh5SBlGgMjAJpZJRLDEsIh5SBlGgMjAV2YWx1ZZRLCksAh5SBlGgMjAl0aW1lc3RhbXCUSw5LAIeU"
        "gZR0lIaUUpRLAl2UKIwEZ3ctMZSMBGd3LTKUZV2UKEMIAAAAAAEAAACUXZQojANvLTGUjANvLTKUZUMQAAAAAAAAKUAAAAAAAADg"
        "P5RDEAAAKjb+nJcXAMrEcf6clxeUZXSUgZQpiIeUUpQu"
    ),
    "series": (
        "gASVewAAAAAAAACMD3NobXN0b3JlLnNlcmllc5SMBlNlcmllc5STlIwOc2htc3RvcmUuc3RvcmWUjA1fYXR0YWNoX2FnYWlulJOU"
        "KIwOZWFybGllci1zZXJpZXOUQxBADHwHIVWUOli4Zp83q2EylGgAjAVQb2ludJSTlIl0lFKUhZRSlC4="
    ),
    "table": (
        "gASVwwAAAAAAAACMCGJ1aWx0aW5zlIwHZ2V0YXR0cpSTlIwVc2htc3RvcmUudGFibGVzLnRhYmxllIwFVGFibGWUk5SMA19vZpSG"
        "lFKUjBZzaG1zdG9yZS50YWJsZXMuY29sdW1ulIwLVHlwZWRDb2x1bW6Uk5SMB2dhdGV3YXmUjAR0ZXh0lF2UKIwEZ3ctMZSMBGd3"
        "LTKUZYeUUpRoC4wDc3VtlIwEcmVhbJRdlChHQCkAAAAAAABHP+AAAAAAAABlh5RSlIaUhZRSlC4="
    ),
}

_STORES = ("earlier-store", "earlier-series")


def earlier(what: str, name: str = "", store_id: bytes = b"") -> bytes:
    """The pickle of a "handle", "snapshot", "series" or "table"; the first and third of a store of this name and id."""
    sent = b64decode(_WRITTEN[what])
    sent = sent[:2] + sent[11:]  # without the length of its frame, which the name may change
    for _, argument, _ in list(genops(sent)):
        if argument in _STORES:
            sent = sent.replace(_short(argument), _short(name))
        elif isinstance(argument, bytes) and len(argument) == len(store_id):
            sent = sent.replace(argument, store_id)
    return sent


def _short(text: str) -> bytes:
    return bytes([0x8C, len(text.encode())]) + text.encode()
