/* What a scrape prints: each type of metric in both formats, what is asked for, and what of processes comes together. */
#define _GNU_SOURCE /* for strtok_r */
#include "declared.h"

#include "core/metrics/exemplars.h"

enum { SERIES = 200, EXEMPLARS = 1000 };

CASE(each_type_of_metric_is_printed_as_both_formats_say) {
    struct world *world = make_world(SERIES, EXEMPLARS);
    const uint32_t requests = declare(world, "requests", METRIC_COUNTER, NOT_A_GAUGE, "");
    const uint32_t latency = declare(world, "latency", METRIC_HISTOGRAM, NOT_A_GAUGE, BOUNDS);
    const uint32_t sizes = declare(world, "sizes", METRIC_SUMMARY, NOT_A_GAUGE, "");
    const uint32_t latest = declare(world, "latest", METRIC_GAUGE, GAUGE_MOSTRECENT, "");
    const uint32_t build = declare(world, "build", METRIC_INFO, NOT_A_GAUGE, "");
    const uint32_t state = declare(world, "job:state", METRIC_ENUM, NOT_A_GAUGE, "on off");
    add(world, series(world, latency, NO_PLACE, "a=\"x\"", 3), 1, 0.75, 1);
    counter(world, requests, "m=\"GET\"", 3);
    add(world, series(world, sizes, NO_PLACE, "", 1), 0, 1234567, 2);
    series(world, build, NO_PLACE, "version=\"1\"", 1);
    struct cell_at cell = cell_of(world, series(world, state, NO_PLACE, "k=\"v\"", 1), 0);
    expect(cell_set_latest(&cell, 1, 5));
    add(world, series(world, latency, NO_PLACE, "a=\"x\"", 3), 2, 2.25, 1);
    counter(world, requests, "m=\"PUT\"", 0.5);
    cell = cell_of(world, series(world, latest, NO_PLACE, "", 1), 0);
    expect(cell_set_latest(&cell, -3.5, 9) && cell_set_latest(&cell, 8, 8));
    expect_scrape(world, &as_text,
                  "# HELP requests_total Of requests.\n# TYPE requests_total counter\n"
                  "requests_total{m=\"GET\"} 3.0\nrequests_total{m=\"PUT\"} 0.5\n"
                  "# HELP requests_created Of requests.\n# TYPE requests_created gauge\n"
                  "requests_created{m=\"GET\"} 1.5\nrequests_created{m=\"PUT\"} 1.5\n"
                  "# HELP latency Of latency.\n# TYPE latency histogram\n"
                  "latency_bucket{a=\"x\",le=\"0.5\"} 0.0\nlatency_bucket{a=\"x\",le=\"1.0\"} 1.0\n"
                  "latency_bucket{a=\"x\",le=\"+Inf\"} 2.0\nlatency_count{a=\"x\"} 2.0\nlatency_sum{a=\"x\"} 3.0\n"
                  "# HELP latency_created Of latency.\n# TYPE latency_created gauge\nlatency_created{a=\"x\"} 1.5\n"
                  "# HELP sizes Of sizes.\n# TYPE sizes summary\nsizes_count 2.0\nsizes_sum 1.234567e+06\n"
                  "# HELP sizes_created Of sizes.\n# TYPE sizes_created gauge\nsizes_created 1.5\n"
                  "# HELP latest Of latest.\n# TYPE latest gauge\nlatest -3.5\n"
                  "# HELP build_info Of build.\n# TYPE build_info gauge\nbuild_info{version=\"1\"} 1.0\n"
                  "# HELP job:state Of job:state.\n# TYPE job:state gauge\n"
                  "job:state{k=\"v\",job_state=\"on\"} 0.0\njob:state{k=\"v\",job_state=\"off\"} 1.0\n");
    expect_scrape(world, &as_openmetrics,
                  "# HELP requests Of requests.\n# TYPE requests counter\n"
                  "requests_total{m=\"GET\"} 3.0\nrequests_created{m=\"GET\"} 1.5\n"
                  "requests_total{m=\"PUT\"} 0.5\nrequests_created{m=\"PUT\"} 1.5\n"
                  "# HELP latency Of latency.\n# TYPE latency histogram\n"
                  "latency_bucket{a=\"x\",le=\"0.5\"} 0.0\nlatency_bucket{a=\"x\",le=\"1.0\"} 1.0\n"
                  "latency_bucket{a=\"x\",le=\"+Inf\"} 2.0\nlatency_count{a=\"x\"} 2.0\nlatency_sum{a=\"x\"} 3.0\n"
                  "latency_created{a=\"x\"} 1.5\n"
                  "# HELP sizes Of sizes.\n# TYPE sizes summary\nsizes_count 2.0\nsizes_sum 1.234567e+06\n"
                  "sizes_created 1.5\n# HELP latest Of latest.\n# TYPE latest gauge\nlatest -3.5\n"
                  "# HELP build Of build.\n# TYPE build info\nbuild_info{version=\"1\"} 1.0\n"
                  "# HELP job:state Of job:state.\n# TYPE job:state stateset\n"
                  "job:state{k=\"v\",job_state=\"on\"} 0.0\njob:state{k=\"v\",job_state=\"off\"} 1.0\n# EOF\n");
    free_world(world);
}

