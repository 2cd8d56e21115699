/* Trust files, envelopes and manifests. What a trust file gives is sound; the two canonical documents are
 * written again as the bytes that they were read from. */
#include "reports/dsse.h"
#include "reports/manifest.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct str *text, struct bytes file)
{
    assert(text->size == file.size && memcmp(str_text(text), file.data, file.size) == 0);
}

static void try_trust(struct bytes file)
{
    struct trust t;
    if (trust_parse(file, &t, NULL) != 0)
        return;
    assert(t.n > 0 && t.n <= TRUST_KEYS_MAX && t.require_n > 0 && t.require_n <= 2);
    for (size_t i = 0; i < t.require_n; i++) {
        assert(t.require[i].threshold > 0 && t.require[i].threshold <= t.require[i].n);
        for (size_t k = 0; k < t.require[i].n; k++)
            assert(t.require[i].keys[k] < t.n);
    }
    trust_release(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes file = { data, size };
    struct str text = { 0 };
    struct dsse e;
    struct manifest m;
    struct dsse_judged judged[DSSE_SIGNATURES_MAX];
    try_trust(file);
    if (dsse_parse(file, NULL, &e, NULL) == 0) {
        assert(dsse_judge(&e, NULL, judged, NULL) == 0);
        for (size_t i = 0; i < e.n; i++)
            assert(judged[i].state == DSSE_UNKNOWN);
        assert(dsse_write(&e, &text, NULL) == 0);
        same(&text, file);
        dsse_release(&e);
    }
    str_clear(&text);
    if (manifest_parse(file, &m, NULL) == 0) {
        assert(manifest_write(&m, &text, NULL) == 0);
        same(&text, file);
        manifest_release(&m);
    }
    str_release(&text);
    return 0;
}
