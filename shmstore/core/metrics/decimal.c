/* Finding the shortest digits of a double, and setting its point; see decimal.h. */
#include "core/metrics/decimal.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DIGITS = 17 };

/* The number 0.DIGITS * 10^point; neither its first nor its last digit is 0. */
struct digits {
    char text[24];
    int count, point;
};

typedef unsigned __int128 wide_u128;

/* ---- digits ------------------------------------------------------------------------------------------------------ */

/* The digits of number * 10^exponent. */
static struct digits digits_of(uint64_t number, int exponent) {
    struct digits digits;
    char *last = digits.text + sizeof digits.text, *at = last;
    for (; number; number /= 10) *--at = (char)('0' + number % 10);
    digits.point = (int)(last - at) + exponent;
    while (last > at && last[-1] == '0') last--;
    digits.count = (int)(last - at);
    memmove(digits.text, at, (size_t)digits.count);
    return digits;
}

static bool reads_as(const struct digits *digits, double value) {
    char text[48];
    snprintf(text, sizeof text, "%.*se%d", digits->count, digits->text, digits->point - digits->count);
    return strtod(text, NULL) == value;
}

/* The same with 1 more in the last digit. */
static struct digits next_of(struct digits digits) {
    int at = digits.count - 1;
    while (at >= 0 && digits.text[at] == '9') at--;
    if (at < 0) return (struct digits){.text = "1", .count = 1, .point = digits.point + 1};
    digits.text[at]++;
    digits.count = at + 1;
    return digits;
}

/* Any positive number: try with more and more digits. Slow; for what is hardly met in metrics. Where a power of two makes
 * the step to the next number twice that to the one before, the next digits may do where the nearest do not. */
static struct digits any_digits(double value) {
    for (int count = value < 1e-290 ? 1 : 15;; count++) {
        char text[48];
        snprintf(text, sizeof text, "%.*e", count - 1, value);
        struct digits digits = {.count = 0};
        const char *from = text; /* whatever the locale has for a point is no digit */
        for (; *from != 'e'; from++)
            if (*from >= '0' && *from <= '9') digits.text[digits.count++] = *from;
        digits.point = (int)strtol(from + 1, NULL, 10) + 1;
        const struct digits next = next_of(digits);
        while (digits.count > 1 && digits.text[digits.count - 1] == '0') digits.count--;
        if (count >= MOST_DIGITS || reads_as(&digits, value)) return digits;
        if (reads_as(&next, value)) return next;
    }
}

static const uint64_t powers_of_5[] = {
    UINT64_C(1),
    UINT64_C(5),
    UINT64_C(25),
    UINT64_C(125),
    UINT64_C(625),
    UINT64_C(3125),
    UINT64_C(15625),
    UINT64_C(78125),
    UINT64_C(390625),
    UINT64_C(1953125),
    UINT64_C(9765625),
    UINT64_C(48828125),
    UINT64_C(244140625),
    UINT64_C(1220703125),
    UINT64_C(6103515625),
    UINT64_C(30517578125),
    UINT64_C(152587890625),
    UINT64_C(762939453125),
    UINT64_C(3814697265625),
    UINT64_C(19073486328125),
    UINT64_C(95367431640625),
    UINT64_C(476837158203125),
    UINT64_C(2384185791015625),
    UINT64_C(11920928955078125),
    UINT64_C(59604644775390625),
    UINT64_C(298023223876953125),
    UINT64_C(1490116119384765625),
    UINT64_C(7450580596923828125),
};

/* Least and most binary exponent of what exact_digits takes: 128 bits hold what it computes. */
enum { LEAST_EXPONENT = -36, MOST_EXPONENT = 54, FRACTION_BITS = 52 };

/* A number in [2^exponent, 2^(exponent+1)), by exact arithmetic. Scaled by 10^scale it is between 10^16 and 2 * 10^17, and so
 * are the bounds of what reads back as it; take away digits while a number with as few is still between them. */
