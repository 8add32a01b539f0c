#!/usr/bin/env bats
# scripts/check-layers must fail on each kind of violation, planted in a small tree.
load ../helpers

test_setup() {
    check=$DROVER_SOURCE_DIR/scripts/check-layers
    mkdir -p common/{base,math,data,proto,dispatch} parameter_server workers cli
    printf '#include "base/err.h"\n#include <stdio.h>\n#include <sys/stat.h>\n' >common/base/err.c
    printf '#include "math/blas.h"\n\n#include <cblas.h>\n' >common/math/blas.c
    printf '#include "base/err.h"\n#include "math/rng.h"\n#include <czmq.h>\n' >common/proto/link.c
    printf '#include "proto/wire.h"\n#include <zmq.h>\n' >parameter_server/server.c
    printf '#include "workers/worker.h"\n#include "parameter_server/server.h"\n' >cli/cmd_train.c
    "$check" .
}

# refuses FILE INCLUDE: the tree, which is right, is wrong once the file includes it.
refuses() {
    printf '#include <stddef.h>\n  #  include %s\n' "$2" >"$1"
    run "$check" .
    rm "$1"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ ${lines[0]} == "$1:2: includes "* ]]
}

@test "the sources of this repository keep to the layers" {
    "$check"
}

@test "a layer does not include one above it" {
    refuses common/base/x.c '"math/rng.h"'
    refuses common/base/x.h '"proto/wire.h"'
    refuses common/math/x.c '"proto/wire.h"'
    refuses common/data/x.c '<proto/wire.h>'
    refuses common/proto/x.c '"workers/session.h"'
    refuses common/proto/x.h '"dispatch/round.h"'
    refuses parameter_server/x.c '"cli/cmd.h"'
    refuses workers/x.c '"cli/cmd.h"'
}

@test "siblings do not include each other" {
    refuses common/math/x.c '"data/dataset.h"'
    refuses common/data/x.c '"math/model.h"'
    refuses parameter_server/x.c '"workers/session.h"'
    refuses workers/x.c '"parameter_server/checkpoint.h"'
}

@test "an outside library is included by its one file only" {
    refuses common/math/model.c '<cblas.h>'
    refuses common/proto/link2.c '<msgpack.h>'
    refuses common/proto/x.h '<msgpack/unpack.h>'
    refuses common/data/x.c '<yaml.h>'
    refuses common/data/x.c '<zlib.h>'
    refuses cli/cmd_predict.c '<png.h>'
    refuses cli/x.c '<jansson.h>'
    refuses cli/cmd_data.c '<curl/curl.h>'
    refuses common/proto/x.c '<sodium.h>'
    refuses parameter_server/x.c '<xxhash.h>'
    refuses common/dispatch/round.c '<czmq.h>'
    refuses workers/session.c '<zmq.h>'
    refuses cli/x.c '"czmq.h"'
}

@test "math and data know no sockets, threads or clocks" {
    refuses common/math/x.c '<pthread.h>'
    refuses common/math/x.c '<time.h>'
    refuses common/math/x.c '"base/clock.h"'
    refuses common/data/x.c '<sys/socket.h>'
    refuses common/data/x.c '<threads.h>'
    refuses common/data/x.h '<zmq.h>'
}

@test "unknown libraries, nameless layers and macros are refused" {
    refuses common/base/x.c '<glib.h>'
    refuses common/base/x.c '"err.h"'
    refuses common/base/x.c 'SOME_HEADER'
}

@test "a folder without sources is an error" {
    mkdir empty
    run "$check" empty
    [ "$status" -eq 1 ]
}
