# shellcheck shell=bash
# Sourced by with-brick and with-cluster: the lab's directory, its end, and what both can do.
#
# Nothing of a lab outlives it, however it ends. Three things see to that, no trap among them:
#  - every server is started with PR_SET_PDEATHSIG, so that the kernel kills it with the script;
#  - a cluster's processes live in a PID namespace, which dies with its first process;
#  - the janitor, a process in a session of its own, holds the reading end of a pipe whose writing
#    end only the script has. At end of file the script is gone; the janitor removes the directory.

. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

# Makes LAB_DIR and starts the janitor. The directory is on disk, not on tmpfs: bricks need user.*
# extended attributes, which tmpfs has since Linux 6.6 only.
lab_open() {
    need_root
    [[ $(type -P glusterfsd) ]] || die "glusterfsd is missing: run scripts/install-packages test"
    LAB_DIR=$(mktemp -d "${TMPDIR:-/var/tmp}/gzc-lab.XXXXXX") || exit 1
    chmod 755 "$LAB_DIR"
    mkfifo "$LAB_DIR/alive"
    # --fork: the janitor is nobody's child, lest it die with the script's whole process tree. The
    # servers get their SIGKILL about when the pipe closes, so removing may take several attempts.
    exec {lab_gone}< <(exec setsid --fork bash -c '
        trap "" INT TERM HUP
        cat >/dev/null
        for ((i = 0; i < 200; i++)); do rm -rf -- "$1" 2>/dev/null && exit; sleep 0.05; done' \
        janitor "$LAB_DIR" <"$LAB_DIR/alive" 2>/dev/null)
    exec {lab_alive}>"$LAB_DIR/alive"
    export LAB_DIR
    # Ctrl-C ends the command, or lab_work's read; the script goes on, to return when all is gone.
    trap : INT
}

# Ends the lab and returns when nothing is left of it. Servers have been stopped before.
lab_close() {
    exec {lab_alive}>&-
    cat <&"$lab_gone"
    exec {lab_gone}<&-
}

# Turns the subshell it is called in into a command that gets a signal when the script ends, and
# that does not keep the lab alive.
lab_become() {
    local signal=$1
    shift
    [[ ! ${lab_alive-} ]] || exec {lab_alive}>&- {lab_gone}<&-
    exec setpriv --pdeathsig "$signal" "$@"
}

# Does the work the lab was made for, and returns its status: runs the command, or without one
# obeys the process that started the script (lab.c): each line on the standard input is evaluated,
# and answered with the LAB_ variables and a line "status=N". End of file ends it.
lab_work() {
    local line status
    if (($#)); then
        (lab_become TERM "$@")
        return
    fi
    lab_answer 0
    while IFS= read -r line; do
        status=0
        eval "$line" >"$LAB_DIR/output" 2>&1 </dev/null || status=$?
        lab_answer "$status"
    done
}

lab_answer() {
    local name
    for name in ${!LAB_*}; do
        printf '%s=%s\n' "$name" "${!name}"
    done
    printf 'status=%d\n' "$1"
}

# Writes a number as four bytes, the way printf's format wants them.
be32() {
    printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) \
        $(($1 >> 8 & 255)) $(($1 & 255))
}

# brick_answers HOST PORT PATH: is a brick of that path up there? Asks with a SETVOLUME that names
# the brick and nothing else. The server looks the brick up, puts child_up into its answer and then
# refuses for want of a process-uuid: no client is registered (server-handshake.c:server_setvolume).
# A subshell, as the brick may die meanwhile and SIGPIPE is the answer then.
brick_answers() (
    local host=$1 port=$2 path=$3 pairs length call answer fd
    pairs="$(be32 1)$(be32 16)$(be32 $((${#path} + 1)))remote-subvolume\\x00$path\\x00"
    length=$((4 + 4 + 4 + 16 + 1 + ${#path} + 1))
    # xid, CALL, RPC version 2, program, version, procedure; AUTH_NONE twice; opaque<>
    call=$(for word in 1 0 2 14398633 2 1 0 0 0 0 "$length"; do be32 "$word"; done)$pairs
    while ((length % 4)); do
        call+='\x00'
        length=$((length + 1))
    done
    exec 2>/dev/null {fd}<>"/dev/tcp/$host/$port" || return
    # shellcheck disable=SC2059
    printf "$(be32 $((0x80000000 + 44 + length)))$call" >&"$fd"
    answer=$(timeout 2 dd bs=64k count=1 status=none <&"$fd" | od -An -v -tx1 | tr -d ' \n')
    # "child_up" NUL "1" NUL
    [[ $answer == *6368696c645f7570003100* ]]
)
