# What is wrong with the input is said in one line that names it, with the right exit status, and
# nothing half-written is left.
load ../helpers
load cluster

setup_file() {
    "$DROVER" data synth "$BATS_FILE_TMPDIR/good" --train-rows 60 --test-rows 10
    "$DROVER" data synth "$BATS_FILE_TMPDIR/other" --train-rows 60 --test-rows 10 --seed 9
    "$DROVER" data to-csv "$BATS_FILE_TMPDIR/good" "$BATS_FILE_TMPDIR/text"
}

test_setup() {
    data=$BATS_FILE_TMPDIR/good
    images=$data/train-images-idx3-ubyte
    labels=$data/train-labels-idx1-ubyte
}

# refused STATUS REGEX COMMAND...: it ends with the status; standard error is one line, all of which
# the regex matches; nothing is on standard output, and no output folder is there.
refused() {
    local wanted=$1 regex=$2
    shift 2
    run --separate-stderr timeout 30 "$@"
    if [ "$status" -ne "$wanted" ] || ! [[ $stderr =~ ^${regex}$ ]] || [ -n "$output" ] ||
        [ "$(wc -l <<<"$stderr")" -ne 1 ] || [ -e out ]; then
        printf 'command:  %s\nstatus:   %s, expected %s\nstderr:   %s\nexpected: %s\nstdout:   %s\n' \
            "$*" "$status" "$wanted" "$stderr" "$regex" "$output"
        ls out
        return 1
    fi
}

# train_on IMAGES LABELS: what a training on these two files would be.
refused_on() {
    refused 1 "drover server: $3" "$DROVER" train --output out \
        --set data.train_images="$1" --set data.train_labels="$2"
}

# idx MAGIC NUMBER...: the header of an IDX file.
idx() {
    local magic=$1 number
    shift
    printf '%b' "\\x00\\x00\\x08\\x$magic"
    for number; do
        printf '%b' "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((number >> 24 & 255)) \
            $((number >> 16 & 255)) $((number >> 8 & 255)) $((number & 255)))"
    done
}

@test "rows to be altered that are no images, and alterations beyond their bounds" {
    printf '%s\n' '1 0 0 0 1' '0 1 2 3 4' >rows.csv
    printf '1\n0\n' >labels.csv
    local each
    for each in shift=1 elastic.alpha=34; do
        refused 1 'drover server: augmentation: rows of 5 bytes are no images; expected square ones .*' \
            "$DROVER" train --output out --set data.train_images=rows.csv --set data.train_labels=labels.csv \
            --set "augmentation.$each"
    done
    for each in shift=257 rotation=-1 scale=1 shear=3 elastic.alpha=-1 elastic.sigma=0; do
        refused 2 "drover train: .*augmentation\\.${each%=*}.*" \
            "$DROVER" train --data "$data" --output out --set "augmentation.$each"
    done
}

@test "files that are not there" {
    refused 1 'drover server: nowhere: no such folder, expected one with the four MNIST-named files' \
        "$DROVER" train --data nowhere --output out
    mkdir empty
    refused 1 'drover server: empty: .*train-images-idx3-ubyte.*' "$DROVER" train --data empty --output out
    refused_on nowhere "$labels" 'nowhere: cannot open: No such file or directory'
    refused_on "$images" nowhere 'nowhere: cannot open: No such file or directory'
    refused 2 'drover train: no data: .*--data DIR.*' "$DROVER" train --output out
    refused 1 'drover worker: nowhere: no such folder, .*' "$DROVER" worker "ipc://$work/x" --data nowhere
    refused 2 'drover train: nowhere.yaml: cannot open: No such file or directory.*' \
        "$DROVER" train nowhere.yaml --output out
}

@test "IDX files that are cut, too long or of another kind" {
    head -c 1000 "$images" >short
    refused_on short "$labels" 'short: truncated: 984 bytes behind the header, expected 47040 .*'
    head -c 10 "$images" >short
    refused_on short "$labels" 'short: .*'
    (cat "$images" && echo x) >long
    refused_on long "$labels" 'long: more than 47040 bytes behind the header, expected no more .*'
    refused_on "$labels" "$labels" '.*train-labels-idx1-ubyte: .*0x00000801.*0x00000803.*'
    refused_on "$images" "$images" '.*train-images-idx3-ubyte: .*0x00000803.*0x00000801.*'
    (printf '\0\0\015\003' && tail -c +5 "$images") >floats
    refused_on floats "$labels" 'floats: .*0x00000d03.*expected 0x00000803.*'
    (idx 03 60 65535 65535 && head -c 100 /dev/zero) >huge
    refused_on huge "$labels" 'huge: .*'
    (idx 03 4294967295 28 28 && head -c 100 /dev/zero) >huge
    refused_on huge "$labels" 'huge: .*'
}

