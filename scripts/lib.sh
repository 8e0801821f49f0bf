# shellcheck shell=bash
# Sourced by the project's scripts: messages and checks they share.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# Exits unless the effective user is root.
need_root() { ((EUID == 0)) || die "must run as root"; }

# Prints those of the named Debian packages that are not installed, one a line.
missing_packages() {
    comm -23 <(printf '%s\n' "$@" | sort -u) \
        <(dpkg-query -W -f '${binary:Package} ${db:Status-Status}\n' |
            sed -n 's/^\([^ :]*\)[^ ]* installed$/\1/p' | sort -u)
}
