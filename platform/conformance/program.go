package conformance

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/port"
)

func exitStatus(t *testing.T, b *bench) {
	for _, code := range []int{0, 1, 7, 125, 255} {
		p, _ := b.launch(b.spec("exit", strconv.Itoa(code)))
		if got := b.end(p); got != (core.ExitStatus{Code: code}) {
			t.Errorf("exit %d is %+v", code, got)
		}
	}
}

// pattern is every byte, many times, in no order that a text would have.
func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i/256)
	}
	return b
}

func streams(t *testing.T, b *bench) {
	for _, size := range []int{0, 1, 256, 1 << 20} {
		want := pattern(size)
		in, typed := b.pipe()
		out, output := b.pipe()
		told, errors := b.pipe()
		spec := b.spec("copy")
		spec.Streams = port.Streams{Input: in, Output: output, Error: errors}
		p, _ := b.launch(spec)
		in.Close()
		output.Close()
		errors.Close()
		go func() {
			typed.Write(want)
			typed.Close()
		}()
		got, err := io.ReadAll(out)
		must(t, err)
		count, err := io.ReadAll(told)
		must(t, err)
		if status := b.end(p); status.Code != 0 || !bytes.Equal(got, want) || string(count) != strconv.Itoa(size) {
			t.Errorf("%d bytes: %d came back, %q were counted, %+v", size, len(got), count, status)
		}
	}
}

func missingStreams(t *testing.T, b *bench) {
	p, _ := b.launch(b.spec("copy"))
	if status := b.end(p); status != (core.ExitStatus{}) {
		t.Errorf("without streams: %+v; expected that nothing comes in and everything goes", status)
	}
}

// A helper that keeps a copy of a stream would hide its end.
func closedStream(t *testing.T, b *bench) {
	in, typed := b.pipe()
	out, output := b.pipe()
	spec := b.spec("mute")
	spec.Streams = port.Streams{Input: in, Output: output}
	p, h := b.launch(spec)
	in.Close()
	output.Close()
	if got, err := io.ReadAll(out); err != nil || len(got) > 0 {
		t.Errorf("%q, %v", got, err)
	}
	if !b.Tree.Alive(h.ID()) {
		t.Error("the program ended before its input did")
	}
	typed.Close()
	if status := b.end(p); status.Code != 0 {
		t.Errorf("%+v", status)
	}
}

func arguments(t *testing.T, b *bench) {
	want := []string{
		"", " ", "a b", `"`, `\`, `\\`, `a\`, `a b\`, `a b\\`, `\"`, `a"b`, `"a b"`, "\t", "a\nb", "%PATH%", "^&|<>", "'", "*", "$(id)",
		"-n", "/x", "ä", "\U0001f600", `C:\Program Files\`, strings.Repeat("x", 20_000),
	}
	out, _ := b.run(b.spec("arguments", want...))
	var got []string
	must(t, json.Unmarshal([]byte(out), &got))
	if !slices.Equal(got, want) {
		t.Errorf("got %.2000q", got)
	}
}

func environment(t *testing.T, b *bench) {
	spec := b.spec("environment")
	spec.Env = append(spec.Env, "ONE=1", "TWO=two words", "EMPTY=", "EQUALS==a=", "ÄÖ=ü")
	// What this process has is its own.
	t.Setenv("KPM_NOT_TO_BE_SEEN", "secret")
	out, _ := b.run(spec)
	var got []string
	must(t, json.Unmarshal([]byte(out), &got))
	want := slices.Clone(spec.Env)
	for _, list := range []*[]string{&got, &want} {
		*list = slices.DeleteFunc(*list, func(entry string) bool {
			name, _, _ := strings.Cut(entry, "=")
			return b.Adds != nil && b.Adds(name)
		})
		slices.Sort(*list)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func workingDirectory(t *testing.T, b *bench) {
	for _, name := range []string{"plain", "two words", "ä"} {
		path := filepath.Join(b.dir.Name(), name)
		must(t, os.Mkdir(path, 0o755))
		spec := b.spec("directory")
		spec.Dir = b.handle(path)
		out, _ := b.run(spec)
		var got string
		must(t, json.Unmarshal([]byte(out), &got))
		there, err := os.Stat(got)
		must(t, err)
		if want, err := os.Stat(path); err != nil || !os.SameFile(there, want) {
			t.Errorf("it is in %s, not %s: %v", got, path, err)
		}
	}
}

// What the service has open is not the program's, however careless the code was
// that opened it.
func inheritance(t *testing.T, b *bench) {
	secret, err := os.Create(filepath.Join(t.TempDir(), "secret"))
	must(t, err)
	defer secret.Close()
	number, err := b.Inheritable(secret)
	must(t, err)
	out, _ := b.run(b.spec("write", strconv.FormatUint(uint64(number), 10)))
	info, err := secret.Stat()
	must(t, err)
	if strings.TrimSpace(out) != "true" || info.Size() != 0 {
		t.Errorf("a program could write to a file of this process: it says %q, %d bytes are there", out, info.Size())
	}
}

func sealed(t *testing.T, b *bench) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "program.exe"), filepath.Join(dir, "other")
	data, err := os.ReadFile(b.exe.Name())
	must(t, err)
	must(t, os.WriteFile(path, data, 0o755))
	must(t, os.WriteFile(other, []byte("something else"), 0o755))
	spec := b.spec("exit", "7")
	spec.Executable = b.handle(path)
	h, err := b.Launcher.Prepare(t.Context(), spec)
	must(t, err)
	renamed := os.Rename(other, path) // may be forbidden
	p, err := h.Release(t.Context())
	if err != nil {
		t.Fatalf("after a rename (%v): %v", renamed, err)
	}
	if status := b.end(p); status.Code != 7 {
		t.Errorf("after a rename (%v): %+v", renamed, status)
	}
}