@test "corrupt gzip" {
    gzip -c "$images" >images.gz
    head -c 2000 images.gz >cut.gz
    refused_on cut.gz "$labels" 'cut.gz: .*'
    (head -c 2000 images.gz && printf 'rubbish' && tail -c +2008 images.gz) >damaged.gz
    refused_on damaged.gz "$labels" 'damaged.gz: .*'
    (cat images.gz && printf 'tail') >tail.gz
    refused_on tail.gz "$labels" 'tail.gz: .*'
}

@test "data sets that are empty or do not fit together" {
    : >nothing
    refused_on nothing "$labels" 'nothing: empty, expected IDX or CSV data'
    idx 03 0 28 28 >none
    idx 01 0 >none-labels
    refused_on none none-labels 'none: .*'
    (idx 01 59 && tail -c +9 "$labels" | head -c 59) >few
    refused_on "$images" few 'few: 59 labels, expected 60 as there are images in .*'
    (idx 01 60 && tail -c +9 "$labels" | head -c 59 && printf '\012') >high
    refused_on "$images" high '.*label 10, expected .*below 10.*'
    # the test set is looked at before the training, too
    (idx 01 1 && printf '\012') >high
    (idx 03 1 28 28 && head -c 784 /dev/zero) >one
    refused 1 'drover server: .*test data.*label 10, .*' "$DROVER" train --output out --data "$data" \
        --set data.test_images=one --set data.test_labels=high
    (idx 03 1 2 2 && head -c 4 /dev/zero) >small
    (idx 01 1 && printf '\001') >low
    refused 1 'drover server: .*test data.* 4 bytes a row.* 784.*' "$DROVER" train --output out \
        --data "$data" --set data.test_images=small --set data.test_labels=low
}

@test "CSV with what is no number, or too few or too many" {
    local text=$BATS_FILE_TMPDIR/text word
    local csv=$text/train_images.csv csv_labels=$text/train_labels.csv
    for word in word NaN inf -1 1.5e999 0x10; do
        awk -v w="$word" 'NR == 3 { $5 = w } { print }' "$csv" >bad.csv
        refused_on bad.csv "$csv_labels" 'bad.csv: line 3, column 5: .*'
    done
    awk 'NR == 7 { $1 = ""; sub(/^ /, "") } { print }' "$csv" >bad.csv
    refused_on bad.csv "$csv_labels" 'bad.csv: line 7.* 783 .*784.*'
    awk 'NR == 7 { $0 = $0 " 0" } { print }' "$csv" >bad.csv
    refused_on bad.csv "$csv_labels" 'bad.csv: line 7.*784.*'
    head -n 59 "$csv" >bad.csv
    refused_on bad.csv "$csv_labels" '.*train_labels.csv: 60 labels, expected 59 .*bad.csv'
    sed '4s/1/0/' "$csv_labels" >bad.csv
    refused_on "$csv" bad.csv 'bad.csv: line 4.*'
    sed '4s/0/1/; 4s/0/1/' "$csv_labels" >bad.csv
    refused_on "$csv" bad.csv 'bad.csv: line 4.*'
    printf '\n\n' >bad.csv
    refused_on bad.csv "$csv_labels" 'bad.csv.*'
}

