package launcher

import (
	"strings"

	"kpm/core"
	"kpm/core/door"
)

// target finds the account that a request names: "" for the administrator, "#uid", or a
// name. Digits without "#" are a name, as everywhere else. The uid is compared
// as text by the platform, which refuses -1 in every spelling (CVE-2019-14287).
func (l *Launcher) target(name string) (core.Account, error) {
	if name == "" {
		return l.cfg.Accounts.ByID(l.cfg.Facts.Administrator)
	}
	var account core.Account
	var err error
	if id, numeric := strings.CutPrefix(name, "#"); numeric {
		account, err = l.cfg.Accounts.ByID(core.UserID(id))
	} else {
		account, err = l.cfg.Accounts.ByName(name)
	}
	if err != nil {
		l.cfg.Log.Debug("target user", "name", name, "error", err)
		return account, refuse(door.CodeNotFound, "there is no user %q", name)
	}
	return account, nil
}
