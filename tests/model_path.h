/* Where set-up put the real model: LETHE_MODEL, else the place in this clone. */
#ifndef LETHE_TESTS_MODEL_PATH_H
#define LETHE_TESTS_MODEL_PATH_H

const char *model_path(void);

#endif
