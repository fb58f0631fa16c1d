package libsystem

import "unsafe"

// Keychain are the functions of the system's keychain. What they hand out and take is
// a number to us (CFTypeRef), and not memory; who is given one by a function with Copy
// or Create in its name releases it.
type Keychain struct {
	ArrayCount  func(array uintptr) int64
	ArrayCreate func(allocator uintptr, values unsafe.Pointer, count int64, callbacks unsafe.Pointer) uintptr
	ArrayValue  func(array uintptr, index int64) uintptr
	DataBytes   func(data uintptr) unsafe.Pointer
	DataCreate  func(allocator uintptr, bytes unsafe.Pointer, length int64) uintptr
	DataLength  func(data uintptr) int64
	DictCreate  func(allocator uintptr, keys, values unsafe.Pointer, count int64, keyCallbacks, valueCallbacks unsafe.Pointer) uintptr
	ErrorCode   func(err uintptr) int64
	Release     func(ref uintptr)

	CertificateData     func(certificate uintptr) uintptr
	IdentityCertificate func(identity uintptr, certificate *uintptr) int32
	IdentityKey         func(identity uintptr, key *uintptr) int32
	ItemMatching        func(query uintptr, result *uintptr) int32
	KeySign             func(key, algorithm, data uintptr, err *uintptr) uintptr
	KeychainOpen        func(path string, keychain *uintptr) int32
	KeychainSilent      func(allowed uint8) int32
}

// Functions returns the rows of all fields of k.
func (k *Keychain) Functions() []Function {
	return []Function{
		{Prototype: "CFIndex CFArrayGetCount(CFArrayRef theArray)", Header: "CoreFoundation/CFArray.h", Field: &k.ArrayCount},
		{Prototype: "CFArrayRef CFArrayCreate(CFAllocatorRef allocator, const void **values, CFIndex numValues, const CFArrayCallBacks *callBacks)", Header: "CoreFoundation/CFArray.h", Field: &k.ArrayCreate},
		{Prototype: "CFTypeRef CFArrayGetValueAtIndex(CFArrayRef theArray, CFIndex idx)", Header: "CoreFoundation/CFArray.h, const void *", Field: &k.ArrayValue},
		{Prototype: "const UInt8 *CFDataGetBytePtr(CFDataRef theData)", Header: "CoreFoundation/CFData.h", Field: &k.DataBytes},
		{Prototype: "CFDataRef CFDataCreate(CFAllocatorRef allocator, const UInt8 *bytes, CFIndex length)", Header: "CoreFoundation/CFData.h", Field: &k.DataCreate},
		{Prototype: "CFIndex CFDataGetLength(CFDataRef theData)", Header: "CoreFoundation/CFData.h", Field: &k.DataLength},
		{Prototype: "CFDictionaryRef CFDictionaryCreate(CFAllocatorRef allocator, const void **keys, const void **values, CFIndex numValues, const CFDictionaryKeyCallBacks *keyCallBacks, const CFDictionaryValueCallBacks *valueCallBacks)", Header: "CoreFoundation/CFDictionary.h", Field: &k.DictCreate},
		{Prototype: "CFIndex CFErrorGetCode(CFErrorRef err)", Header: "CoreFoundation/CFError.h", Field: &k.ErrorCode},
		{Prototype: "void CFRelease(CFTypeRef cf)", Header: "CoreFoundation/CFBase.h", Field: &k.Release},

		{Prototype: "CFDataRef SecCertificateCopyData(SecCertificateRef certificate)", Header: "Security/SecCertificate.h", Field: &k.CertificateData},
		{Prototype: "OSStatus SecIdentityCopyCertificate(SecIdentityRef identityRef, SecCertificateRef *certificateRef)", Header: "Security/SecIdentity.h", Field: &k.IdentityCertificate},
		{Prototype: "OSStatus SecIdentityCopyPrivateKey(SecIdentityRef identityRef, SecKeyRef *privateKeyRef)", Header: "Security/SecIdentity.h", Field: &k.IdentityKey},
		{Prototype: "OSStatus SecItemCopyMatching(CFDictionaryRef query, CFTypeRef *result)", Header: "Security/SecItem.h", Field: &k.ItemMatching},
		{Prototype: "CFDataRef SecKeyCreateSignature(SecKeyRef key, SecKeyAlgorithm algorithm, CFDataRef dataToSign, CFErrorRef *error)", Header: "Security/SecKey.h", Field: &k.KeySign},
		{Prototype: "OSStatus SecKeychainOpen(const char *pathName, SecKeychainRef *keychain)", Header: "Security/SecKeychain.h", Field: &k.KeychainOpen},
		{Prototype: "OSStatus SecKeychainSetUserInteractionAllowed(Boolean state)", Header: "Security/SecKeychain.h", Field: &k.KeychainSilent},
	}
}
