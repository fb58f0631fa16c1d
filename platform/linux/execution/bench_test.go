//go:build linux

package execution_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/execution"
	"kpm/launcher/journal"
	stop "kpm/platform/linux/execution"
)

// here runs what keeperexec runs in this process, on one file system.
type here struct{ b *testing.B }

var _ port.ExecutionControl = here{}

func (here) Ready() error { return nil }

func (h here) Start() (io.ReadWriteCloser, error) {
	g, err := stop.Open()
	if err != nil {
		return nil, err
	}
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		execution.Serve(theirs, g)
	}()
	h.b.Cleanup(func() { <-done })
	return ours, nil
}

// BenchmarkExecution is one program from its fork to its end: on a file system that is
// watched, with a verdict that is remembered or where no policy restricts it, in turn
// with one that is not. over-bare is by how much the median of the one is more.
func BenchmarkExecution(b *testing.B) {
	for name, unrestricted := range map[string]bool{"remembered": false, "unrestricted": true} {
		b.Run(name, func(b *testing.B) {
			bare, watched := programOnTmpfs(b), programOnTmpfs(b)
			questions := make(chan struct{}, 1)
			s := execution.New(execution.Config{
				Control: here{b}, Append: func(journal.Record) error { return nil }, Log: slog.New(slog.DiscardHandler),
				Name: func(core.UserID) string { return "" }, Machine: func() string { return "" },
				Consult: func(context.Context, wire.PolicyRequest) (wire.PolicyResponse, error) {
					select {
					case questions <- struct{}{}:
					default:
					}
					return wire.PolicyResponse{Decision: core.Allow, Unrestricted: unrestricted}, nil
				},
			})
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Run(ctx)
			}()
			b.Cleanup(func() { cancel(); <-done })
			s.Policies("policies", true, false)
			s.Switch(true, []string{filepath.Dir(watched)})
			for asked := false; !asked; {
				run(b, watched)
				select {
				case <-questions:
					asked = true
				default:
				}
			}
			var took [2][]time.Duration
			for b.Loop() {
				for i, program := range []string{bare, watched} {
					took[i] = append(took[i], run(b, program))
				}
			}
			for i := range took {
				slices.Sort(took[i])
			}
			over := took[1][len(took[1])/2] - took[0][len(took[0])/2]
			b.ReportMetric(float64(over.Nanoseconds()), "ns-over-bare")
		})
	}
}

// programOnTmpfs is /bin/true on a file system of its own.
func programOnTmpfs(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	data, err := os.ReadFile("/bin/true")
	err = errors.Join(err, os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755), // others come here
		unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m,mode=755"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	program := filepath.Join(dir, "true")
	if err := os.WriteFile(program, data, 0o755); err != nil {
		b.Fatal(err)
	}
	return program
}

// run is by a shell: a fork of the Go runtime's holds up those who are to answer it.
func run(b *testing.B, program string) time.Duration {
	b.Helper()
	c := exec.Command("/bin/sh", "-c", `exec "$0"`, program)
	c.SysProcAttr, c.Dir = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}, "/"
	begun := time.Now()
	if err := c.Run(); err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}
