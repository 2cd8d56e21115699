/* What cmd_info.c says of a model file that other commands say too. */
#ifndef LETHE_CLI_INFO_H
#define LETHE_CLI_INFO_H

#include "base/str.h"
#include "model/gguf.h"

/* Appends "Q4_1 210, F32 61": tensors of each type, in the order of the types' numbers. */
void info_types(const struct gguf *file, struct str *out);

#endif
