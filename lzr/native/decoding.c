/* Lines of results into columns as Arrow lays them out: the quick way of coordinator/analysis/decoding.py, whose
 * Python is the definition. It takes lines just as lzr writes them, from the first on, and ends at one that is
 * written otherwise (another key, blanks, null, a letter beyond Latin-1, a key twice, an address or a time that is
 * none ...): Python reads that one, or says what is wrong with it.
 */
#include "native.h"
#include <arpa/inet.h>

enum { MOST = 64, ADDRESS_TEXT = 46, TIME_TEXT = 30 };

/* kind: t text, d bytes, a address (its text and 16 bytes), n number, b truth, B truth that is false where it is
 * left out, w time. */
struct column {
    const char *name;
    size_t name_len;
    char kind;
    uint8_t width;
    uint64_t high;
    uint8_t *bits, *values, *text;
    int32_t *offsets; /* up to that of row `filled`; those that follow are the same, until a row has a text */
    size_t room, used, filled;
    Py_ssize_t nulls;
};

struct table {
    struct column columns[MOST];
    size_t count;
};

static int has_text(const struct column *column)
{
    return column->kind == 't' || column->kind == 'd' || column->kind == 'a';
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The top bit of the first of eight bytes that is no plain character of a string (a control, a quote, a backslash or
 * beyond ASCII), and perhaps of bytes behind it; 0 where all eight are plain. */
static uint64_t special(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t quote = word ^ ones * '"', slash = word ^ ones * '\\';
    /* A byte borrows from the next one only where it is special itself. */
    return ((word - ones * 0x20) | (quote - ones) | (slash - ones) | word) & tops;
}

/* The offset of a row's text begins where those before it have ended. */
static void fill_offsets(struct column *column, size_t row)
{
    int32_t offset = column->offsets[column->filled];
    while (column->filled < row)
        column->offsets[++column->filled] = offset;
}

/* A string, from behind its opening quote; returns what follows its closing one, or NULL. */
static const uint8_t *take_text(struct column *column, const uint8_t *at, const uint8_t *end)
{
    uint8_t *out = column->text + column->used, *last = column->text + column->room;
    for (;;) {
        uint64_t word, found = 0;
        while (found == 0 && end - at >= 8 && last - out >= 8) {
            memcpy(&word, at, sizeof word);
            memcpy(out, &word, sizeof word);
            found = special(word);
            size_t plain = found ? (size_t)__builtin_ctzll(found) / 8 : 8; /* little-endian */
            at += plain;
            out += plain;
        }
        while (found == 0 && at < end && out < last && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\')
            *out++ = *at++;
        if (at == end || last - out < 2)
            return NULL;
        if (*at == '"')
            break;
        if (*at != '\\' || end - at < 2)
            return NULL;
        unsigned value;
        switch (at[1]) {
        case 'n': value = '\n'; break;
        case 'r': value = '\r'; break;
        case 't': value = '\t'; break;
        case 'b': value = '\b'; break;
        case 'f': value = '\f'; break;
        case '"': case '\\': case '/': value = at[1]; break;
        case 'u': {
            if (end - at < 6)
                return NULL;
            int a = hex_digit(at[4]), b = hex_digit(at[5]);
            if (at[2] != '0' || at[3] != '0' || a < 0 || b < 0)
                return NULL;
            value = (unsigned)(a << 4 | b);
            at += 4;
            break;
        }
        default: return NULL;
        }
        at += 2;
        if (value < 0x80 || column->kind == 'd') {
            *out++ = (uint8_t)value;
        } else { /* UTF-8 */
            *out++ = (uint8_t)(0xC0 | value >> 6);
            *out++ = (uint8_t)(0x80 | (value & 0x3F));
        }
    }
    column->used = (size_t)(out - column->text);
    return at + 1;
}

static const uint8_t *take_address(struct column *column, size_t row, const uint8_t *at, const uint8_t *end)
{
    char text[ADDRESS_TEXT + 1];
    size_t size = 0;
    int six = 0;
    while (at < end && *at != '"') {
        if (size == ADDRESS_TEXT || *at < 0x20 || *at >= 0x7F || *at == '\\')
            return NULL;
        six |= *at == ':';
        text[size++] = (char)*at++;
    }
    if (at == end || column->room - column->used < ADDRESS_TEXT)
        return NULL;
    text[size] = 0;
    static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    uint8_t *key = column->values + 16 * row;
    if (!six) {
        memcpy(key, MAPPED, sizeof MAPPED);
        if (inet_pton(AF_INET, text, key + 12) != 1)
            return NULL;
    } else {
        if (inet_pton(AF_INET6, text, key) != 1)
            return NULL;
        int mapped = memcmp(key, MAPPED, sizeof MAPPED) == 0;
        if (inet_ntop(mapped ? AF_INET : AF_INET6, mapped ? key + 12 : key, text, sizeof text) == NULL)
            return NULL;
        size = strlen(text);
    }
    memcpy(column->text + column->used, text, size);
    column->used += size;
    return at + 1;
}

static const uint8_t *take_number(struct column *column, size_t row, const uint8_t *at, const uint8_t *end)
{
    const uint8_t *first = at;
    uint64_t value = 0;
    while (at < end && *at >= '0' && *at <= '9' && at - first < 11)
        value = value * 10 + (uint64_t)(*at++ - '0');
    if (at == first || value > column->high || (*first == '0' && at - first > 1))
        return NULL;
    memcpy(column->values + row * column->width, &value, column->width); /* little-endian */
    return at;
}

static const uint8_t *take_truth(struct column *column, size_t row, const uint8_t *at, const uint8_t *end)
{
    if (end - at > 4 && memcmp(at, "true", 4) == 0) {
        column->values[row >> 3] |= (uint8_t)(1 << (row & 7));
        return at + 4;
    }
    return end - at > 5 && memcmp(at, "false", 5) == 0 ? at + 5 : NULL;
}

/* RFC 3339 as we write it: YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ */
static const uint8_t *take_time(struct column *column, size_t row, const uint8_t *at, const uint8_t *end)
{
    static const char LAYOUT[] = "0000-00-00T00:00:00.000000000Z\"";
    static const uint8_t DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (end - at < TIME_TEXT + 1)
        return NULL;
    for (int i = 0; i <= TIME_TEXT; i++)
        if (LAYOUT[i] == '0' ? at[i] < '0' || at[i] > '9' : at[i] != (uint8_t)LAYOUT[i])
            return NULL;
#define PAIR(i) ((at[i] - '0') * 10 + (at[(i) + 1] - '0'))
    int year = PAIR(0) * 100 + PAIR(2), month = PAIR(5), day = PAIR(8);
    int hour = PAIR(11), minute = PAIR(14), second = PAIR(17);
#undef PAIR
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (year < 1970 || year > 2261 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59)
        return NULL;
    if (day < 1 || day > DAYS[month - 1] + (month == 2 && leap))
        return NULL;
    int64_t before = year - 1, days = before * 365 + before / 4 - before / 100 + before / 400 - 719162 + day - 1;
    for (int i = 0; i < month - 1; i++)
        days += DAYS[i] + (i == 1 && leap);
    int64_t fraction = 0;
    for (int i = 20; i < 29; i++)
        fraction = fraction * 10 + (at[i] - '0');
    int64_t moment = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000000000 + fraction;
    memcpy(column->values + 8 * row, &moment, sizeof moment);
    return at + TIME_TEXT + 1;
}

/* The column whose name stands here, with quote and colon; they mostly come in the same order. */
static size_t column_of(const struct table *table, size_t guess, const uint8_t *at, const uint8_t *end)
{
    for (size_t i = 0; i < table->count; i++) {
        size_t number = (guess + i) % table->count;
        const struct column *column = &table->columns[number];
        size_t size = column->name_len;
        if ((size_t)(end - at) > size + 2 && at[size] == '"' && at[size + 1] == ':' &&
            memcmp(at, column->name, size) == 0)
            return number;
    }
    return table->count;
}

/* One line without its end. The first column has to be there. Returns 0 where it is not as we write it. */
static int take_line(struct table *table, size_t row, const uint8_t *at, const uint8_t *end)
{
    uint64_t seen = 0;
    size_t next = 0;
    if (end - at < 2 || *at++ != '{')
        return 0;
    for (;;) {
        if (end - at < 2 || *at++ != '"')
            return 0;
        size_t number = column_of(table, next, at, end);
        if (number == table->count || seen >> number & 1)
            return 0;
        struct column *column = &table->columns[number];
        seen |= (uint64_t)1 << number;
        next = number + 1;
        at += column->name_len + 2;
        int quoted = has_text(column) || column->kind == 'w';
        if (quoted && (at == end || *at++ != '"'))
            return 0;
        switch (column->kind) {
        case 't': case 'd':
            if (column->kind == 't' && at < end && *at == '"')
                return 0; /* we leave an empty text out */
            at = take_text(column, at, end);
            break;
        case 'a': at = take_address(column, row, at, end); break;
        case 'w': at = take_time(column, row, at, end); break;
        case 'n': at = take_number(column, row, at, end); break;
        default: at = take_truth(column, row, at, end);
        }
        if (at == NULL || at == end)
            return 0;
        if (has_text(column)) {
            fill_offsets(column, row);
            column->offsets[++column->filled] = (int32_t)column->used;
        }
        column->bits[row >> 3] |= (uint8_t)(1 << (row & 7));
        if (*at == '}')
            break;
        if (*at++ != ',')
            return 0;
    }
    return at + 1 == end && seen & 1;
}

/* The column as it is after so many rows, without what a line that was not taken has left there. */
static void finish(struct column *column, size_t rows)
{
    if (has_text(column)) {
        if (column->filled > rows)
            column->filled = rows;
        fill_offsets(column, rows);
        column->used = (size_t)column->offsets[rows];
    }
    column->bits[rows >> 3] &= (uint8_t)((1 << (rows & 7)) - 1);
    if (column->kind == 'B')
        return;
    column->nulls = (Py_ssize_t)rows;
    for (size_t i = 0; i <= rows >> 3; i++)
        column->nulls -= __builtin_popcount(column->bits[i]);
}

static void release(struct table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        struct column *column = &table->columns[i];
        PyMem_RawFree(column->bits);
        PyMem_RawFree(column->values);
        PyMem_RawFree(column->text);
        PyMem_RawFree(column->offsets);
    }
}

/* The columns asked for, with room for so many rows. Returns 0 with an exception. */
static int prepare(struct table *table, PyObject *columns, size_t rows, size_t size)
{
    if (!PyTuple_Check(columns) || PyTuple_GET_SIZE(columns) > MOST) {
        PyErr_SetString(PyExc_TypeError, "columns: a tuple of (name, kind, width, high)");
        return 0;
    }
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(columns); i++) {
        struct column *column = &table->columns[table->count];
        const char *kind;
        Py_ssize_t kind_len, name_len;
        unsigned long long high;
        *column = (struct column){.name = NULL};
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(columns, i), "s#s#bK", &column->name, &name_len, &kind, &kind_len,
                              &column->width, &high))
            return 0;
        if (kind_len != 1 || strchr("tdanbBw", *kind) == NULL || column->width > 16 ||
            (*kind == 'n' && (column->width < 1 || column->width > 8))) {
            PyErr_SetString(PyExc_ValueError, "no such kind of column");
            return 0;
        }
        column->kind = *kind;
        column->name_len = (size_t)name_len;
        column->high = high;
        table->count++;
        size_t width = *kind == 'a' ? 16 : *kind == 'w' ? 8 : *kind == 'n' ? column->width : 0;
        column->bits = PyMem_RawCalloc(rows / 8 + 1, 1);
        column->values = PyMem_RawCalloc(width ? rows * width + 8 : rows / 8 + 1, 1);
        if (has_text(column)) {
            column->room = *kind == 'a' ? (rows + 1) * ADDRESS_TEXT : size + 2;
            column->text = PyMem_RawMalloc(column->room);
            column->offsets = PyMem_RawCalloc(rows + 1, sizeof(int32_t));
        }
        if (column->bits == NULL || column->values == NULL ||
            (has_text(column) && (column->text == NULL || column->offsets == NULL))) {
            PyErr_NoMemory();
            return 0;
        }
    }
    return 1;
}

