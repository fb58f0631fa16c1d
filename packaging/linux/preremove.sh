#!/bin/sh
# Before files are removed. deb: "remove" or "upgrade"; rpm: 0 is the last.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --quiet --now keeper-privilege-manager.service
fi
