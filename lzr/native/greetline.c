/* What a line says with which a mail or file server greets: lzr/fingerprint/greetline.py, lzr/protocols/_greetings.py
 * and lzr/fingerprint/greetings/, which are the definition.
 *
 * The table is made once of the rows of lzr/fingerprint/greetline.py; a capsule holds it. Nothing is read beyond the
 * bytes of the reply, of which the first REACH are copied.
 */
#include "greetline.h"

#define REACH 512        /* bytes of a greeting that are read */
#define LINES_REACH 2048 /* of a reply; longer ones are left */
#define DEVICE_REACH 40
#define ELSEWHERE_REACH 200
#define MAKERS_REACH 400
#define TERMINAL_REACH 400 /* bytes of what a terminal says that are read */
#define NEGOTIATED 12      /* bytes that terminals may exchange before a word is said */
#define SEGMENT 256        /* bytes; longer ones may be the first part of a message of DNS */
#define AGREED 200         /* bytes of negotiation, at most */
#define BEHIND 60 /* bytes behind a name in which its version stands */
#define MADE 1024

enum label { SMTP, FTP, POP3, IMAP, TELNET, LABELS = GREETING_LABELS };
enum kind { MAIL_WORD = 1, FILE_WORD = 2, OTHER_WORD = 4, STOCK_WORD = 8 };

struct word {
    const uint8_t *text;
    size_t size, value; /* kinds; or the number of the first program that begins so, plus one */
};

struct words { /* a hash table: `mask` is a power of two less one */
    struct word *at;
    size_t mask;
};

struct needles {
    struct needle *at;
    size_t count;
};

struct program {
    struct needle needle;
    PyObject *name;
    int anybody; /* it may be a host's name if it is not spelled with a capital */
    size_t next; /* the number of the next one that begins with the same word, plus one; 0: none */
};

struct made { /* an identity that was made lately */
    PyObject *identity, *name;
    uint8_t version[BEHIND];
    size_t size, label;
};

struct greetings {
    PyObject *kept; /* the tuples that all of this is made of */
    struct words told, makers, devices, terminals, first[LABELS];
    struct program *programs[LABELS];
    struct needles elsewhere, quoted;
    struct foreign { /* bytes at an offset that other protocols go by */
        size_t at;
        struct needle needle;
    } * foreign;
    size_t n_foreign;
    const uint8_t *options; /* 256 of them: whether it is a telnet option */
    PyTypeObject *identity;
    PyObject *labels[LABELS], *plain[LABELS], *empty, *details;
    struct made *made;
};

struct text {
    const uint8_t *at;
    size_t size;
};

static const char CAPSULE[] = "lzr._native.greetings";

static uint8_t lower(uint8_t byte) { return byte >= 'A' && byte <= 'Z' ? byte | 32 : byte; }
static int is_digit(uint8_t byte) { return byte >= '0' && byte <= '9'; }
static int is_small(uint8_t byte) { return byte >= 'a' && byte <= 'z'; }
static int is_alpha(uint8_t byte) { return is_small(lower(byte)); }
static int is_alnum(uint8_t byte) { return is_alpha(byte) || is_digit(byte); }
static int is_word(uint8_t byte) { return is_alnum(byte) || byte == '_'; }
static int is_blank(uint8_t byte) { return byte == ' ' || (byte >= 9 && byte <= 13); }

static int equal(struct text text, const char *with)
{
    return text.size == strlen(with) && memcmp(text.at, with, text.size) == 0;
}

static int starts(struct text text, const char *with)
{
    const size_t size = strlen(with);
    return text.size >= size && memcmp(text.at, with, size) == 0;
}

static size_t find(struct text text, const char *bytes)
{
    const size_t size = strlen(bytes);
    if (text.size < size)
        return NOWHERE;
    const uint8_t *stop = text.at + text.size - size + 1;
    for (const uint8_t *at = text.at; at < stop && (at = memchr(at, bytes[0], (size_t)(stop - at))) != NULL; at++)
        if (memcmp(at, bytes, size) == 0)
            return (size_t)(at - text.at);
    return NOWHERE;
}

static int holds(struct text text, const char *bytes) { return find(text, bytes) != NOWHERE; }

static uint64_t hash_of(const uint8_t *text, size_t size)
{
    uint64_t hash = size;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ text[i]) * 0x100000001B3u;
    return hash ^ hash >> 29;
}

/* The slot of a word, empty or its own; `at` is never full. */
static struct word *slot(const struct words *words, const uint8_t *text, size_t size)
{
    size_t place = hash_of(text, size) & words->mask;
    while (words->at[place].text != NULL &&
           (words->at[place].size != size || memcmp(words->at[place].text, text, size) != 0))
        place = (place + 1) & words->mask;
    return &words->at[place];
}

static size_t value(const struct words *words, struct text word)
{
    return word.size == 0 ? 0 : slot(words, word.at, word.size)->value;
}

