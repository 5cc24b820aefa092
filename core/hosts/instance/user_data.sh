#!/bin/sh
# Runs once, as root, when the instance starts for the first time. The site's agent comes with the
# first command; what is here holds for every site, so that this text never changes with one.
set -u
export DEBIAN_FRONTEND=noninteractive

if command -v apt-get >/dev/null; then
    apt="apt-get -y -q -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300"
    $apt update
    $apt install --no-install-recommends python3 python3-venv ca-certificates unattended-upgrades
    cat >/etc/apt/apt.conf.d/52tmux-builder <<'END'
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
END
elif command -v dnf >/dev/null; then
    dnf -y -q --setopt=retries=5 install python3 dnf-automatic
    sed -i -e 's/^upgrade_type.*/upgrade_type = security/' \
        -e 's/^apply_updates.*/apply_updates = yes/' /etc/dnf/automatic.conf
    systemctl enable --now dnf-automatic.timer
fi

# Commands come through the cloud's own agent; nobody logs in.
for unit in ssh.socket ssh.service sshd.socket sshd.service; do
    systemctl disable --now "$unit" 2>/dev/null
    systemctl mask "$unit" 2>/dev/null
done
exit 0
