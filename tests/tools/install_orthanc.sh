#!/bin/sh
# Puts newer Orthancs each into a folder of its own, as a small Debian, for the tests that want several versions:
#
#   tests/tools/install_orthanc.sh [SUITE...]
#
# SUITE is a release of Debian: trixie, with Orthanc 1.12.7, and sid, with 1.13.0 or newer, by default. They are put
# into $DEIDFLOW_ORTHANC_FOLDER/orthanc-SUITE, /var/tmp by default; what is there already is used as it is. Needs root,
# debootstrap (installed when it is missing) and the Debian mirror that APT uses; two minutes each, once. Prints the
# folders, joined by a colon, as DEIDFLOW_TEST_ORTHANC_ROOTS takes them. One that cannot be made is left out: then it
# says so and still ends well, so that the caller goes on with the versions that it has.
set -eu
parent=${DEIDFLOW_ORTHANC_FOLDER:-/var/tmp}

skip() {
    printf '\nNO ORTHANC OF %s: %s. This version is not tested.\n\n' "$suite" "$1" >&2
    exit 1
}

install() {
    echo "Installing Orthanc of Debian's $suite into $folder (two minutes, once)" >&2
    command -v apt-get >/dev/null || skip "this is no Debian"
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
}

# In a shell of its own, under a lock: two callers at once make one folder, one after the other.
prepare() (
    folder=$parent/orthanc-$suite
    [ "$(id -u)" = 0 ] || skip "only root can make and enter $folder"
    exec 9>"$folder.lock"
    flock 9
    [ -x "$folder/usr/sbin/Orthanc" ] || install
    # Orthanc looks up the machine's own name for each UID that it makes; without an answer that takes seconds.
    cp /etc/hosts "$folder/etc/hosts"
    chroot "$folder" /usr/sbin/Orthanc --version >&2 || skip "Orthanc does not run in $folder"
    echo "$folder"
)

[ $# -gt 0 ] || set -- trixie sid
folders=
for suite; do
    if made=$(prepare); then
        folders=${folders:+$folders:}$made
    fi
done
echo "$folders"
