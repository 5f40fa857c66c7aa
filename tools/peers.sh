#!/bin/sh
# tools/peers.sh [--suite sid|trixie] PACKAGE...
#
# Unpacks programs of a newer Debian suite, with every library they need, beside the host and
# not over it: the emulators we measure ourselves against, the toolchain that builds our guests.
#
#   out/peers/SUITE/root   the packages and all they depend on, as their files lie in Debian
#   out/peers/SUITE/bin    a wrapper for each program of the packages asked for
#   out/peers/bin          the bin of the suite last asked for
#
# PACKAGE:riscv64 is a package of that architecture, for its files alone: nothing that it depends on
# comes with it. A wrapper starts its program with the loader and the C library it was linked to, so the host's
# may be years older. What was unpacked once stays: asking again takes no time and no network;
# `rm -r out/peers/SUITE/root` asks for today's versions. Without --suite: sid, and if sid can't
# be had, trixie. apt itself checks signatures and hashes, against the host's Debian keyring.
set -eu
out=$(cd "$(dirname "$0")/.." && pwd)/out/peers
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

die() { echo "peers.sh: $*" >&2; exit 1; }

# apt with its own sources, state and cache: nothing of the host's is read but proxy settings.
write_apt_conf() { # SUITE PACKAGE...
    suite=$1
    shift
    # shellcheck disable=SC2016 # apt's variable, not the shell's
    mirror=$(apt-get indextargets 'Origin: Debian' 'Label: Debian' --format '$(REPO_URI)')
    mirror=${mirror%%[[:space:]]*}
    [ -n "$mirror" ] || die "the host's apt knows no Debian mirror; run apt-get update first"
    [ -r "$keyring" ] || die "no $keyring; install debian-archive-keyring"
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/preferences"
    : >"$apt/status" # nothing is installed, so everything needed is fetched
    architectures="\"$(dpkg --print-architecture)\";"
    case "$*" in *:riscv64*) architectures="$architectures \"riscv64\";" ;; esac
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<EOF
Dir::State "$apt"; Dir::State::status "$apt/status";
Dir::Cache "$apt"; Dir::Cache::archives "$apt/archives";
Dir::Etc::sourcelist "$apt/sources.list"; Dir::Etc::sourceparts "$apt/preferences";
Dir::Etc::preferences "$apt/none"; Dir::Etc::preferencesparts "$apt/preferences";
APT::Architectures { $architectures };
APT::Install-Recommends "false";
APT::Sandbox::User "root"; // the tree may lie where the user _apt can't read
#clear APT::Update;
EOF
}

