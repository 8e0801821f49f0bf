# shellcheck shell=bash disable=SC2016,SC2094,SC2154,SC2317
# Sourced by tool.sh: arguments, exit status and standard streams.

test_help_and_version() {
    right gzc --version
    grep -Eqx 'gzc [0-9]+\.[0-9]+\.[0-9]+' out
    right gzc --help
    cp out help
    commands=(cat chmod chown cp df du find get info ln ls mkdir mv ping put rm rmdir stat touch tree
        truncate xattr)
    same "$(sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p' help | tr '\n' ' ')" "${commands[*]} "
    for command in "${commands[@]}"; do
        right gzc "$command" --help
        grep -q "^Usage: gzc $command .*\(URI\|TARGET\)" out
    done
}

test_wrong_usage_exits_with_2() {
    while read -r -a arguments; do
        status=0
        gzc "${arguments[@]}" >out 2>err || status=$?
        printf '%s: %d\n' "${arguments[*]}" "$status" >&2
        [[ $status == 2 && -s err && ! -s out ]]
    done <<END

nonsense
--nonsense
ls
ls --nonsense $uri
stat
cat
put
put file
get $uri
get --verify $uri -
get --json $uri -
get $uri $uri -
rm
mkdir
mkdir -m 8 $uri
mkdir -m 10000 $uri
rmdir
cp
cp $uri
cp file other
cp -j 0 $uri file
cp -j x $uri file
mv file other
ln $uri
ln -s $uri $uri/x
touch
touch -d yesterday $uri
touch -d 2001-02-03T04:05:06+xx $uri
touch -d @ $uri
touch -d @1 -r file $uri
truncate $uri
truncate -s 1x $uri
truncate -s 99999999999999999999 $uri
truncate -s 1 -r file $uri
chmod 644
chmod 8 $uri
chmod u+z $uri
chmod u $uri
chmod u+x, $uri
chmod -x
chown 1
chown no-such-user $uri
chown 1:no-such-group $uri
chown 4294967295 $uri
df
du
du -d x $uri
find
find $uri -name
find $uri -type x
find $uri -size 1q
find $uri -size x
find $uri -mtime 1x
find $uri -maxdepth -1
find $uri -not
find $uri -delete -print0
find $uri -user no-such-user
tree
tree -L 0 $uri
xattr
xattr list
xattr get $uri
xattr set user.x $uri
xattr nonsense $uri
xattr set user.x 0x1 $uri
xattr set user.x 0s!!! $uri
xattr get -e octal user.x $uri
info
info $uri $uri
ping
ping -c 0 $uri
ping -c 1x $uri
ping -i -1 $uri
ping -i nan $uri
ping -i 1s $uri
END
}

test_a_volume_that_cannot_be_mounted() {
    local command
    for command in ls stat cat rm mkdir rmdir info ping df du find tree touch; do
        wrong "$command nowhere: Invalid argument (*scheme*)" gzc "$command" nowhere
    done
    echo x >file
    wrong 'put nowhere: *' gzc put file nowhere
    wrong 'get nowhere: *' gzc get nowhere file
    same "$(<file)" x
    wrong 'ls *: Connection refused (*127.0.0.1:/x*)' gzc ls gluster+brick://127.0.0.1:1/x
    wrong 'ls *: No such file or directory (*)' gzc ls "${LAB_BRICK_URI}x"
    wrong "ls *: Invalid argument (*'colour'*)" gzc ls "$LAB_BRICK_URI?colour=red"
    # Bytes of an argument do not make a second line.
    wrong 'ls *\\nx: *' gzc ls $'gluster://a\nx'
}

test_closed_and_full_outputs() {
    gzc mkdir "$uri/d"
    wrong 'ls standard output: *' eval 'gzc ls "$LAB_BRICK_URI" >&-'
    wrong 'ls standard output: No space left on device' eval 'gzc ls "$LAB_BRICK_URI" >/dev/full'
    wrong 'info standard output: No space left on device' \
        eval 'gzc info --json "$LAB_BRICK_URI" >/dev/full'
    gzc rmdir "$uri/d" >&- # has nothing to say
}
