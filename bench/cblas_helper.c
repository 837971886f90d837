//go:build ignore

// The other side of `go run ./bench gemm`: products of matrices by the
// cblas_sgemm of a shared library.
//
// The argument names the library for dlopen. It is opened, not linked, so that
// the one asked for runs whatever the system's libblas points to.
//
// First come three lines on standard output: what the library calls itself, the
// processor type whose kernels it has chosen, and the file that it is. Then each
// line on standard input is answered:
//
//	gemm ta tb m n k lda ldb ldc b c end
//
// is followed by a block of `end` floats that holds the row-major matrices A from
// 0, B from b and C from c on; ta and tb are 1 for a transposed operand. The
// answer are the floats from c on after C = op(A) op(B).
//
//	time reps
//
// computes the same product so many times more. The answer is a line: the seconds
// that passed and the processor seconds that the process used.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void sgemm(int order, int ta, int tb, int m, int n, int k,
                   float alpha, const float *a, int lda, const float *b, int ldb,
                   float beta, float *c, int ldc);

enum { row_major = 101, no_trans = 111, trans = 112, page = 4096 };

static void die(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void introduce_openblas(void *library) {
    const char *(*config)(void) = dlsym(library, "openblas_get_config");
    const char *(*core)(void) = dlsym(library, "openblas_get_corename");
    printf("%s\n%s\n", config(), core());
}

static void introduce_blis(void *library) {
    const char *(*version)(void) = dlsym(library, "bli_info_get_version_str");
    const char *(*name)(int) = dlsym(library, "bli_arch_string");
    void (*init)(void) = dlsym(library, "bli_init");
    int (*chosen)(void) = dlsym(library, "bli_arch_query_id");

    // BLIS_ARCH_TYPE has to be a number, which is another one in each version.
    const char *forced = getenv("BLIS_ARCH_TYPE");
    if (forced) {
        int id = 0;
        while (strcmp(name(id), forced)) {
            if (!strcmp(name(id), "generic")) // the last one
                die("BLIS has no kernels for", forced);
            id++;
        }
        char number[16];
        snprintf(number, sizeof number, "%d", id);
        setenv("BLIS_ARCH_TYPE", number, 1);
    }
    init();
    printf("BLIS %s\n%s\n", version(), name(chosen()));
}

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 2)
        die(argv[0], "want one argument, a library");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        die("dlopen", dlerror());
    sgemm *gemm = dlsym(library, "cblas_sgemm");
    Dl_info file;
    if (!gemm || !dladdr(gemm, &file))
        die(argv[1], "it has no cblas_sgemm");
    if (dlsym(library, "openblas_get_config"))
        introduce_openblas(library);
    else if (dlsym(library, "bli_info_get_version_str"))
        introduce_blis(library);
    else
        die(argv[1], "it is neither OpenBLAS nor BLIS");
    char *path = realpath(file.dli_fname, NULL);
    printf("%s\n", path ? path : file.dli_fname);
    fflush(stdout);

    char line[256];
    int ta = 0, tb = 0, m = 0, n = 0, k = 0, lda = 0, ldb = 0, ldc = 0, reps;
    size_t b, c, end;
    float *block = NULL, *B = NULL, *C = NULL;
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "gemm %d %d %d %d %d %d %d %d %zu %zu %zu",
                   &ta, &tb, &m, &n, &k, &lda, &ldb, &ldc, &b, &c, &end) == 11) {
            ta = ta ? trans : no_trans;
            tb = tb ? trans : no_trans;
            free(block);
            if (posix_memalign((void **)&block, page, end * sizeof *block))
                die(argv[1], "no memory for the matrices");
            if (fread(block, sizeof *block, end, stdin) != end)
                die(argv[1], "the matrices are cut short");
            B = block + b;
            C = block + c;
            gemm(row_major, ta, tb, m, n, k, 1, block, lda, B, ldb, 0, C, ldc);
            fwrite(C, sizeof *C, end - c, stdout);
        } else if (block && sscanf(line, "time %d", &reps) == 1) {
            double used = seconds(CLOCK_PROCESS_CPUTIME_ID), start = seconds(CLOCK_MONOTONIC);
            for (int i = 0; i < reps; i++)
                gemm(row_major, ta, tb, m, n, k, 1, block, lda, B, ldb, 0, C, ldc);
            double elapsed = seconds(CLOCK_MONOTONIC) - start;
            printf("%.9f %.9f\n", elapsed, seconds(CLOCK_PROCESS_CPUTIME_ID) - used);
        } else {
            die("not a command", line);
        }
        fflush(stdout);
    }
}
