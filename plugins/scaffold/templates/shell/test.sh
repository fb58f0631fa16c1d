#!/bin/sh
# Run with: sh test.sh
set -eu
set -- --test
. "$(dirname "$0")/@NAME@"
got=$(answer 'all well?')
[ "$got" = 'HELLO ALL WELL?' ] || { echo "got $got"; exit 1; }
echo ok
