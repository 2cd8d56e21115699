/* Items as lines of evidence/probes/<suite>.jsonl. */
#include "base/json.h"
#include "probes/set.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int probe_line_write(const struct probe_set *set, size_t i, const uint8_t *salt_key, struct str *out,
                     struct status *st)
{
    char path[64], salt[33] = "00000000000000000000000000000000";
    const struct probe_item *item = &set->items[i];
    (void)snprintf(path, sizeof(path), "evidence/probes/%s.jsonl", set->id);
    if (salt_key)
        salt_of(salt_key, path, i, salt);
    str_printf(out, "{\"i\":%zu,\"id\":", i);
    str_json_string(out, item->id, strlen(item->id));
    str_puts(out, ",\"item\":");
    str_puts(out, item->canonical);
    str_printf(out, ",\"salt\":\"%s\"}", salt);
    return str_check(out, st);
}

int probe_set_root(const struct probe_set *set, const uint8_t *salt_key, struct hash *out, struct status *st)
{
    int rc = 0;
    struct str line = { 0 };
    struct merkle tree = { 0 };
    for (size_t i = 0; i < set->n; i++) {
        str_clear(&line);
        TRY(probe_line_write(set, i, salt_key, &line, st));
        struct hash leaf = merkle_leaf(line.data, line.size);
        merkle_add(&tree, &leaf);
    }
    *out = merkle_root(&tree);
out:
    str_release(&line);
    return rc;
}

bool withheld_parse(const char *line, size_t n, struct hash *leaf)
{
    static const char front[] = "{\"withheld\":\"";
    const size_t before = sizeof(front) - 1;
    return n == before + 64 + 2 && memcmp(line, front, before) == 0 && memcmp(line + n - 2, "\"}", 2) == 0 &&
           hex_read(line + before, 64, leaf->b, 32, NULL) == 0;
}

void withheld_write(const struct hash *leaf, struct str *out)
{
    str_printf(out, "{\"withheld\":\"%s\"}", hash_hex(leaf).s);
}

int salt_read(const struct json *row, char out[33], struct status *st)
{
    int rc = 0;
    uint8_t bytes[16];
    const char *salt = NULL;
    TRY(json_get_text(row, "salt", &salt, st));
    if (strlen(salt) != 32 || hex_read(salt, 32, bytes, 16, NULL) != 0)
        FAIL(st, RC_FORMAT, "salt is not 32 lowercase hex digits");
    memcpy(out, salt, 33);
out:
    return rc;
}

int probe_line_parse(const char *line, size_t n, enum probe_kind kind, struct pool *pool,
                     struct probe_line *out, struct status *st)
{
    static const char *const keys[] = { "i", "id", "item", "salt", NULL };
    int rc = 0;
    int64_t i = 0;
    struct json *json = NULL;
    struct probe_line new = { 0 };
    const char *id = NULL;
    new.withheld = withheld_parse(line, n, &new.leaf);
    if (new.withheld)
        goto done;
    TRY(json_parse(line, n, &json, st));
    if (json_type(json) != JSON_OBJECT)
        FAIL(st, RC_FORMAT, "not an object");
    TRY(json_only(json, keys, st));
    TRY(json_get_int(json, "i", 0, PROBE_ITEMS_MAX - 1, &i, st));
    new.i = (uint64_t)i;
    TRY(json_get_text(json, "id", &id, st));
    TRY(salt_read(json, new.salt, st));
    if (!json_find(json, "item"))
        FAIL(st, RC_FORMAT, "key 'item' is missing");
    TRY(probe_item_parse(json_find(json, "item"), kind, pool, &new.item, st));
    if (strcmp(id, new.item.id) != 0)
        FAIL(st, RC_FORMAT, "id '%.60s', but the item's is '%.60s'", id, new.item.id);
    new.id = new.item.id;
done:
    *out = new;
out:
    json_free(json);
    return rc;
}
