/* digest.h with AVX-512; compiled for it, and called on CPUs that have it only. */
#define TABLE digest_table_avx512
#include "math/digest_impl.h"
