/* A table of messages, right ones and wrong ones, and the status of each. */
#include "unit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "codec.h"

/* MessagePack from a notation: [ ] arrays, 'text', numbers, d1.5 doubles, f floats, n nil, t true,
 * { } an empty map, x an extension, @20 a text of 20 letters, #20 bytes of that length, *20 that
 * many times the number 1. */
static uint8_t *s_packed(const char *text, size_t *size)
{
    uint8_t *bytes = malloc(2u << 20);
    uint8_t *p = bytes;
    struct {
        uint8_t *count; /* where the array's count belongs */
        uint32_t n;
    } open[16] = {{NULL, 0}};
    int depth = 0;
    for (const char *at = text; *at;) {
        char c = *at++;
        char *rest = (char *)at;
        uint32_t n = 1;
        if (c == ' ')
            continue;
        if (c == ']') {
            depth--;
            uint8_t *count = open[depth].count;
            for (int i = 0; count && i < 4; i++)
                count[i] = (uint8_t)(open[depth].n >> (24 - 8 * i));
            continue;
        }
        if (c == '*') {
            n = (uint32_t)strtoul(at, &rest, 10);
            memset(p, 1, n);
            p += n;
        }
        if (depth > 0)
            open[depth - 1].n += n;
        if (c == '[') {
            *p++ = 0xdd;
            open[depth].count = p;
            open[depth++].n = 0;
            p += 4;
        } else if (c == '\'') {
            size_t length = strcspn(at, "'");
            *p++ = 0xd9;
            *p++ = (uint8_t)length;
            memcpy(p, at, length);
            p += length;
            rest = (char *)at + length + 1;
        } else if (c == '@' || c == '#') {
            unsigned long length = strtoul(at, &rest, 10);
            *p++ = c == '@' ? 0xda : 0xc5;
            *p++ = (uint8_t)(length >> 8);
            *p++ = (uint8_t)length;
            memset(p, 'a', length);
            p += length;
        } else if (c == 'd') {
            union {
                double number;
                uint64_t bits;
            } value = {strtod(at, &rest)};
            *p++ = 0xcb;
            for (int i = 56; i >= 0; i -= 8)
                *p++ = (uint8_t)(value.bits >> i);
        } else if (c == 'f') {
            memcpy(p, "\xca\x3f\x80\x00\x00", 5);
            p += 5;
        } else if (c == 'n') {
            *p++ = 0xc0;
        } else if (c == 't') {
            *p++ = 0xc3;
        } else if (c == '{') {
            *p++ = 0x80;
            rest = (char *)at + 1;
        } else if (c == 'x') {
            memcpy(p, "\xd4\x01\x00", 3);
            p += 3;
        } else if (c != '*') {
            bool negative = c == '-';
            uint64_t value =
                negative ? (uint64_t)strtoll(at - 1, &rest, 10) : strtoull(at - 1, &rest, 10);
            if (!negative && value < 128) {
                *p++ = (uint8_t)value;
            } else {
                *p++ = negative ? 0xd3 : 0xcf;
                for (int i = 56; i >= 0; i -= 8)
                    *p++ = (uint8_t)(value >> i);
            }
        }
        at = rest;
    }
    assert_int_equal(depth, 0);
    *size = (size_t)(p - bytes);
    return bytes;
}

#define HEAD(type)  "['drover' 1 " #type " 7 1 5 0 "
#define LAYERS      "[['dense' 64 'tanh' d0 0 0 0] ['dense' 10 'sigmoid' d0 0 0 0]]"
#define SAMPLER     "1 d0.7 60000 512"
#define PLANES      "':1' ':2' ':3' d0 'sse' [] 0"
#define WELCOME(xs) HEAD(2) "[" xs " 0 '' []]]" /* no rows to evaluate on, none altered */
#define AUGMENT(n_inputs, xs)                                                                      \
    HEAD(2) "[1 " n_inputs " " LAYERS SAMPLER "'d' 'k' 100" PLANES " 0 '' [" xs "]]]"
#define SPEEDS     "'u' 1 2 d1 d2 d0.5 dnan d1 d9 5 d1 dnan "
#define REPORT(xs) HEAD(15) "['server' " SPEEDS "'' " xs "]]"
#define MEMBER     "1 'n' 'h' 'k' 4 1 'active' d1 1 1 1 1 1"

