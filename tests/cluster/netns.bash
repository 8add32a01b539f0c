# shellcheck shell=bash
# Hosts on one machine, for tests with networks that fail; load it behind cluster.
#
# Each host is a network namespace with one interface, whose cable leads to a switch: a bridge in a
# namespace of its own, so that nothing of the machine's own network is touched. Addresses are
# 10.0.0.1, 10.0.0.2 and so on, in the order of net_up's arguments. The hosts know each other's
# hardware addresses for good, as if routers stood between them: nobody tells them that the other
# one cannot be reached.

PATH=$PATH:/usr/sbin:/sbin # of ip; not on everybody's

declare -gA address=() # host -> its address
net=                   # the prefix of our namespaces' names; "" while there are none

# net_up HOST...: the hosts, all connected. Skips the test where namespaces are not permitted.
net_up() {
    local host other n=0 said
    command -v ip >/dev/null || skip "needs ip, of the package iproute2"
    remove_abandoned
    said=$(ip netns add "drover-$$-switch" 2>&1) || skip "needs network namespaces: $said"
    net=drover-$$
    ip -n "$net-switch" link add bridge type bridge || {
        net_down
        skip "needs a bridge"
    }
    ip -n "$net-switch" link set bridge up
    for host; do
        n=$((n + 1))
        address[$host]=10.0.0.$n
        ip netns add "$net-$host"
        ip -n "$net-$host" link set lo up
        ip -n "$net-switch" link add "$host" type veth peer name eth0 netns "$net-$host"
        ip -n "$net-switch" link set "$host" master bridge up
        ip -n "$net-$host" address add "${address[$host]}/24" dev eth0
        ip -n "$net-$host" link set eth0 address "02:00:00:00:00:0$n" up
    done
    for host; do
        for other; do
            [ "$host" = "$other" ] || ip -n "$net-$host" neighbour replace "${address[$other]}" dev eth0 \
                nud permanent lladdr "02:00:00:00:00:0${address[$other]##*.}"
        done
    done
}

# Removes what net_up made, as far as it got. Processes in it must have ended.
net_down() {
    local name
    [ -n "$net" ] || return 0
    for name in $(ip netns list | sed -n "s/^\($net-[^ ]*\).*/\1/p"); do
        ip netns delete "$name"
    done
    net=
}

# Namespaces of tests that were killed: nobody was left to do it.
remove_abandoned() {
    local name pid
    for name in $(ip netns list 2>/dev/null | sed -n 's/^\(drover-[0-9]*-[^ ]*\).*/\1/p'); do
        pid=${name#drover-}
        kill -0 "${pid%%-*}" 2>/dev/null || ip netns delete "$name" || true
    done
}

# start_on HOST NAME COMMAND...: start_background, there.
start_on() {
    local host=$1 name=$2
    shift 2
    start_background "$name" ip netns exec "$net-$host" "$@"
}

# unplug HOST..., plug HOST...: the cable at the switch; the host sees that its line is dead.
unplug() { set_ports down -- "$@"; }
plug() { set_ports up -- "$@"; }

# cut_off HOST..., mend HOST...: the same somewhere in the network: what is sent is lost, no more.
cut_off() { set_ports nomaster -- "$@"; }
mend() { set_ports master bridge -- "$@"; }

# set_ports WORD... -- HOST...
set_ports() {
    local words=() host
    while [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
    shift
    for host; do
        ip -n "$net-switch" link set "$host" "${words[@]}"
    done
}
