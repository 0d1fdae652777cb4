/* What an HTTP response says of itself, in one pass: lzr/fingerprint/webreply.py and lzr/fingerprint/applications.py,
 * which are the definition.
 *
 * The table is made once of the rows of lzr/fingerprint/applicationtable.py and of the catalogue; a capsule holds it.
 */
#include "webreply.h"

#define REACH 4096 /* bytes of a reply that are looked at */
#define SERVER_REACH 120
#define OPENING 160
#define BODY_REACH 2048
#define JSON_REACH 700
#define TITLE_REACH 200
#define LONGEST_NAME 64 /* of header fields in the table */
#define NAMES_REACH 400 /* of a certificate, from its first name on */
#define OTHER_NAMES_REACH 256

enum place { SERVER, UPGRADE, COOKIE, LOCATION, REALM, TITLE, BODY, JSON, CERTIFICATE, HEADER, PLACES };

struct mark {
    struct needle needle;
    PyObject *name; /* what it gives away; the table's tuple keeps it */
    int goes_on;    /* the needle's last word may be longer in the text */
};

struct marks {
    struct mark *at;
    size_t count;
};

struct other { /* a protocol whose replies may begin as HTTP's do */
    struct needle *starts, *inside;
    size_t n_starts, n_inside;
};

/* An identity that was made lately: most servers say what others said, whatever else their replies hold. */
#define MADE 1024

struct made {
    PyObject *identity, *found; /* NULL: none yet; no application */
    uint8_t server[SERVER_REACH];
    size_t size;
};

struct table {
    PyObject *kept;          /* the tuples that all of this is made of */
    struct marks marks[PLACES];
    struct mark *by_initial[PLACES][256]; /* the first of those that begin so; marks are sorted by their first byte */
    struct mark *by_size[LONGEST_NAME + 2]; /* header fields, sorted by size */
    uint8_t may_begin[256];                 /* whether a field of the table begins with this byte */
    struct other *others;
    size_t n_others;
    PyTypeObject *identity; /* lzr.protocols.Identity, a named tuple */
    PyObject *label, *empty, *details, *tls, *plain_tls;
    struct made *made; /* MADE of them */
};

struct text {
    const uint8_t *at;
    size_t size;
};

static const char CAPSULE[] = "lzr._native.web_table";

static uint8_t lower(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? byte | 32 : byte; }
static int is_alpha(uint8_t byte) { return lower(byte) >= 'a' && lower(byte) <= 'z'; }
static int is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }
static int is_word(uint8_t byte) { return is_alpha(byte) || is_digit(byte) || byte == '_' || byte == '-'; }
static int is_blank(uint8_t byte) { return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; }
static int is_space(uint8_t byte) { return byte == ' ' || (byte >= 9 && byte <= 13); }

static struct text left_stripped(struct text text)
{
    while (text.size > 0 && is_space(*text.at))
        text.at++, text.size--;
    return text;
}

static struct text right_stripped(struct text text)
{
    while (text.size > 0 && is_space(text.at[text.size - 1]))
        text.size--;
    return text;
}

/* Whether the text, in lower case, begins with these bytes, which are in lower case. */
static int begins(struct text text, const uint8_t *with, size_t size)
{
    if (text.size < size)
        return 0;
    for (size_t i = 0; i < size; i++)
        if (lower(text.at[i]) != with[i])
            return 0;
    return 1;
}

/* Where these bytes, in lower case, first stand in the text, or NOWHERE. */
static size_t within(struct text text, const char *bytes, size_t size)
{
    for (size_t i = 0; i + size <= text.size; i++)
        if (begins((struct text){text.at + i, text.size - i}, (const uint8_t *)bytes, size))
            return i;
    return NOWHERE;
}

/* applications._ends: whether a needle that the text starts with ends where a word ends; `after`: what follows it */
static int ends(const struct mark *mark, int after)
{
    uint8_t last = mark->needle.text[mark->needle.size - 1];
    return mark->goes_on || after < 0 || !is_alpha((uint8_t)after) || !(is_alpha(last) || is_digit(last));
}

/* The needles of a place that begin with `first`: up to but not including `*end`. */
static const struct mark *beginning(const struct table *table, enum place place, uint8_t first, const struct mark **end)
{
    const struct mark *from = table->by_initial[place][first], *to = table->marks[place].at + table->marks[place].count;
    for (*end = from; from != NULL && *end < to && (*end)->needle.text[0] == first; (*end)++)
        ;
    return from;
}

