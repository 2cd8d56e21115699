/* The computer that runs, as far as results name it: its processor, never its name. */
#ifndef LETHE_CLI_HOST_H
#define LETHE_CLI_HOST_H

#include <stddef.h>
#include <stdint.h>

void host_cpu(char *out, size_t n); /* "unknown" where the system does not tell */
int64_t host_cores(void);           /* that are on; 0: unknown */
uint64_t host_most_bytes(void);     /* the most that this process held at once; 0: unknown */

#endif
