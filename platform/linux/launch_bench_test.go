//go:build linux

package linux

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkLaunch is the part of an elevation that starting the command takes,
// with a helper that waits and without, beside the system's own way.
func BenchmarkLaunch(b *testing.B) {
	spec := command(b, "/bin/true")
	launch := func(b *testing.B, l *Launcher) {
		p, _ := start(b, l, spec)
		_, err := p.Wait(b.Context())
		must(b, err)
	}
	chilled := func() { time.Sleep(5 * time.Millisecond) } // until the helper waits, and as long beside it
	bare := func(before func()) func(*testing.B) {
		return func(b *testing.B) {
			null := spec.Streams.Input.Fd()
			for b.Loop() {
				b.StopTimer()
				before()
				b.StartTimer()
				pid, err := syscall.ForkExec("/bin/true", spec.Argv, &syscall.ProcAttr{Files: []uintptr{null, null, null}})
				must(b, err)
				_, err = unix.Wait4(pid, nil, 0, nil)
				must(b, err)
			}
		}
	}
	for name, home := range map[string]string{"session": "", "cgroup": withCgroups(b)} {
		b.Run(name+"/waiting", func(b *testing.B) {
			l := newLauncher(b, 1, home)
			for b.Loop() {
				b.StopTimer()
				for len(l.ready) == 0 {
					l.fill()
				}
				chilled()
				b.StartTimer()
				launch(b, l)
			}
		})
		b.Run("forkexec-"+name+"/waiting", bare(chilled))
		b.Run(name+"/outliving", func(b *testing.B) {
			l := newLauncher(b, 1, home)
			spec := spec
			spec.Outlives = true
			for b.Loop() {
				b.StopTimer()
				for len(l.ready) == 0 {
					l.fill()
				}
				chilled()
				b.StartTimer()
				p, _ := start(b, l, spec)
				_, err := p.Wait(b.Context())
				must(b, err)
				l.Forget(p.ID())
			}
		})
		b.Run("forkexec-"+name+"/outliving", bare(chilled))
		b.Run(name+"/fresh", func(b *testing.B) {
			l := newLauncher(b, 0, home)
			for b.Loop() {
				launch(b, l)
			}
		})
		b.Run("forkexec-"+name+"/fresh", bare(func() {}))
	}
}
