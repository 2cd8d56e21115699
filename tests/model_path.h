/* Where set-up put the real model: LETHE_MODEL, else the place in this clone. A test that needs it fails
 * without. */
#ifndef LETHE_TESTS_MODEL_PATH_H
#define LETHE_TESTS_MODEL_PATH_H

#define model_path() model_path_from(TESTS_DIR)
const char *model_path_from(const char *tests); /* lends; the folder of the tests */

#endif