/* The next run of bytes of a class, from `*at` on; its size is 0 at the end. */
static struct text next(struct text text, size_t *at, int (*is_inside)(uint8_t))
{
    while (*at < text.size && !is_inside(text.at[*at]))
        ++*at;
    struct text word = {text.at + *at, 0};
    while (*at < text.size && is_inside(text.at[*at]))
        ++*at;
    word.size = (size_t)(text.at + *at - word.at);
    return word;
}

/* --- _greetings.verdict, of "220" in small letters, where nothing was answered ---------------------------------- */

/* _greetings._is_domain */
static int is_domain(struct text host)
{
    size_t letters = 0, digits = 0, dots = 0, last = 0;
    for (size_t i = 0; i < host.size; i++) {
        const uint8_t byte = host.at[i];
        if (byte == '.') {
            if (i == last) /* an empty part */
                return 0;
            dots++;
            last = i + 1;
        } else if (is_digit(byte)) {
            digits++;
        } else if (is_alpha(byte)) {
            letters++;
        } else if (byte != '-' && byte != '_' && byte != '*') {
            return 0;
        }
    }
    struct text tail = {host.at + last, host.size - last};
    if (tail.size == 0 || letters + digits == 0)
        return 0;
    if (letters == 0)
        return dots == 3;
    if (starts(tail, "xn--"))
        return 1;
    for (size_t i = 0; i < tail.size; i++)
        if (!is_alpha(tail.at[i]))
            return 0;
    return 1;
}

/* _greetings._is_enhanced: class.subject.detail of RFC 2034 */
static int is_enhanced(struct text word)
{
    while (word.size > 0 && *word.at == '#')
        word.at++, word.size--;
    while (word.size > 0 && word.at[word.size - 1] == '#')
        word.size--;
    size_t part = 0, length = 0;
    for (size_t i = 0; i < word.size; i++) {
        if (word.at[i] == '.') {
            if (length == 0 || ++part > 2)
                return 0;
            length = 0;
        } else if (!is_digit(word.at[i]) || ++length > 3 || (part == 0 && length > 1)) {
            return 0;
        }
    }
    return part == 2 && length > 0 && (*word.at == '2' || *word.at == '4' || *word.at == '5');
}

/* _greetings.DATE */
static int holds_date(struct text text)
{
    for (size_t i = 0; i + 14 <= text.size; i++) {
        const uint8_t *at = text.at + i;
        if (at[2] == ':' && at[5] == ':' && at[8] == ' ' && (at[9] == '+' || at[9] == '-') && is_digit(at[0]) &&
            is_digit(at[1]) && is_digit(at[3]) && is_digit(at[4]) && is_digit(at[6]) && is_digit(at[7]) &&
            is_digit(at[10]) && is_digit(at[11]) && is_digit(at[12]) && is_digit(at[13]))
            return 1;
    }
    return 0;
}

/* _greetings._by_shape of code 220; LABELS: both, or what is left */
static enum label by_shape(const struct greetings *table, struct text host, int qualified, struct text rest)
{
    if (is_enhanced(host) || starts(host, "***"))
        return SMTP;
    if (starts(rest, "sorry, no server available") || starts(rest, "no connections allowed from your ip"))
        return FTP;
    if (qualified) {
        if (starts(host, "mail") || starts(host, "smtp") || starts(host, "mx") || starts(host, "relay") ||
            starts(host, "rblsmtpd") || holds_date(rest))
            return SMTP;
        return starts(host, "ftp") ? FTP : LABELS;
    }
    struct text known[6], word;
    size_t distinct = 0, odd = 0, at = 0;
    while ((word = next(rest, &at, is_alnum)).size > 0) {
        size_t i = 0;
        while (i < distinct && (known[i].size != word.size || memcmp(known[i].at, word.at, word.size) != 0))
            i++;
        if (i < distinct)
            continue;
        if (distinct == 5)
            return FTP;
        known[distinct++] = word;
        odd += (value(&table->told, word) & STOCK_WORD) == 0;
    }
    return distinct <= 2 || odd <= 1 ? LABELS : FTP;
}

