# Every fault whose effect outlives the processes that hold it, in force until the power fails.
export FIREDRILL_STATE_DIR=/disk/state
mkdir -p /disk/state
ip netns add a
ip netns exec a ip link add veth0 type veth peer name veth1
ip netns exec a ip link set veth0 up
ip netns exec a ip link set veth1 up
sleep 100000 &
victim=$!
# A cgroup of somebody's, with a process in it.
quota=/sys/fs/cgroup/quota
mkdir $quota
sleep 100000 &
echo $! >$quota/cgroup.procs

# FAULT, what shows it in force, and the rest of the command line. One after the other, and tried
# again: on a busy host a drill may start so slowly that its lease is over.
drill() {
    fault=$1; shown=$2; shift 2
    for try in 1 2 3; do
        firedrill inject "$fault" "$@" --for 600s >"/tmp/$fault.log" 2>&1 &
        pid=$!
        while kill -0 $pid; do
            if sh -c "$shown"; then
                echo "in force     $fault"
                return
            fi
            sleep 0.1
        done 2>/dev/null
    done
    echo "$fault ended:"
    cat "/tmp/$fault.log"
    exit 1
}

echo beginning
drill switching.latency 'ip netns exec a tc qdisc show | grep -q netem' \
    delay=50ms mechanism=netem --target namespace=a
drill infrastructure.process-pause "grep -q '^State:.[TD]' /proc/$victim/status || grep -qs firedrill /proc/$victim/cgroup" \
    --target pid=$victim
drill infrastructure.clock-skew 'test $(date +%Y) -gt 2030' \
    offset=70000h --target host=true
drill switching.interface-down 'ip netns exec a ip link show veth0 | grep -q "state DOWN"' \
    interface=veth0 --target namespace=a
drill infrastructure.cpu "grep -q '^[0-9]' $quota/cpu.max" \
    throttle=50 --target cgroup=$quota
echo 'all are in force'
sleep 100000
