//go:build linux

package linux

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"kpm/platform/conformance"
)

// childVar names, in a child's environment, what the child is to do.
const childVar = "KPM_TEST_CHILD"

// children are the parts that a test needs somebody else to play: another
// user, another namespace, another process.
var children = map[string]func(args []string){"connect": connectPart, "keyring": keyringPart}

// TestMain lets this binary play such a part: started with childVar set it is
// that child and runs no test.
func TestMain(m *testing.M) {
	if part := os.Getenv(childVar); part != "" {
		children[part](os.Args[1:])
		return
	}
	conformance.Main(ground(os.Getenv(conformanceHelper), os.Getenv(conformanceHome)))
	goleak.VerifyTestMain(m)
}
