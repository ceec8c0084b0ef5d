/* Program: the steps of a compiled expression, translated from Python's tuples to the core's, and run over Columns. */
#include "binding/questions/questions.h"
#include "binding/reading/columns.h"

#include "core/questions/programs/program.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    PyObject_HEAD struct program program;
    PyObject *text; /* what it was compiled from */
} Program;

static const char *const operation_names[STEP_END] = {
    [STEP_LOAD] = "load",
    [STEP_CONSTANT] = "constant",
    [STEP_FLOAT] = "float",
    [STEP_ADD] = "+",
    [STEP_SUBTRACT] = "-",
    [STEP_MULTIPLY] = "*",
    [STEP_FLOOR] = "//",
    [STEP_MODULO] = "%",
    [STEP_DIVIDE] = "/",
    [STEP_RANGE] = "range",
    [STEP_MEMBER] = "member",
    [STEP_EQUAL] = "==",
    [STEP_LESS] = "<",
    [STEP_AT_MOST] = "<=",
    [STEP_IDS] = "ids",
    [STEP_TEXT_EQUAL] = "text ==",
    [STEP_TEXT_LESS] = "text <",
    [STEP_TEXT_AT_MOST] = "text <=",
    [STEP_TEXT_STARTS] = "text starts",
    [STEP_TEXT_MEMBER] = "text member",
    [STEP_AND] = "and",
    [STEP_OR] = "or",
    [STEP_NOT] = "not",
    [STEP_FILL] = "fill",
};

/* ---- constants ---------------------------------------------------------------------------------------------------- */

/* A number for a lane; 0, or -1 with an exception. */
static int parse_number(PyObject *object, enum lane lane, union number *number) {
    if (lane == LANE_FLOAT) number->f = PyFloat_AsDouble(object);
    else if (lane == LANE_UINT) number->u = PyLong_AsUnsignedLongLong(object);
    else number->i = PyLong_AsLongLong(object);
    return PyErr_Occurred() ? -1 : 0;
}

static int parse_constant(PyObject *constant, struct step *step) {
    if (PyFloat_Check(constant)) {
        step->lane = LANE_FLOAT;
    } else {
        int beyond;
        (void)PyLong_AsLongLongAndOverflow(constant, &beyond);
        if (PyErr_Occurred()) return -1;
        step->lane = beyond > 0 ? LANE_UINT : LANE_INT;
    }
    return parse_number(constant, step->lane, &step->low);
}

static int parse_range(PyObject *constant, enum lane lane, struct step *step) {
    PyObject *low, *high;
    if (!PyTuple_Check(constant)) return PyErr_SetString(PyExc_TypeError, "a range is a tuple (low, high)"), -1;
    if (!PyArg_ParseTuple(constant, "OO;a range is a tuple (low, high)", &low, &high)) return -1;
    return parse_number(low, lane, &step->low) || parse_number(high, lane, &step->high) ? -1 : 0;
}

/* Copy the numbers or texts of a list to memory that the caller frees; it becomes the step's data. */
static int parse_numbers(PyObject *list, enum lane lane, struct step *step, void **memory) {
    Py_ssize_t count = PyList_Size(list);
    union number *numbers = *memory = malloc(((size_t)count + 1) * sizeof *numbers);
    if (!numbers) return PyErr_NoMemory(), -1;
    for (Py_ssize_t i = 0; i < count; i++)
        if (parse_number(PyList_GetItem(list, i), lane, &numbers[i])) return -1;
    step->count = (uint32_t)count;
    step->data = numbers;
    step->data_bytes = (size_t)count * sizeof *numbers;
    return 0;
}

