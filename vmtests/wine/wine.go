//go:build linux

// Package wine runs Windows programs under Wine, in a prefix that is made once
// and cached outside the checkout.
//
// It is for Windows code paths as far as Wine is honest: WinVerifyTrust there
// trusts every root and every purpose, and cannot judge ECDSA.
package wine

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
	"syscall"
)

const (
	loader = "/usr/lib/wine/wine64"
	server = "/usr/lib/wine/wineserver64"
)

// Prefix is a Windows of its own.
type Prefix struct{ dir string }

// Open returns a disposable copy of the cached prefix in dir, and makes that
// first if need be (about 15 s). cache is a directory owned by root.
func Open(ctx context.Context, cache, dir string, progress io.Writer) (*Prefix, error) {
	made, err := base(ctx, cache, progress)
	if err != nil {
		return nil, fmt.Errorf("wine: %w", err)
	}
	upper, work, root := filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "prefix")
	// The overlay's own layers live on a tmpfs: an overlay cannot hold one.
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return nil, fmt.Errorf("wine: mount: %w", err)
	}
	for _, d := range []string{upper, work, root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, fmt.Errorf("wine: %w", err)
		}
	}
	layers := "lowerdir=" + made + ",upperdir=" + upper + ",workdir=" + work
	if err := syscall.Mount("overlay", root, "overlay", 0, layers); err != nil {
		return nil, errors.Join(fmt.Errorf("wine: mount: %w", err), syscall.Unmount(dir, 0))
	}
	return &Prefix{root}, nil
}

// base makes the cached prefix. Its name tells what it was made from.
func base(ctx context.Context, cache string, progress io.Writer) (string, error) {
	version, err := exec.CommandContext(ctx, loader, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", loader, err)
	}
	key := sha256.Sum256(append(version, shim()...))
	dir := filepath.Join(cache, "wine-"+hex.EncodeToString(key[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	fmt.Fprintf(progress, "making the Wine prefix in %s (once, about 15 s)\n", dir)
	partial, err := os.MkdirTemp(cache, "partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(partial)
	p := &Prefix{partial}
	if out, err := p.command(ctx, loader, "wineboot", "-i").CombinedOutput(); err != nil {
		return "", fmt.Errorf("wineboot: %w\n%s", err, out)
	}
	if err := os.WriteFile(filepath.Join(partial, "drive_c/windows/system32/bcryptprimitives.dll"), shim(), 0o644); err != nil {
		return "", err
	}
	if out, err := p.command(ctx, loader, "winecfg", "-v", "win10").CombinedOutput(); err != nil {
		return "", fmt.Errorf("winecfg: %w\n%s", err, out)
	}
	if err := p.end(ctx); err != nil {
		return "", err
	}
	if err := os.Rename(partial, dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
		return "", err
	}
	return dir, nil
}

// Run runs a Windows program and returns what it writes to its standard
// output.
func (p *Prefix) Run(ctx context.Context, program string, args ...string) ([]byte, error) {
	return p.command(ctx, loader, append([]string{program}, args...)...).Output()
}

// Close ends every Windows process and forgets what they wrote.
func (p *Prefix) Close(ctx context.Context) error {
	return errors.Join(p.end(ctx), syscall.Unmount(p.dir, syscall.MNT_DETACH), syscall.Unmount(filepath.Dir(p.dir), syscall.MNT_DETACH))
}

// end waits until Wine has written what it keeps in memory.
func (p *Prefix) end(ctx context.Context) error {
	var status *exec.ExitError // it has ended by itself
	if err := p.command(ctx, server, "-k").Run(); err != nil && !errors.As(err, &status) {
		return fmt.Errorf("%s -k: %w", server, err)
	}
	return p.command(ctx, server, "-w").Run()
}

func (p *Prefix) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "WINEPREFIX="+p.dir, "WINEDEBUG=-all", "WINEARCH=win64", "DISPLAY=",
		"WINEDLLOVERRIDES=mscoree=;mshtml=;winemenubuilder.exe=")
	return cmd
}
