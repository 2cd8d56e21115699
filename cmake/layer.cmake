# The layer that lets Vulkan calls fail (tests/layer/faults.c), for tests only: <build>/layer is its VK_LAYER_PATH.
add_library(VkLayer_lethe_faults MODULE tests/layer/faults.c)
set_target_properties(VkLayer_lethe_faults PROPERTIES C_VISIBILITY_PRESET hidden
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/layer)
target_include_directories(VkLayer_lethe_faults SYSTEM PRIVATE ${VULKAN_INCLUDE})
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/layer/faults.json CONTENT [[{"file_format_version": "1.1.2", "layer": {
  "name": "VK_LAYER_LETHE_faults", "type": "GLOBAL", "library_path": "./libVkLayer_lethe_faults.so",
  "api_version": "1.3.0", "implementation_version": "1", "description": "lets the Nth call fail"}}
]] @ONLY)
