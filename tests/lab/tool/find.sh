# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: wildcards, find, tree, du and df, beside the tools of those names.

test_wildcards() {
    mkdir -p t/{a,b,.c}
    touch t/{a,b,.c}/{x1,x2,y1,.z} t/'a*' t/'[b]'
    gzc cp -r t "$uri"
    listed() {
        right gzc ls "$uri/$1"
        sed "s#^$uri/##" out | tr '\n' ' '
    }
    same "$(listed 't/a/x*')" 't/a/x1 t/a/x2 '
    same "$(listed 't/*/x1')" 't/a/x1 t/b/x1 '
    same "$(listed 't/[!b]/?1')" 't/a/x1 t/a/y1 '
    same "$(listed 't/.c/[x-y]1')" 't/.c/x1 t/.c/y1 '
    same "$(listed '?/b/y1')" 't/b/y1 '
    same "$(listed 't/a/.*')" 't/a/.z '
    same "$(listed 't/.[c]/.z')" 't/.c/.z '
    # An asterisk that is encoded is just that; and so is one that is there.
    same "$(listed 't/a%2A')" 't/a%2A '
    same "$(listed 't/a*')" 't/a* '
    touch t/ab
    gzc cp t/ab "$uri/t"
    same "$(listed 't/?%2A')" 't/a%2A '
    same "$(listed 't/[b]')" 't/[b] '
    same "$(listed 't/%5Bb]')" 't/%5Bb] '
    # Options stay what they are, and with the URI.
    right gzc ls "$uri/t/a/?1?nconnect=2"
    same "$(<out)" "$uri/t/a/x1?nconnect=2"$'\n'"$uri/t/a/y1?nconnect=2"
    wrong "ls $uri/t/q*: No such file or directory (*" gzc ls "$uri/t/q*"
    wrong "rm $uri/t/*/q: No such file or directory (*" gzc rm "$uri/t/*/q"
    right gzc ls "$uri/t/[ab]"
    same "$(<out)" "$uri/t/[ab]:"$'\n'"$(printf 'x1\nx2\ny1')" || same "$(head -1 out)" "$uri/t/a:"
    right gzc rm "$uri/t/*/x*"
    same "$(cd "$brick/t" && find . -name 'x*' | sort)" $'./.c/x1\n./.c/x2'
    gzc mkdir "$uri/d"
    right gzc mv "$uri/t/*/y1" "$uri/t/.c/y1" "$uri/d" 2>/dev/null || grep -q 'another source' err
    right gzc stat --json "$uri/t/*/.z"
    json 'len(d) == 2'
}

test_find() {
    make_tree
    head -c 1536 /dev/zero >tree/size-3
    touch -d '10 days ago' tree/old
    gzc cp -a tree "$uri"
    gzc cp -p tree/old "$uri/old"
    find_same() {
        right gzc find "$uri/tree" "$@" -print0
        mv out got
        # Names as find has them: below the URI, decoded.
        python3 - "$uri" >got.names <<'PYTHON'
import sys, urllib.parse
names = [n[len(sys.argv[1]) + 1:] for n in open("got").read().split("\0")[:-1]]
sys.stdout.buffer.write(b"\0".join(sorted(urllib.parse.unquote_to_bytes(n) for n in names)))
PYTHON
        find tree "$@" -print0 | python3 -c 'import sys
sys.stdout.buffer.write(b"\0".join(sorted(sys.stdin.buffer.read().split(b"\0")[:-1])))' >wanted.names
        cmp got.names wanted.names || { echo "find $*" >&2; return 1; }
    }
    find_same
    find_same -name '*e*'
    find_same -iname '*E*'
    find_same -type d
    find_same -type f,l
    find_same -type p
    find_same -size 3
    find_same -size +1k
    find_same -size -2k
    find_same -size +2M
    find_same -size 0
    find_same -mtime +9
    find_same -mtime -9
    find_same -mtime 10
    find_same -mmin +100
    find_same -newer tree/old
    find_same -empty
    find_same -user 12
    find_same -user root
    find_same -not -name '[0-9]*' -type f
    find_same -type d -not -empty
    find_same -maxdepth 0
    find_same -maxdepth 1
    find_same -mindepth 2 -maxdepth 3 -not -name '*0'
    right gzc find "$uri/tree" -newer "$uri/old" -type f -size +2M
    same "$(<out)" "$uri/tree/a/b/large"
    right gzc find "$uri/tree/a" --json -name one
    json "len(d) == 1 and d[0]['uri'] == '$uri/tree/a/one' and d[0]['size'] == 4"
    right gzc find "$uri/tree" -name '[0-9]*' -delete
    [[ -e $brick/tree/a/b/c/nothing && ! -e $brick/tree/a/b/c/17 ]]
    wrong "find $uri/tree/a: Directory not empty (*" gzc find "$uri/tree/a" -maxdepth 0 -delete
    right gzc find "$uri/tree" -delete
    [[ ! -e $brick/tree ]]
    wrong "find $uri/no: No such file or directory (*" gzc find "$uri/no"
}

