/* Who signed: the envelope, approvals, the plan's signature, and whether these are whom the verifier asked
 * for. */
#include "reports/verify_private.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct trust *trusted(const struct verification *v)
{
    return v->has_trust ? &v->trust : NULL;
}

/* Records what a signature is worth. `what` names the envelope's member. */
static int signature_record(struct verification *v, const char *what, const struct dsse_signature *s,
                            const struct dsse_judged *j, struct status *st)
{
    if (j->state == DSSE_FALSE)
        return verify_false(v, st, "%s: the signature under keyid %.16s is not by the key '%s'", what,
                            s->keyid, j->key ? j->key->name : "?");
    if (j->state == DSSE_UNKNOWN)
        return text_list_add(&v->notes, st,
                             "%s: signature under keyid %.16s not checked, the key is not trusted", what,
                             s->keyid);
    return 0;
}

static int approval_take(struct verification *v, const struct seen_member *m, struct status *st)
{
    int rc = 0;
    struct seen_approval *a = &v->approvals[v->approvals_n];
    struct hash statement = verify_member(v, "statement.json")->digest.sha256;
    if (v->approvals_n == VERIFY_APPROVALS_MAX)
        FAIL(st, RC_LIMIT, "over %d approvals", VERIFY_APPROVALS_MAX);
    TRY(dsse_parse(verify_doc(v, m->name), DSSE_TYPE_APPROVAL, &a->envelope, st));
    v->approvals_n++; /* from here the release frees it */
    if (a->envelope.n != 1)
        FAIL(st, RC_FORMAT, "%zu signatures, an approval has one", a->envelope.n);
    TRY(approval_parse(str_text(&a->envelope.payload), a->envelope.payload.size, &a->approval, st));
    if (strncmp(a->envelope.signatures[0].keyid, m->id.suite, 16) != 0)
        TRY(verify_false(v, st, "%s: signed under keyid %.16s", m->name, a->envelope.signatures[0].keyid));
    if (!hash_equal(&a->approval.statement, &statement))
        TRY(verify_false(v, st, "%s: approves another statement (%.16s…, this is %.16s…)", m->name,
                         hash_hex(&a->approval.statement).s, hash_hex(&statement).s));
    TRY(dsse_judge(&a->envelope, trusted(v), &a->judged, st));
    TRY(signature_record(v, m->name, &a->envelope.signatures[0], &a->judged, st));
    if (a->judged.state == DSSE_GOOD && strcmp(trust_role_name(a->judged.key->role), a->approval.role) != 0)
        TRY(text_list_add(&v->notes, st, "%s: approved as %s, the trust file gives '%s' the role %s", m->name,
                          a->approval.role, a->judged.key->name, trust_role_name(a->judged.key->role)));
out:
    if (rc != 0)
        status_prefix(st, "%s", m->name);
    return rc;
}

int verify_envelope(struct verification *v, struct status *st)
{
    int rc = 0;
    struct bytes statement = verify_doc(v, "statement.json");
    if (v->dsse.payload.size != statement.size ||
        memcmp(str_text(&v->dsse.payload), statement.data, statement.size) != 0)
        TRY(verify_false(v, st, "dsse.json: the payload is not statement.json"));
    TRY(dsse_judge(&v->dsse, trusted(v), v->judged, st));
    for (size_t i = 0; i < v->dsse.n; i++) {
        TRY(signature_record(v, "dsse.json", &v->dsse.signatures[i], &v->judged[i], st));
        if (v->judged[i].state == DSSE_GOOD)
            v->signed_by[v->judged[i].key - v->trust.keys] = true;
    }
    for (size_t i = 0; i < v->members_n; i++)
        if (v->members[i].known && v->members[i].id.member == MEMBER_APPROVAL)
            TRY(approval_take(v, &v->members[i], st));
out:
    return rc;
}

bool verify_by_author(const struct dsse *e, const struct dsse_judged *judged)
{
    for (size_t i = 0; i < e->n; i++)
        if (judged[i].state == DSSE_GOOD && judged[i].key->role == TRUST_AUTHOR)
            return true;
    return false;
}

/* ---- whom the verifier asked for ---- */

static int approvers_check(const struct verification *v, struct status *st)
{
    for (size_t i = 0; i < v->plan.approvers_n; i++) {
        const struct plan_approver *a = &v->plan.approvers[i];
        const struct trust_key *key = trust_find(&v->trust, &a->id);
        if (!key || strcmp(trust_role_name(key->role), a->role) != 0)
            return status_fail(st, RC_VERIFY, "planned approver %.16s (%s) is not trusted in this role",
                               a->keyid, a->role);
        if (!v->signed_by[key - v->trust.keys])
            return status_fail(st, RC_VERIFY, "planned approver '%s' (%s) has not signed", key->name,
                               a->role);
    }
    return 0;
}

static int plan_requirement(const struct verification *v, struct status *st)
{
    if (v->trust.plan != TRUST_PLAN_ANY && !v->plan_signed)
        return status_fail(st, RC_VERIFY, "the plan is not signed by a trusted author");
    if (v->trust.plan == TRUST_PLAN_STAMPED && !v->plan_stamped)
        return status_fail(st, RC_VERIFY, "the plan has no checked time stamp from before the run%s",
                           v->has_stamp_check ? "" : " (no --tsa)");
    return 0;
}

static int planned(const struct verification *v, const struct hash *id)
{
    for (size_t i = 0; i < v->plan.approvers_n; i++)
        if (hash_equal(&v->plan.approvers[i].id, id))
            return true;
    return v->plan.approvers_n == 0;
}

int verify_trusted(struct verification *v, struct status *st)
{
    int rc = 0;
    struct status why = { 0 };
    if (!v->has_trust) {
        v->trust_reason =
            v->dsse.n > 0 ? "the signers are unknown (no --trust or --key given)" : "nobody has signed";
        goto out;
    }
    if ((rc = trust_check(&v->trust, v->signed_by, &why)) != 0 || (rc = approvers_check(v, &why)) != 0 ||
        (rc = plan_requirement(v, &why)) != 0) {
        if (rc != RC_VERIFY)
            FAIL(st, rc, "%s", why.msg);
        rc = 0;
        snprintf(v->trust_text, sizeof v->trust_text, "%s", why.msg);
        v->trust_reason = v->trust_text;
    }
    for (size_t i = 0; i < v->trust.n; i++)
        if (v->signed_by[i] && !planned(v, &v->trust.keys[i].id))
            TRY(text_list_add(&v->notes, st, "signed by '%s', who is not among the planned approvers",
                              v->trust.keys[i].name));
out:
    return rc;
}