static enum label verdict(const struct greetings *table, struct text text)
{
    if (holds(text, " scan") && (holds(text, "daemon mode scanner") || holds(text, "antivirus scan engine")))
        return LABELS;
    int mail = holds(text, "smtp"), files = holds(text, "ftp");
    if (mail != files) {
        size_t place = find(text, mail ? "smtp" : "ftp");
        const uint8_t *blank = text.size > 1 ? memchr(text.at + 1, ' ', text.size - 1) : NULL;
        if (blank != NULL && text.at[0] != '[' &&
            (place > (size_t)(blank - text.at) || memchr(text.at, '.', (size_t)(blank - text.at)) == NULL))
            return mail ? SMTP : FTP;
    }
    size_t plain = 0;
    while (plain < text.size && (is_digit(text.at[plain]) || text.at[plain] == '.' || text.at[plain] == ' ' ||
                                 (text.at[plain] >= 9 && text.at[plain] <= 13 && text.at[plain] != 11 &&
                                  text.at[plain] != 12)))
        plain++;
    if (plain == text.size) /* numbers alone */
        return LABELS;
    struct text host = text, rest;
    while (host.size > 0 && *host.at == ' ')
        host.at++, host.size--;
    const uint8_t *blank = memchr(host.at, ' ', host.size);
    rest = (struct text){text.at + text.size, 0};
    if (blank != NULL) {
        rest = (struct text){blank + 1, (size_t)(host.at + host.size - blank - 1)};
        host.size = (size_t)(blank - host.at);
    }
    while (host.size > 0 && memchr("\r\n,;", host.at[host.size - 1], 4) != NULL)
        host.size--;
    const int qualified = (host.size > 0 && *host.at == '[') || equal(host, "localhost") ||
                          (memchr(host.at, '.', host.size) != NULL && is_domain(host));
    if (!qualified)
        rest = text;
    mail = holds(rest, "smtp"), files = holds(rest, "ftp");
    if (mail != files)
        return mail ? SMTP : FTP;
    if (mail)
        return holds(rest, "ftp serv") && !holds(rest, "esmtp") ? FTP : SMTP;
    if (holds(text, "concurrent connection limit in av"))
        return SMTP;
    size_t kinds = 0, at = 0;
    for (struct text word; (word = next(rest, &at, is_alnum)).size > 0;)
        kinds |= value(&table->told, word);
    if (kinds & OTHER_WORD)
        return LABELS;
    mail = (kinds & MAIL_WORD) != 0 || holds(rest, "mail"), files = (kinds & FILE_WORD) != 0;
    if (mail != files)
        return mail ? SMTP : FTP;
    return by_shape(table, host, qualified, rest);
}

/* --- which replies are looked at at all -------------------------------------------------------------------------- */

/* greetline._goes_on: whether all lines are the greeting's own */
static int goes_on(struct text reply)
{
    const uint8_t *stop = reply.at + reply.size;
    for (const uint8_t *at = reply.at + 3; at < stop && (at = memchr(at, '\n', (size_t)(stop - at))) != NULL;) {
        if (++at == stop)
            return 1;
        if (reply.at[3] != '-')
            return 0;
        const size_t left = (size_t)(stop - at);
        if (is_digit(*at)) {
            if (left < 4 || memcmp(at, "220", 3) != 0 || (at[3] != ' ' && at[3] != '-') ||
                (left > 4 && memchr("#245", at[4], 4) != NULL))
                return 0;
        } else if (memchr("S+*HR@-A\xff", *at, 9) != NULL) {
            return 0;
        }
    }
    return 1;
}

static int is_text(struct text line)
{
    for (size_t i = 0; i < line.size; i++) {
        const uint8_t byte = line.at[i];
        if (byte < 9 || byte == 11 || (byte > 13 && byte < 32 && byte != 27) || byte == 127)
            return 0;
    }
    return 1;
}

/* greetline._label; `low`: as much of the reply as is read, in small letters */
static enum label label_of(const struct greetings *table, struct text reply, struct text low)
{
    if (reply.size < 5 || reply.size > LINES_REACH || memchr(reply.at, 0, reply.size) != NULL || !goes_on(reply))
        return LABELS;
    if (starts(reply, "220 ") || starts(reply, "220-")) {
        struct text text = {low.at + 4, low.size - 4};
        if (holds(reply, "> <") || holds(reply, "LMTP") || starts(text, "vmware auth"))
            return LABELS;
        return verdict(table, text);
    }
    struct text line = {reply.at, low.size};
    const uint8_t *end = memchr(line.at, '\n', line.size);
    if (end != NULL)
        line.size = (size_t)(end - line.at);
    while (line.size > 0 && line.at[line.size - 1] == '\r')
        line.size--;
    if (!is_text(line))
        return LABELS;
    if (starts(line, "+OK ")) {
        if (holds(line, " password server"))
            return LABELS;
        for (size_t i = 4; i < line.size; i++)
            if (!is_blank(line.at[i]))
                return POP3;
        return LABELS;
    }
    return starts(line, "* OK ") && line.size > 5 && !starts(line, "* OK MUPDATE ") && !starts(line, "* OK Cyrus IMSP ") &&
                   !starts(line, "* OK SSP ")
               ? IMAP
               : LABELS;
}

/* --- greetings.lookup -------------------------------------------------------------------------------------------- */

