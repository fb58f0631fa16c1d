//go:build linux

package linux

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/confined"
	"kpm/platform/linux/file"
	"kpm/trust/openpgp/gpgtest"
	"kpm/trust/provenance"
	"kpm/trust/reader"
	"kpm/trust/reader/judge"
	"kpm/trust/trusttest"
)

// remembering is a Confiner whose last process a test may do harm to.
type remembering struct {
	port.Confiner
	mu   sync.Mutex
	last port.Confined
}

func (r *remembering) Start(ctx context.Context) (port.Confined, error) {
	p, err := r.Confiner.Start(ctx)
	if err == nil {
		r.mu.Lock()
		r.last = p
		r.mu.Unlock()
	}
	return p, err
}

// harmed is a pool of one reader that waits, that reader, and a question.
func harmed(t *testing.T) (pool *reader.Pool, waits *confinedProcess, f *os.File, q *reader.Question) {
	t.Helper()
	confiner := &remembering{Confiner: newConfiner(t, readerPath())}
	pool, err := reader.NewPool(confiner, &reader.Bundle{}, reader.Limits{Most: 1})
	must(t, err)
	t.Cleanup(pool.Close)
	must(t, pool.Start(t.Context()))
	path := filepath.Join(t.TempDir(), "script")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
	f, err = os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	facts, err := reader.Gather(Signatures{}, f)
	must(t, err)
	return pool, confiner.last.(*confinedProcess), f, &reader.Question{Size: 10, Now: time.Now(), Facts: facts, Protected: true}
}

// stop stops every thread of a process.
func stop(t *testing.T, pid int) {
	t.Helper()
	must(t, unix.Kill(pid, unix.SIGSTOP))
	eventually(t, "the process stops", func() bool {
		threads, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/status")
		must(t, err)
		for _, thread := range threads {
			if status, err := os.ReadFile(thread); err == nil && !strings.Contains(string(status), "\nState:\tT") {
				return false
			}
		}
		return true
	})
}

func TestAReaderThatIsKilledAtWork(t *testing.T) {
	pool, waits, f, q := harmed(t)
	stop(t, waits.id.PID) // so that it is at work when it is killed
	done := make(chan error)
	go func() {
		_, err := pool.Read(t.Context(), f, q)
		done <- err
	}()
	eventually(t, "the question is under way", func() (sent bool) {
		must(t, onDescriptor(waits.conn, func(fd int) error {
			bytes, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
			sent = bytes > 0
			return err
		}))
		return sent
	})
	must(t, unix.Kill(waits.id.PID, unix.SIGKILL))
	if err := <-done; !errors.Is(err, reader.ErrEnded) {
		t.Errorf("got %v", err)
	}
	if v, err := pool.Read(t.Context(), f, q); err != nil || v.Format != "script" {
		t.Errorf("the next file: %+v, %v", v, err)
	}
}

func TestAReaderThatIsStopped(t *testing.T) {
	pool, waits, f, q := harmed(t)
	stop(t, waits.id.PID)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := pool.Read(ctx, f, q); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	eventually(t, "it is ended", func() bool { return !NewTree().Alive(waits.id) })
	if v, err := pool.Read(t.Context(), f, q); err != nil || v.Format != "script" {
		t.Errorf("the next file: %+v, %v", v, err)
	}
}

