#!/bin/sh
# Installs the agent that lies beside this script, for machines without deb or rpm.
# Run it again to upgrade: settings, policies, plugin and job files stay.
#   sudo ./install.sh            install or upgrade, and start the service
#   sudo ./install.sh --remove   remove it; journal, settings and policies stay
#   sudo ./install.sh --purge    remove it with everything
set -eu
root=/opt/KeeperPrivilegeManager
unit=keeper-privilege-manager.service
here=$(cd "$(dirname "$0")" && pwd)

[ "$(id -u)" = 0 ] || { echo "install.sh: run this as root: sudo $0 $*" >&2; exit 1; }

# each NAME: the programs on the PATH, pages and completions, and where they lie.
each() {
	for name in keepersudo KeeperAdminCLI keeperAgent; do "$1" "$root/$name" "/usr/local/bin/$name"; done
	"$1" "$root/Plugins/bin/KeeperPolicy/KeeperPolicy" /usr/local/bin/KeeperPolicy
	for page in "$here"/man/*; do "$1" "$page" "/usr/local/share/man/man${page##*.}/${page##*/}"; done
	for name in KeeperAdminCLI keepersudo keeperAgent; do
		"$1" "$here/completions/$name" "/usr/local/share/bash-completion/completions/$name"
		"$1" "$here/completions/_$name" "/usr/local/share/zsh/site-functions/_$name"
		"$1" "$here/completions/$name.fish" "/usr/local/share/fish/vendor_completions.d/$name.fish"
	done
}

put() {
	mkdir -p "$(dirname "$2")"
	case "$2" in
	/usr/local/bin/*) ln -sfn "$1" "$2" ;;
	*) install -m 0644 "$1" "$2" ;;
	esac
}

take() { rm -f "$2"; }

case "${1-}" in
--remove | --purge)
	if [ -d /run/systemd/system ]; then systemctl disable --quiet --now "$unit" || true; fi
	rm -f "/etc/systemd/system/$unit" /usr/lib/pam.d/kpm
	# sudo is the system's own again (KeeperAdminCLI interception), whatever works by now.
	if [ "$(readlink /usr/local/bin/sudo)" = "$root/keepersudo" ]; then rm -f /usr/local/bin/sudo; fi
	each take
	if [ "$1" = --purge ]; then
		rm -rf "$root" /var/log/keeper-privilege-manager
	else
		(cd "$here/root" && find . -type f ! -name '*.json') | while read -r f; do rm -f "$root/$f"; done
		rm -rf "$root/run"
		echo "install.sh: journal, settings and policies are left in $root"
	fi
	exit 0
	;;
"") ;;
*) echo "install.sh: $1 is not an option: see the first lines of this script" >&2; exit 2 ;;
esac

(cd "$here/root" && find . -type f) | while read -r f; do
	case "$f" in
	./Plugins/*.json | ./Jobs/*.json | ./Policies/*.json) [ ! -e "$root/$f" ] || continue ;;
	esac
	mkdir -p "$(dirname "$root/$f")"
	# By rename: what runs is not written to.
	cp "$here/root/$f" "$root/$f.new"
	chown 0:0 "$root/$f.new"
	mv -f "$root/$f.new" "$root/$f"
done
install -m 0644 "$here/$unit" "/etc/systemd/system/$unit"
# Distributions name the files that all programs share differently.
pam=pam.rpm
if [ -e /etc/pam.d/common-auth ]; then pam=pam.deb; fi
mkdir -p /usr/lib/pam.d
install -m 0644 "$here/$pam" /usr/lib/pam.d/kpm
each put
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl enable --quiet "$unit"
	systemctl restart "$unit"
	echo "install.sh: the service runs: KeeperAdminCLI status"
else
	echo "install.sh: systemd does not run here; start it by hand: $root/KeeperPrivilegeManager run"
fi
