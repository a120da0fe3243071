#!/bin/sh
# launch.sh PARENT COMMAND...: becomes COMMAND if PARENT still is the parent. Run under setpriv --pdeathsig, which asks the
# kernel to kill this process when its parent dies, but which comes too late for a parent that is dead already.
set -eu
[ "$PPID" -eq "$1" ] || exit 1
shift
exec "$@"
