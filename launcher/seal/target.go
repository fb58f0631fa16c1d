package seal

import (
	"errors"
	"fmt"
	"strings"

	"kpm/core"
	"kpm/core/door"
	"kpm/launcher/refusal"
)

// target finds the account that a request names: "" for the administrator, "#uid", or a
// name. Digits without "#" are a name, as everywhere else. The uid is compared
// as text by the platform, which refuses -1 in every spelling (CVE-2019-14287).
func (s *Sealer) target(name string) (core.Account, error) {
	if name == "" {
		return s.Accounts.ByID(s.Facts.Administrator)
	}
	var account core.Account
	var err error
	if id, numeric := strings.CutPrefix(name, "#"); numeric {
		account, err = s.Accounts.ByID(core.UserID(id))
	} else {
		account, err = s.Accounts.ByName(name)
	}
	if err != nil && !errors.Is(err, core.ErrNoAccount) {
		return account, fmt.Errorf("target user %q: %w", name, err)
	}
	if err != nil {
		s.Log.Debug("target user", "name", name, "error", err)
		return account, refusal.New(door.CodeNotFound, "there is no user %q", name)
	}
	return account, nil
}
