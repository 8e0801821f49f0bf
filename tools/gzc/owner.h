/* Users and groups by name, as this machine has them, or by number. */
#ifndef GZC_OWNER_H
#define GZC_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

bool owner_user(const char *text, uid_t *uid);
bool owner_group(const char *text, gid_t *gid);
/** The group that @p user belongs to first. */
bool owner_login_group(const char *user, gid_t *gid);

#endif
