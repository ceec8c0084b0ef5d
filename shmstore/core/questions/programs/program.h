/* A program: which records match, and which numbers are asked about, worked out batch by batch.
 *
 * A program is a list of steps over registers. A lane register holds a number a row, as a 64-bit lane; a mask register
 * holds a byte a row, 0 or 1. An operand below MAX_FIELDS is a field, read from the batch's column in place; operand
 * MAX_FIELDS + r is lane register r. When the last step is done, mask register 0 says which records match.
 *
 * Each step is verified when it is added, so a program that was made never touches memory that is not its own.
 *
 * Integers are exact: a sum, difference, product or quotient that leaves its lane, and a division by zero, is an
 * overflow. It counts only where an answer depends on it: not in a record that another condition decides, and not in a
 * value of a record that does not match. Floats are those of IEEE 754: x / 0.0 is an infinity or NaN, and so is
 * x // 0.0. */
#ifndef SHMSTORE_PROGRAM_H
#define SHMSTORE_PROGRAM_H

#include "core/questions/batches/batch.h"

enum { MAX_VALUES = 8, MAX_REGISTERS = 32, MAX_OPERANDS = MAX_FIELDS + MAX_REGISTERS };

/* What a step makes of its operands; l and r are those on its left and right. */
enum operation {
    /* a lane register from lanes */
    STEP_LOAD,     /* field l as lanes; the fields of 64 bits need no load */
    STEP_CONSTANT, /* `low` in every row */
    STEP_FLOAT,    /* integers l as floats */
    STEP_ADD,      /* both integers, or both floats; so to STEP_MODULO */
    STEP_SUBTRACT,
    STEP_MULTIPLY,
    STEP_FLOOR, /* l // r and l % r as Python has them: rounded down, with the sign of r */
    STEP_MODULO,
    STEP_DIVIDE, /* l / r, correctly rounded, also of integers */
    /* a mask register from lanes and columns */
    STEP_RANGE,      /* low <= l <= high; l may be a field of any kind but text and bytes */
    STEP_MEMBER,     /* l is one of `count` ascending numbers */
    STEP_EQUAL,      /* l == r, exactly, of lanes of any two kinds; NaN equals nothing */
    STEP_LESS,       /* l < r */
    STEP_AT_MOST,    /* l <= r */
    STEP_IDS,        /* bit l of `count` bits is set; l is a Key field */
    STEP_TEXT_EQUAL, /* text or bytes field l against the text of this step, or against field r when it has none */
    STEP_TEXT_LESS,
    STEP_TEXT_AT_MOST,
    STEP_TEXT_STARTS,
    STEP_TEXT_MEMBER, /* l is one of `count` ascending texts */
    /* a mask register from masks; l and r are mask registers */
    STEP_AND,
    STEP_OR,
    STEP_NOT,
    STEP_FILL, /* `low` in every row, 0 or 1 */
    STEP_END
};

struct step {
    enum operation operation;
    uint8_t to, left, right;
    enum lane lane;         /* of the result, when that is lanes; given for arithmetic on integers */
    union number low, high; /* in the operand's lane */
    uint32_t count;
    const void *data; /* numbers; bits; texts: where each ends, as uint32_t, then the bytes of all */
    size_t data_bytes;
    uint32_t left_kind, right_kind; /* kinds of field: how the operands are stored */
};

struct program {
    uint64_t needs;       /* bit f: field f is read */
    uint64_t tested;      /* those of them that steps read; the others are just values */
    bool filters;         /* false: every record matches */
    uint32_t value_count; /* the numbers asked about */
    struct {
        enum lane lane;
        int field; /* it is just this field; NO_FIELD: it is worked out */
        uint8_t operand;
    } values[MAX_VALUES];

    struct step *steps;
    uint32_t step_count, step_room;
    uint32_t lane_registers, mask_registers; /* how many are used */
    uint32_t masks_written;                  /* bit r: mask register r */
    uint32_t kinds[MAX_OPERANDS];            /* how each operand is stored; 0: no such field, register not written */
    uint32_t field_count, sizes[MAX_FIELDS];
};

/* An empty program, which matches every record, over fields of these kinds and sizes. */
void program_begin(struct program *program, const struct field_spec *fields, uint32_t field_count);
/* Add a step, copying its data; add a value: an operand as the last step leaves it. NULL, or what is wrong, and of that
 * program_no_memory is not the step's fault. */
extern const char program_no_memory[];
const char *program_step(struct program *program, struct step step);
const char *program_value(struct program *program, uint32_t operand);
void program_free(struct program *program);

/* The lane of an operand's numbers; false when it has none: text, bytes, no such field, or a register not written. */
bool program_lane(const struct program *program, uint32_t operand, enum lane *lane);
/* Are these the fields that the program was made for? */
bool program_fits(const struct program *program, const struct geometry *geometry);

/* What a program found in a batch. Valid until the batch or the scratch memory is used again. */
struct found {
    const uint8_t *mask; /* 1 where a record matches, 0 where not; NULL: all match */
    uint32_t matched;
    const union lanes *values[MAX_VALUES]; /* also of records that do not match */
};

enum program_status { PROGRAM_OK, PROGRAM_OVERFLOW /* integer arithmetic left 64 bits, or divided by zero */ };

/* Bytes of private scratch memory, aligned to CACHE_LINE, that program_run needs. */
size_t program_scratch_bytes(const struct program *program);

/* `geometry` fits the program, and the batch holds every field that the program needs; with `modes`, all that is left of
 * its needs. NULL: every step runs. */
enum program_status program_run(const struct program *program, const struct geometry *geometry,
                                const struct batch *batch, const uint8_t *modes, void *scratch, struct found *found);

/* ---- judge.c ---- */

/* What is known of one field over many records: all lie in [low, high], and none is NaN. */
struct bounds {
    bool known;
    union number low, high; /* of the field's lane */
};

enum verdict { MATCHES_NONE, MATCHES_SOME, MATCHES_ALL };

/* Which of the records within these bounds (one a field) match? MATCHES_SOME when it cannot be told. */
enum verdict program_judge(const struct program *program, const struct bounds *bounds);

/* What is left to do for a step among records within some bounds. */
enum mode { STEP_RUNS, STEP_IS_IDLE /* nothing depends on it */, STEP_GIVES_0, STEP_GIVES_1 /* to every row */ };

/* The same verdict, and how little of the program has to run for such records: the mode of each step, and the fields that
 * are still needed. */
enum verdict program_narrow(const struct program *program, const struct bounds *bounds, uint8_t *modes,
                            uint64_t *needs);

#endif
