/* Reading declarations, which anybody may have damaged; see declaration.h. */
#include "core/metrics/declaration.h"

/* Take a text with its length in front; false: there is not so much. */
static bool take_text(struct slice *rest, struct slice *text) {
    uint32_t length;
    if (rest->length < sizeof length) return false;
    memcpy(&length, rest->text, sizeof length);
    if (rest->length - sizeof length < length) return false;
    *text = (struct slice){rest->text + sizeof length, length};
    rest->text += sizeof length + length;
    rest->length -= (uint32_t)sizeof length + length;
    return true;
}

/* Are these whole lines, each of them one that begins with "# "? */
static bool are_comments(struct slice lines) {
    while (lines.length) {
        const char *end = memchr(lines.text, '\n', lines.length);
        if (!end || lines.length < 2 || memcmp(lines.text, "# ", 2)) return false;
        const struct slice line = {lines.text, (uint32_t)(end - lines.text)};
        if (!slice_is_in_line(line)) return false;
        lines = (struct slice){end + 1, lines.length - line.length - 1};
    }
    return true;
}

static bool is_sample_name(struct slice name) {
    for (uint32_t i = 0; i < name.length; i++) {
        const char c = name.text[i];
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
        if (!is_letter && !(i && c >= '0' && c <= '9')) return false;
    }
    return name.length;
}

static bool is_slice(struct slice slice, const char *text) {
    return slice.length == strlen(text) && !memcmp(slice.text, text, slice.length);
}

static bool are_items(const struct declaration *declaration) {
    const uint32_t count = declaration->item_count;
    for (uint32_t i = 0; i < count; i++)
        if (!slice_is_in_line(declaration->items[i])) return false;
    if (declaration->type == METRIC_HISTOGRAM) return count && is_slice(declaration->items[count - 1], "+Inf");
    return declaration->type == METRIC_ENUM ? count : !count;
}

bool declaration_read(const char *text, uint32_t bytes, uint32_t key_bytes, struct declaration *declaration) {
    unsigned char fixed[8];
    if (key_bytes > bytes || bytes - key_bytes < sizeof fixed) return false;
    memcpy(fixed, text + key_bytes, sizeof fixed);
    const uint32_t type = fixed[1], mode = fixed[2], count = fixed[4] | (uint32_t)fixed[5] << 8;
    if (fixed[0] != DECLARATION_VERSION || !type || type >= METRIC_TYPE_END || mode >= GAUGE_MODE_END ||
        count > MOST_CELLS || (type == METRIC_GAUGE) != (mode != NOT_A_GAUGE))
        return false;
    declaration->type = (enum metric_type)type;
    declaration->mode = (enum gauge_mode)mode;
    declaration->created =
        fixed[3] & DECLARED_CREATED && (type == METRIC_COUNTER || type == METRIC_HISTOGRAM || type == METRIC_SUMMARY);
    declaration->name = (struct slice){text, key_bytes};
    declaration->item_count = count;
    struct slice rest = {text + key_bytes + sizeof fixed, bytes - key_bytes - (uint32_t)sizeof fixed};
    if (!take_text(&rest, &declaration->text_lines) || !take_text(&rest, &declaration->openmetrics_lines) ||
        !take_text(&rest, &declaration->sample))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!take_text(&rest, &declaration->items[i])) return false;
    return take_text(&rest, &declaration->json) && are_comments(declaration->text_lines) &&
           are_comments(declaration->openmetrics_lines) && is_sample_name(declaration->sample) &&
           are_items(declaration);
}

enum fold gauge_fold(enum gauge_mode mode) {
    switch (mode) {
    case GAUGE_ALL:
    case GAUGE_LIVEALL: return FOLD_PID;
    case GAUGE_MIN: return FOLD_LEAST;
    case GAUGE_MAX: return FOLD_GREATEST;
    case GAUGE_SUM: return FOLD_SUM;
    default: return FOLD_NOTHING;
    }
}

uint32_t declaration_cells(const struct declaration *declaration) {
    if (declaration->type == METRIC_HISTOGRAM) return declaration->item_count;
    return declaration_is_own(declaration) ? 2 : 1;
}
