# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: ls and stat.

test_ls_sorts_and_hides() {
    touch b .hidden a C
    right gzc put b .hidden a C "$uri"
    gzc mkdir "$uri/d"
    right gzc ls "$uri"
    same "$(<out)" $'C\na\nb\nd'
    right gzc ls -a "$uri"
    same "$(<out)" $'.\n..\n.hidden\nC\na\nb\nd'
    right gzc ls "$uri/d"
    same "$(<out)" ''
}

test_ls_of_files_and_of_several() {
    touch f
    gzc put f "$uri/f"
    gzc mkdir "$uri/d"
    gzc put f "$uri/d/in"
    right gzc ls "$uri/f"
    same "$(<out)" "$uri/f"
    right gzc ls "$uri/f" "$uri/d"
    same "$(<out)" "$uri/f"$'\n\n'"$uri/d:"$'\nin'
    wrong "ls $uri/no: No such file or directory (*'/$name/no'*)" gzc ls "$uri/no" "$uri/d"
    grep -qx in out
}

test_ls_long() {
    umask 022
    head -c 12345 /dev/zero >file
    gzc put file "$uri/file"
    gzc mkdir "$uri/dir"
    ln "$brick/file" "$brick/link"
    chown 12345:54321 "$brick/file"
    chmod 4751 "$brick/file"
    chmod 1777 "$brick/dir"
    touch -d '2001-02-03 04:05:06' "$brick/file"
    right gzc ls -l "$uri"
    grep -Eqx 'drwxrwxrwt +2 root +root +[0-9]+ [0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} dir' out
    # The server's own name for it does not count.
    grep -Eqx -- '-rwsr-x--x +2 12345 +54321 +12345 2001-02-03 04:05 file' out
    right gzc ls -l "$uri/file"
    grep -Fqx -- "-rwsr-x--x 2 12345 54321 12345 2001-02-03 04:05 $uri/file" out
}

test_ls_of_a_large_directory() {
    mkdir files
    (cd files && seq -f 'file-%04.0f' 1500 | xargs touch)
    right gzc put files/* "$uri/"
    right gzc ls "$uri"
    ls files >wanted
    cmp out wanted
}

test_ls_json() {
    echo hello >file
    gzc put file "$uri/file"
    gzc mkdir "$uri/d"
    right gzc ls --json "$uri" "$uri/file"
    json 'len(d) == 2 and [e["name"] for e in d[0]["entries"]] == ["d", "file"]'
    json 'd[0]["type"] == "directory" and d[0]["entries"][0]["type"] == "directory"'
    json "d[0]['uri'] == '$uri' and d[0]['path'] == '/$name' and d[0]['entries'][1]['size'] == 6"
    json "d[1]['uri'] == '$uri/file' and d[1]['type'] == 'file' and 'entries' not in d[1]"
    json 'd[0]["entries"][1]["ino"] == d[1]["ino"] and int(d[1]["ino"]) > 0'
    json 'd[0]["entries"][1]["mtime"] == d[1]["mtime"]'
    wrong '*No such file*' gzc ls --json "$uri/no" "$uri/file"
    json "[e['uri'] for e in d] == ['$uri/file']"
    # The root of the brick has no '//' in its URI; those of its entries need one.
    right gzc ls --json "$LAB_BRICK_URI?nconnect=2"
    json "'$uri?nconnect=2' in [e['uri'] for e in d[0]['entries']]"
}

test_ls_on_a_terminal() {
    touch a b $'new\nline' $'escape\033[31m' $'bad\377' 'back\slash'
    gzc put a b $'new\nline' $'escape\033[31m' $'bad\377' 'back\slash' "$uri"
    terminal "$gzc" ls "$uri"
    # Six names of at most 14 columns: four go into 80, the rows fill downwards.
    same "$(tr -d '\r' <screen)" \
        'a               back\\slash     escape\033[31m
b               bad\377         new\nline'
    terminal "$gzc" ls -l "$uri"
    grep -q ' escape\\033\[31m' screen
    terminal "$gzc" ls --json "$uri"
    same "$(tr -d '\r\n' <screen | tr -d '[:print:]')" ''
    # Elsewhere names are as they are.
    right gzc ls "$uri"
    printf '%s\n' a 'back\slash' b $'bad\377' $'escape\033[31m' $'new\nline' | LC_ALL=C sort >wanted
    LC_ALL=C sort out | cmp - wanted
}

test_stat() {
    head -c 5000 /dev/zero >file
    gzc put file "$uri/file"
    chmod 0640 "$brick/file"
    right gzc stat "$uri/file"
    grep -q "File: $uri/file\$" out
    grep -q 'Size: 5000 bytes' out
    grep -q 'Mode: 0640 -rw-r-----$' out
    right gzc stat --json "$uri/file" "$uri"
    json "os.stat('$brick/file').st_mtime_ns % 10**9 == int(d[0]['mtime'][20:29])"
    json "[e['type'] for e in d] == ['file', 'directory'] and d[0]['mode'] == '0640'"
    json 'd[0]["size"] == 5000 and d[0]["uid"] == 0 and d[0]["nlink"] == 1'
    json 'all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", d[0][t])
              for t in ("atime", "mtime", "ctime"))'
    wrong 'stat *: No such file or directory (*' gzc stat "$uri/no"
    wrong 'stat *: Not a directory (*' gzc stat "$uri/file/no"
}

test_symbolic_links() {
    echo text >file
    gzc put file "$uri/file"
    ln -s file "$brick/link"
    ln -s nothing "$brick/dangling"
    adopt 1 "$brick/link"
    adopt 2 "$brick/dangling"
    right gzc stat --json "$uri/link"
    json 'd[0]["type"] == "symlink"'
    right gzc stat -L --json "$uri/link"
    json 'd[0]["type"] == "file"'
    wrong '*' gzc stat -L "$uri/dangling"
    right gzc cat "$uri/link"
    same "$(<out)" text
    right gzc ls "$uri/dangling"
    right gzc ls -l "$uri/link"
    grep -q '^lrwxrwxrwx ' out
    right gzc rm "$uri/link"
    right gzc cat "$uri/file"
}
