// Command vm installs the agent on a whole virtual machine, of an operating
// system of its own, and holds it to what it promises there: make vmtest OS=...
//
// Vagrant makes the machine, from the Vagrantfile in the folder of that name;
// the suite is the same for all of them, and speaks SSH or WinRM. What needs no
// kernel or distribution of its own is told faster in packages installed and
// packages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

const help = `Usage: go run ./vmtests/vm --os NAME

Builds the package, starts a virtual machine with Vagrant, installs the package
there, runs the suite and removes the machine. Exit status 0 means that every
case held. Run it in the checkout.

`

// limit is how long all of it may take, on a machine without acceleration.
const limit = 90 * time.Minute

// options are the flags. Those after keep are for the second half, which may run
// in namespaces of its own.
type options struct {
	os, cache, provider string
	keep                bool

	inside   bool
	work     string // a directory of this run's
	packages string // the directory of what was built
	box      string // a file, or empty for the one that the Vagrantfile names
}

func main() {
	var o options
	flag.StringVar(&o.os, "os", "debian12", "machine: "+names())
	flag.StringVar(&o.cache, "cache", "/var/cache/kpm-vmtests", "where boxes are kept that were made here")
	flag.StringVar(&o.provider, "provider", "libvirt", "provider of Vagrant's")
	flag.BoolVar(&o.keep, "keep", false, "leave the machine running if a case fails, and wait for Enter")
	flag.BoolVar(&o.inside, "inside", false, "second half: everything is built")
	flag.StringVar(&o.work, "work", "", "second half: directory of this run")
	flag.StringVar(&o.packages, "packages", "", "directory with the package to install; it is built if this is empty")
	flag.StringVar(&o.box, "box", "", "box to start, a file; by default the system's own")
	flag.Usage = func() { fmt.Fprint(flag.CommandLine.Output(), help); flag.PrintDefaults() }
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, limit)
	err := walk(ctx, o)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmtest:", err)
		os.Exit(1)
	}
}

func walk(ctx context.Context, o options) error {
	s, ok := systems[o.os]
	if !ok {
		return fmt.Errorf("no machine is named %q; there are %s", o.os, names())
	}
	if o.inside {
		return test(ctx, o, s)
	}
	work, err := os.MkdirTemp("/var/tmp", "kpm-vmtest-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	o.work = work
	if err := build(ctx, &o, s); err != nil {
		return err
	}
	if o.provider != "libvirt" || libvirtRuns(ctx) {
		return test(ctx, o, s)
	}
	if runtime.GOOS != "linux" {
		return errors.New("libvirt does not run here; --provider names another one")
	}
	return withLibvirt(ctx, o)
}

// build makes what the machine is handed: the package, the tests of the platform's
// folder, and the box if it is one of ours.
func build(ctx context.Context, o *options, s system) (err error) {
	if o.packages == "" {
		o.packages = filepath.Join(o.work, "packages")
		fmt.Println("building the package")
		if err := run(ctx, "make", "--no-print-directory", "packages", "ONLY="+s.target(), "PACKAGES="+o.packages); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", filepath.Join(o.work, "conformance"+s.suffix()), "./platform/"+s.goos)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+s.goos, "GOARCH=amd64")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the conformance suite: %w\n%s", err, out)
	}
	if o.box == "" && s.debian != "" && o.provider == "libvirt" {
		o.box, err = box(ctx, o.cache, s.debian, os.Stdout)
	}
	return err
}

// test starts the machine, runs the suite, and removes the machine.
func test(ctx context.Context, o options, s system) (err error) {
	began := time.Now()
	m, err := up(ctx, o, s)
	defer func() {
		if err != nil && o.keep {
			fmt.Printf("the machine goes on: VAGRANT_HOME=%s VAGRANT_DOTFILE_PATH=%s VAGRANT_CWD=%s. Enter removes it.\n", m.home, m.dot, m.folder)
			_, _ = fmt.Scanln()
		}
		// Also when it was interrupted.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
		defer cancel()
		err = errors.Join(err, m.destroy(ctx))
	}()
	if err != nil {
		return err
	}
	fmt.Printf("%-52s %s\n", "vagrant up", time.Since(began).Round(time.Second))
	guest, err := s.reach(ctx, m)
	if err != nil {
		return err
	}
	return suite(ctx, guest, o, s)
}
