# What the tests in the machine lean on, each operated and not only looked up.
set -eu

fail() {
    echo "FAILED $1"
    exit 1
}

echo "kernel       $(uname -r)"
echo "cgroup v2    $(cat /sys/fs/cgroup/cgroup.subtree_control)"
mkdir /sys/fs/cgroup/check
echo 1 >/sys/fs/cgroup/check/cgroup.freeze || fail "cgroup v2 freezer"
rmdir /sys/fs/cgroup/check

round_trip() {
    ping -q -c 3 127.0.0.1 | sed -n 's|^round-trip min/avg/max = \([0-9.]*\)/.*|\1|p'
}
before=$(round_trip)
tc qdisc add dev lo root netem delay 50ms
during=$(round_trip)
tc qdisc del dev lo root
# There and back. The clock is virtual: what it shows above 100 ms is the kernel's own work.
[ "${during%.*}" = 100 ] || fail "netem: $during ms for 100 asked"
echo "netem        a round trip of $before ms becomes $during ms with 2 x 50 ms"

nft add table inet check
nft add chain inet check out '{ type filter hook output priority 0; }'
nft add rule inet check out ip daddr 127.0.0.2 queue num 7
nft add rule inet check out ip daddr 127.0.0.3 queue num 7 bypass
ping -q -c 1 -W 1 127.0.0.2 >/dev/null && fail "nft queue: a packet passed a queue that nobody reads"
ping -q -c 1 -W 1 127.0.0.3 >/dev/null || fail "nft queue: bypass lets nothing through"
nft delete table inet check
echo "nft queue    holds packets, and bypasses where nobody reads"
