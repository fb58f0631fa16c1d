package service

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core/wire"
	"kpm/jobs"
	"kpm/jobs/schedule"
	"kpm/jobs/task"
	"kpm/platform"
	"kpm/platform/files"
	"kpm/plugins"
	"kpm/plugins/keeperpolicy"
	"kpm/plugins/sdk"
	"kpm/plugins/sdk/sdktest"
	"kpm/settings"
	"kpm/trust/trusttest"
)

// Whatever an administrator writes is believed only if nobody else can have
// written it: each file that is read with the service's rights is refused once
// a user could change it.
func TestEveryReaderRefusesWhatAUserCanChange(t *testing.T) {
	anchor := string(trusttest.PEM(trusttest.New(t).Get(trusttest.Root).Certificate))
	for _, tc := range []struct {
		name, file, text string
		read             func(t *testing.T, s *service) error
	}{
		{"settings", "appsettings.json", "{}", func(t *testing.T, s *service) error {
			_, err := settings.LoadApp(s.layout.AppSettings(), s.host.Files.ReadProtected)
			return err
		}},
		{"a plugin", "Plugins/p.json", `{"id": "p", "pluginType": "Executable", "executablePath": "p", "supportedPlatforms": ["Linux"],
			"Subscription": {"Topic": "p"}, "metadata": {"mqttTopics": {"publish": [], "subscribe": []}}}`, readPlugin},
		{"a job", "Jobs/j.json", `{"id": "j", "name": "j", "enabled": true, "tasks": [{"id": "t", "command": "echo"}]}`, readJob},
		{"a policy", "Policies/a.json", "[]", readPolicies},
		{"a synced policy", "Policies/synced/a.json", "[]", readPolicies},
		{"collections", "Policies/collections.json", "{}", readPolicies},
		{"a certificate", "own.pem", anchor, func(t *testing.T, s *service) error {
			f, err := s.openProtected(s.inRoot("own.pem"))
			if err == nil {
				err = f.Close()
			}
			return err
		}},
		{"whom to trust", "ca.pem", anchor, func(t *testing.T, s *service) error {
			s.app.Trust.Roots = []string{"ca.pem"}
			_, err := s.app.Trust.Sources(s.layout.Root()).Read(s.readProtected)
			return err
		}},
	} {
		for what, spoil := range map[string]func(path string) error{
			"":                     func(string) error { return nil },
			"belongs to uid 4242":  func(path string) error { return os.Chown(path, 4242, 0) },
			"everyone can write":   func(path string) error { return os.Chmod(path, 0o666) },
			"group 4242 can write": func(path string) error { return errors.Join(os.Chown(path, 0, 4242), os.Chmod(path, 0o664)) },
			"has mode 0777":        func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) },
		} {
			t.Run(tc.name+" "+what, func(t *testing.T) {
				root := t.TempDir()
				s := &service{layout: settings.At(root, ""), app: settings.Default(), host: platform.Tools(root)}
				path := filepath.Join(root, tc.file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(tc.text), 0o644), spoil(path)); err != nil {
					t.Fatal(err)
				}
				err := tc.read(t, s)
				if what == "" && err != nil {
					t.Errorf("refused: %v", err)
				}
				if what != "" && (err == nil || !strings.Contains(err.Error(), what)) {
					t.Errorf("%v, expected a refusal that says %q", err, what)
				}
			})
		}
	}
}

func readPlugin(t *testing.T, s *service) error {
	list, err := plugins.New(plugins.Config{
		Layout: s.layout, Platform: s.host.Facts.Platform, Monitoring: s.app.Monitoring, Read: s.host.Files.ReadProtected,
		Effective: settings.NewEffective(s.layout), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return refusal(list.List()[0].Detail)
}

func readJob(t *testing.T, s *service) error {
	list := jobs.Prepare(jobs.Config{
		Layout: s.layout, Platform: s.host.Facts.Platform, Kinds: task.Bundled(task.Config{Layout: s.layout, Platform: s.host.Facts.Platform}),
		Read: s.host.Files.ReadProtected, Taken: func(string) bool { return false }, History: func() (jobs.History, error) { return nil, nil }, Clock: schedule.SystemClock(), Log: slog.New(slog.DiscardHandler),
	})
	if err := list.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	return refusal(list.List()[0].Detail)
}

func refusal(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}

// readPolicies runs the policy plugin and returns what it says of its files.
func readPolicies(t *testing.T, s *service) error {
	bus := sdktest.New(t)
	bus.Set(wire.PolicyPlugin, map[string]string{})
	log := bus.Listen(wire.TopicLogger)
	a, err := sdk.Start(t.Context(), sdk.Config{ID: wire.PolicyPlugin, Network: bus.Network()})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- keeperpolicy.Run(ctx, a, keeperpolicy.Config{
			Root: s.layout.Root(), Open: func(path string) (keeperpolicy.Folder, error) { return files.Open(s.layout.Root(), path) },
		})
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) { // it may still be subscribing
			t.Error(err)
		}
	}()
	var said []string
	for {
		envelope, err := bus.Next(log).Decode()
		if err != nil {
			t.Fatal(err)
		}
		var entry wire.LogEntry
		if err := envelope.Read(wire.TypeLog, &entry); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(entry.Message, "policies in force") {
			return nil
		}
		said = append(said, entry.Message)
		if strings.HasPrefix(entry.Message, "policies cannot be used") {
			return errors.New(strings.Join(said, "\n"))
		}
	}
}
