/* Is this UTF-8? As the Unicode Standard has it (table 3-7): shortest forms only, no surrogates, up to U+10FFFF. */
#ifndef SHMSTORE_UTF8_H
#define SHMSTORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool is_ascii(const unsigned char *bytes, size_t length) {
    uint64_t word, high = 0;
    size_t i = 0;
    for (; length - i >= 8; i += 8) {
        memcpy(&word, bytes + i, 8);
        high |= word;
    }
    for (; i < length; i++) high |= bytes[i];
    return !(high & UINT64_C(0x8080808080808080));
}

static inline bool is_utf8(const unsigned char *bytes, size_t length) {
    for (size_t i = 0; i < length;) {
        unsigned char first = bytes[i++];
        if (first < 0x80) continue;
        size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || length - i < more) return false;
        unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (bytes[i] < least || bytes[i] > most) return false;
        for (size_t k = 1; k < more; k++)
            if ((bytes[i + k] & 0xc0) != 0x80) return false;
        i += more;
    }
    return true;
}

#endif
