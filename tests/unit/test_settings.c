/* settings: defaults, the order default < file < overrides, writing and reading back, and that
 * config/mnist.yaml says what the table says. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/file.h"
#include "base/settings.h"
#include "scratch.h"

#define MNIST_YAML TEST_SOURCE_DIR "/../config/mnist.yaml"

static char *s_printed(const settings_t *settings)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    conf_write(settings_table(), settings, out);
    (void)fclose(out);
    return text;
}

static void test_defaults(void **state)
{
    (void)state;
    settings_t s;
    settings_init(&s);
    assert_int_equal(s.model.n_layers, 2);
    assert_int_equal(s.model.layers[0].units, 64);
    assert_int_equal(s.model.layers[0].activation, SETTINGS_TANH);
    assert_int_equal(s.model.layers[1].units, 10);
    assert_int_equal(s.model.layers[1].activation, SETTINGS_SIGMOID);
    assert_int_equal(s.model.init, SETTINGS_INIT_UNIFORM);
    assert_string_equal(s.data.path, "");
    assert_int_equal(s.data.train_rows, 0);
    assert_int_equal(s.training.steps, 100);
    assert_true(s.training.sample == 0.7);
    assert_int_equal(s.training.block_rows, 512);
    assert_int_equal(s.training.seed, 7);
    assert_true(s.training.learning_rate == 0.1);
    assert_true(s.training.bold_driver.up == 1.05);
    assert_true(s.training.bold_driver.down == 0.5);
    assert_false(s.training.bold_driver.rollback);
    assert_int_equal(s.training.optimizer, SETTINGS_GRADIENT_DESCENT);
    assert_true(s.training.momentum == 0.9 && s.training.beta1 == 0.9);
    assert_true(s.training.beta2 == 0.999 && s.training.epsilon == 1e-8);
    assert_true(s.training.weight_decay == 0.01);
    assert_true(s.training.l1 == 0 && s.training.l2 == 0);
    assert_true(s.training.clip_norm == 0 && s.training.ema == 0);
    assert_int_equal(s.training.schedule.kind, SETTINGS_BOLD_DRIVER);
    assert_int_equal(s.training.schedule.warmup_steps, 0);
    assert_int_equal(s.training.schedule.every_steps, 30);
    assert_true(s.training.schedule.factor == 0.1 && s.training.schedule.final_rate == 0);
    assert_int_equal(s.training.schedule.steps, 0);
    assert_int_equal(s.checkpoint.every_steps, 10);
    assert_int_equal(s.numerics.mode, SETTINGS_STRICT);
    assert_int_equal(s.numerics.kernel, SETTINGS_KERNEL_AUTO);
    assert_string_equal(s.server.bind, "auto");
    assert_int_equal(s.server.min_workers, 1);
    assert_true(s.server.audit == 0);
    assert_int_equal(s.worker.threads, 0);
    assert_string_equal(s.output.path, "");
    assert_int_equal(s.log.level, LOG_LEVEL_INFO);
    settings_clear(&s);
    settings_clear(&s);
}

static void test_file_goes_before_default_and_override_before_file(void **state)
{
    err_t err = {{0}};
    char *path = file_join(*state, "c.yaml");
    const char *text = "training: {steps: 7, seed: 9}\nlog: {level: warn}\n";
    file_part_t part = {text, strlen(text)};
    assert_int_equal(file_write_atomic(path, &part, 1, &err), 0);
    conf_override_t overrides[] = {
        {"set", NULL, "training.steps=8"},
        {"steps", "training.steps", "11"},
        {"set", NULL, "model.layers=[{units: 3, activation: sigmoid}]"},
    };
    settings_t s;
    settings_init(&s);
    assert_int_equal(settings_load(&s, path, overrides, 3, &err), 0);
    assert_int_equal(s.training.steps, 11);
    assert_int_equal(s.training.seed, 9);
    assert_int_equal(s.log.level, LOG_LEVEL_WARN);
    assert_int_equal(s.model.n_layers, 1);
    assert_int_equal(s.model.layers[0].units, 3);

    /* a second load starts from the defaults again */
    assert_int_equal(settings_load(&s, NULL, NULL, 0, &err), 0);
    assert_int_equal(s.training.steps, 100);
    settings_clear(&s);
    free(path);
}

