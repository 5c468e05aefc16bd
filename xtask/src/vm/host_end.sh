# A drill ends this host, with the word given: reboot or shutdown. The boot that comes after finds
# that the recovery registered with systemd has run; the word may be "none" then.
export FIREDRILL_STATE_DIR=/disk/state
word=$1

fail() {
    echo "FAILED $1"
    cat /tmp/said /disk/recovered
    exit 1
} 2>/dev/null

drills() { ls /disk/state/drills 2>/dev/null | wc -l; }

# What a refusal has to say, and the fault.
refused() {
    firedrill inject "$2" --target host=true --for 10s $3 >/tmp/said 2>&1
    [ $? = 4 ] || fail "$2 $3 is not refused"
    grep -q "$1" /tmp/said || fail "$2 $3 is refused for another reason"
}

if [ -e /disk/found ]; then
    echo "found        $(cat /disk/found) drills in the log at boot"
    systemctl show firedrill-recover | grep -q '^Result=success' || fail 'the recovery failed'
    grep -q 'it ended with the host, as it had asked' /disk/recovered || fail 'the recovery says nothing'
    echo "recovered    $(cat /disk/recovered)"
    [ "$(drills)" = 0 ] || fail 'a log is left'
    firedrill recover | grep -q 'nothing was left behind' || fail 'a second recovery has something to do'
    rm /disk/found /disk/recovered
else
    firedrill recover --install || fail 'it cannot be installed'
    mkdir /disk/units/firedrill-recover.service.d
    printf '[Service]\nStandardOutput=append:/disk/recovered\nExecStartPre=/bin/sh -c "ls /disk/state/drills | wc -l >/disk/found"\n' \
        >/disk/units/firedrill-recover.service.d/told.conf
fi

mkdir -p /etc/firedrill
[ "$word" = none ] && exit 0
refused 'not allowed by the policy' "infrastructure.host-$word" allow=true
[ "$word" = reboot ] && other=shutdown || other=reboot
echo "allow: [host-$other]" >/etc/firedrill/policy.yaml
refused 'not allowed by the policy' "infrastructure.host-$word" allow=true
echo "allow: [host-$word]" >/etc/firedrill/policy.yaml
refused '`allow: true`' "infrastructure.host-$word"
echo "refused      $word, without a word of the document, of the policy, or of the right one"
echo "ending       $word"
firedrill inject "infrastructure.host-$word" --target host=true --for 10s allow=true
fail "the host is still there"
