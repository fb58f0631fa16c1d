package launcher

import (
	"os/exec"
	"testing"
)

// BenchmarkElevate is one elevation of /usr/bin/true, door and wire left out.
func BenchmarkElevate(b *testing.B) {
	m := startMachine(b)
	for b.Loop() {
		if r, _, err := m.run(call{command: "true"}); err != nil || r.Refused != nil {
			b.Fatalf("%+v %v", r.Refused, err)
		}
	}
}

// BenchmarkSpawn is the part of it that no launcher can avoid.
func BenchmarkSpawn(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("/usr/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}
