/* Double precision in registers: the Sun and four planets, stepped by the symplectic Euler
 * rule. Units: astronomical units, years, solar masses. */
#include "bench.h"

#include <math.h>

#define BODIES 5

static struct body {
    double x[3], v[3], mass;
} body[BODIES];

/* Circular orbits, each tilted a little: only the arithmetic matters here. */
static void start(void)
{
    static const double radius[BODIES] = {0, 5.2, 9.58, 19.2, 30.1};
    static const double mass[BODIES] = {1, 9.55e-4, 2.86e-4, 4.37e-5, 5.15e-5};
    const double gm = 4 * 3.141592653589793 * 3.141592653589793;

    for (unsigned i = 0; i < BODIES; i++) {
        body[i] = (struct body){.x = {radius[i], 0, 0.01 * i}, .mass = mass[i] * gm};
        if (i > 0)
            body[i].v[1] = sqrt(gm / radius[i]);
    }
}

static void step(double dt)
{
    for (unsigned i = 0; i < BODIES; i++) {
        for (unsigned j = i + 1; j < BODIES; j++) {
            struct body *a = &body[i], *b = &body[j];
            double dx = a->x[0] - b->x[0], dy = a->x[1] - b->x[1], dz = a->x[2] - b->x[2];
            double square = dx * dx + dy * dy + dz * dz;
            double force = dt / (square * sqrt(square));

            a->v[0] -= dx * b->mass * force;
            a->v[1] -= dy * b->mass * force;
            a->v[2] -= dz * b->mass * force;
            b->v[0] += dx * a->mass * force;
            b->v[1] += dy * a->mass * force;
            b->v[2] += dz * a->mass * force;
        }
    }
    for (unsigned i = 0; i < BODIES; i++)
        for (unsigned axis = 0; axis < 3; axis++)
            body[i].x[axis] += dt * body[i].v[axis];
}

int main(int argc, char **argv)
{
    unsigned steps = bench_rounds(argc, argv, 1000000);

    start();
    for (unsigned i = 0; i < steps; i++)
        step(0.001);
    /* Few digits: a CPU with fused multiply-add differs in the last ones. */
    printf("%.3f %.3f\n", body[0].x[0], body[1].v[1]);
    return 0;
}
