//go:build linux

package held

import (
	"encoding/binary"
	"os"
	"reflect"
	"syscall"
	"testing"
)

func TestSpecRoundTrip(t *testing.T) {
	for _, want := range []Spec{
		{Argv: []string{"true"}, Env: []string{}},
		{
			UID: 4242, GID: 7, Groups: []uint32{7, 8}, Terminal: true, Script: "/a b",
			Identity: Identity{1 << 40, 2, -3, 999_999_999},
			Argv:     []string{"", "a\nb", "\xff"}, Env: []string{"A=", "B=c"},
		},
	} {
		b := want.Encode()
		if n := binary.BigEndian.Uint32(b); int(n) != len(b)-4 || len(b) != cap(b) {
			t.Errorf("length %d of %d, room for %d", n, len(b), cap(b))
		}
		got, ok := Decode(b[4:])
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for i := range len(b) - 4 {
			if _, ok := Decode(b[4 : 4+i]); ok {
				t.Errorf("%d of %d bytes were enough", i, len(b)-4)
			}
		}
	}
	if _, ok := Decode((&Spec{}).Encode()[4:]); ok {
		t.Error("no argv was accepted (CVE-2021-4034)")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&Spec{Argv: []string{"true"}}).Encode()[4:])
	f.Add((&Spec{Groups: []uint32{1}, Script: "/s", Argv: []string{"a", ""}, Env: []string{"A=b"}}).Encode()[4:])
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := Decode(b)
		if !ok {
			return
		}
		if again := s.Encode()[4:]; string(again) != string(b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}

func TestReportRoundTrip(t *testing.T) {
	want := Report{StepExec, syscall.ETXTBSY}
	if got, ok := DecodeReport(want.encode()); !ok || got != want {
		t.Errorf("got %v, %v", got, ok)
	}
	for _, b := range [][]byte{nil, {1}, make([]byte, ReportSize+1)} {
		if _, ok := DecodeReport(b); ok {
			t.Errorf("%x was accepted", b)
		}
	}
	for step := StepSpec; step <= StepExec; step++ {
		if step.String() == Step(0).String() {
			t.Errorf("step %d has no name", step)
		}
	}
	if Step(200).String() != Step(0).String() {
		t.Error("a step that does not exist has a name")
	}
}

func TestIdentifyFollowsEveryChange(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before, err := Identify(int(f.Fd()))
	if err != nil || before.Inode == 0 {
		t.Fatal(before, err)
	}
	for now := before; now == before; { // the clock of a file system ticks slowly
		if err := f.Chmod(0o700); err != nil {
			t.Fatal(err)
		}
		if now, err = Identify(int(f.Fd())); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Identify(-1); err == nil {
		t.Error("a descriptor that is none has an identity")
	}
}
