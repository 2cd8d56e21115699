/* lethe verify: the same check as the program lethe-verify. */
#include "cli/cli.h"
#include "reports/verify_cli.h"

#include <stdio.h>

int cmd_verify(int argc, char **argv, struct status *st)
{
    char name[] = "lethe verify";
    struct str out = { 0 }, err = { 0 };
    argv[0] = name;
    int code = verify_cli(argc, argv, &out, &err);
    fwrite(str_text(&err), 1, err.size, stderr);
    int rc = cli_print(&out, st);
    str_release(&out);
    str_release(&err);
    return rc ? rc : code;
}
