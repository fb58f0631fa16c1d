#!/bin/sh
# Before files are removed. deb: "remove" or "upgrade"; rpm: 0 is the last.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
# sudo is the system's own again (KeeperAdminCLI interception), whatever works by now.
if [ "$(readlink /usr/local/bin/sudo)" = /opt/KeeperPrivilegeManager/keepersudo ]; then
	rm -f /usr/local/bin/sudo
fi
if [ -d /run/systemd/system ]; then
	systemctl disable --quiet --now keeper-privilege-manager.service
fi
# Nobody is left with more or fewer rights than they had without the agent. What this
# says is for the person who removes the package; the files are removed all the same.
/opt/KeeperPrivilegeManager/KeeperPrivilegeManager rights give-back --root /opt/KeeperPrivilegeManager || :
