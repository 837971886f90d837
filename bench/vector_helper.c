//go:build ignore

// The other side of `go run ./bench mathspeed`: a function of eight floats in an AVX2
// register, of a shared library, over a vector.
//
// The arguments are the library and the function, for dlopen and dlsym, and two files:
// the first holds the vector, the results go to the second. Then a line of JSON on
// standard output says what file the library is and what glibc's version is. Each line on
// standard input is a number of times to compute the same again; the answer is a line of
// JSON, the seconds that passed and the processor seconds that the process used.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <immintrin.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef __m256 function(__m256);

enum { page = 4096 };

static void die(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

// The length is a multiple of eight.
static void map(function *f, float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i += 8)
        _mm256_store_ps(y + i, f(_mm256_load_ps(x + i)));
}

int main(int argc, char **argv) {
    if (argc != 5)
        die(argv[0], "want four arguments: library, function, inputs, results");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        die("dlopen", dlerror());
    function *f = dlsym(library, argv[2]);
    if (!f)
        die("dlsym", dlerror());

    FILE *in = fopen(argv[3], "rb");
    if (!in || fseek(in, 0, SEEK_END))
        die(argv[3], "cannot be read");
    size_t n = ftell(in) / sizeof(float);
    rewind(in);
    float *x, *y;
    if (posix_memalign((void **)&x, page, n * sizeof *x) || posix_memalign((void **)&y, page, n * sizeof *y))
        die(argv[0], "no memory for the vectors");
    if (fread(x, sizeof *x, n, in) != n)
        die(argv[3], "it is cut short");
    map(f, y, x, n);
    FILE *out = fopen(argv[4], "wb");
    if (!out || fwrite(y, sizeof *y, n, out) != n || fclose(out))
        die(argv[4], "cannot be written");

    Dl_info file;
    if (!dladdr(f, &file))
        die(argv[1], "its file is not known");
    char *path = realpath(file.dli_fname, NULL);
    printf("{\"File\": \"%s\", \"Glibc\": \"%s\"}\n", path ? path : file.dli_fname, gnu_get_libc_version());
    fflush(stdout);

    int reps;
    while (scanf("%d", &reps) == 1) {
        double used = seconds(CLOCK_PROCESS_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC);
        for (int i = 0; i < reps; i++)
            map(f, y, x, n);
        double elapsed = seconds(CLOCK_MONOTONIC) - start;
        printf("{\"Elapsed\": %.9f, \"User\": %.9f}\n", elapsed, seconds(CLOCK_PROCESS_CPUTIME_ID) - used);
        fflush(stdout);
    }
}
