//go:build windows

package dacl

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Of reads the list of what is behind a handle, which was opened with READ_CONTROL
// (learn.microsoft.com, "GetKernelObjectSecurity"). GetSecurityInfo would guess which
// entries of an old list are inherited.
func Of(handle windows.Handle) (List, error) {
	proc := windows.NewLazySystemDLL("advapi32.dll").NewProc("GetKernelObjectSecurity")
	data := make([]byte, 4096)
	for {
		var size uint32
		ok, _, err := proc.Call(uintptr(handle), windows.DACL_SECURITY_INFORMATION, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), uintptr(unsafe.Pointer(&size)))
		if ok != 0 {
			return Decode(data[:min(int(size), len(data))])
		}
		if err != windows.ERROR_INSUFFICIENT_BUFFER || int(size) <= len(data) {
			return List{}, fmt.Errorf("GetKernelObjectSecurity: %w", err)
		}
		data = make([]byte, size)
	}
}

// Set sets it; the handle has WRITE_DAC as well (learn.microsoft.com,
// "SetKernelObjectSecurity"). SetSecurityInfo would bring in what a folder has by now,
// and what is given back would not be what was taken.
func (l List) Set(handle windows.Handle) error {
	told, err := l.ToSet()
	if err != nil {
		return err
	}
	if err := windows.SetKernelObjectSecurity(handle, windows.DACL_SECURITY_INFORMATION, (*windows.SECURITY_DESCRIPTOR)(unsafe.Pointer(&told[0]))); err != nil {
		return fmt.Errorf("SetKernelObjectSecurity: %w", err)
	}
	return nil
}
