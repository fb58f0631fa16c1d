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
	{},
	{Application: `C:\a.exe`, CommandLine: `C:\a.exe "b c"`, Dir: `C:\`, Env: []string{"A=1", "B="}},
	{
		Desktop: `winsta0\default`, Streams: [3]uint64{1, 1 << 40, 0}, Console: ConsolePseudo, Protected: true,
		TerminalIn: 4, TerminalOut: 8, TerminalSize: 12, Rows: 24, Columns: 80, CommandLine: strings.Repeat("ä", 30000),
	},
}

func TestSpecIsReadAsItWasWritten(t *testing.T) {
	for _, want := range specs {
		b := want.Encode()
		got, err := ReadSpec(bytes.NewReader(b))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %.200v, %v, want %.200v", got, err, want)
		}
		for n := range min(len(b), 300) {
			if _, err := ReadSpec(bytes.NewReader(b[:n])); err == nil {
				t.Errorf("%d of %d bytes were enough", n, len(b))
			}
		}
		more := bytes.Clone(b)
		more[0]++
		if _, err := ReadSpec(bytes.NewReader(append(more, 0))); !errors.Is(err, errSpec) {
			t.Errorf("a byte too many: %v", err)
		}
	}
	if _, err := ReadSpec(bytes.NewReader(nil)); err != io.EOF {
		t.Errorf("nothing: %v", err)
	}
	if _, err := ReadSpec(bytes.NewReader([]byte{0, 0, 0, 0xff})); !errors.Is(err, errSpec) {
		t.Errorf("4 GB: %v", err)
	}
}

func FuzzReadSpec(f *testing.F) {
	for _, s := range specs {
		f.Add(s.Encode())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ReadSpec(bytes.NewReader(b))
		if err == nil && !bytes.HasPrefix(b, s.Encode()) {
			t.Errorf("%x became %x", b, s.Encode())
		}
	})
}

func TestReport(t *testing.T) {
	for step := StepCreated; step <= StepResume; step++ {
		want := Report{step, 740, 1234}
		if got, ok := DecodeReport(want.Encode()); !ok || got != want || step.String() == Step(0).String() {
			t.Errorf("%d: %v, %v, %q", step, got, ok, step)
		}
	}
	for _, b := range [][]byte{nil, make([]byte, ReportSize), make([]byte, ReportSize+1), Report{Step: StepResume + 1}.Encode()} {
		if r, ok := DecodeReport(b); ok {
			t.Errorf("%x is %v", b, r)
		}
	}
	if Step(99).String() != Step(0).String() {
		t.Error("a step that does not exist has a name")
	}
	if rows, columns := DecodeSize(EncodeSize(300, 25)); rows != 300 || columns != 25 {
		t.Errorf("%d by %d", rows, columns)
	}
}

// A size that no console has becomes one that it can have.
func TestSizesOfConsoles(t *testing.T) {
	for _, c := range []struct {
		rows, columns uint16
		y, x          int16
	}{
		{30, 100, 30, 100}, {0, 0, 1, 1}, {1, 32767, 1, 32767}, {32768, 65535, 32767, 32767},
	} {
		rows, columns := DecodeSize(EncodeSize(c.rows, c.columns))
		if y, x := extent(rows, columns); y != c.y || x != c.x {
			t.Errorf("%d, %d: %d, %d; expected %d, %d", c.rows, c.columns, y, x, c.y, c.x)
		}
	}
}
