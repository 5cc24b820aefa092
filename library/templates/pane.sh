#!/bin/sh
# Starts Claude in its pane. What must not be seen in a process list comes in files that are
# removed before Claude starts.
#   pane.sh contained FILE BWRAP COMMAND...   FILE: bubblewrap's arguments, separated by NUL
#     FILE.calls, where there is one, is the filter of system calls (descriptor 8)
#   pane.sh gated PYTHON PRODUCT FILE BWRAP COMMAND...   the same with a limited network:
#     FILE.gate is what the gate may reach; it runs beside bubblewrap and ends with it
#   pane.sh plain FILE COMMAND...             FILE: shell lines that set the environment
form="$1"
shift
if [ "$form" = gated ]; then
  python="$1"
  product="$2"
  shift 2
fi
file="$1"
shift
if ! [ -r "$file" ]; then
  echo "tmux-builder: the start file of this pane is gone; start the session again." >&2
  exit 1
fi
if [ "$form" = plain ]; then
  . "$file"
  rm -f -- "$file"
  exec "$@"
fi
if [ "$form" = gated ]; then
  "$python" -S -E -s -P -c 'import sys
sys.path.append(sys.argv[1])
from tmux_bridge.network_gate.gate import main
main()' "$product" "$file.gate" $$ < /dev/null > /dev/null 2>&1 &
fi
program="$1"
shift
exec 9< "$file"
if [ -r "$file.calls" ]; then
  exec 8< "$file.calls"
fi
rm -f -- "$file" "$file.calls"
exec "$program" --args 9 -- "$@"