static const struct {
    const char *what;
    const char *message;
    wire_status_t status;
} s_cases[] = {
    {"a heartbeat", HEAD(5) "[9]]", WIRE_OK},
    {"nil", "n", WIRE_BAD_MAGIC},
    {"a number", "17", WIRE_BAD_MAGIC},
    {"a text", "'drover'", WIRE_BAD_MAGIC},
    {"an empty array", "[]", WIRE_BAD_MAGIC},
    {"the magic alone", "['drover']", WIRE_BAD_MAGIC},
    {"another magic", "['Drover' 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"a longer magic", "['drovers' 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"a short magic", "['drove' 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"magic as bytes", "[#6 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"magic as a number", "[1 1 5 7 1 5 0 [9]]", WIRE_BAD_MAGIC},
    {"a map", "{}", WIRE_BAD_BYTES},
    {"a map inside", HEAD(5) "[{}]]", WIRE_BAD_BYTES},
    {"an extension", "x", WIRE_BAD_BYTES},
    {"an extension inside", HEAD(5) "[x]]", WIRE_BAD_BYTES},
    {"too deep", HEAD(2) "[1 [2 [[[3]]]]]]", WIRE_BAD_BYTES},
    {"two objects", "1 1", WIRE_BAD_MAGIC},
    {"a heartbeat and a number", HEAD(5) "[9]] 1", WIRE_BAD_DIGEST},
    {"a version to come and more", "['drover' 2] {} 1 2 3 x", WIRE_BAD_DIGEST},
    {"a version to come", "['drover' 2 99 n]", WIRE_BAD_VERSION},
    {"version 0", "['drover' 0]", WIRE_BAD_VERSION},
    {"the largest version", "['drover' 4294967295 5 7 1 5 0 [9]]", WIRE_BAD_VERSION},
    {"a version past that", "['drover' 4294967296 5 7 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"a version in words", "['drover' 'one' 5 7 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"a negative version", "['drover' -1 5 7 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"type 0", HEAD(0) "[]]", WIRE_BAD_TYPE},
    {"type 18", HEAD(18) "[]]", WIRE_BAD_TYPE},
    {"a huge type", HEAD(18446744073709551615) "[]]", WIRE_BAD_TYPE},
    {"a type that is a word", HEAD('STEP') "[]]", WIRE_BAD_FIELD},
    {"a negative type", HEAD(-1) "[]]", WIRE_BAD_FIELD},
    {"no type", "['drover' 1]", WIRE_BAD_FIELD},
    {"no fields", "['drover' 1 5 7 1 5 0]", WIRE_BAD_FIELD},
    {"fields that are none", "['drover' 1 5 7 1 5 0 9]", WIRE_BAD_FIELD},
    {"nine elements", HEAD(5) "[9] 1]", WIRE_BAD_FIELD},
    {"a run of another type", "['drover' 1 5 '7' 1 5 0 [9]]", WIRE_BAD_FIELD},
    {"the largest run", "['drover' 1 5 18446744073709551615 1 5 0 [9]]", WIRE_OK},
    {"an incarnation too large", "['drover' 1 5 7 4294967296 5 0 [9]]", WIRE_BAD_FIELD},
    {"a negative step", "['drover' 1 5 7 1 -5 0 [9]]", WIRE_BAD_FIELD},
    {"a step that is a double", "['drover' 1 5 7 1 d5 0 [9]]", WIRE_BAD_FIELD},
    {"a digest that is nil", "['drover' 1 5 7 1 5 n [9]]", WIRE_BAD_FIELD},

    {"HELLO", HEAD(1) "['n' 'h' 'k' 1 '' 0]]", WIRE_OK},
    {"HELLO of a relay", HEAD(1) "['n' 'h' 'k' 1 '' 1]]", WIRE_OK},
    {"HELLO of the most relays", HEAD(1) "['n' 'h' 'k' 1 '' 255]]", WIRE_OK},
    {"HELLO of too many relays", HEAD(1) "['n' 'h' 'k' 1 '' 256]]", WIRE_BAD_FIELD},
    {"HELLO, truly a relay", HEAD(1) "['n' 'h' 'k' 1 '' t]]", WIRE_BAD_FIELD},
    {"HELLO without its last field", HEAD(1) "['n' 'h' 'k' 1 '']]", WIRE_BAD_FIELD},
    {"HELLO with one more field", HEAD(1) "['n' 'h' 'k' 1 '' 0 0]]", WIRE_BAD_FIELD},
    {"HELLO, a number for a name", HEAD(1) "[5 'h' 'k' 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, bytes for a name", HEAD(1) "[#5 'h' 'k' 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, the longest name", HEAD(1) "[@63 @63 @31 1 @32 0]]", WIRE_OK},
    {"HELLO, a name too long", HEAD(1) "[@64 'h' 'k' 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, a host too long", HEAD(1) "['n' @64 'k' 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, a kernel too long", HEAD(1) "['n' 'h' @32 1 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, a digest too long", HEAD(1) "['n' 'h' 'k' 1 @33 0]]", WIRE_BAD_FIELD},
    {"HELLO, too many threads", HEAD(1) "['n' 'h' 'k' 65537 '' 0]]", WIRE_BAD_FIELD},
    {"HELLO, true threads", HEAD(1) "['n' 'h' 'k' t '' 0]]", WIRE_BAD_FIELD},

    {"WELCOME", WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100" PLANES), WIRE_OK},
    {"WELCOME, no layer", WELCOME("1 784 []" SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, no inputs", WELCOME("1 0 " LAYERS SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, too wide an input", WELCOME("1 65537 " LAYERS SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer without units",
     WELCOME("1 784 [['dense' 0 'tanh' d0 0 0 0]]" SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, too wide a layer",
     WELCOME("1 784 [['dense' 65537 'tanh' d0 0 0 0]]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, too many parameters",
     WELCOME("1 65536 [['dense' 65536 'tanh' d0 0 0 0]]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, an unknown activation",
     WELCOME("1 784 [['dense' 10 'step' d0 0 0 0]]" SAMPLER "'d' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, a layer of eight",
     WELCOME("1 784 [['dense' 10 'tanh' d0 0 0 0 1]]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer of one", WELCOME("1 784 [['dense']]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a layer that is none", WELCOME("1 784 [10]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, convolution and pool",
     WELCOME("1 784 [['conv' 4 'relu' d0.5 5 1 2] ['max_pool' 0 'tanh' d0 2 2 0] ['dense' 10 "
             "'softmax' d0 0 0 0]]" SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d0 'cross_entropy' [] 0"),
     WIRE_OK},
    {"WELCOME, ten weights",
     WELCOME("1 784 [['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [d1 d1 d1 d1 d1 d1 d1 d1 d1 d0.5] 0"),
     WIRE_OK},
    {"WELCOME, a weight too few",
     WELCOME("1 784 [['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [d1 d1 d1 d1 d1 d1 d1 d1 d1] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a weight of 0",
     WELCOME("1 784 [['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [d1 d1 d1 d1 d1 d1 d1 d1 d1 d0] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, an unknown loss",
     WELCOME("1 784 [['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'hinge' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, cross-entropy without softmax",
     WELCOME("1 784 [['dense' 10 'tanh' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'cross_entropy' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, an unknown kind of layer",
     WELCOME("1 784 [['lstm' 10 'tanh' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, dropout of all",
     WELCOME("1 784 [['dense' 9 'tanh' d1 0 0 0] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, dropout NaN",
     WELCOME("1 784 [['dense' 9 'tanh' dnan 0 0 0] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a stride of 0",
     WELCOME("1 784 [['conv' 4 'relu' d0 5 0 2] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a window larger than the image",
     WELCOME("1 784 [['conv' 4 'relu' d0 29 1 0] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a huge padding",
     WELCOME("1 784 [['conv' 4 'relu' d0 5 1 4294967295] ['dense' 10 'softmax' d0 0 0 0]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a convolution at the end",
     WELCOME("1 784 [['conv' 4 'relu' d0 5 1 2]]" SAMPLER
             "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, a batch",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 60000"), WIRE_OK},
    {"WELCOME, a batch of more than there are",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d0 'sse' [] 60001"),
     WIRE_BAD_FIELD},
    {"WELCOME, altered rows", AUGMENT("784", "d2 d15 d0.1 d0.2 d34 d4"), WIRE_OK},
    {"WELCOME, rows altered by nothing", AUGMENT("784", "d0 d0 d0 d0 d0 d0"), WIRE_OK},
    {"WELCOME, altered by five", AUGMENT("784", "d2 d15 d0.1 d0.2 d34"), WIRE_BAD_FIELD},
    {"WELCOME, altered by seven", AUGMENT("784", "d2 d15 d0.1 d0.2 d34 d4 d1"), WIRE_BAD_FIELD},
    {"WELCOME, by an integer", AUGMENT("784", "d2 15 d0.1 d0.2 d34 d4"), WIRE_BAD_FIELD},
    {"WELCOME, altered below 0", AUGMENT("784", "d-1 d15 d0.1 d0.2 d34 d4"), WIRE_BAD_FIELD},
    {"WELCOME, altered by NaN", AUGMENT("784", "d2 dnan d0.1 d0.2 d34 d4"), WIRE_BAD_FIELD},
    {"WELCOME, scaled by too much", AUGMENT("784", "d2 d15 d1 d0.2 d34 d4"), WIRE_BAD_FIELD},
    {"WELCOME, not smooth", AUGMENT("784", "d2 d15 d0.1 d0.2 d34 d0"), WIRE_BAD_FIELD},
    {"WELCOME, altered, but no images", AUGMENT("783", "d1 d0 d0 d0 d0 d0"), WIRE_BAD_FIELD},
    {"WELCOME, too many layers", WELCOME("1 784 [*33]" SAMPLER "'d' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, fraction 0", WELCOME("1 784 " LAYERS "1 d0 60000 512 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, fraction 1", WELCOME("1 784 " LAYERS "1 d1 60000 512 'd' 'k' 100" PLANES), WIRE_OK},
    {"WELCOME, fraction 1.1", WELCOME("1 784 " LAYERS "1 d1.1 60000 512 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, fraction NaN", WELCOME("1 784 " LAYERS "1 dnan 60000 512 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a fraction of 32 bits", WELCOME("1 784 " LAYERS "1 f 60000 512 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME with rows to evaluate on",
     HEAD(2) "[1 784 " LAYERS SAMPLER "'d' 'k' 100" PLANES " 4294907295 'r' []]]", WIRE_OK},
    {"WELCOME with more rows than have numbers",
     HEAD(2) "[1 784 " LAYERS SAMPLER "'d' 'k' 100" PLANES " 4294907296 'r' []]]", WIRE_BAD_FIELD},
    {"WELCOME without a name of its rows",
     HEAD(2) "[1 784 " LAYERS SAMPLER "'d' 'k' 100" PLANES " 0 []]]", WIRE_BAD_FIELD},
    {"WELCOME, no rows", WELCOME("1 784 " LAYERS "1 d1 0 512 'd' 'k' 100" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, blocks of no rows", WELCOME("1 784 " LAYERS "1 d1 9 0 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, blocks too large", WELCOME("1 784 " LAYERS "1 d1 9 65537 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, a tree too large", WELCOME("1 784 " LAYERS "1 d1 4294967295 1 'd' 'k' 100" PLANES),
     WIRE_BAD_FIELD},
    {"WELCOME, no heartbeat", WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 0" PLANES), WIRE_BAD_FIELD},
    {"WELCOME, audit 1",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d1 'sse' [] 0"), WIRE_OK},
    {"WELCOME, audit 1.1",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d1.1 'sse' [] 0"), WIRE_BAD_FIELD},
    {"WELCOME, audit below 0",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' d-0.1 'sse' [] 0"),
     WIRE_BAD_FIELD},
    {"WELCOME, audit NaN",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' dnan 'sse' [] 0"), WIRE_BAD_FIELD},
    {"WELCOME without audit",
     WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' ':3' 'sse' [] 0"), WIRE_BAD_FIELD},
    {"WELCOME, a plane too long", WELCOME("1 784 " LAYERS SAMPLER "'d' 'k' 100 ':1' ':2' @64 d0"),
     WIRE_BAD_FIELD},

    {"REFUSED", HEAD(3) "[6 '' 'text']]", WIRE_OK},
    {"REFUSED for no reason", HEAD(3) "[0 '' 'text']]", WIRE_BAD_FIELD},
    {"REFUSED for another reason", HEAD(3) "[7 '' 'text']]", WIRE_BAD_FIELD},
    {"REFUSED at length", HEAD(3) "[1 '' @256]]", WIRE_BAD_FIELD},
    {"READY", HEAD(4) "[18446744073709551615 'd']]", WIRE_OK},
    {"READY, negative", HEAD(4) "[-4 'd']]", WIRE_BAD_FIELD},
    {"a heartbeat too large", HEAD(5) "[4294967296]]", WIRE_BAD_FIELD},
    {"BYE", HEAD(6) "[]]", WIRE_OK},
    {"BYE with a field", HEAD(6) "[1]]", WIRE_BAD_FIELD},
    {"REJOIN with a field", HEAD(7) "[n]]", WIRE_BAD_FIELD},
    {"END with a field", HEAD(9) "['']]", WIRE_BAD_FIELD},

    {"ASSIGN of nothing", HEAD(8) "[[]]]", WIRE_OK},
    {"ASSIGN", HEAD(8) "[[1 0 1]]]", WIRE_OK},
    {"ASSIGN without an array", HEAD(8) "[1]]", WIRE_BAD_FIELD},
    {"ASSIGN of two numbers", HEAD(8) "[[1 0]]]", WIRE_BAD_FIELD},
    {"ASSIGN of an empty range", HEAD(8) "[[1 4 4]]]", WIRE_BAD_FIELD},
    {"ASSIGN of a range turned round", HEAD(8) "[[1 0 3 2 9 7]]]", WIRE_BAD_FIELD},
    {"ASSIGN of a word", HEAD(8) "[[1 0 'x']]]", WIRE_BAD_FIELD},
    {"ASSIGN past 2^32", HEAD(8) "[[1 0 4294967296]]]", WIRE_BAD_FIELD},
    {"EVALUATE", HEAD(16) "[7 [1 0 512]]]", WIRE_OK},
    {"EVALUATE without ranges", HEAD(16) "[7]]", WIRE_BAD_FIELD},
    {"EVALUATE of an empty range", HEAD(16) "[7 [1 512 512]]]", WIRE_BAD_FIELD},
    {"EVALUATED", HEAD(17) "[7 0 512 dnan 18446744073709551615]]", WIRE_OK},
    {"EVALUATED, no rows", HEAD(17) "[7 512 512 d1 0]]", WIRE_BAD_FIELD},
    {"EVALUATED, a cost of 32 bits", HEAD(17) "[7 0 512 f 0]]", WIRE_BAD_FIELD},
    {"STEP of too many ranges", HEAD(10) "[[*196611]]]", WIRE_BAD_FIELD},
    {"a STEP longer than a header may be", HEAD(10) "[[*1048576]]]", WIRE_BAD_BYTES},

    {"PARTIAL", HEAD(11) "[1 32 4294967295 d-0.5 2 3]]", WIRE_OK},
    {"PARTIAL of NaN", HEAD(11) "[1 0 0 dnan 2 3]]", WIRE_OK}, /* the aggregate refuses it */
    {"PARTIAL, level 33", HEAD(11) "[1 33 0 d1 2 3]]", WIRE_BAD_FIELD},
    {"PARTIAL, an index too large", HEAD(11) "[1 0 4294967296 d1 2 3]]", WIRE_BAD_FIELD},
    {"PARTIAL, a whole cost", HEAD(11) "[1 0 0 1 2 3]]", WIRE_BAD_FIELD},
    {"PARTIAL, negative rows", HEAD(11) "[1 0 0 d1 2 -3]]", WIRE_BAD_FIELD},
    {"FETCH", HEAD(12) "[0 4096]]", WIRE_OK},
    {"FETCH of too many rows", HEAD(12) "[0 4097]]", WIRE_BAD_FIELD},
    {"ROWS", HEAD(13) "[0 4 #4]]", WIRE_OK},
    {"the most ROWS", HEAD(13) "[0 4096 #4096]]", WIRE_OK},
    {"ROWS, too many", HEAD(13) "[0 4097 #4097]]", WIRE_BAD_FIELD},
    {"ROWS, none", HEAD(13) "[0 0 #0]]", WIRE_BAD_FIELD},
    {"ROWS, a label too few", HEAD(13) "[0 4 #3]]", WIRE_BAD_FIELD},
    {"ROWS, a label too many", HEAD(13) "[0 4 #5]]", WIRE_BAD_FIELD},
    {"ROWS, labels as text", HEAD(13) "[0 4 @4]]", WIRE_BAD_FIELD},

    {"STATUS", HEAD(14) "[]]", WIRE_OK},
    {"STATUS with a field", HEAD(14) "[1]]", WIRE_BAD_FIELD},
    {"REPORT of nobody", REPORT("0 [] []"), WIRE_OK},
    {"REPORT of some that are not listed", REPORT("4294967295 [] []"), WIRE_OK},
    {"REPORT", REPORT("1 [[" MEMBER "]] [['n' 'h']]"), WIRE_OK},
    {"REPORT of more than there are", REPORT("1 [[" MEMBER "] [" MEMBER "]] []"), WIRE_BAD_FIELD},
    {"REPORT, a role too long", HEAD(15) "[@16 " SPEEDS "'' 0 [] []]]", WIRE_BAD_FIELD},
    {"REPORT, waiting too long", HEAD(15) "['r' " SPEEDS "@256 0 [] []]]", WIRE_BAD_FIELD},
    {"REPORT without members", REPORT("0 []"), WIRE_BAD_FIELD},
    {"REPORT, members that are none", REPORT("0 0 []"), WIRE_BAD_FIELD},
    {"REPORT, quarantined that are none", REPORT("0 [] 0"), WIRE_BAD_FIELD},
    {"REPORT, a member that is none", REPORT("1 [1] []"), WIRE_BAD_FIELD},
    {"REPORT, a member of nothing", REPORT("1 [[]] []"), WIRE_BAD_FIELD},
    {"REPORT, a member with one more", REPORT("1 [[" MEMBER " 1]] []"), WIRE_BAD_FIELD},
    {"REPORT, a member and then none", REPORT("2 [[" MEMBER "] [1]] []"), WIRE_BAD_FIELD},
    {"REPORT, a member none and then one", REPORT("2 [[1] [" MEMBER "]] []"), WIRE_BAD_FIELD},
    {"REPORT, a state too long", REPORT("1 [[1 'n' 'h' 'k' 1 0 @16 d1 1 1 1 1 1]] []"),
     WIRE_BAD_FIELD},
    {"REPORT, a relay of 2", REPORT("1 [[1 'n' 'h' 'k' 1 2 's' d1 1 1 1 1 1]] []"), WIRE_BAD_FIELD},
    {"REPORT, a whole speed", REPORT("1 [[1 'n' 'h' 'k' 1 0 's' 1 1 1 1 1 1]] []"), WIRE_BAD_FIELD},
    {"REPORT, too many members", REPORT("4097 [*4097] []"), WIRE_BAD_FIELD},
    {"REPORT, too many quarantined", REPORT("0 [] [*257]"), WIRE_BAD_FIELD},
    {"REPORT, one of three quarantined", REPORT("0 [] [['n' 'h' 'x']]"), WIRE_BAD_FIELD},
    {"REPORT, a quarantined name too long", REPORT("0 [] [[@64 'h']]"), WIRE_BAD_FIELD},
    {"REPORT too deep", REPORT("1 [[[1]]] []"), WIRE_BAD_BYTES},
};

static void test_a_table_of_messages(void **state)
{
    codec_t *codec = *state;
    for (size_t i = 0; i < sizeof(s_cases) / sizeof(s_cases[0]); i++) {
        size_t size;
        uint8_t *bytes = s_packed(s_cases[i].message, &size);
        wire_status_t status = codec_decode_sealed(codec, bytes, size);
        if (status != s_cases[i].status)
            fail_msg("%s: saw '%s', expected '%s'", s_cases[i].what, wire_status_text(status),
                     wire_status_text(s_cases[i].status));
        free(bytes);
    }
    size_t size;
    uint8_t *bytes = s_packed("['drover' 4294967295]", &size); /* whatever follows or does not */
    assert_int_equal(codec_decode_sealed(codec, bytes, size), WIRE_BAD_VERSION);
    assert_int_equal(codec->message.version, UINT32_MAX);
    assert_int_equal(codec_decode(codec, bytes, size), WIRE_BAD_DIGEST);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        codec_test(test_a_table_of_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
