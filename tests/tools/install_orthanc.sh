#!/bin/sh
# Puts a newer Orthanc into a folder, as a small Debian of its own, for the contract tests:
#
#   tests/tools/install_orthanc.sh trixie /var/tmp/orthanc-trixie
#   make test-parity DEIDFLOW_TEST_ORTHANC_ROOTS=/var/tmp/orthanc-trixie
#
# Needs root, debootstrap and the Debian mirror that APT already uses. trixie holds Orthanc 1.12.7; about two minutes.
set -eu
if [ $# -ne 2 ]; then
    echo "usage: $0 SUITE FOLDER" >&2
    exit 2
fi
suite=$1
folder=$2
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -i debian | grep -vi security | head -n 1)
debootstrap --variant=minbase --include=orthanc --components=main "$suite" "$folder" "$mirror"
# Orthanc looks up the machine's own name for each UID that it makes; without an answer that takes seconds.
cp /etc/hosts "$folder/etc/hosts"
chroot "$folder" /usr/sbin/Orthanc --version
