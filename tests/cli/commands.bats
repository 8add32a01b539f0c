# The program's frame, and the commands that use a finished model: the real program, its exit status
# and its one line of error.
load ../helpers

# A network of 4 inputs and 2 classes that tells whether the left half of a 2 x 2 picture is
# brighter (class 0) or the right one (class 1).
test_setup() {
    cat >make_model.py <<'END'
import json
import struct
import sys

weight = [9, -9, -9, 9, 9, -9, -9, 9]  # (inputs, units)
data = struct.pack("<10f", *weight, 0, 0)
header = {
    "__metadata__": {
        "format": "drover", "format_version": "1", "data_digest": "0" * 32, "kernel": "Haswell",
        "step": "1", "seed": "1", "inputs": "4", "layers": "1", "layer1.activation": "sigmoid",
    },
    "layer1.bias": {"dtype": "F32", "shape": [2], "data_offsets": [32, 40]},
    "layer1.weight": {"dtype": "F32", "shape": [4, 2], "data_offsets": [0, 32]},
}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
open(sys.argv[1], "wb").write(struct.pack("<Q", len(text)) + text + data)
END
    mkdir run
    python3 make_model.py run/model.safetensors
    printf 'P2 2 2 255 255 0 255 0\n' >left.pgm
    printf 'P2 2 2 255 0 255 0 255\n' >right.pgm
    printf 'P2 3 2 255 0 0 0 0 0 0\n' >wide.pgm
    # images as IDX: left, right, right; the last label is wrong
    printf '\0\0\010\003\0\0\0\003\0\0\0\002\0\0\0\002\377\0\377\0\0\377\0\377\0\377\0\377' >images
    printf '\0\0\010\001\0\0\0\003\0\001\0' >labels
}

# refused STATUS TEXT COMMAND...: the command ends with the status and says exactly this, and
# nothing on standard output.
refused() {
    local wanted=$1 text=$2
    shift 2
    run --separate-stderr "$@"
    if [ "$status" -ne "$wanted" ] || [ "$stderr" != "$text" ] || [ -n "$output" ]; then
        printf 'status %s, stderr: %s\nstdout: %s\n' "$status" "$stderr" "$output"
        return 1
    fi
}

