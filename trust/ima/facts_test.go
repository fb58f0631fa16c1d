package ima

import (
	"os"
	"slices"
	"testing"

	"kpm/core/port"
	"kpm/trust/reader"
)

// asked is a system that notes which attributes it is asked for.
type asked struct {
	port.SystemSignatures
	names []string
}

func (a *asked) Attribute(_ *os.File, name string) ([]byte, error) {
	a.names = append(a.names, name)
	return []byte{1}, nil
}
func (*asked) Verity(*os.File) (port.Verity, error) { return port.Verity{}, port.ErrNoAttribute }
func (*asked) Node(*os.File) (port.Node, error)     { return port.Node{}, nil }

// The service asks the system for everything that Evidence, which cannot, may
// want to know.
func TestTheServiceAsksForEveryAttribute(t *testing.T) {
	var system asked
	if _, err := reader.Gather(&system, nil); err != nil {
		t.Fatal(err)
	}
	want := append([]string{nameIMA, nameEVM}, protected[:]...)
	slices.Sort(want)
	slices.Sort(system.names)
	if want = slices.Compact(want); !slices.Equal(system.names, want) {
		t.Errorf("asked for %v, expected %v", system.names, want)
	}
}