static int parse_texts(PyObject *list, struct step *step, void **memory) {
    Py_ssize_t count = PyList_Size(list), length;
    size_t bytes = (size_t)count * sizeof(uint32_t), at = bytes;
    char *text;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (PyBytes_AsStringAndSize(PyList_GetItem(list, i), &text, &length)) return -1;
        bytes += (size_t)length;
    }
    if (!count) return PyErr_SetString(PyExc_ValueError, "expected a list of one text or more, or None"), -1;
    if (bytes > UINT32_MAX) return PyErr_SetString(PyExc_ValueError, "these are more than 4 GiB of text"), -1;
    unsigned char *data = *memory = malloc(bytes + 1);
    if (!data) return PyErr_NoMemory(), -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (PyBytes_AsStringAndSize(PyList_GetItem(list, i), &text, &length)) return -1;
        memcpy(data + at, text, (size_t)length);
        at += (size_t)length;
        uint32_t end = (uint32_t)(at - (size_t)count * sizeof end);
        memcpy(data + (size_t)i * sizeof end, &end, sizeof end);
    }
    step->count = (uint32_t)count;
    step->data = data;
    step->data_bytes = bytes;
    return 0;
}

static int parse_bits(PyObject *constant, struct step *step) {
    char *bits;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(constant, &bits, &length)) return -1;
    step->data = bits;
    step->data_bytes = (size_t)length;
    step->count = length > UINT32_MAX / 8 ? UINT32_MAX : (uint32_t)length * 8;
    return 0;
}

static int parse_step_constant(const struct program *program, PyObject *constant, struct step *step, void **memory) {
    enum lane lane = LANE_INT;
    program_lane(program, step->left, &lane);
    switch (step->operation) {
    case STEP_CONSTANT: return parse_constant(constant, step);
    case STEP_RANGE: return parse_range(constant, lane, step);
    case STEP_IDS: return parse_bits(constant, step);
    case STEP_MEMBER:
    case STEP_TEXT_EQUAL:
    case STEP_TEXT_LESS:
    case STEP_TEXT_AT_MOST:
    case STEP_TEXT_STARTS:
    case STEP_TEXT_MEMBER:
        if (constant == Py_None) return 0;
        if (!PyList_Check(constant)) return PyErr_SetString(PyExc_TypeError, "expected a list, or None"), -1;
        return step->operation == STEP_MEMBER ? parse_numbers(constant, lane, step, memory)
                                              : parse_texts(constant, step, memory);
    default: /* of arithmetic: is the result unsigned? of fill: with what? */
        step->low.i = PyObject_IsTrue(constant);
        step->lane = step->low.i > 0 ? LANE_UINT : LANE_INT;
        return step->low.i < 0 ? -1 : 0;
    }
}

/* ---- making a program --------------------------------------------------------------------------------------------- */

static int refuse(const char *what, Py_ssize_t index, const char *why) {
    PyErr_Format(PyExc_ValueError, "%s %zd of a program: %s", what, index, why);
    return -1;
}

static int parse_step(struct program *program, PyObject *given, Py_ssize_t index) {
    const char *name;
    PyObject *constant;
    struct step step = {.operation = STEP_END};
    if (!PyTuple_Check(given)) return refuse("step", index, "it is not a tuple");
    if (!PyArg_ParseTuple(given, "sbbbO;a step is (operation, to, left, right, constant)", &name, &step.to, &step.left,
                          &step.right, &constant))
        return -1;
    for (int i = 0; i < STEP_END; i++)
        if (!strcmp(name, operation_names[i])) step.operation = (enum operation)i;
    if (step.operation == STEP_END) return refuse("step", index, "there is no such operation");
    void *memory = NULL;
    int failed = parse_step_constant(program, constant, &step, &memory);
    const char *wrong = failed ? NULL : program_step(program, step);
    free(memory);
    if (wrong == program_no_memory) return PyErr_NoMemory(), -1;
    return wrong ? refuse("step", index, wrong) : failed;
}

static int parse_value(struct program *program, PyObject *given, Py_ssize_t index) {
    unsigned long operand = PyLong_AsUnsignedLong(given);
    if (PyErr_Occurred()) return -1;
    const char *wrong = program_value(program, operand < MAX_OPERANDS ? (uint32_t)operand : MAX_OPERANDS);
    return wrong ? refuse("value", index, wrong) : 0;
}