CASE(exemplars_stand_behind_the_lines_of_their_cells) {
    struct world *world = make_world(SERIES, EXEMPLARS);
    const struct node_at requests =
        counter(world, declare(world, "requests", METRIC_COUNTER, NOT_A_GAUGE, ""), "m=\"GET\"", 1);
    const struct node_at latency =
        series(world, declare(world, "latency", METRIC_HISTOGRAM, NOT_A_GAUGE, BOUNDS), NO_PLACE, "", 3);
    struct exemplar_values values = {0.75, INT64_C(1700000000250000000), 7, "id=\"xy\""};
    expect(exemplar_put(&world->nodes, 1, latency, 1, &values));
    values = (struct exemplar_values){1, 1, 0, ""};
    expect(exemplar_put(&world->nodes, 1, requests, 0, &values));
    values = (struct exemplar_values){1, 1, 3, "a\nb"}; /* damage */
    expect(exemplar_put(&world->nodes, 1, latency, 2, &values));
    expect_scrape(world, &as_openmetrics,
                  "# HELP requests Of requests.\n# TYPE requests counter\n"
                  "requests_total{m=\"GET\"} 1.0 # {} 1.0 1e-09\nrequests_created{m=\"GET\"} 1.5\n"
                  "# HELP latency Of latency.\n# TYPE latency histogram\nlatency_bucket{le=\"0.5\"} 0.0\n"
                  "latency_bucket{le=\"1.0\"} 0.0 # {id=\"xy\"} 0.75 1700000000.25\n"
                  "latency_bucket{le=\"+Inf\"} 0.0\nlatency_count 0.0\nlatency_sum 0.0\nlatency_created 1.5\n# EOF\n");
    free_world(world);
}

static bool takes_latency(void *context, const struct declaration *declaration) {
    ++*(uint32_t *)context;
    return declaration->name.length == 7 && !memcmp(declaration->name.text, "latency", 7);
}

CASE(only_what_is_asked_for_is_printed) {
    struct world *world = make_world(SERIES, EXEMPLARS);
    const uint32_t requests = declare(world, "requests", METRIC_COUNTER, NOT_A_GAUGE, "");
    const uint32_t latency = declare(world, "latency", METRIC_HISTOGRAM, NOT_A_GAUGE, "-1.0 +Inf");
    declare(world, "late", METRIC_GAUGE, GAUGE_MOSTRECENT, "");
    counter(world, requests, "m=\"GET\"", 1);
    series(world, latency, NO_PLACE, "", 2);
    const struct slice names[] = {{"latency_count", 13}, {"requests", 8}, {"late", 4}, {"requests_created", 16}};
    struct exposition_wish wish = {.names = names, .name_count = 3};
    expect_scrape(world, &wish, "# HELP latency Of latency.\n# TYPE latency histogram\nlatency_count 0.0\n");
    wish.names = names + 3;
    wish.name_count = 1;
    expect_scrape(world, &wish,
                  "# HELP requests_total Of requests.\n# TYPE requests_total counter\n# HELP requests_created Of "
                  "requests.\n# TYPE requests_created gauge\nrequests_created{m=\"GET\"} 1.5\n");
    wish.name_count = 0;
    expect_scrape(world, &wish, "");
    uint32_t calls = 0;
    wish = (struct exposition_wish){.format = OPENMETRICS_1_0_0, .takes = takes_latency, .context = &calls};
    wish.goes_on = true;
    expect_scrape(world, &wish,
                  "# HELP latency Of latency.\n# TYPE latency histogram\nlatency_bucket{le=\"-1.0\"} 0.0\n"
                  "latency_bucket{le=\"+Inf\"} 0.0\nlatency_count 0.0\nlatency_created 1.5\n"); /* no sum below zero */
    expect_equal(calls, 3);
    free_world(world);
}

