//go:build linux

package caller

import (
	"testing"

	"kpm/settings"
)

// keepersudo looks for the agent where the service is by default; it may not
// link what says so.
func TestDefaultRoot(t *testing.T) {
	if defaultRoot != settings.DefaultRoot() {
		t.Errorf("%s, the service's is %s", defaultRoot, settings.DefaultRoot())
	}
}
