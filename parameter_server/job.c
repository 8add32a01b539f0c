/* See job.h. */
#include "parameter_server/job.h"

#include <stdlib.h>

#include "proto/wire.h"

int server_job_check(const server_job_t *job, err_t *err)
{
    if (model_check(&job->model, err) != 0)
        return err_prefix(err, "model.layers");
    if (job->model.n_inputs != dataset_inputs(job->data))
        return err_set(err, "the network has %u inputs, the data %zu a row", job->model.n_inputs,
                       dataset_inputs(job->data));
    if (dataset_classes(job->data) > model_classes(&job->model))
        return err_set(err, "the data has labels up to %zu, the network %u outputs (model.layers)",
                       dataset_classes(job->data) - 1, model_classes(&job->model));
    if (job->sampler.batch_rows > job->sampler.n_rows)
        return err_set(err, "training.batch_rows: %u, expected at most the %u rows to train on",
                       job->sampler.batch_rows, job->sampler.n_rows);
    if (augment_check(&job->sampler.augment, job->model.n_inputs, err) != 0)
        return -1;
    if (sampler_blocks(&job->sampler) > WIRE_MAX_BLOCKS)
        return err_set(err,
                       "training.block_rows: %u rows make %u blocks of %u, expected at most %u",
                       job->sampler.n_rows, sampler_blocks(&job->sampler), job->sampler.block_rows,
                       WIRE_MAX_BLOCKS);
    return 0;
}

void server_links_destroy(server_links_t *self)
{
    link_destroy(&self->control);
    link_destroy(&self->data);
    link_destroy(&self->weights);
    link_destroy(&self->gradients);
}

void server_record_destroy(server_record_t **self_p)
{
    server_record_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    frame_clear(&self->weights);
    optimizer_state_clear(&self->optimizer);
    trial_state_clear(&self->trial);
    free(self);
}
