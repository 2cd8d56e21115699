#!/bin/sh
# The house rules as a test: who may include whom, which folder owns a library, calls that are banned, and lengths that
# ask for a second look. Prints every breach as file:line: what, and exits 1 when there is one.
cd "${1:-.}" || exit 2

files() { find base gpu selftest model train probes eval reports cli bench tests shaders -name "$1" 2>/dev/null | sort; }

# shellcheck disable=SC2016
{ files '*.c'; files '*.h'; files '*.comp'; files '*.glsl'; } | xargs awk '
function breach(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; found = 1 }
function allow(folder, list,    words, n, i) {
    n = split(list, words, " ")
    edge[folder, folder] = known[folder] = 1
    for (i = 1; i <= n; i++) edge[folder, words[i]] = 1
}
function own(header, list,    words, n, i) {
    n = split(list, words, " ")
    owned[header] = list
    for (i = 1; i <= n; i++) home[header, words[i]] = 1
}
BEGIN {
    allow("base", ""); allow("gpu", "base"); allow("model", "base gpu"); allow("train", "base gpu model")
    allow("selftest", "base gpu model"); allow("probes", "base"); allow("eval", "base probes"); allow("reports", "base eval probes")
    free["cli"] = free["tests"] = free["bench"] = free["shaders"] = 1
    own("volk.h", "gpu"); own("vulkan/", "gpu tests"); own("cJSON.h", "base"); own("cjson/", "base")
    own("openssl/", "base reports tests"); own("archive.h", "reports tests"); own("archive_entry.h", "reports tests")
    own("zstd.h", "reports tests"); own("pcre2.h", "model"); own("utf8proc.h", "base"); own("check.h", "tests")
}
FNR == 1 {
    split(FILENAME, part, "/")
    here = part[1]
    opened = 0
    most = FILENAME ~ /\.h$/ ? 200 : here == "shaders" ? 300 : here == "tests" ? 1200 : 800
}
FNR == most + 1 { breach("longer than " most " lines") }
length($0) > 110 { breach("a line over 110 columns") }
here != "shaders" && /^#include "/ {
    to = $0; sub(/^#include "/, "", to)
    if (to ~ /^\.\./) breach("includes go from the root")
    sub(/[\/"].*/, "", to)
    if (!(here in free) && (to in known || to in free) && !((here, to) in edge)) breach(here " may not include " to)
}
/^#include </ {
    header = $0; sub(/^#include </, "", header); sub(/>.*/, "", header)
    group = header; sub(/\/.*/, "/", group)
    for (name in owned)
        if ((name == header || name == group) && !((name, here) in home)) breach("<" header "> belongs to " owned[name])
}
{
    code = $0; gsub(/"([^"\\]|\\.)*"/, "", code); sub(/\/\/.*/, "", code)
    if (code !~ /^ *\/?\*/ && match(code, /(^|[^A-Za-z0-9_])(strcpy|strcat|strncpy|sprintf|strtok|atoi|gmtime|localtime|gets)\(/))
        breach("a banned call")
}
here != "shaders" && /^[A-Za-z].*\)$/ { opened = FNR }
here != "shaders" && /^}/ { if (opened && FNR - opened > 70) breach("a function over 70 lines"); opened = 0 }
END { exit found }
' || failed=1

if command -v clang-format >/dev/null 2>&1 && clang-format --version | grep -q 'version 14\.'; then
    { files '*.c'; files '*.h'; } | xargs clang-format --dry-run -Werror || failed=1
else
    echo "clang-format 14 is not here: layout not checked"
fi
[ -z "${failed:-}" ] && echo "tidy: $( { files '*.c'; files '*.h'; files '*.comp'; files '*.glsl'; } | wc -l) files"
exit "${failed:-0}"
