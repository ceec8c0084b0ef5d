/* Numbers of different lanes, compared exactly. */
#include "core/questions/programs/kernels.h"

static enum order order_of(bool below, bool above) { return below ? ORDER_BELOW : above ? ORDER_ABOVE : ORDER_EQUAL; }

/* The integer is not made a float, because beyond 2^53 that rounds. To cut off the whole part of a float is exact. */
static enum order int_to_float(int64_t left, double right) {
    if (right != right) return ORDER_NONE;
    if (right >= 0x1p63) return ORDER_BELOW;
    if (right < -0x1p63) return ORDER_ABOVE;
    int64_t whole = (int64_t)right;
    double rest = right - (double)whole;
    return left == whole ? order_of(rest > 0, rest < 0) : order_of(left < whole, true);
}

static enum order uint_to_float(uint64_t left, double right) {
    if (right != right) return ORDER_NONE;
    if (right >= 0x1p64) return ORDER_BELOW;
    if (right < 0) return ORDER_ABOVE;
    uint64_t whole = (uint64_t)right;
    return left == whole ? order_of(right > (double)whole, false) : order_of(left < whole, true);
}

static enum order reversed(enum order order) { return order == ORDER_NONE ? order : (enum order) - (int)order; }

enum order number_order(enum lane left_lane, union number left, enum lane right_lane, union number right) {
    if (left_lane == LANE_FLOAT && right_lane == LANE_FLOAT)
        return left.f < right.f    ? ORDER_BELOW
               : left.f > right.f  ? ORDER_ABOVE
               : left.f == right.f ? ORDER_EQUAL
                                   : ORDER_NONE;
    if (left_lane == LANE_FLOAT) return reversed(number_order(right_lane, right, left_lane, left));
    if (right_lane == LANE_FLOAT)
        return left_lane == LANE_INT ? int_to_float(left.i, right.f) : uint_to_float(left.u, right.f);
    if (left_lane != right_lane && (left_lane == LANE_INT ? left.i : right.i) < 0) /* else both are as unsigned */
        return left_lane == LANE_INT ? ORDER_BELOW : ORDER_ABOVE;
    return left_lane == LANE_INT && right_lane == LANE_INT ? order_of(left.i<right.i, left.i> right.i)
                                                           : order_of(left.u<right.u, left.u> right.u);
}

uint32_t number_search(enum lane lane, const union number *ascending, uint32_t count, union number number) {
    uint32_t first = 0;
    while (count) {
        uint32_t half = count / 2;
        bool below = lane == LANE_INT    ? ascending[first + half].i < number.i
                     : lane == LANE_UINT ? ascending[first + half].u < number.u
                                         : ascending[first + half].f < number.f;
        first += below ? count - half : 0;
        count = below ? count - (count - half) : half;
    }
    return first;
}