/* greetings.lookup.greeting_lines: how many of the bytes are the greeting's; `reply` may go on behind what is read */
static size_t said(struct text reply)
{
    const size_t reach = reply.size < REACH ? reply.size : REACH;
    const struct text text = {reply.at, reach};
    const int coded = is_digit(reply.at[0]) && is_digit(reply.at[1]) && is_digit(reply.at[2]);
    const uint8_t *end = memchr(text.at, '\n', text.size);
    if (coded && reply.at[3] == '-') {
        const char last[] = {'\n', (char)reply.at[0], (char)reply.at[1], (char)reply.at[2], ' ', 0};
        size_t at = find(text, last);
        end = at == NOWHERE ? NULL : memchr(text.at + at + 1, '\n', text.size - at - 1);
    }
    while (end != NULL && coded) {
        const size_t at = (size_t)(end + 1 - reply.at);
        if (reply.size - at < 4 || memcmp(end + 1, reply.at, 3) != 0 || (end[4] != ' ' && end[4] != '-'))
            break;
        end = at < reach ? memchr(end + 1, '\n', reach - at) : NULL;
    }
    return end != NULL ? (size_t)(end - reply.at) : reach;
}

static int is_kept(uint8_t byte) { return is_alnum(byte) || byte == '-' || byte == '.'; }

/* The program of a word's row that the text names; `*after`: where its needle ends */
static const struct program *of_row(const struct program *programs, size_t number, struct text low, const uint8_t *text,
                                    size_t *after)
{
    for (const struct program *it; number != 0; number = it->next) {
        it = &programs[number - 1];
        size_t place = lzr_find(low.at, low.size, &it->needle);
        if (place == NOWHERE)
            continue;
        *after = place + it->needle.size;
        if (is_alnum(it->needle.text[it->needle.size - 1]) && *after < low.size && is_alnum(low.at[*after]))
            continue;
        if (!(it->anybody && is_small(text[place])))
            return it;
    }
    return NULL;
}

static struct text stripped(struct text word)
{
    while (word.size > 0 && *word.at == '.')
        word.at++, word.size--;
    while (word.size > 0 && word.at[word.size - 1] == '.')
        word.size--;
    return word;
}

/* greetings.lookup.named: `low` is the text in small letters, with blanks for underscores and the hyphens of codes */
static const struct program *named(const struct greetings *table, enum label label, struct text low, const uint8_t *text,
                                   size_t *after)
{
    const struct words *first = &table->first[label];
    for (int strip = 0; strip < 2; strip++) {
        int met = 0;
        size_t at = 0;
        for (struct text word; (word = next(low, &at, is_kept)).size > 0;) {
            size_t number = value(first, strip ? stripped(word) : word);
            met |= number != 0;
            const struct program *it = of_row(table->programs[label], number, low, text, after);
            if (it != NULL)
                return it;
        }
        if (met || memchr(low.at, '.', low.size) == NULL)
            return NULL;
    }
    return NULL;
}

/* greetings.lookup._VERSION's number at `at`, or an empty text */
static struct text number_at(struct text text, size_t at)
{
    if (at < text.size && (text.at[at] == 'v' || text.at[at] == 'V' || text.at[at] == 'X'))
        at++;
    const size_t start = at;
    while (at < text.size && is_digit(text.at[at]))
        at++;
    if (at == start || at - start > 4)
        return (struct text){text.at, 0};
    size_t parts = 0;
    while (parts < 5 && at + 1 < text.size && text.at[at] == '.' && is_word(text.at[at + 1])) {
        size_t length = 0;
        at++, parts++;
        while (length < 12 && at < text.size && is_word(text.at[at]))
            at++, length++;
    }
    return (struct text){text.at + start, parts > 0 ? at - start : 0};
}

static struct text version(struct text text)
{
    size_t bracket = text.size > 1 && is_blank(text.at[0]) ? 1 : 0;
    struct text found = {text.at, 0};
    if (bracket < text.size && text.at[bracket] == '[')
        found = number_at(text, bracket + 1);
    if (found.size == 0)
        found = number_at(text, 0);
    for (size_t i = 0; found.size == 0 && i < text.size; i++)
        if (is_blank(text.at[i]) || memchr("/(_-", text.at[i], 4) != NULL)
            found = number_at(text, i + 1);
    return found;
}

/* greetings.lookup._QUAD: what begins with four numbers of three digits at most may be an address */
static int is_quad(struct text text)
{
    size_t parts = 0;
    for (size_t at = 0; parts < 4; at++) {
        size_t length = 0;
        while (at < text.size && is_digit(text.at[at]))
            at++, length++;
        if (length == 0 || length > 3)
            return 0;
        parts++;
        if (at == text.size || text.at[at] != '.')
            return parts == 4 && at == text.size;
    }
    return 1;
}

