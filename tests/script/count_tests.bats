#!/usr/bin/env bats
# scripts/count-tests: what it makes of ctest's report.
load ../helpers

test_setup() {
    count=$DROVER_SOURCE_DIR/scripts/count-tests
    unset DROVER_DATA
}

# testcase NAME STATUS OUTPUT [ELEMENT]
testcase() {
    printf '<testcase name="%s" status="%s">%s<system-out>%s</system-out></testcase>\n' \
        "$1" "$2" "${4:-}" "$3"
}

# counts EXPECTED: of the test cases on stdin.
counts() {
    { echo '<testsuite>' && cat && echo '</testsuite>'; } >report.xml
    "$count" report.xml >counts 2>messages
    cat counts messages
    [ "$(cat counts)" = "$1" ]
}

cmocka='[==========] Running 3 test(s).
[ RUN      ] a
[       OK ] a
[ RUN      ] b
SKIPPED: needs MNIST
[  SKIPPED ] b
[ RUN      ] c
[       OK ] c
[==========] 3 test(s) run.
[  PASSED  ] 2 test(s).
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] b
'

@test "cases of cmocka are counted, a skipped one with its reason" {
    testcase unit/x run "$cmocka" | counts "2 0 1"
    grep -qxF 'SKIPPED: unit/x: b: needs MNIST' messages
}

@test "cases of bats are counted" {
    testcase cli/x fail $'1..4\nok 1 one # two\nok 2 three # skip needs MNIST\nnot ok 3 four\nok 4 five # skip' |
        counts "1 1 2"
    grep -qxF 'SKIPPED: cli/x: three: needs MNIST' messages
    grep -qxF 'FAILED: cli/x' messages
}

@test "a plain program counts as one" {
    {
        testcase a run ""
        testcase b fail ""
        testcase c notrun $'SKIPPED: needs a network\n' '<skipped message="SKIP_RETURN_CODE=77"/>'
    } | counts "1 1 1"
}

@test "a program that crashes behind its cases has failed" {
    testcase a fail "$cmocka" | counts "2 1 1"
}

@test "a program that is missing has failed" {
    testcase a notrun "Unable to find executable: a" \
        '<skipped message="Unable to find executable"/>' | counts "0 1 0"
}

@test "with DROVER_DATA being skipped for want of MNIST is a failure" {
    export DROVER_DATA=/data
    {
        testcase unit/x run "$cmocka"
        testcase cli/x run $'1..2\nok 1 one # skip needs MNIST: DROVER_DATA is wrong\nok 2 two # skip no network'
        testcase c notrun $'SKIPPED: needs MNIST\n' '<skipped message="SKIP_RETURN_CODE=77"/>'
    } | counts "2 3 1"
}

@test "no report is an error" {
    run "$count" missing.xml
    [ "$status" -ne 0 ]
}
