//go:build linux

package kernel_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/vmtests/kernel"
)

// Owners of programs: IMA's policy goes by them.
const (
	ownerAnybody = 0    // nothing is enforced
	ownerSigned  = 1001 // a signature in security.ima is needed
	ownerVerity  = 1002 // one over the fs-verity digest
	ownerEVM     = 1003 // security.ima must match, and be covered by security.evm
)

const policy = `appraise func=BPRM_CHECK fowner=1001 appraise_type=imasig
appraise func=BPRM_CHECK fowner=1002 digest_type=verity appraise_type=sigv3
appraise func=BPRM_CHECK fowner=1003
`

// sample is a program, what the kernel does when it is executed (or when
// fs-verity is enabled for it) and what we say of it.
type sample struct {
	name    string
	owner   int
	mode    uint32 // 0 is 0755
	content []byte
	labels  map[string][]byte
	verity  *kernel.Verity
	damage  bool
	// bind signs security.evm for the inode that the sample got.
	bind func(node node) []byte

	kernel  answer
	kind    string // of the evidence that counts; "" expects none at all
	ours    core.Standing
	differs string // why we and the kernel are of different opinions
}

// answer is what the kernel does.
type answer int

const (
	runs answer = iota
	refuses
	refusesVerity // FS_IOC_ENABLE_VERITY
	unreadable
)

// file is the sample's name on the disk.
func (s sample) file() string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == ',' || r == ':' || r == '/' {
			return '-'
		}
		return r
	}, s.name)
}

// compare holds what the machine told against what is expected, and both
// against each other: what we trust, the kernel runs.
func (s sample) compare(t *testing.T, f kernel.Finding) {
	t.Helper()
	if f.Name == "" {
		t.Fatal("the machine told nothing about it")
	}
	theirs := runs
	switch {
	case f.Enable != "":
		theirs = refusesVerity
	case f.Judge != "" && strings.Contains(f.Judge, unix.EIO.Error()):
		theirs = unreadable
	case f.Judge != "":
		t.Errorf("our verdict: %s", f.Judge)
	case strings.Contains(f.Execute, unix.EACCES.Error()):
		theirs = refuses
	case f.Execute != "":
		t.Errorf("executing it: %s", f.Execute)
	}
	if theirs != s.kernel {
		t.Errorf("the kernel answers %d, expected %d: %+v", theirs, s.kernel, f)
	}
	at := slices.IndexFunc(f.Evidence, func(e kernel.Evidence) bool { return e.Kind == s.kind })
	switch {
	case s.kind == "" && len(f.Evidence) > 0:
		t.Errorf("evidence of nothing: %+v", f.Evidence)
	case s.kind == "":
		return
	case at < 0:
		t.Fatalf("no evidence of %s: %+v", s.kind, f)
	}
	ours := f.Evidence[at]
	if ours.Standing != s.ours.String() {
		t.Errorf("here it is %s (%s), expected %s", ours.Standing, ours.Reason, s.ours)
	}
	if agree := (s.ours == core.Trusted) == (theirs == runs); agree != (s.differs == "") {
		t.Errorf("the kernel answers %d, here it is %s (%s): %q", theirs, ours.Standing, ours.Reason, s.differs)
	}
}

// makeSamples signs them.
func makeSamples(t *testing.T, p *people) []sample {
	t.Helper()
	all := slices.Concat(imaSamples(t, p), veritySamples(t, p), builtinSamples(t, p), evmSamples(t, p))
	seen := map[string]bool{}
	for _, s := range all {
		if seen[s.file()] {
			t.Fatalf("two samples are called %s", s.name)
		}
		seen[s.file()] = true
	}
	return all
}

// program is a program for amd64 that ends with status 0, and some blocks of
// data behind it. Each has other data.
func program(data byte) []byte {
	const size = 3*4096 + 100
	elf := []byte{
		0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, // ELF64, little endian
		2, 0, 62, 0, 1, 0, 0, 0, 0x78, 0, 0x40, 0, 0, 0, 0, 0, // executable, x86-64, entry 0x400078
		64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // program headers at 64
		0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0, // one of 56 bytes
		1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // load from 0, read and execute,
		0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, // to 0x400000,
		0x84, 0, 0, 0, 0, 0, 0, 0, 0x84, 0, 0, 0, 0, 0, 0, 0, // 0x84 bytes
		0, 0x10, 0, 0, 0, 0, 0, 0, // aligned to 4096
		0x31, 0xff, // xor edi, edi
		0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
		0x0f, 0x05, // syscall
	}
	return append(elf, bytes.Repeat([]byte{data}, size-len(elf))...)
}

// flipped is b with the lowest bit of one byte turned.
func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func label(value []byte) map[string][]byte { return map[string][]byte{"security.ima": value} }
