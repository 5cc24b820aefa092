#!/bin/sh
# One event of Claude becomes one file: written beside, then renamed, so that a reader never sees
# half of it. Needs no other program of ours and never holds Claude up: it always ends with 0.
umask 077
folder="${CLAUDE_PROJECT_DIR:-.}/state/hooks"
name="$(date +%s%N)-$$"
cat > "$folder/.$name" && mv -f "$folder/.$name" "$folder/$name.json" || rm -f "$folder/.$name"
exit 0
