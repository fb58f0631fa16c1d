package ima

import (
	"crypto"
	_ "crypto/sha1"   // what the kernel's table below names
	_ "crypto/sha256" // SHA-224 too
	_ "crypto/sha512" // SHA-384 too
	"encoding/binary"
	"errors"
	"fmt"
)

// Kinds of attribute: the first byte (enum evm_ima_xattr_type in the kernel's
// security/integrity/integrity.h).
const (
	kindDigest    = 1 // MD5 or SHA-1
	kindHMAC      = 2 // security.evm only
	kindSignature = 3
	kindDigestNG  = 4 // any digest
	kindPortable  = 5 // security.evm only
	kindVerity    = 6 // security.ima only
)

// Versions of a signature: the second byte.
const (
	version1 = 1 // GnuPG-like, RSA and SHA-1 (lib/digsig.c); out of use since Linux 3.7
	version2 = 2 // over a digest
	version3 = 3 // over struct ima_file_id
)

// signatureHeader is the size of struct signature_v2_hdr in integrity.h: kind,
// version, algorithm, key id (4, big endian), signature size (2, big endian).
const signatureHeader = 9

// algorithm is a digest algorithm. hash is 0 if it is not computed here.
type algorithm struct {
	name string
	size int // of the digest, in bytes
	hash crypto.Hash
	weak bool // collisions can be made
}

// algorithms is enum hash_algo of the kernel's include/uapi/linux/hash_info.h,
// with the sizes of crypto/hash_info.c.
var algorithms = [...]algorithm{
	{name: "MD4", size: 16},
	{name: "MD5", size: 16},
	{name: "SHA-1", size: 20, hash: crypto.SHA1, weak: true},
	{name: "RIPEMD-160", size: 20},
	{name: "SHA-256", size: 32, hash: crypto.SHA256},
	{name: "SHA-384", size: 48, hash: crypto.SHA384},
	{name: "SHA-512", size: 64, hash: crypto.SHA512},
	{name: "SHA-224", size: 28, hash: crypto.SHA224},
	{name: "RIPEMD-128", size: 16},
	{name: "RIPEMD-256", size: 32},
	{name: "RIPEMD-320", size: 40},
	{name: "Whirlpool-256", size: 32},
	{name: "Whirlpool-384", size: 48},
	{name: "Whirlpool-512", size: 64},
	{name: "Tiger-128", size: 16},
	{name: "Tiger-160", size: 20},
	{name: "Tiger-192", size: 24},
	{name: "SM3", size: 32},
	{name: "Streebog-256", size: 32},
	{name: "Streebog-512", size: 64},
	{name: "SHA3-256", size: 32},
	{name: "SHA3-384", size: 48},
	{name: "SHA3-512", size: 64},
}

// Numbers of those that are named elsewhere.
const (
	numberMD5    = 1
	numberSHA1   = 2
	numberSHA256 = 4
	numberSHA384 = 5
	numberSHA512 = 6
)

// attribute is security.ima or security.evm, read. Of version 1 only kind and
// version are known.
type attribute struct {
	kind, version byte
	number        byte // of the algorithm, as the kernel counts
	algorithm     algorithm
	digest        []byte // kindDigest, kindDigestNG
	keyID         uint32 // what follows is a signature's
	signature     []byte
}

var errLength = errors.New("its length is wrong")

// parseAttribute reads an attribute. Lengths must be exact; the kernel lets
// some pass.
func parseAttribute(value []byte) (attribute, error) {
	if len(value) < 2 {
		return attribute{}, errLength
	}
	a := attribute{kind: value[0]}
	switch a.kind {
	case kindDigest:
		return a.parseDigest(value[1:])
	case kindDigestNG:
		if err := a.setAlgorithm(value[1]); err != nil {
			return a, err
		}
		if a.digest = value[2:]; len(a.digest) != a.algorithm.size {
			return a, errLength
		}
		return a, nil
	case kindHMAC:
		if len(value) != 1+algorithms[numberSHA1].size {
			return a, errLength
		}
		return a, nil
	case kindSignature, kindPortable, kindVerity:
		return a.parseSignature(value)
	}
	return a, fmt.Errorf("there is no kind %d", a.kind)
}

// parseDigest reads what follows the kind. MD5 may be padded to the size of
// SHA-1 (ima_get_hash_algo in ima_appraise.c).
func (a attribute) parseDigest(digest []byte) (attribute, error) {
	md5, sha1 := algorithms[numberMD5], algorithms[numberSHA1]
	padded := len(digest) == sha1.size && string(digest[md5.size:]) == "\x00\x00\x00\x00"
	switch {
	case len(digest) == md5.size || padded:
		a.number, a.algorithm, a.digest = numberMD5, md5, digest[:md5.size]
	case len(digest) == sha1.size:
		a.number, a.algorithm, a.digest = numberSHA1, sha1, digest
	default:
		return a, errLength
	}
	return a, nil
}

func (a attribute) parseSignature(value []byte) (attribute, error) {
	a.version = value[1]
	switch {
	case a.kind == kindSignature && a.version == version1:
		return a, nil
	case a.version == version3:
	case a.version == version2 && a.kind != kindVerity:
	default:
		return a, fmt.Errorf("there is no version %d of kind %d", a.version, a.kind)
	}
	if len(value) <= signatureHeader {
		return a, errLength
	}
	if err := a.setAlgorithm(value[2]); err != nil {
		return a, err
	}
	a.keyID = binary.BigEndian.Uint32(value[3:])
	a.signature = value[signatureHeader:]
	if int(binary.BigEndian.Uint16(value[7:])) != len(a.signature) {
		return a, errLength
	}
	return a, nil
}

func (a *attribute) setAlgorithm(number byte) error {
	if int(number) >= len(algorithms) {
		return fmt.Errorf("there is no digest algorithm %d", number)
	}
	a.number, a.algorithm = number, algorithms[number]
	return nil
}

// uncheckable says why a signature cannot be checked here, whoever made it;
// "" if it can be.
func (a *attribute) uncheckable() string {
	switch {
	case a.version == version1:
		return "the signature is of version 1, which is out of use and not checked"
	case a.algorithm.hash == 0:
		return "the signature uses " + a.algorithm.name + ", which is not checked here"
	}
	return ""
}
