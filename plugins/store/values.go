package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/strictjson"
	"kpm/core/view"
	"kpm/settings"
)

// Limits of one setting, in bytes.
const (
	maxKey   = 256
	maxValue = 64 << 10
)

// Errors of putting settings.
var (
	ErrUnknown  = core.NewError(core.NotFound, "no such plugin")
	ErrFixed    = core.NewError(core.Conflict, "this cannot be put")
	ErrInvalid  = core.NewError(core.Invalid, "not a setting")
	ErrNotThere = core.NewError(core.Unavailable, "settings cannot be stored now")
)

// Sealer is the machine key. What is sealed under a name can be read under that
// name alone.
type Sealer interface {
	Seal(ctx context.Context, secret, name []byte) ([]byte, error)
	Unseal(ctx context.Context, sealed, name []byte) ([]byte, error)
}

// Config is what Values work with. All fields are required, but Store may be
// nil: then nothing can be put, and Broken says why.
type Config struct {
	Store     *Store
	Broken    error
	Effective *settings.Effective
	Sealer    Sealer
	// Secret reports whether a plugin's file calls a setting secret.
	Secret func(plugin, key string) bool
	// Fixed says why a setting cannot be put; empty if it can.
	Fixed func(plugin, key string) string
	// Check says what is wrong with a value, before it is stored.
	Check func(plugin, key, value string) error
	// Reread reads the plugin's file from the disk into Effective.
	Reread func(plugin string) error
	// Changed is told after values have changed, without them.
	Changed func(plugin string, keys []string)
	Log     *slog.Logger
}

// Values are the settings of all plugins, and change them. They are safe for
// concurrent use.
type Values struct {
	cfg Config
	mu  sync.Mutex // one change at a time
}

// New lays what is stored over the files. What cannot be unsealed is reported
// and left out.
func New(ctx context.Context, cfg Config) (*Values, error) {
	v := &Values{cfg: cfg}
	if cfg.Store == nil {
		return v, nil
	}
	list, err := cfg.Store.settings("")
	if err != nil {
		return nil, err
	}
	for _, one := range list {
		text := one.Text
		if one.Sealed {
			if text, err = cfg.Sealer.Unseal(ctx, one.Text, one.name()); err != nil {
				cfg.Log.Error("a secret setting cannot be read, put it again", "plugin", one.Plugin, "setting", one.Key, "error", err)
				continue
			}
		}
		cfg.Effective.Store(one.Plugin, one.Key, string(text))
	}
	return v, nil
}

// name is what a value is sealed for: one cannot be put in another's place.
func (v Value) name() []byte {
	return fmt.Appendf(nil, "setting %s/%s", strictjson.Fold(v.Plugin), strictjson.Fold(v.Key))
}

// All returns the effective settings of a plugin, secrets included.
func (v *Values) All(plugin string) (map[string]string, bool) { return v.cfg.Effective.All(plugin) }

// Secret reports whether a setting is for its plugin and administrators alone.
func (v *Values) Secret(plugin, key string) bool { return v.cfg.Secret(plugin, key) }

// Explain is All, and says where each value comes from.
func (v *Values) Explain(plugin string) (map[string]view.Setting, bool) {
	explained, ok := v.cfg.Effective.Explain(plugin)
	all := map[string]view.Setting{}
	for key, e := range explained {
		all[key] = view.Setting{Value: e.Value, Source: string(e.Origin), File: e.File}
	}
	if v.cfg.Store == nil {
		return all, ok
	}
	list, err := v.cfg.Store.settings(plugin)
	if err != nil {
		v.cfg.Log.Error("who has put which setting cannot be read", "plugin", plugin, "error", err)
	}
	for _, one := range list {
		for key, s := range all {
			if s.Source == string(settings.FromStore) && (strings.EqualFold(key, one.Key) || strings.EqualFold(key, v.cfg.Effective.Alias(plugin, one.Key))) {
				s.By, s.At = one.By, one.At
				all[key] = s
			}
		}
	}
	return all, ok
}

