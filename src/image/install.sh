#!/bin/sh
# The second stage of a Debian image's installation, run once inside cosm: configures the
# packages, which the host has unpacked. On the new disk it is /var/lib/cosm/install.
#
#   install          by the initrd's busybox, with the disk on /mnt: goes into it
#   install inside   with the disk as root, by its own programs
#
# Begun again after a power cut it goes on where it was; when all is done, it is gone.
set -e
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true

own=/var/lib/cosm

enter_disk() {
    [ -e "/mnt$own/install" ] || return 0
    for place in dev proc sys; do mount --bind "/$place" "/mnt/$place"; done
    mount -t tmpfs -o mode=0755 tmpfs /mnt/run
    status=0
    # dash by its name: busybox would take `sh` for itself.
    chroot /mnt /usr/bin/dash "$own/install" inside || status=$?
    sync
    for place in run sys proc dev; do umount "/mnt/$place"; done
    return $status
}

# What runs before a package is unpacked; here it is there already, which no script of a
# package minds that is installed for the first time.
run_preinst() {
    [ ! -e "$own/preinst-done" ] || return 0
    ldconfig
    for script in /var/lib/dpkg/info/*.preinst; do
        name=${script##*/}
        name=${name%.preinst}
        DPKG_MAINTSCRIPT_NAME=preinst DPKG_MAINTSCRIPT_PACKAGE=${name%:*} \
            DPKG_MAINTSCRIPT_ARCH=riscv64 DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 \
            DPKG_ADMINDIR=/var/lib/dpkg "$script" install
    done
    sync
    touch "$own/preinst-done"
}

# No service is started here; the initrd is made once, at the end.
configure() {
    [ -e /usr/bin/awk ] || ln -s mawk /usr/bin/awk # as debootstrap does
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    INITRD=No dpkg --force-unsafe-io --force-confdef --configure -a
    rm /usr/sbin/policy-rc.d
    [ -z "$(dpkg --audit)" ]
}

# Once, and packed lightly: what packs best takes a minute here. The links in / are how
# cosm finds both.
make_initrd() {
    echo "Setting up the initial RAM disk ..."
    rm -f /boot/initrd.img-* /var/lib/initramfs-tools/*
    echo COMPRESSLEVEL=1 >/etc/initramfs-tools/conf.d/cosm
    for image in /boot/vmlinu[xz]-*; do
        version=${image#*-}
        update-initramfs -c -k "$version"
        linux-update-symlinks install "$version" "$image"
    done
    rm /etc/initramfs-tools/conf.d/cosm
    [ -e /vmlinuz ] && [ -e /initrd.img ]
}

# Each copy of the disk is to be a machine of its own.
forget_identity() {
    passwd -d root
    : >/etc/machine-id
    rm -f /var/lib/dbus/machine-id /var/lib/systemd/random-seed
    rm -rf /var/log/bootstrap.log /tmp/* /var/tmp/*
}

if [ "$1" = inside ]; then
    run_preinst
    configure
    make_initrd
    forget_identity
    sync
    rm -r "$own"
    sync
    fstrim / || true
else
    enter_disk
fi
