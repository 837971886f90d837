//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lockstep-go/lockstep/internal/cpu"
)

// Files in the machine.
const (
	guestProgram = "/init"
	jobFile      = "/job"
	testProgram  = "/test/test"
)

// What the guest says on the console.
const (
	report     = "lockstep: "
	exitStatus = "exit status %d"
)

// guest is the machine's first process: it does the job and switches the machine off.
// What goes wrong before it can speak ends it, and the kernel says that.
func guest() {
	for dir, kind := range map[string]string{"/proc": "proc", "/dev": "devtmpfs"} {
		if err := syscall.Mount(kind, dir, kind, 0, ""); err != nil {
			panic(err)
		}
	}
	kmsg, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	say := func(text string) {
		fmt.Fprintf(kmsg, "<1>%s%s\n", report, text) // of a level that the kernel shows at once
	}
	status, err := work(say)
	if err != nil {
		say(err.Error())
	}
	say(fmt.Sprintf(exitStatus, status))
	panic(syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF))
}

// work does the job and returns the test's exit status.
func work(say func(string)) (status int, err error) {
	content, err := os.ReadFile(jobFile)
	if err != nil {
		return 1, err
	}
	var todo job
	if err := json.Unmarshal(content, &todo); err != nil {
		return 1, err
	}
	say(registers())
	say("the kernels use " + cpu.Active().String())
	if cpu.Active().String() != todo.ISA {
		return 1, fmt.Errorf("want %s", todo.ISA)
	}
	tty, err := openRaw("/dev/ttyS1")
	if err != nil {
		return 1, err
	}
	defer tty.Close()
	cmd := exec.Command(testProgram, todo.Args...)
	cmd.Dir = "/test"
	cmd.Stdout, cmd.Stderr = tty, tty
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		status, err = exit.ExitCode(), nil
	} else if err != nil {
		status = 1
	}
	return status, errors.Join(err, unix.IoctlSetInt(int(tty.Fd()), unix.TCSBRK, 1)) // wait until all is sent
}

// registers returns what the kernel said last of the registers that it saves.
func registers() string {
	log := make([]byte, 1<<20)
	n, err := unix.Klogctl(unix.SYSLOG_ACTION_READ_ALL, log)
	if err != nil {
		return err.Error()
	}
	line := log[:n]
	line = line[bytes.LastIndex(line, []byte("x86/fpu: "))+len("x86/fpu: "):]
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return string(line)
}

// openRaw opens a serial line or terminal, which then changes no byte.
func openRaw(name string) (*os.File, error) {
	tty, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	raw := unix.Termios{Cflag: unix.B115200 | unix.CS8 | unix.CREAD | unix.CLOCAL}
	raw.Cc[unix.VMIN] = 1 // to read is to wait for a byte
	return tty, unix.IoctlSetTermios(int(tty.Fd()), unix.TCSETS, &raw)
}
