package policy

import (
	"strings"
	"testing"
)

// Programs of each kind that gtfobins.github.io lists are known, and each is in one
// group: the first that names it is what people are told.
func TestProgramsThatGiveEverything(t *testing.T) {
	for _, name := range strings.Fields("bash vim ex less man python3 perl find awk tar apt-get git systemctl machinectl batch nmap socat nc irb run-parts capsh valgrind gcc ansible-playbook pico mc mutt debugfs docker ssh-keygen") {
		if p, _ := powerOf(&program{kind: byPath, text: "/usr/bin/" + name}, nil); p == nil || p.how == "" || p.source == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if p, _ := powerOf(&program{kind: byPath, text: "/usr/bin/id"}, nil); p != nil {
		t.Errorf("id: %+v", p)
	}
	seen := map[string]bool{}
	for _, p := range powers() {
		for _, name := range strings.Fields(p.names) {
			if seen[name] {
				t.Errorf("%s is in two groups", name)
			}
			seen[name] = true
		}
	}
}
