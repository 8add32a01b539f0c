/* drover plot: the pictures of a run again, from its history files and scripts. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/plot.h"

typedef int plot_history_t(const char *folder, const double *values, int n, err_t *err);

/* Writes the script of one history, if the run has it. */
static int s_history(const char *folder, const char *name, plot_history_t *plot, err_t *err)
{
    int r = 0;
    char *path = file_join(folder, name);
    if (file_exists(path)) {
        double *values = NULL;
        int n = output_read_history(path, &values, err);
        r = n < 0 ? -1 : plot(folder, values, n, err);
        free(values);
    }
    free(path);
    return r;
}

int cmd_plot(int argc, char **argv)
{
    static const args_command_t command = {
        .name = "plot",
        .words = "DIR",
        .summary = "Draws the pictures of the run in DIR again: writes plots/cost_history.gp and\n"
                   "plots/accuracy_history.gp from the history files, then turns every script\n"
                   "plots/NAME.gp, also those that you have edited or added, into NAME.png.",
        .min_words = 1,
        .max_words = 1,
    };
    args_t args;
    int status;
    if (!command_begin(&command, argc, argv, &args, &status))
        return status;
    err_t err = {{0}};
    const char *folder = args.words[0];
    int n_drawn = -1;
    if (!file_is_folder(folder))
        err_set(&err, "%s: no such folder; expected the output folder of a run", folder);
    else if (s_history(folder, OUTPUT_COST_HISTORY, plot_cost_history, &err) == 0 &&
             s_history(folder, OUTPUT_ACCURACY_HISTORY, plot_accuracy_history, &err) == 0)
        n_drawn = plot_render(folder, &err);
    if (n_drawn == 0)
        n_drawn = err_set(&err,
                          "%s: no history and no plots/*.gp in it; expected the output "
                          "folder of a run",
                          folder);
    if (n_drawn > 0)
        (void)printf("%d pictures drawn in %s\n", n_drawn, folder);
    return command_end(&command, &args, n_drawn < 0 ? STATUS_FAILURE : STATUS_OK, &err);
}
