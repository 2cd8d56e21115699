/* lethe-verify: checks an archive and recomputes its verdict, alone.
 *
 * It links base, probes, eval and reports only, no Vulkan and no model code, and builds without CMake by
 * one command from the root of the sources:
 *
 *   cc -std=c17 -O2 -D_GNU_SOURCE -ffp-contract=off -I. -o lethe-verify cli/verify_main.c \
 *     base/[a-z]*.c probes/[a-z]*.c eval/[a-z]*.c reports/[a-z]*.c \
 *     -lcjson -lutf8proc -larchive -lzstd -lcrypto -lm
 */
#include "reports/verify_cli.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct str out = { 0 }, err = { 0 };
    int exit = verify_cli(argc, argv, &out, &err);
    if (out.failed || err.failed)
        exit = 2;
    fwrite(str_text(&err), 1, err.size, stderr);
    if (fwrite(str_text(&out), 1, out.size, stdout) != out.size || fflush(stdout) != 0) {
        fputs("lethe-verify: the result could not be written\n", stderr);
        exit = 2;
    }
    str_release(&out);
    str_release(&err);
    return exit;
}