/* greetings.lookup._BEFORE_ADDRESS: whether the text ends with a word behind which an address comes */
static int is_before_address(struct text text)
{
    static const char *const WORDS[] = {"at", "on", "from", "for", "address", "ip", "ready"};
    size_t end = text.size, marks = 0;
    while (marks < 3 && end > 0 && memchr(" [(:", text.at[end - 1], 4) != NULL)
        end--, marks++;
    size_t start = end;
    while (start > 0 && is_alpha(text.at[start - 1]))
        start--;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS && marks > 0; i++) {
        const size_t size = strlen(WORDS[i]);
        size_t same = 0;
        while (same < size && size == end - start && lower(text.at[start + same]) == WORDS[i][same])
            same++;
        if (same == size)
            return 1;
    }
    return 0;
}

/* freetext._NUMBERED's look ahead: an address in brackets */
static int is_address(struct text text)
{
    size_t at = 1;
    if (text.at[0] != '[')
        return 0;
    for (size_t part = 0; part < 4; part++) {
        const size_t start = at;
        while (at < text.size && at - start < 3 && is_digit(text.at[at]))
            at++;
        if (at == start || at == text.size || text.at[at++] != (part < 3 ? '.' : ']'))
            return 0;
    }
    return 1;
}

/* freetext._NUMBERED, from a byte on */
static int is_numbered(struct text text, size_t from)
{
    for (size_t i = from; i < text.size; i++) {
        if (memchr(" ([/_-", text.at[i], 6) == NULL || is_address((struct text){text.at + i, text.size - i}))
            continue;
        size_t at = i + 1;
        if (at < text.size && (text.at[at] == 'v' || text.at[at] == 'V'))
            at++;
        if (at + 1 < text.size && text.at[at] == 'e' && text.at[at + 1] == 'r') {
            at += 2;
            if (text.size - at >= 4 && memcmp(text.at + at, "sion", 4) == 0)
                at += 4;
            if (at < text.size && text.at[at] == '.')
                at++;
        }
        const size_t start = at;
        while (at < text.size && is_digit(text.at[at]))
            at++;
        if (at > start && at - start <= 4 && at + 1 < text.size && text.at[at] == '.' && is_word(text.at[at + 1]))
            return 1;
    }
    return 0;
}

/* freetext.may_show: whether the form may show a program's name */
static int may_show(struct text low)
{
    static const char *const MARKS[] = {"ftpd", "smtpd", "popd", "pop3d", "imapd", "nntpd", "server (", "service (", "proxy ("};
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++)
        if (holds(low, MARKS[i]))
            return 1;
    return 0;
}

/* statements.may_be_device: the first word of some devices' greetings */
static int may_be_device(const struct greetings *table, struct text reply)
{
    struct text word = {reply.at + 4, (reply.size < DEVICE_REACH ? reply.size : DEVICE_REACH) - 4};
    const uint8_t *blank = memchr(word.at, ' ', word.size);
    if (blank != NULL)
        word.size = (size_t)(blank - word.at);
    return value(&table->devices, word) != 0 || holds(word, "!Box");
}

static int holds_one(const struct needles *needles, struct text text)
{
    for (size_t i = 0; i < needles->count; i++)
        if (lzr_find(text.at, text.size, &needles->at[i]) != NOWHERE)
            return 1;
    return 0;
}

static int may_be_elsewhere(const struct greetings *table, struct text reply)
{
    const size_t size = (reply.size < ELSEWHERE_REACH ? reply.size : ELSEWHERE_REACH) - 4;
    return holds_one(&table->elsewhere, (struct text){reply.at + 4, size});
}

static int is_of_maker(uint8_t byte) { return !is_blank(byte) && memchr("([,;:.)]*=|\"'/", byte, 14) == NULL; }

static int holds_word(const struct words *words, struct text low)
{
    size_t at = 0;
    for (struct text word; (word = next(low, &at, is_of_maker)).size > 0;)
        if (value(words, word) != 0)
            return 1;
    return 0;
}

static int names_maker(const struct greetings *table, struct text low)
{
    struct text line = {low.at + 4, (low.size < MAKERS_REACH ? low.size : MAKERS_REACH) - 4};
    const uint8_t *end = memchr(line.at, '\n', line.size);
    if (end != NULL)
        line.size = (size_t)(end - line.at);
    return holds_word(&table->makers, line);
}

/* --- identities ------------------------------------------------------------------------------------------------- */

static PyObject *new_identity(const struct greetings *table, enum label label, PyObject *name, struct text number)
{
    PyObject *number_text = PyUnicode_DecodeLatin1((const char *)number.at, (Py_ssize_t)number.size, NULL);
    PyObject *it = number_text != NULL ? table->identity->tp_alloc(table->identity, 5) : NULL;
    if (it == NULL) {
        Py_XDECREF(number_text);
        return NULL;
    }
    PyTuple_SET_ITEM(it, 0, Py_NewRef(table->labels[label]));
    PyTuple_SET_ITEM(it, 1, Py_NewRef(table->empty));
    PyTuple_SET_ITEM(it, 2, Py_NewRef(name));
    PyTuple_SET_ITEM(it, 3, number_text);
    PyTuple_SET_ITEM(it, 4, Py_NewRef(table->details));
    PyObject_GC_UnTrack(it); /* strings, and a tuple of strings, are in no cycle */
    return it;
}