# A row of the table: YAML text | what is said of it.
@test "configuration keys and values" {
    local yaml said
    while IFS='|' read -r yaml said; do
        printf '%b' "$yaml" >bad.yaml
        refused 2 "drover train: bad.yaml$said" "$DROVER" train bad.yaml --data "$data" --output out
    done <<'TABLE'
training:\n  stpes: 4\n|:2: unknown key 'training.stpes'; did you mean 'training.steps'\?
traning:\n  steps: 4\n|:2: unknown key 'traning.steps'; did you mean 'training.steps'\?
training:\n  steps: many\n|:2: training.steps: 'many' is not a whole number; .*
training:\n  steps: 0\n|:2: training.steps: '0' is out of range; expected .*
training:\n  steps: 1.5\n|:2: training.steps: '1.5' is not a whole number; .*
training:\n  sample: 1.5\n|:2: training.sample: '1.5' is out of range; expected above 0, at most 1
training:\n  sample: .nan\n|:2: training.sample: .*
training:\n  block_rows: 70000\n|:2: training.block_rows: '70000' is out of range; .*
training:\n  seed: -1\n|:2: training.seed: '-1' .*
numerics:\n  mode: slow\n|:2: numerics.mode: 'slow' .*strict.*fast.*
model:\n  layers: 10\n|:2: model.layers: .*
model:\n  layers:\n    - {units: 10, activation: swish}\n|:3: .*'swish'.*tanh.*sigmoid.*
steps: 4\n|:1: unknown key 'steps'.*
training:\n  steps: 4\n  steps: 5\n|:3: .*training.steps.*
training: [\n|:[0-9]+: .*
training:\n\t steps: 4\n|:[0-9]+: .*
TABLE
    refused 2 "drover train: --set training.stepps=4: unknown key 'training.stepps'; did you mean 'training.steps'\?" \
        "$DROVER" train --data "$data" --output out --set training.stepps=4
    refused 2 'drover train: --set training.steps=no: .*' \
        "$DROVER" train --data "$data" --output out --set training.steps=no
    refused 2 'drover train: --workers: .*' "$DROVER" train --data "$data" --output out --workers -1
    refused 2 'drover worker: .*' "$DROVER" worker
    refused 2 'drover server: unknown option .*--bind.*' "$DROVER" server --bin x
}

@test "what can be read once only is no file for two processes" {
    printf 'training: {steps: 3}\n' | refused 2 \
        'drover train: /dev/stdin: can be read once only, expected a file, since the server reads it too' \
        "$DROVER" train /dev/stdin --data "$data" --output out
}

@test "folders with names that YAML would take for something else" {
    local name
    for name in 'a: b' 'a # b' 'behind ' $'two\nlines' $'\e[31mred' '{a' 'null'; do
        cp -r "$data" "$work/$name"
        "$DROVER" train --data "./$name" --output "./$name.out" --steps 1
        "$DROVER" train --resume "./$name.out" --steps 2
        [ -s "$name.out/model.safetensors" ]
    done
}

@test "a network that does not fit the data" {
    refused 1 'drover server: .*label 9, expected labels below 2.*model.layers.*' \
        "$DROVER" train --data "$data" --output out \
        --set 'model.layers=[{units: 2, activation: sigmoid}]'
}

@test "endpoints that cannot be bound or reached" {
    start_server first --data "$data" --output first --bind 'tcp://127.0.0.1:*'
    refused 1 "drover server: server.bind: $endpoint: cannot bind the control plane: Address already in use" \
        "$DROVER" server --data "$data" --output out --bind "$endpoint"
    refused 1 'drover server: server.bind: tcp://203.0.113.1:5570: cannot bind the control plane: .*' \
        "$DROVER" server --data "$data" --output out --bind tcp://203.0.113.1:5570
    refused 1 "drover server: server.bind: ipc:///nowhere/control: cannot bind the control plane: .*" \
        "$DROVER" server --data "$data" --output out --bind ipc:///nowhere/control
    local bind
    for bind in nonsense tcp://127.0.0.1 tcp://127.0.0.1:0 tcp://127.0.0.1:65533 udp://127.0.0.1:5570; do
        refused 2 "drover server: server.bind: '$bind' .*expected .*" \
            "$DROVER" server --data "$data" --output out --bind "$bind"
    done
    refused 1 "drover worker: 'nonsense' is no endpoint, expected tcp://HOST:PORT or ipc://PATH" \
        "$DROVER" worker nonsense
    # what another server has is left alone
    run ! has_ended first
}

@test "an output folder that cannot be written" {
    : >file
    refused 1 'drover server: file/deep: cannot make the folder: .*' \
        "$DROVER" train --data "$data" --output file/deep
    refused 1 'drover server: file: .*' "$DROVER" train --data "$data" --output file
    refused 1 'drover server: /proc/nowhere: cannot make the folder: .*' \
        "$DROVER" train --data "$data" --output /proc/nowhere
    [ -f file ]
    [ ! -s file ]
    refused 1 'drover data synth: file/deep.*' "$DROVER" data synth file/deep --train-rows 2 --test-rows 1
}

# A limit on the size of files is a disk that fills up.
@test "a disk that is full in the middle of a run" {
    run --separate-stderr -1 bash -c 'ulimit -f 16 && exec "$@"' - \
        "$DROVER" train --data "$data" --output half --set checkpoint.every_steps=0
    [ "$(grep -c '^drover ' <<<"$stderr")" -eq 1 ]
    grep -qxF 'drover server: half/metrics.jsonl: cannot write: File too large' <<<"$stderr"
    [ ! -e half/model.safetensors ]
}

@test "a worker without memory for the network says so" {
    [ "$DROVER_SLOWNESS" -eq 1 ] || skip "an instrumented build needs terabytes of addresses"
    start_server server --data "$data" --output run --bind "ipc://$work/control" \
        --set 'model.layers=[{units: 40000, activation: tanh}, {units: 10, activation: sigmoid}]'
    run bash -c 'ulimit -v 400000 && exec "$@"' - "$DROVER" worker "$endpoint" --log-level error
    expect_status 134
    grep -qxF 'drover worker: out of memory' <<<"$output"
}

@test "a server without workers says that it waits, and starts when one comes" {
    start_server server --data "$data" --output out --bind "ipc://$work/control" --steps 3 \
        --set server.min_workers=2
    wait_for_line 10 server " server\.waiting for=workers there=0 needed=2 endpoint=ipc://$work/control"
    [ ! -s out/metrics.jsonl ]
    start_worker one
    wait_for_line 10 server ' worker\.joined name=one .*workers=1'
    wait_for_line 10 server ' server\.waiting for=workers there=1 needed=2 '
    start_worker two
    ends_well 10 server
    steps_done out 3
}

peer() {
    "$python" "$DROVER_SOURCE_DIR/tests/python/scripted_peer.py" "$@"
}

@test "a worker with other data" {
    start_server server --data "$data" --output run --bind "ipc://$work/control" \
        --set numerics.kernel=dense
    refused 1 "drover worker: ipc://$work/control: the server refuses this worker: data digest [0-9a-f]{32}, expected [0-9a-f]{32}" \
        "$DROVER" worker "$endpoint" --data "$BATS_FILE_TMPDIR/other"
    run -0 peer hello "$endpoint" --digest 00000000000000000000000000000000
    [[ $output == 'REFUSED 2  data digest 00000000000000000000000000000000, expected '* ]]
    run -0 peer ready "$endpoint" --digest 00000000000000000000000000000000
    [[ $output == 'REFUSED 2  data digest 00000000000000000000000000000000, expected '* ]]
    run -0 peer ready "$endpoint" --params 7
    [ "$output" = 'REFUSED 4  number of parameters 7, expected 50890' ]
    grep -q ' worker\.refused name=.* number of parameters 7, expected 50890' server.log
    run ! has_ended server
}

@test "a worker, and a server, of another protocol version" {
    start_server server --data "$data" --output run --bind "ipc://$work/control"
    run -0 peer hello "$endpoint" --version 2
    [ "$output" = 'REFUSED 1  protocol version 2, expected 1' ]
    grep -q ' worker\.refused name=? protocol version 2, expected 1' server.log
    start_background other "$python" "$DROVER_SOURCE_DIR/tests/python/scripted_peer.py" server \
        "ipc://$work/other" --version 7
    refused 1 "drover worker: ipc://$work/other: the server speaks protocol version 7, expected 1" \
        "$DROVER" worker "ipc://$work/other" --log-level error
}

# sent_away KIND: a peer whose partials are bad in that way is let in no more after the third.
sent_away() {
    run -0 peer partials "$endpoint" "$1" --name "bad-$1"
    # how many it had sent by then is a matter of speed
    [[ $output =~ ^[0-9]+' REFUSED 5  quarantined: partials that are not fit to count, last: ' ]]
    run -0 peer hello "$endpoint" --name "bad-$1"
    [[ $output == 'REFUSED 5 '* ]]
}

@test "partials that are not fit to count are refused, and their worker after the third" {
    local kind settings=(--set training.block_rows=8 --steps $((DROVER_SLOWNESS > 1 ? 500 : 5000)))
    start_server server --data "$data" --output run --bind "ipc://$work/control" \
        --set numerics.mode=fast "${settings[@]}"
    for kind in rows node length future; do
        sent_away "$kind"
        [ "$(grep -c " partial\.refused step=1 worker=bad-$kind: " server.log)" -eq 3 ]
    done
    # what is not finite may be the model's, but not once somebody has sent what is, here or not
    start_worker good
    wait_for 30 steps_done run 5
    signal good STOP
    for kind in nan infinite-cost; do
        sent_away "$kind"
    done
    run ! has_ended server
    signal good CONT
    # and nothing of it has counted
    ends_well 60 server
    [ "$(metric run refused | head -n 1)" -eq 12 ]
    "$DROVER" train --data "$data" --output clean "${settings[@]}"
    cmp clean/cost_history/part-00000 run/cost_history/part-00000
    cmp <(tail -c 203560 clean/model.safetensors) <(tail -c 203560 run/model.safetensors)
}

@test "what is not a message is dropped, on every plane" {
    start_server server --data "$data" --output run --bind 'tcp://127.0.0.1:*' --steps 50 \
        --set numerics.kernel=dense
    run -0 peer noise "$endpoint" --kernel dense/Haswell
    [ "$output" = sent ]
    wait_for_line 10 server ' control\.bad '
    wait_for_line 10 server ' partial\.refused '
    wait_for_line 10 server ' data\.bad '
    start_worker good
    ends_well 30 server
}
