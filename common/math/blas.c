/* See blas.h. */
#include "math/blas.h"

#include <assert.h>
#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/library.h"
#include "base/log.h"

static struct {
    void (*sgemm)(enum CBLAS_ORDER, enum CBLAS_TRANSPOSE, enum CBLAS_TRANSPOSE, blasint, blasint,
                  blasint, float, const float *, blasint, const float *, blasint, float, float *,
                  blasint);
    const char *core;
} s_blas;

/* Core types of OpenBLAS, by what they need. */
static const char *const s_avx512_cores[] = {"SkylakeX", "Cooperlake", "SapphireRapids", NULL};
static const char *const s_avx2_cores[] = {"Haswell", "Zen", NULL};
static const char *const s_avx_cores[] = {"Sandybridge", "Bulldozer", "Piledriver",
                                          "Steamroller", "Excavator", NULL};
static const char *const s_sse_cores[] = {"Prescott",   "Core2",   "Penryn",
                                          "Dunnington", "Nehalem", NULL};

static bool s_listed(const char *const *list, const char *core)
{
    for (; *list; list++)
        if (strcasecmp(*list, core) == 0)
            return true;
    return false;
}

const char *blas_best_core(simd_path_t cpu)
{
    return cpu == SIMD_AVX512 ? "SkylakeX" : cpu == SIMD_AVX2 ? "Haswell" : NULL;
}

bool blas_can_run(simd_path_t cpu, const char *core)
{
    if (strcasecmp(core, "SkylakeX") == 0)
        return cpu == SIMD_AVX512;
    if (s_listed(s_avx2_cores, core))
        return cpu >= SIMD_AVX2;
    /* Cooperlake and later may use bfloat16 or AMX instructions, Bulldozer FMA4, that are not asked
     * for here, and a core type that OpenBLAS does not know ("numpy") gives some other one. */
    return s_listed(s_sse_cores, core) && (cpu >= SIMD_AVX2 || strcasecmp(core, "Prescott") == 0);
}

/* The name as OpenBLAS spells it, whatever its case: it is compared between machines. NULL for a
 * name that is not known here. */
static const char *s_spelled(const char *core)
{
    static const char *const *const lists[] = {s_avx512_cores, s_avx2_cores, s_avx_cores,
                                               s_sse_cores};
    for (int i = 0; i < 4; i++)
        for (const char *const *name = lists[i]; *name; name++)
            if (strcasecmp(*name, core) == 0)
                return *name;
    return NULL;
}

static const char *s_wanted_core(void)
{
    const char *users = getenv("OPENBLAS_CORETYPE");
    if (!users || !*users)
        return blas_best_core(simd_cpu());
    const char *spelled = s_spelled(users);
    return spelled ? spelled : users;
}

const char *blas_default_core(err_t *err)
{
    const char *wanted = s_wanted_core();
    /* OpenBLAS takes another core type for a name that it does not know: which one, it must say */
    if (wanted && s_spelled(wanted) && !s_blas.core)
        return wanted;
    return blas_open(NULL, err) == 0 ? s_blas.core : NULL;
}

int blas_open(const char *core, err_t *err)
{
    if (!s_blas.sgemm) {
        const char *wanted = core ? core : s_wanted_core();
        if (wanted)
            setenv("OPENBLAS_CORETYPE", wanted, 1);
        setenv("OPENBLAS_NUM_THREADS", "1", 1); /* our threads are the parallelism */
        char *(*corename)(void) = NULL;
        void (*set_num_threads)(int) = NULL;
        const library_function_t functions[] = {
            {"openblas_get_corename", &corename},
            {"openblas_set_num_threads", &set_num_threads},
            {"cblas_sgemm", &s_blas.sgemm},
        };
        if (library_open("OpenBLAS", "libopenblas.so.0", functions, 3, err) != 0) {
            s_blas.sgemm = NULL;
            return -1;
        }
        set_num_threads(1);
        s_blas.core = corename();
        log_debug("blas.open", "core=%s wanted=%s", s_blas.core, wanted ? wanted : "any");
        if (wanted && !core && strcasecmp(wanted, s_blas.core) != 0)
            log_warn("blas.core", "OpenBLAS runs its %s kernels though %s was asked for",
                     s_blas.core, wanted);
    }
    if (core && strcasecmp(core, s_blas.core) != 0)
        return err_set(err, "OpenBLAS runs its %s kernels, expected %s", s_blas.core, core);
    return 0;
}

const char *blas_core(void)
{
    return s_blas.core;
}

void blas_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, const float *a,
               size_t lda, const float *b, size_t ldb, float *c, size_t ldc)
{
    assert(s_blas.sgemm);
    s_blas.sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                 transpose_b ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1.0f,
                 a, (blasint)lda, b, (blasint)ldb, 0.0f, c, (blasint)ldc);
}