@test "version and help" {
    run -0 "$DROVER" --version
    [[ $output =~ ^drover\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    run -0 "$DROVER" --help
    [[ $output == "usage: drover COMMAND"* ]]
    # every command of the table has its help, in both forms, within 100 columns
    local commands command
    mapfile -t commands < <(sed -n 's/^  \([a-z]*\)  .*/\1/p' <<<"$output" | grep -v -e version -e help)
    [ "${#commands[@]}" -ge 3 ]
    for command in "${commands[@]}"; do
        run -0 "$DROVER" help "$command"
        [[ ${lines[0]} == "usage: drover $command "* ]]
        local help=$output
        run -0 "$DROVER" "$command" --help
        [ "$output" = "$help" ]
        run ! grep -E '.{101}' <<<"$help"
    done
}

@test "usage errors end with status 2" {
    run --separate-stderr "$DROVER"
    [ "$status" -eq 2 ]
    [[ $stderr == "usage: drover COMMAND"* ]]
    [ -z "$output" ]
    refused 2 "drover: unknown command 'evalaute'; did you mean 'evaluate'? (see drover --help)" \
        "$DROVER" evalaute
    refused 2 "drover: unknown command 'zebra' (see drover --help)" "$DROVER" zebra
    refused 2 "drover evaluate: unknown option '--jsno'; did you mean '--json'? (see drover evaluate --help)" \
        "$DROVER" evaluate run --jsno images labels
    refused 2 "drover predict: too few words; expected MODEL IMAGE... (see drover predict --help)" \
        "$DROVER" predict run
    refused 2 "drover predict: --index: '-1' is out of range; expected 0 to 2147483646 (see drover predict --help)" \
        "$DROVER" predict run images --index -1
}

@test "a full disk behind standard output is a failure" {
    run -1 --separate-stderr bash -c '"$1" --help >/dev/full' - "$DROVER"
    [ "$stderr" = "drover: cannot write to standard output: No space left on device" ]
}

@test "evaluate prints a table or JSON" {
    run -0 "$DROVER" evaluate run images labels
    [[ ${lines[0]} == "rows 3, cost 0.3333"*", accuracy 0.6667" ]]
    run -0 "$DROVER" evaluate run/model.safetensors images labels --json
    python3 - "$output" <<'END'
import json
import sys

e = json.loads(sys.argv[1])
assert e["rows"] == 3 and e["confusion"] == [[1, 1], [0, 1]], e
assert abs(e["cost"] - 1 / 3) < 1e-6 and abs(e["accuracy"] - 2 / 3) < 1e-15, e
assert e["classes"][0] == {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 2}, e
assert e["macro"] == {"precision": 0.75, "recall": 0.75, "f1": 2 / 3}, e
assert abs(e["weighted"]["precision"] - 2.5 / 3) < 1e-15 and e["weighted"]["recall"] == 2 / 3, e
END
    run -0 "$DROVER" evaluate run images labels --json --mistakes wrong.png
    [[ $output == '{"rows": 3'* ]]
    [ "${#lines[@]}" -eq 1 ]
    [ "$(head -c 8 wrong.png | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
    refused 1 "drover evaluate: none/wrong.png.partial: cannot create: No such file or directory" \
        "$DROVER" evaluate run images labels --mistakes none/wrong.png
}

@test "evaluate refuses what does not fit" {
    refused 1 "drover evaluate: none: cannot open: No such file or directory" \
        "$DROVER" evaluate none images labels
    refused 1 "drover evaluate: nothere: cannot open: No such file or directory" \
        "$DROVER" evaluate run nothere labels
    printf '\0\0\010\003\0\0\0\003\0\0\0\001\0\0\0\002\377\0\377\0\0\377' >narrow
    refused 1 "drover evaluate: narrow: the images have 2 bytes each; expected 4, the network's inputs" \
        "$DROVER" evaluate run narrow labels
    printf '\0\0\010\001\0\0\0\003\0\001\005' >five
    refused 1 "drover evaluate: images: the labels go up to 5; expected at most 1, the network's 2 classes" \
        "$DROVER" evaluate run images five
}

@test "predict takes pictures and files of images" {
    run -0 "$DROVER" predict run left.pgm right.pgm
    [ "${lines[0]}" = "left.pgm: 0  (0: 1.000, 1: 0.000)" ]
    [ "${lines[1]}" = "right.pgm: 1  (0: 0.000, 1: 1.000)" ]
    run -0 "$DROVER" predict run --invert left.pgm
    [[ $output == "left.pgm: 1 "* ]]
    run -0 "$DROVER" predict run images
    [ "${#lines[@]}" -eq 3 ]
    [[ ${lines[2]} == "images[2]: 1 "* ]]
    run -0 "$DROVER" predict run /dev/stdin --index 2 < <(cat images)
    [[ $output == "/dev/stdin[2]: 1 "* ]]
    run -0 "$DROVER" predict run images --index 1 --json
    python3 - "$output" <<'END'
import json
import sys

(p,) = json.loads(sys.argv[1])
assert p["file"] == "images" and p["index"] == 1 and p["class"] == 1 and len(p["scores"]) == 2, p
END
}

@test "pictures and models go where links lead, and to what is no file as it is" {
    : >elsewhere.png
    ln -s elsewhere.png wrong.png
    "$DROVER" evaluate run images labels --mistakes wrong.png
    [ -L wrong.png ]
    [ -s elsewhere.png ]
    ln -s /dev/null null
    "$DROVER" evaluate run images labels --mistakes null
    "$DROVER" export run --onnx null
    [ -L null ]
    [ -c /dev/null ]
    "$DROVER" export run --onnx model.onnx
    "$DROVER" export run --onnx /proc/self/fd/1 | cmp - model.onnx
}

@test "predict prints nothing when one image is refused" {
    refused 1 "drover predict: wide.pgm: 3 x 2 pixels; expected 4 (2 x 2), the network's inputs" \
        "$DROVER" predict run left.pgm wide.pgm
    refused 1 "drover predict: images: no image 3; expected an index from 0 to 2" \
        "$DROVER" predict run images --index 3
    refused 1 "drover predict: left.pgm: a picture has no --index; expected an IDX or CSV file" \
        "$DROVER" predict run left.pgm --index 0
    refused 1 "drover predict: none.png: cannot open: No such file or directory" \
        "$DROVER" predict run --json left.pgm none.png
}

@test "plot draws a run's pictures again" {
    mkdir -p run/cost_history run/accuracy_history
    printf '1.8\n1.2\n0.9\n' >run/cost_history/part-00000
    printf '0.2\n0.5\n0.6\n' >run/accuracy_history/part-00000
    run -0 "$DROVER" plot run
    [ "$output" = "2 pictures drawn in run" ]
    [ -s run/cost_history.png ]
    [ -s run/accuracy_history.png ]
    [ -s run/plots/cost_history.gp ]
    [ ! -e run/cost_history.png.partial ]
    printf '1.8\nx\n' >run/cost_history/part-00000
    refused 1 "drover plot: run/cost_history/part-00000:2: 'x' is not a number" "$DROVER" plot run
    refused 1 "drover plot: none: no such folder; expected the output folder of a run" \
        "$DROVER" plot none
}

@test "export writes a whole file or none, and says what is wrong" {
    run -0 "$DROVER" export run --onnx model.onnx
    [ -z "$output" ]
    [ -s model.onnx ]
    grep -q Sigmoid model.onnx
    cp model.onnx kept.onnx
    refused 2 "drover export: nothing to write; expected --onnx FILE (see drover export --help)" \
        "$DROVER" export run
    refused 1 "drover export: none: cannot open: No such file or directory" \
        "$DROVER" export none --onnx model.onnx
    refused 1 "drover export: left.pgm: not safetensors: header of 3611942015012450896 bytes, expected at most 16777216" \
        "$DROVER" export left.pgm --onnx model.onnx
    head -c 200 run/model.safetensors >short
    run -1 "$DROVER" export short --onnx model.onnx
    [[ $output == "drover export: short: truncated safetensors: "* ]]
    sed 's/"inputs"/"imports"/; s/"drover", /"drovr", /' run/model.safetensors >foreign
    refused 1 "drover export: foreign: no 'inputs' in the metadata, expected a model of drover" \
        "$DROVER" export foreign --onnx model.onnx
    sed 's/"sigmoid"/"cosines"/' run/model.safetensors >foreign
    refused 1 "drover export: foreign: metadata 'layer1.activation' is 'cosines', expected an activation" \
        "$DROVER" export foreign --onnx model.onnx
    cmp model.onnx kept.onnx # none of them touched it
    refused 1 "drover export: run: cannot write: Is a directory" "$DROVER" export run --onnx run
    [ -z "$(find . -name '*.tmp*' -o -name '*.partial*')" ]
}

# On one of 40 columns a line of more than 39 would be two, of which the first stays.
@test "the progress of a training keeps to the terminal's columns" {
    "$DROVER" data synth digits --train-rows 60 --test-rows 10
    cat >terminal.py <<'END'
import fcntl, os, pty, struct, sys, termios

child, terminal = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 40, 0, 0))
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""
while True:
    try:
        seen += os.read(terminal, 4096)
    except OSError:
        break  # its other end is closed
_, status = os.waitpid(child, 0)
drawn = [line.split("\n")[0].rstrip("\r") for line in seen.decode().split("\r\033[K")[1:]]
drawn = [line for line in drawn if line.startswith("step ")]
assert drawn[0].startswith("step 1/5  cost "), drawn
assert {len(line) for line in drawn} == {39}, drawn
sys.exit(os.waitstatus_to_exitcode(status))
END
    timeout $((30 * DROVER_SLOWNESS)) python3 terminal.py "$DROVER" train --data digits --output out --steps 5
}
