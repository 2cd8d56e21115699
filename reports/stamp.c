#include "reports/stamp.h"

#include "base/alloc.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/ts.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <stdio.h>
#include <string.h>

#define SECOND INT64_C(1000000)

/* ---- times ---- */

/* Days from 1970-01-01 to a date of the proleptic Gregorian calendar; years start in March, so that the leap
 * day is the last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool digits(const char **text, int n, int64_t *out)
{
    *out = 0;
    for (int i = 0; i < n; i++, ++*text) {
        if (**text < '0' || **text > '9')
            return false;
        *out = *out * 10 + (**text - '0');
    }
    return true;
}

/* "" or ".123": up to six digits count, more are read over. */
static bool fraction(const char **text, int64_t *us)
{
    *us = 0;
    if (**text != '.')
        return true;
    ++*text;
    int64_t unit = SECOND / 10;
    const char *from = *text;
    for (; **text >= '0' && **text <= '9'; ++*text, unit /= 10)
        *us += unit * (**text - '0');
    return *text > from;
}

static bool clock_of(const int64_t part[6], int64_t *us)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = part[0] % 4 == 0 && (part[0] % 100 != 0 || part[0] % 400 == 0);
    if (part[1] < 1 || part[1] > 12 || part[3] > 23 || part[4] > 59 || part[5] > 59)
        return false;
    if (part[2] < 1 || part[2] > days[part[1] - 1] + (leap && part[1] == 2))
        return false;
    *us = (((days_of(part[0], part[1], part[2]) * 24 + part[3]) * 60 + part[4]) * 60 + part[5]) * SECOND;
    return true;
}

int stamp_time_read(const char *text, int64_t *us, struct status *st)
{
    static const char marks[] = "--T::";
    int64_t part[6] = { 0 }, rest = 0;
    const char *at = text;
    bool good = time_is_valid(text);
    for (int i = 0; i < 6 && good; i++) {
        good = digits(&at, i == 0 ? 4 : 2, &part[i]);
        if (good && i < 5)
            good = *at++ == marks[i];
    }
    if (!good || !fraction(&at, &rest) || strcmp(at, "Z") != 0 || !clock_of(part, us))
        return status_fail(st, RC_FORMAT, "'%.40s' is no time", text);
    *us += rest;
    return 0;
}

bool stamp_is_before(const struct stamp *s, int64_t us)
{
    return s->time_us <= us && s->accuracy_us <= us - s->time_us;
}

/* GeneralizedTime of RFC 3161: YYYYMMDDhhmmss[.s…]Z. */
static bool general_time(const ASN1_GENERALIZEDTIME *t, struct stamp *out)
{
    char text[64];
    int64_t part[6] = { 0 }, rest = 0;
    const char *at = text;
    int n = t ? ASN1_STRING_length(t) : 0;
    if (n <= 0 || (size_t)n >= sizeof text)
        return false;
    memcpy(text, ASN1_STRING_get0_data(t), (size_t)n);
    text[n] = 0;
    for (int i = 0; i < 6; i++)
        if (!digits(&at, i == 0 ? 4 : 2, &part[i]))
            return false;
    if (!fraction(&at, &rest) || at[0] != 'Z' || at + 1 != text + n || !clock_of(part, &out->time_us))
        return false;
    out->time_us += rest;
    snprintf(out->text.s, sizeof out->text.s, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)part[0] % 10000,
             (int)part[1] % 100, (int)part[2] % 100, (int)part[3] % 100, (int)part[4] % 100,
             (int)part[5] % 100, (int)(rest / 1000) % 1000);
    return true;
}

static bool small_int(const ASN1_INTEGER *n, int64_t max, int64_t *out)
{
    *out = 0;
    return !n || (ASN1_INTEGER_get_int64(out, n) == 1 && *out >= 0 && *out <= max);
}

static bool accuracy(const TS_ACCURACY *a, struct stamp *out)
{
    int64_t s = 0, ms = 0, us = 0;
    if (a &&
        (!small_int(TS_ACCURACY_get_seconds(a), INT32_MAX, &s) ||
         !small_int(TS_ACCURACY_get_millis(a), 999, &ms) || !small_int(TS_ACCURACY_get_micros(a), 999, &us)))
        return false;
    out->accuracy_us = s * SECOND + ms * 1000 + us;
    return true;
}

/* ---- roots ---- */

struct stamp_roots {
    STACK_OF(X509) * certificates;
};