static void test_failed_load_changes_nothing(void **state)
{
    (void)state;
    err_t err = {{0}};
    settings_t s;
    settings_init(&s);
    conf_override_t good = {"set", NULL, "training.steps=8"};
    assert_int_equal(settings_load(&s, NULL, &good, 1, &err), 0);
    conf_override_t bad[] = {{"set", NULL, "training.seed=5"}, {"set", NULL, "training.sample=2"}};
    assert_int_equal(settings_load(&s, NULL, bad, 2, &err), -1);
    assert_string_equal(err.text, "--set training.sample=2: '2' is out of range; expected above 0, "
                                  "at most 1");
    assert_int_equal(s.training.steps, 8);
    assert_int_equal(s.training.seed, 7);
    assert_int_equal(settings_load(&s, "/nonexistent.yaml", NULL, 0, &err), -1);
    assert_string_equal(err.text, "/nonexistent.yaml: cannot open: No such file or directory");
    settings_clear(&s);
}

static void test_audit_needs_strict_numerics(void **state)
{
    (void)state;
    err_t err = {{0}};
    settings_t s;
    settings_init(&s);
    conf_override_t overrides[] = {{"set", NULL, "numerics.mode=fast"},
                                   {"set", NULL, "server.audit=0.5"}};
    assert_int_equal(settings_load(&s, NULL, overrides, 1, &err), 0);
    assert_int_equal(settings_load(&s, NULL, overrides, 2, &err), -1);
    assert_string_equal(err.text, "server.audit is 0.5 and numerics.mode is fast, in which workers "
                                  "may differ in their bits; expected strict for an audit");
    assert_true(s.server.audit == 0);
    assert_int_equal(settings_load(&s, NULL, overrides + 1, 1, &err), 0);
    assert_true(s.server.audit == 0.5);
    settings_clear(&s);
}

