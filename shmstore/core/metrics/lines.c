/* Putting lines; see lines.h. */
#include "core/metrics/lines.h"

#include "core/base/buffer.h"
#include "core/metrics/decimal.h"

enum { LEAST_ROOM = 4096 };

bool lines_reserve(struct lines *lines, size_t bytes) {
    if (lines->room - lines->length >= bytes) return true;
    size_t room = 2 * lines->room + LEAST_ROOM + bytes;
    char *text = lines->has_failed ? NULL : buffer_take(&room);
    if (!text) {
        lines->has_failed = true;
        return false;
    }
    if (lines->length) memcpy(text, lines->text, lines->length);
    buffer_give(lines->text, lines->room);
    lines->text = text;
    lines->room = room;
    return true;
}

void lines_free(struct lines *lines) {
    buffer_give(lines->text, lines->room);
    *lines = (struct lines){.text = NULL};
}

static char *put(char *to, struct slice slice) {
    memcpy(to, slice.text, slice.length);
    return to + slice.length;
}

void lines_put(struct lines *lines, struct slice slice) {
    if (!slice.length || !lines_reserve(lines, slice.length)) return;
    lines->length = (size_t)(put(lines->text + lines->length, slice) - lines->text);
}

void lines_put_sample(struct lines *lines, const struct sample_line *sample) {
    const size_t most = (size_t)sample->name.length + sample->suffix.length + sample->labels.length +
                        sample->last.name.length + sample->last.text.length + sizeof "{,=\"\"} \n" + DECIMAL_BYTES;
    if (!lines_reserve(lines, most)) return;
    char *to = put(put(lines->text + lines->length, sample->name), sample->suffix);
    if (sample->labels.length || sample->last.name.length) {
        *to++ = '{';
        to = put(to, sample->labels);
        if (sample->last.name.length) {
            if (sample->labels.length) *to++ = ',';
            to = put(put(put(put(to, sample->last.name), SLICE("=\"")), sample->last.text), SLICE("\""));
        }
        *to++ = '}';
    }
    *to++ = ' ';
    to += decimal_value(to, sample->value);
    *to++ = '\n';
    lines->length = (size_t)(to - lines->text);
}

void lines_put_exemplar(struct lines *lines, const struct exemplar_values *exemplar) {
    const struct slice labels = {exemplar->text, exemplar->length};
    if (lines->has_failed || !slice_is_in_line(labels) ||
        !lines_reserve(lines, labels.length + sizeof " # {}  \n" + 2 * DECIMAL_BYTES))
        return;
    char *to = put(put(put(lines->text + lines->length - 1, SLICE(" # {")), labels), SLICE("} "));
    to += decimal_value(to, exemplar->value);
    *to++ = ' ';
    to += decimal_seconds(to, seconds_of(exemplar->time_ns));
    *to++ = '\n';
    lines->length = (size_t)(to - lines->text);
}
