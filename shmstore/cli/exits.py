"""How a command-line tool ends: its exit codes, and the guard that turns every error into one line and a code."""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

from shmstore import errors

OK = 0
FAILURE = 1
USAGE = 2
NO_SEGMENT = 3
LAYOUT_MISMATCH = 4
UNHEALTHY = 5
INTERRUPTED = 130
TERMINATED = 143

EXIT_CODES_HELP = "exit codes: 0 ok, 1 failure, 2 usage, 3 no such segment, 4 layout mismatch, 5 unhealthy"

# The first class that fits decides.
_CODE_OF_ERROR: tuple[tuple[type[errors.ShmStoreError], int], ...] = (
    (errors.StoreNotFound, NO_SEGMENT),
    (errors.AbiMismatch, LAYOUT_MISMATCH),
    (errors.SchemaMismatch, LAYOUT_MISMATCH),
    (errors.NotAStore, LAYOUT_MISMATCH),
    (errors.WrongKind, LAYOUT_MISMATCH),
    (errors.DamagedSegment, UNHEALTHY),
    (errors.InvalidName, USAGE),
    (errors.InvalidSchema, USAGE),
    (errors.InvalidOption, USAGE),
    (errors.FieldError, USAGE),
    (errors.ShmStoreError, FAILURE),
)


def code_of(error: errors.ShmStoreError) -> int:
    """The exit code that stands for an error."""
    return next(code for kind, code in _CODE_OF_ERROR if isinstance(error, kind))


def guard(program: str, run: Callable[[], int]) -> int:
    """Run a tool and return its exit code: errors are told on stderr, a closed pipe and Ctrl-C end quietly."""
    signal.signal(signal.SIGTERM, _leave)
    _replace_closed_streams()
    try:
        code = run()
        sys.stdout.flush()
        return code
    except errors.ShmStoreError as error:
        return _say(program, str(error), code_of(error))
    except BrokenPipeError:
        _forget_output()
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        _forget_output()
        return _say(program, str(error), FAILURE)
    except Exception as error:
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{os.path.basename(place.tb_frame.f_code.co_filename)}:{place.tb_lineno}" if place else "unknown place"
        return _say(program, f"unexpected {type(error).__name__} at {where}: {error}; please report it", FAILURE)


def _say(program: str, message: str, code: int) -> int:
    print(f"{program}: {message}", file=sys.stderr)
    return code


def _leave(_number: int, _frame: FrameType | None) -> None:
    # SystemExit rather than death: a live view must give the terminal back.
    sys.exit(TERMINATED)


def _replace_closed_streams() -> None:
    # Started with a closed output, as by some daemons: what is said there is lost, the work is done all the same.
    # Without this, messages would go among the results.
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - to the end of the process


def _forget_output() -> None:
    # What is still buffered has no reader; without this the interpreter complains when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
