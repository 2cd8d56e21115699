/* The command line of lethe-verify and of `lethe verify`: options, and what is printed. Prints nothing
 * itself. */
#ifndef LETHE_REPORTS_VERIFY_CLI_H
#define LETHE_REPORTS_VERIFY_CLI_H

#include "base/str.h"

/* argv[0] is the program's name in help and messages ("lethe-verify", "lethe verify"). What belongs on
 * stdout and stderr is appended to out and err. Returns the exit code. */
int verify_cli(int argc, char **argv, struct str *out, struct str *err);

#endif
