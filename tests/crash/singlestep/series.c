/* The account of metrics: every update that returned is counted once, and that in which the victim died once or not at all. */
#include "series.h"

#include "core/metrics/check_nodes.h"
#include "core/metrics/contents.h"

#include <stdio.h>
#include <unistd.h>

enum { TEXT_BYTES = 256, OWN_FAMILY = 1, NEIGHBOURS = 4, MORE = 3 };
enum { UNIT = 3 /* seconds of an observation, and what a value bears for each microsecond of its time */ };

static const char *const update_names[] = {"the counter", "the bucket", "the own values", "the latest value",
                                           "the exemplar"};

static const struct nodes *nodes_of(const struct handle *who) { return &metrics_of(who)->nodes; }

/* ---- series ------------------------------------------------------------------------------------------------------ */

static struct node_key key_of(const char *text, uint32_t place) {
    return (struct node_key){place == NO_PLACE ? NO_FAMILY : OWN_FAMILY, place, text, (uint32_t)strlen(text)};
}

static struct node_at insert(const struct handle *who, const char *text, uint32_t cells, uint32_t place) {
    const struct node_wish wish = {key_of(text, place), (uint32_t)strlen(text), cells, 0};
    struct node_at at = {0, 0};
    bool inserted;
    enum node_status status = nodes_insert(nodes_of(who), owner_of(who), &wish, &at, &inserted);
    if (status != NODES_OK) violation("%.12s could not be inserted: status %d", text, (int)status);
    return at;
}

static bool find(const struct handle *who, const char *text, struct node_at *at) {
    const struct node_key key = key_of(text, NO_PLACE);
    enum node_status status = nodes_find(nodes_of(who), &key, at);
    if (status != NODES_OK && status != NODES_MISSING) violation("%.12s was looked for: status %d", text, (int)status);
    return status == NODES_OK;
}

static bool remove_text(const struct handle *who, const char *text) {
    struct node_at at;
    return find(who, text, &at) && nodes_remove(nodes_of(who), at);
}

static struct cell_at cell_at(const struct handle *who, struct node_at at, uint32_t number) {
    return (struct cell_at){&nodes_at(nodes_of(who), at.index)->word, at.word, nodes_cell(nodes_of(who), at, number)};
}

struct found have_series(const struct handle *who, enum update update) {
    static const struct {
        const char *text;
        uint32_t cells, first;
        bool own;
    } series[] = {[COUNT] = {"counter", 1, 0, false},
                  [OBSERVE] = {"histogram", 3, 1, false},
                  [RAISE_OWN] = {"own", 2, 0, true},
                  [SET_LATEST] = {"latest", 1, 0, false},
                  [PUT_EXEMPLAR] = {"histogram", 3, 1, false}};
    const uint32_t place = series[update].own ? owner_place(owner_of(who)) : NO_PLACE;
    const struct node_at at = insert(who, series[update].text, series[update].cells, place);
    return (struct found){at, cell_at(who, at, series[update].first), cell_at(who, at, series[update].first + 1)};
}

bool insert_long(const struct world *world, const struct handle *who, struct node_at *at, bool *inserted) {
    const struct node_wish wish = {key_of("long", NO_PLACE), 4, world->account.series.long_cells, 0};
    return nodes_insert(nodes_of(who), owner_of(who), &wish, at, inserted) == NODES_OK;
}

bool find_long(const struct handle *who, struct node_at *at) { return find(who, "long", at); }

/* ---- updates ----------------------------------------------------------------------------------------------------- */

uint64_t number_of_others(uint64_t count) { return 2 * count + 2; }
uint64_t number_of_victim(uint64_t count) { return 2 * count + 5; }

static struct exemplar_values make_exemplar(uint64_t number) {
    struct exemplar_values made = {.value = (double)number, .time_ns = (int64_t)number * UNIT, .length = 40};
    memset(made.text, (int)('a' + number % 26), sizeof made.text);
    made.length += (uint32_t)(number % 40);
    return made;
}

static bool is_whole_exemplar(const struct exemplar_values *found) {
    const struct exemplar_values expected = make_exemplar((uint64_t)found->value);
    return found->time_ns == expected.time_ns && found->length == expected.length &&
           !memcmp(found->text, expected.text, expected.length);
}

