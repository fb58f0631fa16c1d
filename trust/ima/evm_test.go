package ima_test

import (
	"bytes"
	"encoding/hex"
	"maps"
	"strconv"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/trusttest"
)

// inode is the file that EVM's tests sign.
func inode() port.Node {
	return port.Node{Inode: 0x1122334455, Generation: 0x778899aa, UID: 7, GID: 0x10203, Mode: 0o100755,
		UUID: []byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}}
}

const (
	uuid       = "00112233-4455-6677-8899-aabbccddeeff"
	capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // CAP_NET_BIND_SERVICE
)

// evmctlEVM signs a file that has the attributes, and returns security.evm.
func evmctlEVM(t testing.TB, e *trusttest.Entity, n port.Node, attributes map[string][]byte, options ...string) []byte {
	t.Helper()
	path := write(t, nil)
	for name, value := range attributes {
		run(t, "setfattr", "-n", name, "-v", "0x"+hex.EncodeToString(value), path)
	}
	f := e.Files(t)
	argv := []string{"evmctl", "sign", "-n", "--key", f.Key, "--keyid-from-cert", f.Cert,
		"--ino=" + strconv.FormatUint(n.Inode, 10), "--generation=" + strconv.FormatUint(uint64(n.Generation), 10),
		"--uid=" + strconv.Itoa(int(n.UID)), "--gid=" + strconv.Itoa(int(n.GID)), "--mode=" + strconv.Itoa(int(n.Mode))}
	return unhex(t, lastLine(run(t, append(append(argv, options...), path)...)))
}

// sealed is what a machine says of a file with that security.evm.
func sealed(n port.Node, attributes map[string][]byte, seal []byte) *machine {
	all := maps.Clone(attributes)
	all["security.evm"] = seal
	return &machine{attributes: all, node: n}
}

// evmOf is the evidence of security.evm.
func evmOf(t testing.TB, content []byte, m *machine) core.Evidence {
	t.Helper()
	for _, e := range judge(t, content, m, cast(t).keys()) {
		if e.Kind == core.KindEVM {
			return e
		}
	}
	t.Fatal("no evidence of security.evm")
	return core.Evidence{}
}

func TestEVMSignaturesOfEvmctl(t *testing.T) {
	s, content, n := cast(t), program(), inode()
	digest, signature := digestLabel(t, content, "sha256"), evmctlIMA(t, content, s.good, "sha256")
	full := map[string][]byte{
		"security.selinux": []byte("system_u:object_r:bin_t:s0\x00"), "security.SMACK64": []byte("_"),
		"security.apparmor": []byte("label"), "security.capability": []byte(capability), "security.ima": signature,
	}
	for _, c := range []struct {
		name       string
		by         *trusttest.Entity
		attributes map[string][]byte
		options    []string
		kind       byte
	}{
		{"portable, over a digest", s.good, map[string][]byte{"security.ima": digest}, []string{"--portable"}, 5},
		{"portable, over a signature", s.good, map[string][]byte{"security.ima": signature}, []string{"--portable"}, 5},
		{"portable, SHA-512", s.good, map[string][]byte{"security.ima": digest}, []string{"--portable", "-a", "sha512"}, 5},
		{"portable, EC", s.ec, map[string][]byte{"security.ima": digest}, []string{"--portable"}, 5},
		{"portable, every attribute", s.good, full, []string{"--portable"}, 5},
		{"bound to the file system", s.good, full, []string{"--uuid=" + uuid}, 3},
		{"bound to the inode alone", s.good, map[string][]byte{"security.ima": digest}, []string{"--uuid"}, 3},
	} {
		seal := evmctlEVM(t, c.by, n, c.attributes, c.options...)
		if seal[0] != c.kind {
			t.Fatalf("%s: evmctl made kind %d", c.name, seal[0])
		}
		if e := evmOf(t, content, sealed(n, c.attributes, seal)); e.Standing != core.Trusted || e.Signer != c.by.Name || e.Rank != core.RankSigned {
			t.Errorf("%s: %+v", c.name, e)
		}
	}
}

