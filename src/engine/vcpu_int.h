/* engine/vcpu_int.h: entering and leaving guest code; for engine.c only. */
#ifndef ENGINE_VCPU_INT_H
#define ENGINE_VCPU_INT_H

#include "engine/vcpu.h"

/* Waits out a stop, then marks the vcpu as running. */
void vcpu_enter(struct vcpu *vcpu);
void vcpu_leave(struct vcpu *vcpu);

#endif