static PyObject *bytes_of(const void *data, size_t size)
{
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
}

/* Append (nulls, bits or None, buffers ...), which is stolen. */
static int append(PyObject *list, PyObject *made)
{
    int failed = made == NULL || PyList_Append(list, made) < 0;
    Py_XDECREF(made);
    return !failed;
}

static PyObject *bits_of(const struct column *column, size_t rows)
{
    if (column->nulls == 0)
        return Py_NewRef(Py_None);
    return bytes_of(column->bits, rows / 8 + 1);
}

static PyObject *result_of(const struct table *table, size_t rows)
{
    PyObject *list = PyList_New(0);
    int good = list != NULL;
    for (size_t i = 0; good && i < table->count; i++) {
        const struct column *column = &table->columns[i];
        if (has_text(column))
            good = append(list, Py_BuildValue("nNNN", column->nulls, bits_of(column, rows),
                                              bytes_of(column->offsets, (rows + 1) * sizeof(int32_t)),
                                              bytes_of(column->text, column->used)));
        if (good && column->kind != 't' && column->kind != 'd') {
            size_t width = column->kind == 'a' ? 16 : column->kind == 'w' ? 8 : column->width;
            int truth = column->kind == 'b' || column->kind == 'B';
            good = append(list, Py_BuildValue("nNN", column->nulls, bits_of(column, rows),
                                              bytes_of(column->values, truth ? rows / 8 + 1 : rows * width)));
        }
    }
    if (!good)
        Py_CLEAR(list);
    return list;
}

