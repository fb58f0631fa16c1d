package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

// Bounds of PEM files: bytes, and certificates in one.
const (
	maxPEM          = 256 << 10
	maxCertificates = 16
	minRSA          = 2048 // bits
)

// Opener opens a file that administrators alone can change, for reading.
type Opener func(path string) (*os.File, error)

// readPEM returns what is in a file of at most maxPEM bytes. check, if not nil,
// is asked about the open file.
func readPEM(path string, open Opener, check func(*os.File) error) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if check != nil {
		if err := check(f); err != nil {
			return nil, err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxPEM:
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxPEM)
	}
	return data, nil
}

var pemBegin = []byte("-----BEGIN ")

// blocks returns the PEM blocks of a file (RFC 7468). Text around blocks is a
// comment, as openssl writes it; a block that cannot be read is a fault and not
// a comment, or a CA would be missing in silence.
func blocks(data []byte) ([]*pem.Block, error) {
	begun := bytes.Count(data, pemBegin)
	var found []*pem.Block
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		found, data = append(found, block), rest
	}
	switch {
	case begun == 0:
		return nil, errors.New("it holds nothing in PEM (-----BEGIN ...-----); convert DER with openssl x509 -inform der or openssl pkey -inform der")
	case len(found) != begun:
		return nil, fmt.Errorf("%d of its %d PEM blocks are damaged", begun-len(found), begun)
	}
	return found, nil
}

func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	found, err := blocks(data)
	if err != nil {
		return nil, err
	}
	if len(found) > maxCertificates {
		return nil, fmt.Errorf("it holds %d certificates, at most %d are read", len(found), maxCertificates)
	}
	var list []*x509.Certificate
	for i, block := range found {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %s, expected certificates only", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i+1, err)
		}
		list = append(list, c)
	}
	return list, nil
}

// parseKey reads one private key: PKCS #8, SEC 1 or PKCS #1. What openssl
// ecparam puts before a SEC 1 key is passed over.
func parseKey(data []byte) (crypto.Signer, error) {
	found, err := blocks(data)
	if err != nil {
		return nil, err
	}
	if len(found) == 2 && found[0].Type == "EC PARAMETERS" {
		found = found[1:]
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("it holds %d PEM blocks, expected one private key", len(found))
	}
	block := found[0]
	var key any
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["Proc-Type"] != "":
		return nil, errors.New("the key is encrypted, and the service has nobody to ask for the passphrase; decrypt it with openssl pkey")
	case block.Type == "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case block.Type == "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("it holds a %s, expected a private key", block.Type)
	}
	if err != nil {
		return nil, err
	}
	return signer(key)
}

// signer accepts the keys that TLS 1.3 has signatures for.
func signer(key any) (crypto.Signer, error) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < minRSA {
			return nil, fmt.Errorf("an RSA key of %d bits, expected at least %d", k.N.BitLen(), minRSA)
		}
		return k, nil
	case *ecdsa.PrivateKey:
		if k.Curve.Params().BitSize < 256 {
			return nil, fmt.Errorf("an ECDSA key on %s, expected P-256, P-384 or P-521", k.Curve.Params().Name)
		}
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("a key of type %T, expected RSA, ECDSA or Ed25519", key)
}