// Put stores one value. When it returns nil, the value is durable and in force.
func (v *Values) Put(ctx context.Context, by core.Principal, plugin, key, value string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.mayPut(plugin, key, value); err != nil {
		return err
	}
	one := Value{Plugin: plugin, Key: key, Text: []byte(value), By: by.String(), At: time.Now().UTC()}
	if v.cfg.Secret(plugin, key) {
		sealed, err := v.cfg.Sealer.Seal(ctx, one.Text, one.name())
		if err != nil {
			return core.WithKind(core.Unavailable, fmt.Errorf("the secret cannot be sealed: %w", err))
		}
		one.Text, one.Sealed = sealed, true
	}
	if err := v.cfg.Store.put(one, v.cfg.Effective.Alias(plugin, key)); err != nil {
		return err
	}
	v.cfg.Effective.Store(plugin, key, value)
	v.cfg.Log.Info("setting put", "plugin", plugin, "setting", key, "by", one.By)
	v.cfg.Changed(plugin, []string{key})
	return nil
}

func (v *Values) mayPut(plugin, key, value string) error {
	if _, known := v.cfg.Effective.All(plugin); !known {
		return ErrUnknown
	}
	switch {
	case len(key) == 0 || len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r == '/' || r == 0x7f }):
		return core.Worded(ErrInvalid, fmt.Sprintf("a setting's name has 1 to %d bytes, without spaces and slashes", maxKey))
	case len(value) > maxValue:
		return core.Worded(ErrInvalid, fmt.Sprintf("the value has %d bytes, expected at most %d", len(value), maxValue))
	}
	if why := v.cfg.Fixed(plugin, key); why != "" {
		return core.Worded(ErrFixed, why)
	}
	if err := v.cfg.Check(plugin, key, value); err != nil {
		return core.WithKind(core.Invalid, err)
	}
	if v.cfg.Store == nil {
		return core.Worded(ErrNotThere, "settings cannot be stored: "+v.cfg.Broken.Error())
	}
	return nil
}

// Revert forgets what is stored of a plugin and reads its file again. It returns
// the names of what was stored.
func (v *Values) Revert(by core.Principal, plugin string) ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, known := v.cfg.Effective.All(plugin); !known {
		return nil, ErrUnknown
	}
	return v.revert(by, plugin)
}

func (v *Values) revert(by core.Principal, plugin string) ([]string, error) {
	if v.cfg.Store == nil {
		return nil, core.Worded(ErrNotThere, "nothing can be reverted: "+v.cfg.Broken.Error())
	}
	before, _ := v.cfg.Effective.All(plugin)
	list, err := v.cfg.Store.settings(plugin)
	if err == nil {
		err = v.cfg.Store.forget(plugin)
	}
	if err != nil {
		return nil, err
	}
	v.cfg.Effective.Unstore(plugin)
	if err := v.cfg.Reread(plugin); err != nil {
		return nil, core.WithKind(core.Conflict, fmt.Errorf("nothing is stored any more, and the file cannot be used: %w", err))
	}
	keys := []string{}
	for _, one := range list {
		keys = append(keys, one.Key)
	}
	slices.SortFunc(keys, cmp.Compare)
	v.cfg.Log.Info("settings reverted", "plugin", plugin, "settings", keys, "by", by.String())
	after, _ := v.cfg.Effective.All(plugin)
	if changed := differ(before, after); len(changed) > 0 {
		v.cfg.Changed(plugin, changed)
	}
	return keys, nil
}

// RevertAll is Revert for every plugin that anything is stored of, also for one
// whose file is gone. It goes on after a failure, and returns all of them.
func (v *Values) RevertAll(by core.Principal) (map[string][]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cfg.Store == nil {
		return nil, core.Worded(ErrNotThere, "nothing can be reverted: "+v.cfg.Broken.Error())
	}
	list, err := v.cfg.Store.settings("")
	if err != nil {
		return nil, err
	}
	reverted := map[string][]string{}
	seen := map[string]bool{}
	var failed []error
	for _, one := range list {
		if seen[strictjson.Fold(one.Plugin)] {
			continue
		}
		seen[strictjson.Fold(one.Plugin)] = true
		if reverted[one.Plugin], err = v.revert(by, one.Plugin); err != nil {
			failed = append(failed, err)
		}
	}
	return reverted, errors.Join(failed...)
}

// differ returns the keys whose value is not the same, in order.
func differ(a, b map[string]string) []string {
	keys := map[string]bool{}
	for _, pair := range [][2]map[string]string{{a, b}, {b, a}} {
		for key, value := range pair[0] {
			if other, ok := pair[1][key]; !ok || other != value {
				keys[key] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(keys))
}