static struct digits exact_digits(uint64_t significand, int exponent) {
    const int scale = 16 - (exponent * 30103 - (exponent < 0 ? 99999 : 0)) / 100000; /* 16 - floor(log10 2^exponent) */
    const int shift = 2 + FRACTION_BITS - exponent - scale;                          /* of quarters of the last bit */
    const bool is_power_of_2 = significand == UINT64_C(1) << FRACTION_BITS, is_even = !(significand & 1);
    const wide_u128 power = powers_of_5[scale], middle = 4 * significand * power, ones = ((wide_u128)1 << shift) - 1;
    const wide_u128 low = (4 * significand - (is_power_of_2 ? 1 : 2)) * power, high = (4 * significand + 2) * power;
    uint64_t least =
        (uint64_t)(is_even ? (low + ones) >> shift : (low >> shift) + 1); /* a bound reads as the even one */
    uint64_t most = (uint64_t)((is_even ? high : high - 1) >> shift), unit = 1;
    int taken = 0;
    for (; (least + 9) / 10 <= most / 10; taken++, unit *= 10) {
        least = (least + 9) / 10;
        most /= 10;
    }
    uint64_t nearest = (uint64_t)(middle >> shift) / unit;
    const wide_u128 twice = 2 * middle, half = (wide_u128)((2 * nearest + 1) * unit) << shift;
    nearest += twice > half || (twice == half && nearest & 1);
    if (nearest < least) nearest = least;
    if (nearest > most) nearest = most;
    return digits_of(nearest, taken - scale);
}

static struct digits digits_of_double(double value) {
    if (value < 0x1p53 && value == (double)(uint64_t)value) return digits_of((uint64_t)value, 0);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int exponent = (int)(bits >> FRACTION_BITS) - 1023;
    if (exponent < LEAST_EXPONENT || exponent > MOST_EXPONENT) return any_digits(value);
    return exact_digits((bits & ((UINT64_C(1) << FRACTION_BITS) - 1)) | UINT64_C(1) << FRACTION_BITS, exponent);
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static char *put(char *to, const char *text, int count) {
    memcpy(to, text, (size_t)count);
    return to + count;
}

static char *put_zeros(char *to, int count) {
    memset(to, '0', (size_t)count);
    return to + count;
}

static char *put_scientific(char *to, const struct digits *digits) {
    int exponent = digits->point - 1;
    *to++ = digits->text[0];
    if (digits->count > 1) *to++ = '.';
    to = put(to, digits->text + 1, digits->count - 1);
    *to++ = 'e';
    *to++ = exponent < 0 ? '-' : '+';
    exponent = abs(exponent);
    if (exponent >= 100) *to++ = (char)('0' + exponent / 100);
    *to++ = (char)('0' + exponent / 10 % 10);
    *to++ = (char)('0' + exponent % 10);
    return to;
}

static char *put_positional(char *to, const struct digits *digits) {
    const int point = digits->point, count = digits->count;
    if (point <= 0) return put(put_zeros(put(to, "0.", 2), -point), digits->text, count);
    if (point >= count) return put(put_zeros(put(to, digits->text, count), point - count), ".0", 2);
    return put(put(put(to, digits->text, point), ".", 1), digits->text + point, count - point);
}

/* A whole number below a million, which most values are. */
static char *put_whole(char *to, uint32_t number) {
    char text[8], *at = text + sizeof text;
    do *--at = (char)('0' + number % 10);
    while (number /= 10);
    return put(put(to, at, (int)(text + sizeof text - at)), ".0", 2);
}

/* Up to `most_whole` digits stand before a point. */
static size_t put_number(char *to, double number, int most_whole) {
    char *at = to;
    if (signbit(number)) *at++ = '-';
    const double size = fabs(number);
    if (size < 1e6 && size == (uint32_t)size) return (size_t)(put_whole(at, (uint32_t)size) - to);
    const struct digits digits = digits_of_double(size);
    const bool is_scientific = digits.point > most_whole || digits.point < -3;
    return (size_t)((is_scientific ? put_scientific : put_positional)(at, &digits) - to);
}

enum { WHOLE_OF_VALUE = 6, WHOLE_OF_REPR = 16 };

size_t decimal_value(char to[DECIMAL_BYTES], double value) {
    if (isnan(value)) return (size_t)(put(to, "NaN", 3) - to);
    if (isinf(value)) return (size_t)(put(to, value > 0 ? "+Inf" : "-Inf", 4) - to);
    return put_number(to, value, value > 0 ? WHOLE_OF_VALUE : WHOLE_OF_REPR);
}

size_t decimal_seconds(char to[DECIMAL_BYTES], double seconds) { return put_number(to, seconds, WHOLE_OF_REPR); }
