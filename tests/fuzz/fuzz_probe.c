/* Suite files and the records of evidence: bytes from anywhere. What parses as a row is written and parsed
 * again. */
#include "eval/record.h"
#include "eval/row.h"
#include "probes/set.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_row(const char *line, size_t n)
{
    struct pool pool = { 0 };
    struct item_row row, again;
    struct str text = { 0 }, second = { 0 };
    if (item_row_parse(line, n, &pool, &row, NULL) == 0 && item_row_write(&row, &text, NULL) == 0) {
        (void)!item_row_check(&row, NULL);
        int rc = item_row_parse(text.data, text.size, &pool, &again, NULL);
        assert(rc == 0);
        rc = item_row_write(&again, &second, NULL);
        assert(rc == 0 && text.size == second.size && memcmp(text.data, second.data, text.size) == 0);
    }
    str_release(&text);
    str_release(&second);
    pool_release(&pool);
}

static void try_records(const char *line, size_t n)
{
    struct pool pool = { 0 };
    struct output_row output;
    struct delta_row delta;
    struct token_row token;
    struct supervision_row supervision;
    struct probe_line probe;
    (void)!output_row_parse(line, n, &pool, &output, NULL);
    (void)!delta_row_parse(line, n, &pool, &delta, NULL);
    (void)!token_row_parse(line, n, &pool, &token, NULL);
    (void)!supervision_row_parse(line, n, &pool, &supervision, NULL);
    for (int kind = 0; kind < PROBE_KINDS; kind++)
        (void)!probe_line_parse(line, n, (enum probe_kind)kind, &pool, &probe, NULL);
    pool_release(&pool);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct probe_set set = { 0 };
    const char *text = (const char *)data;
    if (probe_set_parse(text, size, "fuzz.jsonl", &set, NULL) == 0)
        probe_set_release(&set);
    const char *end = size ? memchr(text, '\n', size) : NULL;
    const size_t n = end ? (size_t)(end - text) : size;
    try_row(text, n);
    try_records(text, n);
    return 0;
}
