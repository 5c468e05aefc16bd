# Every fault whose effect outlives the processes that hold it, in force until the power fails.
export FIREDRILL_STATE_DIR=/disk/state
mkdir -p /disk/state
ip netns add a
ip netns exec a ip link add veth0 type veth peer name veth1
ip netns exec a ip link set veth0 up
ip netns exec a ip link set veth1 up
sleep 100000 &
victim=$!
wanted=0
: >/tmp/seen

# FAULT, what shows it in force, and the rest of the command line.
drill() {
    fault=$1; shown=$2; shift 2
    if ! firedrill faults "$fault" >/dev/null 2>&1; then
        echo "skipped $fault: not in the catalogue"
        return
    fi
    wanted=$((wanted + 1))
    firedrill inject "$fault" "$@" --for 600s >"/tmp/$fault.log" 2>&1 &
    pid=$!
    (
        until sh -c "$shown"; do
            kill -0 $pid || { echo "$fault ended:"; cat "/tmp/$fault.log"; exit; }
            sleep 0.1
        done 2>/dev/null
        echo "in force     $fault"
        echo "$fault" >>/tmp/seen
    ) &
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
until [ "$(wc -l </tmp/seen)" -eq $wanted ]; do sleep 0.1; done
echo 'all are in force'
sleep 100000
