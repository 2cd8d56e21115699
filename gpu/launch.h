/* Drivers that want a newer C library than the system's.
 *
 * The library of such a driver cannot be opened by a program that runs under the system's C library, so the
 * program starts again under the one that came with the driver. Beside the driver's file (ICD) a file
 * `loader` then says how:
 *
 *   line 1   absolute path of its ld.so
 *   line 2   its library path, as ld.so's --library-path; libc.so.6 is in its first folder
 *
 * A sanitizer and the validation layers belong to the system's C library: builds with either, and runs with
 * LETHE_VALIDATION=1, start nothing again.
 */
#ifndef LETHE_GPU_LAUNCH_H
#define LETHE_GPU_LAUNCH_H

#include "base/str.h"

#include <stdbool.h>

/* Path of the running program, also where ld.so was started with it. RC_IO: the system does not tell. */
MUST_USE int launch_program(struct str *out, struct status *st);
/* A path that its bytes can be read from. Without ld.so that works even when the program was replaced. */
MUST_USE int launch_image(struct str *out, struct status *st);

/* Whether a driver can be opened by this process: it wants no other C library, or has the one it wants. */
bool launch_serves(const char *driver_file);

/* Starts this program again, same process and arguments, when the driver that a device would be opened with
 * wants that: the only file in VK_DRIVER_FILES (or VK_ICD_FILENAMES); where these are not set and the
 * system's own drivers offer no device but CPUs, `driver_file` (may be NULL). Call it first in main.
 *
 * Returns 0 when there is nothing to do. A failure says that the driver wants another C library and cannot
 * have it; nothing has changed then. */
MUST_USE int launch_driver(char **argv, const char *driver_file, struct status *st);

#endif
