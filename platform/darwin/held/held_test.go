package held

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

var specs = []Spec{
	{Argv: []string{""}},
	{UID: 501, GID: 20, User: "alice", Path: "/bin/sh", Argv: []string{"sh", "-c", "a b"}, Env: []string{"A=1", "B="}, Identity: Identity{1, 2, 3, 1<<64 - 1}, Opened: 2},
	{UID: 1<<32 - 2, Argv: []string{strings.Repeat("ä", 60000), "\xff"}},
}

func TestSpecIsReadAsItWasWritten(t *testing.T) {
	for _, want := range specs {
		b, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadSpec(bytes.NewReader(append(bytes.Clone(b), "next"...)))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %.200v, %v, want %.200v", got, err, want)
		}
		for n := range min(len(b), 300) {
			if _, err := ReadSpec(bytes.NewReader(b[:n])); err == nil {
				t.Errorf("%d of %d bytes were enough", n, len(b))
			}
		}
	}
	if _, err := ReadSpec(bytes.NewReader(nil)); err != io.EOF {
		t.Errorf("nothing: %v", err)
	}
	b, _ := specs[1].Encode()
	b[0]++
	if _, err := ReadSpec(bytes.NewReader(append(b, 'x'))); !errors.Is(err, errSpec) {
		t.Errorf("a string without an end: %v", err)
	}
}

func TestSpecsThatAreNotSent(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want error
	}{
		{Spec{}, ErrNoArgv},
		{Spec{Argv: []string{"a\x00b"}}, ErrNUL},
		{Spec{Argv: []string{"a"}, Path: "/bin/sh\x00"}, ErrNUL},
		{Spec{Argv: []string{strings.Repeat("a", MaxSpec)}}, ErrTooBig},
		{Spec{Argv: make([]string, MaxStrings+1)}, ErrTooBig},
		{Spec{Argv: []string{"a"}, Opened: MaxOpened + 1}, ErrTooBig},
	} {
		if _, err := c.spec.Encode(); !errors.Is(err, c.want) {
			t.Errorf("%.60v: %v, want %v", c.spec, err, c.want)
		}
	}
}

func FuzzReadSpec(f *testing.F) {
	for _, s := range specs[:2] {
		b, _ := s.Encode()
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ReadSpec(bytes.NewReader(b))
		if err != nil {
			return
		}
		if again, err := s.Encode(); err != nil || !bytes.HasPrefix(b, again) {
			t.Errorf("%x became %x, %v", b, again, err)
		}
	})
}

func TestMessages(t *testing.T) {
	for step := StepSpec; step <= StepExec; step++ {
		want := Report{step, 13}
		if got, ok := DecodeReport(want.Encode()); !ok || got != want || step.String() == Step(0).String() {
			t.Errorf("%v: %v, %v", want, got, ok)
		}
	}
	for kind := OrderBegin; kind <= NoticeEnded; kind++ {
		want := Message{kind, 1 << 31}
		if got, ok := DecodeMessage(want.Encode()); !ok || got != want {
			t.Errorf("%v: %v, %v", want, got, ok)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, 8), make([]byte, 9), {99, 0, 0, 0, 0, 0, 0, 0}} {
		if m, ok := DecodeMessage(b); ok {
			t.Errorf("%x is %v", b, m)
		}
		if r, ok := DecodeReport(b); ok {
			t.Errorf("%x is %v", b, r)
		}
	}
	if Step(99).String() != Step(0).String() {
		t.Error("a step that there is not has a name")
	}
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		status        Status
		stop          int
		stopped       bool
		code, killing int
	}{
		{0, 0, false, 0, 0}, {7 << 8, 0, false, 7, 0}, {255 << 8, 0, false, 255, 0}, {9, 0, false, 0, 9}, {6 | 0x80, 0, false, 0, 6}, // with a core
		{0x7f, 0, true, 0, 0}, {18<<8 | 0x7f, 18, true, 0, 0},
	} {
		if sig, is := c.status.Stopped(); is != c.stopped || is && sig != c.stop {
			t.Errorf("%#x: stopped by %d, %v", uint32(c.status), sig, is)
		}
		if code, sig := c.status.Ended(); !c.stopped && (code != c.code || sig != c.killing) {
			t.Errorf("%#x: ended with %d, %d", uint32(c.status), code, sig)
		}
	}
}

func TestNamesOfOpened(t *testing.T) {
	if NameOfOpened(0) != "/dev/fd/64" || NameOfOpened(MaxOpened-1) != "/dev/fd/71" {
		t.Error(NameOfOpened(0), NameOfOpened(MaxOpened-1))
	}
}
