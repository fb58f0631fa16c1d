//go:build linux

package kernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// The kernel is Debian's for clouds: small, with IMA, EVM, fs-verity, ext4,
// NVMe and TPM built in.
const suite = "bookworm"

var packages = []string{"linux-image-cloud-amd64"}

// modules are what that kernel has not built in: SHA-512.
var modules = []string{"sha512_generic.ko"}

// image is the kernel's name in the cache.
const image = "vmlinuz"

// Kernel returns the cached directory of the kernel and its modules, filling it
// first if need be (about half a minute and the Debian mirror). cache is a
// directory owned by root.
func Kernel(ctx context.Context, cache string, progress io.Writer) (string, error) {
	key := sha256.Sum256([]byte(suite + "\n" + strings.Join(packages, "\n") + "\n" + strings.Join(modules, "\n")))
	dir := filepath.Join(cache, "kernel-"+hex.EncodeToString(key[:6]))
	if _, err := os.Stat(filepath.Join(dir, image)); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("kernel: cache: %w", err)
	}
	fmt.Fprintf(progress, "fetching a kernel into %s (once, about half a minute)\n", cache)
	partial, err := os.MkdirTemp(cache, "partial-")
	if err != nil {
		return "", fmt.Errorf("kernel: cache: %w", err)
	}
	defer os.RemoveAll(partial)
	tree, kept := filepath.Join(partial, "tree"), filepath.Join(partial, "kept")
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--quiet", "--variant=extract", "--mode=root",
		"--aptopt=APT::Install-Recommends false", "--include="+strings.Join(packages, ","), suite, tree)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("kernel: mmdebstrap: %w\n%s", err, out)
	}
	if err := keep(tree, kept); err != nil {
		return "", fmt.Errorf("kernel: cache: %w", err)
	}
	if err := os.Rename(kept, dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
		return "", fmt.Errorf("kernel: cache: %w", err)
	}
	return dir, nil
}

// keep takes over what is booted. A name that is not there exactly once is an
// error.
func keep(tree, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	from := map[string]string{image: filepath.Join(tree, "boot/vmlinuz-*")}
	for _, m := range modules {
		from[m] = filepath.Join(tree, "lib/modules/*/kernel/crypto", m)
	}
	for name, pattern := range from {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		if len(found) != 1 {
			return fmt.Errorf("%d files match %s, expected one", len(found), pattern)
		}
		if err := os.Rename(found[0], filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