test_tree() {
    mkdir -p t/a/b t/c
    touch t/a/b/f t/a/.hidden t/z
    ln -s a/b t/link
    gzc cp -r t "$uri"
    right env LC_ALL=C.UTF-8 "$gzc" tree "$uri/t"
    same "$(<out)" "$uri/t
├── a
│   └── b
│       └── f
├── c
├── link -> a/b
└── z

3 directories, 3 files"
    right gzc tree -a -L 2 "$uri/t"
    same "$(<out)" "$uri/t
|-- a
|   |-- .hidden
|   \`-- b
|-- c
|-- link -> a/b
\`-- z

3 directories, 3 files"
    right gzc tree --json "$uri/t"
    json '[e["name"] for e in d[0]["entries"]] == ["a", "c", "link", "z"]'
    json "d[0]['entries'][0]['entries'][0]['entries'][0]['uri'] == '$uri/t/a/b/f'"
    json 'd[0]["entries"][2]["target"] == "a/b" and d[0]["entries"][2]["type"] == "symlink"'
    wrong "tree $uri/no: No such file or directory (*" gzc tree "$uri/no"
}

test_du() {
    make_tree
    gzc cp -a tree "$uri"
    ln "$brick/tree/a/one" "$brick/tree/a/again"
    # What a directory takes is its file system's matter, and the brick's is another.
    du_same() {
        right gzc du "$@" "$uri/tree"
        (cd "$brick/tree" && du "$@" .) | sed 's#\t\.#\t#' | sort -k2 >wanted
        sed "s#\t$uri/tree#\t#" out | python3 -c 'import sys, urllib.parse
for line in sys.stdin: sys.stdout.buffer.write(urllib.parse.unquote_to_bytes(line))' | sort -k2 >got
        diff -a got wanted
    }
    du_same -b
    du_same -b -s
    du_same -b -d 1
    du_same --apparent-size
    right gzc du -s --json "$uri/tree"
    json "d[0]['uri'] == '$uri/tree' and d[0]['files'] == $(find tree -printf x | wc -c)"
    right gzc du -sh "$uri/tree"
    grep -Eq '^[0-9.]+M	' out
    head -c 1000000 /dev/zero >full
    gzc put full "$uri"
    right gzc du "$uri/full"
    same "$(cut -f1 out)" 977
    wrong "du $uri/no: No such file or directory (*" gzc du "$uri/no"
}

test_df() {
    right gzc df "$uri"
    grep -q '^Volume  *1K-blocks  *Used  *Available Use% URI$' out
    same "$(sed -n 2p out | awk '{ print $2 }')" "$(df -k "$brick" | sed -n 2p | awk '{ print $2 }')"
    right gzc df -h "$uri"
    right gzc df -i "$uri"
    same "$(sed -n 2p out | awk '{ print $2 }')" "$(df -i "$brick" | sed -n 2p | awk '{ print $2 }')"
    right gzc df --json "$uri"
    json "d[0]['uri'] == '$uri' and d[0]['size'] == $(($(stat -f -c '%b * %S' "$brick")))"
    json 'd[0]["available"] + d[0]["used"] <= d[0]["size"]'
    wrong "df $uri/no: No such file or directory (*" gzc df "$uri/no"
}
