# The Dockerfile and the Kubernetes manifests, as far as they can be looked at without an engine that
# runs them. tests/cluster/kubernetes.bats runs what stands in the manifests.
load ../helpers
load ../cluster/cluster

# The linters are Python packages, which pip brings into the build folder once.
setup_file() {
    make_venv linters
}

test_setup() {
    manifests=$DROVER_SOURCE_DIR/config/kubernetes
    dockerfile=$DROVER_SOURCE_DIR/config/docker/Dockerfile
}

# need_linter NAME: its path in $linter; skips the test when pip could not get it.
need_linter() {
    need_venv linters
    linter=$venv_bin/$1
}

check() {
    # shellcheck disable=SC2046
    "$python" "$DROVER_SOURCE_DIR/tests/python/manifests.py" "$1" check \
        $("$DROVER" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
}

@test "the manifests keep to the schemas of the oldest and the newest Kubernetes that we name" {
    local version
    need_linter kubernetes-validate
    for version in 1.31 1.37; do
        run -0 "$linter" --strict --quiet -k "$version" "$manifests"/*.yaml
        [ -z "$output" ]
    done
    sed 's/replicas:/replica:/' "$manifests/workers.yaml" >bad.yaml
    run ! "$linter" --strict --quiet bad.yaml
}

@test "ports, names, labels, commands and volumes of the manifests fit together" {
    local change said
    run -0 check "$manifests"
    [ -z "$output" ]
    while IFS='|' read -r change said; do
        rm -rf bad
        cp -r "$manifests" bad
        sed -i "$change" bad/*.yaml
        run -1 check bad
        grep -qxE "$said" <<<"$output" || { echo "$output"; return 1; }
    done <<'TABLE'
s/port: 5573/port: 5574/|service drover-server: ports, expected .*
s/containerPort: 5572/containerPort: 5582/|drover-server: ports .*
s/args: \[worker/args: [wroker/|drover-worker/worker: 'wroker' is no command of drover
s/value: "tcp:..drover-server/value: "tcp:\/\/drover-sever/|drover-worker/worker: there is no service drover-sever
s/selector: {\(.*\)component: server}/selector: {\1component: serve}/|service drover-server: stands for 0 workloads, expected 1|
s/name: state, mountPath: .var.lib.drover/name: tmp, mountPath: \/var\/lib\/drover/|drover-server/server: --resume /var/lib/drover/run does not outlive the pod
s/--resume, .var.lib/--resume, \/srv/|drover-server/server: /srv/drover/run is on no volume
s/claimName: drover/claimName: other/|drover-server/server: .*there is no such claim
TABLE
}

@test "hadolint finds nothing wrong with the Dockerfile" {
    need_linter hadolint
    run -0 "$linter" "$dockerfile"
    [ -z "$output" ]
    sed 's/apt-get install -y/apt-get install/' "$dockerfile" >bad
    run ! "$linter" bad
}

# instructions NAME: those of the Dockerfile, each on a line; NAME's words only.
instructions() {
    sed '/^ *#/d' "$dockerfile" | sed -e ':a' -e '/\\$/{N;s/\\\n//;ba}' | sed -n "s/^$1 *//p"
}

@test "the image holds the packages whose libraries the program opens, and no other libraries" {
    local packages needed opened file
    # the last RUN's install, without options
    packages=$(instructions RUN | tail -n 1 | sed 's/.*apt-get install//; s/&&.*//' | tr ' ' '\n' |
        grep -E '^[a-z]' | sort)
    grep -qx libczmq4 <<<"$packages"
    opened=$(cd "$DROVER_SOURCE_DIR" && grep -rhoP '\blibrary_open\(.*"\Klib[^"]+\.so[^"]*' common cli)
    [ "$(wc -l <<<"$opened")" -ge 2 ]
    needed=$({
        ldd "$DROVER"
        ldconfig -p | grep -F "$opened"
    } | sed -n 's/.* => \(\/[^ ]*\).*/\1/p' | sort -u)
    # those that the program itself names
    {
        readelf -d "$DROVER" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
        echo "$opened"
    } | while read -r file; do
        file=$(grep -m 1 -F "/$file" <<<"$needed")
        dpkg -S "$(readlink -f "$file")" 2>/dev/null || dpkg -S "$file" || dpkg -S "${file#/usr}"
    done | sed 's/:.*//' | grep -v '^libc6$' | sort -u >linked
    diff linked <(grep '^lib\|^zlib' <<<"$packages")
    for file in gnuplot-nox ca-certificates; do
        grep -qx "$file" <<<"$packages"
    done
}

@test "what the build stage does can be done: its packages, its commands, what it copies" {
    local path
    # COPY SOURCE... TARGET of the first stage
    for path in scripts/setup scripts/lib.sh; do
        instructions COPY | head -n 1 | grep -qw -- "$path"
        [ -s "$DROVER_SOURCE_DIR/$path" ]
    done
    instructions RUN | head -n 1 | grep -q '^/src/scripts/setup '
    # as it configures, in a copy of what it copies
    (cd "$DROVER_SOURCE_DIR" && git ls-files -z 2>/dev/null || find . -type f -not -path './build/*' -print0) |
        tar -C "$DROVER_SOURCE_DIR" --null -T - -cf - | tar -xf -
    line=$(instructions RUN | sed -n 2p)
    [[ $line == 'cmake --preset release -DBUILD_TESTING=OFF '* ]]
    ${line%%&&*} >/dev/null
    [ ! -e build/release/tests ]
    # and as it installs, from the build that is there
    DESTDIR=$work/image cmake --install "$DROVER_BINARY_DIR" --prefix /usr --strip >/dev/null
    [[ $line == *" cmake --install build/release --prefix /usr --strip"* ]]
    run -0 image/usr/bin/drover version
    readelf -d image/usr/bin/drover >dynamic
    run ! grep -E 'RPATH|RUNPATH' dynamic
}
