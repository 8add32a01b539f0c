/* digest.h with AVX2; compiled for it, and called on CPUs that have it only. */
#define TABLE digest_table_avx2
#include "math/digest_impl.h"
