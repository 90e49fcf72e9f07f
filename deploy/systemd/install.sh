#!/bin/sh
# Install the service under systemd: an environment in /opt/hashmatch, kernels compiled for this machine, the unit.
#
#   make dist && sudo deploy/systemd/install.sh dist/hashmatch-*.whl
#   sudo EXTRAS=postgres,hotline deploy/systemd/install.sh hashmatch==0.1.0
#
# Stop the service and run it again to upgrade: the environment is made anew, /etc/hashmatch and /var/lib/hashmatch stay
# as they are. It starts nothing.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
what=${1:?what to install: a wheel or a requirement}
extras=${EXTRAS:-postgres}
python=${PYTHON:-python3}
home=/opt/hashmatch

[ "$(id -u)" = 0 ] || { echo "install.sh: needs root" >&2; exit 2; }
if systemctl is-active --quiet hashmatch; then
    echo "install.sh: the service runs; systemctl stop hashmatch" >&2
    exit 2
fi
case $what in
    *.whl) what=$(realpath "$what")"[$extras]" ;;
    *) what=$(echo "$what" | sed "s/^hashmatch/&[$extras]/") ;;
esac

"$python" -m venv --clear "$home"
"$home/bin/pip" install --quiet --disable-pip-version-check --constraint "$here/../../constraints.txt" "$what"
packages=$("$home/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
install -m 0644 "$here/../image/baked_kernels.py" "$packages"
install -m 0644 "$here/../image/ready.py" "$home"
NUMBA_CACHE_DIR="$home/kernels" "$home/bin/python" -m hashmatch.kernels | tail -1
chmod -R a+rX,go-w "$home"

install -d -m 0755 /etc/hashmatch
if [ ! -e /etc/hashmatch/hashmatch.toml ]; then
    install -m 0644 "$here/hashmatch.toml" /etc/hashmatch/hashmatch.toml
fi
install -m 0644 "$here/hashmatch.service" /etc/systemd/system/hashmatch.service
echo "installed; next: systemctl daemon-reload && systemctl enable --now hashmatch"
