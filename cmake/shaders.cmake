# Shaders: gpu/ops.def is the list and shaders/ must agree with it. Each file becomes, for every pass that it
# serves, an optimised and validated array of words under spv/.
#
# A file is shaders/<op>.comp or shaders/<op>.<variant>.comp; the latter's line "// passes: fwd bwd0" says what it
# serves.
set(tools_bin ${CMAKE_SOURCE_DIR}/.deps/tools/bin)
find_program(GLSLANG glslang HINTS ${tools_bin} REQUIRED NO_DEFAULT_PATH)
find_program(SPIRV_OPT spirv-opt HINTS ${tools_bin} REQUIRED)
find_program(SPIRV_VAL spirv-val HINTS ${tools_bin} REQUIRED)

set(variants plain lane uniform)
file(WRITE ${CMAKE_BINARY_DIR}/coop_asked.comp
  "#version 460\n#extension GL_KHR_cooperative_matrix : require\nlayout(local_size_x = 1) in;\nvoid main() {}\n")
execute_process(COMMAND ${GLSLANG} -V --target-env vulkan1.3 -o ${CMAKE_BINARY_DIR}/coop_asked.spv
  ${CMAKE_BINARY_DIR}/coop_asked.comp RESULT_VARIABLE coop_refused OUTPUT_QUIET ERROR_QUIET)
if(NOT LETHE_COOP)
  message(STATUS "LETHE_COOP is OFF: shaders/*.coop.comp are left out")
elseif(coop_refused)
  message(FATAL_ERROR "${GLSLANG} has no GL_KHR_cooperative_matrix: run scripts/setup.sh, or configure with -DLETHE_COOP=OFF")
else()
  list(APPEND variants coop)
endif()

set(spv_files "")
set(spv_arrays "")
set(spv_list "")
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/spv)
function(shader op variant pass source)
  set(number 0)
  if(pass MATCHES "^bwd([0-9])$")
    math(EXPR number "${CMAKE_MATCH_1} + 1")
  endif()
  set(to ${CMAKE_BINARY_DIR}/spv/${op}_${variant}_${pass})
  add_custom_command(OUTPUT ${to}.inc
    COMMAND ${GLSLANG} -V --quiet --target-env vulkan1.3 -DPASS=${number} --depfile ${to}.d -o ${to}.raw ${source}
    COMMAND ${SPIRV_OPT} ${UNROLL} -O --target-env=vulkan1.3 ${to}.raw -o ${to}.spv
    COMMAND ${SPIRV_VAL} --target-env vulkan1.3 --scalar-block-layout ${to}.spv
    COMMAND ${CMAKE_COMMAND} -DFROM=${to}.spv -DTO=${to}.inc -P ${CMAKE_SOURCE_DIR}/cmake/words.cmake
    DEPENDS ${source} ${CMAKE_SOURCE_DIR}/cmake/words.cmake ${lib_glsl} VERBATIM)
  set(spv_files ${spv_files} ${to}.inc PARENT_SCOPE)
  set(spv_arrays "${spv_arrays}static const uint32_t SPV_${op}_${variant}_${pass}[] = {\n#include \"spv/${op}_${variant}_${pass}.inc\"\n};\n" PARENT_SCOPE)
  set(spv_list "${spv_list} \\\n    SPV(${op}, ${variant}, ${pass})" PARENT_SCOPE)
endfunction()

# -O unrolls, too, but then numbers values over thousands of small blocks: for straight lines of thousands of
# products that took 10 GB and a minute. Merged first they take 100 MB and seconds, with the same result.
set(UNROLL --merge-return --inline-entry-points-exhaustive --eliminate-dead-functions --private-to-local
  --eliminate-local-single-block --eliminate-local-single-store --ssa-rewrite --ccp --loop-unroll
  --eliminate-dead-branches --merge-blocks --scalar-replacement=0 --convert-local-access-chains
  --eliminate-local-single-block --ssa-rewrite --ccp --eliminate-dead-code-aggressive --merge-blocks)

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS gpu/ops.def)
file(GLOB lib_glsl CONFIGURE_DEPENDS shaders/lib/*.glsl)
file(GLOB unlisted CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/shaders shaders/*.comp)
set(rows "")
if(EXISTS ${CMAKE_SOURCE_DIR}/gpu/ops.def)
  file(STRINGS gpu/ops.def rows REGEX "^OP\\(")
endif()
foreach(row IN LISTS rows)
  if(NOT row MATCHES "^OP\\(([a-z0-9_]+), *[A-Z]+, *[0-9]+, *c[0-7]* *, *([a-z0-9 ]+)\\)")
    message(FATAL_ERROR "gpu/ops.def: cannot read the line ${row}")
  endif()
  set(op ${CMAKE_MATCH_1})
  string(REPLACE " " ";" passes "${CMAKE_MATCH_2}")
  foreach(variant IN LISTS variants)
    if(variant STREQUAL plain)
      set(source ${CMAKE_SOURCE_DIR}/shaders/${op}.comp)
      set(served ${passes})
      if(NOT EXISTS ${source})
        message(FATAL_ERROR "gpu/ops.def names ${op}, and shaders/${op}.comp is not there")
      endif()
    else()
      set(source ${CMAKE_SOURCE_DIR}/shaders/${op}.${variant}.comp)
      set(served "")
      if(EXISTS ${source})
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
        file(STRINGS ${source} served REGEX "^// passes: ")
        string(REGEX REPLACE "^// passes: +" "" served "${served}")
        string(REPLACE " " ";" served "${served}")
      endif()
    endif()
    foreach(pass IN LISTS served)
      shader(${op} ${variant} ${pass} ${source})
    endforeach()
  endforeach()
  list(REMOVE_ITEM unlisted ${op}.comp ${op}.lane.comp ${op}.uniform.comp ${op}.coop.comp)
endforeach()
if(unlisted)
  message(FATAL_ERROR "no line in gpu/ops.def for shaders/${unlisted}")
endif()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/spv.h CONTENT "@spv_arrays@#define SPV_LIST@spv_list@\n" @ONLY)
