/* Operations on the extended attributes of what a path names, or of an open file. */
#ifndef VOLUME_XATTR_H
#define VOLUME_XATTR_H

#include "volume/attr.h"

/** Whether a name is GlusterFS's own, which its users may neither set nor remove, and do not see in
 *  lists. */
bool xattr_is_own(const char *name);

/* Starts, of attr_op.args.xattr. A result that is a length is op->result. */
void getxattr_start(struct op *op);
void setxattr_start(struct op *op);
void listxattr_start(struct op *op);
void removexattr_start(struct op *op);

#endif