// A portable signature holds wherever the file goes.
func TestAPortableSignatureLeavesTheInodeOut(t *testing.T) {
	s, content, n := cast(t), program(), inode()
	attributes := map[string][]byte{"security.ima": digestLabel(t, content, "sha256")}
	seal := evmctlEVM(t, s.good, n, attributes, "--portable")
	n.Inode, n.Generation, n.UUID = 1, 2, nil
	if e := evmOf(t, content, sealed(n, attributes, seal)); e.Standing != core.Trusted {
		t.Errorf("%+v", e)
	}
}

// Everything that a signature covers, changed one at a time.
func TestNoManipulatedEVMSignatureIsAccepted(t *testing.T) {
	s, content, n := cast(t), program(), inode()
	digest, signature := digestLabel(t, content, "sha256"), evmctlIMA(t, content, s.good, "sha256")
	attributes := map[string][]byte{
		"security.selinux": []byte("bin_t"), "security.ima": digest, "security.capability": []byte(capability),
	}
	portable := evmctlEVM(t, s.good, n, attributes, "--portable")
	bound := evmctlEVM(t, s.good, n, attributes, "--uuid="+uuid)
	bare := map[string][]byte{"security.selinux": []byte("bin_t")}
	onlyAttribute := map[string][]byte{"security.ima": digest}
	stranger := map[string][]byte{"security.ima": evmctlIMA(t, content, s.stranger, "sha256")}
	weak := map[string][]byte{"security.ima": digestLabel(t, content, "sha1")}
	with := func(change func(map[string][]byte)) map[string][]byte {
		all := maps.Clone(attributes)
		change(all)
		return all
	}
	node := func(change func(*port.Node)) port.Node {
		other := inode()
		change(&other)
		return other
	}
	for _, c := range []struct {
		name       string
		content    []byte
		node       port.Node
		attributes map[string][]byte
		seal       []byte
		want       core.Standing
	}{
		{"file changed", flipped(content, 3), n, attributes, portable, core.Broken},
		{"file longer", append(bytes.Clone(content), 3), n, attributes, portable, core.Broken},
		{"other owner", content, node(func(n *port.Node) { n.UID = 0 }), attributes, portable, core.Broken},
		{"other group", content, node(func(n *port.Node) { n.GID = 0 }), attributes, portable, core.Broken},
		{"setuid", content, node(func(n *port.Node) { n.Mode |= 0o4000 }), attributes, portable, core.Broken},
		{"more can write", content, node(func(n *port.Node) { n.Mode |= 0o002 }), attributes, portable, core.Broken},
		{"other label", content, n, with(func(m map[string][]byte) { m["security.selinux"] = []byte("etc_t") }), portable, core.Broken},
		{"no label", content, n, with(func(m map[string][]byte) { delete(m, "security.selinux") }), portable, core.Broken},
		{"more capabilities", content, n, with(func(m map[string][]byte) { m["security.capability"] = flipped([]byte(capability), 5) }), portable, core.Broken},
		{"no capability", content, n, with(func(m map[string][]byte) { delete(m, "security.capability") }), portable, core.Broken},
		{"a label of another kind", content, n, with(func(m map[string][]byte) { m["security.apparmor"] = []byte("x") }), portable, core.Broken},
		{"a Smack label", content, n, with(func(m map[string][]byte) { m["security.SMACK64EXEC"] = []byte("x") }), portable, core.Broken},
		{"another digest", flipped(content, 1), n, with(func(m map[string][]byte) { m["security.ima"] = digestLabel(t, flipped(content, 1), "sha256") }), portable, core.Broken},
		{"another signature", content, n, with(func(m map[string][]byte) { m["security.ima"] = signature }), portable, core.Broken},
		{"no security.ima", content, n, with(func(m map[string][]byte) { delete(m, "security.ima") }), portable, core.Broken},
		{"malformed security.ima", content, n, with(func(m map[string][]byte) { m["security.ima"] = []byte{4} }), portable, core.Broken},
		{"taken for one bound to the inode", content, n, attributes, join([]byte{3}, portable[1:]), core.Broken},

		{"bound: other inode", content, node(func(n *port.Node) { n.Inode++ }), attributes, bound, core.Broken},
		{"bound: inode used again", content, node(func(n *port.Node) { n.Generation++ }), attributes, bound, core.Broken},
		{"bound: other file system", content, node(func(n *port.Node) { n.UUID = bytes.Repeat([]byte{1}, 16) }), attributes, bound, core.Broken},
		{"bound: other owner", content, node(func(n *port.Node) { n.UID = 0 }), attributes, bound, core.Broken},
		{"bound: file changed", flipped(content, 3), n, attributes, bound, core.Broken},
		{"bound: taken for a portable one", content, n, attributes, join([]byte{5}, bound[1:]), core.Broken},
		{"bound: file system unknown", content, node(func(n *port.Node) { n.UUID = nil }), attributes, bound, core.Untrusted},

		{"an IMA signature instead", content, n, onlyAttribute, signature, core.Broken},
		{"an IMA signature as a portable one", content, n, onlyAttribute, join([]byte{5}, signature[1:]), core.Broken},
		{"of kind 6", content, n, onlyAttribute, join([]byte{6, 3}, portable[2:]), core.Broken},
		{"a digest", content, n, onlyAttribute, digest, core.Broken},
		{"version 3 of a signature of version 2", content, n, attributes, join([]byte{5, 3}, portable[2:]), core.Broken},
		{"empty", content, n, attributes, nil, core.Broken},
		{"cut", content, n, attributes, portable[:100], core.Broken},
		{"longer", content, n, attributes, append(bytes.Clone(portable), 0), core.Broken},
		{"of version 1", content, n, onlyAttribute, []byte{3, 1, 0, 0}, core.Untrusted},
		{"HMAC", content, n, attributes, append([]byte{2}, make([]byte, 20)...), core.Untrusted},
		{"HMAC of another size", content, n, attributes, append([]byte{2}, make([]byte, 32)...), core.Broken},

		{"nobody's", content, n, attributes, flipped(portable, 4), core.Untrusted},
		{"a stranger's", content, n, attributes, evmctlEVM(t, s.stranger, n, attributes, "--portable"), core.Untrusted},
		{"of an expired certificate", content, n, attributes, evmctlEVM(t, s.expired, n, attributes, "--portable"), core.Untrusted},
		{"over SHA-1", content, n, attributes, evmctlEVM(t, s.good, n, attributes, "--portable", "-a", "sha1"), core.Untrusted},
		{"over nothing of the bytes", content, n, bare, evmctlEVM(t, s.good, n, bare, "--uuid="+uuid), core.Untrusted},
		{"over a stranger's security.ima", content, n, stranger, evmctlEVM(t, s.good, n, stranger, "--portable"), core.Untrusted},
		{"over a SHA-1 digest", content, n, weak, evmctlEVM(t, s.good, n, weak, "--portable"), core.Untrusted},
	} {
		if e := evmOf(t, c.content, sealed(c.node, c.attributes, c.seal)); e.Standing != c.want || e.Reason == "" {
			t.Errorf("%s: %v (%s), expected %v", c.name, e.Standing, e.Reason, c.want)
		}
	}
	for at := range portable {
		if e := evmOf(t, content, sealed(n, attributes, flipped(portable, at))); e.Standing == core.Trusted {
			t.Errorf("accepted with byte %d flipped", at)
		}
	}
}

