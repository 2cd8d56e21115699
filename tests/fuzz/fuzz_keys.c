/* Key files, time stamps and certificates. A public key that is read can be written in each form, and read
 * back as the same. */
#include "reports/keys.h"
#include "reports/stamp.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct key_public *k)
{
    for (enum key_form form = KEY_FORM_PEM; form <= KEY_FORM_OPENSSH; form++) {
        struct str text = { 0 };
        struct key_public *back = NULL;
        if (form == KEY_FORM_MINISIGN && key_public_kind(k) != KEY_ED25519)
            continue;
        assert(key_write_public(k, form, "c", &text, NULL) == 0);
        assert(key_parse_public((struct bytes){ text.data, text.size }, &back, NULL) == 0);
        assert(key_public_equal(k, back));
        key_public_free(back);
        str_release(&text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bytes file = { data, size };
    struct key_public *public = NULL;
    struct key_secret *secret = NULL;
    struct stamp_roots *roots = NULL;
    struct stamp stamp;
    if (key_parse_public(file, &public, NULL) == 0)
        round_trip(public);
    if (key_parse_secret(file, NULL, &secret, NULL) == 0)
        round_trip(key_secret_public(secret));
    if (stamp_parse(file, &stamp, NULL) == 0)
        assert(stamp.accuracy_us >= 0 && stamp.text.s[0]);
    if (stamp_roots_parse(file, &roots, NULL) == 0) {
        assert(stamp_verify(file, file, roots, &stamp, NULL) != 0);
        stamp_roots_free(roots);
    }
    key_public_free(public);
    key_secret_free(secret);
    return 0;
}
