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
	for name, home := range map[string]string{"session": "", "cgroup": withCgroups(b)} {
		b.Run(name+"/waiting", func(b *testing.B) {
			l := newLauncher(b, 1, home)
			for b.Loop() {
				b.StopTimer()
				for len(l.ready) == 0 {
					l.fill()
				}
				time.Sleep(5 * time.Millisecond) // until the helper waits
				b.StartTimer()
				launch(b, l)
			}
		})
		b.Run(name+"/outliving", func(b *testing.B) {
			l := newLauncher(b, 1, home)
			spec := spec
			spec.Outlives = true
			for b.Loop() {
				b.StopTimer()
				for len(l.ready) == 0 {
					l.fill()
				}
				time.Sleep(5 * time.Millisecond) // until the helper waits
				b.StartTimer()
				p, _ := start(b, l, spec)
				_, err := p.Wait(b.Context())
				must(b, err)
				l.Forget(p.ID())
			}
		})
		b.Run(name+"/fresh", func(b *testing.B) {
			l := newLauncher(b, 0, home)
			for b.Loop() {
				launch(b, l)
			}
		})
	}
	b.Run("forkexec", func(b *testing.B) {
		null := spec.Streams.Input.Fd()
		for b.Loop() {
			b.StopTimer()
			time.Sleep(5 * time.Millisecond) // the same chill as above
			b.StartTimer()
			pid, err := syscall.ForkExec("/bin/true", spec.Argv, &syscall.ProcAttr{Files: []uintptr{null, null, null}})
			must(b, err)
			_, err = unix.Wait4(pid, nil, 0, nil)
			must(b, err)
		}
	})
}
