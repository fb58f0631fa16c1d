#!/bin/sh
# Installs the agent that lies beside this script. Run it again to upgrade:
# settings, policies, plugin and job files stay. It has never run on a Mac.
#   sudo ./install.sh            install or upgrade, and start the service
#   sudo ./install.sh --remove   remove it; journal, settings and policies stay
#   sudo ./install.sh --purge    remove it with everything
set -eu
root=/usr/local/KeeperPrivilegeManager
label=keeper-privilege-manager
daemon=/Library/LaunchDaemons/$label.plist
here=$(cd "$(dirname "$0")" && pwd)

[ "$(id -u)" = 0 ] || { echo "install.sh: run this as root: sudo $0 $*" >&2; exit 1; }

case "${1-}" in
--remove | --purge)
	# sudo is the system's own again (KeeperAdminCLI interception), whatever works by now.
	if [ "$(readlink /usr/local/bin/sudo)" = "$root/keepersudo" ]; then rm -f /usr/local/bin/sudo; fi
	launchctl bootout "system/$label" 2>/dev/null || true
	# Nobody is left with more or fewer rights than they had without the agent.
	"$root/KeeperPrivilegeManager" rights give-back --root "$root" || true
	# There is nothing left that an alarm could end.
	for alarm in "$root"/run/alarms/*.plist; do
		[ -e "$alarm" ] || continue
		name=${alarm##*/}
		launchctl bootout "system/$label.alarm.${name%.plist}" 2>/dev/null || true
	done
	rm -f "$daemon"
	# What somebody has changed stays.
	if cmp -s "$here/pam" /etc/pam.d/kpm; then rm -f /etc/pam.d/kpm; fi
	for name in @ONPATH@; do rm -f "/usr/local/bin/${name##*/}"; done
	(cd "$here/man" && find . -type f) | while read -r page; do
		rm -f "/usr/local/share/man/man${page##*.}/${page##*/}"
	done
	if [ "$1" = --purge ]; then
		rm -rf "$root"
	else
		(cd "$here/root" && find . -type f) | while read -r f; do rm -f "${root:?}/$f"; done
		rm -rf "$root/run"
		echo "install.sh: journal, settings and policies are left in $root"
	fi
	exit 0
	;;
"") ;;
*) echo "install.sh: $1 is not an option: see the first lines of this script" >&2; exit 2 ;;
esac

(cd "$here/root" && find . -type f) | while read -r f; do
	mkdir -p "$(dirname "$root/$f")"
	# By rename: what runs is not written to.
	cp "$here/root/$f" "$root/$f.new"
	chown 0:0 "$root/$f.new"
	mv -f "$root/$f.new" "$root/$f"
done
mkdir -p /usr/local/bin
for name in @ONPATH@; do ln -sf "$root/$name" "/usr/local/bin/${name##*/}"; done
(cd "$here/man" && find . -type f) | while read -r page; do
	mkdir -p "/usr/local/share/man/man${page##*.}"
	cp "$here/man/$page" "/usr/local/share/man/man${page##*.}/${page##*/}"
done
# By which people are asked again who they are; an administrator's own stays.
if [ ! -e /etc/pam.d/kpm ]; then
	cp "$here/pam" /etc/pam.d/kpm.new
	chown 0:0 /etc/pam.d/kpm.new
	chmod 0644 /etc/pam.d/kpm.new
	mv -f /etc/pam.d/kpm.new /etc/pam.d/kpm
fi
launchctl bootout "system/$label" 2>/dev/null || true
# The service knows what launchd is to know about it.
"$root/KeeperPrivilegeManager" launchd --root "$root" >"$daemon.new"
chown 0:0 "$daemon.new"
chmod 0644 "$daemon.new"
mv -f "$daemon.new" "$daemon"
launchctl bootstrap system "$daemon"
echo "install.sh: the service runs: KeeperAdminCLI status"
