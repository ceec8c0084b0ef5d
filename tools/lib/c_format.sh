# C files are formatted by clang-format 14, as tools/lib/clang-format.yaml says; to be sourced where the top is.
#
# Versions differ in what they do with the same file, so no other one is used: where this one is missing, C is neither
# checked nor changed, and a sentence says so.

c_formatter() { # its name; fails where it is not there
    local name
    for name in clang-format-14 clang-format; do
        [[ "$("$name" --version 2>/dev/null)" == *" version 14."* ]] && echo "$name" && return
    done
    echo "C files are left as they are: clang-format 14 is not here (on Debian: apt-get install clang-format-14)" >&2
    return 1
}

format_c() { # format_c NAME OPTION...: run it on every C file
    find shmstore tests -name "*.[ch]" -print0 | xargs -0 "$1" --style=file:tools/lib/clang-format.yaml "${@:2}"
}
