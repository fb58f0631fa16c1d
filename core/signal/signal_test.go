package signal

import "testing"

// all are the signals, by looking at every number that there could be.
func all() (list []Signal) {
	for s := Signal(1); s < 128; s++ {
		if s.String() != "unknown" {
			list = append(list, s)
		}
	}
	return list
}

func TestSignals(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range all() {
		if name := s.String(); name == "none" || name == "unknown" || seen[name] {
			t.Errorf("%d is called %q", s, name)
		} else {
			seen[name] = true
		}
		if want := s != Kill && s != Stop; s.Forwarded() != want {
			t.Errorf("%s is forwarded: %v", s, s.Forwarded())
		}
	}
	for _, s := range []Signal{0, 4, 11, 29, 64, 1 << 31} {
		if s.Forwarded() {
			t.Errorf("%d is forwarded", s)
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d signals", len(seen))
	}
}