/* applications._starting: the name of the longest needle that the text starts with, or NULL */
static PyObject *starting(const struct table *table, enum place place, struct text text)
{
    const struct mark *best = NULL, *end;
    if (text.size == 0)
        return NULL;
    for (const struct mark *mark = beginning(table, place, lower(*text.at), &end); mark < end; mark++) {
        size_t size = mark->needle.size;
        if ((best == NULL || best->needle.size < size) && begins(text, mark->needle.text, size) &&
            ends(mark, text.size > size ? text.at[size] : -1))
            best = mark;
    }
    return best != NULL ? best->name : NULL;
}

/* The next byte of how a body begins, in lower case and without white space, with a dollar sign behind a short one;
 * -1 at the end. */
static int next_squeezed(struct text body, size_t *at)
{
    const size_t limit = body.size < OPENING ? body.size : OPENING;
    while (*at < limit) {
        uint8_t byte = body.at[(*at)++];
        if (!is_blank(byte))
            return lower(byte);
    }
    if (*at > limit || limit == OPENING)
        return -1;
    ++*at;
    return '$';
}

/* The same as `starting` of what `next_squeezed` gives. */
static PyObject *starting_squeezed(const struct table *table, enum place place, struct text body)
{
    const struct mark *best = NULL, *end;
    size_t second = 0;
    int first = next_squeezed(body, &second);
    if (first < 0)
        return NULL;
    for (const struct mark *mark = beginning(table, place, (uint8_t)first, &end); mark < end; mark++) {
        size_t at = second, same = 1;
        int byte = next_squeezed(body, &at);
        for (; same < mark->needle.size && byte == mark->needle.text[same]; same++)
            byte = next_squeezed(body, &at);
        if (same == mark->needle.size && (best == NULL || best->needle.size < same) && ends(mark, byte))
            best = mark;
    }
    return best != NULL ? best->name : NULL;
}

/* The name of the first needle, in the table's order, that stands in these bytes; NULL where none does */
static PyObject *first_of(const struct marks *marks, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < marks->count; i++)
        if (lzr_find(data, size, &marks->at[i].needle) != NOWHERE)
            return marks->at[i].name;
    return NULL;
}

/* applications._subject */
static struct text subject(enum place place, struct text value)
{
    size_t at;
    if (place == REALM && (at = within(value, "realm=\"", 7)) != NOWHERE && at + 7 < value.size)
        return (struct text){value.at + at + 7, value.size - at - 7};
    if (place == LOCATION && (at = within((struct text){value.at, value.size < 8 ? value.size : 8}, "://", 3)) != NOWHERE) {
        const uint8_t *rest = value.at + at + 3;
        const uint8_t *slash = memchr(rest, '/', value.size - at - 3);
        return slash == NULL ? (struct text){(const uint8_t *)"/", 1}
                             : (struct text){slash, (size_t)(value.at + value.size - slash)};
    }
    return value;
}

/* applications._server: the first Server field of the head, where one that tells more came before it */
static struct text server_field(struct text head)
{
    const uint8_t *end = head.at + head.size;
    for (const uint8_t *at = head.at; (at = memchr(at, '\n', (size_t)(end - at))) != NULL;) {
        at++;
        if (!begins((struct text){at, (size_t)(end - at)}, (const uint8_t *)"server:", 7))
            continue;
        at += 7;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        struct text value = {at, 0};
        while (value.size < SERVER_REACH && at + value.size < end && at[value.size] != '\r' && at[value.size] != '\n')
            value.size++;
        return right_stripped(value);
    }
    return (struct text){head.at, 0};
}

/* What a field of the table gives away, in `name`; `server`, `weak`: what has been seen so far. Returns whether it ends
 * the search. */
static int field(const struct table *table, struct text name, struct text value, PyObject **weak, struct text *server)
{
    if (name.size > LONGEST_NAME)
        return 0;
    for (const struct mark *mark = table->by_size[name.size]; mark < table->by_size[name.size + 1]; mark++) {
        if (lower(*name.at) != mark->needle.text[0] || !begins(name, mark->needle.text, name.size))
            continue;
        if (PyUnicode_Check(mark->name)) {
            *weak = mark->name;
            return 1;
        }
        enum place place = (enum place)mark->goes_on;
        struct text stripped = left_stripped(value);
        if (place == SERVER || place == UPGRADE) {
            if (*weak == NULL)
                *weak = starting(table, place, stripped);
            if (place == SERVER && server->size == 0)
                *server = right_stripped(stripped);
            return 0;
        }
        PyObject *found = starting(table, place, subject(place, stripped));
        if (found == NULL)
            return 0;
        *weak = found;
        return 1;
    }
    return 0;
}

