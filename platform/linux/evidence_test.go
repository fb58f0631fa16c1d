//go:build linux

package linux

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/trust/ima"
)

// signer is somebody who signs with evmctl.
type signer struct {
	key, cert   string
	certificate *x509.Certificate
}

func newSigner(t *testing.T) signer {
	t.Helper()
	dir := t.TempDir()
	s := signer{key: filepath.Join(dir, "key"), cert: filepath.Join(dir, "cert")}
	tool(t, "openssl", "req", "-x509", "-nodes", "-days", "1", "-subj", "/CN=signer", "-newkey", "rsa:2048", "-keyout", s.key, "-out", s.cert)
	text, err := os.ReadFile(s.cert)
	must(t, err)
	block, _ := pem.Decode(text)
	s.certificate, err = x509.ParseCertificate(block.Bytes)
	must(t, err)
	return s
}

func tool(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
}

// evidence is what the attributes of the file at path are worth, by kind.
func evidence(t *testing.T, path string, keys *ima.Keys) map[string]core.Evidence {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	content, err := os.ReadFile(path)
	must(t, err)
	found, err := ima.Evidence(t.Context(), ima.File{Content: f, Size: int64(len(content)), Handle: f, System: Signatures{},
		Digest: func(_ context.Context, h crypto.Hash) ([]byte, error) {
			sum := h.New()
			sum.Write(content)
			return sum.Sum(nil), nil
		}}, keys)
	must(t, err)
	all := map[string]core.Evidence{}
	for _, e := range found {
		all[e.Kind] = e
	}
	return all
}

// evmctl signs a real file with everything that it finds there; what somebody
// then does to the file ends the trust in it.
func TestEvidenceOfRealFiles(t *testing.T) {
	s := newSigner(t)
	keys := ima.NewKeys([]*x509.Certificate{s.certificate})
	sign := func(t *testing.T, options ...string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "program")
		must(t, os.WriteFile(path, []byte("#!/bin/true\n"), 0o755))
		must(t, unix.Setxattr(path, "security.selinux", []byte("system_u:object_r:bin_t:s0\x00"), 0))
		f, err := os.Open(path)
		must(t, err)
		defer f.Close()
		n, err := (Signatures{}).Node(f)
		must(t, err)
		argv := append([]string{"evmctl", "sign", "--key", s.key}, options...)
		if n.UUID != nil && options[0] != "--portable" {
			argv = append(argv, "--uuid="+uuidText(n.UUID))
		}
		tool(t, append(argv, path)...)
		return path
	}
	for name, c := range map[string]struct {
		options []string
		change  func(t *testing.T, path string)
		ima     core.Standing
		evm     core.Standing
	}{
		"portable":                     {[]string{"--portable", "--imasig"}, nil, core.Trusted, core.Trusted},
		"portable, of a digest":        {[]string{"--portable", "--imahash"}, nil, core.Untrusted, core.Trusted},
		"bound to the inode":           {[]string{"--imasig"}, nil, core.Trusted, core.Trusted},
		"bound, of a digest":           {[]string{"--imahash"}, nil, core.Untrusted, core.Trusted},
		"portable, written to":         {[]string{"--portable", "--imasig"}, appended, core.Broken, core.Broken},
		"portable digest, written to":  {[]string{"--portable", "--imahash"}, appended, core.Broken, core.Broken},
		"bound, written to":            {[]string{"--imasig"}, appended, core.Broken, core.Broken},
		"portable, setuid":             {[]string{"--portable", "--imasig"}, setuid, core.Trusted, core.Broken},
		"bound, setuid":                {[]string{"--imasig"}, setuid, core.Trusted, core.Broken},
		"portable, given away":         {[]string{"--portable", "--imasig"}, givenAway, core.Trusted, core.Broken},
		"bound, given away":            {[]string{"--imasig"}, givenAway, core.Trusted, core.Broken},
		"portable, label changed":      {[]string{"--portable", "--imasig"}, relabelled, core.Trusted, core.Broken},
		"bound, label changed":         {[]string{"--imasig"}, relabelled, core.Trusted, core.Broken},
		"portable, copied as it is":    {[]string{"--portable", "--imasig"}, copied, core.Trusted, core.Trusted},
		"bound, copied to other inode": {[]string{"--imasig"}, copied, core.Trusted, core.Broken},
	} {
		t.Run(name, func(t *testing.T) {
			path := sign(t, c.options...)
			if c.change != nil {
				c.change(t, path)
			}
			found := evidence(t, path, keys)
			if got, ok := found[core.KindIMA]; !ok || got.Standing != c.ima {
				t.Errorf("security.ima: %v (%s), expected %v", got.Standing, got.Reason, c.ima)
			}
			if got, ok := found[core.KindEVM]; !ok || got.Standing != c.evm {
				t.Errorf("security.evm: %v (%s), expected %v", got.Standing, got.Reason, c.evm)
			}
		})
	}
}

func appended(t *testing.T, path string) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("evil\n")
	must(t, err)
}

func setuid(t *testing.T, path string) { must(t, unix.Chmod(path, 0o4755)) }

func givenAway(t *testing.T, path string) { must(t, os.Chown(path, 4242, 0)) }

func relabelled(t *testing.T, path string) {
	must(t, unix.Setxattr(path, "security.selinux", []byte("system_u:object_r:sudo_exec_t:s0\x00"), 0))
}

// copied puts a copy with every attribute at the path. cp leaves security.evm
// out.
func copied(t *testing.T, path string) {
	var seal [4096]byte
	n, err := unix.Getxattr(path, "security.evm", seal[:])
	must(t, err)
	tool(t, "cp", "--preserve=all", path, path+".copy")
	must(t, unix.Setxattr(path+".copy", "security.evm", seal[:n], 0))
	must(t, os.Rename(path+".copy", path))
}
