# shellcheck shell=sh
# tools/build.sh: presets, and how each is compiled. Sourced by ./dev and by tools/*.sh, with
# the project's root as the current directory.

cc=${CC:-gcc}
jobs=${JOBS:-$(nproc)}

# The Meson options of a preset, one line.
preset_options() { # PRESET
    # Sanitizers: a found bug ends the program, or the test would pass with a note in its log.
    case $1 in
    release) echo --buildtype=release ;;
    debug) echo --buildtype=debug ;;
    asan) echo --buildtype=debugoptimized -Db_ndebug=false -Db_lundef=false \
        -Db_sanitize=address,undefined -Dc_args=-fno-sanitize-recover=all ;;
    ubsan) echo --buildtype=debugoptimized -Db_ndebug=false -Db_lundef=false \
        -Db_sanitize=undefined -Dc_args=-fno-sanitize-recover=all ;;
    # gcc warns of each fence: its tsan sees no order in them, and may call a pair of plain
    # accesses that only a fence orders a race. Ours are accesses to atomics.
    tsan) echo --buildtype=debugoptimized -Db_ndebug=false -Db_lundef=false \
        -Db_sanitize=thread "$(case $cc in *clang*) ;; *) echo -Dc_args=-Wno-tsan ;; esac)" ;;
    stress) echo --buildtype=debugoptimized -Db_ndebug=false -Dstress=true ;;
    # The three below serve ./dev fuzz; tests/fuzz/meson.build looks at c_args.
    fuzz | planted) echo --buildtype=debugoptimized -Db_ndebug=false -Db_lundef=false \
        -Db_sanitize=address,undefined \
        "-Dc_args=['-fsanitize=fuzzer-no-link','-fno-sanitize-recover=all']" \
        "-Dplanted_bugs=$([ "$1" = planted ] && echo true || echo false)" ;;
    coverage) echo --buildtype=debug -Db_lundef=false \
        "-Dc_args=['-fprofile-instr-generate','-fcoverage-mapping']" \
        -Dc_link_args=-fprofile-instr-generate ;;
    *)
        echo "./dev: no preset '$1': release debug asan ubsan tsan stress" >&2
        return 2
        ;;
    esac
}

# Meson's directory for a preset: one for each compiler, so that changing CC rebuilds nothing.
build_dir() { # PRESET
    case $1 in
    fuzz | planted | coverage) echo "out/build/$1" ;;
    *) case $cc in *clang*) echo "out/build/$1-clang" ;; *) echo "out/build/$1" ;; esac ;;
    esac
}

configure() { # PRESET
    options=$(preset_options "$1") || return
    dir=$(build_dir "$1")
    case $1 in fuzz | planted | coverage) use_cc=clang ;; *) use_cc=$cc ;; esac
    if [ ! -f "$dir/build.ninja" ]; then
        mkdir -p out/build
        # shellcheck disable=SC2086 # a list of options
        CC=$use_cc meson setup "$dir" $options ${WERROR:+-Dwerror=true} >"$dir.log" 2>&1 ||
            { cat "$dir.log" >&2; return 1; }
    elif [ -n "${WERROR-}" ] && ! grep -q '"name": "werror", "value": true' \
        "$dir/meson-info/intro-buildoptions.json"; then
        meson configure "$dir" -Dwerror=true
    fi
}

# Compiles a preset (or only the given targets of it) and puts the command in its place.
build() { # PRESET [TARGET...]
    preset=$1
    shift
    configure "$preset" || return
    dir=$(build_dir "$preset")
    if ! said=$(ninja -C "$dir" -j "$jobs" --quiet "$@" 2>&1); then
        printf '%s\n' "$said" | sed -n '/^FAILED\|rror:/,$p' >&2
        return 1
    fi
    # What Meson says when it looks at the tree again is no news; a warning is.
    printf '%s\n' "$said" | sed -n '/^In file included\|warning:/,$p'
    [ -x "$dir/src/cli/cosm" ] || return 0
    mkdir -p "out/$preset"
    ln -sfn "../../$dir/src/cli/cosm" "out/$preset/cosm"
    [ "$preset" != release ] || ln -sfn release/cosm out/cosm
}

tracked_c() { git ls-files -- '*.c' '*.h'; }
