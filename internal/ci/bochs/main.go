//go:build linux

// Command bochs runs a test binary on an emulated processor: under Linux in Bochs, an
// emulator that knows AVX-512. It is what go test -exec calls:
//
//	go build -o /tmp/bochs ./internal/ci/bochs
//	go test -exec '/tmp/bochs -cpu corei7_skylake_x -isa avx2' -v -short -run Specials ./kernels
//
// It says which registers the operating system saves there and which instruction set
// the kernels choose, and fails if that is not -isa. Then it passes on what the test
// prints, as it comes, and ends with the test's exit status. Nothing that it writes or
// starts stays behind.
//
// The machine boots in about 10 s. It has one processor, which does some 50 million
// instructions a second: what takes 1 s elsewhere takes a minute or two.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The files that the machine is made of.
const (
	bios     = "/usr/share/bochs/BIOS-bochs-latest"
	vga      = "/usr/share/bochs/VGABIOS-lgpl-latest"
	terminal = "/usr/lib/*/bochs/plugins/libbx_term_gui.so"
	isolinux = "/usr/lib/ISOLINUX/isolinux.bin"
	ldlinux  = "/usr/lib/syslinux/modules/bios/ldlinux.c32"
)

// packages has Debian's package for each program and file.
var packages = []struct{ file, name string }{
	{"bochs", "bochs"}, {bios, "bochsbios"}, {terminal, "bochs-term"},
	{isolinux, "isolinux"}, {ldlinux, "syslinux-common"}, {"xorriso", "xorriso"}, {"cpio", "cpio"},
}

// options are the kernel's. Without the last line it would find that the registers do not
// fill the memory that Bochs asks for ("XSAVE consistency problem") and save none of AVX:
// so it has to do without protection keys (515), XSAVES (323) and XSAVEC (321), bits of
// cpuid. The other lines save time.
const options = `console=ttyS0,115200 quiet mitigations=off tsc=unstable lpj=1000000 cryptomgr.notests
	initcall_blacklist=trace_eval_init,load_system_certificate_list
	nopku clearcpuid=323,321,515`

const bochsrc = `display_library: term
megs: 1024
romimage: file=` + bios + `
vgaromimage: file=` + vga + `
cpu: model=%s, count=1, ips=100000000, reset_on_triple_fault=0
ata0-master: type=cdrom, path=cd.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=/dev/fd/3
com2: enabled=1, mode=file, dev=/dev/fd/4
clock: sync=none
error: action=ignore
`

// job is what the machine shall do. It finds it in a file.
type job struct {
	ISA  string   // that the kernels must choose
	Args []string // of the test binary
}

func main() {
	if os.Args[0] == guestProgram {
		guest()
	}
	model := flag.String("cpu", "corei7_skylake_x", "`model` of the processor, one of those that bochs --help cpu lists")
	isa := flag.String("isa", "", "`name` of the instruction set that the kernels must choose")
	kernel := flag.String("kernel", "/boot/vmlinuz-*-cloud-amd64", "`file` with the kernel; of several that match, the last")
	limit := flag.Duration("limit", 8*time.Minute, "how long the machine may run")
	flag.Parse()
	status, err := run(os.Stdout, *model, *kernel, *isa, *limit, flag.Args())
	if err != nil {
		fmt.Fprintf(os.Stderr, "bochs: %v\n", err)
		status = 1
	}
	os.Exit(status)
}

// run runs the test binary and arguments args, and returns the exit status.
func run(w io.Writer, model, kernel, isa string, limit time.Duration, args []string) (int, error) {
	if isa == "" || len(args) == 0 {
		return 0, errors.New("want -isa, and after the flags a test binary and its arguments")
	}
	kernel, err := find(kernel)
	if err != nil {
		return 0, err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	defer stop()
	dir, err := os.MkdirTemp("", "bochs")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := build(ctx, dir, kernel, job{isa, args[1:]}, args[0]); err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(dir, "bochsrc"), fmt.Appendf(nil, bochsrc, model), 0o644); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done after %v", limit))
	defer cancel()
	return boot(ctx, w, dir)
}

// find returns the kernel's file, if nothing is missing.
func find(kernel string) (string, error) {
	var missing []string
	for _, p := range packages {
		_, err := exec.LookPath(p.file)
		if filepath.IsAbs(p.file) {
			_, err = last(p.file)
		}
		if err != nil {
			missing = append(missing, p.name)
		}
	}
	if len(missing) > 0 {
		return "", fmt.Errorf("Debian packages are missing: %s", strings.Join(missing, " "))
	}
	file, err := last(kernel)
	if err != nil {
		return "", fmt.Errorf("-kernel: %w; Debian's is in the package that linux-image-cloud-amd64 depends on", err)
	}
	return file, nil
}