bool make_update(const struct handle *who, const struct found *found, enum update update, uint64_t number) {
    const uint32_t place = owner_place(owner_of(who));
    switch (update) {
    case COUNT: return cell_add(&found->cell, 1, 0);
    case OBSERVE: return cell_add(&found->cell, UNIT, 1);
    case RAISE_OWN:
        return own_take(&found->cell, &found->dead,
                        mark_of(place_generation(load_relaxed(&processes_place(&who->ring, place)->word))),
                        (uint64_t)getpid(), FOLD_SUM) &&
               cell_add(&found->cell, 1, 0);
    case SET_LATEST: return cell_set_latest(&found->cell, (double)(number * UNIT), number);
    default: {
        const struct exemplar_values values = make_exemplar(number);
        return exemplar_put(nodes_of(who), owner_of(who), found->at, 1, &values);
    }
    }
}

/* The victim stands still, or died, in the middle of an update of this kind. */
static bool is_amid(const struct world *world, enum update update) {
    return world->account.series.victims == update &&
           load_acquire(&world->report->begun) > load_acquire(&world->report->returned);
}

static void update_as(struct world *world, const struct handle *who, enum update update) {
    uint64_t *returned = &world->account.series.returned[update];
    const struct found found = have_series(who, update);
    if (found.cell.cell && make_update(who, &found, update, number_of_others(*returned))) ++*returned;
    else if (update != PUT_EXEMPLAR || world->victim_is_dead || !is_amid(world, update))
        violation("an update of %s was refused", update_names[update]);
}

void raise_long(struct world *world, const struct handle *who) {
    struct series_account *account = &world->account.series;
    struct node_at at;
    if (!find_long(who, &at)) return;
    if (at.index != account->long_one.index || at.word != account->long_one.word) {
        account->long_one = at;
        account->long_raised = 0;
    }
    const struct cell_at cell = cell_at(who, at, account->long_cells - 1);
    if (!cell.cell || !cell_add(&cell, 1, 0)) violation("a cell of a series that is there refuses an update");
    account->long_raised++;
}

/* ---- what the others do ------------------------------------------------------------------------------------------ */

/* A series comes and goes, with parts or without; one of those in its chains makes way for a moment. */
static void come_and_go(struct world *world, const struct handle *who) {
    const uint32_t piece = world->account.series.pieces++;
    char text[TEXT_BYTES], near[16];
    snprintf(text, sizeof text, "%*u", piece % 2 ? 210 : 3, piece);
    snprintf(near, sizeof near, "near %u", piece % NEIGHBOURS);
    const struct node_at at = insert(who, text, 2, NO_PLACE);
    struct node_at found = {0, 0};
    const struct cell_at cell = cell_at(who, at, 1);
    if (!find(who, text, &found) || found.index != at.index || found.word != at.word)
        violation("what was inserted is not found");
    if (!cell.cell || load_relaxed(&cell.cell->high) || !cell_add(&cell, 1, 0)) violation("a new series is not zero");
    if (remove_text(who, near)) insert(who, near, 1, NO_PLACE);
    else violation("%s was not there", near);
    if (!nodes_remove(nodes_of(who), at) || find(who, text, &found)) violation("what was removed is still there");
    if (cell.cell && cell_add(&cell, 1, 0)) violation("a series that was removed takes an update");
}

static void work(struct world *world, struct handle *who) {
    if (!world->account.series.pieces)
        for (uint32_t i = 0; i < NEIGHBOURS; i++) {
            char near[16];
            snprintf(near, sizeof near, "near %u", i);
            insert(who, near, 1, NO_PLACE);
        }
    for (enum update update = 0; update < UPDATES; update++) update_as(world, who, update);
    come_and_go(world, who);
}

void insert_more(struct world *world) {
    static const char *const texts[MORE] = {"more", "and more", "and yet more"};
    for (uint32_t i = 0; i < MORE; i++) insert(&world->live[0], texts[i], 1, NO_PLACE);
}

void remove_more(struct world *world) {
    static const char *const texts[MORE] = {"more", "and more", "and yet more"};
    for (uint32_t i = 0; i < MORE; i++) remove_text(&world->live[0], texts[i]);
}

