# The main job: the origin's experiment on the whole of MNIST, with two local workers.
load ../helpers
load cluster

setup_file() {
    [ -n "${DROVER_DATA:-}" ] || return 0
    draw_pictures
    "$DROVER" train "$DROVER_SOURCE_DIR/config/mnist.yaml" --data "$DROVER_DATA" --workers 2 \
        --output "$BATS_FILE_TMPDIR/out" >"$BATS_FILE_TMPDIR/train.log" 2>&1 || {
        cat "$BATS_FILE_TMPDIR/train.log"
        return 1
    }
}

test_setup() {
    need_mnist
    out=$BATS_FILE_TMPDIR/out
}

# lines_of FILE N REGEX: the file has N lines, and each matches.
lines_of() {
    [ "$(wc -l <"$out/$1")" -eq "$2" ]
    run ! grep -vE "^$3\$" "$out/$1"
}

@test "cost and accuracy are the origin's" {
    "$python" - "$out" <<'END'
import json
import sys

steps = [json.loads(line) for line in open(sys.argv[1] + "/metrics.jsonl")]
test = json.load(open(sys.argv[1] + "/evaluation.json"))
last = steps[-1]
print(last["cost"], last["accuracy"], test["accuracy"], [c["recall"] for c in test["classes"]])
assert [s["step"] for s in steps] == list(range(1, 101))
assert 0.13 <= last["cost"] <= 0.165 and 0.80 <= last["accuracy"] <= 0.87
assert abs(test["accuracy"] - last["accuracy"]) <= 0.02
assert min(c["recall"] for c in test["classes"]) >= 0.3
recalls = [sum(c["support"] * c["recall"] for c in test["classes"]) / 10000, test["weighted"]["recall"]]
assert all(abs(r - test["accuracy"]) < 1e-12 for r in recalls), recalls
assert test["rows"] == 10000 and sum(map(sum, test["confusion"])) == 10000
# the sample: 42,000 rows within 5 sigma, at each step
assert all(abs(s["rows"] - 42000) <= 5 * (60000 * 0.7 * 0.3) ** 0.5 for s in steps)
assert all(s["workers"] in (1, 2) and s["blocks"] == 118 and s["refused"] == 0 for s in steps)
END
}

@test "the output has the origin's files and ours, in their formats" {
    local number='[0-9]+\.[0-9]+(e-[0-9]+)?'
    lines_of cost_history/part-00000 100 "$number"
    lines_of accuracy_history/part-00000 100 "$number"
    lines_of metrics/part-00000 10 "\\($number, $number, $number\\)"
    lines_of tests/part-00000 15 '\([0-9], [0-9]\)'
    lines_of metrics.jsonl 100 '\{"step": [0-9]+, "cost": .*, "sum_ms": [0-9.]+\}'
    cmp <(metric "$out" cost) "$out/cost_history/part-00000"
    cmp <(metric "$out" accuracy) "$out/accuracy_history/part-00000"
    local picture
    for picture in cost_history accuracy_history confusion digits mistakes; do
        [ "$(head -c 8 "$out/$picture.png" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
        [ "$(tail -c 8 "$out/$picture.png" | head -c 4)" = IEND ]
    done
    run -0 ls "$out/checkpoint"
    [ "$output" = "step-0000000090.safetensors
step-0000000100.safetensors" ]
    [ -z "$(find "$out" -name '*.partial*' -o -name '*.tmp*')" ]
}

@test "config.yaml runs the same training again" {
    "$DROVER" train "$out/config.yaml" --output again --steps 3
    cmp <(head -n 3 "$out/cost_history/part-00000") again/cost_history/part-00000
}

@test "evaluate gives the figures of the training" {
    "$DROVER" evaluate "$out" "$DROVER_DATA" --json >evaluation.json
    cmp evaluation.json "$out/evaluation.json"
}

@test "predict classifies an image of the test set" {
    local images=$DROVER_DATA/t10k-images-idx3-ubyte
    [ -e "$images" ] || images=$images.gz
    run -0 "$DROVER" predict "$out" "$images" --index 0
    [[ $output == "${images}[0]: 7  (0: 0."* ]] # the first test image is a clear seven
    run -0 "$DROVER" predict "$out/model.safetensors" "$images"
    [ "${#lines[@]}" -eq 10000 ]
}