static void test_optimizers_and_schedules_fit_each_other(void **state)
{
    (void)state;
    static const struct {
        const char *sets[3];
        const char *expected; /* NULL: taken */
    } rows[] = {
        {{"optimizer=adam"},
         "training.optimizer is adam and training.schedule.kind is bold_driver, which goes with "
         "gradient_descent only; expected constant, step, exponential or cosine"},
        {{"optimizer=adam", "schedule.kind=constant"}, NULL},
        {{"optimizer=momentum", "schedule.kind=cosine", "schedule.warmup_steps=99"}, NULL},
        {{"schedule.warmup_steps=5"},
         "training.schedule.warmup_steps is 5 and training.schedule.kind is bold_driver, which has "
         "no schedule beside it; expected constant, step, exponential or cosine"},
        {{"schedule.kind=step", "bold_driver.rollback=true"},
         "training.bold_driver.rollback is true and training.schedule.kind is step; expected "
         "bold_driver, which undoes steps"},
        {{"ema=0.5", "bold_driver.rollback=true"},
         "training.ema is 0.5 and training.bold_driver.rollback is true, so that steps are undone "
         "which the average has in it; expected one of the two"},
        {{"l1=0.5", "clip_norm=1", "bold_driver.rollback=true"}, NULL},
        {{"ema=0.5", "l2=0.5", "clip_norm=1"}, NULL},
        {{"schedule.kind=cosine", "schedule.warmup_steps=100"},
         "training.schedule.warmup_steps is 100 and cosine ends at step 100 "
         "(training.schedule.steps, or training.steps); expected a warm-up that is shorter"},
        {{"schedule.kind=cosine", "schedule.warmup_steps=100", "schedule.steps=101"}, NULL},
        {{"schedule.kind=constant", "schedule.warmup_steps=100"}, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err_t err = {{0}};
        settings_t s;
        char texts[3][64];
        conf_override_t overrides[3];
        int n = 0;
        for (; n < 3 && rows[i].sets[n]; n++) {
            (void)snprintf(texts[n], sizeof(texts[n]), "training.%s", rows[i].sets[n]);
            overrides[n] = (conf_override_t){"set", NULL, texts[n]};
        }
        settings_init(&s);
        int r = settings_load(&s, NULL, overrides, n, &err);
        assert_string_equal(err.text, rows[i].expected ? rows[i].expected : "");
        assert_int_equal(r, rows[i].expected ? -1 : 0);
        settings_clear(&s);
    }
}

/* One bad value a key: the bounds are those of the design. */
static void test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *set;
        const char *expected; /* behind "--set ...: "; NULL: taken */
    } rows[] = {
        {"training.steps=0", "'0' is out of range; expected 1 to 1000000000"},
        {"training.sample=1", NULL},
        {"training.sample=0", "'0' is out of range; expected above 0, at most 1"},
        {"training.block_rows=65537", "'65537' is out of range; expected 1 to 65536"},
        {"training.seed=-1", "'-1' is out of range; expected 0 to 18446744073709551615"},
        {"training.learning_rate=0", "'0' is out of range; expected above 0, at most 1000000"},
        {"training.bold_driver.up=0.99", "'0.99' is out of range; expected 1 to 1000"},
        {"training.bold_driver.down=1", "'1' is out of range; expected above 0 and below 1"},
        {"training.bold_driver.rollback=1",
         "'1' is neither true nor false; expected true or false"},
        {"training.optimizer=adan",
         "'adan' is not a choice; expected gradient_descent, momentum, nesterov, adam or adamw; "
         "did you mean 'adam'?"},
        {"training.momentum=1", "'1' is out of range; expected at least 0 and below 1"},
        {"training.beta1=-0.1", "'-0.1' is out of range; expected at least 0 and below 1"},
        {"training.beta2=1", "'1' is out of range; expected at least 0 and below 1"},
        {"training.epsilon=0", "'0' is out of range; expected 1e-30 to 1"},
        {"training.weight_decay=-1", "'-1' is out of range; expected 0 to 1000000"},
        {"training.l1=-1", "'-1' is out of range; expected 0 to 1000000"},
        {"training.l2=nan", "'nan' is not a number; expected 0 to 1000000"},
        {"training.clip_norm=-1", "'-1' is out of range; expected 0 to 1e+30"},
        {"training.ema=1", "'1' is out of range; expected at least 0 and below 1"},
        {"training.schedule.kind=cosin",
         "'cosin' is not a choice; expected bold_driver, constant, step, exponential or cosine; "
         "did you mean 'cosine'?"},
        {"training.schedule.warmup_steps=-1", "'-1' is out of range; expected 0 to 1000000000"},
        {"training.schedule.every_steps=0", "'0' is out of range; expected 1 to 1000000000"},
        {"training.schedule.factor=0", "'0' is out of range; expected above 0, at most 1"},
        {"training.schedule.final_rate=-1", "'-1' is out of range; expected 0 to 1000000"},
        {"training.schedule.steps=-1", "'-1' is out of range; expected 0 to 1000000000"},
        {"checkpoint.every_steps=0", NULL},
        {"numerics.mode=exact", "'exact' is not a choice; expected strict or fast"},
        {"numerics.kernel=dens",
         "'dens' is not a choice; expected auto, dense or sparse; did you mean 'dense'?"},
        {"model.init=normal", "'normal' is not a choice; expected uniform, glorot or he"},
        {"model.layers=[{units: -1, activation: tanh}]",
         "model.layers[0].units: '-1' is out of range; expected 0 to 65536"},
        {"model.layers=[{max_pool: {size: 256}}]",
         "model.layers[0].max_pool.size: '256' is out of range; expected 0 to 255"},
        {"model.layers=[{conv: {strides: 2}}]",
         "unknown key 'model.layers[0].conv.strides'; did you mean 'model.layers[0].conv.stride'?"},
        {"model.layers=[{units: 4, dropout: 1}]",
         "model.layers[0].dropout: '1' is out of range; expected at least 0 and below 1"},
        {"model.layers=[{units: 4, activation: swish}]",
         "model.layers[0].activation: 'swish' is not a choice; expected none, tanh, sigmoid, relu, "
         "leaky_relu, gelu or softmax"},
        {"worker.threads=-1", "'-1' is out of range; expected 0 to 1024"},
        {"server.min_workers=0", "'0' is out of range; expected 1 to 100000"},
        {"server.audit=0.01", NULL},
        {"server.audit=1", NULL},
        {"server.audit=1.5", "'1.5' is out of range; expected 0 to 1"},
        {"data.train_rows=-1", "'-1' is out of range; expected 0 to 2147483647"},
        {"trainig.steps=5", "unknown key 'trainig.steps'; did you mean 'training.steps'?"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err_t err = {{0}};
        settings_t s;
        settings_init(&s);
        conf_override_t override = {"set", NULL, rows[i].set};
        char expected[512] = "";
        if (rows[i].expected)
            (void)snprintf(expected, sizeof(expected), "--set %s: %s", rows[i].set,
                           rows[i].expected);
        int r = settings_load(&s, NULL, &override, 1, &err);
        assert_string_equal(err.text, expected);
        assert_int_equal(r, rows[i].expected ? -1 : 0);
        settings_clear(&s);
    }
}