/* The same, from among those that were made lately where it is there. */
static PyObject *identity(const struct greetings *table, enum label label, PyObject *name, struct text number)
{
    if (number.size > BEHIND)
        return new_identity(table, label, name, number);
    const uint64_t hash = lzr_mix64(hash_of(number.at, number.size) ^ (uint64_t)(uintptr_t)name ^ (uint64_t)label);
    struct made *made = &table->made[hash % MADE];
    if (made->identity == NULL || made->name != name || made->label != (size_t)label || made->size != number.size ||
        memcmp(made->version, number.at, number.size) != 0) {
        PyObject *it = new_identity(table, label, name, number), *was = made->identity;
        if (it == NULL)
            return NULL;
        *made = (struct made){.identity = it, .name = name, .size = number.size, .label = (size_t)label};
        memcpy(made->version, number.at, number.size);
        Py_XDECREF(was);
    }
    return Py_NewRef(made->identity);
}

/* shells.negotiation, without subnegotiation: how many bytes at the start are well-formed */
static size_t negotiated(const struct greetings *table, struct text reply)
{
    size_t at = 0;
    while (at + 2 < reply.size && reply.at[at] == 255) {
        const uint8_t command = reply.at[at + 1];
        if (command >= 251 && command <= 254) {
            if (!table->options[reply.at[at + 2]])
                break;
            at += 3;
        } else if (command > 240 && command < 250 && at > 0) {
            at += 2;
        } else {
            break;
        }
    }
    return at;
}

/* The program of a text, and its version, which may be empty; `small`: the text in small letters */
static const struct program *program_of(const struct greetings *table, enum label label, struct text text,
                                        const uint8_t *small, struct text *found)
{
    uint8_t blanks[REACH];
    size_t after = 0;
    for (size_t i = 0; i < text.size; i++)
        blanks[i] = small[i] == '_' ? ' ' : small[i];
    if (text.size > 3 && blanks[3] == '-') {
        uint8_t code[4];
        memcpy(code, blanks, 4);
        for (size_t i = 0; i + 4 <= text.size; i++)
            if (memcmp(blanks + i, code, 4) == 0)
                blanks[i += 3] = ' ';
    }
    const struct program *program = named(table, label, (struct text){blanks, text.size}, text.at, &after);
    *found = (struct text){text.at, 0};
    if (program != NULL) {
        *found = version((struct text){text.at + after, text.size - after < BEHIND ? text.size - after : BEHIND});
        if (found->size > 0 && is_quad(*found) &&
            is_before_address((struct text){text.at + after, (size_t)(found->at - text.at) - after}))
            found->size = 0;
    }
    return program;
}

/* greetline._terminal: negotiation, and what a terminal says behind it */
static PyObject *terminal(const struct greetings *table, struct text reply)
{
    uint8_t small[TERMINAL_REACH];
    const size_t agreed = negotiated(table, reply);
    if (agreed == 0 || agreed > AGREED || reply.size >= SEGMENT)
        return NULL;
    for (size_t i = 0; i < table->n_foreign; i++) {
        const struct foreign *foreign = &table->foreign[i];
        if (foreign->at <= reply.size && foreign->needle.size <= reply.size - foreign->at &&
            memcmp(reply.at + foreign->at, foreign->needle.text, foreign->needle.size) == 0)
            return NULL;
    }
    struct text rest = {reply.at + agreed, reply.size - agreed}, found;
    for (size_t i = 0; i < rest.size; i++) {
        const uint8_t byte = rest.at[i];
        if (byte == 255 || (byte < 7 && byte != 0) || byte == 11 || (byte > 15 && byte < 32 && byte != 27) || byte == 127)
            return NULL;
    }
    if (reply.size <= NEGOTIATED)
        return Py_NewRef(table->plain[TELNET]);
    if (rest.size > TERMINAL_REACH)
        rest.size = TERMINAL_REACH;
    for (size_t i = 0; i < rest.size; i++)
        small[i] = lower(rest.at[i]);
    if (holds_one(&table->quoted, rest) || holds_word(&table->terminals, (struct text){small, rest.size}) ||
        is_numbered(rest, 0))
        return NULL;
    const struct program *program = program_of(table, TELNET, rest, small, &found);
    return program != NULL ? identity(table, TELNET, program->name, found) : Py_NewRef(table->plain[TELNET]);
}

