# shellcheck shell=bash disable=SC2016,SC2034,SC2094,SC2154,SC2317
# Sourced by tool.sh: what bash completes.

# completes LINE: the replies for the cursor at its end, sorted. Words are cut as readline does.
completes() {
    COMP_LINE=$1
    COMP_POINT=${#1}
    mapfile -t COMP_WORDS < <(python3 - "$1" <<'PYTHON'
import re, sys
line = sys.argv[1]
words = re.findall(r"[:=]+|[^\s:=]+", line)
print("\n".join(words + ([""] if line[-1].isspace() or line[-1] in ":=" else [])))
PYTHON
    )
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _gzc "$gzc" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
}

test_completion() {
    # shellcheck source=/dev/null
    . "$here/../../tools/gzc/completion/gzc"
    complete -p gzc | grep -q '_gzc'
    same "$(completes 'gzc p')" 'ping put '
    same "$(completes 'gzc ' | wc -w)" 22
    same "$(completes 'gzc ls --j')" '--json '
    completes 'gzc cp --' | grep -q -- '--archive .*--jobs .*--verify '
    completes 'gzc find -' | grep -q -- '--maxdepth '
    same "$(completes 'gzc xattr s')" 'set '

    mkdir -p "local files/d"
    touch one two
    same "$(completes 'gzc put o')" 'one '
    same "$(completes 'gzc cp ')" 'gluster+brick+rdma:// gluster+brick:// gluster+rdma:// gluster:// local files one two '

    gzc put one two "$uri"
    gzc put one "$uri/100%25 two"
    gzc mkdir "$uri/dir"
    # What is behind the last colon is what readline replaces.
    rest=${uri##*:}
    same "$(completes "gzc ls $uri/o")" "$rest/one "
    same "$(completes "gzc ls $uri/")" "$rest/100%25%20two $rest/dir/ $rest/one $rest/two "
    same "$(completes "gzc cp one $uri/d")" "$rest/dir/ "
    same "$(completes "gzc cp '$uri/t")" "$rest/two "
    same "$(completes "gzc ls $uri/none")" ' '
    same "$(completes 'gzc ls gluster+brick://127.0.0.1:1/x//')" ' '
}
