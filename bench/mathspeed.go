package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/lockstep-go/lockstep/kernels"
)

//go:embed vector_helper.c
var vectorHelper []byte

// mathSpeed times the functions of one vector here and in other libraries, on the same
// vectors: a round here and a round there by turns, so that all meet the same weather on
// the machine, and a fast round counts.
type mathSpeed struct {
	Functions []function `placeholder:"NAME,..." help:"Functions, of ${functions}. Default: all."`
	Lengths   []int      `default:"4096,1048576" help:"Lengths of the vectors, multiples of 8."`
	Rounds    int        `default:"50" help:"Rounds on each side."`
	SLEEF     string     `name:"sleef" default:"libsleef.so" help:"Shared library of SLEEF."`
	Libmvec   string     `name:"libmvec" default:"libmvec.so.1" help:"Glibc's shared library of vector functions."`
	CC        string     `name:"cc" default:"cc" help:"C compiler, for the program that calls them."`
}

// rival is a function of another library.
type rival struct{ name, symbol string }

// rivals are, for each function, those of SLEEF within 1.0 ulp and within 3.5, and
// libmvec's, for AVX2. For GELU it is erf, which it is computed with.
var rivals = map[string][3]rival{
	"exp":  {{"exp", "Sleef_expf8_u10avx2"}, {}, {"exp", "_ZGVdN8v_expf"}},
	"log":  {{"log", "Sleef_logf8_u10avx2"}, {"log", "Sleef_logf8_u35avx2"}, {"log", "_ZGVdN8v_logf"}},
	"tanh": {{"tanh", "Sleef_tanhf8_u10avx2"}, {"tanh", "Sleef_tanhf8_u35avx2"}, {"tanh", "_ZGVdN8v_tanhf"}},
	"GELU": {{"erf", "Sleef_erff8_u10avx2"}, {}, {"erf", "_ZGVdN8v_erff"}},
}

// Validate is called by kong.
func (s *mathSpeed) Validate() error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("it calls functions for AVX2, which %s has not", runtime.GOARCH)
	}
	for _, n := range s.Lengths {
		if n < 8 || n > 1<<28 || n%8 != 0 {
			return fmt.Errorf("--lengths: %d, want multiples of 8 from 8 to %d", n, 1<<28)
		}
	}
	if len(s.Lengths) == 0 {
		return errors.New("--lengths: nothing, want one or more with commas between")
	}
	if s.Rounds < 1 {
		return fmt.Errorf("--rounds: %d, want at least 1", s.Rounds)
	}
	if _, err := exec.LookPath(s.CC); err != nil {
		return fmt.Errorf("--cc: want a C compiler (Debian: gcc): %w", err)
	}
	return nil
}

// Run is called by kong.
func (s *mathSpeed) Run(ctx context.Context, to console) error {
	dir, err := os.MkdirTemp("", "lockstep-mathspeed-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "helper.c")
	if err := os.WriteFile(source, vectorHelper, 0o666); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, s.CC, "-O2", "-mavx2", "-o", filepath.Join(dir, "helper"), source, "-ldl").CombinedOutput(); err != nil {
		return cmp.Or(ctx.Err(), fmt.Errorf("%s: %w: %s", s.CC, err, firstLine(string(out))))
	}
	if len(s.Functions) == 0 {
		s.Functions = functions
	}
	measure, how := newProductMeter(1)
	fmt.Fprintf(to.out, "one thread; %d rounds by turns, of which the third fastest counts; cycles: %s\n", s.Rounds, how)
	fmt.Fprintf(to.out, "an element's cycles and ns, and the largest error in ulps on the same numbers\n\n")
	fmt.Fprintf(to.out, "%-10s %8s %22s %22s %22s %22s\n", "function", "length", "Lockstep, "+kernels.ISA(), "SLEEF, 1.0 ulp", "SLEEF, 3.5 ulps", "libmvec")
	var libraries []string
	for _, f := range s.Functions {
		for _, n := range s.Lengths {
			sides, err := s.race(ctx, dir, &f, n, measure)
			if err != nil {
				return cmp.Or(ctx.Err(), fmt.Errorf("%s: %w", f.name, err))
			}
			fmt.Fprintf(to.out, "%-10s %8d", f.name, n)
			for _, side := range sides {
				fmt.Fprintf(to.out, " %22v", &side)
				if side.about != "" && !slices.Contains(libraries, side.about) {
					libraries = append(libraries, side.about)
				}
			}
			fmt.Fprintln(to.out)
		}
	}
	fmt.Fprintln(to.out, "\nIn the line of GELU, the others compute erf.")
	for _, library := range libraries {
		fmt.Fprintln(to.out, library)
	}
	return nil
}