/* applications._in_body */
static PyObject *in_body(const struct table *table, struct text body)
{
    if (body.size > BODY_REACH)
        body.size = BODY_REACH;
    PyObject *found = starting_squeezed(table, BODY, body);
    if (found != NULL)
        return found;
    struct text stripped = left_stripped(body);
    if (stripped.size > 0 && *stripped.at == '{') {
        uint8_t copy[JSON_REACH];
        size_t size = 0;
        for (; size < body.size && size < JSON_REACH; size++)
            copy[size] = body.at[size] == ' ' ? '_' : lower(body.at[size]);
        return first_of(&table->marks[JSON], copy, size);
    }
    size_t at = lzr_find_tag(body.at, body.size, (const uint8_t *)"title", 5);
    if (at == NOWHERE)
        return NULL;
    struct text rest = {body.at + at, body.size - at < TITLE_REACH ? body.size - at : TITLE_REACH};
    const uint8_t *close = memchr(rest.at, '>', rest.size);
    if (close == NULL)
        return NULL;
    return starting(table, TITLE, left_stripped((struct text){close + 1, (size_t)(rest.at + rest.size - close - 1)}));
}

/* (application, Server) */
static PyObject *pair(PyObject *found, struct text server)
{
    PyObject *value = PyBytes_FromStringAndSize((const char *)server.at, (Py_ssize_t)server.size);
    PyObject *name = found != NULL ? Py_NewRef(found) : PyUnicode_FromStringAndSize("", 0);
    PyObject *both = value != NULL && name != NULL ? PyTuple_New(2) : NULL;
    if (both == NULL) {
        Py_XDECREF(value);
        Py_XDECREF(name);
        return NULL;
    }
    PyTuple_SET_ITEM(both, 0, name);
    PyTuple_SET_ITEM(both, 1, value);
    return both;
}

/* products.server: where the last word, without a "v", is a version: digits, then parts of letters and digits behind dots,
 * which are no address (its first number has two digits or more). Returns where it begins, and in `size` what is left in front of it; 0 where it is none. */
static size_t last_number(struct text value, size_t *size)
{
    size_t at = value.size, dots = 0, part = 0, plain = 1;
    while (at > 0 && value.at[at - 1] != ' ')
        at--;
    const size_t end = at;
    if (at == 0 || memchr(value.at, '(', at - 1) != NULL)
        return 0;
    if (at < value.size && lower(value.at[at]) == 'v')
        at++;
    for (size_t i = at; i < value.size; i++) {
        uint8_t byte = value.at[i];
        if (byte == '.') {
            if (part == 0)
                return 0;
            dots++;
            part = 0;
        } else if (is_digit(byte) || (dots > 0 && is_word(byte))) {
            plain &= is_digit(byte) != 0;
            part++;
        } else {
            return 0;
        }
    }
    if (dots == 0 || part == 0 || (dots == 3 && plain && value.at[at + 1] != '.') || end == 1)
        return 0;
    *size = right_stripped((struct text){value.at, end - 1}).size;
    return at;
}

/* products.server: product and version of a Server field */
static int stated(struct text server, PyObject **product, PyObject **version)
{
    if (server.size > SERVER_REACH)
        server.size = SERVER_REACH;
    struct text name = server, number = {server.at, 0};
    const uint8_t *slash = server.size > 0 ? memchr(server.at, '/', server.size) : NULL;
    if (slash != NULL && slash > server.at && slash[-1] == ' ' && slash + 1 < server.at + server.size && slash[1] == ' ') {
        server = right_stripped((struct text){server.at, (size_t)(slash - server.at)}); /* between two products */
        name = server;
        slash = NULL;
    }
    if (slash != NULL && memchr(server.at, '(', (size_t)(slash - server.at)) == NULL) {
        const uint8_t *end = server.at + server.size;
        name = right_stripped((struct text){server.at, (size_t)(slash - server.at)});
        number.at = slash + 1;
        while (number.at + number.size < end && number.at[number.size] != ' ' && number.at[number.size] != ',')
            number.size++;
        if (number.size > 1 && lower(*number.at) == 'v' && is_digit(number.at[1])) {
            number.at++;
            number.size--;
        }
        if (number.size > 0 && !is_digit(*number.at))
            number.size = 0;
    } else if (slash == NULL) {
        size_t at = last_number(server, &name.size);
        if (at > 0)
            number = (struct text){server.at + at, server.size - at};
    }
    *product = PyUnicode_DecodeLatin1((const char *)name.at, (Py_ssize_t)name.size, NULL);
    *version = PyUnicode_DecodeLatin1((const char *)number.at, (Py_ssize_t)number.size, NULL);
    return *product != NULL && *version != NULL;
}