static void test_written_settings_load_back(void **state)
{
    err_t err = {{0}};
    settings_t s;
    settings_t back;
    settings_init(&s);
    settings_init(&back);
    conf_override_t overrides[] = {
        {"set", NULL,
         "training={steps: 3, sample: 0.123456789012345678, seed: 18446744073709551615}"},
        {"set", NULL, "output.path='odd: \"name\" #1'"},
        {"set", NULL, "training.bold_driver={up: 1.1, down: 1e-05, rollback: true}"},
        {"set", NULL, "model.layers=[{units: 1, activation: sigmoid}]"},
        {"set", NULL, "log.level=error"},
    };
    assert_int_equal(settings_load(&s, NULL, overrides, 5, &err), 0);
    char *path = file_join(*state, "config.yaml");
    assert_int_equal(settings_write(&s, path, &err), 0);
    assert_int_equal(settings_load(&back, path, NULL, 0, &err), 0);
    char *written = s_printed(&s);
    char *read = s_printed(&back);
    assert_string_equal(written, read);
    assert_string_equal(back.output.path, "odd: \"name\" #1");
    assert_true(back.training.sample == 0.123456789012345678);

    char *nowhere = file_join(path, "x");
    assert_int_equal(settings_write(&s, nowhere, &err), -1);
    assert_non_null(strstr(err.text, "config.yaml/x: cannot create: Not a directory"));
    free(nowhere);
    free(written);
    free(read);
    free(path);
    settings_clear(&s);
    settings_clear(&back);
}

/* Whether `text` has the line "<indent><word>:" with the word at the depth of the dotted key. */
static bool s_names_key(const char *text, const char *key)
{
    const char *at = text;
    int depth = 0;
    for (const char *word = key; word; depth++) {
        const char *dot = strchr(word, '.');
        size_t n = dot ? (size_t)(dot - word) : strlen(word);
        char line[96];
        (void)snprintf(line, sizeof(line), "\n%*s%.*s:", 2 * depth, "", (int)n, word);
        at = strstr(at, line);
        if (!at)
            return false;
        at++;
        word = dot ? dot + 1 : NULL;
    }
    return true;
}

static void test_mnist_yaml_names_every_key_with_the_defaults(void **state)
{
    (void)state;
    err_t err = {{0}};
    char *text;
    size_t size;
    settings_t s;
    settings_t defaults;
    settings_init(&defaults);
    settings_init(&s);
    assert_int_equal(file_read(MNIST_YAML, CONF_MAX_FILE_BYTES, &text, &size, &err), 0);
    const conf_table_t *table = settings_table();
    for (int i = 0; i < table->n_keys; i++)
        if (!s_names_key(text, table->keys[i].key))
            fail_msg("config/mnist.yaml does not name %s", table->keys[i].key);
    if (settings_load(&s, MNIST_YAML, NULL, 0, &err) != 0)
        fail_msg("%s", err.text);
    char *loaded = s_printed(&s);
    char *expected = s_printed(&defaults);
    assert_string_equal(loaded, expected);
    free(loaded);
    free(expected);
    free(text);
    settings_clear(&s);
    settings_clear(&defaults);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test_setup_teardown(test_file_goes_before_default_and_override_before_file,
                                        scratch_make, scratch_remove),
        cmocka_unit_test(test_failed_load_changes_nothing),
        cmocka_unit_test(test_audit_needs_strict_numerics),
        cmocka_unit_test(test_optimizers_and_schedules_fit_each_other),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test_setup_teardown(test_written_settings_load_back, scratch_make,
                                        scratch_remove),
        cmocka_unit_test(test_mnist_yaml_names_every_key_with_the_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
