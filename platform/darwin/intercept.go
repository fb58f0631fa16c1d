//go:build darwin

package darwin

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"kpm/core/port"
	"kpm/platform/unix/redirect"
)

// Interception has plain "sudo" lead to keepersudo (package redirect). macOS has other
// ways that could be put under policy, and none that this program enables by itself
// (docs/launcher-macos.md, "Ways to become an administrator").
type Interception struct {
	// AgentRoot is where keepersudo is.
	AgentRoot string
}

var _ port.Interception = Interception{}

// remedies say of other ways what an administrator can do.
var remedies = map[string]string{
	"exec": "programs can be stopped before they run by an Endpoint Security client only, which needs an entitlement of Apple's",
	"uac":  "macOS has authorization rights instead; \"security authorizationdb\" shows and changes who may have one",
}

// Enable implements port.Interception.
func (i Interception) Enable(_ context.Context, way string) error {
	sudo, err := i.sudo(way)
	if err != nil {
		return err
	}
	return sudo.Enable()
}

// Disable implements port.Interception.
func (i Interception) Disable(_ context.Context, way string) error {
	sudo, err := i.sudo(way)
	if err != nil {
		return err
	}
	return sudo.Disable()
}

func (i Interception) sudo(way string) (redirect.Sudo, error) {
	if way != "sudo" {
		remedy, ok := remedies[way]
		if !ok {
			remedy = "there is no such way on macOS"
		}
		return redirect.Sudo{}, fmt.Errorf("interception of %q: %s: %w", way, remedy, errors.ErrUnsupported)
	}
	safe := func(program string) error {
		_, err := checkHelper(program, i.AgentRoot)
		return err
	}
	return redirect.Sudo{Program: filepath.Join(i.AgentRoot, "keepersudo"), Dir: redirect.Directory, Safe: safe}, nil
}
