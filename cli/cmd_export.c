/* drover export: a model in a form that other programs run. */
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "cli/commands.h"
#include "cli/evaluate.h"
#include "cli/onnx.h"

int cmd_export(int argc, char **argv)
{
    const char *onnx = NULL;
    const args_option_t options[] = {
        {.name = "onnx",
         .metavar = "FILE",
         .help = "Write ONNX, opset 13: input 'images', float (N, inputs), raw pixels in [0, 1]; "
                 "output 'scores', float (N, classes)",
         .text = &onnx},
    };
    const args_command_t command = {
        .name = "export",
        .words = "MODEL",
        .summary = "Writes MODEL, a model.safetensors or the output folder of a run, for other "
                   "programs.\nModel files themselves are safetensors already; see docs/models.md.",
        .options = options,
        .n_options = ARRAY_COUNT(options),
        .min_words = 1,
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    status = STATUS_OK;
    checkpoint_info_t info;
    float *params = NULL;
    if (!onnx) {
        err_set(&err, "nothing to write; expected --onnx FILE (see drover export --help)");
        status = STATUS_USAGE;
    } else if (evaluate_read_model(args.words[0], &info, &params, &err) != 0 ||
               onnx_write(onnx, &info, params, &err) != 0) {
        status = STATUS_FAILURE;
    }
    free(params);
    return command_end(&command, &args, status, &err);
}