// last returns the last file whose name matches.
func last(pattern string) (string, error) {
	files, err := filepath.Glob(pattern)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there is no file %s", pattern)
	}
	if err != nil {
		return "", err
	}
	return filepath.Abs(files[len(files)-1])
}

// build makes dir/cd.iso: the kernel, and the files that it finds in memory. These are
// this program, the test binary and the testdata that lies here.
func build(ctx context.Context, dir, kernel string, todo job, test string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	test, err = filepath.Abs(test)
	if err != nil {
		return err
	}
	content, err := json.Marshal(todo)
	if err != nil {
		return err
	}
	var problems []error
	put := func(err error) { problems = append(problems, err) }
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"dev", "proc", "tmp", "test"} {
		put(os.MkdirAll(in("root/"+name), 0o755))
	}
	put(os.Symlink(self, in("root"+guestProgram)))
	put(os.Symlink(test, in("root"+testProgram)))
	put(os.WriteFile(in("root"+jobFile), content, 0o644))
	if _, err := os.Stat("testdata"); err == nil {
		put(os.CopyFS(in("root/test/testdata"), os.DirFS("testdata")))
	}
	put(os.Mkdir(in("cd"), 0o755))
	for _, file := range []string{isolinux, ldlinux} {
		put(os.Symlink(file, in("cd/"+filepath.Base(file))))
	}
	put(os.Symlink(kernel, in("cd/linux")))
	menu := "default linux\nlabel linux\ninitrd files\nappend " + strings.Join(strings.Fields(options), " ") + "\n"
	put(os.WriteFile(in("cd/isolinux.cfg"), []byte(menu), 0o644))
	if err := errors.Join(problems...); err != nil {
		return err
	}
	for _, script := range []string{
		"cd root && find . | cpio -o -L -H newc --quiet >../cd/files",
		"xorriso -as mkisofs -quiet -f -o cd.iso -b isolinux.bin -c boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table cd",
	} {
		cmd := exec.CommandContext(ctx, "sh", "-c", script)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", script, err, out)
		}
	}
	return nil
}

// boot runs the emulator in dir until the machine switches itself off. The machine's
// first serial line is the kernel's console, where the guest reports too; the second
// has what the test prints.
func boot(ctx context.Context, w io.Writer, dir string) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	console, consoleEnd, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	output, outputEnd, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	// Debian's Bochs has a debugger, which first waits for a command.
	if err := os.WriteFile(filepath.Join(dir, "continue"), []byte("c\n"), 0o644); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "bochs", "-q", "-f", "bochsrc", "-rc", "continue")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TERM=xterm")
	cmd.ExtraFiles = []*os.File{consoleEnd, outputEnd}    // 3 and 4 there
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for this program, which ends the other
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	consoleEnd.Close()
	outputEnd.Close()
	var others sync.WaitGroup
	others.Go(func() { io.Copy(w, output) })
	var log strings.Builder
	others.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&log, lines.Text())
			var name string
			if n, _ := fmt.Sscanf(lines.Text(), "Bochs connected to screen %q", &name); n == 1 {
				if screen, err := openRaw(name); err != nil {
					cancel(err)
				} else {
					// Somebody has to look, or Bochs waits when the terminal holds no more.
					go io.Copy(io.Discard, screen)
				}
			}
		}
	})

	status := -1
	var said strings.Builder
	for lines := bufio.NewScanner(console); lines.Scan(); {
		line := lines.Text()
		fmt.Fprintln(&said, line)
		if _, text, ok := strings.Cut(line, "] "+report); ok {
			if n, _ := fmt.Sscanf(text, exitStatus, &status); n == 0 {
				fmt.Fprintf(w, "bochs: %s\n", text)
			}
		}
		if strings.Contains(line, "Kernel panic") {
			cancel(errors.New("the machine's kernel gave up"))
		}
	}
	others.Wait()
	err = cmd.Wait() // which is an error also where the machine switched itself off
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	} else if status >= 0 {
		return status, nil
	}
	end := log.String()
	return 0, fmt.Errorf("no result: %v\nthe machine's console:\n%sthe end of the emulator's log:\n%s", err, &said, end[max(0, len(end)-1000):])
}
