#!/bin/sh
# Run the built image the way deploy/compose/compose.yaml does and see that it keeps its promises.
#
#   deploy/image/check.sh                            # docker or podman, the image that build.sh made
#   ENGINE=podman TAG=registry.example/hashmatch:1 deploy/image/check.sh
#
# Everything is done twice: on a read-only root file system as in production, and on a writable one, where whatever the
# service would like to write shows as a difference from the image. Pictures are drawn for the occasion.
set -eu
cd "$(dirname "$0")/../.."

engine=${ENGINE:-$(if docker info >/dev/null 2>&1; then echo docker; else echo podman; fi)}
image=${TAG:-hashmatch:$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' hashmatch/__init__.py)}
name=hashmatch-check-$$
address=127.0.0.1:50051
canary=canary-$$-no-byte-of-an-image-is-kept
scratch=$(mktemp -d)
trap '"$engine" rm --force --volumes "$name" >/dev/null 2>&1 || true; rm -rf "$scratch"' EXIT

passed() { echo "  ok: $*"; }
failed() {
    echo "FAILED: $*" >&2
    "$engine" logs "$name" >&2 || true
    exit 1
}
within() { "$engine" exec --interactive "$name" "$@"; }

# As in deploy/compose/compose.yaml, but for /tmp, which is made so small that nobody can lean on it, and the network.
run() {
    "$engine" run --network none --init --cap-drop ALL --security-opt no-new-privileges \
        --memory 2g --memory-swap 2g --pids-limit 256 "$@"
}

picture() { # SEED: a picture that carries the canary in its metadata
    within python -c '
import random, sys
from PIL import Image, ImageDraw, ImageFilter, PngImagePlugin
seed, canary = sys.argv[1:]
dice, note = random.Random(seed), PngImagePlugin.PngInfo()
note.add_text("Comment", canary)
image = Image.new("RGB", (512, 384))
for _ in range(200):
    x, y, colour = dice.randrange(512), dice.randrange(384), tuple(dice.randrange(256) for _ in range(3))
    ImageDraw.Draw(image).ellipse((x, y, x + dice.randrange(200), y + dice.randrange(200)), fill=colour)
image.filter(ImageFilter.GaussianBlur(2)).save(sys.stdout.buffer, "PNG", pnginfo=note)' "$1" "$canary"
}

detect() { # FILE: the exit code says what was found
    code=0
    within hashmatch --quiet detect --server "$address" - <"$1" >"$scratch/report" 2>&1 || code=$?
    echo "$code"
}

echo "$image without leave to listen beyond loopback"
run --detach --read-only --name "$name" "$image" >/dev/null
started=$(date +%s)
until [ "$("$engine" inspect --format '{{.State.Status}}' "$name")" = exited ]; do
    [ $(($(date +%s) - started)) -lt 30 ] || failed "it should refuse, and runs"
    sleep 1
done
said=$("$engine" logs "$name" 2>&1)
code=$("$engine" inspect --format '{{.State.ExitCode}}' "$name")
[ "$code" = 2 ] || failed "it should refuse with exit code 2, not $code"
"$engine" rm --force --volumes "$name" >/dev/null
passed "refused: $(echo "$said" | tail -1)"

for root in read-only writable; do
    echo "$image on a $root root file system"
    if [ "$root" = read-only ]; then
        set -- --read-only --tmpfs /tmp:rw,noexec,nosuid,nodev,size=1m,mode=1777
    else
        set --
    fi
    run --detach --name "$name" "$@" --env HASHMATCH_SERVER_ALLOW_INSECURE_REMOTE=true "$image" >/dev/null

    probe=$("$engine" inspect --format '{{range slice .Config.Healthcheck.Test 1}}{{.}} {{end}}' "$name")
    started=$(date +%s)
    # shellcheck disable=SC2086  # the probe's words
    until within $probe >"$scratch/probe" 2>&1; do
        [ $(($(date +%s) - started)) -lt 60 ] || failed "not healthy after 60 s: $(cat "$scratch/probe")"
        sleep 1
    done
    passed "healthy after $(($(date +%s) - started)) s: $probe"

    user=$(within sh -c 'id -u; sed -n "s/^CapEff:\t//p;s/^Seccomp:\t//p" /proc/self/status' | tr '\n' ' ')
    [ "$user" = "10001 0000000000000000 2 " ] || failed "user, capabilities, seccomp: $user"
    passed "user 10001, no capability, the engine's seccomp profile"

    within hashmatch status --server "$address" --json | within python -c '
import json, sys
protections = json.load(sys.stdin)["sandbox"]["protections"]
# depends on the memlock limit, which not every engine may raise
missing = [p["name"] for p in protections if not p["active"] and p["name"] != "images-locked"]
sys.exit(f"not in force: {missing}" if missing or len(protections) < 8 else 0)' || failed "the workers are not confined"
    passed "every protection of the decoding workers is in force, landlock and seccomp among them"

    within python -m hashmatch.kernels >"$scratch/kernels"
    if grep -v " 0 compiled; \| kernels ready in " "$scratch/kernels"; then failed "kernels were compiled at run time"; fi
    passed "$(tail -1 "$scratch/kernels"), none compiled at run time"

    picture known >"$scratch/known.png"
    picture other >"$scratch/other.png"
    grep -q "$canary" "$scratch/known.png" || failed "the picture does not carry the canary"
    within hashmatch --quiet hash - --json <"$scratch/known.png" \
        | within hashmatch --quiet --json hashset import known - --format jsonl --domain other --create >/dev/null
    started=$(date +%s)
    until [ "$(detect "$scratch/known.png")" = 1 ]; do
        [ $(($(date +%s) - started)) -lt 15 ] || failed "the known picture was not found: $(cat "$scratch/report")"
        sleep 1
    done
    [ "$(detect "$scratch/other.png")" = 0 ] || failed "another picture was found: $(cat "$scratch/report")"
    passed "an imported picture is found over gRPC, another is not"

    within python -c '
import hashlib
print("algorithm,value")
for number in range(100_000):
    print("sha256", hashlib.sha256(str(number).encode()).hexdigest(), sep=",")' >"$scratch/many.csv"
    within hashmatch --quiet --json hashset import many - --format csv --domain other --create <"$scratch/many.csv" >/dev/null \
        || failed "an import needs more of /tmp than there is"
    passed "100,000 entries imported with next to no /tmp"

    if within grep -r -l "$canary" /data /tmp; then failed "bytes of an image were kept"; fi
    within grep -r -q known /data || failed "the search for kept bytes finds nothing at all"
    [ -z "$(within find /tmp -mindepth 1)" ] || failed "files were left in /tmp"
    passed "no byte of a picture on the volume, nothing in /tmp"

    started=$(date +%s)
    "$engine" stop --time 30 "$name" >/dev/null
    code=$("$engine" inspect --format '{{.State.ExitCode}}' "$name")
    [ "$code" = 0 ] || failed "exit code $code after SIGTERM"
    passed "SIGTERM ends it with exit code 0 after $(($(date +%s) - started)) s"
    if "$engine" logs "$name" 2>&1 | grep -i "traceback\|error\|warning"; then failed "the log complains"; fi

    # what engines themselves put into a container
    written=$("$engine" diff "$name" | grep -Ev '^[AC] /(etc|etc/(hosts|hostname|resolv.conf|mtab)|data|dev.*|proc|run.*|sys)$' || true)
    [ -z "$written" ] || failed "written outside the volume: $written"
    passed "nothing was written outside the volume"
    "$engine" rm --force --volumes "$name" >/dev/null
done
echo "passed"
