//go:build linux

package kernel_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/vmtests/kernel"
)

// write puts content into a file of its own.
func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// imaSign is security.ima as evmctl makes it.
func imaSign(t *testing.T, content []byte, by signer, algorithm string) []byte {
	t.Helper()
	path := write(t, content)
	tool(t, "evmctl", "ima_sign", "--sigfile", "-a", algorithm, "--key", by.Key, "--keyid-from-cert", by.Cert, path)
	signature, err := os.ReadFile(path + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// imaHash is security.ima that holds a digest.
func imaHash(t *testing.T, content []byte, algorithm string) []byte {
	t.Helper()
	path := write(t, content)
	tool(t, "evmctl", "ima_hash", "-a", algorithm, path)
	value := make([]byte, 128)
	n, err := unix.Getxattr(path, "security.ima", value)
	if err != nil {
		t.Fatal(err)
	}
	return value[:n]
}

func imaSamples(t *testing.T, p *people) []sample {
	t.Helper()
	content := program('i')
	good := imaSign(t, content, p.good, "sha256")
	one := func(name string, content, label []byte, k answer, ours core.Standing, differs string) sample {
		s := sample{name: "ima " + name, owner: ownerSigned, content: content, kernel: k, kind: core.KindIMA, ours: ours, differs: differs}
		s.labels = map[string][]byte{"security.ima": label}
		return s
	}
	return []sample{
		one("good", content, good, runs, core.Trusted, ""),
		one("SHA-512", content, imaSign(t, content, p.good, "sha512"), runs, core.Trusted, ""),
		one("byte changed", flipped(content, 5000), good, refuses, core.Broken, ""),
		one("longer", append(bytes.Clone(content), 0), good, refuses, core.Broken, ""),
		one("cut", content[:len(content)-1], good, refuses, core.Broken, ""),
		one("signature of another program", program('j'), good, refuses, core.Broken, ""),
		one("signature changed", content, flipped(good, 77), refuses, core.Broken, ""),
		one("signature cut", content, good[:200], refuses, core.Broken, ""),
		one("signature longer", content, append(bytes.Clone(good), 0), refuses, core.Broken, ""),
		one("another algorithm", content, join(good[:2], []byte{6}, good[3:]), refuses, core.Broken, ""),
		one("another version", content, join([]byte{3, 4}, good[2:]), refuses, core.Broken, ""),
		one("another kind", content, join([]byte{5}, good[1:]), refuses, core.Broken, ""),
		one("nobody's key", content, flipped(good, 5), refuses, core.Untrusted, ""),
		one("a stranger's key", content, imaSign(t, content, p.stranger, "sha256"), refuses, core.Untrusted, ""),
		one("digest only", content, imaHash(t, content, "sha256"), refuses, core.Untrusted, ""),
		one("wrong digest", content, imaHash(t, program('j'), "sha256"), refuses, core.Broken, ""),
		{name: "ima nothing", owner: ownerSigned, content: content, kernel: refuses},
		one("SHA-1", content, imaSign(t, content, p.good, "sha1"), runs, core.Untrusted, "the kernel takes SHA-1"),
		one("expired", content, imaSign(t, content, p.expired, "sha256"), runs, core.Untrusted, "the kernel looks at no dates"),
		one("elliptic", content, imaSign(t, content, p.ec, "sha256"), refuses, core.Trusted, "this kernel has no ECDSA"),
	}
}

// verityDigest is what fsverity says.
func verityDigest(t *testing.T, content []byte, options ...string) []byte {
	t.Helper()
	digest, err := hex.DecodeString(strings.TrimSpace(tool(t, append([]string{"fsverity", "digest", "--compact", write(t, content)}, options...)...)))
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

// veritySign is security.ima over an fs-verity digest, signed by openssl: the
// evmctl at hand does not know it yet.
func veritySign(t *testing.T, digest []byte, by signer) []byte {
	t.Helper()
	algorithm, number := "-sha256", byte(4)
	if len(digest) == 64 {
		algorithm, number = "-sha512", 6
	}
	signature := []byte(tool(t, "openssl", "dgst", algorithm, "-sign", by.Key, write(t, append([]byte{6, number}, digest...))))
	id := imaSign(t, nil, by, "sha256")[3:7]
	return join([]byte{6, 3, number}, id, []byte{byte(len(signature) >> 8), byte(len(signature))}, signature)
}

func veritySamples(t *testing.T, p *people) []sample {
	t.Helper()
	content := program('v')
	plain := &kernel.Verity{Algorithm: unix.FS_VERITY_HASH_ALG_SHA256}
	salted := &kernel.Verity{Algorithm: unix.FS_VERITY_HASH_ALG_SHA256, Salt: []byte("salt")}
	long := &kernel.Verity{Algorithm: unix.FS_VERITY_HASH_ALG_SHA512}
	digest := verityDigest(t, content)
	good := veritySign(t, digest, p.good)
	one := func(name string, content, label []byte, v *kernel.Verity, k answer, ours core.Standing, differs string) sample {
		s := sample{name: "verity " + name, owner: ownerVerity, content: content, verity: v, kernel: k, kind: core.KindVerity, ours: ours, differs: differs}
		s.labels = map[string][]byte{"security.ima": label}
		return s
	}
	version2 := one("version 2", content, join([]byte{6, 2}, good[2:]), plain, refuses, core.Broken, "")
	version2.kind = core.KindIMA // what it would be is not read
	damaged := one("damaged on the disk", content, good, plain, unreadable, core.Broken, "")
	damaged.damage, damaged.kind = true, ""
	return []sample{
		one("good", content, good, plain, runs, core.Trusted, ""),
		one("good with salt", content, veritySign(t, verityDigest(t, content, "--salt="+hex.EncodeToString(salted.Salt)), p.good), salted, runs, core.Trusted, ""),
		one("SHA-512", content, veritySign(t, verityDigest(t, content, "--hash-alg=sha512"), p.good), long, runs, core.Trusted, ""),
		one("other content", flipped(content, 9000), good, plain, refuses, core.Broken, ""),
		one("salt that was not signed", content, good, salted, refuses, core.Broken, ""),
		one("another algorithm", content, good, long, refuses, core.Broken, ""),
		one("signature changed", content, flipped(good, 50), plain, refuses, core.Broken, ""),
		version2,
		one("the digest itself signed", content, join([]byte{6, 3}, imaSign(t, content, p.good, "sha256")[2:]), plain, refuses, core.Broken, ""),
		one("a stranger's key", content, veritySign(t, digest, p.stranger), plain, refuses, core.Untrusted, ""),
		one("not enabled", content, good, nil, refuses, core.Trusted, "the digest is computed from the bytes"),
		one("not enabled, other content", flipped(content, 9000), good, nil, refuses, core.Broken, ""),
		damaged,
	}
}

// fsveritySign is a built-in signature.
func fsveritySign(t *testing.T, content []byte, by signer) []byte {
	t.Helper()
	path := write(t, content)
	tool(t, "fsverity", "sign", path, path+".sig", "--key="+by.Key, "--cert="+by.Cert)
	return read(t, path+".sig")
}

// opensslSign is one in a form that fsverity does not make.
func opensslSign(t *testing.T, content []byte, by signer, options ...string) []byte {
	t.Helper()
	formatted, err := hex.DecodeString(strings.TrimSpace(tool(t, "fsverity", "digest", "--compact", "--for-builtin-sig", write(t, content))))
	if err != nil {
		t.Fatal(err)
	}
	path := write(t, formatted)
	tool(t, append([]string{"openssl", "cms", "-sign", "-binary", "-in", path, "-signer", by.Cert, "-inkey", by.Key, "-outform", "DER", "-out", path + ".sig"}, options...)...)
	return read(t, path+".sig")
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func builtinSamples(t *testing.T, p *people) []sample {
	t.Helper()
	content := program('b')
	good := fsveritySign(t, content, p.good)
	one := func(name string, signature []byte, k answer, ours core.Standing, differs string) sample {
		return sample{name: "built-in " + name, owner: ownerAnybody, content: content, kernel: k, kind: core.KindVerity, ours: ours, differs: differs,
			verity: &kernel.Verity{Algorithm: unix.FS_VERITY_HASH_ALG_SHA256, Signature: signature}}
	}
	return []sample{
		one("good", good, runs, core.Trusted, ""),
		one("of another program", fsveritySign(t, program('c'), p.good), refusesVerity, core.Broken, ""),
		one("changed", flipped(good, len(good)-30), refusesVerity, core.Broken, ""),
		one("cut", good[:len(good)-1], refusesVerity, core.Broken, ""),
		one("longer", append(bytes.Clone(good), 0), runs, core.Broken, "the kernel does not look at what is behind"),
		one("of a stranger", fsveritySign(t, content, p.stranger), refusesVerity, core.Untrusted, ""),
		one("with its own content", opensslSign(t, content, p.good, "-noattr", "-nocerts", "-nodetach"), refusesVerity, core.Broken, ""),
		one("by openssl", opensslSign(t, content, p.good, "-noattr", "-nocerts"), runs, core.Trusted, ""),
		one("by key id", opensslSign(t, content, p.good, "-noattr", "-nocerts", "-keyid"), runs, core.Trusted, ""),
		one("with attributes", opensslSign(t, content, p.good, "-nocerts", "-nosmimecap"), runs, core.Untrusted, "a form that is not checked"),
		one("with certificates", opensslSign(t, content, p.good, "-noattr"), runs, core.Untrusted, "a form that is not checked"),
		one("expired", fsveritySign(t, content, p.expired), runs, core.Untrusted, "the kernel looks at no dates"),
	}
}
