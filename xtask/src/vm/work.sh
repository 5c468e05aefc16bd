# The command, as the guest's first process or as a service of it, and then power off.
export PATH=/bin HOME=/root LANG=C.UTF-8
# Port 1 is the command's output, port 2 its exit code. Opening port 1 tells the host that
# the machine has booted.
/bin/sh /command </dev/null >/dev/vport0p1 2>&1
echo $? >/dev/vport0p2

umount /disk 2>/dev/null
poweroff -f