// side is a library's function, or nothing.
type side struct {
	racer         *racer
	about         string  // what it runs
	cycles, nanos float64 // an element
	worst         float64 // error, in ulps
}

func (s *side) String() string {
	if s.racer == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f  %.3f  %.3f", s.cycles, s.nanos, s.worst)
}

// race times a function on a vector of n numbers.
func (s *mathSpeed) race(ctx context.Context, dir string, f *function, n int, measure meter) (sides [4]side, err error) {
	x, y := make([]float32, n), make([]float32, n)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range x {
		x[i] = 16*random.Float32() - 8
		if f.name == "log" {
			x[i] = float32(math.Exp(float64(x[i])))
		}
	}
	inputs, results := filepath.Join(dir, "inputs.f32"), filepath.Join(dir, "results.f32")
	err = writeFile(inputs, func(w io.Writer) error { return binary.Write(w, binary.NativeEndian, x) })
	if err != nil {
		return sides, err
	}
	f.run(y, x)
	sides[0].worst = worstOf(y, x, f.reference)
	sides[0].racer = &racer{pid: os.Getpid(), train: func(reps int) (lap, error) {
		used, start := processorTime(), time.Now()
		for range reps {
			f.run(y, x)
		}
		return lap{Elapsed: time.Since(start).Seconds(), User: (processorTime() - used).Seconds()}, nil
	}}
	order := []*side{&sides[0]}
	for i, r := range rivals[f.name] {
		if r.symbol == "" {
			continue
		}
		library, debian := s.SLEEF, "libsleef-dev"
		if i == 2 {
			library, debian = s.Libmvec, "libc6"
		}
		var hello struct{ File, Glibc string }
		h, err := startHelper(ctx, 1, &hello, filepath.Join(dir, "helper"), library, r.symbol, inputs, results)
		if err != nil {
			return sides, fmt.Errorf("%s (Debian: %s): %w", library, debian, err)
		}
		defer h.stop()
		content, err := os.ReadFile(results)
		if err == nil {
			err = binary.Read(bytes.NewReader(content), binary.NativeEndian, y)
		}
		if err != nil {
			return sides, err
		}
		reference := f.reference
		if r.name == "erf" {
			reference = math.Erf
		}
		side := &sides[1+i]
		side.racer = &racer{pid: h.pid(), train: h.train}
		side.about = hello.File
		if i == 2 {
			side.about += " of glibc " + hello.Glibc
		}
		if side.worst = worstOf(y, x, reference); !(side.worst <= 8) {
			return sides, fmt.Errorf("%s: %s is off by %v ulps: not that function", library, r.symbol, side.worst)
		}
		order = append(order, side)
	}

	for _, side := range order {
		side.racer.warmup, side.racer.steps = 1, max(1, 1<<18/n) // some 0.2 ms
	}
	for range s.Rounds {
		for _, side := range order {
			if err := side.racer.round(measure); err != nil {
				return sides, err
			}
		}
		slices.Reverse(order) // so that none always comes after the same other
		if ctx.Err() != nil {
			return sides, ctx.Err()
		}
	}
	for _, side := range order {
		third := min(3, s.Rounds) - 1 // as in fast
		side.cycles = slices.Sorted(slices.Values(side.racer.cycles))[third] / float64(n)
		side.nanos = slices.Sorted(slices.Values(side.racer.micros))[third] * 1000 / float64(n)
	}
	return sides, nil
}

func worstOf(y, x []float32, reference func(float64) float64) float64 {
	worst := 0.0
	for i, y := range y {
		worst = max(worst, ulps(y, reference(float64(x[i]))))
	}
	return worst
}
