/* The encodings of protobuf.dev, byte by byte. */
#include "unit.h"

#include <string.h>

#include "data/protobuf.h"

static void s_assert_bytes(const protobuf_t *self, const char *bytes, size_t size)
{
    assert_int_equal(self->size, size);
    assert_memory_equal(self->bytes, bytes, size);
}

static void test_the_published_examples(void **state)
{
    (void)state;
    protobuf_t self = {0};
    protobuf_number(&self, 1, 150);
    s_assert_bytes(&self, "\x08\x96\x01", 3);
    protobuf_clear(&self);
    protobuf_text(&self, 2, "testing");
    s_assert_bytes(&self, "\x12\x07testing", 9);
    protobuf_clear(&self);
    size_t begun = protobuf_begin(&self, 3);
    protobuf_number(&self, 1, 150);
    protobuf_end(&self, begun);
    s_assert_bytes(&self, "\x1a\x03\x08\x96\x01", 5);
    protobuf_clear(&self);
}

static void test_numbers_and_lengths_of_all_sizes(void **state)
{
    (void)state;
    protobuf_t self = {0};
    protobuf_number(&self, 16, 0); /* the first field whose key has two bytes */
    protobuf_number(&self, 1, 127);
    protobuf_number(&self, 1, 128);
    protobuf_number(&self, 1, UINT64_MAX);
    s_assert_bytes(
        &self, "\x80\x01\x00\x08\x7f\x08\x80\x01\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 19);
    protobuf_clear(&self);
    /* a message in a message, both with lengths of two bytes, and a field behind them */
    char text[200];
    memset(text, 'x', sizeof(text));
    size_t outer = protobuf_begin(&self, 1);
    protobuf_number(&self, 2, 5);
    size_t inner = protobuf_begin(&self, 3);
    protobuf_bytes(&self, 4, text, sizeof(text));
    protobuf_end(&self, inner);
    protobuf_end(&self, outer);
    protobuf_bytes(&self, 5, NULL, 0);
    static const char head[] = "\x0a\xd0\x01\x10\x05\x1a\xcb\x01\x22\xc8\x01";
    assert_int_equal(self.size, sizeof(head) - 1 + sizeof(text) + 2);
    assert_memory_equal(self.bytes, head, sizeof(head) - 1);
    assert_memory_equal(self.bytes + sizeof(head) - 1, text, sizeof(text));
    assert_memory_equal(self.bytes + self.size - 2, "\x2a\x00", 2);
    protobuf_clear(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_published_examples),
        cmocka_unit_test(test_numbers_and_lengths_of_all_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
