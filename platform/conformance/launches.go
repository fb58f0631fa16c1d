package conformance

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"kpm/core"
	"kpm/core/port"
)

// Launches measures launches of a program that ends at once, from its specification to
// its exit status, beside the system's own way to start the same program.
func Launches(b *testing.B, g Ground) {
	host, err := g.Host()
	must(b, err)
	defer func() { must(b, host.Close()) }()
	path, err := os.Executable()
	must(b, err)
	exe, err := g.Handle(path)
	must(b, err)
	defer exe.Close()
	dir, err := g.Handle(b.TempDir())
	must(b, err)
	defer dir.Close()
	argv, env := []string{path, "exit", "0"}, append(slices.Clone(g.Env), variable+"=1")
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			held, err := host.Launcher.Prepare(b.Context(), port.LaunchSpec{As: g.As, Executable: exe, Argv: argv, Env: env, Dir: dir})
			must(b, err)
			process, err := held.Release(b.Context())
			must(b, err)
			if status, err := process.Wait(b.Context()); err != nil || status != (core.ExitStatus{}) {
				b.Fatalf("%+v, %v", status, err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			cmd := exec.Command(path, argv[1:]...)
			cmd.Env, cmd.Dir = env, dir.Name()
			must(b, cmd.Run())
		}
	})
}
