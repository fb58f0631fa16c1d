package admincli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"kpm/core/port"
	"kpm/settings"
	"kpm/trust/identity"
)

// machineKey is the machine key of an agent root, and what writes files there.
type machineKey struct {
	identity.Config
	files port.Files
}

// machineKey finds the machine key that the service of the agent root has.
func (a *agent) machineKey() (machineKey, error) {
	layout, err := a.layout()
	if err != nil {
		return machineKey{}, err
	}
	host := a.Host(layout.Root())
	files := host.Files
	app, err := settings.LoadApp(layout.AppSettings(), files.ReadProtected)
	if err != nil {
		return machineKey{}, err
	}
	return machineKey{identity.Config{
		Dir: layout.Identity(), Keys: host.Keys, Device: app.TPMDevice, Store: app.KeyStore,
		WriteAtomic: files.WriteAtomic, Lock: files.Lock, Private: files.Private,
	}, files}, nil
}

// prepare makes the directory that the service would make at its first start: a
// machine can be enrolled before that.
func (k machineKey) prepare() error {
	if err := os.Mkdir(filepath.Dir(k.Dir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// with opens the machine key for do.
func (k machineKey) with(ctx context.Context, do func(*identity.Identity) error) error {
	if err := k.prepare(); err != nil {
		return err
	}
	i, err := identity.Open(ctx, k.Config)
	if err != nil {
		return err
	}
	err = do(i)
	if closeErr := i.Close(); err == nil {
		err = closeErr
	}
	return err
}
