//go:build darwin

package darwin

import (
	"context"
	"errors"
	"fmt"

	"kpm/core/port"
)

// Interception implements port.Interception: macOS has ways that could be put under
// policy, and none that this program enables by itself (docs/launcher-macos.md,
// "Ways to become an administrator").
type Interception struct{}

var _ port.Interception = Interception{}

// remedies say of each way what an administrator can do.
var remedies = map[string]string{
	"sudo": "the sudo of macOS takes a policy plug-in or a PAM module, which are C libraries; give people no sudo rights, and keepersudo instead",
	"exec": "programs can be stopped before they run by an Endpoint Security client only, which needs an entitlement of Apple's",
	"uac":  "macOS has authorization rights instead; \"security authorizationdb\" shows and changes who may have one",
}

// Enable implements port.Interception.
func (Interception) Enable(_ context.Context, way string) error { return unavailable(way) }

// Disable implements port.Interception: nothing was enabled.
func (Interception) Disable(_ context.Context, way string) error { return unavailable(way) }

func unavailable(way string) error {
	remedy, ok := remedies[way]
	if !ok {
		remedy = "there is no such way on macOS"
	}
	return fmt.Errorf("interception of %q: %s: %w", way, remedy, errors.ErrUnsupported)
}
