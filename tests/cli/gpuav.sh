#!/bin/bash
# A read outside a buffer is found by GPU-assisted validation, and a clean run has no message at all.
# tier: full
set -u
build=$1
test_gpu=$build/test_gpu
[ -x "$test_gpu" ] || { echo "no $test_gpu"; exit 1; }
found=
for folder in ${VK_LAYER_PATH:-} /usr/share/vulkan/explicit_layer.d /usr/local/share/vulkan/explicit_layer.d \
    /etc/vulkan/explicit_layer.d; do
    [ -f "$folder/VkLayer_khronos_validation.json" ] && found=yes
done
[ -n "$found" ] || { echo "skipped: VK_LAYER_KHRONOS_validation is not installed"; exit 77; }

# The layer belongs to the system's C library, so the driver must, too: the last that set-up names.
drivers=$(dirname "$0")/../../.deps/driver
if [ -s "$drivers" ] && { [ -z "${VK_DRIVER_FILES:-}" ] || grep -qxF "$VK_DRIVER_FILES" "$drivers"; }; then
    VK_DRIVER_FILES=$(tail -1 "$drivers")
    export VK_DRIVER_FILES
fi

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
echo 'khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_GPU_ASSISTED_EXT' > "$work/vk_layer_settings.txt"
export LETHE_VALIDATION=1 VK_LAYER_SETTINGS_PATH=$work MESA_SHADER_CACHE_DISABLE=1

clean=$(LETHE_PLANT=0 "$test_gpu" 2>&1)
echo "$clean"
case $clean in
*"planted 0: ran, 0 messages: ") ;;
*"no Vulkan device"*) echo "skipped: no device"; exit 77 ;;
*) echo "the clean run is not clean"; exit 1 ;;
esac

fault=$(LETHE_PLANT=1 "$test_gpu" 2>&1)
echo "$fault"
case $fault in
*"planted 1: ran, 0 messages"*) echo "the planted read was not found"; exit 1 ;;
*"address out of bounds"*) ;;
*) echo "no message names the planted read"; exit 1 ;;
esac