uint32_t fill_table(struct world *world) {
    const struct handle *who = &world->live[0];
    struct node_at at[NODES];
    uint32_t count = 0;
    char text[16];
    for (bool inserted; count < NODES; count++) {
        snprintf(text, sizeof text, "fill %u", count);
        const struct node_wish wish = {key_of(text, NO_PLACE), (uint32_t)strlen(text), 1, 0};
        enum node_status status = nodes_insert(nodes_of(who), owner_of(who), &wish, &at[count], &inserted);
        if (status == NODES_OK && inserted) continue;
        if (status != NODES_FULL) violation("the table could not be filled: status %d", (int)status);
        break;
    }
    for (uint32_t i = 0; i < count; i++)
        if (!nodes_remove(nodes_of(who), at[i])) violation("what filled the table was not there");
    return count;
}

static void settle(struct world *world) { fill_table(world); }

/* ---- inspecting -------------------------------------------------------------------------------------------------- */

static struct cell_value read_cell(const struct handle *who, struct node_at at, uint32_t number) {
    struct cell_value value = {0, 0};
    const struct wide *cell = nodes_cell(nodes_of(who), at, number);
    if (!cell || !cell_read(cell, &value)) violation("a cell cannot be read");
    return value;
}

/* What processes have for themselves, of the living and the dead. */
static double read_own(const struct handle *who) {
    double sum = 0;
    for (uint32_t place = 0; place < PLACES; place++) {
        const struct node_key key = key_of("own", place);
        struct node_at at;
        struct own_values values;
        if (nodes_find(nodes_of(who), &key, &at) != NODES_OK) continue;
        const struct wide *own = nodes_cell(nodes_of(who), at, 0), *dead = nodes_cell(nodes_of(who), at, 1);
        if (!own || !dead || !own_read(own, dead, FOLD_SUM, &values)) {
            violation("an own value cannot be read");
            continue;
        }
        sum += (values.has_own ? values.own : 0) + (values.has_dead ? values.dead : 0);
    }
    return sum;
}

static double updates_in(const struct handle *who, enum update update) {
    struct node_at at;
    if (update == RAISE_OWN) return read_own(who);
    if (!find(who, update == COUNT ? "counter" : "histogram", &at)) return 0;
    const struct cell_value value = read_cell(who, at, update == OBSERVE);
    if (update == COUNT) return value.number;
    if (value.number != UNIT * (double)value.bits) violation("count and sum of the bucket are of different moments");
    return (double)value.bits;
}

/* Once it was seen that the update amid which the victim is has happened, it stays so; once the victim is dead, also that it
 * has not. */
static void settle_question(struct world *world, enum update update, bool is_in) {
    struct series_account *account = &world->account.series;
    if (account->was_in && !is_in) violation("an update of %s was taken back", update_names[update]);
    if (account->was_out && is_in) violation("an update of %s by the dead came later", update_names[update]);
    account->was_in = is_in;
    account->was_out = !is_in && world->victim_is_dead;
}

static void check_count(struct world *world, enum update update) {
    struct series_account *account = &world->account.series;
    const uint64_t victims = account->victims == update ? load_acquire(&world->report->returned) : 0;
    const double least = (double)(account->returned[update] + victims), found = updates_in(&world->live[0], update);
    const bool one_more = found == least + 1 && is_amid(world, update);
    if (found != least && !one_more)
        violation("%d updates of %s returned, and it has %g", (int)least, update_names[update], found);
    if (is_amid(world, update)) settle_question(world, update, one_more);
    else if (account->victims == update) account->was_in = account->was_out = false;
}

/* The latest of all that returned; that in which the victim is, if it is later, may be there. */
static void check_latest(struct world *world) {
    struct series_account *account = &world->account.series;
    const bool victims = account->victims == SET_LATEST;
    const uint64_t others = account->returned[SET_LATEST], returned = load_acquire(&world->report->returned);
    const uint64_t amid = victims ? number_of_victim(load_acquire(&world->report->begun) - 1) : 0;
    uint64_t least = others ? number_of_others(others - 1) : 0;
    struct node_at at;
    if (!find(&world->live[0], "latest", &at)) return;
    if (victims && returned && number_of_victim(returned - 1) > least) least = number_of_victim(returned - 1);
    const struct cell_value value = read_cell(&world->live[0], at, 0);
    const bool is_amids = is_amid(world, SET_LATEST) && amid > least && value.bits == amid;
    if (value.number != UNIT * (double)value.bits) violation("the latest value has another's time");
    if (value.bits != least && !is_amids)
        violation("the latest value is of time %d, not %d", (int)value.bits, (int)least);
}

