//go:build windows

package windows

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/windows"
)

// cacheOnly is CERT_CHAIN_CACHE_ONLY_URL_RETRIEVAL (wincrypt.h).
const cacheOnly = 0x4

// certificate finds a certificate of the machine's own store (LocalMachine\My)
// by its thumbprint. The key stays where it is and cannot be exported by this.
func certificate(thumbprint string) ([]*x509.Certificate, crypto.Signer, error) {
	name, err := windows.UTF16PtrFromString("MY")
	if err != nil {
		return nil, nil, err
	}
	store, err := windows.CertOpenStore(windows.CERT_STORE_PROV_SYSTEM, 0, 0,
		windows.CERT_SYSTEM_STORE_LOCAL_MACHINE|windows.CERT_STORE_READONLY_FLAG|windows.CERT_STORE_OPEN_EXISTING_FLAG,
		uintptr(unsafe.Pointer(name)))
	if err != nil {
		return nil, nil, fmt.Errorf("windows: certificate store: %w", err)
	}
	defer windows.CertCloseStore(store, 0)
	found, err := find(store, thumbprint)
	if err != nil {
		return nil, nil, fmt.Errorf("windows: certificate store: %w", err)
	}
	defer windows.CertFreeCertificateContext(found)
	chain, err := chainOf(found, store)
	if err != nil {
		return nil, nil, fmt.Errorf("windows: certificate store: %w", err)
	}
	key, err := keyOf(found, chain[0])
	if err != nil {
		return nil, nil, fmt.Errorf("windows: certificate store: %w", err)
	}
	return chain, key, nil
}

// find returns the certificate with a thumbprint, which the caller frees.
func find(store windows.Handle, thumbprint string) (*windows.CertContext, error) {
	var at *windows.CertContext
	for {
		next, err := windows.CertEnumCertificatesInStore(store, at) // frees at
		if err != nil || next == nil {
			if err == nil || errors.Is(err, windows.Errno(windows.CRYPT_E_NOT_FOUND)) {
				err = fs.ErrNotExist
			}
			return nil, fmt.Errorf("no certificate %s in LocalMachine\\My: %w", thumbprint, err)
		}
		if at = next; fits(encoded(at), thumbprint) {
			return at, nil
		}
	}
}

func fits(der []byte, thumbprint string) bool {
	one, two := sha1.Sum(der), sha256.Sum256(der)
	return thumbprint == hex.EncodeToString(one[:]) || thumbprint == hex.EncodeToString(two[:])
}

// encoded is a certificate's DER, valid as long as c is.
func encoded(c *windows.CertContext) []byte { return unsafe.Slice(c.EncodedCert, c.Length) }

// chainOf is the chain that Windows builds, leaf first, without the network.
func chainOf(leaf *windows.CertContext, store windows.Handle) ([]*x509.Certificate, error) {
	var para windows.CertChainPara
	para.Size = uint32(unsafe.Sizeof(para))
	var built *windows.CertChainContext
	if err := windows.CertGetCertificateChain(0, leaf, nil, store, &para, cacheOnly, 0, &built); err != nil {
		return nil, fmt.Errorf("chain: %w", err)
	}
	defer windows.CertFreeCertificateChain(built)
	if built.ChainCount == 0 {
		return nil, errors.New("chain: there is none")
	}
	first := unsafe.Slice(built.Chains, built.ChainCount)[0]
	var chain []*x509.Certificate
	for _, element := range unsafe.Slice(first.Elements, first.NumElements) {
		c, err := x509.ParseCertificate(bytes.Clone(encoded(element.CertContext)))
		if err != nil {
			return nil, fmt.Errorf("chain: %w", err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, errors.New("chain: it is empty")
	}
	return chain, nil
}
