//go:build windows

package windows

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"kpm/trust/reader"
)

// readerPath is keeperreader.exe beside the tests' own executable.
func readerPath() string { return filepath.Join(filepath.Dir(helperPath()), "keeperreader.exe") }

// readers is a pool of one reader that waits, and that reader.
func readers(t *testing.T) (*reader.Pool, *confinedProcess) {
	t.Helper()
	c := NewConfiner(readerPath())
	t.Cleanup(func() { must(t, c.Close()) })
	pool, err := reader.NewPool(c, &reader.Bundle{}, reader.Limits{Most: 1})
	must(t, err)
	t.Cleanup(pool.Close)
	must(t, pool.Start(t.Context()))
	for p := range c.alive {
		return pool, p
	}
	t.Fatal("no reader waits")
	return nil, nil
}

// script is a file and what is asked about it.
func script(t *testing.T) (*os.File, *reader.Question) {
	t.Helper()
	const text = "#!/bin/sh\n"
	path := filepath.Join(folder(t), "script")
	write(t, path, text)
	f := open(t, path)
	facts, err := reader.Gather(Signatures{}, f)
	must(t, err)
	return f, &reader.Question{Size: int64(len(text)), Now: time.Now(), Facts: facts, Protected: true}
}

// A reader reads what it is handed, one file after the other, and leaves the
// service's own offset alone.
func TestAReader(t *testing.T) {
	pool, _ := readers(t)
	f, q := script(t)
	for range 3 {
		if v, err := pool.Read(t.Context(), f, q); err != nil || v.Format != "script" {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	if at, err := f.Seek(0, 1); err != nil || at != 0 {
		t.Errorf("our own offset is %d, %v", at, err)
	}
	// Somebody who may write to the file, or rename it, does not keep it from being
	// read: what was read is compared by whoever asked.
	writer, err := create(f.Name(), windows.OPEN_EXISTING, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, "")
	must(t, err)
	defer writer.Close()
	if v, err := pool.Read(t.Context(), f, q); err != nil || v.Format != "script" {
		t.Errorf("while somebody has it open for writing: %+v, %v", v, err)
	}
}

// One that was killed while it waited is replaced; the next file is read.
func TestAReaderThatIsKilled(t *testing.T) {
	pool, waits := readers(t)
	f, q := script(t)
	must(t, windows.TerminateJobObject(waits.job, exitKilled))
	windows.WaitForSingleObject(waits.process, windows.INFINITE)
	if v, err := pool.Read(t.Context(), f, q); err != nil || v.Format != "script" {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestNoReaderOutlivesItsConfiner(t *testing.T) {
	c := NewConfiner(readerPath())
	p, err := c.Start(t.Context())
	must(t, err)
	process, ok := openExactly(p.ID(), windows.PROCESS_QUERY_LIMITED_INFORMATION)
	if !ok {
		t.Fatal("it does not run")
	}
	defer windows.CloseHandle(process)
	must(t, c.Close())
	if state, err := windows.WaitForSingleObject(process, 60_000); err != nil || state != windows.WAIT_OBJECT_0 {
		t.Errorf("it goes on: %d, %v", state, err)
	}
	must(t, p.Close())
	if _, err := c.Start(t.Context()); err == nil || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a closed Confiner: %v", err)
	}
}

// Attack: something passes for a reader, or what this system lacks for a system on
// which no file can carry a signature.
func TestProgramsThatAreNoReaders(t *testing.T) {
	dir := folder(t)
	text, open := filepath.Join(dir, "text.exe"), filepath.Join(dir, "open.exe")
	write(t, text, "no program")
	write(t, open, "MZ")
	everybodyMay(t, open)
	for _, path := range []string{system("hostname.exe"), filepath.Join(dir, "none.exe"), text, open, dir, "keeperreader.exe", "NUL"} {
		c := NewConfiner(path)
		if p, err := c.Start(t.Context()); err == nil || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, %v", path, p, err)
		}
		if len(c.alive) != 0 {
			t.Errorf("%s: it is kept", path)
		}
		must(t, c.Close())
	}
}
