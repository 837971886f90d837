package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lockstep-go/lockstep/kernels"
)

// standInCC, in the environment, makes the test binary a C compiler that gives
// itself out as the program it has made; both behave as the value says.
const standInCC = "LOCKSTEP_TEST_CC"

func init() {
	behaviour := os.Getenv(standInCC)
	if behaviour == "" {
		return
	}
	log.SetFlags(0)
	if os.Args[1] == "-O2" {
		compileAsCC(behaviour)
	} else {
		multiplyAsHelper(behaviour, os.Args[1])
	}
	os.Exit(0)
}

func compileAsCC(behaviour string) {
	if behaviour == "no compiler" {
		log.Fatal("it cannot compile\nat all")
	}
	source, err := os.ReadFile(os.Args[4])
	if err != nil || !strings.Contains(string(source), "cblas_sgemm") {
		log.Fatalf("not the source of the helper: %.20q, %v", source, err)
	}
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	if err := os.Symlink(self, os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

// multiplyAsHelper does what cblas_helper.c does, and says that the products take
// 10 µs with libopenblas.so and 8 µs with libblis.so.
func multiplyAsHelper(behaviour, library string) {
	threads := os.Getenv("OMP_NUM_THREADS")
	if os.Getenv("OPENBLAS_NUM_THREADS") != threads || os.Getenv("BLIS_NUM_THREADS") != threads {
		log.Fatal("the libraries are not limited in their threads")
	}
	version, core, micros := "OpenBLAS 0.0", os.Getenv("OPENBLAS_CORETYPE"), 10.0
	if library == "libblis.so" {
		version, core, micros = "BLIS 0.0", os.Getenv("BLIS_ARCH_TYPE"), 8
	}
	if core == "" {
		core = "some processor"
	}
	switch behaviour {
	case "no library":
		log.Fatalf("dlopen: %s: no such file", library)
	case "other library":
		version = "MKL"
	case "other core":
		core = "486"
	}
	fmt.Printf("%s\n%s\n/lib/%s with %s threads\n", version, strings.ToUpper(core), library, threads)

	var p problem
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		var tA, tB, end, reps int
		switch n, _ := fmt.Sscanf(line, "gemm %d %d %d %d %d %d %d %d %d %d %d",
			&tA, &tB, &p.m, &p.n, &p.k, &p.lda, &p.ldb, &p.ldc, &p.b, &p.c, &end); {
		case behaviour == "silent":
			return
		case n == 11:
			p.tA, p.tB = tA == 1, tB == 1
			p.block = make([]float32, end)
			if err := binary.Read(in, binary.NativeEndian, p.block); err != nil {
				log.Fatal(err)
			}
			c := naiveProduct(&p)
			if behaviour == "wrong" {
				c[len(c)-1] += 0.01
			}
			binary.Write(os.Stdout, binary.NativeEndian, c)
		default:
			if _, err := fmt.Sscanf(line, "time %d\n", &reps); err != nil || p.block == nil {
				log.Fatalf("not a command: %q", line)
			}
			fmt.Printf("%.9f %.9f\n", micros*float64(reps)/1e6, micros*float64(reps)/2e6)
		}
	}
}

// naiveProduct returns C of a problem, and zeros between its rows.
func naiveProduct(p *problem) []float32 {
	at := func(block []float32, ld int, trans kernels.Transpose, i, j int) float64 {
		if trans {
			i, j = j, i
		}
		return float64(block[i*ld+j])
	}
	c := make([]float32, len(p.block)-p.c)
	for i := range p.m {
		for j := range p.n {
			sum := 0.0
			for q := range p.k {
				sum += at(p.block, p.lda, p.tA, i, q) * at(p.block[p.b:], p.ldb, p.tB, q, j)
			}
			c[i*p.ldc+j] = float32(sum)
		}
	}
	return c
}

func TestGemm(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", t.TempDir())
	for _, c := range []struct {
		behaviour, args string
		status          int
		want            string // a pattern in the output, of either kind
	}{
		{"right", "--threads 2 --coretype native", 0, `threads: 2; rounds: 3, .* native;`},
		{"right", "--coretype Zen/zen3", 0, `(?m)^OpenBLAS: kernels for ZEN; OpenBLAS 0\.0; /lib/libopenblas\.so with 1 threads\nBLIS: kernels for ZEN3; BLIS 0\.0; /lib/libblis\.so with 1 threads$`},
		{"right", "--coretype native", 0, `(?m)^OpenBLAS: kernels for SOME PROCESSOR; .*\nBLIS: kernels for SOME PROCESSOR; `},
		{"wrong", "", 1, `^bench: 20x30x40:NN: OpenBLAS: C\[19,29\] is .* and .* in Lockstep: not the same product\n$`},
		{"silent", "", 1, `^bench: 20x30x40:NN: no answer from OpenBLAS: .*\n$`},
		{"other library", "", 1, `^bench: OpenBLAS: /lib/libopenblas.so with 1 threads is "MKL"\n$`},
		{"other core", "--coretype Zen/zen3", 1, `^bench: OpenBLAS: its kernels are those for 486, want those for Zen\n$`},
		{"no library", "", 1, `^bench: OpenBLAS \(Debian: libopenblas-dev\): OpenBLAS: exit status 1: dlopen: libopenblas.so: no such file\n$`},
		{"no compiler", "", 1, `^bench: .*: exit status 1: it cannot compile\n$`},
	} {
		t.Setenv(standInCC, c.behaviour)
		args := strings.Fields("gemm --cc " + self + " --rounds 3 --shapes 20x30x40:NN,21x31x41:TN+3,22x32x42:NT+1,40x40x40:TT " + c.args)
		status, stdout, stderr := bench(args...)
		if status != c.status {
			t.Errorf("%s %s: status %d, want %d; %s", c.behaviour, c.args, status, c.status, stderr)
		}
		output := stderr // of a failure, nothing else counts
		if status == 0 {
			output += stdout
		}
		if !regexp.MustCompile(c.want).MatchString(output) {
			t.Errorf("%s %s: no %q in the output\n%s", c.behaviour, c.args, c.want, output)
		}
		if strings.Contains(c.args, "--threads 2") {
			checkSpeeds(t, stdout)
		}
	}
	if entries, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(entries) > 0 {
		t.Errorf("files left behind: %v (%v)", entries, err)
	}
}

// checkSpeeds wants GFLOPS that belong to the times that the stand-ins told, and
// ratios and their summary that belong to the speeds.
func checkSpeeds(t *testing.T, table string) {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^(\d+x\S+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)$`).FindAllStringSubmatch(table, -1)
	var names []string
	var ratios []float64
	for _, line := range lines {
		names = append(names, line[1])
		var s shape
		if err := s.UnmarshalText([]byte(line[1])); err != nil {
			t.Fatal(err)
		}
		var v [4]float64
		for i := range v {
			v[i], _ = strconv.ParseFloat(line[2+i], 64)
		}
		flops := 2 * float64(s.m*s.n*s.k)
		for i, want := range []float64{flops / 10e3, flops / 8e3, v[0] / max(v[1], v[2])} {
			if math.Abs(v[1+i]-want) > 0.01+0.02*want {
				t.Errorf("%v: column %d is %v, want %v", s, 2+i, v[1+i], want)
			}
		}
		ratios = append(ratios, v[3])
	}
	if want := []string{"20x30x40:NN", "21x31x41:TN+3", "22x32x42:NT+1", "40x40x40:TT"}; !slices.Equal(names, want) {
		t.Fatalf("rows %q, want %q\n%s", names, want, table)
	}
	summary := regexp.MustCompile(`over the 2 padded shapes that are not cubes: ([\d.]+)`).FindStringSubmatch(table)
	if summary == nil {
		t.Fatalf("no geometric mean over the padded shapes\n%s", table)
	}
	mean, _ := strconv.ParseFloat(summary[1], 64)
	if want := math.Sqrt(ratios[1] * ratios[2]); math.Abs(mean-want) > 0.002 {
		t.Errorf("geometric mean %v, want %v", mean, want)
	}
	worst := slices.Index(ratios, slices.Min(ratios))
	for _, want := range []string{
		"\nGFLOPS;",
		fmt.Sprintf("over the 1 dense shapes that are not cubes: %.3f\n", ratios[0]),
		fmt.Sprintf("worst ratio: %.3f at %s\n", ratios[worst], names[worst]),
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
}

func TestGemmMisuse(t *testing.T) {
	for _, c := range []struct {
		args string
		want []string // in the message
	}{
		{"--threads 0", []string{"--threads", "at least 1"}},
		{"--rounds 0", []string{"--rounds", "at least 1"}},
		{"--coretype ZEN", []string{"--coretype", `"ZEN"`, "native"}},
		{"--coretype /zen3", []string{"--coretype", "native"}},
		{"--cc " + filepath.Join(t.TempDir(), "cc"), []string{"--cc", "Debian: gcc"}},
		{"--shapes 1x2:NN", []string{"--shapes", `"1x2:NN"`, "MxNxK:NN"}},
		{"--shapes 1x2x3x4:NN", []string{"--shapes", "MxNxK:NN"}},
		{"--shapes 1x2x3", []string{"--shapes", "MxNxK:NN"}},
		{"--shapes 1x2x3:N", []string{"--shapes", "MxNxK:NN"}},
		{"--shapes 1x2x3:NC", []string{"--shapes", "MxNxK:NN"}},
		{"--shapes 1x2x3:NNN", []string{"--shapes", "MxNxK:NN"}},
		{"--shapes 1x0x3:NN", []string{"--shapes", "1 to 8192"}},
		{"--shapes 1x2x8193:NN", []string{"--shapes", "1 to 8192"}},
		{"--shapes 1x2x99999999999999999999:NN", []string{"--shapes", "1 to 8192"}},
		{"--shapes 1xtwox3:NN", []string{"--shapes", "1 to 8192"}},
		{"--shapes 1x2x3:NN+0", []string{"--shapes", "1 to 8192"}},
		{"--shapes 1x2x3:NN+", []string{"--shapes", "+PAD"}},
	} {
		status, stdout, stderr := bench(append([]string{"gemm"}, strings.Fields(c.args)...)...)
		if status != 2 || stdout != "" || !strings.HasPrefix(stderr, "bench: ") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: status %d, stdout %q, stderr %q, want 2 and one line of a message", c.args, status, stdout, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: message %q has no %q", c.args, stderr, want)
			}
		}
	}
}

func TestShapeText(t *testing.T) {
	for _, want := range append(allShapes(), shape{m: 1, n: 8192, k: 3, tA: kernels.Trans, tB: kernels.Trans, pad: 17}) {
		var got shape
		if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
			t.Errorf("%v is read as %v (%v)", want, got, err)
		}
	}
}

func TestQuantile(t *testing.T) {
	buckets := []float64{0, 1, 2, 3, 4}
	for _, c := range []struct {
		counts []uint64
		q      float64
		want   float64
	}{
		{[]uint64{0, 3, 0, 1}, 0.5, 2},
		{[]uint64{0, 3, 0, 1}, 0.76, 4},
		{[]uint64{0, 3, 0, 1}, 1, 4},
		{[]uint64{1, 1, 0, 0}, 0.5, 1},
		{[]uint64{5, 0, 0, 0}, 1, 1},
	} {
		if got := quantile(buckets, c.counts, c.q); got != c.want {
			t.Errorf("%v: the %v-quantile is %v, want %v", c.counts, c.q, got, c.want)
		}
	}
}

func TestFast(t *testing.T) {
	for _, c := range []struct {
		speeds []float64
		want   float64
	}{
		{[]float64{7}, 7},
		{[]float64{8, 7}, 7},
		{[]float64{3, 1e9, 5, 4, 6, 2}, 5},
	} {
		if got := fast(slices.Clone(c.speeds)); got != c.want {
			t.Errorf("%v: %v, want %v", c.speeds, got, c.want)
		}
	}
}
