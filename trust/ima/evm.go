package ima

import (
	"encoding/binary"
	"errors"
	"fmt"

	"kpm/core"
	"kpm/core/port"
)

// protected are the attributes that security.evm covers, in order
// (evm_config_default_xattrnames in the kernel's
// security/integrity/evm/evm_main.c). Portable signatures cover all that a file
// carries; others those that the signing kernel was built for, which without
// this list's Smack extras is every Debian's, Fedora's and SUSE's choice.
var protected = [...]string{
	"security.selinux", "security.SMACK64", "security.SMACK64EXEC", "security.SMACK64TRANSMUTE",
	"security.SMACK64MMAP", "security.apparmor", nameIMA, "security.capability",
}

// evm judges security.evm: a signature over attributes and inode, and over the
// file's bytes only by way of security.ima, which is label (nil if there is
// none) and stands as content says.
func (j *judge) evm(value, label []byte, content *core.Evidence) (core.Evidence, error) {
	e := core.Evidence{Kind: core.KindEVM, Rank: core.RankSigned}
	a, err := parseAttribute(value)
	switch {
	case err != nil:
		return broken(e, "security.evm is malformed: "+err.Error()), nil
	case a.kind == kindHMAC:
		return untrusted(e, "security.evm holds a kernel's own HMAC, not a signature"), nil
	case a.kind != kindSignature && a.kind != kindPortable:
		return broken(e, "security.evm is malformed: it is of a kind that belongs elsewhere"), nil
	}
	e.Digest, e.KeyID = a.algorithm.name, a.id()
	if reason := a.uncheckable(); reason != "" {
		return untrusted(e, reason), nil
	}
	if a.kind == kindPortable && content == nil {
		return broken(e, "there is no security.ima, which a portable signature must cover"), nil
	}
	candidates := j.keys.named(a.keyID)
	if len(candidates) == 0 {
		return untrusted(e, "the key that made the signature is not one that is trusted"), nil
	}
	node, err := j.System.Node(j.Handle)
	if errors.Is(err, errors.ErrUnsupported) {
		return untrusted(e, "the operating system does not tell what the signature covers"), nil
	}
	if err != nil {
		return e, fmt.Errorf("ima: inode: %w", err)
	}
	covered, err := j.covered(label)
	if err != nil {
		return e, err
	}
	judged := e
	for _, tail := range tails(a.kind, node) {
		h := a.algorithm.hash.New()
		h.Write(covered)
		h.Write(tail)
		judged = j.keys.judge(e, candidates, a.algorithm, a.signed(h.Sum(nil)), a.signature,
			"attributes, owner or mode of the file were changed after they were signed")
		if judged.Standing != core.Broken {
			return bound(judged, content), nil
		}
	}
	if a.kind == kindSignature && node.UUID == nil {
		return untrusted(e, "the file system does not tell its UUID, which the signature may cover"), nil
	}
	return judged, nil
}

// covered are the values of the protected attributes. label is security.ima as
// it was judged: it is not read a second time, when it may be another.
func (j *judge) covered(label []byte) ([]byte, error) {
	var all []byte
	for _, name := range protected {
		value, err := label, error(nil)
		if name != nameIMA {
			value, _, err = j.attribute(name)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, value...)
	}
	return all, nil
}

// tails are what may follow the attributes: struct h_misc and the file system's
// UUID (hmac_add_misc in the kernel's security/integrity/evm/evm_crypto.c), the
// UUID only if the signing kernel has CONFIG_EVM_ATTR_FSUUID. Numbers are as on
// a little-endian 64-bit system.
func tails(kind byte, n port.Node) [][]byte {
	misc := make([]byte, 24)
	binary.LittleEndian.PutUint32(misc[12:], n.UID)
	binary.LittleEndian.PutUint32(misc[16:], n.GID)
	binary.LittleEndian.PutUint16(misc[20:], n.Mode)
	if kind == kindPortable {
		return [][]byte{misc}
	}
	binary.LittleEndian.PutUint64(misc, n.Inode)
	binary.LittleEndian.PutUint32(misc[8:], n.Generation)
	if n.UUID == nil {
		return [][]byte{misc}
	}
	return [][]byte{append(misc[:len(misc):len(misc)], n.UUID...), misc}
}

// bound makes an intact signature over security.ima count for the bytes only as
// far as security.ima does.
//
// Attack: a file with other bytes is given the attributes of a signed one.
func bound(e core.Evidence, content *core.Evidence) core.Evidence {
	switch {
	case content == nil:
		return untrusted(e, "it covers owner and mode of the file, and nothing that binds it to the bytes")
	case content.Standing == core.Broken:
		return broken(e, "the security.ima that it covers is about other bytes")
	case e.Standing != core.Trusted || content.Standing == core.Trusted:
		return e
	case matched(content) && content.Digest != algorithms[numberSHA1].name:
		return e // a digest that this signature has signed
	}
	return untrusted(e, "it binds the file to its bytes through security.ima alone, and that is not trusted: "+content.Reason)
}

// matched reports whether a digest was compared with the bytes.
func matched(content *core.Evidence) bool {
	for _, c := range content.Checks {
		if c.Name == "file digest" && c.Outcome == core.Passed {
			return true
		}
	}
	return false
}
