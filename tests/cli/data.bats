# drover data: the real program on small data sets that it draws itself, and on damaged ones.
load ../helpers

# refused STATUS TEXT COMMAND...: the command ends with the status; its line on stderr contains
# TEXT, and nothing is on standard output.
refused() {
    local wanted=$1 text=$2
    shift 2
    run --separate-stderr "$@"
    if [ "$status" -ne "$wanted" ] || [[ $stderr != *"$text"* ]] || [ -n "$output" ] ||
        [ "$(wc -l <<<"$stderr")" -ne 1 ]; then
        printf 'status %s, stderr: %s\nstdout: %s\n' "$status" "$stderr" "$output"
        return 1
    fi
}

draw() {
    "$DROVER" data synth "$1" --train-rows "${2:-40}" --test-rows "${3:-20}" --seed "${4:-1}" >/dev/null
}

# info DATA...: what `info --json` prints, with the names of the files left out.
info() {
    "$DROVER" data info "$@" --json | sed -E 's/"images": "[^"]*", //g'
}

@test "help of data and of its commands fits 100 columns" {
    local command
    for command in "" fetch synth info to-csv; do
        # shellcheck disable=SC2086
        run -0 "$DROVER" data $command --help
        [[ ${lines[0]} == "usage: drover data"* ]]
        run -1 grep -nE '.{101}' <<<"$output"
    done
    run -2 --separate-stderr "$DROVER" data
    [[ $stderr == "usage: drover data"* ]]
}

@test "wrong command lines end with status 2" {
    refused 2 "unknown command 'feth'; did you mean 'fetch'?" "$DROVER" data feth
    refused 2 "drover data synth: " "$DROVER" data synth
    refused 2 "--train-rows" "$DROVER" data synth d --train-rows 0
    refused 2 "--seed" "$DROVER" data synth d --seed -1
    refused 2 "drover data info: " "$DROVER" data info
    refused 2 "drover data to-csv: " "$DROVER" data to-csv a
    refused 2 "--mirror: 'host', expected a URL" "$DROVER" data fetch --mirror host
    refused 2 "expected one folder" "$DROVER" data fetch a --to b
    [ ! -e d ]
}

@test "the same seed draws the same files, another one others" {
    draw a 40 20 7
    draw b 40 20 7
    draw c 40 20 8
    diff -r a b
    run ! diff -rq a c
    run -0 ls a
    [ "${#lines[@]}" -eq 4 ]
    # the first rows of a longer set are those of a shorter one
    draw d 60 20 7
    cmp <(tail -c +9 a/train-labels-idx1-ubyte) <(tail -c +9 d/train-labels-idx1-ubyte | head -c 40)
}

@test "info tells rows, inputs, classes, histogram and digest" {
    draw a
    run -0 "$DROVER" data info a
    [[ $output == *"rows     40"* && $output == *"inputs   784"* && $output == *"classes  10"* ]]
    [[ $output == *" 0:4 1:4 2:4 3:4 4:4 5:4 6:4 7:4 8:4 9:4"* ]]
    "$DROVER" data info a --json >info.json
    run -0 python3 - <<'END'
import json
info = json.load(open("info.json"))
assert info["train"]["rows"] == 40 and info["test"]["rows"] == 20
assert info["train"]["inputs"] == 784 and info["train"]["classes"] == 10
assert info["train"]["histogram"] == [4] * 10
assert 0.1 < info["train"]["density"] < 0.3
assert len(info["train"]["digest"]) == 32
assert info["train"]["digest"] != info["test"]["digest"]
END
}

