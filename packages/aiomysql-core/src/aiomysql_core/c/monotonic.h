/* The clock of time.monotonic. */
#ifndef AIOMYSQL_CORE_MONOTONIC_H
#define AIOMYSQL_CORE_MONOTONIC_H

#include <time.h>

/* Seconds. */
static inline double
monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#endif