PyObject *lzr_greeting_identity(const struct greetings *table, const uint8_t *data, size_t size, size_t *number)
{
    uint8_t small[REACH];
    if (size >= 3 && *data == 255) {
        *number = TELNET;
        return terminal(table, (struct text){data, size});
    }
    if (size < 5 || (*data != '2' && *data != '+' && *data != '*'))
        return NULL;
    const struct text reply = {data, size};
    const size_t reach = size < REACH ? size : REACH;
    for (size_t i = 0; i < reach; i++)
        small[i] = lower(data[i]);
    enum label label = label_of(table, reply, (struct text){small, reach});
    if (label == LABELS || (label == FTP && may_be_device(table, reply)))
        return NULL;
    const struct text greeting = {data, said(reply)};
    struct text found;
    const struct program *program = program_of(table, label, greeting, small, &found);
    if (found.size == 0 && is_numbered(greeting, 3))
        return NULL;
    if (program == NULL && (may_show((struct text){small, greeting.size}) ||
                            (label == FTP && (may_be_elsewhere(table, reply) ||
                                              names_maker(table, (struct text){small, reach})))))
        return NULL;
    *number = (size_t)label;
    return program != NULL ? identity(table, label, program->name, found) : Py_NewRef(table->plain[label]);
}

/* --- the table -------------------------------------------------------------------------------------------------- */

static void drop(struct greetings *table)
{
    for (int label = 0; label < LABELS; label++) {
        PyMem_Free(table->first[label].at);
        PyMem_Free(table->programs[label]);
    }
    for (size_t i = 0; i < MADE && table->made != NULL; i++)
        Py_XDECREF(table->made[i].identity);
    PyMem_Free(table->made);
    PyMem_Free(table->told.at);
    PyMem_Free(table->makers.at);
    PyMem_Free(table->devices.at);
    PyMem_Free(table->terminals.at);
    PyMem_Free(table->elsewhere.at);
    PyMem_Free(table->quoted.at);
    PyMem_Free(table->foreign);
    Py_XDECREF(table->empty);
    Py_XDECREF(table->kept);
    PyMem_Free(table);
}

static void destroy(PyObject *capsule)
{
    struct greetings *table = PyCapsule_GetPointer(capsule, CAPSULE);
    if (table != NULL)
        drop(table);
}

const struct greetings *lzr_greetings_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, CAPSULE); }

PyObject *lzr_greeting_label(const struct greetings *table, size_t number) { return table->labels[number]; }

static int room_for(struct words *words, size_t count)
{
    size_t slots = 16;
    while (slots < 2 * count + 2)
        slots *= 2;
    words->mask = slots - 1;
    return (words->at = PyMem_Calloc(slots, sizeof *words->at)) != NULL || PyErr_NoMemory() != NULL;
}

/* Pairs of a word and a number that is not 0. */
static int fill_words(struct words *words, PyObject *pairs)
{
    if (!lzr_is_tuple(pairs, -1) || !room_for(words, (size_t)PyTuple_GET_SIZE(pairs)))
        return 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(pairs); i++) {
        PyObject *pair = PyTuple_GET_ITEM(pairs, i);
        char *text;
        Py_ssize_t size;
        if (!lzr_is_tuple(pair, 2) || PyBytes_AsStringAndSize(PyTuple_GET_ITEM(pair, 0), &text, &size) < 0)
            return 0;
        struct word *word = slot(words, (const uint8_t *)text, (size_t)size);
        *word = (struct word){(const uint8_t *)text, (size_t)size, PyLong_AsSize_t(PyTuple_GET_ITEM(pair, 1))};
        if (PyErr_Occurred())
            return 0;
    }
    return 1;
}

/* Rows of (first word, needle, name, whether it may be anybody's), in the order in which they are asked. */
static int fill_programs(struct greetings *table, enum label label, PyObject *rows)
{
    if (!lzr_is_tuple(rows, -1) || !room_for(&table->first[label], (size_t)PyTuple_GET_SIZE(rows)))
        return 0;
    const size_t count = (size_t)PyTuple_GET_SIZE(rows);
    struct program *programs = table->programs[label] = PyMem_Calloc(count + 1, sizeof *programs);
    if (programs == NULL)
        return PyErr_NoMemory() != NULL;
    for (size_t i = count; i-- > 0;) { /* backwards: each goes in front of those with the same word */
        PyObject *row = PyTuple_GET_ITEM(rows, (Py_ssize_t)i);
        char *text;
        Py_ssize_t size;
        if (!lzr_is_tuple(row, 4) || PyBytes_AsStringAndSize(PyTuple_GET_ITEM(row, 0), &text, &size) < 0 ||
            !lzr_needle(PyTuple_GET_ITEM(row, 1), &programs[i].needle))
            return 0;
        if (!PyUnicode_Check(PyTuple_GET_ITEM(row, 2)))
            return lzr_wants("names") != NULL;
        programs[i].name = PyTuple_GET_ITEM(row, 2);
        programs[i].anybody = PyTuple_GET_ITEM(row, 3) == Py_True;
        struct word *word = slot(&table->first[label], (const uint8_t *)text, (size_t)size);
        programs[i].next = word->value;
        *word = (struct word){(const uint8_t *)text, (size_t)size, i + 1};
    }
    return 1;
}

