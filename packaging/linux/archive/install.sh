#!/bin/sh
# Installs the agent that lies beside this script, for machines without deb or rpm.
# Run it again to upgrade: settings, policies, plugin and job files stay, and if the
# new service does not start, the programs of the version before are put back.
#   sudo ./install.sh            install or upgrade, and start the service
#   sudo ./install.sh --remove   remove it; journal, settings and policies stay
#   sudo ./install.sh --purge    remove it with everything
set -eu
root=/opt/KeeperPrivilegeManager
unit=keeper-privilege-manager.service
log=/var/log/keeper-privilege-manager
here=$(cd "$(dirname "$0")" && pwd)

[ "$(id -u)" = 0 ] || { echo "install.sh: run this as root: sudo $0 $*" >&2; exit 1; }

# each NAME: the programs on the PATH, pages and completions, and where they lie.
each() {
	for name in @ONPATH@; do "$1" "$root/$name" "/usr/local/bin/${name##*/}"; done
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

# take removes a file, and the folders that put has made for it if nothing else is
# there.
take() {
	rm -f "$2"
	case "$2" in
	*/man/*) rmdir "${2%/*}" 2>/dev/null || true ;;
	/usr/local/share/*) (cd /usr/local/share && rmdir -p "$(dirname "${2#/usr/local/share/}")" 2>/dev/null) || true ;;
	esac
}

case "${1-}" in
--remove | --purge)
	# Unless it was removed already, and is purged now.
	if [ -e "/etc/systemd/system/$unit" ]; then sh "$here/scripts/preremove.sh" remove; fi
	rm -f "/etc/systemd/system/$unit" /usr/lib/pam.d/kpm
	rmdir /usr/lib/pam.d 2>/dev/null || true
	if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
	each take
	(cd "$here/root" && find . -type f ! -path './Plugins/*.json' ! -path './Jobs/*.json' ! -path './Policies/*.json') | while read -r f; do rm -f "$root/$f"; done
	find "$root" -depth -type d -empty -delete 2>/dev/null || true
	sh "$here/scripts/postremove.sh" "${1#--}"
	exit 0
	;;
"") ;;
*) echo "install.sh: $1 is not an option: see the first lines of this script" >&2; exit 2 ;;
esac

# As rpm counts: 1 is the first, 2 an upgrade.
count=1
if [ -x "$root/KeeperPrivilegeManager" ]; then count=2; fi
sh "$here/scripts/preinstall.sh" "$count"
mkdir -p "$root"
chmod 0755 "$root"
[ -d "$log" ] || install -d -m 0750 "$log"
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
exec sh "$here/scripts/postinstall.sh" "$count"