@test "text and IDX, packed or not, have the same digest" {
    draw a
    run -0 "$DROVER" data to-csv a csv
    [[ $output == *"40 training and 20 test rows"* ]]
    [ "$(info a)" = "$(info csv)" ]
    [ "$(head -n 1 csv/train_images.csv | wc -w)" -eq 784 ]
    [ "$(sort csv/test_labels.csv | uniq | wc -l)" -eq 10 ]
    gzip csv/*.csv a/t*
    [ "$(info a)" = "$(info csv)" ]
    # two files, and one file with the label first
    local single
    single=$(info a/t10k-images-idx3-ubyte.gz csv/test_labels.csv.gz)
    [[ $single == '{"data": {"rows": 20, '* ]]
    paste -d, <(zcat csv/test_labels.csv.gz | awk '{ for (i = 1; i <= NF; i++) if ($i) print i - 1 }') \
        <(zcat csv/test_images.csv.gz | tr ' ' ,) >labelled.csv
    [ "$(info labelled.csv)" = "$single" ]
}

@test "damaged data: one clear line, status 1, nothing written" {
    draw a
    local images=a/train-images-idx3-ubyte labels=a/train-labels-idx1-ubyte
    refused 1 "nowhere: no such folder" "$DROVER" data to-csv nowhere out
    refused 1 "nowhere: cannot open: No such file" "$DROVER" data info nowhere
    refused 1 "$images: no file of labels" "$DROVER" data info $images
    head -c 1000 $images >short
    refused 1 "short: truncated: 984 bytes behind the header, expected 31360" "$DROVER" data info short $labels
    (cat $images && echo) >long
    refused 1 "long: more than 31360 bytes behind the header" "$DROVER" data info long $labels
    refused 1 "$labels: magic 0x00000801 (IDX labels), expected 0x00000803" "$DROVER" data info $labels $labels
    refused 1 "a/t10k-labels-idx1-ubyte: 20 labels, expected 40 as there are images in $images" \
        "$DROVER" data info $images a/t10k-labels-idx1-ubyte
    gzip -c $images | head -c 2000 >cut.gz
    refused 1 "cut.gz: truncated" "$DROVER" data info cut.gz $labels
    : >empty
    refused 1 "empty: empty" "$DROVER" data info empty $labels
    printf '1 2\n3 4 5\n' >ragged
    refused 1 "ragged: line 2: 3 columns, expected 2 as in line 1" "$DROVER" data info ragged $labels
    printf '1 2\n3 x\n' >word
    refused 1 "word: line 2, column 2: saw 'x', expected a whole number" "$DROVER" data info word $labels
    printf '1 2\n3 nan\n' >nan
    refused 1 "nan: line 2, column 2: saw 'nan'" "$DROVER" data info nan $labels
    printf '1,2,3\n256,2,3\n' >label
    refused 1 "label: line 2, column 1: saw '256', expected a label" "$DROVER" data info label
    mv short a/t10k-images-idx3-ubyte
    refused 1 "t10k-images-idx3-ubyte: truncated" "$DROVER" data to-csv a out
    rm a/t10k-images-idx3-ubyte
    refused 1 "a: t10k-images-idx3-ubyte is missing" "$DROVER" data to-csv a out
    [ ! -e out ]
    refused 1 "empty/x: cannot make the folder" "$DROVER" data synth empty/x --train-rows 10 --test-rows 10
}

@test "fetch refuses what is not MNIST and leaves nothing behind" {
    draw a
    gzip a/*
    refused 1 "sha256 of the unzipped bytes is " "$DROVER" data fetch --mirror "file://$PWD/a" --to to
    [ -z "$(ls to)" ]
    refused 1 "cannot fetch train-images-idx3-ubyte.gz: file:///nowhere/" \
        "$DROVER" data fetch --mirror file:///nowhere to
    [ -z "$(ls to)" ]
    HOME='' XDG_CACHE_HOME='' refused 1 "expected --to DIR" "$DROVER" data fetch
}

@test "fetch puts MNIST into the cache and keeps what is there" {
    need_mnist
    export XDG_CACHE_HOME=$PWD/cache
    local mirror
    mirror=file://$(realpath "$DROVER_DATA")
    run -0 --separate-stderr "$DROVER" data fetch --mirror "$mirror"
    [ "$output" = "$PWD/cache/drover/mnist" ]
    [ "$(find "$output" -type f | wc -l)" -eq 4 ]
    run -0 "$DROVER" data fetch --mirror file:///nowhere
    [ "$(grep -c 'is there already' <<<"$output")" -eq 4 ]
    echo damaged >cache/drover/mnist/t10k-labels-idx1-ubyte.gz
    run -0 "$DROVER" data fetch --mirror "$mirror"
    [ "$(grep -c 'is there already' <<<"$output")" -eq 3 ]
    run -0 "$DROVER" data info cache/drover/mnist
    [[ $output == *"rows     60000"* && $output == *"rows     10000"* ]]
}
