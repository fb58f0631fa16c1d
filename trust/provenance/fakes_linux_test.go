package provenance

import (
	"context"
	"crypto"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/reader/judge"
	"kpm/trust/trusttest"
)

// files are real files, Protected unless listed.
type files struct {
	port.Files
	writable map[string]bool
}

func (f *files) Inspect(h *os.File) (port.FileInfo, error) {
	info, err := h.Stat()
	if err != nil {
		return port.FileInfo{}, err
	}
	path, err := filepath.EvalSymlinks(h.Name()) // the object's own
	if err != nil {
		return port.FileInfo{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return port.FileInfo{Path: path, Device: st.Dev, Inode: st.Ino, Size: st.Size, Regular: info.Mode().IsRegular(),
		Change: time.Unix(st.Ctim.Unix())}, nil
}

func (f *files) Protected(h *os.File) error {
	if f.writable[h.Name()] {
		return core.ErrNotProtected
	}
	return nil
}

func (f *files) LocateProtected(path string) (*os.File, error) {
	h, err := os.Open(path)
	if err == nil && f.writable[path] {
		h.Close()
		return nil, core.ErrNotProtected
	}
	return h, err
}

func (f *files) ReadProtected(path string, _ int64) ([]byte, error) {
	if f.writable[path] {
		return nil, core.ErrNotProtected
	}
	return os.ReadFile(path)
}

func (f *files) Locate(path string) (*os.File, error) { return os.Open(path) }

func (f *files) Open(h *os.File) (*os.File, error) {
	info, err := h.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, core.ErrNotRegular
	}
	return os.Open(h.Name())
}

// system is an operating system that knows what the test says, and counts how
// often it is asked: once for each judgement.
type system struct {
	mu         sync.Mutex
	generation uint64
	attributes map[string][]byte
	verdict    *core.Evidence
	judged     int
	onVerdict  func()
}

func (s *system) Attribute(_ *os.File, name string) ([]byte, error) {
	if value, ok := s.attributes[name]; ok {
		return value, nil
	}
	return nil, port.ErrNoAttribute
}
func (*system) Verity(*os.File) (port.Verity, error) { return port.Verity{}, port.ErrNoAttribute }
func (*system) Node(*os.File) (port.Node, error)     { return port.Node{}, errors.ErrUnsupported }
func (s *system) Generation(*os.File) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation, nil
}
func (s *system) Verdict(context.Context, *os.File) (core.Evidence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judged++
	if s.onVerdict != nil {
		s.onVerdict()
	}
	if s.verdict == nil {
		return core.Evidence{}, port.ErrNoAttribute
	}
	return *s.verdict, nil
}

func (s *system) judgements() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.judged
}

// packages list one file by the digest that it was installed with.
type database struct {
	path   string
	digest []byte
	stamp  string
}

func (p *database) Stamp() string { return p.stamp }

func (p *database) Evidence(ctx context.Context, path string, digest func(context.Context, crypto.Hash) ([]byte, error)) []core.Evidence {
	if path != p.path {
		return nil
	}
	e := core.Evidence{Kind: core.KindDPKG, Rank: core.RankRecorded, Reason: "it is not what the package installed"}
	if sum, err := digest(ctx, crypto.SHA256); err == nil && string(sum) == string(p.digest) {
		e.Standing, e.Reason = core.Trusted, "the package installed it"
	}
	return []core.Evidence{e}
}

// world is one machine's files and whom it trusts.
type world struct {
	t      *testing.T
	dir    string
	files  *files
	system *system
	pki    *trusttest.PKI
}

func newWorld(t *testing.T) *world {
	return &world{t: t, dir: t.TempDir(), files: &files{writable: map[string]bool{}}, system: &system{}, pki: trusttest.New(t)}
}

func (w *world) verifier(configure ...func(*Config, *judge.Trusted)) *Verifier {
	cfg, trusted := Config{Files: w.files, System: w.system}, &judge.Trusted{Anchors: w.pki.Anchors()}
	for _, f := range configure {
		f(&cfg, trusted)
	}
	return NewVerifier(cfg, reading(trusted))
}

// reading is whom to trust, with files read in this process.
func reading(t *judge.Trusted) *Trusted {
	return &Trusted{Reader: judge.Trusting(t, time.Now), Catalogs: len(t.Catalogs) > 0, OpenPGP: t.OpenPGP}
}

func (w *world) write(name string, data []byte) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, data, 0o755); err != nil {
		w.t.Fatal(err)
	}
	return path
}

func (w *world) open(path string) *os.File {
	w.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { f.Close() })
	return f
}

func (w *world) provenance(v *Verifier, path string) core.Provenance {
	w.t.Helper()
	p, err := v.Provenance(w.t.Context(), w.open(path), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// image is an unsigned Windows program.
var image = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "kpm-image-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "main.exe")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, source)
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	return os.ReadFile(program)
})

// signedImage has osslsigncode sign a Windows program as one of the PKI.
func (w *world) signedImage(as string) string {
	w.t.Helper()
	program, err := image()
	if err != nil {
		w.t.Fatal(err)
	}
	signer := w.pki.Get(as).Files(w.t)
	in, out := w.write("unsigned.exe", program), filepath.Join(w.dir, as+".exe")
	if err := os.Remove(out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	cmd := exec.Command("osslsigncode", "sign", "-certs", signer.Chain, "-key", signer.Key, "-h", "sha256", "-in", in, "-out", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("osslsigncode: %v\n%s", err, text)
	}
	return out
}
