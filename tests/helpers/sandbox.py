"""System calls that are refused, as sandboxes do it."""

import ctypes
import errno
import platform
import struct

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
NUMBERS = {
    "x86_64": {"futex": 202, "membarrier": 324, "madvise": 28, "fallocate": 285, "linkat": 265, "flock": 73},
    "aarch64": {"futex": 98, "membarrier": 283, "madvise": 233, "fallocate": 47, "linkat": 37, "flock": 32},
}[platform.machine()]
_FCNTL = {"x86_64": 72, "aarch64": 25}[platform.machine()]
_OFD_LOCKS = (36, 37, 38)  # F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW


def forbid(call: str, error: int = errno.EPERM) -> None:
    """Have the kernel refuse this system call to this process, for good; "OFD locks" are those of fcntl for them."""
    refuse = struct.pack("HBBI", _RETURN, 0, 0, _ERRNO | error)
    if call == "OFD locks":
        steps = struct.pack("HBBI", _LOAD, 0, 0, 0) + struct.pack("HBBI", _JUMP_IF_EQUAL, 0, 5, _FCNTL)
        steps += struct.pack("HBBI", _LOAD, 0, 0, 24)  # the low half of the second argument
        for left, command in zip((2, 1, 0), _OFD_LOCKS, strict=True):
            steps += struct.pack("HBBI", _JUMP_IF_EQUAL, left, 1 if left == 0 else 0, command)
        steps += refuse
    else:
        steps = struct.pack("HBBI", _LOAD, 0, 0, 0) + struct.pack("HBBI", _JUMP_IF_EQUAL, 0, 1, NUMBERS[call]) + refuse
    steps += struct.pack("HBBI", _RETURN, 0, 0, _ALLOW)
    kept = ctypes.create_string_buffer(steps, len(steps))
    program = struct.pack("HxxxxxxP", len(steps) // 8, ctypes.addressof(kept))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for step in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _MODE_FILTER, program, 0, 0)):
        if prctl(*(ctypes.c_ulong(value) if isinstance(value, int) else value for value in step)):
            raise OSError(ctypes.get_errno(), "prctl")
