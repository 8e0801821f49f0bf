/*
 * An inode's times, where clients keep them (features/utime). A file that has been made by a client
 * that does not know of it, or before the volume did, has no such record; its times are the
 * brick's. The first change through a client that stamps its calls would then make a record in
 * which the other times are lost. So whoever looks an inode up gives it one, with the times that it
 * has (utime.c: gf_utime_set_mdata_lookup_cbk).
 */
#ifndef VOLUME_MDATA_H
#define VOLUME_MDATA_H

#include "volume/op.h"

/** Asks for the record in the arguments of a LOOKUP, if the volume has such. @return 0, -ENOMEM. */
int mdata_request(const struct op *op, struct dict *xdata);
/** Whether a LOOKUP's answer shows an inode that should have a record, and has none. */
bool mdata_is_missing(const struct op *op, const gf_lookup_res *res);
/** Makes one, with the times of @p stat; @p step follows, whatever comes of it. @return 0; -ENOMEM,
 *  with nothing posted. */
int mdata_make(struct op *op, struct fop *fop, const struct gf_iatt *stat,
               void (*step)(struct op *));

#endif