// What is signed is the values of the attributes one behind the other, without
// names or lengths: a value may move to the attribute beside it, for the kernel
// and for us. Nothing that binds the signature to the bytes can be made of it.
func TestValuesThatMoveToAnotherAttribute(t *testing.T) {
	s, content, n := cast(t), program(), inode()
	digest := digestLabel(t, content, "sha256")
	seal := evmctlEVM(t, s.good, n, map[string][]byte{"security.selinux": []byte("bin_t"), "security.ima": digest}, "--portable")
	for _, c := range []struct {
		name       string
		attributes map[string][]byte
		want       core.Standing
	}{
		{"the label to another kind of label", map[string][]byte{"security.apparmor": []byte("bin_t"), "security.ima": digest}, core.Trusted},
		{"security.ima to the label", map[string][]byte{"security.selinux": append([]byte("bin_t"), digest...)}, core.Broken},
		{"security.ima to the capabilities", map[string][]byte{"security.selinux": []byte("bin_t"), "security.capability": digest}, core.Broken},
		{"a part of security.ima to the label", map[string][]byte{"security.selinux": append([]byte("bin_t"), digest[:7]...), "security.ima": digest[7:]}, core.Broken},
		{"a part of security.ima to the capabilities", map[string][]byte{"security.selinux": []byte("bin_t"), "security.ima": digest[:7], "security.capability": digest[7:]}, core.Broken},
		{"the label into security.ima", map[string][]byte{"security.ima": append([]byte("bin_t"), digest...)}, core.Broken},
	} {
		if e := evmOf(t, content, sealed(n, c.attributes, seal)); e.Standing != c.want {
			t.Errorf("%s: %v (%s), expected %v", c.name, e.Standing, e.Reason, c.want)
		}
	}
}

