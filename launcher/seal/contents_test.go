package seal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestHashingHasLimits(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := pour(ctx, &bytes.Buffer{}, strings.NewReader("x"), goOn); !errors.Is(err, context.Canceled) {
		t.Errorf("after its time: %v", err)
	}
	head, err := pour(context.Background(), &bytes.Buffer{}, strings.NewReader(strings.Repeat("y", 1000)), goOn)
	if err != nil || len(head) != shebangSize {
		t.Errorf("%d bytes of head, %v", len(head), err)
	}
	if _, err := pour(context.Background(), nothing{}, endless{}, goOn); err == nil {
		t.Error("an endless file was hashed")
	}
}

func goOn() error { return nil }

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

type nothing struct{}

func (nothing) Write(p []byte) (int, error) { return len(p), nil }

func TestShebang(t *testing.T) {
	cases := []struct{ head, interpreter string }{
		{"", ""}, {"\x7fELF", ""}, {"#", ""}, {"# !/bin/sh\n", ""},
		{"#!/bin/sh\n", "/bin/sh"}, {"#! /bin/sh \n", "/bin/sh"}, {"#!\t/bin/sh\t-e x\nrest", "/bin/sh"},
		{"#!/usr/bin/env python3\n", "/usr/bin/env"}, {"#!/bin/sh\r\n", "/bin/sh\r"},
		{"#!/" + strings.Repeat("x", 252) + "\n", "/" + strings.Repeat("x", 252)},
	}
	for _, c := range cases {
		if got, err := shebang([]byte(c.head)); err != nil || got != c.interpreter {
			t.Errorf("%q: %q, %v; expected %q", c.head, got, err, c.interpreter)
		}
	}
	for _, head := range []string{"#!", "#!\n", "#! \t\n", "#!sh\n", "#!/bin/sh", "#!/bin/\x00sh\n", "#!/bin/\xff\n",
		"#!/" + strings.Repeat("x", 253) + "\n", "#! ./sh\n"} {
		if got, err := shebang([]byte(head)); !errors.Is(err, errShebang) {
			t.Errorf("%q: %q, %v", head, got, err)
		}
	}
}

// FuzzShebang compares with the kernel: a script runs exactly if what we say
// is its interpreter is the one there is.
func FuzzShebang(f *testing.F) {
	f.Add(" \t", " -e", "\necho")
	f.Add("", "\t x y ", "\n")
	f.Add("", "\r", "\n")
	f.Add("", "", "")
	f.Add("\x00", "", "\n")
	f.Add("", "\x00", "\n")
	f.Add(strings.Repeat(" ", 250), "", "\n")
	dir := f.TempDir()
	interpreter := filepath.Join(dir, "i")
	if err := os.Symlink("/bin/true", interpreter); err != nil {
		f.Fatal(err)
	}
	truth, err := os.Stat(interpreter)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, before, after, rest string) {
		head := "#!" + before + interpreter + after + rest
		said, err := shebang([]byte(head))
		if err != nil || said == "" {
			return // refused: the kernel may think otherwise
		}
		script := filepath.Join(t.TempDir(), "s")
		if err := os.WriteFile(script, []byte(head), 0o700); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(said)
		names := err == nil && os.SameFile(info, truth)
		if ran := exec.Command(script).Run() == nil; ran != names {
			t.Errorf("%q: we say %q, and the kernel ran it: %v", head, said, ran)
		}
	})
}
