#!/bin/sh
# Starts Claude in its pane. What must not be seen in a process list comes in a file that is
# removed before Claude starts.
#   pane.sh contained FILE BWRAP COMMAND...   FILE: bubblewrap's arguments, separated by NUL
#   pane.sh plain FILE COMMAND...             FILE: shell lines that set the environment
form="$1"
file="$2"
shift 2
if ! [ -r "$file" ]; then
  echo "tmux-builder: the start file of this pane is gone; start the session again." >&2
  exit 1
fi
if [ "$form" = contained ]; then
  program="$1"
  shift
  exec 9< "$file"
  rm -f -- "$file"
  exec "$program" --args 9 -- "$@"
fi
. "$file"
rm -f -- "$file"
exec "$@"
