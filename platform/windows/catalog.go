//go:build windows

package windows

import (
	"encoding/hex"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// catalogs are the functions of wintrust.dll that find the catalog which lists
// a file (learn.microsoft.com, mscat.h). x/sys does not have them.
type catalogs struct {
	acquire, release, calculate, enumerate, info, releaseCatalog *windows.LazyProc
}

func newCatalogs() catalogs {
	dll := windows.NewLazySystemDLL("wintrust.dll")
	return catalogs{
		acquire:        dll.NewProc("CryptCATAdminAcquireContext2"),
		release:        dll.NewProc("CryptCATAdminReleaseContext"),
		calculate:      dll.NewProc("CryptCATAdminCalcHashFromFileHandle2"),
		enumerate:      dll.NewProc("CryptCATAdminEnumCatalogFromHash"),
		info:           dll.NewProc("CryptCATCatalogInfoFromContext"),
		releaseCatalog: dll.NewProc("CryptCATAdminReleaseCatalogContext"),
	}
}

func (c catalogs) available() bool {
	for _, proc := range []*windows.LazyProc{c.acquire, c.release, c.calculate, c.enumerate, c.info, c.releaseCatalog} {
		if proc.Find() != nil {
			return false
		}
	}
	return true
}

// catalogInfo is CATALOG_INFO, trustCatalog WINTRUST_CATALOG_INFO.
type (
	catalogInfo struct {
		size uint32
		file [windows.MAX_PATH]uint16
	}
	trustCatalog struct {
		size, version                uint32
		catalog, memberTag, memberAt *uint16
		member                       windows.Handle
		hash                         *byte
		hashSize                     uint32
		context                      uintptr
		admin                        windows.Handle
	}
)

// verifyCatalog judges the signature of the catalog that lists the file's
// digest; false if none does.
func verifyCatalog(handle windows.Handle, path *uint16) (syscall.Errno, bool) {
	c := newCatalogs()
	if !c.available() {
		return 0, false
	}
	algorithm, err := windows.UTF16PtrFromString("SHA256")
	if err != nil {
		return 0, false
	}
	var admin windows.Handle
	if ok, _, _ := c.acquire.Call(uintptr(unsafe.Pointer(&admin)), 0, uintptr(unsafe.Pointer(algorithm)), 0, 0); ok == 0 {
		return 0, false
	}
	defer c.release.Call(uintptr(admin), 0)
	hash := make([]byte, 64)
	size := uint32(len(hash))
	ok, _, _ := c.calculate.Call(uintptr(admin), uintptr(handle), uintptr(unsafe.Pointer(&size)), uintptr(unsafe.Pointer(&hash[0])), 0)
	if ok == 0 || size == 0 || int(size) > len(hash) {
		return 0, false
	}
	hash = hash[:size]
	found, _, _ := c.enumerate.Call(uintptr(admin), uintptr(unsafe.Pointer(&hash[0])), uintptr(size), 0, 0)
	if found == 0 {
		return 0, false
	}
	defer c.releaseCatalog.Call(uintptr(admin), found, 0)
	var where catalogInfo
	where.size = uint32(unsafe.Sizeof(where))
	if ok, _, _ := c.info.Call(found, uintptr(unsafe.Pointer(&where)), 0); ok == 0 {
		return syscall.Errno(windows.TRUST_E_FAIL), true
	}
	// Members go by the digest in upper-case hex.
	tag, err := windows.UTF16PtrFromString(strings.ToUpper(hex.EncodeToString(hash)))
	if err != nil {
		return syscall.Errno(windows.TRUST_E_FAIL), true
	}
	subject := &trustCatalog{
		catalog: &where.file[0], memberTag: tag, memberAt: path, member: handle,
		hash: &hash[0], hashSize: size, admin: admin,
	}
	subject.size = uint32(unsafe.Sizeof(*subject))
	return verify(windows.WTD_CHOICE_CATALOG, unsafe.Pointer(subject)), true
}