static void check_exemplar(struct world *world) {
    const struct series_account *account = &world->account.series;
    struct exemplar_values found;
    struct node_at at;
    if (!find(&world->live[0], "histogram", &at)) return;
    if (exemplar_get(nodes_of(&world->live[0]), at, 1, &found)) {
        if (!is_whole_exemplar(&found)) violation("the exemplar is torn");
    } else if (account->returned[PUT_EXEMPLAR] && !is_amid(world, PUT_EXEMPLAR)) {
        violation("the exemplar is not there");
    }
}

/* Whatever is new is zero, and what was added since is there. */
static void check_long(struct world *world) {
    const struct series_account *account = &world->account.series;
    struct node_at at;
    if (!find_long(&world->live[0], &at)) return;
    const bool is_known = at.index == account->long_one.index && at.word == account->long_one.word;
    for (uint32_t number = 0; number < account->long_cells; number++) {
        const bool is_raised = is_known && number == account->long_cells - 1;
        if (read_cell(&world->live[0], at, number).number != (is_raised ? (double)account->long_raised : 0))
            violation("a cell of the long series bears what nobody added");
    }
}

static void told_by_check(void *context, const char *text) {
    (void)context;
    violation("check_nodes: %s", text);
}

/* Each live node is what is found by its key. Returns how many nodes they take with their parts. */
static uint32_t check_keys(const struct world *world) {
    const struct nodes *nodes = nodes_of(&world->live[0]);
    uint32_t index = 0, taken = 0;
    for (struct node_at at, found; nodes_next(nodes, &index, &at);) {
        char text[TEXT_BYTES];
        const struct node *node = nodes_at(nodes, at.index);
        const uint64_t identity = load_relaxed(&node->identity), bytes = rest_bytes(load_relaxed(&node->sizes));
        const int64_t length = nodes_text(nodes, at, text, sizeof text);
        const struct node_key key = {family_of(identity), identity >> 24 & 0xffff, text, (uint32_t)length};
        taken += 1 + (bytes ? (uint32_t)((bytes - 1) / REST_BYTES) : 0);
        if (length < 0 || length > TEXT_BYTES) violation("the text of a live node cannot be read");
        else if (nodes_find(nodes, &key, &found) != NODES_OK || found.index != at.index)
            violation("node %u is not what is found by its key", at.index);
    }
    return taken;
}

void check_room(struct world *world) {
    const uint32_t room = fill_table(world), taken = check_keys(world);
    if (room + taken != NODES) violation("of %d nodes, %u are taken, and there is room for %u", NODES, taken, room);
}

static void check_claims(const struct world *world) {
    const struct nodes *nodes = nodes_of(&world->live[0]);
    const struct exemplar *exemplars =
        (const struct exemplar *)(const void *)(world->memory + world->geometry.exemplars_offset);
    for (uint32_t index = 0; index < NODES; index++)
        if (node_state(load_acquire(&nodes_at(nodes, index)->word)) == NODE_CLAIMED)
            violation("node %u is still claimed", index);
    for (uint32_t number = 0; number < EXEMPLARS; number++)
        if ((load_acquire(&exemplars[number].word) & 3) == 2) violation("exemplar %u is still marked", number);
}

static void inspect_metrics(struct world *world, bool settled) {
    hear_failures(world);
    check_nodes(nodes_of(&world->live[0]), told_by_check, NULL);
    check_keys(world);
    for (enum update update = COUNT; update <= RAISE_OWN; update++) check_count(world, update);
    check_latest(world);
    check_exemplar(world);
    check_long(world);
    check_processes(world);
    if (settled) check_claims(world);
}

const struct subject metrics_subject = {work, settle, inspect_metrics};
