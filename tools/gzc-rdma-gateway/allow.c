#include "allow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define MAPPED_BITS 96

static void map_ipv4(uint8_t out[16], const struct in_addr *in)
{
    memset(out, 0, 10);
    out[10] = out[11] = 0xff;
    memcpy(out + 12, in, 4);
}

static bool address_bytes(uint8_t out[16], const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        map_ipv4(out, &((const struct sockaddr_in *)(const void *)address)->sin_addr);
    else if (address->sa_family == AF_INET6)
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
    else
        return false;
    return true;
}

/* Parses the bits of a prefix; all of them without one. */
static bool parse_bits(const char *text, unsigned most, unsigned *bits)
{
    *bits = most;
    if (!text)
        return true;
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n > most)
        return false;
    *bits = (unsigned)n;
    return true;
}

static bool parse_range(char *text, struct allow_range *range)
{
    struct in_addr ipv4;
    char *slash = strchr(text, '/');
    if (slash)
        *slash++ = '\0';
    if (inet_pton(AF_INET, text, &ipv4) == 1) {
        map_ipv4(range->address, &ipv4);
        bool ok = parse_bits(slash, 32, &range->bits);
        range->bits += MAPPED_BITS;
        return ok;
    }
    return inet_pton(AF_INET6, text, range->address) == 1 && parse_bits(slash, 128, &range->bits);
}

static int add_one(struct allow *a, const char *text, size_t length, struct errtext *why)
{
    char copy[64];
    struct allow_range range;
    if (length == 3 && memcmp(text, "any", 3) == 0) {
        a->any = true;
        return 0;
    }
    if (length < sizeof(copy)) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    if (length >= sizeof(copy) || !parse_range(copy, &range))
        return errtext_set(why, EINVAL, "'%.*s' is not ADDRESS[/BITS] or 'any'", (int)length, text);
    struct allow_range *ranges = reallocarray(a->ranges, a->count + 1, sizeof(*ranges));
    if (!ranges)
        return errtext_set(why, ENOMEM, "no memory");
    a->ranges = ranges;
    ranges[a->count++] = range;
    return 0;
}

int allow_add(struct allow *a, const char *text, struct errtext *why)
{
    for (;;) {
        size_t length = strcspn(text, ",");
        int rc = add_one(a, text, length, why);
        if (rc < 0 || !text[length])
            return rc;
        text += length + 1;
    }
}

void allow_free(struct allow *a)
{
    free(a->ranges);
    *a = (struct allow){0};
}

static bool in_range(const struct allow_range *range, const uint8_t address[16])
{
    unsigned bytes = range->bits / 8, bits = range->bits % 8;
    if (memcmp(range->address, address, bytes) != 0)
        return false;
    return !bits || (range->address[bytes] ^ address[bytes]) >> (8 - bits) == 0;
}

/* Addresses come and go, so the host is asked each time; clients connect seldom. */
static bool is_own(const uint8_t address[16])
{
    struct ifaddrs *all;
    uint8_t own[16];
    bool found = false;
    if (getifaddrs(&all) < 0)
        return false;
    for (struct ifaddrs *i = all; i && !found; i = i->ifa_next)
        found = i->ifa_addr && address_bytes(own, i->ifa_addr) && memcmp(own, address, 16) == 0;
    freeifaddrs(all);
    return found;
}

bool allow_address(const struct allow *a, const struct sockaddr *address)
{
    uint8_t bytes[16];
    if (a->any)
        return true;
    if (!address_bytes(bytes, address))
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (in_range(&a->ranges[i], bytes))
            return true;
    return !a->count && is_own(bytes);
}
