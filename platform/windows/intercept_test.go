//go:build windows

package windows

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/windows/registry"
)

// scratch is a place in the registry that ends with the test.
func scratch(t *testing.T) registry.Key {
	t.Helper()
	const path = `SOFTWARE\kpm-test`
	key, _, err := registry.CreateKey(registry.CURRENT_USER, path, registry.ALL_ACCESS)
	must(t, err)
	t.Cleanup(func() {
		for _, below := range []string{
			keptKey, ownKey, uacKey, `SOFTWARE\Microsoft\Windows\CurrentVersion\Policies`,
			`SOFTWARE\Microsoft\Windows\CurrentVersion`, `SOFTWARE\Microsoft\Windows`, `SOFTWARE\Microsoft`, `SOFTWARE`,
		} {
			if err := registry.DeleteKey(key, below); err != nil && !errors.Is(err, registry.ErrNotExist) {
				t.Errorf("%s: %v", below, err)
			}
		}
		must(t, key.Close())
		must(t, registry.DeleteKey(registry.CURRENT_USER, path))
	})
	return key
}

// What the policy was is what it is again, whatever it was, and however often it was
// turned on.
func TestInterceptionOfUAC(t *testing.T) {
	for name, before := range map[string]int{"not set": -1, "credentials": 3, "on the secure desktop": 1, "denied already": 0} {
		t.Run(name, func(t *testing.T) {
			i := Interception{root: scratch(t)}
			policy, err := i.open(uacKey)
			must(t, err)
			defer policy.Close()
			if before >= 0 {
				must(t, policy.SetDWordValue(uacUsers, uint32(before)))
			}
			is := func() int {
				value, _, err := policy.GetIntegerValue(uacUsers)
				if errors.Is(err, registry.ErrNotExist) {
					return -1
				}
				must(t, err)
				return int(value)
			}
			must(t, i.Disable(t.Context(), "uac")) // it was not on
			if is() != before {
				t.Fatalf("what was not on changed it to %d", is())
			}
			for range 2 {
				must(t, i.Enable(t.Context(), "uac"))
				if is() != uacDeny {
					t.Fatalf("on: it is %d", is())
				}
			}
			for range 2 {
				must(t, i.Disable(t.Context(), "uac"))
				if is() != before {
					t.Fatalf("off: it is %d, expected %d", is(), before)
				}
			}
			if k, err := registry.OpenKey(i.root, ownKey, registry.QUERY_VALUE); err == nil {
				k.Close()
				t.Error("there is something left of it in the registry")
			}
			// An administrator has changed it meanwhile.
			must(t, i.Enable(t.Context(), "uac"))
			must(t, policy.SetDWordValue(uacUsers, 1))
			must(t, i.Disable(t.Context(), "uac"))
			if is() != 1 {
				t.Errorf("what somebody else has set became %d", is())
			}
		})
	}
}

func TestInterceptionThatThereIsNot(t *testing.T) {
	i := Interception{root: scratch(t)}
	for way, says := range map[string]string{"sudo": "uac", "exec": "AppLocker", "": "there is uac", "UAC": "there is uac"} {
		for _, do := range []error{i.Enable(t.Context(), way), i.Disable(t.Context(), way)} {
			if !errors.Is(do, errors.ErrUnsupported) || !strings.Contains(do.Error(), says) {
				t.Errorf("%q: %v", way, do)
			}
		}
	}
	policy, err := i.open(uacKey)
	must(t, err)
	defer policy.Close()
	must(t, policy.SetDWordValue(uacOn, 0))
	if err := i.Enable(t.Context(), "uac"); !errors.Is(err, ErrUACOff) {
		t.Errorf("without User Account Control: %v", err)
	}
}
