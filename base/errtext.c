#include "base/errtext.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int errtext_set(struct errtext *e, int err, const char *format, ...)
{
    if (e) {
        char text[ERRTEXT_SIZE];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        memcpy(e->text, text, sizeof(text));
    }
    return err < 0 ? err : -err;
}

const char *errtext_errno(int err)
{
    const char *text = strerrordesc_np(err < 0 ? -err : err);
    return text ? text : "Unknown error";
}
