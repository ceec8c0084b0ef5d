/* Prints doubles, read as bytes, a line each: as a value, a space, and as seconds. Under the locale that is asked for. */
#include <locale.h>
#include <stdio.h>

#include "core/metrics/decimal.h"

int main(int count, char **arguments) {
    double number;
    char text[2 * DECIMAL_BYTES];
    if (count > 1 && !setlocale(LC_ALL, arguments[1])) return 2;
    while (fread(&number, sizeof number, 1, stdin)) {
        size_t length = decimal_value(text, number);
        text[length++] = ' ';
        length += number - number == 0 ? decimal_seconds(text + length, number) : 0;
        text[length++] = '\n';
        fwrite(text, 1, length, stdout);
    }
    return 0;
}