/* The identity with this label, this application and this Server field. */
static PyObject *new_identity(const struct table *table, PyObject *label, PyObject *found, struct text server)
{
    PyObject *product = NULL, *version = NULL;
    PyObject *it = stated(server, &product, &version) ? table->identity->tp_alloc(table->identity, 5) : NULL;
    if (it == NULL) {
        Py_XDECREF(product);
        Py_XDECREF(version);
        return NULL;
    }
    PyTuple_SET_ITEM(it, 0, Py_NewRef(label));
    PyTuple_SET_ITEM(it, 1, Py_NewRef(found != NULL ? found : table->empty));
    PyTuple_SET_ITEM(it, 2, product);
    PyTuple_SET_ITEM(it, 3, version);
    PyTuple_SET_ITEM(it, 4, Py_NewRef(table->details));
    PyObject_GC_UnTrack(it); /* strings, and a tuple of strings, are in no cycle */
    return it;
}

static struct made *place_of(const struct table *table, PyObject *found, struct text server)
{
    uint64_t hash = (uint64_t)(uintptr_t)found + server.size;
    size_t i = 0;
    for (uint64_t word; i + 8 <= server.size; i += 8) {
        memcpy(&word, server.at + i, 8);
        hash = lzr_mix64(hash ^ word);
    }
    for (; i < server.size; i++)
        hash = hash * 31 + server.at[i];
    return &table->made[lzr_mix64(hash) % MADE];
}

/* The same, from among those that were made lately where it is there. */
static PyObject *identity(const struct table *table, PyObject *found, struct text server)
{
    if (server.size > SERVER_REACH)
        server.size = SERVER_REACH;
    struct made *made = place_of(table, found, server);
    if (made->identity == NULL || made->found != found || made->size != server.size ||
        memcmp(made->server, server.at, server.size) != 0) {
        PyObject *it = new_identity(table, table->label, found, server), *was = made->identity;
        if (it == NULL)
            return NULL;
        *made = (struct made){.identity = it, .found = found, .size = server.size};
        memcpy(made->server, server.at, server.size);
        Py_XDECREF(was);
    }
    return Py_NewRef(made->identity);
}

/* _bytes.head_end: where the head ends, or NOWHERE; and how long the end is */
static size_t head_end(const uint8_t *data, size_t size, size_t *length)
{
    static const struct needle BLANK = {(const uint8_t *)"\r\n\r\n", 4, 0, 3};
    static const struct needle BARE = {(const uint8_t *)"\n\n", 2, 0, 1};
    const uint8_t *line = memchr(data, '\n', size);
    if (line != NULL && (line == data || line[-1] != '\r')) {
        size_t end = lzr_find(data, size, &BARE);
        if (end != NOWHERE) {
            *length = 2;
            return end;
        }
    }
    *length = 4;
    return lzr_find(data, size, &BLANK);
}