# Unpacks the packages and all they depend on into a new root, then puts it in the old one's place.
fill_root() { # PACKAGE...
    rm -rf "$suite_dir/new"
    mkdir -p "$suite_dir/new"
    apt-get -qq -c "$apt/apt.conf" update || return
    apt-get -qq -c "$apt/apt.conf" autoclean || return
    foreign='' native=''
    for package; do
        case $package in *:*) foreign="$foreign $package" ;; *) native="$native $package" ;; esac
    done
    # shellcheck disable=SC2086 # package names hold no blanks
    apt-get -qq -y -c "$apt/apt.conf" --download-only install $native >/dev/null || return
    # shellcheck disable=SC2086
    [ -z "$foreign" ] ||
        (cd "$apt/archives" && apt-get -qq -c "$apt/apt.conf" download $foreign) || return
    for deb in "$apt"/archives/*.deb; do
        dpkg-deb -x "$deb" "$suite_dir/new" || return
    done
    find "$suite_dir/new" -type l -lname '/*' | while read -r link; do
        ln -sfnr "$suite_dir/new$(readlink "$link")" "$link"
    done
    rm -rf "$suite_dir/old"
    [ ! -d "$root" ] || mv "$root" "$suite_dir/old" || return
    mv "$suite_dir/new" "$root" && rm -rf "$suite_dir/old"
}

# Writes WRAPPER, which runs the ELF file PROGRAM of the root as ARGV0, with ARGUMENT... before
# its own. (gcc runs itself again by that name, so its own is the wrapper's; it then finds the
# rest of itself by GCC_EXEC_PREFIX. Other programs find their data by where they lie.)
wrap() { # WRAPPER PROGRAM ARGV0 ARGUMENT...
    wrapper=$1 program=$2 argv0=$3
    shift 3
    cat >"$wrapper.new" <<EOF
#!/bin/sh
export QEMU_MODULE_DIR='$libraries/qemu' GCC_EXEC_PREFIX='$root/usr/lib/gcc-cross/'
exec '$loader' --library-path '$libraries' --argv0 '$argv0' '$program' $* "\$@"
EOF
    chmod +x "$wrapper.new"
    mv "$wrapper.new" "$wrapper" # at once: another build may be using it
}

is_dynamic() { [ -f "$1" ] && [ -x "$1" ] && readelf -l "$1" 2>/dev/null | grep -q 'INTERP'; }

write_wrappers() { # PACKAGE...
    loader=$(find "$root"/usr/lib* -maxdepth 1 -name 'ld-linux*.so.*' | head -n 1)
    [ -n "$loader" ] || die "no dynamic loader among the unpacked packages"
    libraries=$(dirname "$(readlink -f "$loader")")
    mkdir -p "$suite_dir/bin" "$suite_dir/gcc"
    # What gcc starts by itself: cc1, collect2, as, ld. It looks in its -B folder first.
    for program in "$root"/usr/libexec/gcc-cross/*/*/* "$root"/usr/*-linux-gnu/bin/*; do
        is_dynamic "$program" && wrap "$suite_dir/gcc/${program##*/}" "$program" "$program"
    done
    for package; do
        dpkg-deb -c "$apt/archives/${package%:*}"_*.deb |
            sed -n 's|.* \./usr/bin/\([^ /]\{1,\}\).*|\1|p'
    done | sort -u | while read -r name; do
        program=$root/usr/bin/$name wrapper=$suite_dir/bin/$name
        is_dynamic "$program" || { ln -sfn "$program" "$wrapper"; continue; }
        case $name in
        qemu-system-*) wrap "$wrapper" "$program" "$program" "-L '$root/usr/share/qemu'" ;;
        *-gcc-ar* | *-gcc-nm* | *-gcc-ranlib*) ;; # they'd start ar past its wrapper
        *-gcc | *-gcc-[0-9]* | *-cpp | *-cpp-[0-9]* | *-g++ | *-g++-[0-9]*)
            wrap "$wrapper" "$program" "$wrapper" "-B'$suite_dir/gcc/' '--sysroot=$root'" ;;
        *) wrap "$wrapper" "$program" "$program" ;;
        esac
    done
}

# Whether all PACKAGEs are there. The file `have` says for which place the wrappers were written,
# then "PACKAGE VERSION" for each package asked for so far.
holds() { # PACKAGE...
    grep -qsFx "at $suite_dir" "$suite_dir/have" && [ -d "$root" ] || return
    for package; do grep -q "^$package " "$suite_dir/have" || return; done
}

provide() { # SUITE PACKAGE...
    suite_dir=$out/$1 root=$out/$1/root apt=$out/$1/apt
    shift
    mkdir -p "$suite_dir" && exec 9>"$suite_dir/lock" && flock 9
    if ! holds "$@"; then
        had=$(sed '/^at \//d; s/ .*//' "$suite_dir/have" 2>/dev/null || :)
        # shellcheck disable=SC2086 # package names hold no blanks
        all=$(printf '%s\n' $had "$@" | sort -u)
        # shellcheck disable=SC2086
        write_apt_conf "${suite_dir##*/}" $all
        # shellcheck disable=SC2086
        fill_root $all || return
        # shellcheck disable=SC2086
        write_wrappers $all
        { echo "at $suite_dir"
          for package in $all; do
              echo "$package $(dpkg-deb -f "$apt/archives/${package%:*}"_*.deb Version)"
          done; } >"$suite_dir/have"
    fi
    ln -sfn "$suite_dir/bin" "$out/bin"
    for package; do grep "^$package " "$suite_dir/have"; done | sed "s/$/ (${suite_dir##*/})/"
}

suites='sid trixie'
case ${1-} in
--suite) [ $# -ge 2 ] || die "--suite needs sid or trixie"; suites=$2; shift 2 ;;
-*) die "no option '$1'; see the top of $0" ;;
esac
[ $# -gt 0 ] || die "name the packages, e.g. qemu-system-riscv; see the top of $0"
for suite in $suites; do
    case $suite in sid | trixie) ;; *) die "no suite '$suite': sid or trixie" ;; esac
    provide "$suite" "$@" && exit
    echo "peers.sh: cannot have these packages of $suite: $*" >&2
done
exit 1
