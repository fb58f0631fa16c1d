//go:build linux

package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux"
	"kpm/trust/ima"
	"kpm/vmtests/kernel"
)

// judge enables fs-verity for the file and says what we think of it.
func (g *guest) judge(f kernel.File) kernel.Finding {
	found := kernel.Finding{Name: f.Name}
	path := filepath.Join(disk, f.Name)
	var system ima.System = linux.Signatures{}
	if f.Verity != nil {
		if err := enable(path, f.Verity); err != nil {
			found.Enable = err.Error()
			system = refused{signature: f.Verity.Signature}
		}
	}
	if f.Damage {
		if err := damage(path); err != nil {
			found.Judge = "damage: " + err.Error()
			return found
		}
	}
	evidence, err := g.evidence(path, system)
	if err != nil {
		found.Judge = err.Error()
	}
	for _, e := range evidence {
		found.Evidence = append(found.Evidence, kernel.Evidence{Kind: e.Kind, Standing: e.Standing.String(), Reason: e.Reason})
	}
	return found
}

func (g *guest) evidence(path string, system ima.System) ([]core.Evidence, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var trusted []*x509.Certificate
	for _, der := range g.plan.Certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		trusted = append(trusted, c)
	}
	return ima.Evidence(context.Background(), ima.File{Content: f, Size: info.Size(), Handle: f, System: system,
		Digest: func(_ context.Context, h crypto.Hash) ([]byte, error) {
			sum := h.New()
			_, err := io.Copy(sum, io.NewSectionReader(f, 0, info.Size()))
			return sum.Sum(nil), err
		}}, ima.NewKeys(trusted))
}

// refused is a system with a signature that the kernel did not take: what if it
// had?
type refused struct {
	linux.Signatures
	signature []byte
}

func (r refused) Verity(f *os.File) (port.Verity, error) {
	info, err := f.Stat()
	if err != nil {
		return port.Verity{}, err
	}
	v := port.Verity{Hash: crypto.SHA256, BlockSize: os.Getpagesize(), Signature: r.signature}
	v.Digest, err = ima.Measure(context.Background(), f, info.Size(), ima.Parameters{BlockSize: v.BlockSize})
	return v, err
}

// enable is FS_IOC_ENABLE_VERITY.
func enable(path string, v *kernel.Verity) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var pins runtime.Pinner
	defer pins.Unpin()
	at := func(b []byte) uint64 {
		if len(b) == 0 {
			return 0
		}
		pins.Pin(&b[0])
		return uint64(uintptr(unsafe.Pointer(&b[0])))
	}
	arg := unix.FsverityEnableArg{Version: 1, Hash_algorithm: v.Algorithm, Block_size: uint32(os.Getpagesize()),
		Salt_size: uint32(len(v.Salt)), Salt_ptr: at(v.Salt), Sig_size: uint32(len(v.Signature)), Sig_ptr: at(v.Signature)}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.FS_IOC_ENABLE_VERITY, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return errno
	}
	return nil
}

// damage turns a bit of the file's first block on the disk and lets the kernel
// forget what it has read.
func damage(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	block, err := unix.IoctlGetInt(int(f.Fd()), fibmap)
	if err = errors.Join(err, f.Close()); err != nil || block == 0 {
		return fmt.Errorf("block %d: %w", block, err)
	}
	unix.Sync()
	device, err := os.OpenFile("/dev/nvme0n1", os.O_RDWR|unix.O_SYNC, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	var b [1]byte
	at := int64(block)*4096 + 1000
	if _, err := device.ReadAt(b[:], at); err != nil {
		return err
	}
	b[0] ^= 1
	if _, err := device.WriteAt(b[:], at); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
}

// fibmap is FIBMAP of include/uapi/linux/fs.h: the block that holds a block of
// a file. It reads and writes an int.
const fibmap = 1

// loadKeys gives the certificates to the kernel: to IMA and EVM in keyrings of
// the user's, as kernels have it that are built without
// CONFIG_INTEGRITY_TRUSTED_KEYRING, and to fs-verity in its own.
func (g *guest) loadKeys() error {
	rings := map[string]int{}
	for _, name := range []string{"_ima", "_evm"} {
		id, err := unix.AddKey("keyring", name, nil, unix.KEY_SPEC_USER_KEYRING)
		if err != nil {
			return fmt.Errorf("keyring %s: %w", name, err)
		}
		rings[name] = id
	}
	listed, err := os.ReadFile("/proc/keys")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(listed)) {
		// id, flags, usage, expiry, permissions, uid, gid, type, description
		if field := strings.Fields(line); len(field) > 8 && field[8] == ".fs-verity:" {
			id := 0
			if _, err := fmt.Sscanf(field[0], "%x", &id); err != nil {
				return err
			}
			rings[field[8]] = id
		}
	}
	if len(rings) != 3 {
		return fmt.Errorf("no keyring of fs-verity in\n%s", listed)
	}
	for name, ring := range rings {
		loaded := 0
		for _, der := range g.plan.Certificates {
			// A kernel that has no ECDSA takes no such key.
			if _, err := unix.AddKey("asymmetric", "", der, ring); err == nil {
				loaded++
			} else if !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOPKG) {
				return fmt.Errorf("key for %s: %w", name, err)
			}
		}
		if loaded == 0 {
			return fmt.Errorf("no key for %s was taken", name)
		}
	}
	return nil
}