// evmctl is the other verifier. It takes the inode of the file at hand, so only
// portable signatures are compared.
func TestTheSameVerdictAsEvmctlAboutEVM(t *testing.T) {
	s, content := cast(t), program()
	n := port.Node{Mode: 0o100755}
	digest := digestLabel(t, content, "sha256")
	attributes := map[string][]byte{"security.ima": digest, "security.selinux": []byte("bin_t")}
	seal := evmctlEVM(t, s.good, n, attributes, "--portable")
	for _, c := range []struct {
		name    string
		label   string
		mode    string
		seal    []byte
		trusted bool
	}{
		{"good", "bin_t", "755", seal, true},
		{"label changed", "etc_t", "755", seal, false},
		{"mode changed", "bin_t", "4755", seal, false},
		{"signature changed", "bin_t", "755", flipped(seal, 99), false},
	} {
		path := write(t, content)
		run(t, "chmod", c.mode, path)
		run(t, "setfattr", "-n", "security.selinux", "-v", c.label, path)
		run(t, "setfattr", "-n", "security.ima", "-v", "0x"+hex.EncodeToString(digest), path)
		run(t, "setfattr", "-n", "security.evm", "-v", "0x"+hex.EncodeToString(c.seal), path)
		mode, err := strconv.ParseUint(c.mode, 8, 16)
		if err != nil {
			t.Fatal(err)
		}
		node := port.Node{Mode: 0o100000 | uint16(mode)}
		theirs := accepts(t, "evmctl", "verify", "--key", s.good.Files(t).DER, path)
		ours := evmOf(t, content, sealed(node, attributesOf(t, path), c.seal))
		if theirs != c.trusted || (ours.Standing == core.Trusted) != c.trusted {
			t.Errorf("%s: evmctl accepts: %t, here: %v (%s)", c.name, theirs, ours.Standing, ours.Reason)
		}
	}
}

// Where the system cannot tell what is covered, nothing is trusted.
func TestEVMWithoutAnInode(t *testing.T) {
	s, content, n := cast(t), program(), inode()
	attributes := map[string][]byte{"security.ima": digestLabel(t, content, "sha256")}
	m := sealed(n, attributes, evmctlEVM(t, s.good, n, attributes, "--portable"))
	m.missing = "inode"
	if e := evmOf(t, content, m); e.Standing != core.Untrusted {
		t.Errorf("%+v", e)
	}
}
