/* See library.h. */
#include "base/library.h"

#include <dlfcn.h>
#include <string.h>

int library_open(const char *what, const char *file, const library_function_t *functions, size_t n,
                 err_t *err)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return err_set(err, "%s: cannot open %s: %s", what, file, dlerror());
    for (size_t i = 0; i < n; i++) {
        void *symbol = dlsym(library, functions[i].name);
        if (!symbol) {
            err_set(err, "%s: no function %s in %s: %s", what, functions[i].name, file, dlerror());
            dlclose(library);
            return -1;
        }
        /* dlsym returns an object pointer; POSIX says that it may be copied to a function's */
        memcpy(functions[i].place, &symbol, sizeof(symbol));
    }
    return 0;
}
