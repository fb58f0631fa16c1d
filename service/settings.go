package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"kpm/api"
	"kpm/core"
	"kpm/core/signal"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/plugins/store"
	"kpm/settings"
	"kpm/trust/identity"
)

// startSettings reads what was stored, lays it over the files and puts in force
// what of it is the service's own. A file that cannot be opened keeps nobody from
// reading settings: nothing can be stored then.
func (s *service) startSettings(ctx context.Context, _ Options) error {
	log := s.log.With("component", "settings")
	kept, broken := s.ahead.kept.take()
	if s.kept = kept; broken != nil {
		log.Error("stored settings are not in force, and none can be stored", "error", broken)
	}
	s.effective.SetService(s.fromFile, s.layout.AppSettings())
	var err error
	s.values, err = store.New(ctx, store.Config{
		Store: kept, Broken: broken, Effective: s.effective, Sealer: sealer{s},
		Secret: s.plugins.Secret, Fixed: s.fixedSetting, Check: s.checkSetting,
		Reread: s.rereadSettings, Changed: s.settingsChanged, Log: log,
	})
	if err != nil {
		return err
	}
	s.applyStored()
	return nil
}

// fixedSetting says why a setting cannot be put.
func (s *service) fixedSetting(plugin, key string) string {
	if isAgentWide(plugin) {
		return settings.FixedLive(key)
	}
	return s.plugins.FixedSetting(key)
}

// checkSetting says what is wrong with a value for a setting of the service's own.
func (s *service) checkSetting(plugin, key, value string) error {
	if !isAgentWide(plugin) {
		return nil
	}
	_, err := s.fromFile.With(map[string]string{key: value})
	return err
}

func isAgentWide(plugin string) bool { return core.ReservedName(plugin) }

// rereadSettings reads a plugin's file again, and appsettings.json for the
// service's own settings.
func (s *service) rereadSettings(plugin string) error {
	if isAgentWide(plugin) {
		_, _, err := s.reloadSettings()
		if err != nil {
			s.log.Error("reload: settings are as before", "error", err)
		}
		return err
	}
	path := filepath.Join(s.layout.Plugins(), s.plugins.FileID(plugin)+".json")
	doc, err := settings.ReadDocument(path, settings.MaxPluginFile, s.host.Files.ReadProtected)
	if errors.Is(err, fs.ErrNotExist) {
		s.effective.Remove(plugin)
		return nil
	}
	if err != nil {
		return err
	}
	return s.effective.Put(plugin, doc)
}

// settingsChanged puts in force what the service itself uses, and tells the
// plugin. A message that it has not declared reaches nobody.
func (s *service) settingsChanged(plugin string, keys []string) {
	if isAgentWide(plugin) {
		s.settings.Lock()
		s.applyStored()
		s.settings.Unlock()
	}
	topic := wire.TopicSettings + "/" + plugin
	payload := wire.SettingsChanged{Plugin: plugin, Settings: keys}
	if err := s.publish(context.Background(), topic, wire.TypeSettings, payload, ""); err != nil {
		s.log.Warn("a plugin was not told of its settings", "plugin", plugin, "error", err)
	}
	if plugin == wire.PolicyPlugin {
		if err := s.plugins.Signal(plugin, signal.Hangup); err != nil {
			s.log.Warn("a plugin was not told of its settings", "plugin", plugin, "error", err)
		}
	}
}

// applyStored puts in force the service's own live settings: what is stored over
// what appsettings.json says. The caller holds settings, or nobody else has s yet.
func (s *service) applyStored() (changed, waiting []string) {
	stored := map[string]string{}
	explained, _ := s.effective.Explain(settings.AgentWide)
	for key, e := range explained {
		if e.Origin == settings.FromStore {
			stored[key] = e.Value
		}
	}
	wanted, err := s.fromFile.With(stored)
	if err != nil { // allowed when it was stored, by an earlier release
		s.log.Error("a stored setting of the service is not in force", "error", err)
		wanted = s.fromFile
	}
	s.inForce, changed, waiting = s.inForce.Reload(wanted)
	s.level.Set(s.inForce.LogLevel)
	s.plugins.SetMonitoring(s.inForce.Monitoring)
	s.launcher.SetTimes(s.inForce.Requests.Evaluate, s.inForce.Requests.Prompt, s.inForce.Requests.Launch)
	s.switchExecutions()
	return changed, waiting
}

// sealer seals under the machine key, which is opened each time: trust rotate may
// have replaced it.
type sealer struct{ *service }

var _ store.Sealer = sealer{}

func (s sealer) Seal(ctx context.Context, secret, name []byte) (sealed []byte, err error) {
	err = s.withIdentity(ctx, func(key *identity.Identity) error {
		sealed, err = key.Seal(ctx, secret, name)
		return err
	})
	return sealed, err
}

func (s sealer) Unseal(ctx context.Context, sealed, name []byte) (secret []byte, err error) {
	err = s.withIdentity(ctx, func(key *identity.Identity) error {
		secret, err = key.Unseal(ctx, sealed, name)
		return err
	})
	return secret, err
}

// application is appsettings.json for the API.
type application struct{ *service }

var _ api.Application = application{}

// Sections implements api.Application.
func (a application) Sections() map[string]map[string]json.RawMessage {
	a.settings.Lock()
	defer a.settings.Unlock()
	return a.fromFile.Sections()
}

// Reload implements api.Application.
func (a application) Reload(ctx context.Context) view.Reloaded { return a.reload(ctx) }

// ReloadPolicies implements api.Application.
func (a application) ReloadPolicies(ctx context.Context) view.Reloaded {
	return a.reloadOnlyPolicies(ctx)
}

// errSettingsFile means that the file that is there cannot be used.
var errSettingsFile = core.NewError(core.Conflict, "appsettings.json cannot be used as it is; correct it first")

// Change implements api.Application.
func (a application) Change(_ context.Context, by core.Principal, body []byte) (view.ApplicationSettingsPut, error) {
	a.settings.Lock()
	defer a.settings.Unlock()
	none := view.ApplicationSettingsPut{}
	changes, err := settings.ParseDocument("", body)
	if err != nil {
		return none, err
	}
	path := a.layout.AppSettings()
	before, err := a.host.Files.ReadProtected(path, settings.MaxAppSettings)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return none, fmt.Errorf("%w: %w", errSettingsFile, err)
	}
	held, err := settings.LoadApp(path, a.host.Files.ReadProtected)
	if err != nil {
		return none, core.WithKind(core.Conflict, errors.New(errSettingsFile.Error()+": "+err.Error()))
	}
	text, err := held.Edit(before, changes)
	if err != nil {
		return none, err
	}
	doc, err := settings.ParseDocument("", text)
	if err != nil {
		return none, err
	}
	after, err := settings.ParseApp(doc)
	if err != nil {
		return none, err // of what was asked for: what was there is sound
	}
	if err := a.host.Files.WriteAtomic(path, text, 0o644); err != nil {
		return none, fmt.Errorf("application settings: %w", err)
	}
	a.log.Warn("application settings changed", "by", by.String())
	a.fromFile = after
	a.effective.SetService(after, path)
	changed, waiting := a.applyStored()
	return view.ApplicationSettingsPut{Changed: slices.Concat([]string{}, changed), RestartRequired: slices.Concat([]string{}, waiting)}, nil
}
