/* Documents of an archive from anywhere: plans, audit files, run documents, events, statements, approvals. A
 * plan that parses holds what its readers rely on. */
#include "reports/documents.h"
#include "reports/plan.h"
#include "reports/statement.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_plan(const char *text, size_t size)
{
    struct plan p;
    if (plan_parse(text, size, &p, NULL) == 0) {
        assert(p.suites_n > 0 && p.title && p.author_name && p.statistics.replicates > 0);
        for (size_t i = 0; i < p.groups_n; i++)
            for (size_t k = 0; k < p.groups[i].n; k++)
                assert(p.groups[i].member_suites[k] < p.suites_n);
        assert(p.imported || p.method);
        plan_release(&p);
    }
    if (audit_file_parse(text, size, &p, NULL) == 0) {
        for (size_t i = 0; i < p.suites_n; i++)
            assert(p.suites[i].path);
        plan_release(&p);
    }
}

static void try_documents(const char *text, size_t size)
{
    struct doc_config config;
    struct doc_environment environment;
    struct doc_data files;
    struct doc_models models;
    struct doc_events events;
    struct statement statement;
    struct approval approval;
    if (doc_config_parse(text, size, &config, NULL) == 0)
        doc_config_release(&config);
    if (doc_environment_parse(text, size, &environment, NULL) == 0)
        doc_environment_release(&environment);
    if (doc_data_parse(text, size, &files, NULL) == 0)
        doc_data_release(&files);
    if (doc_models_parse(text, size, &models, NULL) == 0)
        doc_models_release(&models);
    if (doc_events_parse(text, size, &events, NULL) == 0) {
        assert(events.n >= 2); /* start and end */
        doc_events_release(&events);
    }
    if (statement_parse(text, size, &statement, NULL) == 0)
        statement_release(&statement);
    if (approval_parse(text, size, &approval, NULL) == 0)
        approval_release(&approval);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    try_plan(text, size);
    try_documents(text, size);
    return 0;
}
