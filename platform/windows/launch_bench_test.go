//go:build windows

package windows

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/held"
)

// BenchmarkLaunch is the part of an elevation that starting the command takes, with a
// helper that waits, with one that is made for it, and as the person of the session,
// beside the system's own way. cmd.exe ends at once.
func BenchmarkLaunch(b *testing.B) {
	launch := func(b *testing.B, l *Launcher, spec port.LaunchSpec) {
		h, err := l.Prepare(b.Context(), spec)
		must(b, err)
		p, err := h.Release(b.Context())
		must(b, err)
		_, err = p.Wait(b.Context())
		must(b, err)
	}
	for name, c := range map[string]struct {
		as      core.Identity
		waiting bool
	}{"waiting": {own(), true}, "fresh": {own(), false}, "user": {in(b, core.AsUser), false}} {
		b.Run(name, func(b *testing.B) {
			spare := 0
			if c.waiting {
				spare = 1
			}
			l, err := NewLauncher(helperPath(), spare)
			must(b, err)
			defer l.Close()
			spec := command(b, c.as, "exit")
			for b.Loop() {
				if c.waiting {
					b.StopTimer()
					for len(l.ready) == 0 {
						time.Sleep(time.Millisecond)
					}
					time.Sleep(50 * time.Millisecond) // until the helper waits
					b.StartTimer()
				}
				launch(b, l, spec)
			}
		})
	}
	b.Run("CreateProcess", func(b *testing.B) {
		path, line := system("cmd.exe"), `cmd.exe /d /c exit`
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		must(b, err)
		defer null.Close()
		stream := windows.Handle(null.Fd())
		must(b, windows.SetHandleInformation(stream, windows.HANDLE_FLAG_INHERIT, windows.HANDLE_FLAG_INHERIT))
		for b.Loop() {
			made, err := held.Start{
				Application: path, CommandLine: line, Dir: systemDirectory(), Env: Facts().BaseEnvironment, Flags: windows.CREATE_NO_WINDOW,
				Streams: [3]windows.Handle{stream, 0, 0},
			}.Create()
			must(b, err)
			_, err = windows.ResumeThread(made.Thread)
			must(b, err)
			_, err = windows.WaitForSingleObject(made.Process, windows.INFINITE)
			must(b, err)
			windows.CloseHandle(made.Thread)
			windows.CloseHandle(made.Process)
		}
	})
}

// BenchmarkPeer is the look at who has connected over TCP.
func BenchmarkPeer(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	defer listener.Close()
	client, err := net.Dial("tcp", listener.Addr().String())
	must(b, err)
	defer client.Close()
	conn, err := listener.Accept()
	must(b, err)
	defer conn.Close()
	for b.Loop() {
		_, err := Peers{}.Peer(conn)
		must(b, err)
	}
}

// BenchmarkSessions is the look at who is logged in.
func BenchmarkSessions(b *testing.B) {
	for b.Loop() {
		_, err := Sessions{}.List(b.Context())
		must(b, err)
	}
}

// BenchmarkClock is the look at the time that nobody sets.
func BenchmarkClock(b *testing.B) {
	for b.Loop() {
		_, _, err := Clock{}.Now()
		must(b, err)
	}
}