CASE(the_segment_tells_of_its_room) {
    struct world *world = make_world(SERIES, EXEMPLARS);
    char labels[500] = "a=\"";
    memset(labels + 3, 'x', 495);
    labels[498] = '"';
    series(world, declare(world, "latest", METRIC_GAUGE, GAUGE_MOSTRECENT, ""), NO_PLACE, labels, 1);
    const struct slice names[] = {{"shmstore_metrics_nodes_used", 27}, {"shmstore_metrics_nodes", 22}};
    struct exposition_wish wish = {.names = names, .name_count = 2, .own = true};
    expect_scrape(world, &wish,
                  "# HELP shmstore_metrics_nodes Nodes for declarations and series.\n"
                  "# TYPE shmstore_metrics_nodes gauge\nshmstore_metrics_nodes 912.0\n"
                  "# HELP shmstore_metrics_nodes_used Nodes that declarations and series take.\n"
                  "# TYPE shmstore_metrics_nodes_used gauge\nshmstore_metrics_nodes_used 4.0\n");
    expect_equal(world->geometry.node_count - nodes_room(&world->nodes), 4);
    const struct slice refused = {"shmstore_metrics_series_refused_total", 37};
    wish = (struct exposition_wish){.format = OPENMETRICS_1_0_0, .names = &refused, .name_count = 1, .own = true};
    expect_scrape(world, &wish,
                  "# HELP shmstore_metrics_series_refused Series, and updates of them, that were refused.\n"
                  "# TYPE shmstore_metrics_series_refused counter\nshmstore_metrics_series_refused_total 0.0\n# EOF\n");
    const struct slice removed = {"shmstore_metrics_removed", 24};
    wish = (struct exposition_wish){.names = &removed, .name_count = 1, .own = true, .is_removed = true};
    expect_scrape(
        world, &wish,
        "# HELP shmstore_metrics_removed 1 once the segment is removed: who attaches from then on counts into "
        "another one.\n# TYPE shmstore_metrics_removed gauge\nshmstore_metrics_removed 1.0\n");
    free_world(world);
}

/* ---- what each process has for itself ---------------------------------------------------------------------------- */

/* Three places: 1 was held by the dead before its holder, 2 is held by the dead, 3 by the living. */
static const struct {
    enum gauge_mode mode;
    const char *lines;
} modes[] = {
    {GAUGE_ALL, "g{pid=\"1002\"} 2.0\ng{pid=\"1003\"} -8.0\ng{pid=\"1004\"} 4.5\n"},
    {GAUGE_LIVEALL, "g{pid=\"1002\"} 2.0\ng{pid=\"1004\"} 4.5\n"},
    {GAUGE_MIN, "g -8.0\n"},
    {GAUGE_LIVEMIN, "g 2.0\n"},
    {GAUGE_MAX, "g 100.0\n"},
    {GAUGE_LIVEMAX, "g 4.5\n"},
    {GAUGE_SUM, "g 98.5\n"},
    {GAUGE_LIVESUM, "g 6.5\n"},
    {GAUGE_LIVEMOSTRECENT, "g 2.0\n"},
};