/* Do something with each item of a sequence; 0, or -1 with an exception. */
static int for_each(PyObject *sequence, struct program *program,
                    int (*parse)(struct program *program, PyObject *given, Py_ssize_t index)) {
    PyObject *list = PySequence_List(sequence);
    int failed = !list;
    for (Py_ssize_t i = 0; !failed && i < PyList_Size(list); i++) failed = parse(program, PyList_GetItem(list, i), i);
    Py_XDECREF(list);
    return failed ? -1 : 0;
}

static int parse_program_fields(PyObject *sequence, struct field_spec *specs, uint32_t *count) {
    PyObject *list = PySequence_List(sequence);
    int failed = !list;
    Py_ssize_t length = list ? PyList_Size(list) : 0;
    if (length > MAX_FIELDS) failed = refuse("field", MAX_FIELDS, "there are too many");
    for (Py_ssize_t i = 0; !failed && i < length; i++) {
        PyObject *field = PySequence_Tuple(PyList_GetItem(list, i));
        PyObject *name;
        failed = !field ||
                 !PyArg_ParseTuple(field, "UII;a field is (name, kind, size)", &name, &specs[i].kind, &specs[i].size);
        if (!failed && (specs[i].kind < KIND_INT8 || specs[i].kind >= KIND_END))
            failed = refuse("field", i, "there is no such kind");
        Py_XDECREF(field);
    }
    Py_XDECREF(list);
    *count = (uint32_t)length;
    return failed ? -1 : 0;
}

static PyObject *program_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *const known[] = {"fields", "steps", "values", "text", NULL};
    PyObject *fields, *steps, *values, *text;
    struct field_spec specs[MAX_FIELDS];
    uint32_t field_count;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOU:Program", (char **)(uintptr_t)known, &fields, &steps,
                                     &values, &text) ||
        parse_program_fields(fields, specs, &field_count))
        return NULL;
    Program *program = (Program *)PyType_GenericAlloc(type, 0);
    if (!program) return NULL;
    program_begin(&program->program, specs, field_count);
    program->text = Py_NewRef(text);
    if (for_each(steps, &program->program, parse_step) || for_each(values, &program->program, parse_value))
        Py_CLEAR(program);
    return (PyObject *)program;
}

static void program_dealloc(PyObject *self) {
    Program *program = (Program *)self;
    program_free(&program->program);
    Py_XDECREF(program->text);
    free_object(self);
}

/* ---- for scans ---------------------------------------------------------------------------------------------------- */

const struct program *program_argument(struct module_state *state, PyObject *object, const struct geometry *geometry) {
    if (!PyObject_TypeCheck(object, state->types[TYPE_PROGRAM])) {
        PyErr_Format(PyExc_TypeError, "expected a Program, found %R", object);
        return NULL;
    }
    const struct program *program = &((Program *)object)->program;
    if (program_fits(program, geometry)) return program;
    PyErr_Format(PyExc_ValueError, "the program of %R was compiled for other fields", ((Program *)object)->text);
    return NULL;
}

PyObject *raise_overflow(struct module_state *state, PyObject *object) {
    PyObject *message = PyUnicode_FromFormat(
        "%U: an integer left 64 bits, or was divided by zero, in a record that matters; calculate with floats, as in "
        "1.0 * field(...), or leave such records out with where=",
        ((Program *)object)->text);
    PyObject *exception = message ? PyObject_CallFunction(state->errors[ERROR_FIELD], "sO", "", message) : NULL;
    Py_XDECREF(message);
    if (exception) PyErr_SetObject(state->errors[ERROR_FIELD], exception);
    Py_XDECREF(exception);
    return NULL;
}

/* ---- over Columns ------------------------------------------------------------------------------------------------- */

/* What is copied out of each batch; `row` is the number of its first row. */
typedef void take(const struct found *found, uint64_t row, uint32_t rows, void *to);

static void take_mask(const struct found *found, uint64_t row, uint32_t rows, void *to) {
    if (found->mask) memcpy((char *)to + row, found->mask, rows);
    else memset((char *)to + row, 1, rows);
}

struct value_taker {
    uint32_t value;
    uint64_t *lanes;
};
static void take_value(const struct found *found, uint64_t row, uint32_t rows, void *to) {
    const struct value_taker *taker = to;
    memcpy(taker->lanes + row, found->values[taker->value], rows * sizeof *taker->lanes);
}

