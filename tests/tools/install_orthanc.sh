#!/bin/sh
# Puts a newer Orthanc into a folder, as a small Debian of its own, for the tests that want a second version:
#
#   tests/tools/install_orthanc.sh [SUITE [FOLDER]]
#
# SUITE is trixie, with Orthanc 1.12.7; FOLDER is $DEIDFLOW_ORTHANC_ROOT, else /var/tmp/orthanc-SUITE. What is there
# already is left as it is. Needs root, debootstrap (installed when it is missing) and the Debian mirror that APT uses;
# about two minutes. Prints the folder, and nothing when it cannot be made: then it says so and still ends well, so that
# the caller goes on with the versions that it has.
set -eu
suite=${1:-trixie}
folder=${2:-${DEIDFLOW_ORTHANC_ROOT:-/var/tmp/orthanc-$suite}}

skip() {
    printf '\nNO SECOND ORTHANC: %s. Only the installed version is tested.\n\n' "$1" >&2
    exit 0
}

[ "$(id -u)" = 0 ] || skip "only root can make and enter $folder"
if [ ! -x "$folder/usr/sbin/Orthanc" ]; then
    command -v apt-get >/dev/null || skip "this is no Debian"
    echo "Installing Orthanc of Debian's $suite into $folder (two minutes, once)" >&2
    if ! command -v debootstrap >/dev/null; then
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq debootstrap; } >/dev/null ||
            skip "debootstrap cannot be installed"
    fi
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -i debian | grep -vi security |
        head -n 1)
    # In a folder of another name first: one that was left half made is never taken for a whole one.
    rm -rf "$folder.partial"
    debootstrap --variant=minbase --include=orthanc --components=main "$suite" "$folder.partial" "$mirror" >&2 ||
        skip "debootstrap failed"
    mv "$folder.partial" "$folder"
fi
# Orthanc looks up the machine's own name for each UID that it makes; without an answer that takes seconds.
cp /etc/hosts "$folder/etc/hosts"
chroot "$folder" /usr/sbin/Orthanc --version >&2 || skip "Orthanc does not run in $folder"
echo "$folder"