int stamp_roots_parse(struct bytes pem, struct stamp_roots **out, struct status *st)
{
    int rc = 0;
    struct stamp_roots *r = mem_calloc(1, sizeof *r);
    BIO *bio = pem.size <= STAMP_BYTES_MAX ? BIO_new_mem_buf(pem.data, (int)pem.size) : NULL;
    X509 *one = NULL;
    if (!r)
        FAIL(st, RC_NOMEM, "no memory for certificates");
    if (!bio)
        FAIL(st, RC_LIMIT, "certificates over %d bytes", STAMP_BYTES_MAX);
    r->certificates = sk_X509_new_null();
    if (!r->certificates)
        FAIL(st, RC_NOMEM, "no memory for certificates");
    while ((one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        if (sk_X509_push(r->certificates, one) <= 0) {
            X509_free(one);
            FAIL(st, RC_NOMEM, "no memory for certificates");
        }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        FAIL(st, RC_FORMAT, "a certificate that cannot be read");
    if (sk_X509_num(r->certificates) == 0)
        FAIL(st, RC_FORMAT, "no certificate in PEM");
    *out = r;
    r = NULL;
out:
    ERR_clear_error();
    BIO_free(bio);
    stamp_roots_free(r);
    return rc;
}

int stamp_roots_load(const char *path, struct stamp_roots **out, struct status *st)
{
    int rc = 0;
    struct str file = { 0 };
    TRY(file_read(path, STAMP_BYTES_MAX, &file, st));
    rc = stamp_roots_parse((struct bytes){ str_text(&file), file.size }, out, st);
    if (rc)
        status_prefix(st, "%s", path);
out:
    str_release(&file);
    return rc;
}

void stamp_roots_free(struct stamp_roots *r)
{
    if (r)
        sk_X509_pop_free(r->certificates, X509_free);
    mem_free(r);
}

/* ---- replies ---- */

static int parse(struct bytes reply, TS_RESP **resp, struct stamp *out, struct status *st)
{
    int rc = 0;
    const uint8_t *p = reply.data;
    if (reply.size > STAMP_BYTES_MAX)
        FAIL(st, RC_LIMIT, "a time stamp over %d bytes", STAMP_BYTES_MAX);
    *resp = d2i_TS_RESP(NULL, &p, (long)reply.size);
    if (!*resp || p != (const uint8_t *)reply.data + reply.size)
        FAIL(st, RC_FORMAT, "not a time stamp reply (RFC 3161)");
    int64_t status = ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(TS_RESP_get_status_info(*resp)));
    TS_TST_INFO *info = TS_RESP_get_tst_info(*resp);
    if (!info || (status != TS_STATUS_GRANTED && status != TS_STATUS_GRANTED_WITH_MODS))
        FAIL(st, RC_FORMAT, "a time stamp that was not granted");
    if (!general_time(TS_TST_INFO_get_time(info), out) || !accuracy(TS_TST_INFO_get_accuracy(info), out))
        FAIL(st, RC_FORMAT, "a time stamp whose time cannot be read");
out:
    ERR_clear_error();
    return rc;
}

int stamp_parse(struct bytes reply, struct stamp *out, struct status *st)
{
    int rc = 0;
    TS_RESP *resp = NULL;
    struct stamp s = { 0 };
    TRY(parse(reply, &resp, &s, st));
    *out = s;
out:
    TS_RESP_free(resp);
    return rc;
}

static bool imprint_is(TS_RESP *resp, const struct hash *wanted)
{
    TS_MSG_IMPRINT *imprint = TS_TST_INFO_get_msg_imprint(TS_RESP_get_tst_info(resp));
    const ASN1_OBJECT *algorithm = NULL;
    const ASN1_OCTET_STRING *hash = imprint ? TS_MSG_IMPRINT_get_msg(imprint) : NULL;
    if (!hash || !TS_MSG_IMPRINT_get_algo(imprint))
        return false;
    X509_ALGOR_get0(&algorithm, NULL, NULL, TS_MSG_IMPRINT_get_algo(imprint));
    return OBJ_obj2nid(algorithm) == NID_sha256 && ASN1_STRING_length(hash) == (int)sizeof wanted->b &&
           memcmp(ASN1_STRING_get0_data(hash), wanted->b, sizeof wanted->b) == 0;
}

static X509_STORE *store_at(const struct stamp_roots *roots, int64_t time_us)
{
    X509_STORE *store = X509_STORE_new();
    bool good = store != NULL;
    for (int i = 0; good && i < sk_X509_num(roots->certificates); i++)
        good = X509_STORE_add_cert(store, sk_X509_value(roots->certificates, i)) == 1;
    if (good) {
        X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)(time_us / SECOND));
        return store;
    }
    X509_STORE_free(store);
    return NULL;
}

int stamp_verify(struct bytes reply, struct bytes data, const struct stamp_roots *roots, struct stamp *out,
                 struct status *st)
{
    int rc = 0;
    TS_RESP *resp = NULL;
    TS_VERIFY_CTX *ctx = TS_VERIFY_CTX_new();
    struct stamp s = { 0 };
    struct hash imprint = sha256_of(data.data, data.size);
    if (!ctx)
        FAIL(st, RC_NOMEM, "no memory for a time stamp");
    TRY(parse(reply, &resp, &s, st));
    if (!imprint_is(resp, &imprint))
        FAIL(st, RC_VERIFY, "the time stamp is over other bytes");
    X509_STORE *store = store_at(roots, s.time_us);
    if (!store)
        FAIL(st, RC_NOMEM, "no memory for certificates");
    TS_VERIFY_CTX_set_store(ctx, store); /* owns it now */
    TS_VERIFY_CTX_set_flags(ctx, TS_VFY_SIGNATURE | TS_VFY_VERSION);
    if (TS_RESP_verify_response(ctx, resp) != 1) {
        const char *why = ERR_reason_error_string(ERR_peek_last_error());
        FAIL(st, RC_VERIFY, "the time stamp does not hold: %s", why ? why : "no reason given");
    }
    *out = s;
out:
    ERR_clear_error();
    TS_VERIFY_CTX_free(ctx);
    TS_RESP_free(resp);
    return rc;
}
