/* api/version.c: what this build is. COSM_VERSION and COSM_BUILDTYPE come from meson. */
#include "base/bits.h"
#include "cosm/cosm.h"

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

#if defined(__x86_64__)
#define HOST_CPU "x86-64"
#elif defined(__aarch64__)
#define HOST_CPU "aarch64"
#elif defined(__riscv)
#define HOST_CPU "riscv64"
#else
#define HOST_CPU "unknown processor"
#endif

#if defined(__linux__)
#define HOST_SYSTEM "Linux"
#else
#define HOST_SYSTEM "POSIX"
#endif

#if defined(COSM_STRESS)
#define STRESS " stress"
#else
#define STRESS ""
#endif

static const struct cosm_feature features[] = {
#define FEATURE(name, have, what, package) {name, have, what, package},
#include "api/feature.def"
#undef FEATURE
};

const char *cosm_version(void)
{
    return COSM_VERSION;
}

const char *cosm_build(void)
{
    return COSM_BUILDTYPE STRESS ", " COMPILER ", " HOST_CPU " " HOST_SYSTEM;
}

const struct cosm_feature *cosm_features(size_t *count)
{
    *count = ARRAY_LEN(features);
    return features;
}