CASE(gauges_of_processes_are_put_together_as_their_mode_says) {
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct world *world = make_world(SERIES, EXEMPLARS);
        char expected[400];
        const uint32_t family = declare(world, "g", METRIC_GAUGE, modes[i].mode, "");
        const bool is_timed = modes[i].mode == GAUGE_LIVEMOSTRECENT;
        snprintf(expected, sizeof expected, "# HELP g Of g.\n# TYPE g gauge\n");
        expect_scrape(world, &as_text, expected);
        set_own(world, family, 1, 1, "", modes[i].mode, 100, is_timed ? 50 : 0);
        set_own(world, family, 1, 2, "", modes[i].mode, 2, is_timed ? 30 : 0);
        set_own(world, family, 2, 3, "", modes[i].mode, -8, is_timed ? 40 : 0);
        set_own(world, family, 3, 4, "", modes[i].mode, 4.5, is_timed ? 20 : 0);
        store_release(&world->dead[2], true);
        strcat(expected, modes[i].lines);
        expect_scrape(world, &as_text, expected);
        free_world(world);
    }
}

static uint32_t asked;

static bool count_and_deny(void *context, uint32_t owner) {
    (void)context, (void)owner;
    asked++;
    return false;
}

CASE(the_kernel_is_asked_once_for_each_place) {
    struct world *world = make_world(SERIES, EXEMPLARS);
    const uint32_t family = declare(world, "g", METRIC_GAUGE, GAUGE_LIVESUM, "");
    char labels[20];
    for (int i = 0; i < 40; i++) {
        snprintf(labels, sizeof labels, "k=\"%02d\"", i % 20);
        set_own(world, family, 1 + (uint32_t)i / 20, 7, labels, GAUGE_LIVESUM, i, 0);
    }
    struct exposition exposition;
    asked = 0;
    world->nodes.liveness.is_dead = count_and_deny;
    expect(exposition_write(&world->nodes, &as_text, &exposition));
    expect_equal(asked, 2);
    exposition.text[exposition.length] = '\0';
    expect(strstr(exposition.text, "gauge\ng{k=\"00\"} 20.0\ng{k=\"01\"} 22.0\n"));
    expect(strstr(exposition.text, "g{k=\"19\"} 58.0\n"));
    exposition_free(&exposition);
    free_world(world);
}

CASE(a_value_of_an_older_holder_is_not_taken_for_one_of_the_living) {
    struct world *world = make_world(SERIES, EXEMPLARS);
    const uint32_t family = declare(world, "g", METRIC_GAUGE, GAUGE_LIVEALL, "");
    set_own(world, family, 1, 5, "k=\"old\"", GAUGE_LIVEALL, 1, 0);
    set_own(world, family, 1, 5 + 512, "k=\"new\"", GAUGE_LIVEALL, 2, 0); /* an owner's generation has 9 bits */
    expect_scrape(world, &as_text, "# HELP g Of g.\n# TYPE g gauge\ng{k=\"new\",pid=\"1517\"} 2.0\n");
    free_world(world);
}

CASE(two_processes_that_had_the_same_number_do_not_make_one_line_twice) {
    struct world *world = make_world(SERIES, EXEMPLARS);
    const uint32_t family = declare(world, "g", METRIC_GAUGE, GAUGE_ALL, "");
    for (uint32_t place = 1; place < 4; place++) {
        set_own(world, family, place, 6, "", GAUGE_ALL, place, 0);
        store_release(&world->dead[place], place != 2);
    }
    expect_scrape(world, &as_text, "# HELP g Of g.\n# TYPE g gauge\ng{pid=\"1006\"} 2.0\n");
    free_world(world);
}

/* ---- removed ----------------------------------------------------------------------------------------------------- */

CASE(what_was_removed_is_not_printed_and_neither_are_series_of_nothing) {
    struct world *world = make_world(SERIES, EXEMPLARS);
    const uint32_t first = declare(world, "first", METRIC_COUNTER, NOT_A_GAUGE, "");
    const uint32_t second = declare(world, "second", METRIC_GAUGE, GAUGE_MOSTRECENT, "");
    const struct node_at gone = counter(world, first, "k=\"gone\"", 1);
    series(world, second, NO_PLACE, "k=\"stays\"", 1);
    counter(world, first, "k=\"orphan\"", 1);
    expect(nodes_remove(&world->nodes, gone));
    expect(nodes_remove(&world->nodes, (struct node_at){first, load_acquire(&nodes_at(&world->nodes, first)->word)}));
    expect_scrape(world, &as_text, "# HELP second Of second.\n# TYPE second gauge\nsecond{k=\"stays\"} 0.0\n");
    free_world(world);
}
