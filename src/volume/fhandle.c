#include "volume/fhandle.h"

#include <string.h>

#define VERSION   1
#define VOLUME_AT 4
#define GFID_AT   8

_Static_assert(GFID_AT + 16 == sizeof(struct gzc_handle), "size");

void fhandle_make(struct gzc_handle *handle, const struct volume *v, const uint8_t *gfid)
{
    memset(handle, 0, sizeof(*handle));
    handle->bytes[0] = VERSION;
    memcpy(handle->bytes + VOLUME_AT, v->sessions[0]->volume_id, GFID_AT - VOLUME_AT);
    memcpy(handle->bytes + GFID_AT, gfid, 16);
}

const uint8_t *fhandle_gfid(const struct gzc_handle *handle, const struct volume *v)
{
    struct gzc_handle same;
    fhandle_make(&same, v, handle->bytes + GFID_AT);
    return memcmp(&same, handle, sizeof(same)) == 0 ? handle->bytes + GFID_AT : NULL;
}
