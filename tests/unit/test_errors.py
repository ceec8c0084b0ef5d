"""The exception tree: what each error is, for those who catch it."""

import ast
import copy
import errno
import inspect
import pickle

import pytest

import shmstore
from shmstore import errors
from shmstore.errors import EventTooLarge, FieldError, FieldTypeError, InvalidCapacity, InvalidOption, ShmStoreError

CLASSES = [member for member in vars(errors).values() if inspect.isclass(member)]

BUILTIN = {
    "InvalidName": ValueError,
    "InvalidSchema": ValueError,
    "InvalidOption": ValueError,
    "InvalidCapacity": ValueError,
    "InvalidCall": TypeError,
    "NotPicklable": TypeError,
    "StoreNotFound": FileNotFoundError,
    "StoreExists": FileExistsError,
    "NoSpace": OSError,
    "TooManyFiles": OSError,
    "SystemRefused": OSError,
    "AccessDenied": PermissionError,
    "NotAStore": ValueError,
    "WrongKind": ValueError,
    "AbiMismatch": ValueError,
    "SchemaMismatch": ValueError,
    "DamagedSegment": ValueError,
    "FieldError": ValueError,
    "FieldTypeError": TypeError,
    "KeyTableFull": RuntimeError,
    "ProcessTableFull": RuntimeError,
    "SeriesTableFull": RuntimeError,
    "InvalidEvent": ValueError,
    "EventTooLarge": ValueError,
    "WrongExpectedVersion": RuntimeError,
    "StreamTruncated": LookupError,
    "StreamDeleted": RuntimeError,
    "StreamTableFull": RuntimeError,
    "PartitionStalled": RuntimeError,
    "ReadOnlyStore": PermissionError,
    "StoreClosed": ValueError,
    "StoreUnlinked": RuntimeError,
}

ERRNO = {
    "StoreNotFound": errno.ENOENT,
    "StoreExists": errno.EEXIST,
    "NoSpace": errno.ENOSPC,
    "TooManyFiles": errno.EMFILE,
    "SystemRefused": errno.ENOSYS,
    "AccessDenied": errno.EACCES,
    "ReadOnlyStore": errno.EACCES,
}


DETAILS = {
    "FieldError": {"field": "value"},
    "FieldTypeError": {"field": "value"},
    "EventTooLarge": {"size": 600, "limit": 512},
    "WrongExpectedVersion": {"stream": "orders", "expected": 3, "actual": 7},
    "StreamTruncated": {"stream": "orders", "version": 0, "first": 3},
}


def an_error(error_class):
    return error_class(*DETAILS.get(error_class.__name__, {}).values(), "found, expected")


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_is_a_shmstore_error(error_class):
    assert issubclass(error_class, ShmStoreError)


@pytest.mark.parametrize(("name", "builtin"), BUILTIN.items())
def test_every_error_is_also_the_fitting_builtin(name, builtin):
    assert issubclass(getattr(errors, name), builtin)


def test_no_error_is_left_out_of_these_tests():
    assert {error_class.__name__ for error_class in CLASSES} == {"ShmStoreError", *BUILTIN}


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_can_be_caught_by_its_name_in_the_package(error_class):
    assert error_class.__name__ in shmstore.__all__
    assert getattr(shmstore, error_class.__name__) is error_class


@pytest.mark.parametrize("error_class", CLASSES)
def test_the_tree_in_the_docstring_draws_every_error_with_its_builtin(error_class):
    line = next(line for line in errors.__doc__.splitlines() if f" {error_class.__name__}" in f" {line.strip('│├└─ ')}")
    builtin = BUILTIN.get(error_class.__name__, Exception)
    assert f"({builtin.__name__})" in line or error_class in (InvalidCapacity, EventTooLarge)


@pytest.mark.parametrize("error_class", CLASSES)
def test_every_error_says_in_a_sentence_what_it_means(error_class):
    assert (inspect.getdoc(error_class) or "").endswith(".")


@pytest.mark.parametrize("error_class", CLASSES)
def test_the_text_of_an_error_is_its_message(error_class):
    assert str(an_error(error_class)) == "found, expected"


@pytest.mark.parametrize("error_class", CLASSES)
@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_survives_the_way_to_another_process(error_class, copied):
    error = an_error(error_class)
    again = copied(error)
    assert type(again) is error_class
    assert str(again) == str(error)
    for name, value in DETAILS.get(error_class.__name__, {}).items():
        assert getattr(again, name) == getattr(error, name) == value


@pytest.mark.parametrize(("name", "number"), ERRNO.items())
def test_errors_of_the_segment_carry_the_number_other_programs_give(name, number):
    error_class = getattr(errors, name)
    assert error_class("found, expected").errno == number


def test_every_os_error_has_a_number():
    assert {error_class.__name__ for error_class in CLASSES if issubclass(error_class, OSError)} == set(ERRNO)


def test_a_wrong_capacity_is_a_wrong_option():
    assert issubclass(InvalidCapacity, InvalidOption)


def test_a_wrong_type_is_caught_as_a_field_error_that_names_the_field():
    with pytest.raises(FieldError, match=r"^value is str$") as caught:
        raise FieldTypeError("value", "value is str")
    assert caught.value.field == "value"


def test_the_module_imports_nothing():
    tree = ast.parse(inspect.getsource(errors))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