/* applications.read, of a response: returns the application, or NULL, and the Server field */
static PyObject *read_response(const struct table *table, const uint8_t *data, size_t size, struct text *said)
{
    size_t ending;
    if (size > REACH)
        size = REACH;
    size_t end = head_end(data, size, &ending);
    const struct text head = {data, end != NOWHERE ? end : size};
    struct text server = {data, 0};
    PyObject *found = NULL;
    int done = 0;
    const uint8_t *stop = head.at + head.size;
    for (const uint8_t *at = head.at; !done && (at = memchr(at, '\n', (size_t)(stop - at))) != NULL;) {
        struct text name = {++at, 0};
        if (at == stop || !table->may_begin[*at])
            continue;
        while (at < stop && is_word(*at))
            at++;
        name.size = (size_t)(at - name.at);
        if (at == stop || *at != ':')
            continue;
        at++;
        if (at < stop && *at == ' ')
            at++;
        struct text value = {at, 0};
        const uint8_t *line = memchr(at, '\n', (size_t)(stop - at));
        at = line != NULL ? line : stop;
        const uint8_t *back = memchr(value.at, '\r', (size_t)(at - value.at));
        value.size = (size_t)((back != NULL ? back : at) - value.at);
        done = field(table, name, value, &found, &server);
    }
    if (done && server.size == 0)
        server = server_field(head);
    if (!done && end != NOWHERE) {
        PyObject *inside = in_body(table, (struct text){data + end + ending, size - end - ending});
        if (inside != NULL)
            found = inside;
    }
    *said = server;
    return found;
}

/* applications._in_certificate; 0 where only that can tell */
static int in_certificate(const struct table *table, const uint8_t *data, size_t size, PyObject **found)
{
    static const struct needle ATTRIBUTE = {(const uint8_t *)"\x06\x03\x55\x04", 4, 2, 3};
    static const struct needle OTHER_NAMES = {(const uint8_t *)"\x06\x03\x55\x1d\x11", 5, 2, 3};
    uint8_t text[NAMES_REACH + OTHER_NAMES_REACH];
    *found = NULL;
    if (size > REACH)
        size = REACH;
    size_t at = lzr_find(data, size, &ATTRIBUTE);
    if (at == NOWHERE)
        return 1;
    size_t length = size - at < NAMES_REACH ? size - at : NAMES_REACH;
    if (length >= 11 && memcmp(data + at + 7, "www.", 4) == 0)
        return 0; /* it may be a relay's of Tor */
    memcpy(text, data + at, length);
    at = lzr_find(data, size, &OTHER_NAMES);
    if (at != NOWHERE) {
        size_t more = size - at < OTHER_NAMES_REACH ? size - at : OTHER_NAMES_REACH;
        memcpy(text + length, data + at, more);
        length += more;
    }
    for (size_t i = 0; i < length; i++)
        text[i] = lower(text[i]);
    *found = first_of(&table->marks[CERTIFICATE], text, length);
    return 1;
}

const struct table *lzr_web_table_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, CAPSULE); }

/* The table and the reply of a call. */
static const struct table *asked(PyObject *const *args, Py_ssize_t count, const uint8_t **data, size_t *size)
{
    char *text;
    Py_ssize_t length;
    if (count != 2)
        return (void *)lzr_wants("(table, data)");
    const struct table *table = lzr_web_table_of(args[0]);
    if (table == NULL || PyBytes_AsStringAndSize(args[1], &text, &length) < 0)
        return NULL;
    *data = (const uint8_t *)text;
    *size = (size_t)length;
    return table;
}

/* (table, data) -> (application, Server) of a reply of HTTP or TLS; None where the definition has to look */
PyObject *lzr_web_read(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    const uint8_t *data = NULL;
    size_t size = 0;
    PyObject *found;
    const struct table *table = asked(args, count, &data, &size);
    if (table == NULL)
        return NULL;
    struct text server = {data, 0};
    if (size == 0 || *data == 'H' || *data == 'h') {
        found = read_response(table, data, size, &server);
        return pair(found, server);
    }
    if (*data != 0x16)
        return pair(in_body(table, (struct text){data, size < REACH ? size : REACH}), server);
    if (!in_certificate(table, data, size, &found))
        Py_RETURN_NONE;
    return pair(found, server);
}

/* A status line as RFC 9112 §4 has it: version, SP, three digits, then anything that ends them. */
static int is_response(const uint8_t *data, size_t size)
{
    return size > 12 && memcmp(data, "HTTP/1.", 7) == 0 && is_digit(data[7]) && data[8] == ' ' && data[9] >= '1' &&
           data[9] <= '9' && is_digit(data[10]) && is_digit(data[11]) &&
           (data[12] == ' ' || data[12] == '\r' || data[12] == '\n');
}

static int may_be(const struct other *other, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < other->n_starts; i++) {
        const struct needle *start = &other->starts[i];
        if (size < start->size || memcmp(data, start->text, start->size) != 0)
            continue;
        for (size_t k = 0; k < other->n_inside; k++)
            if (lzr_find(data, size, &other->inside[k]) != NOWHERE)
                return 1;
        return other->n_inside == 0;
    }
    return 0;
}

