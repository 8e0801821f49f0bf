#include "owner.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

/* A number of 32 bits, but for the one that means none. */
static bool parse_id(const char *text, unsigned *id)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    *id = (unsigned)value;
    return isdigit((unsigned char)*text) && !*end && !errno && value < (unsigned)-1;
}

bool owner_user(const char *text, uid_t *uid)
{
    const struct passwd *user = getpwnam(text);
    if (user)
        *uid = user->pw_uid;
    return user || parse_id(text, uid);
}

bool owner_group(const char *text, gid_t *gid)
{
    const struct group *group = getgrnam(text);
    if (group)
        *gid = group->gr_gid;
    return group || parse_id(text, gid);
}

bool owner_login_group(const char *user, gid_t *gid)
{
    const struct passwd *entry = getpwnam(user);
    if (entry)
        *gid = entry->pw_gid;
    return entry;
}