// Files that claim much cost a reader little, and no reader more than it may.
func TestAReadersMemory(t *testing.T) {
	pool, waits, _, q := harmed(t)
	nested := bytes.Repeat([]byte{0x30, 0x84, 0x00, 0xff, 0xff, 0x00}, 16<<20/6)
	catalog := append([]byte("\x30\x84\x00\xff\xff\xf0\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x84\x00\xff\xff\xd0\x06\x09\x2b\x06\x01\x04\x01\x82\x37\x0a\x01"), nested...)
	for name, data := range map[string][]byte{
		"a catalog of nothing but beginnings": catalog[:16<<20],
		"a script of nothing but lines":       bytes.Repeat([]byte("\n"), 16<<20),
		"a script with a signature without end": append([]byte("#!/bin/sh\n# SIG # Begin signature block\n"),
			bytes.Repeat([]byte("# MIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIIII\n"), 200_000)...),
		"a package of sectors without end": append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), bytes.Repeat([]byte{0xff}, 32<<20)...),
		"an image that claims everything":  append([]byte("\xcf\xfa\xed\xfe\x07\x00\x00\x01\x03\x00\x00\x00\x02\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff"), make([]byte, 32<<20)...),
	} {
		path := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(path, data, 0o644))
		f, err := os.Open(path)
		must(t, err)
		q.Size = int64(len(data))
		v, err := pool.Read(t.Context(), f, q)
		must(t, f.Close())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, e := range v.Evidence {
			if e.Standing == core.Trusted {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
	most, _, _ := strings.Cut(statusOf(t, waits.id.PID)["VmHWM"], " ")
	if kib, err := strconv.Atoi(most); err != nil || kib<<10 > confined.MaxData {
		t.Errorf("it had %s KiB, %v", most, err)
	}
	t.Logf("the most that it had: %s KiB", most)
}

// fixtures are files of every kind that can be made here.
func fixtures(t *testing.T) (dir string, b *reader.Bundle, paths []string) {
	t.Helper()
	dir = t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, data []byte) {
		must(t, os.WriteFile(at(name), data, 0o755))
		paths = append(paths, at(name))
	}
	pki := trusttest.New(t)
	must(t, os.WriteFile(at("main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", at("unsigned.exe"), at("main.go"))
	build.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	run := func(cmd *exec.Cmd) {
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	run(build)
	paths = append(paths, at("unsigned.exe"))
	for _, as := range []string{trusttest.Good, trusttest.Stranger} {
		signer := pki.Get(as).Files(t)
		run(exec.Command("osslsigncode", "sign", "-certs", signer.Chain, "-key", signer.Key, "-h", "sha256", "-in", at("unsigned.exe"), "-out", at(as+".exe")))
		paths = append(paths, at(as+".exe"))
	}
	image, err := os.ReadFile(at(trusttest.Good + ".exe"))
	must(t, err)
	for i, name := range map[int]string{len(image) / 2: "changed.exe", len(image) - 100: "damaged.exe"} {
		changed := bytes.Clone(image)
		changed[i] ^= 1
		write(name, changed)
	}
	write("cut.exe", image[:len(image)-1000])
	gpg := gpgtest.New(t)
	key := gpg.Generate("Releases\nrank signed <r@example.org>", "ed25519", "sign", "1y")
	content := append([]byte("\x7fELF"), make([]byte, 10_000)...)
	must(t, os.WriteFile(at("released.sig"), gpg.Sign(key, content), 0o644))
	write("released", content)
	must(t, os.WriteFile(at("stale.sig"), gpg.Sign(key, content), 0o644))
	write("stale", append(content, 1))
	write("script", []byte("#!/bin/sh\n"))
	write("empty", nil)
	write("text", []byte("text"))
	write("image", append([]byte("\xcf\xfa\xed\xfe"), make([]byte, 100)...))
	// A digest that nobody has signed, of other bytes.
	must(t, unix.Setxattr(at("text"), "security.ima", append([]byte{4, 4}, make([]byte, 32)...), 0))
	must(t, unix.Setxattr(at("script"), "security.evm", []byte{5, 2, 4, 1, 2, 3, 4, 0, 1, 9}, 0))
	paths = append(paths, "/usr/bin/id")
	b = &reader.Bundle{Sources: []reader.Source{
		{Setting: reader.Roots, Path: "root", Data: trusttest.PEM(pki.Get(trusttest.Root).Certificate)},
		{Setting: reader.FileCertificates, Path: "file", Data: trusttest.PEM(pki.Get(trusttest.Root).Certificate)},
		{Setting: reader.OpenPGPKeys, Path: "keys", Data: gpg.Export(key)},
	}}
	return dir, b, paths
}

// A verdict is the same with a reader between.
func TestAReaderSaysWhatOurOwnCodeSays(t *testing.T) {
	dir, b, paths := fixtures(t)
	within, err := judge.New(b, time.Now)
	must(t, err)
	verifier := func(read provenance.Reader) *provenance.Verifier {
		trusted, err := provenance.NewTrusted(read, b)
		must(t, err)
		return provenance.NewVerifier(provenance.Config{Files: Files{file.Files{AgentRoot: dir}}, System: Signatures{}, PackageRoot: "/"}, trusted)
	}
	ours, theirs := verifier(within), verifier(newPool(t, b))
	standings := map[core.Standing]bool{}
	for _, path := range paths {
		f, err := os.Open(path)
		must(t, err)
		want, err := ours.Provenance(t.Context(), f, nil)
		must(t, err)
		got, err := theirs.Provenance(t.Context(), f, nil)
		must(t, err)
		must(t, f.Close())
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		for _, e := range got.Evidence {
			standings[e.Standing] = true
		}
		t.Logf("%s: %s, %s, %d pieces of evidence", filepath.Base(path), got.Format, got.Rank(), len(got.Evidence))
	}
	if len(standings) != 3 {
		t.Errorf("the fixtures show %v only", standings)
	}
}