static int run_over(PyObject *self, const struct program *program, const Columns *columns, take *taken, void *to) {
    const struct geometry *g = &columns->store->handle.geometry;
    struct batch batch = {0};
    struct found found;
    enum program_status status = PROGRAM_OK;
    size_t bytes = (program_scratch_bytes(program) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *scratch = aligned_alloc(CACHE_LINE, bytes);
    if (!scratch) return PyErr_NoMemory(), -1;
    Py_BEGIN_ALLOW_THREADS;
    for (uint64_t row = 0; row < columns->rows && status == PROGRAM_OK; row += batch.rows) {
        batch.rows = columns->rows - row < BATCH_ROWS ? (uint32_t)(columns->rows - row) : BATCH_ROWS;
        for (uint32_t f = 0; f < g->options.field_count; f++)
            batch.columns[f] = columns->base[f] + row * g->fields[f].bytes;
        status = program_run(program, g, &batch, NULL, scratch, &found);
        if (status == PROGRAM_OK) taken(&found, row, batch.rows, to);
    }
    Py_END_ALLOW_THREADS;
    free(scratch);
    if (status == PROGRAM_OK) return 0;
    raise_overflow(columns->store->state, self);
    return -1;
}

static const struct program *over_columns(PyObject *self, PyObject *object) {
    struct module_state *state = PyType_GetModuleState(Py_TYPE(self));
    if (PyObject_TypeCheck(object, state->types[TYPE_COLUMNS]))
        return program_argument(state, self, &((Columns *)object)->store->handle.geometry);
    PyErr_Format(PyExc_TypeError, "expected Columns, found %R", object);
    return NULL;
}

static PyObject *program_matches(PyObject *self, PyObject *object) {
    const struct program *program = over_columns(self, object);
    const Columns *columns = (Columns *)object;
    PyObject *mask = program ? PyBytes_FromStringAndSize(NULL, (Py_ssize_t)columns->rows) : NULL;
    if (mask && run_over(self, program, columns, take_mask, PyBytes_AsString(mask))) Py_CLEAR(mask);
    return mask;
}

static PyObject *program_values(PyObject *self, PyObject *arguments) {
    static const char *const formats[] = {[LANE_INT] = "q", [LANE_UINT] = "Q", [LANE_FLOAT] = "d"};
    PyObject *object;
    unsigned index;
    if (!PyArg_ParseTuple(arguments, "OI:values", &object, &index)) return NULL;
    const struct program *program = over_columns(self, object);
    if (!program) return NULL;
    if (index >= program->value_count)
        return PyErr_Format(PyExc_IndexError, "value %u of %u", index, program->value_count);
    const Columns *columns = (Columns *)object;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(columns->rows * sizeof(uint64_t)));
    PyObject *view = NULL, *numbers = NULL;
    struct value_taker taker = {index, bytes ? (uint64_t *)(void *)PyBytes_AsString(bytes) : NULL};
    if (bytes && !run_over(self, program, columns, take_value, &taker)) view = PyMemoryView_FromObject(bytes);
    if (view) numbers = PyObject_CallMethod(view, "cast", "s", formats[program->values[index].lane]);
    Py_XDECREF(view);
    Py_XDECREF(bytes);
    return numbers;
}

static PyMethodDef program_methods[] = {
    {"matches", program_matches, METH_O, "matches($self, columns)\n--\n\nOne byte a row: 1 where it matches."},
    {"values", program_values, METH_VARARGS,
     "values($self, columns, index)\n--\n\nOne of the values in each row, also where it does not match."},
    NOT_PICKLED,
    {NULL, NULL, 0, NULL},
};

PyType_Spec program_spec = {
    .name = "shmstore._core.Program",
    .basicsize = sizeof(Program),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = (PyType_Slot[]){{Py_tp_new, program_new},
                             {Py_tp_dealloc, program_dealloc},
                             {Py_tp_methods, program_methods},
                             {Py_tp_doc, "A compiled expression: which records match, and the numbers asked about."},
                             {0, NULL}},
};
