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
