package none

import (
	"errors"

	"kpm/core"
	"kpm/core/port"
)

// AccessLists implements port.AccessLists.
type AccessLists struct{}

var _ port.AccessLists = AccessLists{}

// Open implements port.AccessLists.
func (AccessLists) Open(string) (port.AccessFile, error) { return nil, errors.ErrUnsupported }

// Reopen implements port.AccessLists.
func (AccessLists) Reopen(core.FileRef) (port.AccessFile, error) { return nil, errors.ErrUnsupported }

// Below implements port.AccessLists.
func (AccessLists) Below(string, int) ([]string, error) { return nil, errors.ErrUnsupported }

// With implements port.AccessLists.
func (AccessLists) With([]byte, core.UserID, core.Access) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// Without implements port.AccessLists.
func (AccessLists) Without([]byte, []byte, core.UserID) ([]byte, error) {
	return nil, errors.ErrUnsupported
}

// People implements port.AccessLists.
func (AccessLists) People() ([]core.Account, error) { return nil, errors.ErrUnsupported }
