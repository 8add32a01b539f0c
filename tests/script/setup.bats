#!/usr/bin/env bats
# scripts/setup: what it asks of apt-get, by stubs in front of the real programs.
load ../helpers

test_setup() {
    setup_script=$DROVER_SOURCE_DIR/scripts/setup
    stub apt-get
    stub sudo 'exec "$@"'
    stub id 'echo 0'
    # Knows every package that it is asked for as installed, but those in $absent.
    stub dpkg-query 'for name; do
    case $name in
    -*) ;;
    *) case " $absent " in
        *" $name "*) status=1 ;;
        *) echo "$name installed" ;;
        esac ;;
    esac
done
exit ${status:-0}'
    export absent=
}

@test "does nothing when all packages are there" {
    run "$setup_script"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run "$setup_script" --test
    [ "$status" -eq 0 ]
    run ! grep -qE '^(apt-get|sudo)' calls
}

@test "installs only what is missing, after one update" {
    absent="libyaml-dev gnuplot-nox" run "$setup_script"
    [ "$status" -eq 0 ]
    grep '^apt-get' calls >apt
    [ "$(wc -l <apt)" -eq 2 ]
    head -n 1 apt | grep -qw update
    tail -n 1 apt | grep -qE ' install libyaml-dev gnuplot-nox$'
    run ! grep -q '^sudo' calls
}

@test "a package that is removed but configured counts as missing" {
    stub dpkg-query 'shift 2; for name; do
    [ "$name" = cmake ] && echo "$name config-files" || echo "$name installed"; done'
    run "$setup_script"
    [ "$status" -eq 0 ]
    grep -qE '^apt-get .* install cmake$' calls
}

@test "the tests' packages are asked for only with --test" {
    absent="libcmocka-dev" run "$setup_script"
    [ "$status" -eq 0 ]
    run ! grep -q '^apt-get' calls
    absent="libcmocka-dev" run "$setup_script" --test
    [ "$status" -eq 0 ]
    grep -qE '^apt-get .* install libcmocka-dev$' calls
}

@test "services that come for the tests are not started" {
    stub systemctl
    absent="openssh-server slurmd bats" run "$setup_script" --test
    [ "$status" -eq 0 ]
    grep -v '^dpkg-query\|^id' calls >made
    [ "$(head -n 1 made)" = 'systemctl mask slurmd.service ssh.service ssh.socket' ]
    tail -n 1 made | grep -qE '^apt-get .* install bats slurmd openssh-server$'
    rm calls
    absent="bats" run "$setup_script" --test
    [ "$status" -eq 0 ]
    run ! grep -q '^systemctl' calls
}

@test "uses sudo when it is not root" {
    stub id 'echo 1000'
    absent="cmake" run "$setup_script"
    [ "$status" -eq 0 ]
    [ "$(grep -c '^sudo' calls)" -eq 2 ]
    [ "$(grep -c '^apt-get' calls)" -eq 2 ]
}

@test "neither root nor sudo: says what to install" {
    stub id 'echo 1000'
    rm stubs/sudo
    # The real programs but sudo, so that the script sees a machine without it.
    mkdir bin
    for program in bash sed grep basename dirname nproc env; do
        ln -s "$(command -v "$program")" "bin/$program"
    done
    PATH=$work/stubs:$work/bin absent="cmake" run "$setup_script"
    [ "$status" -eq 1 ]
    [[ $output == *"missing packages: cmake;"*"root or sudo"*"apt-get install cmake"* ]]
    run ! grep -q '^apt-get' calls
}

@test "a failing apt-get fails it" {
    stub apt-get 'exit 100'
    absent="cmake" run "$setup_script"
    [ "$status" -eq 1 ]
    [[ $output == *"still missing: cmake"* ]]
}

@test "an unknown argument is an error of usage" {
    run "$setup_script" --tests
    [ "$status" -eq 2 ]
    [[ $output == *"'--tests'"* ]]
}
