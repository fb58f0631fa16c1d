package ima_test

import (
	"bytes"
	"testing"

	"kpm/core"
)

// FuzzLabel: no security.ima but the ones that were signed is trusted.
func FuzzLabel(f *testing.F) {
	s, content := cast(f), program()
	signed := [][]byte{evmctlIMA(f, content, s.good, "sha256"), evmctlIMA(f, content, s.ec, "sha256"), verity3(f, content, s.good, "sha256")}
	for _, label := range signed {
		f.Add(label)
	}
	f.Add(digestLabel(f, content, "sha256"))
	f.Add([]byte{1})
	f.Add([]byte{3, 1, 0})
	f.Add(header(s.good, 6, 3, 4, nil))
	f.Fuzz(func(t *testing.T, label []byte) {
		if got := only(t, content, labelled(label)); got.Standing == core.Trusted && !contains(signed, label) {
			t.Errorf("trusted: %x", label)
		}
	})
}

// FuzzSeal: the same for security.evm.
func FuzzSeal(f *testing.F) {
	s, content, n := cast(f), program(), inode()
	attributes := map[string][]byte{"security.ima": digestLabel(f, content, "sha256")}
	signed := [][]byte{evmctlEVM(f, s.good, n, attributes, "--portable"), evmctlEVM(f, s.good, n, attributes, "--uuid="+uuid)}
	for _, seal := range signed {
		f.Add(seal)
	}
	f.Add([]byte{2})
	f.Add(attributes["security.ima"])
	f.Fuzz(func(t *testing.T, seal []byte) {
		if got := evmOf(t, content, sealed(n, attributes, seal)); got.Standing == core.Trusted && !contains(signed, seal) {
			t.Errorf("trusted: %x", seal)
		}
	})
}

// FuzzBuiltin: the same for fs-verity's built-in signature.
func FuzzBuiltin(f *testing.F) {
	s, content := cast(f), program()
	signed := [][]byte{fsveritySign(f, content, s.good), opensslSign(f, content, s.ec, "-noattr", "-nocerts", "-keyid")}
	for _, der := range signed {
		f.Add(der)
	}
	f.Add(opensslSign(f, content, s.good))
	f.Add([]byte{0x30, 0x84, 0xff, 0xff, 0xff, 0xff})
	m := enabled(f, content, nil)
	f.Fuzz(func(t *testing.T, der []byte) {
		v := *m.verity
		v.Signature = append([]byte{}, der...)
		if got := only(t, content, &machine{verity: &v}); got.Standing == core.Trusted && !contains(signed, der) {
			t.Errorf("trusted: %x", der)
		}
	})
}

func contains(all [][]byte, one []byte) bool {
	for _, b := range all {
		if bytes.Equal(b, one) {
			return true
		}
	}
	return false
}
