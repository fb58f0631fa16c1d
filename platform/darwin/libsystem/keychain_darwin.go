package libsystem

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Libraries of Keychain, which are part of the dynamic linker's cache too. crypto/x509
// links them.
const (
	foundationPath = "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation"
	securityPath   = "/System/Library/Frameworks/Security.framework/Security"
)

// systemKeychain is the machine's own: root alone can change it.
const systemKeychain = "/Library/Keychains/System.keychain"

// errSecItemNotFound (Security/SecBase.h).
const itemNotFound = -25300

// Keys returns the keychain's functions, bound when somebody first asks.
var Keys = sync.OnceValues(bindKeychain)

func bindKeychain() (*Keychain, error) {
	k := &Keychain{}
	for _, f := range k.Functions() {
		symbol, err := framework(f.Name())
		if err != nil {
			return nil, err
		}
		purego.RegisterFunc(f.Field, symbol)
	}
	if status := k.KeychainSilent(0); status != 0 { // no window, whatever a key wants
		return nil, fmt.Errorf("SecKeychainSetUserInteractionAllowed: %d", status)
	}
	return k, nil
}

// framework returns where a function or a constant is.
func framework(name string) (uintptr, error) {
	for _, path := range []string{foundationPath, securityPath} {
		library, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
		if err != nil {
			return 0, fmt.Errorf("keychain: %w", err)
		}
		if symbol, err := purego.Dlsym(library, name); err == nil {
			return symbol, nil
		}
	}
	return 0, fmt.Errorf("keychain: this macOS has no %s", name)
}

// place is a C object at an address of the linker's.
func place(at uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&at)) }

// constant returns the value of a constant that is a CFTypeRef.
func constant(name string) (uintptr, error) {
	at, err := framework(name)
	if err != nil {
		return 0, err
	}
	return *(*uintptr)(place(at)), nil
}

// Certificates returns every certificate of the machine's keychain.
func (k *Keychain) Certificates() (all [][]byte, err error) {
	err = k.each("kSecClassCertificate", func(certificate uintptr) (bool, error) {
		der, err := k.data(k.CertificateData(certificate))
		all = append(all, der)
		return err == nil, err
	})
	return all, err
}

// Key returns the certificate that fits, of those that have their key in the machine's
// keychain, and that key, which whoever asked releases; 0 if there is none.
func (k *Keychain) Key(fits func(der []byte) bool) (found []byte, key uintptr, err error) {
	err = k.each("kSecClassIdentity", func(identity uintptr) (bool, error) {
		var certificate uintptr
		if status := k.IdentityCertificate(identity, &certificate); status != 0 {
			return false, fmt.Errorf("SecIdentityCopyCertificate: %d", status)
		}
		defer k.Release(certificate)
		der, err := k.data(k.CertificateData(certificate))
		if err != nil || !fits(der) {
			return err == nil, err
		}
		found = der
		if status := k.IdentityKey(identity, &key); status != 0 {
			return false, fmt.Errorf("SecIdentityCopyPrivateKey: %d", status)
		}
		return false, nil
	})
	return found, key, err
}

// Sign has a key sign a digest, by an algorithm's constant.
func (k *Keychain) Sign(key uintptr, algorithm string, digest []byte) ([]byte, error) {
	by, err := constant(algorithm)
	if err != nil {
		return nil, err
	}
	told := k.DataCreate(0, unsafe.Pointer(&digest[0]), int64(len(digest)))
	if told == 0 {
		return nil, errors.New("CFDataCreate: no memory")
	}
	defer k.Release(told)
	var fault uintptr
	signature := k.KeySign(key, by, told, &fault)
	if fault != 0 {
		defer k.Release(fault)
		return nil, fmt.Errorf("SecKeyCreateSignature: %d", k.ErrorCode(fault))
	}
	return k.data(signature)
}

// each calls use with the items of a class in the machine's keychain, until it says
// that it wants no more.
func (k *Keychain) each(class string, use func(item uintptr) (more bool, err error)) error {
	query, err := k.query(class)
	if err != nil {
		return err
	}
	defer k.Release(query)
	var items uintptr
	switch status := k.ItemMatching(query, &items); status {
	case 0:
	case itemNotFound:
		return nil
	default:
		return fmt.Errorf("SecItemCopyMatching: %d", status)
	}
	defer k.Release(items)
	for i := range k.ArrayCount(items) {
		if more, err := use(k.ArrayValue(items, i)); err != nil || !more {
			return err
		}
	}
	return nil
}

// query asks for all items of a class in the machine's keychain, and in no other.
func (k *Keychain) query(class string) (uintptr, error) {
	var keychain uintptr
	if status := k.KeychainOpen(systemKeychain, &keychain); status != 0 {
		return 0, fmt.Errorf("SecKeychainOpen %s: %d", systemKeychain, status)
	}
	defer k.Release(keychain) // the array has it
	var names [7]uintptr
	for i, name := range []string{"kSecClass", class, "kSecReturnRef", "kCFBooleanTrue", "kSecMatchLimit", "kSecMatchLimitAll", "kSecMatchSearchList"} {
		var err error
		if names[i], err = constant(name); err != nil {
			return 0, err
		}
	}
	var callbacks [3]uintptr
	for i, name := range []string{"kCFTypeArrayCallBacks", "kCFTypeDictionaryKeyCallBacks", "kCFTypeDictionaryValueCallBacks"} {
		var err error
		if callbacks[i], err = framework(name); err != nil {
			return 0, err
		}
	}
	list := k.ArrayCreate(0, unsafe.Pointer(&keychain), 1, place(callbacks[0]))
	if list == 0 {
		return 0, errors.New("CFArrayCreate: no memory")
	}
	defer k.Release(list) // the query has it
	keys := [4]uintptr{names[0], names[2], names[4], names[6]}
	values := [4]uintptr{names[1], names[3], names[5], list}
	query := k.DictCreate(0, unsafe.Pointer(&keys), unsafe.Pointer(&values), int64(len(keys)), place(callbacks[1]), place(callbacks[2]))
	runtime.KeepAlive(&keys)
	runtime.KeepAlive(&values)
	if query == 0 {
		return 0, errors.New("CFDictionaryCreate: no memory")
	}
	return query, nil
}

// data copies a CFData, and releases it.
func (k *Keychain) data(data uintptr) ([]byte, error) {
	if data == 0 {
		return nil, errors.New("keychain: no data")
	}
	defer k.Release(data)
	n, bytes := k.DataLength(data), k.DataBytes(data)
	if n <= 0 || bytes == nil {
		return nil, errors.New("keychain: empty data")
	}
	return append([]byte(nil), unsafe.Slice((*byte)(bytes), n)...), nil
}