/* at once; more than a block of records as we write them has */
enum { MOST_ROWS = 1 << 14 };

/* (block, start, columns) -> (end of what was taken, rows, columns) */
PyObject *lzr_table_lines(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    struct table table = {.count = 0};
    Py_buffer block;
    PyObject *result = NULL;
    if (count != 3)
        return lzr_wants("(block, start, columns)");
    Py_ssize_t start = PyNumber_AsSsize_t(args[1], PyExc_ValueError);
    if ((start == -1 && PyErr_Occurred()) || PyObject_GetBuffer(args[0], &block, PyBUF_SIMPLE) < 0)
        return NULL;
    if (start < 0 || start > block.len || block.len > INT32_MAX / 2) {
        PyErr_SetString(PyExc_ValueError, "start is outside the block, or the block is too large");
        goto end;
    }
    const uint8_t *at = (const uint8_t *)block.buf + start, *end = (const uint8_t *)block.buf + block.len;
    size_t rows = 0, most = 0;
    const uint8_t *i = at; /* not all lines of the block: where few are records, this is called for each few */
    for (; most < MOST_ROWS && i < end && (i = memchr(i, '\n', (size_t)(end - i))) != NULL; i++)
        most++;
    if (!prepare(&table, args[2], most, (size_t)(end - at)))
        goto end;
    while (rows < most) {
        const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL || !take_line(&table, rows, at, line_end))
            break;
        at = line_end + 1;
        rows++;
    }
    for (size_t i = 0; i < table.count; i++)
        finish(&table.columns[i], rows);
    PyObject *made = result_of(&table, rows);
    if (made != NULL)
        result = Py_BuildValue("nnN", (Py_ssize_t)(at - (const uint8_t *)block.buf), (Py_ssize_t)rows, made);
end:
    release(&table);
    PyBuffer_Release(&block);
    return result;
}
