//go:build windows

package windows

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"
)

// profileInfo is PROFILEINFOW.
type profileInfo struct {
	size, flags                      uint32
	user, path, fallback, server, ps *uint16
	profile                          windows.Handle
}

// noQuestions is PI_NOUI: nobody is told of a profile that cannot be had whole.
const noQuestions = 1

// loadProfile loads the profile of a user whom nobody else has logged on, and makes
// one if there is none yet: without it, a program has another user's part of the
// registry, and no folders (learn.microsoft.com, "LoadUserProfileW"). unload ends it,
// once nothing runs any more.
func loadProfile(primary windows.Token, name string) (unload func() error, err error) {
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	info := profileInfo{flags: noQuestions, user: wide}
	info.size = uint32(unsafe.Sizeof(info))
	userenv := windows.NewLazySystemDLL("userenv.dll")
	ok, _, err := userenv.NewProc("LoadUserProfileW").Call(uintptr(primary), uintptr(unsafe.Pointer(&info)))
	runtime.KeepAlive(wide)
	if ok == 0 {
		return nil, fmt.Errorf("load the profile of %s: %w", name, explain(err))
	}
	// Its own token: the one that it was loaded for goes with the launch.
	var own windows.Token
	if err := windows.DuplicateTokenEx(primary, windows.TOKEN_QUERY|windows.TOKEN_IMPERSONATE|windows.TOKEN_DUPLICATE, nil, windows.SecurityImpersonation, windows.TokenPrimary, &own); err != nil {
		userenv.NewProc("UnloadUserProfile").Call(uintptr(primary), uintptr(info.profile))
		return nil, fmt.Errorf("profile of %s: %w", name, err)
	}
	return func() error {
		defer own.Close()
		if info.profile == 0 {
			return nil
		}
		if ok, _, err := userenv.NewProc("UnloadUserProfile").Call(uintptr(own), uintptr(info.profile)); ok == 0 {
			return fmt.Errorf("unload the profile of %s: %w", name, err)
		}
		return nil
	}, nil
}
