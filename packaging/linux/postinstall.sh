#!/bin/sh
# After files are unpacked. deb: "configure [OLD-VERSION]"; rpm: 1 or 2.
set -e
root=/opt/KeeperPrivilegeManager
unit=keeper-privilege-manager.service
case "$1" in
configure | 1 | 2) ;;
*) exit 0 ;;
esac
# What this package brings is approved when the service starts next (Last Known
# Good), and nothing else.
approve() {
	for folder in @FOLDERS@; do
		"$root/KeeperAdminCLI" --root "$root" plugins approve "$folder" --at-start
	done
}
approve
if [ ! -d /run/systemd/system ]; then
	systemctl enable --quiet "$unit" 2>/dev/null || true
	echo "keeper-privilege-manager: systemd does not run here; the service starts with the machine." >&2
	exit 0
fi
systemctl daemon-reload
systemctl enable --quiet "$unit"
if systemctl restart "$unit"; then
	if [ -z "$2" ] && [ "$1" != 2 ]; then
		cat <<-END
			Keeper Privilege Manager runs. Nobody may do anything with it yet: its first
			policy only records what people ask for.
			  KeeperAdminCLI status                  is it healthy?
			  KeeperAdminCLI audit tail -f           what do people ask for?
			  man kpm-policy                         how to grant it
			  $root/Policies/first-steps.json        where to begin
		END
	fi
	exit 0
fi
if [ ! -d "$root/previous" ]; then
	echo "keeper-privilege-manager: the service did not start: see systemctl status $unit" >&2
	exit 1
fi
# The new service does not start: back to the programs of before. Each replaces
# its successor by rename, so that what runs is not written to.
cd "$root/previous"
find . -type f | while read -r program; do
	cp -p "$program" "$root/$program.back"
	mv -f "$root/$program.back" "$root/$program"
done
approve
if systemctl restart "$unit"; then
	echo "keeper-privilege-manager: @VERSION@ did not start (see journalctl -u $unit). The programs of the version before are back and run." >&2
else
	echo "keeper-privilege-manager: neither @VERSION@ nor the version before starts: see journalctl -u $unit" >&2
fi
exit 1
