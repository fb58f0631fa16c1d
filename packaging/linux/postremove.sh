#!/bin/sh
# After files were removed. deb: "remove", then "purge" if asked; rpm: 0 is the last.
set -e
root=/opt/KeeperPrivilegeManager
case "$1" in
remove | 0)
	# What only a running service needs. Journal, state, settings and policies stay.
	rm -rf "$root/run" "$root/previous"
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
	fi
	if [ -d "$root/Audit" ]; then
		echo "keeper-privilege-manager: journal, settings and policies are left in $root"
	fi
	;;
purge)
	rm -rf "$root" /var/log/keeper-privilege-manager
	rm -f /etc/systemd/system/multi-user.target.wants/keeper-privilege-manager.service
	;;
esac