static int fill_needles(struct needles *needles, PyObject *tuple)
{
    return (needles->at = lzr_needles(tuple, &needles->count)) != NULL;
}

/* (options, words, quoted, foreign) of terminals: 256 bytes; pairs; needles; pairs of offset and bytes */
static int fill_terminals(struct greetings *table, PyObject *tuple)
{
    if (!lzr_is_tuple(tuple, 4) || !fill_words(&table->terminals, PyTuple_GET_ITEM(tuple, 1)) ||
        !fill_needles(&table->quoted, PyTuple_GET_ITEM(tuple, 2)))
        return 0;
    PyObject *options = PyTuple_GET_ITEM(tuple, 0), *foreign = PyTuple_GET_ITEM(tuple, 3);
    if (!PyBytes_Check(options) || PyBytes_GET_SIZE(options) != 256)
        return lzr_wants("256 options") != NULL;
    table->options = (const uint8_t *)PyBytes_AS_STRING(options);
    if (!lzr_is_tuple(foreign, -1))
        return 0;
    table->n_foreign = (size_t)PyTuple_GET_SIZE(foreign);
    if ((table->foreign = PyMem_Calloc(table->n_foreign + 1, sizeof *table->foreign)) == NULL)
        return PyErr_NoMemory() != NULL;
    for (size_t i = 0; i < table->n_foreign; i++) {
        PyObject *pair = PyTuple_GET_ITEM(foreign, (Py_ssize_t)i);
        if (!lzr_is_tuple(pair, 2) || !lzr_needle(PyTuple_GET_ITEM(pair, 1), &table->foreign[i].needle))
            return 0;
        table->foreign[i].at = PyLong_AsSize_t(PyTuple_GET_ITEM(pair, 0));
        if (PyErr_Occurred())
            return 0;
    }
    return 1;
}

/* (identities, programs, words, makers, devices, elsewhere, terminals) -> table. identities: one of each label that says
 * nothing but that; programs: rows of each label; words, makers, devices: pairs of word and number; elsewhere: needles;
 * terminals: as `fill_terminals` takes it */
PyObject *lzr_greeting_table(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    if (count != 7 || !lzr_is_tuple(args[0], LABELS) || !lzr_is_tuple(args[1], LABELS))
        return PyErr_Occurred() ? NULL : lzr_wants("(identities, programs, words, makers, devices, elsewhere, terminals)");
    struct greetings *table = PyMem_Calloc(1, sizeof *table);
    if (table == NULL)
        return PyErr_NoMemory();
    if ((table->kept = PyTuple_Pack(7, args[0], args[1], args[2], args[3], args[4], args[5], args[6])) == NULL ||
        (table->empty = PyUnicode_FromStringAndSize("", 0)) == NULL)
        goto failed;
    if ((table->made = PyMem_Calloc(MADE, sizeof *table->made)) == NULL) {
        PyErr_NoMemory();
        goto failed;
    }
    for (int label = 0; label < LABELS; label++) {
        PyObject *plain = PyTuple_GET_ITEM(args[0], label);
        if (!PyTuple_Check(plain) || Py_TYPE(plain) == &PyTuple_Type || !lzr_is_tuple(plain, 5) ||
            Py_TYPE(plain)->tp_basicsize != PyTuple_Type.tp_basicsize) {
            PyErr_Clear();
            lzr_wants("identities");
            goto failed;
        }
        table->plain[label] = plain;
        table->labels[label] = PyTuple_GET_ITEM(plain, 0);
        table->identity = Py_TYPE(plain);
        table->details = PyTuple_GET_ITEM(plain, 4);
        if (!fill_programs(table, (enum label)label, PyTuple_GET_ITEM(args[1], label)))
            goto failed;
    }
    if (fill_words(&table->told, args[2]) && fill_words(&table->makers, args[3]) && fill_words(&table->devices, args[4]) &&
        fill_needles(&table->elsewhere, args[5]) && fill_terminals(table, args[6])) {
        PyObject *capsule = PyCapsule_New(table, CAPSULE, destroy);
        if (capsule != NULL)
            return capsule;
    }
failed:
    drop(table);
    return NULL;
}

/* (table, data) -> Identity of a greeting whose label and program are beyond doubt, or None */
PyObject *lzr_greeting(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    (void)self;
    char *text;
    Py_ssize_t size;
    size_t number;
    if (count != 2)
        return lzr_wants("(table, data)");
    const struct greetings *table = lzr_greetings_of(args[0]);
    if (table == NULL || PyBytes_AsStringAndSize(args[1], &text, &size) < 0)
        return NULL;
    PyObject *it = lzr_greeting_identity(table, (const uint8_t *)text, (size_t)size, &number);
    return it != NULL || PyErr_Occurred() ? it : Py_NewRef(Py_None);
}
