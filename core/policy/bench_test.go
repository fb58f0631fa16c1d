package policy

import (
	"fmt"
	"strings"
	"testing"

	"kpm/core"
)

// fleet makes n policies of the mix that a fleet has: mostly paths and
// patterns, some hashes, each for a user, a group or everyone.
func fleet(n int) []Policy {
	list := make([]Policy, n)
	for i := range list {
		p := Policy{
			ID: fmt.Sprintf("policy-%05d", i), Name: fmt.Sprintf("Policy %d", i), Type: TypePrivilegeElevation, Status: Enforce,
			Controls: []core.Control{core.ControlAllow}, Machines: []string{"*"},
		}
		switch i % 10 {
		case 0, 1:
			p.Applications = []string{fmt.Sprintf("%064x", i)}
		case 2, 3, 4:
			p.Applications = []string{fmt.Sprintf("/opt/vendor%d/*", i)}
		case 5:
			p.Applications = []string{fmt.Sprintf("tool%d", i)}
		default:
			p.Applications = []string{fmt.Sprintf("/usr/bin/tool%d", i)}
		}
		switch i % 3 {
		case 0:
			p.Users = []string{"*"}
		case 1:
			p.Users = []string{fmt.Sprintf("user%d", i)}
		default:
			p.Users = []string{"alice", fmt.Sprintf("%%#%d", 2000+i)}
		}
		if i%7 == 0 {
			p.Controls = []core.Control{core.ControlDeny}
		}
		list[i] = p
	}
	// The policies that the benchmark's question meets.
	list[n-1] = Policy{ID: "zz-allow", Type: TypePrivilegeElevation, Status: Enforce, Controls: []core.Control{core.ControlAllow},
		Users: []string{"*"}, Machines: []string{"*"}, Applications: []string{"/usr/bin/systemctl"}}
	list[n-2] = Policy{ID: "zz-justify", Type: TypePrivilegeElevation, Status: Enforce, Controls: []core.Control{core.ControlJustify},
		Users: []string{"alice"}, Machines: []string{"*"}, Applications: []string{"/usr/bin/system*"}}
	return list
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 1000, 10000, 100000} {
		s, _ := engine.Compile(fleet(n), linux())
		for _, c := range []struct {
			name string
			q    Question
		}{
			{"path", ask("/usr/bin/systemctl", "/usr/bin/systemctl", "systemctl", "restart", "nginx")},
			{"name", ask("/usr/bin/systemctl", "systemctl", "systemctl", "restart", "nginx")},
			{"none", ask("/usr/bin/passwd", "passwd", "passwd")},
		} {
			b.Run(fmt.Sprintf("policies=%d/%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					s.Decide(c.q)
				}
			})
		}
	}
}

// BenchmarkDecideSameProgram: every user has a policy of their own for one
// program.
func BenchmarkDecideSameProgram(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		list := make([]Policy, n)
		for i := range list {
			list[i] = Policy{ID: fmt.Sprint(i), Type: TypePrivilegeElevation, Status: Enforce, Controls: []core.Control{core.ControlAllow},
				Users: []string{fmt.Sprintf("user%d", i)}, Applications: []string{"/usr/bin/apt"}}
		}
		list[n/2].Users = []string{"alice"}
		s, _ := engine.Compile(list, linux())
		q := ask("/usr/bin/apt", "apt", "apt", "update")
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Decide(q)
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		list := fleet(n)
		b.Run(fmt.Sprintf("policies=%d", n), func(b *testing.B) {
			for b.Loop() {
				engine.Compile(list, linux())
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	data := []byte("[" + strings.Repeat(fullModel+",", 999) + fullModel + "]")
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		engine.Parse("b.json", data)
	}
}