PyObject *lzr_web_identity(const struct table *table, const uint8_t *data, size_t size)
{
    if (!is_response(data, size))
        return NULL;
    for (size_t i = 0; i < table->n_others; i++)
        if (may_be(&table->others[i], data, size))
            return NULL;
    struct text server = {data, 0};
    PyObject *found = read_response(table, data, size, &server);
    return identity(table, found, server);
}

/* tls.ALERTS, a bit each */
static int is_alert(uint8_t description)
{
    static const uint32_t KNOWN[4] = {0x40700401, 0x100fff00, 0x044100c0, 0x031fe010};
    return description < 128 && (KNOWN[description / 32] >> description % 32 & 1) != 0;
}

/* tls._record: an alert, or a ServerHello of SSL 3.0 to TLS 1.3; 0 of what is none, and of drafts and HelloRequests,
 * which Python looks at */
static int is_record(const uint8_t *data, size_t size)
{
    if (size < 7 || data[1] != 3 || data[2] > 4)
        return 0;
    const size_t length = (size_t)data[3] << 8 | data[4];
    if (data[0] == 0x15)
        return length == 2 && (data[5] == 1 || data[5] == 2) && is_alert(data[6]);
    if (data[0] != 0x16 || length < 4 || length > 0x4800 || size < 11 || data[5] != 2 || data[9] != 3 || data[10] > 3)
        return 0;
    const size_t hello = (size_t)data[6] << 16 | (size_t)data[7] << 8 | data[8];
    if (hello < 38 || hello > 0x4000)
        return 0;
    if (size <= 43)
        return 1;
    const size_t after = 44 + (size_t)data[43];
    return data[43] <= 32 && (size <= after + 2 || data[after + 2] == 0 || data[after + 2] == 1 || data[after + 2] == 64);
}

PyObject *lzr_tls_identity(const struct table *table, const uint8_t *data, size_t size)
{
    PyObject *found = NULL;
    if (!is_record(data, size))
        return NULL;
    if (data[0] == 0x15)
        found = in_body(table, (struct text){data, size < REACH ? size : REACH});
    else if (!in_certificate(table, data, size, &found))
        return NULL;
    return found == NULL ? Py_NewRef(table->plain_tls) : new_identity(table, table->tls, found, (struct text){data, 0});
}

PyObject *lzr_web_label(const struct table *table, size_t number) { return number == 0 ? table->label : table->tls; }

/* (table, data) -> Identity of a response that no other protocol can take, or None */
PyObject *lzr_web_reply(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    const uint8_t *data = NULL;
    size_t size = 0;
    const struct table *table = asked(args, count, &data, &size);
    if (table == NULL)
        return NULL;
    PyObject *it = lzr_web_identity(table, data, size);
    return it != NULL || PyErr_Occurred() ? it : Py_NewRef(Py_None);
}

static void drop(struct table *table)
{
    for (size_t i = 0; i < table->n_others && table->others != NULL; i++) {
        PyMem_Free(table->others[i].starts);
        PyMem_Free(table->others[i].inside);
    }
    PyMem_Free(table->others);
    for (int place = 0; place < PLACES; place++)
        PyMem_Free(table->marks[place].at);
    for (size_t i = 0; i < MADE && table->made != NULL; i++)
        Py_XDECREF(table->made[i].identity);
    PyMem_Free(table->made);
    Py_XDECREF(table->kept);
    Py_XDECREF(table->empty);
    Py_XDECREF(table->plain_tls);
    Py_XDECREF(table->tls);
    PyMem_Free(table);
}

static void destroy(PyObject *capsule)
{
    struct table *table = PyCapsule_GetPointer(capsule, CAPSULE);
    if (table != NULL)
        drop(table);
}

