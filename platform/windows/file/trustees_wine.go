//go:build windows && wine

package file

import "golang.org/x/sys/windows"

// theOneUser is the user that Wine has, in a build for tests under Wine: there,
// all files are that user's, and there is no other.
func theOneUser() []string {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil
	}
	return []string{user.User.Sid.String()}
}
