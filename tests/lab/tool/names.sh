# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: odd names, rm, mkdir and rmdir.

test_odd_names_go_there_and_back() {
    names=(' ' 'two words' $'new\nline' $'tab\t' '100%' '%41' 'a?b#c' 'back\slash' '"' "'" -dash
        $'\377\376' $'\303\251' $'broken\303' $'\x01\x7f' '*' '&=;:@' "$(printf '%0255d' 0)")
    mkdir files back
    for file in "${names[@]}"; do
        printf %s "$file" >"files/$file"
    done
    right gzc put --json files/* "$uri"
    json "len(d) == ${#names[@]}"
    diff -r files "$brick"
    right gzc ls --json "$uri"
    # name, or name_bytes where that is no UTF-8, is the name; uri leads to the file.
    python3 - >uris <<'PYTHON'
import json, os, sys
entries = json.load(open("out"))[0]["entries"]
names = set(bytes.fromhex(e["name_bytes"]) if "name_bytes" in e else e["name"].encode()
            for e in entries)
assert names == set(os.listdir(b"files")), names
odd = sorted(e["name"] for e in entries if "name_bytes" in e)
assert odd == ["broken\ufffd", "\ufffd\ufffd"], odd
for e in entries:
    print(e["uri"])
PYTHON
    mapfile -t uris <uris
    right gzc get "${uris[@]}" back
    diff -r files back
    right gzc rm "${uris[@]}"
    right gzc ls -a "$uri"
    same "$(<out)" $'.\n..'
}

test_names_in_messages_take_one_line() {
    wrong 'cat *%0Ax: No such file or directory (*\\nx*)' gzc cat "$uri/new%0Ax"
    wrong 'put new\\nline: No such file or directory' gzc put $'new\nline' "$uri"
    wrong 'put bad\\377: No such file or directory' gzc put $'bad\377' "$uri"
}

test_rm() {
    echo x >a
    gzc put a "$uri/a"
    gzc put a "$uri/b"
    gzc mkdir "$uri/d"
    wrong "rm $uri/no: No such file or directory (*" gzc rm "$uri/a" "$uri/no" "$uri/b"
    same "$(grep -o 'No such file' err | wc -l)" 1 # it is said once
    [[ ! -e $brick/a && ! -e $brick/b ]]
    right gzc rm -f "$uri/no"
    wrong "rm $uri/d: Is a directory (*" gzc rm -f "$uri/d"
    wrong "rm $LAB_BRICK_URI: Is a directory (*" gzc rm "$LAB_BRICK_URI"
    [[ -d $brick/d ]]
}

test_mkdir_and_rmdir() {
    umask 027
    right gzc mkdir "$uri/a" "$uri/b"
    same "$(stat -c %a "$brick/a")" 750
    wrong "mkdir $uri/a: File exists (*" gzc mkdir "$uri/a"
    wrong "mkdir $uri/x/y: No such file or directory (*" gzc mkdir "$uri/x/y"
    right gzc mkdir -m 1777 "$uri/c"
    same "$(stat -c %a "$brick/c")" 1777
    right gzc mkdir -p "$uri/p/q//r/"
    right gzc mkdir -p "$uri/p/q/r" "$LAB_BRICK_URI"
    right gzc mkdir -p -m 700 "$uri/m/n"
    same "$(stat -c %a "$brick/m" "$brick/m/n" | tr '\n' ' ')" '750 700 '
    umask 777
    right gzc mkdir -p "$uri/u/v"
    same "$(stat -c %a "$brick/u" "$brick/u/v" | tr '\n' ' ')" '300 0 '
    umask 022
    echo x >f
    gzc put f "$uri/f"
    wrong "mkdir $uri/f: File exists (*" gzc mkdir -p "$uri/f"
    wrong "mkdir $uri/f/g: Not a directory (*" gzc mkdir -p "$uri/f/g"
    wrong "rmdir $uri/p: Directory not empty (*" gzc rmdir "$uri/a" "$uri/p" "$uri/b"
    [[ ! -e $brick/a && ! -e $brick/b ]]
    wrong "rmdir $uri/f: Not a directory (*" gzc rmdir "$uri/f"
    wrong "rmdir $uri/no: No such file or directory (*" gzc rmdir "$uri/no"
    wrong "rmdir $LAB_BRICK_URI: Device or resource busy (*" gzc rmdir "$LAB_BRICK_URI"
}
