// Command bench runs the experiments.
//
//	go run ./bench                all six update rules on MNIST, who learns fastest
//	go run ./bench train          one network, on MNIST, a CSV or other files
//	go run ./bench eval, predict, inspect, version
//	go run ./bench trajectories   where each update rule goes in a long valley
//	go run ./bench versus         time of a training step, beside PyTorch and others
//	go run ./bench updates        time of each update rule, beside PyTorch
//	go run ./bench gemm           speed of products of matrices, beside OpenBLAS and BLIS
//	go run ./bench accuracy       errors of exp, log and the activations, at every float32
//	go run ./bench mathspeed      time of these functions, beside SLEEF and glibc's libmvec
//	go run ./bench kill           training runs that are killed and go on, to the same bits
//	go run ./bench --help         the flags
//
// The exit status is 0, 1 after a failure, 2 after a mistake in the command line
// or in LOCKSTEP_ISA, and 130 after an interrupt. Each of them comes with one
// line that says why. No file is left half-written.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/lockstep-go/lockstep/internal/cpu"
	"github.com/lockstep-go/lockstep/kernels"
	"github.com/lockstep-go/lockstep/optim"
)

type commands struct {
	Compare      compare      `cmd:"" default:"withargs" help:"Train one network on MNIST with each update rule and show who learns fastest (the default)."`
	Train        train        `cmd:"" help:"Train one network, on MNIST, a CSV, or other files, and test it."`
	Eval         eval         `cmd:"" help:"Say how good a network is that train has saved."`
	Predict      predictions  `cmd:"" help:"Write what a network that train has saved makes of inputs."`
	Inspect      inspect      `cmd:"" help:"Say what is in a file."`
	Version      version      `cmd:"" help:"Say what runs here: version, instruction set, threads, self-check."`
	Trajectories trajectories `cmd:"" help:"Draw where each update rule goes in a long valley."`
	Versus       versus       `cmd:"" help:"Time training steps beside those of PyTorch and others, in turns. Needs Python with PyTorch."`
	Updates      updates      `cmd:"" help:"Time update rules beside PyTorch's, in turns. Needs Python with PyTorch."`
	Gemm         gemm         `cmd:"" help:"Time products of matrices beside OpenBLAS and BLIS, in turns. Needs a C compiler and these libraries."`
	Accuracy     accuracy     `cmd:"" help:"Compare exp, log and the activations with float64, at every float32 there is."`
	MathSpeed    mathSpeed    `cmd:"" name:"mathspeed" help:"Time exp, log and the activations beside SLEEF and glibc's libmvec, in turns. Needs a C compiler and SLEEF."`
	Kill         kill         `cmd:"" help:"Kill training runs at random moments, go on from their checkpoints and compare what they end in."`
	Victim       victim       `cmd:"" hidden:""`
}

// console is where a command reports.
type console struct{ out, err io.Writer }

// terminal reports whether someone watches progress.
func (c console) terminal() bool {
	f, ok := c.err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends the process at once
	os.Exit(run(ctx, os.Args[1:], console{os.Stdout, os.Stderr}))
}

// run is the command; it returns the exit status.
func run(ctx context.Context, args []string, to console) int {
	helped := false
	parser := kong.Must(new(commands),
		kong.Name("bench"),
		kong.Description("The experiments of Lockstep."),
		kong.Vars{"threads": strconv.Itoa(runtime.GOMAXPROCS(0)), "rules": strings.Join(optim.Names(), ","), "functions": functionNames()},
		kong.Writers(to.out, to.err),
		kong.Exit(func(int) { helped = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(to),
	)
	command, err := parser.Parse(args)
	if helped {
		return 0
	}
	if err == nil {
		if err = kernels.SetISA(os.Getenv(cpu.EnvISA)); err != nil {
			err = fmt.Errorf("%s: %w", cpu.EnvISA, err)
		}
	}
	if err != nil {
		fmt.Fprintln(to.err, "bench:", err)
		return 2
	}

	switch err := command.Run(); {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(to.err, "bench: interrupted")
		return 130
	case err != nil:
		fmt.Fprintln(to.err, "bench:", err)
		return 1
	}
	return 0
}
