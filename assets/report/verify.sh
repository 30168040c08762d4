#!/bin/sh
# Checks this bundle with sha256sum, and with ssh-keygen where people signed. Nothing else is used.
set -eu
cd "$(dirname "$0")"

echo "every file against SHA256SUMS"
sha256sum --quiet --strict -c SHA256SUMS

echo "the journal: each record's hash, and the hash of the one before"
previous=0000000000000000000000000000000000000000000000000000000000000000
number=0
while IFS= read -r line; do
    number=$((number + 1))
    body="${line%,\"hash\":\"*}}"
    tail="${line##*,\"hash\":\"}"
    hash="${tail%\"\}}"
    sum=$(printf '%s' "$body" | sha256sum)
    [ "${sum%% *}" = "$hash" ] || { echo "record $number: its hash does not match its content"; exit 1; }
    before="${body#*,\"prev\":\"}"
    [ "${before%%\"*}" = "$previous" ] || { echo "record $number does not follow the one before"; exit 1; }
    previous=$hash
done < journal.jsonl
echo "  $number records, head $previous"

echo "the runbook against the first record"
IFS= read -r first < journal.jsonl
runbook=$(sha256sum < runbook.toml)
named="${first#*\"runbook_digest\":\"}"
[ "${named%%\"*}" = "${runbook%% *}" ] || { echo "runbook.toml is not the one that the run was opened with"; exit 1; }

echo "evidence against the journal"
withheld=""
if [ -f WITHHELD ]; then withheld=$(cat WITHHELD); fi
signed=0
while IFS= read -r line; do
    case "$line" in
        *',"event":{"type":"signature_accepted",'*) signed=$((signed + 1)); continue ;;
        *',"event":{"type":"gate_'*) ;;
        *) continue ;;
    esac
    rest="${line#*,\"evidence\":\"}"
    [ "$rest" != "$line" ] || continue
    sum="${rest%%\"*}"
    gate="${line#*,\"event\":\{\"type\":\"*\"gate\":\"}"; gate="${gate%%\"*}"
    attempt="${line#*\"attempt\":}"; attempt="${attempt%%,*}"
    file="evidence/$gate-$attempt.json"
    if [ -f "$file" ]; then
        found=$(sha256sum < "$file")
        [ "${found%% *}" = "$sum" ] || { echo "$file is not what the journal says"; exit 1; }
    else
        case "$withheld" in
            *"$sum  $file"*) echo "  $file did not travel: it holds rows" ;;
            *) echo "$file is missing"; exit 1 ;;
        esac
    fi
done < journal.jsonl

echo "signatures: $signed"
verified=0
if [ -d signatures ]; then
    # The list of keys is the one that stands in the first record.
    list=$(sha256sum < signers/allowed_signers)
    pinned="${first#*\"allowed_signers\":\{\"path\":\"*\"sha256\":\"}"
    [ "${pinned%%\"*}" = "${list%% *}" ] || { echo "signers/allowed_signers is not the list of the run"; exit 1; }
    for signature in signatures/*.sig; do
        [ -f "$signature" ] || continue
        stem="${signature%.sig}"
        IFS= read -r words < "$stem.json"
        IFS= read -r moment < "$stem.time"
        signer="${words#*\"signer\":\"}"; signer="${signer%%\"*}"
        namespace="${words#*\"namespace\":\"}"; namespace="${namespace%%\"*}"
        set -- -f signers/allowed_signers -I "$signer" -n "$namespace" -O "verify-time=$moment" -s "$signature"
        [ -f signers/revoked ] && set -- "$@" -r signers/revoked
        ssh-keygen -Y verify "$@" < "$stem.json" || { echo "$signature does not verify"; exit 1; }
        verified=$((verified + 1))
    done
fi
[ "$verified" = "$signed" ] || { echo "the journal has $signed signatures, and $verified are here"; exit 1; }
echo "well"
