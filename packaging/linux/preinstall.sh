#!/bin/sh
# Before files are unpacked. deb: "install", or "upgrade OLD-VERSION"; rpm: 1 or 2.
set -e
root=/opt/KeeperPrivilegeManager
# What an earlier installation has left, perhaps of a newer version.
written=$(sed -n 's/.*"format": *\([0-9]*\).*/\1/p' "$root/State/format" 2>/dev/null || true)
if [ -n "$written" ] && [ "$written" -gt @FORMAT@ ]; then
	echo "keeper-privilege-manager: $root/State was written by a newer version, in format $written; @VERSION@ reads up to format @FORMAT@." >&2
	echo "Install that version or a newer one, or put back a copy of State and Audit from before." >&2
	exit 1
fi
case "$1" in
upgrade)
	if dpkg --compare-versions "$2" gt "@VERSION@"; then
		echo "keeper-privilege-manager: $2 is installed, and @VERSION@ is older: it might not understand what $2 has written." >&2
		echo "Remove the package (the journal, settings and policies stay), then install @VERSION@." >&2
		exit 1
	fi
	;;
2) ;;
*) exit 0 ;;
esac
# What runs now, to go back to if the new service does not start.
cd "$root"
rm -rf previous
mkdir -m 0755 previous
for program in * Plugins/bin/*/* Jobs/bin/*/*; do
	if [ -f "$program" ] && [ ! -L "$program" ] && [ -x "$program" ]; then
		mkdir -p "previous/$(dirname "$program")"
		cp -p "$program" "previous/$program"
	fi
done
