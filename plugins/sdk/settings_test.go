package sdk_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/plugins/sdk"
	"kpm/plugins/sdk/sdktest"
)

func TestSettings(t *testing.T) {
	bus := sdktest.New(t)
	want := map[string]string{"log.retention.days": "15", "list": `["ä"]`}
	bus.Set("MyBridge", want)
	bus.Environment()
	a, err := sdk.Start(t.Context(), sdk.Config{ID: "MyBridge"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	got, err := a.Settings(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := sdk.Settings(t.Context(), sdk.Local(), "Nobody"); !errors.Is(err, sdk.ErrSettings) ||
		!strings.Contains(err.Error(), "404 Unknown plugin There is no plugin of that name.") {
		t.Errorf("unknown plugin: %v", err)
	}
	if _, err := sdk.Settings(t.Context(), sdk.Local(), "../System"); !errors.Is(err, sdk.ErrSettings) {
		t.Errorf("a name that is a path: %v", err)
	}
}

// The first call has what was asked for while the plugin was being connected, and each
// other asks anew, as does the first if there was no answer.
func TestSettingsThatAreAskedForAtFirst(t *testing.T) {
	bus := sdktest.New(t)
	bus.Environment()
	for name, set := range map[string]bool{"MyBridge": true, "Late": false} {
		if set {
			bus.Set(name, map[string]string{"a": "b"})
		}
		a, err := sdk.Start(t.Context(), sdk.Config{ID: name, AskSettings: true})
		if err != nil {
			t.Fatal(err)
		}
		if !set {
			if _, err := a.Settings(t.Context()); !errors.Is(err, sdk.ErrSettings) {
				t.Errorf("%s: %v, though nobody knows it", name, err)
			}
			bus.Set(name, map[string]string{"a": "b"})
		}
		if got, err := a.Settings(t.Context()); err != nil || got["a"] != "b" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		bus.Set(name, map[string]string{"a": "c"})
		if got, err := a.Settings(t.Context()); err != nil || got["a"] != "c" {
			t.Errorf("%s: later %v, %v", name, got, err)
		}
		a.Close()
	}
	// Whoever does not ask leaves nothing behind, and neither does a start that fails.
	if a, err := sdk.Start(t.Context(), sdk.Config{ID: "MyBridge", AskSettings: true}); err != nil {
		t.Error(err)
	} else {
		a.Close()
	}
	bus.Stop()
	if _, err := sdk.Start(t.Context(), sdk.Config{ID: "MyBridge", AskSettings: true, GiveUp: 1}); err == nil {
		t.Error("nobody is there")
	}
}

// Agent roots may be deep; the address of a socket may not.
func TestLongSocketPaths(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set("MyBridge", map[string]string{"a": "b"})
	deep := bus.Linked(strings.Repeat("deep/", 30))
	for name, value := range deep {
		t.Setenv(name, value)
	}
	a, err := sdk.Start(t.Context(), sdk.Config{ID: "MyBridge"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got, err := a.Settings(t.Context()); err != nil || got["a"] != "b" {
		t.Errorf("got %v, %v", got, err)
	}
}
