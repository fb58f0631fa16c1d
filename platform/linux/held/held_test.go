//go:build linux

package held

import (
	"bytes"
	"encoding/binary"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// read gives a helper b as if it had been received, and returns what the
// helper makes of it.
func read(h *helper, b []byte) (Spec, bool) {
	whole := unsafe.Slice((*byte)(unsafe.Pointer(&h.head)), headSize+MaxSpec)
	n := copy(whole, b)
	if n < headSize || int(h.head.size) != n-headSize || !h.parse() {
		return Spec{}, false
	}
	s := Spec{
		UID: h.head.uid, GID: h.head.gid, Terminal: h.head.terminal != noTerminal, Background: h.head.terminal == background, Identity: h.head.identity,
		Argv: texts(h.strings[:]), Env: texts(h.strings[h.env:]),
	}
	for i := range int(h.head.groups) {
		s.Groups = append(s.Groups, binary.NativeEndian.Uint32(h.body[4*i:]))
	}
	if h.head.outlives == 1 {
		s.End = unix.BytePtrToString(&h.head.end[0])
	}
	if h.script != nil {
		s.Script = unix.BytePtrToString(h.script)
	}
	return s, true
}

func texts(list []*byte) []string {
	all := []string{}
	for _, p := range list {
		if p == nil {
			break
		}
		all = append(all, unix.BytePtrToString(p))
	}
	return all
}

func TestHelperReadsWhatWasEncoded(t *testing.T) {
	h := &helper{}
	h.prepare(3, 4)
	for _, want := range []Spec{
		{Argv: []string{"true"}, Env: []string{}},
		{Argv: []string{""}, Env: []string{""}},
		{
			UID: 4242, GID: 7, Groups: []uint32{7, 8}, Terminal: true, Script: "/a b",
			Identity: Identity{1 << 40, 2, -3, 999_999_999},
			Argv:     []string{"", "a\nb", "\xff"}, Env: []string{"A=", "B=c"},
		},
		{Terminal: true, Background: true, Argv: []string{"vi"}, Env: []string{}},
		{Argv: []string{"make"}, Env: []string{}, End: "4194304-18446744073709551615"},
		{Argv: make([]string, MaxStrings), Env: []string{}},
		{Argv: []string{strings.Repeat("x", MaxSpec-2)}, Env: []string{}},
	} {
		b, err := want.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, ok := read(h, b)
		if !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("got %.200v, want %.200v", got, want)
		}
		for _, n := range []int{0, 1, headSize - 1, headSize, len(b) - 1} {
			part := bytes.Clone(b[:n])
			if n >= headSize {
				binary.NativeEndian.PutUint32(part, uint32(n-headSize))
			}
			if _, ok := read(h, part); ok {
				t.Errorf("%d of %d bytes were enough", n, len(b))
			}
		}
		if _, ok := read(h, append(bytes.Clone(b), 0)); ok {
			t.Errorf("one byte more than %d was accepted", len(b))
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, tc := range []struct {
		spec Spec
		want error
	}{
		{Spec{}, ErrNoArgv},
		{Spec{Argv: []string{"a\x00b"}}, ErrNUL},
		{Spec{Argv: []string{"a"}, Env: []string{"A=\x00"}}, ErrNUL},
		{Spec{Argv: []string{"a"}, Script: "/\x00"}, ErrNUL},
		{Spec{Argv: []string{strings.Repeat("x", MaxSpec)}}, ErrTooBig},
		{Spec{Argv: []string{"a"}, End: strings.Repeat("1", maxEnd)}, ErrTooBig},
		{Spec{Argv: make([]string, MaxStrings), Env: []string{""}}, ErrTooBig},
		{Spec{Argv: []string{"a"}, Groups: make([]uint32, MaxSpec/4)}, ErrTooBig},
	} {
		if _, err := tc.spec.Encode(); err != tc.want {
			t.Errorf("got %v, want %v", err, tc.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []Spec{
		{Argv: []string{"true"}},
		{Groups: []uint32{1}, Script: "/s", Argv: []string{"a", ""}, Env: []string{"A=b"}},
	} {
		b, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(bytes.Repeat([]byte{0xff}, 80))
	h := &helper{}
	h.prepare(3, 4)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := read(h, b)
		if !ok {
			return
		}
		again, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		// Only the script may differ: an empty one is as good as none.
		if s.Script != "" && !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}

func TestReport(t *testing.T) {
	want := Report{StepExec, syscall.ETXTBSY}
	if got, ok := DecodeReport([]byte{byte(StepExec), 0, 0, 0, byte(syscall.ETXTBSY)}); !ok || got != want {
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

func TestForksLeaveOutTheRuntimesMemory(t *testing.T) {
	maps := `00400000-0048f000 r-xp 00000000 fe:00 9904204                            /opt/agent/keeperlaunch
0048f000-00550000 r--p 0008f000 fe:00 9904204                            /opt/agent/keeperlaunch
00550000-0055b000 rw-p 00150000 fe:00 9904204                            /opt/agent/keeperlaunch
0055b000-00590000 rw-p 00000000 00:00 0 
c000000000-c000400000 rw-p 00000000 00:00 0 
c000400000-c004000000 ---p 00000000 00:00 0                             [anon: Go: heap reservation]
7f1697405000-7f1697700000 rw-p 00000000 00:00 0 
7f16de18e000-7f16de192000 r--p 00000000 00:00 0                          [vvar]
7f16de194000-7f16de196000 r-xp 00000000 00:00 0                          [vdso]
7fffa744c000-7fffa746d000 rw-p 00000000 00:00 0                          [stack]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
not a mapping
`
	heap := [][2]uintptr{{0xc000000000, 0xc000400000}, {0xc000400000, 0xc004000000}}
	if got := runtimeMemory(maps, 0x7f1697406000); !reflect.DeepEqual(got, heap) {
		t.Errorf("got %x", got)
	}
	if got := runtimeMemory(maps, 0xc000000000); !reflect.DeepEqual(got, [][2]uintptr{heap[1], {0x7f1697405000, 0x7f1697700000}}) {
		t.Errorf("the helper's memory in the heap: got %x", got)
	}
	if own := readMaps(); !strings.Contains(own, "[stack]") || len(runtimeMemory(own, 0)) == 0 {
		t.Errorf("this process: %s", own)
	}
}
