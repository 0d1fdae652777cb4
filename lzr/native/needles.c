/* Searches replies for many short strings; webreply.c and greetline.c do it with this.
 *
 * A needle is looked for by two of its bytes that text seldom has, sixteen places at once; where both stand the
 * whole is compared.
 */
#include "needles.h"

typedef uint8_t block __attribute__((vector_size(16)));

static int any(block mask)
{
    uint64_t halves[2];
    memcpy(halves, &mask, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

static block loaded(const uint8_t *at)
{
    block it;
    memcpy(&it, at, sizeof it);
    return it;
}

static size_t compared(const uint8_t *data, size_t from, size_t to, const struct needle *needle)
{
    for (size_t i = from; i < to; i++)
        if (data[i + needle->one] == needle->text[needle->one] &&
            data[i + needle->two] == needle->text[needle->two] && memcmp(data + i, needle->text, needle->size) == 0)
            return i;
    return NOWHERE;
}

size_t lzr_find(const uint8_t *data, size_t size, const struct needle *needle)
{
    if (size < needle->size)
        return NOWHERE;
    const size_t places = size - needle->size + 1;
    const uint8_t *one = data + needle->one, *two = data + needle->two;
    const block first = (block){0} + needle->text[needle->one], second = (block){0} + needle->text[needle->two];
    size_t i = 0;
    for (; i + 64 <= places; i += 64) {
        block found = (block)(loaded(one + i) == first) & (block)(loaded(two + i) == second);
        for (size_t k = 16; k < 64; k += 16)
            found |= (block)(loaded(one + i + k) == first) & (block)(loaded(two + i + k) == second);
        if (any(found)) {
            size_t at = compared(data, i, i + 64, needle);
            if (at != NOWHERE)
                return at;
        }
    }
    for (; i + 16 <= places; i += 16) {
        if (any((block)(loaded(one + i) == first) & (block)(loaded(two + i) == second))) {
            size_t at = compared(data, i, i + 16, needle);
            if (at != NOWHERE)
                return at;
        }
    }
    return compared(data, i, places, needle);
}

size_t lzr_find_tag(const uint8_t *data, size_t size, const uint8_t *name, size_t length)
{
    if (length < 2 || size < length + 1)
        return NOWHERE;
    const size_t places = size - length; /* of '<', behind which the name has room */
    const block tag = (block){0} + '<', first = (block){0} + name[0], second = (block){0} + name[1];
    const block letter = (block){0} + 32; /* makes capital letters small, and these are compared again */
    for (size_t i = 0; i < places;) {
        size_t end = places - i < 16 ? places : i + 16;
        if (end == i + 16 && !any((block)(loaded(data + i) == tag) &
                                  (block)((loaded(data + i + 1) | letter) == first) &
                                  (block)((loaded(data + i + 2) | letter) == second))) {
            i = end;
            continue;
        }
        for (; i < end; i++) {
            size_t same = 0;
            while (data[i] == '<' && same < length && (data[i + 1 + same] | 32) == name[same])
                same++;
            if (same == length)
                return i;
        }
    }
    return NOWHERE;
}

/* How common a byte is in text and pages, roughly. */
static int common(uint8_t byte)
{
    if (byte >= 'a' && byte <= 'z')
        return memchr("jqxzkvwy", byte, 8) == NULL ? 3 : 2;
    return byte == ' ' || byte == '-' || byte == '/' || byte == '"' || byte == '\n' ? 2 : 1;
}

/* Two different bytes where there are such, so that a reply of nothing but one byte is no work. */
static void choose(struct needle *needle)
{
    const uint8_t *text = needle->text;
    needle->one = 0;
    for (size_t i = 1; i < needle->size; i++)
        if (common(text[i]) < common(text[needle->one]))
            needle->one = i;
    needle->two = needle->one;
    for (size_t i = 0; i < needle->size; i++)
        if (text[i] != text[needle->one] &&
            (needle->two == needle->one || common(text[i]) <= common(text[needle->two])))
            needle->two = i;
}

/* The bytes of `object`, which whoever holds the needle keeps alive. */
int lzr_needle(PyObject *object, struct needle *needle)
{
    char *text;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(object, &text, &size) < 0)
        return 0;
    if (!lzr_check(size > 0 && size <= LONGEST_NEEDLE, "a needle is empty or too long"))
        return 0;
    needle->text = (const uint8_t *)text;
    needle->size = (size_t)size;
    choose(needle);
    return 1;
}

int lzr_is_tuple(PyObject *object, Py_ssize_t size)
{
    if (PyTuple_Check(object) && (size < 0 || PyTuple_GET_SIZE(object) == size))
        return 1;
    PyErr_SetString(PyExc_TypeError, "a table is made of tuples");
    return 0;
}

struct needle *lzr_needles(PyObject *tuple, size_t *count)
{
    if (!lzr_is_tuple(tuple, -1))
        return NULL;
    *count = (size_t)PyTuple_GET_SIZE(tuple);
    struct needle *all = PyMem_Calloc(*count + 1, sizeof *all);
    if (all == NULL)
        return (void *)PyErr_NoMemory();
    for (size_t i = 0; i < *count; i++) {
        if (!lzr_needle(PyTuple_GET_ITEM(tuple, (Py_ssize_t)i), &all[i])) {
            PyMem_Free(all);
            return NULL;
        }
    }
    return all;
}
