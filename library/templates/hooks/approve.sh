#!/bin/sh
# Asks the operator about one call of a tool. The event becomes a file, as event.sh makes it, and
# the answer is a file that only the product can write: a line that names the digest of this very
# event, then the decision. Without an answer in its time the call is denied; whatever else goes
# wrong, nothing is decided here and the dialog stays. It never allows by itself and ends with 0.
umask 077
LC_ALL=C
export LC_ALL
events="${CLAUDE_PROJECT_DIR:-.}/state/hooks"
answers="${CLAUDE_PROJECT_DIR:-.}/state/approvals"
name="$(date +%s%N)-$$"
event="$(cat)"

deny() {
    printf '{"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": {"behavior": "deny", "message": "%s"}}}\n' "$1"
    exit 0
}

obey() {
    { IFS= read -r bound; IFS= read -r decision; } < "$answers/$name.json" || exit 0
    [ "$bound" = "{\"event_sha256\": \"$digest\"}" ] && printf '%s\n' "$decision"
    tell > /dev/null 2>&1 < /dev/null &
    exit 0
}

# The product learns that the answer was handed on; Claude does not wait for that.
tell() {
    printf '{"hook_event_name": "ApprovalTaken", "session_id": "", "prompt_id": "%s"}' "$name" \
        > "$events/.$name" && mv -f "$events/.$name" "$events/$(date +%s%N)-$$.json"
}

[ "${#event}" -gt 1000000 ] && deny "This call is too large to be shown to the operator; split it."
digest="$(printf '%s' "$event" | sha256sum)" || digest="$(printf '%s' "$event" | shasum -a 256)" \
    || exit 0
digest="${digest%% *}"
printf '%s' "$event" > "$events/.$name" && mv -f "$events/.$name" "$events/$name.json" \
    || { rm -f "$events/.$name"; exit 0; }

{ read -r limit < "$answers/timeout"; } 2> /dev/null
case "$limit" in '' | *[!0-9]*) limit=600 ;; esac
# A little past the product's own deadline, which comes first while the product is there.
end=$(($(date +%s) + limit + 5))
looks=0
while :; do
    [ -f "$answers/$name.json" ] && obey
    looks=$((looks + 1))
    if [ $((looks % 10)) -eq 0 ] && [ "$(date +%s)" -ge "$end" ]; then
        [ -f "$answers/$name.json" ] && obey
        said="$limit s"
        [ $((limit % 60)) -eq 0 ] && said="$((limit / 60)) min"
        deny "The operator was asked, but nobody answered within $said."
    fi
    sleep 0.1 2> /dev/null || sleep 1
done