/* A place's rows: (needle, name or the place in which a field's value is looked for, goes on), already sorted. */
static int fill(struct table *table, enum place place, PyObject *rows)
{
    if (!lzr_is_tuple(rows, -1))
        return 0;
    struct marks *marks = &table->marks[place];
    size_t count = (size_t)PyTuple_GET_SIZE(rows);
    if ((marks->at = PyMem_Calloc(count + 1, sizeof *marks->at)) == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        PyObject *row = PyTuple_GET_ITEM(rows, (Py_ssize_t)i);
        struct mark *mark = &marks->at[i];
        if (!lzr_is_tuple(row, 3) || !lzr_needle(PyTuple_GET_ITEM(row, 0), &mark->needle))
            return 0;
        mark->name = PyTuple_GET_ITEM(row, 1);
        mark->goes_on = (int)PyLong_AsLong(PyTuple_GET_ITEM(row, 2));
        if (PyErr_Occurred())
            return 0;
        int is_place = place == HEADER && mark->name == Py_None;
        if (!lzr_check(is_place ? mark->goes_on >= SERVER && mark->goes_on <= REALM : PyUnicode_Check(mark->name),
                       "a needle stands for a name or a place"))
            return 0;
        uint8_t first = mark->needle.text[0];
        if (place == JSON || place == CERTIFICATE) {
            marks->count = i + 1;
            continue;
        }
        if (place == HEADER) {
            size_t before = i > 0 ? marks->at[i - 1].needle.size : 0;
            if (!lzr_check(mark->needle.size >= before && mark->needle.size <= LONGEST_NAME, "fields by size"))
                return 0;
            table->may_begin[first] = table->may_begin[is_alpha(first) ? first & ~32 : first] = 1;
        } else if (table->by_initial[place][first] == NULL) {
            table->by_initial[place][first] = mark;
        } else if (!lzr_check(marks->at[i - 1].needle.text[0] == first, "needles by their first byte")) {
            return 0;
        }
        marks->count = i + 1;
    }
    if (place == HEADER) {
        struct mark *at = marks->at, *end = marks->at + marks->count;
        for (size_t size = 0; size <= LONGEST_NAME + 1; size++) {
            while (at < end && at->needle.size < size)
                at++;
            table->by_size[size] = at;
        }
    }
    return 1;
}

/* (others, places, identity) -> table. others: (starts, inside) of each protocol; places: their rows, in the order of
 * `enum place`; identity: one that says nothing but its label, as the pattern of those that are made */
PyObject *lzr_web_table(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    if (count != 3)
        return lzr_wants("(others, places, identity)");
    if (!PyTuple_Check(args[2]) || Py_TYPE(args[2]) == &PyTuple_Type || !lzr_is_tuple(args[2], 5) ||
        Py_TYPE(args[2])->tp_basicsize != PyTuple_Type.tp_basicsize)
        return lzr_wants("an identity");
    if (!lzr_is_tuple(args[0], -1) || !lzr_is_tuple(args[1], PLACES))
        return NULL;
    struct table *table = PyMem_Calloc(1, sizeof *table);
    if (table == NULL)
        return PyErr_NoMemory();
    if ((table->kept = PyTuple_Pack(3, args[0], args[1], args[2])) == NULL ||
        (table->empty = PyUnicode_FromStringAndSize("", 0)) == NULL)
        goto failed;
    table->identity = Py_TYPE(args[2]);
    table->label = PyTuple_GET_ITEM(args[2], 0);
    table->details = PyTuple_GET_ITEM(args[2], 4);
    if ((table->tls = PyUnicode_InternFromString("tls")) == NULL ||
        (table->plain_tls = new_identity(table, table->tls, NULL, (struct text){(const uint8_t *)"", 0})) == NULL)
        goto failed;
    size_t others = (size_t)PyTuple_GET_SIZE(args[0]);
    if ((table->made = PyMem_Calloc(MADE, sizeof *table->made)) == NULL ||
        (table->others = PyMem_Calloc(others + 1, sizeof *table->others)) == NULL) {
        PyErr_NoMemory();
        goto failed;
    }
    table->n_others = others;
    for (size_t i = 0; i < others; i++) {
        PyObject *pair = PyTuple_GET_ITEM(args[0], (Py_ssize_t)i);
        struct other *other = &table->others[i];
        if (!lzr_is_tuple(pair, 2) || (other->starts = lzr_needles(PyTuple_GET_ITEM(pair, 0), &other->n_starts)) == NULL ||
            (other->inside = lzr_needles(PyTuple_GET_ITEM(pair, 1), &other->n_inside)) == NULL)
            goto failed;
    }
    for (int place = 0; place < PLACES; place++)
        if (!fill(table, (enum place)place, PyTuple_GET_ITEM(args[1], place)))
            goto failed;
    PyObject *capsule = PyCapsule_New(table, CAPSULE, destroy);
    if (capsule != NULL)
        return capsule;
failed:
    drop(table);
    return NULL;
}
