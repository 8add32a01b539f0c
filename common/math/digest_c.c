/* digest.h in plain C, or what the compiler's base instruction set has. */
#define TABLE digest_table_c
#include "math/digest_impl.h"
