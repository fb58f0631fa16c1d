//go:build linux

package kernel_test

import (
	"encoding/hex"
	"maps"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
)

const (
	selinux    = "system_u:object_r:bin_t:s0\x00"
	capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // CAP_NET_BIND_SERVICE
)

// evmSign is security.evm over attributes, owner and mode, and over what the
// options say.
func evmSign(t *testing.T, by signer, labels map[string][]byte, owner int, mode uint32, options ...string) []byte {
	t.Helper()
	path := write(t, nil)
	for name, value := range labels {
		if err := unix.Setxattr(path, name, value, 0); err != nil {
			t.Fatal(err)
		}
	}
	argv := append([]string{"evmctl", "sign", "-n", "--key", by.Key, "--keyid-from-cert", by.Cert,
		"--uid=" + strconv.Itoa(owner), "--gid=0", "--mode=" + strconv.Itoa(int(unix.S_IFREG|mode))}, options...)
	lines := strings.Split(strings.TrimSpace(tool(t, append(argv, path)...)), "\n")
	signature, err := hex.DecodeString(lines[len(lines)-1])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

func evmSamples(t *testing.T, p *people) []sample {
	t.Helper()
	content := program('e')
	hashed := map[string][]byte{"security.ima": imaHash(t, content, "sha256"), "security.selinux": []byte(selinux), "security.capability": []byte(capability)}
	signed := label(imaSign(t, content, p.good, "sha256"))
	portable := func(labels map[string][]byte, by signer) []byte {
		return evmSign(t, by, labels, ownerEVM, 0o755, "--portable")
	}
	seal := portable(hashed, p.good)
	with := func(labels map[string][]byte, seal []byte, change ...func(map[string][]byte)) map[string][]byte {
		all := maps.Clone(labels)
		all["security.evm"] = seal
		for _, c := range change {
			c(all)
		}
		return all
	}
	one := func(name string, content []byte, labels map[string][]byte, k answer, ours core.Standing, differs string) sample {
		return sample{name: "evm " + name, owner: ownerEVM, content: content, labels: labels, kernel: k, kind: core.KindEVM, ours: ours, differs: differs}
	}
	setuid := one("setuid", content, with(hashed, seal), refuses, core.Broken, "")
	setuid.mode = 0o4755
	nothing := one("nothing", content, hashed, refuses, core.Untrusted, "")
	nothing.kind = core.KindIMA
	bound := func(name string, change func(*node), options []string, k answer, ours core.Standing, differs string) sample {
		s := one("bound "+name, content, hashed, k, ours, differs)
		s.bind = func(n node) []byte {
			change(&n)
			return evmSign(t, p.good, hashed, ownerEVM, 0o755, append([]string{"--ino=" + n.inode, "--generation=" + n.generation}, options...)...)
		}
		return s
	}
	asIs, ours := func(*node) {}, []string{"--uuid=" + uuid}
	return []sample{
		bound("to its inode", asIs, ours, runs, core.Trusted, ""),
		bound("to another inode", func(n *node) { n.inode = "4" + n.inode }, ours, refuses, core.Broken, ""),
		bound("to a file that had the inode before", func(n *node) { n.generation = "1" }, ours, refuses, core.Broken, ""),
		bound("to another file system", asIs, []string{"--uuid=" + strings.Replace(uuid, "1", "2", 1)}, refuses, core.Broken, ""),
		bound("to no file system", asIs, []string{"--uuid"}, refuses, core.Trusted, "this kernel signs the UUID of the file system, others do not"),
		one("portable over a digest", content, with(hashed, seal), runs, core.Trusted, ""),
		one("portable over a signature", content, with(signed, portable(signed, p.good)), runs, core.Trusted, ""),
		one("content changed", flipped(content, 8000), with(hashed, seal), refuses, core.Broken, ""),
		one("label changed", content, with(hashed, seal, func(m map[string][]byte) { m["security.selinux"] = []byte("etc_t\x00") }), refuses, core.Broken, ""),
		one("capability changed", content, with(hashed, seal, func(m map[string][]byte) { m["security.capability"] = flipped([]byte(capability), 6) }), refuses, core.Broken, ""),
		one("digest changed with the content", program('f'), with(hashed, seal, func(m map[string][]byte) { m["security.ima"] = imaHash(t, program('f'), "sha256") }), refuses, core.Broken, ""),
		setuid,
		one("signature changed", content, with(hashed, flipped(seal, 60)), refuses, core.Broken, ""),
		one("a stranger's key", content, with(hashed, portable(hashed, p.stranger)), refuses, core.Untrusted, ""),
		one("as one bound to an inode", content, with(hashed, join([]byte{3}, seal[1:])), refuses, core.Broken, ""),
		one("expired", content, with(hashed, portable(hashed, p.expired)), runs, core.Untrusted, "the kernel looks at no dates"),
		nothing,
	}
}
