# cmake -DSOURCE=. -DTO=commit.h -P commit.cmake: the commit that is built, "unknown" outside a clone. Written only
# when it changes, so that nothing is compiled again for nothing.
execute_process(COMMAND git -C ${SOURCE} rev-parse HEAD OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
  ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${TO} CONTENT "#define LETHE_COMMIT \"@commit@\"\n" @ONLY)
